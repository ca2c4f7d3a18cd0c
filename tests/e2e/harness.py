"""Starts the built program in a folder of its own, with small run files."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("RETORT", str(ROOT / "build/dev/retort"))
TEACHER = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"

RUN_FILE = """
out = "out"
[teacher]
base_url = "{url}"
model = "fake"
terms = ["{terms}"]
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
distributed = false
commercial = false
[collect]
prompt_terms = ["{root}/terms/own-work.toml"]
template = ["Write a two-sentence story about {{a noun}} and {{a noun2}}."]
words.noun = "{root}/examples/nouns.txt"
count = {count}
concurrency = 8
max_tokens = 64
{collect}
[curate]
held_out = 0.2
[tokenizer]
vocab_size = 400
[student]
layers = 1
width = 64
[train]
epochs = 2
batch_tokens = 1024
{train}
[evaluate]
samples = 2
prompts = 4
{more}
"""


class Run(unittest.TestCase):
    """A test with a scratch folder; self.retort(...) runs the program in it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_file(self, url, terms=None, count=24, collect="", train="", more=""):
        text = RUN_FILE.format(url=url, root=ROOT, count=count, collect=collect, train=train,
                               more=more, terms=terms or ROOT / "terms/smollm2-apache.toml")
        (self.folder / "run.toml").write_text(text)
        return "run.toml"

    def retort(self, *arguments, code=0, timeout=240, stdin=None, env=None):
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, text=True,
                              capture_output=True, timeout=timeout, input=stdin,
                              env={**os.environ, **(env or {})})
        said = f"{' '.join(map(str, arguments))}\nexit {done.returncode}\n{done.stderr[-3000:]}"
        if code is not None:
            self.assertEqual(done.returncode, code, said)
        self.assertNotIn("internal error", done.stderr, said)
        return done

    def start(self, *arguments):
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process


def main():
    sys.exit(unittest.main())
