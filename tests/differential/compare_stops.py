#!/usr/bin/env python3
"""Strings that end a text (`stop_strings` of a generation config): weft's texts against transformers' generate.

    pip install torch transformers tokenizers
    tests/differential/compare_stops.py [--weft build/weft] [--count 60] [--seed 1]

Small models of random weights, decoders alone (weft generate) and with an encoder (weft translate), greedy or with beams, over tokenizers of bytes, of
words with byte fallback and of pieces; the strings are cut out of what the model writes. Exit code 1 when a text or its number of tokens differs. Not
part of `make test`: it needs Python and the packages.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig

TEXT = ["the cat sat on the mat . the dog did not like it , café naïve 日本 went there",
        "a bird sang in the tree ; they slept . <end> tokens are made of bytes"]
SPECIALS = ["<pad>", "<s>", "</s>", "<|end|>", "<unk>"]
PROMPTS = ("the cat sat", "the dog did", "a bird <|end|> sang", "they went there")


def of_bytes():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return t, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def of_words():
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS + [f"<0x{i:02X}>" for i in range(256)])


def of_pieces():
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return t, trainers.UnigramTrainer(vocab_size=80, special_tokens=SPECIALS, unk_token="<unk>")


def make_model(vocab, encoder):
    if encoder:
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(d_model=16, d_kv=4, d_ff=20, num_layers=1, num_heads=4, vocab_size=vocab))
    else:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(hidden_size=16, num_attention_heads=4, num_key_value_heads=2, intermediate_size=20,
                                                                       num_hidden_layers=1, vocab_size=vocab, max_position_embeddings=256))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" not in name:
                p.copy_(torch.randn(p.shape) * (1.0 if p.dim() > 1 else 0.2))
    return model.eval()


def settings(r, encoder):
    g = {"do_sample": False, "max_new_tokens": 24, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if encoder:
        g["decoder_start_token_id"] = 1
    if r.random() < 0.4:
        g["num_beams"] = 3
    return g


def some_stops(r, text):
    at = [r.randrange(len(text)) for _ in range(r.choice((1, 2, 3)))]
    stops = [s for s in (text[a:a + r.randrange(1, 6)] for a in at) if "\ufffd" not in s]
    return stops + (["<|end|>"] if r.random() < 0.2 or not stops else [])


def written(model, fast, ids, encoder, g):
    """What comes behind the prompt: its tokens without the last one where that ends the text, whether it does, its text."""
    model.generation_config = GenerationConfig(**g)
    out = model.generate(ids, tokenizer=fast)[0].tolist()
    new = out[1:] if encoder else out[ids.shape[1]:]
    ended = g["eos_token_id"] in new
    new = new[:new.index(g["eos_token_id"])] if ended else new
    before = [] if encoder else ids[0].tolist()
    text, prompt = (fast.decode(x, skip_special_tokens=True, clean_up_tokenization_spaces=False) for x in (before + new, before))
    return new, ended, text[len(prompt):]


def ours(weft, folder, prompt, encoder):
    command = [weft, *(["translate", folder] if encoder else ["generate", folder, prompt]), "--json", "--temperature", "0"]
    done = subprocess.run(command, input=prompt + "\n", capture_output=True, text=True)
    if done.returncode:
        return None, None, done.stderr
    j = json.loads(done.stdout)
    return j["tokens"], j["translation" if encoder else "text"], j["finish"]


def attempt(weft, folder, seed):
    """'same', 'stopped' (the same, by a string), 'differs' or why there is nothing to compare."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    tok, trainer = r.choice((of_bytes, of_words, of_pieces))()
    tok.train_from_iterator(TEXT * 20, trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<s>", eos_token="</s>", additional_special_tokens=["<|end|>"])
    encoder = r.random() < 0.4
    model, g, prompt = make_model(tok.get_vocab_size(), encoder), settings(r, encoder), r.choice(PROMPTS)
    ids = fast(prompt, return_tensors="pt").input_ids
    model.generation_config = GenerationConfig(**g)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    whole = fast.decode(written(model, fast, ids, encoder, g)[0], clean_up_tokenization_spaces=False)
    if not whole:
        return "an empty text"
    g["stop_strings"] = some_stops(r, whole)
    with open(os.path.join(folder, "generation_config.json"), "w", encoding="utf-8") as f:
        json.dump(g, f)
    try:
        new, ended, text = written(model, fast, ids, encoder, g)
    except ValueError as e:
        return str(e)[:60]
    n, own, finish = ours(weft, folder, prompt, encoder)
    if n == len(new) + ended and own == text:
        return "stopped" if finish == "stop" else "same"
    print(f"  {seed} {'translate' if encoder else 'generate'} {g}: {len(new) + ended} {text!r}, of weft {n} {own!r} {finish}", flush=True)
    return "differs"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--weft", default="build/weft")
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    seen = {}
    for seed in range(a.seed, a.seed + a.count):
        with tempfile.TemporaryDirectory(prefix="weft-stops-") as folder:
            outcome = attempt(a.weft, folder, seed)
        seen[outcome] = seen.get(outcome, 0) + 1
    print(seen)
    return "differs" in seen or "stopped" not in seen


if __name__ == "__main__":
    sys.exit(main())
