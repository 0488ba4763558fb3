# SPDX-License-Identifier: Apache-2.0
"""Writes small ONNX files with the standard library alone, for tests on machines without the onnx package.

Field numbers are those of onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto, AttributeProto).
"""
import struct

FLOAT, INT64 = 1, 7


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def integer(field, value):
    return _varint(field << 3) + _varint(value)


def real(field, value):
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def blob(field, data):
    data = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(name, dims, values, dtype=FLOAT):
    raw = struct.pack(f"<{len(values)}{'f' if dtype == FLOAT else 'q'}", *values)
    return (b"".join(integer(1, d) for d in dims) + integer(2, dtype) + blob(8, name) + blob(9, raw))


def external_tensor(name, dims, location):
    entry = blob(1, "location") + blob(2, location)
    return (b"".join(integer(1, d) for d in dims) + integer(2, FLOAT) + blob(8, name) + blob(13, entry) + integer(14, 1))


def attribute(name, value):
    if isinstance(value, float):
        return blob(1, name) + real(2, value) + integer(20, 1)
    if isinstance(value, int):
        return blob(1, name) + integer(3, value) + integer(20, 2)
    if isinstance(value, str):
        return blob(1, name) + blob(4, value) + integer(20, 3)
    return blob(1, name) + b"".join(integer(8, v) for v in value) + integer(20, 7)


def node(op, inputs, outputs, name=None, **attributes):
    return (b"".join(blob(1, i) for i in inputs) + b"".join(blob(2, o) for o in outputs) +
            blob(3, name or f"/{op}") + blob(4, op) +
            b"".join(blob(5, attribute(k, v)) for k, v in attributes.items()))


def value(name, dims, dtype=FLOAT):
    """A graph input or output; a str dimension is symbolic."""
    shape = b"".join(blob(1, blob(2, d) if isinstance(d, str) else integer(1, d)) for d in dims)
    return blob(1, name) + blob(2, blob(1, integer(1, dtype) + blob(2, shape)))


def model(nodes, inputs, outputs, tensors=(), metadata=(), opset=17):
    graph = (b"".join(blob(1, n) for n in nodes) + blob(2, "graph") + b"".join(blob(5, t) for t in tensors) +
             b"".join(blob(11, i) for i in inputs) + b"".join(blob(12, o) for o in outputs))
    return (integer(1, 8) + blob(7, graph) + blob(8, blob(1, "") + integer(2, opset)) +
            b"".join(blob(14, blob(1, k) + blob(2, v)) for k, v in dict(metadata).items()))


def red_square_detector(size=64, cell=8, names="{0: 'red', 1: 'other'}"):
    """A detector with YOLOv8's output layout [batch, 4 + 2, cells] that finds red areas.

    Each cell proposes a box of its own size; its score for class 0 is (mean red - mean blue) of the cell.
    """
    grid = size // cell
    cells = grid * grid
    area = cell * cell
    weights = [0.0] * (2 * 3 * area)
    for k in range(area):
        weights[0 * area + k] = 1.0 / area  # class 0: + red
        weights[2 * area + k] = -1.0 / area  # class 0: - blue
    boxes = ([(i % grid + 0.5) * cell for i in range(cells)] + [(i // grid + 0.5) * cell for i in range(cells)] +
             [float(cell)] * (2 * cells))
    nodes = [
        node("Conv", ["images", "weights"], ["planes"], kernel_shape=[cell, cell], strides=[cell, cell]),
        node("Relu", ["planes"], ["scores_grid"]),
        node("Reshape", ["scores_grid", "scores_shape"], ["scores"]),
        node("Slice", ["scores", "zero", "one", "axis"], ["first"]),
        node("Mul", ["first", "nothing"], ["no_boxes"]),
        node("Add", ["no_boxes", "boxes"], ["all_boxes"]),
        node("Concat", ["all_boxes", "scores"], ["output0"], axis=1),
    ]
    tensors = [
        tensor("weights", [2, 3, cell, cell], weights),
        tensor("scores_shape", [3], [0, 2, cells], INT64),
        tensor("zero", [1], [0], INT64), tensor("one", [1], [1], INT64), tensor("axis", [1], [1], INT64),
        tensor("nothing", [1], [0.0]),
        tensor("boxes", [1, 4, cells], boxes),
    ]
    metadata = {"task": "detect", "stride": "8", "names": names} if names else {}
    return model(nodes, [value("images", ["batch", 3, size, size])], [value("output0", ["batch", 6, cells])],
                 tensors, metadata)
