/* longformer.c - a sliding window, dilated per head, and global tokens that see and are seen by all, with projections of their
 * own. Beltagy et al. 2020 (arXiv 2004.05150, section 3). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"bias", WF_KEY_LIST, "['q', 'k', 'v', 'o']", 0, NULL, "projections with a bias, of q k v o; the global ones follow q k v"},
    {"window", WF_KEY_LIST, NULL, 0, NULL, "[left, right] steps beside row i, inclusive"},
    {"dilation", WF_KEY_LIST, "null", 0, NULL, "rows of a step, per head; null: 1"},
    {"globals", WF_KEY_BOOL, "true", 0, NULL, "global rows have projections of their own; without, no row is global"},
    {NULL}};

static const wf_slot slots[] = {
    WF_QKVO_SLOTS,
    {"q_global.weight", "[heads*key_dim, dim]", "linear", "globals", NULL, false, NULL},
    {"q_global.bias", "[heads*key_dim]", "zeros", "globals && has(bias, 'q')", NULL, false, NULL},
    {"k_global.weight", "[kv_heads*key_dim, dim]", "linear", "globals", NULL, false, NULL},
    {"k_global.bias", "[kv_heads*key_dim]", "zeros", "globals && has(bias, 'k')", NULL, false, NULL},
    {"v_global.weight", "[kv_heads*value_dim, dim]", "linear", "globals", NULL, false, NULL},
    {"v_global.bias", "[kv_heads*value_dim]", "zeros", "globals && has(bias, 'v')", NULL, false, NULL},
    {NULL}};

static const wf_state_slot states[] = {WF_KV_STATES("causal && !globals ? window[0]*max(dilation ?? [1]) + 1 : null"), {NULL}};

enum { MASK, GLOBAL };

typedef struct record {
    int64_t left, right;
    const int64_t *dilation; /* [heads] */
    bool causal;
} record;

static bool real(const wf_pattern_rows *r, int64_t j) {
    const uint8_t *mask = r->a->pattern_data[MASK];
    return !mask || mask[r->b * r->a->s + j];
}

/* With global tokens rows and keys are those of one whole sequence: index = row. */
static bool global(const wf_pattern_rows *r, int64_t j) {
    const uint8_t *mask = r->a->pattern_data[GLOBAL];
    return mask && mask[r->b * r->a->s + j] && real(r, j);
}

/* ---- local rows ---- */
static bool in_band(const record *p, int64_t d, int64_t i, int64_t j) {
    return j - i >= -p->left * d && j - i <= p->right * d && (j - i) % d == 0;
}

static float local_weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = r->a->pattern->record;
    bool masked = r->a->pattern_data[MASK] != NULL, asks = (!masked || real(r, i)) && !global(r, i);
    bool seen = (!p->causal || j <= i) && (global(r, j) || in_band(p, p->dilation[r->h], i, j));
    return asks && seen ? 0.0f : -INFINITY;
}

static bool all_local(const wf_pattern_rows *r) {
    for (int64_t i = r->row; i <= r->last && (r->a->pattern_data[MASK] || r->a->pattern_data[GLOBAL]); i++)
        if (!real(r, i) || global(r, i))
            return false;
    return true;
}

static wf_seen local_seen(const wf_pattern_rows *r, int64_t j) {
    const record *p = r->a->pattern->record;
    int64_t d = p->dilation[r->h];
    bool inside = j >= r->row - p->left * d && j <= r->last + p->right * d, wide = global(r, j);
    if (!inside && !wide)
        return WF_SEEN_NONE;
    bool all = wide || (d == 1 && j >= r->last - p->left && j <= r->row + p->right);
    return all && (!p->causal || j <= r->row) && all_local(r) ? WF_SEEN_ALL : WF_SEEN_SOME;
}

static void local_weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, local_weight, keys_, count, out);
}

static int local_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int64_t d = p->dilation[r->h], first = r->a->pattern_data[GLOBAL] ? 0 : r->row - p->left * d;
    int64_t end = p->causal ? r->last + 1 : r->a->pattern_data[GLOBAL] ? INT64_MAX : r->last + p->right * d + 1;
    return wf_pattern_walk(r, local_seen, first, end, at, keys_, whole);
}

