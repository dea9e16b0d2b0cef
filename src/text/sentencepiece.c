/* sentencepiece.c - the normalizer inside SentencePiece models (normalizer.cc of the reference): replacements of the longest
 * match, a space in front, runs of spaces, and spaces written as U+2581. */
#include <string.h>

#include "text/charsmap.h"
#include "text/matcher.h"
#include "text/unicode.h"

#define SPACE_SYMBOL "\xE2\x96\x81"
enum { SPACE_SYMBOL_BYTES = 3 };

typedef struct sentencepiece {
    wf_charsmap map;
    bool dummy_prefix, remove_extra, escape, suffix;
    bool first_only;  /* the prefix: not behind a special token */
    wf_matcher *kept; /* strings no rule changes (user-defined pieces); NULL: none */
} sentencepiece;

static weft_status load_kept(wf_loading *l, const wf_json *j, sentencepiece *o) {
    const wf_json *list = wf_json_get(j, "kept");
    if (!list || list->kind != WF_JSON_ARRAY || list->count == 0)
        return WEFT_OK;
    wf_pattern *patterns = wf_arena_alloc(l->arena, list->count * sizeof *patterns);
    if (!patterns)
        return wf_fail_memory(l->err);
    size_t n = 0;
    for (const wf_json *item = list->child; item; item = item->next) {
        if (item->kind != WF_JSON_STRING)
            return wf_load_fail(l, WEFT_BAD_INPUT, item, "kept must be a list of texts");
        patterns[n++] = (wf_pattern){item->string, item->length};
    }
    return wf_matcher_create(l->arena, patterns, n, &o->kept, l->err);
}

weft_status wf_load_sentencepiece(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(sentencepiece), options));
    sentencepiece *o = *options;
    WF_TRY(wf_load_charsmap(l, j, "precompiled_charsmap", &o->map));
    WF_TRY(wf_load_bool(l, j, "add_dummy_prefix", true, &o->dummy_prefix));
    WF_TRY(wf_load_bool(l, j, "remove_extra_whitespaces", true, &o->remove_extra));
    WF_TRY(wf_load_bool(l, j, "escape_whitespaces", true, &o->escape));
    WF_TRY(wf_load_bool(l, j, "whitespace_as_suffix", false, &o->suffix));
    WF_TRY(wf_load_bool(l, j, "prefix_first", false, &o->first_only));
    return load_kept(l, j, o);
}

/* A pass over one text. */
typedef struct pass {
    const sentencepiece *o;
    wf_piece in;
    wf_change *out;
    size_t at;     /* in the old text */
    wf_match kept; /* the next kept string at `at` or later; start SIZE_MAX: none */
} pass;

/* How many ASCII characters from `at` on no rule changes, blanks aside. Where origins are asked for each goes by itself. */
static size_t quiet_run(const pass *p) {
    size_t n = p->o->kept && p->kept.start < p->in.length ? p->kept.start : p->in.length, i = p->at;
    const bool *quiet = p->o->map.quiet;
    const uint8_t *text = p->in.bytes;
    if (p->out->aligned)
        return 0;
    while (i < n && text[i] < 128 && text[i] != ' ' && quiet[text[i]])
        i++;
    return i - p->at - (i > p->at && i < p->in.length && text[i] >= 128);
}

/* What the text at `at` becomes, and how many bytes of it that takes. */
static wf_bytes next_rule(pass *p, size_t *taken) {
    const char *from = (const char *)p->in.bytes + p->at;
    size_t left = p->in.length - p->at;
    if (p->o->kept && p->kept.start < p->at && !wf_matcher_find(p->o->kept, p->in.bytes, p->in.length, p->at, &p->kept))
        p->kept.start = SIZE_MAX;
    if (p->o->kept && p->kept.start == p->at) {
        *taken = p->kept.end - p->kept.start;
        return (wf_bytes){from, *taken};
    }
    *taken = quiet_run(p);
    if (*taken)
        return (wf_bytes){from, *taken};
    wf_bytes found = wf_charsmap_find(&p->o->map, (wf_bytes){from, left}, true, taken);
    if (*taken)
        return found;
    if (wf_char_at((const uint8_t *)from, left, taken) == WF_NO_CHAR)
        return (wf_bytes){"\xEF\xBF\xBD", 3};
    return (wf_bytes){from, *taken};
}

