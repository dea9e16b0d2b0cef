"""Recurrences by definition: one token after the other. Linear attention, state spaces, gated and plain recurrent networks, long
convolutions, attention before the Transformer."""
import math

import torch
from torch.nn.functional import logsigmoid

from mixer_attention import keys_allowed, l2, layer_norm, merge, normalize, repeat_heads, rms, rope, shape_of, softmax, split


def softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def silu(x):
    return x * torch.sigmoid(x)


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def elu1(x):
    return torch.where(x > 0, x, torch.exp(torch.clamp(x, max=0)) - 1) + 1


FEATURES = {"elu1": elu1, "relu": torch.relu, "identity": lambda x: x, "silu": silu, "sigmoid": torch.sigmoid, "exp": torch.exp,
            "softplus": softplus, "relu2": lambda x: torch.relu(x) ** 2}


def masked(c, x):
    return x if c.flags("mask") is None else x * c.flags("mask")[..., None].to(c.dtype)


def short_conv(c, name, u, state, width, bias):
    """u [B,T,C] -> [B,T,C], and the last width - 1 inputs [B,C,width-1]."""
    B, T, C = u.shape
    w = c.w(name + ".weight", C, 1, width)
    past = c.state(state, B, C, width - 1, scale=1.0) if width > 1 else torch.zeros(B, C, 0, dtype=c.dtype)
    long = torch.cat([past.transpose(1, 2), u], 1)
    y = sum(w[:, 0, k] * long[:, k:k + T] for k in range(width))
    return y + c.w(name + ".bias", C) if bias else y, long[:, T:].transpose(1, 2)


def scan(q, k, v, g, s):
    """q, k [B,H,T,K], v [B,H,T,V], g [B,H,T,K or 1], s [B,H,K,V]"""
    o = []
    for t in range(q.shape[2]):
        s = torch.exp(g[:, :, t])[..., None] * s + k[:, :, t, :, None] * v[:, :, t, None, :]
        o.append((q[:, :, t, None, :] @ s)[:, :, 0])
    return torch.stack(o, 2), s


def delta(q, k, v, g, beta, s):
    """beta [B,H,T]"""
    o = []
    for t in range(q.shape[2]):
        s = torch.exp(g[:, :, t])[..., None] * s
        kt, seen = k[:, :, t, :, None], (k[:, :, t, None, :] @ s)[:, :, 0]
        s = s + beta[:, :, t, None, None] * kt * (v[:, :, t] - seen)[:, :, None, :]
        o.append((q[:, :, t, None, :] @ s)[:, :, 0])
    return torch.stack(o, 2), s


def finish(c, o, gate=None):
    """rms per head, weight, gate, output."""
    dim, H, V = c.spec["dim"], o.shape[1], o.shape[3]
    y = rms(o, c.opt("norm_eps", 1e-5))
    if c.opt("norm_affine", True):
        y = y * c.gain("norm.weight", V)
    y = merge(y)
    if c.opt("gate"):
        act = {"silu": silu, "sigmoid": torch.sigmoid}[c.spec["gate"]]
        y = y * act(c.lin("gate", c.x, H * V))
    if gate is not None:
        y = y * gate
    return c.lin("o", y, dim)


def convolved(c, out, sizes, x=None):
    """q, k, v [B,T,..] by name, through their short convolutions when there are any."""
    parts = []
    for n, size in sizes:
        u = c.lin(n, c.x if x is None else x, size)
        if c.opt("conv"):
            u, last = short_conv(c, n + "_conv", u, n + "_conv", c.spec["conv"], c.opt("conv_bias", False))
            if c.spec["conv"] > 1:
                out["state.out." + n + "_conv"] = last
            u = silu(u)
        parts.append(u)
    return parts


# ---- linear attention

def linear_attention(c):
    dim, H, _, K, V = shape_of(c)
    m = c.x if c.input("memory") is None else c.input("memory")
    B, T, _ = c.x.shape
    q, k, v = split(c.lin("q", c.x, H * K), H), split(c.lin("k", m, H * K), H), split(c.lin("v", m, H * V), H)
    phi = FEATURES[c.opt("feature", "elu1")]
    q, k = phi(q) * c.opt("scale", 1.0), phi(k)
    mask = c.flags("mask") if c.input("memory") is None else c.flags("memory_mask")
    if mask is not None:
        k = k * mask[:, None, :, None].to(c.dtype)
    out, one = {}, torch.zeros(B, H, T, 1, dtype=c.dtype)
    if c.opt("causal"):
        o, out["state.out.s"] = scan(q, k, v, one, c.state("s", B, H, K, V))
        z, last = scan(q, k, torch.ones_like(v[..., :1]), one,
                       c.state("z", B, H, K, value=lambda: c.uniform((B, H, K), 0.5, 2.0))[..., None]) if c.opt("normalise", True) else (None, None)
        if z is not None:
            out["state.out.z"] = last[..., 0]
    else:
        o, z = q @ (k.transpose(-1, -2) @ v), q @ k.sum(2)[..., None]
    if c.opt("normalise", True):
        o = o / (z + c.opt("eps", 1e-6))
    out["y"] = c.lin("o", merge(o), dim)
    return out


