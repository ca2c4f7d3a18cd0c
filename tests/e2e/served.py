"""`retort serve` as a child process that is spoken to in bytes."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import harness

MODEL = "SmolLM2-135M-Instruct.Q4_1"


class Answer:
    def __init__(self, raw):
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/1.1") else 0
        self.headers = {name.lower(): value for name, _, value in
                        (line.partition(": ") for line in lines[1:])}
        self.body = self.unchunked(body) if "transfer-encoding" in self.headers else body

    @staticmethod
    def unchunked(body):
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            out += body[:int(size, 16)]
            body = body[int(size, 16) + 2:]
        return out

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The JSON pieces of a stream that ended as it should."""
        lines = [line[6:] for line in self.body.decode().split("\n\n") if line]
        assert lines[-1] == "[DONE]", self.body
        return [json.loads(line) for line in lines[:-1]]


class Served:
    """The server as a child process; speaks bytes to it."""

    def __init__(self, folder, *arguments, env=None, models=(harness.TEACHER,)):
        self.port_file = folder / "port"
        self.port_file.unlink(missing_ok=True)
        self.log = open(folder / "serve.log", "w+")
        self.process = subprocess.Popen(
            [harness.PROGRAM, "serve", *(word for model in models for word in ("--model", model)),
             "--port", "0", "--port-file", str(self.port_file), *arguments],
            cwd=folder, stderr=self.log, env={**os.environ, **(env or {})})
        deadline = time.monotonic() + 60
        while not self.port_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the server did not start: " + self.said())
            time.sleep(0.02)
        self.port = int(self.port_file.read_text())

    def said(self):
        self.log.flush()
        with open(self.log.name) as log:
            return log.read()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def raw(self, data):
        with self.connect() as peer:
            try:
                peer.sendall(data)
            except OSError:
                pass  # refused in the midst of it: the answer counts
            out = b""
            while True:
                try:
                    piece = peer.recv(65536)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                out += piece
        return Answer(out)

    def request(self, method, path, body=None, headers=()):
        payload = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
                 f"Content-Length: {len(payload)}", *headers]
        if body is not None:
            lines.append("Content-Type: application/json")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload

    def ask(self, method, path, body=None, headers=()):
        return self.raw(self.request(method, path, body, headers))

    def chat(self, text="Write a two-sentence story about a boat.", headers=(), **more):
        return self.ask("POST", "/v1/chat/completions", headers=headers, body={
            "model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 24,
            **more})

    def metric(self, name):
        text = self.ask("GET", "/metrics").body.decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) / 1024

    def computed_s(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.log.close()
        return code


class ServedRun(harness.Run):
    """A test that starts servers and stops them."""

    def setUp(self):
        super().setUp()
        self.server = None

    def tearDown(self):
        if self.server:
            self.server.stop()

    def serve(self, *arguments, **more):
        self.server = Served(self.folder, *arguments, **more)
        return self.server

    def until(self, holds, seconds=10):
        deadline = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
