#!/usr/bin/env python3
"""Holds the tree to its own rules; prints each fault as FILE:LINE: what, and exits 1.

    tests/tidy/tidy.py [--root DIR] [--program build/dev/retort]

With --program the generated pages are compared with what the program prints.
"""

import argparse
import pathlib
import re
import subprocess
import sys

LINE_COLUMNS = 100
FILE_LINES = 500
SOURCE_ENDINGS = (".h", ".cc", ".py", ".cmake", ".sh")
GENERATED = {"docs/reference/cli.md": ["docs", "cli"],
             "docs/reference/run-file.md": ["docs", "run-file"]}


def tracked_files(root):
    """Files of the tree as git sees them, or all of them outside a repository."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True)
    if listed.returncode == 0:
        names = [line for line in listed.stdout.splitlines() if (root / line).is_file()]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*")
                 if p.is_file() and "build" not in p.parts]
    return sorted(names)


def parse_rooms(root):
    """Room name -> (level, rooms it uses, words of its CMakeLists.txt)."""
    rooms = {}
    for page in sorted(root.glob("src/*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", page.read_text())
        match = re.search(r"retort_room\(\s*(\w+)\s+LEVEL\s+(\d+)([^)]*)\)", text)
        if not match:
            continue
        uses = re.search(r"\bUSES\s+((?:[a-z_]+\s+)*[a-z_]+)", match.group(3))
        rooms[match.group(1)] = (int(match.group(2)), uses.group(1).split() if uses else [],
                                 set(re.findall(r"[\w./-]+", text)))
    return rooms


def check_rooms(root, names, rooms):
    faults = []
    for room, (level, uses, _) in rooms.items():
        for used in uses:
            if used not in rooms:
                faults.append(f"src/{room}/CMakeLists.txt:1: uses {used}, which is no room")
            elif rooms[used][0] >= level:
                faults.append(f"src/{room}/CMakeLists.txt:1: level {level} uses {used} of level "
                              f"{rooms[used][0]}")
    for name in names:
        match = re.fullmatch(r"src/(\w+)/([\w.-]+\.(?:cc|h|cu))", name)
        if not match:
            continue
        room, file = match.groups()
        if room not in rooms:
            faults.append(f"{name}:1: the folder src/{room} has no retort_room()")
            continue
        level, uses, words = rooms[room]
        if not file.endswith(".h") and file not in words:
            faults.append(f"{name}:1: not named in src/{room}/CMakeLists.txt")
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s+"(\w+)/([\w.-]+)"', line)
            if include is None:
                continue
            target, header = include.groups()
            if target != room and target not in uses:
                faults.append(f"{name}:{number}: includes {target}/, which room {room} "
                              "does not name under USES")
            elif target != room and rooms.get(target, (99,))[0] >= level:
                faults.append(f"{name}:{number}: includes {target}/, which is not below {room}")
            elif target != room and header.endswith("_internal.h"):
                faults.append(f"{name}:{number}: {target}/{header} is private to {target}")
            if not (root / "src" / target / header).exists():
                faults.append(f"{name}:{number}: src/{target}/{header} does not exist")
    return faults


def check_text(root, names):
    faults = []
    for name in names:
        if not name.endswith(SOURCE_ENDINGS) and name not in ("dev", "CMakeLists.txt"):
            continue
        if name.startswith("tests/golden/"):
            continue
        lines = (root / name).read_text().splitlines()
        if len(lines) > FILE_LINES:
            faults.append(f"{name}:{len(lines)}: more than {FILE_LINES} lines")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS:
                faults.append(f"{name}:{number}: {len(line)} columns, more than {LINE_COLUMNS}")
            if line != line.rstrip():
                faults.append(f"{name}:{number}: white space at the end")
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line) and "tidy" not in name:
                faults.append(f"{name}:{number}: finish it instead of leaving a note")
            if re.search(r"https?://(pypi|deb|files)\.|/root/|/work/", line) and "tidy" not in name:
                faults.append(f"{name}:{number}: a registry's host or a path of one machine")
    return faults


def check_links(root, names):
    faults = []
    for name in names:
        if not name.endswith(".md"):
            continue
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if re.match(r"[a-z]+:", link):
                    continue
                if not ((root / name).parent / link).exists():
                    faults.append(f"{name}:{number}: the link {link} leads nowhere")
    return faults


def check_generated(root, program):
    faults = []
    for page, arguments in GENERATED.items():
        fresh = subprocess.run([program, *arguments], capture_output=True, text=True)
        if fresh.returncode != 0:
            faults.append(f"{page}:1: `retort {' '.join(arguments)}` failed")
        elif not (root / page).exists() or (root / page).read_text() != fresh.stdout:
            faults.append(f"{page}:1: stale; run ./dev docs")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--program")
    options = parser.parse_args()
    names = tracked_files(options.root)
    rooms = parse_rooms(options.root)
    faults = check_rooms(options.root, names, rooms)
    faults += check_text(options.root, names)
    faults += check_links(options.root, names)
    if options.program:
        faults += check_generated(options.root, options.program)
    print("\n".join(faults) if faults else f"tidy: {len(names)} files, {len(rooms)} rooms, clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
