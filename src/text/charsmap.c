/* charsmap.c - looking up strings in a precompiled map (Darts' double array), and the normalizer Precompiled. */
#include "text/charsmap.h"

#include <string.h>
#include <utf8proc.h>

#include "base/base64.h"
#include "text/unicode.h"
#include "text/unicode_ages.h"

weft_status wf_charsmap_open(wf_bytes data, wf_charsmap *out, weft_error *err) {
    const uint8_t *p = (const uint8_t *)data.data;
    WF_CHECK(data.length >= 4, err, WEFT_BAD_INPUT, "a precompiled map of %zu bytes", data.length);
    uint32_t size = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    WF_CHECK(size <= data.length - 4 && size % 4 == 0, err, WEFT_BAD_INPUT,
             "a precompiled map of %zu bytes says that its trie has %u", data.length, size);
    *out = (wf_charsmap){p + 4, size / 4, {data.data + 4 + size, data.length - 4 - size}};
    return WEFT_OK;
}

static uint32_t unit_at(const wf_charsmap *map, size_t i) {
    const uint8_t *p = map->trie + 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 512u) >> 6); }

static wf_bytes string_at(const wf_charsmap *map, uint32_t at) {
    if (at >= map->strings.length)
        return (wf_bytes){"", 0};
    const char *from = map->strings.data + at;
    const char *end = memchr(from, 0, map->strings.length - at);
    return (wf_bytes){from, end ? (size_t)(end - from) : map->strings.length - at};
}

wf_bytes wf_charsmap_find(const wf_charsmap *map, wf_bytes text, bool longest, size_t *key) {
    wf_bytes found = {"", 0};
    *key = 0;
    if (map->units == 0)
        return found;
    size_t at = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < text.length && text.data[i]; i++) {
        at ^= (uint8_t)text.data[i];
        uint32_t unit = at < map->units ? unit_at(map, at) : 0;
        if (at >= map->units || (unit & 0x800000FFu) != (uint8_t)text.data[i])
            break;
        at ^= offset_of(unit);
        if (!(unit & 256u) || at >= map->units)
            continue;
        found = string_at(map, unit_at(map, at) & 0x7FFFFFFFu);
        *key = i + 1;
        if (!longest)
            break;
    }
    return found;
}

/* Is there a way from the trie's root along these bytes? */
static bool begins_key(const wf_charsmap *map, const uint8_t *bytes, size_t n) {
    size_t at = map->units ? offset_of(unit_at(map, 0)) : 0;
    for (size_t i = 0; i < n; i++) {
        at ^= bytes[i];
        uint32_t unit = at < map->units ? unit_at(map, at) : 0;
        if (at >= map->units || (unit & 0x800000FFu) != bytes[i])
            return false;
        at ^= offset_of(unit);
    }
    return true;
}

static void know_ascii(wf_charsmap *map) {
    for (int c = 0; c < 128; c++) {
        size_t found;
        wf_charsmap_find(map, (wf_bytes){&(char){(char)c}, 1}, true, &found);
        map->keeps[c] = found == 0 && c != '\r'; /* it may make one cluster with a line end */
        map->quiet[c] = found == 0;
        for (int d = 1; d < 128 && map->quiet[c]; d++)
            map->quiet[c] = !begins_key(map, (uint8_t[]){(uint8_t)c, (uint8_t)d}, 2);
    }
}

weft_status wf_load_charsmap(wf_loading *l, const wf_json *object, const char *key, wf_charsmap *out) {
    const wf_json *text;
    wf_bytes data;
    *out = (wf_charsmap){0};
    WF_TRY(wf_load_text(l, object, key, &text));
    if (!text || text->length == 0) {
        know_ascii(out);
        return WEFT_OK;
    }
    uint8_t *bytes = wf_arena_alloc(l->arena, text->length);
    if (!bytes)
        return wf_fail_memory(l->err);
    data = (wf_bytes){(const char *)bytes, 0};
    if (!wf_base64_decode(text->string, text->length, bytes, &data.length))
        return wf_load_fail(l, WEFT_BAD_INPUT, text, "%s is not base64", key);
    weft_error inner = {0};
    if (wf_charsmap_open(data, out, &inner) != WEFT_OK)
        return wf_load_fail(l, WEFT_BAD_INPUT, text, "%s", inner.message);
    know_ascii(out);
    return WEFT_OK;
}

weft_status wf_load_precompiled(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_charsmap), options));
    const wf_json *text = wf_json_get(j, "precompiled_charsmap");
    if (!text || text->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "Precompiled needs a precompiled_charsmap");
    return wf_load_charsmap(l, j, "precompiled_charsmap", *options);
}

