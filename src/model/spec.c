/* spec.c - the grammar: JSON -> spec. docs/spec.md describes what is read here. */
#include "model/spec.h"
#include <stdio.h>
#include <string.h>
#include "model/parts.h"

typedef wf_spec_reader reader;

/* ---- the options ---- */
static const wf_spec_key spec_keys[] = {
    {"format", "integer", "1", "version of this grammar"},
    {"name", "string", "model", "what the model is called"},
    {"about", "string", "", "a sentence for people"},
    {"source", "string", "", "paper or page it comes from"},
    {"dim", "integer", NULL, "width of the residual stream, up to 1048576"},
    {"vocab", "integer", NULL, "number of tokens, up to 16777216; `train` and `compare` fill it in from the tokenizer"},
    {"layers", "integer", "length of `blocks`",
     "number of blocks, up to 1024; the list `blocks` is repeated until there are as many"},
    {"context", "integer", "0", "trained length; 0 is unknown"},
    {"stem", "object", "{}", "tokens to rows"},
    {"block", "object", "{}", "options of every block"},
    {"blocks", "list", "[]", "options of each block, over those of `block`"},
    {"rows", "list", "[]", "steps that change the rows behind the last block, before the norm"},
    {"norm", "norm", "rms", "the norm before the head"},
    {"joined", "boolean", "false", "the stem's `side` stream stands before the other at the end, under the norm"},
    {"dropout", "number", "0", "of the rows after that norm"},
    {"layer_sum", "boolean", "false",
     "the rows are the sum of what goes into each block and of what that norm gives, weighted by the softmax of one learned "
     "number each"},
    {"project", "object", "null", "a dense layer after that norm: {dim, bias}"},
    {"encoder", "object", "null",
     "a stack whose rows are the memory that `cross` (and a mixer that cannot do without) reads; null is none"},
    {"shift", "object", "null", "with an encoder: what the decoder reads when it is given labels, or nothing but the source"},
    {"head", "object", "{}", "rows to logits; null is none"},
    {"heads", "list", "[]", "more heads beside `head`"},
    {NULL, NULL, NULL, NULL}};

static const wf_spec_key encoder_keys[] = {
    {"dim", "integer", "that of the model", "width of its residual stream"},
    {"vocab", "integer", "that of the model", "number of its tokens"},
    {"layers", "integer", "length of `blocks`", "number of its blocks"},
    {"context", "integer", "that of the model", "trained length"},
    {"stem", "object", "{}", "as that of the model, with parameters of its own"},
    {"block", "object", "{}", "options of every block"},
    {"blocks", "list", "[]", "options of each block"},
    {"rows", "list", "[]", "as that of the model"},
    {"norm", "norm", "rms", "after the last block"},
    {"dropout", "number", "0", "of the rows after that norm"},
    {"layer_sum", "boolean", "false", "as that of the model"},
    {"project", "object", "null", "a dense layer after that norm: {dim, bias}"},
    {"bridge", "object", "null", "a dense layer from its rows to the memory: {dim, bias}"},
    {NULL, NULL, NULL, NULL}};

static const wf_spec_key shift_keys[] = {{"kind", "string", "start",
                                          "the labels (or, where they are not a token for each row, the source) one row later: "
                                          "`start`: `token` comes first; `rotate`: "
                                          "the last of them that is not `padding` does (mBART)"},
                                         {"token", "integer", "0", "the first token"},
                                         {"padding", "integer", "0", "stands for labels that do not count"},
                                         {"masked", "boolean", "false", "rows that come out as `padding` are masked"},
                                         {NULL, NULL, NULL, NULL}};

