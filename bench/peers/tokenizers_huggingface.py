"""Peer of `weft bench tokenizers`: the PyPI package `tokenizers`, one thread; seconds of one pass over the text."""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
try:
    from tokenizers import BertWordPieceTokenizer, Tokenizer
except ImportError:
    print("skipped: the package is not installed (pip install tokenizers)")
    sys.exit(77)

PASSES = 2


def load(path):
    if path.endswith("vocab.txt"):
        return BertWordPieceTokenizer(path)._tokenizer
    if path.endswith(".json.gz"):
        import gzip

        with gzip.open(path) as f:
            return Tokenizer.from_str(f.read().decode("utf-8"))
    return Tokenizer.from_file(path)


def main():
    tok = load(os.environ["WEFT_BENCH_SUBJECT"])
    tok.no_truncation()
    tok.no_padding()
    with open(os.environ["WEFT_BENCH_DATA"], "rb") as f:
        text = f.read(10 << 20).decode("utf-8", errors="replace")
    texts = [text] if os.environ["WEFT_BENCH_WAY"] == "whole" else [line for line in text.split("\n") if line]
    best = None
    for _ in range(PASSES):  # its own cache of words is warm in the second
        start = time.perf_counter()
        tok.encode_batch_fast(texts, add_special_tokens=False)
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
    print(json.dumps({"seconds": best}))


main()
