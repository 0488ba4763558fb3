# SPDX-License-Identifier: Apache-2.0
"""Writes trained weights as ONNX: models/demo/demo-{detect,pose,segment,reid}.onnx.

usage: export.py FOLDER_OF_PT OUT_FOLDER

Opset 17, a symbolic batch, inputs and outputs in FP32. Batch norms are folded into their
convolutions; weights are stored in FP16 behind a Cast, which engines fold when they load the model.
"""
import os
import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn.utils.fusion import fuse_conv_bn_eval

from osnet import OsNet, Light, Unit
from train_yolo import CLASSES
from yolo11 import ConvUnit, Yolo11

LABELS = """person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,
bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,
kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,
sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,
keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"""
NAMES = LABELS.replace("\n", "").split(",")
LIMIT_BYTES = 6_000_000


def fold_norms(model):
    for module in list(model.modules()):
        if isinstance(module, ConvUnit):
            module.conv, module.norm = fuse_conv_bn_eval(module.conv, module.norm), torch.nn.Identity()
        elif isinstance(module, Unit):
            module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), torch.nn.Identity()
        elif isinstance(module, Light):
            module[1], module[2] = fuse_conv_bn_eval(module[1], module[2]), torch.nn.Identity()
    return model


def half_weights(model):
    """Stores each large FP32 constant as FP16 with a Cast back to FP32 behind it."""
    graph = model.graph
    casts, nodes = [], []

    def shrink(tensor, name):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            return None
        assert np.abs(values).max() < 65504, name
        casts.append(helper.make_node("Cast", [name + ".fp16"], [name], name=name + ".cast", to=TensorProto.FLOAT))
        return numpy_helper.from_array(values.astype(np.float16), name + ".fp16")

    for tensor in graph.initializer:
        small = shrink(tensor, tensor.name)
        if small is not None:
            tensor.CopyFrom(small)
    for node in graph.node:  # the cells' centres and strides
        small = shrink(node.attribute[0].t, node.output[0]) if node.op_type == "Constant" and node.attribute[0].name == "value" else None
        if small is None:
            nodes.append(node)
        else:
            graph.initializer.append(small)
    del graph.node[:]
    graph.node.extend(casts + nodes)


def export(model, example, path, outputs, metadata):
    model = fold_norms(model.eval())
    torch.onnx.export(model, example, path, opset_version=17, input_names=["images"], output_names=outputs,
                      dynamic_axes={n: {0: "batch"} for n in ["images", *outputs]}, do_constant_folding=True, dynamo=False)
    exported = onnx.load(path)
    half_weights(exported)
    with torch.no_grad():
        answers = model(example)
    for output, answer in zip(exported.graph.output, answers if isinstance(answers, tuple) else (answers,)):
        for dim, size in zip(output.type.tensor_type.shape.dim[1:], answer.shape[1:]):
            dim.dim_value = size
    exported.producer_name, exported.producer_version = "peregrine", "1"
    for key, value in metadata.items():
        entry = exported.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(exported)
    onnx.save(exported, path)
    size = os.path.getsize(path)
    print(f"{path}: {size / 1e6:.2f} MB, {len(exported.graph.node)} nodes")
    assert size <= LIMIT_BYTES, f"{path} is larger than {LIMIT_BYTES} bytes"


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    about = {"author": "Peregrine", "license": "Apache-2.0", "stride": "32", "imgsz": "[640, 640]"}
    for task, classes in CLASSES.items():
        source = os.path.join(folder, task + ".pt")
        if not os.path.exists(source):
            continue
        model = Yolo11(task, classes)
        model.load_state_dict(torch.load(source, map_location="cpu"))
        names = {i: n for i, n in enumerate(NAMES[:classes])}
        extra = {"kpt_shape": "[17, 3]"} if task == "pose" else {}
        export(model, torch.zeros(1, 3, 640, 640), os.path.join(out, f"demo-{task}.onnx"),
               ["output0", "output1"] if task == "segment" else ["output0"],
               {"description": f"YOLO11n {task}, trained on Peregrine's synthetic street", "task": task, "names": str(names), **extra, **about})
    source = os.path.join(folder, "reid.pt")
    if os.path.exists(source):
        model = OsNet()
        model.load_state_dict(torch.load(source, map_location="cpu"))
        export(model, torch.zeros(1, 3, 256, 128), os.path.join(out, "demo-reid.onnx"), ["features"],
               {"description": "OSNet x0.25, trained on Peregrine's synthetic street", "author": "Peregrine",
                "license": "Apache-2.0", "task": "embed", "imgsz": "[256, 128]"})


if __name__ == "__main__":
    main(*sys.argv[1:])
