#!/usr/bin/env python3
"""Random texts of small models through `weft verify`, against transformers' generate in float64.

    pip install torch transformers safetensors
    tests/differential/compare_generation.py [--weft build/weft] [--count 100] [--seed 1] [--keep DIR]

Every case is a fixture folder of kind `generate`: a model of random weights, prompts, and a generation config of random options, greedy or with
beams. A case whose tokens change when the weights move a little hangs on a rounding and is not asked. Folders that do not pass stay in --keep.
Exit code 1 when anything differs. Not part of `make test`: it needs Python and the packages.
"""
import argparse
import collections
import json
import os
import random
import shutil
import sys
import tempfile
import warnings

import torch
import transformers
from safetensors.torch import save_file
from transformers import GenerationConfig

import fixture_case
from fixture_case import verify

V = 43


def gpt2(_):
    return transformers.GPT2Config(n_embd=16, n_head=2, n_layer=2, vocab_size=V, n_positions=64, bos_token_id=1, eos_token_id=None)


def llama(r):
    return transformers.LlamaConfig(hidden_size=16, num_attention_heads=4, num_key_value_heads=r.choice((1, 2, 4)), intermediate_size=20, num_hidden_layers=2,
                                    vocab_size=V, max_position_embeddings=64)


def mistral(r):
    return transformers.MistralConfig(hidden_size=16, num_attention_heads=4, num_key_value_heads=2, intermediate_size=20, num_hidden_layers=2, vocab_size=V,
                                      max_position_embeddings=64, sliding_window=r.choice((3, 6)))


def bart(_):
    return transformers.BartConfig(d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=4, encoder_ffn_dim=20,
                                   decoder_ffn_dim=20, vocab_size=V, max_position_embeddings=64, forced_eos_token_id=None)


def t5(r):
    return transformers.T5Config(d_model=16, d_kv=4, d_ff=20, num_layers=2, num_heads=4, vocab_size=V, decoder_start_token_id=0,
                                 feed_forward_proj=r.choice(("relu", "gated-gelu")), tie_word_embeddings=r.random() < 0.5)


CONFIGS = {f.__name__: f for f in (gpt2, llama, mistral, bart, t5)}


def some(r, n, most=V):
    return r.sample(range(3, most), n)


def options(r, encoder):
    """Generation config keys as a draw has them."""
    g = {"do_sample": False, "pad_token_id": r.choice((0, 2, 2)), "max_new_tokens": r.randrange(3, 16)}
    if r.random() < 0.75:
        g["eos_token_id"] = some(r, r.choice((1, 1, 3, 6))) if r.random() < 0.7 else some(r, 1)[0]
    if encoder:
        g["decoder_start_token_id"] = r.randrange(3)
    if r.random() < 0.75:
        g["num_beams"] = r.randrange(2, 6)
        g["length_penalty"] = r.choice((1.0, 1.0, 0.0, 2.0, -0.7, 0.6))
        g["early_stopping"] = r.choice((True, False, "never"))
        g["num_return_sequences"] = r.choice((1, 1, r.randrange(1, g["num_beams"] + 1)))
        if r.random() < 0.2:
            g["renormalize_logits"] = True
    for key, draw in (("repetition_penalty", lambda: r.choice((0.8, 1.2, 1.7))), ("no_repeat_ngram_size", lambda: r.randrange(1, 4)),
                      ("encoder_repetition_penalty", lambda: r.choice((0.7, 1.5))), ("encoder_no_repeat_ngram_size", lambda: r.randrange(1, 4)),
                      ("bad_words_ids", lambda: [some(r, r.randrange(1, 4)) for _ in range(r.randrange(1, 5))]),
                      ("sequence_bias", lambda: [[some(r, r.randrange(1, 3)), round(r.uniform(-4, 4), 2)] for _ in range(r.randrange(1, 5))]),
                      ("min_length", lambda: r.randrange(1, 14)), ("min_new_tokens", lambda: r.randrange(1, 9)),
                      ("forced_bos_token_id", lambda: some(r, 1)[0]), ("forced_eos_token_id", lambda: some(r, r.choice((1, 2)))),
                      ("exponential_decay_length_penalty", lambda: [r.randrange(0, 6), round(r.uniform(1.05, 1.6), 2)]),
                      ("suppress_tokens", lambda: some(r, 5)), ("begin_suppress_tokens", lambda: some(r, 9))):
        if r.random() < 0.2:
            g[key] = draw()
    if "num_beams" in g:  # equal scores have no order there
        g["forced_eos_token_id"] = g["forced_eos_token_id"][:1] if "forced_eos_token_id" in g else None
    if "eos_token_id" not in g:
        for key in ("exponential_decay_length_penalty", "min_length", "min_new_tokens"):
            g.pop(key, None)
    return {k: v for k, v in g.items() if v is not None}


