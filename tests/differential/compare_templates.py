#!/usr/bin/env python3
"""Chat templates through weft and through transformers with jinja2, and every difference between them.

    pip install transformers jinja2
    tests/differential/compare_templates.py [--weft build/weft] [--count 100000] [--seed 1] [--templates FOLDER]...

Random templates are drawn from a grammar over all that the subset knows, and rendered as transformers compiles them. With --templates
every template below the folders (template.jinja, chat_template.jinja, chat_template of tokenizer_config.json) is given random
conversations. A text must be equal, an error must be an error. What weft refuses by name (status unsupported) is counted by its name.
Exit code 1 when anything differs. Not part of `make test`: it needs Python and the packages.
"""
import argparse
import collections
import copy
import datetime
import json
import os
import random
import re
import subprocess
import sys
import tempfile

NOW = datetime.datetime(2025, 3, 9, 7, 5, 2)
UNSUPPORTED = re.compile(r"error: (?:line \d+: )?(.*) (?:is|are) not supported")

# ---- values that templates see

WORDS = ["a", "b", "ab", "Hello", "hello world", "", " ", "  x  ", "line\nbreak\n", "\n", "\tTab", "<b>&'\"</b>", "it's", "they're NOT", "ñandú", "ß", "ŉ ﬁ", "İı",
         "ΑΣ", "ǆ ǅ", "日本語 テキスト", "🙂👍🏽", "e\u0301", "a,b,,c", "x=1; y=2", "1", "42", "-7", " 12 ", "3.5", "1e3", "nan", "inf", "0x1f", "1_000", "True", "None",
         "user", "assistant", "system", "tool", "[INST]", "<|im_start|>", "\\n", "a\\b", "\x7f\u200b\u2028", "\u00a0nbsp\u2003", "100%", "{x}", "{0}", "%s", "٣", "²", "½",
         "one two  three\tfour", "Aa aA AA", "snake_case", "kebab-case-word", "z" * 30, "lorem ipsum dolor sit amet " * 4]
INTS = [0, 1, 2, 3, -1, -7, 10, 42, 100, 255, 1000, 65536, 123456789, 2**31, -2**40, 2**53 + 1]
FLOATS = [0.0, 1.0, -1.5, 2.5, 0.1, 1e-7, 1e16, 123456.789, 1e22, -0.0, 3.14159, 1e300, 2.675, 0.5, 1.5]
VARIABLES = {
    "s": "Hello, Wörld", "e": "", "m": "  one\n two\r\n\nthree  ", "n": 7, "neg": -3, "f": 2.5, "t": True, "z": None, "l": [3, 1, 2], "w": ["beta", "Alpha", "gamma", "alpha"],
    "mix": [1, "a", None, 2.5, [1, 2], {"k": "v"}], "d": {"b": 1, "a": [1, 2], "c": None}, "nested": {"x": {"y": [10, 20, {"z": "deep"}]}},
    "o": [{"n": "x", "v": 2, "on": True, "g": "B"}, {"n": "y", "v": 1, "on": False, "g": "a"}, {"n": "z", "v": 3, "g": "b"}, {"n": "X", "v": 2, "on": None, "g": "A"}],
    "ll": [[1, 2], [3], []], "p": [["k", 1], ["j", 2]], "u": "ñandú İ ß ǆ", "tree": [{"n": "r", "kids": [{"n": "c1", "kids": []}, {"n": "c2", "kids": [{"n": "g", "kids": []}]}]}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": None, "tool_calls": [
        {"type": "function", "function": {"name": "f", "arguments": {"x": 1, "y": "é"}}}]}, {"role": "tool", "content": "[1]", "name": "f"},
        {"role": "user", "content": [{"type": "text", "text": "see "}, {"type": "image"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "description": "Does \"it\"", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}}],
    "documents": [{"title": "T", "text": "body"}],
}
BY_TYPE = {"str": ["s", "e", "m", "u", "bos_token", "messages[0].content", "w[1]", "nested.x.y[2].z", "o[0].n"], "int": ["n", "neg", "l[0]", "o[1].v", "d.b", "messages|length"],
           "float": ["f"], "bool": ["t", "o[0].on", "add_generation_prompt"], "list": ["l", "w", "mix", "o", "ll", "p", "messages", "tools", "tree", "nested.x.y"],
           "dict": ["d", "nested", "o[0]", "messages[2]", "tools[0].function", "nested.x"], "none": ["z", "d.c", "none"],
           "undef": ["nope", "d.nope", "o[2].on", "l[9]", "messages[0].tool_calls"]}
TYPES = list(BY_TYPE)
ATTRIBUTES = ["'n'", "'v'", "'on'", "'g'", "'nope'", "'role'", "'content'", "0", "'0'", "'n.x'", "'kids'"]
TESTS = ["defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping", "sequence", "iterable", "callable", "escaped", "odd", "even",
         "lower", "upper"]
TESTS1 = ["divisibleby", "sameas", "in", "eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge"]


