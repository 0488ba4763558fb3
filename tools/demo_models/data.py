# SPDX-License-Identifier: Apache-2.0
"""Pictures from `peregrine-synth-dump`, kept in GPU memory and augmented there."""
import os
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

SIDE, COLUMNS, MOST = 640, 61, 48
ROOM = 4 << 30  # bytes
LEAST = 5  # pixels: what the world asks for in a picture of 1280 x 720, as the models see it
# Left and right of COCO's body points change places in a mirrored picture.
MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def drawn(arguments):
    """Runs the dump with `arguments` and gives back what it wrote: bytes of .rgb and .own (None
    where it writes none) and the numbers of .obj."""
    # In memory, where there is room: pictures are read once and thrown away.
    memory = os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > ROOM
    with tempfile.TemporaryDirectory(dir="/dev/shm" if memory else None) as folder:
        out = os.path.join(folder, "d")
        subprocess.run([*map(str, arguments), out], check=True)
        load = lambda name, kind: np.fromfile(out + name, kind) if os.path.exists(out + name) else None
        return load(".rgb", np.uint8), load(".own", np.uint8), load(".obj", np.float32)


class Filled:
    """Something that worker threads fill in the background, in whatever order they are done; the
    first `len` places are complete. Copies go through a stream of their own, so that training goes
    on meanwhile."""

    def __init__(self, device, jobs, workers):
        self.count, self.device = 0, device
        self.lock = threading.Lock()
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.pool = ThreadPoolExecutor(workers or max(1, os.cpu_count() - 2))
        self.jobs = [self.pool.submit(self.job, *job) for job in jobs]

    def job(self, *job):
        parts = self.draw(*job)
        with self.lock:
            at = self.count
            if self.stream is None:
                count = self.put(at, *parts)
            else:
                with torch.cuda.stream(self.stream):
                    count = self.put(at, *parts)
                self.stream.synchronize()
            self.count = at + count

    def wait(self, least=None):
        """Until `least` places are filled, or all; a worker's error is raised here."""
        while any(not j.done() for j in self.jobs) and (least is None or self.count < least):
            time.sleep(0.05)
        for job in self.jobs:
            if job.done():
                job.result()
        return self

    def stop(self):
        self.pool.shutdown(wait=True, cancel_futures=True)

    def __len__(self):
        return self.count


class Frames(Filled):
    """rgb uint8 [n, 640, 640, 3] and owners uint8 [n, 640, 640] on the device; rows float32
    [n, m, 61] padded with class -1, in the order of the owners' numbers."""

    def __init__(self, dump, first_seed, worlds, per_world, device, workers=None, chunk=20):
        total = worlds * per_world
        self.rgb = torch.empty((total, SIDE, SIDE, 3), dtype=torch.uint8, device=device)
        self.owners = torch.empty((total, SIDE, SIDE), dtype=torch.uint8, device=device)
        self.rows = torch.zeros((total, MOST, COLUMNS), device=device)
        self.dump, self.per_world = dump, per_world
        super().__init__(device, [(first_seed + s, min(chunk, worlds - s)) for s in range(0, worlds, chunk)], workers)

    def draw(self, seed, worlds):
        n = worlds * self.per_world
        rgb, own, table = drawn([self.dump, seed, worlds, self.per_world])
        table = table.reshape(-1, COLUMNS)
        rows = np.zeros((n, MOST, COLUMNS), np.float32)
        rows[:, :, 1] = -1
        picture = table[:, 0].astype(np.int64)
        place = np.arange(len(table)) - np.searchsorted(picture, picture)
        few = place < MOST
        rows[picture[few], place[few]] = table[few]
        return rgb.reshape(n, SIDE, SIDE, 3), own.reshape(n, SIDE, SIDE), rows

    def put(self, at, rgb, own, rows):
        for mine, new in ((self.rgb, rgb), (self.owners, own), (self.rows, rows)):
            mine[at:at + len(new)].copy_(torch.from_numpy(new))
        return len(rgb)


def targets_of(rows, owners, task):
    """What `detection_loss` wants, from rows [b, m, 61] and owners [b, h, w]; a pose model asks for
    people only."""
    present = rows[..., 1] >= 0
    order = (~present).int().argsort(dim=1, stable=True)[:, :max(1, int(present.sum(1).max()))]
    rows = rows.gather(1, order[..., None].expand(-1, -1, rows.shape[2]))
    kinds, boxes = rows[..., 1].long(), rows[..., 3:7]
    asked = (kinds == 0) if task == "pose" else (kinds >= 0)
    ignore = (rows[..., 7] > 0) & asked
    valid = asked & ~ignore
    return {"boxes": boxes, "classes": kinds * asked, "valid": valid,
            "ignored": torch.where(ignore[..., None], boxes, torch.zeros_like(boxes)),
            "keypoints": rows[..., 9:60].unflatten(2, (17, 3)),
            "owners": owners, "slots": order + 1}


