"""Peer of `weft bench decode`: one token of GPT-2 124M with cached keys and values; seconds of a token."""

import gpt2  # first: it says so when PyTorch is missing
import torch

PROMPT, TOKENS = gpt2.LENGTH, 16


def make_step(wrap):
    kind = torch.bfloat16 if gpt2.BF16 else torch.float32
    model = gpt2.GPT2().to(kind).eval()
    caches = [tuple(torch.zeros(1, gpt2.HEADS, PROMPT + 64, 64, dtype=kind) for _ in range(2)) for _ in range(gpt2.LAYERS)]
    ids = torch.randint(gpt2.VOCAB, (1, PROMPT))
    place = {"at": PROMPT}

    def next_logits(token, at):
        return torch.nn.functional.linear(model.hidden(token, caches, at)[:, -1], model.token.weight)

    next_logits = wrap(next_logits)
    with torch.inference_mode():
        model.hidden(ids, caches, 0)

    def step():
        with torch.inference_mode():
            next_logits(ids[:, :1], place["at"])
        place["at"] = PROMPT + (place["at"] - PROMPT + 1) % TOKENS

    return step


gpt2.best_of(make_step, warm=TOKENS, times=TOKENS)
