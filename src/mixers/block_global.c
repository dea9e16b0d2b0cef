/* block_global.c - attention inside blocks of rows and to rows of a second stream, which see everything; one set of
 * projections. Phang et al. 2022 (arXiv 2208.04347, section 3.1). What the second stream receives goes out as `side`, not
 * joined to it. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {WF_QKVO_KEYS,
                              {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
                              {"block", WF_KEY_INT, NULL, 1, NULL, "rows of a block"},
                              {"offset", WF_KEY_INT, "0", 0, NULL, "rows that the first block lacks at its beginning"},
                              {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};

typedef struct record {
    int64_t block, offset;
} record;

static int64_t block_of(const wf_pattern_rows *r, int64_t i) {
    const record *p = r->a->pattern->record;
    return (i + p->offset) / p->block;
}

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    return block_of(r, i) == block_of(r, j) ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    return block_of(r, r->row) == block_of(r, j) && block_of(r, r->last) == block_of(r, j) ? WF_SEEN_ALL : WF_SEEN_SOME;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, weight, keys_, count, out);
}

static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int64_t first = block_of(r, r->row) * p->block - p->offset, end = (block_of(r, r->last) + 1) * p->block - p->offset;
    return wf_pattern_walk(r, seen, first > 0 ? first : 0, end, at, keys_, whole);
}

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_TRY(wf_check_qkvo(l, err));
    WF_CHECK(wf_int(l, "offset") < wf_int(l, "block"), err, WEFT_USAGE, "'offset' must be less than 'block'");
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const record p = {wf_int(l, "block"), wf_int(l, "offset")};
    const wf_attention_spec plain = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")), .left = INT64_MAX, .right = INT64_MAX};
    wf_attention_spec near = plain, masked = plain;
    masked.key_mask = near.key_mask = io->mask;
    near.pattern = wf_pattern(r, weights, next, &p, sizeof p);
    near.pattern_keys = (double)p.block;
    wf_tensor *q = wf_project_heads(r, l, "q", io->x), *k = wf_project_heads(r, l, "k", io->x),
              *v = wf_project_heads(r, l, "v", io->x);
    wf_partial rows = wf_attend_part(r, q, k, v, &near);
    wf_tensor *o = rows.o;
    if (io->side) {
        wf_tensor *q_side = wf_project_heads(r, l, "q", io->side), *k_side = wf_project_heads(r, l, "k", io->side),
                  *v_side = wf_project_heads(r, l, "v", io->side);
        wf_partial globals = wf_attend_part(r, q, k_side, v_side, &plain), all = wf_attend_part(r, q_side, k, v, &masked),
                   own = wf_attend_part(r, q_side, k_side, v_side, &plain);
        o = wf_join_parts(r, &rows, &globals);
        io->side = wf_project(r, l, "o", wf_merge_heads(r, wf_join_parts(r, &all, &own)));
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_block_global = {.name = "block_global",
                                        .about = "softmax inside a block and over the rows of a second stream, which see all",
                                        .source = "Phang et al. 2022, arXiv 2208.04347, section 3.1",
                                        .keys = keys,
                                        .slots = slots,
                                        .inputs = "x side? mask?",
                                        .outputs = "y side?",
                                        .example = "{\"heads\": \"=dim // 32\", \"block\": 64}",
                                        .flops = "2*heads*(key_dim + value_dim) * T * min(T, block)",
                                        .bf16 = 0.012,
                                        .traits = WF_PADDING_INERT | WF_PADDING_TRACE,
                                        .companion = "mlp",
                                        .check = check,
                                        .run = run};
