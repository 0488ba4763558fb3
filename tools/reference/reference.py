# SPDX-License-Identifier: Apache-2.0
"""What the models should answer, worked out independently of Peregrine.

ffmpeg decodes, ONNX Runtime infers, and NumPy does the rest in float64: colour, letterbox, output
decoding, suppression, masks. Written to be read, not to be fast.
"""

import ast
import json
import subprocess

import numpy as np
import onnxruntime


def frames_of(video, wanted=None):
    """Yields (index, RGB array [h, w, 3] in float64, 0 to 255) of a clip in limited-range BT.601 4:2:0, of
    all frames or of the `wanted` indices.

    The conversion is done here, unrounded: models react to less than a level. Rounding pixels to 8 bits
    moves scores of yolo11n by more than 0.02 in one frame of five, and swscale's default conversion is off
    by a level on average.
    """
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0",
         "-show_entries", "stream=width,height,pix_fmt,color_range,color_space", "-of", "json", video],
        check=True, capture_output=True, text=True)
    stream = json.loads(probe.stdout)["streams"][0]
    width, height = stream["width"], stream["height"]
    layout = stream["pix_fmt"], stream["color_range"], stream["color_space"]
    if layout != ("yuv420p", "tv", "smpte170m") or width % 2 or height % 2:
        raise ValueError(f"{video} is {width}x{height} {layout}: not what this reference converts")
    decoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", video, "-map", "0:v:0", "-fps_mode", "passthrough",
         "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"], stdout=subprocess.PIPE)
    size = width * height * 3 // 2
    last = None if wanted is None else max(wanted)
    index = 0
    while last is None or index <= last:
        data = decoder.stdout.read(size)
        if len(data) < size:
            break
        if wanted is None or index in wanted:
            yield index, to_rgb(np.frombuffer(data, np.uint8), width, height)
        index += 1
    decoder.kill()
    decoder.communicate()


def to_rgb(data, width, height):
    """BT.601, limited range; chroma bilinear, its samples in the centre of their 2x2 pixels."""
    luma, chroma = data[:width * height], data[width * height:]
    y = (luma.reshape(height, width) - 16.0) / 219
    cb, cr = (_interpolate(plane, width, height) / 224 - 128 / 224
              for plane in chroma.reshape(2, height // 2, width // 2).astype(np.float64))
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.stack([red, green, blue], 2), 0, 1) * 255


def _interpolate(plane, width, height):
    """Bilinear, pixel centres at half-integers, no antialiasing; any trailing dimensions."""
    y0, y1, wy = _axis(plane.shape[0], height)
    x0, x1, wx = _axis(plane.shape[1], width)
    wy, wx = (w.reshape(-1, *[1] * (plane.ndim - 1 - axis)) for axis, w in enumerate((wy, wx)))
    rows = plane[y0] * (1 - wy) + plane[y1] * wy
    return rows[:, x0] * (1 - wx) + rows[:, x1] * wx


def _axis(source, size):
    """Left neighbour, right neighbour and weight of the right one, for each output pixel."""
    at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, source - 1), at - low


class Letterbox:
    """Aspect kept, centred, grey 114 around."""

    def __init__(self, source_width, source_height, width, height):
        ratio = min(height / source_height, width / source_width)
        self.resized = round(source_width * ratio), round(source_height * ratio)
        self.left = round((width - self.resized[0]) / 2 - 0.1)
        self.top = round((height - self.resized[1]) / 2 - 0.1)
        self.scale = np.array([self.resized[0] / source_width, self.resized[1] / source_height])
        self.source = source_width, source_height
        self.size = width, height

    def apply(self, picture):
        out = np.full((self.size[1], self.size[0], 3), 114.0)
        width, height = self.resized
        out[self.top:self.top + height, self.left:self.left + width] = _interpolate(picture, width, height)
        return (out / 255).transpose(2, 0, 1).astype(np.float32)

    def to_source(self, points):
        """Points [..., 2] of the model's input, clipped to the source."""
        moved = (points - [self.left, self.top]) / self.scale
        return np.clip(moved, 0, self.source)


def iou(box, boxes):
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return common / ((box[2] - box[0]) * (box[3] - box[1]) + area - common)


