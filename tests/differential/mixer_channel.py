"""Channel mixers by definition, and the two wirings of whole mixers."""
import torch

import mixer_attention
import mixer_recurrent
from mixer_attention import layer_norm, normalize, rms
from mixer_recurrent import gelu, gelu_tanh, shifted, silu, unit

ACT = {"relu": torch.relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "silu": silu,
       "relu2": lambda x: torch.relu(x) ** 2, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "identity": lambda x: x,
       "relu6": torch.nn.functional.relu6, "leaky_relu": torch.nn.functional.leaky_relu, "hardswish": torch.nn.functional.hardswish, "mish": torch.nn.functional.mish,
       "gelu_10": lambda x: gelu(x).clip(-10, 10), "laplace": lambda x: 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * 2 ** 0.5))),
       "sqrtsoftplus": lambda x: torch.nn.functional.softplus(x) ** 0.5}


def mlp(c):
    b, act = bool(c.opt("bias", False)), ACT[c.spec["activation"]]
    return {"y": c.lin("down", act(c.lin("up", c.x, c.spec["hidden"], b)), c.spec["dim"], b)}


def glu(c):
    b, act, h = bool(c.opt("bias", False)), ACT[c.spec["activation"]], c.spec["hidden"]
    return {"y": c.lin("down", act(c.lin("gate", c.x, h, b)) * c.lin("up", c.x, h, b), c.spec["dim"], b)}


def experts(c):
    """The experts as functions of rows."""
    E, h, dim, act = c.spec["experts"], c.spec["hidden"], c.spec["dim"], ACT[c.opt("activation", "silu")]
    up, down = c.w("experts.up.weight", E, h, dim), c.w("experts.down.weight", E, dim, h)
    gate = c.w("experts.gate.weight", E, h, dim) if c.spec["gated"] else None
    return [lambda x, e=e: (act(x @ gate[e].T) * (x @ up[e].T) if gate is not None else act(x @ up[e].T)) @ down[e].T for e in range(E)]


def best(c, score, n):
    if n < score.shape[-1]:
        top = score.topk(n + 1, -1).values
        c.near((top[..., :-1] - top[..., 1:])[torch.isfinite(top[..., 1:])])
    return score.topk(n, -1).indices


def choose(c, p, select):
    E = p.shape[-1]
    s = (p + select).detach() if select is not None else p.detach()
    if c.opt("groups"):
        groups = s.unflatten(-1, (c.spec["groups"], -1))
        n = c.opt("top_groups", c.spec["groups"])
        kept = best(c, groups.topk(min(2, groups.shape[-1]), -1).values.sum(-1), n)
        inside = torch.zeros_like(groups[..., 0], dtype=torch.bool).scatter(-1, kept, True)
        s = groups.masked_fill(~inside[..., None], float("-inf")).flatten(-2)
    return best(c, s, c.spec["top_k"])


def moe(c):
    dim, E, k = c.spec["dim"], c.spec["experts"], c.spec["top_k"]
    B, T, _ = c.x.shape
    l = c.lin("router", c.x, E, c.opt("router_bias", False))
    sigmoid = c.opt("router", "softmax") == "sigmoid"
    p = torch.sigmoid(l) if sigmoid else torch.softmax(l, -1)
    indices = choose(c, p, c.w("router.select_bias", E, buffer=True) if c.opt("select_bias") else None)
    g = p.gather(-1, indices)
    if c.opt("normalise"):
        g = g / (g.sum(-1, keepdim=True) + (1e-20 if sigmoid else 0.0))
    g = g * c.opt("scale", 1.0)
    kept = torch.ones(B, T, k, dtype=torch.uint8)
    if c.opt("capacity") is not None:
        for b in range(B):
            load = [0] * E
            for choice in range(k):
                for t in range(T):
                    e = indices[b, t, choice].item()
                    load[e] += 1
                    kept[b, t, choice] = load[e] <= c.spec["capacity"]
    g = g * kept
    all_y = torch.stack([f(c.x) for f in experts(c)], 2)
    y = sum(g[..., n:n + 1] * all_y.gather(2, indices[..., n, None, None].expand(-1, -1, 1, dim))[:, :, 0] for n in range(k))
    if c.opt("shared"):
        w, act = c.spec["shared"], ACT[c.opt("activation", "silu")]
        u = c.lin("shared.up", c.x, w, False)
        u = act(c.lin("shared.gate", c.x, w, False)) * u if c.spec["gated"] else act(u)
        s = c.lin("shared.down", u, dim, False)
        y = y + (s * torch.sigmoid(c.lin("shared_gate", c.x, 1, False)) if c.opt("shared_gate") else s)
    P = p / p.sum(-1, keepdim=True) if sigmoid else p
    f = torch.nn.functional.one_hot(indices, E).sum(2).to(c.dtype)
    if c.opt("aux", "batch") == "batch":
        aux = E * (f.mean((0, 1)) * P.mean((0, 1))).sum()
    else:
        aux = (E * (f.mean(1) * P.mean(1)).sum(-1)).mean()
    return {"y": y, "indices": indices, "weights": g, "kept": kept, "aux_loss": aux.reshape(1),
            "z_loss": (torch.logsumexp(l, -1) ** 2).mean().reshape(1)}