/* The part becomes the replacement, character by character; those that are left over on either side go with the last. */
typedef struct edit {
    uint32_t c; /* WF_NO_CHAR: the byte `raw` */
    int64_t by;
    uint8_t raw;
} edit;

/* The edits are kept one behind, because a replacement by nothing is counted with the edit before it. */
typedef struct editor {
    wf_change *out;
    edit last;
    bool any, changed;
} editor;

static void flush_edit(editor *e) {
    if (!e->any)
        return;
    if (e->last.c == WF_NO_CHAR)
        wf_change_raw(e->out, e->last.raw);
    else
        wf_change_char(e->out, e->last.c, e->last.by);
    e->any = false;
}

static void put_edit(editor *e, edit x) {
    flush_edit(e);
    e->last = x;
    e->any = true;
}

static void put_replacement(editor *e, wf_bytes old, wf_bytes new) {
    int64_t olds = (int64_t)wf_count_chars((const uint8_t *)old.data, old.length), i = 0;
    for (size_t at = 0, length; at < new.length; at += length, i++) {
        uint32_t c = wf_char_at((const uint8_t *)new.data + at, new.length - at, &length);
        put_edit(e, (edit){c, i >= olds, (uint8_t) new.data[at]});
    }
    if (i < olds && e->any) /* at the very beginning the reference forgets them, and later offsets are off: so be it */
        e->last.by -= olds - i;
    e->changed = true;
}

static void put_cluster(editor *e, const wf_charsmap *map, wf_bytes cluster) {
    enum { SHORT = 6 };
    size_t key;
    wf_bytes new = wf_charsmap_find(map, cluster, false, &key);
    if (cluster.length < SHORT && key) {
        put_replacement(e, cluster, new);
        return;
    }
    for (size_t at = 0, length; at < cluster.length; at += length) {
        uint32_t c = wf_char_at((const uint8_t *)cluster.data + at, cluster.length - at, &length);
        new = wf_charsmap_find(map, (wf_bytes){cluster.data + at, length}, false, &key);
        if (key)
            put_replacement(e, (wf_bytes){cluster.data + at, length}, new);
        else
            put_edit(e, (edit){c, 0, (uint8_t)cluster.data[at]});
    }
}

/* Nothing joins a control character, not even what utf8proc does not know to join others. */
static bool joins_nothing(uint32_t c) {
    int class = utf8proc_get_property((utf8proc_int32_t)c)->boundclass;
    return class == UTF8PROC_BOUNDCLASS_CR || class == UTF8PROC_BOUNDCLASS_LF || class == UTF8PROC_BOUNDCLASS_CONTROL;
}

/* Where the grapheme cluster that begins at `at` ends. */
static size_t cluster_end(wf_piece in, size_t at) {
    utf8proc_int32_t state = 0;
    size_t length;
    uint32_t before = wf_char_at(in.bytes + at, in.length - at, &length);
    for (at += length; at < in.length; at += length) {
        uint32_t c = wf_char_at(in.bytes + at, in.length - at, &length);
        if (before == WF_NO_CHAR || c == WF_NO_CHAR || (before < 128 && c < 128 && !(before == '\r' && c == '\n')) ||
            (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state) &&
             (joins_nothing(before) || !wf_age_has(WF_NEW_JOINER, c))))
            break;
        before = c;
    }
    return at;
}

/* The end of the ASCII characters from `at` on that are clusters of their own and not in the map. */
static size_t kept_end(const wf_charsmap *map, wf_piece in, size_t at) {
    size_t end = at;
    while (end < in.length && in.bytes[end] < 128 && map->keeps[in.bytes[end]])
        end++;
    return end < in.length && end > at ? end - 1 : end; /* a mark may follow the last one */
}

/* Characters that stay; the last one waits, as an edit. Where characters at the very beginning are forgotten (see
 * put_replacement), what is next in the old text is not what stays. */
static void put_run(editor *e, wf_piece in, size_t at, size_t end) {
    flush_edit(e);
    if (e->out->taken == at) {
        wf_change_keep(e->out, end - at - 1);
        at = end - 1;
    }
    for (; at < end; at++)
        put_edit(e, (edit){in.bytes[at], 0, 0});
}

weft_status wf_apply_precompiled(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    const wf_charsmap *map = options;
    editor e = {.out = out};
    size_t first = kept_end(map, in, 0);
    if (first == in.length)
        return WEFT_OK;
    for (size_t at = 0, end; at < in.length; at = end) {
        end = kept_end(map, in, at);
        if (end > at) {
            put_run(&e, in, at, end);
            continue;
        }
        end = cluster_end(in, at);
        put_cluster(&e, map, (wf_bytes){(const char *)in.bytes + at, end - at});
    }
    flush_edit(&e);
    *changed = e.changed;
    return WEFT_OK;
}
