"""Renders small templates in the environment that transformers gives chat templates; writes snippets.json.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6 transformers==5.23.0 && venv/bin/python make_snippets.py
"""
import datetime
import json
import pathlib

import transformers.utils.chat_template_utils as reference

VARIABLES = {
    "name": "Ada",
    "text": "  Hello World \n",
    "unicode": "ÀÉ ß Σίσυφος ΟΔΟΣ ǆ ŉ 日本 😀 e\u0301",
    "empty": "",
    "nothing": None,
    "yes": True,
    "no": False,
    "count": 7,
    "pi": 3.14159,
    "numbers": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple"],
    "map": {"b": 1, "a": [1, 2.5, None], "items": "own", "c d": {"x": "y"}},
    "users": [
        {"name": "Bo", "age": 31, "tags": ["x"], "home": {"city": "Oslo"}},
        {"name": "al", "age": 25, "tags": [], "home": {"city": "Rome"}},
        {"name": "Cy", "age": 31, "home": {"city": "oslo"}},
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <b>\"you\"</b> & 'me'"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"},
    ],
    "quotes": "it's \"q\" \\ \t é\u200b\u007f",
    "bos_token": "<s>",
}

SNIPPETS = r"""
{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ -2 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1e16 }} {{ 123456789012345678.0 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1e22 }} {{ 100000.0 }} {{ 0.0001 }} {{ 1e15 }} {{ -0.0 }}
{{ true }} {{ False }} {{ none }} {{ None }} {{ nothing }} {{ missing }} {{ [] }} {{ {} }} {{ () }} {{ (1,) }} {{ [1, 'a', 2.0, none, true] }} {{ {'a': 1, "b": [2]} }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ 'a' == 'a' }} {{ [1] == [1.0] }} {{ (1, 2) == [1, 2] }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ none == false }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'Z' < 'a' }} {{ 2 > 1.5 }} {{ 1 != 2 != 1 }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ missing + 1 }}
{{ missing.attribute }}
{{ missing['item'] }}
{{ missing() }}
{{ none.x }}|{{ none.x is defined }}
{{ none.x.y }}
{{ name.nosuch }}|{{ map.nosuch }}|{{ numbers.nosuch }}|{{ numbers[9] }}|{{ count.nosuch is defined }}
{{ 'a' ~ 1 ~ none ~ 2.0 ~ missing ~ [1] }}
{{ 1 ~ 2 + 3 }}
{{ '1' ~ 2 * 3 ~ '4' }}
{{ 'ab' * 3 }} {{ 2 * 'x' }} {{ [1] * 3 }} {{ 'a' * -1 }}| {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ yes and 'a' }} {{ no and 'a' }} {{ no or 'b' }} {{ '' or 0 or none }} {{ 'x' and '' }}| {{ not '' }} {{ not not 1 }} {{ 1 or missing.x }}
{{ 'a' if yes }}|{{ 'a' if no }}|{{ 'a' if no else 'b' }}|{{ 'a' if no else 'b' if no else 'c' }}|{{ ('a' if no) is defined }}
{{ 'el' in 'hello' }} {{ 'x' not in 'hello' }} {{ 1 in [1, 2] }} {{ 'a' in map }} {{ 'z' in map }} {{ 2 in (1, 2) }} {{ not 1 in [2] }} {{ '' in 'a' }} {{ 1 in missing }} {{ none in [none] }} {{ 1 in map.values() }}
{{ 1 in 'abc' }}
{{ 'a' in none }}
{{ 'a' in 5 }}
{{ name is defined }} {{ missing is defined }} {{ missing is not defined }} {{ missing is undefined }} {{ nothing is none }} {{ nothing is not none }} {{ not nothing is none }}
{{ name is string }} {{ 1 is string }} {{ map is mapping }} {{ numbers is mapping }} {{ numbers is sequence }} {{ name is sequence }} {{ map is sequence }} {{ 1 is sequence }} {{ missing is sequence }} {{ map.items() is sequence }}
{{ numbers is iterable }} {{ name is iterable }} {{ 1 is iterable }} {{ none is iterable }} {{ missing is iterable }} {{ map.items() is iterable }} {{ range(2) is iterable }}
{{ 1 is number }} {{ 1.0 is number }} {{ true is number }} {{ '1' is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ 1 is float }} {{ true is boolean }} {{ 1 is boolean }}
{{ true is true }} {{ 1 is true }} {{ false is false }} {{ none is false }} {{ 3 is odd }} {{ 3 is even }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 3 is not odd }}
{{ 1 is eq 1 }} {{ 1 is equalto(2) }}
{{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 1 is gt 2 }} {{ 1 is le 1 }} {{ 1 is ge 2 }} {{ 1 is in [1] }} {{ 1 is not in [1] }} {{ 5 is greaterthan 3 }} {{ 'a' is sameas 'a' }} {{ none is sameas none }} {{ 1 is sameas true }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ range is callable }} {{ name is callable }} {{ name.upper is callable }} {{ 'upper' is filter }} {{ 'nope' is filter }}
{{ 1 is nosuchtest }}
{{ 1 | nosuchfilter }}
{% if false %}{{ 1 | nosuchfilter }}{% endif %}ok
{{ 'a' is defined is string }}
{{ name[0] }} {{ name[-1] }} {{ name[1:] }} {{ name[:-1] }} {{ name[::-1] }} {{ name[::2] }} {{ name[5:] }}| {{ name[-99:2] }} {{ name[2:0:-1] }} {{ unicode[0] }} {{ unicode[-3] }} {{ unicode[2:8] }} {{ unicode[::-1] }}
{{ numbers[0] }} {{ numbers[-1] }} {{ numbers[1:] }} {{ numbers[::-1] }} {{ numbers[:2] }} {{ numbers[5:] }} {{ (1, 2, 3)[1:] }} {{ numbers[none:2] }} {{ numbers[::none] }}
{{ numbers[::0] }}
{{ map['a'][1] }} {{ map.b }} {{ map['c d'].x }} {{ map['c d']['x'] }} {{ map['items'] }} {{ users[0].name }} {{ users.0.name }} {{ users[0]['home'].city }} {{ {1: 'x', true: 'y', 'k': 2} }} {{ {(1, 2): 3}[1, 2] }}
{{ map.items() }} {{ map.keys() }} {{ map.values() | list }} {{ map.get('b') }} {{ map.get('z') }} {{ map.get('z', 'std') }} {{ map | items | list }} {{ map.items() | length }} {{ map.items()[0] is defined }}
{{ {[1]: 2} }}
{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ text | trim }}|{{ 'xax' | trim('x') }}|{{ text.strip(none) }}
{{ 'a,b,,c'.split(',') }} {{ 'a b  c '.split() }} {{ ' a b c '.split(none, 1) }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ 'a'.split('x') }} {{ ''.split(',') }} {{ ''.split() }} {{ 'a b'.split(maxsplit=1) }} {{ '  '.split(none, 0) }}
{{ 'a'.split('') }}
{{ 'a\nb\r\nc\n\nd'.splitlines() }} {{ 'a\nb\n'.splitlines(true) }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }} {{ 'kv'.partition('=') }} {{ 'kv'.rpartition('=') }}
{{ 'hello'.startswith('he') }} {{ 'hello'.startswith(('x', 'h')) }} {{ 'hello'.endswith('lo') }} {{ 'hello'.startswith('l', 2) }} {{ 'hello'.endswith('l', 0, 4) }} {{ 'hello'.startswith('') }}
{{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('z') }} {{ 'hello'.index('e') }} {{ 'hello'.count('l') }} {{ 'aaa'.count('aa') }} {{ unicode.find('ß') }} {{ 'hello'.find('l', 3) }} {{ 'hello'.find('', 9) }} {{ 'abc'.count('') }} {{ 'hello'.find('h', 1) }} {{ 'hello'.find('l', -2) }}
{{ 'hello'.index('z') }}
{{ 'hello'.replace('l', 'L') }} {{ 'hello'.replace('l', 'L', 1) }} {{ 'abc'.replace('', '-') }} {{ 'abc'.replace('', '-', 2) }} {{ 'hello' | replace('l', '') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 12 | replace(1, 3) }}
{{ name.upper() }} {{ name.lower() }} {{ 'hello world'.title() }} {{ "they're bill's".title() }} {{ 'hELLO'.capitalize() }} {{ 'aBc'.swapcase() }} {{ unicode.upper() }} {{ unicode.lower() }} {{ unicode.title() }} {{ unicode.capitalize() }} {{ unicode.swapcase() }} {{ 'ΑΣ.Σ'.lower() }}
{{ name | upper }} {{ name | lower }} {{ 'hello wORLD-foo (bar) [baz] it\'s' | title }} {{ 'hELLO' | capitalize }} {{ unicode | title }} {{ 1 | upper }}
{{ '12'.isdigit() }} {{ '1a'.isdigit() }} {{ ''.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ 'ab'.isalpha() }} {{ 'ab1'.isalnum() }} {{ ' \t'.isspace() }} {{ 'Ab'.isupper() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ 'é'.isascii() }}
{{ 'a'.center(4) }}| {{ 'ab'.center(5, '*') }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'ab'|center(6) }}|{{ 'prefix_x'.removeprefix('prefix_') }} {{ 'x.py'.removesuffix('.py') }} {{ 'x'.removesuffix('') }}
{{ ', '.join(['a', 'b']) }} {{ ''.join(words) }} {{ '-'.join('abc') }} {{ numbers | join(', ') }} {{ numbers | join }} {{ users | join('|', attribute='name') }} {{ [] | join(',') }}
{{ ','.join([1, 2]) }}
{{ '%s and %d' % ('a', 3) }} {{ '%5.2f|%-5s|%05d|%x|%%' % (pi, 'ab', 42, 255) }} {{ '%s' % name }} {{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }} {{ '%r' % 'x' }} {{ '%+d % d' % (1, 2) }} {{ '%s %s' | format('a', 1) }} {{ '%e' % 12345.678 }} {{ '%g' % 0.00001 }} {{ '%s' % [1] }} {{ '%i' % 3.9 }} {{ '%c' % 65 }}
{{ '%s %s' % 'a' }}
{{ '%d' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {}'.format('a', 1) }} {{ '{1} {0}'.format('a', 'b') }} {{ '{x} {y}'.format(x=1, y='z') }} {{ '{{}} {}'.format(1) }} {{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}'.format('a', 'b', 'c', 42, pi, 1234567) }} {{ '{!r}'.format('a') }} {{ '{0[a]} {1.x}'.format({'a': 1}, {'x': 2}) }} {{ '{:x} {:b} {:e} {:+} {:*^7}'.format(255, 5, 1234.5, 3, 'mid') }} {{ '{:6}|{:6}'.format(1, 'a') }} {{ '{:.3}'.format('abcdef') }} {{ '{:%}'.format(0.25) }}
{{ '{}'.format() }}
{{ quotes }} {{ [quotes] }} {{ ["it's", 'say "x"', 'a\nb\tc\\', 'é😀\x00\x7f\u200b'] }}
{{ 'a\tb\x41\u00e9\U0001F600\101\q\'' }} {{ "a" 'b' "c" }} {{ 'line\
joined' }}
{{ name | length }} {{ numbers | length }} {{ map | length }} {{ missing | length }} {{ unicode | length }} {{ '' | count }} {{ map.items() | length }} {{ range(5) | length }}
{{ 5 | length }}
{{ none | length }}
{{ numbers | map('string') | length }}
{{ missing | default('d') }} {{ nothing | default('d') }} {{ empty | default('d') }}| {{ empty | default('d', true) }} {{ empty | d('e', boolean=true) }} {{ map.zz | default({}) }} {{ missing | default }}|
{{ numbers | first }} {{ numbers | last }} {{ name | first }} {{ name | last }} {{ [] | first }}| {{ map | first }} {{ [] | last is defined }} {{ range(3) | last }}
{{ numbers | sort }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ numbers | sort(reverse=true) }} {{ users | sort(attribute='age') | map(attribute='name') | list }} {{ users | sort(attribute='age,name', reverse=true) | map(attribute='name') | join(' ') }} {{ users | sort(attribute='home.city') | map(attribute='name') | join(' ') }}
{{ [1, 'a'] | sort }}
{{ words | unique | list }} {{ words | unique(case_sensitive=true) | list }} {{ users | unique(attribute='age') | map(attribute='name') | list }} {{ [1, 1.0, true, 2] | unique | list }}
{{ numbers | reverse | list }} {{ name | reverse }} {{ numbers | min }} {{ numbers | max }} {{ words | min }} {{ words | max(case_sensitive=true) }} {{ users | max(attribute='age') }} {{ [] | max is defined }} {{ numbers | sum }} {{ users | sum(attribute='age') }} {{ numbers | sum(start=10) }} {{ [0.5, 1] | sum }}
{{ numbers | map('string') | list }} {{ words | map('upper') | join(',') }} {{ users | map(attribute='name') | list }} {{ users | map(attribute='tags', default='none') | list }} {{ words | map('replace', 'p', 'P') | list }} {{ users | map(attribute='home.city') | map('lower') | list }} {{ [] | map('upper') | list }} {{ missing | map('upper') | list }}
{{ numbers | select('odd') | list }} {{ numbers | reject('odd') | list }} {{ numbers | select('gt', 1) | list }} {{ [0, 1, '', 'a'] | select | list }} {{ [0, 1, '', 'a'] | reject | list }} {{ users | selectattr('tags') | map(attribute='name') | list }} {{ users | selectattr('age', 'equalto', 31) | map(attribute='name') | list }} {{ users | rejectattr('age', '==', 31) | map(attribute='name') | list }} {{ users | selectattr('tags', 'defined') | list | length }} {{ users | selectattr('name', 'in', ['Bo', 'Cy']) | map(attribute='name') | join('+') }} {{ messages | rejectattr('role', 'eq', 'system') | map(attribute='role') | first }}
{% set g = numbers | select('odd') %}{{ g | list }}{{ g | list }}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 'x') | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ [1, 2, 3] | slice(2, 'x') | list }} {{ users | groupby('age') | map('first') | list }} {% for city, list in users | groupby('home.city') %}{{ city }}:{{ list | length }};{% endfor %}
{{ map | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'A': 2} | dictsort(false, 'value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}
{{ '42' | int }} {{ '42.9' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.9 | int }} {{ -3.9 | int }} {{ '0x1f' | int(base=16) }} {{ '101' | int(0, 2) }} {{ none | int }} {{ ' 5 ' | int }} {{ true | int }} {{ '1_000' | int }} {{ '1e3' | int }}
{{ '4.5' | float }} {{ 'x' | float }} {{ 'x' | float(1.5) }} {{ 3 | float }} {{ '1e3' | float }} {{ 'inf' | float }} {{ ' -2.50 ' | float }} {{ '.5' | float }} {{ '5.' | float }} {{ none | float }}
{{ -5 | abs }} {{ -2.5 | abs }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(0, 'ceil') }} {{ 5 | round }} {{ 1234.5 | round(-2) }} {{ pi | round(3) }} {{ 2.5 | round | int }}
{{ name | tojson }} {{ map | tojson }} {{ messages[1].content | tojson }} {{ unicode | tojson }} {{ unicode | tojson(ensure_ascii=true) }} {{ quotes | tojson }} {{ [1, 2.0, true, none, 1e100] | tojson }} {{ (1, 'a') | tojson }} {{ '\x00\x1f\x7f\b\f</script>' | tojson }}
{{ map | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ {} | tojson(indent=4) }} {{ [1, [2]] | tojson(indent=none) }} {{ map | tojson(separators=(',', ':')) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ [1] | tojson(indent='--') }} {{ users | tojson(indent=2, ensure_ascii=False) }}
{{ missing | tojson }}
{{ range(2) | tojson }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}|{{ 'a\n' | indent(2) }}|{{ 'a\nb' | indent(width=1, first=true) }}
{{ messages[1].content | escape }} {{ messages[1].content | e }} {{ name | safe }} {{ 5 | string }} {{ none | string }} {{ [1, 'a'] | string }} {{ 'abc' | list }} {{ map | list }} {{ 'The quick brown fox' | truncate(10) }} {{ 'The quick brown fox' | truncate(10, true) }} {{ 'abc def' | truncate(5) }} {{ 'one two, three' | wordcount }}
{{ map | attr('b') is defined }} {{ name | attr('upper') is callable }} {{ name | string | upper | lower | capitalize }}
{{ range(5) | list }} {{ range(2, 5) | list }} {{ range(5, 0, -2) | list }} {{ range(3) }} {{ range(0) | list }} {{ range(10)[3] }} {{ 3 in range(5) }} {{ range(4) | sum }}
{{ range(1000000) }}
{{ range(1, 5, 0) }}
{{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2) }} {{ dict([('k', 'v')]) }} {{ dict(**{'q': 1}) }}
{% set ns = namespace(a=1, b='x') %}{{ ns.a }} {% set ns.a = ns.a + 5 %}{{ ns.a }} {{ ns.c is defined }} {{ ns['b'] }} {% set ns.c = [ns.a] %}{{ ns.c }}
{% set ns = namespace({'x': 1}, y=2) %}{{ ns.x + ns.y }} {{ ns }}
{% set q = {} %}{% set q.x = 1 %}
{% set ns = namespace() %}{% set ns._x = 1 %}
{{ raise_exception('Only user and assistant roles are supported!') }}
{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ m.role }};{% endfor %}
{% for x in numbers %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}
{% for x in [] %}x{% else %}none{% endfor %} {% for x in missing %}x{% else %}none{% endfor %} {% for x in numbers %}{{ x }}{% else %}none{% endfor %}
{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %} {% for k in map %}{{ k }};{% endfor %} {% for k, v in map | items %}{{ k }}{% endfor %} {% for c in 'añ😀' %}[{{ c }}]{% endfor %} {% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1]] %}{{ a }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }}:{{ loop.last }} {% else %}no{% endfor %}{% for x in numbers if x > 9 %}{{ x }}{% else %}no{% endfor %}
{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %} {% for x in numbers %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in numbers %}{% for y in 'ab' %}{{ loop.index }}{{ y }}{% if y == 'a' and x == 1 %}{% break %}{% endif %}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in numbers %}{{ loop.cycle('odd', 'even') }} {{ loop.changed(x > 1) }} {% endfor %}
{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': [{'v': 4, 'c': []}]}]}] recursive %}{{ n.v }}@{{ loop.depth }}[{{ loop(n.c) }}]{% endfor %}
{% set x = 1 %}{% for i in numbers %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}
{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% set t = 1, 2 %}{{ t }} {% set (c, d) = [3, 4] %}{{ c }}{{ d }}
{% for i in [1] %}{% set inner = 5 %}{% endfor %}{{ inner is defined }} {{ i is defined }} {{ loop is defined }}
{% set x %}a{{ name }}b{% set hidden = 1 %}{% endset %}[{{ x }}] {{ x | length }} {{ hidden is defined }} {% set y | upper | trim %}  abc {% endset %}[{{ y }}]
{% with a = 1, b = 2 %}{{ a + b }}{% set c = 3 %}{% endwith %}{{ a is defined }}{{ c is defined }} {% with %}{{ name }}{% endwith %}
{% if no %}a{% elif nothing %}b{% elif yes %}c{% else %}d{% endif %} {% if no %}a{% else %}d{% endif %} {% if missing %}x{% endif %} {% if missing is defined and missing.x %}x{% endif %}
{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c='z') }} {{ m(1, 3, 4) }} {{ m() }} {{ m(b=5) }} {{ m.name }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}
{% macro m() %}{{ varargs }} {{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(6) }}
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}in {{ name }}{% endcall %} {% macro each(l) %}{% for x in l %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each(numbers) %}({{ i }}:{{ x }}){% endcall %}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }} {% for x in [7] %}{{ m() }}{% endfor %}
{% macro outer() %}{% macro inner() %}i{% endmacro %}[{{ inner() }}]{% endmacro %}{{ outer() }} {{ m is defined }}
{% filter upper %}abc {{ name }}{% endfilter %} {% filter replace('a', 'b') | trim %} banana {% endfilter %}|
{% print 1, 'a' %}
{% raw %}{{ not }} {% rendered %}{% endraw %}|{%- raw -%}  {{ x }}  {%- endraw -%}  |
{# comment #}a{#- comment -#}  b  {#+ c +#}  d
{% generation %}in{% endgeneration %}out
{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% set z = 1 %}{% endgeneration %}{{ z is defined }}{% endfor %}
{%- if yes %} a {%- endif %} b {% if yes -%} c {% endif -%} d
{% if yes +%} a {%+ if yes %}b{% endif %}{% endif %}
{{- ' a ' -}}   b   {{ 'c' }} d
{{ 'a}}b' }} {{ "{%" }} {{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': {'b': 1}} }}
{{ messages[0]['content'] + '\n' + messages[1]['content'] }}
{{ messages[2].content.split('</think>')[-1].lstrip('\n') }} {{ messages[2].content.split('</think>')[0].split('<think>')[-1].strip() }} {{ '</think>' in messages[2].content }}
{{ (messages | length) - 1 }} {{ messages | length - 1 }} {{ messages[1:] | length }} {{ messages[-1].role }} {{ messages[::-1][0].role }} {{ messages[0].role == 'system' }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j') }} {{ strftime_now is defined }}
{% set loop_messages = messages[1:] if messages[0]['role'] == 'system' else messages %}{{ loop_messages | map(attribute='role') | join(',') }} {% set system_message = messages[0]['content'] | trim + '\n\n' %}[{{ system_message }}]
{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ loop.index0 }}{% endif %}{% endfor %}
{{ name.__class__ }}|{{ map.__len__ is defined }}|{{ name._x is defined }}
{{ numbers.append(4) }}
{{ map.update({'x': 1}) }}
{{ numbers.index(1) }} {{ numbers.count(3) }} {{ (1, 2).index(2) }} {{ numbers.copy() }} {{ words.index('fig') }}
{{ numbers.index(99) }}
{{ name.nomethod() }}
{{ 5() }}
{{ -count }} {{ +count }} {{ - 2.5 }}
{{ -'a' }}
{{ 1 if 1 else 2 if 2 else 3 }} {{ (1 if 0 else 2) + 1 }} {{ [1 if yes else 2] }} {{ {'a': 1 if no else 2} }}
{{ not yes or yes }} {{ not (yes or yes) }} {{ yes or no and no }} {{ 1 + 1 == 2 and 'y' }} {{ 'a' ~ 'b' == 'ab' }} {{ 'a' in 'abc' and 'z' not in 'abc' }} {{ not name == 'Ada' }}
{{ count | string ~ 'x' }} {{ count ~ 'x' | upper }} {{ (count ~ 'x') | upper }} {{ -1 | abs }} {{ 2 + 3 | string | length }}
{{ joiner(', ') is callable }}{% set j = joiner('; ') %}{% for x in numbers %}{{ j() }}{{ x }}{% endfor %} {% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}
{{ 'abc' | map('upper') | list }} {{ 'b' | default('x') | upper }} {{ [[1, 2], [3]] | map('length') | list }} {{ [[1, 2], [3]] | map(attribute=0) | list }} {{ [3, 1] | sort | first }} {{ [{'a': 1}] | map(attribute='b') | map('default', 'z') | list }}
{{ users | map(attribute='name') | map('length') | sum }} {{ users | selectattr('age', 'gt', 30) | map(attribute='name') | sort | join(', ') }} {{ users | map('attr', 'x') | list | length }}
{%- for m in messages -%}
    {%- if m.role == 'system' -%}
        [S]{{ m.content }}
    {%- elif m.role == 'user' %}
        [U]{{ m.content }}
    {%- else %}

        [A]{{ m.content }}
    {%- endif %}
{%- endfor %}
  {% for x in numbers %}
    line {{ x }}
  {% endfor %}
  tail
a {% if yes %}
b
{% endif %}
c
  {{ name }}
  {# gone #}
x {# stays #} y
  {%+ if yes %}kept indent{% endif %}

"""

