#!/usr/bin/env python3
"""What goes wrong outside the program ends in a sentence, the right exit code, and nothing lost."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import fake_teacher
import harness

USAGE, TERMS, INPUT, UPSTREAM, STORAGE, BUDGET, INTERRUPTED = 2, 3, 4, 5, 6, 7, 130


def counts(folder):
    with sqlite3.connect(folder / "out/corpus.db") as database:
        states = database.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state")
        return {("planned", "in_flight", "done", "failed")[state]: count
                for state, count in states}


class RunFileTest(harness.Run):
    def test_unknown_key_names_the_nearest(self):
        self.run_file("http://127.0.0.1:1/v1", more="[train2]\nlr = 1.0")
        self.retort("run", "run.toml", code=USAGE)
        text = (self.folder / "run.toml").read_text().replace("epochs", "epocs")
        (self.folder / "run.toml").write_text(text.replace("[train2]\nlr = 1.0", ""))
        said = self.retort("run", "run.toml", code=USAGE).stderr
        self.assertIn("train.epocs", said)
        self.assertIn("train.epochs", said)

    def test_unknown_flag_and_wrong_value(self):
        self.run_file("http://127.0.0.1:1/v1")
        self.assertIn("train.lr", self.retort("run", "run.toml", "--train.lrr", "1",
                                              code=USAGE).stderr)
        self.assertIn("a number", self.retort("run", "run.toml", "--train.lr", "fast",
                                              code=USAGE).stderr)

    def test_weights_without_terms_are_named(self):
        self.run_file("http://127.0.0.1:1/v1")
        said = self.retort("train", "run.toml", "--student.from", str(harness.TEACHER),
                           "--teacher.model", "SmolLM2-135M-Instruct", code=TERMS).stderr
        self.assertIn("there are no terms", said)
        self.assertIn(f"where: the weights of {harness.TEACHER}", said)

    def test_a_plan_that_memory_refuses_tells_no_time_in_all(self):
        self.run_file("http://127.0.0.1:1/v1")
        wide = ["--student.layers", "60", "--student.width", "8192", "--train.batch_tokens",
                "4000000"]
        planned = self.retort("run", "run.toml", "--plan", *wide, code=USAGE)
        self.assertIn("training takes about", planned.stderr)
        self.assertIn("memory ", planned.stdout)
        self.assertNotIn("in all", planned.stdout)

    def test_missing_run_file_and_broken_toml(self):
        self.assertIn("none.toml", self.retort("run", "none.toml", code=INPUT).stderr)
        (self.folder / "bad.toml").write_text("out = = 1\n")
        self.assertIn("bad.toml:1:", self.retort("run", "bad.toml", code=INPUT).stderr)

    def test_no_arguments_and_unknown_command(self):
        self.retort("frobnicate", code=USAGE)
        self.assertIn("run", self.retort(code=0).stdout)
        self.assertIn("--plan", self.retort("run", "--help", code=0).stdout)


class ModelTest(harness.Run):
    def test_misspelt_commands_and_flags_name_the_nearest(self):
        for words, nearest in ((["rum"], '"run"'), (["serve", "--modle", "x"], "--model"),
                               (["chat", "x", "--temprature=1"], "--temperature"),
                               (["score", "--quite"], "--quiet")):
            self.assertIn(nearest, self.retort(*words, code=USAGE).stderr)

    def test_missing_and_wrong_model_file(self):
        said = self.retort("serve", "--model", "none.gguf", code=INPUT).stderr
        self.assertIn("none.gguf", said)
        for content in (b"", b"hello", b"GGUF" + b"\xff" * 60, b"GGUF\x03\0\0\0" + b"\xff" * 16):
            (self.folder / "bad.gguf").write_bytes(content)
            self.assertIn("bad.gguf", self.retort("serve", "--model", "bad.gguf",
                                                  code=INPUT).stderr)

    def test_unknown_chat_template_is_refused_with_the_names(self):
        for command in (["serve", "--model", str(harness.TEACHER)], ["chat", str(harness.TEACHER)]):
            said = self.retort(*command, "--chat-template", "alpaca", code=USAGE).stderr
            self.assertIn("name one of chatml, smollm2, qwen2", said)

    def test_serve_without_key_stays_on_loopback(self):
        said = self.retort("serve", "--model", harness.TEACHER, "--host", "0.0.0.0",
                           code=USAGE).stderr
        self.assertIn("key", said)


class TeacherTest(harness.Run):
    def collect(self, behave, code, **options):
        with fake_teacher.FakeTeacher(behave) as teacher:
            self.run_file(teacher.url, **options)
            done = self.retort("collect", "run.toml", code=code)
            return done.stderr, teacher.requests

    def test_unreachable(self):
        self.run_file("http://127.0.0.1:1/v1", collect="attempts = 2")
        said = self.retort("collect", "run.toml", code=UPSTREAM).stderr
        self.assertIn("127.0.0.1:1", said)

    def test_wrong_key_and_suspension_stop_the_lane_at_once(self):
        for status in ("401", "403"):
            said, requests = self.collect(lambda _, s=status: s, UPSTREAM)
            self.assertIn(status, said)
            self.assertLessEqual(len(requests), 8)
            shutil.rmtree(self.folder / "out")

    def test_faults_on_the_way_are_retried_and_each_prompt_is_answered_once(self):
        faults = {1: "429", 3: "500", 5: "garbage", 7: "cut", 9: "drop", 11: "error_in_200"}
        said, requests = self.collect(lambda number: faults.get(number, "ok"), 0)
        self.assertEqual(counts(self.folder).get("done"), 24, said)
        self.assertEqual(len(requests), 24 + len(faults))

    def test_empty_prompts_are_named_by_line(self):
        self.run_file("http://127.0.0.1:1/v1")
        text = (self.folder / "run.toml").read_text()
        text = "\n".join(line for line in text.splitlines()
                         if not line.startswith(("template", "words", "count")))
        (self.folder / "run.toml").write_text(
            text.replace("[collect]", '[collect]\nprompts = "p.jsonl"'))
        for content, word in (("", "no prompts"),
                              ('{"prompt": "a"}\n{"prompt": ""}\n', "p.jsonl:2"),
                              ('{"prompt": "a"}\nnot json\n', "p.jsonl:2")):
            (self.folder / "p.jsonl").write_text(content)
            self.assertIn(word, self.retort("collect", "run.toml", code=INPUT).stderr)

    def test_budget_stops_before_it_is_passed_and_keeps_what_it_has(self):
        _, requests = self.collect(lambda _: "ok", BUDGET, collect="budget_requests = 10")
        self.assertEqual(len(requests), 10)
        self.assertEqual(counts(self.folder).get("done"), 10)


    @harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
    def test_a_prompt_longer_than_the_context_fails_alone_and_is_named(self):
        self.run_file("http://127.0.0.1:1/v1")
        text = "\n".join(
            line for line in (self.folder / "run.toml").read_text().splitlines()
            if not line.startswith(("template", "words", "count", "base_url", "model =")))
        text = text.replace("[collect]", '[collect]\nprompts = "p.jsonl"').replace(
            "[teacher]", f'[teacher]\nserve = "{harness.TEACHER}"\n'
            'model = "SmolLM2-135M-Instruct"')
        (self.folder / "run.toml").write_text(text)
        prompts = ["Say yes.", "word " * 9000, "Say no."]
        (self.folder / "p.jsonl").write_text(
            "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
        done = self.retort("collect", "run.toml")
        self.assertEqual(counts(self.folder), {"done": 2, "failed": 1})
        self.assertIn("context", done.stdout + done.stderr)

    def test_a_damaged_answer_in_the_corpus_is_refused_by_its_key(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            text = (self.folder / "run.toml").read_text()
            (self.folder / "run.toml").write_text(
                text.replace('"fake"', '"SmolLM2-135M-Instruct"'))
            self.retort("collect", "run.toml")
            with sqlite3.connect(self.folder / "out/corpus.db") as database:
                database.execute("UPDATE answers SET record = replace(record, 'wind', 'wand') "
                                 "WHERE job = 5")
            shutil.rmtree(self.folder / "out/shards", ignore_errors=True)
            (self.folder / "out/summary/collect.json").unlink(missing_ok=True)
            said = self.retort("run", "run.toml", code=INPUT).stderr
            self.assertIn("corpus.db", said)


class CrashTest(harness.Run):
    def test_kill_9_while_collecting_loses_and_repeats_nothing(self):
        with fake_teacher.FakeTeacher(lambda _: "slow") as teacher:
            self.run_file(teacher.url, count=40)
            kills = 0
            for wait_s in (1.0, 0.7, 0.9):
                process = self.start("collect", "run.toml")
                time.sleep(wait_s)
                if process.poll() is None:
                    kills += 1
                process.kill()
                process.communicate()
            self.retort("collect", "run.toml")
            self.assertGreater(kills, 0)
            self.assertEqual(counts(self.folder).get("done"), 40)
            self.assertLessEqual(len(teacher.requests), 40 + kills * 8)

    def test_ctrl_c_keeps_what_was_answered(self):
        with fake_teacher.FakeTeacher(lambda _: "slow") as teacher:
            self.run_file(teacher.url, count=60)
            process = self.start("collect", "run.toml")
            while len(teacher.requests) < 20:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
            self.assertEqual(process.returncode, INTERRUPTED, said)
            done = counts(self.folder).get("done", 0)
            self.assertGreaterEqual(done, 10)
            self.retort("collect", "run.toml")
            self.assertEqual(len(teacher.requests), 60)

    def test_second_process_on_the_same_folder_is_kept_out(self):
        with fake_teacher.FakeTeacher(lambda _: "slow") as teacher:
            self.run_file(teacher.url, count=60)
            first = self.start("collect", "run.toml")
            while len(teacher.requests) < 8:
                time.sleep(0.02)
            said = self.retort("collect", "run.toml", code=STORAGE).stderr
            self.assertIn(str(first.pid), said)


class DiskTest(harness.Run):
    @harness.unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_full_disk_is_said_and_loses_nothing(self):
        (self.folder / "out").mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs",
                           str(self.folder / "out")], capture_output=True).returncode != 0:
            self.skipTest("mounting is not allowed here")
        try:
            with fake_teacher.FakeTeacher() as teacher:
                self.run_file(teacher.url, count=400)
                said = self.retort("collect", "run.toml", code=STORAGE).stderr
                self.assertRegex(said, "No space left|disk is full")
                subprocess.run(["mount", "-o", "remount,size=64m", str(self.folder / "out")],
                               check=True)
                self.retort("collect", "run.toml")
                self.assertEqual(counts(self.folder).get("done"), 400)
                self.assertLessEqual(len(teacher.requests), 400 + 16)
        finally:
            subprocess.run(["umount", str(self.folder / "out")], check=False)


if __name__ == "__main__":
    harness.main()
