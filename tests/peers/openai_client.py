#!/usr/bin/env python3
"""OpenAI's own client against `retort serve`; with_server.py gives it BASE_URL and KEY."""

import sys

try:
    import openai
except ImportError:
    print("skipped: the openai package is not installed")
    sys.exit(77)

QUESTION = [{"role": "user", "content": "Write a two-sentence story about a boat."}]


def check(what, holds):
    print(("ok   " if holds else "WRONG"), what)
    if not holds:
        check.failed = True


check.failed = False


def raises(kind, call):
    try:
        call()
    except openai.OpenAIError as error:
        return type(error) is kind and error
    return None


def chats(client, model):
    chat = client.chat.completions.create
    whole = chat(model=model, messages=QUESTION, max_tokens=24, temperature=0, logprobs=True,
                 top_logprobs=3)
    choice = whole.choices[0]
    check("a chat answers", len(choice.message.content) > 10 and choice.message.role == "assistant")
    check("usage adds up", whole.usage.total_tokens ==
          whole.usage.prompt_tokens + whole.usage.completion_tokens)
    tokens = choice.logprobs.content
    check("one logprob a token", len(tokens) == whole.usage.completion_tokens)
    check("greedy takes the likeliest", all(t.logprob == t.top_logprobs[0].logprob for t in tokens))
    check("bytes spell the answer", b"".join(bytes(t.bytes) for t in tokens).decode()
          .startswith(choice.message.content))
    text, last = "", None
    for piece in chat(model=model, messages=QUESTION, max_tokens=24, temperature=0, stream=True,
                      stream_options={"include_usage": True}):
        text += (piece.choices[0].delta.content or "") if piece.choices else ""
        last = piece
    check("the stream says the same", text == choice.message.content)
    check("the stream ends with its usage", last.usage == whole.usage or
          last.usage.completion_tokens == whole.usage.completion_tokens)
    several = chat(model=model, messages=QUESTION, max_tokens=8, n=3, seed=1)
    check("n answers", [c.index for c in several.choices] == [0, 1, 2])


def completions(client, model):
    create = client.completions.create
    answer = create(model=model, prompt=["Once upon", "The sea"], max_tokens=6, temperature=0,
                    echo=True, logprobs=2)
    check("two prompts, two choices", len(answer.choices) == 2)
    first = answer.choices[0]
    check("the echo stands in front", first.text.startswith("Once upon"))
    check("the first token has no context", first.logprobs.token_logprobs[0] is None)
    check("lists are parallel", len({len(first.logprobs.tokens), len(first.logprobs.token_logprobs),
                                     len(first.logprobs.top_logprobs),
                                     len(first.logprobs.text_offset)}) == 1)
    streamed = "".join(piece.choices[0].text for piece in create(
        model=model, prompt="Once upon", max_tokens=6, temperature=0, echo=True, stream=True))
    check("streamed and whole are one", streamed == first.text)


def best_of(client, model):
    create = client.completions.create
    common = {"model": model, "prompt": ["Once upon", "The sea"], "max_tokens": 10, "seed": 3}
    made = create(**common, n=5, logprobs=0).choices
    best = create(**common, best_of=5, logprobs=0)
    check("best_of gives one answer a prompt", [c.index for c in best.choices] == [0, 1])
    for number, choice in enumerate(best.choices):
        likeliest = max(made[5 * number:5 * number + 5], key=lambda c: sum(
            c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs))
        check(f"the likeliest a token of prompt {number}", choice.text == likeliest.text)
    check("all candidates are counted", best.usage.completion_tokens ==
          sum(len(c.logprobs.tokens) for c in made))
    streamed = raises(openai.BadRequestError, lambda: create(**common, best_of=5, stream=True))
    check("best_of is not streamed", streamed and streamed.param == "best_of")


def errors(client, model, url):
    chat = client.chat.completions.create
    missing = raises(openai.NotFoundError, lambda: chat(model="gpt-4", messages=QUESTION))
    check("an unknown model is NotFoundError", missing and missing.code == "model_not_found")
    unknown = raises(openai.BadRequestError, lambda: chat(
        model=model, messages=QUESTION, extra_body={"frequency_penalties": 1}))
    check("an unknown field is BadRequestError", unknown and unknown.param == "frequency_penalties")
    long = raises(openai.BadRequestError, lambda: chat(
        model=model, messages=[{"role": "user", "content": "word " * 20000}]))
    check("a long prompt is BadRequestError", long and long.code == "context_length_exceeded")
    stranger = openai.OpenAI(base_url=url, api_key="wrong", max_retries=0)
    refused = raises(openai.AuthenticationError, stranger.models.list)
    check("a wrong key is AuthenticationError", refused and refused.code == "invalid_api_key")
    check("errors carry the request's id", bool(missing and missing.request_id))


def main():
    url, key = sys.argv[1:3]
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
    models = client.models.list().data
    model = models[0].id
    check("models are listed", len(models) == 1)
    check("a model is found", client.models.retrieve(model).id == model)
    chats(client, model)
    completions(client, model)
    best_of(client, model)
    errors(client, model, url)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
