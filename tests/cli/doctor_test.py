#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`peregrine doctor` from the outside. usage: doctor_test.py PEREGRINE [unittest arguments]"""
import json
import os

import program


class DoctorTest(program.ProgramTest):
    def findings(self, code=0, **environment):
        report = json.loads(self.peregrine("doctor", "--json", code=code, **environment).stdout)
        self.assertEqual(report["usable"], code == 0)
        return {finding["name"]: finding for finding in report["findings"]}

    def test_json_describes_this_machine(self):
        report = json.loads(self.peregrine("doctor", "--json").stdout)
        self.assertEqual(report["schema"], 1)
        self.assertEqual(report["machine"]["architecture"], os.uname().machine)
        self.assertLessEqual(report["machine"]["cores"], len(os.sched_getaffinity(0)))
        self.assertGreater(report["machine"]["memory_bytes"], 0)
        findings = self.findings()
        self.assertIn("CPU", findings["OpenVINO"]["value"])
        self.assertRegex(findings["libav"]["value"], r"\d+\.\d+")
        self.assertIn("H.264", findings["decoders"]["value"])
        for finding in findings.values():
            self.assertIn(finding["status"], ["ok", "note"])
            self.assertEqual(finding["status"] != "ok", "fix" in finding, finding)

    def test_text_has_one_aligned_line_a_finding(self):
        lines = self.peregrine("doctor").stdout.splitlines()
        start = lines.index("") + 1
        rows = lines[start:lines.index("", start)]
        self.assertEqual(len(rows), len(self.findings()))
        column = rows[0].index("processor")
        for row in rows:
            self.assertEqual(row[column - 1], " ", row)
            self.assertNotEqual(row[column], " ", row)

    def test_fewer_cores_are_seen(self):
        affinity = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(affinity)})
        try:
            report = json.loads(self.peregrine("doctor", "--json").stdout)
        finally:
            os.sched_setaffinity(0, affinity)
        self.assertEqual(report["machine"]["cores"], 1)

    def test_a_bad_configuration_is_a_problem_with_its_place(self):
        self.write("peregrine.toml", "inference.batch = 0.5\n")
        finding = self.findings(code=1)["configuration"]
        self.assertEqual(finding["status"], "problem")
        self.assertIn("peregrine.toml:1", finding["value"])
        self.assertIn("Not ready", self.peregrine("doctor", code=1).stdout)

    def test_folders_that_cannot_be_written_are_named_with_a_fix(self):
        finding = self.findings(XDG_CACHE_HOME="/proc/none")["cache folder"]
        self.assertEqual(finding["status"], "note")
        self.assertIn("/proc/none/peregrine is not writable", finding["value"])
        self.assertIn("chown", finding["fix"])


if __name__ == "__main__":
    program.main()