def inputs(r, encoder, g):
    rows, n = r.randrange(1, 4), r.randrange(2, 8)
    x = {"input_ids": torch.tensor([some(r, n) for _ in range(rows)])}
    if rows > 1 and r.random() < 0.6:
        pads = [0] + [r.randrange(0, n - 1) for _ in range(rows - 1)]
        x["attention_mask"] = torch.tensor([[int(i < n - p if encoder else i >= p) for i in range(n)] for p in pads])
        x["input_ids"] = torch.where(x["attention_mask"] == 1, x["input_ids"], torch.tensor(g["pad_token_id"]))
    elif encoder or "repetition_penalty" in g:
        x["attention_mask"] = torch.ones_like(x["input_ids"])
    if encoder and r.random() < 0.3:
        n = r.randrange(2, 4)
        x["decoder_input_ids"] = torch.tensor([[g["decoder_start_token_id"], *some(r, n - 1)] for _ in range(rows)])
    return x


def run(model, x, g):
    """Sequences, the first logits, scores of beams."""
    out = model.generate(**x, generation_config=GenerationConfig(**g), return_dict_in_generate=True, output_scores=True, output_logits=True)
    want = {"sequences": out.sequences, "first_logits": out.logits[0]}
    if g.get("num_beams", 1) > 1:
        want["sequences_scores"] = out.sequences_scores
    return want


def moved(model, g, by):
    other = type(model)(model.config).to(torch.float64)
    other.generation_config = GenerationConfig()
    other.load_state_dict({k: v * (1 + by * torch.randn(v.shape, generator=g)) if v.is_floating_point() else v for k, v in model.state_dict().items()})
    other.tie_weights()
    return other.eval()


def write(folder, seed):
    r, g = random.Random(seed), torch.Generator().manual_seed(seed)
    name = r.choice(list(CONFIGS))
    config = CONFIGS[name](r)
    encoder = config.is_encoder_decoder
    cls = transformers.AutoModelForSeq2SeqLM if encoder else transformers.AutoModelForCausalLM
    config._attn_implementation = "eager"
    config.eos_token_id = None
    model = cls.from_config(config).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "norm" not in n and "ln_" not in n:
                p.copy_(torch.randn(p.shape, generator=g) * (0.5 if p.dim() > 1 else 0.2))
    model.generation_config = GenerationConfig()  # what it says would fill in what a case leaves out
    model.save_pretrained(folder)
    model = model.double()
    says = options(r, encoder)
    x = inputs(r, encoder, says)
    try:
        want = run(model, x, says)
    except (ValueError, RuntimeError) as e:
        raise fixture_case.Unfit(str(e)) from e
    if not all(torch.isfinite(want[k]).all() for k in ("sequences_scores", "first_logits") if k in want):
        raise fixture_case.Unfit("a score that is no number")
    if (want.get("sequences_scores", torch.zeros(1)) < -1e8).any():
        raise fixture_case.Unfit("fewer texts than asked for")
    for _ in range(2):
        if not torch.equal(run(moved(model, g, 1e-4), x, says)["sequences"], want["sequences"]):
            raise fixture_case.Unfit("a choice hangs on a rounding")
    prompt = x["decoder_input_ids"].shape[1] if "decoder_input_ids" in x else 1 if encoder else x["input_ids"].shape[1]
    fixture = {"format": 1, "kind": "generate", "name": os.path.basename(folder), "architecture": type(model).__name__, "family": name, "generation": says,
               "prompt_length": prompt, "gradients": 0, "reference": "transformers " + transformers.__version__ + ", float64",
               "tolerance": {"first_logits": 2e-5, "sequences_scores": 2e-5}}
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump(fixture, f, indent=1)
    save_file({k: v.contiguous() for k, v in x.items()}, os.path.join(folder, "inputs.safetensors"))
    save_file({k: fixture_case.stored(v) for k, v in want.items()}, os.path.join(folder, "expected.safetensors"))
    return f"{name} {says}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--weft", default="build/weft")
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep")
    a = p.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    root = tempfile.mkdtemp(prefix="weft-generation-")
    chosen, unfit, seen = {}, collections.Counter(), collections.Counter()
    for n in range(a.count):
        folder = os.path.join(root, f"generation-{a.seed + n}")
        try:
            chosen[folder] = write(folder, a.seed + n)
        except fixture_case.Unfit as e:
            unfit[str(e)[:60]] += 1
    folders = list(chosen)
    for at in range(0, len(folders), 50):
        for v in verify(a.weft, folders[at:at + 50]):
            seen[v["outcome"]] += 1
            if v["outcome"] != "pass":
                folder = os.path.join(root, v["name"])
                print(f"  {v['name']} {v['outcome']} {v.get('why')}: {v.get('tensor')} {v.get('error')} of {v.get('tolerance')} {chosen[folder]}", flush=True)
                if a.keep:
                    shutil.copytree(folder, os.path.join(a.keep, v["name"]), dirs_exist_ok=True)
    print(f"{dict(seen)}, not asked: {dict(unfit)}")
    shutil.rmtree(root)
    return seen["pass"] < sum(seen.values())


if __name__ == "__main__":
    sys.exit(main())
