#!/usr/bin/env python3
"""Trains small SentencePiece unigram vocabularies and stores what sentencepiece does with them.

    tests/golden/tokenizer/make_unigram.py [--tool build/dev/tests/peers/retort_tokenizer_tool]
        [--count 3000] [--keep]

Needs sentencepiece, gguf, tokenizers and llama-cpp-python. Two kinds, each as converters write it:
- unigram: as T5's, with a few rules for characters, blanks dropped, and an unknown token;
- unigram_bytes: as llm-jp's, texts as they are, characters without a token spelt in bytes.
Of each a GGUF file, tokenizer.json with its neighbour, and in unigram.json
{KIND: [{"text", "ids", "decoded"}]} by sentencepiece. Says how often llama.cpp and Hugging Face's
library do otherwise. With --tool the program's own ids are compared on --count further texts, for
these and for one of SentencePiece's default rules (NFKC); --keep writes nothing. Exits 1 where the
program differs from sentencepiece.
"""

import argparse
import base64
import json
import pathlib
import sys
import tempfile

try:
    import gguf
    import llama_cpp
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Tokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import make_pieces
from make_pieces import BLANK

HERE = pathlib.Path(__file__).resolve().parent
RULES = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "ﬁ": "fi", "①": "1",
         "½": "1/2", "e\u0301": "é", "\u00ad": "", "…": "...", "Ａ": "A", "Ｂ": "B", "ａ": "a",
         "\u200b": " ", "ǆ": "dž", "\u1100\u1161": "\uac00", "\U0001f600": ":)"}
KINDS = ("unigram", "unigram_bytes")


def train(folder, kind):
    prefix = str(folder / kind)
    options = {"byte_fallback": True, "normalization_rule_name": "identity",
               "remove_extra_whitespaces": False, "split_digits": True}
    if kind == "unigram":
        table = folder / "rules.tsv"
        spell = lambda text: " ".join(f"{ord(c):X}" for c in text)  # noqa: E731
        table.write_text("".join(f"{spell(a)}\t{spell(b)}\n" for a, b in RULES.items()))
        options = {"normalization_rule_tsv": str(table)}
    if kind == "unigram_nfkc":
        options = {}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(make_pieces.corpus()), model_prefix=prefix,
        vocab_size=430 if kind == "unigram_bytes" else 400, model_type="unigram",
        character_coverage=0.995, minloglevel=2, **options)
    return sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")


def rules_of(model):
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.serialized_model_proto())
    return proto.normalizer_spec


def write_gguf(model, path):
    size, rules = model.get_piece_size(), rules_of(model)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([model.id_to_piece(i) for i in range(size)])
    writer.add_token_scores([model.get_score(i) for i in range(size)])
    writer.add_token_types([make_pieces.kind(model, i) for i in range(size)])
    writer.add_bos_token_id(model.bos_id())
    writer.add_eos_token_id(model.eos_id())
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_space_prefix(rules.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(rules.remove_extra_whitespaces)
    if rules.precompiled_charsmap:
        writer.add_precompiled_charsmap(rules.precompiled_charsmap)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def steps_of(rules):
    """Normalizer and pre-tokenizer, as transformers converts them."""
    if not rules.remove_extra_whitespaces:
        return {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": BLANK},
            {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}]}, None
    return {"type": "Sequence", "normalizers": [
        {"type": "Precompiled",
         "precompiled_charsmap": base64.b64encode(rules.precompiled_charsmap).decode()},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": BLANK}]}, {
            "type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always", "split": True}


def write_json(model, folder):
    size = model.get_piece_size()
    normalizer, pre_tokenizer = steps_of(rules_of(model))
    special = [i for i in range(size) if model.is_unknown(i) or model.is_control(i)]
    saved = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": model.id_to_piece(i), "single_word": False,
                          "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                         for i in special],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None,
        "decoder": {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always",
                    "split": True},
        "model": {"type": "Unigram", "unk_id": model.unk_id(),
                  "byte_fallback": any(model.is_byte(i) for i in range(size)),
                  "vocab": [[model.id_to_piece(i), model.get_score(i)] for i in range(size)]}}
    (folder / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
         "unk_token": "<unk>", "clean_up_tokenization_spaces": False}) + "\n")


def decoded(model, ids):
    """An unknown token has no text, and the blank in front is none of the text's."""
    return model.decode([i for i in ids if i != model.unk_id()])


def count_peers(model, folder, made):
    llama = llama_cpp.Llama(str(folder / "vocabulary.gguf"), vocab_only=True, verbose=False)
    other = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other.encode_special_tokens = True
    differing = {"llama.cpp": 0, "tokenizers": 0}
    for text in made:
        ids = model.encode(text)
        by_llama = llama.tokenize(text.encode(), add_bos=False, special=False) if text else []
        differing["llama.cpp"] += ids != by_llama
        differing["tokenizers"] += ids != other.encode(text, add_special_tokens=False).ids
    print(f"of {len(made)} texts other ids than sentencepiece's: {differing}")


def check_ours(tool, model, folder, made):
    wrong = 0
    for place in (folder, folder / "vocabulary.gguf"):
        mine = make_pieces.run_tool(tool, "encode", place, made)
        theirs = [model.encode(text) for text in made]
        back = make_pieces.run_tool(tool, "decode", place, theirs)
        before = wrong
        for text, a, b, c in zip(made, mine, theirs, back, strict=True):
            if a != b or c != decoded(model, b):
                wrong += 1
                if wrong < 10:
                    print(f"{place.name}: {text!r}\n  {a}\n  {b}\n  {c!r}\n  {decoded(model, b)!r}")
        print(f"{place.name}: {wrong - before} differences on {len(made)} texts")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    stored, wrong = {}, 0
    with tempfile.TemporaryDirectory() as name:
        made_in = pathlib.Path(name)
        for kind in (*KINDS, "unigram_nfkc"):
            model = train(made_in, kind)
            writes = kind in KINDS and not arguments.keep
            folder = (HERE if writes else made_in) / kind
            folder.mkdir(exist_ok=True)
            write_gguf(model, folder / "vocabulary.gguf")
            write_json(model, folder)
            made = make_pieces.inputs(make_pieces.STORED) + ["".join(RULES), " ".join(RULES)]
            count_peers(model, folder, made)
            stored[kind] = [{"text": text, "ids": model.encode(text),
                             "decoded": decoded(model, model.encode(text))} for text in made]
            if arguments.tool:
                wrong += check_ours(arguments.tool, model, folder,
                                    made + make_pieces.inputs(arguments.count))
    if not arguments.keep:
        lines = {kind: ",\n".join(json.dumps(case) for case in stored[kind]) for kind in KINDS}
        (HERE / "unigram.json").write_text("{" + ",\n".join(
            f'"{kind}": [\n{text}\n]' for kind, text in lines.items()) + "}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