/* ---- global rows ---- */
static float global_weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = r->a->pattern->record;
    return global(r, i) && (!p->causal || j <= i) ? 0.0f : -INFINITY;
}

static wf_seen any_row(const wf_pattern_rows *r, int64_t j) {
    (void)r, (void)j;
    return WF_SEEN_SOME;
}

static void global_weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, global_weight, keys_, count, out);
}

static int global_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    bool some = false;
    for (int64_t i = r->row; i <= r->last && !some; i++)
        some = global(r, i);
    return some ? wf_pattern_walk(r, any_row, 0, p->causal ? r->last + 1 : INT64_MAX, at, keys_, whole) : 0;
}

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *window = wf_get(l, "window"), *dilation = wf_get(l, "dilation");
    const int64_t most = 1 << 24;
    WF_TRY(wf_check_qkvo(l, err));
    WF_CHECK(window->count == 2, err, WEFT_USAGE, "'window' must be [left, right]");
    for (size_t i = 0; i < 2; i++)
        WF_CHECK(window->items[i].type == WF_INT && window->items[i].integer >= 0 && window->items[i].integer <= most, err,
                 WEFT_USAGE, "'window' must be [left, right], integers from 0");
    WF_CHECK(dilation->type == WF_NULL || dilation->count == (size_t)wf_int(l, "heads"), err, WEFT_USAGE,
             "'dilation' must have one number per head");
    for (size_t i = 0; i < dilation->count; i++)
        WF_CHECK(dilation->items[i].type == WF_INT && dilation->items[i].integer >= 1 && dilation->items[i].integer <= most,
                 err, WEFT_USAGE, "'dilation' must be a list of integers from 1");
    return WEFT_OK;
}

static const int64_t *dilations(wf_run *r, const wf_layer *l) {
    const wf_value *list = wf_get(l, "dilation");
    int64_t heads = wf_int(l, "heads"), *out = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)heads * sizeof *out);
    if (!out)
        wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    for (int64_t h = 0; out && h < heads; h++)
        out[h] = list->type == WF_NULL ? 1 : list->items[h].integer;
    return out;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const wf_value *window = wf_get(l, "window");
    const record p = {window->items[0].integer, window->items[1].integer, dilations(r, l), wf_flag(l, "causal")};
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .key_mask = io->mask,
                              .pattern = wf_pattern(r, local_weights, local_next, &p, sizeof p),
                              .pattern_data = {io->mask, wf_flag(l, "globals") ? io->global_mask : NULL},
                              .pattern_keys = (double)(p.left + p.right + 1)};
    wf_tensor *o = wf_attend(r, l, wf_project_heads(r, l, "q", io->x), wf_project_heads(r, l, "k", io->x),
                             wf_project_heads(r, l, "v", io->x), &spec);
    if (spec.pattern_data[GLOBAL]) {
        spec.pattern = wf_pattern(r, global_weights, global_next, &p, sizeof p);
        spec.pattern_keys = 1.0;
        wf_tensor *all = wf_attend(r, l, wf_project_heads(r, l, "q_global", io->x), wf_project_heads(r, l, "k_global", io->x),
                                   wf_project_heads(r, l, "v_global", io->x), &spec);
        o = wf_add(r->tape, o, all); /* a row is local or global: it is 0 in the other */
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_longformer = {
    .name = "longformer",
    .about = "softmax over a window and global tokens, which have projections of their own",
    .source = "Beltagy et al. 2020, arXiv 2004.05150, section 3",
    .keys = keys,
    .slots = slots,
    .states = states,
    .inputs = "x mask? global_mask?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"window\": [64, 0], \"causal\": true, \"globals\": false}",
    .flops = "2*heads*(key_dim + value_dim) * T * min(T, window[0] + window[1] + 1)",
    .streams = "!globals",
    .bf16 = 0.012,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
    .companion = "mlp",
    .check = check,
    .run = run};
