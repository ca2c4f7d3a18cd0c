#!/usr/bin/env python3
"""A teacher over HTTP judges what the student says itself: under its clause, and never twice."""

import json

import harness
import served

MODEL = "SmolLM2-135M-Instruct"

RUN = """
out = "out"
[teacher]
base_url = "http://127.0.0.1:{port}/v1"
model = "{model}"
terms = ["{terms}"]
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
[collect]
import = "own.jsonl"
import_terms = ["{root}/terms/own-work.toml"]
[student]
from = "{teacher}"
base_model = "SmolLM2-135M-Instruct"
terms = ["{root}/terms/smollm2-apache.toml"]
[train]
objective = "sampled_reverse_kl"
teacher = "http"
on_policy = 1
rollout_tokens = 6
lora_rank = 4
lr = 1e-4
epochs = 2
batch_tokens = 200
checkpoint_every = 1
"""


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class HttpTeacherTest(harness.Run):
    def setUp(self):
        super().setUp()
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            for word in ("boat", "moon", "cat", "river", "train", "king"):
                file.write(json.dumps({"prompt": f"Say something about a {word}.",
                                       "completion": "No."}) + "\n")
        (self.folder / "server").mkdir()
        self.server = served.Served(self.folder / "server", "--exact", f"--model-id={MODEL}")
        self.addCleanup(self.server.stop)
        self.write(harness.ROOT / "terms/smollm2-apache.toml")

    def write(self, terms):
        (self.folder / "run.toml").write_text(RUN.format(
            port=self.server.port, model=MODEL, terms=terms, root=harness.ROOT,
            teacher=harness.TEACHER))

    def prepared(self):
        for stage in ("collect", "curate"):
            self.retort(stage, "run.toml")

    def lines(self, name):
        return [json.loads(line) for line in
                (self.folder / name).read_text().splitlines()]

    def entries(self, kind):
        shown = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, shown) if entry["kind"] == kind]

    def test_it_judges_each_step_and_stands_in_the_log(self):
        self.prepared()
        self.retort("train", "run.toml", timeout=400)
        steps = [line for line in self.lines("out/train/metrics.jsonl") if "lr" in line]
        self.assertGreaterEqual(len(steps), 2)
        # The student is the teacher before the first step.
        self.assertLess(abs(steps[0]["divergence"]), 0.05, steps)
        scored = self.lines("out/scores.jsonl")
        self.assertGreaterEqual(len(scored), 6)
        for line in scored:
            self.assertTrue(1 <= len(line["logprobs"]) <= 7)
            self.assertTrue(all(value <= 0 for value in line["logprobs"]))
        run = self.entries("run")[-1]
        door = run["body"]["asked"][0]["door"]
        self.assertEqual(self.entries("door")[-1]["index"], door)
        self.assertIn(run["body"]["asked"][0]["verdict"], run["body"]["verdicts"])
        traced = json.loads(self.retort(
            "ledger", "trace", "--door", "http://localhost/v1/completions", "--json").stdout)
        self.assertTrue(traced["models"], traced)
        self.assertIn("localhost/v1/completions",
                      self.retort("bom", "out/train/final").stdout)

    def test_what_was_paid_for_is_not_asked_again(self):
        self.prepared()
        first = ["--train.rollouts", "first"]
        said = self.retort("train", "run.toml", *first, "--train.score_tokens", "150",
                           code=None, timeout=400)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("train.score_tokens", said.stderr)
        begun = (self.folder / "out/scores.jsonl").read_text()
        self.assertGreaterEqual(begun.count("\n"), 1)
        self.retort("train", "run.toml", *first, timeout=400)
        whole = (self.folder / "out/scores.jsonl").read_text()
        self.assertTrue(whole.startswith(begun))
        self.assertEqual(whole.count("\n"), 6)
        names = {json.loads(line)["text"] for line in whole.splitlines()}
        self.assertEqual(len(names), 6, "no text twice")

    def test_a_clause_against_it_refuses_before_anything_is_asked(self):
        text = (harness.ROOT / "terms/smollm2-apache.toml").read_text()
        self.assertIn('effect = "permit"', text)
        strict = self.folder / "strict.toml"
        strict.write_text(text.replace('effect = "permit"\naction = "train.generative"',
                                       'effect = "prohibit"\naction = "train.generative"')
                          .replace("smollm2", "strict"))
        self.write(strict)
        for command in (["run", "run.toml", "--plan"], ["run", "run.toml"]):
            done = self.retort(*command, code=None)
            self.assertNotEqual(done.returncode, 0, done.stderr)
            self.assertIn("train.generative", done.stdout + done.stderr)
        self.assertFalse((self.folder / "out/scores.jsonl").exists())

    def test_a_teacher_that_scores_no_texts_is_told_of(self):
        self.prepared()
        (self.folder / "run.toml").write_text(
            (self.folder / "run.toml").read_text().replace(f'model = "{MODEL}"',
                                                           'model = "SmolLM2-other"'))
        said = self.retort("train", "run.toml", code=None, timeout=400)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("SmolLM2-other", said.stderr)


if __name__ == "__main__":
    harness.main()
