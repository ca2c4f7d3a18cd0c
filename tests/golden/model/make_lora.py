#!/usr/bin/env python3
"""Writes adapters for two of the models beside this file, as PEFT saves them, and what PyTorch makes
of model and adapter together: lora.all (every projection) and lora.some (three of them, scaled by
alpha / sqrt(r)). Run it with the peers' Python (torch, transformers, peft, safetensors):

    python tests/golden/model/make_lora.py
"""

import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
IGNORED = -100


def fill(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "lora_" in key:
                weight.copy_((0.1 * torch.randn_like(weight)).float())


def evaluate(model, batch):
    tokens, targets = torch.tensor(batch["tokens"]), torch.tensor(batch["targets"])
    targets[targets < 0] = IGNORED
    logits, loss, first = [], 0.0, 0
    for length in batch["documents"]:
        row = slice(first, first + length)
        out = model(tokens[row][None]).logits[0]
        loss = loss + torch.nn.functional.cross_entropy(
            out, targets[row], ignore_index=IGNORED, reduction="sum")
        logits.append(out)
        first += length
    return torch.cat(logits), loss


def make(base, name, seed, **settings):
    model = AutoModelForCausalLM.from_pretrained(
        HERE / base, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings)).double()
    fill(model, seed)
    logits, loss = evaluate(model, json.loads((HERE / base / "batch.json").read_text()))
    loss.backward()
    folder = HERE / base / name
    expected = {"logits": logits.detach().float().contiguous(),
                "nll_sum": loss.detach().float().reshape(1)}
    for key, weight in model.named_parameters():
        if weight.grad is not None:
            name_in_file = key.replace(".default.", ".")
            expected[f"gradient.{name_in_file}"] = weight.grad.float().contiguous()
    model.float().save_pretrained(folder)
    (folder / "README.md").unlink()
    config = folder / "adapter_config.json"
    settings = json.loads(config.read_text())
    settings["base_model_name_or_path"] = base
    settings["target_modules"].sort()
    config.write_text(json.dumps(settings, indent=2) + "\n")
    save_file(expected, folder / "expected.safetensors")


make("tied", "lora.all", 3, r=5, lora_alpha=7, target_modules="all-linear")
make("qwen2", "lora.some", 4, r=4, lora_alpha=8, use_rslora=True,
     target_modules=["q_proj", "v_proj", "down_proj"])
