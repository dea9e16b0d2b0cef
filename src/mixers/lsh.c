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
    {"seed", WF_KEY_INT, "null", 0, NULL, "the rotations are the normal numbers of torch for it; null: the model's own"},
    {NULL}};

#define HAS(name) "bias != true && bias != false && has(bias, '" name "')"
static const wf_slot slots[] = {
    {"qk.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"qk.bias", "[heads*key_dim]", "zeros", HAS("qk"), NULL, false, NULL},
    {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"v.bias", "[heads*value_dim]", "zeros", HAS("v"), NULL, false, NULL},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "bias == true || (" HAS("o") ")", NULL, false, NULL},
    {"rotations", "[shared_rotations ? 1 : heads, key_dim, rounds, sum(buckets) // 2]", "seeded", NULL, NULL, true, NULL},
    {NULL}};

enum { ORDER, BUCKETS, PLACE };

typedef struct record {
    int64_t chunk, before, after, rows, rounds, chunks; /* rows: of the sequence; chunks: of all entries */
    bool causal, duplicates, across;
} record;

static int64_t first_of_head(const wf_pattern_rows *r) { return (r->b * r->a->heads + r->h) * r->a->t; }

static int64_t row_of(const wf_pattern_rows *r, int64_t e) {
    const int32_t *order = r->a->pattern_data[ORDER];
    return order ? order[first_of_head(r) + e] : e;
}

/* The bucket of a row in a round: 0 unless buckets keep apart. */
static int32_t bucket_of(const wf_pattern_rows *r, int64_t round, int64_t row) {
    const record *p = r->a->pattern->record;
    const int64_t *buckets = r->a->pattern_data[BUCKETS];
    return buckets ? (int32_t)buckets[first_of_head(r) + round * p->rows + row] : 0;
}

/* How often a chunk meets another: the offsets -before..after that lead from one to the other on the ring. */
static int64_t meetings_of_chunks(const record *p, int64_t asking, int64_t other) {
    int64_t d = other - asking, lowest = -p->before + ((d + p->before) % p->chunks + p->chunks) % p->chunks;
    return lowest > p->after ? 0 : (p->after - lowest) / p->chunks + 1;
}

/* What the asking entries of a block are: found once for all keys, for whole vectors. */
typedef struct asking {
    int32_t row[WF_ATTENTION_ROWS], round[WF_ATTENTION_ROWS], bucket[WF_ATTENTION_ROWS], chunk[WF_ATTENTION_ROWS];
    int32_t count[WF_ATTENTION_ROWS]; /* how often they meet the chunk of the key, and what that adds to a score */
    float weight[WF_ATTENTION_ROWS];
} asking;

static void describe(const wf_pattern_rows *r, asking *a) {
    const record *p = r->a->pattern->record;
    for (int64_t n = 0; n < WF_ATTENTION_ROWS; n++) {
        int64_t e = r->row + n < r->last ? r->row + n : r->last;
        a->row[n] = (int32_t)row_of(r, e);
        a->chunk[n] = (int32_t)(e / p->chunk);
        a->round[n] = p->across ? 0 : (int32_t)(e / p->rows);
        a->bucket[n] = p->across ? 0 : bucket_of(r, e / p->rows, a->row[n]);
    }
}

/* Neighbouring keys share a chunk. */
static void meet_chunk(const record *p, int64_t chunk, asking *a) {
    for (int64_t n = 0; n < WF_ATTENTION_ROWS; n++) {
        a->count[n] = (int32_t)meetings_of_chunks(p, a->chunk[n], chunk);
        a->weight[n] = a->count[n] == 0 ? -INFINITY : a->count[n] == 1 ? 0.0f : (float)log((double)a->count[n]);
    }
}

/* The weights of a key, row j; rows in other buckets are left out where buckets keep apart. */
static void weights_of_key(const record *p, const asking *a, int32_t j, int32_t round, int32_t bucket, float *out) {
    for (int n = 0; n < WF_ATTENTION_ROWS; n++)
        out[n] = a->row[n] != j ? a->weight[n] : -INFINITY;
    for (int n = 0; p->causal && n < WF_ATTENTION_ROWS; n++)
        out[n] = a->row[n] >= j ? out[n] : -INFINITY;
    for (int n = 0; !p->across && n < WF_ATTENTION_ROWS; n++)
        out[n] = ((a->round[n] == round) & (a->bucket[n] == bucket)) != 0 ? out[n] : -INFINITY;
}

