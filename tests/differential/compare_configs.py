#!/usr/bin/env python3
"""Random tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json beside a tokenizer.json: weft and
AutoTokenizer of the PyPI package `transformers`.

    pip install transformers
    tests/differential/compare_configs.py [--weft build/weft] [--models FOLDER] [--count 300] [--seed 1] [--class NAME]...

The models are those of the tokenizer.json files below FOLDER (default: $WEFT_FIXTURES/tokenizers/model-*). Ids with and without
special tokens and decoded texts are compared; a folder that transformers refuses is left out. Exit code 1 when anything differs.
Not part of `make test`: it needs Python and the package.
"""
import argparse
import glob
import json
import os
import random
import sys
import tempfile

from compare_tokenizers import Texts, Weft

# class, kind of model, its options
CLASSES = [
    ("BertTokenizer", "wordpiece", ["do_lower_case", "tokenize_chinese_chars", "strip_accents"]), ("DistilBertTokenizer", "wordpiece", ["do_lower_case"]),
    ("MPNetTokenizer", "wordpiece", ["do_lower_case", "strip_accents"]), ("RobertaTokenizer", "letters", ["add_prefix_space", "trim_offsets"]),
    ("BartTokenizer", "letters", ["add_prefix_space"]), ("GPT2Tokenizer", "letters", ["add_prefix_space", "add_bos_token"]), ("GPTNeoXTokenizer", "letters", ["add_prefix_space", "add_bos_token"]),
    ("Qwen2Tokenizer", "letters", ["add_prefix_space"]), ("Qwen3_5Tokenizer", "letters", []), ("GemmaTokenizer", "bytes", ["add_bos_token", "add_eos_token"]),
    ("LlamaTokenizer", "bytes", ["add_prefix_space", "legacy", "add_bos_token", "add_eos_token"]), ("LlamaTokenizer", "letters", ["legacy"]),
    ("XLMRobertaTokenizer", "unigram", ["add_prefix_space"]), ("T5Tokenizer", "unigram", ["legacy"]),  # drawn without its extra ids
    ("DebertaV2Tokenizer", "unigram", ["do_lower_case", "split_by_punct", "add_prefix_space"]), ("PreTrainedTokenizer", "letters", ["add_bos_token"]),
    ("CLIPTokenizer", "letters", []), ("WhisperTokenizer", "letters", ["add_prefix_space", "predict_timestamps"]), ("DebertaTokenizer", "letters", ["add_prefix_space"]),
    ("BlenderbotTokenizer", "letters", ["add_prefix_space"]), ("NllbTokenizer", "bytes", ["legacy_behaviour"]), ("MBartTokenizer", "unigram", []),
    ("AlbertTokenizer", "unigram", ["do_lower_case", "keep_accents", "add_prefix_space"]), ("CamembertTokenizer", "unigram", ["add_prefix_space"]),
    ("XLNetTokenizer", "unigram", ["do_lower_case"]), ("BarthezTokenizer", "unigram", ["add_prefix_space"]), ("BigBirdTokenizer", "unigram", ["add_prefix_space"]),
    ("RemBertTokenizer", "unigram", ["do_lower_case", "keep_accents", "add_prefix_space"]), ("XGLMTokenizer", "unigram", ["add_prefix_space"]),
    ("FunnelTokenizer", "wordpiece", ["do_lower_case", "clean_text", "tokenize_chinese_chars", "strip_accents"]),
    ("PreTrainedTokenizer", "unigram", []), ("TokenizersBackend", "wordpiece", []), ("UnheardOfTokenizer", "bytes", []), (None, "letters", []),
]
# tokens of the model without which a class does not open
NEEDED = {"WhisperTokenizer": ["<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>"], "NllbTokenizer": ["eng_Latn", "</s>", "<unk>"], "CLIPTokenizer": ["<|startoftext|>", "<|endoftext|>"],
          "MBartTokenizer": ["en_XX"], "FunnelTokenizer": ["<unk>"]}
