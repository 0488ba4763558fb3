# SPDX-License-Identifier: Apache-2.0
"""A quick look at a model in training: mean AP at IoU (or OKS) 0.5 and over 0.5 to 0.95, on pictures
kept on the GPU. The measure that counts is `peregrine eval`; this one only steers."""
import numpy as np
import torch

from losses import BODY_SHARE, SIGMAS

THRESHOLDS = np.arange(0.5, 0.96, 0.05)


def average_precision(scores, hits, wanted):
    """hits bool [n, t]; the 101-point interpolation of COCO, for each threshold."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hits[order], 0)
    recall = right / max(wanted, 1)
    precision = right / np.arange(1, len(order) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
    result = []
    for t in range(hits.shape[1]):
        at = np.searchsorted(recall[:, t], np.linspace(0, 1, 101), side="left")
        padded = np.append(precision[:, t], 0.0)
        result.append(padded[np.minimum(at, len(order))].mean())
    return np.array(result)


def box_iou(a, b):
    """a [n, 4], b [m, 4] -> [n, m]"""
    low, high = torch.maximum(a[:, None, :2], b[None, :, :2]), torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    size = lambda x: (x[:, 2:] - x[:, :2]).prod(-1)
    return shared / (size(a)[:, None] + size(b)[None] - shared).clamp(min=1e-9)


def suppress(boxes, scores, kinds, iou=0.7, limit=300):
    """Greedy, class-aware suppression; indices by falling score."""
    order = scores.argsort(descending=True)[:4 * limit]
    rivals = (box_iou(boxes[order], boxes[order]) > iou) & (kinds[order][:, None] == kinds[order][None])
    gone, kept = torch.zeros(len(order), dtype=torch.bool), []
    for i in range(len(order)):
        if not gone[i]:
            kept.append(i)
            gone |= rivals[i]
    return order[kept[:limit]]


def oks(found, truth, area):
    """found [n, 17, 3], truth [m, 17, 3], area [m] -> [n, m]"""
    marked = truth[:, :, 2] > 0
    d2 = ((found[:, None, :, :2] - truth[None, :, :, :2]) ** 2).sum(-1)
    e = d2 / (2 * SIGMAS.to(found.device)) ** 2 / (area[None, :, None] + 1e-9) / 2
    return (torch.exp(-e) * marked).sum(-1) / marked.sum(-1).clamp(min=1)


@torch.no_grad()
def quick_map(model, frames, task, batch=25):
    model.eval()
    device = frames.rgb.device
    collected = {}
    wanted = {}
    for start in range(0, len(frames), batch):
        rows = frames.rows[start:min(start + batch, len(frames))].cpu()
        picture = frames.rgb[start:start + len(rows)].permute(0, 3, 1, 2).float() / 255
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            output = model(picture.contiguous(memory_format=torch.channels_last))
        output = output[0] if isinstance(output, tuple) else output
        for row, out in zip(rows, output.float()):
            out = out[:, out[4:4 + model.classes].amax(0) > 0.01].cpu()
            score, kind = out[4:4 + model.classes].max(0)
            center, size = out[:2].T, out[2:4].T
            boxes = torch.cat((center - size / 2, center + size / 2), 1)
            keep = suppress(boxes, score, kind)
            boxes = boxes[keep]
            for c in row[:, 1].unique().long().tolist() + kind[keep].unique().tolist():
                collected.setdefault(c, [])
                wanted.setdefault(c, 0)
            for c in set(collected) - {-1}:
                if task == "pose" and c != 0:
                    continue
                mine = row[row[:, 1] == c]
                real = mine[mine[:, 7] == 0]
                doubt = mine[mine[:, 7] > 0]
                wanted[c] += len(real)
                chosen = kind[keep] == c
                if not chosen.any():
                    continue
                found = boxes[chosen]
                if task == "pose":
                    points = out[5:, keep[chosen]].T.unflatten(1, (17, 3))
                    area = (real[:, 5] - real[:, 3]) * (real[:, 6] - real[:, 4]) * BODY_SHARE
                    match = oks(points, real[:, 9:60].unflatten(1, (17, 3)), area)
                else:
                    match = box_iou(found, real[:, 3:7])
                match = match.numpy()
                excused = (box_iou(found, doubt[:, 3:7]).amax(1) > 0.3).numpy() if len(doubt) else np.zeros(len(found), bool)
                hits = np.zeros((len(found), len(THRESHOLDS)), bool)
                for t, threshold in enumerate(THRESHOLDS):
                    free = np.ones(match.shape[1], bool)
                    for i in range(len(found)):
                        if match.shape[1] == 0:
                            break
                        best = np.argmax(np.where(free, match[i], -1))
                        if free[best] and match[i, best] >= threshold:
                            hits[i, t], free[best] = True, False
                counted = hits.any(1) | ~excused
                collected[c].append((score[keep][chosen].numpy()[counted], hits[counted]))
    table = {}
    for c in sorted(collected):
        if wanted.get(c, 0) == 0:
            continue
        scores = np.concatenate([s for s, _ in collected[c]]) if collected[c] else np.zeros(0)
        hits = np.concatenate([h for _, h in collected[c]]) if collected[c] else np.zeros((0, len(THRESHOLDS)), bool)
        table[c] = average_precision(scores, hits, wanted[c]) if len(scores) else np.zeros(len(THRESHOLDS))
    values = np.array(list(table.values()))
    return {"map50": round(float(values[:, 0].mean()), 4), "map": round(float(values.mean()), 4),
            "ap50": {str(c): round(float(v[0]), 4) for c, v in table.items()},
            "ap": {str(c): round(float(v.mean()), 4) for c, v in table.items()}}
