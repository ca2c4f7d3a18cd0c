#!/usr/bin/env python3
"""The main job on the real teacher, small: every stage, resume after kill -9, no repetition."""

import json
import os
import signal
import shutil
import time

import harness


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class SmokeTest(harness.Run):
    def setUp(self):
        super().setUp()
        for name in ("examples", "terms", "models"):
            os.symlink(harness.ROOT / name, self.folder / name)
        self.out = self.folder / "runs/quickstart-smoke"

    def smoke(self, *more, **options):
        return self.retort("run", "examples/quickstart.toml", "--smoke", *more, **options)

    def summary(self, stage):
        return json.loads((self.out / f"summary/{stage}.json").read_text())

    def test_whole_run_then_nothing_twice(self):
        self.smoke()
        for name in ("report.html", "student/model.safetensors", "student/tokenizer.json",
                     "student.gguf", "evaluate/results.json", "evaluate/samples.jsonl",
                     "curated/funnel.json", "train/metrics.jsonl", "run.toml"):
            self.assertTrue((self.out / name).stat().st_size > 0, name)
        results = json.loads((self.out / "evaluate/results.json").read_text())
        student = results["bits_per_byte"]["student"]
        self.assertLess(student["low"], student["value"])
        self.assertLess(student["value"], student["high"])
        self.assertLess(student["value"], 8.0)
        report = (self.out / "report.html").read_text()
        self.assertIn("smollm2", report.lower())
        self.assertNotIn("https://cdn", report)

        before = {stage: self.summary(stage)["finished_ms"]
                  for stage in ("collect", "curate", "tokenizer", "train", "evaluate", "export")}
        started = time.monotonic()
        self.smoke()
        self.assertLess(time.monotonic() - started, 10)
        for stage, finished in before.items():
            self.assertEqual(self.summary(stage)["finished_ms"], finished, stage)

        self.smoke("--train.lr", "5e-4")  # a changed option: that stage and what depends on it
        self.assertEqual(self.summary("curate")["finished_ms"], before["curate"])
        for stage in ("train", "evaluate", "export"):
            self.assertGreater(self.summary(stage)["finished_ms"], before[stage], stage)

        said = self.retort("chat", self.out / "student", "--temperature", "0", "--max-tokens",
                           "20", stdin="Write a two-sentence story about a boat.\n").stdout
        self.assertGreater(len(said.strip()), 0)

    def test_kill_9_in_each_stage_and_go_on_to_equal_weights(self):
        self.smoke()
        wanted = (self.out / "student/model.safetensors").read_bytes()
        for stage in ("tokenizer", "train", "evaluate", "export"):
            shutil.rmtree(self.out / "train", ignore_errors=True)
            for name in ("tokenizer", "train", "evaluate", "export"):
                (self.out / f"summary/{name}.json").unlink(missing_ok=True)
        seen = 0
        for _ in range(6):
            process = self.start("run", "examples/quickstart.toml", "--smoke")
            deadline = time.monotonic() + 60
            checkpoints = self.out / "train/checkpoints"
            while time.monotonic() < deadline and process.poll() is None:
                steps = len(list(checkpoints.glob("step-*"))) if checkpoints.exists() else 0
                if steps > seen:
                    seen = steps
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.smoke()
        self.assertEqual((self.out / "student/model.safetensors").read_bytes(), wanted)

    def test_plan_asks_and_writes_nothing(self):
        said = self.retort("run", "examples/quickstart.toml", "--plan").stdout
        for word in ("permit", "memory", "disk", "time", "tokens"):
            self.assertIn(word, said.lower())
        self.assertFalse((self.folder / "runs").exists())


if __name__ == "__main__":
    harness.main()
