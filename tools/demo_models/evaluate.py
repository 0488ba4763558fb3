#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the demo models on clips that no training has seen, with `peregrine` alone.

usage: evaluate.py --peregrine build/release/bin/peregrine [--seeds 970001-970010] [--set tracking.KEY=VALUE]

Draws a clip for each seed, runs detect (with ByteTrack and ReID), pose and segment on it, and prints
`peregrine eval`'s figures for each clip and for all of them pooled: precision and IDF1 are computed
over all frames as one set, rank-1 is asked within each clip and averaged over queries. What was run
already is taken from the cache folder, by the contents of the model.
"""
import argparse
import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

# What a run of each model gives: name, and where it stands in the report of `peregrine eval --json`.
FIGURES = {
    "detect": [("mAP50", ("boxes", "map50")), ("mAP50-95", ("boxes", "map")), ("IDF1", ("tracking", "idf1")),
               ("rank-1", ("reid", "rank1"))],
    "pose": [("keypoints", ("keypoints", "map50"))],
    "segment": [("masks", ("masks", "map50"))],
}
PEOPLE = {"pose"}  # models that know people only


def digest(*paths):
    sha = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            sha.update(file.read())
    return sha.hexdigest()[:12]


class Measure:
    def __init__(self, args):
        self.args = args

    def call(self, *arguments):
        answer = subprocess.run([self.args.peregrine, *arguments], capture_output=True, text=True)
        if answer.returncode != 0:
            raise SystemExit(f"peregrine {' '.join(arguments)} ended with status {answer.returncode}:\n{answer.stderr}")
        return answer.stdout

    def clip(self, seed):
        folder = os.path.join(self.args.cache, f"{seed}-{self.args.size}-{self.args.fps}-{self.args.seconds}")
        os.makedirs(folder, exist_ok=True)
        truth = os.path.join(folder, "truth.jsonl")
        if not os.path.exists(truth):
            self.call("synth", "--seed", str(seed), "--size", self.args.size, "--fps", str(self.args.fps), "--seconds",
                      str(self.args.seconds), "-o", os.path.join(folder, "clip.mp4"), "--truth", truth)
        return folder

    def result(self, folder, task):
        model = os.path.join(self.args.models, f"demo-{task}.onnx")
        used, more = [model], []
        if task == "detect":
            used.append(os.path.join(self.args.models, "demo-reid.onnx"))
            more = ["--track", "--embeddings", "--reid", used[1]]
            more += [word for setting in self.args.set for word in ("--set", setting)]
        settings = hashlib.sha256(" ".join(self.args.set).encode()).hexdigest()[:6] if self.args.set and more else "default"
        path = os.path.join(folder, f"{task}-{digest(*used)}-{self.args.device.replace(':', '')}-{settings}.jsonl")
        if not os.path.exists(path):
            self.call("run", os.path.join(folder, "clip.mp4"), "--model", model, "--device", self.args.device, "--conf", "0.01",
                      "--jsonl", path, "--progress", "none", *more)
        return path

    def report(self, task, result, truth):
        classes = ["--classes", "0"] if task in PEOPLE else []
        return json.loads(self.call("eval", result, truth, "--json", "-", *classes))


def pooled(files, path):
    """The files as streams 0, 1, ... of one."""
    with open(path, "w") as out:
        for stream, name in enumerate(files):
            for line in open(name):
                record = json.loads(line)
                if "frame" in record:
                    record["stream"] = stream
                    for found in record["detections"]:
                        found.pop("embedding", None)
                    out.write(json.dumps(record) + "\n")
    return path


def figure(report, place):
    for key in place:
        report = report.get(key) if report else None
    return report


def seeds_of(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peregrine", required=True)
    parser.add_argument("--models", default=os.path.join(os.path.dirname(__file__), "../../models/demo"))
    parser.add_argument("--tasks", default="detect,pose,segment")
    parser.add_argument("--seeds", default="970001-970010")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], help="setting of the tracked run, such as tracking.lost_seconds=2")
    parser.add_argument("--cache", default="/tmp/peregrine-demo-models")
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at a time")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--against", help="figures of another run, such as of --device cuda: end with status 1 where "
                                          "a pooled precision differs from it by 0.002 or more")
    args = parser.parse_args()
    measure = Measure(args)
    seeds = list(seeds_of(args.seeds))
    folders = [measure.clip(seed) for seed in seeds]
    truths = [os.path.join(f, "truth.jsonl") for f in folders]
    table = {str(seed): {} for seed in seeds} | {"pooled": {}, "worst": {}}
    for task in args.tasks.split(","):
        with ThreadPoolExecutor(args.side_by_side) as pool:
            results = list(pool.map(lambda f: measure.result(f, task), folders))
        reports = [measure.report(task, r, t) for r, t in zip(results, truths)]
        together = measure.report(task, pooled(results, os.path.join(args.cache, "pooled.jsonl")),
                                  pooled(truths, os.path.join(args.cache, "pooled-truth.jsonl")))
        for name, place in FIGURES[task]:
            values = [figure(r, place) for r in reports]
            for seed, value in zip(seeds, values):
                table[str(seed)][name] = value
            if name == "rank-1":
                queries = [r["reid"]["queries"] for r in reports]
                table["pooled"][name] = sum(v * q for v, q in zip(values, queries)) / sum(queries)
            else:
                table["pooled"][name] = figure(together, place)
            table["worst"][name] = seeds[values.index(min(values))]
        if task == "detect":
            table["pooled"]["classes"] = together["boxes"]["classes"]
    names = [n for task in args.tasks.split(",") for n, _ in FIGURES[task]]
    print(f"{'seed':10}" + "".join(f"{n:>10}" for n in names))
    for row in [*map(str, seeds), "pooled"]:
        print(f"{row:10}" + "".join(f"{table[row][n]:10.4f}" for n in names))
    print(f"{'worst':10}" + "".join(f"{table['worst'][n]:>10}" for n in names))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(table, file, indent=1)
    if args.against:
        with open(args.against) as file:
            other = json.load(file)["pooled"]
        apart = {n: abs(table["pooled"][n] - other[n]) for n in names if n not in ("IDF1", "rank-1")}
        print(f"{'apart':10}" + "".join(f"{apart[n]:10.4f}" if n in apart else " " * 10 for n in names))
        raise SystemExit(max(apart.values()) >= 0.002)


if __name__ == "__main__":
    main()
