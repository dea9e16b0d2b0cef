#!/usr/bin/env python3
"""Random small models of the package transformers, saved by it, written anew by weft and opened by it again.

    pip install torch transformers tokenizers
    tools/build build "weft_cli weft_shared"
    tests/differential/compare_saved.py [--weft build/weft] [--library build/libweft.so] [--count 4] [--seed 1] [--out DIR] [--heads REGEX] [--set JSON] TYPE...

TYPE is a `model_type` that compare_families.py knows, or `all`; draws are the same as there. The folder that is read holds fp32, fp16 or bf16 in one
file or several, and a tokenizer. It is written in each of these ways:

    copied   weft convert, in the same or in other shards
    typed    weft convert --dtype, against the model that the reference converts and saves
    renamed  weft convert --prefix strip, and --prefix add of that: both
    saved    weft_model_open and weft_model_save of the library: the family's own names and config, fp32

and opened by from_pretrained of the class that saved it, which must find every tensor and no other, with the same types and bits, the same config,
the same settings for generation and, in the ways that carry it, the same tokenizer. What differs is a line; then a line for each type. Folders that
differ stay in DIR (build/saved). Exit code 1 when any differs, and when a type is not compared at all. Not part of `make test`: it needs Python and
the packages.
"""
import argparse
import copy
import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import compare_families as families
import tokenizers
import torch
import transformers

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
TEXT = "the cat sat on a mat , the dog did not"
UNSUPPORTED = 6


class Refused(Exception):
    """weft said that it does not do this."""


class Differs(Exception):
    """What weft wrote is not what it read."""


# ---- the library

class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("offset", ctypes.c_int64), ("message", ctypes.c_char * 512)]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(os.path.abspath(path))
        self.c.weft_model_free.argtypes = [ctypes.c_void_p]
        self.handle = ctypes.c_void_p()
        self.call("weft_create", None, ctypes.byref(self.handle))

    def call(self, name, *arguments):
        err = Error()
        status = getattr(self.c, name)(*arguments, ctypes.byref(err))
        if status:
            raise (Refused if status == UNSUPPORTED else Differs)(err.message.decode())

    def save(self, source, target):
        model = ctypes.c_void_p()
        self.call("weft_model_open", self.handle, source.encode(), ctypes.byref(model))
        try:
            self.call("weft_model_save", model, target.encode())
        finally:
            self.c.weft_model_free(model)


