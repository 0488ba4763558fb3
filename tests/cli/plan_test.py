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

    # --- validate and bench, which run on the CPU too ---

    def convolution(self, weight, name):
        content = onnx.model([onnx.node("Conv", ["images", "weights"], ["map"], kernel_shape=[8, 8], strides=[8, 8])],
                             [onnx.value("images", ["batch", 3, 64, 64])], [onnx.value("map", ["batch", 2, 8, 8])],
                             [onnx.tensor("weights", [2, 3, 8, 8], [weight] * 384)])
        (self.folder / name).write_bytes(content)
        return name

    def test_a_model_agrees_with_itself(self):
        model = self.detector()
        text = self.peregrine("validate", model, "--against", model, "--device", "cpu").stdout
        self.assertIn("64 inputs of noise (seed 1)", text)
        self.assertIn("Within the limits.", text)
        report = json.loads(self.peregrine("validate", model, "--against", model, "--device", "cpu", "--count", "5",
                                           "--json", "-").stdout)
        self.assertEqual((report["good"], report["pictures"], report["tolerance"]), (True, 5, 1e-4))
        self.assertEqual([o["relative_l2"] for o in report["outputs"]], [0])

    def test_answers_are_compared_on_pictures(self):
        model = self.detector()
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=0x282828:s=64x64:d=1:r=4,drawbox=x=16:y=16:"
                        "w=16:h=16:c=0xfa0a0a:t=fill,format=rgb24", self.folder / "p%d.png"], check=True)
        report = json.loads(self.peregrine("validate", model, "--against", model, "--device", "cpu", "--images",
                                           self.folder, "--count", "3", "--json", "-").stdout)
        self.assertEqual(report["pictures"], 3)
        self.assertEqual([m["value"] for m in report["measures"]], [1, 1])
        self.assertIn("12 of 12", report["measures"][0]["detail"])

    def test_a_wrong_model_is_found_out(self):
        good, bad = self.convolution(0.5, "good.onnx"), self.convolution(0.6, "bad.onnx")
        arguments = ["validate", bad, "--against", good, "--device", "cpu", "--count", "2"]
        text = self.peregrine(*arguments, code=4).stdout
        self.assertIn("TOO FAR", text)
        self.assertIn("0.2", text)
        self.assertIn("--bisect", text)
        self.assertIn("Within", self.peregrine(*arguments, "--tolerance", "0.3").stdout)
        self.assertIn("on a GPU", self.peregrine(*arguments, "--bisect", code=2).stderr)
        self.assertIn("not of one model", self.peregrine("validate", self.two_outputs(), "--against", good, "--device",
                                                         "cpu", code=1).stderr)
        self.assertIn("noise", self.peregrine(*arguments, "--images", self.folder, code=4).stderr)

    def two_outputs(self):
        content = onnx.model([onnx.node("Relu", ["images"], ["a"]), onnx.node("Sigmoid", ["images"], ["b"])],
                             [onnx.value("images", ["batch", 3, 64, 64])],
                             [onnx.value("a", ["batch", 3, 64, 64]), onnx.value("b", ["batch", 3, 64, 64])])
        (self.folder / "two.onnx").write_bytes(content)
        return "two.onnx"

    def test_bench_checks_and_times(self):
        model = self.detector()
        report = json.loads(self.peregrine("bench", model, "--device", "cpu", "--batch", "1,2", "--seconds", "0.05",
                                           "--json", "-").stdout)
        self.assertTrue(report["checked"])
        self.assertEqual([b["batch"] for b in report["batches"]], [1, 2])
        for batch in report["batches"]:
            times = batch["round_trip"]
            self.assertGreaterEqual(times["runs"], 5)
            self.assertTrue(0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"])
            self.assertEqual(batch["relative_l2"], 0)
        text = self.peregrine("bench", model, "--device", "cpu", "--unchecked", "--seconds", "0.05").stdout
        self.assertIn("not checked", text)

    def test_bench_refuses_a_wrong_answer(self):
        good, bad = self.convolution(0.5, "good.onnx"), self.convolution(0.6, "bad.onnx")
        message = self.peregrine("bench", bad, "--against", good, "--device", "cpu", code=1).stderr
        self.assertIn("not timed: output 'map' at batch 1 is wrong", message)

    # --- without a GPU ---

    def skip_where_there_is_a_gpu(self):
        if json.loads(subprocess.run([program.PEREGRINE, "doctor", "--json"], capture_output=True).stdout)["machine"]["gpus"]:
            self.skipTest("this machine has a GPU")

    def test_building_needs_a_gpu(self):
        self.skip_where_there_is_a_gpu()
        message = self.peregrine("build", self.detector(), "-o", "red.plan", code=5).stderr
        self.assertIn("NVIDIA", message)
        self.assertFalse((self.folder / "red.plan").exists())

    def test_timing_and_proving_a_plan_need_a_gpu(self):
        self.skip_where_there_is_a_gpu()
        for command in (["bench", self.plan()], ["validate", self.plan(), "--against", self.detector()]):
            self.assertIn("tiny.plan", self.peregrine(*command, code=5).stderr)

    def test_a_plan_does_not_run_on_the_cpu(self):
        self.skip_where_there_is_a_gpu()
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
