#!/usr/bin/env python3
"""The administration's console in a browser, by keyboard: signing in, a case, its decision, the
audit's proofs; texts of customers that would like to be scripts; both listeners apart.

    RETORT_PICTURES=FOLDER  keeps pictures of every view, light and dark, wide and narrow
"""

import concurrent.futures
import json
import os
import pathlib
import unittest

import browser
import fake_upstream
import harness
import served

HOSTILE = "<script>window.hit=1</script><img src=x onerror='window.hit=2'>"

POLICY = """
schema = "retort.policy/1"
series = "example.harvesting"
version = "1"
[time]
announced = 2026-01-01
effective = 2026-01-02
[clause]
id = "2.2(e)"
text = "Answers may not be used to train a model that competes with the service."
[steps]
warn_minutes = 0
warn_requests = 3
throttle_minutes = 0
throttle_requests = 3
throttle_requests_per_minute = 1000
suspension = "human"
[appeal]
contact = "appeals@example.com"
[plan.forbidden]
terms = "https://example.com/terms"
content_usage = "train-ai=n"
"""


class ConsoleRun(served.ServedRun):
    def setUp(self):
        super().setUp()
        self.upstream = fake_upstream.FakeUpstream().__enter__()
        self.addCleanup(self.upstream.__exit__)
        (self.folder / "policy.toml").write_text(POLICY)
        self.staff = self.account("The provider")
        self.customer = self.account("Example Ltd", "--purpose", "translation")
        self.admin_key = self.issue(self.staff, "--kind", "admin", "--label", "ben")
        self.key = self.issue(self.customer)
        self.retort("policy", "add", "policy.toml")
        self.retort("account", "limit", self.customer, "--most", "output_tokens/day=100000")

    def account(self, name, *more):
        made = self.retort("account", "create", name, "--json", *more)
        return json.loads(made.stdout)["id"]

    def issue(self, account, *more):
        return json.loads(self.retort("account", "issue", account, "--json", *more).stdout)["key"]

    def start_door(self):
        self.serve("--accounts", "accounts", "--upstream", f"teacher={self.upstream.url}",
                   "--admin-port", "0", "--admin-port-file", "admin-port", models=())
        self.admin_port = int((self.folder / "admin-port").read_text())

    def ask_admin(self, method, path, key, body=None):
        port, self.server.port = self.server.port, self.admin_port
        try:
            return self.server.ask(method, path, body, [f"Authorization: Bearer {key}"])
        finally:
            self.server.port = port

    def bearer(self):
        return [f"Authorization: Bearer {self.key}"]

    def chat(self, text):
        return self.server.chat(text, headers=self.bearer(), model="teacher", max_tokens=96,
                                temperature=0.7)


class ListenersTest(ConsoleRun):
    def test_each_listener_opens_with_its_own_keys_alone(self):
        self.start_door()
        for key in (self.admin_key, self.key):
            with self.subTest(key[:8]):
                for path in ("/admin/v1/whoami", "/admin/v1/cases", "/main.js"):
                    answer = self.server.ask("GET", path, headers=[f"Authorization: Bearer {key}"])
                    self.assertIn(answer.status, (401, 404), path)
                for path in ("/v1/models", "/metrics", "/health", "/v1/policy/cases"):
                    self.assertEqual(self.ask_admin("GET", path, key).status, 404, path)
        self.assertEqual(self.ask_admin("GET", "/admin/v1/whoami", self.admin_key).status, 200)
        self.assertEqual(self.ask_admin("GET", "/admin/v1/whoami", self.key).status, 401)
        self.assertEqual(self.server.ask("GET", "/v1/models", headers=self.bearer()).status, 200)
        self.assertNotEqual(self.server.ask("GET", "/", headers=self.bearer()).status, 200)
        self.server.stop()
        lines = [json.loads(line) for path in (self.folder / "accounts/audit").glob("*.jsonl")
                 for line in path.read_text().splitlines()]
        knocked = [line["requests"] for line in lines
                   if line["kind"] == "nameless" and line["outcome"] == "admin_invalid_api_key"]
        self.assertEqual(sum(knocked), 1)

    def test_needs_accounts(self):
        said = self.retort("serve", "--upstream", f"a={self.upstream.url}", "--admin-port", "0",
                           code=2).stderr
        self.assertIn("an administration needs accounts", said)


