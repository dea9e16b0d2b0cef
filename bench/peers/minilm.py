"""What the peers of `weft bench embed` share: the sentences, tokenised by Hugging Face's `tokenizers`, in batches of similar
length; the mean of the rows; the clock. Ends with code 77 when a package is missing. WEFT_BENCH_SUBJECT is the model folder,
WEFT_BENCH_DATA a file with one sentence a line, WEFT_BENCH_PRECISION "fp32" or "fastest"."""

import json
import os
import sys
import time

THREADS = int(os.environ.get("WEFT_BENCH_THREADS", "2"))
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "CT2_INTER_THREADS"):
    os.environ[name] = str(THREADS if name != "CT2_INTER_THREADS" else 1)
os.environ["TOKENIZERS_PARALLELISM"] = "true"

try:
    import numpy as np
    import tokenizers
except ImportError:
    sys.exit(77)

FOLDER = os.environ["WEFT_BENCH_SUBJECT"]
FASTEST = os.environ.get("WEFT_BENCH_PRECISION", "fp32") == "fastest"
LIMIT = 256


def sentences():
    with open(os.environ["WEFT_BENCH_DATA"], encoding="utf-8", errors="replace") as f:
        return f.read().split("\n")[:-1]


def tokenizer():
    t = tokenizers.Tokenizer.from_file(os.path.join(FOLDER, "tokenizer.json"))
    t.enable_truncation(LIMIT)
    t.no_padding()
    return t


def batches(encodings, size, tokens=None):
    """Indices sorted by length, `size` at a time, or as many as `tokens` allows."""
    order = sorted(range(len(encodings)), key=lambda i: -len(encodings[i].ids))
    at = 0
    while at < len(order):
        n = max(1, tokens // len(encodings[order[at]].ids)) if tokens else size
        yield order[at : at + n]
        at += n


def padded(encodings, batch):
    """ids and mask [n, longest]."""
    longest = max(len(encodings[i].ids) for i in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    mask = np.zeros((len(batch), longest), dtype=np.int64)
    for row, i in enumerate(batch):
        n = len(encodings[i].ids)
        ids[row, :n] = encodings[i].ids
        mask[row, :n] = 1
    return ids, mask


def pool(hidden, mask):
    m = mask[:, :, None].astype(np.float32)
    v = (hidden * m).sum(1) / np.maximum(m.sum(1), 1e-9)
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)


def measure(ways):
    """The best of several ways to embed all sentences; each is a function of (encodings) -> vectors [n, 384]. A first pass chooses it
    and a second one is timed, as weft's is after a first: the least of several times would be that of the luckiest, not of the best."""
    texts, tok = sentences(), tokenizer()

    def timed(run):
        start = time.perf_counter()
        vectors = run(tok.encode_batch(texts))
        return time.perf_counter() - start, vectors

    label, run = min(ways, key=lambda way: timed(way[1])[0])
    seconds, vectors = timed(run)
    if os.environ.get("WEFT_BENCH_OUT"):
        np.save(os.environ["WEFT_BENCH_OUT"], vectors)
    print(json.dumps({"seconds": seconds, "way": label}))
