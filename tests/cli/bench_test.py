#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`peregrine bench VIDEO --model M`: the search for the number of cameras, its reports and its refusals.

usage: bench_test.py PEREGRINE [unittest arguments]; needs ffmpeg.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testing"))
import onnx_writer  # noqa: E402
import program  # noqa: E402

FPS = 100  # a stream counts as under way after 64 frames


class BenchTest(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.data = pathlib.Path(tempfile.mkdtemp(prefix="peregrine-bench-"))
        cls.model = cls.data / "red.onnx"
        cls.model.write_bytes(onnx_writer.red_square_detector(64))
        cls.clip = cls.data / "clip.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=64x64:r={FPS}:d=0.5", "-c:v",
                        "libx264", "-pix_fmt", "yuv420p", cls.clip], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.data)

    def bench(self, *arguments, bound=10000):
        """The report of trials that a busy machine passes too: deep queues, a lenient bound."""
        done = self.peregrine("bench", self.clip, "--model", self.model, "--device", "cpu", "--seconds", "0.4",
                              "--latency", bound, "--set", "input.queue_depth=256", "--json", "-", *arguments)
        return json.loads(done.stdout)

    def test_the_table_of_files(self):
        """bench/pipeline/files_on_gpu.py, without the GPU that it is for."""
        (self.folder / "1080p-h264.mp4").symlink_to(self.clip)
        tool = pathlib.Path(__file__).resolve().parents[2] / "bench" / "pipeline" / "files_on_gpu.py"
        command = [sys.executable, str(tool), "--programs", str(pathlib.Path(program.PEREGRINE).resolve().parent), "--clips",
                   str(self.folder), "--out", str(self.folder / "out"), "--device", "cpu", "--only", "8 at once", "--model"]
        done = subprocess.run([*command, str(self.model)], capture_output=True, text=True, timeout=120, env=self.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        [row] = json.loads((self.folder / "out" / "files-on-gpu.json").read_text())["rows"]
        self.assertEqual(row["frames"], 8 * 24 * FPS // 2)
        self.assertIn("| 8 at once | 9600 |", done.stdout)
        done = subprocess.run([*command, "no.onnx"], capture_output=True, text=True, timeout=120, env=self.environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no.onnx", done.stderr)

    def test_trials_of_given_numbers(self):
        report = self.bench("--streams", "1,3", "--track", "--chart", "load.svg")
        self.assertEqual(report["schema"], 1)
        self.assertEqual(report["kind"], f"64x64 at {FPS} fps, h264")
        self.assertEqual(report["streams"], 3)
        self.assertEqual([each["streams"] for each in report["trials"]], [1, 3])
        self.assertIsNone(report["limit"])
        self.assertTrue(report["answer"].startswith("3 streams of this kind"), report["answer"])
        for trial in report["trials"]:
            self.assertTrue(trial["holds"])
            self.assertGreaterEqual(trial["seconds"], 0.4)
            self.assertGreater(trial["frames"], 0)
            # Paced: the files would be read thousands of frames a second otherwise.
            self.assertLess(trial["frames"], trial["streams"] * FPS * (trial["seconds"] + 1.5))
            self.assertLessEqual(trial["p50_ms"], trial["p95_ms"])
            self.assertGreater(trial["shares"]["cpu"], 0)
            self.assertIsNone(trial["shares"]["nvdec"])
        chart = xml.etree.ElementTree.parse(self.folder / "load.svg")
        points = [e for e in chart.iter() if e.tag.endswith("circle")]
        self.assertEqual(len(points), 4)

    def test_search_ends_at_the_most(self):
        report = self.bench("--first", "2", "--most", "3")
        self.assertEqual(report["streams"], 3)
        self.assertEqual([each["streams"] for each in report["trials"]], [2, 3])
        self.assertIn("no limit was met (--most)", report["answer"])

    def test_search_comes_down_to_nothing_under_an_impossible_bound(self):
        report = self.bench("--first", "2", bound=0.1)
        self.assertEqual([each["streams"] for each in report["trials"]], [2, 1])
        self.assertFalse(any(each["holds"] for each in report["trials"]))
        self.assertTrue(report["answer"].startswith("0 streams of this kind"), report["answer"])

    def test_text_for_people(self):
        text = self.peregrine("bench", self.clip, "--model", self.model, "--device", "cpu", "--seconds", "0.4",
                              "--streams", "1", "--latency", "10000", "--set", "input.queue_depth=256").stdout
        self.assertRegex(text, r"(?m)^  streams +p50 ms +p95 ms")
        self.assertRegex(text, r"(?m)^1 stream of this kind \(64x64 at 100 fps, h264\) at p95 <= 10000 ms; ")

    def test_sources_that_are_no_cameras(self):
        with_model = ("--model", self.model)
        self.refused(2, ["'synth:seconds=5' is no video file"], "bench", "synth:seconds=5", *with_model)
        self.refused(2, ["rtsp://nowhere/", "is no video file"], "bench", "rtsp://nowhere/", *with_model)
        self.refused(3, ["absent.mp4", "not found"], "bench", "absent.mp4", *with_model)
        self.refused(4, ["absent.onnx"], "bench", self.clip, "--model", "absent.onnx")
        self.write("noise.mp4", "this is no video")
        self.refused(3, ["noise.mp4"], "bench", "noise.mp4", *with_model)

    def test_options_of_the_wrong_question(self):
        self.refused(2, ["--model"], "bench", self.clip, "--streams", "4")
        self.refused(2, ["--model"], "bench", self.clip, "--model", self.model, "--per-node")
        self.refused(2, ["one model, not 2", "--model"], "bench", self.model, self.model)
        self.refused(2, ["--streams"], "bench", self.clip, "--model", self.model, "--streams", "0")
        self.refused(2, ["--latency"], "bench", self.clip, "--model", self.model, "--latency", "0")


if __name__ == "__main__":
    program.main()
