#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the constants of src/engine/cuda/conv_tactics.cc to timings of bench_engine_conv.

    tools/fit_conv_cost.py TIMINGS.json [--rounds 300]

Random search over the model's constants, from those in the source. What is minimized is what the
model is for: the loss when only its first 1, 4 or 8 choices are timed, and, less, the error itself.
Prints the constants and, before and after, the mean squared log error and those three losses.
"""
import argparse
import json
import math
import pathlib
import random
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent / "src/engine/cuda"
MULTIPROCESSORS = 132


def tiles():
    found = {}
    for source in ROOT.glob("kernels/conv_tiles_*.cu"):
        for shape, name in re.findall(r'TileShape<([\d, ]+)>>\("([^"]+)"\)', source.read_text()):
            found[name] = [int(n) for n in shape.split(",")]
    return found


def constants():
    text = (ROOT / "conv_tactics.cc").read_text()
    return {name: float(value) for name, value in re.findall(r"constexpr double (k\w+) = ([\d.e+-]+);", text)}


def predict(shape, tile, splits, k):
    """The same arithmetic as predict_conv_tile."""
    pixels, channels, reduction = shape
    m, n, depth, warps_m, warps_n, slices, stages = tile
    threads = 32 * warps_m * warps_n * slices
    blocks = math.ceil(pixels / m) * math.ceil(channels / n) * splits
    steps = math.ceil(math.ceil(reduction / depth) / splits)
    shared = max(stages * (m + n) * depth * 2, slices * m * (n + 8) * 4) + 1024 + n * 4
    registers = int(threads * (48 + m * n // threads * 1.3))
    resident = max(1, min(227 * 1024 // shared, 2048 // threads, 65536 // registers))
    chunks = (m + n) * depth / 8 / threads
    products = m * n * depth / (16 * 8 * 16) / (threads / 32)
    alone = (k["kBlock"] + steps * (k["kStep"] + k["kStepChunk"] * chunks + k["kStepProduct"] * products)
             + k["kItem"] * m * n / 8 / threads * (1 + 0.3 * slices) + (k["kCluster"] if splits > 1 else 0))
    rounds = math.ceil(blocks / (MULTIPROCESSORS * resident))
    work = steps * depth
    together = max(work * m * n / k["kProductsPerUs"], work * (m + n) * 2 / k["kBytesPerUs"]) + k["kOutputs"] * m * n
    turns = blocks / MULTIPROCESSORS
    if turns < 8:
        turns = math.ceil(turns)
    return k["kNode"] + max(alone * rounds, together * turns)


def judge(groups, k):
    error, count, losses = 0.0, 0, [0.0, 0.0, 0.0]
    for candidates in groups.values():
        ranked = sorted((predict(shape, tile, splits, k), us) for shape, tile, splits, us in candidates)
        best = min(us for _, us in ranked)
        for i, first in enumerate((1, 4, 8)):
            losses[i] += math.log(min(us for _, us in ranked[:first]) / best)
        for predicted, us in ranked:
            if us < 2 * best:
                error += math.log(predicted / us) ** 2
                count += 1
    losses = [loss / len(groups) for loss in losses]
    return 0.5 * error / count + losses[0] + 2 * losses[1] + 3 * losses[2], error / count, losses


def report(title, result):
    print(f"{title}: squared log error {result[1]:.4f}, loss of first 1 / 4 / 8: "
          + " / ".join(f"{math.exp(loss) - 1:.2%}" for loss in result[2]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("timings")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    known, groups = tiles(), {}
    for line in open(options.timings):
        row = json.loads(line)
        name, _, splits = row.get("tactic", "").partition(" /")
        if name not in known:
            continue
        size = (row["height"] + 2 * (row["kernel"] // 2) - row["kernel"]) // row["stride"] + 1
        shape = (row["batch"] * size * size, row["out"], row["kernel"] ** 2 * row["in"])
        groups.setdefault((row["model"], row["name"], row["batch"]), []).append(
            (shape, known[name], int(splits or 1), row["us"]))
    random.seed(1)
    best = constants()
    result = judge(groups, best)
    report("before", result)
    for _ in range(options.rounds):
        trial = dict(best)
        for name in random.sample(sorted(trial), 2):
            trial[name] *= math.exp(random.gauss(0, 0.3))
        outcome = judge(groups, trial)
        if outcome[0] < result[0]:
            best, result = trial, outcome
    report("after", result)
    for name, value in best.items():
        print(f"{name} = {value:.4g}")


if __name__ == "__main__":
    main()
