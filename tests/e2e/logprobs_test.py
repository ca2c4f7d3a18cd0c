#!/usr/bin/env python3
"""A teacher's log-probabilities over HTTP into the sealed file: as many bytes as promised, the
values that `retort score` gives, and damage that the next stage finds. Reads the files after
docs/reference/logprobs.md, with no code of the program's."""

import json
import math
import sqlite3
import struct

import harness
from served import Served

INPUT, UPSTREAM = 4, 5
TOP = 20
END_OF_TURN = (b"<|im_end|>", 2)
MODEL = "SmolLM2-135M-Instruct"  # as its terms name it
BOUND = 1 / 4096 + 1e-4  # of the stored values, and of fp32 products in another order
TEXTS = ["Write one short sentence about the sea.", "Name three colours.",
         "What is 12 plus 30?", "Say a word that begins with ü."]


def read_file(data):
    """Key (8 bytes) -> list of (entries, chosen, tail), entries being (bytes, value)."""
    assert data[:8] == b"RTLOGPRB"
    version, strings, string_bytes, records, tokens, block_bytes = struct.unpack_from(
        "<IIIIQQ", data, 8)
    assert version == 1
    at = 40 + strings
    dictionary = []
    for size in data[40:at]:
        dictionary.append(data[at:at + size])
        at += size
    assert at == 40 + strings + string_bytes and len(set(dictionary)) == strings
    blocks = at + 20 * records
    assert len(data) == blocks + block_bytes
    out, seen = {}, 0
    for record in range(records):
        key = data[at + 20 * record:at + 20 * record + 8]
        begin, count = struct.unpack_from("<QI", data, at + 20 * record + 8)
        place, out[key] = blocks + begin, []
        for _ in range(count):
            token, place = read_token(data, place, dictionary)
            out[key].append(token)
        seen += count
    assert seen == tokens and place == len(data)
    return out


def value(code):
    return None if code == 65535 else -code / 2048


