#!/usr/bin/env python3
"""Random recipes of training through `weft verify`, against torch and transformers in float64.

    pip install torch transformers safetensors
    tests/differential/compare_training.py [--weft build/weft] [--count 100] [--seed 1] [--keep DIR]

A third of the cases are optimizers with random options, shapes and gradients, a third schedules, the rest traces of small models: batches,
accumulation, clipping, no_decay, averages. What torch does not have (lion, lamb, muon in exact arithmetic) is written out. Folders that do
not pass stay in --keep. Exit code 1 when anything differs. Not part of `make test`: it needs Python and the packages.
"""
import collections
import copy
import json
import math
import os
import random
import shutil
import sys
import tempfile
import warnings

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import optimization

import compare_adapters
import fixture_case

# ---- optimizers: a maker for torch, from parameters and options


class Written(torch.optim.Optimizer):
    """An optimizer of one rule per parameter: rule(p, g, state, options)."""
    def __init__(self, groups, rule, options):
        super().__init__(groups, options)
        self.rule = rule

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    s = self.state[p]
                    s["t"] = s.get("t", 0) + 1
                    self.rule(p, p.grad, s, group)


def lion(p, g, s, o):
    m, (b1, b2) = s.setdefault("m", torch.zeros_like(p)), o["betas"]
    p.mul_(1 - o["lr"] * o["weight_decay"])
    p.sub_(o["lr"] * torch.sign(b1 * m + (1 - b1) * g))
    s["m"] = b2 * m + (1 - b2) * g


def lamb(p, g, s, o):
    (b1, b2), t = o["betas"], s["t"]
    s["m"] = b1 * s.get("m", torch.zeros_like(p)) + (1 - b1) * g
    s["v"] = b2 * s.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
    u = s["m"] / (1 - b1 ** t) / ((s["v"] / (1 - b2 ** t)).sqrt() + o["eps"]) + o["weight_decay"] * p
    a, b = p.norm(), u.norm()
    p.sub_(o["lr"] * (a / b if a > 0 and b > 0 else 1.0) * u)


def muon(p, g, s, o):
    mu = o["momentum"]
    s["buf"] = mu * s.get("buf", torch.zeros_like(p)) + (1 - mu) * g
    x = (1 - mu) * g + mu * s["buf"] if o["nesterov"] else s["buf"]
    rows, cols = x.shape
    a, b, c = o["ns_coefficients"]
    x = x.T if rows > cols else x
    x = x / max(x.norm(), o["eps"])
    for _ in range(o["ns_steps"]):
        y = x @ x.T
        x = a * x + (b * y + c * y @ y) @ x
    x = x.T if rows > cols else x
    f = {"original": math.sqrt(max(1, rows / cols)), "match_rms_adamw": 0.2 * math.sqrt(max(rows, cols)), "spectral_unclamped": math.sqrt(rows / cols)}
    p.mul_(1 - o["lr"] * o["weight_decay"])
    p.sub_(o["lr"] * f[o["adjust_lr_fn"]] * x)


def written(rule):
    return lambda groups, o: Written(groups, rule, o)


def renamed(cls, **names):
    def make(groups, o):
        return cls(groups, **{names.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in o.items()})
    return make


def betas(r):
    return [r.choice((0.9, 0.5, 0.0)), r.choice((0.999, 0.95, 0.8))]


