#!/usr/bin/env python3
"""Random LoRA adapters of small models through `weft verify`, against peft in float64.

    pip install torch transformers peft safetensors
    tests/differential/compare_adapters.py [--weft build/weft] [--count 100] [--seed 1] [--keep DIR]

Every case is a fixture folder: a base model of random weights, an adapter with random options and weights, inputs, and what peft
computes: outputs, the loss, gradients of every tensor of the adapter, merged weights. Folders that do not pass stay in --keep. Exit code 1
when anything differs. Not part of `make test`: it needs Python and the packages.
"""
import copy
import json
import os
import random
import shutil
import sys
import tempfile
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

import fixture_case

V = 37
SIZES = dict(hidden_size=16, num_attention_heads=4, intermediate_size=20, vocab_size=V, max_position_embeddings=32)


def gpt2(r):
    config = transformers.GPT2Config(n_embd=16, n_head=2, n_layer=r.choice((1, 2, 3)), vocab_size=V, n_positions=32, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    return transformers.GPT2LMHeadModel(config), ["c_attn", "c_proj", "c_fc", "attn.c_proj", "mlp.c_proj", "h.0.mlp.c_fc"], ["wte", "wpe"], ["ln_1", "ln_f", "ln_2"], "h"


def decoder(name, **more):
    def build(r):
        config = transformers.AutoConfig.for_model(name, **SIZES, num_hidden_layers=r.choice((1, 2, 3)), num_key_value_heads=r.choice((1, 2, 4)),
                                                   tie_word_embeddings=r.random() < 0.3, **{k: v(r) for k, v in more.items()})
        model = transformers.AutoModelForCausalLM.from_config(config)
        return (model, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "self_attn.q_proj", "layers.0.mlp.up_proj", "lm_head"],
                ["embed_tokens"], ["norm", "lm_head", "input_layernorm", "mlp.down_proj"], "layers")
    return build


