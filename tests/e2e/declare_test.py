#!/usr/bin/env python3
"""A clause that is left to a person: refused, declared and permitted, revoked and refused again."""

import base64
import json
import re
import shutil
import subprocess
import unittest

import fake_teacher
import harness

TERMS, INPUT = 3, 4

COMPETING = """
[[rule]]
effect = "prohibit"
action = "train.generative"
object = "outputs"
scope = "competing"
clause = "4.2(c)"
text = "Outputs may not be used to develop competing models."
"""


@unittest.skipUnless(shutil.which("openssl"), "keys are made with openssl")
class DeclareTest(harness.Run):
    def key(self, name):
        secret, public = f"{name}.pem", f"{name}.pub"
        for arguments in (["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                           "-out", secret], ["pkey", "-in", secret, "-pubout", "-out", public]):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True,
                           capture_output=True)
        return secret, public

    def gathered(self, teacher):
        """A run whose terms ask a person, gathered; `counsel` decides."""
        self.secret, self.public = self.key("counsel")
        text = (harness.ROOT / "terms/smollm2-apache.toml").read_text()
        text = text.replace("huggingface.smollm2", "house.provider")
        text = text.replace("retort maintainers", "the tester")
        text = re.sub(r"^models = .*$", "", text, flags=re.M)
        at = text.index("[duty]")
        (self.folder / "terms.toml").write_text(text[:at] + COMPETING + text[at:])
        self.run_file(teacher.url, terms=self.folder / "terms.toml")
        path = self.folder / "run.toml"
        path.write_text(path.read_text().replace(
            'model_id = "student"', 'model_id = "student"\ndeciders = ["counsel.pub"]'))
        self.retort("collect", "run.toml")

    def draft(self, **changes):
        words = {"--declarant": "C. Counsel", "--role": "counsel", "--max-records": 5000,
                 "--statement": "The student answers about our own parts and sells nothing.",
                 "--valid-until": self.in_days(100), **changes}
        return self.retort("terms", "declare", "run.toml", *[x for pair in words.items()
                                                           for x in pair])

    @staticmethod
    def in_days(days):
        return subprocess.run(["date", "-u", "-d", f"{days} days", "+%F"], check=True, text=True,
                              capture_output=True).stdout.strip()

    def sign_and_log(self, secret=None, code=0):
        self.retort("terms", "sign", "declaration.json", "--key", secret or self.secret)
        return self.retort("terms", "log", "declaration.json.signed", "--decider", self.public,
                           "--ledger", self.ledger(), code=code)

    def ledger(self):
        return next(self.folder.rglob("ledger"))

    def check(self, code):
        done = self.retort("terms", "check", "run.toml", code=code)
        return done.stdout + done.stderr

    def test_refused_then_permitted_then_refused_again(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.gathered(teacher)
            said = self.check(TERMS)
            self.assertIn("4.2(c)", said)
            self.assertIn("retort terms declare", said)
            refused = self.retort("run", "run.toml", code=TERMS).stderr
            self.assertIn("4.2(c)", refused)
            self.assertFalse((self.folder / "out/train/metrics.jsonl").exists())

            explained = self.retort("terms", "explain", "run.toml").stdout
            self.assertIn("train.generative: needs_declaration", explained)
            self.assertIn("what the terms leave to a person: permit", explained)

            self.draft()
            statement = json.loads((self.folder / "declaration.json").read_text())
            self.assertEqual(statement["predicate"]["model_id"], "student")
            self.assertEqual(len(statement["subject"]), 1)
            # Neither the draft nor a signature that is not in the log changes anything.
            self.check(TERMS)
            self.retort("terms", "sign", "declaration.json", "--key", self.secret)
            self.check(TERMS)
            self.sign_and_log()
            self.check(0)
            listed = self.retort("terms", "declarations", "--decider", self.public, "--ledger",
                                 self.ledger()).stdout
            self.assertIn("C. Counsel (counsel) for student", listed)
            self.assertIn("counts, from entry", listed)
            self.retort("run", "run.toml")
            permission = json.loads((self.folder / "out/summary/permission.json").read_text())
            self.assertEqual(permission["verdict"], "permit")
            self.assertEqual(permission["declarations"][0]["declarant"], "C. Counsel")
            self.assertGreater(permission["declarations"][0]["records"], 0)
            # The model's bill of materials quotes it, and the model explains itself by it.
            bom = json.loads(self.retort("bom", "out/student").stdout)
            quoted = bom["declarations"]["evidence"][0]["data"][0]["contents"]["attachment"]
            self.assertIn(b"sells nothing", base64.b64decode(quoted["content"]))
            self.assertIn("train.generative: permit, ", json.dumps(bom))
            model = self.retort("terms", "explain", "out/student", "--decider", self.public).stdout
            self.assertIn("C. Counsel declared what house.provider leaves to a person", model)

            one = listed.split()[0]
            self.retort("terms", "revoke", one, "--declarant", "O. Owner", "--reason", "we sell it",
                        "--ledger", self.ledger())
            said = self.check(TERMS)
            self.assertIn("revoked", said)
            self.assertIn("O. Owner", said)
            listed = self.retort("terms", "declarations", "--decider", self.public, "--ledger",
                                 self.ledger()).stdout
            self.assertIn("does not count", listed)
            shutil.rmtree(self.folder / "out/train")
            self.assertIn("4.2(c)", self.retort("run", "run.toml", code=TERMS).stderr)

    def test_what_does_not_count(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.gathered(teacher)
            stranger, _ = self.key("stranger")
            self.draft()
            self.assertIn("decider", self.sign_and_log(stranger, code=INPUT).stderr)
            self.check(TERMS)
            # A word of the statement changed after it was signed.
            self.retort("terms", "sign", "declaration.json", "--key", self.secret)
            path = self.folder / "declaration.json.signed"
            envelope = json.loads(path.read_text())
            signature = envelope["signatures"][0]["sig"]
            self.draft(**{"--max-records": 900000})
            self.retort("terms", "sign", "declaration.json", "--key", stranger)
            envelope = json.loads(path.read_text())
            envelope["signatures"][0]["sig"] = signature
            path.write_text(json.dumps(envelope))
            self.retort("terms", "log", path.name, "--decider", self.public, "--ledger",
                        self.ledger(), code=INPUT)
            # For another model.
            path = self.folder / "run.toml"
            path.write_text(path.read_text().replace('model_id = "student"', 'model_id = "other"'))
            self.draft()
            self.sign_and_log()
            path.write_text(path.read_text().replace('model_id = "other"', 'model_id = "student"'))
            self.check(TERMS)
            for changes in ({"--valid-until": "2020-01-01"}, {"--max-records": 0},
                            {"--statement": ""}):
                done = self.retort("terms", "declare", "run.toml", "--declarant", "C", "--role",
                                   "counsel", *[x for pair in {
                                       "--max-records": 10, "--statement": "s",
                                       "--valid-until": self.in_days(9), **changes}.items()
                                       for x in pair], code=None)
                if done.returncode == 0:  # what a draft may still say, the log refuses or voids
                    self.sign_and_log(code=None)
                self.check(TERMS)
            # For fewer records than the run has.
            self.draft(**{"--max-records": 3})
            self.sign_and_log()
            said = self.retort("run", "run.toml", code=TERMS).stderr
            self.assertIn("4.2(c)", said)

    def test_nothing_to_declare_is_said(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            done = self.retort("terms", "declare", "run.toml", "--declarant", "C", "--role",
                               "counsel", "--statement", "s", "--max-records", 5,
                               "--valid-until", self.in_days(9), code=None)
            self.assertNotEqual(done.returncode, 0)
            self.assertFalse((self.folder / "declaration.json").exists())


if __name__ == "__main__":
    harness.main()
