#!/usr/bin/env python3
"""Random texts through weft and through the PyPI package `sentencepiece`, for small models trained with random options.

    pip install sentencepiece
    tests/differential/compare_sentencepiece.py [--weft build/weft] [--models 30] [--count 2000] [--seed 1]

Ids and decoded texts are compared; special strings in the text count as text. Exit code 1 when anything differs. Not part of
`make test`: it needs Python and the package.
"""
import argparse
import os
import random
import sys
import tempfile

from compare_folders import compare, train
from compare_tokenizers import Texts, Weft


# Rules of one's own: one to many, many to one, to nothing, to blanks.
RULES = [("A", "a"), ("the", "THE"), ("th", "T"), ("ab", ""), ("\u00e9", "e\u0301"), ("  ", " "), ("1", " 1 "), ("\u4e2d\u6587", "zh"), ("\n", " "), ("x", "\u2581")]


def write_rules(path):
    points = lambda s: " ".join(f"{ord(c):X}" for c in s)
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{points(a)}\t{points(b)}\n" for a, b in RULES)
    return path


def draw_options(r, rules):
    options = {
        "model_type": r.choice(["unigram", "bpe", "bpe", "unigram", "char", "word"]), "vocab_size": r.choice([700, 1500]),
        "add_dummy_prefix": r.random() < 0.7, "remove_extra_whitespaces": r.random() < 0.7, "byte_fallback": r.random() < 0.4,
        "treat_whitespace_as_suffix": r.random() < 0.3, "split_by_whitespace": r.random() < 0.8, "split_digits": r.random() < 0.3,
        "allow_whitespace_only_pieces": r.random() < 0.3, "hard_vocab_limit": False,
        "normalization_rule_name": r.choice(["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]),
    }
    if r.random() < 0.4:
        options["user_defined_symbols"] = r.sample(["<sep>", "foo bar", "the", "\u00e9", "\u2581of", "12", "  ", "ab c"], r.randint(1, 4))
    if r.random() < 0.3:
        options["control_symbols"] = ["<ctl>", "<mask>"]
    if r.random() < 0.3:
        options["pad_id"] = 3
    if r.random() < 0.2:
        options.update(unk_id=2, bos_id=0, eos_id=1, unk_surface=" UNK ")
    if r.random() < 0.25:
        options["normalization_rule_tsv"] = rules
    if options["model_type"] in ("char", "word") and not options["byte_fallback"]:
        options.pop("vocab_size")
    return options


def run_model(number, args, root):
    import sentencepiece

    r = random.Random(args.seed * 1000 + number)
    options = draw_options(r, write_rules(os.path.join(root, "rules.tsv")))
    try:
        path = train(root, f"m{number}", **options)
    except RuntimeError as refused:  # not every combination can be trained
        print(f"{options}: not trained: {str(refused)[:80]}")
        return 0
    sp = sentencepiece.SentencePieceProcessor(model_file=path)
    pieces = [sp.id_to_piece(i).replace("\u2581", " ") for i in range(len(sp)) if not sp.is_byte(i)]
    weft = Weft(args.weft, path, root)
    texts = Texts(number, pieces, [p for p in options.get("user_defined_symbols", [])] + ["<ctl>", "<s>"], False)
    some = [texts.one() for _ in range(args.count)]
    lists = [sp.encode(t) for t in some]
    wrong = compare("ids", some, weft.ids(some, "--plain", "--no-specials"), lists, args.show)
    full = [x for x in lists if x]
    wrong += compare("decoded text", full, weft.decode(full), [sp.decode(x) for x in full], args.show)
    print(f"{options}: {len(some)} texts, {wrong} differences", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--count", type=int, default=2000, help="texts for every model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=2, help="differences shown of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        wrong = sum(run_model(i, args, root) for i in range(args.models))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
