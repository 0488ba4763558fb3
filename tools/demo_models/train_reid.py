# SPDX-License-Identifier: Apache-2.0
"""Trains demo-reid (OSNet x0.25) on crops of everybody and everything in the synthetic world.

usage: train_reid.py --dump PATH/peregrine-synth-dump --out FOLDER [--start ../../models/demo]

The loss is the supervised contrastive one (Khosla et al., 2020) over the unit sphere, so nothing but
distances is learnt. A batch is made of groups of one class and one world, which are what `peregrine
eval` asks to tell apart: were all from different worlds, light and background would give them away.
Crops are moved and scaled as a detector's boxes are, and partly covered. Writes FOLDER/reid.pt.
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from data import Filled, drawn
from folded import load_folded
from osnet import OsNet
from train_yolo import Average, parameter_groups

HEIGHT, WIDTH = 256, 128
DUMPED = (256, 128)  # pixels of a dumped crop, a margin of an eighth of the box on each side among them
BOX = 1 / 1.25       # of a dumped crop's side that is the object's box
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IDENTITIES, CROPS, TEMPERATURE = 32, 8, 0.07
GROUP = 8  # identities of one class and world in a batch, at most
SHARES = {0: 0.4, 1: 0.17, 2: 0.25, 16: 0.08, 32: 0.1}  # of a batch's groups, by class
SPLIT = 1 << 20  # more than a world has identities


class Crops(Filled):
    """rgb uint8 [n, 256, 128, 3] on the device, facts float [n, 6] (see dump_crops.h) on the host."""

    def __init__(self, dump, first_seed, worlds, per_world, most, device, workers=None, chunk=10):
        self.rgb = torch.empty((most, *DUMPED, 3), dtype=torch.uint8, device=device)
        self.facts = np.zeros((most, 6), np.float32)
        self.dump, self.per_world, self.most = dump, per_world, most
        super().__init__(device, [(first_seed + s, min(chunk, worlds - s)) for s in range(0, worlds, chunk)], workers)

    def draw(self, seed, worlds):
        if self.count >= self.most:
            return np.zeros((0, *DUMPED, 3), np.uint8), np.zeros((0, 6), np.float32)
        rgb, _, facts = drawn([self.dump, "--crops", seed, worlds, self.per_world])
        return rgb.reshape(-1, *DUMPED, 3), facts.reshape(-1, 6)

    def put(self, at, rgb, facts):
        n = min(len(rgb), self.most - at)
        self.rgb[at:at + n].copy_(torch.from_numpy(rgb[:n]))
        self.facts[at:at + n] = facts[:n]
        return n


class Gallery:
    """The first `count` crops by identity, and identities by group (world and class)."""

    def __init__(self, crops, least=3):
        facts = crops.facts[:len(crops)]
        key = facts[:, 0].astype(np.int64) * SPLIT + facts[:, 1].astype(np.int64)
        _, self.identity, counts = np.unique(key, return_inverse=True, return_counts=True)
        self.order = np.argsort(self.identity, kind="stable")
        self.first, self.count = np.cumsum(counts) - counts, counts
        lead = facts[self.order[self.first]]
        self.kind = lead[:, 2].astype(int)
        enough = np.nonzero(counts >= least)[0]
        world_and_class = lead[:, 0].astype(np.int64) * 128 + self.kind
        groups = {}
        for i in enough:
            groups.setdefault(world_and_class[i], []).append(i)
        self.groups = {c: [np.array(g) for k, g in groups.items() if k % 128 == c] for c in SHARES}
        self.groups = {c: g for c, g in self.groups.items() if g}

    def batch(self, random):
        """Crops [IDENTITIES * CROPS] of that many identities, and whose they are."""
        kinds = list(self.groups)
        shares = np.array([SHARES[c] for c in kinds])
        who = []
        while len(who) < IDENTITIES:
            # A group larger than others is asked more often: there is more to tell apart.
            some = self.groups[random.choice(kinds, p=shares / shares.sum())]
            few = [some[random.integers(len(some))] for _ in range(3)]
            group = max(few, key=len)
            who.extend(random.permutation(group)[:GROUP])
        who = np.array(who[:IDENTITIES])
        place = (random.random((IDENTITIES, CROPS)) * self.count[who, None]).astype(int)
        return self.order[self.first[who, None] + place].ravel(), np.repeat(who, CROPS)


def pictures(crops, index, generator, training):
    """The box's part of dumped crops, as the model wants it; in training at random."""
    device, n = crops.device, len(index)
    random = lambda *shape: torch.rand(*shape, device=device, generator=generator)
    picture = crops.rgb[index].permute(0, 3, 1, 2).float() / 255
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0] = theta[:, 1, 1] = BOX
    if training:
        theta[:, 0, 0] *= 1 + (random(n) - 0.5) * 0.24
        theta[:, 1, 1] *= 1 + (random(n) - 0.5) * 0.24
        theta[:, :, 2] = (random(n, 2) - 0.5) * 0.16
        theta[:, 0, 0] *= torch.where(random(n) < 0.5, 1.0, -1.0)
        # Some at the sharpness of smaller ones.
        coarse = F.interpolate(F.avg_pool2d(picture, 4), scale_factor=4.0, mode="bilinear")
        picture = torch.where(random(n, 1, 1, 1) < 0.2, coarse, picture)
    picture = F.grid_sample(picture, F.affine_grid(theta, (n, 3, HEIGHT, WIDTH), align_corners=False),
                            padding_mode="border", align_corners=False)
    if training:
        picture = covered(picture, random)
        picture = (picture * (1 + (random(n, 3, 1, 1) - 0.5) * 0.12) * (1 + (random(n, 1, 1, 1) - 0.5) * 0.4)
                   + torch.randn(picture.shape, device=device, generator=generator) * 0.015).clamp(0, 1)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (picture - mean) / std


