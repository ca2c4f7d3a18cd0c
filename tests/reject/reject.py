#!/usr/bin/env python3
"""Sees a program compile, and fail to compile once its forbidden line is in.

    reject.py PROGRAM.cc COMPILER ARGUMENT...
    reject.py --headers OUT.h COMPILER ARGUMENT...   what all programs include, precompiled
    reject.py --listed GATE.md PROGRAM...      every program is run, and described in the page

A program names what the compiler says of the forbidden line: "// rejected: one text|or another".
"""

import pathlib
import re
import subprocess
import sys

FORBIDDEN = "RETORT_FORBIDDEN"


def compile_program(program, command, *more):
    return subprocess.run([*command, *more, str(program)], capture_output=True, text=True,
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})


def check_program(program, command):
    text = program.read_text()
    expected = re.search(r"^// rejected: (.+)$", text, re.M)
    if not expected or f"#ifdef {FORBIDDEN}" not in text:
        return f"{program.name} does not say what is forbidden, or how it is rejected"
    permitted = compile_program(program, command)
    if permitted.returncode != 0:
        return f"{program.name} fails without the forbidden line:\n{permitted.stderr}"
    forbidden = compile_program(program, command, f"-D{FORBIDDEN}")
    if forbidden.returncode == 0:
        return f"{program.name} compiles with the forbidden line"
    errors = [line for line in forbidden.stderr.splitlines() if "error:" in line]
    if not any(part in line for line in errors for part in expected.group(1).split("|")):
        return f"{program.name} fails for another reason:\n" + "\n".join(errors)
    return ""


def precompile_headers(header, command):
    here = pathlib.Path(__file__).parent
    included = sorted({line for program in here.glob("*.cc")
                       for line in re.findall(r"^#include .+$", program.read_text(), re.M)})
    header.write_text("\n".join(included) + "\n")
    command = [argument for argument in command if argument != "-fsyntax-only"]
    done = compile_program(header, command, "-x", "c++-header", "-o", f"{header}.gch")
    return done.stderr if done.returncode else ""


def check_listed(page, listed):
    described = set(re.findall(r"`(\w+)`", page.read_text()))
    there = {path.stem for path in pathlib.Path(__file__).parent.glob("*.cc")}
    wrong = sorted(there ^ set(listed)) + sorted(there - described)
    return f"not listed or not described: {', '.join(wrong)}" if wrong else ""


def main():
    if sys.argv[1] == "--listed":
        fault = check_listed(pathlib.Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1] == "--headers":
        fault = precompile_headers(pathlib.Path(sys.argv[2]), sys.argv[3:])
    else:
        fault = check_program(pathlib.Path(sys.argv[1]), sys.argv[2:])
    if fault:
        print(fault)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
