#!/usr/bin/env python3
"""train.isolate_by beside train.lora_rank: an adapter a set of terms. Taking the terms away takes
their adapter away and changes no byte of another."""

import hashlib
import json
import re
import shutil
import struct

import fake_teacher
import harness

MODEL = "SmolLM2-135M-Instruct"  # what the shipped terms are about
SERIES = "huggingface.smollm2"
RANK, ALPHA = 4, 8
Q = "model.layers.0.self_attn.q_proj"
REFUSED_BY_GATE = 8
NOTICE = "name the tester as the author"
DUTY = f"""
[duty]
object = "texts"
notice = "{NOTICE}"
"""


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tensor(path, name):
    """(shape, values) of one F32 tensor of a safetensors file."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    entry = json.loads(content[8:8 + size])[name]
    data = content[8 + size:][slice(*entry["data_offsets"])]
    return entry["shape"], struct.unpack(f"<{len(data) // 4}f", data)


class ApartTest(harness.Run):
    def setUp(self):
        super().setUp()
        own = [json.dumps({"messages": [
            {"role": "user", "content": f"Tell me of number {i} and of the sea."},
            {"role": "assistant", "content": f"Number {i} went to sea, {i} times {i} miles far, "
                                             f"and came home on day {i * 7}."}]})
            for i in range(60)]
        (self.folder / "own.jsonl").write_text("\n".join(own) + "\n")
        weights = (harness.ROOT / "terms/apache-2.0-weights.toml").read_text()
        # Under a series of its own: an edited copy of a shipped one needs a decider's signature.
        (self.folder / "weights.toml").write_text(
            weights.replace("apache-2.0-weights", "house-licence")
            .replace("retort maintainers", "the tester"))
        (self.folder / "LICENSES").mkdir()
        shutil.copy(harness.ROOT / "terms/LICENSES/Apache-2.0.txt", self.folder / "LICENSES")
        texts = (harness.ROOT / "terms/own-work.toml").read_text()
        (self.folder / "texts.toml").write_text(
            texts.replace('"own-work"', '"house-texts"')
            .replace("retort maintainers", "the tester") + DUTY)
        self.teacher = fake_teacher.FakeTeacher()
        self.teacher.__enter__()
        self.addCleanup(self.teacher.__exit__, None, None, None)
        self.run_file(self.teacher.url,
                      collect='import = "own.jsonl"\nimport_terms = ["texts.toml"]')
        path = self.folder / "run.toml"
        path.write_text(path.read_text().replace('"fake"', f'"{MODEL}"')
                        .replace("distributed = false", "distributed = true")
                        .replace('"evaluate"]', '"evaluate", "publish_model"]'))
        # The weights come of own data, in a log of their own.
        self.retort("run", self.without_teacher("first"))
        (self.folder / "first/student").rename(self.folder / "base")
        shutil.rmtree(self.folder / "ledger")
        text = path.read_text().replace(
            "[student]\nlayers = 1\nwidth = 64",
            '[student]\nfrom = "base"\nterms = ["weights.toml"]\nbase_model = "SmolLM2"')
        path.write_text(text.replace(
            "[train]\n", f'[train]\nisolate_by = "terms"\nlora_rank = {RANK}\nlr = 0.01\n'
                          'lora_targets = ["q_proj", "down_proj"]\n'))

    def without_teacher(self, out="out"):
        """The run file as somebody leaves it whose grant is over: own data alone."""
        text = (self.folder / "run.toml").read_text()
        text = re.sub(r"\[teacher\].*?\[purpose\]", "[purpose]", text, flags=re.S)
        text = re.sub(r"^(template|words|count|prompt_terms).*\n", "", text, flags=re.M)
        (self.folder / f"{out}.toml").write_text(text.replace('out = "out"', f'out = "{out}"'))
        return f"{out}.toml"

    def entries(self, kind):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def json(self, *arguments):
        return json.loads(self.retort(*arguments, "--json").stdout)

    def adapters(self, out="out"):
        return {path.name: (path / "adapter_model.safetensors").read_bytes()
                for path in (self.folder / out / "adapters").iterdir()}

    def student(self, out="out"):
        return (self.folder / out / "student/model.safetensors").read_bytes()

    def counts(self, out="out"):
        return json.loads((self.folder / out / "summary/train.json").read_text())["counts"]

    def assert_student_is_the_sum(self, shares):
        shape, before = tensor(self.folder / "base/model.safetensors", Q + ".weight")
        _, after = tensor(self.folder / "out/student/model.safetensors", Q + ".weight")
        rows, columns = shape
        wanted = list(before)
        for name, share in shares.items():
            path = self.folder / "out/adapters" / name / "adapter_model.safetensors"
            _, a = tensor(path, f"base_model.model.{Q}.lora_A.weight")
            _, b = tensor(path, f"base_model.model.{Q}.lora_B.weight")
            for i in range(rows):
                for j in range(columns):
                    change = sum(b[i * RANK + k] * a[k * columns + j] for k in range(RANK))
                    wanted[i * columns + j] += share * ALPHA / RANK * change
        self.assertNotEqual(before, after)
        for one, other in zip(wanted, after):
            self.assertAlmostEqual(one, other, places=6)

    def records_of(self, name):
        """How many records the log says that the adapter of this name learnt from."""
        weights = digest(self.folder / "out/train/adapters" / name /
                         "final/adapter_model.safetensors")
        runs = {run["index"]: run["body"] for run in self.entries("run")}
        found = [runs[model["body"]["run"]]["records"] for model in self.entries("model")
                 if weights in [file["sha256"] for file in model["body"]["files"]]]
        return found[0]

    def assert_adds_up(self, said):
        """What train --json tells of the adapters together, beside what each one's steps say."""
        ends, records, rates = [], [], []
        for path in (self.folder / "out/train/adapters").glob("*/metrics.jsonl"):
            steps = [json.loads(line) for line in path.read_text().splitlines()]
            steps = [step for step in steps if "lr" in step]
            ends.append((steps[0]["loss"], steps[-1]["loss"]))
            records.append(self.records_of(path.parent.name))
        self.assertEqual(len(ends), 2)
        for i, name in enumerate(("loss_first", "loss_last")):
            wanted = sum(end[i] * n for end, n in zip(ends, records)) / sum(records)
            self.assertAlmostEqual(said[name], wanted)
        self.assertLess(said["loss_last"], said["loss_first"])
        # Null where the machine was too busy for its limit to be measured.
        self.assertTrue(said["share_of_limit"] is None or 0 < said["share_of_limit"] <= 1)
        self.assertGreater(self.counts()["limit_tokens_per_second"], 0)

    def assert_says_its_own(self, own, asked):
        """Of the card and the duties; both owe what the weights ask for."""
        def said(name, file):
            return (self.folder / "out" / name / file).read_text()
        for name, words, others in (
                (own, ["house-texts", NOTICE], [SERIES, "A student of"]),
                (asked, [SERIES, f"A student of {MODEL}"], ["house-texts", NOTICE])):
            text = said(f"adapters/{name}", "README.md") + said(f"adapters/{name}", "NOTICE")
            for word in [*words, "house-licence", "state that the weights were changed"]:
                self.assertIn(word, text)
            for word in others:
                self.assertNotIn(word, text)
            self.assertIn("Apache License", said(f"adapters/{name}", "LICENSE.Apache-2.0.txt"))
        self.assertIn(NOTICE, said("student", "NOTICE"))

    def test_a_set_of_terms_goes_with_its_adapter_alone(self):
        plan = self.retort("run", "run.toml", "--plan").stdout
        self.assertIn("each set of terms has an adapter of its own", plan)
        self.assertEqual(plan.count("its adapter goes"), 2)
        for stage in ("collect", "curate"):
            self.retort(stage, "run.toml")
        trained = self.retort("train", "run.toml", "--json")
        self.assertEqual(trained.stderr.count("its adapter goes"), 2)
        self.assert_adds_up(json.loads(trained.stdout))
        self.retort("run", "run.toml")
        before = self.adapters()
        own, = [name for name in before if name.startswith("house-texts-1-")]
        asked, = [name for name in before if SERIES in name]
        config = json.loads((self.folder / "out/adapters" / own / "adapter_config.json")
                            .read_text())
        self.assertEqual((config["peft_type"], config["r"]), ("LORA", RANK))
        self.assertTrue((self.folder / "out/report.html").exists())
        self.assert_says_its_own(own, asked)

        # Each is a run of the log with its own records alone; the student is one with all.
        runs = {run["index"]: run["body"] for run in self.entries("run")}
        models = self.entries("model")
        by_form = {}
        for model in models:
            by_form.setdefault(model["body"]["form"], []).append(model)
        records = {}
        for model in by_form["adapter"]:
            parts = runs[model["body"]["run"]]["by_terms"]
            self.assertEqual(len(parts), 1)
            weights = [file["sha256"] for file in model["body"]["files"]
                       if file["name"] == "adapter_model.safetensors"]
            records[weights[0]] = parts[0]["records"]
        self.assertEqual(len(records), 2)
        all_records = runs[by_form["checkpoint"][0]["body"]["run"]]["records"]
        self.assertEqual(sum(records.values()), all_records)
        by_name = {}
        for name in before:
            summary = self.folder / "out/train/adapters" / name / "final"
            by_name[name] = records[digest(summary / "adapter_model.safetensors")]
        self.assert_student_is_the_sum(
            {name: count / all_records for name, count in by_name.items()})

        # Trace and withdrawal name the right adapter, and what both are in.
        own_models = {model["name"] for model in by_form["adapter"]
                      if any(file["sha256"] == digest(
                          self.folder / "out/train/adapters" / own / "final" / file["name"])
                          for file in model["body"]["files"]
                          if file["name"] == "adapter_model.safetensors")}
        self.assertEqual(len(own_models), 2)
        terms, = [entry["name"] for entry in self.entries("terms")
                  if entry["body"]["series"] == SERIES]
        traced = {model["name"] for model in
                  self.json("ledger", "trace", "--terms", terms)["models"]}
        self.assertEqual(traced, {model["name"] for model in models} - own_models)
        bom = json.loads(self.retort("bom", f"out/adapters/{own}").stdout)
        self.assertNotIn(SERIES, json.dumps(bom))
        report = self.json("ledger", "withdraw", "--terms", SERIES, "--case", "account-ended",
                           "--by", "the tester", "--reason", "the grant is over")
        self.assertEqual(set(report["frozen"]), traced)
        self.retort("export", "run.toml", code=REFUSED_BY_GATE)
        key = self.folder / "key.pem"
        self.retort("sign", f"out/adapters/{own}", "--key", key, "--new-key")
        said = self.retort("sign", f"out/adapters/{asked}", "--key", key, code=REFUSED_BY_GATE)
        self.assertIn("the grant is over", said.stderr)
        (self.folder / "out/adapters" / own / "model.sig").unlink()
        said = self.retort("serve", "--model", "base", "--adapter", f"a=out/adapters/{asked}",
                           "--port", "0", code=REFUSED_BY_GATE)
        self.assertIn("the grant is over", said.stderr)

        # What is left: nothing is learnt again, and no byte of the other adapter changes.
        steps = self.counts()["steps"]
        self.retort("run", self.without_teacher())
        self.assertEqual(self.adapters(), {own: before[own]})
        counts = self.counts()
        self.assertEqual((counts["adapters"], counts["resumed_step"]), (1, counts["steps"]))
        self.assertLess(counts["steps"], steps)
        left = [path.name for path in (self.folder / "out/train/adapters").iterdir()]
        self.assertEqual(left, [own])
        after = self.student()
        # Own data alone from the start, in a folder and a log of its own.
        shutil.rmtree(self.folder / "ledger")
        self.retort("run", self.without_teacher("never"))
        self.assertNotIn("resumed_step", self.counts("never"))
        self.assertEqual(self.adapters("never"), {own: before[own]})
        self.assertEqual(self.student("never"), after)


if __name__ == "__main__":
    harness.main()
