/* sparse.c - the Sparse Transformer's two-step patterns: a local part, and every stride-th key or the last keys of every
 * stride. Child et al. 2019 (arXiv 1904.10509, section 4.2). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"causal", WF_KEY_BOOL, "true", 0, NULL, "always true"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"pattern", WF_KEY_STRING, NULL, 0, "strided|fixed",
     "strided: i-j < stride, or i-j a multiple of it; fixed: the same stride, or the last `summary` of any"},
    {"stride", WF_KEY_INT, NULL, 1, NULL, "about the root of the length"},
    {"summary", WF_KEY_INT, "1", 1, NULL, "keys at the end of a stride that later rows see; fixed only"},
    {"combine", WF_KEY_STRING, "'merged'", 0, "merged|heads",
     "every head sees both parts; or even heads the local part, odd heads the other"},
    {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};
static const wf_state_slot states[] = {WF_KV_STATES(NULL), {NULL}};

typedef struct record {
    int64_t stride, summary;
    bool fixed, by_head;
} record;

static const record *record_of(const wf_pattern_rows *r) { return r->a->pattern->record; }
static bool has_near(const wf_pattern_rows *r) { return !record_of(r)->by_head || r->h % 2 == 0; }
static bool has_far(const wf_pattern_rows *r) { return !record_of(r)->by_head || r->h % 2 == 1; }

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = record_of(r);
    bool near = p->fixed ? i / p->stride == j / p->stride : i - j < p->stride;
    bool far = p->fixed ? j % p->stride >= p->stride - p->summary : (i - j) % p->stride == 0;
    return j <= i && ((near && has_near(r)) || (far && has_far(r))) ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    const record *p = record_of(r);
    int64_t l = p->stride;
    bool past = j <= r->row;
    if (p->fixed) {
        bool far = has_far(r) && j % l >= l - p->summary, near = has_near(r) && j / l >= r->row / l;
        bool all = past && (far || (near && r->last / l == j / l));
        return all ? WF_SEEN_ALL : far || near ? WF_SEEN_SOME : WF_SEEN_NONE;
    }
    bool near = has_near(r) && j > r->row - l;
    if (near && past && r->last - j < l)
        return WF_SEEN_ALL;
    /* some row stands a multiple of l after j */
    bool far = has_far(r) && (j >= r->row || (r->row - j + l - 1) / l * l <= r->last - j);
    return near || far ? WF_SEEN_SOME : WF_SEEN_NONE;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, weight, keys_, count, out);
}

static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    return wf_pattern_walk(r, seen, 0, r->last + 1, at, keys_, whole);
}

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_flag(l, "causal"), err, WEFT_UNSUPPORTED, "'causal' must be true");
    WF_CHECK(wf_is(l, "pattern", "strided") || wf_int(l, "summary") <= wf_int(l, "stride"), err, WEFT_USAGE,
             "'summary' is longer than 'stride'");
    return wf_check_qkvo(l, err);
}

/* Fixed blocks count from the first row; strides are relative. */
static unsigned lost_traits(const wf_layer *l) { return wf_is(l, "pattern", "strided") ? WF_PADDING_TRACE : 0u; }

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const record p = {wf_int(l, "stride"), wf_int(l, "summary"), wf_is(l, "pattern", "fixed"), wf_is(l, "combine", "heads")};
    wf_tensor *q = wf_project_heads(r, l, "q", io->x), *k = wf_project_heads(r, l, "k", io->x),
              *v = wf_project_heads(r, l, "v", io->x);
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .key_mask = io->mask,
                              .pattern = wf_pattern(r, weights, next, &p, sizeof p),
                              .pattern_keys = 2.0 * (double)p.stride};
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_attend(r, l, q, k, v, &spec)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_sparse = {
    .name = "sparse",
    .about = "softmax over a local part and every stride-th key, or a summary of every stride",
    .source = "Child et al. 2019, arXiv 1904.10509, section 4.2",
    .keys = keys,
    .slots = slots,
    .states = states,
    .inputs = "x mask?",
    .outputs = "y",
    .flops =
        "2*heads*(key_dim + value_dim) * T * min((T + 1) / 2, stride + T / (2*stride) * (pattern == 'fixed' ? summary : 1))",
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
    .lost_traits = lost_traits,
    .companion = "glu",
    .check = check,
    .run = run};
