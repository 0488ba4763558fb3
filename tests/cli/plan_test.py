#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plans and the commands around them, as far as they go without a GPU.
usage: plan_test.py PEREGRINE WRITE_FAKE_PLAN [unittest arguments]"""
import json
import pathlib
import subprocess
import sys

import program

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testing"))
import onnx_writer as onnx  # noqa: E402


class PlanTest(program.ProgramTest):
    def plan(self, name="tiny.plan"):
        subprocess.run([WRITE_FAKE_PLAN, self.folder / name], check=True)
        return name

    def detector(self):
        (self.folder / "red.onnx").write_bytes(onnx.red_square_detector(64))
        return "red.onnx"

    # --- inspect ---

    def test_a_plan_is_described_without_a_gpu(self):
        text = self.peregrine("inspect", self.plan()).stdout
        for part in ("tiny.onnx, sha256 aaaa", "NVIDIA H200 (sm_90, 132 multiprocessors), driver for CUDA 13.0",
                     "fp16 asked for; nodes: fp16 2", "weights    4.0 KiB", "images  float32  [?, 3, 8, 8]", "embed",
                     "direct_3x3", "/model.0/conv/Conv (of 2)", "12.50 us"):
            self.assertIn(part, text)

    def test_a_plan_as_json(self):
        report = json.loads(self.peregrine("inspect", "--json", self.plan()).stdout)
        self.assertEqual(report["plan"]["sm"], 90)
        self.assertEqual(report["plan"]["driver_cuda"], "13.0")
        self.assertEqual(report["weights_bytes"], 4096)
        self.assertEqual([p["batch"] for p in report["programs"]], [1, 4])
        first = report["programs"][0]
        self.assertEqual(first["precisions"], {"fp16": 2})
        self.assertEqual(first["nodes"][0]["origins"], ["/model.0/conv/Conv", "/model.0/act/Mul"])
        self.assertEqual(first["nodes"][0]["bytes"], 4 * 192 + 2 * 216 + 2 * 512)
        self.assertEqual(report["task"]["name"], "embed")

    def test_a_broken_plan_is_refused_in_one_line(self):
        path = self.folder / self.plan("broken.plan")
        path.write_bytes(path.read_bytes()[:-10])
        for arguments in (["inspect", "broken.plan"], ["validate", "broken.plan", "--against", self.detector()]):
            message = self.peregrine(*arguments, code=4).stderr
            self.assertEqual(message.count("\n"), 1, message)
            self.assertIn("broken.plan", message)
            self.assertIn("Rebuild it with: peregrine build", message)

    # --- without a GPU ---

    def test_building_needs_a_gpu(self):
        message = self.peregrine("build", self.detector(), "-o", "red.plan", code=5).stderr
        self.assertIn("NVIDIA", message)
        self.assertFalse((self.folder / "red.plan").exists())

    def test_a_plan_does_not_run_on_the_cpu(self):
        self.assertIn("ONNX file", self.peregrine("run", "none.mp4", "--model", self.plan(), "--device", "cpu",
                                                  code=2).stderr)
        for device in ("auto", "cuda"):
            message = self.peregrine("run", "none.mp4", "--model", self.plan(), "--device", device, code=5).stderr
            self.assertIn("tiny.plan", message)

    def test_usage(self):
        for arguments in (["build"], ["build", "a.onnx", "--precision", "int4"], ["build", "a.onnx", "--batch", "0"],
                          ["build", "a.onnx", "--workspace", "lots"], ["build", "a.onnx", "--time-budget", "soon"],
                          ["build", "a.onnx", "--device", "gpu"]):
            self.peregrine(*arguments, code=2)


if __name__ == "__main__":
    WRITE_FAKE_PLAN = pathlib.Path(sys.argv.pop(2)).resolve()
    program.main()
