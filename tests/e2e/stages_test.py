#!/usr/bin/env python3
"""Each stage is stopped, starved of disk or handed damaged files; the same command goes on."""

import json
import os
import random
import signal
import subprocess
import time

import harness

INPUT, STORAGE, INTERRUPTED = 4, 6, 130

RUN_FILE = """
out = "out"
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
[collect]
import = "own.jsonl"
import_terms = ["{root}/terms/own-work.toml"]
[tokenizer]
vocab_size = 4000
[student]
layers = 2
width = 128
[train]
epochs = 2
batch_tokens = 1024
checkpoint_every = 5
[evaluate]
prompts = 8
"""


class OwnData(harness.Run):
    """A run over texts of random words, large enough that each stage lasts a moment."""

    def setUp(self):
        super().setUp()
        dice = random.Random(7)
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(dice.choices(letters, k=dice.randint(3, 9))) for _ in range(4000)]
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            for _ in range(300):
                file.write(json.dumps({"prompt": " ".join(dice.choices(words, k=8)),
                                       "completion": " ".join(dice.choices(words, k=20)) + "."})
                           + "\n")
        (self.folder / "run.toml").write_text(RUN_FILE.format(root=harness.ROOT))

    def done(self, stage):
        return (self.folder / f"out/summary/{stage}.json").exists()

    def weights(self):
        return (self.folder / "out/student/model.safetensors").read_bytes()

    def damage(self, path, at):
        """One bit, so that sizes and names stay what they were."""
        content = bytearray(path.read_bytes())
        content[at if at >= 0 else len(content) + at] ^= 4
        path.write_bytes(content)


class CtrlCTest(OwnData):
    def kept_steps(self):
        return list((self.folder / "out/train/checkpoints").glob("step-*"))

    def interrupt_when(self, begun):
        process = self.start("run", "run.toml")
        deadline = time.monotonic() + 120
        while not begun() and time.monotonic() < deadline:
            self.assertIsNone(process.poll(), process.communicate()[1] if process.poll() else "")
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        self.assertEqual(process.returncode, INTERRUPTED, said)
        return said

    def test_in_every_stage_and_the_same_command_goes_on_to_equal_weights(self):
        self.retort("run", "run.toml", "--out", "whole")
        wanted = (self.folder / "whole/student/model.safetensors").read_bytes()
        for before, stage in (("curate", "tokenizer"), ("tokenizer", "train"),
                              ("train", "evaluate"), ("evaluate", "export")):
            # The stage has begun when the one before it has ended; training, when it keeps steps.
            said = self.interrupt_when(self.kept_steps if stage == "train"
                                       else lambda ended=before: self.done(ended))
            self.assertIn(stage, said)
            self.assertFalse(self.done(stage), said)
            if stage == "train":
                self.assertTrue(self.kept_steps(), "the steps done so far are kept")
        self.assertFalse((self.folder / "out/student").exists(), "half an export is none")
        self.assertFalse((self.folder / "out/.export.tmp").exists())
        self.retort("run", "run.toml")
        self.assertEqual(self.weights(), wanted)


class DamageTest(OwnData):
    def test_a_changed_bit_in_a_shard_is_found_before_it_is_used(self):
        self.retort("run", "run.toml")
        wanted = self.weights()
        curated = next((self.folder / "out/curated").rglob("*.jsonl.zst"))
        self.damage(curated, -40)  # made of the sealed shards, so it is made again
        self.assertIn("out/curated changed", self.retort("run", "run.toml").stderr)
        self.assertEqual(self.weights(), wanted)
        sealed = next((self.folder / "out/shards").rglob("*.jsonl.zst"))
        self.damage(sealed, -40)
        said = self.retort("run", "run.toml", code=INPUT).stderr
        self.assertIn(sealed.name, said)
        self.assertIn("backup", said)
        self.damage(sealed, -40)  # put back
        self.retort("run", "run.toml")
        self.assertEqual(self.weights(), wanted)

    def test_a_changed_bit_in_a_checkpoint_falls_back_to_the_one_before(self):
        self.retort("run", "run.toml")
        wanted = self.weights()
        for stage in ("train", "evaluate", "export"):
            (self.folder / f"out/summary/{stage}.json").unlink()
        checkpoints = sorted((self.folder / "out/train/checkpoints").glob("step-*"))
        self.assertGreater(len(checkpoints), 1)
        newest = max((checkpoints[-1]).glob("*"), key=lambda p: p.stat().st_size)
        self.damage(newest, newest.stat().st_size // 2)
        said = self.retort("run", "run.toml").stderr
        self.assertIn(checkpoints[-1].name, said)
        self.assertEqual(self.weights(), wanted)


class DiskTest(OwnData):
    @harness.unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_full_disk_in_export_is_said_and_room_is_enough_to_go_on(self):
        out = self.folder / "out"
        out.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900m", "tmpfs", str(out)],
                          capture_output=True).returncode != 0:
            self.skipTest("mounting is not allowed here")
        try:
            self.retort("run", "run.toml")
            wanted = self.weights()
            (out / "summary/export.json").unlink()
            for path in (out / "student").iterdir():
                path.unlink()
            (out / "student").rmdir()
            (out / "student.gguf").unlink()
            used = int(subprocess.run(["df", "--output=used", "-k", str(out)], check=True,
                                      capture_output=True, text=True).stdout.split()[1])
            subprocess.run(["mount", "-o", f"remount,size={used + 4096}k", str(out)], check=True)
            said = self.retort("run", "run.toml", code=STORAGE).stderr
            self.assertRegex(said, "No space left|disk is full")
            self.assertFalse((out / "student").exists())
            self.assertFalse((out / ".export.tmp").exists())
            subprocess.run(["mount", "-o", "remount,size=900m", str(out)], check=True)
            self.retort("run", "run.toml")
            self.assertEqual(self.weights(), wanted)
        finally:
            subprocess.run(["umount", str(out)], check=False)


if __name__ == "__main__":
    harness.main()
