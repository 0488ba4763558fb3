#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plain ByteTrack, written from the paper, that makes the expected data of tests/track.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, on
the Kalman filter of Wojke et al. (DeepSORT): full 8 x 8 matrices, one prediction a frame (a dropped
frame is predicted as well), SciPy's assignment on the matrix that is extended by the price of
staying alone. Slow and obvious on purpose: nothing here is shared with src/track.

What the paper leaves open is as in docs/tracking.md: ids are given when a track is confirmed, every
track is predicted, lost tracks are forgotten before the association.

Usage: bytetrack_reference.py [FOLDER]   (writes kalman.txt and scenes.txt; needs numpy and scipy)
"""

import pathlib
import sys

import numpy as np
from scipy.optimize import linear_sum_assignment

UNCONFIRMED, TRACKED, LOST, REMOVED = range(4)


class Kalman:
    F = np.eye(8) + np.eye(8, k=4)
    H = np.eye(4, 8)

    def __init__(self, box):
        z = measurement(box)
        h = z[3]
        self.x = np.concatenate([z, np.zeros(4)])
        self.P = np.diag(
            np.square([h / 10, h / 10, 1e-2, h / 10, h / 16, h / 16, 1e-5, h / 16]))

    def predict(self, h=None):
        """One frame on; `h`, the scale of the noise, is the current height unless told."""
        h = self.x[3] if h is None else h
        q = [h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160]
        self.x = self.F @ self.x
        self.P = self.F @ self.P @ self.F.T + np.diag(np.square(q))

    def update(self, box):
        h = self.x[3]
        R = np.diag(np.square([h / 20, h / 20, 1e-1, h / 20]))
        S = self.H @ self.P @ self.H.T + R
        K = np.linalg.solve(S, self.H @ self.P).T
        self.x = self.x + K @ (measurement(box) - self.H @ self.x)
        self.P = self.P - K @ S @ K.T

    def box(self):
        cx, cy, a, h = self.x[:4]
        return np.array([cx - a * h / 2, cy - h / 2, cx + a * h / 2, cy + h / 2])


def measurement(box):
    x1, y1, x2, y2 = box
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / (y2 - y1), y2 - y1])


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def assign(cost, limit):
    """Pairs (row, column) of the best partial matching: each side left alone costs limit / 2."""
    n, m = cost.shape
    if n == 0 or m == 0:
        return []
    extended = np.full((n + m, n + m), limit / 2)
    extended[:n, :m] = cost
    extended[n:, m:] = 0
    rows, columns = linear_sum_assignment(extended)
    return [(r, c) for r, c in zip(rows, columns) if r < n and c < m and cost[r, c] < limit]


class Track:
    def __init__(self, detection, frame):
        self.kalman = Kalman(detection["box"])
        self.cls = detection["class"]
        self.id = -1
        self.state = UNCONFIRMED
        self.first = self.last = frame


class ByteTrack:
    def __init__(self, high=0.25, low=0.1, new=0.25, match=0.8, second=0.5, unconfirmed=0.7,
                 buffer=30, class_aware=True):
        self.high, self.low, self.new = high, low, new
        self.match, self.second, self.unconfirmed = match, second, unconfirmed
        self.buffer, self.class_aware = buffer, class_aware
        self.tracks, self.next_id, self.frame = [], 1, None

    def update(self, detections, frame):
        """`frame` counts frames of 1/30 s; those left out were dropped. Returns an id each (-1)."""
        first = self.frame is None
        self.tracks = [t for t in self.tracks
                       if t.state != LOST or frame - t.last <= self.buffer]
        for _ in range(0 if first else frame - self.frame):
            for t in self.tracks:
                if t.state == LOST:
                    t.kalman.x[7] = 0
                t.kalman.predict()
        self.frame = frame
        self.ids = {}
        self.detections = detections
        high = [i for i, d in enumerate(detections) if d["score"] >= self.high]
        low = [i for i, d in enumerate(detections) if self.low <= d["score"] < self.high]
        confirmed = [t for t in self.tracks if t.state != UNCONFIRMED]
        fresh = [t for t in self.tracks if t.state == UNCONFIRMED]

        confirmed, high = self.associate(confirmed, high, self.match, fuse=True)
        confirmed = [t for t in confirmed if t.state == TRACKED]
        confirmed, _ = self.associate(confirmed, low, self.second, fuse=False)
        for t in confirmed:
            t.state = LOST
        fresh, high = self.associate(fresh, high, self.unconfirmed, fuse=True)
        for t in fresh:
            t.state = REMOVED
        for i in high:
            if detections[i]["score"] >= self.new:
                t = Track(detections[i], frame)
                self.tracks.append(t)
                self.ids[i] = t
                if first:
                    self.confirm(t)
        self.remove_duplicates()
        self.tracks = [t for t in self.tracks if t.state != REMOVED]
        return [self.ids[i].id if i in self.ids and self.ids[i].state != REMOVED else -1
                for i in range(len(detections))]

    def confirm(self, track):
        track.state = TRACKED
        if track.id < 0:
            track.id = self.next_id
            self.next_id += 1

    def similarity(self, track, detection, fuse):
        if self.class_aware and track.cls != detection["class"]:
            return 0.0
        overlap = iou(track.kalman.box(), detection["box"])
        return overlap * detection["score"] if fuse else overlap

    def associate(self, tracks, found, limit, fuse):
        cost = np.array([[1 - self.similarity(t, self.detections[i], fuse) for i in found]
                         for t in tracks]).reshape(len(tracks), len(found))
        pairs = assign(cost, limit)
        for r, c in pairs:
            t, d = tracks[r], self.detections[found[c]]
            t.kalman.update(d["box"])
            t.cls = d["class"]
            t.last = self.frame
            self.confirm(t)
            self.ids[found[c]] = t
        rows, columns = {r for r, _ in pairs}, {c for _, c in pairs}
        return ([t for r, t in enumerate(tracks) if r not in rows],
                [i for c, i in enumerate(found) if c not in columns])

    def remove_duplicates(self):
        for lost in [t for t in self.tracks if t.state == LOST]:
            for seen in [t for t in self.tracks if t.state in (TRACKED, UNCONFIRMED)]:
                if self.class_aware and lost.cls != seen.cls:
                    continue
                if iou(lost.kalman.box(), seen.kalman.box()) <= 0.85:
                    continue
                if seen.last - seen.first > lost.last - lost.first:
                    lost.state = REMOVED
                    break
                seen.state = REMOVED


def random_walks(seed, objects, frames, dropped, size=(640, 360)):
    """Objects wander, hide, fade and change; the detector misses some and invents some."""
    rng = np.random.default_rng(seed)
    walkers = []
    for _ in range(objects):
        h = rng.uniform(30, 120)
        walkers.append({
            "centre": rng.uniform([0, 0], size), "size": np.array([h * rng.uniform(0.4, 1.6), h]),
            "velocity": rng.normal(0, 4, 2), "class": int(rng.integers(0, 2)), "hidden": 0})
    for frame in range(frames):
        found = []
        for w in walkers:
            w["velocity"] = 0.97 * w["velocity"] + rng.normal(0, 0.6, 2)
            w["centre"] = w["centre"] + w["velocity"]
            w["velocity"] = np.where((w["centre"] < 0) | (w["centre"] > size),
                                     -w["velocity"], w["velocity"])
            w["hidden"] = w["hidden"] - 1 if w["hidden"] > 0 else (
                int(rng.integers(2, 45)) if rng.random() < 0.012 else 0)
            if w["hidden"] or rng.random() < 0.04:
                continue
            half = w["size"] / 2 * rng.normal(1, 0.02, 2)
            centre = w["centre"] + rng.normal(0, 1, 2)
            score = rng.uniform(0.05, 0.3) if rng.random() < 0.15 else rng.uniform(0.3, 0.95)
            found.append((*(centre - half), *(centre + half), score, w["class"]))
        for _ in range(rng.poisson(0.3)):
            centre = rng.uniform([0, 0], size)
            half = rng.uniform(10, 50, 2)
            found.append((*(centre - half), *(centre + half), rng.uniform(0.1, 0.6),
                          int(rng.integers(0, 2))))
        found.sort(key=lambda d: -d[4])
        if rng.random() < dropped:
            continue
        yield frame, [{"box": np.round(np.array(d[:4]), 1), "score": round(d[4], 3),
                       "class": d[5]} for d in found]


SCENES = [
    # name, seed, objects, frames, share of dropped frames, tracker options
    ("sparse", 1, 6, 150, 0.0, {}),
    ("crowd", 2, 20, 70, 0.0, {}),
    ("dropped", 3, 8, 150, 0.25, {}),
    ("classless", 4, 12, 80, 0.1, {"class_aware": False}),
    ("paper", 5, 10, 100, 0.0, {"high": 0.6, "new": 0.7}),
]


def write_scenes(path):
    with open(path, "w") as out:
        out.write("# bytetrack_reference.py: scene NAME class_aware high new; frame NUMBER COUNT;"
                  " then x1 y1 x2 y2 score class id\n")
        for name, seed, objects, frames, dropped, options in SCENES:
            tracker = ByteTrack(**options)
            out.write(f"scene {name} {int(tracker.class_aware)} {tracker.high} {tracker.new}\n")
            for frame, found in random_walks(seed, objects, frames, dropped):
                out.write(f"frame {frame} {len(found)}\n")
                for d, identity in zip(found, tracker.update(found, frame)):
                    box = " ".join(f"{v:g}" for v in d["box"])
                    out.write(f"{box} {d['score']:g} {d['class']} {identity}\n")


def write_kalman(path):
    """A filter's life: predictions over one or several frames, updates with noisy boxes."""
    rng = np.random.default_rng(7)
    box = np.array([100.0, 80.0, 160.0, 230.0])
    kalman = Kalman(box)
    with open(path, "w") as out:
        out.write("# bytetrack_reference.py: steps, measured box x1 y1 x2 y2, then after the update"
                  " cx cy a h, their velocities, and var value, covariance, var velocity of each\n")
        for step in range(40):
            steps = 0 if step == 0 else int(rng.integers(1, 3))
            height = kalman.x[3]  # a prediction over several frames knows only its start
            for _ in range(steps):
                kalman.predict(height)
            # Eighths are exact in float: the comparison need not forgive any rounding.
            box = np.round(8 * (box + 3 * steps + rng.normal(0, 2, 4))) / 8
            kalman.update(box)
            P = kalman.P
            mask = np.eye(8) + np.eye(8, k=4) + np.eye(8, k=-4)
            assert np.all(P[mask == 0] == 0), "coordinates are coupled"
            values = [*box, *kalman.x]
            for i in range(4):
                values += [P[i, i], P[i, i + 4], P[i + 4, i + 4]]
            out.write(f"{steps} " + " ".join(f"{v:.14g}" for v in values) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).parents[2] / "tests/track/data")
    write_kalman(folder / "kalman.txt")
    write_scenes(folder / "scenes.txt")


if __name__ == "__main__":
    main()
