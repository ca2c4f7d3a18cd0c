#!/usr/bin/env python3
"""Records the request bytes of real clients, one file a call: OpenAI's own, lm-evaluation-harness
(how it scores), TRL (how its trainers ask a teacher for log-probabilities), and SGLang's frontend.

    python tests/golden/openai/record.py [NAME ...]     (pip install openai lm-eval trl; sglang)

The tests replay these files against retort's own server. Record again after a new release of the
client; the files are byte for byte what it sent, with a fixed port in Host.
"""

import json
import pathlib
import socket
import sys
import threading

import openai

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE.parent / "tokenizer/smollm2"
MESSAGES = [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Write one line about a café and a boat. 🚣"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Two "},
                                      {"type": "text", "text": "parts."}]}]

CALLS = {
    "models": lambda c: c.models.list(),
    "model": lambda c: c.models.retrieve("teacher"),
    "chat": lambda c: c.chat.completions.create(
        model="teacher", messages=MESSAGES, temperature=0.7, top_p=0.9, max_tokens=8, seed=7,
        user="someone"),
    "chat_stream": lambda c: list(c.chat.completions.create(
        model="teacher", messages=MESSAGES, max_completion_tokens=8, stream=True,
        stream_options={"include_usage": True})),
    "chat_logprobs": lambda c: c.chat.completions.create(
        model="teacher", messages=PARTS, max_tokens=4, n=2, logprobs=True, top_logprobs=3,
        stop=["\n\n", "END"]),
    "chat_extra": lambda c: c.chat.completions.create(
        model="teacher", messages=MESSAGES, max_tokens=4,
        extra_body={"top_k": 40, "repetition_penalty": 1.15}),
    "chat_tools": lambda c: c.chat.completions.create(
        model="teacher", messages=MESSAGES, tools=[
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]),
    "completion": lambda c: c.completions.create(
        model="teacher", prompt="Once upon a time", max_tokens=8, logprobs=2, temperature=0),
    "completion_ids": lambda c: c.completions.create(
        model="teacher", prompt=[[1, 2, 3], [4, 5]], max_tokens=4),
    "completion_stream": lambda c: list(c.completions.create(
        model="teacher", prompt=["a", "b"], max_tokens=4, stream=True)),
}


def lm_eval_scores(url, **options):
    """Two continuations of one question, as a multiple-choice task asks for them."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    client = LocalCompletionsAPI(model="teacher", base_url=f"{url}/completions",
                                 tokenizer=str(TOKENIZER), tokenizer_backend="huggingface",
                                 max_retries=1, **options)
    client.loglikelihood([
        Instance("loglikelihood", {}, ("The capital of France is", answer), index)
        for index, answer in enumerate((" Paris", " the river"))], disable_tqdm=True)


def trl_scores(url):
    import requests
    from trl.generation.vllm_client import VLLMClient
    # The constructor wants the vllm package, which the request itself does not use.
    client = VLLMClient.__new__(VLLMClient)
    client.session, client.base_url, client.model = requests.Session(), url[:-3], "teacher"
    client.get_sequence_logprobs([[1, 2, 3, 4], [5, 6, 7]], [2, 1], top_logprobs=4)


def with_sglang(ask):
    """ask(s): the steps of a program in SGLang's language."""
    def call(url):
        import sglang
        backend = sglang.RuntimeEndpoint(url[:-3], api_key="sk-test")
        program = sglang.function(lambda s: ask(sglang, s))
        program.run(backend=backend, stream=ask is sglang_streams).sync()
    return call


def sglang_generates(sglang, s):
    s += "The capital of France is"
    s += sglang.gen("answer", max_tokens=4, temperature=0, stop=["\n"], return_logprob=True,
                    logprob_start_len=0, top_logprobs_num=2, return_text_in_logprobs=True)


def sglang_streams(sglang, s):
    s += "The capital of France is"
    s += sglang.gen("answer", max_tokens=4, top_p=0.9)


def sglang_selects(sglang, s):
    s += "The capital of France is"
    s += sglang.select("answer", choices=[" Paris", " the river"])


MODEL_INFO = {"model_path": "teacher"}
# Calls that ask something first: what they are told then, before the request that is recorded.
FIRST_ANSWERS = {
    "sglang_generate": [MODEL_INFO], "sglang_stream": [MODEL_INFO],
    "sglang_select": [MODEL_INFO, {"text": "", "meta_info": {"prompt_tokens": 5}}],
}

OTHER_CALLS = {
    "sglang_model_info": with_sglang(sglang_generates),
    "sglang_generate": with_sglang(sglang_generates),
    "sglang_stream": with_sglang(sglang_streams),
    "sglang_select": with_sglang(sglang_selects),
    "lm_eval_ids": lambda url: lm_eval_scores(url, batch_size=2),
    "lm_eval_text": lambda url: lm_eval_scores(url, batch_size=1, tokenized_requests=False),
    "trl_sequence_logprobs": trl_scores,
}


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def record(name, call):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def reply(connection, status, body):
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                           f"{body}".encode())
        connection.close()

    def answer():
        for body in FIRST_ANSWERS.get(name, []):
            connection, _ = listener.accept()
            read_request(connection)
            reply(connection, "200 OK", json.dumps(body))
        connection, _ = listener.accept()
        request = read_request(connection)
        request = request.replace(f"127.0.0.1:{port}".encode(), b"127.0.0.1:8080")
        (HERE / f"{name}.http").write_bytes(request)
        reply(connection, "400 Bad Request", "{}")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        call(f"http://127.0.0.1:{port}/v1")
    except Exception as refused:  # the 400, which every client wraps in an error of its own
        print(name, type(refused).__name__)
    thread.join()
    listener.close()


def with_openai(call):
    return lambda url: call(openai.OpenAI(base_url=url, api_key="sk-test", max_retries=0))


if __name__ == "__main__":
    every = {name: with_openai(call) for name, call in CALLS.items()} | OTHER_CALLS
    for name in sys.argv[1:] or every:
        record(name, every[name])
