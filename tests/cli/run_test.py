#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`peregrine run` as a user runs it: a detector of red squares on generated clips, every output and every refusal.

usage: run_test.py PEREGRINE [unittest arguments]; needs ffmpeg and ffprobe.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testing"))
import onnx_writer  # noqa: E402

PEREGRINE = ""
SIZE, SQUARE, FPS = 64, 16, 10


def square_at(frame):
    """Corner of the red square: on the detector's grid, one cell further each frame."""
    return 8 * (frame % 6), 24


def raw_frames(count):
    for index in range(count):
        x0, y0 = square_at(index)
        row_out, row_in = bytes([40, 40, 40]) * SIZE, bytearray(bytes([40, 40, 40]) * SIZE)
        row_in[3 * x0:3 * (x0 + SQUARE)] = bytes([250, 10, 10]) * SQUARE
        yield row_out * y0 + bytes(row_in) * SQUARE + row_out * (SIZE - y0 - SQUARE)


def make_clip(path, frames=20, codec=("-c:v", "libx264", "-crf", "8")):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE}x{SIZE}", "-r",
                    str(FPS), "-i", "-", *codec, "-pix_fmt", "yuv444p", str(path)],
                   input=b"".join(raw_frames(frames)), check=True)
    return path


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="peregrine-run-"))
        cls.model = cls.folder / "red.onnx"
        cls.model.write_bytes(onnx_writer.red_square_detector(SIZE))
        cls.clip = make_clip(cls.folder / "clip.mp4")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def run_peregrine(self, *arguments, code=0, **options):
        done = subprocess.run([PEREGRINE, "run", *map(str, arguments)], capture_output=True, timeout=60, text=True,
                              **options)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def lines(self, *arguments, **options):
        text = self.run_peregrine(*arguments, "--model", self.model, "--jsonl", "-", **options).stdout
        return [json.loads(line) for line in text.splitlines()]

    def check_squares(self, line):
        """Every reported box lies on the square, and its four inner cells are all found."""
        x0, y0 = square_at(line["frame"])
        cells = sorted(tuple(round(v) for v in d["box"]) for d in line["detections"])
        self.assertEqual(cells, sorted((x0 + dx, y0 + dy, x0 + dx + 8, y0 + dy + 8) for dx in (0, 8) for dy in (0, 8)))
        for detection in line["detections"]:
            self.assertEqual(detection["label"], "red")
            self.assertGreater(detection["score"], 0.8)

    # --- answers ---

    def test_finds_every_square_with_exact_times(self):
        lines = self.lines(self.clip)
        self.assertEqual([line["frame"] for line in lines], list(range(20)))
        for line in lines:
            self.assertEqual(line["schema"], 1)
            self.assertEqual(line["source"], str(self.clip))
            self.assertEqual((line["width"], line["height"]), (SIZE, SIZE))
            self.assertAlmostEqual(line["pts"], line["frame"] / FPS, places=6)
            self.check_squares(line)

    def test_all_outputs_of_one_run(self):
        out = {kind: self.folder / f"all.{kind}" for kind in ("jsonl", "txt", "json", "mp4")}
        done = self.run_peregrine(self.clip, "--model", self.model, "--track", "--jsonl", out["jsonl"], "--mot",
                                  out["txt"], "--coco", out["json"], "--annotate", out["mp4"])
        self.assertEqual(done.stdout, "")
        self.assertIn("20 frames", done.stderr)
        for path in out.values():
            self.assertIn(str(path), done.stderr)
        for line in map(json.loads, out["jsonl"].read_text().splitlines()):
            self.assertTrue(all(d["track"] >= 1 for d in line["detections"] if "track" in d))
        mot = [row.split(",") for row in out["txt"].read_text().splitlines()]
        self.assertTrue(mot and all(len(row) == 10 and int(row[0]) >= 1 and int(row[1]) >= 1 for row in mot))
        coco = json.loads(out["json"].read_text())
        self.assertEqual({entry["category_id"] for entry in coco}, {0})
        probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries",
                                "stream=nb_read_frames,width,height", "-of", "csv=p=0", out["mp4"]],
                               capture_output=True, text=True, check=True)
        self.assertEqual(probe.stdout.strip(), f"{SIZE},{SIZE},20")
        self.assertEqual([p.name for p in self.folder.iterdir() if "partial" in p.name], [])

    def test_several_sources_have_streams_of_their_own(self):
        other = make_clip(self.folder / "other.mkv", 7)
        lines = self.lines(self.clip, other)
        self.assertEqual([line["frame"] for line in lines if line["stream"] == 0], list(range(20)))
        self.assertEqual([line["frame"] for line in lines if line["stream"] == 1], list(range(7)))
        self.assertEqual({line["source"] for line in lines if line["stream"] == 1}, {str(other)})

    def test_folder_glob_list_and_pipe(self):
        folder = self.folder / "videos"
        folder.mkdir()
        for name in ("b2.mp4", "b10.mp4"):
            shutil.copy(self.clip, folder / name)
        sources = [pathlib.Path(line["source"]).name for line in self.lines(folder) if line["frame"] == 0]
        self.assertEqual(sorted(sources), ["b10.mp4", "b2.mp4"])
        self.assertEqual(len(self.lines(f"{folder}/*.mp4")), 40)
        listing = self.folder / "sources.txt"
        listing.write_text(f"# two of them\n{folder}/b2.mp4\n\n{folder}/b10.mp4\n")
        self.assertEqual(len(self.lines(listing)), 40)
        stream = make_clip(self.folder / "pipe.ts")
        with open(stream, "rb") as pipe:
            self.assertEqual(len(self.lines("-", stdin=pipe)), 20)

    def test_pictures(self):
        folder = self.folder / "pictures"
        folder.mkdir()
        subprocess.run(["ffmpeg", "-v", "error", "-i", self.clip, "-frames:v", "12", folder / "p%d.png"], check=True)
        lines = self.lines(folder)
        self.assertEqual([line["frame"] for line in lines], list(range(12)))
        for line in lines:
            self.check_squares(line)

    def test_which_frames(self):
        self.assertEqual([l["frame"] for l in self.lines(self.clip, "--every", "3")], [0, 3, 6, 9, 12, 15, 18])
        self.assertEqual([l["pts"] for l in self.lines(self.clip, "--start", "0.5", "--end", "1")],
                         [0.5, 0.6, 0.7, 0.8, 0.9])
        self.assertEqual(len(self.lines(self.clip, "--max-frames", "4")), 4)

    def test_a_paced_file_takes_its_time_and_tells_its_latency(self):
        started = time.monotonic()
        done = self.run_peregrine(self.clip, "--pace", "--model", self.model, "--jsonl", os.devnull)
        self.assertGreaterEqual(time.monotonic() - started, 19 / FPS)
        self.assertRegex(done.stderr, r"(?m)^  latency +\d")
        self.assertNotIn("latency", self.run_peregrine(self.clip, "--model", self.model).stderr)

    def test_paced_streams_run_side_by_side(self):
        done = self.run_peregrine(*[self.clip] * 6, "--max-open-files", "1", "--pace", "--model", self.model,
                                  "--progress", "json", "--jsonl", self.folder / "paced.jsonl")
        self.assertIn("120 frames", done.stderr)
        reports = [json.loads(line)["progress"] for line in done.stderr.splitlines() if line.startswith("{")]
        self.assertEqual(reports[0]["streams"]["running"], 6)
        self.assertGreater(reports[0]["latency_ms"]["p95"], 0)
        self.assertEqual(reports[0]["dropped_frames"], 0)

    def test_loop_repeats_a_file(self):
        lines = self.lines(self.clip, "--loop", "3")
        self.assertEqual([line["frame"] for line in lines], list(range(60)))
        for line in lines:
            self.assertAlmostEqual(line["pts"], line["frame"] / FPS, places=6)
        self.assertEqual([l["detections"] for l in lines[40:]], [l["detections"] for l in lines[:20]])

    def test_what_cannot_loop(self):
        for sources, what in ((["synth:seconds=1"], "'synth:seconds=1' is none"), (["-"], "is none"),
                              ([self.clip, "--start", "1"], "leave out --start and --end")):
            done = self.run_peregrine(*sources, "--model", self.model, "--loop", "2", code=2, stdin=subprocess.DEVNULL)
            self.assertIn(what, done.stderr)

    def test_batches_change_no_answer(self):
        self.assertEqual(self.lines(self.clip), self.lines(self.clip, "--batch", "4"))

    def test_classes_and_confidence(self):
        self.assertTrue(all(not l["detections"] for l in self.lines(self.clip, "--classes", "1")))
        self.assertTrue(all(not l["detections"] for l in self.lines(self.clip, "--conf", "0.99")))

    def test_labels_file(self):
        names = self.folder / "names.txt"
        names.write_text("lantern\nother\n")
        self.assertEqual(self.lines(self.clip, "--labels", names)[0]["detections"][0]["label"], "lantern")

    def test_progress_for_programs(self):
        done = self.run_peregrine(self.clip, "--model", self.model, "--progress", "json")
        for line in done.stderr.splitlines():
            if line.startswith("{"):
                self.assertIn("progress", json.loads(line))

    def test_memory_does_not_grow_with_length(self):
        long = make_clip(self.folder / "long.mp4", 10000, ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "20"))

        def peak_kib(frames):
            return resource_peak([PEREGRINE, "run", long, "--model", self.model, "--track", "--jsonl", os.devnull,
                                  "--max-frames", str(frames)])

        short, whole = peak_kib(1000), peak_kib(10000)
        self.assertLess(whole, short * 1.05 + 4096)

    # --- the end of a run ---

    def test_interrupt_finishes_the_files(self):
        fifo = self.folder / "endless"
        os.mkfifo(fifo)
        jsonl, video = self.folder / "interrupted.jsonl", self.folder / "interrupted.mp4"
        feeder = subprocess.Popen(["ffmpeg", "-v", "quiet", "-y", "-re", "-stream_loop", "-1", "-i", self.clip, "-c",
                                   "copy", "-f", "mpegts", fifo])
        try:
            with open(fifo, "rb") as pipe, subprocess.Popen(
                    [PEREGRINE, "run", "-", "--model", self.model, "--jsonl", jsonl, "--annotate", video], stdin=pipe,
                    stderr=subprocess.PIPE, text=True) as run:
                for _ in range(200):
                    time.sleep(0.05)
                    if jsonl.exists() and jsonl.read_text().count("\n") >= 5:
                        break
                run.send_signal(signal.SIGINT)
                self.assertEqual(run.wait(timeout=10), 130, run.stderr.read())
        finally:
            feeder.kill()
            feeder.wait()
        lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
        self.assertGreaterEqual(len(lines), 5)
        probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames",
                                "-of", "csv=p=0", video], capture_output=True, text=True, check=True)
        self.assertEqual(int(probe.stdout), len(lines))

    def test_interrupt_finds_a_program_with_threads_of_others(self):
        driver = os.environ.get("PEREGRINE_FAKE_DRIVER")
        if not driver:
            self.skipTest("needs PEREGRINE_FAKE_DRIVER, the folder of the library of tests/cli/fake_driver.cc")
        run = subprocess.Popen([PEREGRINE, "run", self.clip, "--loop", "1000000", "--model", self.model, "--jsonl",
                                os.devnull], stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "LD_LIBRARY_PATH": driver})
        try:
            time.sleep(1)
            self.assertTrue(driver in pathlib.Path(f"/proc/{run.pid}/maps").read_text(), "the driver is not loaded")
            run.send_signal(signal.SIGINT)
            code = run.wait(timeout=10)
            self.assertEqual((code, "interrupted" in run.stderr.read()), (130, True))
        finally:
            run.kill()
            run.communicate()

    # --- refusals: message and exit code ---

    def refuse(self, code, *parts, arguments):
        message = self.run_peregrine(*arguments, code=code).stderr
        for part in parts:
            self.assertIn(part, message)

    def test_usage(self):
        self.refuse(2, "--model", arguments=[self.clip])
        self.refuse(2, "--conf", arguments=[self.clip, "--model", self.model, "--conf", "1.5"])
        self.refuse(2, "detect", arguments=[self.clip, "--model", self.model, "--task", "detekt"])
        self.refuse(2, "SOURCE", arguments=["--model", self.model])

    def test_gpu_is_refused_in_words(self):
        if not os.path.exists("/dev/nvidia0"):
            self.refuse(5, "GPU", "red.onnx", "--device cpu",
                        arguments=[self.clip, "--model", self.model, "--device", "cuda"])
        self.refuse(5, "strict GPU", "red.onnx", arguments=[self.clip, "--model", self.model, "--device", "cpu",
                                                           "--strict-gpu"])

    def test_settings_follow_the_resolution(self):
        config = self.folder / "resolution.toml"
        config.write_text("[resolution.1080p]\ninput.queue_depth = 3\n")
        self.run_peregrine(self.clip, "--model", self.model, "--config", config)

    def test_sources(self):
        missing = self.folder / "missing.mp4"
        self.refuse(3, "missing.mp4", "not found", arguments=[missing, "--model", self.model])
        garbage = self.folder / "garbage.mp4"
        garbage.write_bytes(bytes(range(256)) * 64)
        self.refuse(3, "garbage.mp4", arguments=[garbage, "--model", self.model])
        audio = self.folder / "audio.wav"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=0.2", audio], check=True)
        self.refuse(3, "audio.wav", "no video stream", arguments=[audio, "--model", self.model])
        self.refuse(3, "camera", arguments=["rtsp://user:secret@127.0.0.1:9/camera", "--model", self.model])
        empty = self.folder / "empty"
        empty.mkdir()
        self.refuse(3, "empty", arguments=[empty, "--model", self.model])

    def test_credentials_are_never_shown(self):
        done = self.run_peregrine("rtsp://user:secret@127.0.0.1:9/camera", "--model", self.model, "--log-level",
                                  "debug", code=3)
        self.assertNotIn("secret", done.stderr + done.stdout)

    def test_one_bad_source_leaves_the_others_whole(self):
        cut = self.folder / "cut.mp4"
        # Header first, so that the cut falls into the pictures.
        make_clip(cut, 200, ("-c:v", "libx264", "-qp", "0", "-movflags", "+faststart"))
        cut.write_bytes(cut.read_bytes()[:cut.stat().st_size // 2])
        done = self.run_peregrine(self.folder / "nowhere.mp4", self.clip, cut, "--model", self.model, "--jsonl", "-",
                                  code=6)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([l["frame"] for l in lines if l["stream"] == 1], list(range(20)))
        self.assertGreater(sum(l["stream"] == 2 for l in lines), 20)
        self.assertIn("nowhere.mp4", done.stderr)
        self.assertIn("cut.mp4", done.stderr)

    def test_models(self):
        def model(name, data):
            path = self.folder / name
            path.write_bytes(data)
            return path

        whole = self.model.read_bytes()
        self.refuse(4, "absent.onnx", arguments=[self.clip, "--model", self.folder / "absent.onnx"])
        self.refuse(4, "text.onnx", arguments=[self.clip, "--model", model("text.onnx", b"hello, world\n" * 9)])
        self.refuse(4, "half.onnx", arguments=[self.clip, "--model", model("half.onnx", whole[:len(whole) // 2])])
        for location in ("../weights.bin", "/etc/passwd"):
            data = onnx_writer.model([onnx_writer.node("Conv", ["images", "w"], ["out"])],
                                     [onnx_writer.value("images", [1, 3, 64, 64])],
                                     [onnx_writer.value("out", [1, 6, 64])],
                                     [onnx_writer.external_tensor("w", [6, 3, 8, 8], location)])
            self.refuse(4, "escape.onnx", location, arguments=[self.clip, "--model", model("escape.onnx", data)])
        unknown = onnx_writer.model([onnx_writer.node("Teleport", ["images"], ["out"], name="/head/Teleport")],
                                    [onnx_writer.value("images", [1, 3, 64, 64])],
                                    [onnx_writer.value("out", [1, 84, 84])])
        self.refuse(4, "Teleport", arguments=[self.clip, "--model", model("unknown.onnx", unknown)])
        huge = onnx_writer.model([onnx_writer.node("Relu", ["images"], ["out"])],
                                 [onnx_writer.value("images", [1, 3, 1 << 40, 1 << 40])],
                                 [onnx_writer.value("out", [1, 3, 1 << 40, 1 << 40])])
        self.refuse(4, "huge.onnx", arguments=[self.clip, "--model", model("huge.onnx", huge)])

    def test_outputs(self):
        self.refuse(1, "/proc/none/x.jsonl", arguments=[self.clip, "--model", self.model, "--jsonl",
                                                         "/proc/none/x.jsonl"])
        self.refuse(1, "/dev/full", "No space left", arguments=[self.clip, "--model", self.model, "--jsonl",
                                                                "/dev/full"])

    def test_picture_too_large(self):
        big = self.folder / "big.png"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=s=8200x16:d=1:r=1", big], check=True)
        self.refuse(3, "8200x16", arguments=[big, "--model", self.model])


def resource_peak(command):
    """Peak resident memory of one successful run, in KiB."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, child.returncode
    return usage.ru_maxrss


if __name__ == "__main__":
    PEREGRINE = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
