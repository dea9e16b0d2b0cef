#!/usr/bin/env python3
"""Random texts through weft and through the PyPI package `tokenizers`, and every difference between them.

    pip install tokenizers
    tests/differential/compare_tokenizers.py [--weft build/weft] [--count 1000000] [--seed 1] [--seconds S] FILE...

FILE is a tokenizer.json (gzipped or not), or a folder that the package `transformers` opens: its backend is the reference then (a
folder of vocab.txt alone is a BertTokenizer, one of vocab.json and merges.txt a GPT2Tokenizer). For every text the ids are compared; for one batch in eight also the offsets and pieces, the
ids without special tokens, and the decoded text. A text that differs is shortened as far as it goes on differing. Exit code 1 when
anything differs. Not part of `make test`: it needs Python and the package.
"""
import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

BATCH = 20000


# ---- texts

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " \t\n\r", "    ", ".,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`",
    "\u00e0\u00e9\u00ee\u00f6\u00fc\u00df\u00f1\u0131\u0130\u0149\u01c4\u01c6", "\u0430\u0431\u0432\u0433\u0414\u0416\u044f\u0451",
    "\u03b1\u03b2\u03c3\u03c2\u03a3\u0390", "\u4e2d\u6587\u5b57\u7ec7\u5e03\u3042\u30a2\u30fc\u3002\u300c", "\ud55c\uad6d\uc5b4\u1112\u1161\u11ab",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u064e\u0651", "\u05e9\u05dc\u05d5\u05dd\u05b8", "\u0915\u093e\u0924\u093e\u0908\u094d\u0937", "\u0e01\u0e32\u0e23",
    "\u0301\u0308\u0327\u20dd\u200d\ufe0f", "\u00a0\u2003\u2009\u200b\u2028\u3000\ufeff\u0085\u00ad", "\u2581\u0120\u010a\u2019\u2026\u2014\u00ab",
    "\U0001f9f5\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1eb\U0001f1f7\U0001f44d\U0001f3fd\u2764", "\ufb01\u2460\u00bd\u00b2\u2167\uff21\uff11\u3392",
    "\x00\x01\x1b\x7f\ufffd\ufffe\U0010ffff",
]
WORDS = ("the weaver weaves a web of wool don't they're I'LL we've it's isn't 3.14 1,000,000 10th http://a.b/c?d=e&f f(x)={y:1}; snake_case "
         "camelCase HTML \u00c9cole na\u00efve \u043f\u0440\u0438\u0432\u0435\u0442 \u4f60\u597d\u4e16\u754c \u3053\u3093\u306b\u3061\u306f <s> </s> [CLS] [MASK] <|endoftext|> <pad> "
         "<0x41> <unk> \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fe 1\ufe0f\u20e3 "
         "e\u0301 Z\u0351\u036b\u0343 \u0e01\u0e33 \u0ba8\u0bbf \u0646\u0650 a\u200bb co\u00adop").split()


class Texts:
    """Random texts, some of them made of the tokenizer's own pieces."""

    def __init__(self, seed, pieces, added, assigned):
        self.r = random.Random(seed)
        self.pieces = pieces
        self.added = added
        self.assigned = assigned

    def part(self):
        r, kind = self.r, self.r.random()
        if kind < 0.30:
            return r.choice(WORDS)
        if kind < 0.55:
            return "".join(r.choices(r.choice(ALPHABETS), k=r.randint(1, 8)))
        if kind < 0.75 and self.pieces:
            piece = r.choice(self.pieces)
            cut = r.randint(0, len(piece))
            return piece if r.random() < 0.6 else piece[:cut] + r.choice(["", " ", "x", "\u0301"]) + piece[cut:]
        if kind < 0.80:
            return r.choice(" \n\t.a1") * r.choice([1, 2, 3, 7, 30])
        if kind < 0.81:
            return "".join(r.choices(r.choice(ALPHABETS), k=r.choice([30, 99, 101, 300])))
        if kind < 0.83 and self.added:
            return r.choice(self.added)
        if kind < 0.86:
            c = chr(r.randint(0, 0x2FFFF))
            unfit = "Cs" if not self.assigned else ("Cs", "Cn")
            return "?" if unicodedata.category(c) in unfit else c
        return r.choice([" ", " ", "  ", "\n", "\r\n", ", "])

    def one(self):
        text = ""
        while not text:
            text = self.r.choice(["", " "]).join(self.part() for _ in range(self.r.choice([1, 2, 3, 5, 8, 20])))
        return text


# ---- weft

