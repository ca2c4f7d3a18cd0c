#!/usr/bin/env python3
"""A student that starts from other weights, here from a small student of an earlier run."""

import json
import random
import shutil

import harness

REFUSED, INPUT, USAGE = 3, 4, 2

RUN_FILE = """
out = "{out}"
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "{out}"
[collect]
import = "own.jsonl"
import_terms = ["{root}/terms/own-work.toml"]
[tokenizer]
vocab_size = 600
[student]
{student}
[train]
epochs = {epochs}
batch_tokens = 1024
[evaluate]
prompts = 8
"""
SCRATCH = "layers = 4\nwidth = 64\nheads = 4\nkv_heads = 2"
BASE = 'from = "{weights}"\nterms = ["{root}/terms/apache-2.0-weights.toml"]'


class BaseTest(harness.Run):
    def setUp(self):
        super().setUp()
        dice = random.Random(11)
        self.words = ["".join(dice.choices("abcdefghijklm", k=dice.randint(3, 7)))
                      for _ in range(150)]
        self.texts(dice, self.words)
        self.start_from("base", SCRATCH, epochs=3)
        self.retort("run", "base.toml")
        # What comes after it speaks of fewer things.
        self.texts(dice, self.words[:40])

    def texts(self, dice, words):
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            for _ in range(200):
                file.write(json.dumps({"prompt": " ".join(dice.choices(words, k=6)),
                                       "completion": " ".join(dice.choices(words, k=15)) + "."})
                           + "\n")

    def start_from(self, out, student, epochs=1):
        (self.folder / f"{out}.toml").write_text(RUN_FILE.format(
            out=out, student=student, root=harness.ROOT, epochs=epochs))

    def start_from_base(self, out, weights, more=""):
        self.start_from(out, BASE.format(weights=weights, root=harness.ROOT) + "\n" + more)

    def json_of(self, path):
        return json.loads((self.folder / path).read_text())

    def first_loss(self, out):
        lines = (self.folder / out / "train/metrics.jsonl").read_text().splitlines()
        return next(step["loss"] for step in map(json.loads, lines) if "loss" in step)

    def vocabulary(self, folder):
        return self.json_of(f"{folder}/tokenizer.json")["model"]["vocab"]

    def test_takes_the_tokenizer_of_its_weights_and_learns_on(self):
        for weights in ("base/student.gguf", "base/student"):
            self.start_from_base("next", weights)
            self.retort("run", "next.toml")
            self.assertEqual(self.vocabulary("next/student"), self.vocabulary("base/student"))
            config = self.json_of("next/student/config.json")
            self.assertEqual(config["num_hidden_layers"], 4)
            self.assertLess(self.first_loss("next"), self.first_loss("base") - 0.5,
                            "it goes on from what the base knows")
            said = self.retort("chat", "next/student.gguf", "--max-tokens", "5", stdin="a b\n")
            self.assertTrue(said.stdout.strip())
            shutil.rmtree(self.folder / "next")

        # Fewer layers, heads, channels and tokens: a smaller model of the same kind.
        self.start_from_base("next", "base/student.gguf", "keep_layers = 3\nkeep_width = 48\n"
                             "keep_heads = 2\nkeep_ffn = 96\ntrim_vocab = true")
        said = self.retort("run", "next.toml").stderr
        self.assertRegex(said, "kept 3 of 4 layers, 48 of 64 channels, 2 of 4 heads, 96 of")
        start = self.json_of("next/train/start.json")
        summary = self.json_of("next/summary/train.json")["counts"]
        self.assertEqual(summary["start_loss"], start["loss"])
        config = self.json_of("next/student/config.json")
        remap = self.json_of("next/tokenizer/remap.json")["old_ids"]
        whole, trimmed = self.vocabulary("base/student"), self.vocabulary("next/student")
        self.assertEqual([config[key] for key in ("num_hidden_layers", "hidden_size",
                                                  "num_attention_heads", "intermediate_size")],
                         [3, 48, 2, 96])
        self.assertEqual(config["vocab_size"], len(trimmed))
        self.assertLess(len(trimmed), len(whole))
        self.assertEqual([whole[token] for token in sorted(trimmed, key=trimmed.get)], remap)
        self.assertGreater(min(start["base_loss"], start["loss"]), 0.5)
        said = self.retort("chat", "next/student.gguf", "--max-tokens", "5", stdin="a b\n")
        self.assertTrue(said.stdout.strip())

        # What cannot be kept is said before anything is trained.
        self.start_from_base("next", "base/student.gguf", "keep_layers = 5")
        self.assertIn("5 of 4 layers", self.retort("run", "next.toml", code=USAGE).stderr)
        self.start_from("next", "keep_layers = 2")
        self.assertIn("student.from", self.retort("run", "next.toml", code=USAGE).stderr)
        shutil.rmtree(self.folder / "next")

        # Without terms of their own they may not be learnt from.
        self.start_from("next", 'from = "base/student.gguf"')
        self.retort("run", "next.toml", code=REFUSED)
        self.assertFalse((self.folder / "next/tokenizer").exists())


if __name__ == "__main__":
    harness.main()
