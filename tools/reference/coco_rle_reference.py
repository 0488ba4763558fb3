#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/output/data/coco_rle.txt: seeded masks as run lengths, and the string pycocotools
makes of them. Each line: width height string run run ... (needs numpy and pycocotools)."""

import pathlib

import numpy as np
from pycocotools import mask as coco


def runs(mask):
    """Lengths in column-major order, the first run counting zeros."""
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [0, *lengths] if flat[0] else list(lengths)


def masks():
    rng = np.random.default_rng(8)
    yield np.zeros((5, 7), np.uint8)
    yield np.ones((5, 7), np.uint8)
    yield (np.indices((6, 6)).sum(axis=0) % 2).astype(np.uint8)
    for height, width in [(9, 4), (40, 31), (120, 90)]:
        yield (rng.random((height, width)) < 0.5).astype(np.uint8)[:12, :9]
        y, x = np.indices((height, width))
        yield ((x - width / 2) ** 2 + (y - height / 3) ** 2 < height * width / 12).astype(np.uint8)
    large = np.zeros((1080, 1920), np.uint8)
    large[300:317, 5:1900] = 1
    yield large[:, :40]
    large = np.zeros((1080, 1920), np.uint8)
    large[1:900, 1915:] = 1
    yield large


def main():
    path = pathlib.Path(__file__).parents[2] / "tests/output/data/coco_rle.txt"
    with open(path, "w") as out:
        for mask in masks():
            text = coco.encode(np.asfortranarray(mask))["counts"].decode()
            out.write(f"{mask.shape[1]} {mask.shape[0]} {text} {' '.join(map(str, runs(mask)))}\n")


if __name__ == "__main__":
    main()
