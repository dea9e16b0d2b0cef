#!/usr/bin/env python3
"""Training of tokenizers: random recipes for every trainer of the PyPI package `tokenizers`, and what weft makes of them.

    pip install tokenizers
    tests/differential/compare_trainers.py [--weft build/weft] [--count 200] [--seed 1] [--keep DIR]

Texts of several scripts, few enough for many ties; every option of the trainers is drawn. What the package refuses is left out.
 - BPE without affixes and WordLevel: the package gives the same file in every run, and the vocabulary with its ids and the merges
   must be equal.
 - BPE with affixes and WordPiece: the package numbers the affixed symbols (##x, x</w>) in the order of a hash table that is seeded
   anew in each run, and ties are broken by those numbers; letters that tie at limit_alphabet are kept by that order too. There the
   package's algorithm, written down here, is run twice: with the package's numbers it must give the package's file, with weft's
   numbers weft's.
 - Unigram: scores are sums in the order of a hash table and pieces that tie are cut by it. The special tokens must be equal, and
   the pieces must be as near to the package's as the package's own runs are to one another, less --slack.
Every file must open in the package, and both must cut 200 texts alike. Exit code 1 when anything differs. Not part of `make test`:
it needs Python and the package.
"""
import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer, pre_tokenizers, trainers

SCRIPTS = ["abcdefghijklmnoprstuvw", "ABCDEabc", "αβγδεζηθικ", "абвгдежзик", "的一是不了人我在有他", "あいうえおカキクケコ", "\u0627\u0628\u062a\u062b\u062c", "\u0915\u0916\u0917\u093e\u093f\u0940", "éèüßñ", "e\u0301u\u0308", "😀🎉👩\u200d", "0123456789", ".,!?-'"]
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
MODELS = {
    "BPE": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": {}, "merges": []},
    "WordPiece": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {}},
    "WordLevel": {"type": "WordLevel", "vocab": {}, "unk_token": "[UNK]"},
    "Unigram": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]], "byte_fallback": False},
}
TRAINERS = {"BPE": trainers.BpeTrainer, "WordPiece": trainers.WordPieceTrainer, "WordLevel": trainers.WordLevelTrainer, "Unigram": trainers.UnigramTrainer}


