#!/usr/bin/env python3
"""Records chat answers with log-probabilities, one JSON file each, that the tests of `collect` read:

    llama_cpp.json   what llama-cpp-python answers: no bytes, the text counts
    openai.json      OpenAI's shape, made and checked by the types of its own package: bytes of parts
                     of a character, null for a special token, -9999 for what is not among the likeliest

    python tests/golden/openai/answers.py MODEL.gguf     (pip install openai llama-cpp-python)

litellm_tools.json beside them is a body that LiteLLM's proxy 1.108.7 sent: a call of a tool, by
mock_tool_calls of its configuration.
"""

import json
import pathlib
import sys

from openai.types.chat import ChatCompletion

HERE = pathlib.Path(__file__).parent
QUESTION = [{"role": "user", "content": "Write one line about a café and a boat. 🚣"}]


def checked(answer):
    """The answer as OpenAI's package understands it, every field of its types set."""
    return ChatCompletion.model_validate(answer, strict=True).model_dump(mode="json")


def llama_cpp(model):
    import llama_cpp
    llama = llama_cpp.Llama(model, n_ctx=256, logits_all=True, verbose=False, seed=1)
    answer = llama.create_chat_completion(QUESTION, max_tokens=24, temperature=0, logprobs=True,
                                          top_logprobs=5)
    answer["choices"][0]["logprobs"]["content"] = [
        {**token, "logprob": float(token["logprob"]), "top_logprobs": [
            {**other, "logprob": float(other["logprob"])} for other in token["top_logprobs"]]}
        for token in answer["choices"][0]["logprobs"]["content"]]
    return answer


def entry(text, logprob, spelt=True):
    raw = text if isinstance(text, bytes) else text.encode()
    shown = raw.decode("utf-8", "backslashreplace")
    return {"token": shown, "bytes": list(raw) if spelt else None, "logprob": logprob}


def openai_shape():
    boat = "🚣".encode()
    tokens = [
        (entry("A", -0.25), [entry("A", -0.25), entry("The", -1.75), entry("<|end|>", -9.5, False)]),
        (entry(" café", -2.5), [entry(" boat", -0.125), entry(" café", -2.5)]),
        (entry(b" " + boat[:2], -9999.0), [entry(".", -0.0625), entry("!", -3.5)]),
        (entry(boat[2:], 0.0), [entry(boat[2:], 0.0)]),
    ]
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1790000000, "model": "m-1",
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "A café 🚣", "refusal": None},
            "logprobs": {"refusal": None, "content": [
                {**chosen, "top_logprobs": top} for chosen, top in tokens]}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}}


def main():
    for name, answer in (("openai", openai_shape()), ("llama_cpp", llama_cpp(sys.argv[1]))):
        text = json.dumps(checked(answer), ensure_ascii=False, indent=None, separators=(",", ":"))
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
