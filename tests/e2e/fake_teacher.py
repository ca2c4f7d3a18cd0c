"""A teacher that answers like an OpenAI-compatible server, or misbehaves as it is told to.

It logs every request, so that a test knows what was asked whatever the program believes.
"""

import http.server
import json
import socket
import threading
import time


class FakeTeacher:
    """with FakeTeacher(behave) as teacher: ...   behave(request number) names a behaviour.

    Behaviours: ok, slow, 401, 403, 429, 500, garbage, cut, drop, empty, length, refusal,
    other_model, error_in_200.
    """

    def __init__(self, behave=lambda number: "ok", retry_after="0"):
        self.behave = behave
        self.retry_after = retry_after
        self.requests = []
        self.lock = threading.Lock()
        teacher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.reply(200, {"object": "list", "data": [{"id": "fake", "object": "model"}]})

            def do_POST(self):
                length = int(self.headers.get("Content-Length", "0"))
                body = json.loads(self.rfile.read(length))
                with teacher.lock:
                    teacher.requests.append((self.path, dict(self.headers), body))
                    number = len(teacher.requests)
                teacher.answer(self, teacher.behave(number), body)

            def reply(self, status, value, headers=()):
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                for name, header in headers:
                    self.send_header(name, header)
                self.end_headers()
                self.wfile.write(text)

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

    def story(self, body):
        """A two-sentence story with words that depend on the prompt, long enough to be kept."""
        prompt = body["messages"][-1]["content"]
        places = ["river", "forest", "hill", "village", "garden", "harbour", "valley", "meadow"]
        feelings = ["glad", "tired", "curious", "brave", "quiet", "hopeful", "lost", "proud"]
        seed = sum(prompt.encode())
        things = prompt.split("about a ")[-1].rstrip(".")
        return (f"Once there was a {things} near the {places[seed % 8]} where the wind number "
                f"{seed} sang. In the end everyone felt {feelings[seed // 8 % 8]} and went home "
                f"past the {places[seed // 64 % 8]}.")

    def answer(self, handler, behaviour, body):
        if behaviour == "slow":
            time.sleep(0.3)
        if behaviour in ("401", "403", "500"):
            code = {"401": "invalid_api_key", "403": "account_suspended", "500": "server_error"}
            handler.reply(int(behaviour), {"error": {
                "message": f"fake {behaviour}", "type": "error", "param": None,
                "code": code[behaviour]}})
            return
        if behaviour == "429":
            handler.reply(429, {"error": {"message": "slow down", "type": "rate_limit",
                                          "param": None, "code": "rate_limit_exceeded"}},
                          [("Retry-After", self.retry_after)])
            return
        if behaviour == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        if behaviour == "error_in_200":
            handler.reply(200, {"error": {"message": "fake", "type": "server_error"}})
            return
        answer = {
            "id": f"chatcmpl-{len(self.requests)}", "object": "chat.completion", "created": 1,
            "model": "another" if behaviour == "other_model" else body["model"],
            "choices": [{"index": 0, "finish_reason": "length" if behaviour == "length" else "stop",
                         "message": {"role": "assistant", "content": {
                             "empty": "", "refusal": "I'm sorry, but I can't help with that."}.get(
                                 behaviour, self.story(body))}}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60}}
        if behaviour == "garbage":
            text = b"<html>this is no JSON"
        else:
            text = json.dumps(answer).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text) + (500 if behaviour == "cut" else 0)))
        handler.end_headers()
        handler.wfile.write(text)
        if behaviour == "cut":
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