def convert(weft, source, target, *options):
    done = subprocess.run([weft, "convert", source, target, *options], capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"convert ended with {done.returncode}"
        raise (Refused if done.returncode == UNSUPPORTED else Differs)(said)


# ---- what the reference opens

def opened(cls, folder):
    torch.manual_seed(1)  # of what a file does not hold
    return cls.from_pretrained(folder, dtype="auto", output_loading_info=True)


def bits(t):
    return t.detach().contiguous().flatten().view(torch.uint8)


def compare_tensors(what, ours, theirs):
    if set(ours) != set(theirs):
        raise Differs(f"{what}: {sorted(set(ours) ^ set(theirs))[:4]} are not on both sides")
    for k, t in theirs.items():
        if ours[k].dtype != t.dtype or ours[k].shape != t.shape:
            raise Differs(f"{what} {k}: {ours[k].dtype} {list(ours[k].shape)} instead of {t.dtype} {list(t.shape)}")
        if not torch.equal(bits(ours[k]), bits(t)):
            n = (bits(ours[k]) != bits(t)).sum().item()
            raise Differs(f"{what} {k}: {n} of {bits(t).numel()} bytes differ")


def compare_keys(what, ours, theirs):
    apart = {"transformers_version", "_name_or_path", "dtype", "torch_dtype"}
    ours, theirs = ({k: v for k, v in c.items() if k not in apart} for c in (ours, theirs))
    for k in sorted(set(ours) | set(theirs)):
        a, b = (json.dumps(c.get(k, "none"), sort_keys=True, default=str) for c in (ours, theirs))
        if a != b:
            raise Differs(f"{what} {k}: {a[:80]} instead of {b[:80]}")


def compare_opened(cls, folder, expected):
    """The folder, opened, against a model and what was reported of its own folder."""
    reference, known = expected
    try:
        model, info = opened(cls, folder)
    except Exception as e:  # noqa: BLE001: whatever the reference says against the files
        raise Differs(f"not opened: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:200])
    for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if set(map(str, info.get(k) or ())) != set(map(str, known.get(k) or ())):
            raise Differs(f"{k}: {sorted(map(str, info[k]))[:4]} instead of {sorted(map(str, known[k]))[:4]}")
    compare_tensors("tensor", model.state_dict(), reference.state_dict())
    if model.dtype == reference.dtype:
        compare_tensors("buffer", dict(model.named_buffers()), dict(reference.named_buffers()))
    if (model.config.dtype == model.dtype) != (reference.config.dtype == reference.dtype):  # the reference parts them itself: xlnet's keeps fp32 beside fp16
        raise Differs(f"the config says {model.config.dtype}, the weights are {model.dtype}")
    compare_keys("config", model.config.to_dict(), reference.config.to_dict())
    if reference.can_generate():
        compare_keys("generation", model.generation_config.to_dict(), reference.generation_config.to_dict())


def compare_tokenizer(source, target):
    names = [n for n in os.listdir(source) if "token" in n or n.endswith(".jinja")]
    if not names:
        raise RuntimeError(f"{source} has no tokenizer")
    for n in names:
        path = os.path.join(target, n)
        if not os.path.isfile(path) or open(os.path.join(source, n), "rb").read() != open(path, "rb").read():
            raise Differs(f"tokenizer: {n} is another or none")
    ours, theirs = (transformers.PreTrainedTokenizerFast.from_pretrained(f) for f in (target, source))
    if ours(TEXT).input_ids != theirs(TEXT).input_ids or ours.special_tokens_map != theirs.special_tokens_map:
        raise Differs("tokenizer: other ids")


# ---- the folder that is read

def save_tokenizer(folder, d):
    words = ["<pad>", "<s>", "</s>", "<unk>"] + sorted(set(TEXT.split()))
    tok = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tok.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tok, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=64)
    if d.flag():
        fast.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    fast.save_pretrained(folder)


def size_of(model):
    return sum(p.numel() * p.element_size() for p in model.state_dict().values())


def save_source(folder, d, model):
    """The model in a number type and a number of files, as the reference saves it; what it was saved as."""
    type_name = d.choice(["fp32", "fp32", "fp16", "bf16"])
    split = d.flag()
    model = copy.deepcopy(model).to(TYPES[type_name])
    model.save_pretrained(folder, max_shard_size=size_of(model) // 3 + 1 if split else "5GB")
    save_tokenizer(folder, d)
    return f"{type_name}{', sharded' if split else ''}"


# ---- the ways of writing: each writes folders below `place` and compares them

class Case:
    def __init__(self, args, library, d, cls, place):
        self.weft, self.library, self.d, self.cls, self.place = args.weft, library, d, cls, place
        self.source = os.path.join(place, "source")

    def folder(self, name):
        return os.path.join(self.place, name)

    def shards(self):
        return ["--shard-size", str(size_of(self.expected[0]) // self.d.randint(1, 4) + 1)] if self.d.flag() else []

    def read(self):
        self.expected = opened(self.cls, self.source)


def copied(case):
    target = case.folder("copied")
    convert(case.weft, case.source, target, *case.shards())
    compare_opened(case.cls, target, case.expected)
    compare_tokenizer(case.source, target)


def typed(case):
    name = case.d.choice(list(TYPES))
    target, reference = case.folder("typed"), case.folder("reference")
    copy.deepcopy(case.expected[0]).to(TYPES[name]).save_pretrained(reference)
    convert(case.weft, case.source, target, "--dtype", name, *case.shards())
    compare_opened(case.cls, target, opened(case.cls, reference))
    compare_tokenizer(case.source, target)


def renamed(case):
    bare, target = case.folder("bare"), case.folder("renamed")
    convert(case.weft, case.source, bare, "--prefix", "strip")
    compare_opened(case.cls, bare, case.expected)
    convert(case.weft, bare, target, "--prefix", "add")
    compare_opened(case.cls, target, case.expected)
    compare_tokenizer(case.source, target)


def saved(case):
    target, reference = case.folder("saved"), case.folder("reference32")
    copy.deepcopy(case.expected[0]).float().save_pretrained(reference)
    case.library.save(case.source, target)
    compare_opened(case.cls, target, opened(case.cls, reference))


WAYS = {f.__name__: f for f in (copied, typed, renamed, saved)}


def attempt(args, library, kind, seed, place):
    """(way, outcome, line) of each way."""
    try:
        d, name, drawn = families.draw_case(kind, seed, args.heads, args.set)
        if not name:
            return [("", "reference", "no class")]
        cls = getattr(transformers, name)
        _, model = families.single(kind, name, drawn, seed)
        case = Case(args, library, d, cls, place)
        what = save_source(case.source, d, model)
        case.read()
    except Exception as e:  # noqa: BLE001: whatever the reference refuses
        if os.environ.get("TRACE"):
            raise
        return [("", "reference", f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:180])]
    found = []
    for way, compare in WAYS.items():
        try:
            compare(case)
            found.append((way, "pass", ""))
        except (Refused, Differs) as e:
            found.append((way, "unsupported" if isinstance(e, Refused) else "differs", f"{name} ({what}): {e}"))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--library", default="build/libweft.so")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="build/saved")
    parser.add_argument("--heads", default="")
    parser.add_argument("--set", type=json.loads, default={}, help="keys of every config, as a JSON object")
    parser.add_argument("types", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    library = Library(args.library)
    bad = 0
    for kind in list(families.TYPES) if args.types == ["all"] else args.types:
        counts = {way: Counter() for way in WAYS}
        for seed in range(args.seed, args.seed + args.count):
            place = os.path.join(args.out, f"{kind}-{seed}")
            shutil.rmtree(place, ignore_errors=True)
            found = attempt(args, library, kind, seed, place)
            for way, outcome, line in found:
                for w in [way] if way else WAYS:
                    counts[w][outcome] += 1
                if outcome != "pass":
                    print(f"  {kind}-{seed} {way}: {outcome}: {line}", flush=True)
            if not any(outcome == "differs" for _, outcome, _ in found):
                shutil.rmtree(place, ignore_errors=True)
        for way, count in counts.items():
            bad += count["differs"] + (count["pass"] == 0)
        print(f"{kind}: " + "; ".join(f"{way} " + ", ".join(f"{n} {k}" for k, n in sorted(c.items())) for way, c in counts.items())
              + "".join(f"; {way} NOT COMPARED" for way, c in counts.items() if not c["pass"] and not c["differs"]), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
