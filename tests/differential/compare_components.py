#!/usr/bin/env python3
"""Random tokenizer.json files over all components of the PyPI package `tokenizers`, and every difference between it and weft.

    pip install tokenizers
    tests/differential/compare_components.py [--weft build/weft] [--models FOLDER] [--count 2000] [--seed 1]

The models are those of the tokenizer.json files below FOLDER (default: $WEFT_FIXTURES/tokenizers/model-*), their options and everything
around them are drawn. Each file becomes a fixture, which `weft verify` runs: ids, tokens, offsets, word ids, types, masks, overflow,
decoded texts of single texts, pairs and lists of words, streams, batches, the normalizer and the pre-tokenizer alone. What the package refuses
or panics over is left out. Exit code 1 when anything differs. Not part of `make test`: it needs Python and the package.
"""
import argparse
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from compare_tokenizers import Texts

REGEXES = [r"\s+", r"[aeiou]", r"\d{1,3}", r"\p{L}+|\p{N}+", r"[^\s\w]+", r"(?i:the|ing)", r"\w+|[^\w\s]+", r" ?\p{L}+", r"^\s+", r"\s+$", r"(?=[A-Z])", r"[^a-z]", r"a*", r"\p{M}", r"(?<=a)b", r"\b", r".", r"(?:\r?\n)+",
           r"\s+(?!\S)|\s+", r"[\p{Lu}][\p{Ll}]*", r"''|``", r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", r"\p{Han}", r"[一-龥]", r"x{2,}?", r"(a|b)+", r"$", r"a(?i)b|c", r"(?i:ss|st)", r"(?<n>[aeo])\k<n>", r"(?i)é|ß", r"a\Kb", r"(?i:[ß-ÿﬁ])", r"(?i:[\p{L}]x)"]
STRINGS = [" ", "a", "e", "##", "\u2581", ".", "the", "''", "\n", "-", "  ", "é", "", "\u0301", "\u0120", "1"]
CONTENTS = ["", " ", "\u2581", "x", "##", "ab", "é", "\u0301", "  "]


class Draw:
    def __init__(self, seed, models):
        self.r, self.models = random.Random(seed), models

    def pick(self, *options):
        return self.r.choice(options)

    def flag(self):
        return self.r.random() < 0.5

    def pattern(self):
        return {"Regex": self.r.choice(REGEXES)} if self.flag() else {"String": self.r.choice(STRINGS)}

    def normalizer(self, deep=True):
        f = self.flag
        return self.pick(*[
            lambda: {"type": "BertNormalizer", "clean_text": f(), "handle_chinese_chars": f(), "strip_accents": self.pick(None, True, False), "lowercase": f()},
            lambda: {"type": self.pick("NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase", "Nmt", "ByteLevel")}, lambda: {"type": "Strip", "strip_left": f(), "strip_right": f()},
            lambda: {"type": "Replace", "pattern": self.pattern(), "content": self.r.choice(CONTENTS)}, lambda: {"type": "Prepend", "prepend": self.pick("\u2581", "x", " ", "")},
            lambda: {"type": "Sequence", "normalizers": [self.normalizer(False) for _ in range(self.r.randint(0, 4))]} if deep else self.normalizer(False)])()

    def pre_tokenizer(self, deep=True):
        f = self.flag
        behavior = lambda: self.pick("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
        return self.pick(*[
            lambda: {"type": "ByteLevel", "add_prefix_space": f(), "trim_offsets": f(), "use_regex": f()}, lambda: {"type": self.pick("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")},
            lambda: {"type": "Metaspace", "replacement": self.pick("\u2581", "_", "\u2581"), "prepend_scheme": self.pick("always", "first", "never"), "split": f()},
            lambda: {"type": "Split", "pattern": self.pattern(), "behavior": behavior(), "invert": f()}, lambda: {"type": "Punctuation", "behavior": behavior()}, lambda: {"type": "Digits", "individual_digits": f()},
            lambda: {"type": "CharDelimiterSplit", "delimiter": self.pick(" ", "a", "-", "\u2581")}, lambda: {"type": "FixedLength", "length": self.r.randint(1, 6)},
            lambda: {"type": "Sequence", "pretokenizers": [self.pre_tokenizer(False) for _ in range(self.r.randint(0, 4))]} if deep else self.pre_tokenizer(False)])()

    def special(self, vocab):
        return self.r.choice(vocab)

    def template(self, vocab):
        tokens = self.r.sample(vocab, min(3, len(vocab)))
        item = lambda kind: {kind: {"id": self.pick("A", "B"), "type_id": self.r.randint(0, 2)}} if kind == "Sequence" else {kind: {"id": self.r.choice(tokens)[0], "type_id": self.r.randint(0, 2)}}
        around = lambda: [item("SpecialToken") for _ in range(self.r.randint(0, 2))]
        seq = lambda s: [{"Sequence": {"id": s, "type_id": self.r.randint(0, 2)}}]
        names = {t: {"id": t, "ids": [i] * self.pick(1, 1, 1, 2), "tokens": [t] * 1} for t, i in tokens}
        for n in names.values():
            n["tokens"] = [n["id"]] * len(n["ids"])
        return {"type": "TemplateProcessing", "single": around() + seq("A") + around(), "pair": around() + seq("A") + around() + seq(self.pick("B", "B", "B")) + around(), "special_tokens": names}

    def post_processor(self, vocab, deep=True):
        f = self.flag
        return self.pick(*[
            lambda: self.template(vocab), lambda: {"type": "BertProcessing", "sep": list(self.special(vocab)), "cls": list(self.special(vocab))},
            lambda: {"type": "RobertaProcessing", "sep": list(self.special(vocab)), "cls": list(self.special(vocab)), "trim_offsets": f(), "add_prefix_space": f()},
            lambda: {"type": "ByteLevel", "add_prefix_space": f(), "trim_offsets": f(), "use_regex": f()},
            lambda: {"type": "Sequence", "processors": [self.post_processor(vocab, False) for _ in range(self.r.randint(0, 3))]} if deep else self.template(vocab)])()

    def decoder(self, deep=True):
        f = self.flag
        return self.pick(*[
            lambda: {"type": "ByteLevel", "add_prefix_space": f(), "trim_offsets": f(), "use_regex": f()}, lambda: {"type": "WordPiece", "prefix": self.pick("##", "a", ""), "cleanup": f()},
            lambda: {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": self.pick("always", "first", "never"), "split": f()}, lambda: {"type": "BPEDecoder", "suffix": self.pick("</w>", "e", "")},
            lambda: {"type": "CTC", "pad_token": self.pick("<pad>", "a"), "word_delimiter_token": self.pick("|", "e"), "cleanup": f()}, lambda: {"type": self.pick("ByteFallback", "Fuse")},
            lambda: {"type": "Replace", "pattern": self.pattern(), "content": self.r.choice(CONTENTS)}, lambda: {"type": "Strip", "content": self.pick(" ", "a", "\u2581"), "start": self.r.randint(0, 1), "stop": self.r.randint(0, 1)},
            lambda: {"type": "Sequence", "decoders": [self.decoder(False) for _ in range(self.r.randint(0, 4))]} if deep else {"type": "Fuse"}])()

    def model(self):
        m = json.loads(self.r.choice(self.models))
        kind = m.get("type")
        if kind == "BPE":
            m.update(fuse_unk=self.flag(), byte_fallback=self.flag(), ignore_merges=self.flag(), dropout=self.pick(None, None, 0.0))
            if self.r.random() < 0.2:
                m["unk_token"] = self.pick(None, "<unk>", self.r.choice(list(m["vocab"])))
        elif kind == "WordPiece":
            m["max_input_chars_per_word"] = self.pick(100, 3, 8)
        elif kind == "Unigram":
            m["byte_fallback"] = self.flag()
            if self.r.random() < 0.1:
                m["unk_id"] = self.pick(None, 0, 5)
        return m

    def added(self, vocab, size):
        out = []
        for i in range(self.r.randint(0, 5)):
            old = self.flag()
            text, id_ = self.special(vocab) if old else (self.pick("<x>", "foo", "the", " a", "é", "[SEP]", "ing ", "A", "\u2581b", "12", "e", "<|end|>", "Foo"), size + len(out))
            if text in [a["content"] for a in out] or not text:
                continue
            out.append({"id": id_, "content": text, "single_word": self.flag() and self.flag(), "lstrip": self.flag() and self.flag(), "rstrip": self.flag() and self.flag(), "normalized": self.flag(), "special": self.flag()})
        return out

    def tokenizer(self):
        m = self.model()
        vocab = [(t, i) for i, (t, _) in enumerate(m["vocab"])] if isinstance(m["vocab"], list) else list(m["vocab"].items())
        chance = lambda p, v: v() if self.r.random() < p else None
        return {"version": "1.0", "truncation": chance(0.25, lambda: {"direction": self.pick("Left", "Right"), "max_length": self.r.randint(0, 12), "strategy": self.pick("LongestFirst", "OnlyFirst", "OnlySecond"), "stride": self.pick(0, 0, 1, 2, 4)}),
                "padding": chance(0.25, lambda: {"strategy": self.pick("BatchLongest", {"Fixed": self.r.randint(0, 14)}), "direction": self.pick("Left", "Right"), "pad_to_multiple_of": self.pick(None, None, 4, 0, 8),
                                                 "pad_id": self.r.randint(0, 5), "pad_type_id": self.r.randint(0, 2), "pad_token": self.pick("[PAD]", "p")}),
                "added_tokens": self.added(vocab, len(vocab)), "normalizer": chance(0.6, self.normalizer), "pre_tokenizer": chance(0.8, self.pre_tokenizer),
                "post_processor": chance(0.5, lambda: self.post_processor(vocab)), "decoder": chance(0.7, self.decoder), "model": m}


    def respelled(self, config):
        """The same in other words, or nearly: members left out, old names, pairs for texts, gaps between ids."""
        r = self.r

        def parts(j):
            if isinstance(j, dict):
                for key, value in list(j.items()):
                    if key not in ("vocab", "merges", "type") and r.random() < 0.06:
                        del j[key]
                    elif key not in ("vocab", "merges"):
                        parts(value)
                if j.get("type") == "Metaspace" and r.random() < 0.3:
                    j.pop("prepend_scheme", None)
                    j.update(r.choice([{"add_prefix_space": self.flag()}, {"str_rep": "\u2581", "add_prefix_space": True}, {}]))
            elif isinstance(j, list):
                for item in j:
                    parts(item)

        model = config["model"]
        parts(config)
        if r.random() < 0.15:
            model.pop("type", None)
        if "merges" in model and r.random() < 0.4:
            pairs = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
            model["merges"] = pairs if self.flag() else [" ".join(m) for m in pairs]
        if isinstance(model.get("vocab"), dict) and r.random() < 0.2:
            model["vocab"] = {t: i + (i > 10) * 3 for t, i in model["vocab"].items()} if self.flag() else dict(sorted(model["vocab"].items(), key=lambda x: r.random()))
        if r.random() < 0.2:
            config = dict(sorted(config.items(), key=lambda x: r.random()))
        return config


# ---- what the package says

def nonzero(numbers, usual):
    return None if all(n == usual for n in numbers) else numbers


def full(e):
    out = {"ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets], "type_ids": nonzero(e.type_ids, 0), "special_mask": nonzero(e.special_tokens_mask, 0), "attention_mask": nonzero(e.attention_mask, 1)}
    return {k: v for k, v in out.items() if v is not None}


def attempt(fn):
    """The result, an error, or None where the package panics."""
    try:
        return fn(), None
    except BaseException as wrong:  # a panic is no Exception
        if isinstance(wrong, (KeyboardInterrupt, SystemExit)):
            raise
        return None, ("panic" if "Panic" in type(wrong).__name__ else str(wrong)[:100])


def decoded(tok, case, ids):
    for key, skip in (("decoded", False), ("decoded_skip_special", True)):
        text, wrong = attempt(lambda: tok.decode(ids, skip_special_tokens=skip))
        if wrong is None:
            case[key] = text


def one_case(tok, r, texts):
    words, pair = r.random() < 0.12, r.random() < 0.25
    case = {"text": [texts.part() for _ in range(r.randint(0, 4))] if words else texts.one() if r.random() < 0.97 else "", "add_special_tokens": r.random() < 0.7}
    if pair:
        case["pair"] = [texts.part() for _ in range(r.randint(0, 3))] if words else texts.one()
    if words:
        case["is_pretokenized"] = True
    e, wrong = attempt(lambda: tok.encode(case["text"], case.get("pair"), is_pretokenized=words, add_special_tokens=case["add_special_tokens"]))
    if wrong == "panic":
        return None
    if wrong:
        return {**case, "error": wrong}
    case.update(full(e))
    if words:
        case["word_ids"] = e.word_ids
    case["overflow_count"] = len(e.overflowing)
    if 0 < len(e.overflowing) <= 8:
        case["overflowing"] = [full(o) for o in e.overflowing]
    decoded(tok, case, e.ids)
    if not words and not pair:
        for key, part, call in (("normalized", tok.normalizer, lambda p: p.normalize_str(case["text"])), ("pretokens", tok.pre_tokenizer, lambda p: [[t, list(o)] for t, o in p.pre_tokenize_str(case["text"])])):
            value, wrong = attempt(lambda: call(part)) if part else (None, "none")
            if wrong is None and key == "normalized":
                case[key] = value
            elif wrong is None:
                case[key] = value
    return case


def streamed(tok, ids):
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    chunks, wrong = attempt(lambda: [stream.step(tok, i) for i in ids])
    return None if wrong else {"ids": ids, "chunks": chunks}


def write_lines(folder, name, lines):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines if line)


def make_fixture(root, number, args, models):
    from tokenizers import Tokenizer

    r = random.Random(args.seed * 1000003 + number)
    draw = Draw(r.random(), models)
    config = json.dumps(draw.tokenizer() if r.random() < 0.6 else draw.respelled(draw.tokenizer()))
    tok, wrong = attempt(lambda: Tokenizer.from_str(config))
    if wrong:
        return None
    folder = os.path.join(root, f"c{number}")
    os.mkdir(folder)
    pieces = [p.replace("\u2581", " ").replace("\u0120", " ").removeprefix("##") for p in sorted(tok.get_vocab())]
    texts = Texts(r.random(), pieces, [t.content for t in tok.get_added_tokens_decoder().values()], True)
    cases = [one_case(tok, r, texts) for _ in range(args.texts)]
    lists = [[r.randrange(len(pieces)) for _ in range(r.randint(0, 9))] for _ in range(4)]
    decodes = [{"ids": ids} for ids in lists]
    for case in decodes:
        decoded(tok, case, case["ids"])
    streams = [streamed(tok, ids) for ids in lists + [c["ids"] for c in cases if c and "ids" in c][:4]]
    batches = []
    for _ in range(2):
        batch = [texts.one() for _ in range(3)]
        some, wrong = attempt(lambda: tok.encode_batch(batch))
        if wrong is None:
            batches.append({"batch": batch, "encodings": [full(e) for e in some]})
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        f.write(config)
    write_lines(folder, "cases.jsonl", cases)
    write_lines(folder, "decode.jsonl", [c for c in decodes if "decoded" in c and "decoded_skip_special" in c])
    write_lines(folder, "stream.jsonl", streams)
    write_lines(folder, "batches.jsonl", batches)
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump({"format": 1, "kind": "tokenizer", "name": f"c{number}", "tokenizer_format": "tokenizer.json", "file": "tokenizer.json"}, f)
    return config


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--models", default=os.path.join(os.environ.get("WEFT_FIXTURES", "."), "tokenizers"))
    parser.add_argument("--count", type=int, default=2000, help="configurations")
    parser.add_argument("--texts", type=int, default=25, help="cases for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=20, help="differences shown of every hundred")
    parser.add_argument("--keep", metavar="FOLDER", help="fixtures that differ are copied there")
    args = parser.parse_args()
    models = []
    for path in sorted(glob.glob(os.path.join(args.models, "model-*", "tokenizer.json"))):
        with open(path, encoding="utf-8") as f:
            models.append(json.dumps(json.load(f)["model"]))
    done = wrong = 0
    for start in range(0, args.count, 100):
        with tempfile.TemporaryDirectory() as root:
            configs = {f"c{i}": make_fixture(root, i, args, models) for i in range(start, min(start + 100, args.count))}
            configs = {k: v for k, v in configs.items() if v}
            said = subprocess.run([args.weft, "verify", root], capture_output=True, check=False).stdout.decode("utf-8", errors="replace")
            failed = [(m.group(1), m.group(2)) for m in re.finditer(r"^(c\d+) +(?:fail|unsupported)(.*(?:\n(?!c\d+ ).*)*)", said, flags=re.M)]
            for name, _ in failed if args.keep else []:
                shutil.copytree(os.path.join(root, name), os.path.join(args.keep, f"s{args.seed}{name}"), dirs_exist_ok=True)
            for name, why in failed[: args.show]:
                config = json.loads(configs[name])
                config["model"] = {k: v for k, v in config["model"].items() if k not in ("vocab", "merges")}
                print(f"  {name}: {why.strip()[:600]}\n    {json.dumps(config, ensure_ascii=False)[:1800]}")
            done, wrong = done + len(configs), wrong + len(failed)
            print(f"{done} configurations, {wrong} differ", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
