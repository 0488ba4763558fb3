#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/eval/data: a small truth, a noisy result, and what pycocotools and TrackEval measure.

usage: make_expectations.py PATH/peregrine tests/eval/data   (needs numpy, pycocotools, trackeval)

The truth is a synthetic clip; the result is that truth with boxes, masks and keypoints moved, some
objects lost, some invented, identities switched. `peregrine eval` must measure the same to 1e-6.
"""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

np.float, np.int = float, int  # TrackEval 1.x uses names that numpy has dropped
from trackeval.metrics import CLEAR, HOTA, Identity  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402

WIDTH, HEIGHT = 320, 180


def worsen(frames, rng):
    """A result such as a middling model and tracker would give."""
    renamed = {}
    result = []
    for frame in frames:
        objects = []
        for o in frame["detections"]:
            if rng.random() < 0.12:
                continue
            if rng.random() < 0.03:
                renamed[o["track"]] = int(rng.integers(1000, 1400))
            x1, y1, x2, y2 = np.array(o["box"]) + rng.normal(0, 0.04, 4) * (o["box"][2] - o["box"][0] + 2)
            found = {"class": o["class"], "score": round(float(rng.uniform(0.3, 1)), 4),
                     "box": [round(float(v), 2) for v in (x1, y1, max(x2, x1 + 1), max(y2, y1 + 1))],
                     "track": renamed.get(o["track"], o["track"])}
            bitmap = rle.decode(o["mask"])
            bitmap = np.roll(bitmap, rng.integers(-1, 2, 2), (0, 1))
            counts = rle.encode(np.asfortranarray(bitmap))
            found["mask"] = {"size": counts["size"], "counts": counts["counts"].decode()}
            if "keypoints" in o:
                found["keypoints"] = [[round(float(x + rng.normal(0, 1.2)), 2), round(float(y + rng.normal(0, 1.2)), 2), 0.9]
                                      for x, y, _ in o["keypoints"]]
            objects.append(found)
        for _ in range(int(rng.integers(0, 3))):
            x, y, w, h = rng.uniform(0, 250), rng.uniform(0, 120), rng.uniform(10, 60), rng.uniform(10, 60)
            empty = rle.encode(np.asfortranarray(np.pad(np.ones((8, 8), np.uint8), ((20, HEIGHT - 28), (20, WIDTH - 28)))))
            objects.append({"class": int(rng.choice([0, 1, 2, 16])), "score": round(float(rng.uniform(0.05, 0.6)), 4),
                            "box": [round(float(v), 2) for v in (x, y, x + w, y + h)], "track": int(rng.integers(2000, 2010)),
                            "mask": {"size": empty["size"], "counts": empty["counts"].decode()}})
        for o in objects:
            if o["class"] == 0 and "keypoints" not in o:
                o["keypoints"] = [[round(float(v), 2) for v in rng.uniform(0, 180, 2)] + [0.5] for _ in range(17)]
        result.append({**{k: v for k, v in frame.items() if k != "detections"}, "detections": objects})
    return result


def f32(values):
    """What a reader that keeps single precision sees."""
    return [float(np.float32(v)) for v in values]


def coco_truth(frames):
    annotations = []
    for frame in frames:
        for o in frame["detections"]:
            x1, y1, x2, y2 = f32(o["box"])
            annotation = {"id": len(annotations) + 1, "image_id": frame["frame"], "category_id": o["class"], "bbox": [x1, y1, x2 - x1, y2 - y1],
                          "area": float(rle.area(o["mask"])), "iscrowd": int(o.get("ignore", False)), "segmentation": o["mask"]}
            points = o.get("keypoints", [[0, 0, 0]] * 17)
            flat = [v for x, y, s in points for v in (*f32((x, y)), int(round(s * 2)))]
            annotation.update(keypoints=flat, num_keypoints=sum(v > 0 for v in flat[2::3]))
            annotations.append(annotation)
    classes = sorted({a["category_id"] for a in annotations})
    return {"images": [{"id": f["frame"], "width": WIDTH, "height": HEIGHT} for f in frames], "annotations": annotations,
            "categories": [{"id": c, "name": str(c)} for c in classes]}


def coco_found(frames, kind):
    found = []
    for frame in frames:
        for o in frame["detections"]:
            entry = {"image_id": frame["frame"], "category_id": o["class"], "score": float(np.float32(o["score"]))}
            x1, y1, x2, y2 = f32(o["box"])
            if kind == "bbox":
                entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            elif kind == "segm":
                entry["segmentation"] = o["mask"]
            else:
                if "keypoints" not in o:
                    continue
                entry["keypoints"] = [v for x, y, s in o["keypoints"] for v in (*f32((x, y)), s)]
            found.append(entry)
    return found


def precision(truth, result, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = coco_truth(truth)
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(coco_found(result, kind)), kind)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        if kind == "keypoints":
            evaluation.params.catIds = [0]
        evaluation.evaluate()
        evaluation.accumulate()
    p = evaluation.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes
    good = [k for k in range(p.shape[2]) if p[0, 0, k] > -1]
    return {"map50": float(p[0][:, good].mean()), "map75": float(p[5][:, good].mean()), "map": float(p[:, :, good].mean()),
            "classes": {str(evaluation.params.catIds[k]): [float(v) for v in p[:, :, k].mean(1)] for k in good}}


def overlap(a, b):
    a, b = np.array(a, np.float32).astype(float).reshape(-1, 4), np.array(b, np.float32).astype(float).reshape(-1, 4)
    w = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    h = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    shared = np.maximum(w, 0) * np.maximum(h, 0)
    area = lambda v: (v[:, 2] - v[:, 0]) * (v[:, 3] - v[:, 1])
    return shared / (area(a)[:, None] + area(b)[None] - shared)


def tracking(truth, result, kind):
    """TrackEval's metrics on one class, after the MOT challenge's handling of what is to be ignored."""
    data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": [], "num_timesteps": len(truth)}
    gt_table, tr_table = {}, {}
    for t, r in zip(truth, result):
        gt = [o for o in t["detections"] if o["class"] == kind]
        tr = [o for o in r["detections"] if o["class"] == kind]
        alike = overlap([o["box"] for o in gt], [o["box"] for o in tr])
        score = np.where(alike < 0.5 - np.finfo(float).eps, 0, alike)
        rows, columns = linear_sum_assignment(-score)
        drop = {c for row, c in zip(rows, columns) if score[row, c] > np.finfo(float).eps and gt[row].get("ignore")}
        keep_gt = [i for i, o in enumerate(gt) if not o.get("ignore")]
        keep_tr = [i for i in range(len(tr)) if i not in drop]
        data["similarity_scores"].append(alike[np.ix_(keep_gt, keep_tr)])
        data["gt_ids"].append(np.array([gt_table.setdefault(gt[i]["track"], len(gt_table)) for i in keep_gt], int))
        data["tracker_ids"].append(np.array([tr_table.setdefault(tr[i]["track"], len(tr_table)) for i in keep_tr], int))
    data.update(num_gt_ids=len(gt_table), num_tracker_ids=len(tr_table), num_gt_dets=sum(map(len, data["gt_ids"])),
                num_tracker_dets=sum(map(len, data["tracker_ids"])))
    with contextlib.redirect_stdout(io.StringIO()):
        hota, clear, identity = (m.eval_sequence(data) for m in (HOTA(), CLEAR(), Identity()))
    return {"hota": float(np.mean(hota["HOTA"])), "deta": float(np.mean(hota["DetA"])), "assa": float(np.mean(hota["AssA"])),
            "loca": float(np.mean(hota["LocA"])), "mota": float(clear["MOTA"]), "motp": float(clear["MOTP"]), "switches": int(clear["IDSW"]),
            "missed": int(clear["CLR_FN"]), "invented": int(clear["CLR_FP"]), "idf1": float(identity["IDF1"]),
            "idp": float(identity["IDP"]), "idr": float(identity["IDR"])}


def main(program, out):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "truth.jsonl")
        subprocess.run([program, "synth", "--seed", "5", "--size", f"{WIDTH}x{HEIGHT}", "--fps", "5", "--seconds", "6", "--crowd", "1",
                        "--truth", path], check=True)
        truth = [json.loads(line) for line in open(path)]
    for frame in truth:
        frame["source"] = "synth:seed=5"
    result = worsen(truth, np.random.default_rng(3))
    os.makedirs(out, exist_ok=True)
    for name, frames in (("truth", truth), ("result", result)):
        with open(os.path.join(out, name + ".jsonl"), "w") as file:
            file.writelines(json.dumps(frame, separators=(",", ":")) + "\n" for frame in frames)
    expected = {"boxes": precision(truth, result, "bbox"), "masks": precision(truth, result, "segm"),
                "keypoints": precision(truth, result, "keypoints"), "tracking_of_people": tracking(truth, result, 0)}
    with open(os.path.join(out, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
