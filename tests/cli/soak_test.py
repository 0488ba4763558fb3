#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The soak benchmark: its judge on made-up runs, and a short soak of the program.

usage: soak_test.py PEREGRINE [unittest arguments]; the short soak needs ffmpeg.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "testing"), str(ROOT / "bench" / "pipeline")]
import onnx_writer  # noqa: E402
import program  # noqa: E402
import soak  # noqa: E402

STREAMS, SECONDS, FPS, MIB = 4, 300, 25, 1 << 20


def healthy_run():
    """Each minute each stream is away for five seconds, and its memory and descriptors with it."""
    outages, gaps, samples = [], [], []
    frames = [[FPS] * SECONDS for _ in range(STREAMS)]
    for minute in range(SECONDS // 60):
        for stream in range(STREAMS):
            down = 60 * minute + 3 + 5 * stream
            outages.append({"stream": stream, "kind": "silent", "down": down, "up": down + 4})
            gaps.append({"stream": stream, "time": down + 5, "seconds": 5, "reason": "stalled"})
            for second in range(down, down + 5):
                frames[stream][second] = 0
    for second in range(SECONDS):
        up = sum(1 for stream in range(STREAMS) if frames[stream][second])
        samples.append({"time": second, "rss": (900 + up + second % 7) * MIB, "vram": (4000 + 30 * up) * MIB,
                        "threads": 20 + 2 * up, "fds": 30 + up, "up": up, "fps": FPS * up, "dropped": 0})
    return {"streams": STREAMS, "seconds": SECONDS, "ended": SECONDS, "warm_up": 60, "settle": 3, "fps": FPS, "gpu": True,
            "complete": True, "samples": samples, "outages": outages, "gaps": gaps, "frames_by_second": frames,
            "silences": [[[o["down"], o["down"] + 5] for o in outages if o["stream"] == stream]
                         for stream in range(STREAMS)],
            "server": {"skipped": 0}, "title": "made up",
            "end": {"exit_code": 130, "frames": 7, "summary_frames": 7, "leak": None}}


class JudgeTest(unittest.TestCase):
    def broken(self, *parts, run):
        lines = soak.judge(run)
        self.assertEqual(len(lines), len(parts), lines)
        for line, part in zip(lines, parts):
            self.assertIn(part, line)

    def test_a_healthy_run_breaks_no_rule(self):
        run = healthy_run()
        self.broken(run=run)
        self.assertEqual(run["healthy"]["share_of_frames"], 1)
        self.assertIn("<svg", soak.chart(run))

    def test_growth_of_each_resource_is_found(self):
        # A leak a second, of what each outage is likely to leave behind.
        for key, name, leak in (("rss", "RSS", 0.2 * MIB), ("vram", "GPU memory", 0.5 * MIB), ("threads", "threads", 0.02),
                                ("fds", "descriptors", 0.02)):
            run = healthy_run()
            for sample in run["samples"]:
                sample[key] += int(leak * sample["time"])
            self.broken(name + " grew", run=run)

    def test_growth_in_the_warm_up_is_allowed(self):
        run = healthy_run()
        for sample in run["samples"][:55]:
            sample["rss"] //= 2
            sample["threads"] -= 5
        self.broken(run=run)

    def test_a_stream_that_never_comes_back(self):
        run = healthy_run()
        last = [o for o in run["outages"] if o["stream"] == 2][-1]
        run["gaps"] = [g for g in run["gaps"] if g["stream"] != 2 or g["time"] < last["down"]]
        run["frames_by_second"][2][int(last["down"]):] = [0] * (SECONDS - last["down"])
        self.broken("stream 2: silent at 253 s, answered again from 257.0 s, never came back", run=run)

    def test_a_stream_that_comes_back_late(self):
        run = healthy_run()
        gap = next(g for g in run["gaps"] if g["stream"] == 1)
        gap["time"] += 15
        run["frames_by_second"][1][8:29] = [0] * 21
        self.broken("stream 1: silent at 8 s, answered again from 12.0 s, came back only after 16.0 s more", run=run)

    def test_streams_that_wait_for_another(self):
        run = healthy_run()
        run["silences"][3].append([123.0, 125.5])  # stream 0 was away then
        run["frames_by_second"][3][123:126] = [0] * 3
        self.broken("stream 3: no answer for 2.5 s at 123 s", run=run)
        for frames in run["frames_by_second"]:
            frames[:] = [count * 9 // 10 for count in frames]
        self.broken("stream 3", "gave 8", run=run)

    def test_a_reconnection_without_an_outage(self):
        run = healthy_run()
        run["gaps"].append({"stream": 0, "time": 200, "seconds": 1, "reason": "connection lost"})
        self.broken("stream 0: 1 reconnections without an outage", run=run)

    def test_the_end(self):
        run = healthy_run()
        run["end"] = {"exit_code": -9, "frames": 7, "summary_frames": None, "leak": None}
        self.broken("ended with -9", "summary says None frames", run=run)
        run = healthy_run()
        run.update(complete=False, seconds=600, end={})  # as it stands in between
        self.broken("cut short after 300 s of 600", run=run)
        run = healthy_run()
        run["samples"] = run["samples"][:65]
        self.broken(*["fewer than ten samples"] * 4, run=run)


class ShortSoakTest(program.ProgramTest):
    def test_cameras_that_stop_and_come_back(self):
        if shutil.which("ffmpeg") is None:
            self.skipTest("needs ffmpeg")
        model = self.folder / "red.onnx"
        model.write_bytes(onnx_writer.red_square_detector(64))
        mp4, elementary = self.folder / "camera.mp4", self.folder / "camera.h264"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=10:d=4", "-c:v", "libx264",
                        "-tune", "zerolatency", "-g", "10", str(mp4)], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(mp4), "-c", "copy", str(elementary)], check=True)
        clips = [soak.read_clip(path, 10) for path in (mp4, elementary)]
        self.assertEqual([(len(c.units), c.keys, c.ticks, len(c.sets)) for c in clips], [(40, [0, 10, 20, 30], 360000, 2)] * 2)
        done = subprocess.run(
            [sys.executable, str(ROOT / "bench" / "pipeline" / "soak.py"), "--peregrine", program.PEREGRINE, "--model",
             str(model), "--clip", str(elementary), "--fps", "10", "--out", str(self.folder), "--device", "cpu", "--streams",
             "4", "--seconds", "14", "--warm-up", "1", "--period", "7", "--outage", "1,1.5", "--interval", "0.2", "--",
             "--stall", "0.5", "--threads", "1"],
            capture_output=True, text=True, timeout=120, env=self.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = json.loads((self.folder / "soak.json").read_text())
        self.assertEqual(run["broken"], [])
        self.assertEqual(len(run["outages"]), 8)
        self.assertEqual(len(run["gaps"]), 8)
        self.assertTrue(run["complete"])
        self.assertIn("<svg", (self.folder / "soak.svg").read_text())


if __name__ == "__main__":
    program.main()
