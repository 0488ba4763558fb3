#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Both shared clips, every frame, against the independent reference in tests/data/expected (tools/reference made it).

usage: clips_test.py PEREGRINE; exits with 77 (skipped) where the shared models and clips are not there.
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import program

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = program.shared_folder()
MODEL = SHARED / "models" / "coco" / "yolo11n.onnx"
PEREGRINE = ""


class ClipsTest(unittest.TestCase):
    def run_clip(self, name, *flags):
        folder = tempfile.TemporaryDirectory(prefix="peregrine-clips-")
        self.addCleanup(folder.cleanup)
        out = pathlib.Path(folder.name) / "out.jsonl"
        subprocess.run([PEREGRINE, "run", SHARED / "video" / f"{name}.mp4", "--model", MODEL, "--jsonl", out, *flags],
                       check=True, stderr=subprocess.DEVNULL, timeout=900)
        return out

    def compare(self, name, out):
        done = subprocess.run([sys.executable, ROOT / "tools" / "compare_detections.py",
                               ROOT / "tests" / "data" / "expected" / f"{name}.yolo11n.jsonl", out],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_cars(self):
        self.compare("car-detection", self.run_clip("car-detection"))

    def test_people_keep_one_identity_each(self):
        name = "one-by-one-person-detection"
        out = self.run_clip(name, "--track")
        frames = collections.defaultdict(list)  # of each person's track
        for line in map(json.loads, out.read_text().splitlines()):
            for found in line["detections"]:
                # A track is confirmed by its second frame; until then its object has no identity.
                if found["label"] == "person" and found["score"] >= 0.5 and "track" in found:
                    frames[found["track"]].append(line["frame"])
        # Six people walk through, one at a time; seen on the annotated video.
        self.assertEqual(len(frames), 6, dict.fromkeys(frames))
        spans = sorted((seen[0], seen[-1]) for seen in frames.values())
        for before, after in zip(spans, spans[1:]):
            self.assertLess(before[1], after[0])

    def test_embeddings_tell_people_apart(self):
        """OSNet's embeddings of the first two people: of unit length, nearer to their own kind than to the other."""
        out = self.run_clip("one-by-one-person-detection", "--track", "--classes", "0", "--every", "5", "--max-frames",
                            "70", "--reid", SHARED / "models" / "osnet_x0_25.onnx")
        seen = collections.defaultdict(list)
        for line in map(json.loads, out.read_text().splitlines()):
            for person in line["detections"]:
                if "track" in person and person["score"] > 0.7:
                    self.assertEqual(len(person["embedding"]), 512)
                    self.assertAlmostEqual(sum(v * v for v in person["embedding"]), 1, places=2)
                    seen[person["track"]].append(person["embedding"])
        one, other = (embeddings for embeddings in seen.values() if len(embeddings) >= 5)

        def likeness(a, b):
            return sum(x * y for x, y in zip(a, b))

        own = [likeness(group[i], group[i + 1]) for group in (one, other) for i in range(len(group) - 1)]
        cross = [likeness(a, b) for a in one for b in other]
        self.assertGreater(sum(own) / len(own), sum(cross) / len(cross) + 0.1)


if __name__ == "__main__":
    PEREGRINE = str(pathlib.Path(sys.argv.pop(1)).resolve())
    if not MODEL.exists():
        print(f"skipped: needs {MODEL}")
        sys.exit(77)
    unittest.main(verbosity=2)
