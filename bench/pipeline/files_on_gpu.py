#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files through `peregrine run` on a GPU, each kind beside what NVDEC alone decodes in the same call.

usage: files_on_gpu.py --programs FOLDER --clips FOLDER --model M --out FOLDER [--pose M] [--segment M] [--reid M]
                       [--crowd VIDEO] [--device cuda:0] [--only NAME,...] [--seconds 2]

--programs has `peregrine` and `bench_video_nvdec`; --clips comes from tools/video/make_clips. Clips are read many times
over (--loop), in strict mode, with ByteTrack and JSONL. Start-up is part of a run, a plan's build is not: a first,
short run of each row leaves it in the cache. Ceilings are taken before and after all runs; the mean counts. With
--crowd, also that video with --pose, --segment and --reid beside --model. Prints a table (Markdown), writes
FOLDER/files-on-gpu.json. Exit 0: every run succeeded and answered every frame.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

CASES = (  # name, clip, files at once, rounds of each
    ("one 1080p H.264 file", "1080p-h264.mp4", 1, 24),
    ("8 at once", "1080p-h264.mp4", 8, 24),
    ("32 at once", "1080p-h264.mp4", 32, 16),
    ("8 1080p HEVC files", "1080p-hevc.mp4", 8, 24),
    ("8 4K H.264 files", "2160p-h264.mp4", 8, 12),
    ("one 8K HEVC file", "4320p-hevc.mp4", 1, 40),
)
SUMMARY = re.compile(r"^([\d,]+) frames in ([\d.]+) s: ([\d.]+) fps; ([\d,]+) objects", re.M)
MEMORY = re.compile(r"([\d.]+ [GM]iB) of [\d.]+ GiB in use at most")
STEADY = re.compile(r"(\d+) allocations after warm-up")


class Bench:
    def __init__(self, options):
        self.options, self.failed = options, False
        self.work = pathlib.Path(options.out)
        self.work.mkdir(parents=True, exist_ok=True)
        self.ceilings = {}  # (clip, streams): frames a second, one a measurement

    def measure_ceilings(self, cases):
        for clip in sorted({case[1] for case in cases}):
            streams = sorted({case[2] for case in cases if case[1] == clip})
            rows = self.work / "nvdec.jsonl"
            rows.unlink(missing_ok=True)
            checked = ["--unchecked"] if (clip, streams[0]) in self.ceilings else []
            index = int(self.options.device.partition(":")[2] or 0)
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")  # device numbers count within it
            gpu = visible.split(",")[index] if visible else str(index)
            done = subprocess.run(
                [self.options.programs / "bench_video_nvdec", "--streams", ",".join(map(str, streams)), "--seconds",
                 str(self.options.seconds), "--json", rows, *checked, self.options.clips / clip],
                stdout=sys.stderr, env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu}, check=False)
            self.failed = self.failed or done.returncode != 0
            for row in map(json.loads, rows.read_text().splitlines() if rows.exists() else []):
                self.ceilings.setdefault((clip, row["streams"]), []).append(row["fps"])

    def run(self, sources, rounds, models, reid=None):
        """One `peregrine run`: its figures, or None with its last words said."""
        answers = self.work / "answers.jsonl"
        command = [self.options.programs / "peregrine", "run", *sources, "--loop", rounds, "--device",
                   self.options.device, "--track", "--jsonl", answers, "--progress", "none"]
        command += ["--strict-gpu"] if self.options.device != "cpu" else []
        for model in models:
            command += ["--model", model]
        command += ["--reid", reid] if reid else []
        start = time.monotonic()
        process = subprocess.Popen([str(each) for each in command], stderr=subprocess.PIPE, text=True)
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found = SUMMARY.search(said)
        lines = sum(1 for _ in answers.open()) if answers.exists() else 0
        answers.unlink(missing_ok=True)
        if process.returncode != 0 or not found or lines != int(found[1].replace(",", "")):
            print("\n".join(said.splitlines()[-5:]), f"({lines} answers, status {process.returncode})", file=sys.stderr)
            self.failed = True
            return None
        memory, steady = MEMORY.search(said), STEADY.search(said)
        return {"frames": lines, "fps": float(found[3]), "objects_a_frame": int(found[4].replace(",", "")) / lines,
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 2), "wall_seconds": round(time.monotonic() - start, 2),
                "memory": memory and memory[1], "allocations_after_warm_up": steady and int(steady[1])}

    def row(self, name, sources, rounds, models, reid=None):
        """A run behind a short one, which leaves the plans."""
        measured = self.run(sources, 1, models, reid) and self.run(sources, rounds, models, reid)
        return {"name": name, "streams": len(sources), **(measured or {})}

    def copies(self, clip, count):
        """The file under so many names: each is a source of its own."""
        links = [self.work / f"copy{i}-{clip}" for i in range(count)]
        for link in links:
            link.unlink(missing_ok=True)
            link.symlink_to((self.options.clips / clip).resolve())
        return links

    def file_rows(self, cases):
        for name, clip, count, rounds in cases:
            links = self.copies(clip, count)
            yield {**self.row(name, links, rounds, [self.options.model]), "clip": clip}
            for link in links:
                link.unlink()

    def crowd_rows(self):
        options = self.options
        several = [model for model in (options.model, options.pose, options.segment) if model]
        kinds = [("detect", [options.model], None), ("detect + ReID", [options.model], options.reid)]
        if len(several) > 1:
            kinds.append((f"{len(several)} models", several, None))
            kinds.append((f"{len(several)} models + ReID", several, options.reid))
        for name, models, reid in kinds:
            if name.endswith("ReID") and not reid:
                continue
            yield self.row(f"{name}, {options.crowd.name}", [options.crowd], 8, models, reid)

    def table(self):
        options = self.options
        wanted = options.only.split(",") if options.only else [case[0] for case in CASES]
        cases = [case for case in CASES if case[0] in wanted]
        gpu = options.device != "cpu"
        if gpu:
            self.measure_ceilings(cases)
        rows = list(self.file_rows(cases))
        if options.crowd:
            rows += self.crowd_rows()
        if gpu:
            self.measure_ceilings(cases)
        for row in rows:
            measured = self.ceilings.get((row.get("clip"), row["streams"]))
            if measured:
                row["ceiling"] = round(statistics.fmean(measured), 1)
        return rows


def print_table(rows):
    print("| work | frames | objects a frame | frames a second | ceiling | ratio | frames a second a core | GPU memory in all |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        if "fps" not in row:
            print(f"| {row['name']} | failed | | | | | | |")
            continue
        ceiling = row.get("ceiling")
        print("| %s | %d | %.1f | %.1f | %s | %s | %.0f | %s |" % (
            row["name"], row["frames"], row["objects_a_frame"], row["fps"], ceiling or "",
            "%.2f" % (row["fps"] / ceiling) if ceiling else "", row["frames"] / max(row["cpu_seconds"], 0.01),
            row["memory"] or ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--programs", "--clips", "--model", "--out"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    for name in ("--pose", "--segment", "--reid", "--crowd"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--device", default="cuda:0", help="cpu: to try this program, without ceilings")
    parser.add_argument("--only", default="", help="names of the table's rows")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement of a ceiling")
    bench = Bench(parser.parse_args())
    rows = bench.table()
    report = {"device": bench.options.device, "rows": rows}
    (bench.work / "files-on-gpu.json").write_text(json.dumps(report, indent=1) + "\n")
    print_table(rows)
    return 1 if bench.failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
