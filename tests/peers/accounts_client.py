#!/usr/bin/env python3
"""OpenAI's own client against `retort serve --accounts`: limits, keys and suspensions arrive as the
exceptions that its users know, and only what is worth asking again is asked again.

    accounts_client.py PROGRAM MODEL
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import openai
    try:
        import httpx
    except ImportError:
        import httpx2 as httpx  # what newer versions of the client stand on
except ImportError:
    print("skipped: the openai package is not installed")
    sys.exit(77)

QUESTION = [{"role": "user", "content": "Write a two-sentence story about a boat."}]


def check(what, holds):
    print(("ok   " if holds else "WRONG"), what)
    check.failed = check.failed or not holds


check.failed = False


class Accounts:
    def __init__(self, program, folder):
        self.command = [program, "account"]
        self.folder = ["--accounts", folder]

    def __call__(self, *arguments):
        done = subprocess.run([*self.command, *arguments, *self.folder], check=True,
                              capture_output=True, text=True)
        return done.stdout.strip()

    def create(self, name):
        return json.loads(self("create", name, "--json"))["id"]


def fails(client, model, **more):
    """The exception of one chat, and how many times the client asked."""
    client.asked.clear()
    try:
        client.chat.completions.create(model=model, messages=QUESTION, **more)
    except openai.APIStatusError as error:
        return error, len(client.asked)
    return None, len(client.asked)


def client_for(url, key):
    asked = []
    transport = httpx.Client(event_hooks={"request": [lambda request: asked.append(request)]})
    client = openai.OpenAI(base_url=url, api_key=key, http_client=transport, max_retries=2)
    client.asked = asked
    return client


def keys_and_limits(accounts, url, model):
    account = accounts.create("Example Ltd")
    client = client_for(url, accounts("issue", account))
    accounts("limit", account, "--most", "output_tokens/day=40")
    time.sleep(1.5)  # limits are heeded within a second
    raw = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION,
                                                           max_tokens=16, temperature=0)
    check("the headers tell what is left", raw.headers["x-ratelimit-limit-tokens"] == "40" and
          raw.headers["x-ratelimit-remaining-tokens"] == "24")
    error, asked = fails(client, model, max_tokens=30)
    check("beyond a day's limit is a RateLimitError", type(error) is openai.RateLimitError)
    check("with OpenAI's code", error.code == "insufficient_quota")
    check("which is not asked again", asked == 1)
    error, asked = fails(client, model, max_tokens=41)
    check("nor is what can never be", type(error) is openai.RateLimitError and asked == 1)
    error, asked = fails(client_for(url, "rt_api_wrong"), model)
    check("a wrong key is an AuthenticationError",
          type(error) is openai.AuthenticationError and asked == 1)
    narrow = client_for(url, accounts("issue", account, "--models", "other-*"))
    error, asked = fails(narrow, model)
    check("a model that the key may not ask is a PermissionDeniedError",
          type(error) is openai.PermissionDeniedError and asked == 1)
    return account, client


def suspension(accounts, account, client, model):
    accounts("limit", account, "--most", "output_tokens/day=none")
    time.sleep(1.5)
    stream = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=2000,
                                            stream=True, extra_body={"ignore_eos": True})
    said, cut = 0, None
    try:
        for piece in stream:
            said += 1
            if said == 5:
                accounts("suspend", account, "--reason", "clause 2.2(e)", "--case", "case_1")
    except openai.APIError as error:
        cut = error
    check("a suspension cuts what is under way", cut is not None and
          "suspended" in str(cut) and said < 1900)
    error, asked = fails(client, model)
    check("and is a PermissionDeniedError", type(error) is openai.PermissionDeniedError)
    check("with reason and case", "clause 2.2(e)" in str(error) and
          error.body["case_id"] == "case_1" and error.type == "account_suspended")
    check("which is not asked again", asked == 1)
    accounts("reinstate", account, "--reason", "the appeal was right")
    check("reinstated, it answers", fails(client, model, max_tokens=4)[0] is None)


def serve(program, model, folder, ready):
    server = subprocess.Popen([program, "serve", "--model", "small=" + model, "--port", "0",
                               "--port-file", str(ready), "--accounts", folder])
    for _ in range(600):
        if ready.exists() and ready.read_text().endswith("\n"):
            return server, f"http://127.0.0.1:{ready.read_text().strip()}/v1"
        if server.poll() is not None:
            sys.exit("the server ended")
        time.sleep(0.1)
    sys.exit("the server does not begin")


def main():
    program, model = sys.argv[1:]
    if not pathlib.Path(model).exists():
        print(f"skipped: {model} is not there")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        accounts = Accounts(program, folder)
        accounts.create("somebody else")
        server, url = serve(program, model, folder, pathlib.Path(folder) / "port")
        try:
            account, client = keys_and_limits(accounts, url, "small")
            suspension(accounts, account, client, "small")
        finally:
            server.terminate()
            server.wait(timeout=20)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