def expert_choice(c):
    E, C = c.spec["experts"], c.spec["capacity"]
    B, T, dim = c.x.shape
    p = torch.softmax(c.lin("router", c.x, E, False), -1).transpose(1, 2)
    indices = best(c, p.detach(), C)
    weights = p.gather(-1, indices)
    y = torch.zeros_like(c.x)
    for e, f in enumerate(experts(c)):
        at = indices[:, e, :, None].expand(-1, -1, dim)
        y = y.scatter_add(1, at, weights[:, e, :, None] * f(c.x.gather(1, at)))
    return {"y": y, "indices": indices, "weights": weights}


def soft_moe(c):
    dim, E, S = c.spec["dim"], c.spec["experts"], c.spec["slots"]
    slots = c.w("slots", dim, E * S)
    z = c.w("scale", 1) * (normalize(c.x) @ normalize(slots.T).T) if c.opt("normed") else c.x @ slots
    mask = c.flags("mask")
    d = mixer_attention.softmax(z.transpose(1, 2), None if mask is None else mask[:, None])
    rows = (d @ c.x).unflatten(1, (E, S))
    outs = torch.stack([f(rows[:, e]) for e, f in enumerate(experts(c))], 1).flatten(1, 2)
    return {"y": torch.softmax(z, -1) @ outs}


def rwkv_channel(c):
    dim, h = c.spec["dim"], c.spec["hidden"]
    last = shifted(c, c.x)
    mixed = {n: c.x * unit(c, "mix_" + n, dim) + last * (1 - unit(c, "mix_" + n, dim)) for n in ("kr" if c.opt("receptance", True) else "k")}
    y = c.lin("v", torch.relu(c.lin("k", mixed["k"], h, False)) ** 2, dim, False)
    if c.opt("receptance", True):
        y = y * torch.sigmoid(c.lin("r", mixed["r"], dim, False))
    return {"y": y, "state.out.shift": c.x[:, -1]}


# ---- wirings

class Part:
    """A case as seen by a part of it: its own spec and rows, weights and states behind a prefix."""
    def __init__(self, c, prefix, spec, x):
        self.c, self.prefix, self.spec, self.rows = c, prefix, spec, x
        self.dtype, self.inputs, self.leaves = c.dtype, c.inputs, {"x": x}

    x = property(lambda self: self.leaves["x"])

    def opt(self, key, default=None):
        value = self.spec.get(key, default)
        return default if value is None else value

    def input(self, name):
        return self.rows if name == "x" else self.c.input(name)

    def w(self, name, *shape, **how):
        return self.c.w(self.prefix + name, *shape, **how)

    def lin(self, name, x, out, bias=None):
        has = name in self.opt("bias", []) if bias is None else bias
        return self.c.lin(self.prefix + name, x, out, has)

    def gain(self, name, *shape):
        return self.c.gain(self.prefix + name, *shape)

    def state(self, name, *shape, start=0.0, **_):
        return torch.full(shape, start, dtype=self.dtype)

    def __getattr__(self, name):  # flags, near, normal, uniform
        return getattr(self.c, name)


def parallel(c):
    y = 0
    for n, branch in enumerate(c.spec["branches"]):
        u = reference(branch["mixer"])(Part(c, f"{n}.", branch["spec"], c.x))["y"]
        if branch.get("norm"):
            u = rms(u, branch["norm"]["eps"]) * c.gain(f"{n}.branch_norm.weight", c.spec["dim"])
        y = y + branch.get("scale", 1) * u
    return {"y": y}


def reversible(c):
    D, eps = c.spec["dim"] // 2, c.opt("norm_eps", 1e-5)
    x1, x2 = c.x.split(D, -1)
    n1 = layer_norm(x2, eps) * c.gain("norm1.weight", D) + c.w("norm1.bias", D)
    y1 = x1 + mixer_attention.attention(Part(c, "mixer.", c.spec["mixer"], n1))["y"]
    n2 = layer_norm(y1, eps) * c.gain("norm2.weight", D) + c.w("norm2.bias", D)
    y2 = x2 + mlp(Part(c, "ffn.", c.spec["ffn"], n2))["y"]
    return {"y": torch.cat([y1, y2], -1)}


def reference(mixer):
    for module in (mixer_attention, mixer_recurrent):
        if hasattr(module, mixer):
            return getattr(module, mixer)
    return globals()[mixer]
