/* lsh.c - Reformer attention: rows meet the rows that hash near them, in several rounds, under one softmax. Kitaev et al. 2020
 * (arXiv 2001.04451, section 2). Queries are keys; entries (round, row) are sorted by bucket and cut into chunks. */
#include <math.h>
#include "base/str.h"
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows before it (the hashing sees all)"},
    {"bias", WF_KEY_ANY, "[]", 0, NULL, "projections with a bias, of qk v o; true is o"},
    {"rounds", WF_KEY_INT, "1", 1, NULL, "hashes"},
    {"buckets", WF_KEY_ANY, NULL, 0, NULL, "of a hash: an even number, or a list of even factors"},
    {"chunk", WF_KEY_INT, NULL, 1, NULL, "entries of a chunk; the length is a multiple, or shorter"},
    {"before", WF_KEY_INT, "1", 0, NULL, "chunks seen before an entry's own"},
    {"after", WF_KEY_INT, "0", 0, NULL, "chunks seen after it"},
    {"key_norm", WF_KEY_STRING, "'rms'", 0, "rms|l2", "keys are queries of mean square 1/key_dim, or of length 1"},
    {"scale", WF_KEY_FLOAT, "1.0", 0, NULL, "of the scores"},
    {"duplicates", WF_KEY_BOOL, "true", 0, NULL, "a row met in several rounds counts as often"},
    {"across_buckets", WF_KEY_BOOL, "true", 0, NULL, "other buckets and rounds of a chunk are seen too"},
    {"always_hash", WF_KEY_BOOL, "false", 0, NULL, "also when the rows fit one chunk"},
    {"shared_rotations", WF_KEY_BOOL, "false", 0, NULL, "all heads hash alike"},
    {NULL}};

#define HAS(name) "bias != true && bias != false && has(bias, '" name "')"
static const wf_slot slots[] = {
    {"qk.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"qk.bias", "[heads*key_dim]", "zeros", HAS("qk"), NULL, false, NULL},
    {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"v.bias", "[heads*value_dim]", "zeros", HAS("v"), NULL, false, NULL},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "bias == true || (" HAS("o") ")", NULL, false, NULL},
    {"rotations", "[shared_rotations ? 1 : heads, key_dim, rounds, sum(buckets) // 2]", "normal:1.0", NULL, NULL, true, NULL},
    {NULL}};

enum { ORDER, BUCKETS, PLACE, MASK };

typedef struct record {
    int64_t chunk, before, after, rows, rounds, chunks; /* rows: of the sequence; chunks: of all entries */
    bool causal, duplicates, across;
} record;

static int64_t row_of(const wf_pattern_rows *r, int64_t e) {
    const int32_t *order = r->a->pattern_data[ORDER];
    return order ? order[(r->b * r->a->heads + r->h) * r->a->s + e] : e;
}

static int64_t bucket_of(const wf_pattern_rows *r, int64_t e) {
    const record *p = r->a->pattern->record;
    const int64_t *buckets = r->a->pattern_data[BUCKETS];
    return buckets ? buckets[(r->b * r->a->heads + r->h) * r->a->s + e / p->rows * p->rows + row_of(r, e)] : 0;
}

/* How often a chunk meets another: the offsets -before..after that lead from one to the other on the ring. */
static int64_t meetings_of_chunks(const record *p, int64_t asking, int64_t other) {
    int64_t d = other - asking, lowest = -p->before + ((d + p->before) % p->chunks + p->chunks) % p->chunks;
    return lowest > p->after ? 0 : (p->after - lowest) / p->chunks + 1;
}

/* The same of entries e (asking) and f. */
static int64_t meetings(const wf_pattern_rows *r, int64_t e, int64_t f) {
    const record *p = r->a->pattern->record;
    if (!p->across && (e / p->rows != f / p->rows || bucket_of(r, e) != bucket_of(r, f)))
        return 0;
    return meetings_of_chunks(p, e / p->chunk, f / p->chunk);
}

/* How often rows i and j meet over all rounds. */
static int64_t all_meetings(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = r->a->pattern->record;
    const int32_t *place = r->a->pattern_data[PLACE];
    int64_t count = 0, base = (r->b * r->a->heads + r->h) * r->a->s;
    for (int64_t x = 0; place && x < p->rounds; x++)
        for (int64_t y = 0; y < p->rounds; y++)
            count += meetings(r, place[base + x * p->rows + i], place[base + y * p->rows + j]);
    return place ? count : 1;
}

