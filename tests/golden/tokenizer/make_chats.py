#!/usr/bin/env python3
"""Renders real chat templates with Jinja2 as transformers does and stores what comes out.

    tests/golden/tokenizer/make_chats.py TEMPLATES --tool build/dev/tests/peers/retort_tokenizer_tool

TEMPLATES is a folder of NAME.jinja files. Needs jinja2. Writes chats.json:
{"templates": [{"name", "digest", "style" (the name that the tool gave), "template" or nothing, "cases"}]}, where a case is
{"messages": index into "conversations", "open", "text" or null where the template refuses it or
would leave a message out}. A template's own text is stored where its licence allows and it is
short; of the others the digest stands for it.
"""

import argparse
import json
import pathlib
import re
import subprocess

import jinja2
import jinja2.sandbox

HERE = pathlib.Path(__file__).resolve().parent
MAY_BE_STORED = re.compile(r"chatml|Hermes|Qwen2-7B|zephyr|Mistral-7B|Mixtral")
STORED_CHARACTERS = 1200


def talk(*turns):
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[turn[0]], "content": turn[2:]} for turn in turns]


CONVERSATIONS = [
    talk("u:Hi"),
    talk("s:Be brief.", "u:Hi"),
    talk("u:Hi", "a:Yo."),
    talk("s:Be brief.", "u:Hi", "a:Yo."),
    talk("u:Hi", "a:Yo.", "u:Why?"),
    talk("s:Be brief.", "u:Hi", "a:Yo.", "u:Why?", "a:So.", "u:Oh"),
    talk("s: \n Be\tbrief. \n", "u:\n padded\u00a0\n", "a:  I am.  \n", "u: twice "),
    talk("s: \n Be\tbrief. \n", "u:\n padded\u00a0\n", "a:  I am.  \n"),
    talk("u:"),
    talk("s:", "u:Hi"),
    talk("u:one", "u:two"),
    talk("a:first"),
    talk("u:Hi", "a:Yo.", "s:Now be long.", "u:Why?"),
    talk("u:Hi", "s:Now be long.", "u:Why?"),
    talk("u:Hi", "a:<think>\nhm\n</think>\n\nYo.", "u:Why?"),
    talk("u:Hi", "a:<think>\nhm\n</think>\n\nYo."),
    talk("u:Hi", "a:\n\nYo.", "a:More."),
    talk("u:Hi", "a:x<think>a<think>\n\nb\n</think>c</think>\nd", "a:</think>"),
    talk("u:Hi", "a:Yo.", "u:<tool_response>5</tool_response>", "a:Five."),
]


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    made.globals["raise_exception"] = refuse
    return made


def is_whole(text, messages):
    """Whether every message is in the rendered text (a thought may be left out)."""
    return all(m["content"].split("</think>")[-1].strip() in text for m in messages)


def render(template, messages, open_answer):
    try:
        text = template.render(messages=messages, add_generation_prompt=open_answer,
                               bos_token="<s>", eos_token="</s>")
    except (jinja2.exceptions.TemplateError, jinja2.exceptions.UndefinedError):
        return None
    return text if is_whole(text, messages) else None


def entry(path, tool):
    text = path.read_text()
    done = subprocess.run([tool, "template", str(path)], capture_output=True, text=True, check=True)
    digest, style = done.stdout.strip().split(" ", 1)
    made = {"name": path.stem, "digest": digest, "style": style}
    if MAY_BE_STORED.search(path.stem) and len(text) < STORED_CHARACTERS:
        made["template"] = text
    template = environment().from_string(text)
    made["cases"] = []
    for index, messages in enumerate(CONVERSATIONS):
        for open_answer in (True, False):
            # Nobody asks for an answer behind an answer; some templates open none, others two.
            if open_answer and messages[-1]["role"] == "assistant":
                continue
            rendered = render(template, messages, open_answer)
            # Llama 3's first template opened an answer whether one was asked for or not.
            if not open_answer and (rendered or "").endswith("<|end_header_id|>\n\n"):
                continue
            made["cases"].append({"messages": index, "open": open_answer, "text": rendered})
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("templates", type=pathlib.Path)
    parser.add_argument("--tool", required=True)
    arguments = parser.parse_args()
    by_digest = {}
    for path in sorted(arguments.templates.glob("*.jinja")):
        made = entry(path, arguments.tool)
        by_digest.setdefault(made["digest"], made)
    lines = ",\n".join(json.dumps(made) for made in by_digest.values())
    (HERE / "chats.json").write_text(
        f'{{"conversations": {json.dumps(CONVERSATIONS)},\n"templates": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
