"""Peer of `weft bench against`: one layer of a published implementation, forward and backward; the case in WEFT_BENCH_CASE.

Where a package offers only the operation, the linear projections around it are added and nothing else: short convolutions,
norms and gates are left out in the peer's favour.
"""
import json
import os
import statistics
import sys
import time
import warnings

warnings.filterwarnings("ignore")
try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed (pip install torch)")
    sys.exit(77)


def setting(name, default):
    return os.environ.get("WEFT_BENCH_" + name, default)


CASE = setting("CASE", "attention")
BATCH, LENGTH = int(setting("BATCH", "1")), int(setting("CONTEXT", "2048"))
BF16 = setting("PRECISION", "fp32") == "bf16"
torch.set_num_threads(int(setting("THREADS", str(os.cpu_count()))))
torch.manual_seed(1)
WIDTH, HEADS = 512, 8


class Around(nn.Module):
    """Projections in, an operation over heads, a projection out. `wide`: names of [B,T,H,D] inputs, `thin`: of [B,T,H] ones."""

    def __init__(self, wide, thin, operation):
        super().__init__()
        self.wide = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(wide))
        self.thin = nn.ModuleList(nn.Linear(WIDTH, HEADS, bias=False) for _ in range(thin))
        self.out, self.operation = nn.Linear(WIDTH, WIDTH, bias=False), operation

    def forward(self, x):
        b, t, _ = x.shape
        y = self.operation(*(p(x).view(b, t, HEADS, -1) for p in self.wide), *(p(x) for p in self.thin))
        return self.out(y.reshape(b, t, WIDTH))


def longformer():
    from transformers import LongformerConfig
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    config = LongformerConfig(hidden_size=768, num_attention_heads=12, attention_window=[512], attention_probs_dropout_prob=0.0)
    config.attention_mode = "sliding_chunks"
    core, out = LongformerSelfAttention(config, layer_id=0), nn.Linear(768, 768)
    mask = torch.zeros(BATCH, LENGTH)
    seen, none = mask < 0, mask > 0

    def run(x):
        return out(core(x, attention_mask=mask, is_index_masked=seen, is_index_global_attn=none, is_global_attn=False)[0])

    return run, list(core.parameters()) + list(out.parameters()), 768


def bigbird():
    from transformers import BigBirdConfig
    from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdModel

    config = BigBirdConfig(hidden_size=768, num_attention_heads=12, block_size=64, num_random_blocks=3, attention_probs_dropout_prob=0.0)
    core, out = BigBirdBlockSparseAttention(config, seed=0), nn.Linear(768, 768)
    core.eval()
    ones = torch.ones(BATCH, LENGTH)
    blocked, band, start, end = BigBirdModel.create_masks_for_block_sparse_attn(ones, 64)

    def run(x):
        return out(core(x, band, start, end, blocked, blocked)[0])

    return run, list(core.parameters()) + list(out.parameters()), 768


def lsh():
    from reformer_pytorch import LSHSelfAttention

    core = LSHSelfAttention(dim=512, heads=8, bucket_size=64, n_hashes=4, causal=True)
    return core, list(core.parameters()), 512


def mamba():
    from mambapy.mamba import MambaBlock, MambaConfig

    core = MambaBlock(MambaConfig(d_model=512, n_layers=1, d_state=16, expand_factor=2))
    return core, list(core.parameters()), 512


def mamba2():
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(hidden_size=512, num_heads=16, head_dim=64, state_size=128, n_groups=1, expand=2, chunk_size=256)
    core = Mamba2Mixer(config, layer_idx=0)
    return core, list(core.parameters()), 512


def retention():
    from torchscale.architecture.config import RetNetConfig
    from torchscale.architecture.retnet import RetNetRelPos
    from torchscale.component.multiscale_retention import MultiScaleRetention

    config = RetNetConfig(decoder_embed_dim=512, decoder_value_embed_dim=512, decoder_retention_heads=8, recurrent_chunk_size=512)
    positions, core = RetNetRelPos(config), MultiScaleRetention(config, 512, 512, 8)

    def run(x):
        return core(x, positions(LENGTH, chunkwise_recurrent=True), chunkwise_recurrent=True)

    return run, list(core.parameters()), 512


def around(wide, thin, operation):
    core = Around(wide, thin, operation)
    return core, list(core.parameters()), 512


def gla():
    from fla.ops.gla.naive import naive_recurrent_gla

    return around(4, 0, lambda q, k, v, g: naive_recurrent_gla(q, k, v, F.logsigmoid(g) / 16)[0])


def heads_first(*tensors):
    return (t.transpose(1, 2).contiguous() for t in tensors)


def deltanet():
    from fla.ops.delta_rule.naive import delta_rule_chunkwise

    def operation(q, k, v, beta):
        q, k, v, beta = heads_first(q, F.normalize(k, dim=-1), v, beta.sigmoid())
        return delta_rule_chunkwise(q, k, v, beta)[0].transpose(1, 2)

    return around(3, 1, operation)


def gated_deltanet():
    from fla.ops.gated_delta_rule.naive import naive_chunk_gated_delta_rule

    def operation(q, k, v, beta, g):
        return naive_chunk_gated_delta_rule(q, F.normalize(k, dim=-1), v, F.logsigmoid(g), beta.sigmoid())[0]

    return around(3, 2, operation)


def rwkv6():
    from fla.ops.rwkv6.recurrent_naive import naive_recurrent_rwkv6  # the chunk form has no backward: it works in place

    bonus = nn.Parameter(torch.zeros(HEADS, 64))

    def operation(q, k, v, w):
        return naive_recurrent_rwkv6(*heads_first(q, k, v, F.logsigmoid(w)), bonus)[0].transpose(1, 2)

    return around(4, 0, operation)


def rwkv7():
    from fla.ops.generalized_delta_rule.dplr.naive import dplr_chunkwise

    def operation(r, k, v, a, w):
        k = F.normalize(k, dim=-1)
        y = dplr_chunkwise(*heads_first(r, k, v, -k, k * a.sigmoid(), -0.6 * w.sigmoid()), chunk_size=16)
        return y[0].transpose(1, 2)

    return around(5, 0, operation)


def measure(run, inputs, parameters):
    """The median of up to 5 forward and backward passes after one to warm up, in at most about 10 seconds."""
    taken = []
    while len(taken) < 6 and sum(taken) < 10:
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16 and CASE != "attention"):
            y = run(*inputs)
        y.backward(torch.full_like(y, 0.01))
        taken.append(time.perf_counter() - begin)
        for p in [*inputs, *parameters]:
            p.grad = None
    return statistics.median(taken[1:] or taken)


def main():
    found = {}
    if CASE == "attention":
        kind = torch.bfloat16 if BF16 else torch.float32
        inputs = [torch.randn(BATCH, 12, LENGTH, 64, dtype=kind, requires_grad=True) for _ in range(3)]
        run = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        found["eager"] = measure(run, inputs, [])
    else:
        try:
            run, parameters, width = globals()[CASE]()
        except ImportError as missing:
            print(f"skipped: {missing}")
            sys.exit(77)
        inputs = [torch.randn(BATCH, LENGTH, width, requires_grad=True)]
        found["eager"] = measure(lambda x: (lambda y: y[0] if isinstance(y, tuple) else y)(run(x)), inputs, parameters)
    mode = min(found, key=found.get)
    print(json.dumps({"seconds": found[mode], "mode": mode, "case": CASE, "torch": torch.__version__, "threads": torch.get_num_threads()}))


main()
