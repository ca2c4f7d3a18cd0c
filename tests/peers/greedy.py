#!/usr/bin/env python3
"""`retort serve --exact` answers 50 prompts greedily as transformers does in float32.

    greedy.py BASE_URL KEY MODEL.gguf

transformers reads each answer in one pass; where its likeliest next token is the answer's at every
place, generating would have given the same. Where the text splits into other tokens than it was
generated from, transformers generates.
"""

import json
import pathlib
import sys
import tempfile
import urllib.request

import torch
import transformers

import hf_from_gguf

THINGS = "boat moon river king garden mouse train bridge winter letter".split()
PATTERNS = ["Once upon a time there was a {}.", "The {} is", "Write a story about a {}:",
            "Q: What is a {}?\nA:", "def {}(x):\n    return"]
TOKENS = 64


def asked(url, key, prompts):
    body = {"model": "served", "prompt": prompts, "max_tokens": TOKENS, "temperature": 0}
    request = urllib.request.Request(
        url + "/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as reply:
        choices = json.load(reply)["choices"]
    return [choice["text"] for choice in sorted(choices, key=lambda choice: choice["index"])]


def generated(network, tokenizer, prompt):
    out = network.generate(torch.tensor([prompt]), max_new_tokens=TOKENS, do_sample=False,
                           eos_token_id=tokenizer.eos_token_id, pad_token_id=0)
    return tokenizer.decode(out[0, len(prompt):], skip_special_tokens=True)


def main():
    url, key, model = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        hf_from_gguf.convert(model, folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(pathlib.Path(folder) / "tokenizer")
        network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompts = [pattern.format(thing) for pattern in PATTERNS for thing in THINGS]
    ids = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in prompts]
    equal = places = 0
    for prompt, answer in zip(ids, asked(url, key, ids)):
        rest = tokenizer(answer, add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = network(torch.tensor([prompt + rest])).logits[0, len(prompt) - 1:-1]
        same = logits.argmax(-1).tolist() == rest or generated(network, tokenizer, prompt) == answer
        equal += same
        places += len(rest)
        if not same:
            print(json.dumps({"differs": answer[:60]}))
    print(json.dumps({"prompts": len(prompts), "equal": equal, "tokens": places}))
    return 0 if equal == len(prompts) and places > 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