OPTIMIZERS = {
    "sgd": (renamed(torch.optim.SGD), lambda r: r.choice(({"momentum": 0.0, "dampening": 0.0, "nesterov": False}, {"momentum": 0.9, "dampening": r.choice((0.0, 0.3)), "nesterov": False},
                                                          {"momentum": 0.7, "dampening": 0.0, "nesterov": True}))),
    "adam": (renamed(torch.optim.Adam), lambda r: {"betas": betas(r), "eps": r.choice((1e-8, 1e-3)), "amsgrad": r.random() < 0.5}),
    "adamw": (renamed(torch.optim.AdamW), lambda r: {"betas": betas(r), "eps": r.choice((1e-8, 1e-3)), "amsgrad": r.random() < 0.5}),
    "rmsprop": (renamed(torch.optim.RMSprop), lambda r: {"alpha": r.choice((0.9, 0.99, 0.5)), "eps": r.choice((1e-8, 1e-3)), "centered": r.random() < 0.5, "momentum": r.choice((0.0, 0.8))}),
    "adagrad": (renamed(torch.optim.Adagrad), lambda r: {"eps": r.choice((1e-10, 1e-3)), "initial_accumulator_value": r.choice((0.0, 0.1)), "lr_decay": r.choice((0.0, 0.05))}),
    "adadelta": (renamed(torch.optim.Adadelta), lambda r: {"rho": r.choice((0.9, 0.5)), "eps": r.choice((1e-6, 1e-3))}),
    "adamax": (renamed(torch.optim.Adamax), lambda r: {"betas": betas(r), "eps": r.choice((1e-8, 1e-3))}),
    "nadam": (renamed(torch.optim.NAdam), lambda r: {"betas": [r.choice((0.9, 0.5)), 0.999], "eps": r.choice((1e-8, 1e-3)), "momentum_decay": r.choice((0.004, 0.1))}),
    "radam": (renamed(torch.optim.RAdam), lambda r: {"betas": [r.choice((0.9, 0.5)), r.choice((0.999, 0.95, 0.8))], "eps": r.choice((1e-8, 1e-3))}),
    "lion": (written(lion), lambda r: {"betas": [r.choice((0.9, 0.5)), r.choice((0.99, 0.8))]}),
    "lamb": (written(lamb), lambda r: {"betas": betas(r), "eps": r.choice((1e-6, 1e-3))}),
    "adafactor": (renamed(optimization.Adafactor), lambda r: r.choice((
        {"lr": None, "relative_step": True, "warmup_init": r.random() < 0.5}, {"lr": 0.05, "relative_step": False, "warmup_init": False})) | {
            "eps": [1e-30, r.choice((1e-3, 0.1))], "clip_threshold": r.choice((1.0, 0.5)), "decay_rate": r.choice((-0.8, -0.5)), "beta1": r.choice((None, 0.9)),
            "scale_parameter": r.random() < 0.6}),
    "adafactor_torch": (renamed(torch.optim.Adafactor), lambda r: {"beta2_decay": r.choice((-0.8, -0.5)), "eps": [r.choice((None, 1e-10)), r.choice((1e-3, 0.1))], "d": r.choice((1.0, 2.0))}),
    "muon": (written(muon), lambda r: {"momentum": r.choice((0.95, 0.5)), "nesterov": r.random() < 0.5, "eps": 1e-7, "ns_coefficients": [3.4445, -4.775, 2.0315],
                                       "ns_steps": r.choice((1, 3, 5)), "adjust_lr_fn": r.choice(("original", "match_rms_adamw", "spectral_unclamped"))}),
}
NO_DECAY = ("sgd", "adam", "adamw", "lion", "lamb", "rmsprop", "adagrad")


def optimizer_spec(r, names=tuple(OPTIMIZERS)):
    name = r.choice(names)
    spec = {"name": name, "lr": r.choice((0.05, 0.01, 0.3)), "weight_decay": r.choice((0.0, 0.1))} | OPTIMIZERS[name][1](r)
    if name in NO_DECAY and r.random() < 0.5:
        spec["no_decay"] = "1-D"
    return spec


def make_optimizer(spec, parameters):
    o = {k: v for k, v in spec.items() if k not in ("name", "no_decay")}
    if spec["name"] == "adafactor_torch":
        o["eps"] = tuple(o["eps"])
    groups = [{"params": [p for p in parameters if p.ndim >= 2]}, {"params": [p for p in parameters if p.ndim < 2]}]
    if spec.get("no_decay"):
        groups[1]["weight_decay"] = 0.0
    return OPTIMIZERS[spec["name"]][0]([g for g in groups if g["params"]], o)


def trace_optimizer(spec, start, gradients, dtype):
    params = {n: torch.nn.Parameter(p.to(dtype).clone()) for n, p in start.items()}
    o = make_optimizer(spec, list(params.values()))
    out = {n: [] for n in params}
    for s in range(len(next(iter(gradients.values())))):
        for n, p in params.items():
            p.grad = gradients[n][s].to(dtype)
        o.step()
        for n, p in params.items():
            out[n].append(p.detach().clone())
    return {n: torch.stack(t) for n, t in out.items()}


def single(t):
    return t.float().contiguous()


def write_folder(folder, fixture, inputs, want):
    os.makedirs(folder, exist_ok=True)
    fixture = {"format": 1, "name": os.path.basename(folder), "reference": "torch, float64"} | fixture
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump(fixture, f, indent=1)
    if inputs:
        save_file({n: single(t) if t.is_floating_point() else t.contiguous() for n, t in inputs.items()}, os.path.join(folder, "inputs.safetensors"))
    save_file({n: t.double().contiguous() if t.dtype == torch.float64 else t for n, t in want.items()}, os.path.join(folder, "expected.safetensors"))


