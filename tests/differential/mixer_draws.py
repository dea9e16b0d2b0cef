"""Random options and inputs of every row: what the conformance documents allow, the unusual included."""
import random

import torch

ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "relu2", "sigmoid", "tanh", "identity",
               "relu6", "leaky_relu", "hardswish", "mish", "gelu_10", "laplace", "sqrtsoftplus")
FEATURES = ("elu1", "relu")


class Draw:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.g = torch.Generator().manual_seed(seed)
        self.spec, self.inputs, self.states = {}, {}, "none"
        self.B = self.r.choice((1, 2, 2, 3))
        self.T = self.r.choice((1, 2, 3, 4, 5, 7, 9, 11, 13, 16, 17, 20, 23, 29, 33, 47, 65, 127))

    def chance(self, p=0.5):
        return self.r.random() < p

    def pick(self, *values):
        return self.r.choice(values)

    def put(self, key, *values, p=0.5):
        """Some value of an option, or its default."""
        if self.chance(p):
            self.spec[key] = self.pick(*values)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.g).double()

    def give_x(self):
        self.inputs["x"] = self.normal(self.B, self.T, self.spec["dim"])

    def rows(self):
        """The number of rows of x, however it was given."""
        return self.T

    def mask(self, T=None, holes=True, empty=True):
        T = T or self.T
        mask = torch.ones(self.B, T, dtype=torch.uint8)
        kind = self.pick("left", "right", "middle", "random" if holes else "left", "mixed")
        for b in range(self.B):
            n, how = self.r.randint(0, T - 1), kind if kind != "mixed" else self.pick("left", "right", "middle")
            if how == "left":
                mask[b, :n] = 0
            elif how == "right":
                mask[b, T - n:] = 0
            elif how == "middle":
                at = self.r.randint(0, T - n)
                mask[b, at:at + n] = 0
            else:
                mask[b] = (torch.rand(T, generator=self.g) < 0.7).to(torch.uint8)
        if empty and self.B > 1 and self.chance(0.15):
            mask[self.r.randrange(self.B)] = 0
        if not empty:
            mask[:, self.r.randrange(T)] = 1
        return mask

    def maybe_mask(self, name="mask", p=0.4, **how):
        if self.chance(p):
            self.inputs[name] = self.mask(**how)

    def maybe_states(self):
        self.states = self.pick("none", "none", "all", "some")

    def heads(self, kv=False, even=1, most=4, values=True, keys=True):
        H = self.pick(*[h for h in (1, 2, 3, 4, 5, 6, 8) if h <= most])
        K = even * self.pick(*range(max(1, 2 // even), 9 // even + 1))
        K = self.pick(1, 3, 80) if even == 1 and self.chance(0.1) else K
        self.spec.update(heads=H)
        if keys and self.chance(0.6):
            self.spec.update(key_dim=K, dim=self.pick(7, 10, 12, 16, 24))
        else:
            self.spec.update(dim=H * K)
        if values and self.chance():
            self.spec["value_dim"] = self.pick(1, 3, 4, 5, 8, 12)
        if kv and self.chance():
            self.spec["kv_heads"] = self.pick(*[g for g in range(1, H + 1) if H % g == 0])

    def key_dim(self):
        return self.spec.get("key_dim", self.spec["dim"] // self.spec["heads"])

    def bias(self, names, p=0.4):
        if self.chance(p):
            self.spec["bias"] = [n for n in names if self.chance(0.6)]

    def rope(self, dims=True):
        K = self.key_dim()
        o = {"theta": self.pick(10000.0, 500000.0, 100.0)}
        if dims and K >= 4 and self.chance(0.4):
            o["dim"] = self.pick(*range(2, K + 1, 2))
        if self.chance():
            o["pairing"] = self.pick("half", "interleaved")
        return o

    def positions(self):
        kind = self.pick("shift", "gaps", "reset", "any")
        p = torch.arange(self.T)[None].repeat(self.B, 1)
        if kind == "shift":
            p = p + torch.tensor([self.r.randint(0, 50) for _ in range(self.B)])[:, None]
        elif kind == "gaps":
            p = torch.cumsum(torch.randint(1, 5, (self.B, self.T), generator=self.g), 1)
        elif kind == "reset":
            p = p % self.r.randint(1, self.T)
        else:
            p = torch.randint(0, 40, (self.B, self.T), generator=self.g)
        return p

    def segments(self):
        if self.chance(0.7):
            return torch.cumsum((torch.rand(self.B, self.T, generator=self.g) < 0.3).long(), 1)
        return torch.randint(0, 3, (self.B, self.T), generator=self.g)


# ---- softmax attention

def qk_norm(d):
    kind = d.pick("rms", "layer", "l2")
    o = {"kind": kind, "eps": d.pick(1e-6, 1e-5, 0.02)}
    if d.chance():
        o["scope"] = d.pick("head", "all")
    return o


def attention(d, plain=False):
    d.heads(kv=True, most=8)
    s = d.spec
    K = d.key_dim()
    d.put("causal", True, False, p=0.8)
    d.bias("qkvo")
    d.put("scale", min(1.0, 4 * K ** -0.5), 0.3, K ** -0.5)
    d.put("softcap", 0.0, 2.0, 10.0, p=0.3)
    if d.chance():
        s["window"] = [d.pick(None, 0, 1, 3, 8, 40), d.pick(None, 0, 1, 2, 7)]
    if K % 2 == 0 and d.chance(0.4):
        s["rope"] = d.rope()
    elif K % 2 == 0 and d.chance(0.3):
        s["xpos"] = {"base": d.pick(16, 64, 512)} if d.chance(0.8) else {}
    kind = d.r.random()
    if kind < 0.25:
        s["alibi"] = True
    elif kind < 0.5:
        s["t5_bias"] = {"buckets": d.pick(4, 6, 8, 12), "max_distance": d.pick(9, 20, 50, 128), "bidirectional": d.chance()}
    if K > 2 and d.chance(0.3):
        s["qk_norm"] = qk_norm(d)
    d.put("sinks", True, p=0.3)
    if plain:
        return
    if d.chance(0.25):
        S = d.pick(1, 2, 6, 13, 30)
        d.put("memory_dim", 3, 9, 14, p=0.7)
        d.inputs["memory"] = d.normal(d.B, S, s.get("memory_dim", s["dim"]))
        d.maybe_mask("memory_mask", 0.6, T=S)
    else:
        d.maybe_mask()
        if d.chance(0.2):
            d.inputs["segments"] = d.segments()
        if d.chance(0.2):
            d.inputs["prefix"] = torch.tensor([d.r.randint(0, d.T + 2) for _ in range(d.B)])
        if "xpos" not in s and d.chance(0.3):
            d.inputs["positions"] = d.positions()
    d.give_x()


def sparse(d):
    d.heads(kv=True)
    d.bias("qkvo")
    d.spec.update(pattern=d.pick("strided", "fixed"), stride=d.pick(1, 2, 3, 4, 5, 7, 13))
    d.put("causal", True)
    if d.spec["pattern"] == "fixed":
        d.spec["summary"] = d.r.randint(1, d.spec["stride"])
    d.put("combine", "merged", "heads", p=0.8)
    d.maybe_mask(p=0.3)
    d.give_x()


def local_chunk(d):
    d.heads(kv=True, even=2)
    d.bias("qkvo")
    C = d.pick(1, 2, 3, 4, 5, 8)
    d.spec.update(chunk=C, before=d.pick(0, 1, 2, 3), after=d.pick(0, 0, 1, 2))
    d.put("causal", True, False, p=0.8)
    kind = d.r.random()
    if kind < 0.3:
        d.spec["exact"] = True
    elif kind < 0.55:
        d.spec["wrap"] = True
        if d.T > C:
            d.T = C * d.r.randint(2, 6)
    if d.chance(0.4):
        d.spec["rope"] = {"theta": d.pick(10000.0, 100.0)}
    elif d.chance(0.4):
        d.spec["xpos"] = {"base": d.pick(2, 8, 64)}
    d.maybe_mask()
    d.give_x()


def longformer(d):
    d.heads(keys=False, values=False)
    H = d.spec["heads"]
    d.spec["window"] = [d.pick(0, 1, 2, 5, 20), d.pick(0, 1, 2, 5, 20)]
    if d.chance():
        d.spec["dilation"] = [d.pick(1, 1, 2, 3) for _ in range(H)]
    d.put("causal", True, False)
    d.put("globals", True, False)
    d.inputs["mask"] = d.mask() if d.chance(0.7) else torch.ones(d.B, d.T, dtype=torch.uint8)
    marked = (torch.rand(d.B, d.T, generator=d.g) < 0.25).to(torch.uint8)
    d.inputs["global_mask"] = marked if d.spec.get("globals", True) else torch.zeros_like(marked)
    d.give_x()


def bigbird(d):
    d.heads(keys=False, values=False)
    b, n, r = d.pick(1, 2, 3, 4), d.pick(5, 6, 7, 9), d.pick(1, 2, 3)
    d.spec.update(block=b, random=r)
    d.put("extra", 0, 1, 3, 5)
    d.put("ends", True, False, p=0.3)
    ends = d.spec.get("ends", d.spec.get("extra", 0) == 0)
    n = n if ends else d.pick(1, 2, 5, 6)
    d.T = d.spec.get("extra", 0) + b * n
    d.inputs["mask"] = d.mask(empty=False) if d.chance(0.7) else torch.ones(d.B, d.T, dtype=torch.uint8)
    d.inputs["plan"] = torch.randint(0, n, (d.spec["heads"], n - 2 if ends else n, r), generator=d.g)
    d.give_x()


def lsh(d):
    d.heads()
    C = d.pick(2, 3, 4, 5, 8)
    d.spec.update(rounds=d.pick(1, 2, 3, 4), chunk=C, buckets=d.pick(2, 4, 6, 8, [2, 2], [4, 2], [2, 4, 2], [6]), before=d.pick(0, 1, 2),
                  after=d.pick(0, 0, 1, 2), causal=d.chance(), key_norm=d.pick("rms", "l2"))
    d.put("scale", 1.0, 0.3)
    d.put("duplicates", True, False)
    d.put("across_buckets", True, False)
    d.put("always_hash", True, False)
    d.put("shared_rotations", True, False)
    d.put("bias", True, False)
    d.T = C * d.r.randint(1, 6) if d.chance(0.85) or d.spec.get("always_hash") else d.r.randint(1, C)
    d.maybe_mask(p=0.35)
    d.give_x()


def routing(d):
    d.heads(even=2, values=False)
    H = d.spec["heads"]
    L = d.r.randint(0, H - 1) if d.chance() else 0
    d.spec.update(clusters=d.pick(1, 2, 3, 4), window=d.pick(1, 2, 4, 5, 8), causal=d.chance(), shared_qk=d.chance(), commitment=d.pick(1e-4, 0.1))
    d.put("memory_slots", 0, 1, 2)
    if L or d.chance():
        d.spec.update(local_heads=L, local_chunk=d.pick(2, 3, 4), local_radius=d.pick(0, 1, 2))
    d.maybe_mask(p=0.35, empty=False)
    d.give_x()


def axial(d):
    d.heads(values=False)
    d.spec["shape"] = d.pick([3, 5], [4, 6], [1, 4], [2, 3, 4], [5, 1, 3], [7], [2, 2, 2, 3])
    d.put("combine", "sum", "sequential", p=0.8)
    d.put("causal", True, False)
    d.T = 1
    for n in d.spec["shape"]:
        d.T *= n
    d.give_x()


def linformer(d):
    d.heads(kv=True)
    d.bias("qkvo", 0.2)
    d.spec.update(max_len=d.T + d.pick(0, 0, 1, 9), rank=d.pick(1, 3, 5, 8))
    d.put("headwise", True, False)
    d.put("share_proj", True, False)
    if "value_dim" not in d.spec:
        d.put("share_kv", True, False)
    d.maybe_mask()
    d.give_x()


def nystrom(d):
    d.heads()
    L = d.pick(1, 2, 3, 4, 6)
    d.spec["landmarks"] = L
    d.T = L * d.r.randint(1, 7)
    d.put("conv", 1, 3, 5, 9, p=0.7)
    d.maybe_mask(empty=False)
    d.give_x()


def mla(d):
    d.spec.update(dim=d.pick(10, 16, 24), heads=d.pick(1, 2, 3, 4), kv_rank=d.pick(1, 4, 10), nope_dim=d.pick(1, 4, 6), rope_dim=d.pick(2, 4, 8))
    d.spec["value_dim"] = d.pick(3, 6, 7)
    d.put("q_rank", 1, 5, 12)
    if d.chance(0.7):
        d.spec["rope"] = {"theta": d.pick(10000.0, 100.0), "pairing": d.pick("half", "interleaved")}
    d.put("scale", 0.2, 1.0, p=0.3)
    d.put("causal", True, False, p=0.8)
    d.bias(("o", "kv.down") + (("q.down",) if "q_rank" in d.spec else ("q",)))
    d.maybe_mask(p=0.3)
    if d.chance(0.3):
        d.inputs["positions"] = d.positions()
    d.give_x()


def differential(d):
    H = d.pick(2, 4, 6, 8)
    K = d.pick(2, 4, 6)
    d.spec.update(dim=H * K, heads=H)
    if d.chance():
        d.spec.update(kv_heads=d.pick(*[g for g in (2, 4, 6, 8) if H % g == 0]))
    if d.chance(0.3):
        d.spec.update(key_dim=d.pick(2, 4), dim=d.pick(9, 16))
    d.put("causal", True, False, p=0.8)
    d.spec["norm_eps"] = d.pick(1e-5, 1e-6, 0.02)
    d.put("layer", 0, 1, 5)
    d.put("lambda_init", 0.2, 0.5)
    if d.chance(0.7):
        d.spec["rope"] = d.rope(dims=False)
    d.maybe_mask(p=0.3)
    d.give_x()


# ---- linear attention and matrix states

def linear_attention(d):
    d.heads()
    d.bias("qkvo")
    d.put("feature", *FEATURES, p=0.6)
    d.put("eps", 1e-6, 1e-2, 0.2)
    d.put("scale", 1.0, 0.4)
    d.put("normalise", True, False)
    if d.spec.get("feature") == "relu" and d.spec.get("normalise", True):
        d.spec["eps"] = 0.2
    d.put("causal", True, False, p=0.8)
    if not d.spec.get("causal") and d.chance(0.3):
        d.spec["memory_dim"] = d.pick(3, 9)
        d.inputs["memory"] = d.normal(d.B, 11, d.spec["memory_dim"])
        d.maybe_mask("memory_mask", 0.6, T=11, empty=False)
    else:
        d.maybe_mask(p=0.3, empty=False)
    if d.spec.get("causal"):
        d.maybe_states()
    if ("mask" in d.inputs or "memory_mask" in d.inputs) and d.spec.get("causal"):
        d.spec["eps"] = max(d.spec.get("eps", 0.2), 0.01)
    d.give_x()


def performer(d):
    d.heads()
    d.bias("qkvo", 0.3)
    d.spec.update(kernel=d.pick("softmax", "relu"), rows=d.pick(3, 8, 17))
    if d.spec["kernel"] == "relu" and d.chance(0.3):
        d.spec["rows"] = 0
    d.spec.update(feature_eps=d.pick(0.0, 1e-4, 1e-3), stabiliser=d.pick("max", "none"), mask_keys=d.pick("features", "values"))
    if d.spec["kernel"] == "relu":
        d.spec["feature_eps"] = d.pick(1e-3, 0.05)
    d.spec["eps"] = d.pick(0.0, 1e-6, 1e-2)
    d.spec["causal"] = d.chance()
    d.maybe_mask(p=0.4, empty=False)
    if "mask" in d.inputs:
        d.spec["eps"] = 0.01
    if d.spec["causal"] and d.spec["feature_eps"] == 0 and d.spec["stabiliser"] == "none":
        d.maybe_states()
    d.give_x()


def retention(d):
    d.heads(even=2)
    d.put("rotation", "linspace", "rope", p=0.9)
    d.put("row_norm", "decay", "clamped_sum", "none", p=0.9)
    d.put("gate", "silu", p=0.7)
    d.put("norm_affine", True, False)
    d.spec["norm_eps"] = d.pick(1e-6, 1e-3, 0.01)
    if d.chance(0.4) and d.spec.get("row_norm", "decay") != "clamped_sum":
        d.states = "all"
        d.inputs["state.in.position"] = torch.tensor([d.pick(0, 1, 5, 100, 1000)])
    d.give_x()


def finished(d):
    d.put("gate", "silu", "sigmoid", p=0.7)
    d.put("norm_eps", 1e-5, 1e-6, 0.01)


def convolved(d):
    if d.chance():
        d.spec["conv"] = d.pick(1, 2, 3, 4, 7)
        d.put("conv_bias", True, False)


def gla(d):
    d.heads(kv=True)
    finished(d)
    convolved(d)
    d.spec["rank"] = d.pick(1, 4, 5)
    d.put("gate_normalizer", 1, 4, 16)
    d.put("clamp_min", -0.05, -1.0, p=0.3)
    d.put("feature", "identity", "relu", "elu1", p=0.3)
    d.maybe_states()
    d.give_x()


def simple_gla(d):
    d.heads(kv=True)
    finished(d)
    convolved(d)
    d.put("gate_normalizer", 1, 4, 16)
    d.maybe_states()
    d.give_x()


def lightning(d):
    d.heads(values=False)
    layers = d.pick(1, 2, 4, 10)
    d.spec.update(layer=d.r.randrange(layers), layers=layers)
    d.put("norm_eps", 1e-6, 1e-3)
    d.maybe_mask(p=0.4)
    d.maybe_states()
    d.give_x()


def deltanet(d):
    d.heads()
    finished(d)
    convolved(d)
    d.put("beta_scale", 1, 2)
    d.put("qk_norm", "l2", "sum")
    d.maybe_states()
    d.give_x()


def gated_deltanet(d):
    d.heads()
    finished(d)
    convolved(d)
    d.put("beta_scale", 1, 2)
    d.put("v_heads", *[d.spec["heads"] * n for n in (1, 2, 3)])
    d.maybe_mask(p=0.3)
    d.maybe_states()
    d.give_x()


def kda(d):
    d.heads()
    convolved(d)
    d.put("norm_eps", 1e-5, 1e-6, 0.01)
    d.put("beta_scale", 1, 2, p=0.2)
    d.put("v_heads", *[d.spec["heads"] * n for n in (1, 2)])
    d.spec["rank"] = d.pick(1, 4, 6)
    d.put("lower_bound", -5.0, -0.5)
    d.put("gate_bias", True, False)
    d.maybe_mask(p=0.2)
    d.maybe_states()
    d.give_x()


def hgrn(d):
    d.spec["dim"] = d.pick(5, 8, 16)
    d.put("inner", 7, 12, 20, p=0.8)
    if d.chance(0.6):
        d.spec["conv"] = d.pick(1, 2, 4, 5)
        d.put("conv_bias", True, False, p=0.2)
    d.put("lower_bound", 0.0, 0.3, 0.9)
    d.put("norm_eps", 1e-5, 1e-3)
    d.maybe_states()
    d.give_x()


def hgrn2(d):
    H = d.pick(1, 2, 3)
    d.spec.update(heads=H, dim=H * d.pick(3, 4, 8), key_dim=d.pick(2, 5, 8))
    if d.chance(0.4):
        d.spec["conv"] = d.pick(2, 4)
    d.put("lower_bound", 0.0, 0.3, 0.9)
    d.put("norm_eps", 1e-5, 1e-3)
    d.maybe_states()
    d.give_x()


def based(d):
    d.heads()
    d.put("feature", "taylor", "rebased", p=0.8)
    d.put("eps", 1e-6, 1e-2)
    d.put("causal", True, False, p=0.8)
    if d.spec.get("feature") == "rebased":
        d.spec["key_dim"] = max(d.key_dim(), 3)
    d.give_x()


def rwkv4(d):
    d.spec.update(dim=d.pick(5, 12, 16))
    d.put("inner", 7, 12, 20, p=0.8)
    d.maybe_states()
    d.give_x()


def rwkv6(d):
    d.heads(values=False)
    d.spec["value_dim"] = d.pick(3, 4, 5, 8)  # a norm of two channels is all sign
    d.spec.update(mix_rank=d.pick(1, 3, 5), decay_rank=d.pick(1, 4))
    d.put("norm_eps", 1e-5, 1e-3, 0.02)
    d.maybe_states()
    d.give_x()


def rwkv7(d):
    H = d.pick(1, 2, 3)
    d.spec.update(heads=H, dim=H * d.pick(3, 4, 6, 8), ranks={"w": d.pick(1, 4), "a": 3, "gate": d.pick(2, 5)})
    d.put("layer", 0, 1, 4, p=0.8)
    d.put("value_dim", 3, 5, 8)
    d.put("norm_eps", 1e-5, 1e-3)
    if d.spec.get("layer", 0) > 0:
        d.spec["ranks"]["vres"] = d.pick(1, 4)
        d.inputs["v_first"] = d.normal(d.B, d.T, H * d.spec.get("value_dim", d.spec["dim"] // H))
    d.maybe_states()
    d.give_x()


def mlstm(d):
    d.heads()
    d.spec.update(gate_cap=d.pick(15.0, 3.0), norm_eps=d.pick(1e-6, 1e-2))
    d.put("eps", 1e-6, 1e-2)
    d.states = d.pick("none", "all")
    d.give_x()


# ---- state spaces and recurrent networks

def mamba(d):
    d.spec.update(dim=d.pick(5, 8, 16), inner=d.pick(7, 12, 32), state=d.pick(1, 4, 6, 16), rank=d.pick(1, 2, 3), conv=d.pick(1, 2, 3, 4))
    d.spec["conv_bias"] = d.chance(0.7)
    d.bias(("in", "o"))
    d.put("inner_norms", True, False)
    d.put("norm_eps", 1e-5, 0.01, p=1)
    d.maybe_mask(p=0.3)
    d.maybe_states()
    d.give_x()


def mamba2(d):
    H = d.pick(1, 2, 4, 6)
    G = d.pick(*[g for g in (1, 2, 3) if H % g == 0])
    d.spec.update(dim=d.pick(5, 8, 16), heads=H, value_dim=6 * d.pick(1, 2), state=d.pick(1, 4, 6), groups=G, conv=d.pick(1, 2, 4))
    d.spec["norm_groups"] = d.pick(1, G, 2, 3)
    d.put("norm_before_gate", True, False)
    d.put("dt_limit", [0.05, 0.6], [0.0, 1.0], [0.3, None], [None, 0.4])
    d.put("conv_bias", True, False)
    d.bias(("in", "o"))
    d.put("norm_eps", 1e-5, 0.01)
    d.maybe_mask(p=0.3)
    d.maybe_states()
    d.give_x()


def s4d(d):
    d.spec.update(dim=d.pick(1, 5, 12), modes=d.pick(1, 3, 6))
    d.put("real", True, False)
    d.put("discretisation", "zoh", "bilinear", p=0.7)
    d.put("bidirectional", True, False)
    if not d.spec.get("bidirectional"):
        d.maybe_states()
    d.give_x()


def rglru(d):
    H = d.pick(1, 2, 3)
    d.spec.update(dim=d.pick(5, 8, 16), inner=H * d.pick(1, 4, 6), heads=H, conv=d.pick(1, 2, 3, 4))
    if d.chance(0.4):
        d.inputs["positions"] = d.positions()
    d.states = d.pick("none", "all", "some")
    d.give_x()


def hyena(d):
    d.spec.update(dim=d.pick(2, 5, 12), order=d.pick(2, 3, 4), max_len=d.T + d.pick(1, 2, 9), embed=d.pick(3, 5, 7), filter_dim=d.pick(4, 8),
                  filter_layers=d.pick(2, 3, 4), conv=d.pick(1, 2, 3, 4))
    d.put("shift", 0.0, 0.05)
    d.give_x()


def fourier(d):
    d.spec["dim"] = d.pick(1, 2, 5, 8, 12, 24)
    d.give_x()


def recurrent(d):
    d.spec.update(dim=d.pick(1, 5, 12), hidden=d.pick(1, 5, 8), layers=d.pick(1, 1, 2, 3))
    d.put("bidirectional", True, False)
    d.put("bias", True, False)
    d.maybe_mask(p=0.5)
    d.maybe_states()
    d.give_x()


def lstm(d):
    recurrent(d)


def gru(d):
    recurrent(d)
    d.put("reset", "after", "before", p=0.7)


def slstm(d):
    H = d.pick(1, 2, 3)
    d.spec.update(dim=d.pick(5, 8), hidden=H * d.pick(3, 4, 6), heads=H, norm_eps=d.pick(1e-6, 1e-3))
    d.states = d.pick("none", "all")
    d.give_x()


def minrnn(d):
    d.spec.update(dim=d.pick(5, 8), hidden=d.pick(3, 8, 20), cell=d.pick("gru", "lstm"), candidate=d.pick("identity", "positive"))
    d.maybe_states()
    d.give_x()


def remembered(d, width):
    S = d.pick(1, 2, 6, 13)
    d.inputs["memory"] = d.normal(d.B, S, width)
    if d.chance(0.6):
        d.inputs["memory_mask"] = d.mask(S, empty=False)
        d.inputs["memory_mask"][:, 0] |= d.inputs["memory_mask"].sum(1) == 0
    d.T = min(d.T, 13)


def additive(d):
    m = 2 * d.pick(2, 5, 8)
    d.spec.update(dim=d.pick(3, 8), hidden=d.pick(5, 8), units=d.pick(4, 9), memory_dim=m, score="concat", init=d.pick("backward", "zero"),
                  readout=d.pick("maxout", "linear", "none"))
    if d.spec["readout"] != "none":
        d.spec["out"] = d.pick(3, 7)
    d.put("normed", True, False)
    d.put("reset", "after", "before")
    d.put("readout_state", "previous", "current")
    remembered(d, m)
    d.states = d.pick("none", "all")
    d.give_x()


def luong(d):
    d.spec.update(dim=d.pick(3, 8), hidden=d.pick(5, 8), score=d.pick("dot", "general", "concat"))
    d.spec["memory_dim"] = d.spec["hidden"] if d.spec["score"] == "dot" else d.pick(4, 9)
    d.put("input_feeding", True, False, p=1)
    d.put("scaled", True, False)
    if d.chance():
        d.spec.update(local=d.pick("monotonic", "predictive"), window=d.pick(1, 2, 3))
    if d.spec["score"] == "concat" or d.spec.get("local") == "predictive":
        d.spec["units"] = d.pick(4, 9)
    remembered(d, d.spec["memory_dim"])
    d.maybe_states()
    d.give_x()


# ---- channel mixers and wirings

def mlp(d):
    d.spec.update(dim=d.pick(1, 5, 16), hidden=d.pick(1, 8, 24), activation=d.pick(*ACTIVATIONS))
    d.put("bias", True, False)
    d.put("chunk", 1, 3, 4, 100, p=0.3)
    d.give_x()


def glu(d):
    d.spec.update(dim=d.pick(1, 5, 16), hidden=d.pick(1, 8, 24), activation=d.pick(*ACTIVATIONS))
    d.put("bias", True, False)
    d.give_x()


def moe(d):
    E = d.pick(1, 2, 4, 5, 6, 8)
    d.spec.update(dim=d.pick(5, 12), hidden=d.pick(3, 8), experts=E, top_k=d.r.randint(1, min(E, 4)), router=d.pick("softmax", "sigmoid"),
                  gated=d.chance(), activation=d.pick(*ACTIVATIONS))
    d.put("normalise", True, False)
    d.put("scale", 1.0, 2.5)
    d.put("capacity", 1, 2, 3, 5, 100, p=0.4)
    if E in (4, 6, 8) and d.chance(0.4):
        groups = d.pick(*[g for g in (2, 3, 4) if E % g == 0])
        top = d.r.randint(1, groups)
        if top * (E // groups) >= d.spec["top_k"]:
            d.spec.update(groups=groups, top_groups=top)
    d.put("select_bias", True, False, p=0.3)
    d.put("router_bias", True, False, p=0.3)
    if d.chance(0.4):
        d.spec["shared"] = d.pick(4, 9)
        d.put("shared_gate", True, False)
    d.put("aux", "batch", "sequence", p=0.8)
    d.put("aux_weight", 0.0, 0.3, p=0.6)
    d.put("z_weight", 0.0, 0.1, p=0.6)
    d.give_x()


def expert_choice(d):
    E = d.pick(1, 2, 4)
    d.spec.update(dim=d.pick(5, 12), hidden=d.pick(3, 8), experts=E, capacity=d.r.randint(1, min(d.T, 6)), gated=d.chance(), activation=d.pick(*ACTIVATIONS))
    d.give_x()


def soft_moe(d):
    d.spec.update(dim=d.pick(5, 12), hidden=d.pick(3, 8), experts=d.pick(1, 2, 3), slots=d.pick(1, 2, 3), gated=d.chance(), activation=d.pick(*ACTIVATIONS))
    d.put("normed", True, False)
    d.maybe_mask(p=0.4, empty=False)
    d.give_x()


def rwkv_channel(d):
    d.spec.update(dim=d.pick(1, 5, 12), hidden=d.pick(3, 8))
    d.put("receptance", True, False, p=0.8)
    d.maybe_states()
    d.give_x()


def inner(d, mixer, dim):
    """A spec of another row of this width, or None where the draw has another."""
    for seed in range(400):
        other = Draw(d.r.randrange(1 << 30))
        DRAWS[mixer](other)
        if other.spec["dim"] == dim and not set(other.inputs) - {"x"} and other.states == "none":
            return other.spec
    return None


def parallel(d):
    dim = 12
    d.spec.update(dim=dim, branches=[])
    for _ in range(d.pick(1, 2, 3)):
        mixer = d.pick("attention", "gla", "linear_attention", "rwkv6", "deltanet", "based", "differential", "mla")
        spec = inner(d, mixer, dim)
        if spec is None:
            continue
        branch = {"mixer": mixer, "spec": spec}
        if d.chance():
            branch["scale"] = d.pick(1, 0.7, -0.5)
        if d.chance():
            branch["norm"] = {"eps": d.pick(1e-6, 1e-2)}
        d.spec["branches"].append(branch)
    if not d.spec["branches"]:
        d.spec["branches"].append({"mixer": "attention", "spec": {"dim": dim, "heads": 2}})
    d.give_x()


def reversible(d):
    other = Draw(d.r.randrange(1 << 30))
    attention(other, plain=True)
    D = other.spec["dim"]
    d.spec.update(dim=2 * D, mixer=other.spec, ffn={"dim": D, "hidden": d.pick(4, 9), "activation": d.pick(*ACTIVATIONS), "bias": d.chance()}, norm_eps=d.pick(1e-5, 1e-2))
    d.give_x()


DRAWS = {f.__name__: f for f in (attention, sparse, local_chunk, longformer, bigbird, lsh, routing, axial, linformer, nystrom, mla, differential, parallel,
                                 reversible, linear_attention, performer, retention, gla, simple_gla, lightning, deltanet, gated_deltanet, kda,
                                 hgrn, hgrn2, based, rwkv4, rwkv6, rwkv7, mlstm, mamba, mamba2, s4d, rglru, hyena, fourier, lstm, gru, slstm, minrnn,
                                 additive, luong, mlp, glu, moe, expert_choice, soft_moe, rwkv_channel)}