def suppress(boxes, scores, classes, threshold, limit):
    """Greedy, class by class; indices of what stays, best first."""
    order = list(np.argsort(-scores, kind="stable"))
    kept = []
    while order and len(kept) < limit:
        best = order.pop(0)
        kept.append(best)
        if order:
            rest = np.array(order)
            drop = (classes[rest] == classes[best]) & (iou(boxes[best], boxes[rest]) > threshold)
            order = list(rest[~drop])
    return kept


class YoloV8:
    """A model with the head of YOLOv8 and later: detect, pose or segment."""

    def __init__(self, path, confidence=0.25, iou_threshold=0.7, limit=300, threads=2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.task = metadata["task"]
        self.classes = len(ast.literal_eval(metadata["names"]))
        self.height, self.width = ast.literal_eval(metadata["imgsz"])
        self.confidence, self.iou, self.limit = confidence, iou_threshold, limit

    def __call__(self, picture):
        """Detections of an RGB picture, best first, in its pixels."""
        letterbox = Letterbox(picture.shape[1], picture.shape[0], self.width, self.height)
        feed = {self.session.get_inputs()[0].name: letterbox.apply(picture)[None]}
        outputs = self.session.run(None, feed)
        rows = outputs[0][0].T.astype(np.float64)
        scores = rows[:, 4:4 + self.classes]
        rows = rows[scores.max(1) > self.confidence]
        scores, classes = rows[:, 4:4 + self.classes].max(1), rows[:, 4:4 + self.classes].argmax(1)
        centre, half = rows[:, :2], rows[:, 2:4] / 2
        boxes = np.concatenate([centre - half, centre + half], 1)
        found = []
        for i in suppress(boxes, scores, classes, self.iou, self.limit):
            box = letterbox.to_source(boxes[i].reshape(2, 2)).ravel()
            one = {"class": int(classes[i]), "score": float(scores[i]), "box": box.tolist()}
            extra = rows[i, 4 + self.classes:]
            if self.task == "pose":
                points = extra.reshape(-1, 3)
                xy = letterbox.to_source(points[:, :2])
                one["keypoints"] = np.concatenate([xy, points[:, 2:]], 1).tolist()
            elif self.task == "segment":
                one["mask"] = self._mask(extra, outputs[1][0], box, letterbox)
            found.append(one)
        return found

    def _mask(self, coefficients, prototypes, box, letterbox):
        """Source pixels whose centre lies in the box and whose logit, looked up bilinearly, is positive."""
        width, height = letterbox.source
        cells_y, cells_x = prototypes.shape[1:]
        logits = np.tensordot(coefficients, prototypes.astype(np.float64), 1)
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        at_x = (x * letterbox.scale[0] + letterbox.left) * cells_x / self.width - 0.5
        at_y = (y * letterbox.scale[1] + letterbox.top) * cells_y / self.height - 0.5
        at_x, at_y = np.clip(at_x, 0, cells_x - 1), np.clip(at_y, 0, cells_y - 1)
        x0, y0 = np.floor(at_x).astype(int), np.floor(at_y).astype(int)
        x1, y1 = np.minimum(x0 + 1, cells_x - 1), np.minimum(y0 + 1, cells_y - 1)
        wx, wy = at_x - x0, (at_y - y0)[:, None]
        rows = logits[y0] * (1 - wy) + logits[y1] * wy
        field = rows[:, x0] * (1 - wx) + rows[:, x1] * wx
        inside = ((y >= box[1]) & (y < box[3]))[:, None] & ((x >= box[0]) & (x < box[2]))
        return {"size": [height, width], "counts": run_lengths((field > 0) & inside)}


def run_lengths(mask):
    """Column-major run lengths, the first counting zeros (COCO's RLE, uncompressed)."""
    flat = mask.T.ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    return np.diff([0] + edges + [flat.size]).tolist()


class Embedding:
    """A ReID model: crops stretched to its input, ImageNet mean and deviation, unit-length rows."""

    MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        self.height, self.width = self.session.get_inputs()[0].shape[2:]

    def __call__(self, picture, box):
        x1, y1, x2, y2 = (int(v) for v in box)
        crop = _interpolate(picture[y1:y2, x1:x2], self.width, self.height)
        planes = ((crop / 255 - self.MEAN) / self.DEVIATION).transpose(2, 0, 1)
        feed = {self.session.get_inputs()[0].name: planes[None].astype(np.float32)}
        row = self.session.run(None, feed)[0][0].astype(np.float64)
        return row / np.linalg.norm(row)
