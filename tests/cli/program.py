# SPDX-License-Identifier: Apache-2.0
"""Runs the program as a user does, in a folder and an environment of the test's own."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PEREGRINE = ""


def shared_folder():
    """Models and videos that stand beside the checkout, or inside it."""
    root = pathlib.Path(__file__).resolve().parents[2]
    named = os.environ.get("PEREGRINE_SHARED")
    candidates = [pathlib.Path(named)] if named else [root / "shared", root.parent / "shared"]
    return next((folder for folder in candidates if (folder / "models").exists()), candidates[-1])


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="peregrine-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PEREGRINE_")}
        self.environment = {**kept, "XDG_CONFIG_HOME": str(self.folder / "xdg"), "HOME": str(self.folder)}

    def peregrine(self, *arguments, code=0, **environment):
        done = subprocess.run([PEREGRINE, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              cwd=self.folder, env={**self.environment, **environment})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refused(self, code, parts, *arguments, **environment):
        """The program exits with `code` and says each of `parts` in one line on stderr; stdout stays empty."""
        done = self.peregrine(*arguments, code=code, **environment)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("peregrine: error: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def main():
    """First argument: the program; the others are unittest's."""
    global PEREGRINE
    PEREGRINE = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__", verbosity=2)