def performer(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    listed, r = c.opt("bias", ["o"]), c.opt("rows", max(1, int(K * math.log(K + 1))))
    q, k, v = [split(c.lin(n, c.x, w, n in listed), H) for n, w in (("q", H * K), ("k", H * K), ("v", H * V))]
    feature_eps, eps = c.opt("feature_eps", 0.0), c.opt("eps", 1e-6)
    f = c.w("features", r, K, buffer=True, value=lambda: c.normal((r, K))) if r else None

    def phi(x, is_query):
        u = x * K ** -0.25
        w = u if f is None else u @ f.T
        if c.spec["kernel"] == "relu":
            return torch.relu(w) + feature_eps
        st = 0.0
        if c.opt("stabiliser", "none") == "max":
            st = (w.amax(-1, keepdim=True) if is_query else w.amax((-1, -2), keepdim=True)).detach()
        return w.shape[-1] ** -0.5 * (torch.exp(w - (u * u).sum(-1, keepdim=True) / 2 - st) + feature_eps)

    q, k = phi(q, True), phi(k, False)
    if c.flags("mask") is not None:
        real = c.flags("mask")[:, None, :, None].to(c.dtype)
        k, v = (k * real, v) if c.opt("mask_keys", "features") == "features" else (k, v * real)
    out, F = {}, q.shape[-1]
    if c.opt("causal"):
        one = torch.zeros(B, H, T, 1, dtype=c.dtype)
        exact = feature_eps == 0 and c.opt("stabiliser", "none") == "none"
        s0 = c.state("s", B, H, F, V) if exact else torch.zeros(B, H, F, V, dtype=c.dtype)
        z0 = c.state("z", B, H, F, value=lambda: c.uniform((B, H, F), 0.5, 2.0)) if exact else torch.zeros(B, H, F, dtype=c.dtype)
        o, s = scan(q, k, v, one, s0)
        z, last = scan(q, k, torch.ones_like(v[..., :1]), one, z0[..., None])
        z = z + eps * q.sum(-1, keepdim=True)
        if exact:
            out["state.out.s"], out["state.out.z"] = s, last[..., 0]
    else:
        o, z = q @ (k.transpose(-1, -2) @ v), q @ (k.sum(2)[..., None] + eps)
    out["y"] = c.lin("o", merge(o / z), dim, "o" in listed)
    return out


def retention(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    start = int(c.input("state.in.position")[0]) if c.input("state.in.position") is not None else 0
    t = torch.arange(start, start + T)
    q, k, v = split(c.lin("q", c.x, H * K), H), split(c.lin("k", c.x, H * K), H), split(c.lin("v", c.x, H * V), H)
    if c.opt("rotation", "linspace") == "rope":
        q, k = rope(q, t[None]), rope(k, t[None])
    else:
        theta = torch.tensor([10000.0 ** -(p / (K / 2 - 1)) if K > 2 else 1.0 for p in range(K // 2)], dtype=torch.float64)
        cos, sin = torch.cos(t[:, None] * theta).to(c.dtype), torch.sin(t[:, None] * theta).to(c.dtype)
        q, k = [torch.stack([x[..., 0::2] * cos - x[..., 1::2] * sin, x[..., 1::2] * cos + x[..., 0::2] * sin], -1).flatten(-2) for x in (q, k)]
    k = k * K ** -0.5
    gamma = 1 - 2.0 ** (-5 - torch.arange(H, dtype=torch.float64))
    g = torch.log(gamma).to(c.dtype)[None, :, None, None].expand(B, H, T, 1)
    o, s = scan(q, k, v, g, c.state("s", B, H, K, V))
    kind = c.opt("row_norm", "decay")
    if kind != "none":
        n = torch.sqrt((1 - gamma[:, None] ** (t + 1)) / (1 - gamma[:, None])).to(c.dtype)[None, :, :, None]
        o = o / n
        if kind == "clamped_sum":
            total, _ = scan(q, k, torch.ones_like(v[..., :1]), g, torch.zeros(B, H, K, 1, dtype=c.dtype))
            o = o / torch.clamp((total / n).abs(), min=1).detach()
    y = rms(o, c.opt("norm_eps", 1e-6))
    if c.opt("norm_affine", False):
        y = y * c.gain("norm.weight", V)
    act = {"silu": silu, "sigmoid": torch.sigmoid}[c.opt("gate", "silu")]
    return {"y": c.lin("o", act(c.lin("gate", c.x, H * V)) * merge(y), dim), "state.out.s": s}


def gla(c, per_head=False):
    dim, H, G, K, V = shape_of(c)
    B, T, _ = c.x.shape
    out = {}
    q, k, v = convolved(c, out, (("q", H * K), ("k", G * K), ("v", G * V)))
    phi = FEATURES[c.opt("feature", "identity")]
    q, k, v = phi(split(q, H)), phi(split(k, G)), split(v, G)
    if per_head:
        g = logsigmoid(split(c.lin("decay", c.x, H, True), H)) / c.opt("gate_normalizer", 16)
    else:
        g = logsigmoid(split(c.lin("decay.up", c.lin("decay.down", c.x, c.opt("rank", 16), False), G * K, True), G)) / c.opt("gate_normalizer", 16)
        if c.opt("clamp_min") is not None:
            g = torch.clamp(g, min=c.spec["clamp_min"])
        g = repeat_heads(g, H)
    o, out["state.out.s"] = scan(q * K ** -0.5, repeat_heads(k, H), repeat_heads(v, H), g, c.state("s", B, H, K, V))
    out["y"] = finish(c, o)
    return out


def simple_gla(c):
    return gla(c, True)


def lightning(c):
    dim, H, _, K, _ = shape_of(c)
    B, T, _ = c.x.shape
    qkv = split(masked(c, silu(c.lin("qkv", c.x, H * 3 * K, False))), H)
    slope = 2.0 ** (-8.0 * (torch.arange(H, dtype=torch.float64) + 1) / H) * (1 - c.opt("layer", 0) / (c.opt("layers", 1) - 1 + 1e-5) + 1e-5)
    g = -slope.to(c.dtype)[None, :, None, None].expand(B, H, T, 1)
    o, s = scan(qkv[..., :K], qkv[..., K:2 * K], qkv[..., 2 * K:], g, c.state("s", B, H, K, K))
    y = torch.sigmoid(c.lin("gate", c.x, H * K, False)) * rms(merge(o), c.opt("norm_eps", 1e-6)) * c.gain("norm.weight", H * K)
    return {"y": c.lin("o", y, dim, False), "state.out.s": s}


# ---- delta rules

def deltanet(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    out = {}
    q, k, v = convolved(c, out, (("q", H * K), ("k", H * K), ("v", H * V)))
    q, k, v = [split(u if c.opt("conv") else silu(u), H) for u in (q, k, v)]
    if c.opt("qk_norm", "l2") == "sum":
        q, k = [u / torch.clamp(u.abs().sum(-1, keepdim=True), min=1e-6) for u in (q, k)]
    else:
        q, k = l2(q), l2(k)
    beta = c.opt("beta_scale", 1) * torch.sigmoid(split(c.lin("beta", c.x, H), H)[..., 0])
    o, out["state.out.s"] = delta(q * K ** -0.5, k, v, torch.zeros(B, H, T, 1, dtype=c.dtype), beta, c.state("s", B, H, K, V))
    out["y"] = finish(c, o)
    return out


def gated_deltanet(c, channels=False):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    Hv, out = c.opt("v_heads", H), {}
    x = masked(c, c.x)
    q, k, v = convolved(c, out, (("q", H * K), ("k", H * K), ("v", Hv * V)), x)
    q, k, v = [u if c.opt("conv") else silu(u) for u in (q, k, v)]
    q, k, v = repeat_heads(l2(split(q, H)), Hv), repeat_heads(l2(split(k, H)), Hv), split(v, Hv)
    beta = c.opt("beta_scale", 1) * torch.sigmoid(split(c.lin("beta", x, Hv), Hv)[..., 0])
    rate = torch.exp(c.w("a_log", Hv))[None, :, None, None]
    gate = None
    if channels:
        f = split(c.lin("decay.up", c.lin("decay.down", x, c.spec["rank"], False), Hv * K, False) + c.w("dt.bias", Hv * K), Hv)
        bound = c.opt("lower_bound")
        g = -rate * softplus(f) if bound is None else bound * torch.sigmoid(rate * f)
        gate = torch.sigmoid(c.lin("gate.up", c.lin("gate.down", x, c.spec["rank"], False), Hv * V, c.opt("gate_bias", False)))
    else:
        g = -rate * softplus(split(c.lin("dt", x, Hv, True), Hv))
    o, out["state.out.s"] = delta(q * K ** -0.5, k, v, g, beta, c.state("s", B, Hv, K, V))
    saved = c.leaves["x"]
    c.leaves["x"] = x  # the output gate reads the masked rows too
    out["y"] = finish(c, o, gate)
    c.leaves["x"] = saved
    return out


def kda(c):
    return gated_deltanet(c, True)


# ---- gated linear recurrences

def hgrn(c):
    dim, W = c.spec["dim"], c.opt("inner", c.spec["dim"])
    B, T, _ = c.x.shape
    out, parts = {}, []
    for n in ("i", "f"):
        u = c.lin(n, c.x, W)
        if c.opt("conv"):
            u, last = short_conv(c, n + "_conv", u, n + "_conv", c.spec["conv"], c.opt("conv_bias", False))
            if c.spec["conv"] > 1:
                out[f"state.out.{n}_conv"] = last
        parts.append(u)
    b = c.opt("lower_bound", 0.0)
    decay = b + (1 - b) * torch.sigmoid(parts[1])
    v, h, hs = silu(parts[0]) * (1 - decay), c.state("h", B, W), []
    for t in range(T):
        h = decay[:, t] * h + v[:, t]
        hs.append(h)
    y = rms(torch.stack(hs, 1), c.opt("norm_eps", 1e-5)) * c.gain("norm.weight", W) * silu(c.lin("gate", c.x, W))
    out["state.out.h"], out["y"] = h, c.lin("o", y, dim)
    return out


def hgrn2(c):
    dim, H = c.spec["dim"], c.spec["heads"]
    K, B = c.opt("key_dim", c.spec["dim"] // H), c.x.shape[0]
    out, parts = {}, []
    for n, size in (("q", H * K), ("f", H * K), ("i", dim)):
        u = c.lin(n, c.x, size)
        if c.opt("conv"):
            u, last = short_conv(c, n + "_conv", u, n + "_conv", c.spec["conv"], c.opt("conv_bias", False))
            if c.spec["conv"] > 1:
                out[f"state.out.{n}_conv"] = last
        parts.append(split(u, H))
    b = c.opt("lower_bound", 0.0)
    g = torch.log(b + (1 - b) * torch.sigmoid(parts[1]))
    o, out["state.out.s"] = scan(silu(parts[0]) * K ** -0.5, 1 - torch.exp(g), parts[2], g, c.state("s", B, H, K, dim // H))
    out["y"] = c.lin("o", rms(merge(o), c.opt("norm_eps", 1e-5)) * c.gain("norm.weight", dim), dim)
    return out


def based(c):
    dim, H, _, K, V = shape_of(c)
    T = c.x.shape[1]
    q, k, v = split(c.lin("q", c.x, H * K), H), split(c.lin("k", c.x, H * K), H), split(c.lin("v", c.x, H * V), H)
    if c.opt("feature", "taylor") == "rebased":
        w, b = c.gain("feature.weight", K), c.w("feature.bias", K)
        q, k = layer_norm(q, 1e-5) * w + b, layer_norm(k, 1e-5) * w + b
    z = q @ k.transpose(-1, -2) / math.sqrt(K)
    a = 1 + z + z * z / 2 if c.opt("feature", "taylor") == "taylor" else z * z
    if c.opt("causal"):
        a = a * (torch.arange(T)[None] <= torch.arange(T)[:, None])
    return {"y": c.lin("o", merge(a @ v / (a.sum(-1, keepdim=True) + c.opt("eps", 1e-6))), dim)}


def shifted(c, x):
    B, _, dim = x.shape
    return torch.cat([c.state("shift", B, dim, scale=1.0)[:, None], x[:, :-1]], 1)


def unit(c, name, *shape):
    return c.w(name, *shape, value=lambda: c.uniform(shape, 0.0, 1.0))


def rwkv4(c):
    dim, A = c.spec["dim"], c.opt("inner", c.spec["dim"])
    B, T, _ = c.x.shape
    last = shifted(c, c.x)
    u = {n: c.x * unit(c, "mix_" + n, dim) + last * (1 - unit(c, "mix_" + n, dim)) for n in "kvr"}
    k, v, r = c.lin("k", u["k"], A, False), c.lin("v", u["v"], A, False), torch.sigmoid(c.lin("r", u["r"], A, False))
    w, first = -torch.exp(c.w("decay", A)), c.w("first", A)
    num, den = c.state("num", B, A), c.state("den", B, A, value=lambda: c.uniform((B, A), 0.5, 2.0))
    top, outs = c.state("max", B, A, start=-1e38), []
    for t in range(T):
        kt, vt = k[:, t], v[:, t]
        p = torch.maximum(top, kt + first)
        a, b = torch.exp(top - p), torch.exp(kt + first - p)
        outs.append((a * num + b * vt) / (a * den + b))
        p = torch.maximum(top + w, kt)
        a, b = torch.exp(top + w - p), torch.exp(kt - p)
        num, den, top = a * num + b * vt, a * den + b, p
    y = c.lin("o", r * torch.stack(outs, 1), dim, False)
    return {"y": y, "state.out.shift": c.x[:, -1], "state.out.num": num, "state.out.den": den, "state.out.max": top}


def group_norm(c, o, eps):
    H, V = o.shape[1], o.shape[3]
    return merge(layer_norm(o, eps)) * c.gain("norm.weight", H * V) + c.w("norm.bias", H * V)


def rwkv6(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    rank = c.spec["mix_rank"]
    d = shifted(c, c.x) - c.x
    z = torch.tanh(c.lin("mix.down", c.x + d * unit(c, "mix.mu", dim), 5 * rank, False)).unflatten(-1, (5, rank))
    up, bias = c.w("mix.up.weight", dim, 5 * rank), c.w("mix.bias", 5, dim)
    u = [c.x + d * (z[:, :, n] @ up[:, n * rank:(n + 1) * rank].T + bias[n]) for n in range(5)]
    r, k, v = [split(c.lin(n, u[i], w, False), H) for n, i, w in (("r", 0, H * K), ("k", 2, H * K), ("v", 3, H * V))]
    w = -torch.exp(split(c.lin("decay.up", torch.tanh(c.lin("decay.down", u[1], c.spec["decay_rank"], False)), H * K, True), H))
    bonus, s, outs = c.w("bonus", H, K), c.state("s", B, H, K, V), []
    for t in range(T):
        kv = k[:, :, t, :, None] * v[:, :, t, None, :]
        outs.append((r[:, :, t, None, :] @ (s + bonus[..., None] * kv))[:, :, 0])
        s = torch.exp(w[:, :, t])[..., None] * s + kv
    y = group_norm(c, torch.stack(outs, 2), c.opt("norm_eps", 1e-5)) * silu(c.lin("gate", u[4], H * V, False))
    return {"y": c.lin("o", y, dim, False), "state.out.s": s, "state.out.shift": c.x[:, -1]}


def rwkv7(c):
    dim, H = c.spec["dim"], c.spec["heads"]
    K, B, T = dim // H, *c.x.shape[:2]
    V = c.opt("value_dim", K)
    d = shifted(c, c.x) - c.x
    u = {n: c.x + d * unit(c, "mix_" + n, dim) for n in "rwkvag"}

    def low(name, x, act, size, bias=True):
        return c.lin(name + ".up", act(c.lin(name + ".down", x, c.spec["ranks"][name], False)), size, bias)

    same = FEATURES["identity"]
    r, k, v = c.lin("r", u["r"], dim, False), c.lin("k", u["k"], dim, False), c.lin("v", u["v"], H * V, False)
    w = -math.exp(-0.5) * torch.sigmoid(low("w", u["w"], torch.tanh, dim))
    a, g = torch.sigmoid(low("a", u["a"], same, dim)), low("gate", u["g"], torch.sigmoid, H * V, False)
    out = {"state.out.shift": c.x[:, -1]}
    if c.opt("layer", 0) > 0:
        v = v + (c.input("v_first") - v) * torch.sigmoid(low("vres", u["v"], same, H * V))
    else:
        out["v_first"] = v
    kk = normalize(split(k * c.w("k_k", dim), H))
    k = k * (1 + (a - 1) * c.w("k_a", dim))
    r, w, a, k, v = split(r, H), split(w, H), split(a, H), split(k, H), split(v, H)
    s, outs = c.state("s", B, H, K, V), []
    for t in range(T):
        kt = kk[:, :, t]
        seen = -(kt[:, :, None, :] @ s)
        s = torch.exp(w[:, :, t])[..., None] * s + (kt * a[:, :, t])[..., None] * seen + k[:, :, t, :, None] * v[:, :, t, None, :]
        outs.append((r[:, :, t, None, :] @ s)[:, :, 0])
    y = group_norm(c, torch.stack(outs, 2), c.opt("norm_eps", 1e-5) * K)
    bonus = (r * k * c.w("r_k", H, K)[None, :, None]).sum(-1, keepdim=True) * v
    out["y"], out["state.out.s"] = c.lin("o", (y + merge(bonus)) * g, dim, False), s
    return out


def mlstm(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    q, k, v = split(c.lin("q", c.x, H * K), H), split(c.lin("k", c.x, H * K), H), split(c.lin("v", c.x, H * V), H)
    cap = c.opt("gate_cap", 15.0)
    i = cap * torch.tanh(c.lin("i", c.x, H, True) / cap)
    f = logsigmoid(cap * torch.tanh(c.lin("f", c.x, H, True) / cap))
    s, n, m, hs = c.state("s", B, H, K, V), c.state("n", B, H, K), c.state("m", B, H), []
    q = q / math.sqrt(K)
    for t in range(T):
        top = torch.maximum(f[:, t] + m, i[:, t])
        F, I = torch.exp(f[:, t] + m - top), torch.exp(i[:, t] - top)
        s = F[..., None, None] * s + I[..., None, None] * k[:, :, t, :, None] * v[:, :, t, None, :]
        n, m = F[..., None] * n + I[..., None] * k[:, :, t], top
        below = torch.maximum((q[:, :, t] * n).sum(-1).abs(), torch.exp(-m)) + c.opt("eps", 1e-6)
        hs.append((q[:, :, t, None, :] @ s)[:, :, 0] / below[..., None])
    y = torch.sigmoid(c.lin("gate", c.x, H * V)) * merge(layer_norm(torch.stack(hs, 2), c.opt("norm_eps", 1e-6))) * c.gain("norm.weight", H * V)
    return {"y": c.lin("o", y, dim), "state.out.s": s, "state.out.n": n, "state.out.m": m}


# ---- state spaces

def mamba(c):
    dim, D, N, R, W = (c.spec[k] for k in ("dim", "inner", "state", "rank", "conv"))
    B, T, _ = c.x.shape
    u, z = c.lin("in", masked(c, c.x), 2 * D).split(D, -1)
    u, conv = short_conv(c, "conv", u, "conv", W, c.opt("conv_bias", True))
    u = masked(c, silu(u))
    dt, b, cc = c.lin("x", u, R + 2 * N, False).split([R, N, N], -1)
    if c.opt("inner_norms"):
        dt, b, cc = [rms(t, c.opt("norm_eps", 1e-5)) * c.gain(n + "_norm.weight", t.shape[-1]) for n, t in (("dt", dt), ("b", b), ("c", cc))]
    dt = softplus(c.lin("dt", dt, D, True))
    a, h, ys = -torch.exp(c.w("a_log", D, N)), c.state("h", B, D, N), []
    for t in range(T):
        h = torch.exp(dt[:, t, :, None] * a) * h + (dt[:, t] * u[:, t])[..., None] * b[:, t, None, :]
        ys.append((h * cc[:, t, None, :]).sum(-1))
    out = {"y": c.lin("o", (torch.stack(ys, 1) + c.w("d", D) * u) * silu(z), dim), "state.out.h": h}
    if W > 1:
        out["state.out.conv"] = conv
    return out


def mamba2(c):
    dim, H, N, W = (c.spec[k] for k in ("dim", "heads", "state", "conv"))
    P, G = c.opt("value_dim", 2 * dim // H), c.opt("groups", 1)
    B, T, _ = c.x.shape
    z, u, dt = c.lin("in", masked(c, c.x), 2 * H * P + 2 * G * N + H).split([H * P, H * P + 2 * G * N, H], -1)
    u, conv = short_conv(c, "conv", u, "conv", W, c.opt("conv_bias", True))
    x, b, cc = masked(c, silu(u)).split([H * P, G * N, G * N], -1)
    dt = softplus(dt + c.w("dt.bias", H))
    low, high = c.opt("dt_limit", [None, None])
    dt = dt if low is None else torch.clamp(dt, min=low)
    dt = dt if high is None else torch.clamp(dt, max=high)
    x, dth = split(x, H), dt.transpose(1, 2)[..., None]
    b, cc = repeat_heads(split(b, G), H), repeat_heads(split(cc, G), H)
    o, s = scan(cc, b, dth * x, -torch.exp(c.w("a_log", H))[None, :, None, None] * dth, c.state("s", B, H, N, P))
    o = merge(o + c.w("d", H)[None, :, None, None] * x)

    def norm(y):
        parts = y.unflatten(-1, (c.opt("norm_groups", G), -1))
        return rms(parts, c.opt("norm_eps", 1e-5)).flatten(-2) * c.gain("norm.weight", H * P)

    y = norm(o) * silu(z) if c.opt("norm_before_gate") else norm(o * silu(z))
    out = {"y": c.lin("o", y, dim), "state.out.s": s}
    if W > 1:
        out["state.out.conv"] = conv
    return out


def s4d(c):
    dim, M, real = c.spec["dim"], c.spec["modes"], c.opt("real", False)
    B, T, _ = c.x.shape
    dt = torch.exp(c.w("log_dt", dim, value=lambda: c.uniform((dim,), -3.0, -0.5)))[:, None]
    a = -torch.exp(c.w("a_log", dim, M))
    if not real:
        a = torch.complex(a, c.w("a_imag", dim, M, value=lambda: c.normal((dim, M), 3.0)))
    if c.opt("discretisation", "zoh") == "zoh":
        ab = torch.exp(dt * a)
        bb = (ab - 1) / a
    else:
        ab, bb = (1 + dt * a / 2) / (1 - dt * a / 2), dt / (1 - dt * a / 2)

    def read(name):
        return c.w(name, dim, M) if real else torch.view_as_complex(c.w(name, dim, M, 2))

    def seen(weights, h):
        y = (weights * h).sum(-1)
        return y if real else 2 * y.real

    out_weights = read("c")
    two = c.opt("bidirectional", False)
    h = torch.zeros(B, dim, M, dtype=a.dtype) if two else c.state("h", B, dim, M) if real else torch.view_as_complex(c.state("h", B, dim, M, 2).contiguous())
    us = []
    for t in range(T):
        h = ab * h + bb * c.x[:, t, :, None]
        us.append(seen(out_weights, h))
    last = h
    if two:
        back, h = read("c_reverse"), torch.zeros(B, dim, M, dtype=a.dtype)
        for t in reversed(range(T)):
            us[t] = us[t] + seen(back, h)
            h = ab * h + bb * c.x[:, t, :, None]
    u = torch.stack(us, 1) + c.w("d", dim) * c.x
    p, g = c.lin("o", gelu(u), 2 * dim, True).chunk(2, -1)
    out = {"y": p * torch.sigmoid(g)}
    if not two:
        out["state.out.h"] = last if real else torch.view_as_real(last)
    return out


class Root(torch.autograd.Function):
    """sqrt whose slope is bounded: 1/sqrt(max(4v, 1e-6))"""
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return torch.sqrt(v)

    @staticmethod
    def backward(ctx, g):
        return g / torch.sqrt(torch.clamp(4 * ctx.saved_tensors[0], min=1e-6))


def rglru(c):
    dim, W, H = c.spec["dim"], c.opt("inner", c.spec["dim"]), c.opt("heads", 1)
    B, T, _ = c.x.shape
    gate = gelu_tanh(c.lin("gate", c.x, W, True))
    u, conv = short_conv(c, "conv", c.lin("in", c.x, W, True), "conv", c.opt("conv", 4), True)
    uh = u.unflatten(-1, (H, W // H))
    ig, rg = [torch.sigmoid(torch.einsum("bthi,hij->bthj", uh, c.w(n + ".weight", H, W // H, W // H)) + c.w(n + ".bias", H, W // H)).flatten(2)
              for n in ("input_gate", "recurrence_gate")]
    la = -8 * rg * softplus(c.w("lambda", W))
    h, started = c.state("h", B, W), "state.in.h" in c.inputs
    positions = c.input("positions")
    reset = torch.zeros(B, T, dtype=torch.bool) if started else (torch.arange(T) == 0).expand(B, T)
    reset = (reset if positions is None else positions == 0)[..., None]
    a = torch.where(reset, torch.zeros_like(la), torch.exp(la))
    root = torch.where(reset, torch.ones_like(la), Root.apply(1 - torch.exp(2 * la)))
    hs = []
    for t in range(T):
        h = a[:, t] * h + root[:, t] * u[:, t] * ig[:, t]
        hs.append(h)
    out = {"y": c.lin("o", torch.stack(hs, 1) * gate, dim, True), "state.out.h": h}
    if c.opt("conv", 4) > 1:
        out["state.out.conv"] = conv
    return out


def hyena(c):
    dim, n, N, E, F = c.spec["dim"], c.opt("order", 2), c.spec["max_len"], c.spec["embed"], c.spec["filter_dim"]
    B, T, _ = c.x.shape
    parts = short_conv(c, "conv", c.lin("in", c.x, (n + 1) * dim, True), "conv", c.opt("conv", 3), True)[0].split(dim, -1)
    t = torch.arange(N, dtype=torch.float64)[:, None]
    bands = (E - 1) // 2
    f = torch.linspace(1e-4, bands - 1, bands, dtype=torch.float64)[None]
    e = torch.cat([t / (N - 1), torch.cos(2 * math.pi * t * f / N), -torch.sin(2 * math.pi * t * f / N)], -1).to(c.dtype)
    last = c.spec["filter_layers"] - 1
    for j in range(last):
        e = torch.sin(c.w("freq", F) * c.lin(f"filter.{j}", e, F, True))
    k = c.lin(f"filter.{last}", e, (n - 1) * dim, False).unflatten(-1, (n - 1, dim))
    rate = torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, dim, dtype=torch.float64).abs()
    k = k * (torch.exp(-t / (N - 1) * rate) + c.opt("shift", 0.0)).to(c.dtype)[:, None]
    bias, v = c.w("filter_bias", n - 1, dim), parts[n]
    for o in range(n - 1):
        v = v * parts[n - 1 - o]
        v = torch.stack([sum(k[i - s, o] * v[:, s] for s in range(i + 1)) + bias[o] * v[:, i] for i in range(T)], 1)
    return {"y": c.lin("o", v * parts[0], dim, True)}


def fourier(c):
    B, T, dim = c.x.shape

    def dft(n):
        angle = -2 * math.pi * torch.outer(torch.arange(n, dtype=torch.float64), torch.arange(n, dtype=torch.float64)) / n
        return torch.complex(torch.cos(angle).to(c.dtype), torch.sin(angle).to(c.dtype))
    return {"y": (dft(T) @ c.x.to(dft(1).dtype) @ dft(dim)).real}


# ---- recurrent networks

def lstm_cell(ih, hh, c):
    i, f, g, o = (ih + hh).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_step(c, name, x, h, reset, bias):
    size = h.shape[-1]
    ih = c.lin(name + ".ih", x, 3 * size, bias)
    w, b = c.w(name + ".hh.weight", 3 * size, size), c.w(name + ".hh.bias", 3 * size) if bias else torch.zeros(3 * size, dtype=c.dtype)
    rz = torch.sigmoid(ih[..., :2 * size] + h @ w[:2 * size].T + b[:2 * size])
    r, z = rz.chunk(2, -1)
    inner = r * (h @ w[2 * size:].T + b[2 * size:]) if reset == "after" else (r * h) @ w[2 * size:].T + b[2 * size:]
    n = torch.tanh(ih[..., 2 * size:] + inner)
    return (1 - z) * n + z * h


def recurrent(c, is_lstm):
    h, layers, two, bias = c.spec["hidden"], c.opt("layers", 1), c.opt("bidirectional", False), c.opt("bias", True)
    B, T, _ = c.x.shape
    directions = 2 if two else 1
    mask = c.flags("mask")
    real = torch.ones(B, T, 1, dtype=torch.bool) if mask is None else mask[..., None]
    starts = [c.state(n, layers * directions, B, h) for n in (("h", "c") if is_lstm else ("h",))]
    x, lasts = c.x, [[], []]
    for l in range(layers):
        sides = []
        for d in range(directions):
            name, at = f"l{l}" + "r" * d, l * directions + d
            s, ys = [s[at] for s in starts], [None] * T
            for t in (reversed(range(T)) if d else range(T)):
                if is_lstm:
                    new = lstm_cell(c.lin(name + ".ih", x[:, t], 4 * h, bias), c.lin(name + ".hh", s[0], 4 * h, bias), s[1])
                else:
                    new = (gru_step(c, name, x[:, t], s[0], c.opt("reset", "after"), bias),)
                s = [torch.where(real[:, t], a, b) for a, b in zip(new, s)]
                ys[t] = s[0] * real[:, t].to(c.dtype)
            sides.append(torch.stack(ys, 1))
            for keep, value in zip(lasts, s):
                keep.append(value)
        x = torch.cat(sides, -1)
    out = {"y": x, "state.out.h": torch.stack(lasts[0])}
    if is_lstm:
        out["state.out.c"] = torch.stack(lasts[1])
    return out


def lstm(c):
    return recurrent(c, True)


def gru(c):
    return recurrent(c, False)


def slstm(c):
    dim, W, H = c.spec["dim"], c.opt("hidden", c.spec["dim"]), c.spec["heads"]
    B, T, _ = c.x.shape
    d = W // H
    pre = {n: c.lin(n, c.x, W, True).unflatten(-1, (H, d)) for n in ("i", "f", "z", "og")}
    rec = {n: c.w(n + ".recurrent", H, d, d) for n in pre}
    h, cc = c.state("h", B, H, d), c.state("c", B, H, d)
    n, m = c.state("n", B, H, d, value=lambda: c.uniform((B, H, d), 0.5, 2.0)), c.state("m", B, H, d)
    fresh, hs = "state.in.m" not in c.inputs, []
    for t in range(T):
        i, f, z, o = [pre[g][:, t] + torch.einsum("hij,bhj->bhi", rec[g], h) for g in ("i", "f", "z", "og")]
        f = logsigmoid(f)
        if t == 0 and fresh:
            top, keep = i, torch.zeros_like(i)
        else:
            top = torch.maximum(f + m, i)
            keep = torch.exp(f + m - top)
        new = torch.exp(i - top)
        cc, n, m = keep * cc + new * torch.tanh(z), keep * n + new, top
        h = torch.sigmoid(o) * cc / n
        hs.append(h)
    y = layer_norm(torch.stack(hs, 1), c.opt("norm_eps", 1e-5)).flatten(2) * c.gain("norm.weight", W)
    return {"y": c.lin("o", y, dim, False), "state.out.h": h, "state.out.c": cc, "state.out.n": n, "state.out.m": m}


def minrnn(c):
    dim, W = c.spec["dim"], c.opt("hidden", c.spec["dim"])
    B, T, _ = c.x.shape
    u = c.lin("h", c.x, W)
    if c.opt("candidate", "identity") == "positive":
        u = torch.where(u >= 0, u + 0.5, torch.sigmoid(u))
    if c.spec["cell"] == "gru":
        b = torch.sigmoid(c.lin("z", c.x, W))
        a = 1 - b
    else:
        f, i = torch.sigmoid(c.lin("f", c.x, W)), torch.sigmoid(c.lin("i", c.x, W))
        a, b = f / (f + i), i / (f + i)
    h, hs = c.state("h", B, W), []
    for t in range(T):
        h = a[:, t] * h + b[:, t] * u[:, t]
        hs.append(h)
    return {"y": c.lin("o", torch.stack(hs, 1), dim), "state.out.h": h}


# ---- attention before the Transformer

def additive(c):
    dim, h_dim, units = c.spec["dim"], c.spec["hidden"], c.spec["units"]
    m = c.input("memory")
    B, T, _ = c.x.shape
    mask = c.flags("memory_mask")
    h = torch.zeros(B, h_dim, dtype=c.dtype)
    started = c.state("h", B, h_dim)
    if "state.in.h" in c.inputs:
        h = started
    if c.opt("init", "zero") == "backward":  # the slots exist all the same
        first = torch.tanh(c.lin("init", m[:, 0, m.shape[-1] // 2:], h_dim, True))
        h = h if "state.in.h" in c.inputs else first
    key, v = c.lin("score.k", m, units, False), c.w("score.v", units)
    if c.opt("normed"):
        v = c.w("score.g", 1) * v / torch.sqrt((v * v).sum())
    bias = c.w("score.b", units) if c.opt("normed") else 0.0
    ys, ps = [], []
    for t in range(T):
        e = torch.tanh(c.lin("score.q", h, units, False)[:, None] + key + bias) @ v
        p = softmax(e, mask)
        ctx = (p[:, None] @ m)[:, 0]
        before = h
        h = gru_step(c, "cell", torch.cat([c.x[:, t], ctx], -1), h, c.opt("reset", "after"), True)
        if c.spec["readout"] == "none":
            ys.append(h)
        elif c.spec["readout"] == "linear":
            ys.append(c.lin("o", torch.cat([h, ctx], -1), c.spec["out"], True))
        else:
            s = before if c.opt("readout_state", "previous") == "previous" else h
            u = c.lin("o", torch.cat([s, c.x[:, t], ctx], -1), 2 * c.spec["out"], True)
            ys.append(u.unflatten(-1, (-1, 2)).amax(-1))
        ps.append(p)
    return {"y": torch.stack(ys, 1), "attention": torch.stack(ps, 1), "state.out.h": h}


def luong(c):
    dim, size = c.spec["dim"], c.spec["hidden"]
    m = c.input("memory")
    B, T, _ = c.x.shape
    S, mask = m.shape[1], c.flags("memory_mask")
    mask = torch.ones(B, S, dtype=torch.bool) if mask is None else mask
    h, cell, feed = c.state("h", B, size), c.state("c", B, size), c.state("feed", B, size)
    local, D, j = c.opt("local"), c.opt("window"), torch.arange(S)[None]
    key = m if c.spec["score"] == "dot" else c.lin("score.k", m, size if c.spec["score"] == "general" else c.spec["units"], False)
    start = int(c.input("state.in.position")[0]) if c.input("state.in.position") is not None else 0
    ys, ps = [], []
    for t in range(T):
        x = torch.cat([c.x[:, t], feed], -1) if c.opt("input_feeding") else c.x[:, t]
        h, cell = lstm_cell(c.lin("cell.ih", x, 4 * size, True), c.lin("cell.hh", h, 4 * size, True), cell)
        if c.spec["score"] == "concat":
            e = torch.tanh(c.lin("score.q", h, c.spec["units"], False)[:, None] + key) @ c.w("score.v", c.spec["units"])
        else:
            e = (key @ h[..., None])[..., 0]
        if c.opt("scaled"):
            e = e * c.w("score.g", 1)
        allowed, soft = mask, 1.0
        if local:
            p = torch.full((B, 1), float(start + t), dtype=c.dtype)
            if local == "predictive":
                units = c.spec["units"]
                p = mask.sum(-1, keepdim=True) * torch.sigmoid(torch.tanh(c.lin("position", h, units, False)) @ c.w("position.v", units))[:, None]
                c.near((j - p).abs() - D)
                soft = torch.exp(-(j - p) ** 2 / (2 * (D / 2) ** 2))
            allowed = mask & ((j - p).abs() <= D)
        a = softmax(e, allowed) * soft
        feed = torch.tanh(c.lin("o", torch.cat([(a[:, None] @ m)[:, 0], h], -1), size, False))
        ys.append(feed)
        ps.append(a)
    return {"y": torch.stack(ys, 1), "attention": torch.stack(ps, 1), "state.out.h": h, "state.out.c": cell, "state.out.feed": feed}