class Draw:
    """One random template."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = []  # (name, type) that statements have set
        self.macros = []
        self.loops = 0
        self.fresh = 0

    def pick(self, *options):
        return self.r.choice(options)

    def chance(self, p):
        return self.r.random() < p

    # ---- expressions

    def literal(self, t):
        r = self.r
        if t == "str":
            text = r.choice(WORDS)
            quoted = json.dumps(text, ensure_ascii=False).replace("\\/", "/") if self.chance(0.7) else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
            return quoted if self.chance(0.95) else quoted + " " + "'tail'"
        if t == "int":
            return r.choice([str(r.choice(INTS)), str(r.randint(-5, 12)), str(r.randint(0, 4)), "1_000", "0x1F", "0b11", "0o17"])
        if t == "float":
            return repr(r.choice(FLOATS))
        if t == "bool":
            return r.choice(["true", "false", "True", "False"])
        if t == "none":
            return r.choice(["none", "None"])
        if t == "list":
            n, kind = r.randint(0, 4), r.choice(["str", "int", "int", "any", "list", "float"])
            items = [self.expr(kind, 1) for _ in range(n)]
            if self.chance(0.25):
                return "(" + ", ".join(items) + ("," if n == 1 else "") + ")"
            return "[" + ", ".join(items) + ("," if n and self.chance(0.1) else "") + "]"
        if t == "dict":
            return "{" + ", ".join(f"{self.literal(r.choice(['str', 'str', 'str', 'int', 'bool', 'none', 'float']))}: {self.expr('any', 1)}" for _ in range(r.randint(0, 3))) + "}"
        return r.choice(["missing", "nope.x", "l[99]"])

    def atom(self, t):
        mine = [n for n, kind in self.names if kind == t]
        if mine and self.chance(0.35):
            return self.r.choice(mine)
        if self.loops and t in ("int", "bool", "any") and self.chance(0.15):
            return self.pick("loop.index", "loop.index0", "loop.revindex", "loop.revindex0", "loop.length", "loop.depth", "loop.depth0") if t != "bool" else self.pick("loop.first", "loop.last")
        return self.r.choice(BY_TYPE[t]) if self.chance(0.6) else self.literal(t)

    def expr(self, t="any", d=3):
        if t == "any":
            t = self.r.choices(TYPES, [8, 6, 3, 3, 6, 3, 1, 1])[0]
        if self.chance(0.04):
            t = self.r.choice(TYPES)
        if d <= 0:
            return self.atom(t)
        k = self.r.random()
        if k < 0.22:
            return self.atom(t)
        if k < 0.27:
            return f"({self.expr(t, d - 1)} if {self.expr('bool', d - 1)}" + (f" else {self.expr(t, d - 1)})" if self.chance(0.8) else ")")
        if k < 0.30:
            return f"({self.expr(t, d - 1)} {self.pick('or', 'and')} {self.expr(t, d - 1)})"
        if k < 0.33:
            return f"({self.expr(t, d - 1)})|default({self.expr(t, d - 1)}" + self.pick("", ", true", ", boolean=true", ", false") + ")"
        if k < 0.35 and t in ("list", "dict", "str"):
            return f"({self.expr('any', d - 1)})|{self.pick('first', 'last', 'max', 'min', 'list', 'string', 'sum', 'length')}"
        if k < 0.37 and self.macros:
            return self.call(d)
        return getattr(self, "expr_" + t, self.atom_of(t))(d)

    def atom_of(self, t):
        return lambda d: self.atom(t)

    def expr_none(self, d):
        return self.pick("none", f"{self.expr('dict', d - 1)}.get('nope')", "z")

    def expr_undef(self, d):
        return self.pick(f"({self.expr('dict', d - 1)}).nope", f"({self.expr('list', d - 1)})[77]", f"({self.expr('any', d - 1)} if false)", f"({self.expr('dict', d - 1)})['nope']",
                         f"({self.expr('list', d - 1)})|first")

    def expr_int(self, d):
        e = self.expr
        return self.pick(*[
            lambda: f"({e('int', d - 1)} {self.pick('+', '-', '*', '//', '%')} {e('int', d - 1)})", lambda: f"{e('int', d - 1)} {self.pick('+', '-', '*')} {e('int', d - 1)}",
            lambda: f"-{e('int', d - 1)}", lambda: f"({self.r.randint(-3, 5)} ** {self.r.randint(0, 6)})", lambda: f"{e('any', d - 1)}|length", lambda: f"({e('any', d - 1)})|int",
            lambda: f"({e('str', d - 1)})|int({self.r.randint(-2, 9)}" + self.pick("", ", 16", ", base=2", ", base=0") + ")", lambda: f"{e('int', d - 1)}|abs",
            lambda: f"({e('str', d - 1)}).{self.pick('find', 'count', 'rfind', 'index', 'rindex')}({e('str', 0)}{self.pick('', ', 1', ', 0, 4', ', -3')})",
            lambda: f"({e('str', d - 1)})|wordcount", lambda: f"({e('list', d - 1)})|sum", lambda: f"{self.pick('o', 'messages')}|sum(attribute={self.r.choice(ATTRIBUTES)}, start={e('int', 0)})",
            lambda: f"({e('list', d - 1)}).{self.pick('count', 'index')}({e('any', 0)})", lambda: f"({e('list', d - 1)})|{self.pick('min', 'max')}", lambda: f"(({e('float', d - 1)})|round|int)",
            lambda: f"({e('int', d - 1)}).bit_length()", lambda: f"({e('list', d - 1)})[{self.r.randint(-3, 3)}]", lambda: f"{e('bool', d - 1)} + {e('int', d - 1)}"])()

    def expr_float(self, d):
        e = self.expr
        return self.pick(*[
            lambda: f"({e('int', d - 1)} / {e('int', d - 1)})", lambda: f"({e('float', d - 1)} {self.pick('+', '-', '*', '/', '//', '%')} {e(self.pick('int', 'float'), d - 1)})",
            lambda: f"({e('any', d - 1)})|float" + self.pick("", "(1.5)", "(default=none)"), lambda: f"({e(self.pick('float', 'int'), d - 1)})|round({self.pick('', '1', '2', '-1', '0', '3')})",
            lambda: f"({e('float', d - 1)})|round({self.pick('0', '1', '2')}, {self.r.choice(['common', 'ceil', 'floor'])!r})", lambda: f"({e('float', d - 1)} ** {self.pick('2', '0.5', '-1', '3')})",
            lambda: f"-{e('float', d - 1)}", lambda: f"({e('float', d - 1)})|abs", lambda: f"({self.r.randint(1, 5)} ** -{self.r.randint(1, 4)})"])()

    def expr_bool(self, d):
        e = self.expr
        return self.pick(*[
            lambda: f"{e('any', d - 1)} {self.pick('==', '!=')} {e('any', d - 1)}", lambda: f"({e('int', d - 1)} {self.pick('<', '<=', '>', '>=', '==')} {e(self.pick('int', 'float'), d - 1)})",
            lambda: f"({e('str', d - 1)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {e('str', d - 1)})", lambda: f"({e('list', d - 1)} {self.pick('<', '>=', '==')} {e('list', d - 1)})",
            lambda: f"({e('int', 0)} {self.pick('<', '<=')} {e('int', 0)} {self.pick('<', '==', '!=')} {e('int', 0)})", lambda: f"not {e('any', d - 1)}",
            lambda: f"({e('any', d - 1)}) is {self.pick('', 'not ')}{self.r.choice(TESTS)}", lambda: f"({e('any', d - 1)}) is {self.pick('', 'not ')}{self.r.choice(TESTS1)}({e('any', d - 1)})",
            lambda: f"{e('int', d - 1)} is divisibleby {self.r.randint(0, 4)}", lambda: f"({e('any', d - 1)} {self.pick('in', 'not in')} {e(self.pick('list', 'str', 'dict'), d - 1)})",
            lambda: f"({e('str', d - 1)}).{self.pick('startswith', 'endswith')}({e(self.pick('str', 'str', 'list'), 0)}{self.pick('', ', 1', ', 0, 3')})",
            lambda: f"({e('str', d - 1)}).is{self.pick('alpha', 'digit', 'decimal', 'numeric', 'alnum', 'space', 'lower', 'upper', 'title', 'identifier', 'ascii', 'printable')}()",
            lambda: f"({e('bool', d - 1)} {self.pick('and', 'or')} {e('any', d - 1)})", lambda: f"'{self.pick('upper', 'nope', 'tojson')}' is {self.pick('filter', 'test')}",
            lambda: f"({e('float', d - 1)}).is_integer()"])()

    def expr_str(self, d):
        e, r = self.expr, self.r
        return self.pick(*[
            lambda: f"({e('str', d - 1)} ~ {e('any', d - 1)})", lambda: f"{e('any', d - 1)} ~ {e('any', d - 1)} ~ {e('str', 0)}", lambda: f"({e('str', d - 1)} + {e('str', d - 1)})",
            lambda: f"({e('str', d - 1)} * {r.randint(-1, 3)})",
            lambda: f"({e('str', d - 1)})|{self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'escape', 'e', 'forceescape', 'safe', 'striptags', 'urlencode', 'reverse', 'last')}",
            lambda: f"({e('any', d - 1)})|{self.pick('string', 'upper', 'lower', 'title', 'capitalize', 'trim', 'escape', 'urlencode', 'striptags', 'indent', 'pprint', 'filesizeformat')}",
            lambda: f"({e('str', d - 1)}).{self.pick('upper', 'lower', 'title', 'capitalize', 'swapcase', 'casefold', 'strip', 'lstrip', 'rstrip', 'expandtabs')}()",
            lambda: f"({e('str', d - 1)}).{self.pick('strip', 'lstrip', 'rstrip', 'removeprefix', 'removesuffix')}({e(self.pick('str', 'str', 'none'), 0)})",
            lambda: f"({e('str', d - 1)}).replace({e('str', 0)}, {e('str', 0)}{self.pick('', '', ', 1', ', -1', ', count=1')})",
            lambda: f"({e('str', d - 1)})|replace({e('str', 0)}, {e('str', 0)}{self.pick('', ', 1', ', count=2', ', none')})",
            lambda: f"({e('str', d - 1)}).{self.pick('center', 'ljust', 'rjust')}({r.randint(0, 14)}{self.pick('', ', ' + repr(r.choice(['*', 'é', 'ab', ''])))})", lambda: f"({e('str', d - 1)}).zfill({r.randint(0, 9)})",
            lambda: f"({e('str', d - 1)})|center({self.pick('', str(r.randint(0, 20)), 'width=9')})", lambda: f"({e('str', d - 1)})|trim({e('str', 0)})",
            lambda: f"({e('str', d - 1)})|indent({self.pick('', '2', '0', 'width=3', '4, true', '2, first=true', '2, true, true', 'blank=true', repr('> '))})",
            lambda: f"({e('str', d - 1)})|truncate({self.pick('', '5', '10, true', '10, false', '12, leeway=0', '8, true, ' + repr('…'), '5, true, ' + repr('') + ', 0', '9, end=' + repr('~'))})",
            lambda: f"({e('str', d - 1)})|wordwrap({self.pick('', '5', '10, false', '12, true, ' + repr('|'), 'width=7', '20, break_on_hyphens=false', '3', '6, wrapstring=' + repr('/'))})",
            lambda: f"({e('list', d - 1)})|join({self.pick('', repr(', '), repr('|'), 'd=' + repr('-'), repr('/') + ', attribute=' + r.choice(ATTRIBUTES), e('any', 0))})",
            lambda: f"({e('str', 0)}).join({e('list', d - 1)})", lambda: f"({e('str', 0)}).join({e('list', d - 1)}|map('string'))",
            lambda: f"({e('any', d - 1)})|tojson({self.pick('', '', 'indent=2', 'indent=4, sort_keys=true', 'ensure_ascii=true', 'separators=(' + repr(',') + ', ' + repr(':') + ')', 'indent=0', 'sort_keys=true', 'true', 'indent=' + repr('--'), 'indent=none', 'false, 1')})",
            lambda: f"({e('str', d - 1)})[{self.slice()}]", lambda: f"({e('str', d - 1)})[{r.randint(-4, 4)}]",
            lambda: f"{self.format()!r} % {self.pick('(', '[', '')}".rstrip("[(") + f"({e('any', d - 1)}, {e('any', d - 1)})" if self.chance(0.7) else f"({self.format()!r} % {e('any', d - 1)})",
            lambda: f"({self.format()!r})|format({e('any', d - 1)}, {e('any', d - 1)})", lambda: f"({self.braces()!r}).format({e('any', d - 1)}, {e('any', d - 1)}, x={e('any', d - 1)})",
            lambda: f"strftime_now({r.choice(['%Y-%m-%d', '%d %b %Y', '%A %B %e', '%H:%M:%S', '%j %U %w', '%y%% %p %I', '%x %X', '%c', '%Q', '%-d %-m', '%F %T', ''])!r})",
            lambda: f"({e('str', d - 1)})|{self.pick('first', 'last', 'list|join', 'reverse', 'length|string', 'xmlattr')}", lambda: f"({e('dict', d - 1)})|xmlattr{self.pick('', '(false)')}",
            lambda: f"({e('int', d - 1)})|filesizeformat{self.pick('', '(true)', '(binary=true)')}"])()

    def format(self):
        return self.pick("%s-%s", "%d %s", "%05.2f|%s", "%r %s", "%-6s|%4s", "%x %o", "%e %g", "%%%s", "%s", "%(a)s", "%c%s", "%+d %i", "%10.3s|%s", "%*d", "%#x %X", "% d%s", "%a%s", "%5.1f%%%s")

    def braces(self):
        return self.pick("{} {}", "{0}-{1}-{0}", "{x}", "{:>8}|{:<5}", "{!r} {!s}", "{:05d}", "{:.2f}", "{:,} {}", "{0:^9}|{x!r:>6}", "{{}}{}", "{:x} {:b}", "{0[0]}", "{:e}", "{:%}", "{:*^10}", "{x:.3}", "{:+}", "{", "{}{}{}{}",
                         "{0.real}", "{x[k]}", "{:g} {:G}", "{:_}", "{:#x}", "{:c}", "{:s}", "{:n}", "{!a}", "{:=+6}")

    def slice(self):
        part = lambda: self.pick("", "", str(self.r.randint(-4, 5)), "n", "none")
        return f"{part()}:{part()}" + self.pick("", ":" + self.pick("", "1", "2", "-1", "-2", "3"))

    def expr_list(self, d):
        e, r = self.expr, self.r
        attr = lambda: r.choice(ATTRIBUTES)
        rows = lambda: self.pick("o", "messages", "tree", "p", e("list", 0))
        return self.pick(*[
            lambda: f"({e('list', d - 1)} + {e('list', d - 1)})", lambda: f"({e('list', d - 1)} * {r.randint(-1, 2)})", lambda: f"({e('list', d - 1)})[{self.slice()}]",
            lambda: f"range({self.pick(r.randint(0, 5), '1, 6', '5, 0, -2', '0, 9, 3', e('int', 0))})" + self.pick("", "|list"),
            lambda: f"({e('list', d - 1)})|sort({self.pick('', 'true', 'reverse=true', 'case_sensitive=true', 'false, true')})", lambda: f"{rows()}|sort(attribute={self.pick(attr(), repr('g,n'), repr('v,n'))}{self.pick('', ', reverse=true', ', case_sensitive=true')})",
            lambda: f"({e('list', d - 1)})|unique({self.pick('', 'true', 'case_sensitive=true')})|list", lambda: f"{rows()}|unique(attribute={attr()})|list", lambda: f"({e('list', d - 1)})|reverse|list",
            lambda: f"({e('list', d - 1)})|batch({r.randint(1, 3)}{self.pick('', ', ' + e('any', 0))})|list", lambda: f"({e('list', d - 1)})|slice({r.randint(1, 3)}{self.pick('', ', ' + e('any', 0))})|list",
            lambda: f"{rows()}|groupby({attr()}{self.pick('', ', default=' + e('any', 0), ', case_sensitive=true')})|list", lambda: f"{rows()}|map(attribute={attr()}{self.pick('', ', default=' + e('any', 0))})|list",
            lambda: f"({e('list', d - 1)})|map({r.choice(['string', 'upper', 'length', 'int', 'first', 'tojson', 'title', 'trim', 'list', 'abs', 'float', 'nope', 'sum', 'round'])!r})|list",
            lambda: f"({e('list', d - 1)})|map('{self.pick('default', 'replace', 'join', 'indent', 'truncate', 'batch', 'attr')}', {self.literal('str')}{self.pick('', ', ' + self.literal('str'), ', ' + self.literal('int'))})|list",
            lambda: f"({e('list', d - 1)})|{self.pick('select', 'reject')}({self.pick('', repr(r.choice(TESTS)), repr(r.choice(TESTS1)) + ', ' + e('any', 0))})|list",
            lambda: f"{rows()}|{self.pick('selectattr', 'rejectattr')}({attr()}{self.pick('', ', ' + repr(r.choice(TESTS)), ', ' + repr(r.choice(TESTS1 + ['==', '!=', '>', '<='])) + ', ' + e('any', 0))})|list",
            lambda: f"({e('dict', d - 1)})|dictsort({self.pick('', 'true', 'by=' + repr('value'), 'reverse=true', 'false, ' + repr('key'), 'by=' + repr('x'))})",
            lambda: f"({e('dict', d - 1)}).{self.pick('keys', 'values', 'items')}(){self.pick('', '|list', '|list', '|sort')}", lambda: f"({e('dict', d - 1)})|{self.pick('items', 'list')}|list", lambda: f"({e('str', d - 1)})|list",
            lambda: f"({e('str', d - 1)}).{self.pick('split', 'rsplit')}({self.pick('', repr(','), repr(' '), 'none, 1', repr('a') + ', 1', 'maxsplit=1', 'sep=' + repr('e'), repr(''))})",
            lambda: f"({e('str', d - 1)}).splitlines({self.pick('', 'true', 'keepends=true')})", lambda: f"({e('str', d - 1)}).{self.pick('partition', 'rpartition')}({e('str', 0)})", lambda: f"({e('list', d - 1)}).copy()"])()

    def expr_dict(self, d):
        e = self.expr
        return self.pick(*[
            lambda: self.literal("dict"), lambda: f"dict({self.pick('a=1, b=' + e('any', 0), e('dict', d - 1), e('dict', d - 1) + ', k=' + e('any', 0), 'p', e('list', 0))})", lambda: f"({e('dict', d - 1)}).copy()",
            lambda: f"({self.pick('o', 'messages', 'tools')})[{self.r.randint(-2, 2)}]", lambda: f"dict.fromkeys({e('list', 0)}{self.pick('', ', ' + e('any', 0))})", lambda: f"{e('dict', d - 1)}.get({e('str', 0)}, {e('dict', 0)})",
            lambda: f"dict({e('dict', 0)}, **{e('dict', 0)})", lambda: f"({self.pick('o', 'messages')}|{self.pick('first', 'last', 'random')})" if self.chance(0.0) else f"({self.pick('o', 'messages')}|{self.pick('first', 'last')})"])()

    def call(self, d):
        name, params = self.r.choice(self.macros)
        args = [self.expr("any", d - 1) for _ in range(self.r.randint(0, len(params) + self.pick(0, 0, 1)))]
        for p in self.r.sample(params, len(params)):
            if self.chance(0.3):
                args.append(f"{p}={self.expr('any', d - 1)}")
        if self.chance(0.08):
            args.append(self.pick("*" + self.expr("list", 0), "**" + self.expr("dict", 0), "zzz=1"))
        return f"{name}({', '.join(args)})"

    # ---- statements

    def tag(self, body):
        open_, close = self.pick("{%", "{%", "{%", "{%-", "{%+"), self.pick("%}", "%}", "%}", "-%}", "+%}")
        return f"{open_} {body} {close}"

    def text(self):
        return self.pick("", "", " ", "\n", "  \n", "x", " text ", "\n\n  ", "{ }", "a\n  b", "\t", "{# note #}", "{#- n -#}", "  {# c #}\n", "é", "%}", "{% raw %}{{ x }}{% endraw %}", "{%- raw -%} {% if %} {%- endraw -%}")

    def new(self):
        self.fresh += 1
        return f"v{self.fresh}"

    def output(self, d):
        return self.pick("{{ ", "{{ ", "{{- ", "{{") + self.expr("any", d) + self.pick(" }}", " }}", " -}}", "}}")

    def block(self, d):
        kept = list(self.names), list(self.macros)
        out = "".join(self.text() + self.statement(d) for _ in range(self.r.randint(1, 3))) + self.text()
        return out, kept

    def inner(self, d):
        out, (self.names, self.macros) = self.block(d)
        return out

    def statement(self, d):
        if d <= 0 or self.chance(0.45):
            return self.output(3)
        return self.pick(self.st_if, self.st_for, self.st_for, self.st_set, self.st_set, self.st_setblock, self.st_macro, self.st_call, self.st_namespace, self.st_filter, self.st_with, self.st_generation,
                         self.st_recursive, self.st_loopvars, self.st_cycler, self.st_misc)(d)

    def st_if(self, d):
        out = self.tag("if " + self.expr("bool")) + self.inner(d - 1)
        for _ in range(self.pick(0, 0, 1)):
            out += self.tag("elif " + self.expr("bool")) + self.inner(d - 1)
        if self.chance(0.5):
            out += self.tag("else") + self.inner(d - 1)
        return out + self.tag("endif")

    def st_for(self, d):
        kept, v = list(self.names), self.new()
        if self.chance(0.25):
            v2 = self.new()
            head = f"{v}, {v2} in {self.pick('d.items()', 'p', 'o|groupby(' + repr('g') + ')', 'nested|items', 'd|dictsort', 'll', self.expr('dict', 1) + '.items()')}"
            self.names += [(v, "str"), (v2, self.pick("list", "any", "int"))]
        else:
            head = f"{v} in {self.expr(self.pick('list', 'list', 'list', 'list', 'str', 'dict', 'any'), 2)}"
            self.names += [(v, self.pick("str", "int", "dict", "list"))]
        if self.chance(0.15):
            head += f" if {self.expr('bool', 2)}"
        self.loops += 1
        body = self.inner(d - 1)
        if self.chance(0.15):
            body += self.tag(f"if {self.pick('loop.index > 2', v + ' == 1', 'loop.first', self.expr('bool', 1))}") + self.tag(self.pick("break", "continue")) + self.tag("endif") + self.inner(d - 2)
        self.loops -= 1
        self.names = kept
        out = self.tag("for " + head) + body
        if self.chance(0.2):
            out += self.tag("else") + self.inner(d - 1)
        return out + self.tag("endfor")

    def st_loopvars(self, d):
        v = self.new()
        what = self.pick("loop.previtem", "loop.nextitem", "loop.previtem is defined", "loop.nextitem|default('none')", f"loop.changed({v})", f"loop.changed({v}, loop.index // 2)", "loop.cycle('a', 'b')", "loop.cycle(*l)",
                         "loop.revindex", "loop.length", "loop", "loop.last", "loop.nope", "loop.cycle()")
        return self.tag(f"for {v} in {self.expr('list', 2)}{self.pick('', '', ' if ' + v)}") + "{{ " + what + " }}" + self.text() + self.inner(d - 2) + self.tag("endfor")

    def st_recursive(self, d):
        v = self.new()
        body = "{{ " + v + ".n }}" + self.pick("{{ loop.depth }}", "{{ loop.depth0 }}", "", "{{ loop.index }}") + "{% if " + v + ".kids %}(" + "{{ loop(" + v + ".kids) }}" + "){% endif %}"
        return self.tag(f"for {v} in {self.pick('tree', 'tree', 'tree[0].kids', 'o')} recursive") + self.text() + body + self.text() + self.tag("endfor")

    def st_set(self, d):
        v, t = self.new(), self.r.choice(["str", "int", "list", "dict", "any", "bool"])
        out = self.tag(f"set {v} = {self.expr(t)}")
        self.names.append((v, "str" if t == "any" else t))
        if self.chance(0.1):
            a, b = self.new(), self.new()
            out += self.tag(f"set {a}, {b} = {self.pick('1, 2', 'p[0]', self.expr('list', 1), repr('ab'))}")
            self.names += [(a, "int"), (b, "int")]
        return out

    def st_setblock(self, d):
        v = self.new()
        out = self.tag(f"set {v}{self.pick('', '', '|upper', '|trim', '|indent(2)', '|replace(' + repr('a') + ', ' + repr('b') + ')')}") + self.inner(d - 1) + self.tag("endset")
        self.names.append((v, "str"))
        return out

    def st_macro(self, d):
        name, params = f"m{self.fresh}", [f"p{i}" for i in range(self.r.randint(0, 3))]
        self.fresh += 1
        heads, with_default = [], False
        for p in params:
            with_default = with_default or self.chance(0.4)
            heads.append(f"{p}={self.expr('any', 1)}" if with_default else p)
        kept = list(self.names)
        self.names = kept + [(p, self.r.choice(["str", "int", "list", "dict"])) for p in params]
        body = self.inner(d - 1) + self.pick("", "", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller is defined }}", "{{ varargs|length }}{{ kwargs|tojson }}", "{{ caller(1, 'x') if caller else 'no' }}")
        self.names = kept
        self.macros.append((name, params))
        return self.tag(f"macro {name}({', '.join(heads)})") + body + self.tag("endmacro") + self.pick("", "{{ " + name + "." + self.pick("name", "arguments", "catch_kwargs", "catch_varargs", "caller") + " }}")

    def st_call(self, d):
        if not self.macros:
            return self.st_macro(d)
        return self.tag(f"call{self.pick('', '', '(q)', '(q, k=2)')} " + self.call(1)) + "{{ q }}" + self.inner(d - 1) + self.tag("endcall")

    def st_namespace(self, d):
        v = self.new()
        out = self.tag(f"set {v} = namespace({self.pick('', 'x=0', 'x=' + self.expr('any', 1), 'd', 'd, x=1', '_y=1')})")
        out += self.tag(f"for i in {self.pick('l', 'w', 'range(3)')}") + self.tag(f"set {v}.{self.pick('x', 'x', 'y', '_z')} = {self.pick(v + '.x + i', v + '.x ~ i', 'i', self.expr('any', 1))}") + self.tag("endfor")
        return out + "{{ " + v + self.pick(".x", ".x", ".nope", "['x']", "") + " }}"

    def st_filter(self, d):
        return self.tag("filter " + self.pick("upper", "trim", "title", "indent(2)", "replace('a', 'é')", "tojson", "length", "wordcount", "escape|upper", "truncate(9)", "reverse", "first", "string", "list")) + self.inner(d - 1) + self.tag("endfilter")

    def st_with(self, d):
        v = self.new()
        kept = list(self.names)
        head = self.pick("", f"{v} = {self.expr('str')}", f"{v} = {self.expr('str')}, {v}b = {self.pick(v, '1')}")
        self.names.append((v, "str"))
        out = self.tag("with " + head) + self.inner(d - 1) + self.tag("endwith")
        self.names = kept
        return out

    def st_generation(self, d):
        return self.tag("generation") + self.inner(d - 1) + self.tag("endgeneration")

    def st_cycler(self, d):
        v = self.new()
        if self.chance(0.5):
            return self.tag(f"set {v} = cycler({self.pick(repr('a') + ', ' + repr('b'), '*l', '1')})") + "{{ " + v + ".next() }}{{ " + v + ".next() }}{{ " + v + self.pick(".current", ".reset()", ".next()", "") + " }}"
        return self.tag(f"set {v} = joiner({self.pick('', repr('; '))})") + self.tag("for i in l") + "{{ " + v + "() }}{{ i }}" + self.tag("endfor")

    def st_misc(self, d):
        return self.pick("{{ raise_exception('no: ' ~ n) }}" if self.chance(0.2) else "", "{% do l %}" if self.chance(0.1) else "", "{{ self }}" if self.chance(0.05) else "", "{% block b %}x{% endblock %}" if self.chance(0.3) else "",
                         "{{ l.append(1) }}" if self.chance(0.1) else "", "{{ d.update({}) }}" if self.chance(0.1) else "", "{{ ''.__class__ }}", "{{ d.__class__ }}", "{{ l|nope }}" if self.chance(0.1) else "", "{{ x is nope }}" if self.chance(0.1) else "",
                         "{% if false %}{{ l|nope }}{% endif %}", "{{ " + self.expr("str", 1) + "|" + "upper|lower|title|trim|length" + " }}", "{{ (1, 2)|join('-') }}{{ 1, 2 }}", "{{ not 1 in l }}", "{{ 2 ** 3 ** 0 }}{{ -2 ** 2 }}",
                         "{{ n if t }}", "{{ {}|length }}{{ {'a': {'b': 1}}.a.b }}", "{{ 'a' 'b' }}", "{{ l[1:][0] }}{{ d['a'][-1] }}{{ d.a.1 }}", "{{ n is odd and t }}", "{{ 'x' if n > 5 else 'y' if t else 'z' }}",
                         "{{ messages[1:]|map(attribute='role')|join(',') }}", "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}", "{{ loop }}", "{{ 5 is divisibleby(5) is true }}", "{{ n|string|length }}{{ -n|abs }}",
                         "{{ n.__add__ }}", "{{ s.format }}" if self.chance(0.1) else "", "{{ 1 if l is sequence else 2 }}", "{{ l == [3, 1, 2] == true }}", "{{ ['a', 'b'] is sameas w }}")

    def template(self):
        if self.chance(0.4):
            out = "|".join(self.output(self.r.randint(1, 3)) for _ in range(self.r.randint(1, 2)))
        else:
            out = "".join(self.text() + self.statement(3) for _ in range(self.r.randint(1, 4))) + self.text()
        if self.chance(0.03):  # a slip of the pen
            at = self.r.randint(0, len(out))
            out = out[:at] + self.pick("", "}", "{{", "%}", "'", "(", " if ", ".", "|", "\\") + out[at + self.pick(0, 1, 2):]
        return out


# ---- conversations for published templates

def conversation(r):
    text = lambda: r.choice(WORDS) + r.choice(["", " ", "\n", r.choice(WORDS)])
    call = lambda: {"id": "call%05d" % r.randint(0, 99999), "type": "function", "function": {"name": r.choice(["f", "get_weather"]), "arguments": r.choice([{"x": 1}, {"city": "Zürich", "n": [1, None, 2.0]}, {}, '{"x": 1}'])}}
    messages = []
    if r.random() < 0.5:
        messages.append({"role": r.choice(["system", "system", "developer"]), "content": text()})
    for i in range(r.randint(0, 5)):
        role = ["user", "assistant"][i % 2] if r.random() < 0.85 else r.choice(["user", "assistant", "tool", "system", "odd", "ipython"])
        m = {"role": role, "content": text() if r.random() < 0.8 else r.choice([None, "", [{"type": "text", "text": text()}], [{"type": "image"}, {"type": "text", "text": text()}], "<think>a</think>b", "x\n</think>\n\ny"])}
        if role == "assistant" and r.random() < 0.25:
            m["tool_calls"] = [call() for _ in range(r.randint(1, 2))]
        if role == "assistant" and r.random() < 0.2:
            m[r.choice(["reasoning_content", "thinking", "reasoning"])] = text()
        if role == "tool":
            m.update(r.choice([{}, {"name": "f"}, {"tool_call_id": "call00001"}]))
        messages.append(m)
    one = {"messages": messages, "add_generation_prompt": r.random() < 0.5}
    if r.random() < 0.35:
        one["tools"] = VARIABLES["tools"] * r.randint(1, 2)
    if r.random() < 0.2:
        one["documents"] = [{"title": text(), "text": text()}, {"doc_id": 1, "title": "T", "text": "x", "contents": "y"}][: r.randint(1, 2)]
    if r.random() < 0.15:
        one["continue_final_message"] = r.choice([True, True, "reasoning_content", "thinking"])
        one["add_generation_prompt"] = False
    for key, value in (("enable_thinking", r.choice([True, False])), ("date_string", "26 Jul 2024"), ("builtin_tools", ["brave_search"]), ("reasoning_effort", "low"), ("custom_tools", [])):
        if r.random() < 0.15:
            one[key] = value
    return one


def published(folders):
    """Every template below the folders, with the special tokens beside it."""
    for top in folders:
        for folder, _, files in sorted(os.walk(top)):
            for name in sorted(files):
                path = os.path.join(folder, name)
                if name in ("template.jinja", "chat_template.jinja"):
                    with open(path, encoding="utf-8", newline="") as f:
                        yield path, f.read()
                if name in ("tokenizer_config.json", "chat_template.json"):
                    with open(path, encoding="utf-8") as f:
                        found = json.load(f).get("chat_template")
                    for t in found if isinstance(found, list) else [{"template": found}] if found else []:
                        yield path, t["template"]


# ---- the reference

class Reference:
    def __init__(self):
        import transformers.utils.chat_template_utils as chat

        self.chat = chat
        self.environment = chat._compile_jinja_template("").environment
        self.environment.globals["strftime_now"] = lambda format: NOW.strftime(format)

        class Frozen(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return NOW

        chat.datetime = Frozen

    def snippet(self, source):
        try:
            return {"text": self.environment.from_string(source).render(**copy.deepcopy(VARIABLES))}
        except Exception as wrong:  # any error is an error
            return self.error(wrong)

    def render(self, source, one):
        try:
            texts, _ = self.chat.render_jinja_template([one["messages"]], chat_template=source, tools=one.get("tools"), documents=one.get("documents"), continue_final_message=one.get("continue_final_message", False),
                                                       **{k: v for k, v in one.items() if k not in ("messages", "tools", "documents", "continue_final_message")})
            return {"text": texts[0]}
        except Exception as wrong:
            return self.error(wrong)

    @staticmethod
    def error(wrong):
        import jinja2

        kind = "raise_exception" if type(wrong) is jinja2.exceptions.TemplateError else "runtime"
        return {"error": {"kind": kind, "message": str(wrong)[:200], "reference_type": type(wrong).__name__}}


# ---- comparing

def ours(program, cases, template, folder):
    """What weft says of the cases that it does not find as expected: {number: message}."""
    head = {"format": 1, "kind": "template", "name": "random", "variables": "variables.json"}
    if template is not None:
        head["template"] = "template.jinja"
        with open(os.path.join(folder, "template.jinja"), "w", encoding="utf-8", newline="") as f:
            f.write(template)
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump(head, f)
    with open(os.path.join(folder, "variables.json"), "w", encoding="utf-8") as f:
        json.dump(VARIABLES if template is None else {"bos_token": "<s>", "eos_token": "</s>"}, f)
    with open(os.path.join(folder, "cases.jsonl"), "w", encoding="utf-8") as f:
        for i, one in enumerate(cases):
            f.write(json.dumps({"case": f"@{i}@", "now": NOW.isoformat(), **one}) + "\n")
    done = subprocess.run([program, "verify", folder, "--verbose"], capture_output=True, check=False)
    if done.returncode not in (0, 3):
        return {i: f"exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}" for i in range(len(cases))}
    said = done.stderr.decode("utf-8", errors="replace")
    parts = re.split(r"^.*?random: case \d+ \(@(\d+)@\): ", said, flags=re.M)
    return {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}


def judge(cases, said, shown, refused):
    wrong = 0
    for i, message in sorted(said.items()):
        one = cases[i]
        known = UNSUPPORTED.search(message) if message.startswith("error: ") else None
        if known:
            refused[known.group(1)[-60:]] += 1
            continue
        wrong += 1
        if wrong <= shown:
            source = one.get("template")
            print(f"  {source!r}" if source is not None else f"  {json.dumps({k: v for k, v in one.items() if k not in ('text', 'error')}, ensure_ascii=False)}")
            print(f"    weft      {message.strip()[:600]!r}\n    reference {one.get('text', one.get('error'))!r}"[:2000])
    return wrong


def settled(one):
    """Addresses and the order of chance are nobody's business."""
    return not re.search(r"a\W*t\W*0\W*x|x\W*0\W*t\W*a|TemplateReference", one.get("text", ""), re.I)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--count", type=int, default=100000, help="random templates")
    parser.add_argument("--chats", type=int, default=300, help="conversations for every published template")
    parser.add_argument("--templates", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5, help="differences shown for every batch")
    parser.add_argument("--stop", type=int, default=200, help="end after so many differences")
    args = parser.parse_args()
    reference, refused, wrong, done, errors = Reference(), collections.Counter(), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path, source in published(args.templates):
            r = random.Random(args.seed)
            cases = [conversation(r) for _ in range(args.chats)]
            cases = [{**one, **reference.render(source, {"bos_token": "<s>", "eos_token": "</s>", **one})} for one in cases]
            found = judge(cases, ours(args.weft, cases, source, folder), args.show, refused)
            print(f"{path}: {len(cases)} conversations, {sum('error' in one for one in cases)} of them errors, {found} differences", flush=True)
            wrong += found
            done += len(cases)
        if os.path.exists(os.path.join(folder, "template.jinja")):
            os.remove(os.path.join(folder, "template.jinja"))
        for start in range(0, args.count, 5000):
            cases = [Draw(args.seed * 1000003 + i).template() for i in range(start, min(start + 5000, args.count))]
            cases = [one for one in ({"template": s, **reference.snippet(s)} for s in cases) if settled(one)]
            errors += sum("error" in one for one in cases)
            wrong += judge(cases, ours(args.weft, cases, None, folder), args.show, refused)
            done += len(cases)
            print(f"{done} cases, {wrong} differences, {errors} errors of the reference", flush=True)
            if wrong > args.stop:
                break
    for name, count in refused.most_common():
        print(f"refused by name: {name} ({count} times)")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