static float weight_of(const wf_pattern_rows *r, int64_t count, int64_t i, int64_t j) {
    const record *p = r->a->pattern->record;
    double times = p->duplicates ? (double)count : (double)count / (double)all_meetings(r, i, j);
    return times == 1.0 ? 0.0f : (float)log(times);
}

/* What the asking entries of a block are: found once for all keys. */
typedef struct asking {
    int64_t row[WF_ATTENTION_ROWS], chunk[WF_ATTENTION_ROWS], round[WF_ATTENTION_ROWS], bucket[WF_ATTENTION_ROWS];
} asking;

static void describe(const wf_pattern_rows *r, asking *a) {
    const record *p = r->a->pattern->record;
    for (int64_t e = r->row, n = 0; e <= r->last; e++, n++) {
        a->row[n] = row_of(r, e);
        a->chunk[n] = e / p->chunk;
        a->round[n] = e / p->rows;
        a->bucket[n] = bucket_of(r, e);
    }
}

/* The weights of one key. Neighbouring entries share a chunk: its meetings are counted when it changes. */
static void weights_of_key(const wf_pattern_rows *r, const asking *a, int64_t f, float *out) {
    const record *p = r->a->pattern->record;
    const uint8_t *mask = r->a->pattern_data[MASK];
    int64_t j = row_of(r, f), chunk = -1, count = 0, round = f / p->rows, bucket = p->across ? 0 : bucket_of(r, f);
    bool hidden = mask && !mask[r->b * p->rows + j];
    for (int64_t n = 0; n <= r->last - r->row; n++) {
        if (a->chunk[n] != chunk)
            count = meetings_of_chunks(p, chunk = a->chunk[n], f / p->chunk);
        bool apart = !p->across && (a->round[n] != round || a->bucket[n] != bucket);
        bool unseen = hidden || count == 0 || apart || a->row[n] == j || (p->causal && j > a->row[n]);
        out[n] = unseen ? -INFINITY : count == 1 && p->duplicates ? 0.0f : weight_of(r, count, a->row[n], j);
    }
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    asking a;
    describe(r, &a);
    for (int k = 0; k < count; k++)
        weights_of_key(r, &a, keys_[k], out + k * WF_ATTENTION_ROWS);
}

/* The chunks that a block of rows sees are an arc of the ring: one range of entries, or a first and a last one. */
static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    int64_t first = r->row / p->chunk - p->before, length = r->last / p->chunk - r->row / p->chunk + p->before + p->after + 1;
    int64_t start = (first % p->chunks + p->chunks) % p->chunks, most = wf_attention_keys(r->a, r->b);
    int64_t wrapped = start + length - p->chunks; /* chunks 0..wrapped-1 belong to it too */
    if (length >= p->chunks)
        start = 0, wrapped = 0;
    int64_t end = (start + length) * p->chunk < most ? (start + length) * p->chunk : most;
    int count = 0;
    *whole = false;
    for (; count < WF_ATTENTION_KEYS; (*at)++) {
        if (*at >= wrapped * p->chunk && *at < start * p->chunk)
            *at = start * p->chunk;
        if (*at >= end)
            break;
        keys_[count++] = *at;
    }
    return count;
}

/* ---- options ---- */
static int64_t factors_of(const wf_layer *l, int64_t *factors) {
    const wf_value *v = wf_get(l, "buckets");
    factors[0] = v->integer;
    for (size_t i = 0; v->type == WF_LIST && i < v->count && i < WF_LSH_FACTORS; i++)
        factors[i] = v->items[i].integer;
    return v->type == WF_LIST ? (int64_t)v->count : 1;
}