def read_token(data, at, dictionary):
    n, chosen, tail = struct.unpack_from("<BBH", data, at)
    codes = struct.unpack_from(f"<{2 * n}H", data, at + 4)
    upper = data[at + 4 + 4 * n:at + 4 + 4 * n + (n + 3) // 4]
    entries = [(dictionary[codes[n + i] | (upper[i // 4] >> (2 * (i % 4)) & 3) << 16],
                value(codes[i])) for i in range(n)]
    tail = 0 if tail == 65535 else math.exp(value(tail))
    return (entries, chosen, tail), at + 4 + 4 * n + (n + 3) // 4


@harness.unittest.skipUnless(harness.TEACHER.exists(), "the teacher file is not there")
class LogprobsTest(harness.Run):
    def collect(self, url, code=0, **more):
        (self.folder / "prompts.jsonl").write_text(
            "".join(json.dumps({"prompt": text}) + "\n" for text in TEXTS))
        text = harness.RUN_FILE.format(
            url=url, root=harness.ROOT, count=0, train="", more="",
            terms=harness.ROOT / "terms/smollm2-apache.toml",
            collect=f"prompts = \"prompts.jsonl\"\ntop_logprobs = {TOP}")
        text = "".join(line + "\n" for line in text.splitlines()
                       if not line.startswith(("template", "words", "count")))
        text = text.replace('"fake"', f'"{MODEL}"')
        for key, wanted in more.items():
            text = text.replace("[curate]", f"{key} = {wanted}\n[curate]")
        (self.folder / "run.toml").write_text(text)
        return self.retort("collect", "run.toml", code=code)

    def serve(self, *arguments):
        server = Served(self.folder, "--model-id", MODEL, *arguments)
        self.addCleanup(server.log.close)
        self.addCleanup(server.process.wait)
        self.addCleanup(server.process.kill)
        return server

    def answers(self):
        """Record JSONs by the first 8 bytes of their keys, from the database."""
        with sqlite3.connect(self.folder / "out/corpus.db") as database:
            records = [json.loads(text) for (text,) in
                       database.execute("SELECT record FROM answers ORDER BY job")]
        return {bytes.fromhex(r["retort"]["key"])[:8]: r for r in records}

    def sealed(self):
        (path,) = (self.folder / "out/shards").glob("*.logprobs")
        return path

    def ids_of(self, server, pieces):
        """One a piece; parts of a character are asked for together."""
        out, text, parts = [], b"", 0
        for piece in pieces:
            text, parts = text + piece, parts + 1
            try:
                whole = text.decode()
            except UnicodeDecodeError:
                continue
            ids = server.ask("POST", "/tokenize", {"prompt": whole}).json()["tokens"]
            self.assertEqual(len(ids), parts, text)
            out, text, parts = out + ids, b"", 0
        self.assertEqual(text, b"")
        return out

    def texts_of(self, server, ids):
        return {one: server.ask("POST", "/detokenize", {"tokens": [one]}).json()["prompt"].encode()
                for one in ids}

    def test_stored_values_are_those_of_scoring(self):
        server = self.serve("--exact")
        self.collect(f"http://127.0.0.1:{server.port}/v1", temperature=1, sampling_seed=5)
        stored, answers = read_file(self.sealed().read_bytes()), self.answers()
        self.assertEqual(set(stored), set(answers))
        lines, wanted, stopped = [], [], 0
        for key, tokens in stored.items():
            record = answers[key]
            pieces = [entries[chosen][0] for entries, chosen, _ in tokens]
            ends = record["retort"]["finish_reason"] == "stop"
            self.assertEqual(ends, pieces[-1] == END_OF_TURN[0])
            pieces = pieces[:-1] if ends else pieces
            self.assertEqual(b"".join(pieces).decode(), record["messages"][-1]["content"])
            self.assertEqual(record["retort"]["sampling"]["top_logprobs"], TOP)
            self.assertEqual(record["retort"]["logprob_tokens"], len(tokens))
            prompt = server.ask("POST", "/tokenize", {
                "model": MODEL, "messages": record["messages"][:-1]}).json()["tokens"]
            ids = self.ids_of(server, pieces) + ([END_OF_TURN[1]] if ends else [])
            stopped += ends
            lines.append(json.dumps({"tokens": prompt + ids}))
            wanted.append((len(prompt), tokens))
        (self.folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
        scores = [json.loads(line) for line in self.retort(
            "score", harness.TEACHER, "texts.jsonl", "--exact", "--top", TOP).stdout.splitlines()]
        spelt = self.texts_of(server, {one for score in scores for top in score["top_logprobs"]
                                       for one, _ in top})
        worst = compared = 0
        for (first, tokens), score in zip(wanted, scores):
            # A score leaves out the first token, which has no context.
            for (entries, chosen, tail), logprob, top in zip(
                    tokens, score["token_logprobs"][first - 1:], score["top_logprobs"][first - 1:]):
                worst = max(worst, abs(entries[chosen][1] - logprob))
                alternatives = dict(entries)
                for one, other in top:
                    # Special tokens have no text here; two parts of characters may look alike.
                    if spelt[one] in alternatives and b"\xef\xbf\xbd" not in spelt[one]:
                        worst = max(worst, abs(alternatives[spelt[one]] - other))
                        compared += 1
                mass = sum(math.exp(v) for _, v in entries)
                self.assertAlmostEqual(mass + tail, 1, delta=1e-3)
        self.assertLess(worst, BOUND)
        self.assertGreater(stopped, 0)
        count = sum(len(tokens) for _, tokens in wanted)
        self.assertGreater(compared, count * (TOP - 3))
        print(f"{count} tokens, {compared} alternatives, worst {worst:.6f} nat, "
              f"{self.sealed().stat().st_size} bytes")

    def test_a_whole_run_and_damage_on_its_way(self):
        server = self.serve()
        said = self.collect(f"http://127.0.0.1:{server.port}/v1", samples=6,
                            repetition_penalty=1.15).stderr
        self.assertIn("nothing in an answer tells", said)
        self.retort("curate", "run.toml")
        sealed, curated = read_file(self.sealed().read_bytes()), {}
        for path in (self.folder / "out/curated").rglob("*.logprobs"):
            curated.update(read_file(path.read_bytes()))
        self.assertGreater(len(curated), 4)
        kept = [tokens for tokens in curated.values()]
        for tokens in kept:
            self.assertIn(tokens, list(sealed.values()))

        path = next((self.folder / "out/curated").rglob("*.logprobs"))
        good = path.read_bytes()
        for bad, sentence in ((good[:-1], "were changed"),
                              (good[:50] + bytes([good[50] ^ 1]) + good[51:], "were changed"),
                              (None, "are missing")):
            path.unlink()
            if bad is not None:
                path.write_bytes(bad)
            done = self.retort("train", "run.toml", code=INPUT)
            self.assertIn(f"log-probabilities {sentence}", done.stderr)
            self.assertIn(path.name, done.stderr)
        path.write_bytes(good)

    def test_a_teacher_of_fewer_alternatives_is_told_at_once(self):
        server = self.serve("--max-logprobs", "5")
        done = self.collect(f"http://127.0.0.1:{server.port}/v1", code=UPSTREAM)
        self.assertIn("the teacher refuses top_logprobs = 20", done.stderr)


if __name__ == "__main__":
    harness.main()
