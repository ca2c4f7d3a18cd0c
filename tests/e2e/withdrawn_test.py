#!/usr/bin/env python3
"""Permission ends: the log names every model concerned, none of them is served, exported or signed,
and a new run without those records is clean."""

import json
import re
import shutil
import signal
import time

import fake_teacher
import harness
import readme
import served

TERMS, INPUT, GATE = 3, 4, 8
MODEL = "SmolLM2-135M-Instruct"  # what the shipped terms are about
SERIES = "huggingface.smollm2"
BY = ("--by", "the tester", "--reason", "the grant is over")
OWN = 30


class WithdrawnTest(harness.Run):
    def setUp(self):
        super().setUp()
        own = [json.dumps({"messages": [
            {"role": "user", "content": f"Tell me of number {i} and of the sea."},
            {"role": "assistant", "content": f"Number {i} went to sea, {i} times {i} miles far, "
                                             f"and came home on day {i * 7}."}]})
            for i in range(OWN)]
        (self.folder / "own.jsonl").write_text("\n".join(own) + "\n")
        self.teacher = self.enterContext(fake_teacher.FakeTeacher())
        self.run_file(self.teacher.url, collect=f'import = "own.jsonl"\nimport_terms = '
                                                f'["{harness.ROOT}/terms/own-work.toml"]')
        path = self.folder / "run.toml"
        path.write_text(path.read_text().replace('"fake"', f'"{MODEL}"'))
        self.retort("run", "run.toml")

    def enterContext(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def entries(self, kind):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def states(self):
        lines = self.retort("ledger", "states", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def withdraw(self, *arguments):
        return json.loads(self.retort("ledger", "withdraw", *arguments, *BY, "--json").stdout)

    def count(self, stage, name):
        return json.loads((self.folder / f"out/summary/{stage}.json").read_text())["counts"][name]

    def without_teacher(self):
        """The run file as somebody leaves it whose grant is over: own data alone."""
        path = self.folder / "run.toml"
        text = re.sub(r"\[teacher\].*?\[purpose\]", "[purpose]", path.read_text(), flags=re.S)
        text = re.sub(r"^(template|words|count|prompt_terms).*\n", "", text, flags=re.M)
        path.write_text(text)

    def refuses_serving(self, path):
        # Without --port-file it would wait for ever if it did serve.
        said = self.retort("serve", "--model", path, "--port", "0", code=GATE, timeout=60).stderr
        self.assertIn("serve refuses the model student", said)
        self.assertIn("what to do", said)
        return said

    def test_a_grant_ends(self):
        server = served.Served(self.folder, models=(self.folder / "out/student",))
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        self.retort("sign", "out/student", "--key", "k.pem", "--new-key")
        before = json.loads(self.retort("bom", "out/student").stdout)
        old, = self.entries("run")

        report = self.withdraw("--terms", SERIES, "--case", "account-ended")
        models = {entry["name"] for entry in self.entries("model")}
        self.assertEqual(len(models), 3)
        self.assertEqual(set(report["frozen"]), models)
        self.assertEqual(report["runs"], [old["index"]])
        self.assertEqual({state["state"] for state in self.states()}, {"frozen"})
        self.assertEqual(self.withdraw("--terms", SERIES, "--case", "account-ended")["known"], True)

        said = self.refuses_serving("out/student")
        self.assertIn("account ended, the grant is over", said)
        self.refuses_serving("out/student.gguf")
        self.refuses_serving("other=out/student.gguf")
        shutil.copy(self.folder / "out/student.gguf", self.folder / "harmless.bin")
        self.refuses_serving("harmless.bin")
        self.assertIn("export refuses", self.retort("export", "run.toml", code=GATE).stderr)
        self.assertIn("sign refuses", self.retort("sign", "out/student.gguf", "--key", "k.pem",
                                                  code=GATE).stderr)
        self.assertFalse((self.folder / "out/student.gguf.sig").exists())
        said = self.retort("run", "run.toml", code=TERMS).stderr
        self.assertIn("were withdrawn by the tester", said)
        self.assertEqual(len(self.entries("run")), 1)

        after = json.loads(self.retort("bom", "out/student").stdout)
        self.assertEqual(after["serialNumber"], before["serialNumber"])
        self.assertEqual((before["version"], after["version"]), (1, 2))
        self.assertIn({"name": "retort:state", "value": "frozen"},
                      after["metadata"]["component"]["properties"])

        self.without_teacher()
        shutil.copytree(self.folder / "out/student", self.folder / "old")
        self.retort("run", "run.toml")
        new = self.entries("run")[-1]
        self.assertGreater(new["index"], report["withdrawal"])
        self.assertEqual(self.count("curate", "records"), OWN)
        clear = {state["model"] for state in self.states() if state["state"] == "clear"}
        self.assertEqual(len(clear), 3)
        self.assertFalse(clear & models)
        server = served.Served(self.folder, models=(self.folder / "out/student",))
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        self.refuses_serving("old")
        self.retort("sign", "out/student", "--key", "k.pem")

        for model in models:
            self.retort("ledger", "state", model, "--to", "remediated", *BY, "--run",
                        new["name"], code=GATE)
            self.retort("ledger", "state", model, "--to", "traced", *BY)
            self.assertIn("no remedy", self.retort("ledger", "state", model, "--to", "remediated",
                                                   *BY, "--run", old["name"], code=GATE).stderr)
            self.retort("ledger", "state", model, "--to", "remediated", *BY, "--run",
                        new["name"][:16])
        self.assertIn(new["name"][:16], self.refuses_serving("old"))
        self.retort("ledger", "state", sorted(models)[0], "--to", "withdrawn", *BY)
        self.assertIn("nothing follows", self.retort("ledger", "state", sorted(models)[0], "--to",
                                                     "clear", *BY, code=GATE).stderr)
        self.retort("ledger", "verify")

    def test_a_prospective_change_leaves_what_was_learnt_before(self):
        change = ("--terms", SERIES, "--case", "terms-changed", "--from")
        report = self.withdraw(*change, "2999-01-01")
        self.assertEqual(report["frozen"], [])
        self.retort("run", "run.toml")
        report = self.withdraw(*change, "2020-01-01")
        self.assertEqual(len(report["frozen"]), 3)
        self.assertIn("terms changed from 2020-01-01 on",
                      self.retort("run", "run.toml", code=TERMS).stderr)

    def test_a_corrected_reading_judges_again(self):
        text = (harness.ROOT / "terms/example-forbids-training.toml").read_text()
        (self.folder / "right.toml").write_text(text)
        report = self.withdraw("--terms", SERIES, "--case", "reading-corrected",
                               "--corrected-by", "right.toml")
        self.assertEqual(len(report["frozen"]), 3)
        self.without_teacher()
        self.retort("run", "run.toml")
        self.assertEqual(self.count("curate", "records"), OWN)

    def test_one_record_goes_and_the_rest_is_trained_again(self):
        left = self.count("curate", "train") + self.count("curate", "held_out")
        shard = next(entry for entry in self.entries("shard")
                     if entry["body"]["source"] == "collect")
        place = f"{shard['name']}:3"
        report = self.withdraw("--record", place)
        self.assertEqual(len(report["frozen"]), 3)
        self.assertEqual([one["kind"] for one in report["follow"]], ["record"])
        self.retort("export", "run.toml", code=GATE)
        self.retort("run", "run.toml")
        self.assertEqual(self.count("curate", "train") + self.count("curate", "held_out"),
                         left - 1)
        new = self.entries("run")[-1]
        clear = {state["model"] for state in self.states() if state["state"] == "clear"}
        self.assertEqual({entry["name"] for entry in self.entries("model")
                          if entry["body"]["run"] == new["index"]}, clear)
        self.assertEqual(self.withdraw("--record", place)["frozen"], [])

    def test_gathering_stops(self):
        self.withdraw("--terms", SERIES, "--case", "account-ended")
        path = self.folder / "run.toml"
        path.write_text(path.read_text().replace("count = 24", "count = 30"))
        asked = len(self.teacher.requests)
        said = self.retort("collect", "run.toml", code=TERMS).stderr
        self.assertIn("nothing more may be gathered here", said)
        self.assertEqual(len(self.teacher.requests), asked)

    def test_killed_at_any_moment_it_is_whole_or_not_there(self):
        done = 0
        for delay_ms in (0, 20, 40, 60, 80, 100, 130, 160, 200, 260):
            process = self.start("ledger", "withdraw", "--terms", SERIES, "--case",
                                 "account-ended", *BY)
            time.sleep(delay_ms / 1000)
            process.kill()
            process.wait()
            self.retort("ledger", "verify")
            withdrawals = len(self.entries("withdrawal"))
            self.assertEqual(len(self.entries("state")), 3 * withdrawals)
            done += withdrawals
            self.retort("serve", "--model", "nowhere", code=INPUT)
        self.withdraw("--terms", SERIES, "--case", "account-ended")
        self.assertEqual(len(self.entries("state")), 3)
        self.refuses_serving("out/student")


class StoryTest(harness.Run):
    """examples/withdrawn, whose commands are run as they stand there, with a made-up teacher."""

    def setUp(self):
        super().setUp()
        teacher = fake_teacher.FakeTeacher().__enter__()
        self.addCleanup(teacher.__exit__)
        shutil.copytree(harness.ROOT / "examples", self.folder / "examples")
        for name in ("run", "after"):
            path = self.folder / f"examples/withdrawn/{name}.toml"
            text = path.read_text().replace("epochs = 60", "epochs = 2")
            text = re.sub(r"^serve = .*", f'base_url = "{teacher.url}"', text, flags=re.M)
            path.write_text(text)
        self.page = readme.Page(self, "withdrawn", ("LOG", "OLD", "NEW"))

    def next(self, says, code=0):
        return self.page.run(self.page.next(says), code)

    def bom(self, name):
        return json.loads((self.folder / f"runs/withdrawn/{name}.cdx.json").read_text())

    def test_the_story(self):
        said = self.next("retort sign")
        self.assertNotIn("says nothing of a log", said)
        self.next("a-copy-somewhere")
        said = self.next("ledger trace")
        self.assertIn("3 models, 1 runs", said)
        self.assertEqual(self.next("ledger withdraw").count("  frozen  "), 3)
        for command in ("serve", "export", "sign"):
            self.assertIn(f"{command} refuses", self.next(f"retort {command}", GATE))
        self.assertIn("withdrawn by Example Ltd", self.next("retort run", TERMS))
        said = self.next("after.toml")
        self.assertEqual((said.count("  frozen  "), said.count("  clear  ")), (3, 3))
        self.next("--to remediated")
        self.assertEqual(len(self.page.value("NEW")), 64)
        self.next("retort bom")
        self.assertEqual(self.page.blocks, [])
        before, after = self.bom("before"), self.bom("after")
        # Frozen, traced, remediated.
        self.assertEqual((before["version"], after["version"]), (1, 4))
        self.assertEqual(before["serialNumber"], after["serialNumber"])
        self.assertIn({"name": "retort:state", "value": "remediated"},
                      after["metadata"]["component"]["properties"])


if __name__ == "__main__":
    harness.main()
