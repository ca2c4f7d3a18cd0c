#!/usr/bin/env python3
"""`retort score`: many texts at once, the same numbers however many, and going on after a stop."""

import json
import math

import harness

INPUT = 4


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class ScoreTest(harness.Run):
    def write(self, lines, name="texts.jsonl"):
        (self.folder / name).write_text("".join(
            (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))

    def score(self, *more, code=0):
        done = self.retort("score", harness.TEACHER, "texts.jsonl", *more, code=code)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_one_line_each_in_order_whatever_is_in_flight(self):
        texts = [f"The {word} went to the sea." for word in
                 ("boat", "old man with the long grey beard", "moon", "cat", "river", "train")]
        self.write([{"id": i, "text": text} for i, text in enumerate(texts)])
        alone, together = self.score("--in-flight", "1"), self.score()
        self.assertEqual([line["id"] for line in together], list(range(len(texts))))
        for one, other in zip(alone, together):
            self.assertEqual(one, other)
            self.assertAlmostEqual(one["logprob"], sum(one["token_logprobs"]), places=4)
            bits = -one["logprob"] / math.log(2)
            self.assertGreater(bits, 0)

    def test_the_shapes_of_a_line_agree(self):
        self.write([{"text": "Paris is the capital of France."},
                    {"prompt": "Paris is the capital of", "completion": " France."}])
        whole, half = self.score("--exact")
        self.assertEqual(whole["tokens"][-2:], half["tokens"])
        for a, b in zip(whole["token_logprobs"][-2:], half["token_logprobs"]):
            self.assertAlmostEqual(a, b, delta=1e-4)
        self.assertGreater(half["token_logprobs"][0], math.log(0.03), "France is likely")
        self.write([{"tokens": [half["tokens"][0], *half["tokens"]]}])
        self.assertEqual(self.score("--top", "3")[0]["tokens"], half["tokens"])

    def test_alternatives_are_the_likeliest_and_the_raw_distribution(self):
        self.write([{"text": "Once upon a time there was a king."}])
        line = self.score("--top", "5")[0]
        for token, logprob, top in zip(line["tokens"], line["token_logprobs"],
                                       line["top_logprobs"]):
            self.assertEqual(len(top), 5)
            values = [value for _, value in top]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertLessEqual(sum(map(math.exp, values)), 1 + 1e-5)
            self.assertLessEqual(logprob, values[0] + 1e-6)
            if token in dict(top):
                self.assertAlmostEqual(dict(top)[token], logprob, places=5)

    def test_a_line_that_cannot_be_scored_costs_no_other(self):
        self.write([{"text": "One two three."}, "no JSON", {"text": "One"},
                    {"tokens": [1, 10 ** 9]}, {"text": "word " * 9000}, {"txt": "x"},
                    {"text": "Four five six."}])
        lines = self.score(code=INPUT)
        self.assertEqual([("error" in line) for line in lines],
                         [False, True, True, True, True, True, False])
        self.assertIn("no token of this model", lines[3]["error"])
        self.assertIn("context", lines[4]["error"])

    def test_a_file_begun_is_gone_on_with(self):
        self.write([{"text": f"Number {i} is a number."} for i in range(9)])
        self.retort("score", harness.TEACHER, "texts.jsonl", "--out", "whole.jsonl")
        whole = (self.folder / "whole.jsonl").read_text()
        self.assertEqual(whole.count("\n"), 9)
        (self.folder / "begun.jsonl").write_text(whole[:len(whole) * 2 // 3])
        self.retort("score", harness.TEACHER, "texts.jsonl", "--out", "begun.jsonl")
        begun = (self.folder / "begun.jsonl").read_text()
        self.assertEqual([json.loads(line)["line"] for line in begun.splitlines()],
                         list(range(1, 10)))
        kept = whole[:len(whole) * 2 // 3].count("\n")
        self.assertGreater(kept, 2)
        self.assertEqual(begun.splitlines()[:kept], whole.splitlines()[:kept])


if __name__ == "__main__":
    harness.main()
