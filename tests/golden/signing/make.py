#!/usr/bin/env python3
"""Signs a small model with OpenSSF's model-signing, as its users do: a folder and a single file.

Run in the peers' environment (./dev test --peers makes it). The private key is thrown away; the
signatures differ each time, so the files here change whenever this runs.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
# "sub" comes before "sub-b.txt" by path, behind it by bytes.
FILES = {"config.json": '{"a": 1}\n', "model.safetensors": "weights", "sub/a.txt": "a\n",
         "sub-b.txt": "b\n"}


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def main():
    model = HERE / "model"
    for name, text in FILES.items():
        path = model / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (HERE / "single.gguf").write_text("one file of weights")
    signer = pathlib.Path(sys.executable).parent / "model_signing"
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key.pem"
        run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key)
        run("openssl", "ec", "-in", key, "-pubout", "-out", HERE / "public.pem")
        for what, signature in ((model, "model.sig"), (HERE / "single.gguf", "single.sig")):
            run(signer, "sign", "key", "--private_key", key, "--signature", HERE / signature, what)


if __name__ == "__main__":
    main()