def corpus(r):
    """Lines of words that come again."""
    scripts = r.sample(SCRIPTS, r.randint(1, 6))
    words = ["".join(r.choices(r.choice(scripts)[: r.choice([3, 8, 30])], k=r.randint(1, 9))) for _ in range(r.choice([5, 30, 150]))]
    words += [r.choice(words) + r.choice(words) for _ in range(len(words) // 3)] + ["the", "then"]
    weights = [1 / (1 + i) for i in range(len(words))]
    return [r.choice([" ", " ", "  "]).join(r.choices(words, weights, k=r.randint(1, 12))) for _ in range(r.choice([3, 20, 100]))], words


def recipe(r, kind):
    """Options of a trainer."""
    some = lambda p, key, *values: {key: r.choice(values)} if r.random() < p else {}
    o = {"special_tokens": r.choice([[], ["[UNK]"], ["<unk>", "<pad>", "the"], ["[UNK]", "<s>", "</s>"], ["a", "<unk>"]])}
    if kind == "Unigram":
        o.update({"vocab_size": r.choice([20, 30, 45, 60, 100, 200, 400, 1000])}, **some(0.6, "shrinking_factor", 0.75, 0.5, 0.9), **some(0.6, "max_piece_length", 16, 4, 2, 8), **some(0.6, "n_sub_iterations", 2, 1, 3))
        return o | some(0.7, "unk_token", "<unk>", "[UNK]") | some(0.3, "initial_alphabet", ["a", "z", "ß"])
    o.update({"vocab_size": r.choice([3, 30, 60, 100, 260, 300, 400, 1000])}, **some(0.7, "min_frequency", 0, 1, 2, 5))
    if kind == "WordLevel":
        return o
    o |= some(0.5, "initial_alphabet", ["a", "b", "zz", "é"], "bytelevel") | some(0.3, "limit_alphabet", 5, 20, 60, 1000)
    o |= some(0.35, "continuing_subword_prefix", "##", "_", "@@", "a") | some(0.35, "end_of_word_suffix", "</w>", "@", "a")
    return o | (some(0.3, "max_token_length", 2, 3, 4, 8) if kind == "BPE" else {})


def start_of(r, kind):
    pre = r.choice([{"type": "Whitespace"}, {"type": "WhitespaceSplit"}, BYTE_LEVEL, METASPACE, {"type": "BertPreTokenizer"}, None])
    norm = r.choice([None, None, {"type": "NFD"}, {"type": "Lowercase"}])
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": norm, "pre_tokenizer": pre or (None if kind == "Unigram" else {"type": "Whitespace"}),
            "post_processor": None, "decoder": None, "model": MODELS[kind]}


def train_package(start, kind, options, lines):
    o = dict(options)
    if o.get("initial_alphabet") == "bytelevel":
        o["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    tok = Tokenizer.from_str(json.dumps(start))
    tok.train_from_iterator(lines, TRAINERS[kind](show_progress=False, **o))
    return json.loads(tok.to_str())


def train_weft(weft, folder, options):
    # with --like the model is that of start.json; bpe-char is the kind for which nothing usual is added to the options
    out = os.path.join(folder, "weft.json")
    done = subprocess.run([weft, "tokenize", "--quiet", "--lines", "--train", "bpe-char", "--like", os.path.join(folder, "start.json"), "--trainer", json.dumps(options), "--vocab", str(options["vocab_size"]),
                           "--out", out, os.path.join(folder, "corpus.txt")], capture_output=True, text=True, check=False)
    if done.returncode:
        return None, done.stderr.strip()[-200:]
    with open(out, encoding="utf-8") as f:
        return json.load(f), None


# ---- the package's merging, with the numbers of the symbols given

def counted_words(start, lines):
    tok, counts = Tokenizer.from_str(json.dumps(start)), collections.Counter()
    for line in lines:
        text = tok.normalizer.normalize_str(line) if tok.normalizer else line
        counts.update(w for w, _ in tok.pre_tokenizer.pre_tokenize_str(text))
    return counts


def merged(kind, options, counts, vocab):
    """The vocabulary and merges for the symbols' numbers in `vocab`."""
    prefix = options.get("continuing_subword_prefix", "##" if kind == "WordPiece" else "")
    suffix, limit = options.get("end_of_word_suffix", ""), options.get("max_token_length", 1 << 60)
    order = sorted(vocab, key=vocab.get)
    ids, at = {}, 0
    for t in options["special_tokens"]:
        ids.setdefault(t, len(ids))
    initial = pre_tokenizers.ByteLevel.alphabet() if options.get("initial_alphabet") == "bytelevel" else options.get("initial_alphabet", [])
    allowed = {c for w in counts for c in w} | {c[0] for c in initial}
    at, last = len(ids), -1  # the letters, in the order of their code points
    while at < len(order) and len(order[at]) == 1 and order[at] in allowed and ord(order[at]) > last:
        last = ord(order[at])
        ids[order[at]] = at
        at += 1
    letters = list(ids)
    symbol = lambda w, i: (prefix if i else "") + w[i] + (suffix if i == len(w) - 1 else "")
    affixed = {symbol(w, i) for w in counts for i in range(len(w)) if w[i] in ids} - set(ids)
    for t in sorted(affixed, key=lambda t: vocab.get(t, 1 << 60)):
        ids[t] = len(ids)
    texts = list(ids)
    words = [([ids[symbol(w, i)] for i in range(len(w)) if w[i] in letters], n) for w, n in counts.items()]
    sizes, merges = [[1] * len(w) for w, _ in words], {}
    return ids, texts, words, sizes, merges, prefix, limit


def replay(kind, options, counts, vocab):
    ids, texts, words, sizes, merges, prefix, limit = merged(kind, options, counts, vocab)
    while len(ids) < options["vocab_size"]:
        pairs = collections.Counter()
        for k, (w, n) in enumerate(words):
            for i in range(len(w) - 1):
                whole = sizes[k][i] + sizes[k][i + 1] < limit or sizes[k][i] == sizes[k][i + 1] == 1
                if whole:
                    pairs[w[i], w[i + 1]] += n
        if not pairs:
            break
        (a, b), n = min(pairs.items(), key=lambda x: (-x[1], x[0]))
        if n < max(1, options.get("min_frequency", 0)):
            break
        text = texts[a] + (texts[b][len(prefix):] if texts[b].startswith(prefix) else texts[b])
        if text not in ids:
            ids[text] = len(ids)
            texts.append(text)
        merges.pop((a, b), None)
        merges[a, b] = 1
        for k, (w, _) in enumerate(words):
            i = 0
            while i < len(w) - 1:
                if (w[i], w[i + 1]) == (a, b):
                    w[i:i + 2] = [ids[text]]
                    sizes[k][i:i + 2] = [sizes[k][i] + sizes[k][i + 1]]
                i += 1
    return ids, [[texts[a], texts[b]] for a, b in merges]


# ---- judging

def pieces_of(j):
    v = j["model"]["vocab"]
    return {p for p, _ in v} if isinstance(v, list) else set(v)


def share(a, b):
    return len(a & b) / max(1, len(a | b))


def essence(j):
    return [j["model"]["vocab"], j["model"].get("merges")]


def judge(case, got, runs, slack):
    kind, options, start, lines = case["kind"], case["options"], case["start"], case["lines"]
    twice = kind == "Unigram" and set(options["special_tokens"]) & {p for p, score in runs[0]["model"]["vocab"] if score}  # weft writes them once
    if not twice and [(t["content"], t["id"]) for t in got["added_tokens"]] != [(t["content"], t["id"]) for t in runs[0]["added_tokens"]]:
        return "added tokens"
    if kind == "Unigram":
        a, others = pieces_of(got), [pieces_of(j) for j in runs]
        near = min(share(x, y) for x in others for y in others)
        return None if max(share(a, x) for x in others) >= near - slack else f"pieces: {max(share(a, x) for x in others):.3f}, the package's runs {near:.3f}"
    if essence(got) == essence(runs[0]):
        return None
    if kind == "WordLevel" or all(essence(j) == essence(runs[0]) for j in runs) and not {"continuing_subword_prefix", "end_of_word_suffix"} & set(options) and kind == "BPE":
        return "not the package's"
    if "max_token_length" in options:  # takes away counts of pairs it never counted: not in this short form
        return None
    counts = counted_words(start, lines)
    for name, j in (("package", runs[0]), ("weft", got)):
        ids, merges = replay(kind, options, counts, j["model"]["vocab"])
        if ids != j["model"]["vocab"] or (kind == "BPE" and merges != j["model"]["merges"]):
            return f"not what the algorithm gives for the numbers of {name}"
    return None


def encodes_alike(weft, folder, r, words):
    tok = Tokenizer.from_file(os.path.join(folder, "weft.json"))
    texts = [" ".join(r.choice([r.choice(words), "".join(r.choices(r.choice(SCRIPTS), k=3)), "<s>", "thethe"]) for _ in range(r.randint(1, 6))) for _ in range(200)]
    cases = []
    for text in texts:
        try:
            e = tok.encode(text)
            cases.append({"text": text, "ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets]})
        except Exception as wrong:  # an unknown token that is not in the vocabulary
            cases.append({"text": text, "error": str(wrong)})
    sub = os.path.join(folder, "encode")
    os.makedirs(sub)
    shutil.copy(os.path.join(folder, "weft.json"), os.path.join(sub, "tokenizer.json"))
    with open(os.path.join(sub, "cases.jsonl"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(c) + "\n" for c in cases)
    with open(os.path.join(sub, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump({"format": 1, "kind": "tokenizer", "name": "encode", "tokenizer_format": "tokenizer.json", "file": "tokenizer.json"}, f)
    done = subprocess.run([weft, "verify", sub], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else "encodes: " + done.stdout.strip()[:300]


def one(args, folder, number):
    r = random.Random(args.seed * 1000003 + number)
    kind = r.choice(["BPE", "BPE", "BPE", "WordPiece", "WordLevel", "Unigram"])
    lines, words = corpus(r)
    case = {"kind": kind, "options": recipe(r, kind), "start": start_of(r, kind), "lines": lines}
    try:
        runs = [train_package(case["start"], kind, case["options"], lines) for _ in range(4)]
    except BaseException as wrong:  # a panic is no Exception
        if isinstance(wrong, (KeyboardInterrupt, SystemExit)):
            raise
        return kind, "refused by the package", case
    with open(os.path.join(folder, "start.json"), "w", encoding="utf-8") as f:
        json.dump(case["start"], f)
    with open(os.path.join(folder, "corpus.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    got, wrong = train_weft(args.weft, folder, case["options"])
    if wrong:
        return kind, "weft: " + wrong, case
    wrong = judge(case, got, runs, args.slack) or encodes_alike(args.weft, folder, r, words)
    return kind, wrong or ("equal" if essence(got) == essence(runs[0]) else "equal but for the package's chance"), case


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--weft", default="build/weft")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--slack", type=float, default=0.05, help="of the share of common Unigram pieces")
    p.add_argument("--keep", help="where folders of cases that differ go")
    args = p.parse_args()
    seen, bad = collections.Counter(), 0
    for n in range(args.count):
        with tempfile.TemporaryDirectory() as folder:
            kind, outcome, case = one(args, folder, n)
            fine = outcome.startswith("equal") or outcome.startswith("refused")
            seen[kind, outcome if fine else "differs"] += 1
            if not fine:
                bad += 1
                print(f"  {n} {kind}: {outcome}\n    {json.dumps(case['options'], ensure_ascii=False)} {json.dumps(case['start']['pre_tokenizer'])} {json.dumps(case['start']['normalizer'])}", flush=True)
                if args.keep:
                    shutil.copytree(folder, os.path.join(args.keep, str(n)), dirs_exist_ok=True)
    for key, n in sorted(seen.items()):
        print(*key, n)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
