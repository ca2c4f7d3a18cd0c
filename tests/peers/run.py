#!/usr/bin/env python3
"""Runs a peers' script in the peers' environment; exit 77 (skipped) where that is not installed."""

import os
import pathlib
import sys


def main():
    home = os.environ.get("RETORT_PEERS") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "retort-peers")
    python = pathlib.Path(home) / "bin/python"
    if not python.exists():
        print(f"skipped: no peers in {home}; ./dev test --peers installs them")
        return 77
    os.execv(python, [str(python), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
