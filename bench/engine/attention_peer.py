#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same attention through PyTorch's scaled_dot_product_attention, in CUDA graphs.

    attention_peer.py ATTENTION_CASES_H [--batch 1,8,32]

Each of PyTorch's own kernels (flash, cuDNN, memory-efficient), FP16. Times are medians of one node
inside a chain of dependent ones.
"""
import argparse
import re

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from torch_chain import microseconds

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION}


def cases(path):
    for name, numbers in re.findall(r'\{"([^"]+)",\s*([\d,\s]+)\}', open(path).read()):
        yield name, *(int(n) for n in numbers.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases")
    parser.add_argument("--batch", default="1,8,32")
    options = parser.parse_args()
    print("PyTorch", torch.__version__, "microseconds:", *BACKENDS)
    for name, windows, heads, queries, keys, query_width, value_width in cases(options.cases):
        for batch in (int(b) for b in options.batch.split(",")):
            def tensor(tokens, width):
                packed = torch.randn(batch * windows, tokens, heads, width, device="cuda", dtype=torch.half)
                return packed.transpose(1, 2)

            q, k, v = tensor(queries, query_width), tensor(keys, query_width), tensor(keys, value_width)
            times = []
            for backend in BACKENDS.values():
                try:
                    with sdpa_kernel(backend):
                        times.append(f"{microseconds(lambda: F.scaled_dot_product_attention(q, k, v), 20):8.2f}")
                except RuntimeError:
                    times.append(f"{'none':>8}")
            print(f"{name:<20} batch {batch:>2}", *times, flush=True)


if __name__ == "__main__":
    main()
