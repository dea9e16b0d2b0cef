/* routing.c - heads that attend inside clusters of similar rows, beside heads that attend near by. Roy et al. 2021 (arXiv
 * 2003.05997, section 4). Centroids are buffers; the choice of rows sees the whole sequence, so that there is no step form. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/chunk_pattern.h"
#include "parts/pattern.h"
#include "parts/rope.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads: the first local_heads of them local, the others routed"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key and of a value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i (the choice of rows sees all)"},
    {"clusters", WF_KEY_INT, NULL, 1, NULL, "centroids per routed head"},
    {"window", WF_KEY_INT, NULL, 1, NULL, "rows that a cluster takes"},
    {"shared_qk", WF_KEY_BOOL, "false", 0, NULL, "keys are normed queries; a row sees itself only when there is no other"},
    {"memory_slots", WF_KEY_INT, "0", 0, NULL, "learned keys and values of every cluster"},
    {"commitment", WF_KEY_FLOAT, "1e-4", 0, NULL, "weight of the loss that draws rows to their centroids"},
    {"centroid_decay", WF_KEY_FLOAT, "0.999", 0, NULL, "of the centroids in training, which follow their rows; 1 keeps them"},
    {"local_heads", WF_KEY_INT, "0", 0, NULL, "heads that see their own chunk and its neighbours, with rotary positions"},
    {"local_chunk", WF_KEY_INT, "window", 1, NULL, "rows of their chunks"},
    {"local_radius", WF_KEY_INT, "1", 0, NULL, "chunks before and, when not causal, after"},
    {NULL}};

#define ROUTED "local_heads < heads"
static const wf_slot slots[] = {
    {"q.weight", "[(heads - local_heads)*key_dim, dim]", "linear", ROUTED, NULL, false, NULL},
    {"k.weight", "[(heads - local_heads)*key_dim, dim]", "linear", ROUTED " && !shared_qk", NULL, false, NULL},
    {"v.weight", "[(heads - local_heads)*key_dim, dim]", "linear", ROUTED, NULL, false, NULL},
    {"o.weight", "[dim, heads*key_dim]", "linear_out", NULL, NULL, false, NULL},
    {"centroids", "[heads - local_heads, clusters, key_dim]", "normal:1.0", ROUTED, NULL, true, NULL},
    {"mem_k", "[heads - local_heads, clusters, memory_slots, key_dim]", "normal:0.1", ROUTED " && memory_slots > 0", NULL,
     false, NULL},
    {"mem_v", "[heads - local_heads, clusters, memory_slots, key_dim]", "normal:0.1", ROUTED " && memory_slots > 0", NULL,
     false, NULL},
    {"local.q.weight", "[local_heads*key_dim, dim]", "linear", "local_heads > 0", NULL, false, NULL},
    {"local.q.bias", "[local_heads*key_dim]", "zeros", "local_heads > 0", NULL, false, NULL},
    {"local.k.weight", "[local_heads*key_dim, dim]", "linear", "local_heads > 0", NULL, false, NULL},
    {"local.k.bias", "[local_heads*key_dim]", "zeros", "local_heads > 0", NULL, false, NULL},
    {"local.v.weight", "[local_heads*key_dim, dim]", "linear", "local_heads > 0", NULL, false, NULL},
    {"local.v.bias", "[local_heads*key_dim]", "zeros", "local_heads > 0", NULL, false, NULL},
    {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "local_heads") <= wf_int(l, "heads"), err, WEFT_USAGE, "'local_heads' are more than 'heads'");
    WF_CHECK(wf_float(l, "centroid_decay") <= 1.0, err, WEFT_USAGE, "'centroid_decay' is at most 1");
    WF_CHECK(wf_int(l, "local_heads") == 0 || wf_int(l, "key_dim") % 2 == 0, err, WEFT_USAGE,
             "'local_heads' need an even 'key_dim'");
    return WEFT_OK;
}

/* ---- local heads ---- */
static wf_tensor *turned(wf_run *r, const wf_layer *l, const char *which, wf_tensor *x, int64_t shift) {
    static const wf_json plain = {.kind = WF_JSON_OBJECT};
    wf_tensor *y = wf_split_heads(r, wf_project(r, l, which, x), wf_int(l, "local_heads"), wf_int(l, "key_dim"));
    wf_rotate_args args;
    weft_error err = {0};
    if (wf_rope_args(wf_tape_arena(r->tape), &plain, wf_int(l, "key_dim"), r->length, &args, &err) != WEFT_OK)
        return wf_tape_error(r->tape, err.status, "%s: %s", l->where, err.message);
    args.shift = shift;
    return wf_rotate(r->tape, y, &args);
}

