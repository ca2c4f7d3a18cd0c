#!/usr/bin/env python3
"""What it costs to learn each set of terms in an adapter of its own: the same records, epochs and
batches once as one adapter a set (the student has each at its share of the records), once as one
adapter of everything, and the base that both stand beside. Texts of this repository: the base
learns the comments within sources, then sentences of the docs come under one licence and the
contracts atop of headers under another. A tenth of each is kept out of all runs, and scored under
every student.

    compare.py RETORT [FOLDER]
"""

import hashlib
import http.server
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
EPOCHS, BATCH, RANK = 6, 2048, 16

RUN = """
out = "{out}"
{teacher}
[purpose]
actions = ["store", "train.generative", "evaluate"]
model_id = "student"
distributed = false
commercial = false
[collect]
max_tokens = 400
{imports}
[curate]
held_out = 0.05
[tokenizer]
vocab_size = 1024
[student]
{student}
[train]
epochs = {epochs}
batch_tokens = {batch}
seed = 1
{train}
[evaluate]
samples = 0
prompts = 0
[export]
formats = ["safetensors"]
"""


def sentences(text):
    for sentence in re.split(r"(?<=[.:]) (?=[A-Z])", " ".join(text.split())):
        if 40 <= len(sentence) <= 400 and sentence.count(" ") >= 5:
            yield sentence


def prose(paths):
    """Sentences of paragraphs that are no tables, lists or code."""
    for path in paths:
        for text in re.split(r"\n\s*\n", path.read_text()):
            if text[:1].isalpha():
                yield from sentences(text)


def comments(paths, at_top):
    """Sentences of the comment atop of each file, or of all others."""
    for path in paths:
        blocks, top = [[]], True
        for line in path.read_text().splitlines():
            said = line.strip()
            if said.startswith("//") and top == at_top:
                blocks[-1].append(said[2:].strip())
            else:
                blocks.append([])
            top = top and said.startswith("//")
        for block in blocks:
            yield from sentences(" ".join(block))


def conversations(texts):
    """A question with the first three words, the rest as the answer; each once."""
    out = {}
    for text in texts:
        words = text.split(" ")
        out[f"Go on: {' '.join(words[:3])}"] = " ".join(words[3:])
    return [{"messages": [{"role": "user", "content": asked},
                          {"role": "assistant", "content": answer}]}
            for asked, answer in sorted(out.items())]


def is_test(conversation):
    asked = conversation["messages"][0]["content"]
    return int(hashlib.sha256(asked.encode()).hexdigest(), 16) % 10 == 0


class House:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.tests = {}

    def retort(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], cwd=self.folder, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, arguments))}: {done.stderr[-2000:]}")
        return done

    def texts(self, name, conversations_of_it):
        tests = [one for one in conversations_of_it if is_test(one)]
        rest = [one for one in conversations_of_it if not is_test(one)]
        (self.folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(one) + "\n" for one in rest))
        self.tests[name] = tests
        print(f"{name}: {len(rest)} to learn from, {len(tests)} kept out")

    def terms(self, name, series, shipped):
        text = (ROOT / "terms" / shipped).read_text()
        text = re.sub(r'series = "[^"]*"', f'series = "{series}"', text)
        text = text.replace('object = "texts"', 'object = "any"')
        (self.folder / name).write_text(text.replace("retort maintainers", "the bench"))

    def train(self, out, imports, student, train="", teacher=""):
        (self.folder / f"{out}.toml").write_text(RUN.format(
            out=out, teacher=teacher, imports=imports, student=student, train=train, epochs=EPOCHS,
            batch=BATCH))
        began = time.monotonic()
        for stage in ("collect", "curate", "train", "export"):
            self.retort(stage, f"{out}.toml")
        counts = json.loads((self.folder / out / "summary/train.json").read_text())["counts"]
        print(f"{out}: {counts['steps']} steps, {counts['records']} records, "
              f"{time.monotonic() - began:.0f} s")
        return self.folder / out / "student"


