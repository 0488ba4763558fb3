# SPDX-License-Identifier: Apache-2.0
"""YOLO11, size n, written from its published description: layer names follow the paper's blocks.

A backbone of strided convolutions and C3k2 blocks ends in SPPF and C2PSA (attention); a
path-aggregation neck makes three scales (strides 8, 16, 32); a decoupled head predicts, for each
cell, box sides as distributions over 16 bins and class scores, and per task keypoints or mask
coefficients. Everything is NCHW.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

STRIDES = (8, 16, 32)
BINS = 16


class ConvUnit(nn.Module):
    """Convolution, batch norm, SiLU (unless linear)."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, linear=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.linear = linear

    def forward(self, x):
        x = self.norm(self.conv(x))
        return x if self.linear else F.silu(x)


class Bottleneck(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.first = ConvUnit(channels, hidden, 3)
        self.second = ConvUnit(hidden, channels, 3)

    def forward(self, x):
        return x + self.second(self.first(x))


class C3k(nn.Module):
    """Two paths of half the width, one through bottlenecks, joined again."""

    def __init__(self, channels, depth=2):
        super().__init__()
        half = channels // 2
        self.deep = ConvUnit(channels, half)
        self.flat = ConvUnit(channels, half)
        self.blocks = nn.Sequential(*(Bottleneck(half, half) for _ in range(depth)))
        self.join = ConvUnit(2 * half, channels)

    def forward(self, x):
        return self.join(torch.cat((self.blocks(self.deep(x)), self.flat(x)), 1))


class C3k2(nn.Module):
    """Split in two, one half through a block, all three joined."""

    def __init__(self, inputs, outputs, nested, width=0.5):
        super().__init__()
        self.half = int(outputs * width)
        self.split = ConvUnit(inputs, 2 * self.half)
        self.block = C3k(self.half) if nested else Bottleneck(self.half, self.half // 2)
        self.join = ConvUnit(3 * self.half, outputs)

    def forward(self, x):
        left, right = self.split(x).split(self.half, 1)
        return self.join(torch.cat((left, right, self.block(right)), 1))


class SPPF(nn.Module):
    """Three chained 5x5 max pools: receptive fields of 5, 9 and 13 for the price of three fives."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze = ConvUnit(channels, channels // 2)
        self.join = ConvUnit(channels * 2, channels)

    def forward(self, x):
        stages = [self.squeeze(x)]
        for _ in range(3):
            stages.append(F.max_pool2d(stages[-1], 5, 1, 2))
        return self.join(torch.cat(stages, 1))


class Attention(nn.Module):
    """Self-attention over cells; queries and keys have half the width of values. A depthwise
    convolution of the values stands for positions."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.value = heads, channels // heads
        self.key = self.value // 2
        self.qkv = ConvUnit(channels, heads * (2 * self.key + self.value), linear=True)
        self.position = ConvUnit(channels, channels, 3, groups=channels, linear=True)
        self.project = ConvUnit(channels, channels, linear=True)

    def forward(self, x):
        # Plain numbers, so that the exported graph reshapes to constants; only the batch stays open.
        channels, height, width = (int(n) for n in x.shape[1:])
        packed = self.qkv(x).reshape(-1, self.heads, 2 * self.key + self.value, height * width)
        q, k, v = packed.split((self.key, self.key, self.value), 2)
        weights = (q.transpose(-2, -1) @ k * self.key ** -0.5).softmax(-1)
        mixed = (v @ weights.transpose(-2, -1)).reshape(-1, channels, height, width)
        return self.project(mixed + self.position(v.reshape(-1, channels, height, width)))


class C2PSA(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.half = half = channels // 2
        self.split = ConvUnit(channels, channels)
        self.attention = Attention(half, half // 64)
        self.feed = nn.Sequential(ConvUnit(half, 2 * half), ConvUnit(2 * half, half, linear=True))
        self.join = ConvUnit(channels, channels)

    def forward(self, x):
        left, right = self.split(x).split(self.half, 1)
        right = right + self.attention(right)
        right = right + self.feed(right)
        return self.join(torch.cat((left, right), 1))


class Trunk(nn.Module):
    """Backbone and neck: a picture [b, 3, h, w] becomes maps of 64, 128 and 256 channels at strides
    8, 16 and 32."""

    channels = (64, 128, 256)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvUnit(3, 16, 3, 2), ConvUnit(16, 32, 3, 2), C3k2(32, 64, False, 0.25))
        self.to8 = nn.Sequential(ConvUnit(64, 64, 3, 2), C3k2(64, 128, False, 0.25))
        self.to16 = nn.Sequential(ConvUnit(128, 128, 3, 2), C3k2(128, 128, True))
        self.to32 = nn.Sequential(ConvUnit(128, 256, 3, 2), C3k2(256, 256, True), SPPF(256), C2PSA(256))
        self.up16 = C3k2(384, 128, False)
        self.up8 = C3k2(256, 64, False)
        self.down16, self.mix16 = ConvUnit(64, 64, 3, 2), C3k2(192, 128, False)
        self.down32, self.mix32 = ConvUnit(128, 128, 3, 2), C3k2(384, 256, True)

    def forward(self, x):
        at8 = self.to8(self.stem(x))
        at16 = self.to16(at8)
        at32 = self.to32(at16)
        up16 = self.up16(torch.cat((F.interpolate(at32, scale_factor=2.0), at16), 1))
        out8 = self.up8(torch.cat((F.interpolate(up16, scale_factor=2.0), at8), 1))
        out16 = self.mix16(torch.cat((self.down16(out8), up16), 1))
        out32 = self.mix32(torch.cat((self.down32(out16), at32), 1))
        return [out8, out16, out32]


def regular_branch(channels, hidden, outputs):
    return nn.Sequential(ConvUnit(channels, hidden, 3), ConvUnit(hidden, hidden, 3), nn.Conv2d(hidden, outputs, 1))


def light_branch(channels, hidden, outputs):
    """Depthwise 3x3 and pointwise pairs: class scores need less than boxes."""
    def pair(a, b):
        return nn.Sequential(ConvUnit(a, a, 3, groups=a), ConvUnit(a, b))
    return nn.Sequential(pair(channels, hidden), pair(hidden, hidden), nn.Conv2d(hidden, outputs, 1))


class Prototypes(nn.Module):
    """Mask prototypes at stride 4, from the stride-8 map."""

    def __init__(self, channels, count=32, hidden=64):
        super().__init__()
        self.first = ConvUnit(channels, hidden, 3)
        self.grow = nn.ConvTranspose2d(hidden, hidden, 2, 2)
        self.second = ConvUnit(hidden, hidden, 3)
        self.last = ConvUnit(hidden, count)

    def forward(self, x):
        return self.last(self.second(self.grow(self.first(x))))


class Yolo11(nn.Module):
    """task: detect, pose or segment. In training `forward` gives the raw head, in evaluation (and
    in the exported graph) boxes and scores in input pixels."""

    def __init__(self, task, classes, keypoints=17, masks=32):
        super().__init__()
        self.task, self.classes, self.keypoints = task, classes, keypoints
        self.trunk = Trunk()
        widths = Trunk.channels
        box_hidden = max(16, widths[0] // 4, BINS * 4)
        class_hidden = max(widths[0], min(classes, 100))
        self.box = nn.ModuleList(regular_branch(c, box_hidden, 4 * BINS) for c in widths)
        self.score = nn.ModuleList(light_branch(c, class_hidden, classes) for c in widths)
        extra = {"detect": 0, "pose": 3 * keypoints, "segment": masks}[task]
        self.extra = nn.ModuleList(regular_branch(c, max(widths[0] // 4, extra), extra) for c in widths) if extra else None
        self.prototypes = Prototypes(widths[0], masks) if task == "segment" else None
        for stride, box, score in zip(STRIDES, self.box, self.score):
            box[-1].bias.data[:] = 1.0
            # About five objects a picture of 640 x 640 at the start.
            score[-1].bias.data[:] = math.log(5 / classes / (640 / stride) ** 2)

    def forward(self, x):
        maps = self.trunk(x)
        def flat(branches):
            return torch.cat([cellwise(b(m)) for b, m in zip(branches, maps)], 2)
        raw = {"box": flat(self.box), "score": flat(self.score)}
        if self.extra is not None:
            raw["extra"] = flat(self.extra)
        if self.prototypes is not None:
            raw["prototypes"] = self.prototypes(maps[0])
        if self.training:
            return raw
        return self.decode(raw, [(int(m.shape[-2]), int(m.shape[-1])) for m in maps])

    def decode(self, raw, sizes):
        centers, strides = cells(sizes, raw["box"].device)
        sides = box_sides(raw["box"].float())                       # [b, 4, n] in strides
        top_left, bottom_right = centers - sides[:, :2], centers + sides[:, 2:]
        boxes = torch.cat(((top_left + bottom_right) / 2, bottom_right - top_left), 1) * strides
        parts = [boxes, raw["score"].float().sigmoid()]
        if self.task == "pose":
            points = raw["extra"].float().reshape(-1, self.keypoints, 3, int(centers.shape[-1]))
            places = (points[:, :, :2] * 2 + (centers - 0.5)) * strides
            parts.append(torch.cat((places, points[:, :, 2:].sigmoid()), 2).reshape(-1, 3 * self.keypoints, int(centers.shape[-1])))
        elif self.task == "segment":
            parts.append(raw["extra"].float())
        output = torch.cat(parts, 1)
        return (output, raw["prototypes"].float()) if self.task == "segment" else output


def cellwise(x):
    """[b, c, h, w] -> [b, c, h * w]"""
    return x.reshape(-1, int(x.shape[1]), int(x.shape[2]) * int(x.shape[3]))


def cells(sizes, device):
    """Centres [2, n] of all cells in units of their strides, and the strides [n]."""
    centers, strides = [], []
    for (height, width), stride in zip(sizes, STRIDES):
        y, x = torch.meshgrid(torch.arange(height, device=device) + 0.5,
                              torch.arange(width, device=device) + 0.5, indexing="ij")
        centers.append(torch.stack((x.flatten(), y.flatten())))
        strides.append(torch.full((height * width,), float(stride), device=device))
    return torch.cat(centers, 1), torch.cat(strides)


def box_sides(logits):
    """Expected distances [b, 4, n] to the left, top, right and bottom of distributions [b, 64, n]."""
    weights = logits.reshape(-1, 4, BINS, int(logits.shape[-1])).softmax(2)
    bins = torch.arange(BINS, device=logits.device, dtype=logits.dtype).view(1, 1, BINS, 1)
    return (weights * bins).sum(2)
