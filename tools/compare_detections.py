#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the JSONL of `peregrine run` with expected detections, frame by frame.

  compare_detections.py EXPECTED.jsonl GOT.jsonl

Objects match when class is the same, IoU is at least --iou and scores differ by at most --score; each
matches once. Prints one JSON object: `matched`, the share of the objects scored at least --considered on
either side that have a partner; `missing` and `invented`, those scored at least --certain without one.
Exit code 1 when `matched` is below --least or anything certain is missing or invented.
"""

import argparse
import json
import sys


def read(path):
    """Frame index -> detections; lines of gaps and other events have no frame."""
    with open(path, encoding="utf-8") as lines:
        parsed = [json.loads(line) for line in lines if line.strip()]
    return {line["frame"]: line["detections"] for line in parsed if "frame" in line}


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def pair(expected, got, least_iou, most_score):
    """Indices of `expected` and of `got` that have a partner; the closest boxes are paired first."""
    close = []
    for i, one in enumerate(expected):
        for j, other in enumerate(got):
            overlap = iou(one["box"], other["box"])
            same = one["class"] == other["class"] and abs(one["score"] - other["score"]) <= most_score
            if same and overlap >= least_iou:
                close.append((-overlap, i, j))
    ours, theirs = set(), set()
    for _, i, j in sorted(close):
        if i not in ours and j not in theirs:
            ours.add(i)
            theirs.add(j)
    return ours, theirs


def compare(expected, got, options):
    considered = partnered = 0
    alone = {"missing": [], "invented": []}
    for frame in sorted(expected.keys() | got.keys()):
        sides = expected.get(frame, []), got.get(frame, [])
        for name, side, found in zip(alone, sides, pair(*sides, options.iou, options.score)):
            for i, one in enumerate(side):
                if one["score"] >= options.considered:
                    considered += 1
                    partnered += i in found
                if one["score"] >= options.certain and i not in found:
                    alone[name].append({"frame": frame, **{key: one[key] for key in ("class", "score", "box")}})
    return {"frames_expected": len(expected), "frames_got": len(got), "objects": considered,
            "matched": partnered / considered if considered else 1.0, **alone}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expected")
    parser.add_argument("got")
    parser.add_argument("--iou", type=float, default=0.95)
    parser.add_argument("--score", type=float, default=0.02)
    parser.add_argument("--considered", type=float, default=0.3)
    parser.add_argument("--certain", type=float, default=0.35)
    parser.add_argument("--least", type=float, default=0.99)
    options = parser.parse_args()
    report = compare(read(options.expected), read(options.got), options)
    print(json.dumps(report, indent=2))
    same_frames = report["frames_expected"] == report["frames_got"]
    fine = report["matched"] >= options.least and not report["missing"] and not report["invented"]
    return 0 if fine and same_frames else 1


if __name__ == "__main__":
    sys.exit(main())