@unittest.skipUnless(browser.find(), "there is no Chromium here (Debian: chromium)")
class BrowserTest(ConsoleRun):
    def setUp(self):
        super().setUp()
        self.hostile = self.account(HOSTILE)
        self.hostile_key = self.issue(self.hostile)
        self.start_door()
        self.page = browser.Page()
        self.addCleanup(self.page.close)

    def harvest(self):
        """Until a person has to confirm a suspension."""
        words = (harness.ROOT / "examples/nouns.txt").read_text().split()
        pairs = [f"Write a two-sentence story about a {one} and a {other}."
                 for one, other in zip(words, words[7:])]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for i in range(0, len(pairs), 60):
                for answer in pool.map(self.chat, pairs[i:i + 60]):
                    self.assertIn(answer.status, (200, 429), answer.body)
                if self.proposed():
                    break
        self.until(self.proposed, 20)
        return self.cases()[0]["id"]

    def cases(self):
        shown = self.retort("case", "list", "--all", "--account", self.customer, "--json").stdout
        return [json.loads(line) for line in shown.splitlines()]

    def proposed(self):
        return any(one["proposed"] for one in self.cases())

    def customer_case(self, name):
        return json.loads(self.retort("case", "show", name, "--json").stdout)

    def sign_in(self, key):
        self.page.go(f"http://127.0.0.1:{self.admin_port}/")
        self.page.until("document.activeElement.id === 'key'")
        self.page.write(key)
        self.page.press("Enter")

    def keep_picture(self, name):
        folder = os.environ.get("RETORT_PICTURES")
        if not folder:
            return
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                self.page.size(width)
                self.page.scheme(scheme)
                self.page.value("new Promise(done => setTimeout(done, 300))")
                self.page.picture(pathlib.Path(folder) / f"{name}-{width}-{scheme}.png")
        self.page.size(1280)
        self.page.scheme("light")

    def fits(self):
        """Nothing is wider than the window, neither wide nor narrow."""
        for width in (1280, 390):
            self.page.size(width)
            self.page.value("new Promise(done => setTimeout(done, 100))")
            self.assertLessEqual(self.page.value("document.documentElement.scrollWidth"), width)
        self.page.size(1280)

    def no_script_ran(self):
        self.assertIsNone(self.page.value("window.hit ?? null"))
        self.assertEqual(self.page.value(
            "[...document.querySelectorAll('main img, main script, main iframe')].length"), 0)
        self.assertEqual(self.page.said, [])

    def heading(self, text):
        self.page.until(f"document.querySelector('h1')?.textContent.includes({json.dumps(text)})")

    def test_from_the_key_to_the_decision_by_keyboard(self):
        case = self.harvest()
        self.retort("case", "decide", case, "--decision", "confirm", "--reason", "a word list")
        self.until(lambda: self.chat("hi").status == 403)
        asked = self.server.ask("POST", f"/v1/policy/cases/{case}/appeal", {"text": HOSTILE},
                                self.bearer())
        self.assertEqual(asked.status, 200, asked.body)

        # A key that opens nothing says so, and the field keeps the focus.
        self.sign_in(self.key)
        self.page.until("document.querySelector('.fault').textContent.includes('opens nothing')")
        self.page.write(self.admin_key)
        self.page.press("Enter")
        self.heading("Now")
        self.page.until("document.querySelectorAll('figure svg').length >= 3")
        self.assertIn("account_suspended", self.page.text())
        self.keep_picture("now")
        self.fits()

        # To the case: the navigation, the list, Enter.
        self.page.tab_to("a.getAttribute('href') === '#/cases'", shift=True)
        self.page.press("Enter")
        self.heading("Cases")
        self.keep_picture("cases")
        self.fits()
        self.page.tab_to("a.matches('a.row')")
        self.page.press("Enter")
        self.heading("Case of Example Ltd")
        self.page.until("document.querySelectorAll('figure svg').length >= 5")
        text = self.page.text()
        self.assertIn(HOSTILE, text, "an appeal is shown word for word")
        for words in ("Strength of the evidence", "New ground", "Kinds of requests",
                      "Kinds of evidence", "Beside honest accounts", "throttle: 100"):
            self.assertIn(words, self.page.value("document.body.textContent"))
        self.keep_picture("case")
        self.fits()
        self.no_script_ran()

        # Escape leads back to its row, Enter to the case again.
        self.page.press("Escape")
        self.heading("Cases")
        self.page.until("document.activeElement.matches('a.row')")
        self.page.press("Enter")
        self.heading("Case of Example Ltd")

        # Decided by keyboard: first not after all, then for good.
        self.page.tab_to("a.name === 'decision'")
        chosen = "document.querySelector('[name=decision]:checked')?.value"
        for _ in range(3):
            if self.page.value(chosen) == "lift":
                break
            self.page.press("ArrowDown" if self.page.value(
                "Boolean(document.querySelector('[name=decision]:checked'))") else " ")
        self.page.tab_to("a.id === 'reason'")
        self.page.write("You are a school; our mistake.")
        self.page.tab_to("a.textContent === 'Decide'")
        self.page.press("Enter")
        self.page.until("document.querySelector('dialog[open]')?.textContent.includes('Lift')")
        self.keep_picture("dialog")
        self.page.press("Escape")
        self.page.until("!document.querySelector('dialog[open]')")
        self.assertEqual(self.customer_case(case)["status"], "appealed", "Escape decides nothing")
        self.page.tab_to("a.textContent === 'Decide'")
        self.page.press("Enter")
        self.page.tab_to("a.textContent === 'Lift' && a.closest('dialog')")
        self.page.press("Enter")
        self.page.until("document.getElementById('said').textContent.includes('suspend, lifted')")
        self.assertIn("This case is over", self.page.text())

        decided = self.customer_case(case)
        self.assertEqual(decided["status"], "lifted")
        self.assertRegex(decided["events"][-1]["actor"], r"^ben \(key_\w+\)$")
        self.until(lambda: self.chat("hi").status == 200)
        shown = json.loads(self.retort("account", "show", self.customer, "--json").stdout)
        self.assertEqual(shown["state"], "active")
        self.see_it_in_the_audit(case)

    def see_it_in_the_audit(self, case):
        """The decision's line, its proof, and the log's growth, all checked by the browser."""
        self.until(lambda: b"decided: lift" in self.ask_admin(
            "GET", f"/admin/v1/audit?case={case}", self.admin_key).body)
        self.page.tab_to("a.textContent === 'This case in the audit'", most=200)
        self.page.press("Enter")
        self.heading("Audit")
        self.page.until("document.querySelector('.line')?.textContent.includes('decided: lift')")
        self.page.tab_to("a.matches('summary')")
        self.page.press("ArrowDown")
        self.page.press("ArrowUp")
        self.page.press("Enter")
        self.page.press("Tab")
        self.page.press("Enter")
        self.page.until("document.getElementById('said').textContent === 'The proof holds.'")
        checks = self.page.value("document.querySelector('.line .checks').textContent")
        self.assertEqual(checks.count("holds: "), 4, checks)
        self.assertNotIn("not", checks)
        self.keep_picture("audit")
        self.fits()
        # Later the log has grown, which the browser proves against what it kept.
        self.retort("account", "suspend", self.hostile, "--reason", HOSTILE)
        self.until(lambda: b"onerror" in self.ask_admin(
            "GET", f"/admin/v1/audit?account={self.hostile}&kind=account", self.admin_key).body)
        self.page.go(f"http://127.0.0.1:{self.admin_port}/#/cases")
        self.heading("Cases")
        self.page.go(f"http://127.0.0.1:{self.admin_port}/#/audit?kind=account")
        self.page.until("document.querySelector('.checks')?.innerText.includes('only grew since')")
        self.page.until("document.querySelector('.line')?.textContent.includes('onerror')")
        self.no_script_ran()

    def test_accounts_and_names_that_would_be_scripts(self):
        self.sign_in(self.admin_key)
        self.heading("Now")
        self.page.tab_to("a.getAttribute('href') === '#/accounts'", shift=True)
        self.page.press("Enter")
        self.heading("Accounts")
        self.page.until("document.querySelectorAll('a.row').length === 3")
        self.assertIn(HOSTILE, self.page.text())
        self.keep_picture("accounts")
        self.fits()
        self.page.tab_to("a.matches('a.row')")
        self.page.press("End")
        rows = self.page.value("[...document.querySelectorAll('a.row')].map(a => a.textContent)")
        self.assertEqual(self.page.value("document.activeElement.textContent"), rows[-1])
        for _ in range(3):
            if self.page.value("document.activeElement.textContent") == HOSTILE:
                break
            self.page.press("ArrowUp")
        self.page.press("Enter")
        self.heading(HOSTILE)
        self.page.tab_to("a.id === 'reason'")
        self.page.write("unpaid")
        self.page.tab_to("a.textContent === 'Suspend'")
        self.page.press("Enter")
        self.page.until("document.querySelector('dialog[open]')")
        self.page.tab_to("a.textContent === 'Suspend' && a.closest('dialog')")
        self.page.press("Enter")
        self.page.until("document.getElementById('said').textContent.includes('is suspended')")
        self.until(lambda: self.server.ask("GET", "/v1/models", headers=[
            f"Authorization: Bearer {self.hostile_key}"]).status == 403)
        self.keep_picture("account")
        self.fits()
        self.no_script_ran()
        # A key that is revoked meanwhile leads back to the door.
        shown = json.loads(self.retort("account", "show", self.staff, "--json").stdout)
        self.retort("account", "revoke", shown["keys"][0]["id"])
        self.page.go(f"http://127.0.0.1:{self.admin_port}/#/cases")
        self.page.until("document.getElementById('key')")
        self.assertIsNone(self.page.value("sessionStorage.getItem('retort.key')"))


if __name__ == "__main__":
    harness.main()
