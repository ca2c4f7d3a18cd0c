#!/usr/bin/env python3
"""What is said of a training: one object at its end; what cannot work, before anything is asked."""

import json

import fake_teacher
import harness

USAGE, INPUT = 2, 4

OWN_DATA = """
out = "out"
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
[collect]
import = "own.jsonl"
import_terms = ["{root}/terms/own-work.toml"]
[tokenizer]
vocab_size = 400
[student]
layers = 1
width = 64
[train]
epochs = 3
batch_tokens = 256
"""


class ResultTest(harness.Run):
    def setUp(self):
        super().setUp()
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            for i in range(40):
                file.write(json.dumps({"prompt": f"count from {i}",
                                       "completion": f"{i}, {i + 1}, {i + 2}."}) + "\n")
        (self.folder / "run.toml").write_text(OWN_DATA.format(root=harness.ROOT))

    def test_train_json_is_one_object(self):
        self.retort("collect", "run.toml")
        self.retort("curate", "run.toml")
        done = self.retort("train", "run.toml", "--json")
        said = json.loads(done.stdout)
        self.assertEqual(sorted(said), ["loss_first", "loss_last", "peak_memory_bytes", "seconds",
                                        "share_of_limit", "steps", "tokens_per_second"])
        lines = [json.loads(line) for line in
                 (self.folder / "out/train/metrics.jsonl").read_text().splitlines()]
        steps = [line for line in lines if "lr" in line]
        self.assertEqual(said["steps"], len(steps))
        self.assertEqual(said["loss_first"], steps[0]["loss"])
        self.assertEqual(said["loss_last"], steps[-1]["loss"])
        self.assertLess(said["loss_last"], said["loss_first"])
        self.assertAlmostEqual(said["seconds"], steps[-1]["seconds"])
        tokens = sum(step["tokens"] for step in steps)
        self.assertAlmostEqual(said["tokens_per_second"] * said["seconds"], tokens,
                               delta=tokens * 1e-6)
        # Null where the machine was too busy for its limit to be measured.
        self.assertTrue(said["share_of_limit"] is None or 0 < said["share_of_limit"] <= 1)
        self.assertTrue(1 << 20 < said["peak_memory_bytes"] < 1 << 32)
        again = json.loads(self.retort("train", "run.toml", "--json").stdout)
        self.assertEqual(again, said, "what was done before is told again")

    def test_a_plan_of_own_data_counts_its_lines(self):
        said = self.retort("run", "run.toml", "--plan").stdout
        self.assertRegex(said, r"parameters, \d+ steps over about")
        self.assertIn("training takes about", said)


class RefusalTest(harness.Run):
    """Each is said by the plan and by the run, before the teacher is asked anything."""

    CASES = [
        (["--train.lr", "99"], "train.lr", "at most 10"),
        (["--train.objective", "kl"], "train.objective", '"kl"'),
        (["--train.objective", "forward_kl"], "teacher.serve", "none here"),
        (["--train.objective", "forward_kl", "--train.teacher", "recorded"],
         "collect.top_logprobs", "none are recorded"),
        (["--train.objective", "dpo", "--train.teacher", "recorded"],
         "collect.top_logprobs", "none are recorded"),
        (["--train.lora_rank", "8"], "train.lora_rank", "know something"),
        (["--student.width", "100", "--student.heads", "7"], "student.width", "7 heads"),
        (["--student.layers", "100", "--student.width", "16384"], "train.batch_tokens", "GiB"),
        (["--train.batch_tokens", "16000000"], "train.batch_tokens", "GiB"),
        (["--train.accumulate", "0"], "train.accumulate", "1 to 100000"),
    ]

    def test_before_anything_is_asked(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            text = (self.folder / "run.toml").read_text()
            (self.folder / "run.toml").write_text(
                text.replace('"fake"', '"SmolLM2-135M-Instruct"'))
            for words, key, number in self.CASES:
                for command in (["run", "run.toml", "--plan"], ["run", "run.toml"]):
                    said = self.retort(*command, *words, code=USAGE).stderr
                    self.assertIn(key, said, words)
                    self.assertIn(number, said, words)
            self.assertEqual(teacher.requests, [])
            self.assertFalse((self.folder / "out/corpus.db").exists())


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class WeightsTest(harness.Run):
    def setUp(self):
        super().setUp()
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": "a", "completion": "b"}) + "\n")
        text = OWN_DATA.format(root=harness.ROOT).replace(
            "layers = 1\nwidth = 64",
            f'from = "{harness.TEACHER}"\nbase_model = "SmolLM2-135M-Instruct"\n'
            f'terms = ["{harness.ROOT}/terms/smollm2-apache.toml"]')
        (self.folder / "run.toml").write_text(text)

    def test_the_plan_knows_the_shape_of_weights(self):
        said = self.retort("run", "run.toml", "--plan").stdout
        self.assertIn("134,515,008 parameters", said)
        self.assertRegex(said, r"training takes about [\d.]+ GiB of memory")
        self.assertRegex(said, r"time training about .* tokens a second")
        half = self.retort("run", "run.toml", "--plan", "--student.keep_layers", "15").stdout
        self.assertIn("81,413,568 parameters", half)

    def test_vocabularies_that_are_not_the_teachers(self):
        own = (self.folder / "run.toml").read_text().splitlines()
        own = [line for line in own if not line.startswith(("from", "base_model", "terms"))]
        (self.folder / "own.toml").write_text("\n".join(own))
        online = ["--teacher.serve", harness.TEACHER, "--teacher.model", "SmolLM2-135M-Instruct",
                  "--teacher.terms", f"{harness.ROOT}/terms/smollm2-apache.toml",
                  "--train.objective", "forward_kl"]
        said = self.retort("run", "own.toml", *online, code=USAGE).stderr
        self.assertIn("student.from", said)
        self.assertIn("400 tokens", said)
        with open(self.folder / "own.jsonl", "a", encoding="utf-8") as file:
            for i in range(40):
                file.write(json.dumps({"prompt": f"say {i}", "completion": f"{i}!"}) + "\n")
        self.retort("run", "own.toml")
        said = self.retort("run", "run.toml", *online, "--student.from", "out/student",
                           code=INPUT).stderr
        self.assertIn("vocabulary is not the teacher's", said)
        self.assertRegex(said, r"\d+ of")

    def test_answers_that_leave_no_room_and_too_many_layers(self):
        online = ["--teacher.serve", harness.TEACHER, "--teacher.model", "SmolLM2-135M-Instruct",
                  "--teacher.terms", f"{harness.ROOT}/terms/smollm2-apache.toml",
                  "--train.objective", "reverse_kl", "--train.on_policy", "1"]
        said = self.retort("run", "run.toml", *online, "--train.rollout_tokens", "9000",
                           "--train.batch_tokens", "20000", code=USAGE).stderr
        self.assertIn("train.rollout_tokens", said)
        self.assertIn("8192", said)
        said = self.retort("run", "run.toml", "--student.keep_layers", "31", code=USAGE).stderr
        self.assertIn("31", said)


if __name__ == "__main__":
    harness.main()
