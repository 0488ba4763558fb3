#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DETR, RT-DETR, depth and embedding models through `peregrine run`, as tiny models of their output shapes.

The clip is a red square of 16 x 16 on grey, drawn out to 128 x 64: models take 64 x 64, so a picture that is not
stretched to their input shows in every answer.

usage: tasks_test.py PEREGRINE [unittest arguments]; needs ffmpeg.
"""
import json
import pathlib
import subprocess
import sys

import program
from run_test import SIZE, SQUARE, make_clip, square_at

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testing"))
import onnx_writer as onnx  # noqa: E402

CELL, FRAMES, WIDTH = 8, 6, 2 * SIZE
GRID = SIZE // CELL
CELLS = GRID * GRID
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = (0, 0, 0), (1, 1, 1)


def red_minus_blue(normalization, gain, bias, cell=CELL):
    """Weights of a convolution, and its bias, that give gain * (red - blue) + bias for pixels of 0 to 1."""
    mean, deviation = normalization
    area = cell * cell
    weights = [gain * deviation[0] / area] * area + [0.0] * area + [-gain * deviation[2] / area] * area
    return weights, bias + gain * (mean[0] - mean[2])


def queries(columns, red, normalization, others):
    """Nodes that make `logits` [batch, 64, columns] and `boxes` [batch, 64, 4]: a query a cell.

    Column `red` is +12 on red and -4 on grey, the others are `others`.
    """
    weights, bias = [], []
    for column in range(columns):
        own, offset = red_minus_blue(normalization, 17 if column == red else 0, -4 if column == red else others[column])
        weights += own
        bias.append(offset)
    boxes = []
    for i in range(CELLS):
        boxes += [(i % GRID + 0.5) / GRID, (i // GRID + 0.5) / GRID, 1 / GRID, 1 / GRID]
    nodes = [
        onnx.node("Conv", ["images", "weights", "bias"], ["grid"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        onnx.node("Reshape", ["grid", "flat"], ["rows"]),
        onnx.node("Transpose", ["rows"], ["logits"], perm=[0, 2, 1]),
        onnx.node("Slice", ["logits", "zero", "one", "axis"], ["first"]),
        onnx.node("Mul", ["first", "nothing"], ["no_boxes"]),
        onnx.node("Add", ["no_boxes", "places"], ["pred_boxes"]),
    ]
    tensors = [
        onnx.tensor("weights", [columns, 3, CELL, CELL], weights), onnx.tensor("bias", [columns], bias),
        onnx.tensor("flat", [3], [0, columns, CELLS], onnx.INT64),
        onnx.tensor("zero", [1], [0], onnx.INT64), onnx.tensor("one", [1], [1], onnx.INT64),
        onnx.tensor("axis", [1], [2], onnx.INT64), onnx.tensor("nothing", [1], [0.0]),
        onnx.tensor("places", [1, CELLS, 4], boxes),
    ]
    return nodes, tensors


def names(count, red):
    return {"names": str({i: "red" if i == red else f"other {i}" for i in range(count)})}


IMAGES = onnx.value("images", ["batch", 3, SIZE, SIZE])
PAIR = [onnx.value("logits", ["batch", CELLS, "columns"]), onnx.value("pred_boxes", ["batch", CELLS, 4])]


def detr():
    """Two classes and "no object", which wins on grey."""
    nodes, tensors = queries(3, 1, IMAGENET, [0, 0, 4])
    return onnx.model(nodes, [IMAGES], PAIR, tensors, names(2, 1))


def detr_sigmoid():
    nodes, tensors = queries(3, 2, PLAIN, [-4, -4, 0])
    return onnx.model(nodes, [IMAGES], PAIR, tensors, names(3, 2))


def coco_detr():
    """No names in the file: 92 logits, COCO's number 13 is a stop sign."""
    nodes, tensors = queries(92, 13, IMAGENET, [-9] * 91 + [4])
    return onnx.model(nodes, [IMAGES], PAIR, tensors)


def rt_detr():
    nodes, tensors = queries(8, 5, PLAIN, [-4] * 8)
    nodes += [onnx.node("Sigmoid", ["logits"], ["scores"]),
              onnx.node("Concat", ["pred_boxes", "scores"], ["output0"], axis=2)]
    return onnx.model(nodes, [IMAGES], [onnx.value("output0", ["batch", CELLS, 12])], tensors,
                      {"description": "Ultralytics rtdetr-l model", "task": "detect", **names(8, 5)})


