#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times whole models on the GPU, ours beside PyTorch in the same run, and writes a JSON table and a chart.

usage: models_table.py --bench bench_engine_models --models FOLDER --out FOLDER [--precision fp16|fp32]
                       [--peer none|graph|compile|graph,compile] [--peer-seconds 240] [--only NAME,...] [--batch 1,8,32]
                       [--name engine-models] [--check-only] [--half-pixels]
FOLDER of models: *.onnx; a *.graph.onnx is filled by restore.py of the same folder first. References come from
model_reference.py (onnxruntime, FP32); a model whose answer is wrong is not timed. Peers: torch_peer.py replays the
same graph in FP16, channels_last, as a CUDA graph and under torch.compile (reduce-overhead), each for at most so many
seconds a model; skipped where torch is missing. FP32 plans are held to 1e-4 and have no peer.
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TRANSFORMERS = ("clip", "depth", "detr", "yolo12")


def run(command, timeout=300):
    """What it printed, and what went wrong; a peer that took too long still has said something."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        said = late.stdout or ""
        return said if isinstance(said, str) else said.decode(), "took more than %d s" % timeout
    return (done.stdout, None) if done.returncode == 0 else (None, (done.stderr or done.stdout).strip()[-300:])


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def prepare(graph, work):
    name = graph.name
    model, reference = work / name.replace(".graph.onnx", ".restored.onnx"), work / (name[:-5] + ".ref")
    if graph.name.endswith(".graph.onnx"):
        if not model.exists():
            run([sys.executable, graph.parent / "restore.py", graph, model])
    else:
        model = graph
    normalize = ["--normalize"] if name.startswith(("clip", "depth", "detr")) else []
    if not reference.exists():
        run([sys.executable, HERE / "model_reference.py", model, reference, *normalize])
    return model, reference


def chart(rows, path):
    """Horizontal bars: milliseconds of ours beside the peer's, one group a model and batch; log scale."""
    import math
    shown = [row for row in rows if "ms" in row]
    low = min(row["ms"] for row in shown) / 1.5
    high = max(max(row["ms"], row.get("peer_ms") or 0, row.get("compile_ms") or 0) for row in shown) * 1.5
    left, width, step = 230, 620, 38
    place = lambda ms: left + width * (math.log(ms / low) / math.log(high / low))
    parts = []
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        if low <= tick <= high:
            parts.append('<line x1="%.0f" y1="30" x2="%.0f" y2="%d" stroke="#ddd"/>' % (place(tick), place(tick), 40 + step * len(shown)))
            parts.append('<text x="%.0f" y="22" text-anchor="middle">%g ms</text>' % (place(tick), tick))
    for i, row in enumerate(shown):
        y = 40 + i * step
        parts.append('<text x="%d" y="%d" text-anchor="end">%s, batch %d</text>' % (left - 8, y + 18, row["model"], row["batch"]))
        for k, (key, colour) in enumerate((("ms", "#1b7f4b"), ("peer_ms", "#b9b9b9"), ("compile_ms", "#8aa8d6"))):
            if row.get(key):
                parts.append('<rect x="%d" y="%d" width="%.1f" height="9" fill="%s"/>' % (left, y + 4 + 10 * k, place(row[key]) - left, colour))
                parts.append('<text x="%.1f" y="%d" font-size="9">%.3g</text>' % (place(row[key]) + 4, y + 12 + 10 * k, row[key]))
    height = 60 + step * len(shown)
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="920" height="%d" font-family="sans-serif" font-size="12">'
                    '<rect width="100%%" height="100%%" fill="white"/>%s<text x="%d" y="%d">green: Peregrine, grey: PyTorch '
                    '(FP16, channels_last, CUDA graph), blue: torch.compile; median of one call, FP16, log scale</text></svg>\n'
                    % (height, "".join(parts), left - 220, height - 8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16")
    parser.add_argument("--peer", default="graph")
    parser.add_argument("--peer-seconds", type=int, default=240)
    parser.add_argument("--name", default="engine-models")
    parser.add_argument("--check-only", action="store_true", help="errors only, no times and no peers")
    parser.add_argument("--half-pixels", action="store_true", help="pictures brought as [batch, height, width, 4] of FP16")
    parser.add_argument("--only", default="")
    parser.add_argument("--batch", default="1,8,32")
    arguments = parser.parse_args()
    work = arguments.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in arguments.only.split(",") if name]
    machine, _ = run(["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw", "--format=csv,noheader"])
    rows = []
    for graph in sorted(arguments.models.glob("*.onnx")):
        name = graph.name.replace(".graph.onnx", "").replace(".onnx", ", trained" if graph.with_suffix("").with_suffix(".graph.onnx").exists() else "")
        if wanted and name not in wanted:
            continue
        model, reference = prepare(graph, work)
        tolerance = "2e-2" if name.startswith(TRANSFORMERS) else "1e-2"
        flags = ["--check-only"] * arguments.check_only + ["--half-pixels"] * arguments.half_pixels
        if arguments.precision == "fp32":
            tolerance, flags = "1e-4", flags + ["--fp32"]
        lines = work / (name + ".json")
        lines.unlink(missing_ok=True)
        text, problem = run([arguments.bench, model, "--reference", reference, "--batch", arguments.batch,
                             "--tolerance", tolerance, "--json", lines, *flags])
        if problem:
            rows.append({"model": name, "problem": problem})
            print(name, "FAILED:", problem, flush=True)
            continue
        peers = {"graph": {}, "compile": {}}
        for peer in arguments.peer.split(",") if arguments.precision == "fp16" and not arguments.check_only else []:
            if peer not in peers:
                continue
            options = ["--compile"] if peer == "compile" else []
            text, problem = run([sys.executable, HERE / "torch_peer.py", model, "--batch", arguments.batch, *options],
                                arguments.peer_seconds)
            peers[peer] = {row["batch"]: row["median_ms"] for row in json_lines(text or "")}
            if problem:
                print(name, "peer", peer + ":", problem, flush=True)
        for row in json_lines(lines.read_text()):
            row.update(model=name, peer_ms=peers["graph"].get(row["batch"]), compile_ms=peers["compile"].get(row["batch"]))
            rows.append(row)
            print("%-24s batch %2d  %8.3f ms   PyTorch %s, compiled %s  error %s" % (
                name, row["batch"], row["ms"], row["peer_ms"], row["compile_ms"],
                " ".join("%.0e" % e for e in row["relative_l2"])), flush=True)
    (arguments.out / (arguments.name + ".json")).write_text(json.dumps({"machine": (machine or "").strip(), "rows": rows}, indent=1) + "\n")
    if not arguments.check_only and any("ms" in row for row in rows):
        chart(rows, arguments.out / (arguments.name + ".svg"))
    return 1 if any("problem" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
