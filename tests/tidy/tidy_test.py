#!/usr/bin/env python3
"""Each rule of tidy.py is seen red on a small tree with that one fault, and green without it."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).with_name("tidy.py")
CLEAN = {
    "src/base/CMakeLists.txt": "retort_room(base LEVEL 0\n  SOURCES a.cc)\n",
    "src/base/a.h": "#pragma once\n",
    "src/base/a.cc": '#include "base/a.h"\n',
    "src/json/CMakeLists.txt": "retort_room(json LEVEL 1 USES base\n  SOURCES b.cc)\n",
    "src/json/b.h": '#pragma once\n#include "base/a.h"\n',
    "src/json/b.cc": '#include "json/b.h"\n',
    "docs/page.md": "[here](page.md)\n",
}


def run_tidy(files, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            if name == "program":
                os.chmod(root / name, 0o755)
        arguments = [a.replace("ROOT", folder) for a in arguments]
        done = subprocess.run([sys.executable, str(TIDY), "--root", folder, *arguments],
                              capture_output=True, text=True)
        return done.returncode, done.stdout


class TidyTest(unittest.TestCase):
    def assert_red(self, change, words, *arguments):
        code, out = run_tidy({**CLEAN, **change}, *arguments)
        self.assertEqual(code, 1, out)
        self.assertIn(words, out)

    def test_clean_tree_is_green(self):
        code, out = run_tidy(CLEAN)
        self.assertEqual(code, 0, out)

    def test_include_upwards(self):
        self.assert_red({"src/base/a.cc": '#include "json/b.h"\n'}, "does not name under USES")

    def test_uses_upwards(self):
        page = "retort_room(base LEVEL 0 USES json\n  SOURCES a.cc)\n"
        self.assert_red({"src/base/CMakeLists.txt": page}, "level 0 uses json")

    def test_private_header(self):
        self.assert_red({"src/base/c_internal.h": "#pragma once\n",
                         "src/json/b.cc": '#include "base/c_internal.h"\n'}, "private to base")

    def test_file_that_no_list_names(self):
        self.assert_red({"src/json/lost.cc": "\n"}, "not named in src/json/CMakeLists.txt")

    def test_long_line(self):
        self.assert_red({"src/base/a.h": "//" + "x" * 99 + "\n"}, "101 columns")

    def test_long_file(self):
        self.assert_red({"src/base/a.h": "//\n" * 501}, "more than 500 lines")

    def test_note_left_behind(self):
        self.assert_red({"src/base/a.h": "// " + "TO" + "DO later\n"}, "finish it")

    def test_dead_link(self):
        self.assert_red({"docs/page.md": "[gone](gone.md)\n"}, "leads nowhere")

    def test_stale_page(self):
        program = "#!/bin/sh\necho fresh\n"
        pages = {"program": program, "docs/reference/cli.md": "old\n",
                 "docs/reference/run-file.md": "fresh\n"}
        self.assert_red(pages, "docs/reference/cli.md:1: stale", "--program", "ROOT/program")
        pages["docs/reference/cli.md"] = "fresh\n"
        code, out = run_tidy({**CLEAN, **pages}, "--program", "ROOT/program")
        self.assertEqual(code, 0, out)


if __name__ == "__main__":
    unittest.main()
