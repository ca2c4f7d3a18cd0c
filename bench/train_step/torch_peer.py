#!/usr/bin/env python3
"""PyTorch's side of the claim `train_step`: transformers' Llama with the weights and the batch that
retort's side trained, eager and compiled, products in bf16 by autocast over fp32 masters where the
processor multiplies bf16 itself, else in fp32, which is then far quicker on this side too; for
`lora` PEFT with the adapter that retort's side wrote, beside the frozen model.

    torch_peer.py [student|smollm2|lora|POINT] [seconds] [eager|compiled|both]

Exits with 1 when the loss of the first batch is not retort's: nothing is timed then.
"""

import json
import os
import pathlib
import statistics
import sys
import time

import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "student": dict(vocab_size=4096, hidden_size=256, num_hidden_layers=8, num_attention_heads=8,
                    num_key_value_heads=4, head_dim=32, intermediate_size=704),
    "smollm2": dict(vocab_size=49152, hidden_size=576, num_hidden_layers=30,
                    num_attention_heads=9, num_key_value_heads=3, head_dim=64,
                    intermediate_size=1536),
}
SHAPES["lora"] = SHAPES["smollm2"]
BATCHES = {"student": (16, 256), "smollm2": (4, 512), "lora": (4, 512)}



def add_point(name):
    """SHAPE@CONTEXTxDOCUMENTS, as retort's side makes it."""
    shape, _, batch = name.partition("@")
    context, documents = map(int, batch.split("x"))
    BATCHES[name] = (documents, context)
    if shape in SHAPES:
        SHAPES[name] = SHAPES[shape]
        return
    layers, width = map(int, shape.split("x"))
    SHAPES[name] = dict(SHAPES["student"], hidden_size=width, num_hidden_layers=layers,
                        num_attention_heads=width // 32, num_key_value_heads=width // 64,
                        intermediate_size=(width * 8 // 3 + 32) // 64 * 64)


# Without such instructions bf16 products are emulated: the format to compare with is then fp32.
HAS_BF16 = any(word in pathlib.Path("/proc/cpuinfo").read_text().split()
               for word in ("avx512_bf16", "amx_bf16"))
EQUAL = 5e-3 if HAS_BF16 else 1e-4  # relative difference of the loss


def draws():
    """The recurrence that retort's side draws its batch from."""
    state = 12345
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield lambda n: (state * n) >> 32


def make_batch(shape):
    rows, length = BATCHES[shape]
    vocab = SHAPES[shape]["vocab_size"]
    draw = draws()
    tokens, targets = [], []
    for _ in range(rows):
        row, goals = [], []
        for i in range(length):
            row.append(next(draw)(vocab))
            goal = next(draw)(vocab)
            goals.append(-100 if i * 10 < length * 3 else goal)
        tokens.append(row)
        targets.append(goals)
    return torch.tensor(tokens), torch.tensor(targets)


def make_model(shape):
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=8192, rms_norm_eps=1e-5,
                         rope_theta=10000.0, tie_word_embeddings=True, attention_bias=False,
                         mlp_bias=False, pad_token_id=None)
    config._attn_implementation = "sdpa"
    model = LlamaForCausalLM(config)
    shared = pathlib.Path(os.environ["RETORT_BENCH_SHARED"])
    path = shared / f"{shape}.safetensors"
    with safe_open(path, "pt") as file:
        loss = float(file.metadata()["loss"])
        weights = {name: file.get_tensor(name) for name in file.keys()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    adapter = shared / f"{shape}.adapter"
    if adapter.exists():
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    return model, loss


def reset_peak_memory():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) >> 10
    return 0


def loss_of(model, tokens, targets):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=HAS_BF16):
        logits = model(tokens, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().view(-1, logits.shape[-1]),
                                             targets.view(-1), ignore_index=-100)


def speed(model, tokens, targets, seconds):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.1, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(model, tokens, targets).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    step()
    step()
    times = []
    stop = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < stop:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return tokens.numel() / min(times), tokens.numel() / statistics.median(times)


def main():
    shape = sys.argv[1] if len(sys.argv) > 1 else "student"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20
    if "@" in shape:
        add_point(shape)
    torch.set_num_threads(os.cpu_count())
    tokens, targets = make_batch(shape)
    model, expected = make_model(shape)
    with torch.no_grad():
        found = loss_of(model, tokens, targets).item()
    print(f"loss {found:.5f}, retort's {expected:.5f}", file=sys.stderr)
    if abs(found / expected - 1) > EQUAL:
        print("the losses differ: nothing is timed", file=sys.stderr)
        return 1
    modes = sys.argv[3] if len(sys.argv) > 3 else "both"
    for name in ("eager", "compiled") if modes == "both" else (modes,):
        model = None
        reset_peak_memory()
        model, _ = make_model(shape)
        model.train()
        if name == "compiled":
            model = torch.compile(model)
        best, median = speed(model, tokens, targets, seconds)
        print(json.dumps({"claim": "train_step", "side": f"torch {torch.__version__} {name}",
                          "shape": shape, "format": "bf16" if HAS_BF16 else "fp32",
                          "threads": torch.get_num_threads(),
                          "tokens_per_second": round(best),
                          "tokens_per_second_median": round(median),
                          "peak_memory_mib": peak_memory_mib()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