static weft_status check_buckets(const wf_value *v, weft_error *err) {
    const wf_value *items = v->type == WF_LIST ? v->items : v;
    size_t count = v->type == WF_LIST ? v->count : 1;
    int64_t product = 1;
    WF_CHECK(count >= 1 && count <= WF_LSH_FACTORS, err, WEFT_USAGE, "'buckets' must be an even number or a list of 1 to %d",
             WF_LSH_FACTORS);
    for (size_t i = 0; i < count; i++) {
        WF_CHECK(items[i].type == WF_INT && items[i].integer >= 2 && items[i].integer % 2 == 0, err, WEFT_USAGE,
                 "'buckets' must be even numbers from 2");
        product = product > (1 << 20) / items[i].integer ? 1 << 21 : product * items[i].integer;
    }
    WF_CHECK(product <= 1 << 20, err, WEFT_USAGE, "'buckets' are more than %d", 1 << 20);
    return WEFT_OK;
}

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *bias = wf_get(l, "bias");
    WF_CHECK(bias->type == WF_BOOL || bias->type == WF_LIST, err, WEFT_USAGE, "'bias' must be a list, true or false");
    if (bias->type == WF_LIST)
        WF_TRY(wf_check_bias(l, (const char *const[]){"qk", "v", "o"}, 3, err));
    return check_buckets(wf_get(l, "buckets"), err);
}

/* ---- the layer ---- */
static wf_tensor *normed_keys(wf_run *r, const wf_layer *l, wf_tensor *q) {
    float width = (float)wf_int(l, "key_dim"), eps = wf_is(l, "key_norm", "rms") ? 1e-6f : 1e-24f / width;
    return wf_scale(r->tape, wf_rms_norm(r->tape, q, NULL, 0.0f, eps), 1.0f / sqrtf(width));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), factors[WF_LSH_FACTORS], n_factors = factors_of(l, factors), chunk = wf_int(l, "chunk");
    bool hashed = wf_flag(l, "always_hash") || r->rows > chunk;
    wf_tape *t = r->tape;
    if (r->rows > chunk && r->rows % chunk != 0)
        wf_tape_error(t, WEFT_USAGE, "%s: lsh: %lld rows are not a multiple of 'chunk' (%lld)", l->where, (long long)r->rows,
                      (long long)chunk);
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "qk", io->x), heads, wf_int(l, "key_dim")), *k = normed_keys(r, l, q);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, wf_int(l, "value_dim")), *own = v, *lse = NULL;
    wf_lsh_order order = {NULL, NULL, NULL};
    record p = {.chunk = chunk,
                .before = wf_int(l, "before"),
                .after = wf_int(l, "after"),
                .rows = r->rows,
                .rounds = hashed ? wf_int(l, "rounds") : 1,
                .causal = wf_flag(l, "causal"),
                .duplicates = wf_flag(l, "duplicates"),
                .across = wf_flag(l, "across_buckets")};
    if (hashed) {
        io->buckets = (order = wf_lsh_sort(t, q, wf_weight(r, l, "rotations"), io->mask, factors, n_factors)).buckets;
        q = wf_take_rows(t, q, order.order);
        k = wf_take_rows(t, k, order.order);
        v = wf_take_rows(t, v, order.order);
    } else { /* one chunk, met once */
        p.chunk = r->rows;
        p.before = p.after = 0;
    }
    p.chunks = (p.rounds * p.rows + p.chunk - 1) / p.chunk;
    wf_attention_spec spec = {.scale = (float)wf_float(l, "scale"),
                              .dropout = r->attention_dropout,
                              .pattern = wf_pattern(r, weights, next, &p, sizeof p),
                              .lse = &lse,
                              .pattern_data = {order.order, p.across ? NULL : order.buckets, order.place, io->mask},
                              .pattern_keys = (double)((p.before + p.after + 1) * p.chunk)};
    wf_tensor *o = wf_attention(t, q, k, v, &spec);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_merge_partials(t, o, lse, order.place, own, p.rounds)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_lsh = {
    .name = "lsh",
    .about = "softmax over rows that hash alike, in several rounds",
    .source = "Kitaev et al. 2020, arXiv 2001.04451, section 2",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask?",
    .outputs = "y buckets?",
    .example = "{\"heads\": \"=dim // 32\", \"buckets\": 16, \"chunk\": 64, \"rounds\": 2, \"causal\": true}",
    .flops = "heads*rounds*T*(2*(before + after + 1)*chunk*(key_dim + value_dim) + key_dim*sum(buckets))",
    .bf16 = 0.5,
    .traits = WF_PADDING_INERT,
    .companion = "mlp",
    .check = check,
    .run = run};
