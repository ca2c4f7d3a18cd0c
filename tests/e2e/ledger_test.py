#!/usr/bin/env python3
"""One record's way into the log, checked without the program; and one record erased."""

import base64
import hashlib
import hmac
import json
import re
import shutil
import subprocess
import unittest

import ed25519
import harness

INPUT, GATE = 4, 8
OWN = 30
BY = ("--by", "the tester", "--reason", "asked by the person")


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def root_of(leaf, index, size, path):
    """RFC 9162, 2.1.3.2: from a leaf's hash up to the root; None when the path does not fit."""
    if index >= size:
        return None
    last, hash_ = size - 1, leaf
    for other in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            hash_ = hashlib.sha256(b"\1" + other + hash_).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            hash_ = hashlib.sha256(b"\1" + hash_ + other).digest()
        index, last = index >> 1, last >> 1
    return hash_ if last == 0 else None


def decoded(text):
    """Base64 in its one canonical spelling."""
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text, text
    return data


def take(lines, word):
    name, value = lines.pop(0).split(" ", 1)
    assert name == word, name
    return value


def take_hashes(lines):
    out = []
    while (line := lines.pop(0)) != "":
        out.append(decoded(line))
    return out


def oracle(text, verifier_key):
    """What a record's proof says, recomputed from the page docs/reference/ledger.md alone."""
    origin, _, key = verifier_key.strip().split("+", 2)
    key = base64.b64decode(key)[1:]
    lines = text.split("\n")
    assert lines.pop(0) == "retort.record-proof/1"
    leaf = decoded(take(lines, "leaf"))
    row, records = int(take(lines, "row")), int(take(lines, "records"))
    path = take_hashes(lines)
    assert lines.pop(0) == "c2sp.org/tlog-proof@v1"
    entry = decoded(take(lines, "extra"))
    index = int(take(lines, "index"))
    log_path = take_hashes(lines)
    note = "\n".join(lines)
    signed, signatures = note.split("\n\n", 1)
    name, size, root = signed.split("\n")
    assert name == origin
    mark, signer, signature = signatures.rstrip("\n").split(" ")
    assert (mark, signer) == ("\N{EM DASH}", origin)
    signature = decoded(signature)
    named = hashlib.sha256(origin.encode() + b"\n\1" + key).digest()
    assert signature[:4] == named[:4], "another key's"
    assert ed25519.verifies(key, (signed + "\n").encode(), signature[4:])
    assert root_of(leaf_hash(entry), index, int(size), log_path) == base64.b64decode(root)
    shard = json.loads(entry)
    assert shard["kind"] == "shard" and shard["body"]["records"] == records
    assert root_of(leaf_hash(leaf), row, records, path).hex() == shard["body"]["root"]
    return leaf, shard


