"""Softmax attention and its relatives by definition: every row sees the keys of a set, written key by key or as a mask."""
import math

import torch

INF = math.inf


# ---- what the rows share

def split(x, heads):
    """[B,T,H*d] -> [B,H,T,d]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def rms(x, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def l2(x, eps=1e-6):
    return x / torch.sqrt((x * x).sum(-1, keepdim=True) + eps)


def normalize(x):
    return x / torch.clamp(torch.sqrt((x * x).sum(-1, keepdim=True)), min=1e-12)


def layer_norm(x, eps):
    m = x.mean(-1, keepdim=True)
    return (x - m) / torch.sqrt(((x - m) ** 2).mean(-1, keepdim=True) + eps)


def softmax(z, allowed=None, sink=None):
    """Over the allowed entries; none: 0. `sink` is one more logit whose probability is dropped."""
    if allowed is not None:
        z = z.masked_fill(~allowed, -INF)
    top = z.amax(-1, keepdim=True)
    if sink is not None:
        top = torch.maximum(top, sink)
    top = torch.where(torch.isinf(top), torch.zeros_like(top), top).detach()
    e = torch.exp(z - top)
    total = e.sum(-1, keepdim=True)
    if sink is not None:
        total = total + torch.exp(sink - top)
    return e / torch.where(total == 0, torch.ones_like(total), total)


def rope(x, positions, theta=10000.0, dim=None, pairing="half"):
    """x [B,H,T,d], positions [B or 1,T] -> the first dim channels turned."""
    d = dim or x.shape[-1]
    p = torch.arange(d // 2, dtype=torch.float64)
    angle = positions[:, None, :, None].to(torch.float64) * theta ** (-2.0 * p / d)
    cos, sin = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
    head, rest = x[..., :d], x[..., d:]
    if pairing == "half":
        a, b = head[..., : d // 2], head[..., d // 2:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)
    a, b = head[..., 0::2], head[..., 1::2]
    return torch.cat([torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2), rest], -1)


def xpos_scale(x, positions, base, pairing, sign):
    k = x.shape[-1]
    zeta = (2 * torch.arange(k // 2, dtype=torch.float64) + 0.4 * k) / (1.4 * k)
    s = (zeta ** (sign * positions[:, None, :, None].to(torch.float64) / base)).to(x.dtype)
    return x * (torch.cat([s, s], -1) if pairing == "half" else torch.repeat_interleave(s, 2, -1))


def rows(n):
    return torch.arange(n)[None]


def repeat_heads(x, heads):
    return torch.repeat_interleave(x, heads // x.shape[1], 1)


def attend(q, k, v, scale, bias=None, allowed=None, sink=None, softcap=0.0):
    """q [B,H,T,K], k and v [B,G,S,..] -> o [B,H,T,V], p"""
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    z = scale * (q @ k.transpose(-1, -2))
    if softcap:
        z = softcap * torch.tanh(z / softcap)
    p = softmax(z if bias is None else z + bias, allowed, sink)
    return p @ v, p


def shape_of(c):
    dim, heads = c.spec["dim"], c.spec["heads"]
    key = c.opt("key_dim", dim // heads)
    return dim, heads, c.opt("kv_heads", heads), key, c.opt("value_dim", key)


def project_qkv(c, m=None, bias=None):
    _, H, G, K, V = shape_of(c)
    m = c.x if m is None else m
    return split(c.lin("q", c.x, H * K, bias), H), split(c.lin("k", m, G * K, bias), G), split(c.lin("v", m, G * V, bias), G)


def order(T, S):
    i, j = torch.arange(T)[:, None], torch.arange(S)[None]
    return i, j


def keys_allowed(mask):
    return True if mask is None else mask[:, None, None, :]


# ---- attention

def alibi_slopes(heads):
    n = 2 ** int(math.floor(math.log2(heads)))
    return [2.0 ** (-8.0 * (h + 1) / n) for h in range(n)] + [2.0 ** (-4.0 * (2 * r + 1) / n) for r in range(heads - n)]


def t5_bucket(d, count, most, bidirectional):
    base = 0
    if bidirectional:
        count //= 2
        base = count if d > 0 else 0
        n = abs(d)
    else:
        n = max(-d, 0)
    e = count // 2
    if n < e:
        return base + n
    return base + min(count - 1, e + math.floor(math.log(n / e) / math.log(most / e) * (count - e)))


def qk_norm(c, name, x, heads):
    how = c.opt("qk_norm")
    if not how:
        return split(x, heads)
    everything = how.get("scope", "head") == "all"
    y = x if everything else split(x, heads)
    n, kind = y.shape[-1], how.get("kind", "rms")
    eps = how.get("eps", 1e-6)
    y = {"rms": rms, "layer": layer_norm, "l2": l2}[kind](y, eps) * c.gain(name + "_norm.weight", n)
    if kind == "layer":
        y = y + c.w(name + "_norm.bias", n)
    return split(y, heads) if everything else y


def position_bias(c, H, T, S):
    i, j = order(T, S)
    if c.opt("alibi"):
        slopes = torch.tensor(alibi_slopes(H), dtype=c.dtype)
        return -slopes[:, None, None] * (i - j).abs()
    if c.opt("t5_bias"):
        t5 = c.spec["t5_bias"]
        buckets = torch.tensor([[t5_bucket(b - a, t5["buckets"], t5["max_distance"], t5["bidirectional"]) for b in range(S)] for a in range(T)])
        return c.w("rel_bias.weight", t5["buckets"], H)[buckets].permute(2, 0, 1)
    return None


def allowed_pairs(c, T, S):
    i, j = order(T, S)
    left, right = c.opt("window", [None, None])
    a = torch.ones(1, 1, T, S, dtype=torch.bool)
    if c.opt("causal"):
        a = a & (j <= i)
    if left is not None:
        a = a & (i - j <= left)
    if right is not None:
        a = a & (j - i <= right)
    if c.input("prefix") is not None:
        a = a | (j < c.input("prefix")[:, None, None, None])
    segments = c.input("segments")
    if segments is not None:
        a = a & (segments[:, None, :, None] == segments[:, None, None, :])
    return a & keys_allowed(c.flags("memory_mask") if c.input("memory") is not None else c.flags("mask"))


def attention(c):
    dim, H, G, K, V = shape_of(c)
    m = c.x if c.input("memory") is None else c.input("memory")
    T, S = c.x.shape[1], m.shape[1]
    q, k = qk_norm(c, "q", c.lin("q", c.x, H * K), H), qk_norm(c, "k", c.lin("k", m, G * K), G)
    v = split(c.lin("v", m, G * V), G)
    tq = c.input("positions") if c.input("positions") is not None else rows(T)
    tk = tq if c.input("memory") is None else rows(S)
    if c.opt("rope") is not None:
        o = c.spec["rope"]
        turn = (o.get("theta", 10000.0), o.get("dim", K), o.get("pairing", "half"))
        q, k = rope(q, tq, *turn), rope(k, tk, *turn)
    if c.opt("xpos") is not None:
        base = c.spec["xpos"].get("base", 512)
        q = xpos_scale(rope(q, tq, pairing="interleaved"), tq, base, "interleaved", 1)
        k = xpos_scale(rope(k, tk, pairing="interleaved"), tk, base, "interleaved", -1)
    sink = c.w("sinks", H)[:, None, None] if c.opt("sinks") else None
    o, p = attend(q, k, v, c.opt("scale", K ** -0.5), position_bias(c, H, T, S), allowed_pairs(c, T, S), sink, c.opt("softcap", 0.0))
    return {"y": c.lin("o", merge(o), dim), "attention": p}


def self_attention(c, allowed, bias=None, scale=None, qkv=None):
    dim, _, _, K, _ = shape_of(c)
    q, k, v = qkv or project_qkv(c)
    o, _ = attend(q, k, v, scale or K ** -0.5, bias, allowed & keys_allowed(c.flags("mask")))
    return {"y": c.lin("o", merge(o), dim)}


def sparse(c):
    T, l = c.x.shape[1], c.spec["stride"]
    i, j = order(T, T)
    if c.spec["pattern"] == "strided":
        a0, a1 = (j <= i) & (i - j < l), (j <= i) & ((i - j) % l == 0)
    else:
        a0, a1 = (j <= i) & (i // l == j // l), (j <= i) & (j % l >= l - c.spec["summary"])
    if c.opt("combine", "merged") == "merged":
        return self_attention(c, (a0 | a1)[None, None])
    return self_attention(c, torch.stack([a0 if h % 2 == 0 else a1 for h in range(c.spec["heads"])])[None])


def chunk_count(T, C, before, after, causal, exact, wrap):
    if wrap and T <= C:
        n = torch.ones(T, T)
    else:
        chunks = -(-T // C)
        n = torch.zeros(T, T)
        for i in range(T):
            for j in range(T):
                for o in range(-before, after + 1):
                    at = i // C + o
                    n[i, j] += j // C == (at % chunks if wrap else at)
    i, j = order(T, T)
    if causal:
        n = n * (j <= i)
    if exact:
        n = n * ((i - j <= before * C) & (j - i <= after * C))
    return n


def local_chunk(c):
    T, C, after = c.x.shape[1], c.spec["chunk"], c.spec["after"]
    n = chunk_count(T, C, c.spec["before"], after, c.opt("causal"), c.opt("exact"), c.opt("wrap"))
    q, k, v = project_qkv(c)
    tq, tk = rows(T) + after * C, rows(T)
    if c.opt("rope") or c.opt("xpos") is not None:
        theta = (c.opt("rope") or {}).get("theta", 10000.0)
        q, k = rope(q, tq, theta), rope(k, tk, theta)
    if c.opt("xpos") is not None:
        q, k = xpos_scale(q, tq, c.spec["xpos"]["base"], "half", 1), xpos_scale(k, tk, c.spec["xpos"]["base"], "half", -1)
    return self_attention(c, (n > 0)[None, None], torch.log(torch.clamp(n, min=1)).to(c.dtype), qkv=(q, k, v))


def longformer(c):
    dim, H, G, K, V = shape_of(c)
    B, T, _ = c.x.shape
    listed = c.opt("bias", ["q", "k", "v", "o"])
    mask, marked = c.flags("mask"), c.flags("global_mask")
    mask = torch.ones(B, T, dtype=torch.bool) if mask is None else mask
    g = mask & marked if marked is not None else torch.zeros_like(mask)
    i, j = order(T, T)
    seen = torch.ones(T, T, dtype=torch.bool) if not c.opt("causal") else j <= i
    left, right = c.spec["window"]
    near = []
    for d in c.opt("dilation", [1] * H):
        a = (j - i) % d == 0
        a = a if left is None else a & (j - i >= -left * d)
        near.append(a if right is None else a & (j - i <= right * d))
    gj = g[:, None, None, :]
    local = ((torch.stack(near)[None] & ~gj) | gj) & seen & mask[:, None, None, :]
    q, k, v = [split(c.lin(n, c.x, w, n in listed), h) for n, w, h in (("q", H * K, H), ("k", G * K, G), ("v", G * V, G))]
    o, _ = attend(q, k, v, K ** -0.5, None, local)
    if c.opt("globals", True):
        q, k, v = [split(c.lin(n + "_global", c.x, w, n in listed), h) for n, w, h in (("q", H * K, H), ("k", G * K, G), ("v", G * V, G))]
        og, _ = attend(q, k, v, K ** -0.5, None, seen & mask[:, None, None, :])
        o = torch.where(g[:, None, :, None], og, o)
    o = o * mask[:, None, :, None].to(c.dtype)
    return {"y": c.lin("o", merge(o), dim, "o" in listed)}


def bigbird(c):
    dim, H, G, K, V = shape_of(c)
    B, T, _ = c.x.shape
    b, g, plan, mask = c.spec["block"], c.opt("extra", 0), c.input("plan"), c.flags("mask")
    ends = c.opt("ends", g == 0)
    n = (T - g) // b
    blocks = torch.zeros(H, n, n)
    for h in range(H):
        for x in range(n):
            if ends and x in (0, n - 1):
                blocks[h, x] = 1
                continue
            for y in {x - 1, x, x + 1} & set(range(n)) | ({0, n - 1} if ends else set()):
                blocks[h, x, y] += 1
            for y in plan[h, x - int(ends)].tolist():
                blocks[h, x, y] += 1
    count = torch.ones(H, T, T)
    count[:, g:, g:] = torch.repeat_interleave(torch.repeat_interleave(blocks, b, 1), b, 2)
    listed = c.opt("bias", ["q", "k", "v", "o"])
    q, k, v = [split(c.lin(n_, c.x, w, n_ in listed), h) for n_, w, h in (("q", H * K, H), ("k", G * K, G), ("v", G * V, G))]
    o, _ = attend(q, k, v, K ** -0.5, torch.log(torch.clamp(count, min=1)).to(c.dtype), (count > 0)[None] & keys_allowed(mask))
    if mask is not None:
        o = o * mask[:, None, :, None].to(c.dtype)
    return {"y": c.lin("o", merge(o), dim, "o" in listed)}


# ---- attention by choice

def hash_buckets(c, q, factors, mask):
    """[B,H,rounds,T] and the number of buckets."""
    B, H, T, K = q.shape
    turn = c.w("rotations", 1 if c.opt("shared_rotations") else H, K, c.spec["rounds"], sum(factors) // 2, buffer=True,
               value=lambda: c.normal((1 if c.opt("shared_rotations") else H, K, c.spec["rounds"], sum(factors) // 2)))
    r = torch.einsum("bhtk,hkre->bhrte", q.detach(), turn.expand(H, -1, -1, -1))
    bucket, weight, at = 0, 1, 0
    for f in factors:
        part = r[..., at:at + f // 2]
        both = torch.cat([part, -part], -1)
        two = both.topk(2, -1).values
        c.near(two[..., 0] - two[..., 1])
        bucket = bucket + weight * both.argmax(-1)
        weight, at = weight * f, at + f // 2
    if mask is not None and not mask.all():
        bucket = torch.where(mask[:, None, None, :], bucket, torch.full_like(bucket, weight))
        weight += 1
    return bucket, weight


def lsh_count(c, bucket, nb, b, h, T):
    """How often row i meets row j in neighbouring chunks of the sorted entries."""
    C, rounds = c.spec["chunk"], c.spec["rounds"]
    entries = sorted((r * nb + bucket[b, h, r, t].item(), t, r) for r in range(rounds) for t in range(T))
    chunks = len(entries) // C
    n = torch.zeros(T, T)
    for at, (_, i, r) in enumerate(entries):
        for o in range(-c.spec["before"], c.spec["after"] + 1):
            start = (at // C + o) % chunks * C
            for _, j, s in entries[start:start + C]:
                if c.opt("across_buckets", True) or (r == s and bucket[b, h, r, i] == bucket[b, h, s, j]):
                    n[i, j] += 1
    return n if c.opt("duplicates", True) else torch.clamp(n, max=1)


def lsh(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    listed = {True: ["o"], False: []}.get(c.opt("bias", False), c.opt("bias", False)) if isinstance(c.opt("bias", False), bool) else c.spec["bias"]
    q, v = split(c.lin("qk", c.x, H * K, "qk" in listed), H), split(c.lin("v", c.x, H * V, "v" in listed), H)
    k = rms(q, 1e-6) / math.sqrt(K) if c.opt("key_norm", "rms") == "rms" else normalize(q)
    mask = c.flags("mask")
    factors = c.spec["buckets"] if isinstance(c.spec["buckets"], list) else [c.spec["buckets"]]
    bucket, nb = hash_buckets(c, q, factors, mask)
    hashed = T > c.spec["chunk"] or c.opt("always_hash")
    n = torch.ones(B, H, T, T) if not hashed else torch.stack([torch.stack([lsh_count(c, bucket, nb, b, h, T) for h in range(H)]) for b in range(B)])
    i, j = order(T, T)
    allowed = (n > 0) & (i != j) & keys_allowed(mask)
    if c.opt("causal"):
        allowed = allowed & (j <= i)
    alone = ~allowed.any(-1, keepdim=True) & (i == j)
    z = c.opt("scale", 1.0) * (q @ k.transpose(-1, -2)) + torch.log(torch.clamp(n, min=1)).to(c.dtype)
    o = softmax(z, allowed | alone) @ v
    out = {"y": c.lin("o", merge(o), dim, "o" in listed)}
    if hashed:
        out["buckets"] = bucket
    return out


def choose_rows(c, score, n):
    """The n largest along the last dimension, best first."""
    top = score.detach().topk(min(n + 1, score.shape[-1]), -1).values
    c.near(top[..., :-1] - top[..., 1:])
    return score.detach().topk(n, -1).indices


def routed(c, R, K):
    B, T, _ = c.x.shape
    C, M, shared = c.spec["clusters"], c.opt("memory_slots", 0), c.opt("shared_qk")
    q, v = split(c.lin("q", c.x, R * K, False), R), split(c.lin("v", c.x, R * K, False), R)
    qn = normalize(q)
    k = qn if shared else split(c.lin("k", c.x, R * K, False), R)
    kn = qn if shared else normalize(k)
    mu = c.w("centroids", R, C, K, buffer=True, value=lambda: normalize(c.normal((R, C, K))))
    n = min(c.spec["window"], T)
    qi = choose_rows(c, (qn @ mu.transpose(-1, -2)).transpose(-1, -2), n)
    ki = choose_rows(c, (kn @ mu.transpose(-1, -2)).transpose(-1, -2), n)
    mask = c.flags("mask")
    mem = (c.w("mem_k", R, C, M, K), c.w("mem_v", R, C, M, K)) if M else None
    outs = []
    for b in range(B):
        for h in range(R):
            acc, cnt = torch.zeros(T, K, dtype=c.dtype), torch.zeros(T, 1, dtype=c.dtype)
            for e in range(C):
                a, s = qi[b, h, e], ki[b, h, e]
                z = q[b, h, a] @ k[b, h, s].T / math.sqrt(K)
                ok = torch.ones(n, n, dtype=torch.bool)
                if c.opt("causal"):
                    ok &= s[None, :] <= a[:, None]
                if mask is not None:
                    ok &= mask[b, a][:, None] & mask[b, s][None, :]
                same = s[None, :] == a[:, None]
                if shared:
                    z = z.masked_fill(same, -5e4)
                    ok = ok | same
                vv = v[b, h, s]
                if M:
                    z = torch.cat([q[b, h, a] @ mem[0][h, e].T / math.sqrt(K), z], 1)
                    ok = torch.cat([torch.ones(n, M, dtype=torch.bool), ok], 1)
                    vv = torch.cat([mem[1][h, e], vv], 0)
                none = ~ok.any(-1, keepdim=True)
                p = softmax(torch.where(none, torch.zeros_like(z), z), ok | none)
                acc = acc.index_add(0, a, p @ vv)
                cnt = cnt.index_add(0, a, torch.ones(n, 1, dtype=c.dtype))
            outs.append(acc / (cnt + 1e-5))
    o = torch.stack(outs).view(B, R, T, K)
    u = qn if shared else torch.cat([qn, kn], 2)
    near = u.detach() @ mu.transpose(-1, -2)
    if C > 1:
        two = near.topk(2, -1).values
        c.near(two[..., 0] - two[..., 1])
    chosen = torch.gather(mu[None].expand(B, -1, -1, -1), 2, near.argmax(-1)[..., None].expand(-1, -1, -1, K))
    return o, c.opt("commitment", 1e-4) * ((u - chosen) ** 2).mean(), qi


def routing(c):
    dim, H, _, K, _ = shape_of(c)
    T, L = c.x.shape[1], c.opt("local_heads", 0)
    out, parts = {}, []
    if L:
        q, k, v = [split(c.lin("local." + n, c.x, L * K, True), L) for n in "qkv"]
        radius = c.opt("local_radius", 1)
        n = chunk_count(T, c.opt("local_chunk", c.spec["window"]), radius, 0 if c.opt("causal") else radius, c.opt("causal"), False, False)
        shift = 0 if c.opt("causal") else radius * c.opt("local_chunk", c.spec["window"])
        parts.append(attend(rope(q, rows(T) + shift), rope(k, rows(T)), v, K ** -0.5, None, (n > 0) & keys_allowed(c.flags("mask")))[0])
    if H > L:
        o, out["aux_loss"], out["members"] = routed(c, H - L, K)
        out["aux_loss"] = out["aux_loss"].reshape(1)
        parts.append(o)
    out["y"] = c.lin("o", merge(torch.cat(parts, 1)), dim, False)
    return out


# ---- axes, projections, landmarks

def axial(c):
    dim, H, _, K, _ = shape_of(c)
    shape, B = c.spec["shape"], c.x.shape[0]
    y, total = c.x, 0
    for m, n in enumerate(shape):
        name = f"axis{m}."
        grid = y.view(B, *shape, dim).movedim(m + 1, -2)
        lead = grid.shape[:-2]
        x = grid.reshape(-1, n, dim)
        q, k, v = [split(c.lin(name + w, x, H * K, False), H) for w in "qkv"]
        i, j = order(n, n)
        o, _ = attend(q, k, v, K ** -0.5, None, j <= i if c.opt("causal") else None)
        a = c.lin(name + "o", merge(o), dim, True).view(*lead, n, dim).movedim(-2, m + 1).reshape(B, -1, dim)
        total = total + a
        y = a if c.opt("combine", "sum") == "sequential" else y
    return {"y": y if c.opt("combine", "sum") == "sequential" else total}


def linformer(c):
    dim, H, G, K, V = shape_of(c)
    S, r, N = c.x.shape[1], c.spec["rank"], c.spec["max_len"]
    wise = (H, N, r) if c.opt("headwise") else (N, r)
    listed = c.opt("bias", ["o"])
    q, k = split(c.lin("q", c.x, H * K, "q" in listed), H), split(c.lin("k", c.x, G * K, "k" in listed), G)
    v = k if c.opt("share_kv") else split(c.lin("v", c.x, G * V, "v" in listed), G)
    e = c.w("proj_k", *wise)
    f = e if c.opt("share_kv") or c.opt("share_proj") else c.w("proj_v", *wise)
    if c.flags("mask") is not None:
        real = c.flags("mask")[:, None, :, None].to(c.dtype)
        k, v = k * real, v * real
    k, v = repeat_heads(k, H), repeat_heads(v, H)
    k, v = e[..., :S, :].transpose(-1, -2) @ k, f[..., :S, :].transpose(-1, -2) @ v
    return {"y": c.lin("o", merge(softmax(q @ k.transpose(-1, -2) / math.sqrt(K)) @ v), dim, "o" in listed)}


def nystrom(c):
    dim, H, _, K, V = shape_of(c)
    B, T, _ = c.x.shape
    L, listed = c.spec["landmarks"], c.opt("bias", ["q", "k", "v", "o"])
    q, k, v = [split(c.lin(n, c.x, w, n in listed), H) for n, w in (("q", H * K), ("k", H * K), ("v", H * V))]
    q, k = q * K ** -0.25, k * K ** -0.25
    ql, kl = [t.unflatten(2, (L, T // L)).mean(3) for t in (q, k)]
    k1, k2 = softmax(q @ kl.transpose(-1, -2)), softmax(ql @ kl.transpose(-1, -2))
    mask = c.flags("mask")
    k3 = softmax(ql @ k.transpose(-1, -2), None if mask is None else mask[:, None, None, :])
    z = k2.transpose(-1, -2) / k2.sum(-2).max()
    one = torch.eye(L, dtype=c.dtype)
    for _ in range(6):
        a = k2 @ z
        z = z / 4 @ (13 * one - a @ (15 * one - a @ (7 * one - a)))
    o = k1 @ z @ (k3 @ v)
    if c.opt("conv"):
        w = c.w("conv.weight", H, 1, c.spec["conv"])
        half = c.spec["conv"] // 2
        padded = torch.nn.functional.pad(v, (0, 0, half, half))
        o = o + sum(w[None, :, :, t:t + 1] * padded[:, :, t:t + T] for t in range(c.spec["conv"]))
    return {"y": c.lin("o", merge(o), dim, "o" in listed)}


def mla(c):
    dim, H = c.spec["dim"], c.spec["heads"]
    N, R, V = c.spec["nope_dim"], c.spec["rope_dim"], c.opt("value_dim", c.spec.get("nope_dim"))
    T, eps = c.x.shape[1], c.opt("norm_eps", 1e-6)
    if c.opt("q_rank"):
        down = rms(c.lin("q.down", c.x, c.spec["q_rank"]), eps) * c.gain("q_norm.weight", c.spec["q_rank"])
        q = split(c.lin("q.up", down, H * (N + R)), H)
    else:
        q = split(c.lin("q", c.x, H * (N + R)), H)
    rank = c.spec["kv_rank"]
    down = c.lin("kv.down", c.x, rank + R)
    up = split(c.lin("kv.up", rms(down[..., :rank], eps) * c.gain("kv_norm.weight", rank), H * (N + V)), H)
    o = c.opt("rope", {})
    turn = (o.get("theta", 10000.0), R, o.get("pairing", "half"))
    t = c.input("positions") if c.input("positions") is not None else rows(T)
    q = torch.cat([q[..., :N], rope(q[..., N:], t, *turn)], -1)
    k = torch.cat([up[..., :N], rope(split(down[..., rank:], 1), t, *turn).expand(-1, H, -1, -1)], -1)
    i, j = order(T, T)
    allowed = (j <= i if c.opt("causal") else j >= 0) & keys_allowed(c.flags("mask"))
    segments = c.input("segments")
    if segments is not None:
        allowed = allowed & (segments[:, None, :, None] == segments[:, None, None, :])
    y, _ = attend(q, k, up[..., N:], c.opt("scale", (N + R) ** -0.5), None, allowed)
    return {"y": c.lin("o", merge(y), dim)}


def differential(c):
    dim, H, G, K, V = shape_of(c)
    T = c.x.shape[1]
    q, k, v = project_qkv(c)
    if c.opt("rope") is not None:
        o = c.spec["rope"]
        t = c.input("positions") if c.input("positions") is not None else rows(T)
        turn = (o.get("theta", 10000.0), o.get("dim", K), o.get("pairing", "half"))
        q, k = rope(q, t, *turn), rope(k, t, *turn)
    i, j = order(T, T)
    allowed = (j <= i if c.opt("causal") else j >= 0) & keys_allowed(c.flags("mask"))
    pairs = []
    for h in range(H):
        kv = h // (H // G)
        g = kv % (G // 2)
        both = torch.cat([v[:, g], v[:, g + G // 2]], -1)
        pairs.append(attend(q[:, h:h + 1], k[:, kv:kv + 1], both[:, None], K ** -0.5, None, allowed)[0])
    a = torch.cat(pairs, 1)
    init = c.opt("lambda_init", 0.8 - 0.6 * math.exp(-0.3 * c.opt("layer", 0)))
    l = [c.w("lambda_" + n, K) for n in ("q1", "k1", "q2", "k2")]
    lam = torch.exp((l[0] * l[1]).sum()) - torch.exp((l[2] * l[3]).sum()) + init
    o = (1 - init) * rms(a[:, : H // 2] - lam * a[:, H // 2:], c.opt("norm_eps", 1e-5))
    return {"y": c.lin("o", merge(o), dim)}