class Weft:
    def __init__(self, program, tokenizer, folder):
        self.program, self.tokenizer, self.folder = program, tokenizer, folder

    def run(self, lines, *options):
        path = os.path.join(self.folder, "texts.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(lines)
        done = subprocess.run([self.program, "tokenize", self.tokenizer, path, *options], capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode("utf-8")

    def ids(self, texts, *options):
        out = self.run("".join(json.dumps({"text": t}) + "\n" for t in texts), *options)
        return [[int(x) for x in line.split()] for line in out.split("\n")[:-1]]

    def full(self, texts):
        out = json.loads(self.run("".join(json.dumps({"text": t}) + "\n" for t in texts), "--show", "table", "--json"))
        return [(t["ids"], t["pieces"], [tuple(o) for o in t["offsets"]]) for t in out["texts"]]

    def decode(self, lists, *options):
        out = self.run("".join(json.dumps({"text": " ".join(map(str, ids))}) + "\n" for ids in lists), "--decode", "--json", *options)
        return json.loads(out)["texts"]


# ---- comparing

def reference(tok, texts, specials=True):
    return tok.encode_batch(texts, add_special_tokens=specials)


CHECKS = {
    "ids": (lambda weft, texts: weft.ids(texts), lambda tok, texts: [e.ids for e in reference(tok, texts)]),
    "ids without special tokens": (lambda weft, texts: weft.ids(texts, "--no-specials"), lambda tok, texts: [e.ids for e in reference(tok, texts, False)]),
    "tokens and offsets": (lambda weft, texts: weft.full(texts), lambda tok, texts: [(e.ids, e.tokens, e.offsets) for e in reference(tok, texts)]),
    "decoded text": (lambda weft, texts: weft.decode([e.ids for e in TOK[0].encode_batch(texts, add_special_tokens=False)]),
                     lambda tok, texts: tok.decode_batch([e.ids for e in reference(tok, texts, False)], skip_special_tokens=False)),
}
TOK = []


def differs(check, weft, tok, text):
    ours, theirs = CHECKS[check]
    try:
        return ours(weft, [text]) != theirs(tok, [text])
    except (RuntimeError, KeyError, IndexError):
        return True


def shorten(check, weft, tok, text):
    size, tries = max(1, len(text) // 2), 0
    while size and tries < 60:
        for start in range(0, len(text), size):
            shorter = text[:start] + text[start + size:]
            tries += 1
            if shorter and differs(check, weft, tok, shorter):
                text = shorter
                break
        else:
            size //= 2
    return text


def compare(check, weft, tok, texts, shown):
    ours, theirs = CHECKS[check]
    if check == "decoded text":  # texts without a token have no list of ids
        texts = [t for t, e in zip(texts, reference(tok, texts, False)) if e.ids]
    got, want = ours(weft, texts), theirs(tok, texts)
    if len(got) != len(want):
        print(f"  {check}: {len(got)} results for {len(want)} texts")
        return 1
    wrong = [i for i in range(len(want)) if got[i] != want[i]]
    for i in wrong[:shown]:
        text = shorten(check, weft, tok, texts[i])
        print(f"  {check}: {text!r}\n    weft      {ours(weft, [text])}\n    reference {theirs(tok, [text])}")
    return len(wrong)


def load_folder(folder):
    import transformers

    has = lambda name: os.path.exists(os.path.join(folder, name))
    if has("tokenizer_config.json") or has("tokenizer.json"):
        return transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
    if has("vocab.txt"):
        with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as f:
            vocab = {line.rstrip("\n"): i for i, line in enumerate(f)}
        return transformers.BertTokenizer(vocab=vocab).backend_tokenizer
    return transformers.GPT2Tokenizer.from_pretrained(folder).backend_tokenizer


def load(path):
    from tokenizers import Tokenizer

    if os.path.isdir(path):
        tok = load_folder(path)
    else:
        with open(path, "rb") as f:
            data = f.read()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        tok = Tokenizer.from_str(data.decode("utf-8"))
    tok.no_truncation()
    tok.no_padding()
    return tok


def run_file(path, args, folder):
    try:
        tok = load(path)
    except Exception as refused:  # the package raises nothing more special
        print(f"{path}: the package refuses it: {refused}", flush=True)
        return 0
    TOK[:] = [tok]
    weft = Weft(args.weft, path, folder)
    pieces = [p.replace("\u2581", " ").replace("\u0120", " ").removeprefix("##") for p in list(tok.get_vocab())[:50000]]
    added = [t.content for t in tok.get_added_tokens_decoder().values()]
    texts = Texts(args.seed, pieces, added, args.assigned)
    started, done, wrong, batch = time.time(), 0, 0, 0
    while done < args.count and (not args.seconds or time.time() - started < args.seconds):
        some = [texts.one() for _ in range(min(BATCH, args.count - done))]
        wrong += compare("ids", weft, tok, some, args.show)
        if batch % 8 == 0:
            for check in list(CHECKS)[1:]:
                wrong += compare(check, weft, tok, some[:2000], args.show)
        done += len(some)
        batch += 1
        if wrong > args.stop:
            break
    print(f"{path}: {done} texts, {wrong} differences", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--count", type=int, default=1000000, help="texts for every file")
    parser.add_argument("--seconds", type=float, default=0, help="at most so long for every file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--assigned", action="store_true", help="only characters that Python's Unicode knows")
    parser.add_argument("--show", type=int, default=3, help="differences shown for every batch")
    parser.add_argument("--stop", type=int, default=200, help="go on to the next file after so many differences")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum(run_file(path, args, folder) for path in args.files)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