def optimizer_case(folder, r, g):
    spec, steps = optimizer_spec(r), r.choice((1, 3, 6, 12))
    start = {"w": torch.randn(r.choice(((6, 4), (1, 5), (3, 8), (7, 7))), generator=g), "b": torch.randn((5,), generator=g)}
    if spec["name"] == "muon":
        start["b"] = torch.randn((4, 9), generator=g)
    elif r.random() < 0.4:
        start["c"] = torch.randn((3, 4, 2), generator=g)
    gradients = {n: torch.randn((steps, *p.shape), generator=g) * r.choice((1.0, 1e-3, 30.0)) for n, p in start.items()}
    want = trace_optimizer(spec, start, gradients, torch.float64)
    rough = fixture_case.errors(trace_optimizer(spec, start, gradients, torch.float32), want)[0]
    if max(rough.values()) > 1e-3:
        raise fixture_case.Unfit("a sign hangs on a rounding")
    inputs = {"param." + n: p for n, p in start.items()} | {"gradient." + n: p for n, p in gradients.items()}
    write_folder(folder, {"kind": "dynamics", "dynamics": "optimizer", "steps": steps, "spec": spec, "tolerance": {n: max(1e-5, 10 * e) for n, e in rough.items()}}, inputs, want)


# ---- schedules

def schedule_spec(r, total):
    name = r.choice(("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "cosine_with_min_lr",
                     "cosine_warmup_with_min_lr", "warmup_stable_decay"))
    spec = {"name": name}
    if name != "constant":
        spec["warmup_steps"] = r.choice((0, 1, 3, 5))
    if name not in ("constant", "constant_with_warmup", "inverse_sqrt"):
        spec["total_steps"] = total

    def put(key, *values):
        if r.random() < 0.6:
            spec[key] = r.choice(values)
    if name == "cosine":
        put("num_cycles", 0.5, 1.5, 0.3)
    elif name == "cosine_with_restarts":
        put("num_cycles", 1, 2, 3)
    elif name == "polynomial":
        put("power", 1.0, 2.0, 0.5)
        put("lr_end", 1e-4, 1e-7)
    elif name == "inverse_sqrt":
        put("timescale", 3, 9, 100)
    elif name in ("cosine_with_min_lr", "cosine_warmup_with_min_lr"):
        spec.update(r.choice(({"min_lr": 2e-4}, {"min_lr_rate": 0.1}, {"min_lr_rate": 0.0})))
        if name == "cosine_with_min_lr":
            put("num_cycles", 0.5, 1.5)
        else:
            put("warmup_lr_rate", 0.3, 0.0, 1.0)
    elif name == "warmup_stable_decay":
        spec["num_decay_steps"] = r.choice((1, 4, 6))
        if r.random() < 0.4:
            spec["num_stable_steps"] = r.choice((0, 3, 8))
            spec.pop("total_steps")
        put("min_lr_ratio", 0.1, 0.5, 0.0)
        put("warmup_type", "linear", "cosine", "1-sqrt")
        put("decay_type", "linear", "cosine", "1-sqrt")
        put("num_cycles", 0.5, 1.5)
    return spec


def schedule_of(spec, optimizer):
    o = {"num_" + k if k in ("warmup_steps",) else {"total_steps": "num_training_steps"}.get(k, k): v for k, v in spec.items() if k != "name"}
    make = {"constant": optimization.get_constant_schedule, "constant_with_warmup": optimization.get_constant_schedule_with_warmup,
            "linear": optimization.get_linear_schedule_with_warmup, "cosine": optimization.get_cosine_schedule_with_warmup,
            "cosine_with_restarts": optimization.get_cosine_with_hard_restarts_schedule_with_warmup,
            "polynomial": optimization.get_polynomial_decay_schedule_with_warmup, "inverse_sqrt": optimization.get_inverse_sqrt_schedule,
            "cosine_with_min_lr": optimization.get_cosine_with_min_lr_schedule_with_warmup,
            "cosine_warmup_with_min_lr": optimization.get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
            "warmup_stable_decay": optimization.get_wsd_schedule}[spec["name"]]
    return make(optimizer, **o)