def augmented(frames, index, generator, strength, top=0, height=SIDE):
    """A batch [b, 3, height, 640] in [0, 1], its owners at a quarter and its rows: mirrored, scaled
    and moved, colours changed, seen through a window that begins `top` below the picture's upper
    edge. `strength` 1 is full, 0 leaves only the mirror. Boxes follow; parts outside are cut off."""
    device = frames.rgb.device
    b = len(index)
    uniform = lambda low, high: torch.rand(b, device=device, generator=generator) * (high - low) + low
    scale = torch.exp(uniform(-0.55, 0.5) * strength)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    room = 0.35 * strength / 2
    dx, dy = uniform(-room, room) * SIDE, uniform(-room, room) * height

    def seen(source, step, mode):
        # Output pixel -> input pixel, in grid_sample's [-1, 1].
        half = SIDE / 2
        y = (torch.arange(height // step, device=device) + 0.5) * step + top - half
        x = (torch.arange(SIDE // step, device=device) + 0.5) * step - half
        grid = torch.stack((((x - dx[:, None]) * (mirror / scale)[:, None])[:, None].expand(-1, len(y), -1),
                            ((y - dy[:, None]) / scale[:, None])[:, :, None].expand(-1, -1, len(x))), -1) / half
        return F.grid_sample(source, grid, mode=mode, align_corners=False)

    picture = frames.rgb[index].permute(0, 3, 1, 2).float() / 255 - 114 / 255
    picture = seen(picture, 1, "bilinear") + 114 / 255
    owners = seen(frames.owners[index][:, None].float(), 4, "nearest")[:, 0]
    gain = 1 + uniform(-0.25, 0.25)[:, None, None, None] * strength
    tint = 1 + (torch.rand(b, 3, 1, 1, device=device, generator=generator) - 0.5) * 0.12 * strength
    gray = picture.mean(1, keepdim=True)
    saturation = 1 + uniform(-0.4, 0.3)[:, None, None, None] * strength
    noise = torch.randn(picture.shape, device=device, generator=generator) * (uniform(0, 0.02) * strength)[:, None, None, None]
    picture = ((gray + (picture - gray) * saturation) * gain * tint + noise).clamp(0, 1)
    return picture, owners, moved(frames.rows[index], scale, mirror, dx, dy, top, height)


def stacked(frames, index, generator, strength):
    """As `augmented`, of twice as many pictures: the middle bands of two, one above the other. Most
    pictures are wide, so that a letterboxed one would be nearly half grey."""
    picture, owners, rows = augmented(frames, index, generator, strength, SIDE // 4, SIDE // 2)
    b = len(index) // 2
    picture = picture.unflatten(0, (2, b)).transpose(0, 1).permute(0, 2, 1, 3, 4).flatten(2, 3)
    owners = torch.where(owners > MOST, 0, owners).unflatten(0, (2, b))
    upper, lower = owners
    owners = torch.cat((upper, torch.where(lower > 0, lower + MOST, 0)), 1)
    upper, lower = rows.unflatten(0, (2, b)).clone()
    lower[..., [4, 6]] += SIDE // 2
    lower[..., 10:60:3] += SIDE // 2
    return picture, owners, torch.cat((upper, lower), 1)


def moved(rows, scale, mirror, dx, dy, top, height):
    rows = rows.clone()
    s, f, half = scale[:, None], mirror[:, None], SIDE / 2
    x = lambda v: (v - half) * s * f + half + dx[:, None]
    y = lambda v: (v - half) * s + half + dy[:, None] - top
    x1, x2 = x(rows[..., 3]), x(rows[..., 5])
    y1, y2 = y(rows[..., 4]), y(rows[..., 6])
    full = torch.stack((torch.minimum(x1, x2), y1, torch.maximum(x1, x2), y2), -1)
    cut = torch.stack((full[..., 0].clamp(0, SIDE), full[..., 1].clamp(0, height),
                       full[..., 2].clamp(0, SIDE), full[..., 3].clamp(0, height)), -1)
    size = lambda b: (b[..., 2] - b[..., 0]).clamp(min=0) * (b[..., 3] - b[..., 1]).clamp(min=0)
    kept = size(cut) / size(full).clamp(min=1e-6)
    gone = (kept < 0.02) | (size(cut) < 4)
    small = (cut[..., 2] - cut[..., 0] < LEAST) | (cut[..., 3] - cut[..., 1] < LEAST) | (kept < 0.3)
    present = rows[..., 1] >= 0
    rows[..., 7] = torch.where(small & present, torch.ones_like(kept), rows[..., 7])
    rows[..., 1] = torch.where(gone, torch.full_like(kept, -1), rows[..., 1])
    rows[..., 3:7] = cut
    points = rows[..., 9:60].unflatten(2, (17, 3)).clone()
    px, py = x(points[..., 0].flatten(1)).view_as(points[..., 0]), y(points[..., 1].flatten(1)).view_as(points[..., 1])
    outside = (px < 0) | (px >= SIDE) | (py < 0) | (py >= height)
    points = torch.stack((px, py, points[..., 2].masked_fill(outside, 0)), -1)
    swapped = points[:, :, MIRROR]
    points = torch.where((mirror < 0)[:, None, None, None], swapped, points)
    rows[..., 9:60] = points.flatten(2)
    return rows
