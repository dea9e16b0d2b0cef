# generate.py - makes the golden cases of this folder with the PyPI package `tokenizers` (0.23.3 made these): small tokenizers of
# the shapes that published files have, over a made-up text, and what the reference encodes. Run in this folder.
import json, random
from tokenizers import Tokenizer, models, trainers, pre_tokenizers, decoders, normalizers, processors, AddedToken, Regex

O = './'
r = random.Random(20)
syl = ['ka', 'lo', 'mi', 'ne', 'ru', 'ta', 'vo', 'sha', 'en', 'ing', 'er', 'the', 'ph', 'qu', 'st']
words = [''.join(r.choice(syl) for _ in range(r.randrange(1, 4))) for _ in range(120)] + [
    'don\'t',
    'we\'ll',
    'I\'m',
    'naïve',
    'café',
    'über',
    '日本語',
    'の',
    'привет',
    'мир',
    '한글',
    'été',
    'x1',
    '2024',
    '3.14',
    '100000',
]


def sent():
    return ' '.join(
        r.choice(words) if r.random() < 0.9 else r.choice(words).capitalize() for _ in range(r.randrange(3, 12))
    ) + r.choice(['.', '!', '?', ' ...', ', ', ';', ' -- ', '\n', '\n\n', ':  '])


corpus = [sent() for _ in range(800)]


def tr(pre, vocab, norm=None, specials=[]):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    if norm:
        t.normalizer = norm
    t.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=vocab,
            min_frequency=2,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return t


BL = pre_tokenizers.ByteLevel
T = {}
T['gpt2-like'] = tr(BL(add_prefix_space=False), 420, specials=['<|endoftext|>'])
t = tr(BL(add_prefix_space=False), 400, norm=normalizers.NFC(), specials=['<|endoftext|>', '<|padding|>'])
t.add_tokens(
    [AddedToken(' ' * n, normalized=True) for n in (8, 4, 2)]
    + [AddedToken('caf\u00e9s', normalized=True), AddedToken('e\u0301e\u0301', normalized=True)]
)
T['neox-like'] = t
T['falcon-like'] = tr(
    pre_tokenizers.Sequence(
        [
            pre_tokenizers.Punctuation('contiguous'),
            BL(add_prefix_space=False),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(Regex('[0-9][0-9][0-9]'), 'isolated'),
        ]
    ),
    400,
    specials=['>>TITLE<<', '<|endoftext|>'],
)
t = tr(
    pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(
                    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                ),
                'isolated',
            ),
            BL(add_prefix_space=False, use_regex=False),
        ]
    ),
    400,
    specials=['<bos>', '<eos>'],
)
j = json.loads(t.to_str())
j['model']['ignore_merges'] = True
v = j['model']['vocab']
for w in ['Ġkalotashaqu', 'Ġstrange', 'zzz']:
    v[w] = len(v)
t = Tokenizer.from_str(json.dumps(j))
t.post_processor = processors.TemplateProcessing(
    single='<bos> $A <eos> <eos>', pair=None, special_tokens=[('<bos>', 0), ('<eos>', 1)]
)
T['llama3-like'] = t
t = tr(BL(add_prefix_space=True), 400, specials=['<s>', '<pad>', '</s>', '<unk>'])
t.add_special_tokens([AddedToken('<mask>', lstrip=True)])
t.add_tokens(
    [AddedToken('word', single_word=True), AddedToken('<r>', rstrip=True), AddedToken('<rl>', lstrip=True, rstrip=True)]
)
t.post_processor = processors.RobertaProcessing(('</s>', 2), ('<s>', 0))
T['roberta-like'] = t
t = tr(
    pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split('ka', 'merged_with_next'),
            pre_tokenizers.Split('. ', 'merged_with_previous'),
            BL(add_prefix_space=False),
            pre_tokenizers.Split('é', 'removed'),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    ),
    380,
)
T['split-like'] = t
t = tr(
    pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r'\p{L}+'), 'removed', invert=True), BL(add_prefix_space=False)]),
    380,
    norm=normalizers.NFKD(),
)
T['invert-like'] = t
CH = [
    'ka',
    'lo',
    'the',
    'ing',
    "don't",
    "we'll",
    "I'M",
    "'",
    "''",
    ' ',
    '  ',
    '   ',
    '    ',
    '        ',
    '\n',
    '\n\n',
    '\t',
    ' \n',
    '\r\n',
    'é',
    'e\u0301',
    'e\u0301e\u0301',
    'cafe\u0301s',
    '日本語',
    '。',
    '1',
    '23',
    '100',
    '2024',
    '123456',
    '²',
    'Ⅷ',
    '½',
    '٣',
    '!',
    '?!',
    '...',
    '. ',
    '-',
    '_',
    '\u00a0',
    '\u2003',
    '\u3000',
    '\u200d',
    '👩\u200d👩',
    '🙂',
    'ſ',
    'İ',
    'ß',
    '한글',
    '\u1100\u1161\u11a8',
    '<s>',
    '<bos>',
    '<|endoftext|>',
    '</s>',
    '<mask>',
    ' <mask> ',
    'word',
    ' word ',
    'wording',
    '<r>  x',
    '  <rl>  ',
    '>>TITLE<<',
    '\x01',
    '\x7f',
    '\u0085',
    '\u180e',
    '\u0300\u0323',
    'क्षि',
    'ﬁ',
    '\ufeff',
    '\ufffd',
    'Ⓐ',
    'kalotashaqu',
    ' strange',
    'zzz',
    '<|padding|>',
    ' sha',
    'quer',
    'мир',
    'привет',
]
for name, t in T.items():
    t.save(O + name + '.json', pretty=False)
    with open(O + name + '.jsonl', 'w') as f:
        texts = ['', 'a', ' ', 'word', 'Hello world'] + [
            ''.join(r.choice(CH) if r.random() < 0.75 else r.choice(words) for _ in range(r.randrange(1, 9))) for _ in range(75)
        ]
        for x in texts:
            f.write(
                json.dumps(
                    {'text': x, 'ids': t.encode(x, add_special_tokens=False).ids, 'special_ids': t.encode(x).ids},
                    ensure_ascii=False,
                    separators=(',', ':'),
                )
                + '\n'
            )
# training golden: our own text, HF's result
train_text = "".join(corpus[:300])
open(O + 'train.txt', 'w').write(train_text)
t = Tokenizer(models.BPE())
t.pre_tokenizer = BL(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
t.train_from_iterator(
    [train_text],
    trainers.BpeTrainer(
        vocab_size=700, min_frequency=2, special_tokens=['<|endoftext|>'], initial_alphabet=BL.alphabet(), show_progress=False
    ),
)
m = json.loads(t.to_str())['model']['merges']
open(O + 'train.merges', 'w').write('\n'.join(' '.join(x) for x in m) + '\n')
