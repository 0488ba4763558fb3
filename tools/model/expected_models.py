#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/model/data/models.json: what ONNX Runtime says of whole models.

For every model: a digest of the shapes of all convolutions, products, poolings, normalizations and
resizes at batches 1 and 3, and, for the small ones, sampled output values of a fixed input.

usage: expected_models.py OUT.json SHARED_MODELS_FOLDER RESTORED_FOLDER   (needs onnx, onnxruntime)
"""
import gc
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

OPS = {"Conv", "ConvTranspose", "MatMul", "Gemm", "Softmax", "LayerNormalization", "MaxPool",
       "AveragePool", "GlobalAveragePool", "Resize"}
SAMPLES = 64


def pattern(shape):
    """The input of the test: a hash of the index, in [0, 1)."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    return ((i * np.uint64(2654435761)) % np.uint64(2**32) / 2.0**32).astype(np.float32).reshape(shape)


def session(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)


def input_of(model, batch):
    value = model.graph.input[0]
    shape = [batch] + [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
    return {value.name: pattern(shape)}


def computed(model):
    """Outputs of OPS that depend on the input's contents: the rest Peregrine folds into constants."""
    live = {i.name for i in model.graph.input}
    for node in model.graph.node:
        if node.op_type not in ("Shape", "Size") and live & set(node.input):
            live |= set(node.output)
    return [n.output[0] for n in model.graph.node if n.op_type in OPS and n.output[0] in live]


def shape_digest(path, batch):
    model = onnx.load(path)
    outputs = computed(model)
    present = {o.name for o in model.graph.output}
    for name in outputs:
        if name not in present:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    values = session(model).run(outputs, input_of(model, batch))
    lines = sorted(f"{name} {list(v.shape)}\n" for name, v in zip(outputs, values))
    return {"count": len(lines), "crc32": zlib.crc32("".join(lines).encode())}


def sampled_outputs(path, batch):
    model = onnx.load(path)
    result = []
    for value in session(model).run(None, input_of(model, batch)):
        flat = value.reshape(-1)
        at = [int(i) for i in np.linspace(0, flat.size - 1, SAMPLES).astype(np.int64)]
        result.append({"shape": list(value.shape), "norm": float(np.linalg.norm(flat.astype(np.float64))),
                       "at": at, "values": [float(f"{flat[i]:.7g}") for i in at]})
    return result


def main():
    out, shared, restored = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    files = [shared / "osnet_x0_25.onnx", *sorted((shared / "coco").glob("*.onnx"))]
    files += [(g, restored / g.name.replace(".graph", "")) for g in sorted((shared / "graphs").glob("*.onnx"))]
    table = {}
    for entry in files:
        named, path = entry if isinstance(entry, tuple) else (entry, entry)
        key = str(named.relative_to(shared))
        table[key] = {"shapes": {str(b): shape_digest(path, b) for b in (1, 3)}}
        if named.name in ("osnet_x0_25.onnx", "yolov8n-seg-320.onnx"):
            table[key]["outputs"] = sampled_outputs(path, 1)
        print(key, flush=True)
        gc.collect()
    Path(out).write_text(json.dumps(table, separators=(",", ":")).replace('},"', '},\n"') + "\n")


main()
