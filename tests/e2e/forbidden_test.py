#!/usr/bin/env python3
"""A harvest against the provider's terms, from the first request to the appeal, as
examples/forbidden/README.md has it: its commands are run as they stand there."""

import json
import sqlite3
import time

import fake_upstream
import harness
import readme
import served

TERMS, UPSTREAM = 3, 5
VARIABLES = ("ACCOUNT", "TEACHER_API_KEY", "SPARE_API_KEY", "CASE")


class ForbiddenTest(served.ServedRun):
    def setUp(self):
        super().setUp()
        # The model behind the door is a made-up one, so that a busy machine tells the same story.
        self.upstream = fake_upstream.FakeUpstream().__enter__()
        self.addCleanup(self.upstream.__exit__)
        self.page = readme.Page(self, "forbidden", VARIABLES)
        self.value = self.page.value

    def next(self, says, code=0):
        """The README's next block, on the server's own port."""
        block = self.page.next(says)
        if self.server:
            block = block.replace("127.0.0.1:8080", f"127.0.0.1:{self.server.port}")
            block = block.replace("examples/forbidden/run.toml",
                                  f"examples/forbidden/run.toml {self.overrides}")
        return self.page.run(block, code)

    @property
    def overrides(self):
        return f"--teacher.base_url http://127.0.0.1:{self.server.port}/v1"

    def case(self):
        shown = self.retort("case", "show", self.value("CASE"), "--json")
        return json.loads(shown.stdout)

    def keys_used(self):
        """Of the audit: which keys asked how often."""
        used = {}
        done = self.retort("account", "audit", self.value("ACCOUNT"), "--json")
        for line in done.stdout.splitlines():
            entry = json.loads(line)
            if "outcome" in entry and entry.get("route") != "cases":
                used[entry["key"]] = used.get(entry["key"], 0) + 1
        return used

    def sent(self):
        """Requests of the collector, by its own book."""
        with sqlite3.connect(self.folder / "runs/forbidden/corpus.db") as database:
            return database.execute("SELECT sum(attempts) FROM jobs").fetchone()[0]

    def answers_kept(self):
        with sqlite3.connect(self.folder / "runs/forbidden/corpus.db") as database:
            return database.execute("SELECT count(*) FROM answers").fetchone()[0]

    def test_the_story(self):
        self.next("policy add")
        self.serve("--accounts", "accounts", "--upstream", f"teacher={self.upstream.url}",
                   models=())

        said = self.next("--plan", TERMS)
        self.assertIn("2.2(e)", said)
        self.assertIn("prohibit train.generative", said)

        # Warned, then throttled, and that is where the collector stops by itself.
        said = self.next("retort collect", UPSTREAM)
        self.assertRegex(said, r"has a case against this account \(case case_\w+, step warn\)")
        self.assertIn("policy_throttled" if "policy_throttled" in said else "throttle", said)
        self.assertRegex(said, r"case case_\w+, clause 2\.2\(e\), appeal at \S+/appeal")
        kept = self.answers_kept()
        self.assertGreater(kept, 20)

        # The customer reads its case with any key; the words and the clause are the policy's.
        said = self.next("case list")
        self.assertIn("look like the gathering of answers to train a model", said)
        self.assertIn('"step":"throttle"', said.replace('": "', '":"'))

        # The builder insists until a suspension is proposed, and a person confirms it.
        insist = self.page.blocks[0]
        said = self.next("retort collect", UPSTREAM)
        for _ in range(10):
            if self.case()["proposed"]:
                break
            time.sleep(10)  # a throttle is by the minute
            self.page.blocks.insert(0, insist)
            self.next("retort collect", UPSTREAM)
        self.assertTrue(self.case()["proposed"], self.case())
        self.next("--decision confirm")
        self.until(lambda: self.status() == 403)

        kept, asked, sent = self.answers_kept(), self.upstream.count(), self.sent()
        said = self.next("retort collect", UPSTREAM)
        self.assertIn("account", said)
        self.assertIn(f"case {self.value('CASE')}", said)
        self.assertIn("no other key is tried", said)
        self.assertEqual(self.answers_kept(), kept)
        self.assertEqual(self.upstream.count(), asked)
        # It stops with the first refusal: no more than were on their way are refused with it.
        self.assertLessEqual(self.sent() - sent, 16)
        self.assertEqual(len(self.keys_used()), 1, "the spare key was never tried")

        said = self.next("retort train", TERMS)
        self.assertIn("2.2(e)", said)
        self.assertIn("train.generative", said)
        self.assertFalse((self.folder / "runs/forbidden/train").exists())
        self.assertFalse((self.folder / "runs/forbidden/student").exists())

        said = self.next("/appeal")
        self.assertIn("appealed", said)
        self.next("--decision lift")
        self.until(lambda: self.status() == 200)
        self.next("/chat/completions")
        self.assertEqual(self.case()["status"], "lifted")
        self.assertEqual(self.page.blocks, [])
        self.retort("ledger", "verify", "--ledger", "accounts/log")
        self.answers_are_told_again()

    def answers_are_told_again(self):
        """Whose they are, of a data set that holds them; and nobody's, of one that does not."""
        self.server.stop()
        with sqlite3.connect(self.folder / "runs/forbidden/corpus.db") as database:
            rows = [record for record, in database.execute("SELECT record FROM answers")]
        (self.folder / "rival.jsonl").write_text("".join(row + "\n" for row in rows))
        (self.folder / "own.jsonl").write_text(json.dumps(
            "Nobody was ever served this text, so it is found among no account's answers.") + "\n")
        found, = [json.loads(line) for line in
                  self.retort("account", "match", "rival.jsonl", "--json").stdout.splitlines()]
        self.assertEqual(found["account"], self.value("ACCOUNT"))
        self.assertGreaterEqual(found["found"], 0.9 * len(rows))
        self.assertEqual(found["found_alone"], found["found"])
        self.assertEqual(self.retort("account", "match", "own.jsonl", "--json").stdout, "")

    def status(self):
        answer = self.server.chat(model="teacher", max_tokens=2, headers=[
            "Authorization: Bearer " + self.value("TEACHER_API_KEY")])
        return answer.status


if __name__ == "__main__":
    harness.main()
