/* axial.c - attention along one axis of a grid at a time. Ho et al. 2019 (arXiv 1912.12180, section 3); the rows are the grid,
 * the last axis fastest. */
#include <math.h>
#include <stdio.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "along every axis"},
    {"shape", WF_KEY_LIST, NULL, 0, NULL, "rows of every axis; their product is the length"},
    {"combine", WF_KEY_STRING, "'sum'", 0, "sum|sequential", "add what the axes give, or one axis after the other"},
    {NULL}};

static const wf_slot slots[] = {{"axis{n}.q.weight", "[heads*key_dim, dim]", "linear", NULL, "len(shape)", false, NULL},
                                {"axis{n}.k.weight", "[kv_heads*key_dim, dim]", "linear", NULL, "len(shape)", false, NULL},
                                {"axis{n}.v.weight", "[kv_heads*value_dim, dim]", "linear", NULL, "len(shape)", false, NULL},
                                {"axis{n}.o.weight", "[dim, heads*value_dim]", "linear_out", NULL, "len(shape)", false, NULL},
                                {"axis{n}.o.bias", "[dim]", "zeros", NULL, "len(shape)", false, NULL},
                                {NULL}};

#define AXIS(n)                                                                                                                \
    {"axis" #n ".k", WF_STATE_APPEND, "[kv_heads, key_dim]", NULL, "causal && len(shape) > " #n " && len(shape) <= 4", 0}, {   \
        "axis" #n ".v", WF_STATE_APPEND, "[kv_heads, value_dim]", NULL, "causal && len(shape) > " #n " && len(shape) <= 4", 0  \
    }
static const wf_state_slot states[] = {AXIS(0), AXIS(1), AXIS(2), AXIS(3), {NULL}};

/* ---- the pattern of one axis, for decoding: rows that differ on no other axis, up to this one ---- */
typedef struct record {
    int64_t inner, size; /* rows of one step along the axis; steps */
} record;

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = r->a->pattern->record;
    return j <= i && i % p->inner == j % p->inner && i / p->inner / p->size == j / p->inner / p->size ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    const record *p = r->a->pattern->record;
    int64_t after =
        r->row > j ? (r->row - j + p->inner - 1) / p->inner * p->inner : 0; /* least multiple of inner that reaches the rows */
    return j + after <= r->last ? WF_SEEN_SOME : WF_SEEN_NONE;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, weight, keys_, count, out);
}

static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int64_t line = p->inner * p->size;
    return wf_pattern_walk(r, seen, r->row / line * line, r->last + 1, at, keys_, whole);
}

/* ---- one axis ---- */
static wf_tensor *project(wf_run *r, const wf_layer *l, int axis, const char *which, wf_tensor *x) {
    char name[32];
    snprintf(name, sizeof name, "axis%d.%s", axis, which);
    return wf_project(r, l, name, x);
}

/* [B,T,w] -> [B*outer*inner, size, heads, w/heads]: one sequence for every line along the axis. */
static wf_tensor *lines(wf_run *r, wf_tensor *x, const record *p, int64_t heads) {
    if (!x)
        return NULL;
    int64_t width = x->dims[2], outer = x->dims[0] * x->dims[1] / (p->inner * p->size);
    x = wf_swap_rows(r->tape, wf_reshape(r->tape, x, 4, (int64_t[]){outer, p->size, p->inner, width}));
    return x ? wf_reshape(r->tape, x, 4, (int64_t[]){outer * p->inner, p->size, heads, width / heads}) : NULL;
}

static wf_tensor *grid(wf_run *r, wf_tensor *x, const record *p) {
    if (!x)
        return NULL;
    int64_t width = x->dims[2] * x->dims[3], outer = x->dims[0] / p->inner;
    x = wf_swap_rows(r->tape, wf_reshape(r->tape, x, 4, (int64_t[]){outer, p->inner, p->size, width}));
    return x ? wf_reshape(r->tape, x, 3, (int64_t[]){r->batch, r->rows, width}) : NULL;
}