def depth(output="predicted_depth", shape=("batch", SIZE // 2, SIZE // 2)):
    """10 * (red - blue) + 2 at half the input's resolution."""
    weights, bias = red_minus_blue(IMAGENET, 10, 2, cell=2)
    nodes = [onnx.node("Conv", ["images", "weights", "bias"], ["map"], kernel_shape=[2, 2], strides=[2, 2]),
             onnx.node("Reshape", ["map", "shape"], [output])]
    tensors = [onnx.tensor("weights", [1, 3, 2, 2], weights), onnx.tensor("bias", [1], [bias]),
               onnx.tensor("shape", [len(shape)], [0, *shape[1:]], onnx.INT64)]
    return onnx.model(nodes, [IMAGES], [onnx.value(output, shape)], tensors)


def embedder():
    """Three numbers a picture: the sums of red, green and blue."""
    nodes = [onnx.node("GlobalAveragePool", ["images"], ["means"]), onnx.node("Flatten", ["means"], ["image_embeds"])]
    return onnx.model(nodes, [IMAGES], [onnx.value("image_embeds", ["batch", 3])])


class TasksTest(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.clip = make_clip(self.folder / "clip.mp4", FRAMES,
                              ("-vf", f"scale={WIDTH}:{SIZE}:flags=neighbor", "-c:v", "libx264", "-crf", "1"))

    def model(self, content, name="model.onnx"):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def lines(self, content, *arguments):
        text = self.peregrine("run", self.clip, "--model", self.model(content), "--jsonl", "-", *arguments).stdout
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([line["frame"] for line in lines], list(range(FRAMES)))
        return lines

    # --- DETR and its family ---

    def check_squares(self, lines, class_id, label):
        """The square's four cells, twice as wide as high in the source."""
        for line in lines:
            x0, y0 = square_at(line["frame"])
            found = sorted(tuple(round(v) for v in d["box"]) for d in line["detections"])
            self.assertEqual(found, sorted((2 * (x0 + dx), y0 + dy, 2 * (x0 + dx + CELL), y0 + dy + CELL)
                                           for dx in (0, CELL) for dy in (0, CELL)))
            for one in line["detections"]:
                self.assertEqual((one["class"], one["label"]), (class_id, label))
                self.assertGreater(one["score"], 0.9)

    def test_detr_has_a_class_for_nothing(self):
        self.check_squares(self.lines(detr()), 1, "red")

    def test_detr_knows_cocos_numbers(self):
        self.check_squares(self.lines(coco_detr()), 13, "stop sign")

    def test_sigmoid_family(self):
        self.check_squares(self.lines(detr_sigmoid()), 2, "red")

    def test_rt_detr_in_one_output(self):
        self.check_squares(self.lines(rt_detr(), "--track"), 5, "red")

    def test_batches_change_no_answer(self):
        self.assertEqual(self.lines(detr()), self.lines(detr(), "--batch", "4"))

    def test_inspect_says_what_run_does(self):
        found = json.loads(self.peregrine("inspect", "--json", self.model(coco_detr())).stdout)["task"]
        self.assertEqual((found["name"], len(found["labels"]), found["labels"][13]), ("detect", 91, "stop sign"))
        self.assertEqual((found["input"]["fit"], found["input"]["mean"]), ("stretch", list(IMAGENET[0])))
        text = self.peregrine("inspect", self.model(depth())).stdout
        self.assertIn("depth: ", text)
        self.assertIn("stretched to 64x64", text)

    def test_what_brings_boxes_back_itself_is_refused(self):
        nodes, tensors = queries(3, 2, PLAIN, [-4, -4, 0])
        tensors.append(onnx.tensor("corner", [1, 2], [0, 0], onnx.INT64))
        nodes += [onnx.node("Add", ["orig_target_sizes", "corner"], ["labels"]),
                  onnx.node("Identity", ["pred_boxes"], ["boxes"]), onnx.node("Identity", ["first"], ["scores"])]
        model = onnx.model(nodes, [IMAGES, onnx.value("orig_target_sizes", ["batch", 2], onnx.INT64)],
                           [onnx.value("labels", ["batch", 2], onnx.INT64), onnx.value("boxes", ["batch", CELLS, 4]),
                            onnx.value("scores", ["batch", CELLS, 1])], tensors)
        self.refused(4, ["model.onnx", "orig_target_sizes", "post-processor"], "run", self.clip, "--model",
                     self.model(model))

    # --- depth ---

    def test_depth_range_and_files(self):
        lines = self.lines(depth(), "--depth", "maps")
        for line in lines:
            self.assertNotIn("detections", line)
            found = line["depth"]
            self.assertAlmostEqual(found["min"], 2, delta=0.1)
            self.assertAlmostEqual(found["median"], 2, delta=0.1)
            self.assertAlmostEqual(found["max"], 2 + 10 * 240 / 255, delta=0.3)
            self.assertEqual(found["file"], f"maps/0-{line['frame']:06}.png")
            levels = self.levels(self.folder / found["file"])
            x0, y0 = square_at(line["frame"])
            for y, row in enumerate(levels):
                for x, level in enumerate(row):  # a map of 32 x 32, drawn out to 64 x 32 again
                    inside = x0 + 1 <= x < x0 + SQUARE - 1 and y0 / 2 + 1 <= y < (y0 + SQUARE) / 2 - 1
                    outside = x < x0 - 1 or x > x0 + SQUARE or y < y0 / 2 - 1 or y > (y0 + SQUARE) / 2
                    if inside:
                        self.assertGreater(level, 60000)
                    elif outside:
                        self.assertLess(level, 2500)
        self.assertEqual(len(list((self.folder / "maps").iterdir())), FRAMES)

    def levels(self, path):
        """ffmpeg's reading of a 16-bit grey PNG of 64 x 32."""
        probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height,pix_fmt", "-of",
                                "csv=p=0", path], capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual(probe, "64,32,gray16be")
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray16be", "-"],
                             capture_output=True, check=True).stdout
        return [[int.from_bytes(raw[2 * (y * 64 + x):][:2], "big") for x in range(64)] for y in range(32)]

    def test_depth_is_drawn(self):
        video, sheet = self.folder / "depth.mp4", self.folder / "sheet.png"
        done = self.peregrine("run", self.clip, "--model", self.model(depth()), "--annotate", video, "--contact-sheet",
                              sheet, "--depth", "maps")
        for written in (video, sheet, "maps"):
            self.assertIn(f"wrote {written}", done.stderr)
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
                              "rgb24", "-"], capture_output=True, check=True).stdout
        x0, y0 = square_at(0)

        def pixel(x, y):
            return raw[3 * (y * WIDTH + x):][:3]

        near, far = pixel(2 * x0 + SQUARE, y0 + SQUARE // 2), pixel(WIDTH - 8, 8)
        self.assertTrue(near[0] > 180 and near[1] > 120 and near[2] < 130, near)  # yellow over red
        self.assertTrue(max(far) < 90 and far[1] < far[2], far)  # violet over dark grey

    def test_depth_by_flag_and_with_a_channel(self):
        shape = ("batch", 1, SIZE // 2, SIZE // 2)
        self.refused(4, ["--task depth"], "run", self.clip, "--model", self.model(depth("map_1", shape)))
        lines = self.lines(depth("map_1", shape), "--task", "depth")
        self.assertAlmostEqual(lines[0]["depth"]["min"], 2, delta=0.1)

    def test_normalization_can_be_said(self):
        lines = self.lines(depth(), "--normalize", "none")
        # Weights and bias were made for ImageNet's: 10 * (0.229 red - 0.225 blue + 0.079) + 2.
        self.assertAlmostEqual(lines[0]["depth"]["max"], 2 + 10 * (0.229 * 250 / 255 - 0.225 * 10 / 255 + 0.079),
                               delta=0.1)

    def test_validate_compares_depth(self):
        model = self.model(depth())
        done = self.peregrine("validate", model, "--against", model, "--video", self.clip, "--device", "cpu")
        self.assertIn("worst depth correlation", done.stdout)

    # --- embeddings ---

    def test_embedding_of_the_picture(self):
        for line in self.lines(embedder(), "--embeddings"):
            self.assertNotIn("detections", line)
            self.assertEqual(len(line["embedding"]), 3)
            self.assertAlmostEqual(sum(v * v for v in line["embedding"]), 1, places=4)

    # --- refusals ---

    def test_what_a_model_cannot_give_is_refused(self):
        embeds, maps, detects = self.model(embedder(), "e.onnx"), self.model(depth(), "d.onnx"), self.model(detr())
        for model, parts, flags in [
                (embeds, ["'e.onnx'", "--embeddings"], ["--jsonl", "-"]),
                (embeds, ["--reid", "task embed"], ["--embeddings", "--reid", "r.onnx"]),
                (embeds, ["--track", "finds objects"], ["--track"]),
                (maps, ["--track", "task depth"], ["--track"]),
                (maps, ["--embeddings", "task depth"], ["--embeddings"]),
                (detects, ["--depth", "task detect"], ["--depth", "maps"]),
                (detects, ["--embeddings", "--reid"], ["--embeddings"])]:
            self.refused(2, parts, "run", self.clip, "--model", model.name, *flags)


if __name__ == "__main__":
    program.main()
