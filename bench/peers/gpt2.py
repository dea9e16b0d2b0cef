"""GPT-2 124M in PyTorch with random weights: what the peer scripts beside this file measure.

The model is written for speed in PyTorch's own terms (fused attention, one matrix for q, k and v, fused AdamW), so that weft is
compared with PyTorch at its best and not with a library on top of it. Settings come from the environment that `weft bench` sets.
"""
import json
import os
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed (pip install torch)")
    sys.exit(77)

VOCAB, CONTEXT, WIDTH, LAYERS, HEADS = 50257, 1024, 768, 12, 12


def setting(name, default):
    return os.environ.get("WEFT_BENCH_" + name, default)


BATCH = int(setting("BATCH", "4"))
LENGTH = int(setting("CONTEXT", "64"))
BF16 = setting("PRECISION", "fp32") == "bf16"
THREADS = int(setting("THREADS", str(os.cpu_count())))
torch.set_num_threads(THREADS)
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, cache=None):
        b, t, _ = x.shape
        q, k, v = (y.view(b, t, HEADS, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(WIDTH, dim=2))
        if cache is not None:
            keys, values, at = cache
            keys[:, :, at:at + t], values[:, :, at:at + t] = k, v
            k, v = keys[:, :, :at + t], values[:, :, :at + t]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(VOCAB, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def hidden(self, ids, caches=None, at=0):
        x = self.token(ids) + self.position(torch.arange(at, at + ids.shape[1]))
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else (*caches[i], at))
        return self.norm(x)

    def forward(self, ids, targets):
        logits = F.linear(self.hidden(ids), self.token.weight)
        return F.cross_entropy(logits.view(-1, VOCAB), targets.view(-1))


def median_seconds(step, warm, times):
    """Of up to `times` runs after up to `warm`; slow steps are repeated less, their times vary less."""
    begin = time.perf_counter()
    for _ in range(warm):
        step()
        if time.perf_counter() - begin > 3:
            break
    taken = []
    while len(taken) < times and sum(taken) < 6:
        begin = time.perf_counter()
        step()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def best_of(make_step, warm, times):
    """The faster of eager and compiled, each built anew; what did not work is told and left out."""
    found = {}
    modes = setting("MODES", "eager,compiled").split(",")
    for mode in modes:
        try:
            wrap = (lambda f: f) if mode == "eager" else torch.compile
            found[mode] = median_seconds(make_step(wrap), warm, times)
        except Exception as problem:  # the compiler may be missing: eager still counts
            print(f"{mode}: {type(problem).__name__}: {problem}".splitlines()[0], file=sys.stderr)
    mode = min(found, key=found.get)
    print(json.dumps({"seconds": found[mode], "mode": mode, "all": found, "torch": torch.__version__, "threads": torch.get_num_threads(),
                      "precision": "bf16" if BF16 else "fp32", "capability": torch.backends.cpu.get_cpu_capability()}))
