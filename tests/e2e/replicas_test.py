#!/usr/bin/env python3
"""Two servers with folders of their own share accounts and limits on a PostgreSQL."""

import concurrent.futures
import json
import time

import harness
import served
from fake_upstream import SECRET, FakeUpstream
from postgres import Cluster


class ReplicasTest(harness.Run):
    def setUp(self):
        super().setUp()
        probe = self.retort("account", "list", "--accounts-store",
                            "postgresql:///none?host=/nowhere", code=None)
        if "built without" in probe.stderr:
            self.skipTest("built without libpq")
        self.cluster = Cluster().__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.upstream = FakeUpstream().__enter__()
        self.addCleanup(self.upstream.__exit__)
        self.store = ["--accounts-store", self.cluster.address]
        self.account = self.admin("create", "Example Ltd").split()[0]
        self.key = self.admin("issue", self.account).strip()
        self.replicas = []
        self.addCleanup(lambda: [one.stop() for one in self.replicas])

    def admin(self, *arguments):
        return self.retort("account", *arguments, *self.store).stdout

    def start(self, name):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        self.replicas.append(served.Served(
            folder, "--upstream", f"large={self.upstream.url}#theirs", "--upstream-key",
            "large=UPSTREAM_KEY", "--accounts", "accounts", *self.store, models=(),
            env={"UPSTREAM_KEY": SECRET}))
        return self.replicas[-1]

    def chat(self, replica, prompt="plain", **more):
        return replica.chat(prompt, model="large",
                            headers=[f"Authorization: Bearer {self.key}"], **more)

    def test_a_limit_is_shared_and_never_passed(self):
        self.admin("limit", self.account, "--most", "output_tokens/day=1000")
        one, two = self.start("one"), self.start("two")
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(
                lambda i: self.chat((one, two)[i % 2], "slow:1", max_tokens=100).status, range(64)))
        self.assertEqual(answers.count(200), self.upstream.count())
        self.assertEqual(set(answers) - {200, 429}, set())
        self.assertLess(answers.count(200), 64)
        # 7 each were used; what was reserved beyond came back, from both to both.
        time.sleep(2.5)
        left = 1000 - 7 * answers.count(200)
        self.assertEqual(self.chat(one, max_tokens=left).status, 200)
        time.sleep(2.5)
        self.assertEqual(self.chat(two, max_tokens=left - 6).status, 429)
        self.assertEqual(self.chat(two, max_tokens=left - 7).status, 200)

    def test_a_suspension_reaches_the_other_one(self):
        one, two = self.start("one"), self.start("two")
        self.assertEqual(self.chat(one).status, 200)
        self.assertEqual(self.chat(two).status, 200)
        self.admin("suspend", self.account, "--reason", "unpaid")
        for replica in (one, two):
            deadline = time.monotonic() + 10
            while self.chat(replica).status == 200 and time.monotonic() < deadline:
                time.sleep(0.02)
            answer = self.chat(replica)
            self.assertEqual(answer.status, 403)
            self.assertIn("unpaid", answer.json()["error"]["message"])
        self.admin("reinstate", self.account, "--reason", "paid")
        time.sleep(0.5)
        self.assertEqual(self.chat(two).status, 200)
        # Each one's own audit tells of both: what it answered, and what was done to the account.
        two.stop()
        lines = self.retort("account", "audit", self.account, "--accounts",
                            self.folder / "two" / "accounts", *self.store).stdout.splitlines()
        told = [json.loads(line) for line in lines]
        self.assertEqual([one["what"] for one in told if one["kind"] == "account"],
                         ["created", "key issued", "suspended", "reinstated"])
        self.assertEqual([one["outcome"] for one in told if one["kind"] == "request"][-1],
                         "answered")

    def test_without_the_server_nobody_gets_anything_and_then_all_goes_on(self):
        self.admin("limit", self.account, "--most", "requests/day=1000")
        one = self.start("one")
        self.assertEqual(self.chat(one).status, 200)
        self.cluster.crash()
        time.sleep(0.1)
        answer = self.chat(one)
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json()["error"]["code"], "accounts_unavailable")
        self.assertNotEqual(self.retort("account", "list", *self.store, code=None).returncode, 0)
        self.cluster.start()
        deadline = time.monotonic() + 20
        while self.chat(one).status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.chat(one).status, 200)
        self.assertNotIn("not-for-logs", one.said())

    def test_a_replica_that_was_killed_has_used_what_it_streamed(self):
        self.admin("limit", self.account, "--most", "output_tokens/day=1000")
        one = self.start("one")
        self.assertEqual(self.chat(one, max_tokens=100).status, 200)
        one.process.kill()
        one.process.wait()
        again = self.start("one")  # the same folder
        self.assertEqual(self.chat(again, max_tokens=994).status, 429)
        self.assertEqual(self.chat(again, max_tokens=993).status, 200)

    def test_a_server_needs_a_folder_and_accounts(self):
        refused = self.retort("serve", "--upstream", "x=http://127.0.0.1:1/v1", *self.store, code=2)
        self.assertIn("--accounts FOLDER", refused.stderr)


if __name__ == "__main__":
    harness.main()
