#!/usr/bin/env python3
"""Runs a client script against one `retort serve` that stands before another one.

    behind_door.py PROGRAM MODEL SCRIPT [ARGUMENT ...]

The outer one has no model: it passes on, counts and translates what the inner one answers. SCRIPT
gets the outer one's base URL, its key and the arguments; its exit code counts.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

NAME = "served"
INNER_KEY, KEY = "key-of-the-inner-one", "test-key-of-the-peers"


def start(program, ready, *flags):
    server = subprocess.Popen([program, "serve", "--port", "0", "--port-file", str(ready), *flags],
                              env={**os.environ, "INNER_KEY": INNER_KEY})
    for _ in range(600):
        if ready.exists() and ready.read_text().endswith("\n"):
            return server, f"http://127.0.0.1:{ready.read_text().strip()}/v1"
        if server.poll() is not None:
            break
        time.sleep(0.1)
    server.terminate()
    sys.exit("a server did not start")


def main():
    program, model, script, *arguments = sys.argv[1:]
    if not pathlib.Path(model).exists():
        print(f"skipped: {model} is not there")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        folder, servers = pathlib.Path(folder), []
        try:
            inner, url = start(program, folder / "inner", "--model", model, "--model-id", NAME,
                               "--api-key", INNER_KEY)
            servers.append(inner)
            outer, url = start(program, folder / "outer", "--upstream", f"{NAME}={url}",
                               "--upstream-key", f"{NAME}=INNER_KEY", "--api-key", KEY)
            servers.append(outer)
            return subprocess.run([sys.executable, script, url, KEY, *arguments]).returncode
        finally:
            for server in reversed(servers):
                server.terminate()
                server.wait(timeout=20)


if __name__ == "__main__":
    sys.exit(main())
