"""Peer of `weft bench tokenizers`: tiktoken on a file of ranks, one thread; seconds of one pass over the text."""
import json
import os
import sys
import time

try:
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
except ImportError:
    print("skipped: the package is not installed (pip install tiktoken)")
    sys.exit(77)

PASSES = 2
CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
O200K = "|".join([
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""])
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
PATTERNS = {"cl100k_base": CL100K, "o200k_base": O200K}


def main():
    path = os.environ["WEFT_BENCH_SUBJECT"]
    if not path.endswith(".tiktoken"):
        print("skipped: tiktoken reads .tiktoken files")
        sys.exit(77)
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", "")
    name = os.path.basename(path).removesuffix(".tiktoken")
    encoding = tiktoken.Encoding(name, pat_str=PATTERNS.get(name, GPT2), mergeable_ranks=load_tiktoken_bpe(path), special_tokens={})
    with open(os.environ["WEFT_BENCH_DATA"], "rb") as f:
        text = f.read(10 << 20).decode("utf-8", errors="replace")
    texts = [text] if os.environ["WEFT_BENCH_WAY"] == "whole" else [line for line in text.split("\n") if line]
    best = None
    for _ in range(PASSES):
        start = time.perf_counter()
        for one in texts:
            encoding.encode_ordinary(one)
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
    print(json.dumps({"seconds": best}))


main()
