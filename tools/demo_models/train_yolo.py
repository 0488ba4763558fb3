# SPDX-License-Identifier: Apache-2.0
"""Trains demo-detect, demo-pose or demo-segment on pictures of the synthetic world.

usage: train_yolo.py --dump PATH/peregrine-synth-dump --plan "detect=9000,pose=5000,segment=5000" --out FOLDER

Tasks are trained in the order of the plan, for that many steps each; a task begins with the trunk of
the one before or of FOLDER/detect.pt (or with FOLDER/TASK.pt when it is there: training goes on). Writes FOLDER/TASK.pt
(weights averaged over the last steps) and FOLDER/log.jsonl. `--seconds` bounds each task's time: the
learning rate then falls with the clock, and a slower GPU takes fewer steps.
"""
import argparse
import copy
import json
import math
import os
import time

import torch

from data import Frames, augmented, targets_of
from losses import detection_loss
from measure import quick_map
from yolo11 import Yolo11

CLASSES = {"detect": 80, "pose": 1, "segment": 80}
MARK_EVERY = 100


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


def train(task, steps, start, frames, check, args, log):
    device = frames.rgb.device
    torch.manual_seed(args.seed)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    model = Yolo11(task, CLASSES[task]).to(device).to(memory_format=torch.channels_last)
    path = os.path.join(args.out, task + ".pt")
    again = os.path.exists(path)
    if again or start:
        state = torch.load(path, map_location=device) if again else start
        print(task, "takes over", transfer(model, {k: v.float() for k, v in state.items()}), "tensors", flush=True)
    average = Average(model, 0.999 if steps > 1000 else 0.99)
    peak = args.rate * (0.5 if again or start else 1.0)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.02), lr=peak, betas=(0.9, 0.98), fused=device.type == "cuda")
    run = torch.compile(model) if args.compile else model
    began, step, seen = time.time(), 0, 0
    while step < steps:
        progress = max(step / steps, (time.time() - began) / args.seconds)
        if progress >= 1:
            break
        rate = peak * min(1, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        strength = 1.0 if progress < 0.8 else 0.25
        index = torch.randint(len(frames), (args.batch,), device=device, generator=generator)
        picture, owners, rows = augmented(frames, index, generator, strength)
        model.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            raw = run(picture.contiguous(memory_format=torch.channels_last))
        loss, parts = detection_loss(model, raw, targets_of(rows, owners, task), picture.shape[-1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update(model)
        step, seen = step + 1, seen + args.batch
        if step % MARK_EVERY == 0 or step == steps:
            note = {"task": task, "step": step, "seconds": round(time.time() - began, 1), "rate": round(rate, 6),
                    "pictures": seen, **{k: round(v.item(), 4) for k, v in parts.items()}}
            log(note)
    torch.save(average.model.state_dict(), path)
    log({"task": task, "done": step, "seconds": round(time.time() - began, 1), **quick_map(average.model, check, task)})
    return average.model.state_dict()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dump", required=True)
    parser.add_argument("--plan", default="detect=9000,pose=5000,segment=5000")
    parser.add_argument("--out", default="out")
    parser.add_argument("--worlds", type=int, default=5000)
    parser.add_argument("--per-world", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=100000)
    parser.add_argument("--check-worlds", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1e9], help="limit of each task of the plan")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--compile", action="store_true")
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
    check = Frames(args.dump, 900000, args.check_worlds, 2, device)
    frames = Frames(args.dump, args.first_seed, args.worlds, args.per_world, device)
    log({"drawn": len(frames), "seconds": round(time.time() - began, 1), "device": str(device), "seed": args.seed,
         "first_seed": args.first_seed, "batch": args.batch, "rate": args.rate, "torch": torch.__version__})
    trunk = os.path.join(args.out, "detect.pt")
    state = torch.load(trunk, map_location=device) if os.path.exists(trunk) else None
    limits = args.seconds
    for number, part in enumerate(args.plan.split(",")):
        task, steps = part.split("=")
        args.seconds = limits[min(number, len(limits) - 1)]
        state = train(task, int(steps), state, frames, check, args, log)


if __name__ == "__main__":
    main()
