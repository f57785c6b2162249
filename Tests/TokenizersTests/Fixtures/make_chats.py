"""Renders chat templates with transformers; writes chats.json.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6 transformers==5.23.0 && venv/bin/python make_chats.py
"""
import json
import pathlib

import jinja2
import transformers.utils.chat_template_utils as reference

from chat_styles import PARTS, STYLES
from try_templates import Clock, joined, parts, say


CONVERSATIONS = {
    "one turn": say(("u", "What is 2+2?"), ("a", "4")),
    "system": say(("s", "Be brief."), ("u", "Hi"), ("a", "Hello!")),
    "many turns": say(("u", "a"), ("a", "b"), ("u", "c"), ("a", "d"), ("u", "e"), ("a", "f")),
    "system, many turns": say(("s", "Rules\n1. none"), ("u", "first?"), ("a", "yes."), ("u", "second?"), ("a", "no.\nNever.")),
    "unicode": say(("u", "Grüß Gott 你好 🙂👩‍👩‍👧"), ("a", "e\u0301 مرحبا ｜ ▁ é"), ("u", "¿qué?"), ("a", "日本語です。")),
    "white space": say(("u", "  two spaces \n\n"), ("a", "\n  answer \t\n"), ("u", "\u00a0x"), ("a", " y ")),
    "picture": say(("u", "<image>What is this?"), ("a", "A cat.")),
    "picture inside": say(("u", "Look: <image> and <image>, which?"), ("a", "The first.")),
    "picture later": say(("u", "Hi"), ("a", "Yes?"), ("u", "<image>\nAnd this?"), ("a", "A dog.")),
    "thoughts": say(("u", "Q1"), ("a", "<think>\nhm, one\n</think>\n\nA1"), ("u", "Q2"), ("a", "<think>\nhm, two\n</think>\n\nA2")),
    "question only": say(("u", "Still there?")),
    "ends with question": say(("u", "1"), ("a", "2"), ("u", "3")),
    "wrong order": say(("u", "1"), ("u", "2"), ("a", "3")),
    "repeats": say(("u", "same"), ("a", "same"), ("u", "same"), ("a", "same")),
    "markup": say(("u", "<|im_end|> </s> {{ 1 }} {% if %} \"q\" \\n 'x'"), ("a", "a < b && c > d </s> <|eot_id|> tail")),
    "prefixes": say(("u", "say <think>"), ("a", "<thin"), ("u", "say ASSISTANT:"), ("a", "ASSISTANT: me")),
}


def in_form(messages, forms):
    return [
        {"role": m["role"], "content": parts(m["content"]) if forms.get(m["role"], forms["user"]) == PARTS else m["content"]}
        for m in messages
    ]


def render(source, style, messages, prompt):
    compiled = reference._compile_jinja_template(source)
    variables = {k: v if isinstance(v, str) else v["content"] for k, v in style["variables"].items()}
    text, spans = reference._render_with_assistant_indices(
        compiled, in_form(messages, style["forms"]), None, None, prompt, **variables)
    return text, joined(text, spans)


def main():
    reference.datetime = Clock
    styles = []
    for name, style in STYLES.items():
        source = style["source"]
        plain = source.replace("«", "").replace("»", "")
        entry = {"name": name, "source": plain, "variables": style["variables"], "forms": style["forms"], "end": style["end"], "renders": {}}
        for title, messages in CONVERSATIONS.items():
            try:
                text, spans = render(plain, style, messages, False)
                result = {"text": text, "prompt": render(plain, style, messages, True)[0]}
                if "endgeneration" in plain:
                    result["supervised"] = spans
                else:
                    result["supervised"] = supervised(source, style, messages, text)
            except jinja2.exceptions.TemplateError as error:
                result = {"error": str(error)}
            entry["renders"][title] = result
        styles.append(entry)
    folder = pathlib.Path(__file__).parent
    conversations = {
        title: [{"role": m["role"], "content": parts(m["content"])} for m in messages] for title, messages in CONVERSATIONS.items()
    }
    text = json.dumps({"conversations": conversations, "styles": styles}, ensure_ascii=False, indent=1)
    (folder / "chats.json").write_text(text + "\n")
    print(len(styles), "templates,", sum(len(s["renders"]) for s in styles), "renderings,",
          sum("error" in r for s in styles for r in s["renders"].values()), "refused")


def supervised(source, style, messages, text):
    """The spans between « and » that the template writes in assistants' turns."""
    start, end = "\ue000", "\ue001"
    # As text of the template they follow its white-space control; private-use characters are nobody's content.
    marked, _ = render(source.replace("«", start).replace("»", end), style, messages, False)
    spans, plain, open_at = [], "", None
    for character in marked:
        if character == start:
            open_at = len(plain)
        elif character == end:
            spans.append((open_at, len(plain)))
            open_at = None
        else:
            plain += character
    assert open_at is None and plain == text, (style, marked, text)
    roles = [m["role"] for m in messages if m["role"] != "system" or len(spans) == len(messages)]
    if len(spans) == len(roles):
        spans = [span for span, role in zip(spans, roles) if role == "assistant"]
    assert len(spans) == sum(m["role"] == "assistant" for m in messages), (style["source"], messages, spans)
    return joined(text, spans)


if __name__ == "__main__":
    main()
