#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`peregrine config` from the outside. usage: config_test.py PEREGRINE [unittest arguments]"""
import json
import pathlib

import program

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ConfigTest(program.ProgramTest):
    def shown(self, *arguments, **environment):
        return json.loads(self.peregrine("config", "show", "--json", *arguments, **environment).stdout)

    def value(self, key, *arguments, **environment):
        entry = self.shown(*arguments, **environment)["settings"][key]
        return entry["value"], entry["origin"]

    # --- layers ---

    def test_each_layer_beats_the_one_before_and_is_named(self):
        key = "inference.batch"
        self.assertEqual(self.value(key, "--profile", "cpu"), (1, "profile cpu"))
        self.write("xdg/peregrine/config.toml", "[inference]\n\nbatch = 2\n")
        self.assertEqual(self.value(key), (2, f"{self.folder}/xdg/peregrine/config.toml:3"))
        self.write("peregrine.toml", "inference.batch = 3\n")
        self.assertEqual(self.value(key), (3, "peregrine.toml:1"))
        self.write("other.toml", "inference.batch = 4\n")
        self.assertEqual(self.value(key, PEREGRINE_CONFIG="other.toml"), (4, "other.toml:1"))
        self.assertEqual(self.value(key, "--config", "other.toml"), (4, "other.toml:1"))
        variable = {"PEREGRINE_INFERENCE_BATCH": "5"}
        self.assertEqual(self.value(key, **variable), (5, "PEREGRINE_INFERENCE_BATCH"))
        self.assertEqual(self.value(key, "--set", "inference.batch=6", **variable), (6, "--set"))
        self.assertEqual(self.value(key, "--batch", "auto", **variable), ("auto", "--batch"))
        self.assertEqual(self.value("inference.iou"), (0.7, "default"))

    def test_switches_go_both_ways(self):
        self.assertEqual(self.value("tracking.enabled", "--track"), (True, "--track"))
        self.assertEqual(self.value("output.masks", "--no-masks"), (False, "--no-masks"))

    def test_flags_take_negative_and_listed_values(self):
        self.assertEqual(self.value("rtsp.max_reconnects", "--max-reconnects", "-1")[0], -1)
        self.assertEqual(self.value("inference.classes", "--classes", "0,2")[0], [0, 2])

    def test_auto_says_what_it_took_and_why(self):
        profile = self.shown()["profile"]
        self.assertIn(profile["used"], ["cpu-small", "cpu", "cuda"])
        self.assertRegex(profile["reason"], "of memory|GPU")
        text = self.peregrine("config", "show", "--profile", "debug").stdout
        self.assertTrue(text.startswith("profile debug: asked for by --profile\n"), text)

    def test_a_resolution_has_values_of_its_own(self):
        self.write("peregrine.toml", "inference.batch = 8\n[resolution.8k]\ninference.batch = 2\n")
        key = "inference.batch"
        self.assertEqual(self.value(key), (8, "peregrine.toml:1"))
        self.assertEqual(self.value(key, "--resolution", "7680x4320"), (2, "peregrine.toml:3"))
        self.assertEqual(self.value(key, "--resolution", "7680x4320", "--batch", "4"), (4, "--batch"))
        self.refused(2, ["--resolution big"], "config", "show", "--resolution", "big")

    def test_the_table_is_aligned(self):
        lines = self.peregrine("config", "show").stdout.splitlines()
        head = next(line for line in lines if line.startswith("KEY"))
        for line in lines[lines.index(head) + 1:]:
            self.assertEqual(line[head.index("FROM") - 1], " ", line)
            self.assertNotEqual(line[head.index("FROM")], " ", line)

    # --- refusals ---

    def test_unknown_keys_are_refused_with_the_nearest_name(self):
        self.write("peregrine.toml", "[tracking]\nmatch_iuo = 0.3\n")
        self.refused(2, ["peregrine.toml:2", "'tracking.match_iuo'", "did you mean 'tracking.match_iou'?"],
                     "config", "show")
        (self.folder / "peregrine.toml").unlink()
        self.refused(2, ["PEREGRINE_INFERENCE_BACTH", "PEREGRINE_INFERENCE_BATCH"], "config", "show",
                     PEREGRINE_INFERENCE_BACTH="1")
        self.refused(2, ["--set", "'batsh'", "inference.batch"], "config", "show", "--set", "batsh=1")
        self.refused(2, ["--set batch", "KEY=VALUE"], "config", "show", "--set", "batch")

    def test_values_out_of_range_are_refused_with_the_range(self):
        self.refused(2, ["--conf: inference.confidence = '1.5'", "0 to 1"], "config", "show", "--conf", "1.5")
        self.refused(2, ["PEREGRINE_INPUT_EVERY", "1 to 1000000"], "config", "show", PEREGRINE_INPUT_EVERY="0")
        self.write("peregrine.toml", "\nlog.level = \"loud\"\n")
        self.refused(2, ["peregrine.toml:2", "trace|debug|info|warn|error|off"], "config", "show")

    def test_bad_files_are_refused(self):
        self.refused(2, ["absent.toml' does not exist", "config init"], "config", "show", "--config", "absent.toml")
        self.write("peregrine.toml", "a = = b\n")
        self.refused(2, ["peregrine.toml:1: not valid TOML"], "config", "show")

    def test_bad_usage_is_refused(self):
        self.refused(2, ["--help"], "config")
        self.refused(2, ["--help"], "frobnicate")
        self.refused(2, ["--bogus"], "config", "show", "--bogus")

    # --- files ---

    def test_init_writes_a_template_that_changes_nothing(self):
        before = self.shown()["settings"]
        self.peregrine("config", "init")
        after = self.shown()
        self.assertEqual(after["file"], "peregrine.toml")
        self.assertEqual(after["settings"], before)
        self.refused(2, ["peregrine.toml' exists", "--force"], "config", "init")
        self.peregrine("config", "init", "--force")
        self.refused(1, ["/nowhere/x.toml' cannot be written"], "config", "init", "/nowhere/x.toml")

    def test_save_writes_what_is_in_force(self):
        self.write("peregrine.toml", "[[models]]\npath = \"m.onnx\"\ntracking = true\n")
        self.peregrine("config", "save", "saved.toml", "--profile", "debug", "--batch", "3", "--classes", "1,2")
        (self.folder / "elsewhere").mkdir()
        (self.folder / "saved.toml").rename(self.folder / "elsewhere/saved.toml")
        saved = self.shown("--config", "elsewhere/saved.toml")
        values = {key: entry["value"] for key, entry in saved["settings"].items()}
        self.assertEqual(values["profile"], "debug")
        self.assertEqual(values["log.level"], "debug")
        self.assertEqual(values["inference.batch"], 3)
        self.assertEqual(values["inference.classes"], [1, 2])
        self.assertEqual(saved["models"], [{"name": "m", "path": str(self.folder.resolve() / "m.onnx"),
                                            "enabled": True, "tracking": True}])

    def test_model_switches(self):
        self.write("peregrine.toml", "[[models]]\nname = \"people\"\npath = \"m.onnx\"\n")
        models = self.shown("--set", "models.people.embeddings=true", PEREGRINE_MODELS_PEOPLE_ENABLED="no")["models"]
        self.assertEqual(models, [{"name": "people", "path": "m.onnx", "enabled": False, "embeddings": True}])

    # --- the manual ---

    def test_the_manual_lists_every_key(self):
        table = self.peregrine("config", "keys", "--markdown").stdout
        manual = (ROOT / "docs/configuration.md").read_text()
        self.assertIn(table, manual, "paste the output of 'peregrine config keys --markdown' into docs/configuration.md")

    def test_keys_are_machine_readable(self):
        keys = json.loads(self.peregrine("config", "keys", "--json").stdout)
        batch = next(key for key in keys if key["key"] == "inference.batch")
        self.assertEqual(batch["environment"], "PEREGRINE_INFERENCE_BATCH")
        self.assertEqual(batch["flag"], "--batch")
        self.assertEqual(batch["default"], "auto")
        text = self.peregrine("config", "keys").stdout
        for key in keys:
            self.assertIn(key["key"], text)


if __name__ == "__main__":
    program.main()
