#!/usr/bin/env python3
"""How far each of the engine's paths, and llama.cpp, are from a float32 reference.

    compare.py RETORT_BENCH_QUALITY MODEL.gguf [TEXT ...]

The reference is transformers in float32 on the same dequantised weights. Exits with 1 where a bound
of README.md is passed.
"""

import json
import math
import pathlib
import pydoc_data.topics
import subprocess
import sys
import tempfile

import llama_cpp
import numpy
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "decode"), str(HERE.parents[1] / "tests/peers")]
import hf_from_gguf  # noqa: E402
import llama_cpp_peer  # noqa: E402

WINDOWS = 12  # of a text
# KL divergence from the reference, in nats a token.
BOUNDS = {"fp32": 1e-4, "bf16, scoring": 2e-3, "int8, decoding": 5e-3}
PERPLEXITY = 0.002  # relative difference between sides of equal precision
PAIRS = [("fp32", "llama.cpp, F32"), ("int8, decoding", "llama.cpp"),
         ("bf16, scoring", "reference")]


def texts(folder):
    """Prose of the law and of a language's reference, as every Debian has it."""
    reference = folder / "python.txt"
    reference.write_text("\n".join(pydoc_data.topics.topics.values()))
    return [pathlib.Path("/usr/share/common-licenses/GPL-3"), reference]


def read_logits(pipe, tokens, vocab):
    data = pipe.read(4 * tokens * vocab)
    if len(data) != 4 * tokens * vocab:
        raise SystemExit("retort's side ended early")
    return torch.frombuffer(bytearray(data), dtype=torch.float32).view(tokens, vocab)


class Side:
    """What one side said, summed over the windows."""

    def __init__(self):
        self.kl = self.worst = self.nll = 0.0
        self.tokens = self.same_top = 0

    def add(self, logits, reference, ids):
        """Rows of logits of one window; `reference` in natural log-probabilities."""
        mine = torch.log_softmax(logits.double(), -1)
        kl = (reference.exp() * (reference - mine)).sum(-1)
        self.kl += kl.sum().item()
        self.worst = max(self.worst, kl.max().item())
        self.tokens += len(ids)
        self.same_top += (mine.argmax(-1) == reference.argmax(-1)).sum().item()
        self.nll -= mine[:-1].gather(1, torch.tensor(ids[1:])[:, None]).sum().item()

    def figures(self, windows):
        return {"kl_nats": self.kl / self.tokens, "worst_kl_nats": self.worst,
                "same_top": self.same_top / self.tokens,
                "perplexity": math.exp(self.nll / (self.tokens - windows))}


class LlamaCpp:
    def __init__(self, path):
        model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params())
        self.context = llama_cpp_peer.Context(model, 1, 512)

    def logits(self, ids):
        self.context.clear()
        self.context.eval([(token, i, 0, True) for i, token in enumerate(ids)])
        return torch.from_numpy(numpy.stack([self.context.logits(i) for i in range(len(ids))]))


def in_f32(path, folder):
    target = folder / "f32.gguf"
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = llama_cpp.LLAMA_FTYPE_ALL_F32
    params.allow_requantize = True
    if llama_cpp.llama_model_quantize(str(path).encode(), str(target).encode(), params) != 0:
        raise RuntimeError("cannot write the model in F32")
    return target


def measure(program, model, folder, paths):
    hf_from_gguf.convert(model, folder / "hf")
    network = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32)
    peers = {"llama.cpp, F32": LlamaCpp(in_f32(model, folder)), "llama.cpp": LlamaCpp(model)}
    sides = {name: Side() for name in ["reference", *BOUNDS, *peers]}
    retort = subprocess.Popen([program, model, str(WINDOWS), *map(str, paths)],
                              stdout=subprocess.PIPE)
    head = json.loads(retort.stdout.readline())
    for ids in head["windows"]:
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0]
        reference = torch.log_softmax(logits.double(), -1)
        sides["reference"].add(logits, reference, ids)
        for name in BOUNDS:
            sides[name].add(read_logits(retort.stdout, len(ids), head["vocab"]), reference, ids)
        for name, peer in peers.items():
            sides[name].add(peer.logits(ids), reference, ids)
    if retort.wait() != 0:
        raise SystemExit("retort's side failed")
    count = len(head["windows"])
    return head["machine"], sides["reference"].tokens, {
        name: side.figures(count) for name, side in sides.items()}


def main():
    keep = llama_cpp_peer.quiet()  # the callback must outlive every call
    llama_cpp.llama_backend_init()
    program, model, *given = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        machine, tokens, figures = measure(program, model, folder, given or texts(folder))
    print(f"{tokens} tokens; {machine}")
    print(f"{'':<16} {'KL, nats':>9} {'worst':>9} {'same top':>9} {'perplexity':>11}")
    for name, said in figures.items():
        print(f"{name:<16} {said['kl_nats']:>9.2e} {said['worst_kl_nats']:>9.2e} "
              f"{said['same_top']:>9.4f} {said['perplexity']:>11.4f}")
    missed = [f"{name}: {figures[name]['kl_nats']:.2e} nats, the bound is {bound:.0e}"
              for name, bound in BOUNDS.items() if not figures[name]["kl_nats"] < bound]
    for mine, theirs in PAIRS:
        off = figures[mine]["perplexity"] / figures[theirs]["perplexity"] - 1
        print(f"perplexity, {mine} beside {theirs}: {off:+.3%}")
        if abs(off) > PERPLEXITY:
            missed.append(f"the perplexities of {mine} and {theirs} differ by more than "
                          f"{PERPLEXITY:.1%}")
    print("\n".join(missed) or "every bound is kept")
    print(json.dumps({"side": "quality", "tokens": tokens, "figures": figures}))
    del keep
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
