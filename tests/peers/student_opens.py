#!/usr/bin/env python3
"""Opens an exported student in transformers and in llama.cpp and compares it with retort.

    tests/peers/student_opens.py FOLDER [--fixture build/dev/src/release/retort_release_fixture]
        [--weights f32] [--gguf-weights f32] [--family llama]

FOLDER holds student/, student.gguf and expected.json; with --fixture they are made there first
(random weights). Compared are token ids of tricky texts, chat prompts, logits and greedy answers.
Exits 1 at a difference, 77 when a peer is missing.
"""

import argparse
import json
import pathlib
import subprocess
import sys

# The greatest difference of a logit, over the standard deviation of its row: what the rounding of
# the weights and another order of sums may cost.
BOUNDS = {"f32": 2e-3, "bf16": 0.1, "f16": 0.02, "q8_0": 0.2}
LLAMA_CACHE = 0.01  # llama.cpp keeps keys and values in f16

failures = 0


def report(peer, what, passed, detail):
    global failures
    failures += not passed
    print(f"{peer}: {what}: {'equal' if passed else 'DIFFERENT'} ({detail})")


def compare_ids(peer, what, pairs):
    wrong = [(source, a, b) for source, a, b in pairs if a != b]
    for source, a, b in wrong[:3]:
        print(f"  {source!r}\n    retort {a}\n    peer   {b}")
    report(peer, what, not wrong, f"{len(pairs) - len(wrong)} of {len(pairs)}")


def compare_logits(peer, expected, logits_of, bound):
    import numpy
    worst = 0.0
    for prompt in expected["prompts"]:
        mine = numpy.array(prompt["logits"]).reshape(len(prompt["ids"]), expected["vocab"])
        theirs = numpy.asarray(logits_of(prompt["ids"]), dtype=float)
        if theirs.shape != mine.shape or not numpy.isfinite(theirs).all():
            report(peer, "logits", False, f"shape {theirs.shape} instead of {mine.shape}")
            return
        off = numpy.abs(mine - theirs).max(axis=1) / mine.std(axis=1)
        worst = max(worst, float(off.max()))
    report(peer, "logits", worst <= bound, f"worst {worst:.2e}, allowed {bound:.0e}")


def compare_greedy(peer, expected, greedy_of, exact):
    pairs = [(prompt["ids"], prompt["greedy"], greedy_of(prompt["ids"], len(prompt["greedy"])))
             for prompt in expected["prompts"]]
    if exact:
        compare_ids(peer, "greedy tokens", pairs)
        return
    same = sum(a == b for _, a, b in pairs)
    print(f"{peer}: greedy answers: {same} of {len(pairs)} equal (not asked of rounded weights)")


def open_in_transformers(folder, expected, weights, family):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
    # AutoTokenizer of transformers 5 takes Qwen2's own normalizer for every model of type qwen2,
    # whatever tokenizer_class says; the student's card tells its users to name the class.
    kind = PreTrainedTokenizerFast if family == "qwen2" else AutoTokenizer
    tokenizer = kind.from_pretrained(folder)
    compare_ids("transformers", "token ids", [
        (one["text"], one["ids"], tokenizer.encode(one["text"], split_special_tokens=True,
                                                   add_special_tokens=False))
        for one in expected["texts"]])
    # Texts that spell a control token are left out: transformers takes them for the token itself.
    talks = [one for one in expected["chats"]
             if not any("<|" in message["content"] for message in one["messages"])]
    compare_ids("transformers", "chat prompts", [
        (one["messages"], one["ids"], tokenizer.apply_chat_template(
            one["messages"], add_generation_prompt=True, tokenize=True, return_dict=False))
        for one in talks])
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()

    def logits_of(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].numpy()

    def greedy_of(ids, count):
        with torch.no_grad():
            out = model.generate(torch.tensor([ids]), do_sample=False, min_new_tokens=count,
                                 max_new_tokens=count, eos_token_id=-1,
                                 attention_mask=torch.ones(1, len(ids), dtype=torch.long))
        return out[0][len(ids):].tolist()

    compare_logits("transformers", expected, logits_of, BOUNDS[weights])
    compare_greedy("transformers", expected, greedy_of, weights == "f32")


def open_in_llama_cpp(path, expected, weights):
    import numpy
    from llama_cpp import Llama
    model = Llama(str(path), n_ctx=256, n_batch=256, logits_all=True, verbose=False, n_threads=2)
    compare_ids("llama.cpp", "token ids", [
        (one["text"], one["ids"],
         model.tokenize(one["text"].encode(), add_bos=False, special=False))
        for one in expected["texts"]])
    compare_ids("llama.cpp", "bos and eos", [
        ("ids", [expected["bos"], expected["eos"]], [model.token_bos(), model.token_eos()])])

    def logits_of(ids):
        model.reset()
        model.eval(ids)
        return numpy.array(model.scores[:len(ids)])

    def greedy_of(ids, count):
        model.reset()
        model.eval(ids)
        out = []
        while len(out) < count:
            out.append(int(numpy.argmax(model.scores[len(ids) + len(out) - 1])))
            model.eval(out[-1:])
        return out

    compare_logits("llama.cpp", expected, logits_of, max(BOUNDS[weights], LLAMA_CACHE))
    compare_greedy("llama.cpp", expected, greedy_of, weights == "f32")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--fixture", help="program that writes a random student into FOLDER")
    parser.add_argument("--weights", default="f32", choices=BOUNDS)
    parser.add_argument("--gguf-weights", default="f32", choices=BOUNDS)
    parser.add_argument("--family", default="llama", help="of the random student")
    options = parser.parse_args()
    try:
        import llama_cpp  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as missing:
        print(f"skipped: {missing.name} is not installed; ./dev test --peers installs it")
        return 77
    if options.fixture:
        subprocess.run([options.fixture, str(options.folder), options.weights,
                        options.gguf_weights, options.family], check=True)
    expected = json.loads((options.folder / "expected.json").read_text())
    open_in_transformers(options.folder / "student", expected, options.weights,
                         options.family)
    open_in_llama_cpp(options.folder / "student.gguf", expected, options.gguf_weights)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
