#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the engine tests' models and, with ONNX Runtime, what they answer.

Run in this folder: python3 make_engine_data.py [FOLDER OF SHARED MODELS]
Writes tiny.onnx, open_size.onnx, unknown_op.onnx, no_batch.onnx, data_dependent.onnx and
expected.json. The shared models (yolo11n, osnet) only leave sampled outputs in expected.json.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h

HERE = pathlib.Path(__file__).parent


def picture_values(shape):
    """The same formula as in the tests: no random generator has to agree between languages."""
    index = np.arange(np.prod(shape), dtype=np.int64)
    return ((index * 7919 % 1009) / 1009).astype(np.float32).reshape(shape)


def save(name, nodes, inputs, outputs, initializers=(), imports=(("", 17),)):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = h.make_model(graph, ir_version=8, opset_imports=[h.make_opsetid(*i) for i in imports])
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def tiny(name, height, width):
    rng = np.random.default_rng(7)
    stem = h.make_tensor("stem_w", T.FLOAT, [4, 3, 3, 3], rng.normal(0, 0.3, 108))
    head = h.make_tensor("head_w", T.FLOAT, [5, 4, 1, 1], rng.normal(0, 0.5, 20))
    bias = h.make_tensor("head_b", T.FLOAT, [5], rng.normal(0, 0.5, 5))
    save(name, [
        h.make_node("Conv", ["images", "stem_w"], ["stem"], pads=[1, 1, 1, 1]),
        h.make_node("Sigmoid", ["stem"], ["gate"]),
        h.make_node("Mul", ["stem", "gate"], ["silu"]),
        h.make_node("MaxPool", ["silu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        h.make_node("Conv", ["pool", "head_w", "head_b"], ["map"]),
        h.make_node("ReduceMean", ["map"], ["mean"], axes=[2, 3], keepdims=0),
        h.make_node("Cast", ["mean"], ["mean_f16"], to=T.FLOAT16),
    ], [h.make_tensor_value_info("images", T.FLOAT, ["batch", 3, height, width])],
        [h.make_tensor_value_info("map", T.FLOAT, ["batch", 5, None, None]),
         h.make_tensor_value_info("mean_f16", T.FLOAT16, ["batch", 5])], [stem, head, bias])


def samples(path, shape, count=24):
    """Outputs of a batch of 3 pictures: whole shape and values at evenly spread places."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = picture_values([3, *shape])
    outputs = session.run(None, {session.get_inputs()[0].name: values})
    answer = []
    for spec, output in zip(session.get_outputs(), outputs):
        flat = output.astype(np.float32).reshape(-1)
        places = np.linspace(0, flat.size - 1, min(count, flat.size)).astype(int)
        answer.append({"name": spec.name, "shape": list(output.shape), "places": places.tolist(),
                       "values": [float(f"{flat[i]:.7g}") for i in places]})
    return {"input": shape, "outputs": answer}


def main():
    tiny("tiny", 16, 16)
    tiny("open_size", "height", "width")
    x = h.make_tensor_value_info("x", T.FLOAT, ["batch", 3])
    y = h.make_tensor_value_info("y", T.FLOAT, ["batch", 3])
    save("unknown_op", [h.make_node("Frobnicate", ["x"], ["y"], name="the_node", domain="acme")],
         [x], [y], imports=(("", 17), ("acme", 1)))
    save("no_batch", [h.make_node("Neg", ["x"], ["y"])], [h.make_tensor_value_info("x", T.FLOAT, [])],
         [h.make_tensor_value_info("y", T.FLOAT, [])])
    save("data_dependent", [h.make_node("NonZero", ["x"], ["y"])], [x],
         [h.make_tensor_value_info("y", T.INT64, [2, None])])
    expected = {"tiny": samples(HERE / "tiny.onnx", [3, 16, 16]),
                "open_size": samples(HERE / "open_size.onnx", [3, 10, 14])}
    if len(sys.argv) > 1:
        shared = pathlib.Path(sys.argv[1])
        expected["coco/yolo11n.onnx"] = samples(shared / "coco/yolo11n.onnx", [3, 640, 640])
        expected["osnet_x0_25.onnx"] = samples(shared / "osnet_x0_25.onnx", [3, 256, 128])
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in expected.items())
    (HERE / "expected.json").write_text("{\n" + lines + "\n}\n")


main()