# Snippets of more than one line, or that need exact ends; each is one template.
LONG = [
    "",
    "\n",
    "a\n",
    "a\n\n",
    "a\r\nb\rc\n",
    "  {% if yes %}\n  a\n  {% endif %}\n  b\n",
    "{% if yes %}\n\n  a\n{% endif %}\n",
    "x  {% if yes -%}\n\n  a\n  {%- endif %}  y\n",
    "\t{%- for x in numbers %}\n\t{{ x }}\n\t{%- endfor %}\n",
    "{{ name }}\n{{ name }}\n",
    "{{ name -}}\n{{ name }}\n\n",
    "  {#- a\n b -#}\n  c",
    "a\n  {# c #}\n  b",
    "{# a #}\n{# b #}\nc",
    "{% raw %}\n  {{ x }}\n{% endraw %}\n  z",
    "  {% raw -%}\n a {%+ endraw +%}\n b",
    "{% set x %}\n  a\n{% endset %}\n[{{ x }}]",
    "{% macro m() %}\n  a\n{% endmacro %}\n[{{ m() }}]",
    "{%- macro m() -%}\n  a\n{%- endmacro -%}\n[{{ m() }}]",
    "a{% if yes %} {% endif %}b{%if yes%}c{%endif%}",
    "{% for x in numbers %}\n{{ x }}{{ ',' if not loop.last }}\n{% endfor %}\n",
    "   {{- name -}}   \n   {{ name }}   ",
    "{{'a'\n~\n'b'}}\n{{ missing.x }}",
    "{% for a in numbers -%} {{ a }} {%- endfor +%}\n z",
    "{{ {\n'a': 1,\n'b': [1,\n2,],\n} }}",
    "{% if yes and\n   name %}\nx\n{% endif %}",
    "\u00a0{% if yes %}\u2003a{% endif %}\n\u2003{%- if yes %}b{% endif %}",
    "{{ '\\n' }}|{{ \"\\\"\" }}|{{ '\\\\n' }}",
    "{% generation %}\n a\n{% endgeneration %}\nb {%- generation -%} c {% endgeneration %}\n",
    # what is not a template
    "{% if yes %}",
    "{% endif %}",
    "{% for x in numbers %}{% endif %}",
    "{{ 1 + }}",
    "{{ 'a }}",
    "{{ (1 }}",
    "{{ [1) }}",
    "{{ a b }}",
    "{% nosuchtag %}",
    "{% set %}",
    "{% set 1 = 2 %}",
    "{% set true = 2 %}",
    "{{ ! }}",
    "{{ a.  }}",
    "{# open",
    "{% raw %}open",
    "{{ f(a=1, 2) }}",
    "{{ f(**a, *b) }}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% if %}x{% endif %}",
    "{{ }}",
    "{{ a[] }}",
    "{{ 'a' | }}",
    "{{ 012 }}",
    "{% do x %}",
    "{{ a if }}",
    "{{ '\\u12' }}",
    "{% for x in %}{% endfor %}",
    "{% call 5 %}{% endcall %}",
    # text that only looks like a tag
    "{ { a } } {a} %} }} #} {",
    "{{ '{{' }}{{ '%}' }}",
    "<|{{ name }}|>{% if yes %}<|im_end|>{% endif %}\n",
    # What counts as HTML escapes what is added to it.
    "{{ '<a>' | safe + '<b>' }} {{ '<b>' + '<a>' | safe }} {{ 'x' | safe + '\"' + \"'\" + '&' }}",
    "{{ ('<a>' | safe) | e }} {{ ('<a>' | e) | e }} {{ '<a>' | forceescape | forceescape }} {{ ('<a>' | e | string) | e }}",
    "{{ '<' | safe is escaped }} {{ '<' is escaped }} {{ 5 is escaped }} {{ '<' | e is escaped }}",
    "{{ ('<a>' | safe) ~ '<b>' }} {{ ['<a>' | safe, '<b>'] | join('&') }} {{ ('<' | safe) * 2 + '>' }}",
    "{{ ('<a>' | safe)[0] + '<' }} {{ (' <a> ' | safe) | trim + '<' }} {{ (' <a> ' | safe).strip() + '<' }}",
    "{{ ('<%s>' | safe) % '<' }} {{ ('<%s %d>' | safe) % ('<', 3) }} {{ ('%(a)s' | safe) % {'a': '&'} }} {{ ('%s' | safe) | format('<') }}",
    "{{ '<a>' | safe | tojson }} {{ ('<a>' | safe + 'b') | length }} {{ '<a>' | safe == '<a>' }} {{ ('<a>' | safe) in '<a>' }}",
    "{{ ('<a>' | safe) | replace('a', '&') }} {% set x %}<{{ '<' | safe }}{% endset %}{{ x + '<' }}",
    "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('<' | safe) + '&' }} {{ (m('a') | safe) + '&' }}",
    "{{ 'x' | safe + 1 }}",
]


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 13, 5, 9)


