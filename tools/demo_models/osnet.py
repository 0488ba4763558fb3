# SPDX-License-Identifier: Apache-2.0
"""OSNet x0.25 (Zhou et al., Omni-Scale Feature Learning for Person Re-Identification, 2019), written
from the paper: residual blocks whose four streams see ever larger neighbourhoods and are mixed by a
shared gate. Input [b, 3, 256, 128], ImageNet mean and deviation; output [b, 512]."""
import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = (16, 64, 96, 128)
FEATURES = 512


class Unit(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=1, stride=1, active=True):
        layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if active else []))


class Light(nn.Sequential):
    """A 3x3 convolution factored into pointwise and depthwise."""

    def __init__(self, channels):
        super().__init__(nn.Conv2d(channels, channels, 1, bias=False),
                         nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                         nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class Gate(nn.Module):
    """Weighs a stream's channels by what the whole picture looks like."""

    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze, self.excite = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        weight = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))).sigmoid()
        return x * weight


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        middle = outputs // 4
        self.reduce = Unit(inputs, middle)
        self.streams = nn.ModuleList(nn.Sequential(*(Light(middle) for _ in range(depth))) for depth in (1, 2, 3, 4))
        self.gate = Gate(middle)
        self.expand = Unit(middle, outputs, active=False)
        self.skip = Unit(inputs, outputs, active=False) if inputs != outputs else nn.Identity()

    def forward(self, x):
        narrow = self.reduce(x)
        mixed = sum(self.gate(stream(narrow)) for stream in self.streams)
        return F.relu(self.expand(mixed) + self.skip(x))


class OsNet(nn.Module):
    def __init__(self):
        super().__init__()
        a, b, c, d = CHANNELS
        self.body = nn.Sequential(
            Unit(3, a, 7, 2), nn.MaxPool2d(3, 2, 1),
            Block(a, b), Block(b, b), Unit(b, b), nn.AvgPool2d(2, 2),
            Block(b, c), Block(c, c), Unit(c, c), nn.AvgPool2d(2, 2),
            Block(c, d), Block(d, d), Unit(d, d), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(d, FEATURES), nn.BatchNorm1d(FEATURES))

    def forward(self, x):
        return self.head(self.body(x))