class LedgerTest(harness.Run):
    def setUp(self):
        super().setUp()
        own = [json.dumps({"messages": [
            {"role": "user", "content": f"Tell me of number {i} and of the sea."},
            {"role": "assistant", "content": f"Number {i} went to sea, {i} times {i} miles far, "
                                             f"and came home on day {i * 7}."}]})
            for i in range(OWN)]
        (self.folder / "own.jsonl").write_text("\n".join(own) + "\n")
        self.run_file("http://127.0.0.1:9", collect=f'import = "own.jsonl"\nimport_terms = '
                                                    f'["{harness.ROOT}/terms/own-work.toml"]')
        path = self.folder / "run.toml"
        text = re.sub(r"\[teacher\].*?\[purpose\]", "[purpose]", path.read_text(), flags=re.S)
        path.write_text(re.sub(r"^(template|words|count|prompt_terms).*\n", "", text, flags=re.M))
        self.retort("collect", "run.toml")
        self.retort("curate", "run.toml")

    def entries(self, kind):
        lines = self.retort("ledger", "show", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def shard(self, source="import"):
        return next(entry for entry in self.entries("shard")
                    if entry["body"]["source"] == source)["name"]

    def lines(self, folder):
        """The records of a folder of shards, decompressed by another program."""
        if shutil.which("zstdcat") is None:
            raise unittest.SkipTest("zstdcat is not installed")
        paths = sorted((self.folder / folder).glob("*.jsonl.zst"))
        done = subprocess.run(["zstdcat", *map(str, paths)], capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    def test_a_record_is_proven_by_a_file_alone(self):
        record = f"{self.shard()}:7"
        self.retort("ledger", "prove", "--record", record, "-o", "record.proof")
        text = (self.folder / "record.proof").read_text()
        key = (self.folder / "ledger/verifier.key").read_text()
        leaf, shard = oracle(text, key)
        self.assertEqual(shard["name"], self.shard())
        # Who has the record with its salt can confirm what the leaf stands for.
        try:
            content = json.loads(self.lines("out/shards")[7])
        except unittest.SkipTest:
            content = None
        if content is not None:
            salt = bytes.fromhex(content["retort"]["salt"])
            answer = content["messages"][-1]["content"].encode()
            asked = json.dumps([{"content": m["content"], "role": m["role"]}
                                for m in content["messages"][:-1]], separators=(",", ":"))
            self.assertEqual(leaf[2:34], hmac.digest(salt, asked.encode(), "sha256"))
            self.assertEqual(leaf[34:66], hmac.digest(salt, answer, "sha256"))

        alone = self.folder / "alone"
        alone.mkdir()
        shutil.move(self.folder / "record.proof", alone)
        shutil.move(self.folder / "ledger/verifier.key", alone)
        shutil.rmtree(self.folder / "out")
        shutil.rmtree(self.folder / "ledger")
        check = ("ledger", "check", "alone/record.proof", "--key", "alone/verifier.key")
        said = json.loads(self.retort(*check, "--json").stdout)
        self.assertEqual((said["kind"], said["shard"]), ("human", shard["name"]))
        bytes_ = (alone / "record.proof").read_bytes()
        for at in [*range(0, len(bytes_), 41), len(bytes_) - 1]:
            changed = bytearray(bytes_)
            changed[at] ^= 1
            (alone / "record.proof").write_bytes(changed)
            self.retort(*check, code=GATE)
            with self.assertRaises(Exception, msg=f"byte {at}"):
                oracle(changed.decode(), key)
        (alone / "record.proof").write_bytes(bytes_)
        self.retort(*check)
        other = key.split("+")
        other[2] = base64.b64encode(b"\1" + bytes(32)).decode()
        (alone / "verifier.key").write_text("+".join(other))
        self.assertNotEqual(self.retort(*check, code=None).returncode, 0)

    def test_entries_and_growth_are_proven_by_files(self):
        shutil.copy(self.folder / "ledger/checkpoint", self.folder / "kept")
        size = int((self.folder / "kept").read_text().split("\n")[1])
        self.retort("curate", "run.toml", "--curate.held_out", "0.3")
        self.retort("ledger", "prove", "--entry", "2", "--out", "entry.proof")
        self.retort("ledger", "prove", "--since", size, "--out", "growth.proof")
        key = ("--key", "ledger/verifier.key")
        self.assertIn('"kind"', self.retort("ledger", "check", "entry.proof", *key).stdout)
        self.assertIn(f"of {size} entries", self.retort(
            "ledger", "check", "growth.proof", *key, "--against", "kept").stdout)
        text = (self.folder / "kept").read_text().replace(f"\n{size}\n", f"\n{size - 1}\n")
        (self.folder / "kept").write_text(text)
        self.assertNotEqual(self.retort("ledger", "check", "growth.proof", *key, "--against",
                                        "kept", code=None).returncode, 0)

    @unittest.skipUnless(shutil.which("openssl"), "keys are made with openssl")
    def test_a_withdrawal_is_taken_back_by_its_holder(self):
        self.retort("run", "run.toml")
        for name in ("holder", "other"):
            for arguments in (("genpkey", "-algorithm", "EC", "-pkeyopt",
                               "ec_paramgen_curve:P-256", "-out", f"{name}.pem"),
                              ("pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub")):
                subprocess.run(["openssl", *arguments], cwd=self.folder, check=True,
                               capture_output=True)
        report = json.loads(self.retort("ledger", "withdraw", "--terms", "own-work", "--case",
                                        "account-ended", "--holder", "holder.pub", *BY,
                                        "--json").stdout)
        entry = str(report["withdrawal"])
        self.retort("export", "run.toml", code=GATE)
        said = self.retort("ledger", "take-back", entry, "--key", "other.pem", *BY, code=GATE)
        self.assertIn("not signed with the key", said.stderr)
        self.retort("ledger", "take-back", "the first", "--key", "holder.pem", *BY, code=2)
        self.retort("ledger", "take-back", entry, "--key", "other.pub", *BY, code=INPUT)
        self.retort("export", "run.toml", code=GATE)
        back = json.loads(self.retort("ledger", "take-back", entry, "--key", "holder.pem", *BY,
                                      "--json").stdout)
        self.assertEqual(sorted(back["cleared"]), sorted(report["frozen"]))
        self.assertEqual(back["barred"], [])
        self.retort("run", "run.toml")
        self.retort("ledger", "verify")

    def test_a_record_is_erased(self):
        self.retort("run", "run.toml")
        lines = self.lines("out/shards")
        curated = [json.loads(line) for line in self.lines("out/curated")]
        learnt, = [record for record in curated if record["retort"]["split"] == "train"][:1]
        secret = learnt["messages"][-1]["content"]
        row, = [at for at, line in enumerate(lines) if secret in line]
        place = f"{self.shard()}:{row}"
        # One that was held out taught nothing.
        held_out, = [record for record in curated if record["retort"]["split"] == "held_out"][:1]
        untaught, = [at for at, line in enumerate(lines)
                     if held_out["messages"][-1]["content"] in line]
        report = json.loads(self.retort("ledger", "withdraw", "--record",
                                        f"{self.shard()}:{untaught}", *BY, "--json").stdout)
        self.assertEqual((report["frozen"], report["barred"]), ([], []))
        said = self.retort("ledger", "erase", place, *BY).stdout
        self.assertIn("Erased", said)
        for folder in ("out/shards", "out/curated"):
            self.assertFalse(any(secret in line for line in self.lines(folder)))
        self.retort("ledger", "verify")
        self.assertEqual(len(self.entries("erasure")), 2)
        states = [json.loads(line)["state"] for line in
                  self.retort("ledger", "states", "--json").stdout.splitlines()]
        self.assertEqual(set(states), {"frozen"})
        self.retort("export", "run.toml", code=GATE)
        self.assertIn("was erased", self.retort("ledger", "prove", "--record",
                                                place, code=INPUT).stderr)
        # The run goes on without it; nothing that it writes anew has the text.
        (self.folder / "own.jsonl").write_text("\n".join(
            line for line in (self.folder / "own.jsonl").read_text().splitlines()
            if secret not in line) + "\n")
        self.retort("run", "run.toml")
        counts = json.loads((self.folder / "out/summary/curate.json").read_text())["counts"]
        self.assertEqual(counts["records"], OWN - 2)
        self.assertEqual(len(self.lines("out/shards")), OWN)
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret.encode(), path.read_bytes(), path)
        self.assertIn("Erased already", self.retort("ledger", "erase", place, *BY).stdout)


if __name__ == "__main__":
    harness.main()
