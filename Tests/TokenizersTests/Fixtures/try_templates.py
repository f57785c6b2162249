"""Renders conversations with a folder of chat templates as transformers does, for a comparison with this project's.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6 transformers==5.23.0
    venv/bin/python try_templates.py FOLDER
    MMDIST_TEMPLATES=FOLDER/expected.json swift test --filter TemplateFolderTests

FOLDER is searched for *.jinja, tokenizer_config.json, processor_config.json and chat_template.json. Every template
renders every conversation below, contents as strings and as lists of parts, with and without generation prompt.
expected.json has what came out (text, refusal or failure), what {% generation %} encloses, and, for templates without
it, what the rule of docs/data.md makes of it where it is beyond doubt (`supervised`).
"""
import argparse
import copy
import datetime
import json
import pathlib
import re

import jinja2
import transformers.utils.chat_template_utils as reference


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 13, 5, 9)


# MARK: conversations


def say(*turns):
    """Messages from a role letter and a content each; <image> in it is a picture."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [{"role": roles[letter], "content": text} for letter, text in turns]


def calls(*named, content=None, numbered=True):
    """An assistant's message that calls functions by name and arguments."""
    listed = []
    for number, (name, arguments) in enumerate(named):
        call = {"type": "function", "function": {"name": name, "arguments": arguments}}
        listed.append({"id": f"call{number:05d}", **call} if numbered else call)
    return {"role": "assistant", "content": content, "tool_calls": listed}


def result(content, name="weather", number=0):
    return {"role": "tool", "name": name, "tool_call_id": f"call{number:05d}", "content": content}


def tool(name, description, properties, required=()):
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    tool("weather", "Tells the weather, \"now\".", {
        "place": {"type": "string", "description": "A town, e.g. Zürich or 北京"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "The unit"},
    }, ["place"]),
    tool("add", "Adds numbers.", {
        "numbers": {"type": "array", "items": {"type": "number"}, "description": "What to add"},
        "exact": {"type": "boolean", "description": "Whether to be exact", "default": False},
        "options": {"type": "object", "properties": {"digits": {"type": "integer"}}},
    }, ["numbers"]),
    tool("noise", "Does nothing.", {}),
]
ASKED = say(("u", "How warm is it?"))
CALL = ("weather", {"place": "Zürich", "unit": "celsius"})

