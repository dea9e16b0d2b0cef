/* local_chunk.c - attention to the row's own chunk and its neighbours: lucidrains' local-attention and the Reformer's local
 * layers (Kitaev et al. 2020, arXiv 2001.04451; the chunks of Parmar et al. 2018, arXiv 1802.05751, section 3.2). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/chunk_pattern.h"
#include "parts/rope.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"chunk", WF_KEY_INT, NULL, 1, NULL, "rows of a chunk"},
    {"before", WF_KEY_INT, "1", 0, NULL, "chunks seen before the row's own"},
    {"after", WF_KEY_INT, "causal ? 0 : 1", 0, NULL, "chunks seen after it"},
    {"exact", WF_KEY_BOOL, "false", 0, NULL, "no further than before*chunk back and after*chunk ahead"},
    {"wrap", WF_KEY_BOOL, "false", 0, NULL, "the chunks are a ring: the first sees the last; one met twice counts twice"},
    {"whole", WF_KEY_BOOL, "false", 0, NULL,
     "rows of a chunk that is all padding take the mean of its values (their scores keep their gradients), instead of nothing; "
     "needs 0 chunks before and after (CANINE)"},
    {"rope", WF_KEY_OBJECT, "null", 0, "['theta', 10000.0, 'dim', key_dim, 'pairing', 'half', 'scaling', null]",
     "rotary positions; queries stand after*chunk ahead"},
    {"xpos", WF_KEY_OBJECT, "null", 0, "['base', null]", "xPos rotary decay {base}, on the pairs of rope"},
    {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};
static const wf_state_slot states[] = {WF_KV_STATES("causal && !wrap ? (before + 1)*chunk : null"), {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    const int64_t most = INT32_MAX / 4;
    WF_TRY(wf_check_qkvo(l, err));
    WF_CHECK(wf_int(l, "before") <= most / wf_int(l, "chunk") && wf_int(l, "after") <= most / wf_int(l, "chunk"), err,
             WEFT_USAGE, "'before' or 'after' is absurdly large");
    WF_CHECK(!wf_flag(l, "whole") || (wf_int(l, "before") == 0 && wf_int(l, "after") == 0), err, WEFT_USAGE,
             "'whole' needs 0 chunks before and after");
    if (wf_given(l, "xpos"))
        WF_CHECK(wf_json_double(wf_get(l, "xpos")->object, "base", 0.0) > 0.0, err, WEFT_USAGE,
                 "'xpos' needs a 'base' above 0");
    return wf_given(l, "rope") ? wf_rope_check(l->mem, wf_get(l, "rope")->object, wf_int(l, "key_dim"), err) : WEFT_OK;
}

static wf_tensor *turn(wf_run *r, const wf_layer *l, wf_tensor *x, bool query) {
    static const wf_json plain = {.kind = WF_JSON_OBJECT};
    const wf_json *rope = wf_given(l, "rope") ? wf_get(l, "rope")->object : wf_given(l, "xpos") ? &plain : NULL;
    wf_rotate_args args;
    weft_error err = {0};
    if (!rope)
        return x;
    if (wf_rope_args(wf_tape_arena(r->tape), rope, wf_int(l, "key_dim"), r->length, &args, &err) != WEFT_OK)
        return wf_tape_error(r->tape, err.status, "%s: %s", l->where, err.message);
    args.shift = query ? wf_int(l, "after") * wf_int(l, "chunk") : 0;
    if (wf_given(l, "xpos")) {
        args.xpos_base = (float)wf_json_double(wf_get(l, "xpos")->object, "base", 0.0);
        args.xpos_sign = query ? 1 : -1;
    }
    return wf_rotate(r->tape, x, &args);
}

/* Chunks count from the first row; an exact window is relative. */
static unsigned lost_traits(const wf_layer *l) { return wf_flag(l, "exact") ? WF_PADDING_TRACE : 0u; }

/* Scores of chunks that are all padding: under the mask of the reference, a huge number that is added, they vanish, but their
 * gradients are those of what they were. */
static void vanish(const wf_run *r, wf_tensor *live, wf_tensor **q, wf_tensor **k) {
    const float tiny = 0x1p-30f;
    *q = wf_scale_apart(r->tape, *q, live, tiny, 1.0f);
    *k = wf_scale_apart(r->tape, *k, live, 1.0f, 1.0f / tiny);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t chunk = wf_int(l, "chunk"), rows = r->rows;
    wf_chunk_pattern p = {.chunk = chunk,
                          .before = wf_int(l, "before"),
                          .after = wf_int(l, "after"),
                          .causal = wf_flag(l, "causal"),
                          .exact = wf_flag(l, "exact")};
    if (wf_flag(l, "wrap") && rows > chunk && rows % chunk != 0)
        wf_tape_error(r->tape, WEFT_USAGE, "%s: local_chunk: %lld rows are not whole chunks of %lld, which 'wrap' needs",
                      l->where, (long long)rows, (long long)chunk);
    if (wf_flag(l, "wrap") && rows > chunk)
        p.chunks = rows / chunk;
    wf_tensor *q = turn(r, l, wf_project_heads(r, l, "q", io->x), true),
              *k = turn(r, l, wf_project_heads(r, l, "k", io->x), false), *v = wf_project_heads(r, l, "v", io->x);
    if (wf_flag(l, "whole"))
        vanish(r, wf_window_open(r->tape, io->mask, chunk, true), &q, &k);
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .key_mask = wf_flag(l, "whole") ? wf_window_open(r->tape, io->mask, chunk, false) : io->mask,
                              .pattern = wf_pattern(r, wf_chunk_weights, wf_chunk_next, &p, sizeof p),
                              .pattern_keys = (double)((p.before + p.after + 1) * chunk)};
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_attend(r, l, q, k, v, &spec)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_local_chunk = {.name = "local_chunk",
                                       .about = "softmax over the row's own chunk and its neighbours",
                                       .source = "Kitaev et al. 2020, arXiv 2001.04451; local-attention",
                                       .keys = keys,
                                       .slots = slots,
                                       .states = states,
                                       .inputs = "x mask?",
                                       .outputs = "y",
                                       .example = "{\"heads\": \"=dim // 32\", \"chunk\": 64, \"causal\": true}",
                                       .flops = "2*heads*(key_dim + value_dim) * T * min(T, (before + after + 1)*chunk)",
                                       .streams = "!wrap",
                                       .bf16 = 0.015,
                                       .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                       .lost_traits = lost_traits,
                                       .companion = "glu",
                                       .check = check,
                                       .run = run};
