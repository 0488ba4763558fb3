# SPDX-License-Identifier: Apache-2.0
"""Pictures from `peregrine-synth-dump`, kept whole in GPU memory and augmented there."""
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

SIDE, COLUMNS, MOST = 640, 61, 48
# Left and right of COCO's body points change places in a mirrored picture.
MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


class Frames:
    """rgb uint8 [n, 640, 640, 3] and owners uint8 [n, 640, 640] on the device; rows float32
    [n, m, 61] padded with class -1, in the order of the owners' numbers."""

    def __init__(self, dump, first_seed, worlds, per_world, device, workers=None, chunk=50):
        workers = workers or max(1, os.cpu_count() - 1)
        total = worlds * per_world
        self.rgb = torch.empty((total, SIDE, SIDE, 3), dtype=torch.uint8, device=device)
        self.owners = torch.empty((total, SIDE, SIDE), dtype=torch.uint8, device=device)
        rows = np.zeros((total, MOST, COLUMNS), np.float32)
        rows[:, :, 1] = -1

        def draw(start):
            count = min(chunk, worlds - start)
            with tempfile.TemporaryDirectory() as folder:
                out = os.path.join(folder, "d")
                subprocess.run([dump, str(first_seed + start), str(count), str(per_world), out], check=True)
                at, n = start * per_world, count * per_world
                self.rgb[at:at + n] = torch.from_numpy(np.fromfile(out + ".rgb", np.uint8).reshape(n, SIDE, SIDE, 3)).to(device)
                self.owners[at:at + n] = torch.from_numpy(np.fromfile(out + ".own", np.uint8).reshape(n, SIDE, SIDE)).to(device)
                table = np.fromfile(out + ".obj", np.float32).reshape(-1, COLUMNS)
                for i in range(n):
                    mine = table[table[:, 0] == i][:MOST]
                    rows[at + i, :len(mine)] = mine

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(draw, range(0, worlds, chunk)))
        self.rows = torch.from_numpy(rows).to(device)

    def __len__(self):
        return len(self.rgb)


def targets_of(rows, owners, task):
    """What `detection_loss` wants, from rows [b, m, 61] and owners [b, h, w]; a pose model asks for
    people only."""
    kinds, boxes = rows[..., 1].long(), rows[..., 3:7]
    asked = (kinds == 0) if task == "pose" else (kinds >= 0)
    ignore = (rows[..., 7] > 0) & asked
    valid = asked & ~ignore
    slots = torch.arange(1, rows.shape[1] + 1, device=rows.device).expand(rows.shape[:2])
    return {"boxes": boxes, "classes": kinds * asked, "valid": valid,
            "ignored": torch.where(ignore[..., None], boxes, torch.zeros_like(boxes)),
            "keypoints": rows[..., 9:60].unflatten(2, (17, 3)),
            "owners": owners, "slots": slots}


def augmented(frames, index, generator, strength):
    """A batch [b, 3, 640, 640] in [0, 1] and its rows: mirrored, scaled and moved, colours changed.
    `strength` 1 is full, 0 leaves only the mirror. Boxes follow; parts outside are cut off."""
    device = frames.rgb.device
    b = len(index)
    uniform = lambda low, high: torch.rand(b, device=device, generator=generator) * (high - low) + low
    scale = torch.exp(uniform(-0.55, 0.5) * strength)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    room = SIDE / 2 * 0.35 * strength
    dx, dy = uniform(-room, room), uniform(-room, room)
    # Output pixel -> input pixel, in grid_sample's [-1, 1].
    theta = torch.zeros(b, 2, 3, device=device)
    theta[:, 0, 0] = mirror / scale
    theta[:, 1, 1] = 1 / scale
    theta[:, 0, 2] = -mirror * dx / scale / (SIDE / 2)
    theta[:, 1, 2] = -dy / scale / (SIDE / 2)
    grid = F.affine_grid(theta, (b, 3, SIDE, SIDE), align_corners=False)
    picture = frames.rgb[index].permute(0, 3, 1, 2).float() / 255 - 114 / 255
    picture = F.grid_sample(picture, grid, align_corners=False) + 114 / 255
    quarter = F.affine_grid(theta, (b, 1, SIDE // 4, SIDE // 4), align_corners=False)
    owners = F.grid_sample(frames.owners[index][:, None].float(), quarter, mode="nearest", align_corners=False)[:, 0]
    gain = 1 + uniform(-0.25, 0.25)[:, None, None, None] * strength
    tint = 1 + (torch.rand(b, 3, 1, 1, device=device, generator=generator) - 0.5) * 0.12 * strength
    gray = picture.mean(1, keepdim=True)
    saturation = 1 + uniform(-0.4, 0.3)[:, None, None, None] * strength
    noise = torch.randn(picture.shape, device=device, generator=generator) * (uniform(0, 0.02) * strength)[:, None, None, None]
    picture = ((gray + (picture - gray) * saturation) * gain * tint + noise).clamp(0, 1)
    return picture, owners, moved(frames.rows[index], scale, mirror, dx, dy)


def moved(rows, scale, mirror, dx, dy):
    rows = rows.clone()
    s, f, half = scale[:, None], mirror[:, None], SIDE / 2
    x = lambda v: (v - half) * s * f + half + dx[:, None]
    y = lambda v: (v - half) * s + half + dy[:, None]
    x1, x2 = x(rows[..., 3]), x(rows[..., 5])
    y1, y2 = y(rows[..., 4]), y(rows[..., 6])
    full = torch.stack((torch.minimum(x1, x2), y1, torch.maximum(x1, x2), y2), -1)
    cut = full.clamp(0, SIDE)
    size = lambda b: (b[..., 2] - b[..., 0]).clamp(min=0) * (b[..., 3] - b[..., 1]).clamp(min=0)
    kept = size(cut) / size(full).clamp(min=1e-6)
    gone = (kept < 0.02) | (size(cut) < 4)
    small = (cut[..., 2] - cut[..., 0] < 7) | (cut[..., 3] - cut[..., 1] < 7) | (kept < 0.3)
    present = rows[..., 1] >= 0
    rows[..., 7] = torch.where(small & present, torch.ones_like(kept), rows[..., 7])
    rows[..., 1] = torch.where(gone, torch.full_like(kept, -1), rows[..., 1])
    rows[..., 3:7] = cut
    points = rows[..., 9:60].unflatten(2, (17, 3)).clone()
    px, py = x(points[..., 0].flatten(1)).view_as(points[..., 0]), y(points[..., 1].flatten(1)).view_as(points[..., 1])
    outside = (px < 0) | (px >= SIDE) | (py < 0) | (py >= SIDE)
    points = torch.stack((px, py, points[..., 2].masked_fill(outside, 0)), -1)
    swapped = points[:, :, MIRROR]
    points = torch.where((mirror < 0)[:, None, None, None], swapped, points)
    rows[..., 9:60] = points.flatten(2)
    return rows