def bert(r):
    kind = r.choice((transformers.BertForSequenceClassification, transformers.BertForTokenClassification))
    config = transformers.BertConfig(**SIZES, num_hidden_layers=2, num_labels=3, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    return kind(config), ["query", "key", "value", "dense", "output.dense", "attention.output.dense", "intermediate.dense"], ["word_embeddings", "position_embeddings"], \
        ["LayerNorm", "pooler.dense", "classifier"], "layer"


def t5(r):
    config = transformers.T5Config(d_model=16, d_kv=4, d_ff=20, num_layers=2, num_heads=4, vocab_size=V, dropout_rate=0, decoder_start_token_id=0,
                                   feed_forward_proj=r.choice(("relu", "gated-gelu")), tie_word_embeddings=r.random() < 0.5)
    return transformers.T5ForConditionalGeneration(config), ["q", "k", "v", "o", "wi", "wo", "wi_0", "EncDecAttention.q", "SelfAttention.o"], ["relative_attention_bias"], \
        ["final_layer_norm", "layer_norm"], "block"


def opt(r):
    config = transformers.OPTConfig(hidden_size=16, ffn_dim=20, num_attention_heads=4, num_hidden_layers=2, vocab_size=V, max_position_embeddings=32,
                                    word_embed_proj_dim=16, dropout=0, attention_dropout=0)
    return transformers.OPTForCausalLM(config), ["q_proj", "v_proj", "out_proj", "fc1", "fc2"], ["embed_positions"], ["final_layer_norm", "fc1"], "layers"


def neox(r):
    config = transformers.GPTNeoXConfig(hidden_size=16, intermediate_size=20, num_attention_heads=4, num_hidden_layers=2, vocab_size=V, max_position_embeddings=32,
                                        rotary_pct=0.5, hidden_dropout=0, attention_dropout=0, tie_word_embeddings=False)
    return transformers.GPTNeoXForCausalLM(config), ["query_key_value", "dense", "dense_h_to_4h", "attention.dense"], ["embed_in"], ["final_layer_norm", "input_layernorm"], "layers"


FAMILIES = {"gpt2": gpt2, "llama": decoder("llama", attention_bias=lambda r: r.random() < 0.4, mlp_bias=lambda r: r.random() < 0.4), "qwen2": decoder("qwen2"),
            "qwen3": decoder("qwen3", head_dim=lambda r: 4), "mistral": decoder("mistral"), "bert": bert, "t5": t5, "opt": opt, "gpt_neox": neox}


def pattern(r, name):
    """A key of rank_pattern or alpha_pattern that may match the module."""
    parts = name.split(".")
    tail = ".".join(parts[-r.randint(1, len(parts)):])
    return r.choice((tail, parts[-1], r".*\." + parts[-1], tail.replace(".", r"\."), "^" + name.replace(".", r"\."), ".*" + parts[-1][:3] + ".*", "0." + parts[-1]))


def options(r, family, model, linear, tables, kept, layers):
    names = [n for n, m in model.named_modules() if isinstance(m, (torch.nn.Linear, transformers.pytorch_utils.Conv1D))]
    targets = r.sample(linear, r.randint(1, min(3, len(linear))))
    tied = model.config.tie_word_embeddings
    if tied:
        targets = [t for t in targets if t != "lm_head"] or [linear[0]]
    o = dict(r=r.choice((1, 2, 3, 5)), lora_alpha=r.choice((1, 4, 6, 16)), lora_dropout=0.0, bias=r.choice(("none", "none", "all", "lora_only")),
             use_rslora=r.random() < 0.3, use_dora=r.random() < 0.3, fan_in_fan_out=family == "gpt2")
    if r.random() < 0.3:
        targets.append(r.choice(tables))
        if r.random() < 0.5:
            o["use_dora"] = False
    kind = r.random()
    if kind < 0.12:
        o["target_modules"] = "all-linear"
    elif kind < 0.3:
        o["target_modules"] = r.choice((r".*\.(%s)" % "|".join(t.split(".")[-1] for t in targets), r".*" + layers + r"\.[01]\..*" + targets[0].split(".")[-1],
                                        "(?:.*)" + targets[0].split(".")[-1] + "$"))
    else:
        o["target_modules"] = targets
        if r.random() < 0.3:
            n = len([m for m in model.modules()])
            o["layers_to_transform"] = r.choice((0, [0], [1], [0, 1]))
            if r.random() < 0.6:
                o["layers_pattern"] = r.choice((layers, [layers], [layers, "other"]))
    if r.random() < 0.3:
        picked = r.choice(names)
        o["exclude_modules"] = r.choice(([picked.split(".")[-1]], [".".join(picked.split(".")[-2:])], r".*\.1\..*", picked.replace(".", r"\.")))
    if r.random() < 0.4:
        o["modules_to_save"] = [m for m in r.sample(kept, r.randint(1, len(kept))) if not (tied and m == "lm_head")] or None
    for key, values in (("rank_pattern", (1, 2, 4, 7)), ("alpha_pattern", (1, 3, 8))):
        if r.random() < 0.4:
            keys = sorted(pattern(r, r.choice(names)) for _ in range(r.randint(1, 3)))  # as peft writes them
            o[key] = {k: r.choice(values) for k in keys}
    if family == "bert" and r.random() < 0.7:
        o["task_type"] = "TOKEN_CLS" if "Token" in type(model).__name__ else "SEQ_CLS"
    elif family == "t5" and r.random() < 0.5:
        o["task_type"] = "SEQ_2_SEQ_LM"
    elif family not in ("bert", "t5") and r.random() < 0.3:
        o["task_type"] = "CAUSAL_LM"
    return {k: v for k, v in o.items() if v is not None}


def fill(parameters, g, scale):
    with torch.no_grad():
        for n, p in parameters:
            around = 1.0 if "orm" in n and n.endswith("weight") or "magnitude" in n or ".ln_" in n else 0.0
            p.copy_(((torch.randn(p.shape, generator=g) * scale + around).float()).to(p.dtype))


def inputs(r, g, family, model):
    B, T = r.choice((1, 2, 3)), r.choice((1, 5, 9)) if family == "bert" else r.choice((2, 5, 9))
    x = {"input_ids": torch.randint(1, V, (B, T), generator=g)}
    if "Sequence" in type(model).__name__:
        x["labels"] = torch.randint(0, 3, (B,), generator=g)
    elif "Token" in type(model).__name__:
        x["labels"] = torch.randint(0, 3, (B, T), generator=g)
    else:
        x["labels"] = torch.randint(1, V, (B, T if family != "t5" else r.choice((1, 4))), generator=g)
    if family in ("bert", "t5") and r.random() < 0.3:
        mask = torch.ones(B, T, dtype=torch.int64)
        mask[0, T - r.randint(0, T - 1):] = 0
        mask[0, 0] = 1
        x["attention_mask"] = mask
    return x


def state_of(model, values):
    """The tensors of adapter_model.safetensors, of parameters or of gradients by parameter name."""
    return peft.get_peft_model_state_dict(model, state_dict=values, save_embedding_layers=False)


def compute(wrapped, x):
    wrapped.zero_grad()
    out = wrapped(**x)
    out.loss.backward()
    grads = {n: p.grad for n, p in wrapped.named_parameters() if p.requires_grad and p.grad is not None}
    result = {"logits": out.logits.detach(), "loss": out.loss.detach().reshape(1)}
    result.update({"grad." + n: t for n, t in state_of(wrapped, grads).items()})
    return result


def write(folder, seed):
    r, g = random.Random(seed), torch.Generator().manual_seed(seed)
    family = r.choice(list(FAMILIES))
    model, linear, tables, kept, layers = FAMILIES[family](r)
    model = model.double().eval()
    fill(model.named_parameters(), g, 0.3)
    model.tie_weights()
    chosen = options(r, family, model, linear, tables, kept, layers)
    if os.path.exists(folder):
        shutil.rmtree(folder)
    copy.deepcopy(model).float().save_pretrained(folder)
    before = {n: t.double() for n, t in load_file(os.path.join(folder, "model.safetensors")).items()}
    try:
        wrapped = peft.get_peft_model(model, peft.LoraConfig(**copy.deepcopy(chosen)))
    except (ValueError, TypeError, RuntimeError) as e:
        shutil.rmtree(folder)
        raise fixture_case.Unfit(str(e)) from e
    wrapped = wrapped.double().eval()
    fill([(n, p) for n, p in wrapped.named_parameters() if p.requires_grad], g, 0.3)
    saved = state_of(wrapped, wrapped.state_dict())
    os.makedirs(os.path.join(folder, "adapter"))
    save_file({n: t.float().contiguous() for n, t in saved.items()}, os.path.join(folder, "adapter", "adapter_model.safetensors"))
    config = wrapped.peft_config["default"]
    config.base_model_name_or_path, config.inference_mode = "..", True
    config.save_pretrained(os.path.join(folder, "adapter"))
    x = inputs(r, g, family, model)
    try:
        want = compute(wrapped, x)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as e:
        shutil.rmtree(folder)
        raise fixture_case.Unfit(str(e)) from e
    rough, scale = fixture_case.errors(compute(copy.deepcopy(wrapped).float(), x), want)
    if max(rough.values()) > 0.02:
        shutil.rmtree(folder)
        raise fixture_case.Unfit("ill-conditioned")
    tied = bool(model.config.tie_word_embeddings)
    target = wrapped.base_model.targeted_module_names if hasattr(wrapped.base_model, "targeted_module_names") else []
    merge = not (tied and any(n.split(".")[-1] in ("wte", "embed_tokens", "shared", "lm_head") for n in list(target)))
    if merge:
        merged = os.path.join(folder, "merged")
        copy.deepcopy(wrapped).merge_and_unload().save_pretrained(merged)
        after = load_file(os.path.join(merged, "model.safetensors"))
        shutil.rmtree(merged)
        for n, t in before.items():
            if not torch.equal(after[n].float(), t.float()):
                want["merged." + n] = after[n].double()
                rough["merged." + n] = 1e-7
    tolerance = {n: max(5e-5 if n.startswith("grad.") else 1e-5, 10.0 * e) for n, e in rough.items()}
    fixture = {"format": 1, "kind": "adapter", "name": os.path.basename(folder), "adapter": "adapter", "family": family, "architecture": type(model).__name__,
               "backward": "loss", "merge": merge, "gradient_scale": scale, "tolerance": tolerance, "reference": "peft " + peft.__version__}
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump(fixture, f, indent=1)
    save_file(x, os.path.join(folder, "inputs.safetensors"))
    save_file({n: t.float().contiguous() for n, t in want.items()}, os.path.join(folder, "expected.safetensors"))
    return chosen


def main():
    a = fixture_case.options(100).parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    root = tempfile.mkdtemp(prefix="weft-adapters-")
    chosen, unfit = {}, 0
    for n in range(a.count):
        folder = os.path.join(root, f"adapter-{a.seed + n}")
        try:
            chosen[folder] = write(folder, a.seed + n)
        except fixture_case.Unfit:
            unfit += 1
    seen = fixture_case.judge(a, root, list(chosen), lambda fixture: f"{fixture['architecture']} {chosen[os.path.join(root, fixture['name'])]}")
    print(f"{dict(seen)}, {unfit} refused by peft")
    shutil.rmtree(root)
    return seen["pass"] < sum(seen.values())


if __name__ == "__main__":
    sys.exit(main())
