"""Chat templates in the styles of well-known model families, written for these tests.

« and » stand where supervision must begin and end in templates without {% generation %}; they are taken out
before use, and rendered as text of their own to get the expected spans.
"""

STRING, PARTS = "string", "parts"


def style(source, form=STRING, tokens=None, end=(), system=None):
    return {
        "source": source.strip("\n"),
        "forms": {"user": form, "assistant": form, "system": system or form},
        "variables": tokens or {},
        "end": list(end),
    }


LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
LLAMA3 = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
CHATML = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}

STYLES = {
    "llama-2": style(r"""
{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set rules = messages[0]['content'] %}{% else %}{% set turns = messages %}{% set rules = false %}{% endif %}{% for turn in turns %}{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles have to take turns: user, assistant, user, …') }}{% endif %}{% if loop.index0 == 0 and rules != false %}{% set words = '<<SYS>>\n' + rules + '\n<</SYS>>\n\n' + turn['content'] %}{% else %}{% set words = turn['content'] %}{% endif %}{% if turn['role'] == 'user' %}{{ bos_token + '[INST] ' + words.strip() + ' [/INST]' }}{% elif turn['role'] == 'assistant' %}«{{ ' ' + words.strip() + ' ' + eos_token }}»{% endif %}{% endfor %}
""", tokens=LLAMA, end=["</s>", "<s>"]),
    "llama-3": style(r"""
{% set turns = messages %}{% for turn in turns %}{% set head = '<|start_header_id|>' + turn['role'] + '<|end_header_id|>\n\n' %}{% if loop.index0 == 0 %}{% set head = bos_token + head %}{% endif %}{{ head }}{% if turn['role'] == 'assistant' %}«{{ turn['content'] | trim + '<|eot_id|>' }}»{% else %}{{ turn['content'] | trim + '<|eot_id|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}
""", tokens=LLAMA3, end=["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]),
    "llama-3.1": style(r"""
{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message comes first, whether given or not. -#}
{%- if messages[0]['role'] == 'system' %}
    {%- set rules = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set rules = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n"}}
{%- endif %}
{{- "Cutting knowledge: December 2023\n" }}
{{- "Today: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- rules }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
        {%- if message.role == 'assistant' %}«
            {{- message['content'] | trim + '<|eot_id|>' }}»
        {%- else %}
            {{- message['content'] | trim + '<|eot_id|>' }}
        {%- endif %}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time, please!") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' + call.arguments | tojson + "}" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
""", tokens=LLAMA3, end=["<|eot_id|>", "<|eom_id|>"]),
    "llama-3.2-vision": style(r"""
{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set rules = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
    {%- set user_rules = true %}
{%- else %}
    {%- set rules = "" %}
    {%- set user_rules = false %}
{%- endif %}
{%- set seen = namespace(images=false) %}
{%- for message in messages %}
    {%- for part in message['content'] %}
        {%- if part['type'] == 'image' %}
            {%- set seen.images = true %}
        {%- endif %}
    {%- endfor %}
{%- endfor %}
{%- if seen.images and user_rules and (rules != "") %}
    {{- raise_exception("Rules do not go with pictures.") }}
{%- endif %}
{%- if not seen.images %}
    {{- "<|start_header_id|>system<|end_header_id|>\n\nToday: " + date_string + "\n\n" + rules + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}«
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}
                {{- '<|image|>' }}
            {%- elif part['type'] == 'text' %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|eot_id|>' }}»
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
""", form=PARTS, tokens=LLAMA3, end=["<|eot_id|>"], system=STRING),
    "qwen-2": style(r"""
{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + m['role'] + '\n'}}{% if m.role == 'assistant' %}«{{ m['content'] + '<|im_end|>' }}»{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
""", tokens=CHATML, end=["<|im_end|>", "<|im_start|>", "<|endoftext|>"]),
    "qwen-2.5": style(r"""
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a helper.' }}
    {%- endif %}
    {{- "\n\n# Tools\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are a helper.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' }}«{{- message.content + '<|im_end|>' }}»{{- '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments | tojson }}{{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}{{- message.content }}{{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""", tokens=CHATML, end=["<|im_end|>", "<|im_start|>"]),
    "qwen-3": style(r"""
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\n' }}«
        {%- if loop.index0 > ns.last %}
            {%- if loop.last or (not loop.last and reasoning) %}
                {{- '<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- content }}
            {%- endif %}
        {%- else %}
            {{- content }}
        {%- endif %}
        {{- '<|im_end|>' }}»{{- '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
""", tokens=CHATML, end=["<|im_end|>", "<|im_start|>"]),
    "gemma": style(r"""
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('There is no system role here') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles have to take turns') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' }}«{{ message['content'] | trim + '<end_of_turn>' }}»{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}
""", tokens={"bos_token": "<bos>", "eos_token": "<eos>"}, end=["<end_of_turn>", "<start_of_turn>", "<eos>"]),
    "gemma-3": style(r"""
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set opening = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set opening = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set opening = "" -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Roles have to take turns") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\n' }}«{{ (opening if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("What is this?") }}
    {%- endif -%}
    {{ '<end_of_turn>' }}»{{ '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
""", form=PARTS, tokens={"bos_token": "<bos>", "eos_token": "<eos>"}, end=["<end_of_turn>", "<start_of_turn>"]),
    "mistral": style(r"""
{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate: user/assistant/user/…') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}«{{ message['content'] + eos_token }}»{{ ' ' }}{% else %}{{ raise_exception('Only users and assistants talk here') }}{% endif %}{% endfor %}
""", tokens=LLAMA, end=["</s>", "<s>"]),
    "mistral-tools": style(r"""
{%- if messages[0]["role"] == "system" %}
    {%- set rules = messages[0]["content"] %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set users = turns | selectattr("role", "equalto", "user") | list %}

{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in turns %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional rules, roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in turns %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == users[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}{{- tools | map('tojson') | join(', ') }}{{- "][/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and rules is defined %}
            {{- "[INST] " + rules + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}«
        {{- " " + message["content"]|trim + eos_token}}»
    {%- else %}
        {{- raise_exception("What role is that?") }}
    {%- endif %}
{%- endfor %}
""", tokens=LLAMA, end=["</s>"]),
    "phi-3": style(r"""
{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
'}}«{{ message['content'] + '<|end|>' }}»{{ '
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}
""", tokens={"bos_token": "<s>", "eos_token": "<|endoftext|>"}, end=["<|end|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>"]),
    "vicuna": style(r"""
{%- if messages[0].role == 'system' %}{%- set turns = messages[1:] %}{{- messages[0].content.strip() + ' ' }}{%- else %}{%- set turns = messages %}{{- 'A chat between a person and a helper. ' }}{%- endif %}
{%- for turn in turns %}
    {%- if turn.role == 'user' %}
        {{- 'USER: ' + turn.content.strip() + ' ' }}
    {%- elif turn.role == 'assistant' %}
        {{- 'ASSISTANT:' }}«{{- ' ' + turn.content.strip() + eos_token }}»
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- 'ASSISTANT:' }}
{%- endif %}
""", tokens=LLAMA, end=["</s>"]),
    "llava-1.5-hf": style(r"""
{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# pictures go first #}{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# then the words #}{% if message['role'] != 'assistant' %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' '}}{% endfor %}{% else %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ part['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}
""", form=PARTS, tokens=LLAMA, end=["</s>"]),
    "llava-plain": style(r"""
{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ':'}}{% endif %}{% if message['role'] == 'assistant' %}«{{ ' ' }}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}»{{ ' ' }}{% else %}{{ ' ' }}{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' '}}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}
""", form=PARTS, tokens=LLAMA, end=["</s>"]),
    "llava-next-mistral": style(r"""
{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}{% elif message['role'] == 'user' %}{{ '[INST] ' }}{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}{{' [/INST]' }}{% elif message['role'] == 'assistant' %}«{{ ' ' + message['content'][0]['text'] + '</s>' }}»{{ ' ' }}{% else %}{{ raise_exception('Only user and assistant roles, please!') }}{% endif %}{% endfor %}
""", form=PARTS, tokens=LLAMA, end=["</s>"]),
    "qwen-2-vl": style(r"""
{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You help.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
«{% if message['content'] is string %}{{ message['content'] }}<|im_end|>»
{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>»
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}
""", form=PARTS, tokens=CHATML, end=["<|im_end|>", "<|im_start|>", "<|image_pad|>"]),
    "smolvlm": style(r"""
<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}«{% else %}{{':'}}«{{' '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>»
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}
""", form=PARTS, tokens={"eos_token": "<end_of_utterance>", "bos_token": "<|im_start|>"}, end=["<end_of_utterance>"]),
    "internvl": style(r"""
{% for message in messages %}{{'<|im_start|>' + message['role'] + '
'}}«{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>
' }}{% elif content['type'] == 'video' %}{{ '<video>
' }}{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{{'<|im_end|>'}}»{{'
'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant
' }}{% endif %}
""", form=PARTS, tokens=CHATML, end=["<|im_end|>"]),
    "chatml": style(r"""
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}
            {{- message.content + '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\n' }}
    {%- else %}
        {{- message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""", tokens=CHATML, end=["<|im_end|>"]),
    "zephyr": style(r"""
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n' }}«{{ message['content'] + eos_token }}»
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""", tokens=LLAMA, end=["</s>"]),
    "deepseek": style(r"""
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, rules='', first_rules=true) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.first_rules %}{% set ns.rules = ns.rules + message['content'] %}{% set ns.first_rules = false %}{%- else %}{% set ns.rules = ns.rules + '\n\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.rules }}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and 'tool_calls' not in message %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>'}}«{{ content + '<｜end▁of▁sentence｜>'}}»{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜>'}}{% endif %}
""", tokens={"bos_token": {"content": "<｜begin▁of▁sentence｜>", "lstrip": False}, "eos_token": {"content": "<｜end▁of▁sentence｜>"}}, end=["<｜end▁of▁sentence｜>"]),
    "command-r": style(r"""
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set rules = messages[0]['content'] %}{% elif false == true %}{% set turns = messages %}{% set rules = 'You are built to help.' %}{% else %}{% set turns = messages %}{% set rules = false %}{% endif %}{% if rules != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + rules + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in turns %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}«{{ content.strip() + '<|END_OF_TURN_TOKEN|>' }}»{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}
""", tokens={"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}, end=["<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>"]),
    "falcon": style(r"""
{% for message in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}{% if message['role'] == 'system' %}{{ message['content'] + '\n' }}{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'].replace('\r\n', '\n').replace('\n\n', '\n') + '\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant:' }}«{{ ' ' + message['content'] }}»{{ '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '\nAssistant:' }}{% endif %}
""", tokens={"eos_token": "<|endoftext|>"}, end=["<|endoftext|>"]),
    "gpt-2": style(r"""
{% for message in messages %}«{{ message.content }}{{ eos_token }}»{% endfor %}
""", tokens={"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}, end=["<|endoftext|>"]),
    "granite": style(r"""
{%- if messages[0]['role'] == 'system' %}
  {%- set rules = messages[0]['content'] %}
  {%- set turns = messages[1:] %}
{%- else %}
  {%- set rules = "Knowledge ends in April 2024.\nToday is " + strftime_now('%B %d, %Y') + ".\n" %}
  {%- if tools and documents %}
    {%- set rules = rules + " Use tools and documents." %}
  {%- elif tools %}
    {%- set rules = rules + " Use tools." %}
  {%- else %}
    {%- set rules = rules + "You are a helper." %}
  {%- endif %}
  {%- set turns = messages %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + rules + '<|end_of_text|>\n' }}
{%- if documents %}
    {%- for document in documents %}
        {{- document['text'] }}{%- if not loop.last %}{{- '\n\n'}}{%- endif %}
    {%- endfor %}
{%- endif %}
{%- for message in turns %}
    {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' }}«{{- message['content'] + '<|end_of_text|>' }}»{{- '\n' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|start_of_role|>assistant' }}
            {%- if controls %}
                {{- ' ' + controls | tojson()}}
            {%- endif %}
        {{- '<|end_of_role|>' }}
    {%- endif %}
{%- endfor %}
""", tokens={"eos_token": "<|end_of_text|>", "bos_token": "<|end_of_text|>"}, end=["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"]),
    "tulu": style(r"""
{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\n' }}«{% if not loop.last %}{{ message['content'] + eos_token }}»{{ '\n' }}{% else %}{{ message['content'] + eos_token }}»{% endif %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}
""", tokens={"eos_token": "<|endoftext|>"}, end=["<|endoftext|>"]),
    "alpaca": style(r"""
{%- for message in messages -%}
{%- if message.role == 'user' -%}
### Instruction:
{{ message.content }}

{% elif message.role == 'assistant' -%}
### Response:
«{{ message.content }}»

{% else -%}
{{ message.content }}

{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
### Response:
{% endif -%}
""", tokens=LLAMA, end=["</s>"]),
    "role-tokens": style(r"""
{% for m in messages %}<|{{ m['role'] }}|>«{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% if m['role'] == 'assistant' %}<|end|>{% endif %}»{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}
""", form=PARTS, tokens={"eos_token": "<|end|>"}, end=["<|end|>", "<|user|>", "<|assistant|>", "<image>"]),
    "macros": style(r"""
{%- macro words(content) -%}
    {%- if content is string -%}
        {{- content }}
    {%- elif content is iterable and content is not mapping -%}
        {%- for item in content -%}
            {%- if item is mapping and item.type == 'text' -%}
                {{- item.text }}
            {%- elif item is mapping and item.type == 'image' -%}
                <|begin_of_image|><|image|><|end_of_image|>
            {%- elif item is string -%}
                {{- item }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{- content }}
    {%- endif -%}
{%- endmacro -%}
[gMASK]<sop>
{%- set ns = namespace(last_user=-1) %}
{%- for m in messages %}
    {%- if m.role == 'user' %}{% set ns.last_user = loop.index0 -%}{%- endif %}
{%- endfor %}
{% for m in messages %}
{%- if m.role == 'user' -%}<|user|>
{{ words(m.content) }}
{{- '/nothink' if (enable_thinking is defined and not enable_thinking and not words(m.content).endswith("/nothink")) else '' -}}
{%- elif m.role == 'assistant' -%}
<|assistant|>«
{%- set content = words(m.content) %}
{%- set parts = content.split('</think>') %}
{%- if loop.index0 > ns.last_user and parts | length > 1 -%}
{{ '\n<think>' + parts[0].split('<think>')[-1].strip() + '</think>' }}
{%- else -%}
{{ '\n<think></think>' }}
{%- endif -%}
{%- if parts[-1].strip() -%}
{{ '\n' + parts[-1].strip() }}»
{%- endif -%}
{%- elif m.role == 'system' -%}
<|system|>
{{ words(m.content) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    <|assistant|>{{- '\n<think></think>' if (enable_thinking is defined and not enable_thinking) else '' -}}
{%- endif -%}
""", form=PARTS, tokens={"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, end=["<|endoftext|>"]),
    "capture": style(r"""
{%- set answers = [] -%}
{%- for message in messages -%}
  {%- set line -%}
    {%- filter trim -%}
      {{ message.content }}
    {%- endfilter -%}
  {%- endset -%}
  [{{ message.role | upper }}]
  {%- if message.role == 'assistant' %}«
    {{- line | replace('\n', '\\n') }}{{ eos_token }}»{% else %}
    {{- line | replace('\n', '\\n') }}{% endif %}
  {{- '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}[ASSISTANT]{%- endif -%}
""", tokens=LLAMA, end=["</s>"]),
    # Earlier turns end with a token, the last does not: what is not there is not trained.
    "chatml, last turn open": style(r"""
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}«{{ message['content'] }}{% if not loop.last or add_generation_prompt %}{{ '<|im_end|>' }}{% endif %}»{% else %}{{ message['content'] }}{% if not loop.last or add_generation_prompt %}{{ '<|im_end|>' }}{% endif %}{% endif %}{% if not loop.last or add_generation_prompt %}{{ '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt and messages and messages[-1]['role'] != 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}
""", tokens=CHATML, end=["<|im_end|>", "<|im_start|>"]),
    # Two tokens end an answer, one after the other, and the next turn begins with a token at once.
    "response blocks": style(r"""
{{- bos_token }}
{%- for message in messages %}
    {{- '<|START_OF_TURN_TOKEN|>' + {'user': '<|USER_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}.get(message.role, '<|SYSTEM_TOKEN|>') }}
    {%- if message.role == 'assistant' %}
        {{- '<|START_RESPONSE|>' }}«{{- message.content + '<|END_RESPONSE|><|END_OF_TURN_TOKEN|>' }}»
    {%- else %}
        {{- message.content + '<|END_OF_TURN_TOKEN|>' }}
    {%- endif %}
{%- endfor %}
{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>' if add_generation_prompt }}
""", tokens={"bos_token": "<BOS_TOKEN>"}, end=["<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<|START_RESPONSE|>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>"]),
    # Lists of parts are printed as JSON, which is not what they say.
    "json contents": style(r"""
{%- macro said(content) -%}{{ content if content is string else content | tojson }}{%- endmacro -%}
{%- for message in messages %}{{- '<|im_start|>' ~ message.role ~ '\n' }}«{{- said(message.content) ~ '<|im_end|>' }}»{{- '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}
""", tokens=CHATML, end=["<|im_end|>", "<|im_start|>"]),
}
