"""A second tool for `retort ledger trace --proofs`: checks the folder by RFC 6962, RFC 8032 and the
C2SP checkpoint as their texts say, and finds what learnt from what by itself, from all entries of
the log. Knows nothing of the program.

    trace_oracle.py FOLDER [LEDGER/tile]
"""

import base64
import hashlib
import json
import pathlib
import sys
import time

# Ed25519, verification alone, as RFC 8032 (5.1) writes it down.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _x_of(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return P - x if x & 1 != sign else x


def _point(data):
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    if y >= P:
        raise ValueError("not a point of the curve")
    x = _x_of(y, number >> 255)
    return x, y, 1, x * y % P


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(n, p):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = _add(out, p)
        p = _add(p, p)
        n >>= 1
    return out


def _equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (_x_of(BASE_Y, 0), BASE_Y, 1, _x_of(BASE_Y, 0) * BASE_Y % P)


def ed25519_holds(key, text, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    challenge = hashlib.sha512(signature[:32] + key + text).digest()
    h = int.from_bytes(challenge, "little") % L
    try:
        return _equal(_times(s, BASE), _add(_point(signature[:32]), _times(h, _point(key))))
    except ValueError:
        return False


def open_checkpoint(note, verifier):
    """Size and root that the note signs."""
    name, hash_hex, key_text = verifier.strip().split("+", 2)
    key = base64.b64decode(key_text)
    if key[0] != 1:
        raise ValueError("not an Ed25519 key")
    body, signatures = note.split("\n\n", 1)
    body += "\n"
    origin, size, root = body.splitlines()[:3]
    if origin != name:
        raise ValueError(f"a checkpoint of {origin}, not of {name}")
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        raw = base64.b64decode(blob)
        if dash == "\N{EM DASH}" and signer == name and raw[:4].hex() == hash_hex and \
                ed25519_holds(key[1:], body.encode(), raw[4:]):
            return int(size), base64.b64decode(root)
    raise ValueError("the checkpoint's signature does not hold")


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of_path(leaf, index, size, path):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        raise ValueError("beyond the log's end")
    node, last, at = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ValueError("the path is too long")
        if node & 1 or node == last:
            at = node_hash(step, at)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            at = node_hash(at, step)
        node >>= 1
        last >>= 1
    if last:
        raise ValueError("the path is too short")
    return at


def tree_root(leaves):
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def check_folder(folder):
    """Every entry that the answer names is in the log; returns answer, entries and tree head."""
    folder = pathlib.Path(folder)
    answer = json.loads((folder / "trace.json").read_text())
    size, root = open_checkpoint((folder / "checkpoint").read_text(),
                                 (folder / "verifier.key").read_text())
    entries = {}
    with open(folder / "entries.jsonl", encoding="utf-8") as lines:
        for line in lines:
            proof = json.loads(line)
            leaf = leaf_hash(proof["entry"].encode())
            path = [base64.b64decode(step) for step in proof["path"]]
            if root_of_path(leaf, proof["index"], size, path) != root:
                raise ValueError(f"entry {proof['index']} is not in the log")
            entries[proof["index"]] = json.loads(proof["entry"])
    for kind in ("shard", "run", "model"):
        for index in answer[kind + "s"]:
            if entries[index]["kind"] != kind:
                raise ValueError(f"entry {index} is no {kind}")
    for reason in answer["reasons"]:
        if reason["because"] not in entries:
            raise ValueError(f"the reason of entry {reason['entry']} is not proved")
    return answer, entries, (size, root)


def all_entries(tiles, size):
    """The entry bundles of C2SP tlog-tiles, one after another."""
    out = []
    while len(out) < size:
        number = len(out) // 256
        name = f"{number % 1000:03d}"
        number //= 1000
        while number:
            name = f"x{number % 1000:03d}/{name}"
            number //= 1000
        path = pathlib.Path(tiles) / "entries" / name
        left = size - len(out)
        data = (path if left >= 256 and path.exists() else
                pathlib.Path(f"{path}.p/{min(left, 256)}")).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            out.append(data[2:2 + length])
            data = data[2 + length:]
    return out[:size]


def weight_files(files):
    return {f["sha256"] for f in files if f["name"].endswith((".safetensors", ".gguf"))}


def trace(entries, kind, name):
    """Numbers of shards, runs and models, by going over all entries until nothing is added."""
    terms, declared, doors, marked, data = set(), set(), set(), set(), set()
    if kind == "terms":
        terms = {e["name"] for e in entries if e["kind"] == "terms" and
                 (e["name"].startswith(name) or e["body"].get("series") == name)}
    found = {"shard": set(), "run": set(), "model": set()}
    for i, e in enumerate(entries):
        b = e["body"]
        if kind == "door" and e["kind"] == "door" and name in (e["name"], b["endpoint"],
                                                               b["provider"]):
            doors.add(i)
        if kind == "declaration" and e["kind"] == "declaration" and name in (e["name"], b["id"]):
            declared.add(i)
        if kind == "record" and e["kind"] == "shard" and e["name"] == name.split(":")[0]:
            marked.add(i)
        if kind == "weights":
            data.add(name)
            if e["kind"] == "model" and name in {b["model_id"], e["name"], e["name"].split("@")[0],
                                                 *weight_files(b["files"])}:
                found["model"].add(i)
    before = None
    while before != (state := [len(s) for s in (doors, marked, data, *found.values())]):
        before = state
        for i, e in enumerate(entries):
            b = e["body"]
            if e["kind"] == "shard":
                if marked & set(b.get("parents", [])):
                    marked.add(i)
                sets = {t["id"] for s in b["terms_sets"] for t in entries[s]["body"]["terms"]}
                if i in marked or sets & terms or doors & set(b["doors"]):
                    found["shard"].add(i)
            elif e["kind"] == "run":
                weights = b.get("teachers", []) + ([b["base"]] if b.get("base") else [])
                if (marked & set(b["shards"]) or declared & set(b.get("declarations", [])) or
                        any(terms & set(s["terms"]) for s in b["by_terms"] if s["records"]) or
                        any(s["door"] in doors for s in b["by_door"] if s["records"]) or
                        any(a["door"] in doors or terms & set(a["terms"])
                            for a in b.get("asked", [])) or
                        any(w["digest"] in data or terms & set(w["terms"]) or
                            data & {f["sha256"] for f in w["files"]} for w in weights)):
                    found["run"].add(i)
            elif e["kind"] == "model":
                files = weight_files(b["files"])
                if (b.get("run") in found["run"] or data & set(b["made_from"]) or
                        ("run" not in b and data & (files | {e["name"]}))):
                    found["model"].add(i)
                if i in found["model"]:
                    data |= files | {e["name"], e["name"].split("@")[0]}
            elif e["kind"] == "served" and data & {f["sha256"] for f in b["files"]}:
                place = {k: b[k] for k in ("provider", "endpoint", "plan", "model")}
                doors |= {j for j, d in enumerate(entries)
                          if d["kind"] == "door" and d["body"] == place}
    return {kind: sorted(numbers) for kind, numbers in found.items()}


def main():
    begun = time.monotonic()
    answer, entries, (size, root) = check_folder(sys.argv[1])
    print(f"{len(entries)} entries are in the log of {size}")
    if len(sys.argv) < 3:
        return
    raw = all_entries(sys.argv[2], size)
    if tree_root([leaf_hash(data) for data in raw]) != root:
        raise ValueError("these entries are not those of the checkpoint")
    question = answer["question"]
    whole = trace([json.loads(data) for data in raw[:answer["log_size"]]], question["kind"],
                  question["id"])
    for kind, numbers in whole.items():
        if numbers != answer[kind + "s"]:
            raise ValueError(f"other {kind}s learnt from it: {numbers}, not {answer[kind + 's']}")
    print(f"and {len(whole['run'])} runs and {len(whole['model'])} models are all there are: "
          f"checked in {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
