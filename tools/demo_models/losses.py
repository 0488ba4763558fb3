# SPDX-License-Identifier: Apache-2.0
"""What the detectors are trained on: task-aligned assignment (Feng et al., TOOD, 2021), complete
IoU (Zheng et al., 2020), distribution focal loss (Li et al., 2020), OKS for keypoints (COCO), and
cross-entropy of masks within their boxes (YOLACT, Bolya et al., 2019)."""
import math

import torch
import torch.nn.functional as F

from yolo11 import BINS, box_sides, cells

TOP_CELLS, ALPHA, BETA = 10, 0.5, 6.0
WEIGHTS = {"box": 7.5, "class": 0.5, "dfl": 1.5, "keypoint": 12.0, "visible": 1.0, "mask": 7.5}
BODY_SHARE = 0.45  # of its box that a person covers: OKS is measured by the area of the body
# COCO's per-keypoint deviations.
SIGMAS = torch.tensor([.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]) / 10


def complete_iou(a, b, eps=1e-7):
    """CIoU of corner boxes, broadcast over leading dimensions."""
    aw, ah = (a[..., 2] - a[..., 0]).clamp(min=eps), (a[..., 3] - a[..., 1]).clamp(min=eps)
    bw, bh = (b[..., 2] - b[..., 0]).clamp(min=eps), (b[..., 3] - b[..., 1]).clamp(min=eps)
    iw = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    ih = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp(min=0)
    shared = iw * ih
    iou = shared / (aw * ah + bw * bh - shared + eps)
    cw = torch.maximum(a[..., 2], b[..., 2]) - torch.minimum(a[..., 0], b[..., 0])
    ch = torch.maximum(a[..., 3], b[..., 3]) - torch.minimum(a[..., 1], b[..., 1])
    apart = ((a[..., 0] + a[..., 2] - b[..., 0] - b[..., 2]) ** 2 + (a[..., 1] + a[..., 3] - b[..., 1] - b[..., 3]) ** 2) / 4
    v = (4 / math.pi ** 2) * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + 1 + eps)
    return iou - apart / (cw ** 2 + ch ** 2 + eps) - alpha * v


@torch.no_grad()
def assign(scores, boxes, centers, targets):
    """Which cell answers for which object.

    scores [b, n, classes] probabilities, boxes [b, n, 4] and centers [n, 2] in pixels; targets:
    boxes [b, m, 4], classes [b, m], valid [b, m]. Returns the object of each cell [b, n], whether
    it has one [b, n], and how good an answer is expected of it [b, n].
    """
    want, valid = targets["boxes"], targets["valid"]
    batch, m, _ = want.shape
    n = centers.shape[0]
    inside = torch.minimum((centers[None, None] - want[:, :, None, :2]).amin(-1),
                           (want[:, :, None, 2:] - centers[None, None]).amin(-1)) > 1e-9
    inside &= valid[:, :, None]
    picked = scores.transpose(1, 2).gather(1, targets["classes"][:, :, None].expand(-1, -1, n))
    iou = complete_iou(boxes[:, None], want[:, :, None]).clamp(min=0) * inside
    metric = picked.pow(ALPHA) * iou.pow(BETA) * inside
    best, index = metric.topk(TOP_CELLS, dim=2)
    chosen = torch.zeros_like(inside).scatter_(2, index, best > 1e-9)
    # A cell wanted by several answers for the one it fits best.
    contested = chosen.sum(1) > 1
    fittest = torch.zeros_like(chosen).scatter_(1, iou.argmax(1, keepdim=True), True)
    chosen = torch.where(contested[:, None], fittest & inside, chosen)
    metric, iou = metric * chosen, iou * chosen
    quality = metric * iou.amax(2, keepdim=True) / (metric.amax(2, keepdim=True) + 1e-9)
    return chosen.int().argmax(1), chosen.any(1), quality.amax(1)


