/* kind_ranks.c - vocabularies of bytes: tiktoken's ranks ("base64 rank" a line) and RWKV's ("id 'Python literal' length" a
 * line).
 *
 * tiktoken merges the pair whose joined bytes have the lowest rank. As a BPE model that is one whose merges are every way to
 * put a token together from two others, with the rank of the token ("merge_ranks": "by_id", and no list of merges). */
#include <stdatomic.h>
#include <string.h>

#include "base/base64.h"
#include "text/bytelevel.h"
#include "text/file_kinds.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/write_json.h"

/* The next line; false at the end. */
static bool next_line(wf_bytes text, size_t *at, wf_bytes *line) {
    if (*at >= text.length)
        return false;
    const char *end = memchr(text.data + *at, '\n', text.length - *at);
    *line = (wf_bytes){text.data + *at, end ? (size_t)(end - text.data) - *at : text.length - *at};
    *at += line->length + 1;
    if (line->length && line->data[line->length - 1] == '\r')
        line->length--;
    return true;
}

static weft_status put_token(wf_vocab *v, wf_bytes bytes, int64_t id, size_t line, weft_error *err) {
    bool added;
    WF_CHECK(id >= 0 && id < UINT32_MAX, err, WEFT_BAD_INPUT, "line %zu: an id of %lld", line, (long long)id);
    WF_TRY(wf_vocab_put(v, bytes.data, bytes.length, (uint32_t)id, &added, err));
    WF_CHECK(added, err, WEFT_BAD_INPUT, "line %zu: the same token twice", line);
    return WEFT_OK;
}

/* ---- tiktoken ---- */

/* What the ranks of published vocabularies leave out: how texts are cut, and the special tokens. (GPT-2 alias r50k, p50k,
 * cl100k, o200k.) */
typedef struct published {
    size_t ranks; /* how many: by that it is known */
    const char *pattern;
    const char *const *specials; /* name, id, name, id, ..., NULL */
} published;
#define GPT2_PATTERN "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s"
#define CL100K_PATTERN                                                                                                         \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| "                                                     \
    "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"
#define O200K_PATTERN                                                                                                          \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"  \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"  \
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const char *const gpt2_specials[] = {"<|endoftext|>", "50256", NULL};
static const char *const cl100k_specials[] = {
    "<|endoftext|>", "100257",          "<|fim_prefix|>", "100258", "<|fim_middle|>", "100259", "<|fim_suffix|>",
    "100260",        "<|endofprompt|>", "100276",         NULL};
static const char *const o200k_specials[] = {"<|endoftext|>", "199999", "<|endofprompt|>", "200018", NULL};
static const published tables[] = {
    {50256, GPT2_PATTERN, gpt2_specials},
    {50280, GPT2_PATTERN, gpt2_specials},
    {100256, CL100K_PATTERN, cl100k_specials},
    {199998, O200K_PATTERN, o200k_specials},
};

/* A line of ranks is base64, a blank, a number. */
static bool parse_rank(wf_bytes line, size_t *text, int64_t *rank) {
    const char *blank = memchr(line.data, ' ', line.length);
    *text = blank ? (size_t)(blank - line.data) : 0;
    return blank && wf_parse_i64(blank + 1, line.length - *text - 1, rank);
}

static bool is_tiktoken(const char *name, wf_bytes content) {
    size_t at = 0, text, length;
    int64_t rank;
    wf_bytes line;
    uint8_t bytes[64];
    return next_line(content, &at, &line) && line.length < 64 && parse_rank(line, &text, &rank) && text > 0 &&
           wf_base64_decode(line.data, text, bytes, &length);
}

