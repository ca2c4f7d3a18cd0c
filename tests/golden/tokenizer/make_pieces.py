#!/usr/bin/env python3
"""Trains a small SentencePiece BPE vocabulary and stores what sentencepiece does with it.

    tests/golden/tokenizer/make_pieces.py [--tool build/dev/tests/peers/retort_tokenizer_tool]
        [--count 3000]

Needs sentencepiece, gguf, tokenizers and llama-cpp-python. Writes, as converters do for Llama 2:
- pieces/vocabulary.gguf: scores, token types and no tensors.
- pieces/tokenizer.json, pieces/tokenizer_config.json: merges with byte_fallback.
- pieces.json: {"cases": [{"text", "ids", "decoded"}]} by sentencepiece.
llama.cpp and Hugging Face's library must agree on the way. With --tool the program's own ids and
texts are compared on --count further texts.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import sentencepiece
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "peers"))
from tokenizer_peers import texts  # noqa: E402

OUT = HERE / "pieces"
BLANK = "\u2581"
VOCABULARY = 800
STORED = 160
WORDS = """the a boat moon river child silver sailed under over walked found little old story
begins where night light water stone garden house father mother said that they were never afraid
while singing quietly about morning number Köln façade naïve где Анна живёт 東京 タワー 世界""".split()


def corpus():
    rng = random.Random(7)
    lines = []
    for _ in range(4000):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(3, 14))]
        if rng.random() < 0.3:
            words.insert(1, str(rng.randrange(10000)))
        if rng.random() < 0.1:
            words.insert(2, "  int f(x) { return x; }")
        lines.append(" ".join(words).capitalize() + rng.choice([".", "!", "?", ";", "..."]))
    return lines


def train(folder):
    prefix = str(folder / "pieces")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=prefix, vocab_size=VOCABULARY,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True,
        allow_whitespace_only_pieces=True, character_coverage=1.0, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")


def kind(model, i):
    if model.is_unknown(i):
        return gguf.TokenType.UNKNOWN
    if model.is_control(i):
        return gguf.TokenType.CONTROL
    return gguf.TokenType.BYTE if model.is_byte(i) else gguf.TokenType.NORMAL


def write_gguf(model, path):
    size = model.get_piece_size()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([model.id_to_piece(i) for i in range(size)])
    writer.add_token_scores([model.get_score(i) for i in range(size)])
    writer.add_token_types([kind(model, i) for i in range(size)])
    writer.add_bos_token_id(model.bos_id())
    writer.add_eos_token_id(model.eos_id())
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def merges(model):
    size = model.get_piece_size()
    ids = {model.id_to_piece(i): i for i in range(size)
           if kind(model, i) == gguf.TokenType.NORMAL}
    made = []
    for piece, i in ids.items():
        splits = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        splits = [(a, b) for a, b in splits if a in ids and b in ids]
        made += [(-model.get_score(i), ids[a], ids[b], a, b) for a, b in splits]
    return [[a, b] for _, _, _, a, b in sorted(made)]


def write_json(model, folder):
    size = model.get_piece_size()
    special = [i for i in range(size)
               if kind(model, i) in (gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL)]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    saved = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": model.id_to_piece(i), "single_word": False,
                          "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                         for i in special],
        "normalizer": {"type": "Sequence",
                       "normalizers": [{"type": "Prepend", "prepend": BLANK}, replace]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [model.bos_id()], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": BLANK}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False,
                  "vocab": {model.id_to_piece(i): i for i in range(size)},
                  "merges": merges(model)}}
    (folder / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
         "clean_up_tokenization_spaces": False}) + "\n")


def inputs(count):
    """Texts that any of the peers can take; some are made of the vocabulary's own words."""
    rng = random.Random(3)
    made = texts(count, 11)[:count]
    for length in (1, 2, 3, 5, 17, 300):
        made += [BLANK * length, " " * length, "o" * length, "the" * length, " the" * length]
    made += ["<s>", "</s>x", "<unk>", "<0x41>", "a<0x0A>b", "▁the boat", " the  boat  "]
    while len(made) < 2 * count:
        made.append("".join(rng.choice(WORDS + ["  ", "\n", ".", "<s>", "\u2581"]) +
                            rng.choice(["", " ", "  "]) for _ in range(rng.randrange(1, 12))))
    return made


def check_peers(model, path, folder, made):
    """llama.cpp on the GGUF file and tokenizers on the JSON file; returns texts of equal ids."""
    llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    other = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other.encode_special_tokens = True
    differing = 0
    for text in made:
        ids = model.encode(text)
        by_llama = llama.tokenize(text.encode(), add_bos=False, special=False) if text else []
        by_json = other.encode(text, add_special_tokens=False).ids
        for name, theirs in (("llama.cpp", by_llama), ("tokenizers", by_json)):
            if ids != theirs:
                differing += 1
                print(f"{name}: {text!r}\n  {ids}\n  {theirs}")
    print(f"peers: {differing} differences on {len(made)} texts")
    return differing


def run_tool(tool, verb, place, lines):
    done = subprocess.run([tool, verb, str(place)], input="".join(
        json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def check_ours(tool, model, made):
    wrong = 0
    for place in (OUT, OUT / "vocabulary.gguf"):
        mine = run_tool(tool, "encode", place, made)
        theirs = [model.encode(text) for text in made]
        back = run_tool(tool, "decode", place, theirs)
        for text, a, b, c in zip(made, mine, theirs, back, strict=True):
            if a != b or c != model.decode(b):
                wrong += 1
                print(f"{place.name}: {text!r}\n  {a}\n  {b}\n  {c!r}\n  {model.decode(b)!r}")
        print(f"{place.name}: {wrong} differences so far on {len(made)} texts")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool")
    parser.add_argument("--count", type=int, default=3000)
    arguments = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model = train(pathlib.Path(folder))
    write_gguf(model, OUT / "vocabulary.gguf")
    write_json(model, OUT)
    made = inputs(STORED)
    wrong = check_peers(model, OUT / "vocabulary.gguf", OUT, made)
    cases = [{"text": text, "ids": model.encode(text), "decoded": model.decode(model.encode(text))}
             for text in made]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "pieces.json").write_text('{"cases": [\n' + lines + "\n]}\n")
    if arguments.tool:
        wrong += check_ours(arguments.tool, model, inputs(arguments.count))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
