"""One case of the differential tests: a spec, inputs and weights, and the fixture folder that weft verify reads. And what scripts that draw
such folders share: their options, and what weft verify says.

A reference asks its case for weights and states by name and shape. What the case does not have yet it draws, so the reference itself says
which slots a spec has; what it has (read from a fixture) must have that shape.
"""
import argparse
import collections
import json
import math
import os
import shutil
import subprocess

import numpy
import torch
from safetensors.torch import load_file, save_file

TYPES = {torch.float64: torch.float32}
BATCH = 50  # folders of one weft verify


class Unfit(Exception):
    """The draw is no good: a choice hangs on a rounding."""


class Case:
    def __init__(self, spec, inputs, seed, weights=None, states="none"):
        self.spec, self.seed, self.given, self.states = spec, seed, weights, states
        self.inputs, self.weights, self.asked = dict(inputs), dict(weights or {}), set()
        self.dtype, self.leaves, self.closest = torch.float64, {}, math.inf
        self.r = numpy.random.default_rng(seed)

    # ---- options and inputs
    def opt(self, key, default=None):
        value = self.spec.get(key, default)
        return default if value is None else value

    def input(self, name):
        if name not in self.inputs:
            return None
        t = self.inputs[name]
        if name not in self.leaves:
            self.leaves[name] = t.to(self.dtype).requires_grad_(name in ("x", "memory")) if t.is_floating_point() else t
        return self.leaves[name]

    @property
    def x(self):
        return self.input("x")

    def flags(self, name):
        t = self.input(name)
        return None if t is None else t.bool()

    def normal(self, shape, scale=1.0):
        return torch.from_numpy(self.r.standard_normal(shape) * scale).to(torch.float32).to(torch.float64)

    def uniform(self, shape, low, high):
        return torch.from_numpy(self.r.uniform(low, high, shape)).to(torch.float32).to(torch.float64)

    # ---- weights and states
    def w(self, name, *shape, value=None, buffer=False):
        self.asked.add(name)
        if name not in self.weights:
            if self.given is not None:
                raise KeyError(f"the fixture lacks {name}")
            fan = shape[-1] if len(shape) > 1 else 4
            self.weights[name] = value() if value else self.normal(shape, 1.2 / math.sqrt(fan))
        if tuple(self.weights[name].shape) != shape:
            raise ValueError(f"{name} has shape {tuple(self.weights[name].shape)}, not {shape}")
        if name not in self.leaves:
            self.leaves[name] = self.weights[name].detach().to(self.dtype).requires_grad_(not buffer)
        return self.leaves[name]

    def gain(self, name, *shape):
        """The weight of a norm."""
        return self.w(name, *shape, value=lambda: self.uniform(shape, 0.5, 1.5))

    def lin(self, name, x, out, bias=None):
        """Lin(n, x): x W^T + b, b when the spec's list has the name, or as told."""
        y = x @ self.w(name + ".weight", out, x.shape[-1]).T
        has = name in self.opt("bias", []) if bias is None else bias
        return y + self.w(name + ".bias", out) if has else y

    def state(self, name, *shape, start=0.0, scale=0.5, value=None):
        key = "state.in." + name
        wanted = self.states == "all" or (self.states == "some" and self.r.random() < 0.5)
        if key not in self.inputs and self.given is None and wanted and self.dtype == torch.float64:
            self.inputs[key] = value() if value else self.normal(shape, scale)
        s = self.input(key)
        if s is None:
            return torch.full(shape, start, dtype=self.dtype)
        if tuple(s.shape) != shape:
            raise ValueError(f"{key} has shape {tuple(s.shape)}, not {shape}")
        return s

    def near(self, distance):
        """A choice was this far from being another one."""
        if torch.is_tensor(distance):
            distance = distance.detach().abs().min().item() if distance.numel() else math.inf
        self.closest = min(self.closest, distance)

    # ---- running
    def run(self, reference, dtype):
        """Outputs and gradients by name."""
        self.dtype, self.leaves, self.asked = dtype, {}, set()
        out = reference(self)
        if self.given is not None and self.asked != set(self.weights):
            raise KeyError(f"slots without use: {sorted(set(self.weights) - self.asked)}")
        y = out["y"]
        if "dy" not in self.inputs:
            self.inputs["dy"] = self.normal(y.shape)
        loss = (y * self.inputs["dy"].to(dtype)).sum()
        for name in ("aux", "z"):
            if name + "_loss" in out and self.spec.get(name + "_weight"):
                loss = loss + self.spec[name + "_weight"] * out[name + "_loss"].sum()
        names = [n for n, t in self.leaves.items() if t.requires_grad]
        grads = torch.autograd.grad(loss, [self.leaves[n] for n in names], allow_unused=True) if loss.requires_grad else []
        for n, g in zip(names, grads):
            out["grad." + n] = torch.zeros_like(self.leaves[n]) if g is None else g
        return {n: t.detach() for n, t in out.items()}