/* ---- rows that meet in several rounds, counted once ---- */
/* count[n] += 1 where chunk `other` is in the window of chunk[n] and the bucket is `bucket`. */
static void add_meetings(const record *p, const int32_t *chunk, const int32_t *buckets, int32_t other, int32_t bucket,
                         int32_t *count) {
    const int32_t ring = (int32_t)p->chunks, window = (int32_t)(p->before + p->after), shift = other + (int32_t)p->before;
    for (int n = 0; n < WF_ATTENTION_ROWS; n++) {
        int32_t d = shift - chunk[n]; /* -ring < d < 2 ring, for the window goes around the ring once at most */
        d += d < 0 ? ring : 0;
        d -= d >= ring ? ring : 0;
        count[n] += (d <= window) & (buckets[n] == bucket);
    }
}

static void add_many_meetings(const record *p, const int32_t *chunk, const int32_t *buckets, int32_t other, int32_t bucket,
                              int32_t *count) {
    for (int n = 0; n < WF_ATTENTION_ROWS; n++)
        count[n] += buckets[n] == bucket ? (int32_t)meetings_of_chunks(p, chunk[n], other) : 0;
}

/* counts[k][n] += how often row n in round x meets row js[k] in all rounds (in its own, where buckets keep apart). */
static void add_round(const wf_pattern_rows *r, const asking *a, int64_t x, const int32_t *js, int keys_,
                      int32_t (*counts)[WF_ATTENTION_ROWS]) {
    const record *p = r->a->pattern->record;
    const int32_t *place = (const int32_t *)r->a->pattern_data[PLACE] + first_of_head(r);
    int32_t chunk[WF_ATTENTION_ROWS], buckets[WF_ATTENTION_ROWS];
    for (int n = 0; n < WF_ATTENTION_ROWS; n++) {
        chunk[n] = (int32_t)(place[x * p->rows + a->row[n]] / p->chunk);
        buckets[n] = bucket_of(r, x, a->row[n]);
    }
    for (int k = 0; k < keys_; k++)
        for (int64_t y = p->across ? 0 : x; y < (p->across ? p->rounds : x + 1); y++) {
            int32_t other = (int32_t)(place[y * p->rows + js[k]] / p->chunk);
            (p->before + p->after < p->chunks ? add_meetings : add_many_meetings)(p, chunk, buckets, other,
                                                                                  bucket_of(r, y, js[k]), counts[k]);
        }
}