static wf_tensor *stepwise(wf_run *r, const wf_layer *l, int axis, const record *p, wf_tensor *x, wf_attention_spec *spec) {
    int64_t heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads");
    char k[24], v[24];
    snprintf(k, sizeof k, "axis%d.k", axis);
    snprintf(v, sizeof v, "axis%d.v", axis);
    wf_tensor *q = wf_split_heads(r, project(r, l, axis, "q", x), heads, wf_int(l, "key_dim"));
    wf_tensor *all_k = wf_state_append(r, l, k, wf_split_heads(r, project(r, l, axis, "k", x), groups, wf_int(l, "key_dim")));
    wf_tensor *all_v = wf_state_append(r, l, v, wf_split_heads(r, project(r, l, axis, "v", x), groups, wf_int(l, "value_dim")));
    spec->pattern = wf_pattern(r, weights, next, p, sizeof *p);
    spec->pattern_keys = (double)p->size;
    spec->offset_from_start = true;
    spec->cached = r->mode == WF_STATE_IN_PLACE;
    return wf_merge_heads(r, wf_attention(r->tape, q, all_k, all_v, spec));
}

static wf_tensor *along(wf_run *r, const wf_layer *l, int axis, wf_tensor *x) {
    const wf_value *shape = wf_get(l, "shape");
    record p = {1, shape->items[axis].integer};
    for (size_t m = (size_t)axis + 1; m < shape->count; m++)
        p.inner *= shape->items[m].integer;
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .causal = wf_flag(l, "causal"),
                              .left = INT64_MAX,
                              .right = INT64_MAX,
                              .dropout = r->attention_dropout};
    if (wf_state_wanted(r) && wf_layer_streams(l))
        return project(r, l, axis, "o", stepwise(r, l, axis, &p, x, &spec));
    wf_tensor *q = lines(r, project(r, l, axis, "q", x), &p, wf_int(l, "heads"));
    wf_tensor *k = lines(r, project(r, l, axis, "k", x), &p, wf_int(l, "kv_heads")),
              *v = lines(r, project(r, l, axis, "v", x), &p, wf_int(l, "kv_heads"));
    return project(r, l, axis, "o", grid(r, wf_attention(r->tape, q, k, v, &spec), &p));
}

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *shape = wf_get(l, "shape");
    int64_t product = 1;
    WF_CHECK(wf_int(l, "heads") % wf_int(l, "kv_heads") == 0, err, WEFT_USAGE, "'heads' must be a multiple of 'kv_heads'");
    WF_CHECK(shape->count > 0 && shape->count <= 16, err, WEFT_USAGE, "'shape' must have 1 to 16 numbers");
    for (size_t m = 0; m < shape->count; m++) {
        WF_CHECK(shape->items[m].type == WF_INT && shape->items[m].integer >= 1, err, WEFT_USAGE,
                 "'shape' must be a list of integers from 1");
        product = product > INT32_MAX / shape->items[m].integer ? INT32_MAX : product * shape->items[m].integer;
    }
    WF_CHECK(product < INT32_MAX, err, WEFT_USAGE, "'shape' is absurdly large");
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const wf_value *shape = wf_get(l, "shape");
    bool sum = wf_is(l, "combine", "sum");
    int64_t product = 1;
    for (size_t m = 0; m < shape->count; m++)
        product *= shape->items[m].integer;
    if ((r->rows != product && !wf_state_wanted(r)) || r->rows > product) {
        wf_tape_error(r->tape, WEFT_USAGE, "%s: axial: %lld rows are not the grid of 'shape' (%lld)", l->where,
                      (long long)r->rows, (long long)product);
        return WEFT_OK;
    }
    wf_tensor *y = NULL, *x = io->x;
    for (int axis = 0; axis < (int)shape->count; axis++) {
        wf_tensor *one = along(r, l, axis, x);
        y = sum && axis > 0 ? wf_add(r->tape, y, one) : one;
        x = sum ? x : one;
    }
    io->y = y;
    return WEFT_OK;
}

const wf_mixer wf_mixer_axial = {.name = "axial",
                                 .about = "softmax along each axis of a grid of rows",
                                 .source = "Ho et al. 2019, arXiv 1912.12180, section 3",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x",
                                 .outputs = "y",
                                 .example = "{\"heads\": \"=dim // 32\", \"shape\": [\"=context // pow(2, round(ln(context) / "
                                            "ln(4)))\", \"=pow(2, round(ln(context) / ln(4)))\"], \"causal\": true}",
                                 .time = "T*max(shape)",
                                 .flops = "2*heads*(key_dim + value_dim) * T * (causal ? 0.5 : 1) * len(shape) * max(shape)",
                                 .streams = "len(shape) <= 4",
                                 .bf16 = 0.02,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "mlp",
                                 .check = check,
                                 .run = run};
