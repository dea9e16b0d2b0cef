#!/usr/bin/env python3
"""Keys of transformers' configs against what the families know of them: keys that its code reads and a family neither reads, refuses nor ignores,
and keys that a family ignores and that change what the reference computes.

    pip install torch transformers
    tests/differential/config_keys.py [--weft build/weft] [--try] [--seed 1] [--out DIR] [TYPE...]

Without --try two lists for each type: `unknown` (the code of the model reads the key and no rule of the family names it) and `ignored` (the code
reads it and the family says that it changes nothing). With --try every key of the config that is not one of the sizes is given other values on
a small random model, one at a time: where the reference's outputs or the shapes of its weights change, the model becomes a fixture and `weft verify`
must pass it or refuse it. Exit code 1 when one fails. Not part of `make test`: it needs Python and the packages.
"""
import argparse
import glob
import inspect
import json
import os
import re
import shutil
import sys

import compare_families as families
import torch
import transformers

FAMILIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/families")
# What is no part of the mathematics: places, kinds of kernels, what a call may say itself.
PLUMBING = set("""architectures model_type dtype torch_dtype return_dict use_return_dict use_cache output_attentions output_hidden_states initializer_range
    initializer_factor init_std _attn_implementation _experts_implementation get_text_config name_or_path sub_configs to_dict num_labels gradient_checkpointing
    chunk_size_feed_forward update quantization_config layerdrop encoder_layerdrop decoder_layerdrop""".split())
COVERED = re.compile(r"dropout|drop_prob|_pdrop|layerdrop")


def rules():
    files = {os.path.basename(f)[:-5]: json.load(open(f)) for f in glob.glob(os.path.join(FAMILIES, "*.json"))}
    return files, files["common"]


def whole(files, name):
    """The family's sections that speak of keys, with what it is like and its part beneath."""
    f = files[name]
    base = whole(files, f["like"]) if "like" in f else {k: {} for k in ("keys", "aliases", "refused")} | {"ignored": []}
    part = files["common"]["parts"].get(f.get("with"), {})
    out = {}
    for k in ("keys", "aliases", "refused"):
        out[k] = {**part.get(k, {}), **base[k], **f.get(k, {})}
    out["ignored"] = base["ignored"] + f.get("ignored", []) + part.get("ignored", [])
    out["types"] = f.get("model_types") or ([name] if "architectures" in f else base.get("types") or [name])
    out["architectures"] = f.get("architectures") or base.get("architectures") or []
    return out


def of_type(files, kind):
    return {n: w for n, w in ((n, whole(files, n)) for n in files if n != "common") if kind in w["types"]}


def known(w, common):
    """Keys that rules name: read or refused, and those that are ignored."""
    read = set(w["keys"]) | set(w["aliases"]) | set(common["keys"]) | set(common["refused"]) | {k for k in w["refused"] if not k.startswith("=")}
    return read, (set(w["ignored"]) | set(common["ignored"])) - set(w["keys"])


def reads(kind):
    """Attributes of configs that the module of a type's models reads."""
    found = set()
    config = type(transformers.AutoConfig.for_model(kind))
    folder = os.path.dirname(inspect.getfile(config))
    for path in glob.glob(os.path.join(folder, "modeling_*.py")):
        text = open(path).read()
        found.update(re.findall(r"\bconfig\.(\w+)", text))
        found.update(re.findall(r"getattr\((?:self\.)?config, ['\"](\w+)['\"]", text))
        if "mask(" in text:
            found.update(["is_causal"] if re.search(r"create_(sliding_window_)?causal_mask", text) else [])
    names = getattr(config, "attribute_map", {})
    return {names.get(k, k) for k in found}, config


def parts(config):
    return {k: type(v) for k, v in vars(config).items() if isinstance(v, transformers.PreTrainedConfig)}


