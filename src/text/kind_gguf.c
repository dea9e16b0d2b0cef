/* kind_gguf.c - the vocabulary inside a GGUF file, as llama.cpp reads it: byte-level BPE (gpt2), SentencePiece's two models
 * (llama, t5) and WordPiece (bert). */
#include <string.h>

#include "base/base64.h"
#include "text/file_kinds.h"
#include "text/gguf_meta.h"
#include "text/unicode.h"
#include "text/write_json.h"

/* ---- how texts are cut, by the name in tokenizer.ggml.pre ---- */

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define ANY_CASE_ENDINGS "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
#define LLAMA3                                                                                                                 \
    "(?:" ANY_CASE_ENDINGS                                                                                                     \
    ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN2                                                                                                                  \
    "(?:" ANY_CASE_ENDINGS                                                                                                     \
    ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER_FIRST "((?=[\\p{L}])([^a-z]))*((?=[\\p{L}])([^A-Z]))+"
#define UPPER_SOME "((?=[\\p{L}])([^a-z]))+((?=[\\p{L}])([^A-Z]))*"
#define TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TEKKEN "[^\\r\\n\\p{L}\\p{N}]?" UPPER_FIRST "|[^\\r\\n\\p{L}\\p{N}]?" UPPER_SOME "|\\p{N}" TAIL
#define GPT4O                                                                                                                  \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER_FIRST "(?:" ANY_CASE_ENDINGS ")?|[^\\r\\n\\p{L}\\p{N}]?" UPPER_SOME "(?:" ANY_CASE_ENDINGS  \
    ")?|\\p{N}{1,3}" TAIL
#define HAN "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define DEEPSEEK3                                                                                                              \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "                      \
    "?[\\p{P}\\p{S}]+[\\r\\n]*|"                                                                                               \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
#define DEEPSEEK_LETTERS                                                                                                       \
    "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"                       \
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}"             \
    "\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                 \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}"                          \
    "\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}"                          \
    "\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}"                  \
    "\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}"                 \
    "\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}"                  \
    "\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}"                            \
    "\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"                  \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"                           \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"                          \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}"                    \
    "\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"                                     \
    "]+"

