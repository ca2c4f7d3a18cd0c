#!/usr/bin/env python3
"""Real text for the traffic of bench/harvest, as files of one item a line in RETORT_BENCH_SHARED.

    texts.py [FOLDER]

Sources, none of them copied into the repository: WordNet 3.0 (Debian's wordnet-base), fortunes,
manual pages, descriptions of installed packages, the interpreter's own library, and
chatterbot-corpus from PyPI (BSD). Tabs divide fields, line ends within an item are "\\n".
"""

import gzip
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

WORDNET = pathlib.Path("/usr/share/wordnet/data.noun")
FORTUNES = pathlib.Path("/usr/share/games/fortunes")
MANUALS = pathlib.Path("/usr/share/man")
PACKAGES = pathlib.Path("/var/lib/dpkg/status")
CORPUS = "chatterbot-corpus"


def one_line(text):
    return re.sub(r"[\t\r]", " ", text).replace("\\", "/").replace("\n", "\\n").strip()


def topics():
    """Noun, its group (of what it is a kind), its gloss; and the examples in the glosses."""
    names, rows, examples = {}, [], []
    for line in WORDNET.open(encoding="latin-1"):
        if line.startswith("  "):
            continue
        head, gloss = line.rstrip("\n").split(" | ", 1)
        words = head.split(" ")
        noun = words[4].replace("_", " ")
        names[words[0]] = noun
        above = re.search(r"@i? (\d{8}) n", head)
        examples += re.findall(r'"([^"]{25,200})"', gloss)
        text = re.split(r'; "', gloss)[0].strip(" ;")
        if above and len(text) > 15 and len(noun) > 2:
            rows.append((noun, above.group(1), text))
    return [f"{noun}\t{names.get(group, group)}\t{one_line(text)}"
            for noun, group, text in rows], examples


def quotes():
    found = []
    for path in sorted(FORTUNES.iterdir()):
        if path.suffix or path.name in ("art", "ascii-art"):
            continue
        for item in path.read_text(errors="replace").split("\n%\n"):
            item = item.strip()
            if 40 <= len(item) <= 600:
                found.append(one_line(item))
    return found


def passages():
    """Paragraphs of manual pages and of descriptions of packages."""
    found = []
    for section in ("man1", "man3", "man5", "man7", "man8"):
        for path in sorted((MANUALS / section).glob("*.gz"))[:2500]:
            try:
                text = gzip.open(path, "rt", errors="replace").read(60_000)
            except OSError:
                continue
            for part in re.split(r"\n\.(?:PP|P|LP|SH.*|IP.*|TP.*)\n", text)[1:12]:
                part = re.sub(r"^[.'].*$", "", part, flags=re.M)
                part = re.sub(r"\\f[A-Z]|\\&|\\\([a-z]{2}|\\", "", part)
                part = re.sub(r"\s+", " ", part).strip()
                if 200 <= len(part) <= 2500:
                    found.append(one_line(part))
    for item in PACKAGES.read_text(errors="replace").split("\nDescription: ")[1:]:
        body = re.split(r"\n(?! )", item)[0]
        text = re.sub(r"\n \.?", " ", body).strip()
        if len(text) >= 200:
            found.append(one_line(text[:2500]))
    return sorted(set(found))


def code():
    found = []
    library = pathlib.Path(os.__file__).parent
    for path in sorted(library.glob("*.py")):
        for part in re.split(r"\n(?=def |class )", path.read_text(errors="replace"))[1:]:
            lines = part.splitlines()[:40]
            if len(lines) >= 6:
                found.append(one_line("\n".join(lines)))
    return found


def dialogs(folder):
    """Question, answer, subject; English first, then the other languages of the corpus."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                    "--disable-pip-version-check", "-d", folder, CORPUS], check=True)
    wheel = next(pathlib.Path(folder).glob("chatterbot_corpus*.whl"))
    english, foreign = [], []
    with zipfile.ZipFile(wheel) as files:
        for name in sorted(files.namelist()):
            match = re.search(r"data/(\w+)/(\w+)\.yml$", name)
            if not match:
                continue
            text = files.read(name).decode("utf-8", "replace")
            for item in re.split(r"\n\s*- - ", text)[1:]:
                parts = [p.strip().strip("'\"") for p in re.split(r"\n\s+- ", item)]
                if len(parts) < 2 or not 8 <= len(parts[0]) <= 400:
                    continue
                row = "\t".join([one_line(parts[0]), one_line(parts[1]), match.group(2)])
                (english if match.group(1) == "english" else foreign).append(row)
    return english, foreign


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["RETORT_BENCH_SHARED"])
    folder.mkdir(parents=True, exist_ok=True)
    for needed in (WORDNET, FORTUNES, MANUALS, PACKAGES):
        if not needed.exists():
            print(f"{needed} is missing: ./dev bench installs wordnet-base and fortunes")
            return 1
    rows, examples = topics()
    with tempfile.TemporaryDirectory() as download:
        english, foreign = dialogs(download)
    for name, lines in {"topics": rows, "examples": [one_line(e) for e in examples],
                        "quotes": quotes(), "passages": passages(), "code": code(),
                        "dialogs": english, "foreign": foreign}.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {len(lines)} items")
    return 0


if __name__ == "__main__":
    sys.exit(main())