def sgd_of(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def reactive(r):
    if r.random() < 0.5:
        return {"name": "reduce_lr_on_plateau", "mode": r.choice(("min", "max")), "factor": r.choice((0.5, 0.3, 0.9)), "patience": r.choice((0, 1, 3)), "threshold": r.choice((1e-4, 0.05)),
                "threshold_mode": r.choice(("rel", "abs")), "cooldown": r.choice((0, 1, 3)), "min_lr": r.choice((0.0, 1e-3, 1e-2)), "eps": r.choice((1e-8, 1e-3))}
    spec = {"name": "greedy", "mode": r.choice(("min", "max")), "factor": r.choice((0.5, 0.8)), "patience": r.choice((0, 1, 3)), "threshold": r.choice((1e-6, 0.01)), "threshold_mode": r.choice(("rel", "abs")),
            "cooldown": r.choice((0, 1, 2)), "warmup": r.choice((0, 1, 2)), "min_lr": r.choice((1e-3, 1e-2)), "max_lr": r.choice((0.1, 1.0)), "eps": 1e-8, "smooth": r.random() < 0.5,
            "reset_start": r.choice((0, 2, 3, 500))}
    if spec["smooth"]:
        spec["window_size"] = r.choice((1, 3, 5))
    return spec


def schedule_case(folder, r, g):
    steps, cases, inputs, want = r.choice((8, 25, 40)), [], {}, {}
    for n in range(r.choice((1, 2, 3))):
        moving = r.random() < 0.35
        base = r.choice((0.02, 0.05)) if moving else 0.003
        spec = reactive(r) if moving else schedule_spec(r, r.choice((8, 12, 20, 30)))
        optimizer, rates = sgd_of(base), []
        o = {k: v for k, v in spec.items() if k != "name"}
        if moving:
            kind = torch.optim.lr_scheduler.ReduceLROnPlateau if spec["name"] == "reduce_lr_on_plateau" else optimization.GreedyLR
            s = kind(optimizer, **o)
            inputs[f"metric.{n}"] = (torch.cumsum(torch.randn(steps, generator=g) * 0.1, 0) + r.choice((1.0, 3.0))).float()
        else:
            s = schedule_of(spec, optimizer)
        for t in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            s.step(inputs[f"metric.{n}"][t].item()) if moving else s.step()
        cases.append(spec | {"base_lr": base})
        want[f"lr.{n}"] = torch.tensor(rates, dtype=torch.float64)
    write_folder(folder, {"kind": "dynamics", "dynamics": "lr_schedule", "spec": {"cases": cases, "steps": steps}, "tolerance": {n: 1e-6 for n in want}}, inputs, want)


# ---- traces of models

def losses_of(model, rows, shifted, kind):
    """The loss of one update: a list of what is back-propagated."""
    if kind != "global":
        return [model(**x).loss / len(rows) for x in rows]
    count = sum((x["labels"][..., 1:] if shifted else x["labels"]).ne(-100).sum() for x in rows)
    parts = []
    for x in rows:
        n = (x["labels"][..., 1:] if shifted else x["labels"]).ne(-100).sum()
        parts.append(model(**x).loss * n / count)
    return parts


def trace_model(model, inputs, train, dtype):
    model = copy.deepcopy(model).to(dtype).train()
    names = dict(model.named_parameters())
    o = make_optimizer(train["optimizer"], list(names.values()))
    s = schedule_of(train["schedule"], o) if train["schedule"] else None
    ema = {n: p.detach().clone() for n, p in names.items()}
    out, acc = collections.defaultdict(list), train["grad_accumulation"]
    for step in range(train["steps"]):
        rows = [{n: t[k].to(dtype) if t.is_floating_point() else t[k] for n, t in inputs.items()} for k in range(step * acc, step * acc + acc)]
        model.zero_grad()
        total = 0.0
        for part in losses_of(model, rows, train.get("labels_shifted_in_model"), train.get("token_normalisation")):
            part.backward()
            total += part.item()
        norm = torch.nn.utils.clip_grad_norm_(list(names.values()), train["grad_clip"] or math.inf)
        out["loss"].append(total)
        out["grad_norm"].append(norm.item())
        out["lr"].append(o.param_groups[0]["lr"])
        o.step()
        if s:
            s.step()
        if "ema" in train:
            d = train["ema"]["decay"]
            ema = {n: d * ema[n] + (1 - d) * p.detach() for n, p in names.items()}
    if out["lr"][0] is None:  # every tensor has a rate of its own
        del out["lr"]
    result = {n: torch.tensor(t, dtype=torch.float64) for n, t in out.items()}
    return result, {n: p.detach().double() for n, p in names.items()}, ema


def train_case(folder, r, g):
    family = r.choice(("gpt2", "llama", "qwen2", "bert", "t5", "qwen3"))
    model = compare_adapters.FAMILIES[family](r)[0].double()
    compare_adapters.fill(model.named_parameters(), g, 0.2)
    model.tie_weights()
    if os.path.exists(folder):
        shutil.rmtree(folder)
    copy.deepcopy(model).float().save_pretrained(folder)
    acc, steps = r.choice((1, 1, 2, 3)), r.choice((2, 4, 6))
    train = {"steps": steps, "grad_accumulation": acc, "optimizer": optimizer_spec(r, ("sgd", "adam", "adamw", "rmsprop", "lamb", "adafactor", "adagrad")),
             "schedule": r.choice((None, schedule_spec(r, steps))), "grad_clip": r.choice((None, 1.0, 0.1)), "precision": "fp32"}
    train["optimizer"]["lr"] = train["optimizer"]["lr"] and r.choice((0.01, 0.002))
    if train["optimizer"].get("lr") is None:
        train["schedule"] = None
    if r.random() < 0.3 and "Sequence" not in type(model).__name__:
        train["token_normalisation"] = r.choice(("micro", "global"))
        train["labels_shifted_in_model"] = family not in ("bert", "t5")
    if r.random() < 0.3:
        train["ema"] = {"decay": r.choice((0.9, 0.5))}
    B, T, K = r.choice((1, 3)), r.choice((5, 9)), acc * steps
    inputs = {"input_ids": torch.randint(1, compare_adapters.V, (K, B, T), generator=g)}
    if "Sequence" in type(model).__name__:
        inputs["labels"] = torch.randint(0, 3, (K, B), generator=g)
    else:
        inputs["labels"] = torch.randint(1, 3 if family == "bert" else compare_adapters.V, (K, B, T), generator=g)
        if r.random() < 0.5:
            inputs["labels"][torch.rand(K, B, T, generator=g) < 0.3] = -100
            inputs["labels"][..., 2] = 1
    want, final, ema = trace_model(model, inputs, train, torch.float64)
    rough_want, rough_final, rough_ema = trace_model(model, inputs, train, torch.float32)
    stored = load_file(os.path.join(folder, "model.safetensors"))
    chosen = [n for n in final if n in stored and not n.endswith(("key.bias", "k_proj.bias", "c_attn.bias"))]
    for n in r.sample(chosen, min(5, len(chosen))):
        want["final." + n], rough_want["final." + n] = final[n], rough_final[n]
        if "ema" in train:
            want["ema." + n], rough_want["ema." + n] = ema[n], rough_ema[n]
    rough = fixture_case.errors(rough_want, want)[0]
    rough = {n: 0.0 if math.isinf(e) else e for n, e in rough.items()}
    if max(rough.values()) > 3e-3:
        raise fixture_case.Unfit("ill-conditioned")
    tolerance = {n: max(1e-5, 10 * e) for n, e in rough.items()}
    write_folder(folder, {"kind": "train", "family": family, "architecture": type(model).__name__, "train": train, "tolerance": tolerance}, inputs, want)


CASES = {"optimizer": optimizer_case, "schedule": schedule_case, "train": train_case}


def main():
    a = fixture_case.options(100, ",".join(CASES)).parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    root = tempfile.mkdtemp(prefix="weft-training-")
    folders, refused = [], collections.Counter()
    for n in range(a.count):
        for kind in a.only.split(","):
            folder = os.path.join(root, f"{kind}-{a.seed + n}")
            try:
                CASES[kind](folder, random.Random(a.seed + n), torch.Generator().manual_seed(a.seed + n))
                folders.append(folder)
            except (fixture_case.Unfit, ValueError, TypeError, RuntimeError) as e:  # torch refuses some options too
                refused[str(e)] += 1
    seen = fixture_case.judge(a, root, folders, lambda fixture: f"{fixture.get('architecture', '')} {json.dumps(fixture.get('spec') or fixture['train'])}")
    print(f"{dict(seen)}, not drawn: {dict(refused)}")
    shutil.rmtree(root)
    return seen["pass"] < sum(seen.values())


if __name__ == "__main__":
    sys.exit(main())
