#!/usr/bin/env python3
"""Webhooks of cases: a receiver that fails, says nothing, comes back; a server killed between."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import signal
import threading
import time

import harness
import served

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """Answers as `script` says, in turn: a status, or "hang"; then always 200."""

    def __init__(self, script):
        self.script, self.got, self.over = list(script), [], threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                does = receiver.script.pop(0) if receiver.script else 200
                receiver.got.append((does, dict(self.headers), body, time.time()))
                if does == "hang":
                    receiver.over.wait(60)
                    return
                self.send_response(does)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks"

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count, seconds=60):
        deadline = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.got


class WebhookTest(served.ServedRun):
    def setUp(self):
        super().setUp()
        self.account = self.retort("account", "create", "Example Ltd").stdout.split()[0]
        self.key = self.retort("account", "issue", self.account).stdout.strip()
        self.retort("policy", "add", str(harness.ROOT / "examples/forbidden/policy-short.toml"))

    def open(self, receiver, *more):
        self.addCleanup(receiver.close)
        return self.serve("--upstream", "large=http://127.0.0.1:9/v1", "--accounts", "accounts",
                          "--webhook", receiver.url, *more, models=(),
                          env={"RETORT_WEBHOOK_SECRET": SECRET})

    def begin_case(self):
        self.retort("case", "open", self.account, "--words", "one template", "--carries", "warn")

    def assert_signed(self, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
        self.assertEqual(headers["webhook-signature"], "v1," + made)
        self.assertLess(abs(time.time() - int(headers["webhook-timestamp"])), 300)
        self.assertEqual(json.loads(body)["id"], headers["webhook-id"])

    def test_what_fails_is_sent_again_through_a_kill(self):
        receiver = Receiver([500, "hang"])
        server = self.open(receiver, "--webhook-private")
        self.begin_case()
        receiver.wait(2)  # refused, then taken by somebody who says nothing
        asked = time.monotonic()
        listed = server.ask("GET", "/v1/models", headers=[f"Authorization: Bearer {self.key}"])
        self.assertEqual(listed.status, 200, "the door waits for no receiver")
        self.assertLess(time.monotonic() - asked, 8)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        server.log.close()
        self.open(receiver, "--webhook-private")
        failed = {body for does, _, body, _ in receiver.got if does != 200}
        self.assertTrue(any(json.loads(body)["type"] == "policy.case.opened" for body in failed))
        deadline = time.monotonic() + 60
        while failed - self.taken(receiver) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(failed - self.taken(receiver), set(), "each is sent again, word for word")
        for _, headers, body, _ in receiver.got:
            self.assert_signed(headers, body)
            self.assertEqual(json.loads(body)["data"]["account"], self.account)

    @staticmethod
    def taken(receiver):
        return {body for does, _, body, _ in receiver.got if does == 200}

    def test_a_private_address_needs_the_word(self):
        receiver = Receiver([])
        self.addCleanup(receiver.close)
        done = self.retort("serve", "--upstream", "large=http://127.0.0.1:9/v1", "--accounts",
                           "accounts", "--webhook", receiver.url, code=2)
        self.assertIn("https", done.stderr)


if __name__ == "__main__":
    harness.unittest.main()
