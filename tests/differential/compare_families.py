#!/usr/bin/env python3
"""Random small models of the package transformers, saved as fixtures, and what `weft verify` says of each.

    pip install torch transformers
    tests/differential/compare_families.py [--weft build/weft] [--count 10] [--seed 1] [--out DIR] [--heads REGEX] [--set JSON] TYPE...

TYPE is a `model_type` of transformers (llama, bert, t5, ..), or `all`. For every type the config of the class is drawn anew each time: each key that
KEYS or TYPES below knows gets a random small value, its weights too, and inputs for a random one of the classes that transformers offers
for it. The reference runs in float64; a tolerance is ten times the difference to float32, and at least 1e-5 (outputs) and 5e-5 (gradients).
A line for each that does not pass, then a line for each type. Fixtures that failed stay in DIR (build/families). Exit code 1 when any
differs. Not part of `make test`: it needs Python and the packages.
"""
import argparse
import copy
import inspect
import json
import os
import random
import re
import shutil
import subprocess
import sys
import warnings
from collections import Counter

warnings.filterwarnings("ignore")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
sys.modules["fla"] = sys.modules["causal_conv1d"] = None  # kernels for other machines: the reference has the same in plain torch
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers.models.auto import modeling_auto  # noqa: E402

transformers.utils.logging.disable_progress_bar()
SINGLE = torch.float32
SKIPPED = re.compile(r"XLNetForQuestionAnswering$|For(Vision|Image|Zero|Mask(?!ed)|Audio|Backbone|Depth|Video|Multimodal|TimeSeries|Document|Table|Universal|Visual)")


# ---- values of keys: functions of a draw `d`, a random.Random with the sizes of this model in d.s

ACTIVATIONS = ["silu", "gelu", "relu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu", "relu2", "relu6", "tanh", "sigmoid", "mish", "leaky_relu",
               "gelu_python", "swish", "linear", "gelu_10", "hardswish", "laplace", "sqrtsoftplus", "gelu_accurate", "gelu_python_tanh"]