def errors(got, want):
    """Error of every float tensor as fixtures count it."""
    scale = max([t.abs().max().item() for n, t in want.items() if n.startswith("grad.") and t.numel()], default=0.0)
    result = {}
    for n, t in want.items():
        if not t.is_floating_point():
            continue
        most = t.abs().max().item()
        most = max(most, scale / 1000.0) if n.startswith("grad.") else most
        d = (got[n].double() - t).abs().max().item()
        result[n] = 0.0 if d == 0.0 else d / most if most else math.inf
    return result, scale


def stored(t):
    return (t.to(torch.float32) if t.is_floating_point() else t).contiguous()


def write_fixture(folder, mixer, case, reference):
    """Runs the reference in both precisions and writes the folder. Raises Unfit."""
    want = case.run(reference, torch.float64)
    if not all(torch.isfinite(t).all() for t in want.values() if t.is_floating_point()):
        raise Unfit("not finite")
    if case.closest < 1e-4:
        raise Unfit("a choice hangs on a rounding")
    rough, scale = errors(case.run(reference, torch.float32), want)
    tolerance = {n: max(5e-5 if n.startswith("grad.") else 1e-5, 10.0 * e) for n, e in rough.items()}
    if max(tolerance.values()) > 0.02:
        raise Unfit("ill-conditioned")
    os.makedirs(folder, exist_ok=True)
    weighted = any(case.spec.get(k) for k in ("aux_weight", "z_weight"))
    fixture = {"format": 1, "kind": "mixer", "mixer": mixer, "name": os.path.basename(folder), "spec": case.spec, "tolerance": tolerance,
               "gradient_scale": scale, "reference": "by definition, float64",
               "backward": "sum(y*dy) + aux_weight*aux_loss + z_weight*z_loss" if weighted else "sum(y*dy)"}
    with open(os.path.join(folder, "fixture.json"), "w", encoding="utf-8") as f:
        json.dump(fixture, f, indent=1)
    for name, tensors in (("inputs", case.inputs), ("expected", want), ("weights", case.weights)):
        if tensors or name != "weights":
            save_file({n: stored(t) for n, t in tensors.items()}, os.path.join(folder, name + ".safetensors"))


def read_fixture(folder):
    """The case of a published fixture, and what it expects."""
    def tensors(name):
        path = os.path.join(folder, name + ".safetensors")
        return {n: t.double() if t.is_floating_point() else t for n, t in (load_file(path) if os.path.exists(path) else {}).items()}
    with open(os.path.join(folder, "fixture.json"), encoding="utf-8") as f:
        fixture = json.load(f)
    return fixture, Case(fixture["spec"], tensors("inputs"), 1, tensors("weights")), tensors("expected")


# ---- scripts

def options(count, only=None):
    p = argparse.ArgumentParser()
    p.add_argument("--weft", default="build/weft")
    p.add_argument("--count", type=int, default=count)
    p.add_argument("--seed", type=int, default=1)
    if only is not None:
        p.add_argument("--only", default=only)
    p.add_argument("--keep", help="where folders that do not pass go")
    return p


def verify(weft, folders):
    """A verdict per folder."""
    done = subprocess.run([weft, "verify", "--json", *folders], capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["fixtures"]
    except (ValueError, KeyError):
        if len(folders) == 1:
            return [{"name": os.path.basename(folders[0]), "outcome": f"crash {done.returncode}", "why": done.stderr.strip()[-300:]}]
        return [v for f in folders for v in verify(weft, [f])]


def judge(args, root, folders, about):
    """How many folders of root have which outcome. What does not pass is printed with what about(its fixture) says, and stays in --keep."""
    seen = collections.Counter()
    for at in range(0, len(folders), BATCH):
        for v in verify(args.weft, folders[at:at + BATCH]):
            seen[v["outcome"]] += 1
            if v["outcome"] == "pass":
                continue
            folder = os.path.join(root, v["name"])
            with open(os.path.join(folder, "fixture.json"), encoding="utf-8") as f:
                said = about(json.load(f))
            print(f"  {v['name']} {v['outcome']} {v.get('why')}: {v.get('tensor')} {v.get('error')} of {v.get('tolerance')} {said}", flush=True)
            if args.keep:
                shutil.copytree(folder, os.path.join(args.keep, v["name"]), dirs_exist_ok=True)
    return seen
