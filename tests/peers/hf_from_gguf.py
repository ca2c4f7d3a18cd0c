"""SmolLM2's GGUF, dequantised, as a Hugging Face folder that transformers opens; its tokenizer in
OUT/tokenizer.

    hf_from_gguf.py MODEL.gguf OUT
"""

import pathlib
import sys

import gguf
import numpy
import tokenizers
import torch
import transformers

IN_LAYER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def unpaired(weight, heads):
    """llama.cpp keeps rows i and i + D/2 of a head beside each other."""
    rows, width = weight.shape
    return (weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2)
            .reshape(rows, width))


def tokenizer_of(reader):
    """Hugging Face's tokenizer over the file's vocabulary, split as SmolLM2's is."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in merges]))
    split = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = split.Sequence([split.Digits(individual_digits=True),
                                              split.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([token for token, kind in zip(tokens, kinds)
                                  if kind == gguf.TokenType.CONTROL])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer,
                                                bos_token="<|im_start|>", eos_token="<|im_end|>")


def convert(model, out):
    reader = gguf.GGUFReader(model)

    def number(key, otherwise=None):
        field = reader.fields.get(f"llama.{key}")
        return otherwise if field is None else field.contents()

    heads, kv_heads = number("attention.head_count"), number("attention.head_count_kv")
    state = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        parts = tensor.name.removesuffix(".weight").split(".")
        if parts[0] == "blk":
            name = f"model.layers.{parts[1]}.{IN_LAYER[parts[2]]}.weight"
            if parts[2] in ("attn_q", "attn_k"):
                values = unpaired(values, heads if parts[2] == "attn_q" else kv_heads)
        else:
            name = WHOLE[parts[0]] + ".weight"
        state[name] = torch.from_numpy(numpy.ascontiguousarray(values))
    vocab, width = state["model.embed_tokens.weight"].shape
    tied = "lm_head.weight" not in state
    config = transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=width, intermediate_size=number("feed_forward_length"),
        num_hidden_layers=number("block_count"), num_attention_heads=heads,
        num_key_value_heads=kv_heads, max_position_embeddings=number("context_length"),
        rms_norm_eps=number("attention.layer_norm_rms_epsilon"),
        rope_theta=float(number("rope.freq_base", 10000.0)), tie_word_embeddings=tied)
    network = transformers.LlamaForCausalLM(config)
    missing, unknown = network.load_state_dict(state, strict=False)
    if unknown or [name for name in missing if not (tied and name == "lm_head.weight")]:
        raise SystemExit(f"missing {missing}, unknown {unknown}")
    network.save_pretrained(out)
    # In a folder without config.json: beside one of type llama, AutoTokenizer takes Llama's own
    # way of splitting text whatever tokenizer.json says.
    tokenizer_of(reader).save_pretrained(pathlib.Path(out) / "tokenizer")


if __name__ == "__main__":
    convert(*sys.argv[1:3])