static const wf_spec_key block_keys[] = {
    {"wiring", "string", "pre", "how the branches join the stream, see below"},
    {"norm", "norm", "rms", "every norm of the block"},
    {"norm1", "norm", "`norm`", "the first norm alone"},
    {"norm2", "norm", "`norm`", "the second norm alone"},
    {"norm3", "norm", "`norm`", "the third norm alone"},
    {"norm4", "norm", "`norm`", "the fourth norm alone"},
    {"aside_norm", "norm", "`norm`", "after `aside` has been added"},
    {"cross_norm", "norm", "`norm`", "every norm around `cross`"},
    {"rows", "list", "[]", "steps that change the rows of the stream before the block, in order"},
    {"memory", "string", "encoder",
     "what the mixer reads beside its rows: `encoder` (where it cannot do without), or `before`: the stream as it was before "
     "`rows`, which gives keys and values"},
    {"memory_norm", "norm", "none", "of a memory `before`"},
    {"mixer", "object or name", NULL,
     "the token mixer: `{\"mixer\": NAME, option: value, ..}`; a name alone when no option is required"},
    {"cross", "object or name", "null", "a mixer between the two that reads the memory; null is none"},
    {"aside", "object or name", "null",
     "a token mixer of the block's input; its result is added to the block's, then normed; null is none"},
    {"channel", "object or name", "null", "the channel mixer; null is none"},
    {"adapter", "object or name", "null", "a channel mixer behind the other one, in `pre` and `post`; null is none"},
    {"adapter_norm", "norm or name", "none", "before `adapter`; `norm2`: the second norm and its weights"},
    {"adapter_wiring", "string", "pre", "how `adapter` joins: `pre` or `from_norm`"},
    {"residual_scale", "number or list", "1", "multiplies a branch before it joins; [mixer, channel] are two numbers"},
    {"keep", "number or list", "1", "multiplies the stream that a branch joins; [mixer, channel] are two numbers"},
    {"stream_scale", "number", "1", "multiplies the stream after the block"},
    {"dropout", "number", "0", "of a branch, below 1"},
    {"attention_dropout", "number", "0", "of the attention probabilities, below 1"},
    {"masked", "boolean", "false", "rows of padding are zero after the block"},
    {"past", "object", "null", "rows of the block's input that came before, for mixers that look at them too"},
    {"borrow", "object", "{}", "single weights of earlier blocks: `{\"mixer.SLOT\": BLOCK}`; the block's own number: its own"},
    {"share", "integer", "-1",
     "number of an earlier block (from 0) whose weights this one uses; -1, or the block's own number: its own"},
    {NULL, NULL, NULL, NULL}};

static const wf_spec_key past_keys[] = {
    {"start", "integer", "0", "rows of zeros before every sequence, where none are given"},
    {"keep", "integer", "-1", "the last so many rows, with those of the call, go on to the next; -1: all"},
    {"take", "integer", "-1", "of the call only the first so many; -1: all"},
    {NULL, NULL, NULL, NULL}};

static const wf_spec_key norm_keys[] = {
    {"kind", "string", "rms",
     "`none`, `rms` (Zhang & Sennrich 2019), `layer` (Ba et al. 2016) or `scale`: a factor and a bias for each channel and "
     "nothing else"},
    {"eps", "number", "1e-6; layer: 1e-5", "added to the variance"},
    {"offset", "number", "0", "added to the weight (Gemma has 1)"},
    {"affine", "boolean", "true", "a learned weight"},
    {"bias", "boolean", "layer, scale: true", "a learned bias, of `layer` and `scale` only"},
    {NULL, NULL, NULL, NULL}};

static const wf_spec_key out_keys[] = {
    {"dim", "integer", NULL, "width of the result"}, {"bias", "boolean", "true", "a learned bias"}, {NULL, NULL, NULL, NULL}};

