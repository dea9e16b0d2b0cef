#!/usr/bin/env python3
"""Which classes of the package transformers open, for every `model_type` that a family answers to.

    pip install torch transformers
    tests/differential/classes.py [--open] [TYPE...]

The classes are those of transformers' own tables for its Auto classes; a class opens when a file of src/families lists it. A line for each kind
of class: how many pairs of type and class open, and the refused ones. Not part of `make test`: it needs Python and the package.
"""
import argparse
import glob
import json
import os
import re
from collections import defaultdict

from transformers.models.auto import modeling_auto

FAMILIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/families")
# Pictures, sound and time series, and what reads no checkpoint: no part of these families.
OTHER = re.compile(r"For(Vision|Image|Zero|Mask(?!ed)|Audio|Backbone|Depth|Video|Multimodal|TimeSeries|Document|Table|Universal|Visual|CTC|Speech|XVector|Keypoint|Object|Semantic|Instance)|Backbone")


def families():
    files = {os.path.basename(f)[:-5]: json.load(open(f)) for f in glob.glob(os.path.join(FAMILIES, "*.json"))}
    found = defaultdict(set)
    for name, family in files.items():
        types = None
        at = family
        while types is None and at:
            types = at.get("model_types")
            at = files.get(at.get("like")) if "architectures" not in at else None
        at = family
        while at and "architectures" not in at:
            at = files.get(at.get("like"))
        for t in types or [name]:
            found[t].update((at or {}).get("architectures", ()))
    return found


def tables():
    """(type, class) -> names of the tables that hold it."""
    pairs = defaultdict(list)
    for table in dir(modeling_auto):
        if table.endswith("_MAPPING_NAMES") and table.startswith("MODEL_"):
            for kind, names in getattr(modeling_auto, table).items():
                for name in [names] if isinstance(names, str) else names:
                    if not OTHER.search(name):
                        pairs[kind, name].append(table)
    return pairs


def kind_of(name):
    m = re.search(r"(For[A-Z]\w*|LMHeadModel|WithLMHead\w*|DoubleHeadsModel|EncoderModel|Model|MTModel)$", name)
    return m.group(1) if m else name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--open", action="store_true", help="list those that open too")
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    known = families()
    count = defaultdict(lambda: [[], []])
    for kind, name in sorted(tables()):
        if kind in known and (not args.types or kind in args.types):
            count[kind_of(name)][name not in known[kind]].append(f"{kind}:{name}")
    total = [0, 0]
    for what, (good, bad) in sorted(count.items()):
        print(f"{what}: {len(good)} open, {len(bad)} refused" + (": " + " ".join(bad) if bad else ""))
        if args.open:
            print("  " + " ".join(good))
        total = [total[0] + len(good), total[1] + len(bad)]
    print(f"all: {total[0]} open, {total[1]} refused")


if __name__ == "__main__":
    main()
