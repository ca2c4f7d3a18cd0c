#!/usr/bin/env python3
"""Makes this folder's fixtures from the real SmolLM2 vocabulary and Hugging Face `tokenizers`.

    tests/golden/tokenizer/make.py MODEL.gguf

MODEL.gguf is SmolLM2-135M-Instruct (any quantisation). Needs gguf, tokenizers and jinja2.
- smollm2/tokenizer.json: the vocabulary cut down to the tokens that any of the texts could use (a
  merge is kept when its result occurs in a text), so that ids agree with the full one's.
- smollm2/tokenizer_config.json: the model's own chat template.
- smollm2.json: {"original_ids": id in the full vocabulary of each kept token,
  "cases": [{"text", "ids" of the full vocabulary}],
  "chats": [{"messages", "ids"}] with an open answer, rendered by jinja2}.
- trained.json: {"text", "vocab_size", "tokens", "merges"}: what Hugging Face's trainer learns.
- splits.json: {pre-tokenizer: [{"text", "sizes" of its words in bytes}]}.
"""

import json
import pathlib
import random
import sys

import jinja2
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "peers"))
from tokenizer_peers import texts  # noqa: E402

SPECIALS = 17
BEFORE_DIGITS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|")
AFTER_DIGITS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
STORIES = [
    "Write a two-sentence story about a boat and a moon.",
    "Once upon a time, the little boat sailed under a silver moon; it wasn't afraid at all.",
    "I can't believe they're 23 years old! We'll see 1,000,000.50 dollars in 2026...",
    "Grüße aus Köln, где живёт Анна? 東京タワー 🗼 and naïve façade.",
    "for (int i = 0; i < 10; ++i) {\n\tprintf(\"%d\\n\", i);\n}\n\n\n",
]
CHATS = [
    [{"role": "user", "content": STORIES[0]}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " \n padded \n"}],
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello. 12"},
     {"role": "user", "content": "\n<|im_end|> spelt out"}],
    [{"role": "user", "content": ""}],
]


def printable_bytes():
    shown = [b for b in range(256) if 0x21 <= b <= 0x7E or (b >= 0xA1 and b != 0xAD)]
    hidden = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


PRINTABLE = printable_bytes()


def spell(text):
    return "".join(PRINTABLE[byte] for byte in text.encode())


def smollm_splitter():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False)])


def build(tokens, merges):
    made = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                merges=[tuple(m.split(" ")) for m in merges]))
    made.pre_tokenizer = smollm_splitter()
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, normalized=False, special=True)
                             for t in tokens[:SPECIALS]])
    made.encode_special_tokens = True  # special tokens in a text stay text
    return made


def render(template, messages, tokenizer):
    """Ids as transformers' apply_chat_template gives: special tokens of the template only."""
    ids = []
    text = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(template).render(
        messages=[{**m, "content": m["content"].replace("<|im_end|>", "\ue000")}
                  for m in messages], add_generation_prompt=True)
    for piece in text.replace("<|im_", "\ue001<|im_").split("\ue001"):
        for mark in ("<|im_start|>", "<|im_end|>"):
            if piece.startswith(mark):
                ids.append(tokenizer.token_to_id(mark))
                piece = piece[len(mark):]
        ids += tokenizer.encode(piece.replace("\ue000", "<|im_end|>"),
                                add_special_tokens=False).ids
    return ids


def write(name, value):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def trained_case():
    """A text with frequent ties, so that their order is seen as well."""
    rng = random.Random(5)
    words = ["".join(rng.choice("abcdeinorst\u00e9\u6771") for _ in range(rng.randrange(1, 9)))
             for _ in range(300)]
    text = "".join(f"{words[min(rng.randrange(300), rng.randrange(300))]}"
                   f"{rng.choice([' ', ' ', ' ', ', ', '  ', chr(10), ' 42 '])}"
                   for _ in range(2500))
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = smollm_splitter()
    learner.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=700, min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|im_start|>", "<|im_end|>", "<|endoftext|>"]))
    model = json.loads(learner.to_str())["model"]
    return {"text": text, "vocab_size": 700,
            "tokens": sorted(model["vocab"], key=model["vocab"].get),
            "merges": [" ".join(m) for m in model["merges"]]}


def split_cases(inputs):
    def split(pattern):
        return pre_tokenizers.Split(Regex(pattern), "isolated")
    splitters = {
        "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "smollm": smollm_splitter(),
        "llama-bpe": split(BEFORE_DIGITS + r"\p{N}{1,3}" + AFTER_DIGITS),
        "qwen2": split(BEFORE_DIGITS + r"\p{N}" + AFTER_DIGITS),
    }
    made = {}
    for name, splitter in splitters.items():
        raw = name in ("llama-bpe", "qwen2")
        made[name] = [{"text": text,
                       "sizes": [len(word.encode()) if raw else len(word)
                                 for word, _ in splitter.pre_tokenize_str(text)]}
                      for text in inputs]
    return made


def main():
    reader = GGUFReader(sys.argv[1])
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    template = reader.fields["tokenizer.chat_template"].contents()
    full = build(tokens, merges)
    inputs = texts(140, 7) + STORIES
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    corpus = "\0\0\0".join(spell(t) for t in inputs + [
        f"{m['role']}\n{m['content']}" for chat in CHATS for m in chat] + [
        "system\n" + system, "assistant\n"])
    kept = [i for i, t in enumerate(tokens) if i < SPECIALS or len(t) == 1 or t in corpus]
    spelt = {tokens[i] for i in kept}
    kept_merges = [m for m in merges if m.replace(" ", "") in spelt]
    small = build([tokens[i] for i in kept], kept_merges)
    saved = json.loads(small.to_str())
    saved["model"]["merges"] = [" ".join(m) for m in saved["model"]["merges"]]
    write("smollm2/tokenizer.json", saved)
    write("smollm2/tokenizer_config.json",
          {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>",
           "chat_template": template})
    cases = []
    for text in inputs:
        ids = full.encode(text).ids
        assert [kept[i] for i in small.encode(text).ids] == ids, text
        cases.append({"text": text, "ids": ids})
    write("smollm2.json", {
        "original_ids": kept, "cases": cases,
        "chats": [{"messages": chat, "ids": render(template, chat, full)} for chat in CHATS]})
    write("trained.json", trained_case())
    write("splits.json", split_cases(texts(110, 11)))


if __name__ == "__main__":
    main()
