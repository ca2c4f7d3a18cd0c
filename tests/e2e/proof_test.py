#!/usr/bin/env python3
"""From the clause to the weights: a run is in the log before it trains, its model is signed with
the log's proof, and whoever was sent the model can check it with two public keys alone."""

import json
import shutil

import fake_teacher
import harness

INPUT, GATE = 4, 8
MODEL = "SmolLM2-135M-Instruct"  # what the terms are about


class ProofTest(harness.Run):
    def setUp(self):
        super().setUp()
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            run_file = self.folder / "run.toml"
            run_file.write_text(run_file.read_text().replace('"fake"', f'"{MODEL}"'))
            self.retort("run", "run.toml")

    def entries(self, kind):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def test_the_log_holds_the_run_and_what_came_of_it(self):
        run, = self.entries("run")
        models = {entry["body"]["form"]: entry for entry in self.entries("model")}
        self.assertEqual(set(models), {"checkpoint", "safetensors", "gguf"})
        for model in models.values():
            self.assertEqual(model["body"]["run"], run["index"])
            self.assertGreater(model["index"], run["index"])
        trained = json.loads((self.folder / "out/summary/train.json").read_text())["counts"]
        self.assertEqual(run["body"]["records"], dict(trained)["records"] if isinstance(
            trained, list) else trained["records"])
        self.retort("ledger", "verify")

    def test_the_bill_of_materials_names_teacher_terms_and_records(self):
        run, = self.entries("run")
        bom = json.loads(self.retort("bom", "out/student").stdout)
        text = json.dumps(bom)
        self.assertEqual(bom["specVersion"], "1.6")
        self.assertEqual(bom["services"][0]["name"], MODEL)
        self.assertIn("huggingface.smollm2", text)
        self.assertIn({"name": "retort:records", "value": str(run["body"]["records"])},
                      bom["components"][0]["data"][0]["contents"]["properties"])
        for form in ("spdx", "eu"):
            self.assertIn(MODEL, self.retort("bom", "out/student.gguf", "--format", form).stdout)
        (self.folder / "out/student/config.json").write_text("{}")
        self.retort("bom", "out/student", code=INPUT)

    def test_whoever_is_sent_the_model_can_check_it(self):
        self.retort("sign", "out/student", "--key", "k.pem", "--new-key")
        self.retort("sign", "out/student.gguf", "--key", "k.pem")
        sent = self.folder / "sent"
        sent.mkdir()
        shutil.copytree(self.folder / "out/student", sent / "student")
        for name in ("out/student.gguf", "out/student.gguf.sig", "k.pem.pub",
                     "ledger/verifier.key"):
            shutil.copy(self.folder / name, sent)
        shutil.rmtree(self.folder / "ledger")
        keys = ("--key", "sent/k.pem.pub", "--log-key", "sent/verifier.key")
        for model in ("sent/student", "sent/student.gguf"):
            said = self.retort("verify", model, *keys).stdout
            self.assertIn("held this model as entry", said)
            self.assertIn("under the terms sha256:", said)
        weights = sent / "student.gguf"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        self.assertIn("not as it was signed",
                      self.retort("verify", weights, *keys, code=GATE).stderr)
        # Another model's signature does not carry over.
        shutil.copy(sent / "student/model.sig", sent / "student.gguf.sig")
        self.retort("verify", weights, *keys, code=GATE)

    def test_the_signature_stays_out_of_the_models_name(self):
        before = self.retort("bom", "out/student").stdout
        self.retort("sign", "out/student", "--key", "k.pem", "--new-key")
        self.assertEqual(before.count("retort:file"),
                         self.retort("bom", "out/student").stdout.count("retort:file"))
        self.assertNotIn("signature says nothing",
                         self.retort("sign", "out/student", "--key", "k.pem").stderr)

    def test_a_signed_folder_is_traced_as_it_was_before(self):
        before = self.retort("ledger", "trace", "--model", "out/student", "--json").stdout
        self.retort("sign", "out/student", "--key", "k.pem", "--new-key")
        self.assertEqual(before,
                         self.retort("ledger", "trace", "--model", "out/student", "--json").stdout)


if __name__ == "__main__":
    harness.main()