const wf_spec_part wf_spec_parts[] = {
    {"spec", "The top level", spec_keys},
    {"encoder", "`encoder`", encoder_keys},
    {"shift", "`shift`", shift_keys},
    {"stem", "`stem`", wf_stem_keys},
    {"convs", "`stem.convs`: each an object", wf_conv_keys},
    {"positions", "`stem.positions`", wf_position_keys},
    {"tables", "`stem.tables`: each an object", wf_table_keys},
    {"hashes", "`stem.hashes`", wf_hash_keys},
    {"project", "`stem.project`", wf_stem_project_keys},
    {"token_dropout", "`stem.token_dropout`", wf_token_dropout_keys},
    {"out", "`project`, and `bridge` of an encoder", out_keys},
    {"globals", "`stem.globals`", wf_globals_keys},
    {"fill", "`stem.fill`", wf_fill_keys},
    {"side", "`stem.side`", wf_side_keys},
    {"block", "`block`, and each of `blocks`", block_keys},
    {"rows", "`rows`: each an object, a step that changes the rows of the stream", wf_rows_keys},
    {"past", "`past` of a block", past_keys},
    {"queries", "`stem.queries`", wf_query_keys},
    {"clusters", "`clusters` of the stem, and of a head", wf_cluster_keys},
    {"norm", "A norm: an object, its kind as a string, or null for none", norm_keys},
    {"head", "`head`, and each of `heads`", wf_head_keys},
    {"layers", "`layers` of a head: each an object", wf_head_layer_keys},
    {NULL, NULL, NULL}};

enum { MOST_KEYS = 48 };

wf_options wf_part_open(const wf_json *object, const char *what, const wf_spec_key *keys, weft_error *err) {
    const char *words[MOST_KEYS + 1] = {NULL};
    for (int i = 0; i < MOST_KEYS && keys[i].name; i++)
        words[i] = keys[i].name;
    return wf_options_open(object && object->kind == WF_JSON_NULL ? NULL : object, what, words, err);
}

