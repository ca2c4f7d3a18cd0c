#!/usr/bin/env python3
"""`retort serve`: streams, scores, errors, keys, clients that leave or dawdle."""

import concurrent.futures
import json
import random
import socket
import struct
import time

import harness
import served
from served import MODEL


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class ServeTest(served.ServedRun):
    def test_streamed_whole_and_scored_answers_are_one(self):
        server = self.serve()
        whole = server.chat(temperature=0, logprobs=True, top_logprobs=2).json()
        choice = whole["choices"][0]
        self.assertGreater(len(choice["message"]["content"]), 10)
        self.assertEqual(whole["usage"]["completion_tokens"], len(choice["logprobs"]["content"]))
        events = server.chat(temperature=0, logprobs=True, top_logprobs=2, stream=True,
                             stream_options={"include_usage": True}).events()
        self.assertEqual("".join(event["choices"][0]["delta"].get("content", "")
                                 for event in events[:-1]), choice["message"]["content"])
        self.assertEqual([token for event in events[:-1]
                          for token in (event["choices"][0]["logprobs"] or {}).get("content", [])],
                         choice["logprobs"]["content"])
        self.assertEqual(events[-1]["usage"]["completion_tokens"],
                         whole["usage"]["completion_tokens"])

    def test_seeds_temperatures_and_bounds(self):
        server = self.serve()
        first, again = (server.chat(seed=7).json()["choices"][0] for _ in range(2))
        self.assertEqual(first, again)
        free = {server.chat().json()["choices"][0]["message"]["content"] for _ in range(3)}
        self.assertGreater(len(free), 1)
        several = server.chat(seed=7, n=3).json()["choices"]
        self.assertEqual(several[0]["message"], first["message"])
        self.assertGreater(len({choice["message"]["content"] for choice in several}), 1)
        stopped = server.chat(temperature=0, stop=["boat"]).json()["choices"][0]
        self.assertEqual(stopped["finish_reason"], "stop")
        self.assertNotIn("boat", stopped["message"]["content"])
        biased = server.ask("POST", "/v1/completions", {
            "model": MODEL, "prompt": "a", "max_tokens": 3, "temperature": 0,
            "logit_bias": {"28": 100}, "logprobs": 0}).json()["choices"][0]
        self.assertEqual(len(set(biased["logprobs"]["tokens"])), 1)

    def test_scores_a_prompt_as_lm_eval_asks(self):
        server = self.serve()
        ids = server.ask("POST", "/tokenize", {"prompt": "The capital of France is Paris"}).json()
        ids = ids["tokens"]
        answer = server.ask("POST", "/v1/completions", {
            "prompt": [ids, ids[:4]], "model": MODEL, "max_tokens": 1, "temperature": 0,
            "logprobs": 1, "seed": 1234, "echo": True}).json()
        for choice, tokens in zip(answer["choices"], (ids, ids[:4])):
            scored = choice["logprobs"]
            self.assertEqual(len(scored["token_logprobs"]), len(tokens) + 1)
            self.assertIsNone(scored["token_logprobs"][0])
            for value, top in zip(scored["token_logprobs"][1:], scored["top_logprobs"][1:]):
                self.assertLessEqual(value, max(top.values()))
        long, short = (choice["logprobs"]["token_logprobs"][1:4] for choice in answer["choices"])
        for a, b in zip(long, short):
            self.assertAlmostEqual(a, b, delta=0.05)
        # " Paris" is likely after these words.
        self.assertGreater(answer["choices"][0]["logprobs"]["token_logprobs"][-2], -3)

    def test_best_of_gives_the_likeliest_a_token(self):
        server = self.serve()
        body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 12, "seed": 6}
        made = server.ask("POST", "/v1/completions", {**body, "n": 6, "logprobs": 0}).json()

        def likeliness(choice):
            values = choice["logprobs"]["token_logprobs"]
            return sum(values) / len(values)

        expected = sorted(made["choices"], key=likeliness, reverse=True)[:2]
        self.assertNotEqual([choice["index"] for choice in expected], [0, 1])
        best = server.ask("POST", "/v1/completions", {**body, "n": 2, "best_of": 6}).json()
        self.assertEqual([(choice["index"], choice["text"]) for choice in best["choices"]],
                         [(index, choice["text"]) for index, choice in enumerate(expected)])
        self.assertIsNone(best["choices"][0]["logprobs"])
        self.assertEqual(best["usage"], made["usage"])  # all that was generated
        streamed = server.ask("POST", "/v1/completions", {**body, "best_of": 2, "stream": True})
        self.assertEqual((streamed.status, streamed.json()["error"]["param"]), (400, "best_of"))

    def test_refusals_name_what_is_wrong(self):
        server = self.serve()
        for more, status, code, param in (
                ({"tools": [{"type": "function"}]}, 400, "unsupported_parameter", "tools"),
                ({"max_tokens": 10**9}, 400, "context_length_exceeded", "messages"),
                ({"model": "gpt-4"}, 404, "model_not_found", "model"),
                ({"temperature": 9}, 400, None, "temperature"),
                ({"n": 10**9}, 400, None, "n"), ({"stop": [""]}, 400, None, "stop")):
            answer = server.chat(**more)
            error = answer.json()["error"]
            self.assertEqual((answer.status, error["code"], error["param"]), (status, code, param))
            self.assertRegex(answer.headers["x-request-id"], "^req_[0-9a-f]{24}$")
        long = server.chat(text="word " * 20000)
        self.assertEqual(long.json()["error"]["code"], "context_length_exceeded")
        self.assertEqual(server.chat().status, 200)

    def test_bytes_that_two_programs_could_read_in_two_ways(self):
        server = self.serve()
        body = b'{"model": "x"}'
        begin = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        for head in (b"Content-Length: 14\r\nTransfer-Encoding: chunked\r\n",
                     b"Content-Length: 14\r\nContent-Length: 15\r\n",
                     b"Transfer-Encoding: xchunked\r\n", b"Content-Length: +14\r\n",
                     b"Content-Length : 14\r\n", b"X: a\r\n b\r\nContent-Length: 14\r\n",
                     b"Host: other\r\nContent-Length: 14\r\n", b"X: a\nContent-Length: 14\r\n"):
            answer = server.raw(begin + head + b"\r\n" + body)
            self.assertEqual(answer.status, 400, head)
            self.assertIn("message", answer.json()["error"])
        for path in ("//v1/models", "/v1/../metrics", "/v1/%2e%2e/metrics"):
            self.assertEqual(server.ask("GET", path).status, 400, path)
        evil = b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        self.assertIn(server.raw(evil).status, (400, 403, 421))
        huge = b"Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 10**6
        self.assertEqual(server.raw(begin + huge).status, 413)
        for bad in (b"", b"\xff\xfe", b"[" * 100000, b'{"model": 1e999999}'):
            answer = server.raw(begin + b"Content-Type: application/json\r\nConnection: close\r\n"
                                b"Content-Length: %d\r\n\r\n" % len(bad) + bad)
            self.assertEqual(answer.status, 400, bad[:20])
        self.assertEqual(server.chat().status, 200)

    def test_key_is_needed_and_never_shown(self):
        server = self.serve(env={"RETORT_API_KEY": "canary-key-4711"})
        for headers in ((), ("Authorization: Bearer canary-key-4712",),
                        ("Authorization: Basic canary-key-4711",)):
            answer = server.chat(headers=headers)
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.json()["error"]["code"], "invalid_api_key")
            self.assertNotIn(b"canary", answer.body)
        key = ("Authorization: Bearer canary-key-4711",)
        self.assertEqual(server.chat(headers=key).status, 200)
        self.assertNotIn("canary", server.ask("GET", "/metrics", headers=key).body.decode())
        self.assertEqual(server.ask("GET", "/health").status, 200)
        self.assertNotIn("canary", server.said())

    def test_nobody_learns_what_another_account_asked(self):
        keys = []
        for name in ("One", "Other"):
            account = self.retort("account", "create", name).stdout.split()[0]
            keys.append(self.retort("account", "issue", account).stdout.strip())
        server = self.serve("--accounts", "accounts")
        prompt = " ".join(f"The secret number {i} is {i * 7919}." for i in range(20))

        def cached(key):
            answer = server.chat(prompt, [f"Authorization: Bearer {key}"], max_tokens=1)
            return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]

        self.assertEqual(cached(keys[0]), 0)
        self.assertGreater(cached(keys[0]), 100)
        self.assertEqual(cached(keys[1]), 0)
        self.assertGreater(cached(keys[1]), 100)

    def is_done(self, server, most_tokens):
        self.assertLess(server.metric("retort_generated_tokens_total"), most_tokens)
        return server.metric("retort_answers_in_flight") == 0

    def test_client_that_leaves_is_not_worked_for(self):
        server = self.serve("--max-batch", "2")
        whole = 2 * 1500  # tokens, for a client that stays
        for stream in (True, False):
            before = server.metric("retort_clients_gone_total")
            made = server.metric("retort_generated_tokens_total")
            with server.connect() as peer:
                peer.sendall(server.request("POST", "/v1/completions", {
                    "model": MODEL, "prompt": "Once", "max_tokens": 1500, "ignore_eos": True,
                    "stream": stream, "n": 2}))
                self.until(lambda: server.metric("retort_answers_running") > 0, seconds=60)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.until(lambda: self.is_done(server, made + whole / 2), seconds=120)
            self.assertEqual(server.metric("retort_clients_gone_total"), before + 1)
        self.assertEqual(server.chat().status, 200)

    def test_slow_clients_hold_nobody_up(self):
        server = self.serve()
        slow = [server.connect() for _ in range(20)]
        for number, peer in enumerate(slow):
            peer.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: local"[:number + 20])
        started = time.monotonic()
        self.assertEqual(server.chat(max_tokens=4).status, 200)
        self.assertLess(time.monotonic() - started, 10)
        for peer in slow:
            peer.close()

    def test_many_at_once_get_what_they_get_alone(self):
        server = self.serve("--max-batch", "4")
        texts = [f"Tell me about the number {number}." for number in range(8)]

        def ask(text):
            return server.chat(text=text, seed=3, max_tokens=16).json()["choices"][0]["message"]

        alone = [ask(text) for text in texts]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(ask, texts)), alone)

    def test_several_models_take_turns_and_share_the_cache(self):
        names = ("first", "second")
        server = self.serve("--kv-memory", "64MiB",
                            models=[f"{name}={harness.TEACHER}" for name in names])
        self.assertIn("serving first, second on", server.said())
        listed = server.ask("GET", "/v1/models").json()["data"]
        self.assertEqual([model["id"] for model in listed], list(names))
        unknown = server.chat(model="third")
        self.assertEqual((unknown.status, unknown.json()["error"]["code"]),
                         (404, "model_not_found"))
        self.assertIn("`first`, `second`", unknown.json()["error"]["message"])
        pages = [server.metric(f'retort_kv_pages{{model="{name}"}}') for name in names]
        self.assertEqual(pages[0], pages[1])
        self.assertLessEqual(sum(pages) * 16 * 30 * 2 * 3 * 64 * 2, 64 << 20)

        def ask(job):
            name, number = job
            answer = server.chat(model=name, text=f"Tell me about the number {number}.",
                                 seed=number, max_tokens=16).json()
            self.assertEqual(answer["model"], name)
            return answer["choices"][0]["message"]["content"]

        jobs = [(name, number) for number in range(6) for name in names]
        alone = [ask(job) for job in jobs]
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            self.assertEqual(list(pool.map(ask, jobs)), alone)
        self.assertEqual(alone[::2], alone[1::2])  # the same file twice
        for name in names:
            self.assertGreater(server.metric(f'retort_generated_tokens_total{{model="{name}"}}'), 9)

    def write_adapter(self, seed, width=576):
        """A folder as PEFT writes it: rank 4 on q_proj and down_proj of every layer."""
        folder = self.folder / f"adapter{seed}"
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps({
            "peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none",
            "target_modules": ["q_proj", "down_proj"]}))
        values = random.Random(seed)
        header, data = {}, b""
        for layer in range(30):
            for name, out, into in (("self_attn.q_proj", 576, width), ("mlp.down_proj", 576, 1536)):
                for part, shape in (("lora_A", (4, into)), ("lora_B", (out, 4))):
                    numbers = [values.uniform(-0.08, 0.08) for _ in range(shape[0] * shape[1])]
                    piece = struct.pack(f"<{len(numbers)}f", *numbers)
                    header[f"base_model.model.model.layers.{layer}.{name}.{part}.weight"] = {
                        "dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(piece)]}
                    data += piece
        head = json.dumps(header).encode()
        (folder / "adapter_model.safetensors").write_bytes(
            struct.pack("<Q", len(head)) + head + data)
        return folder

    def test_adapters_are_models_over_the_same_weights(self):
        server = self.serve("--adapter", f"tuned={self.write_adapter(1)}",
                            "--adapter", str(self.write_adapter(2)))
        names = [model["id"] for model in server.ask("GET", "/v1/models").json()["data"]]
        self.assertEqual(names, [MODEL, "tuned", "adapter2"])

        def ask(job):
            name, number = job
            answer = server.chat(model=name, text=f"Tell me about the number {number}.",
                                 temperature=0, max_tokens=16).json()
            self.assertEqual(answer["model"], name)
            return answer["choices"][0]["message"]["content"]

        jobs = [(name, number) for number in range(4) for name in names]
        alone = [ask(job) for job in jobs]
        self.assertEqual(len({tuple(alone[i::3]) for i in range(3)}), 3)
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            self.assertEqual(list(pool.map(ask, jobs)), alone)
        metrics = server.ask("GET", "/metrics").body.decode()
        self.assertEqual(metrics.count("\nretort_generated_tokens_total{"), 1)
        self.assertEqual(server.metric('retort_answers_in_flight{model="tuned"}'), 0)
        for folder in (self.write_adapter(3, width=64), self.folder / "none"):
            refused = self.retort("serve", "--model", harness.TEACHER, "--port", "0",
                                  "--adapter", f"x={folder}", code=None)
            self.assertEqual(refused.returncode, 4)
            self.assertIn(str(folder), refused.stderr)

    def test_full_queue_and_stop(self):
        server = self.serve("--max-batch", "1", "--max-waiting", "0")
        with server.connect() as peer:
            peer.sendall(server.request("POST", "/v1/completions", {
                "model": MODEL, "prompt": "Once", "max_tokens": 1900, "ignore_eos": True,
                "stream": True}))
            self.until(lambda: server.metric("retort_answers_in_flight") == 1)
            answer = server.chat()
            self.assertEqual(answer.status, 429)
            self.assertEqual(answer.headers["retry-after"], "1")
            started = time.monotonic()
            self.assertEqual(server.stop(), 0, server.log)
            self.assertLess(time.monotonic() - started, 10)
        self.server = None


if __name__ == "__main__":
    harness.main()
