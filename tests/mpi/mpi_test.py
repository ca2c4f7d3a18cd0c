#!/usr/bin/env python3
"""mpirun retort-mpi train: the student of one process, whatever becomes of the others."""

import array
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402

PROGRAM = os.environ["RETORT_MPI"]
MPIRUN = os.environ.get("MPIRUN") or "mpirun"
USAGE = 2

RUN_FILE = """
out = "out"
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
[collect]
import = "own.jsonl"
import_terms = ["{root}/terms/own-work.toml"]
[curate]
held_out = 0.1
[tokenizer]
vocab_size = 600
[student]
layers = 2
width = 64
[train]
epochs = 2
batch_tokens = 512
checkpoint_every = 5
precision = "fp32"
"""


def weights(folder):
    """All values of train/final, which is fp32."""
    values = array.array("f")
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        content = path.read_bytes()
        head = int.from_bytes(content[:8], "little")
        values.frombytes(content[8 + head:])
    return values


def difference(one, other):
    assert len(one) == len(other) > 0
    return max(abs(a - b) for a, b in zip(one, other))


class MpiTest(harness.Run):
    def setUp(self):
        super().setUp()
        dice = random.Random(7)
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(dice.choices(letters, k=dice.randint(3, 9))) for _ in range(400)]
        with open(self.folder / "own.jsonl", "w", encoding="utf-8") as file:
            for _ in range(200):
                file.write(json.dumps({"prompt": " ".join(dice.choices(words, k=6)),
                                       "completion": " ".join(dice.choices(words, k=12)) + "."})
                           + "\n")
        (self.folder / "run.toml").write_text(RUN_FILE.format(root=harness.ROOT))
        self.retort("collect", "run.toml")
        self.retort("curate", "run.toml")

    def command(self, ranks, *arguments):
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return [MPIRUN, *root, "--oversubscribe", "-n", str(ranks), PROGRAM,
                *map(str, arguments)]

    def mpi(self, ranks, *arguments, code=0):
        done = subprocess.run(self.command(ranks, *arguments), cwd=self.folder, text=True,
                              capture_output=True, timeout=300,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.assertEqual(done.returncode, code, done.stderr[-3000:])
        return done

    def start_mpi(self, ranks, *arguments):
        process = subprocess.Popen(self.command(ranks, *arguments), cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def ranks_of(self, mpirun):
        """Processes of retort-mpi that this mpirun started."""
        out = subprocess.run(["ps", "-o", "pid=,ppid=,args=", "-A"], capture_output=True,
                             text=True, check=True).stdout
        found = []
        for line in out.splitlines():
            pid, parent, args = line.split(None, 2)
            if int(parent) == mpirun.pid and PROGRAM in args:
                found.append(int(pid))
        return sorted(found)

    @staticmethod
    def alive(ranks):
        return [pid for pid in ranks if pathlib.Path(f"/proc/{pid}").exists()]

    def steps(self):
        path = self.folder / "out/train/metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if "lr" in line]

    def forget_training(self):
        for name in ("train", "summary/train.json", "summary/train.begun"):
            path = self.folder / "out" / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def alone(self, *options):
        self.retort("train", "run.toml", *options, env={"OMP_NUM_THREADS": "1"})
        result = weights(self.folder / "out/train/final"), [s["loss"] for s in self.steps()]
        self.forget_training()
        return result

    def test_the_student_of_one_process_by_adamw_and_muon(self):
        for options, bound in (((), 2e-5), (("--train.optimizer", "muon"), 4e-4)):
            alone, losses = self.alone(*options)
            for ranks in (2, 4):
                said = self.mpi(ranks, "train", "run.toml", *options).stderr
                self.assertIn(f"{ranks} processes train together", said)
                self.assertLess(difference(weights(self.folder / "out/train/final"), alone), bound)
                for step, loss in zip(self.steps(), losses, strict=True):
                    self.assertAlmostEqual(step["loss"], loss, delta=1e-3)
                self.forget_training()

    def test_the_same_processes_the_same_bytes(self):
        self.mpi(2, "train", "run.toml")
        first = weights(self.folder / "out/train/final")
        self.forget_training()
        self.mpi(2, "train", "run.toml")
        self.assertEqual(weights(self.folder / "out/train/final"), first)

    def test_a_killed_process_ends_all_and_any_number_goes_on(self):
        long = ("--train.epochs", "8")
        alone, _ = self.alone(*long)
        for victim, later in ((0, 1), (2, 2), (1, 4)):
            process = self.start_mpi(3, "train", "run.toml", *long)
            latest = self.folder / "out/train/checkpoints/latest"
            deadline = time.monotonic() + 120
            while not latest.exists() and time.monotonic() < deadline:
                self.assertIsNone(process.poll())
                time.sleep(0.002)
            ranks = self.ranks_of(process)
            self.assertEqual(len(ranks), 3)
            os.kill(ranks[victim], signal.SIGKILL)
            process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            deadline = time.monotonic() + 30  # mpirun does not wait for those that it ends
            while self.alive(ranks) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(self.alive(ranks), [])
            self.assertFalse((self.folder / "out/summary/train.json").exists())
            if later == 1:
                said = self.retort("train", "run.toml", *long, env={"OMP_NUM_THREADS": "1"}).stderr
            else:
                said = self.mpi(later, "train", "run.toml", *long).stderr
            self.assertIn("goes on after step", said)
            self.assertLess(difference(weights(self.folder / "out/train/final"), alone), 1e-4)
            self.forget_training()

    def test_what_is_wrong_is_said_once_with_the_exit_code(self):
        said = self.mpi(2, "train", "run.toml", "--train.lr", "99", code=USAGE).stderr
        self.assertEqual(said.count("train.lr must be"), 1, said)
        self.assertFalse((self.folder / "out/train/final").exists())

    def test_other_commands_are_refused(self):
        said = self.mpi(2, "run", "run.toml", code=USAGE).stderr
        self.assertEqual(said.count("mpirun -n 4 retort-mpi train FILE"), 1, said)


if __name__ == "__main__":
    harness.main()
