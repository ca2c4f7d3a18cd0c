#!/usr/bin/env python3
"""Writes the fixtures of each family beside this file: tiny random models by transformers, the same
as GGUF in llama.cpp's layout, and what PyTorch makes of them. llama.cpp must give equal logits.
Run it with the peers' Python (torch, transformers, safetensors, gguf, llama_cpp):

    python tests/golden/model/make_families.py
"""

import json
import pathlib
import tempfile

import gguf
import numpy
import torch
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

HERE = pathlib.Path(__file__).parent
DOCUMENTS = [11, 1, 28]
IGNORED = -100
SHAPE = dict(vocab_size=264, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, intermediate_size=64, max_position_embeddings=256,
             rms_norm_eps=1e-5, bos_token_id=261, eos_token_id=263, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64, rope_theta=1000.0)
LINEAR = dict(rope_type="linear", factor=4.0, rope_theta=1000.0)
PLAIN = dict(rope_type="default", rope_theta=1000.0)
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down"}
WHOLE_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm",
               "lm_head": "output"}


def random_model(kind, seed, config):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = kind(config).double()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            mean = 1.0 if key.endswith("norm.weight") else 0.0
            spread = 0.5 if key.endswith("bias") else 0.2
            weight.copy_((mean + spread * torch.randn_like(weight)).bfloat16())
    return model


def evaluate(model):
    """Tokens, targets, logits and summed loss of documents that do not see each other."""
    generator = torch.Generator().manual_seed(5)
    batch = {"documents": DOCUMENTS, "tokens": [], "targets": [], "nll_sum": 0.0}
    logits = []
    for length in DOCUMENTS:
        ids = torch.randint(0, 256, (length,), generator=generator)
        goals = torch.randint(0, 256, (length,), generator=generator)
        goals[: length // 3] = IGNORED
        out = model(ids[None]).logits[0]
        batch["nll_sum"] = batch["nll_sum"] + torch.nn.functional.cross_entropy(
            out, goals, ignore_index=IGNORED, reduction="sum")
        batch["tokens"] += ids.tolist()
        batch["targets"] += [-1 if t == IGNORED else t for t in goals.tolist()]
        logits.append(out)
    return batch, torch.cat(logits)


def gguf_name(key):
    stem, kind = key.rsplit(".", 1)
    if stem in WHOLE_NAMES:
        return f"{WHOLE_NAMES[stem]}.{kind}"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest]}.{kind}"


def paired(rows, heads):
    """As llama.cpp's converter permutes q and k of a llama."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(
        1, 2).reshape(rows.shape)


def llama3_factors(config):
    """As llama.cpp's converter makes rope_freqs.weight."""
    rope = config.rope_parameters
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float32)
    freqs = 1.0 / (rope["rope_theta"] ** (half / config.head_dim))
    old = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    factors = []
    for freq in freqs:
        wave = 2 * torch.pi / freq
        if wave < old / high:
            factors.append(1)
        elif wave > old / low:
            factors.append(rope["factor"])
        else:
            smooth = (old / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(factors, dtype=numpy.float32)


def vocabulary():
    """The engine tests' own: 256 bytes, a few merges, three control tokens."""
    codes = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    printable = {b: chr(b) for b in codes}
    for b in range(256):
        printable.setdefault(b, chr(256 + len(printable) - len(codes)))
    merges = [("h", "e"), (" ", "t"), (" t", "he"), ("a", "n"), ("\u00c3", "\u00a9")]
    spelt = [["".join(printable[ord(c)] for c in part) for part in pair] for pair in merges]
    tokens = [printable[b] for b in range(256)] + ["".join(pair) for pair in spelt]
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return tokens + control, [1] * len(tokens) + [3] * 3, [" ".join(pair) for pair in spelt]


def write_gguf(model, architecture, path, kind, linear=None):
    c = model.config
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if architecture != "qwen2":  # whose converter states no sizes of heads
        writer.add_key_length(c.head_dim)
        writer.add_value_length(c.head_dim)
    if linear:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(linear)
    tokens, types, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(c.eos_token_id)
    if c.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(c))
    for key, weight in model.state_dict().items():
        if key == "lm_head.weight" and c.tie_word_embeddings:
            continue
        values = weight.float().numpy()
        if architecture == "llama" and "q_proj" in key:
            values = paired(values, c.num_attention_heads)
        if architecture == "llama" and "k_proj" in key:
            values = paired(values, c.num_key_value_heads)
        if values.ndim == 1:
            writer.add_tensor(gguf_name(key), values)
        else:
            writer.add_tensor(gguf_name(key), gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_llama_cpp(path, batch, logits, bound):
    from llama_cpp import Llama
    peer = Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False, type_k=0,
                 type_v=0)
    first = 0
    for length in DOCUMENTS:
        peer.reset()
        peer.eval(batch["tokens"][first: first + length])
        theirs = numpy.array(peer.scores[:length])
        mine = logits[first: first + length].float().numpy()
        off = float(numpy.abs(theirs - mine).max() / mine.std())
        assert off < bound, f"{path.name}: {off} from llama.cpp's logits"
        first += length
    print(f"{path.name}: llama.cpp's logits within {off:.1e}")


