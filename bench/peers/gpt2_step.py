"""Peer of `weft bench step`: a training step of GPT-2 124M, the best of eager and compiled PyTorch."""

import gpt2  # first: it says so when PyTorch is missing
import torch


def make_step(wrap):
    model = gpt2.GPT2()
    forward = wrap(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    ids = torch.randint(gpt2.VOCAB, (gpt2.BATCH, gpt2.LENGTH))
    targets = torch.randint(gpt2.VOCAB, (gpt2.BATCH, gpt2.LENGTH))

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=gpt2.BF16):
            loss = forward(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


gpt2.best_of(make_step, warm=3, times=5)
