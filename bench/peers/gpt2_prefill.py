"""Peer of `weft bench prefill`: a prompt into GPT-2 124M, keys and values kept, logits of its last row as in `generate`; seconds."""

import gpt2  # first: it says so when PyTorch is missing
import torch


def make_step(wrap):
    kind = torch.bfloat16 if gpt2.BF16 else torch.float32
    model = gpt2.GPT2().to(kind).eval()
    caches = [tuple(torch.zeros(1, gpt2.HEADS, gpt2.LENGTH, 64, dtype=kind) for _ in range(2)) for _ in range(gpt2.LAYERS)]
    ids = torch.randint(gpt2.VOCAB, (1, gpt2.LENGTH))

    def last_logits(tokens):
        return torch.nn.functional.linear(model.hidden(tokens, caches, 0)[:, -1], model.token.weight)

    last_logits = wrap(last_logits)

    def step():
        with torch.inference_mode():
            last_logits(ids)

    return step


gpt2.best_of(make_step, warm=3, times=7)
