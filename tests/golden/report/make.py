#!/usr/bin/env python3
"""Writes the run folder beside this file: invented figures in the shape a full run has.

    tests/golden/report/make.py
"""

import hashlib
import json
import math
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent / "run"
START_MS = 1_790_000_000_000


def digest(name):
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def write(name, value):
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1) + "\n")


def summary(stage, seconds, counts, notes=()):
    write(f"summary/{stage}.json", {
        "schema": "retort.summary/1", "stage": stage, "fingerprint": digest(stage),
        "inputs": {"options": digest(stage + " options")},
        "outputs": {stage: digest(stage + " out")}, "counts": counts, "seconds": seconds,
        "started_ms": START_MS, "finished_ms": START_MS + int(seconds * 1000),
        "notes": list(notes)})


def stages():
    summary("serve", 1.4, {"context_length": 2048, "parameters": 134515008})
    summary("collect", 311.2, {
        "planned": 6000, "done": 6000, "requests": 6004, "retries": 3, "resent": 1, "failed": 0,
        "prompt_tokens": 246210, "completion_tokens": 312044, "cost_microusd": 0,
        "finish.stop": 5921, "finish.length": 79})
    summary("curate", 2.1, {"in": 6000, "train": 5412, "held_out": 277})
    summary("tokenizer", 0.9, {"vocabulary": 4096, "merges": 3837, "bytes": 1250332})
    summary("train", 402.7, {"steps": 450, "tokens": 1880412, "parameters": 7341568})
    summary("evaluate", 31.6, {"prompts": 277, "student_tokens": 15980})
    summary("export", 4.4, {"files": 9, "bytes": 58793984, "gate.tokens": 64},
            ["Both files were opened again and give the trainer's logits."])


def permission():
    write("summary/permission.json", {
        "schema": "retort.permission/1",
        "purpose": {"actions": ["store", "train.generative", "evaluate"],
                    "model_id": "stories-7m", "distributed": False, "commercial": False},
        "terms": [
            {"id": digest("apache"), "series": "smollm2.apache", "version": "2024-11-01",
             "basis": "silent", "source_url": "huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
             "reader": "A. Reader, owner of the run", "records": 6000, "clauses": [
                 {"effect": "permit", "action": "train.generative",
                  "text": "a perpetual, worldwide, non-exclusive, no-charge, royalty-free, "
                          "irrevocable copyright license"},
                 {"effect": "permit", "action": "evaluate", "text": ""}]},
            {"id": digest("own"), "series": "own-work", "version": "2026-01-01",
             "basis": "express", "source_url": "", "reader": "A. Reader, owner of the run",
             "records": 6000, "clauses": [
                 {"effect": "permit", "action": "train.generative",
                  "text": "The author of the prompts trains on them."}]}],
        "verdict": "permit",
        "checks": [
            {"path": "tokenizer trainer", "action": "train.generative", "verdict": "permit",
             "records": 5412, "leaf": 6001},
            {"path": "optimizer", "action": "train.generative", "verdict": "permit",
             "records": 5412, "leaf": 6002},
            {"path": "benchmark", "action": "evaluate", "verdict": "permit", "records": 277,
             "leaf": 6003}],
        "ledger": {"origin": "stories.example/ledger", "size": 6004,
                   "root": hashlib.sha256(b"root").hexdigest()}})


def funnel():
    drops = [
        ("empty", 4, "", "The answer holds nothing but white space."),
        ("truncated", 79, "The boat sailed under the moon, and the", "It ended at max_tokens."),
        ("refused", 11, "I'm sorry, but I can't write about that.", "It declines to answer."),
        ("repetitive", 38, "The fox ran and ran and ran and ran and ran and ran.",
         "One phrase fills more than a third of it."),
        ("exact duplicate", 21, "Once there was a lamp.", "The same answer stands earlier."),
        ("near duplicate", 158, "Once upon a time there was a small lamp in a big tower.",
         "More than 80 % of its word triples stand in an earlier answer, the things masked.")]
    steps, left = [], 6000
    for name, dropped, example, why in drops:
        steps.append({"name": name, "in": left, "out": left - dropped, "dropped": dropped,
                      "example": example, "why": why})
        left -= dropped
    write("curated/funnel.json", {"steps": steps, "train": 5412, "held_out": left - 5412})


