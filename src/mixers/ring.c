/* ring.c - ring attention's partial-merge form in one process: the keys are cut into parts, as machines of a ring hold them;
 * attention to every part by itself, merged by the log of its sum of exponentials, is attention to all of them. Liu et al. 2023
 * (arXiv 2310.01889, section 3); striped parts, which share causal work evenly: Brandon et al. 2023 (arXiv 2311.09431). */
#include <math.h>
#include "base/str.h"
#include "mixers/mixer.h"
#include "parts/rope.h"

static const wf_key keys[] = {WF_QKVO_KEYS,
                              {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
                              WF_PREFIX_KEY,
                              {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
                              {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
                              {"parts", WF_KEY_INT, "4", 1, NULL, "that the keys are cut into; there may be fewer keys"},
                              {"order", WF_KEY_STRING, "'blocks'", 0, "blocks|striped",
                               "a part is consecutive keys, all parts but for one row alike; or every parts-th key"},
                              {"rope", WF_KEY_OBJECT, "null", 0,
                               "['theta', 10000.0, 'dim', key_dim, 'pairing', 'half', 'scaling', null]", "rotary positions"},
                              {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};
static const wf_state_slot states[] = {WF_KV_STATES(NULL), {NULL}};
enum { MOST_PARTS = 1024 };

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_TRY(wf_check_qkvo(l, err));
    WF_TRY(wf_check_prefix(l, err));
    WF_CHECK(wf_int(l, "parts") <= MOST_PARTS, err, WEFT_USAGE, "'parts' (%lld) are more than %d",
             (long long)wf_int(l, "parts"), MOST_PARTS);
    return wf_given(l, "rope") ? wf_rope_check(l->mem, wf_get(l, "rope")->object, wf_int(l, "key_dim"), err) : WEFT_OK;
}

/* ---- the keys of a part ---- */
typedef struct record {
    int64_t part, parts;
    bool causal, striped;
} record;

/* The keys of a sequence that row i sees are those below this number. */
static int64_t end_of(const wf_pattern_rows *r, int64_t i) {
    const record *p = r->a->pattern->record;
    int64_t prefix = r->a->prefix ? r->a->prefix[r->b] : 0;
    return !p->causal ? INT64_MAX : i + 1 > prefix ? i + 1 : prefix;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    for (int64_t i = r->row; i <= r->last; i++)
        for (int k = 0; k < count; k++)
            out[k * WF_ATTENTION_ROWS + i - r->row] = keys_[k] < end_of(r, i) ? 0.0f : -INFINITY;
}

/* Keys first, first + step, .. below end. */
static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int64_t all = r->a->s, most = wf_attention_keys(r->a, r->b), step = p->striped ? p->parts : 1, count = 0;
    int64_t first = p->striped ? p->part : p->part * all / p->parts, end = p->striped ? all : (p->part + 1) * all / p->parts;
    most = end_of(r, r->last) < most ? end_of(r, r->last) : most;
    end = end < most ? end : most;
    for (*at = *at > first ? *at : first; *at < end && count < WF_ATTENTION_KEYS; *at += step)
        keys_[count++] = *at;
    *whole = count > 0 && keys_[count - 1] < end_of(r, r->row);
    return (int)count;
}

/* ---- the layer ---- */
/* o and lse of part after part, as wf_merge_partials takes them. */
static wf_tensor *in_parts(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k, wf_tensor *v, wf_attention_spec spec) {
    record p = {.parts = wf_int(l, "parts"), .causal = wf_flag(l, "causal"), .striped = wf_is(l, "order", "striped")};
    wf_partial all = {NULL, NULL};
    int64_t heads = wf_int(l, "heads");
    for (; p.part < p.parts && k; p.part++) {
        spec.pattern = wf_pattern(r, weights, next, &p, sizeof p);
        spec.pattern_keys = (double)k->dims[1] / (double)p.parts / (p.causal ? 2.0 : 1.0);
        wf_partial one = wf_attend_part(r, q, k, v, &spec);
        if (!one.o || !one.lse)
            return NULL;
        one.lse = wf_reshape(r->tape, one.lse, 3, (int64_t[]){r->batch * heads, r->rows, 1});
        all.o = p.part ? wf_time_concat(r->tape, all.o, one.o) : one.o;
        all.lse = p.part ? wf_time_concat(r->tape, all.lse, one.lse) : one.lse;
    }
    if (p.parts == 1 || !all.lse)
        return all.o;
    all.lse = wf_reshape(r->tape, all.lse, 3, (int64_t[]){r->batch, heads, p.parts * r->rows});
    return wf_merge_partials(r->tape, all.o, all.lse, NULL, NULL, p.parts);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *q = wf_turn_heads(r, l, wf_project_heads(r, l, "q", io->x), io),
              *k = wf_state_append(r, l, "k", wf_turn_heads(r, l, wf_project_heads(r, l, "k", io->x), io)),
              *v = wf_state_append(r, l, "v", wf_project_heads(r, l, "v", io->x));
    const wf_attention_spec spec = {.scale = (float)wf_float(l, "scale"),
                                    .key_mask = io->mask,
                                    .prefix = io->prefix,
                                    .offset_from_start = wf_state_wanted(r),
                                    .cached = wf_state_wanted(r) && r->mode == WF_STATE_IN_PLACE};
    io->y = wf_project(r, l, "o", wf_merge_heads(r, in_parts(r, l, q, k, v, spec)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_ring = {.name = "ring",
                                .about = "softmax over parts of the keys, merged by their log-sum-exp",
                                .source = "Liu et al. 2023, arXiv 2310.01889, section 3; Brandon et al. 2023, arXiv 2311.09431",
                                .keys = keys,
                                .slots = slots,
                                .states = states,
                                .inputs = "x mask? positions? prefix?",
                                .outputs = "y",
                                .time = "T*T",
                                .flops = "2*heads*(key_dim + value_dim) * T * (causal ? (T + 1) / 2 : T)",
                                .bf16 = 0.02,
                                .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                                .companion = "glu",
                                .check = check,
                                .run = run};
