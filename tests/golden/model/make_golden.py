#!/usr/bin/env python3
"""Writes the fixtures beside this file: tiny random Llamas by transformers, and what PyTorch makes
of them. Run it with a Python that has torch, transformers and safetensors:

    python tests/golden/model/make_golden.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
DOCUMENTS = [11, 1, 20]
IGNORED = -100


def make(name, seed, **settings):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=40, max_position_embeddings=64,
        rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        attention_bias=False, mlp_bias=False, **settings)
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).double()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            mean = 1.0 if weight.dim() == 1 else 0.0
            weight.copy_((mean + 0.2 * torch.randn_like(weight)).float())
    folder = HERE / name
    model.float().save_pretrained(folder, safe_serialization=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model.double()

    tokens, targets, logits, loss = [], [], [], 0.0
    for length in DOCUMENTS:
        ids = torch.randint(0, config.vocab_size, (length,))
        goals = torch.randint(0, config.vocab_size, (length,))
        goals[: length // 3] = IGNORED
        out = model(ids[None]).logits[0]
        loss = loss + torch.nn.functional.cross_entropy(
            out, goals, ignore_index=IGNORED, reduction="sum")
        tokens += ids.tolist()
        targets += [-1 if t == IGNORED else t for t in goals.tolist()]
        logits.append(out.detach())
    loss.backward()
    (folder / "batch.json").write_text(json.dumps(
        {"documents": DOCUMENTS, "tokens": tokens, "targets": targets, "nll_sum": loss.item()}))
    expected = {f"gradient.{key}": weight.grad.float().contiguous()
                for key, weight in model.named_parameters()}
    expected["logits"] = torch.cat(logits).float().contiguous()
    save_file(expected, folder / "expected.safetensors")


make("tied", 1, tie_word_embeddings=True, head_dim=6)
# The heads' width is not the model's, and the base of the rotation is another one.
make("untied", 2, tie_word_embeddings=False, head_dim=8, rope_theta=500.0)
