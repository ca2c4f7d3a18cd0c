#!/usr/bin/env python3
"""Compares a saved tokenizer's ids with transformers' (and llama.cpp's), text by text.

    tests/peers/tokenizer_peers.py FOLDER [--tool build/dev/tests/peers/retort_tokenizer_tool]
        [--trim] [--llama | --gguf MODEL.gguf] [--chat chatml] [--count 4000] [--seed 1]

FOLDER holds tokenizer.json and its neighbours. Needs transformers; --llama and --gguf need
llama-cpp-python. --llama writes the vocabulary into a GGUF file of its own (as llama.cpp's
converter would, pre-tokenizer smollm); --gguf takes a model file with the same vocabulary, where
bytes without a token differ: llama.cpp keeps them as borders between merges, Hugging Face's
library does not. --trim compares a vocabulary trimmed to half of the texts. Exits 1 at a
difference, 77 when a peer is missing.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

TRICKY = [
    "", " ", "  ", "\n", "\n\n", "\r\n", "\t\t x", " \n a", "a \n b", "a  b   c    d", "x\u00a0 y",
    "Hello world", "it's we'll I'M THEY'RE don't 'tis ''s", "12345 6 78 9a1b", "a1 1a  1\n1 ",
    "\u0661\u0662\u0663 \u00bd\u00b2 \u2167", "<|im_end|>", "a<|im_start|>user\nb<|endoftext|>",
    "\u0000", "a\u0000b\u0000\u0000", "\u0001\u001f\u007f\u0085\u2028\u3000x", "\ufeffx",
    "caf\u00e9 cafe\u0301", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8",
    "\uac00\ub098\ub2e4 \u4f60\u597d\uff0c\u4e16\u754c\u3002", "\U0001f600 \U0001f1e9\U0001f1ea",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u202eabc\u202c", "\ufffd\ufffe\U0010ffff",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0627\u0644\u0633\u0644\u0627\u0645",
    "def f(x):\n    return x ** 2  # square\n", "^" * 300, "a" * 500, " " * 300, "\n " * 100,
    "aB" * 200, "http://example.com/?q=1&r=%20", "\u017f'\u017f '\u017f", "1\u00a02\u20093",
]


def random_character(rng):
    kind = rng.randrange(12)
    if kind < 4:
        return chr(rng.randrange(0x20, 0x7F))
    if kind == 4:
        return rng.choice(" \t\n\r\u00a0\u3000'")
    if kind == 5:
        return chr(rng.randrange(0x30, 0x3A))
    if kind == 6:
        return chr(rng.randrange(0x80, 0x800))
    if kind == 7:
        return chr(rng.randrange(0x4E00, 0xA000))
    if kind == 8:
        return chr(rng.randrange(0x1F300, 0x1FA00))
    if kind == 9:
        return chr(rng.randrange(0x20))
    if kind == 10:
        return rng.choice(["the ", " and", "<|im_end|>", "'s", "'re", "  ", "\n\n", "ing"])
    code = rng.randrange(0x110000)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


def texts(count, seed):
    rng = random.Random(seed)
    made = list(TRICKY)
    while len(made) < count:
        made.append("".join(random_character(rng) for _ in range(rng.randrange(1, 60))))
    return made


def ours(tool, arguments, inputs):
    lines = "".join(json.dumps(one) + "\n" for one in inputs)
    done = subprocess.run([tool, *arguments], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{tool}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def trimmed(tool, folder, corpus):
    out = pathlib.Path(tempfile.mkdtemp())
    before = ours(tool, ["encode", str(folder)], corpus)
    ours(tool, ["trim", str(folder), str(out)], corpus)
    after = ours(tool, ["encode", str(out)], corpus)
    sizes = [len(json.loads((one / "tokenizer.json").read_text())["model"]["vocab"])
             for one in (folder, out)]
    if list(map(len, before)) != list(map(len, after)) or sizes[1] >= sizes[0]:
        sys.exit("the trimmed vocabulary splits its own texts otherwise, or is not smaller")
    print(f"trimmed to {sizes[1]} of {sizes[0]} tokens")
    return out


def compare(peer, inputs, mine, theirs):
    differing = [(t, m, p) for t, m, p in zip(inputs, mine, theirs) if m != p]
    for text, a, b in differing[:5]:
        print(f"{peer}: {text!r}\n  retort {a}\n  peer   {b}")
    print(f"{peer}: {len(inputs) - len(differing)} of {len(inputs)} equal")
    return bool(differing) or len(mine) != len(inputs)


def conversations(seed):
    rng = random.Random(seed)
    made = []
    for _ in range(200):
        turns = [{"role": "system", "content": "Be brief."}] if rng.random() < 0.5 else []
        for turn in range(rng.randrange(1, 6)):
            content = "".join(random_character(rng) for _ in range(rng.randrange(40)))
            role = "assistant" if turn % 2 else "user"
            if role == "assistant":  # rendered apart from its head: see chat.h
                content = "A" + content
            turns.append({"role": role, "content": content.replace("<|im_end|>", "")})
        made.append(turns)
    return made


def write_gguf(folder, path):
    """A vocabulary without tensors, which llama.cpp opens with vocab_only."""
    import gguf
    saved = json.loads((folder / "tokenizer.json").read_text())
    vocab = saved["model"]["vocab"]
    special = {entry["content"] for entry in saved["added_tokens"]}
    tokens = sorted(vocab, key=vocab.get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL
                            for token in tokens])
    writer.add_token_merges(saved["model"]["merges"])
    writer.add_eos_token_id(vocab["<|im_end|>"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tool", default="build/dev/tests/peers/retort_tokenizer_tool")
    parser.add_argument("--gguf")
    parser.add_argument("--llama", action="store_true")
    parser.add_argument("--trim", action="store_true")
    parser.add_argument("--chat", help="compare chat rendering; a template's name, or auto")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        from transformers import AutoTokenizer
    except ImportError:
        print("skipped: transformers is not installed")
        return 77
    inputs = texts(options.count, options.seed)
    if options.trim:
        options.folder = trimmed(options.tool, options.folder, inputs[::2])
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    mine = ours(options.tool, ["encode", str(options.folder)], inputs)
    theirs = [tokenizer.encode(text, split_special_tokens=True, add_special_tokens=False)
              for text in inputs]
    wrong = compare("transformers", inputs, mine, theirs)
    if options.chat:
        talks = conversations(options.seed)
        name = "" if options.chat == "auto" else options.chat
        mine_chat = ours(options.tool, ["chat", str(options.folder), name], talks)
        theirs_chat = [tokenizer.apply_chat_template(talk, add_generation_prompt=True,
                                                     tokenize=True, return_dict=False)
                       for talk in talks]
        wrong |= compare("transformers, chat", talks, mine_chat, theirs_chat)
    if options.gguf or options.llama:
        try:
            import llama_cpp
        except ImportError:
            print("skipped: llama-cpp-python is not installed")
            return 77
        if options.llama:
            options.gguf = str(pathlib.Path(tempfile.mkdtemp()) / "vocabulary.gguf")
            write_gguf(options.folder, options.gguf)
        model = llama_cpp.Llama(options.gguf, vocab_only=True, verbose=False)
        theirs = [model.tokenize(text.encode(), add_bos=False, special=False) for text in inputs]
        wrong |= compare("llama.cpp", inputs, mine, theirs)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
