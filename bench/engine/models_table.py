#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times whole models on the GPU, ours beside PyTorch in the same run, and writes a JSON table and a chart.

usage: models_table.py --bench bench_engine_models --models FOLDER --out FOLDER [--peer none|graph|compile]
                       [--only NAME,...] [--batch 1,8,32]
FOLDER of models: *.onnx; a *.graph.onnx is filled by restore.py of the same folder first. References come from
model_reference.py (onnxruntime, FP32); a model whose answer is wrong is not timed. Peers: torch_peer.py replays the
same graph in FP16, channels_last, as a CUDA graph or under torch.compile; skipped where torch is missing.
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TRANSFORMERS = ("clip", "depth", "detr", "yolo12")


def run(command, timeout=300):
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, "took more than %d s" % timeout
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
    high = max(max(row["ms"], row.get("peer_ms") or 0) for row in shown) * 1.5
    left, width, step = 230, 620, 34
    place = lambda ms: left + width * (math.log(ms / low) / math.log(high / low))
    parts = []
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        if low <= tick <= high:
            parts.append('<line x1="%.0f" y1="30" x2="%.0f" y2="%d" stroke="#ddd"/>' % (place(tick), place(tick), 40 + step * len(shown)))
            parts.append('<text x="%.0f" y="22" text-anchor="middle">%g ms</text>' % (place(tick), tick))
    for i, row in enumerate(shown):
        y = 40 + i * step
        parts.append('<text x="%d" y="%d" text-anchor="end">%s, batch %d</text>' % (left - 8, y + 18, row["model"], row["batch"]))
        for k, (key, colour) in enumerate((("ms", "#1b7f4b"), ("peer_ms", "#b9b9b9"))):
            if row.get(key):
                parts.append('<rect x="%d" y="%d" width="%.1f" height="12" fill="%s"/>' % (left, y + 4 + 13 * k, place(row[key]) - left, colour))
                parts.append('<text x="%.1f" y="%d" font-size="10">%.3g</text>' % (place(row[key]) + 4, y + 14 + 13 * k, row[key]))
    height = 60 + step * len(shown)
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="920" height="%d" font-family="sans-serif" font-size="12">'
                    '<rect width="100%%" height="100%%" fill="white"/>%s<text x="%d" y="%d">green: Peregrine, grey: PyTorch '
                    '(FP16, channels_last, CUDA graph); median of one call, FP16, log scale</text></svg>\n'
                    % (height, "".join(parts), left - 220, height - 8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--peer", choices=("none", "graph", "compile"), default="graph")
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
        lines = work / (name + ".json")
        lines.unlink(missing_ok=True)
        text, problem = run([arguments.bench, model, "--reference", reference, "--batch", arguments.batch,
                             "--tolerance", tolerance, "--json", lines])
        if problem:
            rows.append({"model": name, "problem": problem})
            print(name, "FAILED:", problem, flush=True)
            continue
        peers = {}
        if arguments.peer != "none":
            options = ["--compile"] if arguments.peer == "compile" else []
            text, problem = run([sys.executable, HERE / "torch_peer.py", model, "--batch", arguments.batch, *options], 240)
            peers = {row["batch"]: row for row in json_lines(text or "")}
            if problem:
                print(name, "peer:", problem, flush=True)
        for row in json_lines(lines.read_text()):
            peer = peers.get(row["batch"])
            row.update(model=name, peer=arguments.peer if peer else None, peer_ms=peer and peer["median_ms"])
            rows.append(row)
            print("%-24s batch %2d  %8.3f ms   peer %s" % (name, row["batch"], row["ms"], row["peer_ms"]), flush=True)
    (arguments.out / "engine-models.json").write_text(json.dumps({"machine": (machine or "").strip(), "rows": rows}, indent=1) + "\n")
    chart(rows, arguments.out / "engine-models.svg")
    return 1 if any("problem" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