static weft_status read_ranks(const wf_kind_input *in, wf_vocab *v, weft_error *err) {
    wf_bytes line;
    uint8_t bytes[4096];
    for (size_t at = 0, number = 1; next_line(in->files[0], &at, &line); number++) {
        size_t text, length;
        int64_t rank;
        if (line.length == 0)
            continue;
        WF_CHECK(line.length < sizeof bytes && parse_rank(line, &text, &rank) &&
                     wf_base64_decode(line.data, text, bytes, &length),
                 err, WEFT_BAD_INPUT, "line %zu is not a token in base64 and its rank", number);
        WF_TRY(put_token(v, (wf_bytes){(const char *)bytes, length}, rank, number, err));
    }
    WF_CHECK(v->count > 0, err, WEFT_BAD_INPUT, "the vocabulary is empty");
    return WEFT_OK;
}

/* ---- the vocabulary, written by all threads ---- */

/* A text of bytes as JSON: their letters in quotes, of which only two need an escape. */
static void put_letters(wf_str *out, const char *bytes, size_t n) {
    char text[256];
    size_t used = 0;
    text[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        if (used > sizeof text - WF_LETTER_BYTES - 2) {
            wf_str_put(out, text, used);
            used = 0;
        }
        if (bytes[i] == '"' || bytes[i] == '\\')
            text[used++] = '\\';
        used += wf_put_letter((uint8_t)bytes[i], text + used);
    }
    text[used++] = '"';
    wf_str_put(out, text, used);
}

/* What the tokens from..to become, each with a comma in front. */
static void put_vocab(const wf_vocab *v, size_t from, size_t to, wf_str *out) {
    for (size_t i = from; i < to; i++) {
        char digits[1 + 24] = ":";
        wf_str_putc(out, ',');
        put_letters(out, v->entries[i].text, v->entries[i].length);
        wf_str_put(out, digits, 1 + wf_format_u64(v->entries[i].id, digits + 1));
    }
}

enum { PARTS = 32 };
typedef struct writing {
    const wf_vocab *v;
    atomic_int next;
    wf_str parts[PARTS];
} writing;

static void write_parts(void *arg, int thread, int n_threads) {
    writing *w = arg;
    size_t n = w->v->count, each = n / PARTS;
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < PARTS;) {
        wf_str own = w->parts[i]; /* neighbours share cache lines */
        put_vocab(w->v, each * (size_t)i, i + 1 == PARTS ? n : each * (size_t)(i + 1), &own);
        w->parts[i] = own;
    }
}

/* The first token of all has no comma in front. */
static void put_parts(writing *w, wf_str *out) {
    bool first = true;
    for (int i = 0; i < PARTS; i++) {
        wf_str *part = &w->parts[i];
        wf_str_put(out, wf_str_text(part) + (first && part->length), part->length - (first && part->length));
        first = first && part->length == 0;
        out->failed = out->failed || part->failed;
        wf_str_free(part);
    }
}

static void write_byte_vocab(const wf_kind_input *in, wf_json_writer *out, const wf_vocab *v) {
    writing w = {.v = v};
    atomic_init(&w.next, 0);
    for (int i = 0; i < PARTS; i++)
        w.parts[i] = wf_str_new(in->mem);
    if (in->pool)
        wf_pool_run(in->pool, write_parts, &w);
    else
        write_parts(&w, 0, 1);
    wf_jw_open(out, "vocab", '{');
    put_parts(&w, out->out);
    wf_jw_end(out, '}');
}

static weft_status write_given_specials(wf_json_writer *w, const wf_json *specials, weft_error *err) {
    for (const wf_json *j = specials->child; j; j = j->next) {
        WF_CHECK(j->kind == WF_JSON_NUMBER && j->is_integer && j->integer >= 0 && j->integer < UINT32_MAX, err, WEFT_BAD_INPUT,
                 "special_tokens must name tokens with their ids");
        wf_jw_special(w, (uint32_t)j->integer, (wf_bytes){j->key, strlen(j->key)});
    }
    return WEFT_OK;
}

