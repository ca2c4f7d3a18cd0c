#!/usr/bin/env python3
"""llama.cpp's side of the claim `decode`, through llama-cpp-python: the same file, and Q4_0 made of
it, which is llama.cpp's fastest format on this kind of processor.

    llama_cpp_peer.py MODEL.gguf

Reads what retort's side left in RETORT_BENCH_SHARED (token ids and their mean negative
log-likelihood) and exits with 1 when llama.cpp does not say the same: nothing is timed then.
"""

import ctypes
import json
import math
import os
import pathlib
import statistics
import sys
import time

import llama_cpp
import numpy

FIRST, LAST = 64, 192  # positions between which decoding is timed
STREAMS = (1, 8, 32, 64)
EQUAL = 0.002          # relative difference of the mean negative log-likelihood
THREADS = os.cpu_count()


def quiet():
    @llama_cpp.llama_log_callback
    def nothing(level, text, data):
        pass
    llama_cpp.llama_log_set(nothing, ctypes.c_void_p(0))
    return nothing


class Context:
    def __init__(self, model, streams, positions):
        self.model = model
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = streams * positions
        options.n_batch = options.n_ubatch = 512
        options.n_seq_max = streams
        options.n_threads = options.n_threads_batch = THREADS
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def eval(self, rows):
        """rows: (token, position, sequence, wants logits)"""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def logits(self, row):
        pointer = llama_cpp.llama_get_logits_ith(self.context, row)
        return numpy.ctypeslib.as_array(pointer, shape=(self.vocab,))

    def mean_nll(self, ids):
        self.clear()
        total = 0.0
        for begin in range(0, len(ids), 512):
            part = ids[begin:begin + 512]
            self.eval([(t, begin + i, 0, True) for i, t in enumerate(part)])
            for i in range(len(part)):
                if begin + i + 1 < len(ids):
                    row = self.logits(i).astype(numpy.float64)
                    top = row.max()
                    total -= row[ids[begin + i + 1]] - top - math.log(numpy.exp(row - top).sum())
        return total / (len(ids) - 1)

    def prefill_speed(self, ids):
        self.clear()
        started = time.perf_counter()
        self.eval([(t, i, 0, i == len(ids) - 1) for i, t in enumerate(ids)])
        self.logits(len(ids) - 1).argmax()
        return len(ids) / (time.perf_counter() - started)

    def decode_speed(self, streams, ids):
        self.clear()
        for s in range(streams):
            self.eval([((t + s) % (self.vocab - 200) + 100, i, s, i == FIRST - 1)
                       for i, t in enumerate(ids[:FIRST])])
        tokens = [int(self.logits(FIRST - 1).argmax())] * streams
        started = time.perf_counter()
        for position in range(FIRST, LAST):
            self.eval([(tokens[s], position, s, True) for s in range(streams)])
            tokens = [int(self.logits(s).argmax()) for s in range(streams)]
        return streams * (LAST - FIRST) / (time.perf_counter() - started)


def requantised(path):
    """The same model in Q4_0, made once beside the results."""
    target = pathlib.Path(__file__).parent.parent / "results" / (path.stem + ".as_Q4_0.gguf")
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
        params.allow_requantize = True
        if llama_cpp.llama_model_quantize(str(path).encode(), str(target).encode(), params) != 0:
            raise RuntimeError("cannot requantise")
    return target


def measure(name, path, reference):
    model = llama_cpp.llama_model_load_from_file(str(path).encode(),
                                                 llama_cpp.llama_model_default_params())
    context = Context(model, 1, 1280)
    nll = context.mean_nll(reference["nll_tokens"])
    same_file = name == "the same file"
    off = abs(nll / reference["mean_nll"] - 1)
    print(f"{name}: mean negative log-likelihood {nll:.5f}, retort's {reference['mean_nll']:.5f}")
    if same_file and off > EQUAL:
        print(f"they differ by {off:.2%}, more than {EQUAL:.1%}: nothing is timed")
        sys.exit(1)
    ids = reference["prefill_tokens"]
    out = {"side": f"llama.cpp, {name}", "mean_nll": nll,
           "prefill_512_tokens_per_s": statistics.median(context.prefill_speed(ids)
                                                         for _ in range(5))}
    context.close()
    for streams in STREAMS:
        context = Context(model, streams, 256)
        out[f"decode_{streams}_streams_tokens_per_s"] = statistics.median(
            context.decode_speed(streams, ids) for _ in range(3))
        context.close()
    llama_cpp.llama_model_free(model)
    for key, value in out.items():
        print(f"{key:<34} {value if isinstance(value, str) else format(value, '.4g')}")
    print(json.dumps(out))
    return out


def main():
    keep = quiet()  # the callback must outlive every call
    path = pathlib.Path(sys.argv[1])
    reference = json.loads(
        (pathlib.Path(os.environ["RETORT_BENCH_SHARED"]) / "decode.json").read_text())
    llama_cpp.llama_backend_init()
    sides = [measure("the same file", path, reference),
             measure("Q4_0, its fastest", requantised(path), reference)]
    print("\nratio to llama.cpp's best:")
    for key in reference["figures"]:
        best = max(side[key] for side in sides)
        print(f"{key:<34} {reference['figures'][key] / best:.2f} x "
              f"({reference['figures'][key]:.0f} / {best:.0f})")
    del keep
    return 0


if __name__ == "__main__":
    sys.exit(main())
