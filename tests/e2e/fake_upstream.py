"""An OpenAI-compatible server behind the door, which behaves as the last message tells it to.

It logs every request, and knows when somebody stopped reading its answer.
"""

import http.server
import json
import pathlib
import random
import socket
import threading
import time

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
TOOLS = (pathlib.Path(__file__).parents[1] / "golden/openai/litellm_tools.json").read_bytes()
SECRET = "sk-upstream-0123456789abcdef"


def delta(text, index=0):
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "theirs",
            "choices": [{"index": index, "delta": {"content": text}, "finish_reason": None}]}


class FakeUpstream:
    """with FakeUpstream() as upstream: ...

    Behaviours: plain, no usage, breaks, half, endless, flood, slow, html, error event, silent end,
    redirect, headers, "Write a ..." for a story, or a status, which is answered with an error in
    that API's form.
    """

    def __init__(self):
        self.requests = []
        self.cut = 0  # answers that were not read to their end
        self.lock = threading.Lock()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with upstream.lock:
                    upstream.requests.append((self.path, dict(self.headers), body))
                try:
                    upstream.answer(self, body)
                except OSError:
                    with upstream.lock:
                        upstream.cut += 1
                    self.close_connection = True

            do_GET = do_POST

            def whole(self, status, text, headers=(), length=None):
                self.send_response(status)
                for name, value in headers or (("Content-Type", "application/json"),):
                    self.send_header(name, value)
                self.send_header("Content-Length", str(length or len(text)))
                self.end_headers()
                self.wfile.write(text)

            def begin_stream(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def event(self, value):
                text = value if isinstance(value, str) else json.dumps(value)
                data = f"data: {text}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def end_stream(self):
                self.wfile.write(b"0\r\n\r\n")

            def drop(self):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def count(self):
        with self.lock:
            return len(self.requests)

    def answer(self, handler, body):
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        how = prompt.split(":")[0]
        if how.isdigit():
            return handler.whole(int(how), json.dumps({"error": {
                "message": f"fake {how} of key {SECRET[:6]}***", "type": "fake", "param": None,
                "code": "insufficient_quota" if "quota" in prompt else "fake"}}).encode(),
                [("Content-Type", "application/json"), ("Retry-After", "7")])
        if how == "redirect":
            return handler.whole(307, b"", [("Location", self.url + "/stolen")])
        if how == "html":
            return handler.whole(200, b"<html>no JSON</html>")
        if body.get("tools"):
            return handler.whole(200, TOOLS)
        if how == "slow":
            time.sleep(float(prompt.split(":")[1]))
        if how.startswith("Write a"):
            return self.story(handler, prompt)
        if body.get("stream"):
            return self.stream(handler, body, how)
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello, it is me."},
                  "finish_reason": "stop"}
        value = {"id": "c1", "object": "chat.completion", "created": 1, "model": "theirs",
                 "choices": [choice]}
        if how != "no usage":
            value["usage"] = USAGE
        text = json.dumps(value).encode()
        headers = [("Content-Type", "application/json")]
        if how == "headers":
            headers += [("Set-Cookie", "session=1"), ("x-request-id", "theirs"),
                        ("x-ratelimit-limit-requests", "3"), ("Server", "upstream"),
                        ("Link", "<https://elsewhere.example>; rel=license")]
        if how != "half":
            return handler.whole(200, text, headers)
        handler.whole(200, text, headers, len(text) + 400)
        return handler.drop()

    @staticmethod
    def story(handler, prompt):
        """As long, and as long in coming, as a model's two sentences are."""
        dice = random.Random(prompt)
        words = [dice.choice("a the river boat went home and sang until night came".split())
                 for _ in range(dice.randint(25, 60))]
        time.sleep(dice.uniform(0.4, 1.2))
        handler.whole(200, json.dumps({
            "id": "c1", "object": "chat.completion", "created": 1, "model": "theirs",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": " ".join(words) + "."}}],
            "usage": {"prompt_tokens": 24, "completion_tokens": len(words) * 4 // 3,
                      "total_tokens": 24 + len(words) * 4 // 3}}).encode())

    def stream(self, handler, body, how):
        handler.begin_stream()
        if how == "error event":
            handler.event(delta("Hello"))
            handler.event({"error": {"message": "GPU 3 on host db-7 failed", "type": "x"}})
            return handler.end_stream()
        pieces = {"endless": 10**9, "flood": 10**9}.get(how, 5)
        size = 16384 if how == "flood" else 4
        for number in range(pieces):
            handler.event(delta(f"{number % 10}" + "x" * (size - 1)))
            if how == "endless":
                time.sleep(0.02)
            if how == "breaks" and number == 2:
                return handler.drop()
        if how == "silent end":
            return handler.end_stream()
        if how != "no usage" and body.get("stream_options", {}).get("include_usage"):
            handler.event({**delta(""), "choices": [], "usage": USAGE})
        handler.event("[DONE]")
        return handler.end_stream()
