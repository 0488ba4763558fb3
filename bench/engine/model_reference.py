#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeded pictures and the FP32 answers to them (onnxruntime), for bench_engine_models to check itself against.

usage: model_reference.py MODEL.onnx OUT.ref [--pictures 3] [--seed 1] [--size H W]
OUT.ref: the model's inputs, then its outputs, each [pictures, ...] float32, one after the other, no header.
Pictures are smooth noise in [0, 1], normalized as CLIP, DETR and Depth-Anything expect where --normalize is given.
"""
import argparse

import numpy as np
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("out")
parser.add_argument("--pictures", type=int, default=3)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--normalize", action="store_true")
arguments = parser.parse_args()

options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(arguments.model, options, providers=["CPUExecutionProvider"])
random = np.random.default_rng(arguments.seed)
feeds = {}
for spec in session.get_inputs():
    channels, height, width = (d if isinstance(d, int) else 640 for d in spec.shape[1:])
    coarse = random.random((arguments.pictures, channels, 16, 16), np.float32)
    rows = np.linspace(0, 15, height)
    columns = np.linspace(0, 15, width)
    low_y, low_x = np.floor(rows).astype(int).clip(0, 14), np.floor(columns).astype(int).clip(0, 14)
    fy, fx = (rows - low_y)[:, None].astype(np.float32), (columns - low_x)[None, :].astype(np.float32)
    corner = lambda dy, dx: coarse[:, :, (low_y + dy)[:, None], (low_x + dx)[None, :]]
    picture = (corner(0, 0) * (1 - fy) * (1 - fx) + corner(0, 1) * (1 - fy) * fx + corner(1, 0) * fy * (1 - fx)
               + corner(1, 1) * fy * fx)
    picture += 0.05 * random.standard_normal(picture.shape, np.float32)
    if arguments.normalize:
        picture = (picture - 0.45) / 0.226
    feeds[spec.name] = np.ascontiguousarray(picture, np.float32)

outputs = [[] for _ in session.get_outputs()]
batched = not isinstance(session.get_inputs()[0].shape[0], int)
for i in range(1 if batched else arguments.pictures):
    part = feeds if batched else {name: value[i:i + 1] for name, value in feeds.items()}
    for k, value in enumerate(session.run(None, part)):
        outputs[k].append(value)
with open(arguments.out, "wb") as file:
    for value in feeds.values():
        file.write(value.tobytes())
    for parts in outputs:
        file.write(np.concatenate(parts).astype(np.float32).tobytes())