/* A key met `count` of all times weighs that share of one: over all rounds it counts once. */
static void share_weights(const wf_pattern_rows *r, asking *a, const int64_t *keys_, const int32_t *js, int n_keys,
                          float *out) {
    const record *p = r->a->pattern->record;
    int32_t counts[WF_ATTENTION_KEYS][WF_ATTENTION_ROWS] = {{0}};
    for (int64_t x = 0; x < p->rounds; x++)
        add_round(r, a, x, js, n_keys, counts);
    for (int k = 0; k < n_keys; k++) {
        if (k == 0 || keys_[k] / p->chunk != keys_[k - 1] / p->chunk)
            meet_chunk(p, keys_[k] / p->chunk, a);
        for (int64_t n = 0; n <= r->last - r->row; n++) {
            float *w = out + k * WF_ATTENTION_ROWS + n;
            if (*w != -INFINITY)
                *w = counts[k][n] == a->count[n] ? 0.0f : (float)log((double)a->count[n] / (double)counts[k][n]);
        }
    }
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    const record *p = r->a->pattern->record;
    int32_t js[WF_ATTENTION_KEYS];
    asking a;
    describe(r, &a);
    for (int k = 0; k < count; k++) {
        const int64_t f = keys_[k], round = f / p->rows;
        js[k] = (int32_t)row_of(r, f);
        if (k == 0 || f / p->chunk != keys_[k - 1] / p->chunk)
            meet_chunk(p, f / p->chunk, &a);
        weights_of_key(p, &a, js[k], p->across ? 0 : (int32_t)round, p->across ? 0 : bucket_of(r, round, js[k]),
                       out + k * WF_ATTENTION_ROWS);
    }
    if (!p->duplicates && r->a->pattern_data[PLACE])
        share_weights(r, &a, keys_, js, count, out);
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
    *whole = p->across && p->duplicates && r->row / p->chunk == r->last / p->chunk && length <= p->chunks; /* all met once */
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
    static const char *const sizes[] = {"chunk", "before", "after"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        WF_CHECK(wf_int(l, sizes[i]) <= 1 << 24, err, WEFT_USAGE, "'%s' is more than %d", sizes[i], 1 << 24);
    return check_buckets(wf_get(l, "buckets"), err);
}

/* ---- the layer ---- */
static wf_tensor *normed_keys(wf_run *r, const wf_layer *l, wf_tensor *q) {
    float width = (float)wf_int(l, "key_dim"), eps = wf_is(l, "key_norm", "rms") ? 1e-6f : 1e-24f / width;
    return wf_scale(r->tape, wf_rms_norm(r->tape, q, NULL, 0.0f, eps), 1.0f / sqrtf(width));
}

static record record_of(const wf_run *r, const wf_layer *l, bool hashed) {
    record p = {.chunk = wf_int(l, "chunk"),
                .before = wf_int(l, "before"),
                .after = wf_int(l, "after"),
                .rows = r->rows,
                .rounds = hashed ? wf_int(l, "rounds") : 1,
                .causal = wf_flag(l, "causal"),
                .duplicates = wf_flag(l, "duplicates"),
                .across = wf_flag(l, "across_buckets")};
    if (!hashed) { /* one chunk, met once */
        p.chunk = r->rows;
        p.before = p.after = 0;
    }
    p.chunks = (p.rounds * p.rows + p.chunk - 1) / p.chunk;
    return p;
}

/* Rows that see no other see themselves. */
static wf_tensor *attend(wf_run *r, const wf_layer *l, wf_ports *io, wf_tensor *q, wf_tensor *v, const wf_lsh_order *order) {
    const record p = record_of(r, l, order->order != NULL);
    const wf_attention_pattern pattern = {.weights = weights, .next = next, .record = &p, .causal = p.causal, .others = true};
    wf_tensor *lse = NULL;
    wf_attention_spec spec = {
        .scale = (float)wf_float(l, "scale"),
        .dropout = r->attention_dropout,
        .key_mask = io->mask,
        .pattern = wf_pattern_of(r, &pattern, sizeof p),
        .lse = &lse,
        .entries = order->order,
        .places = order->place,
        .pattern_data = {order->order, p.across ? NULL : order->buckets, p.duplicates ? NULL : order->place},
        .pattern_keys = (double)((p.before + p.after + 1) * p.chunk)};
    wf_tensor *o = wf_attention(r->tape, q, normed_keys(r, l, q), v, &spec);
    return wf_merge_partials(r->tape, o, lse, NULL, v, 1);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), factors[WF_LSH_FACTORS], n_factors = factors_of(l, factors), chunk = wf_int(l, "chunk");
    bool hashed = wf_flag(l, "always_hash") || r->rows > chunk;
    if (r->rows > chunk && r->rows % chunk != 0)
        wf_tape_error(r->tape, WEFT_USAGE, "%s: lsh: %lld rows are not a multiple of 'chunk' (%lld)", l->where,
                      (long long)r->rows, (long long)chunk);
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "qk", io->x), heads, wf_int(l, "key_dim"));
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, wf_int(l, "value_dim"));
    wf_lsh_order order = {NULL, NULL, NULL};
    if (hashed)
        io->buckets = (order = wf_lsh_sort(r->tape, q, wf_weight(r, l, "rotations"), io->mask, factors, n_factors)).buckets;
    io->y = wf_project(r, l, "o", wf_merge_heads(r, attend(r, l, io, q, v, &order)));
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
    .traits = WF_PADDING_INERT | WF_PADDING_COUNTS,
    .companion = "mlp",
    .check = check,
    .run = run};
