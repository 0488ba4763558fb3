#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peer: runs an ONNX graph op by op through PyTorch, FP16, channels_last, in a CUDA graph or under torch.compile.

usage: torch_peer.py MODEL.onnx [--batch 1,8,32] [--compile] [--dtype fp16|fp32] [--device cuda] [--check]
Prints one JSON object a batch: median and p95 of graph replays in ms, and, with --check, the relative L2 error of
each output against onnxruntime in FP32. Integer (shape) values live on the CPU as NumPy arrays and are folded
while tracing, so that nothing but tensor work is timed.
"""
import argparse
import json
import statistics
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def is_shape(value):
    return isinstance(value, np.ndarray)


HOST = {}  # of constants on the device that say shapes: id -> (the tensor, so that its id stays its own, array)


def on_host(value):
    if not torch.is_tensor(value):
        return np.asarray(value)
    if id(value) not in HOST:
        HOST[id(value)] = (value, value.float().cpu().numpy())
    return HOST[id(value)][1]


def as_ints(value):
    return [int(v) for v in on_host(value).reshape(-1)]


class Executor(torch.nn.Module):
    """Holds the weights as parameters and replays the nodes in order."""

    def __init__(self, path, dtype, device):
        super().__init__()
        model = onnx.load(path)
        self.dtype, self.device = dtype, torch.device(device)
        self.folded, self.uploaded, self.keep = {}, {}, False
        self.graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.inputs = [i.name for i in self.graph.input if i.name not in {t.name for t in self.graph.initializer}]
        self.outputs = [o.name for o in self.graph.output]
        self.nodes = [(n.op_type, list(n.input), list(n.output), attributes(n)) for n in self.graph.node]
        self.constants = {t.name: self.constant(numpy_helper.to_array(t)) for t in self.graph.initializer}

    def constant(self, array):
        if array.dtype.kind != "f":
            return array.copy()
        tensor = torch.from_numpy(array.astype(np.float32)).to(self.device, self.dtype)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

    def tensor(self, value):
        if not is_shape(value):
            return value
        if id(value) not in self.uploaded:
            self.uploaded[id(value)] = (value, torch.as_tensor(value, device=self.device))
        return self.uploaded[id(value)][1]

    def positions(self, index, size):
        """Those of a Gather, counted from the front, on the device: uploaded once, never while a graph is captured."""
        key = (id(index), size)
        if key not in self.uploaded:
            self.uploaded[key] = (index, torch.as_tensor(index.reshape(-1) % size, device=self.device))
        return self.uploaded[key][1]

    def fold(self, *inputs):
        """Runs once and keeps what does not depend on the inputs' contents: shapes and constants. For one batch."""
        self.folded, self.uploaded = {}, {}
        self.keep = True
        self(*inputs)
        self.keep = False

    def forward(self, *inputs):
        values = dict(self.constants)
        values.update(zip(self.inputs, inputs))
        values.update(self.folded)
        varying = set(self.inputs)
        for op, names, outputs, attrs in self.nodes:
            if all(n in self.folded for n in outputs if n):
                continue
            arguments = [values[n] if n else None for n in names]
            results = getattr(self, "op_" + op)(attrs, *arguments)
            results = results if isinstance(results, tuple) else (results,)
            results = [np.asarray(r) if isinstance(r, np.generic) else r for r in results]  # NumPy's scalars
            values.update((n, r) for n, r in zip(outputs, results) if n)
            if self.keep and op != "Shape" and varying.intersection(names):
                varying.update(outputs)
            elif self.keep:
                self.folded.update((n, r) for n, r in zip(outputs, results) if n)
        return tuple(self.tensor(values[o]) for o in self.outputs)

    # --- convolution and friends ---

    @staticmethod
    def padding(x, attrs, rank=2, value=0.0):
        pads = attrs.get("pads", [0] * 2 * rank)
        if pads[:rank] == pads[rank:]:
            return x, tuple(pads[:rank])
        flat = [p for d in reversed(range(rank)) for p in (pads[d], pads[d + rank])]
        return F.pad(x, flat, value=value), (0,) * rank

    def op_Conv(self, attrs, x, w, b=None):
        x, pads = self.padding(x, attrs)
        return F.conv2d(x, w, b, attrs.get("strides", [1, 1]), pads, attrs.get("dilations", [1, 1]),
                        attrs.get("group", 1))

    def op_ConvTranspose(self, attrs, x, w, b=None):
        return F.conv_transpose2d(x, w, b, attrs.get("strides", [1, 1]), attrs.get("pads", [0] * 4)[:2],
                                  attrs.get("output_padding", [0, 0]), attrs.get("group", 1),
                                  attrs.get("dilations", [1, 1]))

    def op_Gemm(self, attrs, a, b, c=None):
        a = a.t() if attrs.get("transA") else a
        b = b.t() if attrs.get("transB") else b
        y = attrs.get("alpha", 1.0) * (a @ b)
        return y if c is None else y + attrs.get("beta", 1.0) * c

    def op_MatMul(self, attrs, a, b):
        return torch.matmul(a, b)

    def op_BatchNormalization(self, attrs, x, scale, bias, mean, var):
        return F.batch_norm(x, mean, var, scale, bias, False, 0.0, attrs.get("epsilon", 1e-5))

    def op_LayerNormalization(self, attrs, x, scale, bias=None):
        axis = attrs.get("axis", -1) % x.dim()
        return F.layer_norm(x, x.shape[axis:], scale, bias, attrs.get("epsilon", 1e-5))

    def op_MaxPool(self, attrs, x):
        x, pads = self.padding(x, attrs, value=float("-inf"))
        return F.max_pool2d(x, attrs["kernel_shape"], attrs.get("strides", [1, 1]), pads,
                            attrs.get("dilations", [1, 1]), bool(attrs.get("ceil_mode", 0)))

    def op_AveragePool(self, attrs, x):
        return F.avg_pool2d(x, attrs["kernel_shape"], attrs.get("strides", [1, 1]), attrs.get("pads", [0] * 4)[:2],
                            bool(attrs.get("ceil_mode", 0)), bool(attrs.get("count_include_pad", 0)))

    def op_GlobalAveragePool(self, attrs, x):
        return x.mean((2, 3), keepdim=True)

    def op_Resize(self, attrs, x, roi=None, scales=None, sizes=None):
        mode = {b"nearest": "nearest", b"linear": "bilinear", b"cubic": "bicubic"}[attrs.get("mode", b"nearest")]
        if sizes is not None and len(np.asarray(sizes)):
            size = as_ints(sizes)[2:]
        else:
            factors = on_host(scales)[2:]
            size = [int(s * float(f)) for s, f in zip(x.shape[2:], factors)]
        corners = attrs.get("coordinate_transformation_mode", b"half_pixel") == b"align_corners"
        return F.interpolate(x, size, mode=mode, **({} if mode == "nearest" else {"align_corners": corners}))

    # --- elementwise ---

    def binary(self, torch_op, numpy_op, a, b):
        if is_shape(a) and is_shape(b):
            return np.asarray(numpy_op(a, b))
        return torch_op(self.tensor(a), self.tensor(b))

    def op_Add(self, attrs, a, b): return self.binary(torch.add, np.add, a, b)
    def op_Sub(self, attrs, a, b): return self.binary(torch.sub, np.subtract, a, b)
    def op_Mul(self, attrs, a, b): return self.binary(torch.mul, np.multiply, a, b)
    def op_Pow(self, attrs, a, b): return self.binary(torch.pow, np.power, a, b)
    def op_And(self, attrs, a, b): return self.binary(torch.logical_and, np.logical_and, a, b)
    def op_Equal(self, attrs, a, b): return self.binary(torch.eq, np.equal, a, b)
    def op_GreaterOrEqual(self, attrs, a, b): return self.binary(torch.ge, np.greater_equal, a, b)

    def op_Div(self, attrs, a, b):
        if is_shape(a) and is_shape(b):
            return np.asarray(np.trunc(a / b).astype(a.dtype))
        return torch.div(self.tensor(a), self.tensor(b))

    def op_Relu(self, attrs, x): return F.relu(x)
    def op_Sigmoid(self, attrs, x): return torch.sigmoid(x)
    def op_Erf(self, attrs, x): return torch.erf(x)
    def op_Sin(self, attrs, x): return torch.sin(x)
    def op_Cos(self, attrs, x): return torch.cos(x)
    def op_Sqrt(self, attrs, x): return torch.sqrt(x)
    def op_IsNaN(self, attrs, x): return torch.isnan(x)
    def op_Softmax(self, attrs, x): return F.softmax(x, attrs.get("axis", -1))

    def op_Where(self, attrs, condition, a, b):
        if all(map(is_shape, (condition, a, b))):
            return np.where(condition, a, b)
        return torch.where(self.tensor(condition).bool(), self.tensor(a), self.tensor(b))

    # --- shapes and movement ---

    def op_Identity(self, attrs, x): return x
    def op_Shape(self, attrs, x): return np.array(x.shape, np.int64)

    def op_Constant(self, attrs):
        for key, kind in (("value_int", np.int64), ("value_ints", np.int64)):
            if key in attrs:
                return np.array(attrs[key], kind)
        for key in ("value_float", "value_floats"):
            if key in attrs:
                return self.constant(np.array(attrs[key], np.float32))
        return self.constant(numpy_helper.to_array(attrs["value"]))

    def op_ConstantOfShape(self, attrs, shape):
        value = numpy_helper.to_array(attrs["value"]) if "value" in attrs else np.zeros(1, np.float32)
        filled = np.full(as_ints(shape), value.reshape(-1)[0], value.dtype)
        return self.constant(filled) if filled.dtype.kind == "f" else filled

    def op_Range(self, attrs, start, limit, delta):
        numbers = [float(v) for v in (start, limit, delta)]
        if all(map(is_shape, (start, limit, delta))):
            return np.arange(*numbers).astype(start.dtype)
        return torch.arange(*numbers, device=self.device, dtype=self.dtype)

    def op_Cast(self, attrs, x):
        kind = onnx.helper.tensor_dtype_to_np_dtype(attrs["to"])
        if is_shape(x):
            return self.constant(x.astype(kind)) if kind.kind == "f" else x.astype(kind)
        if kind.kind == "f":
            return x.to(self.dtype)
        return x.to({"i": torch.int64, "b": torch.bool}[kind.kind])

    def op_Gather(self, attrs, x, index):
        axis = attrs.get("axis", 0)
        if is_shape(x) and is_shape(index):
            return np.take(x, index, axis)
        index = np.asarray(index) if is_shape(index) else index
        if is_shape(index):
            y = torch.index_select(self.tensor(x), axis, self.positions(index, x.shape[axis]))
            axis %= x.dim()
            return y.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1:])
        raise NotImplementedError("Gather with an index computed on the device")

    def op_Unsqueeze(self, attrs, x, axes=None):
        axes = as_ints(axes) if axes is not None else attrs["axes"]
        if is_shape(x):
            return np.expand_dims(x, tuple(axes))
        for axis in sorted(a % (x.dim() + len(axes)) for a in axes):
            x = x.unsqueeze(axis)
        return x

    def op_Squeeze(self, attrs, x, axes=None):
        axes = as_ints(axes) if axes is not None else attrs["axes"]
        if is_shape(x):
            return np.squeeze(x, tuple(axes))
        for axis in sorted((a % x.dim() for a in axes), reverse=True):
            x = x.squeeze(axis)
        return x

    def op_Concat(self, attrs, *parts):
        if all(map(is_shape, parts)):
            return np.concatenate(parts, attrs["axis"])
        return torch.cat([self.tensor(p) for p in parts], attrs["axis"])

    def op_Split(self, attrs, x, sizes=None):
        sizes = as_ints(sizes) if sizes is not None else attrs.get("split")
        axis = attrs.get("axis", 0)
        if sizes is None:
            raise NotImplementedError("Split without sizes")
        return tuple(torch.split(x, list(sizes), axis))

    def op_Slice(self, attrs, x, starts=None, ends=None, axes=None, steps=None):
        starts, ends = as_ints(starts), as_ints(ends)
        axes = as_ints(axes) if axes is not None else list(range(len(starts)))
        steps = as_ints(steps) if steps is not None else [1] * len(starts)
        index = [slice(None)] * (x.ndim if is_shape(x) else x.dim())
        for start, end, axis, step in zip(starts, ends, axes, steps):
            size = x.shape[axis]
            clamp = lambda v: max(min(v + size if v < 0 else v, size), 0)  # noqa: E731
            index[axis] = slice(clamp(start), clamp(end), step)
        return x[tuple(index)]

    def op_Reshape(self, attrs, x, shape):
        if is_shape(x):
            return x.reshape(as_ints(shape))
        shape = [x.shape[i] if v == 0 else v for i, v in enumerate(as_ints(shape))]
        return x.reshape(shape)

    def op_Flatten(self, attrs, x):
        axis = attrs.get("axis", 1)
        return x.reshape(int(np.prod(x.shape[:axis])), -1)

    def op_Transpose(self, attrs, x):
        order = attrs.get("perm", list(reversed(range(x.ndim if is_shape(x) else x.dim()))))
        return x.transpose(order) if is_shape(x) else x.permute(order)

    def op_Expand(self, attrs, x, shape):
        if is_shape(x):
            return x * np.ones(as_ints(shape), x.dtype)
        return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(as_ints(shape))))

    def op_Tile(self, attrs, x, repeats):
        return np.tile(x, as_ints(repeats)) if is_shape(x) else x.repeat(as_ints(repeats))

    def op_CumSum(self, attrs, x, axis):
        axis = as_ints(axis)[0] if is_shape(axis) else int(axis)
        return torch.cumsum(self.tensor(x), axis).to(self.dtype) if not is_shape(x) else np.cumsum(x, axis)

    def op_Pad(self, attrs, x, pads=None, value=None, axes=None):
        pads = as_ints(pads) if pads is not None else attrs["pads"]
        rank = len(pads) // 2
        flat = [p for d in reversed(range(rank)) for p in (pads[d], pads[d + rank])]
        return F.pad(x, flat, mode=attrs.get("mode", b"constant").decode())


