#!/usr/bin/env python3
"""SGLang's own frontend against `retort serve`; with_server.py gives it BASE_URL and KEY."""

import json
import sys
import urllib.request

try:
    import sglang
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

QUESTION = "The capital of France is"


def check(what, holds):
    print("ok   " if holds else "WRONG", what)
    if not holds:
        check.failed = True


check.failed = False


def run(backend, ask, **options):
    return sglang.function(lambda s: ask(s)).run(backend=backend, **options)


def generates(backend, scores):
    def ask(s):
        s += QUESTION
        s += sglang.gen("answer", max_tokens=8, temperature=0, return_logprob=True,
                        logprob_start_len=0, top_logprobs_num=3, return_text_in_logprobs=True)

    state = run(backend, ask)
    meta = state.get_meta_info("answer")
    given, said = meta["input_token_logprobs"], meta["output_token_logprobs"]
    check("the tokens' texts are the prompt and the answer",
          ("".join(text for _, _, text in given), "".join(text for _, _, text in said))
          == (QUESTION, state["answer"]))
    check("counts", (len(given), len(said)) == (meta["prompt_tokens"], meta["completion_tokens"]))
    check("the first token has no context", given[0][0] is None
          and meta["input_top_logprobs"][0] is None)
    wanted = scores(QUESTION)
    check("the prompt's log-probabilities are those of /v1/completions", all(
        abs(one[0] - other) < 1e-4 for one, other in zip(given[1:], wanted[1:])))
    check("greedy takes the likeliest", all(
        top[0][:2] == one[:2] for one, top in zip(said, meta["output_top_logprobs"])))
    return state["answer"]


def streams(backend, answer):
    def ask(s):
        s += QUESTION
        s += sglang.gen("answer", max_tokens=8, temperature=0)

    pieces = list(run(backend, ask, stream=True).text_iter("answer"))
    check("the stream says the same", "".join(pieces) == answer and len(pieces) > 2)


def selects(backend, scores):
    choices = [" Paris", " the river", " seventeen"]

    def ask(s):
        s += QUESTION
        s += sglang.select("answer", choices=choices)

    state = run(backend, ask)
    start = len(scores(QUESTION)) - 2  # as its client has it
    means = {}
    for choice in choices:
        values = scores(QUESTION + choice)[start + 1:]
        means[choice] = sum(values) / len(values)
    check("the likeliest a token is chosen", state["answer"] == max(means, key=means.get))
    found = state.get_meta_info("answer")["normalized_prompt_logprobs"]
    check("by the values of /v1/completions", all(
        abs(one - means[choice]) < 1e-3 for one, choice in zip(found, choices)))


def stops(backend):
    def ask(s):
        s += "One, two, three,"
        s += sglang.gen("answer", max_tokens=16, temperature=0, stop=[" five"])

    state = run(backend, ask)
    check("a stop string is named", state.get_meta_info("answer")["finish_reason"]
          == {"type": "stop", "matched": " five"} and "five" not in state["answer"])


def main():
    url, key = sys.argv[1:3]
    backend = sglang.RuntimeEndpoint(url.removesuffix("/v1"), api_key=key)

    def scores(text):
        body = {"model": backend.get_model_name(), "prompt": text, "max_tokens": 0, "echo": True,
                "logprobs": 0}
        request = urllib.request.Request(
            url + "/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["choices"][0]["logprobs"]["token_logprobs"]

    streams(backend, generates(backend, scores))
    selects(backend, scores)
    stops(backend)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
