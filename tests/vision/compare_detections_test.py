# SPDX-License-Identifier: Apache-2.0
"""tools/compare_detections.py must find what it is there to find."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/compare_detections.py"


def found(score, box=(10, 10, 50, 50), class_id=2):
    return {"class": class_id, "score": score, "box": list(box)}


class CompareDetections(unittest.TestCase):
    def compare(self, expected, got):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, frames in (("expected", expected), ("got", got)):
                paths.append(pathlib.Path(folder, name))
                lines = [json.dumps({"frame": i, "detections": each}) for i, each in enumerate(frames)]
                paths[-1].write_text("\n".join(lines + [json.dumps({"gap": {"stream": 0}})]) + "\n")
            run = subprocess.run([sys.executable, TOOL, *paths], capture_output=True, text=True, check=False)
            return run.returncode, json.loads(run.stdout)

    def test_equal_within_tolerance(self):
        code, report = self.compare([[found(0.9)], []], [[found(0.885, (10, 10, 50, 50.5))], []])
        self.assertEqual((code, report["matched"], report["objects"]), (0, 1.0, 2))

    def test_score_box_and_class_must_fit(self):
        for other in (found(0.87), found(0.9, (10, 10, 50, 54)), found(0.9, class_id=3)):
            code, report = self.compare([[found(0.9)]], [[other]])
            self.assertEqual((code, len(report["missing"]), len(report["invented"])), (1, 1, 1))

    def test_each_object_matches_once(self):
        code, report = self.compare([[found(0.9)]], [[found(0.9), found(0.9)]])
        self.assertEqual((code, report["missing"], len(report["invented"])), (1, [], 1))

    def test_unsure_objects_count_little(self):
        sure = [found(0.9)] * 1
        code, report = self.compare([sure] * 200, [sure + [found(0.32)]] + [sure] * 199)
        self.assertEqual((code, report["invented"]), (0, []))
        code, report = self.compare([sure], [sure + [found(0.29)]])
        self.assertEqual((code, report["objects"]), (0, 2))

    def test_partners_show_how_their_details_differ(self):
        # Runs of zeros and ones in COCO's text: six ones; two of each; 1, 3, 1, 1 with the last as a difference.
        for mask, other, overlap in (("06", "222", 2 / 6), ("131N", "06", 4 / 6), ("131N", "222", 2 / 4)):
            one = {**found(0.9), "mask": {"size": [2, 3], "counts": mask}, "embedding": [1, 0],
                   "keypoints": [[10, 10, 0.9], [0, 0, 0.1]]}
            two = {**found(0.9), "mask": {"size": [2, 3], "counts": other}, "embedding": [0.6, 0.8],
                   "keypoints": [[13, 14, 0.8], [9, 9, 0.9]]}
            code, report = self.compare([[one, found(0.4)]], [[two, found(0.4)]])
            self.assertEqual(code, 1)
            self.assertEqual(report["masks"]["count"], 1)
            self.assertAlmostEqual(report["masks"]["worst"], overlap)
            self.assertEqual(report["masks"]["worse"], 1)
            self.assertEqual(report["keypoints"], {"count": 1, "worst": 5.0, "worse": 1})
            self.assertAlmostEqual(report["embeddings"]["worst"], 0.6)
        code, report = self.compare([[one]], [[one]])
        self.assertEqual(code, 0)
        self.assertEqual([report[key]["worse"] for key in ("masks", "keypoints", "embeddings")], [0, 0, 0])

    def test_frames_of_several_sources(self):
        def lines(*sources):
            return "".join(json.dumps({"source": source, "frame": 0, "detections": [found(score)]}) + "\n"
                           for source, score in sources)
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder, name) for name in ("expected", "got")]
            paths[0].write_text(lines(("here/a.mp4", 0.9), ("here/b.mp4", 0.8)))
            paths[1].write_text(lines(("b.mp4", 0.8), ("a.mp4", 0.9)))
            run = subprocess.run([sys.executable, TOOL, *paths], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, json.loads(run.stdout)["objects"]), (0, 4))

    def test_frames_must_be_there(self):
        self.assertEqual(self.compare([[], []], [[]])[0], 1)


if __name__ == "__main__":
    unittest.main()