def snippets():
    single, block = SNIPPETS.strip("\n").split("{%- for m in messages -%}", 1)
    joined = single.replace("{{ 'line\\\njoined' }}", "{{ 'line\\\\njoined' }}")
    lines = [line for line in joined.split("\n")]
    yield from lines
    yield "{{ 'line\\\njoined' }}"
    yield "{%- for m in messages -%}" + block
    yield from LONG


def main():
    reference.datetime = Clock
    cases = []
    for source in snippets():
        case = {"template": source}
        try:
            compiled = reference._compile_jinja_template(source)
            case["text"], spans = reference._render_with_assistant_indices(compiled, VARIABLES["messages"], None, None, False, **{k: v for k, v in VARIABLES.items() if k != "messages"})
            case["generated"] = [[len(case["text"][:a].encode()), len(case["text"][:b].encode())] for a, b in spans if a < b]
        except Exception as error:  # noqa: BLE001
            case = {"template": source, "error": type(error).__name__ + ": " + str(error)}
        cases.append(case)
    folder = pathlib.Path(__file__).parent
    text = json.dumps({"variables": VARIABLES, "cases": cases}, ensure_ascii=False, indent=1)
    (folder / "snippets.json").write_text(text + "\n")
    print(len(cases), "cases,", sum("error" in case for case in cases), "of them errors")


if __name__ == "__main__":
    main()