ENCODER_ACTIVATIONS = ["gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "tanh", "gelu_fast", "quick_gelu", "gelu_python", "relu6", "mish", "hardswish", "leaky_relu"]


class Draw(random.Random):
    """Random choices, with the sizes that a model's keys share."""

    def __init__(self, seed):
        super().__init__(seed)
        heads = self.choice([1, 2, 3, 4, 4, 6])
        head = self.choice([4, 6, 8, 8, 10, 12, 16])
        kv = self.choice([k for k in range(1, heads + 1) if heads % k == 0])
        self.s = dict(heads=heads, head=head, dim=heads * head, kv=kv, layers=self.randint(1, 4), ff=self.choice([20, 24, 33, 40, 48, 56]),
                      vocab=self.choice([61, 83, 101, 128]), rows=self.randint(2, 3), length=self.randint(7, 23), positions=64)

    def flag(self, p=0.5):
        return self.random() < p

    def near(self, low, high):
        return round(self.uniform(low, high), 4)


def rope(d, partial=False, scaling=True):
    kind = d.choice(["default", "default", "linear", "dynamic", "yarn", "longrope", "llama3"]) if scaling else "default"
    r = {"rope_type": kind, "rope_theta": d.choice([100.0, 500.0, 10000.0, 1000000.0])}
    part = d.choice([0.25, 0.4, 0.5, 0.75, 1.0]) if partial else 1.0
    if partial:
        r["partial_rotary_factor"] = part
    turned = int(d.s["rotary"] * part)
    if turned % 2 or turned < 2:
        r["partial_rotary_factor"] = 1.0
        turned = d.s["rotary"]
        if not partial:
            del r["partial_rotary_factor"]
    if kind in ("linear", "dynamic", "yarn", "llama3"):
        r["factor"] = d.choice([1.5, 2.0, 4.0, 8.0])
    if kind == "dynamic":
        d.s["positions"] = d.choice([8, 12, 16, 64])
    if kind in ("yarn", "longrope", "llama3"):
        r["original_max_position_embeddings"] = d.choice([8, 16, 32])
    if kind == "yarn":
        r.update(d.choice([{}, {"beta_fast": 16.0, "beta_slow": 2.0}, {"attention_factor": 0.8}, {"mscale": 0.7, "mscale_all_dim": 0.9}, {"truncate": False}]))
    if kind == "llama3":
        r.update(low_freq_factor=1.0, high_freq_factor=d.choice([2.0, 4.0]))
    if kind == "longrope":
        n = turned // 2
        r.update(short_factor=[d.near(1, 2) for _ in range(n)], long_factor=[d.near(1, 4) for _ in range(n)])
        r.update(d.choice([{}, {"factor": 4.0}, {"attention_factor": 1.3}]))
    return r


def layer_kinds(*kinds):
    return lambda d: [d.choice(kinds) for _ in range(d.s["layers"])]


def epsilon(d):
    return d.choice([1e-12, 1e-6, 1e-5, 1e-3, 0.02])


def half(d):
    return d.flag()


def const(v):
    return lambda d: v


def one_of(*vs):
    return lambda d: d.choice(vs)


def size(name):
    return lambda d: d.s[name]


def about(low, high):
    return lambda d: d.near(low, high)


def number(low, high):
    return lambda d: d.randint(low, high)


KEYS = {
    **dict.fromkeys(["vocab_size", "src_vocab_size", "tgt_vocab_size"], size("vocab")),
    **dict.fromkeys(["hidden_size", "n_embd", "d_model", "dim", "emb_dim"], size("dim")),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers"], size("layers")),
    **dict.fromkeys(["num_decoder_layers", "decoder_layers"], number(1, 3)),
    **dict.fromkeys(["num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads", "encoder_attention_heads"], size("heads")),
    "decoder_attention_heads": lambda d: d.choice([h for h in range(1, 7) if d.s["dim"] % h == 0]),
    **dict.fromkeys(["num_key_value_heads"], size("kv")),
    **dict.fromkeys(["intermediate_size", "ffn_dim", "hidden_dim", "d_ff", "dff", "encoder_ffn_dim"], size("ff")),
    "decoder_ffn_dim": one_of(20, 28, 36), "n_inner": lambda d: d.choice([None, d.s["ff"]]),
    "head_dim": size("head"), "d_kv": one_of(4, 6, 8, 10),
    **dict.fromkeys(["n_positions", "max_position_embeddings", "max_seq_len", "context_length", "max_target_positions"], size("positions")),
    **dict.fromkeys(["hidden_act", "activation_function", "hidden_activation", "activation"], lambda d: d.choice(d.s["activations"])),
    **dict.fromkeys(["rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon", "mixer_rms_eps"], epsilon),
    **dict.fromkeys(["attention_bias", "mlp_bias", "use_bias", "bias", "tie_word_embeddings", "qk_layernorm", "use_qkv_bias", "qkv_bias", "use_parallel_residual",
                     "attention_out_bias", "scale_embedding", "use_qk_norm", "lm_head_bias", "norm_topk_prob", "mamba_conv_bias", "use_conv_bias",
                     "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "conv_bias", "norm_bias", "classifier_bias", "decoder_bias", "projectors_bias",
                     "mamba_norm_before_gate", "mamba_rms_norm", "add_bias_linear", "rope_interleave", "position_biased_input", "relative_attention",
                     "linear_allow_neg_eigval", "rotary_value", "emb_layer_norm_before", "token_dropout", "moe_renormalize", "pre_norm", "gelu_activation",
                     "sinusoidal_embeddings", "sinusoidal_pos_embds", "use_lang_emb"], half),
    "mamba_proj_bias": half,
    "rope_parameters": rope,
    "sliding_window": lambda d: d.choice([None, d.randint(2, 9)]), "window_size": number(2, 9), "attention_window_size": number(3, 9),
    "use_sliding_window": half, "max_window_layers": number(0, 3), "clip_qkv": one_of(None, 0.4, 1.0),
    "final_logit_softcapping": one_of(None, 2.0, 5.0), "attn_logit_softcapping": one_of(None, 2.0, 5.0), "query_pre_attn_scalar": one_of(8, 12, 30),
    "logit_scale": about(0.2, 2), "embedding_multiplier": about(0.5, 3), "logits_scaling": about(0.5, 3), "residual_multiplier": about(0.3, 1.5),
    "attention_multiplier": about(0.1, 0.6), "lm_head_multiplier": about(0.3, 2), "key_multiplier": about(0.3, 2), "attention_out_multiplier": about(0.3, 2),
    "attention_in_multiplier": about(0.3, 2), "ssm_in_multiplier": about(0.3, 2), "ssm_out_multiplier": about(0.3, 2),
    "mlp_multipliers": lambda d: [d.near(0.4, 2) for _ in range(2)], "ssm_multipliers": lambda d: [d.near(0.4, 2) for _ in range(5)],
    **dict.fromkeys(["num_local_experts", "num_experts", "n_routed_experts"], number(2, 6)),
    **dict.fromkeys(["num_experts_per_tok", "num_experts_per_token"], number(1, 2)),
    "moe_intermediate_size": one_of(10, 16, 22), "shared_expert_intermediate_size": one_of(12, 18), "shared_intermediate_size": one_of(12, 18),
    "decoder_sparse_step": number(1, 3), "mlp_only_layers": lambda d: [i for i in range(d.s["layers"]) if d.flag(0.25)],
    "output_router_logits": half, "router_aux_loss_coef": one_of(0.001, 0.1, 1.0), "aux_loss_coef": one_of(0.01, 0.5),
    "routed_scaling_factor": about(0.5, 3), "n_shared_experts": number(1, 2), "num_shared_experts": number(1, 2), "first_k_dense_replace": number(0, 2),
    "type_vocab_size": one_of(1, 2, 3), "pad_token_id": size("pad"), "eos_token_id": const(2), "bos_token_id": const(1),
    "initializer_range": const(0.02),
    "relative_attention_num_buckets": one_of(4, 8, 12, 32), "relative_attention_max_distance": one_of(20, 40, 128),
    "num_labels": size("labels"), "problem_type": size("problem"),
    "state_size": one_of(3, 4, 8), "expand": number(1, 3), "conv_kernel": number(2, 4), "time_step_rank": number(1, 5), "chunk_size": one_of(4, 8),
    "mamba_d_state": one_of(3, 4, 8), "mamba_d_conv": number(2, 4), "mamba_expand": one_of(2, 2, 1), "mamba_chunk_size": one_of(4, 8),
    "mamba_dt_rank": number(1, 5), "linear_conv_kernel_dim": number(2, 4), "linear_key_head_dim": one_of(4, 6, 8), "linear_value_head_dim": one_of(4, 6, 8),
}
DROPPED = re.compile(r"dropout|_pdrop|drop_prob|layerdrop|attn_drop|dropout_prob|hidden_dropout|droprate|embd_pdrop")


# ---- what single types need: keys over those above; None in a row takes a key's draw away

def moe_layers(d):
    return dict(num_experts_per_tok=d.randint(1, 2))


def sliding(full="full_attention", other="sliding_attention"):
    return {"layer_types": layer_kinds(full, other), "sliding_window": number(2, 9)}


def two_ropes(*kinds, scaled=True):
    def draw(d):
        r = {k: rope(d, scaling=scaled) for k in kinds}
        for part in r.values():
            part.pop("truncate", None)  # the reference does not read it here
        return r
    return draw


def qwen_layers(d):
    return None


PARTIAL = {"rope_parameters": lambda d: rope(d, partial=True)}
KEEP_KV = {"num_key_value_heads": size("heads")}


def mpt_attention(d):
    return {"alibi": True, "clip_qkv": d.choice([None, 0.5]), "softmax_scale": d.choice([None, 0.3])}


def phi3_keys(d):
    r = rope(d, partial=True)
    for _ in range(50):
        if r["rope_type"] in ("default", "longrope"):
            break
        r = rope(d, partial=True)
    return dict(rope_parameters=r, original_max_position_embeddings=r.pop("original_max_position_embeddings", 16))


def neo_keys(d):
    types = d.choice([[[["global", "local"], 2]], [[["global"], 1], [["local"], 2]], [[["local", "local", "global"], 1]], [[["local"], 1]]])
    return dict(attention_types=types, num_layers=sum(len(t) * n for t, n in types))


def deepseek(d, groups):
    n_group = d.choice([1, 2])
    e = n_group * d.randint(2, 3)
    nope, turned, v = d.choice([4, 6, 8]), d.choice([4, 6, 8]), d.choice([4, 6, 10])
    d.s["rotary"] = turned
    r = dict(n_group=n_group, topk_group=d.randint(1, n_group), n_routed_experts=e, num_experts_per_tok=d.randint(1, 2), q_lora_rank=d.choice([None, 7, 12]),
             kv_lora_rank=d.choice([5, 8, 12]), qk_nope_head_dim=nope, qk_rope_head_dim=turned, v_head_dim=v, head_dim=turned,
             num_key_value_heads=d.s["heads"], rope_parameters=rope(d), first_k_dense_replace=d.randint(0, d.s["layers"]), output_router_logits=False)
    if groups:
        r["topk_method"] = "group_limited_greedy" if n_group > 1 else "greedy"
    return r


def llama4(d):
    n = d.s["layers"]
    return dict(no_rope_layers=[d.randint(0, 1) for _ in range(n)], attention_chunk_size=d.randint(3, 9), floor_scale=d.choice([2, 4, 8192]), attn_scale=d.near(0.1, 0.5),
                attn_temperature_tuning=d.flag(), interleave_moe_layer_step=d.randint(1, 2), intermediate_size_mlp=d.choice([20, 28]), use_qk_norm=d.flag(),
                layer_types=[d.choice(["full_attention", "chunked_attention"]) for _ in range(n)], output_router_logits=False,
                num_experts_per_tok=d.randint(1, 2), router_jitter_noise=0.0)


def falcon(d):
    new = d.flag()
    r = dict(new_decoder_architecture=new, multi_query=d.flag(), parallel_attn=d.flag() or new, alibi=d.flag(0.3), num_ln_in_parallel_attn=d.choice([None, 1, 2]) if new else None,
             num_kv_heads=d.s["kv"], ffn_hidden_size=d.choice([d.s["ff"], 4 * d.s["dim"]]), bias=d.flag(), rope_parameters=rope(d))
    return r


def mamba_heads(d, hidden="dim", prefix="mamba_", expand=2):
    inner = d.s[hidden] * expand
    heads = d.choice([h for h in (1, 2, 4, 6, 8) if inner % h == 0])
    return heads, inner // heads, d.choice([g for g in (1, 2, 3, 4) if heads % g == 0])


def hybrid_keys(d):
    heads, head, groups = mamba_heads(d)
    return dict(mamba_n_heads=heads, mamba_d_head=head, mamba_n_groups=groups, mamba_expand=2)


def mamba2_keys(d):
    expand = d.choice([1, 2, 3])
    heads, head, groups = mamba_heads(d, expand=expand)
    low = d.near(0.0, 0.2)
    return dict(num_heads=heads, head_dim=head, n_groups=groups, expand=expand, time_step_limit=d.choice([[0.0, float("inf")], [low, low + 0.6]]))


def delta_keys(d):
    keys = d.choice([1, 2])
    return dict(linear_num_key_heads=keys, linear_num_value_heads=keys * d.choice([1, 2, 3]), layer_types=[d.choice(["linear_attention", "full_attention"]) for _ in range(d.s["layers"])],
                rope_parameters=rope(d, partial=True, scaling=False))


def qwen_next_keys(d):
    return {**delta_keys(d), "num_experts_per_tok": d.randint(1, 2)}


def olmo_hybrid_keys(d):
    keys = d.choice([1, 2, 3])
    kinds = [d.choice(["linear_attention", "full_attention"]) for _ in range(d.s["layers"])] + ["linear_attention", "full_attention"]
    return dict(linear_num_key_heads=keys, linear_num_value_heads=keys * d.choice([1, 2]), layer_types=kinds, num_hidden_layers=len(kinds), head_dim=None, rope_parameters=d.choice([None, rope(d)]))


def zamba2_keys(d):
    n = d.randint(3, 5)
    kinds = ["mamba"] + [d.choice(["mamba", "hybrid"]) for _ in range(n - 2)] + ["hybrid"]
    heads, head, groups = mamba_heads(d)
    return dict(num_hidden_layers=n, layers_block_type=kinds, num_mem_blocks=d.randint(1, 2), use_shared_attention_adapter=d.flag(), adapter_rank=d.choice([3, 5]),
                use_mem_rope=d.flag(), n_mamba_heads=heads, mamba_ngroups=groups, mamba_expand=2, mamba_headdim=head, num_key_value_heads=d.s["heads"],
                hidden_act=d.choice(["gelu", "silu", "gelu_new"]), rope_parameters=rope(d, scaling=False))


def zamba_keys(d):
    n = d.randint(3, 5)
    return dict(num_hidden_layers=n, layers_block_type=["mamba"] + [d.choice(["mamba", "hybrid"]) for _ in range(n - 2)] + ["hybrid"], n_mamba_heads=d.choice([1, 2]),
                attention_hidden_size=2 * d.s["dim"], attention_head_dim=2 * d.s["head"], num_key_value_heads=d.s["heads"], mamba_expand=2, hidden_mamba_act="silu",
                use_mamba_kernels=False, hidden_act=d.choice(["gelu", "silu"]))


def jamba_keys(d):
    return dict(attn_layer_period=d.choice([2, 3]), attn_layer_offset=d.randint(0, 1), expert_layer_period=d.randint(1, 2), expert_layer_offset=0, use_mamba_kernels=False,
                num_hidden_layers=d.randint(2, 5), hidden_act="silu", mamba_expand=d.choice([1, 2]), mamba_conv_bias=True if d.flag() else False)


def nemotron_h_keys(d):
    heads, head, groups = d.choice([2, 4]), d.choice([4, 6, 8]), d.choice([1, 2])
    kinds = [d.choice(["linear_attention", "moe", "full_attention", "mlp"]) for _ in range(d.randint(2, 5))]
    g = d.choice([1, 2])
    return dict(layers_block_type=kinds, mamba_num_heads=heads, mamba_head_dim=head, n_groups=groups, ssm_state_size=d.choice([4, 6]), n_group=g, topk_group=d.randint(1, g),
                n_routed_experts=4, num_experts_per_tok=d.randint(1, 2), moe_shared_expert_intermediate_size=d.choice([10, 14]), mamba_hidden_act="silu",
                mlp_hidden_act=d.choice(["relu2", "silu", "gelu"]), use_mamba_kernels=False, num_hidden_layers=None, time_step_min=d.choice([0.001, 0.1]), sliding_window=None,
                output_router_logits=False)


def lfm2_keys(d):
    return dict(layer_types=[d.choice(["conv", "full_attention"]) for _ in range(d.s["layers"])], conv_L_cache=d.randint(2, 4), block_multiple_of=d.choice([4, 8]),
                block_auto_adjust_ff_dim=d.flag(), block_ffn_dim_multiplier=d.choice([1.0, 1.3]), full_attn_idxs=None)


def kimi_keys(d):
    n = d.s["layers"]
    nope, turned = d.choice([4, 6]), d.choice([2, 4])
    g = d.choice([1, 2])
    return dict(layer_types=[d.choice(["linear_attention", "full_attention"]) for _ in range(n)], mlp_layer_types=[d.choice(["dense", "sparse"]) for _ in range(n)],
                kv_lora_rank=d.choice([5, 8]), q_lora_rank=d.choice([None, 6]), qk_nope_head_dim=nope, qk_rope_head_dim=turned, v_head_dim=d.choice([4, 6]), num_experts=4,
                num_expert_group=g, topk_group=d.randint(1, g), num_experts_per_token=d.randint(1, 2), linear_head_dim=d.choice([4, 6]), linear_num_heads=d.randint(1, 3),
                output_router_logits=False, attention_bias=False, head_dim=turned, num_key_value_heads=d.s["heads"], hidden_act=d.choice(["silu", "gelu"]))


def recurrent_gemma_keys(d):
    return dict(block_types=d.choice([["recurrent", "recurrent", "attention"], ["attention", "recurrent"], ["recurrent"]]), lru_width=d.s["dim"], conv1d_width=d.randint(2, 4),
                logits_soft_cap=d.choice([3.0, 30.0]), rope_parameters=rope(d, partial=True, scaling=False), num_hidden_layers=d.randint(2, 4), attention_bias=d.flag())


def xlstm_keys(d):
    heads = d.choice([1, 2, 4])
    dim = heads * d.choice([8, 16])
    d.s["length"] = 8 * d.randint(1, 3)
    return dict(hidden_size=dim, embedding_dim=dim, num_heads=heads, num_blocks=None, chunk_size=d.choice([4, 8]), gate_soft_cap=d.choice([3.0, 15.0]),
                output_logit_soft_cap=d.choice([4.0, 30.0]), qk_dim_factor=d.choice([0.5, 1.0]), v_dim_factor=d.choice([1.0, 0.5]), ffn_proj_factor=d.choice([1.5, 2.667]), ffn_round_up_to_multiple_of=d.choice([8, 4]),
                weight_mode="single", use_bias=False, mode="inference", autocast_kernel_dtype="float32", add_out_norm=d.flag(0.8), eps=d.choice([1e-6, 1e-3]))


def rwkv_keys(d):
    return dict(attention_hidden_size=None, intermediate_size=d.choice([None, 36]), rescale_every=d.choice([5, 6]))


def albert_keys(d):
    inner = d.choice([1, 2])
    n = d.randint(2, 4)
    return dict(num_hidden_layers=n, num_hidden_groups=d.choice([g for g in range(1, n + 1) if inner == 1 or g < n]), inner_group_num=inner, embedding_size=d.choice([12, 20]))


def deberta_keys(d):
    return dict(relative_attention=d.flag(0.8), pos_att_type=d.choice([["c2p"], ["p2c"], ["c2p", "p2c"], "c2p|p2c", []]), max_relative_positions=d.choice([-1, 6, 10]),
                pooler_hidden_act=d.choice(["gelu", "tanh"]), type_vocab_size=d.choice([0, 2]), legacy=d.flag(0.7), hidden_act=d.choice(["gelu", "gelu_new", "relu"]))


def deberta2_keys(d):
    return {**deberta_keys(d), "share_att_key": d.flag(), "position_buckets": d.choice([-1, 4, 8]), "norm_rel_ebd": d.choice(["none", "layer_norm"]), "conv_kernel_size": d.choice([0, 0, 3, 5]),
            "conv_act": d.choice(["tanh", "gelu"]), "embedding_size": d.s["dim"]}


def convbert_keys(d):
    heads = d.choice([2, 4, 6])
    head = d.choice([4, 6, 8])
    return dict(num_attention_heads=heads, hidden_size=heads * head, embedding_size=d.choice([heads * head, 12]), head_ratio=d.choice([1, 2]), conv_kernel_size=d.choice([3, 5, 9]), num_groups=d.choice([1, 2]))


def squeezebert_keys(d):
    dim = 4 * d.choice([4, 6, 8])
    return dict(hidden_size=dim, embedding_size=dim, num_attention_heads=d.choice([1, 2, 4]), intermediate_size=d.choice([24, 32]),
                **{k: d.choice([1, 2, 4]) for k in ("q_groups", "k_groups", "v_groups", "post_attention_groups", "intermediate_groups", "output_groups")})


def mobilebert_keys(d):
    heads = d.choice([1, 2, 4])
    inner = heads * d.choice([4, 6])
    bottleneck = d.flag(0.8)
    return dict(hidden_size=inner * 2 if bottleneck else inner, num_attention_heads=heads, intra_bottleneck_size=inner, use_bottleneck=bottleneck, use_bottleneck_attention=d.flag(), key_query_shared_bottleneck=d.flag(),
                num_feedforward_networks=d.randint(1, 3), normalization_type=d.choice(["no_norm", "layer_norm"]), trigram_input=d.flag(), embedding_size=inner - d.choice([0, 1, 2]), classifier_activation=d.flag())


def longformer_keys(d):
    return dict(attention_window=[d.choice([4, 8]) for _ in range(d.s["layers"])] if d.flag() else d.choice([4, 6, 8]), sep_token_id=3)


def bigbird_keys(d):
    return dict(attention_type=d.choice(["block_sparse", "original_full"]), block_size=d.choice([2, 3]), num_random_blocks=d.choice([1, 2]), rescale_embeddings=d.flag(), use_bias=d.flag(), sep_token_id=3)


def xlm_keys(d):
    return dict(n_langs=d.choice([1, 3]), causal=False, asm=False, pad_token_id=2, summary_type=d.choice(["first", "last", "mean", "cls_index"]), is_encoder=True)


def esm_keys(d):
    return dict(position_embedding_type=d.choice(["absolute", "rotary"]), mask_token_id=4, is_folding_model=False)


def modernbert_keys(d):
    return dict(pad_token_id=0, layer_types=[d.choice(["full_attention", "sliding_attention"]) for _ in range(d.s["layers"])], local_attention=d.choice([4, 6, 7]), classifier_pooling=d.choice(["cls", "mean"]),
                classifier_activation=d.choice(["gelu", "relu"]), rope_parameters={k: rope(d, scaling=False) for k in ("full_attention", "sliding_attention")}, cls_token_id=1, sep_token_id=2)


def bart_ids(d):
    return dict(decoder_start_token_id=2, forced_eos_token_id=2, pad_token_id=1, bos_token_id=0)


def t5_keys(d):
    return dict(feed_forward_proj=d.choice(["relu", "gated-gelu", "gated-silu", "gelu", "silu", "gated-relu"]), decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)


def longt5_keys(d):
    return {**t5_keys(d), "local_radius": d.choice([2, 3, 5]), "global_block_size": d.choice([2, 4]), "encoder_attention_type": d.choice(["local", "transient-global"])}


def switch_keys(d):
    n, m = d.randint(1, 4), d.randint(1, 3)
    return dict(num_layers=n, num_decoder_layers=m, num_sparse_encoder_layers=d.randint(0, n), num_sparse_decoder_layers=d.randint(0, m), expert_capacity=d.choice([2, 5, 64]), router_bias=d.flag(0.3),
                decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, dense_act_fn=d.choice(["relu", "gelu"]), num_experts=d.randint(2, 4), decoder_sparse_step=None)


def whisper_keys(d):
    return dict(num_mel_bins=d.choice([8, 12]), max_source_positions=d.choice([8, 11]), max_target_positions=32, decoder_start_token_id=3, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                use_weighted_layer_sum=d.flag(), classifier_proj_size=d.choice([10, 14]), begin_suppress_tokens=None)


def s2t_keys(d):
    n = d.randint(1, 3)
    return dict(num_conv_layers=n, conv_kernel_sizes=[d.choice([3, 5]) for _ in range(n)], conv_channels=d.choice([16, 24]), input_feat_per_channel=d.choice([8, 10]), max_source_positions=64,
                max_target_positions=32, **bart_ids(d))


def moonshine_keys(d):
    return dict(encoder_num_hidden_layers=d.randint(1, 2), decoder_num_hidden_layers=d.randint(1, 2), encoder_num_attention_heads=d.s["heads"], decoder_num_attention_heads=d.s["heads"],
                encoder_num_key_value_heads=d.s["heads"], decoder_num_key_value_heads=d.s["heads"], encoder_hidden_act=d.choice(["gelu", "silu"]), decoder_hidden_act=d.choice(["silu", "gelu"]),
                rope_parameters=rope(d, partial=True, scaling=False), pad_head_dim_to_multiple_of=d.choice([None, 8]), pad_token_id=0)


def t5gemma_keys(d):
    def side(decoder):
        n = d.randint(1, 3)
        s = dict(vocab_size=d.s["vocab"], hidden_size=d.s["dim"], intermediate_size=d.choice([20, 28]), num_hidden_layers=n, num_attention_heads=d.s["heads"], num_key_value_heads=d.s["kv"],
                 head_dim=d.s["head"], hidden_activation=d.choice(["gelu_pytorch_tanh", "silu"]), rms_norm_eps=epsilon(d), query_pre_attn_scalar=d.choice([8, 16]), sliding_window=d.randint(2, 7),
                 layer_types=[d.choice(["full_attention", "sliding_attention"]) for _ in range(n)], final_logit_softcapping=d.choice([None, 5.0]) if decoder else None, attn_logit_softcapping=d.choice([None, 4.0]),
                 attention_bias=d.flag(), rope_parameters=rope(d, scaling=False), max_position_embeddings=64, pad_token_id=0, dropout_rate=0.0, attention_dropout=0.0, classifier_dropout_rate=0.0)
        return s
    return dict(encoder=side(False), decoder=side(True), pad_token_id=0)


def doge_keys(d):
    side = d.randint(2, 4)
    return dict(num_key_value_heads=d.s["kv"], keep_window_size=d.choice([2, 4, 64]), is_moe=d.flag(), num_experts=side * side, num_experts_per_tok=d.randint(1, side), norm_topk_prob=False)  # whose division in place has no gradient


def pair_keys(d):
    def side(decoder):
        heads = d.choice([1, 2, 4])
        return dict(model_type=d.choice(["bert", "bert", "roberta", "xlm-roberta", "camembert"]), vocab_size=d.s["vocab"], hidden_size=heads * d.choice([4, 6]), num_hidden_layers=d.randint(1, 3), num_attention_heads=heads,
                    intermediate_size=d.s["ff"], hidden_act=d.choice(ENCODER_ACTIVATIONS), max_position_embeddings=64, type_vocab_size=d.choice([1, 2]), layer_norm_eps=epsilon(d), pad_token_id=d.choice([0, 1]),
                    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, is_decoder=decoder, add_cross_attention=decoder)
    return dict(encoder=side(False), decoder=side(True), decoder_start_token_id=1, pad_token_id=0)


def gpt_bigcode_keys(d):
    return dict(multi_query=d.flag(), num_key_value_heads=None)


def minimax_keys(d):
    return dict(layer_types=[d.choice(["full_attention", "linear_attention"]) for _ in range(d.s["layers"])], block_size=d.choice([4, 8]), hidden_act="silu", router_jitter_noise=0.0,
                **{f"{a}_{b}_factor": d.near(0.5, 2) for a in ("full_attn", "linear_attn", "mlp") for b in ("alpha", "beta")})


def roc_bert_keys(d):
    return dict(enable_pronunciation=d.flag(0.7), enable_shape=d.flag(0.7), pronunciation_embed_dim=6, pronunciation_vocab_size=20, shape_embed_dim=5, shape_vocab_size=22, concat_input=True)


def lilt_keys(d):
    heads = d.choice([1, 2, 3])
    return dict(hidden_size=heads * 24, num_attention_heads=heads, max_2d_position_embeddings=32, channel_shrink_ratio=d.choice([2, 4]))


def xmod_keys(d):
    return dict(languages=["en_XX", "de_DE", "fr_XX"], default_language="de_DE", adapter_reduction_factor=d.choice([1, 2]), adapter_layer_norm=d.flag(), adapter_reuse_layer_norm=d.flag(), ln_before_adapter=d.flag())


def pegasus_x_keys(d):
    return dict(num_global_tokens=d.choice([2, 3]), block_size=d.choice([4, 6]), stagger_local_blocks=d.flag(), decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)


def fixed_eps(d):
    return dict(rms_norm_eps=d.choice([1e-6, 1e-3]))


def apertus_keys(d):
    return dict(hidden_act="xielu")


def nystromformer_keys(d):
    n = d.choice([2, 3, 4])
    d.s["length"] = n * d.choice([2, 3, 4])
    return dict(segment_means_seq_len=d.s["length"], num_landmarks=n, conv_kernel_size=d.choice([None, 3, 5]), inv_coeff_init_option=False)


def reformer_keys(d):
    a, b = 4, d.choice([4, 6])
    d.s["length"] = a * b
    return dict(attention_head_size=d.s["head"], attn_layers=[d.choice(["local", "lsh"]) for _ in range(d.randint(1, 3))], axial_pos_shape=[a, b], axial_pos_embds_dim=[d.s["dim"] // 2, d.s["dim"] - d.s["dim"] // 2],
                axial_pos_embds=d.flag(0.7), feed_forward_size=d.s["ff"], hash_seed=d.choice([3, 7, 2024]), local_attn_chunk_length=4, lsh_attn_chunk_length=4, num_buckets=d.choice([2, 4, [2, 2]]), num_hashes=d.choice([1, 2]),
                local_num_chunks_before=1, local_num_chunks_after=d.choice([0, 1]), lsh_num_chunks_after=d.choice([0, 1]), max_position_embeddings=a * b, tie_word_embeddings=False, hidden_act=d.choice(["relu", "gelu"]),
                num_hidden_layers=None)


def phimoe_keys(d):
    return dict(router_jitter_noise=d.choice([0.01, 0.1]), input_jitter_noise=0.0, num_experts_per_tok=2, rope_parameters=rope(d, scaling=False))


def gpt_oss_keys(d):
    return dict(swiglu_alpha=d.choice([1.702, 1.2]), swiglu_limit=d.choice([7.0, 0.7]), hidden_act="silu")


def perceiver_keys(d):
    heads = d.choice([1, 2, 4])
    latents, dim = heads * d.choice([4, 6, 8]), 8 * d.choice([2, 3])
    d.s.update(dim=dim, positions=d.s["length"])  # the decoder has a query for every position
    return dict(d_model=dim, d_latents=latents, num_latents=d.randint(3, 6), num_blocks=d.randint(1, 2), num_self_attends_per_block=d.randint(1, 2), num_self_attention_heads=heads,
                num_cross_attention_heads=d.choice([h for h in (1, 2, 4) if latents % h == 0]), qk_channels=d.choice([None, latents]), v_channels=d.choice([None, latents]) if heads else None,
                cross_attention_shape_for_attention=d.choice(["q", "kv"]), self_attention_widening_factor=d.choice([1, 2]), cross_attention_widening_factor=d.choice([1, 2]), use_query_residual=d.flag(),
                hidden_act=d.choice(["gelu", "relu", "silu"]))


def canine_keys(d):
    d.s["length"] = 4 * d.randint(3, 6)
    return dict(num_hash_functions=d.choice([h for h in (1, 2, 4) if d.s["dim"] % h == 0]), num_hash_buckets=d.choice([24, 40]), downsampling_rate=d.choice([2, 4]), upsampling_kernel_size=d.choice([3, 4]),
                local_transformer_stride=d.choice([4, 8]), type_vocab_size=d.choice([2, 3]))


def funnel_keys(d):
    sizes = [d.randint(1, 2) for _ in range(d.randint(2, 3))]
    return dict(block_sizes=sizes, block_repeats=d.choice([None, [d.randint(1, 2) for _ in sizes]]), num_decoder_layers=d.randint(1, 2), d_model=d.s["dim"], n_head=d.s["heads"], d_head=d.choice([4, 6, 8]),
                d_inner=d.s["ff"], pooling_type=d.choice(["mean", "max"]), attention_type=d.choice(["relative_shift", "factorized"]), separate_cls=d.flag(), truncate_seq=d.flag(), pool_q_only=d.flag(),
                layer_norm_eps=d.choice([1e-9, 1e-5]), pad_token_id=d.choice([None, 0]))


def xlnet_keys(d):
    d.s["pad"] = 3
    return dict(d_inner=d.s["ff"], d_head=d.s["dim"] // d.s["heads"], ff_activation=d.choice(["gelu", "relu", "silu", "gelu_new"]), clamp_len=d.choice([-1, 5]), same_length=d.flag(0.3), mem_len=None,
                summary_type=d.choice(["last", "first", "mean"]), summary_use_proj=d.flag(), summary_activation=d.choice([None, "tanh"]), pad_token_id=3)


TYPES = {
    "gpt2": dict(activation_function=one_of(*ENCODER_ACTIVATIONS), add_cross_attention=const(False), summary_type=one_of("cls_index", "last", "first", "mean"), summary_use_proj=half, summary_activation=one_of(None, "tanh")),
    "openai-gpt": dict(afn=one_of("gelu", "relu", "silu", "swish"), summary_type=one_of("cls_index", "last", "first", "mean"), summary_use_proj=half, summary_activation=one_of(None, "tanh")),
    "gpt_neo": neo_keys,
    "gptj": dict(rotary_dim=lambda d: d.choice([r for r in (2, 4, 6, 8) if r <= d.s["head"]])), "codegen": dict(rotary_dim=lambda d: d.choice([r for r in (2, 4, 6, 8) if r <= d.s["head"]]), **{"heads%4": True}),
    "gpt_neox": PARTIAL, "opt": dict(word_embed_proj_dim=lambda d: d.choice([d.s["dim"], 10]), do_layer_norm_before=half, _remove_final_layer_norm=half, enable_bias=half, layer_norm_elementwise_affine=half, pad_token_id=const(1)),
    "bloom": dict(apply_residual_connection_post_layernorm=half), "falcon": falcon, "mpt": dict(attn_config=mpt_attention, logit_scale=const(None), no_bias=const(True)),
    "llama": {}, "mistral": {}, "mixtral": dict(router_jitter_noise=const(0.0)), "qwen2": dict(layer_types=lambda d: None), "qwen2_moe": dict(layer_types=lambda d: None), "qwen3": dict(layer_types=lambda d: None), "qwen3_moe": {},
    "gemma": dict(use_bidirectional_attention=const(None)), "gemma2": {**sliding(), "use_bidirectional_attention": const(None)},
    "gemma3_text": {**sliding(), "use_bidirectional_attention": const(False), "rope_parameters": two_ropes("full_attention", "sliding_attention")},
    "phi": PARTIAL, "phi3": phi3_keys, "phimoe": phimoe_keys, "olmo3": {**sliding(), "rope_parameters": two_ropes("full_attention", "sliding_attention")}, "olmo": {}, "olmo2": {}, "olmoe": {},
    "stablelm": PARTIAL, "starcoder2": {}, "cohere": {}, "cohere2": sliding(), "glm": PARTIAL, "glm4": PARTIAL, "granite": {}, "granitemoe": {},
    "deepseek_v2": lambda d: deepseek(d, True), "deepseek_v3": lambda d: deepseek(d, False), "gpt_oss": lambda d: {**gpt_oss_keys(d), "layer_types": layer_kinds("full_attention", "sliding_attention")(d), "sliding_window": d.randint(2, 9)},
    "llama4_text": llama4, "smollm3": dict(layer_types=lambda d: None, no_rope_layers=lambda d: [d.randint(0, 1) for _ in range(d.s["layers"])]), "ernie4_5": {}, "minimax": minimax_keys,
    "exaone4": {**sliding(), "sliding_window_pattern": const(4)}, "hunyuan_v1_dense": {}, "helium": dict(head_dim=lambda d: d.s["dim"] // d.s["heads"]), "seed_oss": {}, "nemotron": PARTIAL, "arcee": {}, "apertus": apertus_keys, "bitnet": {},
    "dbrx": lambda d: dict(attn_config=dict(clip_qkv=d.choice([2.0, 0.7]), kv_n_heads=d.s["kv"], rope_theta=d.choice([500.0, 10000.0])),
                           ffn_config=dict(ffn_act_fn={"name": d.choice(["silu", "gelu"])}, ffn_hidden_size=d.s["ff"], moe_num_experts=d.randint(2, 4), moe_top_k=d.randint(1, 2),
                                           moe_normalize_expert_weights=d.choice([None, 1.0, 2.0]), moe_loss_weight=d.choice([0.01, 0.5]), hidden_size=d.s["dim"]), tie_word_embeddings=False, rope_parameters=None, num_key_value_heads=None),
    "diffllama": lambda d: dict(num_key_value_heads=2, num_attention_heads=d.choice([2, 4]), head_dim=d.s["head"], hidden_size=24), "jetmoe": dict(kv_channels=size("head"), num_attention_heads=None), "nanochat": {}, "persimmon": PARTIAL, "gpt_bigcode": gpt_bigcode_keys,
    "doge": doge_keys, "encoder-decoder": pair_keys,
    "xglm": {}, "biogpt": {}, "ctrl": {}, "modernbert-decoder": lambda d: {**modernbert_keys(d), "sliding_window": d.randint(2, 7)},
    "mamba": dict(hidden_act=const("silu")), "falcon_mamba": dict(hidden_act=const("silu")), "mamba2": lambda d: {**mamba2_keys(d), "hidden_act": "silu"}, "jamba": jamba_keys,
    "bamba": lambda d: {**hybrid_keys(d), "attn_layer_indices": d.sample(range(d.s["layers"]), d.randint(1, d.s["layers"])), "z_loss_coefficient": d.choice([0.0, 0.1]), "rope_parameters": rope(d, partial=True), "hidden_act": "silu"},
    "zamba": zamba_keys, "zamba2": zamba2_keys, "rwkv": rwkv_keys, "recurrent_gemma": recurrent_gemma_keys, "xlstm": xlstm_keys, "lfm2": lfm2_keys, "nemotron_h": nemotron_h_keys,
    "falcon_h1": lambda d: {**hybrid_keys(d), "mamba_d_ssm": 2 * d.s["dim"], "hidden_act": "silu"},
    "granitemoehybrid": lambda d: {**hybrid_keys(d), "layer_types": [d.choice(["mamba", "attention"]) for _ in range(d.s["layers"])], "position_embedding_type": d.choice([None, "rope"]), "num_local_experts": d.choice([0, 4]), "hidden_act": "silu"},
    "qwen3_next": qwen_next_keys, "qwen3_5_text": delta_keys, "olmo_hybrid": olmo_hybrid_keys, "kimi_linear": kimi_keys,
    **{t: dict(hidden_act=one_of(*ENCODER_ACTIVATIONS)) for t in ("bert", "roberta", "xlm-roberta", "camembert", "data2vec-text", "roberta-prelayernorm", "xlm-roberta-xl", "ernie", "megatron-bert", "fnet", "layoutlm")}, "ibert": dict(hidden_act=const("gelu"), quant_mode=const(False)),
    "ernie": dict(use_task_id=half, task_type_vocab_size=const(3)), "layoutlm": dict(max_2d_position_embeddings=const(32)), "lilt": lilt_keys, "splinter": dict(question_token_id=const(3), hidden_act=one_of(*ENCODER_ACTIVATIONS)),
    "xmod": xmod_keys, "distilbert": {}, "electra": dict(embedding_size=lambda d: d.choice([d.s["dim"], 12]), summary_type=one_of("first", "last", "mean"), summary_use_proj=half, summary_activation=one_of("gelu", None, "tanh")),
    "modernbert": modernbert_keys, "deberta": deberta_keys, "deberta-v2": deberta2_keys, "albert": albert_keys, "mpnet": dict(pad_token_id=const(1), relative_attention_num_buckets=const(32)), "mobilebert": mobilebert_keys, "convbert": convbert_keys,
    "squeezebert": squeezebert_keys, "longformer": longformer_keys, "big_bird": bigbird_keys, "reformer": reformer_keys, "nystromformer": nystromformer_keys, "roformer": dict(embedding_size=lambda d: d.choice([d.s["dim"], 12])),
    "rembert": dict(input_embedding_size=const(10), output_embedding_size=const(14)), "esm": esm_keys, "xlm": xlm_keys, "flaubert": xlm_keys, "dpr": dict(projection_dim=one_of(0, 9)), "eurobert": dict(classifier_pooling=one_of("bos", "mean", "late")),
    "nomic_bert": {}, "gte": {}, "jina_embeddings_v3": {}, "ultrabert": dict(rope_parameters=two_ropes("full_attention", "sliding_attention"), layer_types=layer_kinds("full_attention", "sliding_attention"), sliding_window=number(2, 6),
                                                                           classifier_pooling=one_of("cls", "mean"), prediction_head_size=one_of(12, 18)),
    "roc_bert": roc_bert_keys, "yoso": dict(use_expectation=const(True), conv_window=one_of(None, 3)), "bert-generation": {},
    "t5": t5_keys, "mt5": t5_keys, "umt5": t5_keys, "longt5": longt5_keys, "switch_transformers": switch_keys, "bart": bart_ids, "mbart": bart_ids, "mvp": bart_ids, "plbart": bart_ids,
    "marian": lambda d: {**bart_ids(d), "decoder_vocab_size": d.s["vocab"]}, "pegasus": lambda d: dict(decoder_start_token_id=0, pad_token_id=0, eos_token_id=1), "pegasus_x": pegasus_x_keys, "m2m_100": bart_ids,
    "nllb-moe": lambda d: {**bart_ids(d), "encoder_sparse_step": d.randint(1, 2), "decoder_sparse_step": d.randint(1, 2), "num_experts": 4, "output_router_logits": False, "expert_capacity": 64, "moe_token_dropout": d.choice([0.0, 0.2]), "router_bias": d.flag(0.3)},
    "blenderbot": lambda d: dict(decoder_start_token_id=1, pad_token_id=0), "blenderbot-small": lambda d: dict(decoder_start_token_id=1, pad_token_id=0), "led": lambda d: {**bart_ids(d), "max_encoder_position_embeddings": 64,
                                                                                                                            "max_decoder_position_embeddings": 32, "attention_window": d.choice([4, 6, [d.choice([4, 8]) for _ in range(d.s["layers"])]])},
    "fsmt": lambda d: dict(langs=["en", "de"], pad_token_id=1, bos_token_id=0, decoder_start_token_id=2), "whisper": whisper_keys, "speech_to_text": s2t_keys, "moonshine": moonshine_keys, "t5gemma": t5gemma_keys,
    "prophetnet": lambda d: dict(num_encoder_layers=d.s["layers"], num_encoder_attention_heads=d.s["heads"], num_decoder_layers=d.randint(1, 3), num_decoder_attention_heads=d.s["heads"], ngram=d.randint(1, 3),
                                 num_buckets=d.choice([8, 12]), relative_max_distance=d.choice([20, 128]), disable_ngram_loss=d.flag(0.3), eps=d.choice([0.0, 0.1]), pad_token_id=0, eos_token_id=2,
                                 bos_token_id=1, decoder_start_token_id=1, add_cross_attention=True, activation_function=d.choice(["gelu", "relu"])),
    "perceiver": perceiver_keys, "canine": canine_keys, "funnel": funnel_keys, "xlnet": xlnet_keys,
    "bigbird_pegasus": lambda d: {**{k: v for k, v in bigbird_keys(d).items() if k not in ("rescale_embeddings", "sep_token_id")}, "decoder_start_token_id": 2, "pad_token_id": 0, "eos_token_id": 1},
}
ENCODERS = set("bert roberta xlm-roberta camembert data2vec-text roberta-prelayernorm xlm-roberta-xl xmod distilbert electra modernbert deberta deberta-v2 albert mpnet mobilebert convbert squeezebert longformer big_bird "
               "nystromformer roformer rembert esm xlm flaubert ernie layoutlm lilt splinter dpr eurobert nomic_bert gte jina_embeddings_v3 ultrabert ibert megatron-bert roc_bert fnet yoso bert-generation reformer "
               "perceiver canine funnel xlnet".split())
WORD_TYPES = "gpt2 openai-gpt gptj codegen gpt_neo gpt_bigcode ctrl xlm flaubert".split()  # types that are looked up among the words
LOOSE = ("deberta", "deberta-v2", "esm", "modernbert", "longformer")  # rows of padding hold nothing of use
TIED = set("fsmt marian bart mbart plbart mvp blenderbot blenderbot-small pegasus pegasus_x m2m_100 nllb-moe led bigbird_pegasus speech_to_text whisper".split())


# ---- a config

def draw_config(d, kind):
    """The keyword arguments of the config class, from KEYS where it has them, TYPES over them."""
    plain = transformers.AutoConfig.for_model(kind).to_dict() if kind != "encoder-decoder" else {}
    own = TYPES[kind]
    if kind in ENCODERS or "is_encoder_decoder" in plain and plain["is_encoder_decoder"]:
        d.s["activations"] = ENCODER_ACTIVATIONS
    else:
        d.s["activations"] = ["silu", "silu", "gelu", "gelu_pytorch_tanh"] + ENCODER_ACTIVATIONS if d.flag() else ACTIVATIONS
    d.s["pad"] = plain.get("pad_token_id") if isinstance(plain.get("pad_token_id"), int) and plain["pad_token_id"] < 3 else d.choice([None, 0]) if kind not in ENCODERS else 0
    if not callable(own) and own.get("heads%4"):
        d.s.update(heads=4, dim=4 * d.s["head"])
    if not callable(own) and own.get("head%4"):
        d.s.update(head=8, dim=8 * d.s["heads"])
    if "head_dim" in plain and d.flag() and kind not in ("jetmoe",):
        d.s["dim"] = d.s["heads"] * d.choice([5, 6, 8, 10])  # the width is another than heads * head_dim
    if "head_dim" not in plain:
        d.s["head"] = d.s["dim"] // d.s["heads"]
    d.s["rotary"] = d.s["head"]
    d.s["labels"] = d.choice([1, 2, 3, 5])
    d.s["problem"] = None
    special = own(d) if callable(own) else {k: f(d) if f else None for k, f in own.items() if "%" not in k}
    drawn = {k: KEYS[k](d) for k in plain if k in KEYS and k not in special}
    drawn.update({k: v for k, v in special.items() if v is not None or k in plain and k in KEYS and KEYS[k] is not half})
    drawn.update({k: 0.0 for k, v in plain.items() if DROPPED.search(k) and isinstance(v, float) and k not in ("moe_token_dropout",)})
    if "max_position_embeddings" in drawn:
        drawn["max_position_embeddings"] = d.s["positions"]
    drawn = {k: v for k, v in drawn.items() if k not in ("head_dim", "rope_parameters", "num_hidden_layers", "embedding_size", "num_blocks", "attention_layers", "full_attn_idxs", "num_attention_heads", "num_key_value_heads", "layer_types", "decoder_sparse_step",
                                                         "sliding_window") or v is not None or k == "sliding_window" or k == "rope_parameters"}
    if kind == "dbrx":
        drawn.pop("rope_parameters", None)
    return drawn


# ---- classes and inputs

def classes_of(kind):
    names = set()
    for table in dir(modeling_auto):
        if table.endswith("_MAPPING_NAMES") and table.startswith("MODEL_"):
            found = getattr(modeling_auto, table).get(kind, ())
            names.update([found] if isinstance(found, str) else found)
    return sorted(n for n in names if not SKIPPED.search(n))


def padded(d, shape, side):
    mask = torch.ones(shape, dtype=torch.int64)
    for row in mask[1:]:
        n = d.randint(1, max(1, shape[1] // 3))
        if side == "left":
            row[:n] = 0
        else:
            row[shape[1] - n:] = 0
    return mask


def tokens(d, config, shape, mask, low=4):
    vocab = getattr(config, "vocab_size", None) or getattr(config, "src_vocab_size", 900)
    ids = torch.tensor([[d.randint(low, vocab - 1) for _ in range(shape[1])] for _ in range(shape[0])])
    pad = getattr(config, "pad_token_id", None)
    if mask is not None and pad is not None:
        ids[mask == 0] = pad
    return ids


def holes(d, labels, mask):
    out = labels.clone()
    for i in range(out.shape[0]):
        out[i, d.randrange(out.shape[1])] = -100
    if mask is not None:
        out[mask == 0] = -100
        out[:, 1:][mask[:, :-1] == 0] = -100  # a label is told from the row before it, which must see something
    return out


def scattered(d, ids, pad):
    """Tokens of padding among the others."""
    out = ids.clone()
    for row in out:
        for _ in range(d.randint(1, 3)):
            row[d.randrange(1, len(row))] = pad
    return out


def head_labels(d, name, config, x, ids, mask):
    """Labels for the head that the class's name tells of."""
    b, t = ids.shape
    n = getattr(config, "num_labels", 2) or 2
    if "SequenceClassification" in name:
        problem = config.problem_type or ("regression" if n == 1 else "single_label_classification")
        if problem == "regression":
            x["labels"] = torch.tensor([[d.gauss(0, 1) for _ in range(n)] for _ in range(b)], dtype=SINGLE)
            if n == 1:
                x["labels"] = x["labels"][:, 0]
        elif problem == "single_label_classification":
            x["labels"] = torch.tensor([d.randrange(n) for _ in range(b)])
        else:
            x["labels"] = torch.tensor([[float(d.randint(0, 1)) for _ in range(n)] for _ in range(b)], dtype=SINGLE)
    elif "TokenClassification" in name:
        x["labels"] = holes(d, torch.tensor([[d.randrange(n) for _ in range(t)] for _ in range(b)]), mask)
    elif "QuestionAnswering" in name:
        x["start_positions"] = torch.tensor([d.randrange(t) for _ in range(b)])
        x["end_positions"] = torch.tensor([d.randrange(t) for _ in range(b)])
    elif "NextSentence" in name:
        x["labels"] = torch.tensor([d.randint(0, 1) for _ in range(b)])
    elif "ForPreTraining" in name and ("Electra" in name or "Funnel" in name):
        x["labels"] = torch.tensor([[d.randint(0, 1) for _ in range(t)] for _ in range(b)])
    elif "RoCBertForPreTraining" in name:
        x["labels_input_ids"] = holes(d, tokens(d, config, (b, t), None), mask)
    elif "ForPreTraining" in name:
        x["labels"] = holes(d, tokens(d, config, (b, t), None), mask)
        x["sentence_order_label" if "Albert" in name else "next_sentence_label"] = torch.tensor([d.randint(0, 1) for _ in range(b)])
    elif "LM" in re.sub("^(XLM|XGLM|LayoutLM)", "", name) or "ForConditionalGeneration" in name or name == "MarianMTModel" or "BertGenerationDecoder" in name:
        x["labels"] = holes(d, tokens(d, config, (b, t), None), mask)


def make_inputs(d, kind, name, config, model):
    rows, length = d.s["rows"], d.s["length"]
    if "MultipleChoice" in name:
        c = 3
        ids, mask = tokens(d, config, (rows * c, length), None), padded(d, (rows * c, length), "right")
        x = dict(input_ids=ids.view(rows, c, length), attention_mask=mask.view(rows, c, length), labels=torch.tensor([d.randrange(c) for _ in range(rows)]))
        return x
    encoder = kind in ENCODERS
    side = d.choice([None, "right", "right"] if encoder or config.is_encoder_decoder or getattr(config, "z_loss_coefficient", 0) else [None, "left", "right"])
    if "SequenceClassification" in name and not encoder and config.pad_token_id is None:
        rows = 1
        side = None
    if "QuestionAnswering" in name and kind in LOOSE:
        side = None  # the loss reads rows that the reference leaves meaningless
    if "QuestionAnswering" in name and side == "left":
        side = "right"  # the loss reads what stands in rows that see nothing
    if kind == "nystromformer":
        side = None  # the reference's masks have a dimension too few
    mask = padded(d, (rows, length), side) if side else None
    ids = tokens(d, config if kind != "encoder-decoder" else config.encoder, (rows, length), mask)
    if kind == "splinter":
        ids[:, d.randrange(length // 2)] = config.question_token_id
    if "QuestionAnswering" in name and kind == "longformer":
        for row in ids:
            row[[2, 4, 5]] = config.sep_token_id
    if "QuestionAnswering" in name and kind == "big_bird":
        for row in ids:
            if d.flag(0.8):
                row[d.randrange(1, length - 2)] = config.sep_token_id
    if encoder and mask is None and re.search("CausalLM|LMHead", name) and config.pad_token_id is not None and d.flag():
        ids = scattered(d, ids, config.pad_token_id)
    x = dict(input_ids=ids) if name != "PerceiverModel" else dict(inputs=torch.randn(rows, length, config.d_model))
    if mask is not None:
        x["attention_mask"] = mask
    forward = model.forward.__code__.co_varnames[:model.forward.__code__.co_argcount]
    if "token_type_ids" in forward and (getattr(config, "type_vocab_size", 0) or 0) > 1 and encoder and d.flag():
        x["token_type_ids"] = torch.tensor([[d.randrange(config.type_vocab_size) for _ in range(length)] for _ in range(rows)])
    if side == "left" and "position_ids" in forward and d.flag(0.7):
        x["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if "bbox" in forward:
        corner = torch.tensor([[[d.randint(0, 14), d.randint(0, 14)] for _ in range(length)] for _ in range(rows)])
        x["bbox"] = torch.cat([corner, corner + torch.tensor([[[d.randint(0, 15), d.randint(0, 15)] for _ in range(length)] for _ in range(rows)])], -1)
    if "task_type_ids" in forward and getattr(config, "use_task_id", False) and d.flag():
        x["task_type_ids"] = torch.tensor([[d.randrange(3) for _ in range(length)] for _ in range(rows)])
    if "input_shape_ids" in forward:
        x["input_shape_ids"] = torch.tensor([[d.randrange(22) for _ in range(length)] for _ in range(rows)])
        x["input_pronunciation_ids"] = torch.tensor([[d.randrange(20) for _ in range(length)] for _ in range(rows)])
    if kind in WORD_TYPES and d.flag(0.4):
        x["token_type_ids"] = tokens(d, config, (rows, length), None, 0)
    if "lang_ids" in forward and d.flag(0.6):
        x["lang_ids"] = torch.tensor([d.randrange(3) for _ in range(rows)])
    if kind == "xlm" and "lengths" in forward and mask is not None and d.flag(0.4):
        x["lengths"] = x.pop("attention_mask").sum(-1)
    if "target_mapping" in forward and d.flag(0.6):
        x["perm_mask"] = torch.tensor([[[float(d.flag(0.3)) for _ in range(length)] for _ in range(length)] for _ in range(rows)])
        if "LMHead" in name:
            x["target_mapping"] = torch.nn.functional.one_hot(torch.tensor([[d.randrange(length) for _ in range(4)] for _ in range(rows)]), length).to(SINGLE)
    if "position_ids" in forward and "position_ids" not in x and not config.is_encoder_decoder and d.flag(0.1):
        x["position_ids"] = torch.tensor([[d.randrange(2, length + 9) for _ in range(length)] for _ in range(rows)])
    if getattr(config, "add_cross_attention", False) and config.is_decoder and "encoder_hidden_states" in forward and d.flag(0.8):
        x["encoder_hidden_states"] = torch.randn(rows, 5, config.hidden_size)
        if d.flag():
            x["encoder_attention_mask"] = padded(d, (rows, 5), "right")
    if "langs" in forward and config.n_langs > 1 and config.use_lang_emb and d.flag(0.8):
        x["langs"] = torch.tensor([[d.randrange(config.n_langs) for _ in range(length)] for _ in range(rows)])
    if "global_attention_mask" in forward and d.flag() and "QuestionAnswering" not in name:
        x["global_attention_mask"] = torch.tensor([[int(d.flag(0.2)) for _ in range(length)] for _ in range(rows)])
    if config.is_encoder_decoder:
        return source_inputs(d, kind, name, config, x, ids, mask)
    head_labels(d, name, config, x, ids, mask)
    if "target_mapping" in x and "labels" in x:
        x["labels"] = x["labels"][:, :x["target_mapping"].shape[1]].contiguous()
    return x


def source_inputs(d, kind, name, config, x, ids, mask):
    rows, length = ids.shape
    t = d.randint(4, 11)
    if "TokenClassification" in name or "EncoderModel" in name:
        head_labels(d, name, config, x, ids, mask)
        return x
    if "SequenceClassification" in name or "QuestionAnswering" in name:
        eos = config.eos_token_id
        ids[ids == eos] = eos + 7
        if "SequenceClassification" in name:
            ends = mask.sum(-1) - 1 if mask is not None else torch.full((rows,), length - 1)
            ids[torch.arange(rows), ends] = eos
        head_labels(d, name, config, x, ids, mask)
        return x
    small = copy.copy(config)
    small.vocab_size = getattr(config, "decoder_vocab_size", None) or getattr(config, "tgt_vocab_size", None) or (config.vocab_size if kind != "encoder-decoder" else config.decoder.vocab_size)
    if kind == "whisper":
        x = dict(input_features=torch.randn(rows, config.num_mel_bins, 2 * config.max_source_positions))
    if kind == "speech_to_text":
        n = d.randint(20, 40)
        x = dict(input_features=torch.randn(rows, n, config.input_feat_per_channel))
        if mask is not None:
            x["attention_mask"] = padded(d, (rows, n), "right")
    if kind == "moonshine":
        n = d.choice([2000, 2400])
        x = dict(input_values=torch.randn(rows, n))
    target = tokens(d, small, (rows, t), None)
    if "ForConditionalGeneration" in name or name in ("MarianMTModel", "EncoderDecoderModel"):
        x["labels"] = target.masked_fill(padded(d, (rows, t), "right") == 0, -100)
        if d.flag(0.4):
            x["labels"] = holes(d, x["labels"], None)  # a decoder reads padding there
    if kind == "fsmt" or "labels" not in x or d.flag(0.3):
        x["decoder_input_ids"] = tokens(d, small, (rows, t), None)
        if config.pad_token_id is not None and d.flag(0.3):
            x["decoder_input_ids"] = scattered(d, x["decoder_input_ids"], config.pad_token_id)
        elif d.flag() and kind != "fsmt":
            x["decoder_attention_mask"] = padded(d, (rows, t), "right")
    return x


# ---- running the reference

class Double:
    """Everything in float64, what asks for float32 too."""

    def __enter__(self):
        self.kept, self.randn = torch.Tensor.float, torch.randn
        torch.randn = lambda *size, dtype=None, **how: self.randn(*size, dtype=SINGLE, **how).double()  # the draws of float32
        torch.float32 = torch.float = torch.float64
        torch.Tensor.float = torch.Tensor.double
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        torch.float32 = torch.float = SINGLE
        torch.Tensor.float, torch.randn = self.kept, self.randn
        torch.set_default_dtype(SINGLE)


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    kept = re.compile(r"A_log|dt_bias|time_|recurrent_param|rglru|lambda|alpha|beta|igate|decay|\.eps")
    with torch.no_grad():
        tables = {id(p) for m in model.modules() if "Sinusoidal" in type(m).__name__ for p in m.parameters()}
        for name, p in model.named_parameters():
            if id(p) in tables or not p.requires_grad:
                continue
            noise = torch.randn(p.shape, generator=g)
            if not torch.isfinite(p).all() or p.abs().max() > 1000:
                p.zero_()
            if "igate" in name:
                p.copy_(noise * 0.2)
            elif kept.search(name) or p.dim() == 1:
                p.add_(noise * 0.15)
            elif "embed" in name or "shared" in name or "wte" in name or "position" in name:
                p.copy_(noise * 0.6)
            else:
                p.copy_(noise * 0.9 / p[0].numel() ** 0.5)
        for name, b in model.named_buffers():
            if re.search("final_logits_bias|e_score_correction_bias|expert_bias", name):
                b.copy_(torch.randn(b.shape, generator=g) * 0.3)
        if hasattr(model, "_tied_weights_keys"):
            model.tie_weights()
        for m in model.modules():
            if isinstance(m, torch.nn.Embedding) and m.padding_idx is not None and id(m.weight) not in tables:
                m.weight[m.padding_idx] = torch.randn(m.weight[m.padding_idx].shape, generator=g) * 0.6


def outputs_of(out):
    named = {}
    for k in ("loss", "logits", "prediction_logits", "seq_relationship_logits", "sop_logits", "start_logits", "end_logits", "aux_loss", "logits_ngram", "last_hidden_state", "pooler_output", "encoder_last_hidden_state", "mc_logits"):
        v = out.get(k)
        if torch.is_tensor(v):
            named[k] = v
    for k in ("hidden_states", "decoder_hidden_states"):
        for i, v in enumerate(out.get(k) or ()):
            named[f"{k}.{i}"] = v
    return named


def run(model, x, probe=None):
    model.zero_grad(set_to_none=True)
    uncached = {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}  # some caches need a layer of attention
    out = model(**x, **uncached, output_hidden_states=True, return_dict=True)
    named = outputs_of(out)
    if model.config.model_type == "t5gemma" and model.config.is_encoder_decoder:  # whose classifiers call the decoder's so
        named = {re.sub("^hidden_states", "decoder_hidden_states", k): v for k, v in named.items()}
    y = named.get("loss")
    what = "loss"
    if y is None:
        what = next(k for k in ("logits", "pooler_output", "last_hidden_state") if k in named)
        if probe is None:
            probe = torch.randn(named[what].shape)
            mask = x.get("attention_mask")
            unseen = mask is not None and mask.dim() == 2 and (not mask[:, 0].all() or model.config.model_type in LOOSE)
            if unseen and probe.shape[:2] == mask.shape:
                probe[mask == 0] = 0  # rows that see nothing
        y = (named[what] * probe.to(named[what].dtype)).sum()
    y.backward()
    return named, what, probe


def single(kind, name, drawn, seed):
    """A class's config and model of random weights."""
    cls = getattr(transformers, name)
    config = cls.config_class(**drawn) if cls.config_class else transformers.AutoConfig.for_model(kind, **drawn)
    config._attn_implementation = "sdpa" if getattr(config, "alibi", False) else "eager"  # eager adds ALiBi twice in falcon
    config._experts_implementation = "eager"
    torch.manual_seed(seed)
    model = cls(copy.deepcopy(config)).train(kind == "reformer")  # whose gradients are refused in eval; nothing is dropped
    for m in model.modules():
        if "Sinusoidal" in type(m).__name__:
            m.requires_grad_(False)
    randomise(model, seed)
    return config, model


def build(kind, name, drawn, seed):
    config, model = single(kind, name, drawn, seed)
    cls = getattr(transformers, name)
    with Double():
        exact = cls(copy.deepcopy(config)).train(kind == "reformer")
    for ours, theirs in zip(model.parameters(), exact.parameters()):
        theirs.requires_grad_(ours.requires_grad)
        theirs.data = theirs.data.double()  # what asks for a FloatTensor
    exact.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in model.state_dict().items()})
    return config, model, exact


def gradients(model, folder):
    """Gradients under the names of the saved file: saved the same way, NaN where there is none."""
    held = {}
    with torch.no_grad():
        grads = {}
        for name, p in model.named_parameters():
            grads[id(p)] = p.grad.to(SINGLE) if p.grad is not None else torch.full(p.shape, float("nan"))
        for p in model.parameters():
            held[id(p)] = p.data
            p.data = grads[id(p)]
        for b in model.buffers():
            if b.is_floating_point():
                b.fill_(float("nan"))
    model.save_pretrained(folder)
    found = {}
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        for k in f.keys():
            found[k] = f.get_tensor(k)
    shutil.rmtree(folder)
    return found


def older(config, d):
    """The older spelling of rotary options."""
    r = config.get("rope_parameters")
    if not isinstance(r, dict) or "rope_theta" not in r:
        return config
    new = config
    config = {k: v for k, v in config.items() if k != "rope_parameters"}
    r = dict(r)
    config["rope_theta"] = r.pop("rope_theta")
    if "partial_rotary_factor" in r:
        config["partial_rotary_factor"] = r.pop("partial_rotary_factor")
    kind = r.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {d.choice(["rope_type", "type"]): kind, **r}
    try:
        again = transformers.AutoConfig.for_model(**copy.deepcopy(config)).rope_parameters
    except Exception:  # noqa: BLE001: the reference does not know this spelling here
        return new
    return config if all(again.get(k) == v for k, v in new["rope_parameters"].items()) else new


def write(folder, d, kind, name, config, model, exact, x):
    os.makedirs(folder)
    model.save_pretrained(folder)
    rough, what, probe = run(model, x)
    with Double():
        doubled = {k: v.double() if v.is_floating_point() else v for k, v in x.items()}
        fine, _, _ = run(exact, doubled, probe)
    most = torch.finfo(SINGLE).max
    fine = {k: v.clamp(-most, most) for k, v in fine.items()}  # what masks with the least number is beyond fp32
    rough_grads = gradients(model, os.path.join(folder, "g"))
    fine_grads = gradients(exact, os.path.join(folder, "g"))
    expected, tolerance = {}, {}
    scale = max((v.abs().max().item() for v in fine_grads.values() if torch.isfinite(v).all() and v.numel()), default=1.0)
    for k, v in fine.items():
        e = (rough[k].double() - v).abs().max().item() / max(v.abs().max().item(), 1e-30)
        expected[k] = v.detach().to(SINGLE).contiguous()
        tolerance[k] = max(10 * e, 1e-5)
    without = []
    for k, v in fine_grads.items():
        if not torch.isfinite(v).all():
            without.append(k)
            continue
        e = (rough_grads[k].double() - v.double()).abs().max().item() / max(v.abs().max().item(), scale / 1000)
        expected["grad." + k] = v.contiguous()
        tolerance["grad." + k] = max(10 * e, 5e-5)
    if probe is not None:
        x = {**x, "probe": probe}
    fixture = dict(format=1, kind="model", name=f"{kind}/{os.path.basename(folder)}", family=kind, architecture=name, backward=what, reference=f"transformers {transformers.__version__}",
                   gradient_scale=scale, inputs={k: list(v.shape) for k, v in x.items()}, outputs=sorted(k for k in expected if not k.startswith("grad.")), tolerance=tolerance,
                   tensors_without_gradient=without)
    if "attention_mask" in x and not model.config.is_encoder_decoder and kind not in ENCODERS:
        fixture["compare_where"] = "attention_mask"
        for k, v in expected.items():
            if v.dim() >= 2 and v.shape[:2] == x["attention_mask"].shape and not k.startswith("grad."):
                v[x["attention_mask"] == 0] = 0
    elif "attention_mask" in x and kind == "modernbert" and name.endswith("Model"):
        fixture["valid_mask"] = "attention_mask"
    elif "attention_mask" in x and kind in LOOSE:
        fixture["valid_mask"] = {"hidden_states": "attention_mask", "last_hidden_state": "attention_mask", "^logits": "attention_mask"} if "Sequence" not in name and "Question" not in name else {"hidden_states": "attention_mask"}
    elif "attention_mask" in x and kind in ("t5gemma", "longt5", "led", "bigbird_pegasus", "pegasus_x"):
        fixture["valid_mask"] = {"encoder_(last_)?hidden": "attention_mask"}
    saved = json.load(open(os.path.join(folder, "config.json")))
    ropes = json.dumps(drawn_ropes(saved))
    if "dynamic" in ropes or "longrope" in ropes:
        fixture["prefix_invariant"] = False
    if d.flag(0.3):
        saved = older(saved, d)
    json.dump(saved, open(os.path.join(folder, "config.json"), "w"), indent=1)
    json.dump(fixture, open(os.path.join(folder, "fixture.json"), "w"), indent=1)
    save_file({k: v.contiguous() for k, v in x.items()}, os.path.join(folder, "inputs.safetensors"))
    save_file(expected, os.path.join(folder, "expected.safetensors"))


def drawn_ropes(config):
    return [config.get("rope_parameters"), config.get("rope_scaling")]


# ---- the comparison

def draw_case(kind, seed, heads, over):
    """A draw, a class (None: there is none) and the arguments of its config."""
    d = Draw(seed)
    names = [n for n in classes_of(kind) if re.search(heads, n)]
    if not names:
        return d, None, None
    causal = [n for n in names if "CausalLM" in n or "LMHead" in n or "ForConditionalGeneration" in n]
    name = d.choice(causal) if causal and d.flag(0.6) else d.choice(names)
    drawn = draw_config(d, kind)
    if "Classification" in name or "MultipleChoice" in name:
        drawn["num_labels"] = d.s["labels"] if "Sequence" in name else d.choice([2, 3, 5])
        if "Sequence" in name:
            drawn["problem_type"] = d.choice([None, "regression", "multi_label_classification", "single_label_classification" if d.s["labels"] > 1 else "regression"])
    if "NextSentence" in name or "QuestionAnswering" in name:
        drawn["num_labels"] = 2
    if (kind in ENCODERS and kind != "reformer") or kind in TIED:
        drawn["tie_word_embeddings"] = True
    if kind == "t5gemma" and (name == "T5GemmaEncoderModel" or ("Classification" in name and d.flag())):
        drawn["is_encoder_decoder"] = False
    if kind == "reformer":
        drawn["is_decoder"] = "LMHead" in name
        drawn.update(dict(local_num_chunks_after=0, lsh_num_chunks_after=0) if drawn["is_decoder"] else {})
    drawn.update(over)
    return d, name, drawn


def attempt(folder, kind, seed, heads, over):
    d, name, drawn = draw_case(kind, seed, heads, over)
    if not name:
        return "no class", None
    config, model, exact = build(kind, name, drawn, seed)
    write(folder, d, kind, name, config, model, exact, make_inputs(d, kind, name, model.config, model))
    return None, name


def verify(weft, folder):
    done = subprocess.run([weft, "verify", folder], capture_output=True, text=True)
    line = next((s for s in done.stdout.splitlines() if "passed," not in s), "")
    if done.returncode == 0:
        return "pass", line
    if done.returncode == 6:
        return "unsupported", line.split("unsupported:")[-1].strip()
    return ("fail" if done.returncode == 3 else f"crash {done.returncode}"), (line or done.stderr.strip().splitlines()[-1:] or "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="build/families")
    parser.add_argument("--heads", default="")
    parser.add_argument("--set", type=json.loads, default={}, help="keys of every config, as a JSON object")
    parser.add_argument("types", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bad = 0
    for kind in list(TYPES) if args.types == ["all"] else args.types:
        counts = Counter()
        for seed in range(args.seed, args.seed + args.count):
            folder = os.path.join(args.out, f"{kind}-{seed}")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                why, name = attempt(folder, kind, seed, args.heads, args.set)
                outcome, line = ("reference", why) if why else verify(args.weft, folder)
            except Exception as e:  # noqa: BLE001: whatever the reference refuses
                shutil.rmtree(folder, ignore_errors=True)
                outcome, line, name = "reference", f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:180], "?"
                if os.environ.get("TRACE"):
                    raise
            counts[outcome] += 1
            if outcome == "pass":
                shutil.rmtree(folder)
            else:
                print(f"  {kind}-{seed} {name}: {outcome}: {line}", flush=True)
            bad += outcome not in ("pass", "reference", "unsupported")
        print(f"{kind}: " + ", ".join(f"{n} {k}" for k, n in sorted(counts.items())), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