static wf_tensor *local(wf_run *r, const wf_layer *l, const wf_ports *io) {
    const wf_chunk_pattern p = {.chunk = wf_int(l, "local_chunk"),
                                .before = wf_int(l, "local_radius"),
                                .after = wf_flag(l, "causal") ? 0 : wf_int(l, "local_radius"),
                                .causal = wf_flag(l, "causal")};
    wf_tensor *q = turned(r, l, "local.q", io->x, p.after * p.chunk), *k = turned(r, l, "local.k", io->x, 0);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "local.v", io->x), wf_int(l, "local_heads"), wf_int(l, "key_dim"));
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .key_mask = io->mask,
                              .dropout = r->attention_dropout,
                              .pattern = wf_pattern(r, wf_chunk_weights, wf_chunk_next, &p, sizeof p),
                              .pattern_keys = (double)((p.before + p.after + 1) * p.chunk)};
    return wf_merge_heads(r, wf_attention(r->tape, q, k, v, &spec));
}

/* ---- routed heads: entries are (cluster, place); keys are the memory slots of all clusters, then the entries ---- */
enum { Q_INDEX, K_INDEX, MASK };

typedef struct record {
    int64_t rows, take, clusters, slots; /* rows of the sequence; entries and memory slots of a cluster */
    bool causal, shared, lost;           /* lost: the pattern of the rows that see nothing, which see all entries alike */
} record;

static const record *record_of(const wf_pattern_rows *r) { return r->a->pattern->record; }
static int64_t row_at(const wf_pattern_rows *r, int index, int64_t e) {
    const record *p = record_of(r);
    return ((const int32_t *)r->a->pattern_data[index])[(r->b * r->a->heads + r->h) * p->clusters * p->take + e];
}

static bool real(const wf_pattern_rows *r, int64_t row) {
    const uint8_t *mask = r->a->pattern_data[MASK];
    return !mask || mask[r->b * record_of(r)->rows + row];
}

static float visible(const wf_pattern_rows *r, int64_t e, int64_t f) { /* entry f as a key of entry e, of the same cluster */
    const record *p = record_of(r);
    int64_t i = row_at(r, Q_INDEX, e), j = row_at(r, K_INDEX, f);
    if (p->shared && i == j)
        return -5e4f;
    return real(r, i) && real(r, j) && (!p->causal || j <= i) ? 0.0f : -INFINITY;
}

static bool lost(const wf_pattern_rows *r, int64_t e) {
    const record *p = record_of(r);
    int64_t first = e / p->take * p->take;
    for (int64_t f = first; f < first + p->take; f++)
        if (visible(r, e, f) != -INFINITY)
            return false;
    return true;
}

static float weight(const wf_pattern_rows *r, int64_t e, int64_t j) {
    const record *p = record_of(r);
    int64_t f = j - p->clusters * p->slots, cluster = f < 0 ? j / p->slots : f / p->take;
    if (cluster != e / p->take)
        return -INFINITY;
    if (p->lost)
        return lost(r, e) ? 0.0f : -INFINITY;
    return f < 0 ? 0.0f : visible(r, e, f);
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    const record *p = record_of(r);
    int64_t f = j - p->clusters * p->slots, cluster = f < 0 ? j / p->slots : f / p->take;
    return cluster >= r->row / p->take && cluster <= r->last / p->take ? WF_SEEN_SOME : WF_SEEN_NONE;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, weight, keys_, count, out);
}

static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = r->a->pattern->record;
    bool some = !p->lost;
    for (int64_t e = r->row; e <= r->last && !some; e++)
        some = lost(r, e);
    return some ? wf_pattern_walk(r, seen, 0, INT64_MAX, at, keys_, whole) : 0;
}

/* Memory slots [R,C,M,K] before the entries [B,C*W,R,K]. */
static wf_tensor *with_slots(wf_run *r, const wf_layer *l, const char *slot, wf_tensor *entries) {
    wf_tensor *w = wf_weight(r, l, slot);
    if (!w || !entries)
        return entries;
    w = wf_reshape(r->tape, w, 4, (int64_t[]){1, w->dims[0], w->dims[1] * w->dims[2], w->dims[3]});
    return wf_time_concat(
        r->tape, wf_cast(r->tape, wf_repeat_batch(r->tape, wf_swap_rows(r->tape, w), r->batch), entries->type), entries);
}

static wf_tensor *normed(wf_run *r, wf_tensor *x, int64_t width) {
    return wf_scale(r->tape, wf_rms_norm(r->tape, x, NULL, 0.0f, 1e-24f / (float)width), 1.0f / sqrtf((float)width));
}

typedef struct entries {
    wf_tensor *q, *k, *v, *q_index, *k_index;
} entries;

