"""Chat templates that show tools, in the formats of well-known model families, written for these tests.

« and » stand where supervision must begin and end; they are taken out before use. `arguments` says whether a template
wants the arguments of calls as an object or as text, `content` what a turn that only calls must have as content.
"""

OBJECT, TEXT = "object", "text"


def style(source, arguments=OBJECT, content=None, tokens=None, end=()):
    return {"source": source.strip("\n"), "arguments": arguments, "content": content, "variables": tokens or {}, "end": list(end)}


CHATML = ["<|im_end|>", "<|im_start|>"]

TOOL_STYLES = {
    # Calls as JSON in tags; results that follow one another share a turn of the user.
    "chatml, tool_call": style(r"""
{%- if tools %}
    {{- '<|im_start|>system\n' }}{{ messages[0].content + '\n\n' if messages[0].role == 'system' }}# Tools\n<tools>
    {%- for tool in tools %}{{ '\n' ~ (tool | tojson) }}{% endfor %}
    {{- '\n</tools><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\n' }}«{{- message.content or '' }}
        {%- for call in message.tool_calls or [] %}
            {%- if call.function is defined %}{% set call = call.function %}{% endif %}
            {{- '\n' if message.content or not loop.first }}{{- '<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}{{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>' }}»{{- '\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{% endif %}
        {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\n' }}{% endif %}
    {%- endif %}
{%- endfor %}
{{- '<|im_start|>assistant\n' if add_generation_prompt }}
""", end=CHATML),
    # Tools indented before the first question, one call at a time, results quoted as JSON.
    "header ids, one call": style(r"""
{{- bos_token }}{%- set said = namespace(tools=tools is none) %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\n\n' + (message.content | tojson) + '<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
        {%- if 'tool_calls' in message %}
            {%- if message.tool_calls | length != 1 %}{{- raise_exception('One call at a time, please') }}{% endif %}
            {%- set call = message.tool_calls[0].function %}
            {#- #}«{{- '{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- '}<|eot_id|>' }}»
        {%- else %}
            {%- if message.role == 'user' and not said.tools %}
                {%- set said.tools = true %}
                {{- 'Functions:\n\n' }}
                {%- for tool in tools %}{{- tool | tojson(indent=4) }}{{- '\n\n' }}{% endfor %}
            {%- endif %}
            {%- if message.role == 'assistant' %}«{{- message.content | trim + '<|eot_id|>' }}»
            {%- else %}{{- message.content | trim + '<|eot_id|>' }}{% endif %}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' if add_generation_prompt }}
""", tokens={"bos_token": "<|begin_of_text|>"}, end=["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]),
    # Tools stand before the last question, so that earlier text changes as the conversation goes on; call numbers are checked.
    "inst, tools at the last question": style(r"""
{%- set users = messages | selectattr('role', 'equalto', 'user') | list %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'system' %}
    {%- elif message.role == 'user' %}
        {%- if tools is not none and message == users[-1] %}
            {{- '[AVAILABLE_TOOLS] [' }}
            {%- for tool in tools %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, value in tool.function.items() if key != 'return' %}
                    {{- '"' + key + '": ' + ('"' + value + '"' if value is string and '"' not in value else value | tojson) }}{{- ', ' if not loop.last }}
                {%- endfor %}
                {{- '}}' }}{{- ', ' if not loop.last }}
            {%- endfor %}
            {{- '][/AVAILABLE_TOOLS]' }}
        {%- endif %}
        {{- '[INST] ' + (messages[0].content + '\n\n' if loop.last and messages[0].role == 'system' else '') + message.content + '[/INST]' }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}«
        {{- '[TOOL_CALLS] [' }}
        {%- for call in message.tool_calls %}
            {%- set out = call.function | tojson %}
            {{- out[:-1] }}
            {%- if call.id is not defined or call.id | length != 9 %}{{- raise_exception('Calls need numbers of nine characters') }}{% endif %}
            {{- ', "id": "' + call.id + '"}' }}{{- ', ' if not loop.last else ']' + eos_token }}
        {%- endfor %}»
    {%- elif message.role == 'assistant' %}«{{- ' ' + message.content + eos_token }}»
    {%- elif message.role == 'tool' %}
        {{- '[TOOL_RESULTS] {"content": ' + (message.content | string) + ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}{{- raise_exception('Who is that?') }}
    {%- endif %}
{%- endfor %}
""", tokens={"bos_token": "<s>", "eos_token": "</s>"}, end=["</s>", "<s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]),
    # Arguments are added to strings, so that they must be text; tokens around every call, and several at the end of the turn.
    "bars, calls within calls": style(r"""
{%- set ns = namespace(first=true, after=false) %}{{- bos_token }}
{%- if tools %}{{- '## Tools\n' }}{% for tool in tools %}{{- '### ' + tool.function.name + '\n' + tool.function.parameters | tojson + '\n' }}{% endfor %}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{- '<｜User｜>' + message.content }}{% set ns.after = false %}{% endif %}
    {%- if message.role == 'assistant' %}
        {%- if not ns.after %}{{- '<｜Assistant｜>' }}{% endif %}«
        {%- if message.content %}{{- message.content.split('</think>')[-1] }}{% endif %}
        {%- if message.tool_calls %}
            {%- set ns.first = true %}
            {%- for call in message['tool_calls'] %}
                {%- if ns.first %}{{- '<｜tool▁calls▁begin｜>' }}{% set ns.first = false %}{% else %}{{- '\n' }}{% endif %}
                {{- '<｜tool▁call▁begin｜>' + call['type'] + '<｜tool▁sep｜>' + call['function']['name'] + '\n```json\n' + call['function']['arguments'] + '\n```<｜tool▁call▁end｜>' }}
            {%- endfor %}
            {{- '<｜tool▁calls▁end｜>' }}
        {%- endif %}
        {{- '<｜end▁of▁sentence｜>' }}»{% set ns.after = false %}
    {%- endif %}
    {%- if message.role == 'tool' %}
        {{- '<｜tool▁outputs▁begin｜>' if not ns.after }}{{- '<｜tool▁output▁begin｜>' + message.content + '<｜tool▁output▁end｜>' }}
        {%- set ns.after = true %}
        {%- if loop.last or messages[loop.index].role != 'tool' %}{{- '<｜tool▁outputs▁end｜>' }}{% endif %}
    {%- endif %}
{%- endfor %}
{{- '<｜Assistant｜>' if add_generation_prompt and not ns.after }}
""", arguments=TEXT, tokens={"bos_token": "<｜begin▁of▁sentence｜>"}, end=[
        "<｜end▁of▁sentence｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁sep｜>",
        "<｜tool▁outputs▁begin｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁outputs▁end｜>", "<｜User｜>", "<｜Assistant｜>"]),
    # Types written by a macro, calls in a channel that end in their own way, the last answer ends otherwise than earlier ones.
    "channels": style(r"""
{%- macro type(schema) -%}
    {%- if schema.enum is defined -%}{{ schema.enum | map('tojson') | join(' | ') }}
    {%- elif schema.type == 'array' -%}{{ type(schema['items']) }}[]
    {%- elif schema.type == 'object' and schema.properties -%}
        { {%- for name, value in schema.properties.items() %} {{ name }}{{ '' if name in (schema.required or []) else '?' }}: {{ type(value) }}, {% endfor -%} }
    {%- else -%}{{ {'integer': 'number'}.get(schema.type, schema.type) | default('any', true) }}
    {%- endif -%}
{%- endmacro -%}
<|start|>system<|message|>Today: {{ strftime_now('%Y-%m-%d') }}<|end|>
{%- if tools %}{{- '<|start|>developer<|message|>' }}{% for tool in tools %}
    {{- '// ' + tool.function.description + '\ntype ' + tool.function.name + ' = (_: ' + type(tool.function.parameters) + ') => any;\n' }}
{%- endfor %}{{- '<|end|>' }}{% endif %}
{%- set last = namespace(call=none) %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls is defined %}
        {%- set call = message.tool_calls[0].function %}{% set last.call = call.name %}
        {{- '<|start|>assistant' }}«{{- '<|channel|>analysis<|message|>' ~ message.content ~ '<|end|><|start|>assistant' if message.content }}
        {{- ' to=functions.' + call.name + '<|channel|>commentary json<|message|>' }}{{- call.arguments | tojson }}{{- '<|call|>' }}»
    {%- elif message.role == 'assistant' %}
        {{- '<|start|>assistant' }}«{{- '<|channel|>final<|message|>' + message.content }}{{- '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}»
    {%- elif message.role == 'tool' %}
        {%- if last.call is none %}{{- raise_exception('A result without a call') }}{% endif %}
        {{- '<|start|>functions.' + last.call + ' to=assistant<|channel|>commentary<|message|>' }}{{- message.content | tojson }}{{- '<|end|>' }}
    {%- else %}
        {{- '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}
""", end=["<|return|>", "<|call|>", "<|end|>", "<|start|>", "<|channel|>", "<|message|>"]),
    # Arguments one by one in tags, so that they must be an object; no token ends a turn.
    "argument tags": style(r"""
[gMASK]<sop>
{%- if tools %}{{- '<|system|>\n# Tools' }}{% for tool in tools %}{{- '\n' ~ tool | tojson(ensure_ascii=False) }}{% endfor %}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|observation|>' if loop.first or messages[loop.index0 - 1].role != 'tool' }}{{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
    {%- else %}
        {{- '<|' + message.role + '|>' }}
        {%- if message.role == 'assistant' %}«{% endif %}
        {%- if message.content and message.content.strip() %}{{- '\n' + message.content.strip() }}{% endif %}
        {%- for call in message.tool_calls or [] %}
            {{- '\n<tool_call>' + call.function.name }}
            {%- for key, value in call.function.arguments.items() %}
                {{- '\n<arg_key>' ~ key ~ '</arg_key>\n<arg_value>' ~ (value if value is string else value | tojson(ensure_ascii=False)) ~ '</arg_value>' }}
            {%- endfor %}
            {{- '\n</tool_call>' }}
        {%- endfor %}
        {%- if message.role == 'assistant' %}»{% endif %}
    {%- endif %}
{%- endfor %}
{{- '<|assistant|>' if add_generation_prompt }}
""", end=["<|user|>", "<|assistant|>", "<|observation|>", "<|system|>"]),
    # Two tokens end every turn of the assistant.
    "response blocks": style(r"""
{{- bos_token }}
{%- if tools %}{{- '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># Tools\n' ~ tools | map(attribute='function') | list | tojson(indent=4) ~ '<|END_OF_TURN_TOKEN|>' }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- if messages[loop.index0 - 1].role != 'tool' %}{{- '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|><|START_TOOL_RESULT|>[' }}{% else %}{{- ', ' }}{% endif %}
        {{- {'call': message.tool_call_id, 'result': message.content} | tojson }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- ']<|END_TOOL_RESULT|><|END_OF_TURN_TOKEN|>' }}{% endif %}
    {%- elif message.role == 'assistant' %}
        {{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}«
        {%- if message.tool_calls %}
            {{- '<|START_THINKING|>' + message.content + '<|END_THINKING|>' if message.content }}
            {{- '<|START_ACTION|>[' }}
            {%- for call in message.tool_calls %}
                {{- '\n    {"tool_call_id": "' ~ loop.index0 ~ '", "tool_name": ' ~ call.function.name | tojson ~ ', "parameters": ' ~ call.function.arguments | tojson ~ '}' }}{{- ',' if not loop.last }}
            {%- endfor %}
            {{- '\n]<|END_ACTION|>' }}
        {%- else %}
            {{- '<|START_RESPONSE|>' + message.content + '<|END_RESPONSE|>' }}
        {%- endif %}
        {{- '<|END_OF_TURN_TOKEN|>' }}»
    {%- else %}
        {{- '<|START_OF_TURN_TOKEN|><|' + {'user': 'USER'}.get(message.role, 'SYSTEM') + '_TOKEN|>' + message.content + '<|END_OF_TURN_TOKEN|>' }}
    {%- endif %}
{%- endfor %}
{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' if add_generation_prompt }}
""", tokens={"bos_token": "<BOS_TOKEN>"}, end=[
        "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_ACTION|>", "<|END_ACTION|>",
        "<|START_THINKING|>", "<|END_THINKING|>", "<|USER_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|CHATBOT_TOKEN|>"]),
    # Functions in tags; descriptions escaped because what is added to `safe` text is; empty contents must be strings.
    "function tags": style(r"""
{%- if tools %}{{- '<|from|>system\n' }}{% for tool in tools %}{{ "Use '" | safe + tool.function.name + "' to '" | safe + tool.function.description + "'\n" | safe + tool.function.parameters | tojson }}
{% endfor %}{{- '<|stop|>' }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<|from|>assistant\n' }}«{{- message.content + ('\n' if message.content and message.tool_calls else '') }}
        {%- for call in message.tool_calls or [] %}{{- '<function=' + call.function.name + '>' + (call.function.arguments | tojson) + '</function>' }}{% endfor %}
        {{- '<|stop|>' }}»
    {%- else %}
        {{- '<|from|>' + ('function' if message.role == 'tool' else message.role) + '\n' + message.content + '<|stop|>' }}
    {%- endif %}
{%- endfor %}
{{- '<|from|>assistant\n' if add_generation_prompt }}
""", content="", end=["<|stop|>", "<|from|>"]),
    # What the assistant thought is shown in its last turns alone; earlier ones lose it.
    "thoughts apart": style(r"""
{%- if tools %}{{- '<|im_start|>system\n' ~ tools | tojson ~ '<|im_end|>\n' }}{% endif %}
{%- set asked = namespace(at=-1) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set asked.at = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages %}
    {{- '<|im_start|>' + ('user' if message.role == 'tool' else message.role) + '\n' }}
    {%- if message.role == 'assistant' %}
        {#- #}«{{- '<think>\n' + message.reasoning_content.strip('\n') + '\n</think>\n\n' if message.reasoning_content and loop.index0 > asked.at }}
        {{- (message.content or '').lstrip('\n') }}
        {%- for call in message.tool_calls or [] %}{{- '\n<tool_call>\n' ~ call.function | tojson ~ '\n</tool_call>' }}{% endfor %}
        {{- '<|im_end|>' }}»{{- '\n' }}
    {%- else %}
        {{- message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{{- '<|im_start|>assistant\n' if add_generation_prompt }}
""", end=CHATML),
    # The template itself says what is generated.
    "generation tags": style(r"""
{%- for tool in tools or [] %}{{- '<tool>' + tool.function.name + '</tool>' }}{% endfor %}
{%- for message in messages %}
    {{- '<' + message.role + '>' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}{{- message.content or '' }}{% for call in message.tool_calls or [] %}{{- '@' + call.function.name + call.function.arguments | tojson }}{% endfor %}{{- '<end>' }}{% endgeneration %}
    {%- else %}{{- message.content + '<end>' }}{% endif %}
{%- endfor %}
{{- '<assistant>' if add_generation_prompt }}
""", end=["<end>"]),
    # Knows nothing of tools: leaves them out without a word.
    "no tools": style(r"""
{%- for message in messages %}{{- '<' + message.role + '>' }}{% if message.role == 'assistant' %}«{{- message.content or '' }}{{- '<end>' }}»{% else %}{{- message.content + '<end>' }}{% endif %}{% endfor %}
{{- '<assistant>' if add_generation_prompt }}
""", end=["<end>"]),
}
