#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`peregrine inspect` from the outside. usage: inspect_test.py PEREGRINE [unittest arguments]"""
import json
import pathlib
import sys

import program

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testing"))
import onnx_writer as onnx  # noqa: E402


def convolution(inputs, outputs, **options):
    """One convolution, 3 to 2 channels, 8x8 with stride 8: everything about it can be counted by hand."""
    return onnx.model([onnx.node("Conv", ["images", "weights"], ["map"], kernel_shape=[8, 8], strides=[8, 8])],
                      [onnx.value("images", inputs)], [onnx.value("map", outputs)],
                      [onnx.tensor("weights", [2, 3, 8, 8], [0.5] * 384)], **options)


class InspectTest(program.ProgramTest):
    def model(self, content, name="model.onnx"):
        path = self.folder / name
        path.write_bytes(content)
        return name

    def report(self, content, *arguments):
        return json.loads(self.peregrine("inspect", "--json", self.model(content), *arguments).stdout)

    # --- answers ---

    def test_a_detector_is_described_whole(self):
        report = self.report(onnx.red_square_detector(64))
        self.assertEqual(report["opset"], 17)
        self.assertEqual(report["bytes"], (self.folder / "model.onnx").stat().st_size)
        self.assertEqual(report["inputs"], [{"name": "images", "dtype": "float32", "shape": [None, 3, 64, 64]}])
        self.assertEqual(report["outputs"], [{"name": "output0", "dtype": "float32", "shape": [None, 6, 64]}])
        self.assertEqual(report["task"]["name"], "detect")
        self.assertEqual(report["task"]["labels"], ["red", "other"])
        self.assertIn("metadata", report["task"]["reason"])
        self.assertEqual(report["ops"]["Conv"], 1)
        self.assertEqual(sum(report["ops"].values()), 7)
        self.assertEqual(report["metadata"]["stride"], "8")

    def test_cost_is_counted_for_one_picture(self):
        for batch in ["batch", 1, 4]:
            cost = self.report(convolution([batch, 3, 64, 64], [batch, 2, 8, 8]))["cost_per_picture"]
            self.assertEqual(cost["parameters"], 384, batch)
            self.assertEqual(cost["flops"], 2 * 384 * 8 * 8, batch)
            self.assertEqual(cost["activation_bytes"], 2 * 8 * 8 * 4, batch)

    def test_open_outputs_are_worked_out(self):
        report = self.report(convolution(["batch", 3, 64, 64], ["batch", "a", "b", "c"]))
        self.assertEqual(report["outputs"][0]["shape"], [None, 2, 8, 8])

    def test_an_open_input_takes_its_size_from_the_flag(self):
        cost = self.report(convolution(["batch", 3, "h", "w"], ["batch", 2, "h", "w"]), "--imgsz", "128")["cost_per_picture"]
        self.assertEqual(cost["inputs"], ["[1, 3, 128, 128]"])
        self.assertEqual(cost["flops"], 2 * 384 * 16 * 16)

    def test_an_unknown_task_or_op_leaves_the_rest(self):
        report = self.report(convolution(["batch", 3, 64, 64], ["batch", 2, 8, 8]))
        self.assertIsNone(report["task"]["name"])
        self.assertIn("no output has the form", report["task"]["problem"])
        teleport = onnx.model([onnx.node("Teleport", ["x"], ["y"])], [onnx.value("x", [1, 3])], [onnx.value("y", [1, 3])])
        report = self.report(teleport)
        self.assertEqual(report["inputs"][0]["shape"], [1, 3])
        self.assertIn("Teleport", report["cost_per_picture"]["problem"])

    def test_text_says_the_same(self):
        text = self.peregrine("inspect", self.model(onnx.red_square_detector(64))).stdout
        for part in ["images  float32  [?, 3, 64, 64]", "output0  float32  [?, 6, 64]", "detect: ", "2: red, other",
                     "nodes: 7, kinds: 7", "ONNX opset 17", "stride  8"]:
            self.assertIn(part, text)

    def test_control_characters_do_not_reach_the_terminal(self):
        hostile = convolution(["batch", 3, 64, 64], ["batch", 2, 8, 8], metadata={"a\x1b[31m": "b\x1b]0;x\x07\ny"})
        text = self.peregrine("inspect", self.model(hostile)).stdout
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\x07", text)

    def test_the_shared_detector(self):
        path = program.shared_folder() / "models/coco/yolo11n.onnx"
        if not path.exists():
            self.skipTest("needs shared/models")
        report = json.loads(self.peregrine("inspect", "--json", path).stdout)
        self.assertEqual(report["outputs"][0]["shape"], [None, 84, 8400])
        self.assertEqual(len(report["task"]["labels"]), 80)
        # Published for YOLO11n at 640: 2.6 M parameters, 6.5 GFLOP (convolutions alone).
        self.assertAlmostEqual(report["cost_per_picture"]["parameters"] / 2.62e6, 1, delta=0.02)
        self.assertAlmostEqual(report["cost_per_picture"]["flops"] / 6.5e9, 1, delta=0.05)

    # --- refusals ---

    def test_what_is_no_model_is_refused(self):
        whole = onnx.red_square_detector(64)
        for name, content in [("garbage.onnx", bytes(range(256)) * 8), ("text.onnx", b"hello, world\n" * 20),
                              ("cut.onnx", whole[:len(whole) // 2]), ("empty.onnx", b"")]:
            self.refused(4, [name], "inspect", self.model(content, name))
        self.refused(4, ["absent.onnx"], "inspect", "absent.onnx")
        self.refused(4, [str(self.folder)], "inspect", self.folder)

    def test_external_data_outside_the_folder_is_refused(self):
        for place in ["../secret.bin", "/etc/passwd"]:
            escaping = onnx.model([onnx.node("Add", ["x", "w"], ["y"])], [onnx.value("x", [1, 3])],
                                  [onnx.value("y", [1, 3])], [onnx.external_tensor("w", [3], place)])
            self.refused(4, [place], "inspect", self.model(escaping))

    def test_bad_usage_is_refused(self):
        self.refused(2, ["FILE"], "inspect")
        self.refused(2, ["--imgsz"], "inspect", self.model(onnx.red_square_detector(64)), "--imgsz", "0")


if __name__ == "__main__":
    program.main()