enum { MOST_PATTERNS = 6, ADD_BOS = 1, IGNORE_MERGES = 2, KEEP_SPACES = 4 };
typedef struct pre_row {
    const char *names; /* separated by blanks */
    unsigned flags;
    const char *patterns[MOST_PATTERNS];
} pre_row;
static const pre_row pres[] = {
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", ADD_BOS | IGNORE_MERGES, {LLAMA3}},
    {"dbrx smaug-bpe glm4 chatglm-bpe", 0, {LLAMA3}},
    {"deepseek-llm",
     KEEP_SPACES,
     {"[\\r\\n]", DEEPSEEK_LETTERS, "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
      "\\s+$", HAN, "\\p{N}+"}},
    {"deepseek-coder", KEEP_SPACES, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN, "\\p{N}"}},
    {"deepseek-v3 hunyuan-dense",
     KEEP_SPACES,
     {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+", DEEPSEEK3}},
    {"falcon", 0, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"starcoder refact codeshell exaone minerva-7b", 0, {"\\p{N}", GPT2}},
    {"command-r smollm", KEEP_SPACES, {"\\p{N}", GPT2}},
    {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum mpt olmo jais exaone4 jina-v1-en jina-v2-code "
     "roberta-bpe",
     0,
     {GPT2}},
    {"trillion granite-docling", KEEP_SPACES, {GPT2}},
    {"qwen2 deepseek-r1-qwen kormo hunyuan grok-2", KEEP_SPACES, {QWEN2}},
    {"stablelm2 megrez", 0, {QWEN2}},
    {"poro-chat", KEEP_SPACES, {BLOOM}},
    {"bloom gpt3-finnish", 0, {BLOOM}},
    {"viking", KEEP_SPACES, {BLOOM, "\\p{N}"}},
    {"tekken", KEEP_SPACES | ADD_BOS | IGNORE_MERGES, {TEKKEN}},
    {"gpt-4o llama4 minimax-m2", KEEP_SPACES, {GPT4O}},
    {"superbpe", KEEP_SPACES, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {"default", 0, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

static bool is_named(const char *names, wf_bytes name) {
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (n == name.length && memcmp(at, name.data, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static const pre_row *find_pre(wf_bytes name) {
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        if (is_named(pres[i].names, name.length ? name : (wf_bytes){"default", 7}))
            return &pres[i];
    return NULL;
}

/* ---- the vocabulary ---- */

typedef struct gguf {
    const wf_kind_input *in;
    wf_gguf_meta meta;
    const wf_gguf_value *tokens, *types, *scores, *merges;
    wf_bytes *texts; /* of the tokens */
    char *kinds;     /* a letter per token, see pieces.h */
    wf_arena *arena;
    weft_error *err;
} gguf;

/* Tokens that end a text are control tokens, whatever the file says. */
static bool ends_texts(wf_bytes t) {
    static const char names[] =
        "<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <end_of_turn> <|endoftext|> <|eom_id|> <EOT> _<EOT> "
        "<|end_of_text|> <end_of_utterance> <|flush|> <|calls|> </s> "
        "<\xEF\xBD\x9C"
        "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>";
    return is_named(names, t);
}

static weft_status check_array(const gguf *g, const char *key, uint32_t element, const wf_gguf_value **out) {
    const wf_gguf_value *v = wf_gguf_find(&g->meta, key);
    *out = v;
    WF_CHECK(!v || (v->type == WF_GGUF_ARRAY && v->element == element), g->err, WEFT_BAD_INPUT,
             "%s is no list of the right type", key);
    return WEFT_OK;
}

static weft_status read_tokens(gguf *g) {
    static const char kinds[] = "nnucdxb";
    enum { TYPES = sizeof kinds - 1, I32 = 5 };
    WF_TRY(check_array(g, "tokenizer.ggml.tokens", WF_GGUF_STRING, &g->tokens));
    WF_TRY(check_array(g, "tokenizer.ggml.token_type", I32, &g->types));
    WF_TRY(check_array(g, "tokenizer.ggml.scores", WF_GGUF_F32, &g->scores));
    WF_TRY(check_array(g, "tokenizer.ggml.merges", WF_GGUF_STRING, &g->merges));
    WF_CHECK(g->tokens && g->tokens->count > 0 && g->tokens->count < UINT32_MAX, g->err, WEFT_BAD_INPUT,
             "the file has no tokenizer.ggml.tokens");
    size_t n = (size_t)g->tokens->count;
    WF_CHECK((!g->types || g->types->count == n) && (!g->scores || g->scores->count == n), g->err, WEFT_BAD_INPUT,
             "the file has other numbers of tokens, types and scores");
    g->texts = wf_arena_alloc(g->arena, n * sizeof *g->texts);
    g->kinds = wf_arena_alloc(g->arena, n + 1);
    if (!g->texts || !g->kinds)
        return wf_fail_memory(g->err);
    for (size_t i = 0, at = 0; i < n; i++) {
        int32_t type = g->types ? wf_gguf_i32(g->types, i) : 1;
        wf_bytes t = wf_gguf_next_text(g->tokens, &at);
        WF_CHECK(wf_utf8_valid((const uint8_t *)t.data, t.length), g->err, WEFT_BAD_INPUT, "token %zu is not UTF-8", i);
        if (t.length == 0) {
            t.data = wf_arena_printf(g->arena, "[EMPTY_%zu]", i);
            if (!t.data)
                return wf_fail_memory(g->err);
            t.length = strlen(t.data);
        }
        g->texts[i] = t;
        g->kinds[i] = ends_texts(t) ? 'c' : type > 0 && type < TYPES ? kinds[type] : 'n';
    }
    return WEFT_OK;
}

/* ---- writing ---- */

static void write_vocab(const gguf *g, wf_json_writer *w) {
    wf_jw_open(w, "vocab", '{');
    for (size_t i = 0; i < g->tokens->count; i++) {
        char *key = wf_arena_strndup(g->arena, g->texts[i].data, g->texts[i].length);
        wf_jw_key(w, key ? key : "");
        wf_jw_int(w, (int64_t)i);
        w->out->failed = w->out->failed || !key;
    }
    wf_jw_end(w, '}');
}

/* Which tokens swallow blanks beside them is not in the files: llama.cpp goes by names in the metadata. */
typedef struct strip_row {
    const char *key, *part; /* an entry, and what is in it in small letters */
    const char *tokens;     /* separated by blanks; after a `!` all but these */
    bool left;              /* else right */
} strip_row;
static const strip_row strips[] = {
    {"tokenizer.ggml.pre", "jina-v2-de", "<mask>", true},         {"tokenizer.ggml.pre", "jina-v2-es", "<mask>", true},
    {"tokenizer.ggml.pre", "jina-v2-code", "<mask>", true},       {"general.architecture", "nomic-bert-moe", "<mask>", true},
    {"general.architecture", "jina-bert-v3", "<mask>", true},     {"general.name", "phi-3", "! <unk> <s> <|endoftext|>", false},
    {"general.name", "phi3", "! <unk> <s> <|endoftext|>", false},
};

static bool contains(wf_bytes text, const char *part) {
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.length; i++) {
        size_t k = 0;
        while (k < n &&
               (text.data[i + k] >= 'A' && text.data[i + k] <= 'Z' ? text.data[i + k] + 32 : text.data[i + k]) == part[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static const strip_row *find_strip(const gguf *g) {
    for (size_t i = 0; i < sizeof strips / sizeof *strips; i++)
        if (contains(wf_gguf_text(&g->meta, strips[i].key), strips[i].part))
            return &strips[i];
    return NULL;
}

/* Control tokens are special; user-defined ones are found too, and are plain. */
static void write_added(const gguf *g, wf_json_writer *w) {
    const strip_row *strip = find_strip(g);
    wf_jw_open(w, "added_tokens", '[');
    for (size_t i = 0; i < g->tokens->count; i++) {
        bool strips_it = strip && is_named(strip->tokens, g->texts[i]) != (strip->tokens[0] == '!');
        if (strchr("ucd", g->kinds[i]))
            wf_jw_added(w, &(wf_added_entry){.id = (uint32_t)i,
                                             .content = g->texts[i],
                                             .special = g->kinds[i] != 'd',
                                             .lstrip = strips_it && strip->left,
                                             .rstrip = strips_it && !strip->left});
    }
    wf_jw_end(w, ']');
}

/* The token of an id in the metadata, as text in the arena; NULL when it is not wanted. */
static weft_status special_of(const gguf *g, const char *key, int64_t fallback, bool wanted, uint32_t *id, const char **text) {
    int64_t value = wf_gguf_int(&g->meta, key, fallback);
    *text = NULL;
    if (!wanted)
        return WEFT_OK;
    WF_CHECK(value >= 0 && (uint64_t)value < g->tokens->count, g->err, WEFT_BAD_INPUT,
             "%s is missing or outside the vocabulary", key);
    *id = (uint32_t)value;
    *text = wf_arena_strndup(g->arena, g->texts[value].data, g->texts[value].length);
    return *text ? WEFT_OK : wf_fail_memory(g->err);
}

static weft_status write_frame(const gguf *g, wf_json_writer *w, bool bos, bool eos) {
    wf_frame f;
    bos = wf_gguf_int(&g->meta, "tokenizer.ggml.add_bos_token", bos) != 0;
    eos = wf_gguf_int(&g->meta, "tokenizer.ggml.add_eos_token", eos) != 0;
    WF_TRY(special_of(g, "tokenizer.ggml.bos_token_id", -1, bos, &f.bos_id, &f.bos));
    WF_TRY(special_of(g, "tokenizer.ggml.eos_token_id", -1, eos, &f.eos_id, &f.eos));
    wf_jw_template(w, &f);
    return WEFT_OK;
}

static void write_type(wf_json_writer *w, const char *key, const char *type) {
    wf_jw_open(w, key, '{');
    wf_jw_text(w, "type", type);
}

static void write_simple(wf_json_writer *w, const char *type) {
    write_type(w, NULL, type);
    wf_jw_end(w, '}');
}

static void write_replace(wf_json_writer *w, const char *dialect, const char *from, const char *to) {
    write_type(w, NULL, "Replace");
    wf_jw_open(w, "pattern", '{');
    wf_jw_text(w, dialect, from);
    wf_jw_end(w, '}');
    wf_jw_text(w, "content", to);
    wf_jw_end(w, '}');
}

static void begin_sequence(wf_json_writer *w, const char *key, const char *members) {
    write_type(w, key, "Sequence");
    wf_jw_open(w, members, '[');
}

static void end_sequence(wf_json_writer *w) {
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

/* ---- gpt2 ---- */

static void write_patterns(const pre_row *row, wf_json_writer *w) {
    begin_sequence(w, "pre_tokenizer", "pretokenizers");
    for (int i = 0; i < MOST_PATTERNS && row->patterns[i]; i++) {
        write_type(w, NULL, "Split");
        wf_jw_open(w, "pattern", '{');
        wf_jw_text(w, "Perl", row->patterns[i]);
        wf_jw_end(w, '}');
        wf_jw_text(w, "behavior", "Isolated");
        wf_jw_end(w, '}');
    }
    wf_jw_byte_level(w, NULL, false, true, false);
    end_sequence(w);
}

static void write_merges(const gguf *g, wf_json_writer *w) {
    wf_jw_open(w, "merges", '[');
    for (size_t i = 0, at = 0; i < g->merges->count; i++) {
        wf_bytes t = wf_gguf_next_text(g->merges, &at);
        wf_jw_string_n(w, t.data, t.length);
    }
    wf_jw_end(w, ']');
}

/* Added tokens stand for themselves, whatever their letters would spell. */
static void write_letters_decoder(const gguf *g, wf_json_writer *w) {
    write_type(w, NULL, "ByteLevel");
    wf_jw_open(w, "plain_tokens", '[');
    for (size_t i = 0; i < g->tokens->count; i++)
        if (strchr("ucd", g->kinds[i]))
            wf_jw_string_n(w, g->texts[i].data, g->texts[i].length);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

static weft_status write_gpt2(const gguf *g, wf_json_writer *w) {
    wf_bytes name = wf_gguf_text(&g->meta, "tokenizer.ggml.pre");
    const pre_row *row = find_pre(name);
    WF_CHECK(row, g->err, WEFT_UNSUPPORTED, "the pre-tokenizer '%.*s' of GGUF files", (int)name.length, name.data);
    WF_CHECK(g->merges, g->err, WEFT_BAD_INPUT, "the file has no tokenizer.ggml.merges");
    write_patterns(row, w);
    WF_TRY(write_frame(g, w, row->flags & ADD_BOS, false));
    begin_sequence(w, "decoder", "decoders");
    write_letters_decoder(g, w);
    if (!(row->flags & KEEP_SPACES))
        write_simple(w, "CleanSpaces");
    end_sequence(w);
    write_type(w, "model", "BPE");
    wf_jw_flag(w, "ignore_merges", row->flags & IGNORE_MERGES);
    write_vocab(g, w);
    write_merges(g, w);
    wf_jw_end(w, '}');
    return WEFT_OK;
}

/* ---- llama and t5 ---- */

static void write_scored(const gguf *g, wf_json_writer *w) {
    wf_jw_text(w, "kinds", g->kinds);
    wf_jw_open(w, "vocab", '[');
    for (size_t i = 0; i < g->tokens->count; i++) {
        wf_jw_begin(w, '[');
        wf_jw_string_n(w, g->texts[i].data, g->texts[i].length);
        wf_jw_double(w, g->scores ? (double)wf_gguf_f32(g->scores, i) : 0);
        wf_jw_end(w, ']');
    }
    wf_jw_end(w, ']');
}

/* Texts between special tokens begin with a blank, blanks are written U+2581; on the way back the first blank goes. */
static weft_status write_llama(const gguf *g, wf_json_writer *w) {
    bool prefix = wf_gguf_int(&g->meta, "tokenizer.ggml.add_space_prefix", true) != 0;
    begin_sequence(w, "normalizer", "normalizers");
    if (prefix) {
        write_type(w, NULL, "Prepend");
        wf_jw_text(w, "prepend", "\xE2\x96\x81");
        wf_jw_end(w, '}');
    }
    write_replace(w, "String", " ", "\xE2\x96\x81");
    end_sequence(w);
    WF_TRY(write_frame(g, w, true, false));
    begin_sequence(w, "decoder", "decoders");
    write_replace(w, "String", "\xE2\x96\x81", " ");
    write_simple(w, "ByteFallback");
    write_simple(w, "Fuse");
    if (prefix) {
        write_type(w, NULL, "Strip");
        wf_jw_text(w, "content", " ");
        wf_jw_key(w, "start");
        wf_jw_int(w, 1);
        wf_jw_key(w, "stop");
        wf_jw_int(w, 0);
        wf_jw_end(w, '}');
    }
    end_sequence(w);
    write_type(w, "model", "ScoredBPE");
    wf_jw_flag(w, "byte_fallback", true);
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, wf_gguf_int(&g->meta, "tokenizer.ggml.unknown_token_id", 0));
    /* Every token takes part in merging, whatever it is for. */
    for (size_t i = 0; i < g->tokens->count; i++)
        g->kinds[i] = g->kinds[i] == 'b' ? 'b' : 'n';
    write_scored(g, w);
    wf_jw_end(w, '}');
    return WEFT_OK;
}

static weft_status write_t5(const gguf *g, wf_json_writer *w) {
    const wf_gguf_value *map = wf_gguf_find(&g->meta, "tokenizer.ggml.precompiled_charsmap");
    wf_str text = wf_str_new(g->in->mem);
    WF_CHECK(!map || (map->type == WF_GGUF_ARRAY && map->element <= 1), g->err, WEFT_BAD_INPUT,
             "precompiled_charsmap is no list of bytes");
    if (map)
        wf_base64_encode(map->data, map->bytes, &text);
    write_type(w, "normalizer", "SentencePiece");
    wf_jw_text(w, "precompiled_charsmap", wf_str_text(&text));
    wf_jw_flag(w, "add_dummy_prefix", wf_gguf_int(&g->meta, "tokenizer.ggml.add_space_prefix", true) != 0);
    wf_jw_flag(w, "remove_extra_whitespaces", wf_gguf_int(&g->meta, "tokenizer.ggml.remove_extra_whitespaces", false) != 0);
    wf_jw_end(w, '}');
    w->out->failed = w->out->failed || text.failed;
    wf_str_free(&text);
    WF_TRY(write_frame(g, w, false, true));
    write_type(w, "decoder", "Metaspace");
    wf_jw_text(w, "replacement", "\xE2\x96\x81");
    wf_jw_text(w, "prepend_scheme", "always");
    wf_jw_end(w, '}');
    write_type(w, "model", "Unigram");
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, wf_gguf_int(&g->meta, "tokenizer.ggml.unknown_token_id", 2));
    write_scored(g, w);
    wf_jw_end(w, '}');
    return WEFT_OK;
}

/* ---- bert ---- */

/* Words begin with a U+2581 in this vocabulary, and their later parts are plain. */
static weft_status write_bert(const gguf *g, wf_json_writer *w) {
    wf_frame f;
    const char *unknown;
    uint32_t unknown_id;
    WF_TRY(special_of(g, "tokenizer.ggml.cls_token_id", wf_gguf_int(&g->meta, "tokenizer.ggml.bos_token_id", 101), true,
                      &f.bos_id, &f.bos));
    WF_TRY(special_of(g, "tokenizer.ggml.seperator_token_id", 102, true, &f.eos_id, &f.eos)); /* so it is spelled */
    WF_TRY(special_of(g, "tokenizer.ggml.unknown_token_id", 100, true, &unknown_id, &unknown));
    begin_sequence(w, "normalizer", "normalizers");
    write_replace(w, "Perl", "[\\x{b}\\x{c}\\x{85}]", " "); /* spaces, which BertNormalizer takes for control characters */
    write_simple(w, "BaseCharacters");
    write_replace(w, "Perl", "\\p{M}+", "");
    write_type(w, NULL, "BertNormalizer");
    wf_jw_flag(w, "clean_text", true);
    wf_jw_flag(w, "handle_chinese_chars", true);
    wf_jw_flag(w, "strip_accents", false);
    wf_jw_flag(w, "lowercase", true);
    wf_jw_end(w, '}');
    end_sequence(w);
    write_type(w, "pre_tokenizer", "BertPreTokenizer");
    wf_jw_end(w, '}');
    wf_jw_template(w, &f);
    begin_sequence(w, "decoder", "decoders");
    write_replace(w, "String", "\xE2\x96\x81", " ");
    write_simple(w, "Fuse");
    write_simple(w, "CleanSpaces");
    end_sequence(w);
    write_type(w, "model", "WordPiece");
    wf_jw_text(w, "unk_token", unknown);
    wf_jw_text(w, "beginning_subword_prefix", "\xE2\x96\x81");
    wf_jw_text(w, "continuing_subword_prefix", "");
    wf_jw_key(w, "max_input_chars_per_word");
    wf_jw_int(w, 1 << 30);
    write_vocab(g, w);
    wf_jw_end(w, '}');
    return WEFT_OK;
}

/* ---- the file ---- */

typedef struct model_row {
    const char *name;
    weft_status (*write)(const gguf *g, wf_json_writer *w);
} model_row;
static const model_row models[] = {{"gpt2", write_gpt2}, {"llama", write_llama}, {"t5", write_t5}, {"bert", write_bert}};

static weft_status convert(gguf *g, wf_str *json) {
    WF_TRY(wf_gguf_meta_read(g->arena, g->in->files[0], &g->meta, g->err));
    wf_bytes name = wf_gguf_text(&g->meta, "tokenizer.ggml.model");
    const model_row *row = NULL;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (is_named(models[i].name, name))
            row = &models[i];
    WF_CHECK(row, g->err, WEFT_UNSUPPORTED,
             name.length ? "the tokenizer model '%.*s' of GGUF files" : "a GGUF file without a vocabulary%.*s",
             (int)name.length, name.data);
    WF_TRY(read_tokens(g));
    wf_json_writer w;
    wf_json_writer_init(&w, json, 0);
    wf_jw_begin_tokenizer(&w);
    write_added(g, &w);
    WF_TRY(row->write(g, &w));
    wf_jw_end(&w, '}');
    return WEFT_OK;
}

static weft_status convert_gguf(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, in->mem, 0);
    gguf g = {.in = in, .arena = &arena, .err = err};
    weft_status status = convert(&g, json);
    wf_arena_free(&arena);
    return status;
}

static bool is_gguf(const char *name, wf_bytes content) { return content.length >= 4 && memcmp(content.data, "GGUF", 4) == 0; }

static const char *const names[] = {"tokenizer.gguf", "model.gguf", NULL}, *const options[] = {NULL};
const wf_file_kind wf_kind_gguf = {
    .name = "gguf", .folder = names, .recognise = is_gguf, .options = options, .files = 1, .convert = convert_gguf};
