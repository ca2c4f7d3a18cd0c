"""A page in headless Chromium, driven over its DevTools protocol by the standard library."""

import base64
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), "ArrowDown": ("", 40),
        "ArrowUp": ("", 38), "Home": ("", 36), "End": ("", 35), " ": (" ", 32)}


def find():
    """The browser's path; None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class WebSocket:
    """A client of one connection: texts out and in (RFC 6455), no extensions."""

    def __init__(self, port, path):
        self.peer = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.held = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        self.peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        while b"\r\n\r\n" not in self.held:
            self.more()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head

    def more(self):
        piece = self.peer.recv(65536)
        if not piece:
            raise ConnectionError("the browser closed the connection")
        self.held += piece

    def take(self, count):
        while len(self.held) < count:
            self.more()
        piece, self.held = self.held[:count], self.held[count:]
        return piece

    def send(self, text):
        payload, mask = text.encode(), os.urandom(4)
        size = len(payload)
        head = (bytes([0x81, 0x80 | size]) if size < 126 else
                bytes([0x81, 0xFE]) + struct.pack(">H", size) if size < 65536 else
                bytes([0x81, 0xFF]) + struct.pack(">Q", size))
        self.peer.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def receive(self):
        whole = b""
        while True:
            first, second = self.take(2)
            size = second & 127
            if size == 126:
                size = struct.unpack(">H", self.take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.take(8))[0]
            payload = self.take(size)
            if first & 15 in (0, 1):
                whole += payload
                if first & 128:
                    return whole.decode()


class Page:
    """One page. What its scripts log and where they fail is in `said`."""

    def __init__(self, width=1280, height=900):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-browser-"))
        self.process = subprocess.Popen(
            [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0",
             f"--user-data-dir={self.folder}", f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.number = 0
        self.said = []
        self.socket = WebSocket(*self.address())
        for name in ("Page", "Runtime", "Log"):
            self.call(f"{name}.enable")
        self.size(width, height)

    def address(self):
        """Of the first page, by the file in which the browser writes its port."""
        file = self.folder / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while True:
            try:
                port = int(file.read_text().split()[0])
                with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
                    peer.sendall(b"GET /json/list HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                    text = b""
                    while b"]" not in text:
                        text += peer.recv(65536)
                pages = json.loads(text[text.index(b"["):])
                url = next(one for one in pages if one["type"] == "page")["webSocketDebuggerUrl"]
                return port, "/" + url.split("/", 3)[3]
            except (OSError, ValueError, IndexError, StopIteration):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            self.note(message)
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return message["result"]

    def note(self, message):
        method, found = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(found["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(json.dumps(found["args"])[:2000])
        elif method == "Log.entryAdded" and found["entry"]["source"] != "network":
            self.said.append(found["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.said.append("dialog: " + found["message"])
            self.socket.send(json.dumps({"id": 0, "method": "Page.handleJavaScriptDialog",
                                         "params": {"accept": True}}))

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": name}])

    def go(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression, seconds=30):
        """Waits for it to hold."""
        deadline = time.monotonic() + seconds
        while True:
            # While a page is being loaded there may be nothing yet to look at.
            if self.value(f"(() => {{ try {{ return Boolean({expression}) }} catch {{}} }})()"):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} did not come; the page says: "
                                     f"{self.text()[:1500]}\n{self.said}")
            time.sleep(0.05)

    def text(self):
        return self.value("document.body.innerText")

    def focused(self):
        return self.value("(document.activeElement.id || '') + ' ' + "
                          "document.activeElement.textContent.slice(0, 60)")

    def press(self, name, count=1, shift=False):
        text, code = KEYS[name]
        key = {"key": name, "code": "Space" if name == " " else name,
               "modifiers": 8 if shift else 0, "windowsVirtualKeyCode": code,
               "nativeVirtualKeyCode": code}
        for _ in range(count):
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **key)
            self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def tab_to(self, expression, most=60, shift=False):
        """Presses Tab until the focused element `a` fits: tab_to("a.id === 'reason'")."""
        for _ in range(most):
            if self.value(f"(a => Boolean({expression}))(document.activeElement)"):
                return
            self.press("Tab", shift=shift)
        raise AssertionError(f"no Tab leads to {expression}; now at {self.focused()}")

    def picture(self, path, whole=True):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.socket.peer.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
