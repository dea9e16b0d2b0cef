/* bigbird.c - blocks that see their neighbours, blocks drawn at random by a plan, and global rows: the first and last block
 * (ITC) or extra rows in front of the blocks (ETC). Zaheer et al. 2020 (arXiv 2007.14062, section 2). A block met twice counts
 * twice, as in the published implementations. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"bias", WF_KEY_LIST, "['q', 'k', 'v', 'o']", 0, NULL, "projections with a bias, of q k v o"},
    {"block", WF_KEY_INT, NULL, 1, NULL,
     "rows of a block; a sequence is whole blocks behind the extra rows, with `ends` at least five"},
    {"extra", WF_KEY_INT, "0", 0, NULL,
     "the first rows of a sequence stand before the blocks, see everything and are seen by all (ETC)"},
    {"ends", WF_KEY_BOOL, "extra == 0", 0, NULL, "the first and the last block see everything and are seen by all (ITC)"},
    {"random", WF_KEY_INT, NULL, 0, NULL,
     "random blocks of a row: entries of `plan` [heads, blocks, random] (blocks - 2 with `ends`: not of these), 0 without "
     "a plan"},
    {"full_until", WF_KEY_INT, "0", 0, NULL, "sequences of at most so many rows see everything"},
    {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};

enum { MASK, PLAN };

typedef struct record {
    int64_t block, random, blocks, extra;
    bool ends;
} record;

enum { EXTRA = -1 }; /* the block of the extra rows */

static int64_t block_of(const record *p, int64_t i) { return i < p->extra ? EXTRA : (i - p->extra) / p->block; }
static int64_t end_of(const record *p, int64_t x) { return p->extra + (x + 1) * p->block * (x != EXTRA); }
static int64_t planned(const record *p) { return p->ends ? p->blocks - 2 : p->blocks; }
static bool global(const record *p, int64_t x) { return x == EXTRA || (p->ends && (x == 0 || x == p->blocks - 1)); }

/* How often query block x meets key block y. */
static int64_t meetings(const wf_pattern_rows *r, int64_t x, int64_t y) {
    const record *p = r->a->pattern->record;
    const int64_t *plan = r->a->pattern_data[PLAN];
    if (global(p, x) || y == EXTRA)
        return 1;
    int64_t count = global(p, y) || (y >= x - 1 && y <= x + 1);
    for (int64_t k = 0; k < p->random; k++)
        count += y == (plan ? plan[(r->h * planned(p) + x - p->ends) * p->random + k] : 0);
    return count;
}

static bool real(const wf_pattern_rows *r, int64_t i) {
    const uint8_t *mask = r->a->pattern_data[MASK];
    return !mask || mask[r->b * r->a->s + i];
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    const record *p = r->a->pattern->record;
    for (int k = 0; k < count; k++)
        for (int64_t i = r->row, met = 0, x = EXTRA - 1; i <= r->last; i++) {
            bool again = k > 0 && block_of(p, keys_[k]) == block_of(p, keys_[k - 1]);
            if (!again && block_of(p, i) != x)
                met = meetings(r, x = block_of(p, i), block_of(p, keys_[k]));
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
    while (*at < end_of(p, p->blocks - 1) && count < WF_ATTENTION_KEYS) {
        int64_t y = block_of(p, *at), end = end_of(p, y);
        bool some = false, once = true;
        for (int64_t x = block_of(p, r->row); x <= block_of(p, r->last); x++) {
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
    int64_t extra = wf_int(l, "extra"), inside = r->rows - extra;
    const record p = {block, random, inside / block, extra, wf_flag(l, "ends")};
    wf_attention_spec spec = {
        .scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")), .key_mask = io->mask, .left = INT64_MAX, .right = INT64_MAX};
    if (r->rows <= wf_int(l, "full_until")) {
        spec.dropout = r->attention_dropout;
        io->y = wf_project(r, l, "o", attend(r, l, io->x, &spec));
        return WEFT_OK;
    }
    if (inside % block != 0 || p.blocks < (p.ends ? 5 : 1))
        wf_tape_error(r->tape, WEFT_USAGE, "%s: bigbird: %lld rows are not %s or more whole blocks of %lld ('block')%s",
                      l->where, (long long)inside, p.ends ? "five" : "one", (long long)block,
                      extra > 0 ? " behind 'extra'" : "");
    else if (io->plan && (io->plan->dims[0] != heads || io->plan->dims[1] != planned(&p) || io->plan->dims[2] != random))
        wf_tape_error(r->tape, WEFT_USAGE, "%s: bigbird: the plan is not [heads, %lld, random]", l->where,
                      (long long)planned(&p));
    spec.pattern = wf_pattern(r, weights, next, &p, sizeof p);
    spec.pattern_data[MASK] = io->mask;
    spec.pattern_data[PLAN] = random > 0 ? io->plan : NULL;
    spec.pattern_keys = 2.0 * (double)extra + ((p.ends ? 5.0 : 3.0) + (double)random) * (double)block;
    io->y = wf_project(r, l, "o", attend(r, l, io->x, &spec));
    return WEFT_OK;
}

const wf_mixer wf_mixer_bigbird = {
    .name = "bigbird",
    .about = "softmax over neighbouring and random blocks and global rows",
    .source = "Zaheer et al. 2020, arXiv 2007.14062, section 2",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask? plan?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"block\": 16, \"random\": 3}",
    .flops = "2*heads*(key_dim + value_dim) * (T * min(T, extra + ((ends ? 5 : 3) + random)*block) + extra*T)",
    .bf16 = 0.009,
    .traits = WF_PADDING_INERT | WF_PADDING_COUNTS,
    .companion = "mlp",
    .check = wf_check_qkvo,
    .run = run};