def random_inputs(executor, batch, seed=0):
    generator = np.random.default_rng(seed)
    arrays = []
    for info in executor.graph.input:
        if info.name not in executor.inputs:
            continue
        shape = [d.dim_value or batch for d in info.type.tensor_type.shape.dim]
        arrays.append(generator.random(shape, np.float32))
    return arrays


def capture(function, inputs):
    """The function as a CUDA graph: a callable without arguments, and the outputs it writes."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function(*inputs)
    return graph.replay, outputs


def compiled(executor, inputs, mode):
    """The same under torch.compile. What it sees is the trace of tensor operations: Python that folds shapes would be
    a break in its graph for each node."""
    from torch.fx.experimental.proxy_tensor import make_fx

    function = torch.compile(make_fx(executor)(*inputs), mode=mode)
    for _ in range(3):
        outputs = function(*inputs)
    return lambda: function(*inputs), [o.clone() for o in outputs]


def time_replays(replay, seconds=0.5):
    for _ in range(10):
        replay()
    torch.cuda.synchronize()
    times, total = [], 0.0
    while total < seconds * 1e3 or len(times) < 30:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
        total += times[-1]
    return statistics.median(times), sorted(times)[int(0.95 * len(times))]


def relative_errors(path, arrays, outputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = session.run(None, dict(zip([i.name for i in session.get_inputs()], arrays)))
    return [float(np.linalg.norm(o.float().cpu().numpy() - w) / np.linalg.norm(w)) for o, w in zip(outputs, wanted)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--compile", nargs="?", const="reduce-overhead", help="mode of torch.compile")
    parser.add_argument("--dtype", choices=["fp16", "fp32"], default="fp16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    dtype = torch.float16 if options.dtype == "fp16" else torch.float32
    failed = False
    with torch.no_grad():
        executor = Executor(options.model, dtype, options.device).eval()
        for batch in map(int, options.batch.split(",")):
            arrays = random_inputs(executor, batch)
            inputs = [torch.from_numpy(a).to(options.device, dtype).contiguous(memory_format=torch.channels_last)
                      for a in arrays]
            executor.fold(*inputs)
            report = {"model": options.model, "batch": batch, "peer": "torch " + torch.__version__,
                      "mode": "eager" if options.device != "cuda" else
                      f"compile {options.compile}" if options.compile else "eager, CUDA graph"}
            if options.device == "cuda":
                if options.compile:
                    replay, outputs = compiled(executor, inputs, options.compile)
                else:
                    replay, outputs = capture(executor, inputs)
                    replay()
                report["median_ms"], report["p95_ms"] = time_replays(replay)
            else:
                outputs = executor(*inputs)
            if options.check:
                report["relative_l2"] = relative_errors(options.model, arrays, outputs)
                failed = failed or max(report["relative_l2"]) > (3e-2 if options.dtype == "fp16" else 1e-3)
            print(json.dumps(report), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
