# SPDX-License-Identifier: Apache-2.0
"""Trains demo-detect, demo-pose and demo-segment on pictures of the synthetic world.

usage: train_yolo.py --dump PATH/peregrine-synth-dump --plan "detect=9000,pose=5000" --out FOLDER

Parts of the plan are trained one after the other, for that many steps each. "detect+pose+segment/3"
trains three models side by side on the same pictures, the last one with every third batch. A task
goes on from FOLDER/TASK.pt, else from the ONNX file in `--start`, else from the trunk of the task
before or of FOLDER/detect.pt, else from nothing. Writes FOLDER/TASK.pt (weights averaged over the
last steps) and FOLDER/log.jsonl. `--seconds` bounds each part's time and `--until` (seconds since
1970) when it ends: the learning rate then falls with the clock, and a slower GPU takes fewer steps.
"""
import argparse
import copy
import json
import math
import os
import time

import torch

from data import Frames, augmented, stacked, targets_of
from folded import load_folded
from losses import detection_loss
from measure import quick_map
from yolo11 import Yolo11

CLASSES = {"detect": 80, "pose": 1, "segment": 80}
MARK_EVERY, SAVE_EVERY = 100, 500
CALM_FROM = 0.8  # of the training: from here on single pictures, little changed


def transfer(model, state):
    """Takes over every tensor of the same name and shape."""
    own = model.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    own.update(fitting)
    model.load_state_dict(own)
    return len(fitting)


class Average:
    """Exponential moving average of the weights, warmed up so that the start is forgotten."""

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = copy.deepcopy(model).eval(), decay, 0

    @torch.no_grad()
    def update(self, model):
        self.steps += 1
        keep = self.decay * (1 - math.exp(-self.steps / 500))
        mine, theirs = [], []
        for (_, a), (_, b) in zip(self.model.state_dict().items(), model.state_dict().items()):
            if a.dtype.is_floating_point:
                mine.append(a)
                theirs.append(b)
            else:
                a.copy_(b)
        torch._foreach_lerp_(mine, theirs, 1 - keep)


def parameter_groups(model, decay):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


class Trainer:
    """One model in training: `every` says with which batches."""

    def __init__(self, task, every, trunk, frames, args):
        self.task, self.every, self.path = task, every, os.path.join(args.out, task + ".pt")
        device = frames.device
        self.model = Yolo11(task, CLASSES[task]).to(device).to(memory_format=torch.channels_last)
        shipped = os.path.join(args.start, f"demo-{task}.onnx") if args.start else ""
        self.fresh = False
        if os.path.exists(self.path):
            self.model.load_state_dict(torch.load(self.path, map_location=device))
        elif os.path.exists(shipped):
            some = frames.rgb[:min(len(frames), args.batch)].permute(0, 3, 1, 2).float() / 255
            print(task, "unfolds", load_folded(self.model, shipped, some), "norms of", shipped, flush=True)
        elif trunk:
            print(task, "takes over", transfer(self.model, trunk), "tensors", flush=True)
        else:
            self.fresh = True
        self.average = Average(self.model, 0.999 if args.average is None else args.average)
        self.peak = args.rate * (1.0 if self.fresh else 0.5)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, 0.02), lr=self.peak, betas=(0.9, 0.98),
                                           fused=device.type == "cuda")

    def step(self, picture, owners, rows, share):
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * share
        self.model.train()
        with torch.autocast(picture.device.type, torch.bfloat16, enabled=picture.device.type == "cuda"):
            raw = self.model(picture)
        loss, parts = detection_loss(self.model, raw, targets_of(rows, owners, self.task), picture.shape[-1])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.average.update(self.model)
        return parts

    def save(self):
        torch.save(self.average.model.state_dict(), self.path)


def train(part, trunk, frames, check, args, seconds, log):
    names, steps = part.split("=")
    steps = int(steps)
    device = frames.device
    torch.manual_seed(args.seed)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    trainers = [Trainer(name.partition("/")[0], int(name.partition("/")[2] or 1), trunk, frames, args) for name in names.split("+")]
    if args.check_start:
        for t in trainers:
            log({"task": t.task, "step": 0, **quick_map(t.average.model, check, t.task)})
    began, step = time.time(), 0
    seconds = min(seconds, args.until - began)
    while step < steps:
        progress = max(step / steps, (time.time() - began) / seconds)
        if progress >= 1:
            break
        share = min(1, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        wild = progress < CALM_FROM
        index = torch.randint(len(frames), (args.batch * (2 if wild else 1),), device=device, generator=generator)
        picture, owners, rows = stacked(frames, index, generator, 1.0) if wild else augmented(frames, index, generator, 0.25)
        picture = picture.contiguous(memory_format=torch.channels_last)
        step += 1
        for t in trainers:
            if step % t.every:
                continue
            parts = t.step(picture, owners, rows, share)
            if step // t.every % MARK_EVERY == 0:
                log({"task": t.task, "step": step, "seconds": round(time.time() - began, 1), "rate": round(t.peak * share, 6),
                     "drawn": len(frames), **{k: round(v.item(), 4) for k, v in parts.items()}})
            if step // t.every % SAVE_EVERY == 0:
                t.save()
    for t in trainers:
        t.save()
    for t in trainers:
        log({"task": t.task, "done": step // t.every, "seconds": round(time.time() - began, 1), **quick_map(t.average.model, check, t.task)})
    return trainers[-1].average.model.state_dict()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dump", required=True)
    parser.add_argument("--plan", default="detect=9000,pose=5000,segment=5000")
    parser.add_argument("--out", default="out")
    parser.add_argument("--start", default="", help="folder of exported models to go on from")
    parser.add_argument("--worlds", type=int, default=5000)
    parser.add_argument("--per-world", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=100000)
    parser.add_argument("--begin-with", type=int, help="pictures to wait for; the others are drawn during training")
    parser.add_argument("--workers", type=int, help="worlds drawn side by side")
    parser.add_argument("--check-worlds", type=int, default=100)
    parser.add_argument("--check-start", action="store_true", help="measure before training too")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--average", type=float, help="decay of the averaged weights")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1e9], help="limit of each part of the plan")
    parser.add_argument("--until", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    book = open(os.path.join(args.out, "log.jsonl"), "a")

    def log(note):
        line = json.dumps(note)
        print(line, flush=True)
        book.write(line + "\n")
        book.flush()

    began = time.time()
    # The worlds of the check are seen by no training.
    check = Frames(args.dump, 900000, args.check_worlds, 2, device, args.workers).wait()
    frames = Frames(args.dump, args.first_seed, args.worlds, args.per_world, device, args.workers).wait(args.begin_with)
    log({"drawn": len(frames), "seconds": round(time.time() - began, 1), "device": str(device), "seed": args.seed,
         "first_seed": args.first_seed, "batch": args.batch, "rate": args.rate, "torch": torch.__version__})
    trunk = os.path.join(args.out, "detect.pt")
    trunk = torch.load(trunk, map_location=device) if os.path.exists(trunk) else None
    for number, part in enumerate(args.plan.split(",")):
        trunk = train(part, trunk, frames, check, args, args.seconds[min(number, len(args.seconds) - 1)], log)
    frames.stop()


if __name__ == "__main__":
    main()