static weft_status write_tiktoken(const wf_kind_input *in, const wf_vocab *v, const published *p, wf_json_writer *w,
                                  weft_error *err) {
    const wf_json *specials = wf_json_get(in->options, "special_tokens");
    const char *pattern = wf_json_text(in->options, "pattern", p ? p->pattern : NULL);
    WF_CHECK(pattern, err, WEFT_UNSUPPORTED,
             "ranks without the pattern that cuts texts, and not of a vocabulary that is known");
    WF_CHECK(wf_streq(wf_json_text(in->options, "pattern_syntax", "perl"), "perl"), err, WEFT_UNSUPPORTED,
             "a pattern_syntax other than perl");
    wf_jw_begin_tokenizer(w);
    wf_jw_open(w, "added_tokens", '[');
    if (specials)
        WF_TRY(write_given_specials(w, specials, err));
    for (size_t i = 0; !specials && p && p->specials[i]; i += 2) {
        int64_t id = 0;
        wf_parse_i64(p->specials[i + 1], strlen(p->specials[i + 1]), &id);
        wf_jw_special(w, (uint32_t)id, (wf_bytes){p->specials[i], strlen(p->specials[i])});
    }
    wf_jw_end(w, ']');
    wf_jw_text(w, "added_token_ids", "as given");
    wf_jw_open(w, "pre_tokenizer", '{');
    wf_jw_text(w, "type", "Sequence");
    wf_jw_open(w, "pretokenizers", '[');
    wf_jw_begin(w, '{');
    wf_jw_text(w, "type", "Split");
    wf_jw_open(w, "pattern", '{');
    wf_jw_text(w, "Perl", pattern);
    wf_jw_end(w, '}');
    wf_jw_text(w, "behavior", "Isolated");
    wf_jw_flag(w, "invert", false);
    wf_jw_end(w, '}');
    wf_jw_byte_level(w, NULL, false, true, false);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    wf_jw_byte_level(w, "decoder", false, true, false);
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "BPE");
    wf_jw_flag(w, "ignore_merges", true);
    wf_jw_text(w, "merge_ranks", "by_id");
    write_byte_vocab(in, w, v);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
    return WEFT_OK;
}

/* The published vocabulary of so many ranks. */
static const published *which(const wf_vocab *v) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i].ranks == v->count)
            return &tables[i];
    return NULL;
}

static weft_status convert_tiktoken(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_vocab v;
    wf_json_writer w;
    wf_vocab_init(&v, in->mem);
    weft_status status = read_ranks(in, &v, err);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        status = write_tiktoken(in, &v, which(&v), &w, err);
    wf_vocab_free(&v);
    return status;
}

static const char *const tiktoken_names[] = {"tokenizer.tiktoken",  "cl100k_base.tiktoken",
                                             "o200k_base.tiktoken", "p50k_base.tiktoken",
                                             "r50k_base.tiktoken",  "qwen.tiktoken",
                                             "tokenizer.model",     NULL},
                         *const tiktoken_options[] = {"pattern", "pattern_syntax", "special_tokens", NULL};
const wf_file_kind wf_kind_tiktoken = {.name = "tiktoken",
                                       .folder = tiktoken_names,
                                       .recognise = is_tiktoken,
                                       .options = tiktoken_options,
                                       .files = 1,
                                       .convert = convert_tiktoken};

/* ---- RWKV ---- */

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Digits of an escape; UINT32_MAX when there are too few. */
static uint32_t read_hex(wf_bytes t, size_t *at, size_t digits) {
    uint32_t value = 0;
    for (; digits > 0; digits--, ++*at) {
        int v = *at < t.length ? hex_value(t.data[*at]) : -1;
        if (v < 0)
            return UINT32_MAX;
        value = value << 4 | (uint32_t)v;
    }
    return value;
}

/* One escape of a Python literal, behind the backslash. In b'...' \xhh is a byte, in '...' a character. */
static bool put_escape(wf_bytes t, size_t *at, bool bytes, wf_str *out) {
    static const char from[] = "ntrabfv0\\'\"", to[] = "\n\t\r\a\b\f\v\0\\'\"";
    if (*at >= t.length)
        return false;
    char c = t.data[(*at)++], utf8[4];
    const char *known = strchr(from, c);
    if (known && c) {
        wf_str_putc(out, to[known - from]);
        return true;
    }
    uint32_t code = c == 'x' ? read_hex(t, at, 2) : c == 'u' ? read_hex(t, at, 4) : c == 'U' ? read_hex(t, at, 8) : UINT32_MAX;
    if (code > 0x10FFFFu || (code >= 0xD800u && code < 0xE000u))
        return false;
    if (bytes)
        wf_str_putc(out, (char)code);
    else
        wf_str_put(out, utf8, wf_put_char(code, utf8));
    return !bytes || c == 'x';
}