def static(files, kind):
    try:
        found, _ = reads(kind)
        plain = transformers.AutoConfig.for_model(kind).to_dict()
    except Exception as e:  # noqa: BLE001: a type that the package does not have
        return f"{kind}: not of the package ({type(e).__name__})"
    lines = []
    for name, w in sorted(of_type(files, kind).items()):
        read, ignored = known(w, files["common"])
        real = {k for k in found if k in plain or k == "is_causal"} - PLUMBING
        unknown = {k for k in set(plain) | real if k not in read | ignored and not k.startswith("_")}
        lines.append(f"{kind} ({name}): unknown and read: {sorted(unknown & real)}; unknown: {sorted(unknown - real - PLUMBING)}; ignored but read: {sorted((ignored & real) - PLUMBING)}")
    return "\n".join(lines)


# ---- the same by trial

def others(value, d):
    """Other values of a key, by the kind of the one it has."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 0]
    if isinstance(value, float):
        return [value * 1.7 + 0.3]
    if value is None:
        return [True, 2, 0.7]
    if isinstance(value, str):
        return [v for v in ("relu", "tanh", "none") if v != value]
    return []


def seen(name, config, x):
    """What a class gives with a config: shapes of its weights and its outputs."""
    torch.manual_seed(5)
    model = getattr(transformers, name)(config).eval()
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    families.randomise(model, 5)
    with torch.no_grad():
        out = model(**x, output_hidden_states=True, return_dict=True)
    return shapes, families.outputs_of(out)


def same(a, b):
    return a[0] == b[0] and set(a[1]) == set(b[1]) and all(a[1][k].shape == b[1][k].shape and torch.allclose(a[1][k], b[1][k], atol=1e-6, rtol=1e-5, equal_nan=True) for k in a[1])


def attempt(kind, name, drawn, key, value, seed, folder, weft):
    """None: the key changes nothing there; else what weft says of a model that has it."""
    d = families.Draw(seed)
    families.draw_config(d, kind)
    config, model, exact = families.build(kind, name, {**drawn, key: value}, seed)
    x = families.make_inputs(d, kind, name, config, model)
    families.write(folder, d, kind, name, config, model, exact, x)
    path = os.path.join(folder, "config.json")
    saved = json.load(open(path))
    saved.setdefault(key, value)
    json.dump(saved, open(path, "w"), indent=1)
    return families.verify(weft, folder)


def trial(kind, seed, out, weft):
    d = families.Draw(seed)
    drawn = families.draw_config(d, kind)
    names = [n for n in families.classes_of(kind)]
    own = families.TYPES[kind]
    known_draws = set() if callable(own) else set(own)
    bad = []
    for name in names[:1] if len(names) == 1 else [d.choice(names), next((n for n in names if re.search("CausalLM|LMHead|Conditional|MaskedLM", n)), names[0])]:
        try:
            config, model, _ = families.build(kind, name, drawn, seed)
            again = families.Draw(seed)
            families.draw_config(again, kind)
            x = families.make_inputs(again, kind, name, config, model)
            first = seen(name, config, x)
        except Exception as e:  # noqa: BLE001: whatever the reference refuses
            print(f"  {kind} {name}: reference: {str(e)[:120]}")
            continue
        for key, value in sorted(config.to_dict().items()):
            if key in PLUMBING or key in families.KEYS and key not in ("rope_parameters",) or key.startswith("_") or key in known_draws or COVERED.search(key):
                continue
            for v in others(value, d):
                try:
                    changed, _, _ = families.build(kind, name, {**drawn, key: v}, seed)
                    x_now = {k: v.clone() for k, v in x.items()}
                    if same(first, seen(name, changed, x_now)):
                        continue
                    folder = os.path.join(out, f"{kind}-{name}-{key}")
                    shutil.rmtree(folder, ignore_errors=True)
                    outcome, line = attempt(kind, name, drawn, key, v, seed, folder, weft)
                except Exception:  # noqa: BLE001: whatever the reference refuses
                    continue
                print(f"  {kind} {name} {key}={v}: {outcome}: {line if outcome != 'pass' else ''}", flush=True)
                if outcome == "pass":
                    shutil.rmtree(folder)
                elif outcome != "unsupported":
                    bad.append(key)
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--try", dest="tried", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="build/keys")
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    files, _ = rules()
    bad = 0
    for kind in args.types or list(families.TYPES):
        if args.tried:
            found = trial(kind, args.seed, args.out, args.weft)
            bad += len(found)
            print(f"{kind}: {len(found)} keys differ", flush=True)
        else:
            print(static(files, kind), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
