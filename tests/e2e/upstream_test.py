#!/usr/bin/env python3
"""The door before another server: what passes, what is counted, what is kept back."""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import time
import unittest

import harness
import served
from fake_upstream import SECRET, TOOLS, USAGE, FakeUpstream


USAGE_ERROR = 2


class UpstreamTest(served.ServedRun):
    def setUp(self):
        super().setUp()
        self.account = self.retort("account", "create", "Example Ltd").stdout.split()[0]
        self.key = self.retort("account", "issue", self.account).stdout.strip()
        self.upstream = FakeUpstream().__enter__()
        self.addCleanup(self.upstream.__exit__)

    def open(self, *more):
        return self.serve("--upstream", f"large={self.upstream.url}#theirs", "--upstream-key",
                          "large=UPSTREAM_KEY", "--accounts", "accounts", *more, models=(),
                          env={"UPSTREAM_KEY": SECRET})

    def limit(self, what):
        self.retort("account", "limit", self.account, "--most", what)

    def chat(self, prompt, headers=(), **more):
        return self.server.chat(prompt, model="large", headers=[
            f"Authorization: Bearer {self.key}", *headers], **more)

    def audited(self, lines):
        """The audit's lines of this account's requests, once there are so many."""
        def read():
            done = self.retort("account", "audit", self.account, code=None)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            return [line for line in lines if "outcome" in line]
        deadline = time.monotonic() + 60
        while len(read()) < lines and time.monotonic() < deadline:
            time.sleep(0.2)
        return read()

    def stop_and_audit(self):
        self.server.stop()
        return self.audited(0)

    def test_whole_answers_pass_and_nothing_else_does(self):
        self.open()
        answer = self.chat("headers", ["X-Mine: 1", "Cookie: a=b", "OpenAI-Organization: o"],
                           user="somebody")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["choices"][0]["message"]["content"], "Hello, it is me.")
        self.assertEqual(answer.json()["usage"], USAGE)
        self.assertTrue(answer.headers["x-request-id"].startswith("req_"))
        for name in ("set-cookie", "x-ratelimit-limit-requests", "server", "link"):
            self.assertNotIn(name, answer.headers)
        path, headers, body = self.upstream.requests[0]
        self.assertEqual(path, "/v1/chat/completions")
        self.assertEqual(headers["Authorization"], f"Bearer {SECRET}")
        self.assertNotIn(self.key, str(self.upstream.requests))
        self.assertEqual(set(headers) - {"Host", "Content-Type", "Content-Length", "Accept",
                                         "User-Agent", "Authorization"}, set())
        self.assertEqual(body["model"], "theirs")
        self.assertNotIn("user", body)
        line, = self.stop_and_audit()
        self.assertEqual((line["input_tokens"], line["output_tokens"], line["outcome"]),
                         (11, 7, "answered"))

    def test_behind_a_proxy_it_is_known_who_asks(self):
        self.key = self.retort("account", "issue", self.account, "--addresses",
                               "203.0.113.0/24").stdout.strip()
        self.retort("account", "payer", self.account, "--payer", "card-3f9a")
        shown = json.loads(self.retort("account", "show", self.account, "--json").stdout)
        self.assertEqual(shown["payer"], "card-3f9a")

        def status(*said, host="localhost"):
            return self.server.raw(self.server.request(
                "POST", "/v1/chat/completions",
                {"model": "large", "messages": [{"role": "user", "content": "Hello."}]},
                [f"Authorization: Bearer {self.key}", *(f"X-Forwarded-For: {one}" for one in said)]
            ).replace(b"Host: localhost", f"Host: {host}".encode())).status

        self.open()
        self.assertEqual(status("203.0.113.9"), 403)  # nobody is believed without being named
        self.assertEqual(status(host="api.example.com"), 403)
        self.server.stop()
        self.open("--proxy", "127.0.0.1", "--proxy", "10.0.0.0/8", "--name", "api.example.com")
        self.assertEqual(status("203.0.113.9", host="api.example.com"), 200)
        self.assertEqual(status("203.0.113.9, 10.1.1.1"), 200)
        self.assertEqual(status("203.0.113.9, 198.51.100.1"), 403)  # a client's own word before it
        self.assertEqual(status("203.0.113.9", "198.51.100.1"), 403)
        self.assertEqual(status(), 403)
        self.assertEqual(status("203.0.113.9", host="other.example.com"), 403)
        self.server.stop()
        said = self.retort("serve", "--upstream", "large=http://127.0.0.1:1/v1", "--proxy",
                           "proxy.local", code=USAGE_ERROR).stderr
        self.assertIn("“proxy.local” is no address", said)

    def test_a_crash_leaves_no_core_with_keys_in_it(self):
        self.open()
        limits = pathlib.Path(f"/proc/{self.server.process.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    def test_calls_of_tools_pass_both_ways(self):
        sent = (harness.ROOT / "tests/golden/openai/chat_tools.http").read_bytes()
        asked = json.loads(sent[sent.index(b"\r\n\r\n") + 4:])
        self.open()
        answer = self.server.ask("POST", "/v1/chat/completions", {**asked, "model": "large"},
                                 [f"Authorization: Bearer {self.key}"])
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["choices"], json.loads(TOOLS)["choices"])
        self.assertEqual(self.upstream.requests[0][2]["tools"], asked["tools"])
        back = [*asked["messages"], answer.json()["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "call_abc123", "content": "{\"degrees\": 21}"}]
        choice = {"type": "function", "function": {"name": "f"}}
        again = self.server.ask("POST", "/v1/chat/completions", {
            **asked, "model": "large", "messages": back, "tool_choice": choice,
            "parallel_tool_calls": False}, [f"Authorization: Bearer {self.key}"])
        self.assertEqual(again.status, 200, again.body)
        body = self.upstream.requests[1][2]
        self.assertEqual((body["messages"], body["tool_choice"], body["parallel_tool_calls"]),
                         (back, choice, False))
        first, second = self.stop_and_audit()
        self.assertEqual((first["input_tokens"], first["output_tokens"]), (10, 20))

    def test_streams_pass_with_their_counts_kept_back_or_not(self):
        self.open()
        without = self.chat("plain", stream=True).events()
        self.assertEqual(len(without), 5)
        self.assertNotIn("usage", without[-1])
        wanted = self.chat("plain", stream=True, stream_options={"include_usage": True}).events()
        self.assertEqual(wanted[-1]["usage"], USAGE)
        for line in self.stop_and_audit():
            self.assertEqual((line["input_tokens"], line["output_tokens"]), (11, 7))

    def test_without_counts_there_is_an_estimate(self):
        self.open()
        self.assertEqual(self.chat("no usage").status, 200)
        self.assertEqual(len(self.chat("no usage", stream=True).events()), 5)
        whole, stream = self.stop_and_audit()
        self.assertEqual(whole["output_tokens"], 4)  # 16 bytes
        self.assertEqual(stream["output_tokens"], 5)  # pieces
        for line in (whole, stream):
            self.assertGreater(line["input_tokens"], 5)
            self.assertLess(line["input_tokens"], 40)

    def test_a_limit_is_reserved_and_settled(self):
        self.limit("output_tokens/day=110")
        self.open()
        for _ in range(3):  # 100 reserved each time, 7 used
            self.assertEqual(self.chat("plain", max_tokens=80).status, 200)
        refused = self.chat("plain", max_tokens=100)
        self.assertEqual(refused.status, 429)
        self.assertEqual(refused.json()["error"]["code"], "insufficient_quota")
        self.assertEqual(self.upstream.count(), 3)
        self.assertEqual(self.chat("plain", max_tokens=89).status, 200)  # 21 used

    def test_requests_at_once_never_pass_a_limit(self):
        self.limit("output_tokens/day=350")
        self.open()
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: self.chat("slow:1", max_tokens=100).status,
                                    range(20)))
        self.assertEqual(answers.count(200), self.upstream.count())
        self.assertEqual(answers.count(200) + answers.count(429), 20)
        self.assertGreaterEqual(self.upstream.count(), 3)
        with self.upstream.lock:
            self.assertEqual({body["max_tokens"] for _, _, body in self.upstream.requests}, {100})

    def test_who_leaves_has_used_what_was_sent(self):
        self.open()
        with self.server.connect() as peer:
            peer.sendall(self.server.request("POST", "/v1/chat/completions", {
                "model": "large", "stream": True, "max_tokens": 4000,
                "messages": [{"role": "user", "content": "endless"}]},
                [f"Authorization: Bearer {self.key}"]))
            seen = b""
            while seen.count(b"data: ") < 12:
                seen += peer.recv(65536)
        self.until(lambda: self.upstream.cut == 1, 60)
        line, = self.stop_and_audit()
        self.assertEqual(line["outcome"], "left")
        self.assertGreaterEqual(line["output_tokens"], 12)
        self.assertLess(line["output_tokens"], 4000)
        self.assertLess(line["input_tokens"], 40)

    def test_an_answer_that_breaks_off_is_no_end(self):
        self.open()
        for how in ("breaks", "silent end", "error event"):
            answer = self.chat(how, stream=True)
            self.assertEqual(answer.status, 200)
            self.assertIn(b'"code":"upstream_broken"', answer.body)
            self.assertNotIn(b"[DONE]", answer.body)
            self.assertNotIn(b"db-7", answer.body)
        for how in ("half", "html"):
            answer = self.chat(how)
            self.assertEqual(answer.status, 502)
            self.assertEqual(answer.json()["error"]["code"], "upstream_broken")
        lines = self.stop_and_audit()
        self.assertEqual([line["output_tokens"] for line in lines[:3]], [3, 5, 2])

    def test_errors_come_with_their_status_and_without_its_secrets(self):
        self.open()
        for status, code in ((400, "fake"), (404, "fake"), (422, "fake"), (429, "fake"),
                             (500, "upstream_unavailable"), (503, "upstream_unavailable")):
            answer = self.chat(str(status))
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code))
        self.assertEqual(self.chat("429").headers["retry-after"], "7")
        for how in ("401", "402", "403", "429:quota", "redirect"):
            answer = self.chat(how)
            self.assertEqual(answer.status, 502, how)
            self.assertNotIn(b"sk-", answer.body)
        self.assertNotIn("/v1/stolen", [path for path, _, _ in self.upstream.requests])
        lines = self.stop_and_audit()
        self.assertEqual({(line["input_tokens"], line["output_tokens"]) for line in lines},
                         {(0, 0)})
        written = self.server.said() if not self.server.log.closed else (
            self.folder / "serve.log").read_text()
        self.assertIn("the upstream of large: it answered with status 401", written)
        for secret in (SECRET, SECRET[:6], self.key):
            self.assertNotIn(secret, written)
            for path in pathlib.Path(self.folder / "accounts").rglob("*"):
                if path.is_file():
                    self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_an_upstream_that_is_down_or_slow(self):
        self.open("--upstream-timeout", "1")
        slow = self.chat("slow:30")
        self.assertEqual(slow.status, 504)
        self.assertEqual(slow.json()["error"]["code"], "upstream_timeout")
        self.upstream.__exit__()
        down = self.chat("plain")
        self.assertEqual(down.status, 502)
        self.assertEqual(down.json()["error"]["type"], "server_error")
        self.assertEqual(self.server.ask("GET", "/health").status, 200)

    def test_a_reader_who_does_not_read_costs_no_memory(self):
        self.open("--upstream-max-tokens", "1000000", "--upstream-timeout", "120")
        before = self.server.resident_mib()
        peers = []
        for _ in range(8):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", self.server.port))
            peer.sendall(self.server.request("POST", "/v1/chat/completions", {
                "model": "large", "stream": True, "max_tokens": 1000000,
                "messages": [{"role": "user", "content": "flood"}]},
                [f"Authorization: Bearer {self.key}"]))
            peers.append(peer)
        self.until(lambda: self.upstream.cut == 8, 120)
        self.assertLess(self.server.resident_mib() - before, 100)
        for peer in peers:
            peer.close()
        self.assertEqual(self.chat("plain").status, 200)

    def test_a_suspended_account_is_cut_in_the_midst(self):
        self.open()
        with self.server.connect() as peer:
            peer.sendall(self.server.request("POST", "/v1/chat/completions", {
                "model": "large", "stream": True, "max_tokens": 4000,
                "messages": [{"role": "user", "content": "endless"}]},
                [f"Authorization: Bearer {self.key}"]))
            seen = peer.recv(65536)
            self.retort("account", "suspend", self.account, "--reason", "a test")
            while piece := peer.recv(65536):
                seen += piece
        self.assertIn(b'"code":"account_suspended"', seen)
        self.assertNotIn(b"[DONE]", seen)
        self.until(lambda: self.upstream.cut == 1, 60)
        self.assertEqual(self.chat("plain").status, 403)

    def test_what_is_refused_at_the_door(self):
        self.open()
        for more, code in (({"web_search_options": {}}, "unsupported_parameter"),
                           ({"max_tokens": 5000}, None), ({"n": 1000}, None)):
            answer = self.chat("plain", **more)
            self.assertEqual(answer.status, 400, more)
            self.assertEqual(answer.json()["error"]["code"], code)
        self.assertEqual(self.server.ask("POST", "/tokenize", {"prompt": "a"}, [
            f"Authorization: Bearer {self.key}"]).status, 400)
        self.assertEqual(self.server.chat("plain", model="large").status, 401)
        self.assertEqual(self.upstream.count(), 0)
        models = self.server.ask("GET", "/v1/models", headers=[
            f"Authorization: Bearer {self.key}"]).json()
        self.assertEqual([one["id"] for one in models["data"]], ["large"])

    @unittest.skipUnless("libgomp" in subprocess.run(["ldd", harness.PROGRAM], text=True,
                                                     capture_output=True).stdout,
                         "built without OpenMP")
    def test_threads_wait_shortly_for_each_other_unless_told_otherwise(self):
        mine = {name: value for name, value in os.environ.items()
                if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
        for more, wanted in (({}, "GOMP_SPINCOUNT=1000"),
                             ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT=7"),
                             ({"OMP_WAIT_POLICY": "passive"}, None)):
            port = self.folder / f"port-{len(more)}-{wanted}"
            server = subprocess.Popen(
                [harness.PROGRAM, "serve", "--upstream", f"a={self.upstream.url}", "--port", "0",
                 "--port-file", str(port)], cwd=self.folder, env={**mine, **more},
                stderr=subprocess.DEVNULL)
            self.addCleanup(lambda server=server: (server.kill(), server.wait()))
            while not port.exists():
                self.assertIsNone(server.poll())
                time.sleep(0.05)
            found = pathlib.Path(f"/proc/{server.pid}/environ").read_text().split("\0")
            self.assertEqual([one for one in found if one.startswith("GOMP_SPINCOUNT")],
                             [wanted] if wanted else [])

    def test_a_key_that_is_not_there_is_said_before_anything_is_served(self):
        said = self.retort("serve", "--upstream", "a=http://127.0.0.1:9/v1", "--upstream-key",
                           "a=NOT_THERE", "--port", "0", code=2).stderr
        self.assertIn("NOT_THERE", said)
        for wrong in ("a", "a=ftp://x", "a=http://u:p@x/v1", "=http://x/v1"):
            self.retort("serve", "--upstream", wrong, "--port", "0", code=2)
        self.assertIn("model", self.retort("serve", "--port", "0", code=2).stderr)


if __name__ == "__main__":
    harness.main()
