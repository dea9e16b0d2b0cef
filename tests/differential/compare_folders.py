#!/usr/bin/env python3
"""Random texts through weft and through the tokenizer classes of `transformers` that read a folder without a tokenizer.json.

    pip install "transformers<5" sentencepiece protobuf
    tests/differential/compare_folders.py [--weft build/weft] [--count 20000] [--seed 1] [--class NAME]...

Small SentencePiece models are trained on the project's own documentation; each class gets a folder made of one. The ids of every
text are compared with and without special tokens, and the decoded text without them. Exit code 1 when anything differs. Not part
of `make test`: it needs Python and the packages.
"""
import argparse
import glob
import json
import os
import sys
import tempfile

from compare_tokenizers import Texts, Weft

HERE = os.path.dirname(os.path.abspath(__file__))
EXTRA = ["H\u00e9llo w\u00f6rld, \u00e7a va? \u042d\u0442\u043e \u043f\u0440\u043e\u0432\u0435\u0440\u043a\u0430.", "\u4e2d\u6587\u5b57\u7b26 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
         "1,000,000 3.14 9, 10, 2024,", "the quick brown fox jumps over the lazy dog's back"] * 30


def train(folder, name, **options):
    import sentencepiece

    text = os.path.join(folder, "text.txt")
    if not os.path.exists(text):
        with open(text, "w", encoding="utf-8") as out:
            for path in sorted(glob.glob(os.path.join(HERE, "../../docs/*.md")))[:30]:
                out.write(open(path, encoding="utf-8").read())
            out.write("\n".join(EXTRA))
    prefix = os.path.join(folder, name)
    sentencepiece.SentencePieceTrainer.train(input=text, model_prefix=prefix, character_coverage=0.999, minloglevel=2,
                                             **{"vocab_size": 1500, **options})
    return prefix + ".model"