class Teacher(http.server.ThreadingHTTPServer):
    """A door that gives what the texts go on with: so they come under terms of their own."""

    def __init__(self, conversations_of_it):
        self.answers = {one["messages"][0]["content"]: one["messages"][1]["content"]
                        for one in conversations_of_it}
        super().__init__(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.answers[asked["messages"][-1]["content"]]
        body = json.dumps({
            "id": "1", "object": "chat.completion", "created": 1, "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": len(text) // 3 + 1,
                      "total_tokens": len(text) // 3 + 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server:
    """For ids as the chat format has them; every student has the base's tokenizer."""

    def __init__(self, house, model):
        port = house.folder / "port"
        self.process = subprocess.Popen(
            [house.program, "serve", "--model", str(model), "--model-id", "base", "--port", "0",
             "--port-file", str(port)], cwd=house.folder, stderr=subprocess.DEVNULL)
        while not port.exists() or not port.read_text():
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.05)
        self.url = f"http://127.0.0.1:{port.read_text().strip()}/tokenize"

    def ids(self, **what):
        request = urllib.request.Request(self.url, json.dumps(what).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def close(self):
        self.process.terminate()
        self.process.wait()


def score_lines(house, base):
    """Each kept-out conversation as ids, and how many of them are the prompt's."""
    server = Server(house, base)
    lines, prompts = [], {}
    for name, tests in house.tests.items():
        for i, one in enumerate(tests):
            asked = server.ids(model="base", messages=one["messages"][:1])
            answer = server.ids(prompt=one["messages"][1]["content"])
            key = f"{name}/{i}"
            prompts[key] = len(asked)
            lines.append(json.dumps({"id": key, "tokens": asked + answer}))
    server.close()
    (house.folder / "tests.jsonl").write_text("\n".join(lines) + "\n")
    return prompts


def losses(house, model, prompts):
    """Nats a token of the answers, for each source and for all."""
    sums = {}
    for line in house.retort("score", model, "tests.jsonl", "--exact").stdout.splitlines():
        scored = json.loads(line)
        first = prompts[scored["id"]] - 1  # the first token of a text has no context
        found = scored["token_logprobs"][first:]
        for name in (scored["id"].split("/")[0], "all"):
            nats, tokens = sums.get(name, (0, 0))
            sums[name] = (nats - math.fsum(found), tokens + len(found))
    return {name: nats / tokens for name, (nats, tokens) in sums.items()}


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp("-apart"))
    house = House(program, folder.resolve())
    house.folder.mkdir(parents=True, exist_ok=True)
    house.terms("base-texts.toml", "bench-base", "own-work.toml")
    house.terms("docs.toml", "bench-docs", "own-work.toml")
    house.terms("contracts.toml", "bench-contracts", "own-work.toml")
    house.terms("weights.toml", "bench-weights", "apache-2.0-weights.toml")
    sources = sorted((ROOT / "src").rglob("*.cc"))
    house.texts("base", conversations(comments(sources, at_top=False)))
    house.texts("docs", conversations(prose(sorted((ROOT / "docs").rglob("*.md")))))
    headers = sorted((ROOT / "src").rglob("*.h"))
    house.texts("contracts", conversations(comments(headers, at_top=True)))
    del house.tests["base"]
    base = house.train("first", 'import = "base.jsonl"\nimport_terms = ["base-texts.toml"]',
                       "layers = 4\nwidth = 128", "lr = 2e-3")
    base = base.rename(house.folder / "base")
    adapter = f"lora_rank = {RANK}\nlr = 3e-3\n"
    start = 'from = "base"\nterms = ["weights.toml"]\nbase_model = "base"'
    learnt = [json.loads(line) for line in
              (house.folder / "docs.jsonl").read_text().splitlines()]
    (house.folder / "prompts.jsonl").write_text("".join(
        json.dumps({"messages": one["messages"][:1]}) + "\n" for one in learnt))
    door = Teacher(learnt)
    teacher = (f'[teacher]\nbase_url = "http://127.0.0.1:{door.server_port}/v1"\n'
               'model = "docs"\nterms = ["docs.toml"]')
    both = ('prompts = "prompts.jsonl"\nprompt_terms = ["docs.toml"]\n'
            'import = "contracts.jsonl"\nimport_terms = ["contracts.toml"]')
    students = {"base": base,
                "one adapter a set": house.train("apart", both, start,
                                                 adapter + 'isolate_by = "terms"', teacher),
                "one adapter": house.train("one", both, start, adapter, teacher)}
    prompts = score_lines(house, base)
    print("nats a token of what was kept out:")
    for name, model in students.items():
        found = losses(house, model, prompts)
        print(f"  {name:18} " + ", ".join(f"{of} {value:.3f}" for of, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