def covered(picture, random):
    """In four of ten a rectangle from one side inwards shows another picture of the batch, as if that
    stood in front."""
    n = len(picture)
    y = (torch.arange(HEIGHT, device=picture.device) / HEIGHT).view(1, -1, 1)
    x = (torch.arange(WIDTH, device=picture.device) / WIDTH).view(1, 1, -1)
    depth, side = random(n, 1, 1) * 0.5, (random(n, 1, 1) * 4).long()
    low, high = random(n, 1, 1) * 0.5 - 0.2, random(n, 1, 1) * 0.5 + 0.7
    into = torch.where(side == 0, x, torch.where(side == 1, 1 - x, torch.where(side == 2, y, 1 - y)))
    along = torch.where(side < 2, y, x)
    front = (into < depth) & (along > low) & (along < high) & (random(n, 1, 1) < 0.4)
    return torch.where(front[:, None], picture.roll(1 + n // 2, 0), picture)


def contrastive(features, identity):
    unit = F.normalize(features.float(), dim=1)
    logits = unit @ unit.T / TEMPERATURE
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same = (identity[:, None] == identity[None]) & ~itself
    log = logits - torch.logsumexp(logits.masked_fill(itself, -1e9), 1, keepdim=True)
    return -((log * same).sum(1) / same.sum(1)).mean()


@torch.no_grad()
def rank1(model, crops):
    """As `peregrine eval` asks: within a world and a class, each crop for the nearest at least a second
    away. All, and by class."""
    model.eval()
    facts = crops.facts[:len(crops)]
    features = torch.cat([F.normalize(model(pictures(crops, i, None, False)), dim=1)
                          for i in torch.arange(len(crops), device=crops.device).split(256)])
    hits = {}
    for world in np.unique(facts[:, 0]):
        mine = np.nonzero(facts[:, 0] == world)[0]
        some = facts[mine]
        similar = (features[mine] @ features[mine].T).float().cpu().numpy()
        comparable = (some[:, None, 2] == some[None, :, 2]) & (abs(some[:, None, 4] - some[None, :, 4]) >= 1)
        same = comparable & (some[:, None, 1] == some[None, :, 1])
        nearest = np.where(comparable, similar, -9).argmax(1)
        for i in np.nonzero(same.any(1))[0]:
            hits.setdefault(int(some[i, 2]), []).append(some[nearest[i], 1] == some[i, 1])
    everything = [h for each in hits.values() for h in each]
    return {"rank1": round(float(np.mean(everything)), 4), "asked": len(everything),
            "rank1_of": {c: round(float(np.mean(h)), 4) for c, h in sorted(hits.items())}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dump", required=True)
    parser.add_argument("--out", default="out")
    parser.add_argument("--start", default="", help="folder of exported models to go on from")
    parser.add_argument("--worlds", type=int, default=1200)
    parser.add_argument("--per-world", type=int, default=14, help="seconds, and frames, of each world")
    parser.add_argument("--most", type=int, default=150000, help="crops kept")
    parser.add_argument("--begin-with", type=int, help="crops to wait for; the others are drawn during training")
    parser.add_argument("--first-seed", type=int, default=300000)
    parser.add_argument("--workers", type=int, help="worlds drawn side by side")
    parser.add_argument("--check-worlds", type=int, default=30)
    parser.add_argument("--check-start", action="store_true", help="measure before training too")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--until", type=float, default=math.inf, help="when training ends, seconds since 1970")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--average", type=float, default=0.999, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=12)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    book = open(os.path.join(args.out, "log.jsonl"), "a")

    def log(note):
        print(json.dumps(note), flush=True)
        book.write(json.dumps(note) + "\n")
        book.flush()

    began = time.time()
    check = Crops(args.dump, 910000, args.check_worlds, args.per_world, args.check_worlds * 600, device, args.workers, 1).wait()
    crops = Crops(args.dump, args.first_seed, args.worlds, args.per_world, args.most, device, args.workers).wait(args.begin_with)
    gallery = Gallery(crops)
    log({"task": "reid", "seconds": round(time.time() - began, 1), "crops": len(crops), "identities": len(gallery.count),
         "groups": {c: len(g) for c, g in gallery.groups.items()}, "device": str(device), "seed": args.seed})
    torch.manual_seed(args.seed)
    random = np.random.default_rng(args.seed)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    model = OsNet().to(device).to(memory_format=torch.channels_last)
    path, shipped = os.path.join(args.out, "reid.pt"), os.path.join(args.start, "demo-reid.onnx")
    again = True
    if os.path.exists(path):
        model.load_state_dict(torch.load(path, map_location=device))
    elif args.start and os.path.exists(shipped):
        print("unfolds", load_folded(model, shipped, pictures(crops, torch.arange(min(256, len(crops))) * 7 % len(crops), None, False)),
              "norms of", shipped, flush=True)
    else:
        again = False
    if args.check_start:
        log({"task": "reid", "step": 0, **rank1(model, check)})
    average = Average(model, args.average)
    peak = args.rate * (0.7 if again else 1)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.01), lr=peak, fused=device.type == "cuda")
    began, step, drawn_so_far = time.time(), 0, len(crops)
    seconds = min(args.seconds, args.until - began)
    while step < args.steps:
        progress = max(step / args.steps, (time.time() - began) / seconds)
        if progress >= 1:
            break
        if step % 200 == 0 and len(crops) > drawn_so_far:
            gallery, drawn_so_far = Gallery(crops), len(crops)
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1, (step + 1) / 200) * (0.01 + 0.495 * (1 + math.cos(math.pi * progress)))
        index, who = (torch.from_numpy(v).to(device) for v in gallery.batch(random))
        picture = pictures(crops, index, generator, True)
        model.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features = model(picture.contiguous(memory_format=torch.channels_last))
        loss = contrastive(features, who)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update(model)
        step += 1
        if step % 200 == 0 or step == args.steps:
            log({"task": "reid", "step": step, "seconds": round(time.time() - began, 1), "crops": drawn_so_far, "loss": round(loss.item(), 4)})
            torch.save(average.model.state_dict(), path)
    crops.stop()
    torch.save(average.model.state_dict(), path)
    log({"task": "reid", "done": step, "seconds": round(time.time() - began, 1), **rank1(average.model, check)})


if __name__ == "__main__":
    main()
