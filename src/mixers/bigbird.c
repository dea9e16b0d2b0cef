/* bigbird.c - blocks that see their neighbours, the first and last block, and blocks drawn at random by a plan. Zaheer et al.
 * 2020 (arXiv 2007.14062, section 2; ITC). A block met twice counts twice, as in the published implementations. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {WF_QKVO_KEYS,
                              {"bias", WF_KEY_LIST, "['q', 'k', 'v', 'o']", 0, NULL, "projections with a bias, of q k v o"},
                              {"block", WF_KEY_INT, NULL, 1, NULL, "rows of a block; a sequence is at least five whole blocks"},
                              {"random", WF_KEY_INT, NULL, 0, NULL,
                               "random blocks of a row: entries of `plan` [heads, blocks - 2, random], 0 without a plan"},
                              {"full_until", WF_KEY_INT, "0", 0, NULL, "sequences of at most so many rows see everything"},
                              {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};

enum { MASK, PLAN };

typedef struct record {
    int64_t block, random, blocks;
} record;

/* How often query block x meets key block y. */
static int64_t meetings(const wf_pattern_rows *r, int64_t x, int64_t y) {
    const record *p = r->a->pattern->record;
    const int64_t *plan = r->a->pattern_data[PLAN];
    if (x == 0 || x == p->blocks - 1)
        return 1;
    int64_t count = y == 0 || y == p->blocks - 1 || (y >= x - 1 && y <= x + 1);
    for (int64_t k = 0; k < p->random; k++)
        count += y == (plan ? plan[(r->h * (p->blocks - 2) + x - 1) * p->random + k] : 0);
    return count;
}

static bool real(const wf_pattern_rows *r, int64_t i) {
    const uint8_t *mask = r->a->pattern_data[MASK];
    return !mask || mask[r->b * r->a->s + i];
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    const record *p = r->a->pattern->record;
    for (int k = 0; k < count; k++)
        for (int64_t i = r->row, met = 0, x = -1; i <= r->last; i++) {
            bool again = k > 0 && keys_[k] / p->block == keys_[k - 1] / p->block;
            if (!again && i / p->block != x)
                met = meetings(r, x = i / p->block, keys_[k] / p->block);
            float *at = out + k * WF_ATTENTION_ROWS + i - r->row;
            *at = again ? at[-WF_ATTENTION_ROWS] : !real(r, i) || met == 0 ? -INFINITY : met == 1 ? 0.0f : logf((float)met);
        }
}

/* Whole blocks at a time; a tile may hold several. */
static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int count = 0;
    *whole = true;
    for (int64_t i = r->row; i <= r->last; i++)
        *whole &= real(r, i);
    while (*at < p->blocks * p->block && count < WF_ATTENTION_KEYS) {
        int64_t y = *at / p->block, end = (y + 1) * p->block;
        bool some = false, once = true;
        for (int64_t x = r->row / p->block; x <= r->last / p->block; x++) {
            int64_t met = meetings(r, x, y);
            some |= met > 0;
            once &= met == 1;
        }
        *whole &= once || !some;
        if (!some)
            *at = end;
        for (; *at < end && count < WF_ATTENTION_KEYS; (*at)++)
            keys_[count++] = *at;
    }
    return count;
}

static wf_tensor *attend(wf_run *r, const wf_layer *l, wf_tensor *x, wf_attention_spec *spec) {
    return wf_merge_heads(r, wf_attend(r, l, wf_project_heads(r, l, "q", x), wf_project_heads(r, l, "k", x),
                                       wf_project_heads(r, l, "v", x), spec));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t block = wf_int(l, "block"), random = wf_int(l, "random"), heads = wf_int(l, "heads");
    int64_t blocks = r->rows / block;
    const record p = {block, random, blocks};
    wf_attention_spec spec = {
        .scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")), .key_mask = io->mask, .left = INT64_MAX, .right = INT64_MAX};
    if (r->rows <= wf_int(l, "full_until")) {
        spec.dropout = r->attention_dropout;
        io->y = wf_project(r, l, "o", attend(r, l, io->x, &spec));
        return WEFT_OK;
    }
    if (r->rows % block != 0 || blocks < 5)
        wf_tape_error(r->tape, WEFT_USAGE, "%s: bigbird: %lld rows are not five or more whole blocks of %lld ('block')",
                      l->where, (long long)r->rows, (long long)block);
    else if (io->plan && (io->plan->dims[0] != heads || io->plan->dims[1] != blocks - 2 || io->plan->dims[2] != random))
        wf_tape_error(r->tape, WEFT_USAGE, "%s: bigbird: the plan is not [heads, blocks - 2, random]", l->where);
    spec.pattern = wf_pattern(r, weights, next, &p, sizeof p);
    spec.pattern_data[MASK] = io->mask;
    spec.pattern_data[PLAN] = random > 0 ? io->plan : NULL;
    spec.pattern_keys = (double)((5 + random) * block);
    io->y = wf_project(r, l, "o", attend(r, l, io->x, &spec));
    return WEFT_OK;
}

const wf_mixer wf_mixer_bigbird = {.name = "bigbird",
                                   .about = "softmax over neighbouring, first, last and random blocks",
                                   .source = "Zaheer et al. 2020, arXiv 2007.14062, section 2",
                                   .keys = keys,
                                   .slots = slots,
                                   .inputs = "x mask? plan?",
                                   .outputs = "y",
                                   .example = "{\"heads\": \"=dim // 32\", \"block\": 16, \"random\": 3}",
                                   .flops = "2*heads*(key_dim + value_dim) * T * min(T, (5 + random)*block)",
                                   .bf16 = 0.008,
                                   .traits = WF_PADDING_INERT,
                                   .companion = "mlp",
                                   .check = wf_check_qkvo,
                                   .run = run};