def check_gguf(model, architecture, batch, logits, linear=None):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"{architecture}.gguf"
        write_gguf(model, architecture, path, gguf.GGMLQuantizationType.F32, linear)
        check_llama_cpp(path, batch, logits.detach(), 1e-3)


def make(name, architecture, model):
    folder = HERE / name
    batch, logits = evaluate(model)
    batch["nll_sum"].backward()
    batch["nll_sum"] = batch["nll_sum"].item()
    check_gguf(model, architecture, batch, logits)
    folder.mkdir(exist_ok=True)
    write_gguf(model, architecture, folder / "model.gguf", gguf.GGMLQuantizationType.BF16)
    (folder / "batch.json").write_text(json.dumps(batch))
    expected = {"logits": logits.detach().float().contiguous()}
    # Of all that is new to a family, and of what lies behind it.
    for key, weight in model.named_parameters():
        if weight.dim() == 1 or key.endswith(("0.self_attn.q_proj.weight",
                                              "0.self_attn.k_proj.weight")):
            expected[f"gradient.{key}"] = weight.grad.float().contiguous()
    model.zero_grad()
    saved = model.bfloat16()
    saved.save_pretrained(folder, safe_serialization=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model.double()
    return folder, expected


def make_llama():
    config = LlamaConfig(**SHAPE, tie_word_embeddings=True, head_dim=16, rope_parameters=LLAMA3)
    model = random_model(LlamaForCausalLM, 11, config)
    folder, expected = make("llama3", "llama", model)
    others = {
        "linear": (LlamaForCausalLM, LlamaConfig(
            **SHAPE, tie_word_embeddings=True, head_dim=16, rope_parameters=LINEAR)),
        "mistral": (MistralForCausalLM, MistralConfig(
            **SHAPE, tie_word_embeddings=True, head_dim=16, rope_parameters=PLAIN,
            sliding_window=32))}
    for name, (kind, other) in others.items():
        other._attn_implementation = "eager"
        variant = kind(other).double()
        variant.load_state_dict(model.state_dict())
        batch, logits = evaluate(variant)
        check_gguf(variant, "llama", batch, logits, 4.0 if name == "linear" else None)
        expected[f"logits.{name}"] = logits.detach().float().contiguous()
        other.architectures = [kind.__name__]
        (folder / f"config.{name}.json").write_text(other.to_json_string())
    save_file(expected, folder / "expected.safetensors")


def make_qwen():
    for name, kind, config in (
            ("qwen2", Qwen2ForCausalLM, Qwen2Config(
                **SHAPE, tie_word_embeddings=False, rope_parameters=PLAIN)),
            ("qwen3", Qwen3ForCausalLM, Qwen3Config(
                **SHAPE, tie_word_embeddings=True, head_dim=32, rope_parameters=PLAIN))):
        folder, expected = make(name, name, random_model(kind, 12, config))
        save_file(expected, folder / "expected.safetensors")


make_llama()
make_qwen()
