#!/usr/bin/env python3
"""`retort serve` and clients that mean harm or are slow: what they send is refused before it costs
memory or time, what they do not read is bounded, and their neighbours' answers are untouched."""

import concurrent.futures
import socket
import time

import harness
import served
from served import MODEL

BEGIN = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
RESIDENT_GROWTH_MIB = 120


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class HostileTest(served.ServedRun):
    def serve(self, *arguments):
        """Warm: both forms of the weights made, the whole cache touched."""
        server = super().serve("--kv-memory", "64MiB", *arguments)
        for seed in range(4):
            server.ask("POST", "/v1/completions", {
                "model": MODEL, "prompt": [500 + seed] * 800, "max_tokens": 8, "n": 2})
        self.resident = server.resident_mib()
        self.expected = self.neighbour()
        return server

    def neighbour(self):
        answer = self.server.chat(seed=11, max_tokens=16)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["choices"][0]["message"]

    def assert_unharmed(self):
        self.assertEqual(self.neighbour(), self.expected)
        self.assertEqual(self.server.metric("retort_answers_in_flight"), 0)
        self.assertEqual(self.server.metric("retort_kv_pages_held"), 0)
        # What a last body took is given back once its answer is out, which may be after it arrived.
        deadline = time.monotonic() + 10
        while (self.server.resident_mib() >= self.resident + RESIDENT_GROWTH_MIB
               and time.monotonic() < deadline):
            time.sleep(0.1)
        self.assertLess(self.server.resident_mib(), self.resident + RESIDENT_GROWTH_MIB)

    def body(self, text, status=400):
        before = self.server.computed_s()
        answer = self.server.raw(BEGIN + b"Connection: close\r\nContent-Length: %d\r\n\r\n"
                                 % len(text) + text)
        self.assertEqual(answer.status, status, (text[:60], answer.body[:200]))
        self.assertIn("message", answer.json()["error"])
        self.assertLess(self.server.computed_s() - before, 3, text[:60])

    def test_bodies_that_would_cost_memory_or_time(self):
        server = self.serve()
        many = b"[" + b"1," * 999_999 + b"1]"
        texts = b"[" + b'"a",' * 999_999 + b'"a"]'
        name = MODEL.encode()
        for field in (b'"prompt": ' + many, b'"prompt": ' + texts,
                      b'"prompt": [' + b"[1]," * 999_999 + b"[1]]",
                      b'"prompt": "a", "stop": ' + texts,
                      b'"prompt": "a", "stop_token_ids": ' + many,
                      b'"prompt": "a", "logit_bias": {'
                      + b",".join(b'"%d": 1' % i for i in range(250_000)) + b"}",
                      b'"prompt": "a", "n": 1000000000', b'"prompt": "a", "n": 1e9',
                      b'"prompt": "a", "n": -1', b'"prompt": "a", "max_tokens": -1',
                      b'"prompt": "a", "max_tokens": 1000000000000000000',
                      b'"prompt": "a", "max_tokens": 1e18',
                      b'"prompt": "a", "logprobs": 1000000',
                      b'"prompt": "' + b"word " * 800_000 + b'"',
                      b'"prompt": "' + b"^" * 4_000_000 + b'"'):
            self.body(b'{"model": "' + name + b'", ' + field + b"}")
        self.body(b"{" + b",".join(b'"k%d": 1' % i for i in range(300_000)) + b"}")
        for broken in (b"[" * 1_000_000, b'{"a":' * 800_000, b'{"model": 1e999999}',
                       b'{"model": "a", "model": "b"}', b'{"model": "\\ud800"}', b"\xef\xbb\xbf{}",
                       b'{"model": "\x00"}', b'{"model": "a"}x', b"nul", b'"a"'):
            self.body(broken)
        messages = b",".join([b'{"role": "user", "content": "a"}'] * 100_000)
        answer = server.raw(BEGIN.replace(b"/completions", b"/chat/completions")
                            + b"Connection: close\r\nContent-Length: %d\r\n\r\n"
                            % (len(messages) + len(name) + 29) + b'{"model": "' + name
                            + b'", "messages": [' + messages + b"]}")
        self.assertEqual(answer.json()["error"]["param"], "messages")
        self.assert_unharmed()

    def test_a_gigabyte_is_refused_while_it_comes(self):
        server = self.serve()
        piece = b"x" * 65536
        for head, part in ((b"Content-Length: 1000000000\r\n\r\n", piece),
                           (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + piece + b"\r\n"),
                           (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
                           (b"", b"X-%d: a\r\n" * 1000)):
            with server.connect() as peer:
                sent = 0
                try:
                    peer.sendall(BEGIN + head)
                    while sent < 10**9:
                        peer.sendall(part)
                        sent += len(part)
                except OSError:
                    pass  # the server has hung up
            self.assertLess(sent, 64 << 20)
        self.assert_unharmed()

    def test_readers_that_do_not_read_are_let_go(self):
        server = self.serve("--max-batch", "32")
        peers = []
        for _ in range(2):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", server.port))
            peer.sendall(server.request("POST", "/v1/completions", {
                "model": MODEL, "prompt": "Once", "max_tokens": 350, "ignore_eos": True,
                "stream": True, "n": 8, "logprobs": 20}))
            peers.append(peer)
        self.until(lambda: server.metric("retort_answers_running") >= 8, seconds=30)
        self.assertEqual(self.neighbour(), self.expected)
        self.until(lambda: server.metric("retort_clients_gone_total") == 2, seconds=120)
        self.until(lambda: server.metric("retort_answers_in_flight") == 0)
        self.assert_unharmed()
        for peer in peers:
            peer.close()

    def test_work_for_who_has_left_ends_within_a_step(self):
        server = self.serve("--max-batch", "4")
        for leave in (lambda peer: peer.close(), lambda peer: peer.shutdown(socket.SHUT_WR)):
            gone = server.metric("retort_clients_gone_total")
            peer = server.connect()
            peer.sendall(server.request("POST", "/v1/completions", {
                "model": MODEL, "prompt": "Once", "max_tokens": 1500, "ignore_eos": True,
                "stream": True, "n": 2}))
            while b"data: " not in peer.recv(65536):
                pass
            leave(peer)
            self.until(lambda: server.metric("retort_clients_gone_total") == gone + 1)
            generated = server.metric("retort_generated_tokens_total")
            time.sleep(0.3)
            after = server.metric("retort_generated_tokens_total")
            self.assertLessEqual(after - generated, 2, "one step of two answers at most")
            self.assertEqual(server.metric("retort_kv_pages_held"), 0)
            peer.close()
        self.assert_unharmed()

    def test_dripping_heads_and_bodies(self):
        server = self.serve()
        heads = [server.connect() for _ in range(50)]
        bodies = [server.connect() for _ in range(50)]
        for peer in bodies:
            peer.sendall(BEGIN + b"Content-Length: 1000\r\n\r\n")
        started = time.monotonic()
        said = 0
        while time.monotonic() - started < 12:
            for peer in heads + bodies:
                try:
                    peer.sendall(b"G")
                    said += 1
                except OSError:
                    pass
            self.assertEqual(self.neighbour(), self.expected)
            time.sleep(0.5)
        self.assertGreater(said, 100)
        for peer in heads:  # a byte now and then has won no time
            self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 408"))
        for peer in heads + bodies:
            peer.close()
        self.assert_unharmed()

    def test_pipelined_requests_are_answered_in_order(self):
        server = self.serve()
        requests = b""
        for number in range(50):
            requests += b"GET /v1/models/none%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number
            if number % 10 == 5:
                requests += server.request("POST", "/v1/completions", {
                    "model": MODEL, "prompt": "Once", "max_tokens": 3, "temperature": 0,
                    "stream": True}).replace(b"Connection: close\r\n", b"")
        requests += server.request("GET", "/health")
        with server.connect() as peer:
            peer.sendall(requests)
            said = b""
            while piece := peer.recv(65536):
                said += piece
        places = [said.index(b"none%d`" % number) for number in range(50)]
        self.assertEqual(places, sorted(places))
        self.assertEqual(said.count(b"data: [DONE]"), 5)
        self.assertEqual(said.count(b"HTTP/1.1 "), 56)
        self.assert_unharmed()

    def test_two_thousand_connections_at_a_limit_of_two_hundred(self):
        server = self.serve("--max-connections", "200")
        kept = server.connect()
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(kept.recv(1000).startswith(b"HTTP/1.1 200"))
        crowd = []
        for _ in range(2000):
            try:
                crowd.append(server.connect())
            except OSError:
                break
        self.assertGreater(len(crowd), 1000)
        turned_away = 0
        for peer in crowd[-500:]:
            peer.settimeout(5)
            try:
                turned_away += peer.recv(100).startswith(b"HTTP/1.1 503")
            except OSError:
                turned_away += 1
        self.assertEqual(turned_away, min(500, len(crowd)))
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(kept.recv(1000).startswith(b"HTTP/1.1 200"))
        for peer in [kept, *crowd]:
            peer.close()
        self.until(lambda: server.ask("GET", "/health").status == 200)
        self.assert_unharmed()

    def test_what_a_client_says_is_written_nowhere(self):
        server = self.serve()
        canary = "canary-prompt-4711"
        server.chat(text=canary, max_tokens=2)
        server.chat(text=canary, stream=True, max_tokens=2)
        for path, body in (("/v1/chat/completions", {"model": canary}),
                           ("/v1/completions", {"model": MODEL, "prompt": canary, "n": canary}),
                           ("/" + canary, {}), ("/tokenize", {"prompt": canary, "x": 1})):
            server.ask("POST", path, body, headers=(f"X-A: {canary}",))
        server.raw(BEGIN + b"X-Canary : " + canary.encode() + b"\r\n\r\n")
        self.assertNotIn(canary, server.ask("GET", "/metrics").body.decode())
        self.assertNotIn(canary, server.said())

    def test_neighbours_of_the_hostile_get_their_own_answers(self):
        server = self.serve("--max-batch", "8")
        attacks = [b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                   BEGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                   BEGIN + b"Content-Length: 4194304\r\n\r\n" + b"[" * 100_000,
                   b"\x00" * 5000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000]

        def attack(number):
            for _ in range(40):
                with server.connect() as peer:
                    try:
                        peer.sendall(attacks[number % len(attacks)])
                        peer.recv(100) if number % 2 else None
                    except OSError:
                        pass

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            under_way = [pool.submit(attack, number) for number in range(5)]
            answers = [pool.submit(self.neighbour) for _ in range(20)]
            self.assertEqual([answer.result() for answer in answers], [self.expected] * 20)
            for one in under_way:
                one.result()
        self.assert_unharmed()


if __name__ == "__main__":
    harness.main()