/* 'text', "text" or b'bytes'. */
static bool read_literal(wf_bytes t, wf_str *out) {
    bool bytes = t.length > 0 && t.data[0] == 'b';
    size_t at = bytes;
    if (t.length < at + 2 || (t.data[at] != '\'' && t.data[at] != '"') || t.data[t.length - 1] != t.data[at])
        return false;
    t.length--;
    for (at++; at < t.length;) {
        char c = t.data[at++];
        if (c != '\\')
            wf_str_putc(out, c);
        else if (!put_escape(t, &at, bytes, out))
            return false;
    }
    return true;
}

/* id literal length */
static bool parse_entry(wf_bytes line, int64_t *id, wf_str *token) {
    const char *first = memchr(line.data, ' ', line.length);
    size_t end = line.length;
    int64_t length;
    while (end > 0 && line.data[end - 1] != ' ')
        end--;
    size_t start = first ? (size_t)(first - line.data) + 1 : 0;
    wf_str_clear(token);
    return first && end > start && wf_parse_i64(line.data, start - 1, id) &&
           wf_parse_i64(line.data + end, line.length - end, &length) &&
           read_literal((wf_bytes){line.data + start, end - 1 - start}, token) && (int64_t)token->length == length &&
           length > 0;
}

static bool is_rwkv(const char *name, wf_bytes content) {
    size_t at = 0;
    wf_bytes line;
    return next_line(content, &at, &line) && line.length > 4 && line.length < 1000 && line.data[0] >= '0' &&
           line.data[0] <= '9' && memchr(line.data, ' ', line.length) &&
           (memchr(line.data, '\'', line.length) || memchr(line.data, '"', line.length));
}

static weft_status read_entries(const wf_kind_input *in, wf_vocab *v, wf_str *token, weft_error *err) {
    wf_bytes line;
    for (size_t at = 0, number = 1; next_line(in->files[0], &at, &line); number++) {
        int64_t id;
        if (line.length == 0)
            continue;
        WF_CHECK(parse_entry(line, &id, token), err, WEFT_BAD_INPUT, "line %zu is not an id, a Python literal and its length",
                 number);
        WF_TRY(put_token(v, (wf_bytes){wf_str_text(token), token->length}, id, number, err));
    }
    WF_CHECK(v->count > 0, err, WEFT_BAD_INPUT, "the vocabulary is empty");
    return WEFT_OK;
}

static void write_rwkv(const wf_kind_input *in, const wf_vocab *v, wf_json_writer *w) {
    wf_jw_begin_tokenizer(w);
    wf_jw_byte_level(w, "pre_tokenizer", false, true, false);
    wf_jw_byte_level(w, "decoder", false, true, false);
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "Greedy");
    write_byte_vocab(in, w, v);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
}

static weft_status convert_rwkv(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_vocab v;
    wf_json_writer w;
    wf_str token = wf_str_new(in->mem);
    wf_vocab_init(&v, in->mem);
    weft_status status = read_entries(in, &v, &token, err);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        write_rwkv(in, &v, &w);
    json->failed = json->failed || token.failed;
    wf_str_free(&token);
    wf_vocab_free(&v);
    return status;
}

static const char *const rwkv_names[] = {"rwkv_vocab_v20230424.txt", "rwkv_vocab.txt", NULL}, *const rwkv_options[] = {NULL};
const wf_file_kind wf_kind_rwkv = {
    .name = "rwkv", .folder = rwkv_names, .recognise = is_rwkv, .options = rwkv_options, .files = 1, .convert = convert_rwkv};
