#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same convolutions through PyTorch (cuDNN, channels_last, FP16, bias, SiLU), in CUDA graphs.

    conv_peer.py CONV_CASES_H [--model yolo11n] [--batch 1,8,32] [--json FILE]

`conv` is cuDNN's convolution with bias alone, picked by cudnn.benchmark; `silu` adds the activation as
PyTorch does, in a pass of its own. Times are medians of one node inside a chain of dependent ones.
"""
import argparse
import json
import re

import torch
import torch.nn.functional as F

from torch_chain import microseconds


def cases(path, model):
    row = re.compile(r'\{"(\w+)",\s*"([^"]+)",\s*([\d,\s]+)\}')
    for found in row.finditer(open(path).read()):
        if found[1] == model:
            yield found[2], *(int(n) for n in found[3].split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--json", default="/dev/null")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    out = open(options.json, "w")
    for batch in (int(b) for b in options.batch.split(",")):
        sums = [0.0, 0.0]
        for name, cin, cout, kernel, stride, groups, height, width, count in cases(options.cases, options.model):
            x = torch.randn(batch, cin, height, width, device="cuda", dtype=torch.half)
            w = torch.randn(cout, cin // groups, kernel, kernel, device="cuda", dtype=torch.half)
            x, w = (t.to(memory_format=torch.channels_last) for t in (x, w))
            bias = torch.randn(cout, device="cuda", dtype=torch.half)
            conv = lambda: F.conv2d(x, w, bias, stride, kernel // 2, 1, groups)
            length = 40 if batch == 1 else 10
            us = [microseconds(conv, length), microseconds(lambda: F.silu(conv(), inplace=True), length)]
            print(f"{name:<38} {cin:>4} {cout:>5} {kernel:>3} {stride:>3} {height:>5} {count:>3} {us[0]:>9.2f} {us[1]:>9.2f}")
            out.write(json.dumps({"model": options.model, "name": name, "batch": batch, "conv_us": us[0], "silu_us": us[1]}) + "\n")
            sums = [total + one * count for total, one in zip(sums, us)]
        print(f"{options.model} batch {batch}: PyTorch {torch.__version__} cuDNN {torch.backends.cudnn.version()}: "
              f"conv {sums[0]:.1f} us, conv + SiLU {sums[1]:.1f} us")


if __name__ == "__main__":
    main()