MODELS = {
    "plain": {}, "bpe": {"model_type": "bpe"}, "bytes": {"byte_fallback": True, "vocab_size": 1700},
    "pegasus": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "albert": {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "user_defined_symbols": ["(", ")", '"'],
               "control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "normalization_rule_name": "nmt_nfkc_cf"},
    "rembert": {"pad_id": 0, "pad_piece": "[PAD]", "unk_piece": "[UNK]", "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    "xlnet": {"control_symbols": ["<cls>", "<sep>", "<pad>", "<mask>", "<eod>"], "user_defined_symbols": ["<eop>"]},
    "bigbird": {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 100, "user_defined_symbols": []},
    "camembert": {}, "barthez": {"pad_id": 1, "bos_id": 0, "eos_id": 2, "unk_id": 3},
}
SPM, SPIECE = "sentencepiece.bpe.model", "spiece.model"
# class, model, file name, tokenizer_config.json, whether it has a vocab.json, whether the class is the fast one of a conversion
CASES = [
    ("MarianTokenizer", "plain", "source.spm", {}, True, False), ("MarianTokenizer", "bpe", "source.spm", {}, True, False),
    ("M2M100Tokenizer", "plain", SPM, {}, True, False), ("M2M100Tokenizer", "bpe", SPM, {"src_lang": "fr"}, True, False),
    ("MBartTokenizer", "plain", SPM, {}, False, False), ("MBartTokenizer", "bpe", SPM, {"src_lang": "ro_RO"}, False, False),
    ("MBart50Tokenizer", "plain", SPM, {"src_lang": "de_DE"}, False, False), ("NllbTokenizer", "plain", SPM, {}, False, False),
    ("NllbTokenizer", "bpe", SPM, {"src_lang": "fra_Latn", "legacy_behaviour": True}, False, False),
    ("PLBartTokenizer", "plain", SPM, {}, False, False), ("PLBartTokenizer", "plain", SPM, {"src_lang": "java"}, False, False),
    ("PLBartTokenizer", "plain", SPM, {"language_codes": "multi", "src_lang": "python"}, False, False),
    ("PegasusTokenizer", "pegasus", SPIECE, {}, False, False), ("XLMRobertaTokenizer", "plain", SPM, {}, False, False),
    ("XLMRobertaTokenizer", "bytes", SPM, {}, False, False), ("XGLMTokenizer", "plain", SPM, {}, False, False),
    ("CamembertTokenizer", "camembert", SPM, {}, False, False), ("BarthezTokenizer", "barthez", SPM, {}, False, False),
    ("T5Tokenizer", "pegasus", SPIECE, {}, False, False), ("T5Tokenizer", "pegasus", SPIECE, {"extra_ids": 7}, False, False),
    ("BigBirdTokenizer", "bigbird", SPIECE, {}, False, False), ("Speech2TextTokenizer", "plain", SPM, {}, True, False),
    ("AlbertTokenizer", "albert", SPIECE, {}, False, True), ("AlbertTokenizer", "albert", SPIECE, {"do_lower_case": False, "keep_accents": True}, False, True),
    ("XLNetTokenizer", "xlnet", SPIECE, {}, False, True), ("XLNetTokenizer", "xlnet", SPIECE, {"do_lower_case": True}, False, True),
    ("RemBertTokenizer", "rembert", "sentencepiece.model", {}, False, True),
]


def fairseq_vocab(model):
    """A vocab.json in another order than the model's, without some of its pieces."""
    import sentencepiece

    sp = sentencepiece.SentencePieceProcessor(model_file=model)
    pieces = [sp.id_to_piece(i) for i in range(len(sp))]
    order = ["<s>", "<pad>", "</s>", "<unk>"] + [p for i, p in enumerate(reversed(pieces)) if i % 17 and p not in ("<s>", "</s>", "<unk>")]
    return {p: i for i, p in enumerate(order + [">>fra<<", ">>deu<<"])}


def make_folder(root, models, case, number):
    name, model, file, config, vocab, _ = case
    if model not in models:
        models[model] = train(root, model, **MODELS[model])
    folder = os.path.join(root, f"{name}-{number}")
    os.mkdir(folder)
    data = open(models[model], "rb").read()
    for target in [file] + (["target.spm"] if file == "source.spm" else []):
        open(os.path.join(folder, target), "wb").write(data)
    if name == "NllbTokenizer":  # as the published folders say it: without that the class now puts <mask> before the languages
        codes = json.load(open(os.path.join(HERE, "../../src/text/classes/NllbTokenizer.json"), encoding="utf-8"))["languages"]
        config = {**config, "added_tokens_decoder": {1501 + i: {"content": c, "special": True} for i, c in enumerate(codes + ["<mask>"])}}
        config["added_tokens_decoder"][1501 + len(codes)]["lstrip"] = True
    json.dump({"tokenizer_class": name, **config}, open(os.path.join(folder, "tokenizer_config.json"), "w"))
    if vocab:
        json.dump(fairseq_vocab(models[model]), open(os.path.join(folder, "vocab.json"), "w"))
    return folder


def compare(what, texts, got, want, show):
    wrong = [i for i in range(len(texts)) if got[i] != want[i]]
    for i in wrong[:show]:
        print(f"  {what}: {texts[i]!r}\n    weft      {got[i]}\n    reference {want[i]}")
    return len(wrong)


def run_case(case, number, args, root, models):
    import transformers

    folder = make_folder(root, models, case, number)
    tok = getattr(transformers, case[0] + ("Fast" if case[5] else "")).from_pretrained(folder)
    weft = Weft(args.weft, folder, root)
    texts = Texts(args.seed + number, [p.replace("\u2581", " ") for p in tok.get_vocab()], list(tok.all_special_tokens) + [">>fra<<"], False)
    some = [t for t in (texts.one() for _ in range(args.count)) if not t.rstrip().endswith("</s>")]  # T5 adds no second one
    ids = [tok(t, add_special_tokens=False)["input_ids"] for t in some]
    wrong = compare("ids", some, weft.ids(some), [tok(t)["input_ids"] for t in some], args.show)
    wrong += compare("ids without special tokens", some, weft.ids(some, "--no-specials"), ids, args.show)
    lists = [x for x in ids if x]
    wrong += compare("decoded text", lists, weft.decode(lists, "--skip-specials"), [tok.decode(x, skip_special_tokens=True, clean_up_tokenization_spaces=False) for x in lists], args.show)
    print(f"{case[0]} {case[1]} {case[3]}: {len(some)} texts, {wrong} differences", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/weft")
    parser.add_argument("--count", type=int, default=20000, help="texts for every folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--class", dest="only", action="append", help="only this class")
    parser.add_argument("--show", type=int, default=3, help="differences shown of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        models = {}
        wrong = sum(run_case(c, i, args, root, models) for i, c in enumerate(CASES) if not args.only or c[0] in args.only)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