static wf_tensor *attend(wf_run *r, const wf_layer *l, const wf_ports *io, record *p, const entries *e) {
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .dropout = r->attention_dropout,
                              .pattern = wf_pattern(r, weights, next, p, sizeof *p),
                              .pattern_data = {e->q_index, e->k_index, io->mask},
                              .pattern_keys = (double)(p->take + p->slots)};
    wf_tensor *o = wf_attention(r->tape, e->q, e->k, e->v, &spec);
    if (p->slots > 0)
        return o; /* memory is always seen */
    p->lost = true;
    spec.scale = 0.0f;
    spec.pattern = wf_pattern(r, weights, next, p, sizeof *p);
    return wf_add(r->tape, o, wf_attention(r->tape, e->q, e->k, e->v, &spec));
}

/* Centroids follow the directions of their rows: mu = (1 - rate) mu + rate * normalize(sum). */
static void follow(wf_param *centroids, const wf_buffer_change *change) {
    int64_t width = centroids->dims[2];
    for (int64_t c = 0; c < centroids->count / width; c++) {
        const float *sum = change->from + c * (width + 1);
        double norm = 0.0;
        for (int64_t d = 0; d < width; d++)
            norm += (double)sum[d] * (double)sum[d];
        for (int64_t d = 0; d < width && sum[width] > 0.0f && norm > 0.0; d++)
            centroids->value[c * width + d] +=
                change->rate * ((float)((double)sum[d] / sqrt(norm)) - centroids->value[c * width + d]);
    }
}

static void commit(wf_run *r, const wf_layer *l, wf_ports *io, wf_tensor *u, wf_tensor *centroids) {
    wf_tensor *sums, *loss = r->want_losses ? wf_commitment(r->tape, u, centroids, &sums) : NULL;
    if (!loss)
        return;
    io->aux_loss = wf_scale(r->tape, loss, (float)wf_float(l, "commitment"));
    if (wf_float(l, "centroid_decay") < 1.0)
        wf_move_buffer(r, &(wf_buffer_update){wf_slot_param(l, "centroids"), sums, follow,
                                              (float)(1.0 - wf_float(l, "centroid_decay")), 1});
}

static wf_tensor *routed(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads") - wf_int(l, "local_heads"), width = wf_int(l, "key_dim"),
            take = wf_int(l, "window") < r->rows ? wf_int(l, "window") : r->rows;
    bool shared = wf_flag(l, "shared_qk");
    wf_tape *t = r->tape;
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "q", io->x), heads, width),
              *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, width), *unused;
    wf_tensor *centroids = wf_weight(r, l, "centroids"), *qn = normed(r, q, width),
              *k = shared ? qn : wf_split_heads(r, wf_project(r, l, "k", io->x), heads, width);
    wf_tensor *kn = shared ? qn : normed(r, k, width);
    wf_tensor *q_index = wf_cluster_select(t, qn, centroids, take, &io->members),
              *k_index = shared ? q_index : wf_cluster_select(t, kn, centroids, take, &unused);
    commit(r, l, io, shared ? qn : wf_time_concat(t, qn, kn), centroids);
    record p = {.rows = r->rows,
                .take = take,
                .clusters = wf_int(l, "clusters"),
                .slots = wf_int(l, "memory_slots"),
                .causal = wf_flag(l, "causal"),
                .shared = shared};
    k = with_slots(r, l, "mem_k", wf_take_rows(t, k, k_index));
    v = with_slots(r, l, "mem_v", wf_take_rows(t, v, k_index));
    wf_tensor *o = attend(r, l, io, &p, &(entries){wf_take_rows(t, q, q_index), k, v, q_index, k_index});
    return wf_merge_heads(r, wf_scatter_mean(t, o, q_index, r->rows, 1e-5f));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *y = wf_int(l, "local_heads") > 0 ? wf_cast(r->tape, local(r, l, io), WF_F32) : NULL;
    if (wf_int(l, "local_heads") < wf_int(l, "heads")) {
        wf_tensor *far = routed(r, l, io);
        y = y ? wf_join_channels(r->tape, y, far) : far;
    }
    io->y = wf_project(r, l, "o", y);
    return WEFT_OK;
}

const wf_mixer wf_mixer_routing = {.name = "routing",
                                   .about = "softmax inside clusters of similar rows",
                                   .source = "Roy et al. 2021, arXiv 2003.05997, section 4",
                                   .keys = keys,
                                   .slots = slots,
                                   .inputs = "x mask?",
                                   .outputs = "y aux_loss members?",
                                   .example = "{\"heads\": \"=dim // 32\", \"clusters\": \"=max(1, round(sqrt(context)))\", "
                                              "\"window\": \"=max(1, round(sqrt(context)))\", \"causal\": true}",
                                   .time = "T*clusters + clusters*window*window",
                                   .flops =
                                       "4*key_dim*((heads - local_heads)*(clusters*min(window, T)*(min(window, T) + "
                                       "memory_slots) + T*clusters) + local_heads*T*min(T, (2*local_radius + 1)*local_chunk))",
                                   .bf16 = 0.012,
                                   .traits = WF_PERMUTATION,
                                   .companion = "mlp",
                                   .check = check,
                                   .run = run};
