#!/usr/bin/env python3
"""lm-evaluation-harness scores the same through `retort serve` as through transformers.

    lm_eval_scores.py BASE_URL KEY MODEL.gguf QUESTIONS_APART

Multiple choice over facts that a small model half knows: a server that ignores `echo`, or scores
the wrong tokens, answers at chance. With products in fp32 the accuracies are equal; in bf16 a
question whose choices lie nearer than the rounding may fall to the other side.
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

try:
    import lm_eval
    import lm_eval.tasks
except ImportError:
    print("skipped: lm-eval is not installed")
    sys.exit(77)

import hf_from_gguf

CAPITALS = dict(zip(
    "France Germany Italy Spain Portugal Greece Poland Austria Hungary Sweden Norway Finland "
    "Denmark Ireland Russia Japan China India Egypt Kenya Cuba Peru Chile Canada".split(),
    "Paris Berlin Rome Madrid Lisbon Athens Warsaw Vienna Budapest Stockholm Oslo Helsinki "
    "Copenhagen Dublin Moscow Tokyo Beijing Delhi Cairo Nairobi Havana Lima Santiago Ottawa"
    .split()))
OPPOSITES = dict(zip(
    "hot big fast up open young hard rich day happy light early strong wet full left".split(),
    "cold small slow down closed old soft poor night sad dark late weak dry empty right".split()))
KINDS = {"carrot": "vegetable", "dog": "animal", "rose": "flower", "hammer": "tool",
         "violin": "instrument", "eagle": "bird", "salmon": "fish", "apple": "fruit",
         "oak": "tree", "blue": "colour", "shirt": "garment", "chair": "piece of furniture"}
SUMS = {f"{a} plus {b}": str(a + b)
        for a, b in zip(range(3, 27), (5, 8, 2, 9, 7, 4) * 4)}
TASK = """
task: facts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: " "
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
"""


def questions():
    for words, pattern in ((CAPITALS, "The capital of {} is"),
                           (OPPOSITES, "The opposite of {} is"), (KINDS, "A {} is a kind of"),
                           (SUMS, "{} is equal to")):
        keys, values = list(words), list(words.values())
        for i, key in enumerate(keys):
            choices = [values[(i + step) % len(values)] for step in (0, 1, 3, 7)]
            turn = i % 4
            yield {"question": pattern.format(key), "choices": choices[turn:] + choices[:turn],
                   "answer": (4 - turn) % 4}


def run(model, arguments, folder):
    manager = lm_eval.tasks.TaskManager(include_path=str(folder), include_defaults=False)
    done = lm_eval.simple_evaluate(model=model, model_args=arguments, tasks=["facts"],
                                   task_manager=manager, bootstrap_iters=0, log_samples=True,
                                   batch_size=8)
    samples = sorted(done["samples"]["facts"], key=lambda sample: sample["doc_id"])
    scores = [[float(pair[0]) for pair in sample["filtered_resps"]] for sample in samples]
    result = done["results"]["facts"]
    return result["acc,none"], result["acc_norm,none"], scores


def compare(url, key, gguf, folder, questions_apart):
    hf_from_gguf.convert(gguf, folder / "hf")
    os.environ["OPENAI_API_KEY"] = key
    served = run("local-completions", {
        "model": "served", "base_url": url + "/completions",
        "tokenizer": str(folder / "hf/tokenizer"),
        "tokenizer_backend": "huggingface", "num_concurrent": 8, "max_length": 2048,
        "tokenized_requests": True}, folder)
    local = run("hf", {"pretrained": str(folder / "hf"), "dtype": "float32", "device": "cpu",
                       "tokenizer": str(folder / "hf/tokenizer")}, folder)
    apart = max(abs(a - b) for one, other in zip(served[2], local[2])
                for a, b in zip(one, other))
    print(json.dumps({"questions": len(local[2]), "served_acc": served[0], "hf_acc": local[0],
                      "served_acc_norm": served[1], "hf_acc_norm": local[1],
                      "largest_difference_nats": round(apart, 4)}))
    allowed = questions_apart / len(local[2]) + 1e-9
    return (len(served[2]) == len(local[2]) and local[0] > 0.6 and apart < 0.5
            and all(abs(one - other) <= allowed for one, other in zip(served[:2], local[:2])))


def main():
    url, key, gguf, questions_apart = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with open(folder / "facts.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(question) + "\n" for question in questions())
        (folder / "facts.yaml").write_text(TASK.format(data=folder / "facts.jsonl"))
        (folder / "hf").mkdir()
        return 0 if compare(url, key, gguf, folder, int(questions_apart)) else 1


if __name__ == "__main__":
    sys.exit(main())