BY_UNKNOWN = ("DebertaV2Tokenizer", "CamembertTokenizer", "BigBirdTokenizer", "FunnelTokenizer")  # their unknown token is looked for in the vocabulary
MODELS = {"wordpiece": "model-wordpiece", "letters": "model-bpe-bytelevel", "bytes": "model-bpe-byte-fallback", "unigram": "model-unigram"}
TYPES = ["bert", "gpt2", "qwen2", "qwen3", "llama", "mistral", "phi3", "modernbert", "xlm-roberta", "t5", "gpt_neox", "gemma", "unheard_of", "smolvlm", "umt5"]
NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<|endoftext|>", "<bos>", "<eos>", "<|padding|>"]


class Draw:
    def __init__(self, seed, models):
        self.r, self.models = random.Random(seed), models

    def flag(self, p=0.5):
        return self.r.random() < p

    def added(self, content=None):
        special = self.flag()
        return {"content": content or self.r.choice(SPECIALS + ["the", "foo", " a", "<x>", "<y>", "e"]), "single_word": self.flag(0.1), "lstrip": self.flag(0.3), "rstrip": self.flag(0.2),
                "normalized": self.flag() if not special else False, "special": special}

    def tokenizer(self, kind, name):
        t = json.loads(self.models[kind])
        for token in NEEDED.get(name, []):
            if kind == "unigram":
                t["model"]["vocab"].append([token, -9.0])
            else:
                t["model"]["vocab"].setdefault(token, len(t["model"]["vocab"]))
        t["added_tokens"], seen, vocab = [], set(), t["model"]["vocab"]
        have = dict(vocab) if isinstance(vocab, dict) else {p[0]: i for i, p in enumerate(vocab)}
        number = len(have)
        for content in self.r.sample(SPECIALS, self.r.randint(0, 10)):
            t["added_tokens"].append({"id": have.get(content, number), **self.added(content)})
            number += content not in have
        t["truncation"] = t["padding"] = None
        if self.flag(0.3):
            t["model"]["ignore_merges" if kind == "letters" else "byte_fallback"] = self.flag()
        if self.flag(0.3):
            t["post_processor"] = None
        if self.flag(0.2):
            t["normalizer"] = self.r.choice([None, {"type": "NFC"}, {"type": "Lowercase"}])
        if kind == "unigram" and name not in BY_UNKNOWN[1:]:  # DebertaV2Tokenizer looks for [UNK] with the score 0
            t["model"]["vocab"][1] = ["[UNK]", 0.0]
            t["model"]["unk_id"] = 1
        if self.flag(0.2):
            model = t.pop("model")
            t = {"model": model, **t}
        return t

    def config(self, name, options):
        r = self.r
        c = {} if name is None else {"tokenizer_class": name + r.choice(["", "Fast"])}
        for o in options:
            if self.flag():
                c[o] = self.flag()
        if name == "T5Tokenizer":
            c["extra_ids"] = 0
        for n in NAMES:
            if self.flag(0.3) and not (n == "unk_token" and name in BY_UNKNOWN):
                token = r.choice(SPECIALS + ["<x>", "the"])
                c[n] = r.choice([token, token, {"__type": "AddedToken", **self.added(token)}, None if n not in ("sep_token", "cls_token") else token])
        if self.flag(0.5):
            some = {t["content"]: t for t in (self.added() for _ in range(r.randint(0, 6)))}
            c["added_tokens_decoder"] = {str(r.randint(0, 900)): t for t in some.values()}
        if self.flag(0.2):
            c["extra_special_tokens"] = r.choice([["<x1>", "<x2>"], {"image_token": "<img>"}, [], {}])
        if self.flag(0.2):
            c["additional_special_tokens"] = ["<y1>", "e"]
        for key, p in (("split_special_tokens", 0.2), ("clean_up_tokenization_spaces", 0.4)):
            if self.flag(p):
                c[key] = self.flag(0.7)
        if self.flag(0.15):
            c["image_token"] = "<image>"
        return c

    def folder(self, path, name, kind, options):
        os.mkdir(path)
        files = {"tokenizer.json": self.tokenizer(kind, name), "tokenizer_config.json": self.config(name, options)}
        if name is None and self.flag():
            files.pop("tokenizer_config.json")
        if self.flag(0.3):
            files["config.json"] = {"model_type": self.r.choice(TYPES if kind == "letters" else TYPES[3:7] + TYPES[12:13] + TYPES[-1:])}
        if self.flag(0.25):
            files["special_tokens_map.json"] = {n: self.r.choice(["<s>", "</s>", {"content": "<z>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}]) for n in self.r.sample(NAMES, 2)}
            if self.flag():
                files["special_tokens_map.json"]["additional_special_tokens"] = ["<map>"]
        if self.flag(0.15):
            files["added_tokens.json"] = {"<w>": 900, "<v>": 899}
        for n, tree in files.items():
            with open(os.path.join(path, n), "w", encoding="utf-8") as f:
                json.dump(tree, f)
        return files


def differences(tok, weft, texts, show):
    def compare(what, inputs, ours, theirs):
        wrong = [i for i in range(len(inputs)) if ours[i] != theirs[i]]
        for i in wrong[:show]:
            print(f"    {what}: {inputs[i]!r}\n      weft      {ours[i]}\n      reference {theirs[i]}")
        return len(wrong)

    ids = [tok(t, add_special_tokens=False)["input_ids"] for t in texts]
    wrong = compare("ids", texts, weft.ids(texts), [tok(t)["input_ids"] for t in texts])
    wrong += compare("ids without special tokens", texts, weft.ids(texts, "--no-specials"), ids)
    lists = [x for x in ids if x]
    for options in ([], ["--skip-specials"]):
        wrong += compare("decoded", lists, weft.decode(lists, *options), [tok.decode(x, skip_special_tokens=bool(options)) for x in lists])
    return wrong


def run_one(number, args, root, models):
    import transformers

    transformers.logging.set_verbosity_error()
    draw = Draw(args.seed * 1000003 + number, models)
    name, kind, options = draw.r.choice([c for c in CLASSES if not args.only or c[0] in args.only])
    folder = os.path.join(root, f"f{number}")
    files = draw.folder(folder, name, kind, options)
    try:
        tok = transformers.AutoTokenizer.from_pretrained(folder)
        tok("a b", "c")
    except BaseException as refused:  # a panic of the package is no Exception
        if isinstance(refused, (KeyboardInterrupt, SystemExit)):
            raise
        return None
    texts = Texts(number, [p.replace("\u2581", " ").replace("\u0120", " ").removeprefix("##") for p in sorted(tok.get_vocab())], SPECIALS + ["<x>", "<map>"], True)
    some = [texts.one() for _ in range(args.texts)] + [" ab", "the  The\u00e9 a , b !", "", " <s> a</s>"]
    try:
        wrong = differences(tok, Weft(args.weft, folder, root), [t for t in some if t], args.show)
    except RuntimeError as refused:
        print(f"    weft: {refused}")
        wrong = 1
    if wrong:
        files["tokenizer.json"].pop("model")
        print(f"f{number} {name} {kind} ({type(tok).__name__}): {wrong} differences\n    {json.dumps(files, ensure_ascii=False)[:2500]}", flush=True)
    return wrong > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--models", default=os.path.join(os.environ.get("WEFT_FIXTURES", "."), "tokenizers"))
    parser.add_argument("--count", type=int, default=300, help="folders")
    parser.add_argument("--texts", type=int, default=20, help="texts for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--class", dest="only", action="append", help="only this class")
    parser.add_argument("--show", type=int, default=2, help="differences shown of each kind")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    models = {}
    for kind, name in MODELS.items():
        with open(glob.glob(os.path.join(args.models, name, "tokenizer.json"))[0], encoding="utf-8") as f:
            models[kind] = f.read()
    with tempfile.TemporaryDirectory() as root:
        done = [run_one(i, args, root, models) for i in range(args.count)]
    known = [d for d in done if d is not None]
    print(f"{len(known)} folders, {sum(known)} differ")
    sys.exit(1 if any(known) else 0)


if __name__ == "__main__":
    main()
