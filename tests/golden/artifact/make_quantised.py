#!/usr/bin/env python3
"""Makes quantised.gguf: blocks of random bits of every quantised type that retort reads, t.TYPE, and
the numbers that the gguf package makes of them, n.TYPE. Run it with a Python that has gguf:

    python tests/golden/artifact/make_quantised.py
"""

import pathlib

import gguf
import numpy

HERE = pathlib.Path(__file__).parent
# Where a block keeps its binary16 numbers: their bits are not all numbers, so they are made apart.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0],
          "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def main():
    writer = gguf.GGUFWriter(str(HERE / "quantised.gguf"), "llama")
    random = numpy.random.default_rng(7)
    for name, places in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = 512 // block
        data = random.integers(0, 256, (blocks, size), dtype=numpy.uint8)
        for place in places:
            numbers = random.normal(0, 0.02, blocks).astype(numpy.float16)
            data[:, place:place + 2] = numbers.view(numpy.uint8).reshape(blocks, 2)
        data = data.reshape(2, -1)
        writer.add_tensor(f"t.{name}", data, raw_dtype=kind)
        writer.add_tensor(f"n.{name}", gguf.dequantize(data, kind).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
