"""Renders conversations with tools as transformers does; writes tool_chats.json.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6 transformers==5.23.0 && venv/bin/python make_tool_chats.py
"""
import json
import pathlib

import jinja2

import try_templates
from tool_styles import TEXT, TOOL_STYLES
from try_templates import ASKED, CALL, TOOLS, calls, reference, result, say, with_calls

TWO = [("add", {"numbers": [1, 2.5], "exact": True}), CALL]
CONVERSATIONS = {
    "tools alone": (TOOLS, say(("u", "Hi"), ("a", "Hello!"))),
    "a call": (TOOLS, [*ASKED, calls(CALL), result("21.5"), *say(("a", "It is 21.5 °C."))]),
    "a call with words": (TOOLS, [*ASKED, calls(CALL, content="Let me see."), result("21.5"), *say(("a", "Warm."))]),
    "two calls": (TOOLS, [*say(("u", "Both!")), calls(*TWO), result("3.5", "add"), result('{"degrees": 21}', number=1),
                          *say(("a", "Done."), ("u", "Thanks"), ("a", "Any time."))]),
    "calls in a row": (TOOLS, [*say(("s", "Be brief.")), *ASKED, calls(CALL), result("21.5"), calls(("noise", {})), result("ok", "noise"),
                               *say(("a", "Done."))]),
    "ends with a call": (TOOLS, [*ASKED, calls(CALL)]),
    "odd arguments": (TOOLS[1:], [*say(("u", "Add."), ("a", "What?"), ("u", "All.")),
                                  calls(("add", {"s": "a\"b\\c\n<é>🙂<|im_end|>", "n": None, "deep": {"x": [{"y": 1}]}})),
                                  result("[1, 2]\n", "add"), *say(("a", "Done."))]),
    "calls without tools": (None, [*ASKED, calls(CALL), result("21.5"), *say(("a", "Warm."))]),
    "thoughts": (TOOLS[2:], [*say(("u", "Q1")), {"role": "assistant", "content": "A1", "reasoning_content": "hm, one"}, *ASKED,
                             {**calls(CALL), "reasoning_content": "I must look."}, result("21.5"),
                             {"role": "assistant", "content": "Warm.", "reasoning_content": "\nNow I know.\n"}]),
}


def spans(marked):
    """The pieces between private-use marks, in UTF-8 offsets of the text without them."""
    found, plain = [], ""
    for character in marked:
        if character == try_templates.START:
            found.append(len(plain.encode()))
        elif character == try_templates.END:
            found[-1] = [found[-1], len(plain.encode())]
        else:
            plain += character
    return found, plain


def expected(style, tools, messages):
    source = style["source"].replace("«", "").replace("»", "")
    shaped = [with_calls(m, style["arguments"] == TEXT, style["content"] == "") if "tool_calls" in m else m for m in messages]
    render = lambda source, prompt: try_templates.render(source, style["variables"], shaped, tools, prompt, {})
    try:
        text, generated = render(source, False)
        found = {"text": text, "prompt": render(source, True)[0]}
    except jinja2.exceptions.TemplateError as error:
        return {"refused": str(error)}
    # What a template does not show must be told of.
    if tools and tools[0]["function"]["name"] not in text.replace("'", ""):
        return {"hidden": "tools"}
    for index, message in enumerate(messages):
        said = [w for c in message.get("tool_calls", []) for w in c["function"]["arguments"].values() if isinstance(w, str)]
        # The tools themselves tell of a "celsius", and of a town in "e.g. Zürich".
        if any(word.isalpha() and word not in text.replace("e.g. Zürich", "").replace('"celsius", "fahrenheit"', "") for word in said):
            return {"hidden": f"the call of a tool in turn {index + 1}"}
    if messages[-1].get("reasoning_content", "").strip() not in text:
        return {"hidden": f"the reasoning of turn {len(messages)}"}
    found["supervised"] = generated
    if "endgeneration" not in source:
        marked = style["source"].replace("«", try_templates.START).replace("»", try_templates.END)
        found["supervised"], plain = spans(render(marked, False)[0])
        assert plain == text, (plain, text)
        assert len(found["supervised"]) == sum(m["role"] == "assistant" for m in messages), found
    return found


def main():
    reference.datetime = try_templates.Clock
    styles = []
    for name, style in TOOL_STYLES.items():
        source = style["source"].replace("«", "").replace("»", "")
        renders = {title: expected(style, *conversation) for title, conversation in CONVERSATIONS.items()}
        styles.append({"name": name, "source": source, "variables": style["variables"], "end": style["end"], "renders": renders})
    conversations = {title: {"tools": tools or [], "messages": messages} for title, (tools, messages) in CONVERSATIONS.items()}
    text = json.dumps({"conversations": conversations, "styles": styles}, ensure_ascii=False, separators=(",", ":"))
    (pathlib.Path(__file__).parent / "tool_chats.json").write_text(text + "\n")
    results = [result for style in styles for result in style["renders"].values()]
    print(len(styles), "templates,", len(results), "renderings,", sum("refused" in r for r in results), "refused,",
          sum("hidden" in r for r in results), "with something hidden")


if __name__ == "__main__":
    main()