def detection_loss(model, raw, targets, size):
    """Sum and parts of the loss of a batch; `size` is the picture's side in pixels."""
    sizes = [(size // s, size // s) for s in (8, 16, 32)]
    device = raw["box"].device
    centers, strides = cells(sizes, device)
    logits = raw["score"].float().transpose(1, 2)
    sides = box_sides(raw["box"].float())
    corners = torch.cat((centers - sides[:, :2], centers + sides[:, 2:]), 1).transpose(1, 2)  # in strides
    owner, positive, quality = assign(logits.detach().sigmoid(), corners.detach() * strides[:, None],
                                      (centers * strides).T, targets)
    total = quality.sum().clamp(min=1)
    goal = torch.zeros_like(logits)
    kinds = targets["classes"].gather(1, owner)
    goal.scatter_(2, kinds[..., None], (quality * positive)[..., None])
    # Cells on objects that nobody asks for are neither right nor wrong.
    pixels = (centers * strides).T
    doubtful = ((pixels[None, None] > targets["ignored"][:, :, None, :2]) &
                (pixels[None, None] < targets["ignored"][:, :, None, 2:])).all(-1).any(1)
    counts = positive | ~doubtful
    parts = {"class": (F.binary_cross_entropy_with_logits(logits, goal, reduction="none").sum(-1) * counts).sum() / total}

    where = positive.nonzero(as_tuple=True)
    object_of = owner[where]
    weight = quality[where]
    stride = strides[where[1]]
    want = targets["boxes"][where[0], object_of]
    have = corners[where]
    parts["box"] = ((1 - complete_iou(have, want / stride[:, None])) * weight).sum() / total
    center = centers.T[where[1]]
    distance = torch.cat((center - want[:, :2] / stride[:, None], want[:, 2:] / stride[:, None] - center), 1)
    distance = distance.clamp(0, BINS - 1.01)
    low = distance.long()
    share = low + 1 - distance
    bins = raw["box"].float().transpose(1, 2)[where].view(-1, BINS)
    cross = lambda index: F.cross_entropy(bins, index.view(-1), reduction="none").view(-1, 4)
    parts["dfl"] = ((cross(low) * share + cross(low + 1) * (1 - share)).mean(1) * weight).sum() / total
    if model.task == "pose":
        keypoint_parts(parts, model, raw, targets, where, object_of, center, stride, want)
    if model.task == "segment":
        parts["mask"] = mask_loss(raw, targets, where, object_of, want, size)
    return sum(WEIGHTS[k] * v for k, v in parts.items()), {k: v.detach() for k, v in parts.items()}


def keypoint_parts(parts, model, raw, targets, where, object_of, center, stride, want):
    points = raw["extra"].float().transpose(1, 2)[where].view(-1, model.keypoints, 3)
    truth = targets["keypoints"][where[0], object_of]
    places = (points[..., :2] * 2 + (center - 0.5)[:, None]) * stride[:, None, None]
    marked = truth[..., 2] > 0
    area = ((want[:, 2] - want[:, 0]) * (want[:, 3] - want[:, 1])).clamp(min=16) * BODY_SHARE
    error = (places - truth[..., :2]).pow(2).sum(-1) / (2 * (2 * SIGMAS.to(points.device)).pow(2) * area[:, None])
    each = ((1 - torch.exp(-error)) * marked).sum(1) / marked.sum(1).clamp(min=1)
    parts["keypoint"] = each.sum() / max(1, each.numel())
    parts["visible"] = F.binary_cross_entropy_with_logits(points[..., 2], marked.float())


def mask_loss(raw, targets, where, object_of, want, size, most=1600):
    """Cross-entropy at stride 4 inside of each object's box, by its area, over cells that answer
    for an object (a seeded sample of them: masks are large)."""
    prototypes = raw["prototypes"].float()
    height, width = prototypes.shape[-2:]
    picked = torch.arange(len(object_of), device=want.device)
    if len(picked) > most:
        picked = torch.randperm(len(picked), device=want.device)[:most]
    if len(picked) == 0:
        return prototypes.sum() * 0
    picture = where[0][picked]
    order = picture.argsort()
    picked, picture = picked[order], picture[order]
    weights = raw["extra"].float().transpose(1, 2)[where][picked]
    counts = torch.bincount(picture, minlength=len(prototypes)).tolist()
    logits = torch.cat([w @ p.flatten(1) for w, p in zip(weights.split(counts), prototypes) if len(w)])
    truth = (targets["owners"][picture].flatten(1) == targets["slots"][picture, object_of[picked]][:, None])
    box = want[picked] * (width / size)
    x = torch.arange(width, device=want.device) + 0.5
    y = torch.arange(height, device=want.device) + 0.5
    inside = ((x > box[:, :1] - 1) & (x < box[:, 2:3] + 1))[:, None] & ((y > box[:, 1:2] - 1) & (y < box[:, 3:] + 1))[:, :, None]
    each = F.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none") * inside.flatten(1)
    area = ((box[:, 2] - box[:, 0] + 2) * (box[:, 3] - box[:, 1] + 2)).clamp(min=1)
    return (each.sum(1) / area).mean()
