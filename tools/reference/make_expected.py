#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the expected answers that the tests compare with, from the models and clips in shared/.

  make_expected.py SHARED samples    a few frames of four models -> tests/vision/data/*.json
  make_expected.py SHARED clips      yolo11n over both clips, every frame -> tests/data/expected/*.jsonl

Needs ffmpeg, numpy and onnxruntime. The clips take some minutes on two cores.
"""

import argparse
import json
import pathlib

from reference import Embedding, YoloV8, frames_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = {"car-detection.mp4": (60, 200), "one-by-one-person-detection.mp4": (150, 600)}
MODELS = ("yolo11n", "yolo11n-pose", "yolov8n-seg-320")


def rounded(value):
    if isinstance(value, float):
        return round(value, 4) + 0.0  # no "-0.0"
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def compact(value):
    return json.dumps(rounded(value), separators=(",", ":"))


def write_samples(shared):
    for name in MODELS:
        model = YoloV8(str(shared / "models/coco" / f"{name}.onnx"))
        lines = []
        for video, wanted in SAMPLES.items():
            for index, picture in frames_of(str(shared / "video" / video), wanted):
                lines.append(compact({"video": video, "frame": index, "detections": model(picture)}))
        path = ROOT / "tests/vision/data" / f"{name}.json"
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")

    detector = YoloV8(str(shared / "models/coco/yolo11n.onnx"))
    embedding = Embedding(str(shared / "models/osnet_x0_25.onnx"))
    lines = []
    for video, wanted in SAMPLES.items():
        for index, picture in frames_of(str(shared / "video" / video), wanted):
            for found in detector(picture)[:2]:
                row = embedding(picture, found["box"]).tolist()
                lines.append(compact({"video": video, "frame": index, "box": found["box"], "embedding": row}))
    (ROOT / "tests/vision/data/osnet_x0_25.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def write_clips(shared):
    model = YoloV8(str(shared / "models/coco/yolo11n.onnx"))
    for video in SAMPLES:
        path = ROOT / "tests/data/expected" / (pathlib.Path(video).stem + ".yolo11n.jsonl")
        with path.open("w") as out:
            for index, picture in frames_of(str(shared / "video" / video)):
                found = [{"class": each["class"], "score": each["score"],
                          "box": [round(side, 2) for side in each["box"]]} for each in model(picture)]
                out.write(compact({"frame": index, "detections": found}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("what", choices=("samples", "clips"))
    arguments = parser.parse_args()
    write = {"samples": write_samples, "clips": write_clips}[arguments.what]
    write(arguments.shared)


if __name__ == "__main__":
    main()
