#!/usr/bin/env python3
"""Makes the golden files of src/artifact's tests with the format's own packages (gguf, safetensors).

    python make.py     writes small.gguf, small.safetensors and expected.txt beside itself
"""

import pathlib

import gguf
import numpy
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent


def values(rows, columns):
    """Numbers that every machine makes alike, of many magnitudes."""
    index = numpy.arange(rows * columns, dtype=numpy.float64)
    wave = numpy.sin(index * 0.7310585) * numpy.exp2((index % 7) - 4)
    return wave.astype(numpy.float32).reshape(rows, columns)


def write_gguf():
    writer = gguf.GGUFWriter(str(HERE / "small.gguf"), "llama")
    writer.add_uint32("llama.block_count", 30)
    writer.add_float32("llama.rope.freq_base", 100000.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_array("tokenizer.ggml.tokens", ["a", "Ġb", "<|x|>"])
    writer.add_array("tokenizer.ggml.token_type", [1, 1, 3])
    writer.add_uint64("test.large", 2**63 - 1)
    writer.add_int8("test.negative", -5)
    types = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]
    lines = []
    for number, kind in enumerate(types):
        quant = gguf.GGMLQuantizationType[kind]
        data = gguf.quantize(values(3 + number, 64), quant)
        writer.add_tensor(f"t.{kind}", data, raw_dtype=quant)
        back = gguf.dequantize(data, quant).astype(numpy.float32).reshape(-1)
        lines.append(f"t.{kind} {len(back)} " + " ".join(x.hex() for x in back.tolist()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (HERE / "expected.txt").write_text("\n".join(lines) + "\n")


def write_safetensors():
    tensors = {"half": values(3, 8).astype(numpy.float16), "matrix": values(4, 6),
               "scalar": numpy.array(2.5, numpy.float32), "empty": numpy.zeros((0, 5), numpy.float32),
               "counts": numpy.arange(4, dtype=numpy.int64)}
    save_file(tensors, HERE / "small.safetensors", metadata={"format": "np"})


write_gguf()
write_safetensors()
