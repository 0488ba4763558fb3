# SPDX-License-Identifier: Apache-2.0
"""Trains demo-reid (OSNet x0.25) on crops of everybody and everything in the synthetic world.

usage: train_reid.py --dump PATH/peregrine-synth-dump --out FOLDER [--steps 4000]

Batches of 32 identities with 8 crops each; the loss is the supervised contrastive one (Khosla et
al., 2020) over the unit sphere, so nothing but distances is learnt. Crops are cut from the visible
box, jittered as a detector's boxes are. Writes FOLDER/reid.pt.
"""
import argparse
import json
import math
import os
import time

import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from data import Frames
from osnet import OsNet
from train_yolo import Average, parameter_groups

HEIGHT, WIDTH = 256, 128
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IDENTITIES, CROPS, TEMPERATURE = 32, 8, 0.07


class Gallery:
    """Where each identity can be seen: [k, 2] pairs of picture and row, grouped by identity."""

    def __init__(self, frames, least=4):
        rows = frames.rows
        good = (rows[..., 1] >= 0) & (rows[..., 7] == 0) & (rows[..., 8] > 0.45) & (rows[..., 6] - rows[..., 4] > 20)
        picture, row = good.nonzero(as_tuple=True)
        key = rows[picture, row, 60].long() * 4096 + rows[picture, row, 2].long()
        _, identity, counts = key.unique(return_inverse=True, return_counts=True)
        order = identity.argsort(stable=True)
        self.picture, self.row, self.identity = picture[order], row[order], identity[order]
        first = counts.cumsum(0) - counts
        enough = counts >= least
        self.first, self.count = first[enough], counts[enough]
        self.person = rows[self.picture[self.first], self.row[self.first], 1] == 0


def crops(frames, picture, row, generator, training):
    boxes = frames.rows[picture, row, 3:7].clone()
    size = torch.stack((boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]), 1)
    n, device = len(boxes), boxes.device
    random = lambda *shape: torch.rand(*shape, device=device, generator=generator)
    if training:
        boxes += (random(n, 4) - 0.5) * 0.12 * size.repeat(1, 2)
    pictures, place = picture.unique(return_inverse=True)
    whole = frames.rgb[pictures].permute(0, 3, 1, 2).float() / 255
    cut = roi_align(whole, torch.cat((place[:, None].float(), boxes), 1), (HEIGHT, WIDTH), aligned=True)
    if training:
        mirror = random(n) < 0.5
        cut[mirror] = cut[mirror].flip(3)
        cut = (cut * (1 + (random(n, 3, 1, 1) - 0.5) * 0.12) * (1 + (random(n, 1, 1, 1) - 0.5) * 0.4)
               + torch.randn(cut.shape, device=device, generator=generator) * 0.015).clamp(0, 1)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (cut - mean) / std


def contrastive(features, identity):
    unit = F.normalize(features.float(), dim=1)
    logits = unit @ unit.T / TEMPERATURE
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same = (identity[:, None] == identity[None]) & ~itself
    log = logits - torch.logsumexp(logits.masked_fill(itself, -1e9), 1, keepdim=True)
    return -((log * same).sum(1) / same.sum(1)).mean()


@torch.no_grad()
def rank1(model, frames, gallery, people_only=True):
    """Each crop asks among all crops from other pictures; the world's identities are all there."""
    model.eval()
    picture, row, identity = gallery.picture, gallery.row, gallery.identity
    if people_only:
        keep = frames.rows[picture, row, 1] == 0
        picture, row, identity = picture[keep], row[keep], identity[keep]
    features = torch.cat([F.normalize(model(crops(frames, p, r, None, False)), dim=1)
                          for p, r in zip(picture.split(256), row.split(256))])
    similar = features @ features.T
    similar[picture[:, None] == picture[None]] = -2
    askable = ((identity[:, None] == identity[None]) & (picture[:, None] != picture[None])).any(1)
    hit = identity[similar.argmax(1)] == identity
    return float(hit[askable].float().mean()), int(askable.sum()), int(identity.unique().numel())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dump", required=True)
    parser.add_argument("--out", default="out")
    parser.add_argument("--worlds", type=int, default=1500)
    parser.add_argument("--per-world", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=300000)
    parser.add_argument("--check-worlds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--rate", type=float, default=1.5e-3)
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

    check = Frames(args.dump, 910000, args.check_worlds, args.per_world, device, chunk=4)
    frames = Frames(args.dump, args.first_seed, args.worlds, args.per_world, device, chunk=10)
    gallery, unseen = Gallery(frames), Gallery(check)
    log({"task": "reid", "identities": len(gallery.first), "people": int(gallery.person.sum()), "crops": len(gallery.picture)})
    torch.manual_seed(args.seed)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    model = OsNet().to(device).to(memory_format=torch.channels_last)
    path = os.path.join(args.out, "reid.pt")
    again = os.path.exists(path)
    if again:
        model.load_state_dict(torch.load(path, map_location=device))
    average = Average(model, 0.999 if args.steps > 500 else 0.9)
    peak = args.rate * (0.4 if again else 1)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.01), lr=peak, fused=device.type == "cuda")
    # People look most alike, so most of a batch is people.
    weights = torch.where(gallery.person, 4.0, 1.0)
    began, step = time.time(), 0
    while step < args.steps:
        progress = max(step / args.steps, (time.time() - began) / args.seconds)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1, (step + 1) / 200) * (0.01 + 0.495 * (1 + math.cos(math.pi * progress)))
        who = torch.multinomial(weights, IDENTITIES, generator=generator)
        place = torch.rand(IDENTITIES, CROPS, device=device, generator=generator) * gallery.count[who, None]
        index = (gallery.first[who, None] + place.long()).flatten()
        picture = crops(frames, gallery.picture[index], gallery.row[index], generator, True)
        model.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features = model(picture.contiguous(memory_format=torch.channels_last))
        loss = contrastive(features, who.repeat_interleave(CROPS))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update(model)
        step += 1
        if step % 200 == 0 or step == args.steps:
            log({"task": "reid", "step": step, "seconds": round(time.time() - began, 1), "loss": round(loss.item(), 4)})
    torch.save(average.model.state_dict(), path)
    people, asked, identities = rank1(average.model, check, unseen)
    everything, _, _ = rank1(average.model, check, unseen, people_only=False)
    log({"task": "reid", "done": step, "seconds": round(time.time() - began, 1), "rank1_people": round(people, 4),
         "rank1_all": round(everything, 4), "asked": asked, "identities": identities})


if __name__ == "__main__":
    main()
