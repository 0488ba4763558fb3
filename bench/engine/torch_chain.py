# SPDX-License-Identifier: Apache-2.0
"""How the peers are timed: as one node of a chain in a CUDA graph, like ours (chain_timer.h)."""
import statistics

import torch


def microseconds(step, length):
    """Median microseconds of one `step` among `length` dependent ones."""
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(length):
                step()
        times = []
        for _ in range(6):
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(4):
                graph.replay()
            stop.record()
            stop.synchronize()
            times.append(start.elapsed_time(stop) * 1000 / 4 / length)
    return statistics.median(times[1:])