static uint32_t original_start(const pass *p, size_t at) {
    if (at >= p->in.length)
        return p->in.length ? wf_piece_span(p->in, p->out->original, p->in.length - 1, p->in.length).end
                            : (uint32_t)p->in.origin;
    return p->in.align ? p->in.align[at].start : (uint32_t)(p->in.origin + at);
}

/* A byte stands for the stretch up to where the next byte begins: its end is written when that is known. */
static void put(pass *p, const char *bytes, size_t n, size_t at) {
    uint32_t start = p->out->aligned ? original_start(p, at) : 0;
    if (p->out->aligned && p->out->align_count)
        p->out->align[p->out->align_count - 1].end = start;
    wf_change_put(p->out, bytes, n, (wf_span){start, start});
}

static void put_space(pass *p) {
    if (p->o->escape)
        put(p, SPACE_SYMBOL, SPACE_SYMBOL_BYTES, p->at);
    else
        put(p, " ", 1, p->at);
}

static void put_rule(pass *p, wf_bytes text) {
    for (size_t i = 0, run; i < text.length; i += run) {
        const char *space = p->o->escape ? memchr(text.data + i, ' ', text.length - i) : NULL;
        run = space ? (size_t)(space - text.data) - i : text.length - i;
        if (run)
            put(p, text.data + i, run, p->at);
        else
            put_space(p);
        run = run ? run : 1;
    }
}

static void skip_spaces(pass *p) {
    for (size_t taken; p->at < p->in.length; p->at += taken) {
        wf_bytes rule = next_rule(p, &taken);
        if (rule.length != 1 || rule.data[0] != ' ')
            break;
    }
}

static void put_all(pass *p) {
    bool after_space = p->o->remove_extra;
    for (size_t taken; p->at < p->in.length; p->at += taken) {
        wf_bytes rule = next_rule(p, &taken);
        while (after_space && rule.length && rule.data[0] == ' ') {
            rule.data++;
            rule.length--;
        }
        if (rule.length) {
            put_rule(p, rule);
            after_space = rule.data[rule.length - 1] == ' ';
        }
        after_space = after_space && p->o->remove_extra;
    }
}

/* Returns where the text ends now, in the old text's terms. */
static uint32_t drop_trailing(pass *p, uint32_t end) {
    const char *space = p->o->escape ? SPACE_SYMBOL : " ";
    size_t n = strlen(space);
    wf_str *text = &p->out->text;
    while (text->length >= n && memcmp(text->data + text->length - n, space, n) == 0) {
        text->length -= n;
        text->data[text->length] = 0;
        if (p->out->aligned) {
            p->out->align_count -= n;
            end = p->out->align[p->out->align_count].start;
        }
    }
    return end;
}

weft_status wf_apply_sentencepiece(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    const sentencepiece *o = options;
    pass p = {.o = o, .in = in, .out = out};
    *changed = true;
    if (o->kept && !wf_matcher_find(o->kept, in.bytes, in.length, 0, &p.kept))
        p.kept.start = SIZE_MAX;
    if (o->remove_extra)
        skip_spaces(&p);
    if (p.at == in.length)
        return WEFT_OK;
    if (o->dummy_prefix && !o->suffix && !(o->first_only && in.origin > 0))
        put_space(&p);
    put_all(&p);
    WF_TRY(wf_change_status(out, err));
    uint32_t end = out->aligned ? original_start(&p, p.at) : 0;
    if (o->remove_extra)
        end = drop_trailing(&p, end);
    if (out->aligned && out->align_count)
        out->align[out->align_count - 1].end = end;
    if (o->dummy_prefix && o->suffix)
        wf_change_put(out, o->escape ? SPACE_SYMBOL : " ", o->escape ? SPACE_SYMBOL_BYTES : 1, (wf_span){end, end});
    return WEFT_OK;
}
