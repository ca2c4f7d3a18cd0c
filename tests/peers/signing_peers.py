#!/usr/bin/env python3
"""OpenSSF's model-signing, securesystemslib and openssl against `retort sign` and `retort verify`.

    signing_peers.py PROGRAM
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import model_signing  # noqa: F401
except ImportError:
    print("skipped: the model-signing package is not installed")
    sys.exit(77)


def check(what, holds):
    print(("ok   " if holds else "WRONG"), what)
    check.failed = check.failed or not holds


check.failed = False


def works(*command):
    return subprocess.run([str(part) for part in command], capture_output=True).returncode == 0


def pae(kind, body):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def by_openssl(folder, signature, public):
    envelope = json.loads(signature.read_text())["dsseEnvelope"]
    signed = folder / "signed"
    signed.write_bytes(pae(envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])))
    (folder / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    check("openssl verifies the envelope", works("openssl", "dgst", "-sha256", "-verify", public,
                                                 "-signature", folder / "sig", signed))


def by_hand(model, signature):
    """The subject's digest, computed from its description alone."""
    envelope = json.loads(signature.read_text())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    paths = sorted(path for path in model.rglob("*") if path.is_file() and path != signature)
    digests = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)
    check("the subject is the digest of the files' digests",
          statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(digests).hexdigest())


def main():
    program = sys.argv[1]
    signer = pathlib.Path(sys.executable).parent / "model_signing"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = folder / "student"
        for path, text in {"config.json": "{}", "a/b": "1", "a-b": "2", "a.b": "3",
                           "model.safetensors": "w" * 100_000}.items():
            (model / path).parent.mkdir(parents=True, exist_ok=True)
            (model / path).write_text(text)
        key, public = folder / "k.pem", folder / "k.pem.pub"
        signature = model / "model.sig"
        check("retort signs", works(program, "sign", model, "--key", key, "--new-key"))
        theirs = [signer, "verify", "key", "--public_key", public, "--signature", signature, model]
        check("model_signing verifies what retort signed", works(*theirs))
        check("and retort does", works(program, "verify", model, "--key", public))
        by_openssl(folder, signature, public)
        by_hand(model, signature)
        (model / "a-b").write_text("changed")
        check("model_signing sees a change", not works(*theirs))
        check("and retort does", not works(program, "verify", model, "--key", public))
        check("model_signing signs with retort's key",
              works(signer, "sign", "key", "--private_key", key, "--signature", signature, model))
        check("retort verifies what it signed", works(program, "verify", model, "--key", public))
        (model / "more").write_text("x")
        check("retort sees an added file", not works(program, "verify", model, "--key", public))
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
