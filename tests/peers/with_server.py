#!/usr/bin/env python3
"""Starts `retort serve` on a free port, runs a client script against it, stops it.

    with_server.py PROGRAM MODEL SCRIPT [--serve=FLAG ...] [ARGUMENT ...]

SCRIPT gets base URL, key and the arguments; its exit code counts. --serve=--exact goes to the
server.
"""

import pathlib
import subprocess
import sys
import tempfile
import time


def main():
    program, model, script, *more = sys.argv[1:]
    if not pathlib.Path(model).exists():
        print(f"skipped: {model} is not there")
        return 77
    flags = [flag.removeprefix("--serve=") for flag in more if flag.startswith("--serve=")]
    arguments = [argument for argument in more if not argument.startswith("--serve=")]
    with tempfile.TemporaryDirectory() as folder:
        ready = pathlib.Path(folder) / "port"
        key = "test-key-of-the-peers"
        server = subprocess.Popen([program, "serve", "--model", model, "--port", "0",
                                   "--port-file", str(ready), "--api-key", key, *flags])
        try:
            for _ in range(600):
                if ready.exists() and ready.read_text().endswith("\n"):
                    break
                if server.poll() is not None:
                    print("the server ended")
                    return 1
                time.sleep(0.1)
            url = f"http://127.0.0.1:{ready.read_text().strip()}/v1"
            return subprocess.run([sys.executable, script, url, key, *arguments]).returncode
        finally:
            server.terminate()
            server.wait(timeout=20)


if __name__ == "__main__":
    sys.exit(main())