PLAIN = {
    "one turn": say(("u", "What is 2+2?"), ("a", "4")),
    "system": say(("s", "Be brief."), ("u", "Hi"), ("a", "Hello!")),
    "many turns": say(("u", "a"), ("a", "b"), ("u", "c"), ("a", "d"), ("u", "e"), ("a", "f")),
    "system, many turns": say(("s", "Rules\n1. none"), ("u", "first?"), ("a", "yes."), ("u", "second?"), ("a", "no.\nNever.")),
    "unicode": say(("u", "Grüß Gott 你好 🙂👩‍👩‍👧"), ("a", "é مرحبا ｜ ▁ é"), ("u", "¿qué?"), ("a", "日本語です。")),
    "white space": say(("u", "  two spaces \n\n"), ("a", "\n  answer \t\n"), ("u", " x"), ("a", " y ")),
    "line ends": say(("u", "a\r\nb\rc"), ("a", "d\r\n\r\ne"), ("u", "\u2028f\u2029"), ("a", "g\x85h")),
    "thoughts": say(("u", "Q1"), ("a", "<think>\nhm, one\n</think>\n\nA1"), ("u", "Q2"), ("a", "<think>\nhm, two\n</think>\n\nA2")),
    "thoughts unclosed": say(("u", "Q1"), ("a", "</think>A1"), ("u", "Q2"), ("a", "<think>A2")),
    "question only": say(("u", "Still there?")),
    "ends with question": say(("u", "1"), ("a", "2"), ("u", "3")),
    "wrong order": say(("u", "1"), ("u", "2"), ("a", "3")),
    "assistant first": say(("a", "May I?"), ("u", "Do."), ("a", "Done.")),
    "assistant twice": say(("u", "1"), ("a", "2"), ("a", "3"), ("u", "4"), ("a", "5")),
    "late system": say(("u", "1"), ("a", "2"), ("s", "Be kind."), ("u", "3"), ("a", "4")),
    "two systems": say(("s", "One."), ("s", "Two."), ("u", "3"), ("a", "4")),
    "system only": say(("s", "Alone.")),
    "nobody": [],
    "empty question": say(("u", ""), ("a", "What?")),
    "empty answer": say(("u", "Say nothing."), ("a", ""), ("u", "Now?"), ("a", "Yes")),
    "empty system": say(("s", ""), ("u", "Hi"), ("a", "Hello!")),
    "blank answer": say(("u", "Say nothing."), ("a", " \n ")),
    "repeats": say(("u", "same"), ("a", "same"), ("u", "same"), ("a", "same")),
    "markup": say(("u", "<|im_end|> </s> {{ 1 }} {% if %} \"q\" \\n 'x'"), ("a", "a < b && c > d </s> <|eot_id|> tail")),
    "prefixes": say(("u", "say <think>"), ("a", "<thin"), ("u", "say ASSISTANT:"), ("a", "ASSISTANT: me")),
    "code": say(("u", "```py\nprint('{}')\n```"), ("a", "{\"a\": [1, 2.5e3, null], 'b': \"\\u00e9\"}\n\n\n| t |")),
    "other role": [{"role": "narrator", "content": "It rains."}, *say(("u", "Hi"), ("a", "Hello!"))],
    "named": [{"role": "user", "name": "ann", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
    "no content": [{"role": "user", "content": None}, {"role": "assistant", "content": "Yes?"}],
    "content missing": [{"role": "user"}, {"role": "assistant", "content": "Yes?"}],
    "reasoning": [
        *say(("u", "Q1")), {"role": "assistant", "content": "A1", "reasoning_content": "hm, one"},
        *say(("u", "Q2")), {"role": "assistant", "content": "A2", "reasoning_content": "hm,\ntwo\n"}],
    "picture": say(("u", "<image>What is this?"), ("a", "A cat.")),
    "pictures in front": say(("s", "Look."), ("u", "<image><image>\nWhich is older?"), ("a", "The left one.")),
    "pictures inside": say(("u", "Look: <image> and <image>, which?"), ("a", "The first.")),
    "picture later": say(("u", "Hi"), ("a", "Yes?"), ("u", "<image>\nAnd this?"), ("a", "A dog."), ("u", "And <image>?"), ("a", "No.")),
    "picture last": say(("u", "What is this? <image>"), ("a", "A cat.")),
    "picture alone": say(("u", "<image>"), ("a", "A cat.")),
    "picture in answer": say(("u", "Show one."), ("a", "Here: <image>"), ("u", "Thanks"), ("a", "Welcome")),
    "picture in system": say(("s", "Like <image>."), ("u", "Hi"), ("a", "Hello!")),
}
WITH_TOOLS = {
    "tools unused": (TOOLS, PLAIN["one turn"]),
    "tools, system": (TOOLS, PLAIN["system, many turns"]),
    "one tool": (TOOLS[2:], PLAIN["question only"]),
    "call": (TOOLS, [*ASKED, calls(CALL), result("21.5"), *say(("a", "It is 21.5 °C."))]),
    "call, unnumbered": (TOOLS, [*ASKED, calls(CALL, numbered=False), *say(("t", "21.5"), ("a", "It is 21.5 °C."))]),
    "call with words": (TOOLS, [*ASKED, calls(CALL, content="Let me see.\n"), result("21.5"), *say(("a", "Warm."))]),
    "two calls": (TOOLS, [*ASKED, calls(CALL, ("add", {"numbers": [1, 2.5], "exact": True, "options": {"digits": 3}})),
                          result('{"degrees": 21.5}'), result("3.5", "add", 1), *say(("a", "Done."), ("u", "Thanks"), ("a", "Yes."))]),
    "call without arguments": (TOOLS, [*ASKED, calls(("noise", {})), result("", "noise"), *say(("a", "Done."))]),
    "calls in a row": (TOOLS, [*say(("s", "Be brief.")), *ASKED, calls(CALL), result("21.5"), calls(("noise", {})), result("ok", "noise"),
                               *say(("a", "Done."), ("u", "Again")), calls(CALL), result("20"), *say(("a", "20."))]),
    "ends with call": (TOOLS, [*ASKED, calls(CALL)]),
    "ends with result": (TOOLS, [*ASKED, calls(CALL), result("21.5")]),
    "call, no tools": (None, [*ASKED, calls(CALL), result("21.5"), *say(("a", "Warm."))]),
    "odd arguments": (TOOLS, [*ASKED, calls(("add", {"numbers": [], "s": "a\"b\\c\n<é>🙂", "n": None, "deep": {"x": [{"y": 1}]}})),
                              result("[1, 2]\n", "add"), *say(("a", "Done."))]),
    "result in parts": (TOOLS, [*ASKED, calls(CALL), {**result(""), "content": [{"type": "text", "text": "21.5"}]}, *say(("a", "Warm."))]),
    "result is an object": (TOOLS, [*ASKED, calls(CALL), {**result(""), "content": {"degrees": 21.5}}, *say(("a", "Warm."))]),
    "call with reasoning": (TOOLS, [*ASKED, {**calls(CALL), "reasoning_content": "I need the weather."}, result("21.5"),
                                    {"role": "assistant", "content": "Warm.", "reasoning_content": "Now I know."}]),
}
OPTIONS = {
    "thinking on": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    "thinking off": {"enable_thinking": False, "thinking": False},
    "options": {"add_vision_id": True, "date_string": "26 July 2024", "tools_in_user_message": False, "keep_past_thinking": True,
                "preserve_thinking": True, "builtin_tools": ["wolfram_alpha", "code_interpreter"], "xml_tools": ["def f(): pass"]},
}


def parts(text):
    """A content with its pictures as a list of parts."""
    found = []
    for index, piece in enumerate(text.split("<image>")):
        if index:
            found.append({"type": "image"})
        if piece:
            found.append({"type": "text", "text": piece})
    return found


def in_form(messages, form):
    """Messages whose contents are strings (`string`), lists of parts (`parts`), or parts but for the system (`mixed`)."""
    def content(message):
        text = message["content"]
        whole = form == "string" or not isinstance(text, str) or message["role"] == "tool"
        return text if whole or form == "mixed" and message["role"] == "system" else parts(text)
    return [{**m, "content": content(m)} if "content" in m else m for m in messages]


FORMS = ["string", "parts", "mixed"]


def ways(messages):
    """The forms of a conversation by name; where tools are called, each with its calls as templates may want them."""
    for form in FORMS:
        shaped = in_form(messages, form)
        yield form, shaped
        if any("tool_calls" in m for m in messages):
            for as_text, empty in [(False, True), (True, False), (True, True)]:
                name = form + (" text" if as_text else "") + (" empty" if empty else "")
                yield name, [with_calls(m, as_text, empty) if "tool_calls" in m else m for m in shaped]


def with_calls(message, as_text, empty):
    """A message with the arguments of its calls as text, or an empty content where it has none."""
    message = copy.deepcopy(message)
    if empty and message["content"] is None:
        message["content"] = ""
    for call in message["tool_calls"] if as_text else []:
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return message


def cases():
    for title, messages in PLAIN.items():
        yield title, None, messages, {}
    for title, (tools, messages) in WITH_TOOLS.items():
        yield title, tools, messages, {}
    for name, options in OPTIONS.items():
        for title in ["one turn", "thoughts", "reasoning", "pictures inside"]:
            yield f"{title}, {name}", None, PLAIN[title], options
        yield f"two calls, {name}", *WITH_TOOLS["two calls"], options


# MARK: templates


def templates(folder):
    """(name, source, special tokens, their variables) of all templates in a folder."""
    for path in sorted(folder.rglob("*.jinja")):
        yield path.relative_to(folder).with_suffix("").as_posix(), path.read_bytes().decode(), *tokens_beside(path)
    for name in ["tokenizer_config.json", "processor_config.json", "chat_template.json"]:
        for path in sorted(folder.rglob(f"*{name}")):
            entry = json.loads(path.read_bytes()).get("chat_template")
            named = {e["name"]: e["template"] for e in entry} if isinstance(entry, list) else entry if isinstance(entry, dict) else {"": entry}
            for title, source in named.items():
                if source:
                    yield f"{path.relative_to(folder).as_posix()} {title}".strip(), source, *tokens_beside(path)


def tokens_beside(path):
    """The special tokens of the tokenizer_config.json beside a template; without one, ordinary names."""
    beside = path.parent / "tokenizer_config.json"
    named = ["bos_token", "eos_token", "unk_token", "pad_token"]
    if not beside.exists():
        return [], dict(zip(named, ["<s>", "</s>", "<unk>", "<pad>"]))
    configuration = json.loads(beside.read_bytes())
    text = lambda token: token["content"] if isinstance(token, dict) else token
    variables = {name: text(configuration[name]) for name in named if configuration.get(name) is not None}
    added = [token["content"] for token in configuration.get("added_tokens_decoder", {}).values() if token.get("special")]
    return [*variables.values(), *added], variables


LOOKS_SPECIAL = re.compile(r"<[|｜][^|｜<>\s]{1,40}[|｜]>|</?s>|<(?:end|start)_of_turn>|<turn\|>|<\|turn>|<\|(?:END|START)_[A-Z_]+\|>"
                           r"|<end_of_utterance>|\[/?INST\]|<eos>|<bos>|\[gMASK\]|<sop>|\[\|[a-z]+\|\]|<\|[A-Z_]+\|>|<(?:extra_id_1|im_end)>")


# MARK: rendering


def render(source, variables, messages, tools, prompt, options):
    """(text, spans of {% generation %} in UTF-8 offsets)."""
    compiled = reference._compile_jinja_template(source)
    chat = reference._alias_reasoning_fields(reference._plain_template_data(copy.deepcopy(messages)))
    text, spans = reference._render_with_assistant_indices(compiled, chat, tools, None, prompt, **variables, **options)
    return text, joined(text, spans)


def joined(text, spans):
    """Spans of characters as sorted spans of UTF-8 bytes, those that touch as one."""
    found = []
    for start, end in sorted(spans):
        start, end = len(text[:start].encode()), len(text[:end].encode())
        if found and found[-1][1] >= start:
            found[-1][1] = max(end, found[-1][1])
        elif start < end:
            found.append([start, end])
    return found


def outcome(*arguments):
    try:
        text, spans = render(*arguments)
    except jinja2.exceptions.SecurityError as error:
        return {"failed": repr(error)}
    except jinja2.exceptions.TemplateError as error:
        return {"refused": str(error)} if type(error) is jinja2.exceptions.TemplateError else {"failed": repr(error)}
    except Exception as error:
        return {"failed": repr(error)}
    return {"text": text, **({"generated": spans} if spans else {})}


# MARK: the rule


END, START = "\ue001", "\ue000"


class Doubt(Exception):
    pass


def marked(messages, index, mark, blank=False):
    """The messages with a mark where a content begins (START) or ends (END), white space set aside unless `blank`."""
    messages = copy.deepcopy(messages)
    message = messages[index]
    pieces = [message] if isinstance(message.get("content"), str) else [p for p in message.get("content") or [] if "text" in p]
    key = "content" if isinstance(message.get("content"), str) else "text"
    if not pieces or not pieces[0 if mark == START else -1][key].strip():
        raise Doubt("no words to mark")
    piece = pieces[0 if mark == START else -1]
    text = piece[key]
    at = (0, len(text)) if blank else (len(text) - len(text.lstrip()), len(text.rstrip()))
    at = at[0 if mark == START else 1]
    piece[key] = text[:at] + mark + text[at:]
    return messages


def seen(text, run, messages, index, mark):
    """The rendering with a mark in it, where the mark changes nothing else."""
    for blank in [True, False]:
        with_mark = run(marked(messages, index, mark, blank), False)
        if with_mark.replace(mark, "") == text and with_mark.count(mark) == 1:
            return with_mark
    return None


def end_of_tokens(text, tokens, openers, many):
    """The end of the first token in a text, or of it and all that follow it at once and open nothing; None without any."""
    found = [(text.index(t), -len(t)) for t in tokens if t in text]
    if not found or not many and text[min(found)[0]:min(found)[0] - min(found)[1]] in openers:
        return None
    end = min(found)[0] - min(found)[1]
    while many:
        following = max((t for t in tokens if text.startswith(t, end)), key=len, default=None)
        if following is None or following in openers:
            break
        end += len(following)
    return end


def tokens_in_front(text, tokens):
    """The tokens with which a text begins, one after the other: they open turns."""
    text, found = text.lstrip(" \t\r\n"), set()
    while any(text.startswith(t) for t in tokens):
        first = max((t for t in tokens if text.startswith(t)), key=len)
        found.add(first)
        text = text[len(first):]
    return found


def supervised(text, run, messages, end_tokens):
    """The spans of the rule; raises Doubt where it does not say for certain what they are."""
    spans, openers = [], tokens_in_front(text, end_tokens)
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = run(messages[:index], True)
        if not text.startswith(prompt):
            raise Doubt("the prompt does not begin the whole")
        with_end = seen(text, run, messages, index, END)
        if with_end is None:
            raise Doubt("the end of the content is not seen")
        start, content_end = len(prompt), with_end.index(END)
        if start > content_end:
            raise Doubt("the prompt goes beyond the content")
        is_last = index + 1 == len(messages)
        upto = text if is_last else run(messages[: index + 1], False)
        if not text.startswith(upto):
            raise Doubt("the turn changes as the conversation goes on")
        end = end_of_tokens(text[content_end:len(upto)], end_tokens, openers, many=True)
        if end is None and not is_last and messages[index + 1]["role"] != "assistant":
            onward = run(messages[: index + 1], True)
            shared = 0
            while onward.startswith(text[:content_end]) and text[: content_end + shared + 1] == onward[: content_end + shared + 1]:
                shared += 1
            end = end_of_tokens(text[content_end:content_end + shared], end_tokens, openers, many=False)
        end = content_end + (end or 0)
        if start < end:
            spans.append((start, end))
    return joined(text, spans)


# MARK: all of it


def forms(run):
    """The forms in which contents come out as themselves; where pictures show in lists alone, the forms with lists."""
    shown = {}
    for form in FORMS:
        for system in [say(("s", "{sys}")), []]:
            try:
                text = run(in_form([*system, *say(("u", "<image>{usr}"), ("a", "{ast}"))], form), False)
                without = run(in_form([*system, *say(("u", "{usr}"), ("a", "{ast}"))], form), False)
            except Exception:
                continue
            if all(word in text for word in ["{usr}", "{ast}"]) and not re.search("['\"]type['\"]: ", text):
                shown[form] = text != without
            break
    with_pictures = [form for form in shown if form != "string" and shown[form]]
    return with_pictures or [form for form in shown if shown[form]] or list(shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="default: expected.json in the folder")
    arguments = parser.parse_args()
    reference.datetime = Clock
    entries, counts = [], {"text": 0, "refused": 0, "failed": 0, "supervised": 0, "in doubt": 0}
    conversations = {
        title: {"tools": tools, "options": options, "forms": {form: reference._alias_reasoning_fields(shaped) for form, shaped in ways(messages)}}
        for title, tools, messages, options in cases()
    }
    for name, source, special, variables in templates(arguments.folder):
        try:
            reference._compile_jinja_template(source)
        except jinja2.exceptions.TemplateError as error:
            entries.append({"name": name, "source": source, "invalid": str(error)})
            continue
        ends = sorted({t for t in [*special, *variables.values(), *LOOKS_SPECIAL.findall(source)] if t and t != "<image>"})
        shown = forms(lambda messages, prompt: render(source, variables, messages, None, prompt, {})[0])
        entry = {"name": name, "source": source, "variables": variables, "end": ends, "forms": shown, "renders": {}}
        for title, conversation in conversations.items():
            tools, options = conversation["tools"], conversation["options"]
            for form, messages in conversation["forms"].items():
                if form.startswith("mixed") and not any(m["role"] == "system" for m in messages):
                    continue
                run = lambda messages, prompt: render(source, variables, messages, tools, prompt, options)[0]
                plain = outcome(source, variables, messages, tools, False, options)
                results = {"plain": plain, "prompt": outcome(source, variables, messages, tools, True, options)}
                if "text" in plain and "endgeneration" not in source and form in shown and not any("tool_calls" in m for m in messages):
                    try:
                        results["supervised"] = supervised(plain["text"], run, messages, ends)
                        counts["supervised"] += 1
                    except Exception as doubt:
                        results["doubt"] = str(doubt)
                        counts["in doubt"] += 1
                entry["renders"][f"{title}/{form}"] = results
                for kind in ["text", "refused", "failed"]:
                    counts[kind] += sum(kind in results[which] for which in ["plain", "prompt"])
        entries.append(entry)
    output = arguments.output or arguments.folder / "expected.json"
    output.write_text(json.dumps({"conversations": conversations, "templates": entries}, ensure_ascii=False))
    print(f"{len(entries)} templates × {len(conversations)} conversations: {counts}")


if __name__ == "__main__":
    main()