def metrics():
    draw = random.Random(1)
    lines = []
    for step in range(5, 451, 5):
        loss = 2.05 + 6.2 * math.exp(-step / 55) + draw.gauss(0, 0.05)
        rate = 7400 + draw.gauss(0, 120) - (900 if step < 10 else 0)
        lines.append({"step": step, "epoch": round(step / 75, 2), "loss": round(loss, 4),
                      "lr": round(1e-3 * (1 + math.cos(math.pi * step / 450)) / 2, 7),
                      "grad_norm": round(0.4 + 2 * math.exp(-step / 40), 3),
                      "tokens": step * 4096, "tokens_per_second": round(rate, 1),
                      "seconds": round(step * 0.89, 2)})
        if step % 50 == 0:
            lines.append({"step": step, "held_out_tokens": 15980,
                          "held_out_loss": round(2.17 + 6.1 * math.exp(-step / 56), 4)})
    write("train/metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def evaluation():
    write("evaluate/results.json", {
        "schema": "retort.evaluation/1",
        "held_out": {"records": 280, "prompts": 277, "bytes": 63120},
        "bits_per_byte": {"student": {"value": 0.871, "low": 0.852, "high": 0.891},
                          "ngram": {"value": 1.094, "low": 1.071, "high": 1.118},
                          "difference": {"value": -0.223, "low": -0.236, "high": -0.209}},
        "named": {"teacher": {"value": 0.964, "low": 0.939, "high": 0.982, "n": 277},
                  "student": {"value": 0.881, "low": 0.841, "high": 0.917, "n": 277}},
        "readability": {"teacher": {"words_per_sentence": 21.4, "distinct_words": 0.71,
                                    "repeated_trigrams": 0.013},
                        "student": {"words_per_sentence": 20.2, "distinct_words": 0.69,
                                    "repeated_trigrams": 0.021}},
        "notes": ["The student names fewer of the things asked for than the teacher.",
                  "Intervals are bootstrapped over prompts, 2,000 draws."]})
    samples = [
        ("Write a two-sentence story about a boat and a moon.",
         "The little boat drifted on the silver lake while the moon climbed over the hills. By "
         "morning the fishermen found it asleep in the reeds, still smelling of night.",
         "The boat sailed across the bay under the full moon and the sailor sang. He was happy to "
         "see the moon in the water.", {"noun1": "boat", "noun2": "moon"}),
        ("Write a two-sentence story about a lantern.",
         "An old lantern hung by the door and kept its light for whoever came late. One winter "
         "nobody came, and it burned all the same.",
         "The lantern was in the old house, and the girl found the lantern in the dark. She took "
         "it home and it was warm.", {"noun": "lantern"}),
        ("Write a two-sentence story about a fox and a clock.",
         "The fox could not read the clock, but it knew the hour when the hens fell asleep. The "
         "farmer's clock, alas, ran ten minutes fast.",
         "A fox lived near the tower where a big bell rang. Every night he heard it and ran into "
         "the forest.", {"noun1": "fox", "noun2": "clock"})]
    write("evaluate/samples.jsonl", "".join(
        json.dumps({"prompt": p, "teacher": t, "student": s, "slots": slots}) + "\n"
        for p, t, s, slots in samples))


def main():
    stages()
    permission()
    funnel()
    metrics()
    evaluation()
    write("summary/machine.json", {
        "cpu": "AMD EPYC 9B45", "memory_bytes": 8_330_000_000, "threads": 2,
        "program": "retort 0.1.0", "commit": "581c003", "peak_memory_bytes": 1_940_000_000,
        "command": "retort run examples/quickstart.toml", "energy_joules": None})
    write("run.toml", 'out = "runs/stories"\n\n[teacher]\n'
          'serve = "models/SmolLM2-135M-Instruct.Q4_1.gguf"\nmodel = "SmolLM2-135M-Instruct"\n\n'
          '[purpose]\nactions = ["store", "train.generative", "evaluate"]\n'
          'model_id = "stories-7m"\n\n[train]\nepochs = 6\nlr = 1e-3\nseed = 1\n')


if __name__ == "__main__":
    main()
