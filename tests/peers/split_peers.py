#!/usr/bin/env python3
"""Compares the hand-written pre-tokenizers with the published patterns in Hugging Face's library.

    tests/peers/split_peers.py [--tool build/dev/tests/peers/retort_tokenizer_tool]
        [--count 5000] [--seed 2]

Needs tokenizers, jinja2 and gguf. Exits 1 at a difference, 77 when one is missing.
"""

import argparse
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden" / "tokenizer"))
from tokenizer_peers import compare, ours, texts  # noqa: E402

# What the patterns tell apart; random characters alone seldom put these side by side.
EDGES = ["'", "'s", "'RE", "'ll", "'\u017f", "a", "\u00e9", "1", "12", "\u0661", "\u00bd", " ",
         "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u0085",
         ".", "...", "\u0301", "\u200d", "_",
         "\U0001f600", "\ufeff"]


def edges(count, seed):
    rng = random.Random(seed)
    return ["".join(rng.choice(EDGES) for _ in range(rng.randrange(1, 16))) for _ in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/dev/tests/peers/retort_tokenizer_tool")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    try:
        from make import split_cases
    except ImportError as missing:
        print(f"skipped: {missing}")
        return 77
    inputs = texts(options.count, options.seed) + edges(2 * options.count, options.seed)
    wrong = False
    for name, cases in split_cases(inputs).items():
        mine = ours(options.tool, ["split", name], inputs)
        wrong |= compare(name, inputs, mine, [case["sizes"] for case in cases])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
