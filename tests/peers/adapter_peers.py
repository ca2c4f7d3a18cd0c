#!/usr/bin/env python3
"""Adapters between PEFT and retort: one that PEFT trained gives the same logits in retort, one that
retort wrote gives the same in PEFT, which loads it unchanged.

    tests/peers/adapter_peers.py --tool build/dev/tests/peers/retort_adapter_tool

Exits 1 at a difference, 77 when a peer is missing.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

# The greatest difference of a logit over the standard deviation of all: sums in another order.
BOUND = 2e-5
IDS = [5, 17, 3, 40, 22, 8, 8, 60, 1, 33, 12]
SHAPE = dict(vocab_size=64, hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, intermediate_size=80, max_position_embeddings=64)


def bases():
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
    yield "llama", LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True))
    yield "qwen2", Qwen2ForCausalLM(Qwen2Config(**SHAPE, tie_word_embeddings=False))


def train(model, **settings):
    """Two steps of PEFT's own."""
    import torch
    from peft import LoraConfig, get_peft_model
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.1, **settings))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    ids = torch.tensor([IDS])
    for _ in range(2):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    return model.eval()


def logits_of(model):
    import torch
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].numpy()


def retorts_logits(tool, base, adapter):
    import numpy
    done = subprocess.run([tool, "logits", base, adapter, *map(str, IDS)], check=True,
                          capture_output=True, text=True)
    return numpy.array(json.loads(done.stdout))


def compare(what, mine, theirs, without):
    import numpy
    off = float(numpy.abs(mine - theirs).max() / theirs.std())
    counts = float(numpy.abs(theirs - without).max() / theirs.std())
    passed = off <= BOUND and counts > 0.05
    print(f"{what}: {'equal' if passed else 'DIFFERENT'} (worst {off:.1e}, allowed {BOUND:.0e}; "
          f"the adapter moves logits by {counts:.2f})")
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True)
    tool = parser.parse_args().tool
    try:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM
    except ImportError as missing:
        print(f"skipped: {missing.name} is not installed; ./dev test --peers installs it")
        return 77
    torch.manual_seed(7)
    passed = True
    for name, model in bases():
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(4 if weight.dim() > 1 else 1)  # so that every part matters
        with tempfile.TemporaryDirectory() as scratch:
            base = str(pathlib.Path(scratch) / "base")
            model.save_pretrained(base)
            without = logits_of(model.eval())
            for label, settings in (
                    ("all projections", dict(r=8, lora_alpha=16, target_modules="all-linear")),
                    ("q and v", dict(r=4, lora_alpha=4, use_rslora=True,
                                     target_modules=["q_proj", "v_proj"]))):
                theirs = str(pathlib.Path(scratch) / label.replace(" ", "_"))
                fresh = AutoModelForCausalLM.from_pretrained(base)
                trained = train(fresh, **settings)
                trained.save_pretrained(theirs)
                passed &= compare(f"{name}, PEFT's adapter of {label}",
                                  retorts_logits(tool, base, theirs), logits_of(trained), without)
            mine = str(pathlib.Path(scratch) / "mine")
            subprocess.run([tool, "make", base, mine], check=True)
            loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), mine)
            passed &= compare(f"{name}, retort's adapter in PEFT", retorts_logits(tool, base, mine),
                              logits_of(loaded.eval()), without)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
