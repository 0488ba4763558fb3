#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into an empty folder, builds a small program against the installation, and runs both programs from there.

usage: install_test.py BUILD_FOLDER SOURCE_FOLDER
"""
import pathlib
import subprocess
import sys
import tempfile

BUILD, SOURCE = map(pathlib.Path, sys.argv[1:3])
sys.path.insert(0, str(SOURCE / "tests" / "testing"))
sys.path.insert(0, str(SOURCE / "tests" / "cli"))
import onnx_writer  # noqa: E402
import run_test  # noqa: E402


def command(*arguments, code=0):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


with tempfile.TemporaryDirectory(prefix="peregrine-install-") as folder:
    folder = pathlib.Path(folder)
    prefix, consumer = folder / "prefix", folder / "consumer"
    command("cmake", "--install", BUILD, "--prefix", prefix)
    command("cmake", "-S", SOURCE / "tests" / "install" / "consumer", "-B", consumer, "-G", "Ninja",
            f"-DCMAKE_PREFIX_PATH={prefix}")
    command("cmake", "--build", consumer)

    model = folder / "red.onnx"
    model.write_bytes(onnx_writer.red_square_detector())
    clip = run_test.make_clip(folder / "clip.mp4", 12)
    said = command(consumer / "consumer", clip, model)
    assert said == "0.1.0 red 12 frames 48 objects exit 0\n", said
    said = command(consumer / "consumer", clip, folder / "missing.onnx", code=4)
    assert "missing.onnx" in said, said
    lines = command(prefix / "bin" / "peregrine", "run", clip, "--model", model, "--jsonl", "-").splitlines()
    assert len(lines) == 12, lines
    print("installed, linked, ran")
