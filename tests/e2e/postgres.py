"""A PostgreSQL of a test's own: in a temporary folder, reached over a socket there."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import unittest


def programs():
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders
                 if (one / "initdb").exists() and (one / "postgres").exists()), None)


class Cluster:
    """with Cluster() as cluster: ... cluster.address"""

    def __init__(self):
        self.programs = programs()
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        try:
            if self.user:
                pwd.getpwnam(self.user)
        except KeyError:
            self.programs = None
        if not self.programs:
            raise unittest.SkipTest("PostgreSQL's programs are not installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-pg-"))
        self.address = (f"postgresql:///postgres?host={self.folder}&user=retort"
                        "&password=not-for-logs")
        self.server = None

    def __enter__(self):
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
        self.run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "retort", "-N",
                 "-E", "UTF8", "--locale=C").communicate()
        self.start()
        return self

    def __exit__(self, *_):
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program, *arguments):
        who = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        with open(self.folder / "log", "a") as log:
            return subprocess.Popen([str(self.programs / program), *arguments], cwd="/tmp",
                                    stdout=log, stderr=log, **who)

    def start(self):
        self.server = self.run("postgres", "-D", str(self.folder / "data"), "-k",
                               str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off")
        deadline = time.monotonic() + 60
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder)]
        while subprocess.run(ready).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    def crash(self):
        """At once; nobody is told."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()
