#!/usr/bin/env python3
"""Permission decides what is trained: no, expired and forbidding terms end with exit 3."""

import json
import re
import shutil
import xml.etree.ElementTree

import fake_teacher
import harness

TERMS, DUTY = 3, 8


class TermsTest(harness.Run):
    def forbidden(self, change):
        """The teacher's own terms with one change."""
        text = (harness.ROOT / "terms/smollm2-apache.toml").read_text()
        path = self.folder / "terms.toml"
        path.write_text(change(text))
        return path

    def run_with(self, path, code):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url, terms=path)
            self.retort("collect", "run.toml", code=None)
            done = self.retort("run", "run.toml", code=code)
            return done.stderr

    def test_no_terms(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            text = (self.folder / "run.toml").read_text()
            (self.folder / "run.toml").write_text(
                re.sub(r"^terms = .*$", "terms = []", text, flags=re.M))
            said = self.retort("run", "run.toml", code=TERMS).stderr
            self.assertIn("terms", said)

    def test_forbidding_terms_name_the_clause_and_the_records(self):
        said = self.run_with(harness.ROOT / "terms/example-forbids-training.toml", TERMS)
        self.assertIn("train.generative", said)
        self.assertIn("24", said)
        self.assertFalse((self.folder / "out/train/metrics.jsonl").exists())

    def test_expired_terms(self):
        path = self.forbidden(lambda text: re.sub(
            r'^until = .*$', 'until = "2025-01-02"',
            re.sub(r"^effective = .*$", "effective = 2025-01-01",
                   text.replace("huggingface.smollm2", "house.smollm2"), flags=re.M), flags=re.M))
        said = self.run_with(path, TERMS)
        self.assertIn("2025-01-02", said)

    def distributed_from_base(self, weights):
        """A finished run, and a run file whose student starts from its weights, to be published."""
        self.retort("run", "run.toml")
        (self.folder / "out/student").rename(self.folder / "base")
        (self.folder / "weights.toml").write_text(weights)
        text = (self.folder / "run.toml").read_text()
        text = re.sub(r'"evaluate"\]', '"evaluate", "publish_model"]', text)
        text = text.replace("distributed = false", "distributed = true")
        text = text.replace("[student]\nlayers = 1\nwidth = 64", '[student]\nfrom = "base"\n'
                            'terms = ["weights.toml"]\nbase_model = "SmolLM2"')
        (self.folder / "run.toml").write_text(text)

    def test_base_weights_bind_what_may_be_published(self):
        weights = (harness.ROOT / "terms/apache-2.0-weights.toml").read_text()
        # Under a series of its own: an edited copy of a shipped one needs a decider's signature.
        weights = weights.replace("retort maintainers", "the tester")
        weights = weights.replace("apache-2.0-weights", "house-licence")
        cut = weights.rindex('[[rule]]')  # the last rule permits to publish them
        silent = (weights[:cut].replace("house-licence", "house-weights") +
                  weights[weights.index("[duty]"):])
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            text = (self.folder / "run.toml").read_text()
            (self.folder / "run.toml").write_text(
                text.replace('"fake"', '"SmolLM2-135M-Instruct"'))
            self.distributed_from_base(silent)
            said = self.retort("run", "run.toml", code=TERMS).stderr
            self.assertIn("publish_model", said)
            self.assertFalse((self.folder / "out/student").exists())
            (self.folder / "weights.toml").write_text(weights)
            said = self.retort("run", "run.toml", code=DUTY).stderr
            self.assertIn("licence_copy", said)
            self.assertIn("LICENSES/Apache-2.0.txt", said)
            self.assertFalse((self.folder / "out/student").exists())
            # What the refusal says to do is enough.
            licence = harness.ROOT / "terms/LICENSES/Apache-2.0.txt"
            (self.folder / "LICENSES").mkdir()
            shutil.copy(licence, self.folder / "LICENSES")
            self.retort("run", "run.toml")
            student = self.folder / "out/student"
            self.assertEqual((student / "LICENSE.Apache-2.0.txt").read_bytes(),
                             licence.read_bytes())
            self.assertIn("keep the notices", (student / "NOTICE").read_text())
            self.assertIn("A copy of Apache-2.0", (student / "README.md").read_text())

    def llama_student(self, model_id, terms):
        path = self.folder / "run.toml"
        text = path.read_text()
        text = text.replace('"fake"', '"Llama-3.1-8B-Instruct"')
        text = re.sub(r'^terms = .*$', f"terms = {terms}", text, count=1, flags=re.M)
        text = re.sub(r'^model_id = .*$', f'model_id = "{model_id}"', text, flags=re.M)
        text = text.replace('"evaluate"]', '"evaluate", "publish_model"]')
        text = text.replace("distributed = false", "distributed = true")
        path.write_text(text)

    def test_a_students_name_begins_as_its_teachers_licence_asks(self):
        llama = str(harness.ROOT / "terms/llama-3.1.toml")
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            self.llama_student("student", json.dumps([llama]))
            said = self.retort("run", "run.toml", code=DUTY).stderr
            self.assertIn("name_prefix of meta.llama-3.1", said)
            self.assertIn('does not begin with "Llama"', said)
            self.assertFalse((self.folder / "out/student").exists())
            self.llama_student("Llama-student", json.dumps([llama]))
            self.retort("run", "run.toml")
            card = (self.folder / "out/student/README.md").read_text()
            self.assertIn("700000000", card)
            self.assertNotIn("Built with Llama", card)  # it holds nothing of Llama
            explained = self.retort("terms", "explain", "out/student").stdout
            self.assertIn("meta.llama-3.1 2024-07-23 by Meta Platforms", explained)
            self.assertIn("a name that begins “Llama”", explained)
            self.assertIn("if the model stayed in the house: permit", explained)
            shard = next((self.folder / "out/shards").glob("*.jsonl.zst"))
            record = self.retort("terms", "explain", f"{shard}:0").stdout
            self.assertIn("answers of Llama-3.1-8B-Instruct", record)
            self.retort("terms", "explain", f"{shard}:99999", code=None)

    def test_two_names_that_cannot_both_be_begun_are_refused_before_anything_is_asked(self):
        llama = str(harness.ROOT / "terms/llama-3.1.toml")
        house = (harness.ROOT / "terms/smollm2-apache.toml").read_text()
        house = house.replace("huggingface.smollm2", "house.licence")
        house = house.replace("retort maintainers", "the tester")
        house = re.sub(r"^models = .*$", "", house, flags=re.M)
        house = re.sub(r"^\[duty\][^\[]*", '[duty]\nname_prefix = "House"\n\n', house, flags=re.M)
        (self.folder / "house.toml").write_text(house)
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            self.llama_student("Llama-student", json.dumps([llama, "house.toml"]))
            done = self.retort("terms", "check", "run.toml", code=TERMS)
            said = done.stdout + done.stderr
            self.assertIn("no name can meet both duties", said)
            self.assertIn("house.licence apache-2.0", said)
            self.assertIn("meta.llama-3.1 2024-07-23", said)
            self.retort("run", "run.toml", code=TERMS)
            self.assertEqual([r for r in teacher.requests if "completions" in r[0]], [])

    def test_lint_hash_and_export(self):
        (self.folder / "bad.toml").write_text(
            (harness.ROOT / "terms/llama-2.toml").read_text().replace("scope", "skope")
            .replace('action = "store"', 'action = "store"\nskope = "any"', 1))
        done = self.retort("terms", "lint", "bad.toml", code=4)
        self.assertRegex(done.stdout, r"bad\.toml:\d+: error: unknown field “skope”")
        clean = self.retort("terms", "lint", harness.ROOT / "terms/llama-2.toml")
        self.assertIn("1 files: 0 errors, 0 warnings", clean.stdout)
        (self.folder / "clause").write_text("(e) Do not use **Output** to compete.\n")
        (self.folder / "again").write_text("(e) do not use [Output](https://x.example) to compete")
        hashes = [re.search(r'clause_sha256 = "(\w+)"',
                            self.retort("terms", "hash", name).stdout).group(1)
                  for name in ("clause", "again")]
        self.assertEqual(hashes[0], hashes[1])
        policy = json.loads(self.retort("terms", "export", "terms/openai-api-2026-01-01.toml",
                                        "--format", "odrl").stdout)
        self.assertEqual(policy["@type"], "Offer")
        self.retort("terms", "export", "terms/deepseek-api-2026-04-29.toml", "--format", "rsl",
                    "--out", "license.xml")
        root = xml.etree.ElementTree.parse(self.folder / "license.xml").getroot()
        usage = root.find(".//{https://rslstandard.org/rsl}permits")
        self.assertEqual(usage.text, "ai-train,ai-input")
        refused = self.retort("terms", "export", "terms/llama-2.toml", "--format", "aipref",
                              code=4)
        self.assertIn("aipref cannot say", refused.stderr)
        self.retort("terms", "export", "terms/llama-2.toml", "--format", "pdf", code=2)

    def test_shipped_terms_come_with_the_licences_they_ask_for(self):
        """All but those of one maker, which came with the weights and are theirs to hand out."""
        missing = set()
        for path in (harness.ROOT / "terms").glob("*.toml"):
            for name in re.findall(r'^licence_copy = "(.*)"', path.read_text(), flags=re.M):
                if not (path.parent / f"LICENSES/{name}.txt").exists():
                    missing.add(name)
        self.assertEqual(missing, {"Llama-2", "Llama-3", "Llama-3.1", "Llama-3.3",
                                   "Tongyi-Qianwen"})

    def test_unknown_action_is_refused_by_name(self):
        path = self.forbidden(lambda text: text.replace('"train.generative"', '"train.everything"'))
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url, terms=path)
            said = self.retort("run", "run.toml", code=None)
            self.assertIn(said.returncode, (3, 4))
            self.assertIn("train.everything", said.stderr)


if __name__ == "__main__":
    harness.main()