int wf_option_word(wf_options *o, const wf_json *at, const char *key, const char *word, const char *const *words) {
    char list[200];
    int n = 0;
    for (int i = 0; words[i]; i++)
        if (wf_streq(words[i], word))
            return i;
    for (int i = 0; words[i] && n < (int)sizeof list - 40; i++)
        n += snprintf(list + n, sizeof list - (size_t)n, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    wf_option_fail(o, at, "%s is %s, not '%s'", key, list, word);
    return -1;
}

/* ---- reading ---- */
weft_status wf_norm_read(reader *r, const wf_json *j, const char *what, wf_norm_spec *out) {
    static const char *const kinds[] = {"none", "rms", "layer", "scale", NULL};
    bool word = j && j->kind == WF_JSON_STRING;
    wf_options o = wf_part_open(word ? NULL : j, what, norm_keys, r->err);
    const char *kind = word ? j->string : j && j->kind == WF_JSON_NULL ? "none" : wf_option_text(&o, "kind", "rms");
    int found = wf_option_word(&o, j, "kind", kind, kinds);
    *out = (wf_norm_spec){.kind = found < 0 ? WF_NORM_NONE : (wf_norm_kind)found};
    out->eps = (float)wf_option_float(&o, "eps", found == WF_NORM_LAYER ? 1e-5 : 1e-6, 0.0, 1.0);
    out->offset = (float)wf_option_float(&o, "offset", 0.0, -1e6, 1e6);
    out->affine = wf_option_bool(&o, "affine", true) && found > WF_NORM_NONE;
    out->bias = wf_option_bool(&o, "bias", found >= WF_NORM_LAYER) && out->affine && found >= WF_NORM_LAYER;
    return o.status;
}

/* ---- blocks ---- */
static const char *wiring_name(const void *user, size_t i) { return ((const wf_wiring *)user)[i].name; }

static weft_status find_wiring(const wf_json *at, const char *name, const char *what, const wf_wiring **out, weft_error *err) {
    for (*out = wf_wirings; (*out)->name; (*out)++)
        if (wf_streq((*out)->name, name))
            return WEFT_OK;
    const char *near = wf_nearest(name, wiring_name, wf_wirings);
    return wf_fail_at(err, WEFT_USAGE, at ? at->offset : -1, "%s: unknown wiring '%s'%s%s%s", what, name,
                      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static weft_status read_row(reader *r, const wf_json *j, const char *where, bool channel, wf_layer **out) {
    bool word = j->kind == WF_JSON_STRING;
    const char *name = word ? j->string : wf_json_text(j, "mixer", NULL);
    WF_CHECK(word || j->kind == WF_JSON_OBJECT, r->err, WEFT_USAGE, "%s: must be an object or a name", where);
    WF_CHECK(name, r->err, WEFT_USAGE, "%s: 'mixer' (a name) is missing", where);
    const wf_mixer *row = wf_mixer_find(name);
    if (!row) {
        const char *near = wf_mixer_nearest(name);
        return wf_fail_at(r->err, WEFT_USAGE, j->offset, "%s: unknown %s mixer '%s'%s%s%s", where,
                          channel ? "channel" : "token", name, near ? ", did you mean '" : "", near ? near : "",
                          near ? "'?" : "");
    }
    return wf_layer_build(r->arena, row, word ? wf_json_new(r->arena, WF_JSON_OBJECT) : j, r->width, where, out, r->err);
}

/* An option of block i: its own, else that of the common `block`. */
static const wf_json *either(const wf_json *own, const wf_json *common, const char *key) {
    const wf_json *j = wf_json_get(own, key);
    return j ? j : wf_json_get(common, key);
}

/* One number for both branches, or [mixer, channel]. */
static void read_pair(wf_options *o, const char *key, float out[2]) {
    const wf_json *j = wf_json_get(o->object, key);
    if (!j || j->kind == WF_JSON_NULL)
        return;
    bool list = j->kind == WF_JSON_ARRAY && j->count == 2;
    for (size_t i = 0; i < 2; i++) {
        const wf_json *one = list ? wf_json_at(j, i) : j;
        if (one->kind != WF_JSON_NUMBER || !(one->number >= -1e6 && one->number <= 1e6)) {
            wf_option_fail(o, j, "'%s' must be a number or two, each from -1e6 to 1e6", key);
            return;
        }
        out[i] = (float)one->number;
    }
}

static weft_status read_numbers(wf_options *o, int64_t index, wf_block_spec *b) {
    read_pair(o, "residual_scale", b->residual_scale);
    read_pair(o, "keep", b->keep);
    b->stream_scale = (float)wf_option_float(o, "stream_scale", (double)b->stream_scale, -1e6, 1e6);
    b->dropout = (float)wf_option_float(o, "dropout", (double)b->dropout, 0.0, 0.99);
    b->attention_dropout = (float)wf_option_float(o, "attention_dropout", (double)b->attention_dropout, 0.0, 0.99);
    b->masked = wf_option_bool(o, "masked", b->masked);
    b->share = (int)wf_option_int(o, "share", b->share, -1, INT32_MAX);
    b->share = b->share == index ? -1 : b->share;
    if (b->share > index)
        wf_option_fail(o, wf_json_get(o->object, "share"), "'share' must be the number of an earlier block, not %d", b->share);
    return o->status;
}

static weft_status read_borrow(reader *r, int64_t index, const wf_json *j, wf_block_spec *b) {
    WF_CHECK(!j || j->kind == WF_JSON_OBJECT || j->kind == WF_JSON_NULL, r->err, WEFT_USAGE,
             "block %lld: 'borrow' must be an object", (long long)index);
    wf_json *borrow = NULL;
    for (const wf_json *s = j ? j->child : NULL; s; s = s->next) {
        WF_CHECK(s->kind == WF_JSON_NUMBER && s->is_integer && s->integer >= 0 && s->integer <= index, r->err, WEFT_USAGE,
                 "block %lld: '%s' must be borrowed from an earlier block", (long long)index, s->key);
        borrow = borrow ? borrow : wf_json_new(r->arena, WF_JSON_OBJECT);
        if (s->integer < index && !wf_json_put(r->arena, borrow, s->key, wf_json_copy(r->arena, s)))
            return wf_fail_memory(r->err);
    }
    b->borrow = borrow && borrow->count ? borrow : NULL;
    return WEFT_OK;
}

static weft_status read_adapter_norm(reader *r, const wf_json *j, const char *what, wf_block_spec *b) {
    b->adapter_own_norm = !wf_json_is_string(j, "norm2");
    return j && b->adapter_own_norm ? wf_norm_read(r, j, what, &b->adapter_norm) : WEFT_OK;
}

static weft_status read_adapter_wiring(reader *r, const wf_json *j, const char *what, wf_block_spec *b) {
    bool from_norm = wf_json_is_string(j, "from_norm");
    WF_CHECK(!j || from_norm || wf_json_is_string(j, "pre"), r->err, WEFT_USAGE, "%s: 'adapter_wiring' is pre or from_norm",
             what);
    WF_CHECK(!b->adapter || (b->wiring->adapts && b->channel), r->err, WEFT_USAGE,
             "%s: the wiring '%s' has no place for 'adapter', which stands behind a channel mixer", what, b->wiring->name);
    b->adapter_from_norm = from_norm;
    return WEFT_OK;
}

/* Each norm has its own option; what it leaves unsaid is that of `norm`. */
static weft_status read_norms(reader *r, const wf_json *own, const wf_json *common, const char *what, wf_block_spec *b) {
    static const char *const keys[] = {"norm1", "norm2", "norm3", "norm4"};
    for (int i = 0; i < b->wiring->norms; i++) {
        const wf_json *j = either(own, common, keys[i]);
        WF_TRY(wf_norm_read(r, j ? j : either(own, common, "norm"), what, &b->norm[i]));
    }
    if (b->aside) {
        const wf_json *j = either(own, common, "aside_norm");
        WF_TRY(wf_norm_read(r, j ? j : either(own, common, "norm"), what, &b->aside_norm));
    }
    if (b->adapter)
        WF_TRY(read_adapter_norm(r, either(own, common, "adapter_norm"), what, b));
    for (int i = 0; b->cross && i < b->wiring->cross_norms; i++) {
        const wf_json *j = either(own, common, "cross_norm");
        WF_TRY(wf_norm_read(r, j ? j : either(own, common, "norm"), what, &b->cross_norm[i]));
    }
    return WEFT_OK;
}

static weft_status read_mixers(reader *r, int64_t index, const wf_json *own, const wf_json *common, wf_block_spec *b) {
    const struct {
        const char *key;
        wf_layer **layer;
        bool required;
    } rows[] = {{"mixer", &b->mixer, true},
                {"cross", &b->cross, false},
                {"aside", &b->aside, false},
                {"channel", &b->channel, false},
                {"adapter", &b->adapter, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const wf_json *j = either(own, common, rows[i].key);
        char *where = wf_arena_printf(r->arena, "%sblock %lld %s", r->spec->stack, (long long)index, rows[i].key);
        if (!where)
            return wf_fail_memory(r->err);
        WF_CHECK(j || !rows[i].required, r->err, WEFT_USAGE, "block %lld: '%s' is missing", (long long)index, rows[i].key);
        if (j && (rows[i].required || j->kind != WF_JSON_NULL))
            WF_TRY(read_row(r, j, where, i >= 3, rows[i].layer));
    }
    WF_CHECK(!b->cross || wf_layer_can_read_memory(b->cross), r->err, WEFT_USAGE, "%s: %s reads no memory ('cross' must)",
             b->cross->where, b->cross->row->name);
    if (b->cross)
        wf_layer_reads_memory(b->cross);
    return WEFT_OK;
}

static weft_status read_past(reader *r, const wf_json *j, const char *what, wf_block_spec *b) {
    bool there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(j, "block past", past_keys, r->err);
    b->past_start = wf_option_int(&o, "start", 0, 0, INT32_MAX);
    b->past_keep = there ? wf_option_int(&o, "keep", -1, -1, INT32_MAX) : 0;
    b->past_take = wf_option_int(&o, "take", -1, -1, INT32_MAX);
    WF_CHECK(!there || strstr(b->mixer->row->inputs, "past?"), r->err, WEFT_USAGE, "%s: '%s' does not look at a 'past'", what,
             b->mixer->row->name);
    return o.status;
}

/* The stream before the rows change, as the memory of the mixer. */
static weft_status read_before(reader *r, const wf_json *own, const wf_json *common, const char *what, wf_block_spec *b) {
    const wf_json *memory = either(own, common, "memory"), *norm = either(own, common, "memory_norm");
    b->before = wf_json_is_string(memory, "before");
    WF_CHECK(!memory || b->before || wf_json_is_string(memory, "encoder"), r->err, WEFT_USAGE,
             "%s: 'memory' is encoder or before", what);
    WF_CHECK(!b->before || strstr(b->mixer->row->inputs, "memory"), r->err, WEFT_USAGE, "%s: '%s' reads no memory", what,
             b->mixer->row->name);
    WF_CHECK(!norm || norm->kind == WF_JSON_NULL || b->before, r->err, WEFT_USAGE,
             "%s: 'memory_norm' belongs to a memory 'before'", what);
    return norm ? wf_norm_read(r, norm, what, &b->memory_norm) : WEFT_OK;
}

static weft_status read_block(reader *r, int64_t index, const wf_json *own, const wf_json *common) {
    wf_block_spec *b = &r->spec->blocks[index];
    char *what = wf_arena_printf(r->arena, "%sblock %lld", r->spec->stack, (long long)index),
         *norm = wf_arena_printf(r->arena, "%sblock %lld norm", r->spec->stack, (long long)index);
    if (!what || !norm)
        return wf_fail_memory(r->err);
    wf_options all = wf_part_open(common, "block", block_keys, r->err), one = wf_part_open(own, what, block_keys, r->err);
    *b = (wf_block_spec){.residual_scale = {1.0f, 1.0f}, .keep = {1.0f, 1.0f}, .stream_scale = 1.0f, .share = -1};
    WF_TRY(all.status);
    WF_TRY(read_numbers(&all, index, b));
    WF_TRY(one.status);
    WF_TRY(read_numbers(&one, index, b));
    const wf_json *w = either(own, common, "wiring");
    WF_CHECK(!w || w->kind == WF_JSON_STRING, r->err, WEFT_USAGE, "%s: 'wiring' must be a string", what);
    WF_TRY(find_wiring(w, w ? w->string : "pre", what, &b->wiring, r->err));
    b->from_dim = r->width;
    WF_TRY(wf_rows_read(r, either(own, common, "rows"), index, what, &b->rows));
    b->dim = r->width;
    WF_TRY(read_mixers(r, index, own, common, b));
    WF_TRY(read_past(r, either(own, common, "past"), what, b));
    WF_TRY(read_before(r, own, common, what, b));
    WF_TRY(read_borrow(r, index, either(own, common, "borrow"), b));
    WF_CHECK(!b->cross || b->wiring->cross_norms > 0, r->err, WEFT_USAGE, "%s: the wiring '%s' has no place for 'cross'", what,
             b->wiring->name);
    WF_TRY(read_adapter_wiring(r, either(own, common, "adapter_wiring"), what, b));
    return read_norms(r, own, common, norm, b);
}

static weft_status read_blocks(reader *r, const wf_json *json) {
    const wf_json *common = wf_json_get(json, "block"), *list = wf_json_get(json, "blocks");
    WF_CHECK(common || list, r->err, WEFT_USAGE, "a model needs 'block' or 'blocks'");
    WF_CHECK(!list || (list->kind == WF_JSON_ARRAY && list->count > 0), r->err, WEFT_USAGE,
             "'blocks' must be a list of blocks");
    r->spec->blocks = wf_arena_alloc(r->arena, (size_t)r->spec->layers * sizeof *r->spec->blocks);
    if (!r->spec->blocks)
        return wf_fail_memory(r->err);
    const wf_json *own = list ? list->child : NULL;
    for (int64_t i = 0; i < r->spec->layers; i++) {
        WF_TRY(read_block(r, i, own, common));
        r->spec->prefixed = r->spec->prefixed || wf_layer_takes_prefix(r->spec->blocks[i].mixer);
        own = own && own->next ? own->next : list ? list->child : NULL; /* the list is a cycle */
    }
    WF_CHECK(!r->spec->prefixed || !*r->spec->stack, r->err, WEFT_USAGE,
             "%sblocks: 'prefix_lm' is for stacks that are given prompts", r->spec->stack);
    WF_TRY(wf_rows_read(r, wf_json_get(json, "rows"), r->spec->layers, "rows", &r->spec->rows));
    r->spec->end_dim = r->width;
    const wf_stem_spec *stem = &r->spec->stem;
    WF_CHECK(!r->spec->reshaped || (stem->side == 0 && stem->fill == 0), r->err, WEFT_USAGE,
             "'rows' goes with neither 'side' nor 'fill' of the stem");
    return WEFT_OK;
}

static weft_status read_sizes(reader *r, const wf_json *json) {
    wf_spec *s = r->spec;
    const wf_json *blocks = wf_json_get(json, "blocks");
    wf_options o = wf_part_open(json, "spec", spec_keys, r->err);
    int64_t format = wf_option_int(&o, "format", 1, 0, INT32_MAX);
    if (format != 1)
        wf_option_fail(&o, json, "format %lld is not known (1)", (long long)format);
    s->name = wf_option_text(&o, "name", "model");
    s->dim = wf_option_int(&o, "dim", 0, 1, WF_MAX_DIM);
    s->vocab = wf_option_int(&o, "vocab", 0, 1, WF_MAX_VOCAB);
    s->layers = wf_option_int(&o, "layers", blocks ? (int64_t)blocks->count : 0, 1, WF_MAX_LAYERS);
    s->context = wf_option_int(&o, "context", 0, 0, INT32_MAX);
    s->dropout = (float)wf_option_float(&o, "dropout", 0.0, 0.0, 0.99);
    WF_TRY(o.status);
    WF_CHECK(s->dim > 0 && s->vocab > 0 && s->layers > 0, r->err, WEFT_USAGE, "a model needs 'dim', 'vocab' and 'layers'");
    return WEFT_OK;
}

int64_t wf_spec_end_width(const wf_spec *s) { return s->end_dim + (s->joined ? s->stem.side : 0); }

static weft_status read_joined(reader *r, const wf_json *json) {
    r->spec->joined = wf_json_bool(json, "joined", false);
    WF_CHECK(!r->spec->joined || (r->spec->stem.side > 0 && r->spec->stem.side_rows == 0), r->err, WEFT_USAGE,
             "'joined' needs a 'side' of the stem, row by row");
    return WEFT_OK;
}

/* A dense layer; without it the width stays. */
static weft_status read_out(reader *r, const wf_json *j, const char *what, int64_t width, wf_out_spec *out) {
    out->there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(out->there ? j : NULL, what, out_keys, r->err);
    out->dim = wf_option_int(&o, "dim", out->there ? 0 : width, 1, WF_MAX_DIM);
    out->bias = wf_option_bool(&o, "bias", true) && out->there;
    if (out->dim < 1)
        wf_option_fail(&o, j, "'dim' is needed");
    return o.status;
}

/* The parts that a model and its encoder both have. */
static weft_status read_stack(reader *r, const wf_json *json) {
    WF_TRY(wf_stem_read(r, wf_json_get(json, "stem")));
    r->width = r->spec->dim;
    WF_TRY(read_blocks(r, json));
    WF_TRY(wf_norm_read(r, wf_json_get(json, "norm"), "norm", &r->spec->norm));
    WF_TRY(read_joined(r, json));
    WF_TRY(read_out(r, wf_json_get(json, "project"), "project", wf_spec_end_width(r->spec), &r->spec->project));
    r->spec->layer_sum = wf_json_bool(json, "layer_sum", false);
    WF_CHECK(!r->spec->layer_sum || (!r->spec->joined && !r->spec->project.there && !r->spec->reshaped), r->err, WEFT_USAGE,
             "'layer_sum' goes neither with 'joined' nor with 'project' nor with 'rows'");
    return WEFT_OK;
}

static weft_status read_encoder(reader *r, const wf_json *json) {
    const wf_spec *around = r->spec;
    const wf_json *blocks = wf_json_get(json, "blocks");
    if (!json || json->kind == WF_JSON_NULL)
        return WEFT_OK;
    reader own = {.arena = r->arena, .spec = wf_arena_alloc(r->arena, sizeof(wf_spec)), .err = r->err};
    if (!own.spec)
        return wf_fail_memory(r->err);
    wf_spec *s = own.spec;
    wf_options o = wf_part_open(json, "encoder", encoder_keys, r->err);
    *s = (wf_spec){.json = json, .stack = "encoder ", .name = "encoder"};
    s->dim = wf_option_int(&o, "dim", around->dim, 1, WF_MAX_DIM);
    s->vocab = wf_option_int(&o, "vocab", around->vocab, 1, WF_MAX_VOCAB);
    s->layers = wf_option_int(&o, "layers", blocks ? (int64_t)blocks->count : 0, 1, WF_MAX_LAYERS);
    s->context = wf_option_int(&o, "context", around->context, 0, INT32_MAX);
    s->dropout = (float)wf_option_float(&o, "dropout", 0.0, 0.0, 0.99);
    WF_TRY(o.status);
    WF_CHECK(s->layers > 0, r->err, WEFT_USAGE, "an encoder needs 'layers'");
    WF_TRY(read_stack(&own, json));
    WF_CHECK(!s->stem.shared || (s->vocab == around->vocab && s->stem.dim == around->stem.dim), r->err, WEFT_USAGE,
             "encoder: a shared table of %lld rows of %lld, the model's has %lld of %lld", (long long)s->vocab,
             (long long)s->stem.dim, (long long)around->vocab, (long long)around->stem.dim);
    WF_TRY(read_out(&own, wf_json_get(json, "bridge"), "bridge", s->project.dim, &s->bridge));
    r->spec->encoder = s;
    return WEFT_OK;
}

static weft_status read_shift(reader *r, const wf_json *j) {
    static const char *const kinds[] = {"start", "rotate", NULL};
    wf_options o = wf_part_open(j, "shift", shift_keys, r->err);
    wf_shift_spec *s = &r->spec->shift;
    s->there = j && j->kind == WF_JSON_OBJECT;
    s->rotate = wf_option_word(&o, j, "kind", wf_option_text(&o, "kind", "start"), kinds) == 1;
    s->token = wf_option_int(&o, "token", 0, 0, r->spec->vocab - 1);
    s->padding = wf_option_int(&o, "padding", 0, 0, r->spec->vocab - 1);
    s->masked = wf_option_bool(&o, "masked", false);
    if (s->there && !r->spec->encoder)
        wf_option_fail(&o, j, "'shift' needs an encoder");
    return o.status;
}

weft_status wf_spec_read(wf_arena *arena, const wf_json *json, wf_spec **out, weft_error *err) {
    reader r = {.arena = arena, .spec = wf_arena_alloc(arena, sizeof(wf_spec)), .err = err};
    if (!r.spec)
        return wf_fail_memory(err);
    WF_CHECK(json && json->kind == WF_JSON_OBJECT, err, WEFT_USAGE, "a spec must be an object");
    r.spec->json = json;
    r.spec->stack = "";
    WF_TRY(read_sizes(&r, json));
    WF_TRY(read_stack(&r, json));
    WF_TRY(read_encoder(&r, wf_json_get(json, "encoder")));
    WF_TRY(read_shift(&r, wf_json_get(json, "shift")));
    WF_CHECK(!r.spec->stem.shared, err, WEFT_USAGE, "stem: only an encoder can share the table of the model around it");
    WF_TRY(wf_heads_read(&r, wf_json_get(json, "head"), wf_json_get(json, "heads")));
    *out = r.spec;
    return WEFT_OK;
}
