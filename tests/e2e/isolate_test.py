#!/usr/bin/env python3
"""train.isolate_by: after a withdrawal the run goes on from the checkpoint that has learnt nothing
of what was withdrawn, and comes to the bytes of a run that never had it."""

import hashlib
import json
import re
import shutil

import fake_teacher
import harness

MODEL = "SmolLM2-135M-Instruct"  # what the shipped terms are about
SERIES = "huggingface.smollm2"
OWN = 60


class IsolateTest(harness.Run):
    def setUp(self):
        super().setUp()
        own = [json.dumps({"messages": [
            {"role": "user", "content": f"Tell me of number {i} and of the sea."},
            {"role": "assistant", "content": f"Number {i} went to sea, {i} times {i} miles far, "
                                             f"and came home on day {i * 7}."}]})
            for i in range(OWN)]
        (self.folder / "own.jsonl").write_text("\n".join(own) + "\n")
        self.teacher = fake_teacher.FakeTeacher()
        self.teacher.__enter__()
        self.addCleanup(self.teacher.__exit__, None, None, None)
        self.run_file(self.teacher.url, train='isolate_by = "terms"',
                      collect=f'import = "own.jsonl"\nimport_terms = '
                              f'["{harness.ROOT}/terms/own-work.toml"]')
        path = self.folder / "run.toml"
        path.write_text(path.read_text().replace('"fake"', f'"{MODEL}"'))

    def entries(self, kind):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def without_teacher(self, out="out"):
        """The run file as somebody leaves it whose grant is over: own data alone."""
        text = (self.folder / "run.toml").read_text()
        text = re.sub(r"\[teacher\].*?\[purpose\]", "[purpose]", text, flags=re.S)
        text = re.sub(r"^(template|words|count|prompt_terms).*\n", "", text, flags=re.M)
        (self.folder / f"{out}.toml").write_text(text.replace('out = "out"', f'out = "{out}"'))
        return f"{out}.toml"

    def weights(self, out):
        found = self.folder / out / "student/model.safetensors"
        return hashlib.sha256(found.read_bytes()).hexdigest()

    def steps(self, out):
        summary = json.loads((self.folder / out / "summary/train.json").read_text())
        return summary["counts"]

    def test_the_remedy_is_the_run_that_never_had_them(self):
        plan = self.retort("run", "run.toml", "--plan").stdout
        self.assertIn("isolated", plan)
        self.assertEqual(plan.count("should permission end"), 2)
        self.assertLess(plan.index("own-work 1:"), plan.index(SERIES))

        said = self.retort("run", "run.toml").stderr
        self.assertEqual(said.count("should permission end"), 2)
        before = self.weights("out")
        run, = self.entries("run")
        parts = run["body"]["isolated"]["parts"]
        self.assertEqual([len(part["terms"]) for part in parts], [1, 2])
        self.assertGreater(parts[1]["records"], 5)
        model = self.entries("model")[0]
        kept = model["body"]["kept"]
        self.assertEqual([entry["terms"] for entry in kept],
                         [parts[0]["terms"], sorted(parts[1]["terms"])])
        for entry in kept:
            step = f"step-{entry['step']:06}"
            self.assertTrue((self.folder / "out/train/checkpoints" / step).exists())

        report = json.loads(self.retort("ledger", "withdraw", "--terms", SERIES, "--case",
                                        "account-ended", "--by", "the tester", "--reason",
                                        "the grant is over", "--json").stdout)
        self.assertGreater(len(report["frozen"]), 0)
        said = self.retort("run", self.without_teacher()).stderr
        self.assertIn(f"training goes on after step {kept[0]['step']} of {kept[0]['step']}", said)
        self.assertEqual(self.steps("out")["resumed_step"], kept[0]["step"])
        left = [path.name for path in (self.folder / "out/train/checkpoints").glob("step-*")]
        self.assertEqual(left, [f"step-{kept[0]['step']:06}"])

        # Own data alone from the start, in a folder and a log of its own.
        shutil.rmtree(self.folder / "ledger", ignore_errors=True)
        self.retort("run", self.without_teacher("never"))
        self.assertNotIn("resumed_step", self.steps("never"))
        self.assertEqual(self.weights("out"), self.weights("never"))
        self.assertNotEqual(self.weights("out"), before)
        tokenizer = "tokenizer/tokenizer.json"
        self.assertEqual((self.folder / "out" / tokenizer).read_bytes(),
                         (self.folder / "never" / tokenizer).read_bytes())

    def test_one_record_goes(self):
        self.retort("run", "run.toml")
        kept = self.entries("model")[0]["body"]["kept"]
        shard = next(entry for entry in self.entries("shard")
                     if entry["body"]["source"] == "collect")
        self.retort("ledger", "withdraw", "--record", f"{shard['name']}:3", "--by", "the tester",
                    "--reason", "a person asked")
        said = self.retort("run", "run.toml").stderr
        self.assertIn(f"training goes on after step {kept[0]['step']} of", said)
        remedied = self.weights("out")
        # The same curated records, trained with no checkpoint to go on from.
        shutil.rmtree(self.folder / "out/train")
        (self.folder / "out/summary/train.json").unlink()
        self.retort("run", "run.toml")
        self.assertNotIn("resumed_step", self.steps("out"))
        self.assertEqual(self.weights("out"), remedied)

    def test_what_cannot_be_isolated_is_refused(self):
        path = self.folder / "run.toml"
        text = path.read_text()
        path.write_text(text.replace('isolate_by = "terms"', 'isolate_by = "terms"\npatience = 2'))
        self.assertIn("terms cannot be isolated", self.retort("run", "run.toml", code=2).stderr)
        path.write_text(text.replace('isolate_by = "terms"', 'isolate_by = "doors"'))
        self.assertIn("train.isolate_by", self.retort("run", "run.toml", code=2).stderr)


if __name__ == "__main__":
    harness.main()
