#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the JSONL of `peregrine run` with expected detections, frame by frame of each source.

  compare_detections.py EXPECTED.jsonl GOT.jsonl

Objects match when class is the same, IoU is at least --iou and scores differ by at most --score; each
matches once. Prints one JSON object: `matched`, the share of the objects scored at least --considered on
either side that have a partner; `missing` and `invented`, those scored at least --certain without one; of
partners with masks their IoU, with keypoints the distance in pixels of those scored 0.5 or more, with
embeddings the cosine: how many, the worst, and how many are worse than --mask, --point and --cosine.
Exit code 1 when `matched`, or the share of masks or embeddings that are not worse, is below --least, or anything
certain is missing or invented.
"""

import argparse
import json
import os
import sys


def read(path):
    """(name of the source or "", frame) -> detections; lines of gaps and other events have no frame."""
    with open(path, encoding="utf-8") as lines:
        parsed = [json.loads(line) for line in lines if line.strip()]
    return {(os.path.basename(line.get("source", "")), line["frame"]): line["detections"]
            for line in parsed if "frame" in line}


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def runs(mask):
    """The counts of COCO's compressed run lengths (pycocotools' rleFrString): zeros and ones in turn."""
    counts, at, text = [], 0, mask["counts"]
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            c = ord(text[at]) - 48
            value |= (c & 31) << shift
            more, at, shift = bool(c & 32), at + 1, shift + 5
            if not more and c & 16:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def mask_iou(a, b):
    if a["size"] != b["size"]:
        return 0.0
    left, right = runs(a), runs(b)
    i = j = common = either = 0
    one, other = left[0], right[0]
    while i < len(left) and j < len(right):
        step = min(one, other)
        common += step * (i & 1 and j & 1)
        either += step * (i & 1 or j & 1)
        one, other = one - step, other - step
        if one == 0:
            i += 1
            one = left[i] if i < len(left) else 0
        if other == 0:
            j += 1
            other = right[j] if j < len(right) else 0
    return common / either if either else 1.0


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def pair(expected, got, least_iou, most_score):
    """Partners, from index of `expected` to index of `got`; the closest boxes are paired first."""
    close = []
    for i, one in enumerate(expected):
        for j, other in enumerate(got):
            overlap = iou(one["box"], other["box"])
            same = one["class"] == other["class"] and abs(one["score"] - other["score"]) <= most_score
            if same and overlap >= least_iou:
                close.append((-overlap, i, j))
    partners, taken = {}, set()
    for _, i, j in sorted(close):
        if i not in partners and j not in taken:
            partners[i] = j
            taken.add(j)
    return partners


class Worst:
    """Of values of which more is better, or less."""

    def __init__(self, bound, more_is_better):
        self.bound, self.sign = bound, 1 if more_is_better else -1
        self.count = self.worse = 0
        self.worst = None

    def add(self, value):
        self.count += 1
        self.worse += self.sign * value < self.sign * self.bound
        if self.worst is None or self.sign * value < self.sign * self.worst:
            self.worst = value

    def report(self):
        return {"count": self.count, "worst": self.worst, "worse": self.worse}


def compare_details(one, other, details):
    if "mask" in one and "mask" in other:
        details["masks"].add(mask_iou(one["mask"], other["mask"]))
    if "embedding" in one and "embedding" in other:
        details["embeddings"].add(cosine(one["embedding"], other["embedding"]))
    for a, b in zip(one.get("keypoints", []), other.get("keypoints", [])):
        if min(a[2], b[2]) >= 0.5:
            details["keypoints"].add(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def without_sources(frames):
    return {("", frame): found for (_, frame), found in frames.items()}


def compare(expected, got, options):
    if not all(name for name, _ in expected) or not all(name for name, _ in got):
        expected, got = without_sources(expected), without_sources(got)
    considered = partnered = 0
    alone = {"missing": [], "invented": []}
    details = {"masks": Worst(options.mask, True), "keypoints": Worst(options.point, False),
               "embeddings": Worst(options.cosine, True)}
    for frame in sorted(expected.keys() | got.keys()):
        sides = expected.get(frame, []), got.get(frame, [])
        partners = pair(*sides, options.iou, options.score)
        for i, j in partners.items():
            if max(sides[0][i]["score"], sides[1][j]["score"]) >= options.considered:
                compare_details(sides[0][i], sides[1][j], details)
        for name, side, found in zip(alone, sides, (partners, set(partners.values()))):
            for i, one in enumerate(side):
                if one["score"] >= options.considered:
                    considered += 1
                    partnered += i in found
                if one["score"] >= options.certain and i not in found:
                    alone[name].append({"source": frame[0], "frame": frame[1],
                                        **{key: one[key] for key in ("class", "score", "box")}})
    return {"frames_expected": len(expected), "frames_got": len(got), "objects": considered,
            "matched": partnered / considered if considered else 1.0,
            **{name: each.report() for name, each in details.items() if each.count}, **alone}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expected")
    parser.add_argument("got")
    parser.add_argument("--iou", type=float, default=0.95)
    parser.add_argument("--score", type=float, default=0.02)
    parser.add_argument("--considered", type=float, default=0.3)
    parser.add_argument("--certain", type=float, default=0.35)
    parser.add_argument("--least", type=float, default=0.99)
    parser.add_argument("--mask", type=float, default=0.98)
    parser.add_argument("--point", type=float, default=1.0)
    parser.add_argument("--cosine", type=float, default=0.999)
    options = parser.parse_args()
    report = compare(read(options.expected), read(options.got), options)
    print(json.dumps(report, indent=2))
    same_frames = report["frames_expected"] == report["frames_got"]
    fine = report["matched"] >= options.least and not report["missing"] and not report["invented"]
    for details in (report[name] for name in ("masks", "embeddings") if name in report):
        fine = fine and details["worse"] <= (1 - options.least) * details["count"]
    return 0 if fine and same_frames else 1


if __name__ == "__main__":
    sys.exit(main())
