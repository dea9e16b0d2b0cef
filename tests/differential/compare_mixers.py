#!/usr/bin/env python3
"""Random options and inputs of every mixer through `weft verify`, against definitions in torch, float64 with autograd.

    pip install torch numpy safetensors
    tests/differential/compare_mixers.py [--weft build/weft] [--count 40] [--seed 1] [--only NAME,NAME] [--keep DIR]
    tests/differential/compare_mixers.py --check FOLDER...      the definitions against published fixtures

Every case becomes a fixture folder: its spec, inputs, weights, and the outputs, states and gradients of the definition. The tolerance is
ten times what the definition itself loses in float32, as in the published fixtures; cases that lose too much, and cases whose routing
hangs on a rounding, are drawn again. Folders that do not pass stay in --keep. Exit code 1 when anything differs. Not part of `make test`:
it needs Python and the packages. The definitions are mixer_attention.py, mixer_recurrent.py and mixer_channel.py, what is drawn is
mixer_draws.py.
"""
import collections
import json
import os
import shutil
import sys
import tempfile
import traceback

import torch

import fixture_case
import mixer_channel
import mixer_draws


def check(folders):
    bad = 0
    for folder in folders:
        fixture, case, want = fixture_case.read_fixture(folder)
        got = case.run(mixer_channel.reference(fixture["mixer"]), torch.float64)
        wrong = sorted(set(want) - set(got))
        rough, _ = fixture_case.errors({n: got[n] for n in want if n in got}, {n: t for n, t in want.items() if n in got})
        wrong += [f"{n} {e:.2g}" for n, e in rough.items() if e > fixture["tolerance"].get(n, 1e-5)]
        wrong += [n for n, t in want.items() if n in got and not t.is_floating_point() and not torch.equal(t, got[n].to(t.dtype))]
        if wrong:
            print(f"{folder}: {', '.join(wrong)}")
            bad += 1
    print(f"{len(folders) - bad} of {len(folders)} reproduced")
    return bad


def draw(mixer, seed, folder):
    """Writes one fixture; the number of draws that were no good."""
    for again in range(100):
        d = mixer_draws.Draw(seed * 1000 + again)
        mixer_draws.DRAWS[mixer](d)
        case = fixture_case.Case(d.spec, d.inputs, seed * 1000 + again, states=d.states)
        try:
            fixture_case.write_fixture(folder, mixer, case, mixer_channel.reference(mixer))
            return again
        except fixture_case.Unfit:
            continue
        except Exception:
            print(mixer, json.dumps(d.spec))
            traceback.print_exc()
            raise
    raise RuntimeError(f"{mixer}: no fit case")


def main():
    p = fixture_case.options(40, "")
    p.add_argument("--check", nargs="+")
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.check:
        return check(a.check) > 0
    names = a.only.split(",") if a.only else list(mixer_draws.DRAWS)
    root = tempfile.mkdtemp(prefix="weft-mixers-")
    bad, tally = 0, collections.Counter()
    for mixer in names:
        folders = [os.path.join(root, f"{mixer}-{a.seed + n}") for n in range(a.count)]
        unfit = sum(draw(mixer, a.seed + n, f) for n, f in enumerate(folders))
        seen = fixture_case.judge(a, root, folders, lambda fixture: json.dumps(fixture["spec"]))
        print(f"{mixer}: {dict(seen)}, {unfit} drawn again", flush=True)
        tally.update(seen)
        bad += sum(n for r, n in seen.items() if r != "pass")
        for f in folders:
            shutil.rmtree(f)
    print(f"total {dict(tally)}")
    shutil.rmtree(root)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
