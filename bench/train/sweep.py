#!/usr/bin/env python3
"""What training costs against parameters, context and batch: both sides of the claim `train_step`
at points that differ in one of them, as three tables.

    sweep.py PROGRAM PYTHON [seconds a point]

Each point is a process of its own, so that its peak memory is its own. Exits with 1 when a side
fails, as where its loss is not the other's.
"""

import json
import os
import pathlib
import subprocess
import sys

PEER = pathlib.Path(__file__).resolve().parents[1] / "train_step/torch_peer.py"
# SHAPE@CONTEXTxDOCUMENTS
TABLES = {
    "parameters, 4,096 tokens of 256": ["4x128@256x16", "8x256@256x16", "8x512@256x16",
                                        "12x768@256x16", "smollm2@256x16"],
    "context, 8,192 tokens, 7.3 M parameters": [f"8x256@{context}x{8192 // context}" for context
                                                in (128, 256, 512, 1024, 2048, 4096, 8192)],
    "batch of documents of 256, 7.3 M parameters": [f"8x256@256x{documents}" for documents
                                                    in (1, 4, 16, 64)],
}


def run(command, shared):
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**os.environ, "RETORT_BENCH_SHARED": str(shared)})
    if done.returncode != 0:
        print(done.stderr[-600:], file=sys.stderr)
        return None
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    print(line, flush=True)
    return json.loads(line)


def row(point, ours, theirs):
    cells = [point, f"{ours['trained_parameters'] / 1e6:.1f} M", f"{ours['tokens_per_second']:,}",
             f"{ours['share']:.2f}", f"{ours['peak_memory_mib']:,}"]
    if theirs is None:
        return cells + ["-", "-", "-"]
    return cells + [f"{theirs['tokens_per_second']:,}", f"{theirs['peak_memory_mib']:,}",
                    f"{ours['tokens_per_second'] / theirs['tokens_per_second']:.1f}"]


def main():
    program, python = sys.argv[1:3]
    seconds = sys.argv[3] if len(sys.argv) > 3 else "3"
    shared = pathlib.Path(os.environ["RETORT_BENCH_SHARED"])
    failed, tables = False, []
    for title, points in TABLES.items():
        lines = [f"\n{title}\n",
                 "| point | parameters | tok/s | share of limit | peak MiB | PyTorch eager tok/s | "
                 "peak MiB | times |", "|" + "---|" * 8]
        for point in points:
            ours = run([program, point, "automatic", seconds], shared)
            theirs = run([python, str(PEER), point, seconds, "eager"], shared) if ours else None
            failed = failed or theirs is None
            if ours:
                lines.append("| " + " | ".join(row(point, ours, theirs)) + " |")
            (shared / f"{point}.safetensors").unlink(missing_ok=True)
        tables += lines
    print("\n".join(tables))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
