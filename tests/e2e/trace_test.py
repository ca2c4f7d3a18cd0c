#!/usr/bin/env python3
"""What learnt from what: after a real run, trace names its shards, run and models from the terms,
the door, a record and the weights; a second tool checks the proofs and finds the same by itself."""

import json

import fake_teacher
import harness
import trace_oracle

USAGE, INPUT = 2, 4


class TraceTest(harness.Run):
    @classmethod
    def setUpClass(cls):
        """One run for all tests, none of which changes it."""
        super().setUpClass()
        maker = harness.Run()
        maker.setUp()
        cls.maker = maker
        with fake_teacher.FakeTeacher() as teacher:
            maker.run_file(teacher.url)
            run_file = maker.folder / "run.toml"
            run_file.write_text(
                run_file.read_text().replace('"fake"', '"SmolLM2-135M-Instruct"'))
            maker.retort("run", "run.toml")

    @classmethod
    def tearDownClass(cls):
        cls.maker.doCleanups()
        super().tearDownClass()

    def setUp(self):
        self.folder = self.maker.folder

    def entries(self, kind=None):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [e for e in map(json.loads, lines) if kind in (None, e["kind"])]

    def trace(self, *arguments):
        return json.loads(self.retort("ledger", "trace", *arguments, "--json").stdout)

    def door(self):
        """The teacher's, as the log has it."""
        return next(e["body"] for e in self.entries("door")
                    if e["body"]["model"] == "SmolLM2-135M-Instruct")

    def numbers(self, answer):
        return {kind: [e["entry"] for e in answer[kind + "s"]]
                for kind in ("shard", "run", "model")}

    def test_from_every_side_the_same_run_and_models_as_the_oracle_finds(self):
        terms = next(e["name"] for e in self.entries("terms") if "smollm2" in e["body"]["series"])
        run, = self.entries("run")
        shards = self.entries("shard")
        everything = [e for e in self.entries()]
        questions = [("--terms", "terms", terms), ("--terms", "terms", "huggingface.smollm2"),
                     ("--door", "door", self.door()["endpoint"]),
                     ("--model", "weights", self.entries("model")[0]["name"]),
                     ("--model", "weights", "student"),
                     ("--record", "record", shards[0]["name"] + ":0")]
        for flag, kind, name in questions:
            whole = ["--whole-shards"] if kind == "record" else []
            answer = self.trace(flag, name, *whole)
            self.assertEqual(self.numbers(answer), trace_oracle.trace(everything, kind, name))
            self.assertEqual(answer["log_size"], len(everything))
        answer = self.trace("--terms", terms[:12])
        self.assertEqual([r["entry"] for r in answer["runs"]], [run["index"]])
        self.assertEqual({m["form"] for m in answer["models"]},
                         {"checkpoint", "safetensors", "gguf"})
        self.assertEqual(answer["records"], sum(s["body"]["records"] for s in shards))
        self.assertEqual(self.trace("--model", "out/student.gguf")["runs"], [])

    def test_one_record_is_followed_to_what_holds_it(self):
        collected, curated = self.entries("shard")
        self.retort("ledger", "trace", "--door", self.door()["endpoint"], "--ids", "ids.txt")
        lines = [line.split() for line in (self.folder / "ids.txt").read_text().splitlines()]
        self.assertEqual(len(lines), sum(s["body"]["records"] for s in (collected, curated)))
        learnt = {collected["index"]: set(), curated["index"]: set()}
        for key, place in lines:
            answer = self.trace("--record", key)
            numbers = {e["entry"]: e["name"] for e in answer["shards"]}
            rows = {f"{numbers[r['shard']]}:{row}" for r in answer["rows"] for row in r["rows"]}
            self.assertIn(place, rows)
            self.assertEqual(answer["records"], len(rows))
            # A record of the curated shard has no children, one that was gathered has at most one.
            self.assertLessEqual(len(rows), 1 if place.startswith(curated["name"]) else 2)
            if answer["runs"]:
                self.assertEqual(len(answer["models"]), 3)
                for shard in learnt:
                    learnt[shard] |= {r for r in rows if r.startswith(numbers.get(shard, "-"))}
        records = self.entries("run")[0]["body"]["records"]
        self.assertEqual(len(learnt[curated["index"]]), records)
        self.assertEqual(len(learnt[collected["index"]]), records)
        self.assertLess(records, curated["body"]["records"])  # some are held out

    def test_a_second_tool_checks_the_proofs(self):
        self.retort("ledger", "trace", "--door", self.door()["endpoint"], "--proofs", "evidence")
        answer, entries, (size, root) = trace_oracle.check_folder(self.folder / "evidence")
        self.assertEqual(len(answer["models"]), 3)
        raw = trace_oracle.all_entries(self.folder / "ledger/tile", size)
        self.assertEqual(trace_oracle.tree_root([trace_oracle.leaf_hash(e) for e in raw]), root)
        self.retort("ledger", "trace", "--door", self.door()["endpoint"], "--proofs", "evidence",
                    code=INPUT)
        # Whatever is changed, it does not pass.
        evidence = self.folder / "evidence"
        for name in ("entries.jsonl", "checkpoint", "verifier.key"):
            sound = (evidence / name).read_text()
            at = sound.index("retort") + 3 if name != "entries.jsonl" else sound.index("time_ms")
            (evidence / name).write_text(sound[:at] + "x" + sound[at + 1:])
            with self.assertRaises((ValueError, KeyError)):
                trace_oracle.check_folder(evidence)
            (evidence / name).write_text(sound)
        trace_oracle.check_folder(evidence)
        answer["runs"].append(answer["models"][0])
        (evidence / "trace.json").write_text(json.dumps(answer))
        with self.assertRaises(ValueError):
            trace_oracle.check_folder(evidence)

    def index_files(self):
        return sorted((self.folder / "ledger/index").glob("*.records"))

    def test_the_index_comes_again_from_the_shards(self):
        before = {p.name: p.read_bytes() for p in self.index_files()}
        self.assertEqual(len(before), 2)
        damaged, gone = self.index_files()
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:60] + b"\x01" + whole[61:])
        key = "0" * 64
        self.assertIn("damaged", self.retort("ledger", "trace", "--record", key,
                                             code=INPUT).stderr)
        damaged.unlink()
        gone.unlink()
        said = self.retort("ledger", "trace", "--record", key, code=INPUT).stderr
        self.assertIn("lacks 2 of 2 shards", said)
        done = json.loads(self.retort("ledger", "index", "--json").stdout)
        self.assertEqual(done, {"present": 0, "written": 2, "missing": []})
        self.assertEqual(before, {p.name: p.read_bytes() for p in self.index_files()})

    def test_what_cannot_be_asked_is_refused(self):
        for arguments in ((), ("--terms", "a", "--door", "b")):
            self.assertIn("one of --terms",
                          self.retort("ledger", "trace", *arguments, code=USAGE).stderr)
        self.assertIn("knows no terms", self.retort("ledger", "trace", "--terms", "f" * 64,
                                                    code=INPUT).stderr)
        shown = self.retort("ledger", "trace", "--door", self.door()["endpoint"]).stdout
        self.assertIn("3 models, 1 runs", shown)
        self.assertIn("by entry", shown)


if __name__ == "__main__":
    harness.main()
