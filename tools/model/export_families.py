#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real architectures of other families, as torchvision exports them, to try the engine on.

usage: export_families.py OUT_FOLDER [NAME...]        (needs torch, torchvision and onnx)
Writes NAME.graph.onnx: the graph with its large weights dropped, each with its mean and deviation in `doc_string`, which
a restore script fills with seeded noise (bench/engine/models_table.py does, where the folder has one). Default: one of
each of ResNet, MobileNet, EfficientNet, ConvNeXt, Swin and ViT.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import torch
import torchvision
from onnx import numpy_helper

FAMILIES = ("resnet50", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16")
LARGE = 512  # elements


def drop_weights(model):
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE or values.ndim < 2:
            continue
        tensor.doc_string = json.dumps({"mean": float(values.mean()), "std": float(values.std())})
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name in sys.argv[2:] or FAMILIES:
        model = getattr(torchvision.models, name)(weights=None).eval()
        path = out / (name + ".graph.onnx")
        torch.onnx.export(model, torch.rand(1, 3, 224, 224), str(path), opset_version=17, dynamo=False,
                          input_names=["images"], output_names=["output"],
                          dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}})
        graph = onnx.load(str(path))
        drop_weights(graph)
        onnx.save(graph, str(path))
        print(name, "%d nodes" % len(graph.graph.node), flush=True)


if __name__ == "__main__":
    main()
