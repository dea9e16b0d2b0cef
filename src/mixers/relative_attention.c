/* relative_attention.c - attention whose scores compare queries with distances too, over rows that came before the sequence,
 * its own rows, and for streams of queries the rows of the main stream.
 *   sinusoids: z_ij = ((q_i + u).k_j + (q_i + v).Lin(r, R_(i-j)) + (q_i + s).e_[same segment?]) * scale
 *              (Dai et al. 2019, arXiv 1901.02860, section 3.3; Yang et al. 2019, arXiv 1906.08237, eq. 2 and section 2.5)
 *   buckets:   z_ij = q_i.k_j * scale + Lin(distance, x_i)[bucket of i - j] (Qi et al. 2020, arXiv 2001.04063, section 3.2)
 * Row n of a stream of queries sees what the main stream's mixer has seen as keys: with `own` rows up to its own less the
 * number of the stream, the first one, and itself, one further on; else the row that `map` gives it a place at. xl_attention.c
 * has the same first two terms of sinusoids and says in which it differs. */
#include "base/str.h"
#include "mixers/distance_rows.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a query, key or value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i and those before the sequence"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o distance"},
    {"positions", WF_KEY_STRING, "'sinusoids'", 0, "sinusoids|buckets",
     "distances as sines, then cosines, through a projection, or in logarithmic buckets"},
    {"clamp", WF_KEY_INT, "null", 1, NULL, "sinusoids: distances from it on are one"},
    {"mirrored", WF_KEY_BOOL, "false", 0, NULL, "sinusoids: the second half of the batch has all distances the other way"},
    {"segments", WF_KEY_BOOL, "false", 0, NULL,
     "sinusoids: scores tell keys of the same segment from others, where there are any"},
    {"buckets", WF_KEY_INT, "32", 2, NULL, "of distances, half of them single"},
    {"max_distance", WF_KEY_INT, "128", 2, NULL, "distances from it on are in the last bucket"},
    {"window", WF_KEY_ANY, "null", 0, NULL,
     "causal: the largest distance that is seen; 'past': as many as there are rows before the sequence"},
    {"self", WF_KEY_BOOL, "false", 0, NULL, "a row of the main stream sees itself even where it is padding or hidden"},
    {"own", WF_KEY_BOOL, "false", 0, NULL, "rows of streams of queries see themselves, beside rows of the main stream"},
    {"crossed", WF_KEY_BOOL, "false", 0, NULL,
     "buckets of streams of queries: numbers in the order of row, stream and head are read in that of stream, head and row "
     "(ProphetNet as published); while decoding each row has its own"},
    {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
    {NULL}};

#define WAVES "positions == 'sinusoids'"
static const wf_slot slots[] = {
    WF_QKVO_SLOTS_OF("heads", "key_dim"),
    {"r.weight", "[heads*key_dim, dim]", "linear", WAVES, NULL, false, NULL},
    {"content", "[heads, key_dim]", "zeros", WAVES, NULL, false, NULL},
    {"position", "[heads, key_dim]", "zeros", WAVES, NULL, false, NULL},
    {"segment", "[heads, key_dim]", "zeros", "segments", NULL, false, NULL},
    {"segments", "[2, heads, key_dim]", "normal:0.02", "segments", NULL, false, NULL},
    {"distance.weight", "[buckets*heads, dim]", "linear", "positions == 'buckets'", NULL, false, NULL},
    {"distance.bias", "[buckets*heads]", "zeros", "positions == 'buckets' && has(bias, 'distance')", NULL, false, NULL},
    {NULL}};

static const wf_state_slot states[] = {{"k", WF_STATE_APPEND, "[heads, key_dim]", NULL, NULL, 0},
                                       {"v", WF_STATE_APPEND, "[heads, key_dim]", NULL, NULL, 0},
                                       {NULL}};

static bool waves(const wf_layer *l) { return wf_is(l, "positions", "sinusoids"); }

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *window = wf_get(l, "window");
    bool past = window->type == WF_STRING && wf_streq(window->string, "past");
    WF_CHECK(window->type == WF_NULL || past || (window->type == WF_INT && window->integer >= 0), err, WEFT_USAGE,
             "'window' is null, a distance or 'past'");
    WF_CHECK(window->type == WF_NULL || wf_flag(l, "causal"), err, WEFT_USAGE, "'window' needs 'causal'");
    WF_CHECK(waves(l) || (wf_flag(l, "causal") && !wf_flag(l, "segments") && !wf_flag(l, "mirrored") && !wf_given(l, "clamp")),
             err, WEFT_USAGE, "'buckets' are of causal rows, without 'segments', 'mirrored' and 'clamp'");
    WF_CHECK(waves(l) || wf_int(l, "max_distance") > wf_int(l, "buckets") / 2, err, WEFT_USAGE,
             "'buckets' (%lld) do not fit a 'max_distance' of %lld", (long long)wf_int(l, "buckets"),
             (long long)wf_int(l, "max_distance"));
    WF_CHECK(wf_int(l, "dim") % 2 == 0 || !waves(l), err, WEFT_USAGE, "'sinusoids' need an even width");
    return wf_check_bias(l, (const char *const[]){"q", "k", "v", "o", "distance"}, 5, err);
}

/* ---- keys ---- */
typedef struct key_set { /* rows that are seen together */
    wf_tensor *k, *v, *mask, *segments;
    int64_t behind; /* how much earlier they came than their number says */
    bool own;       /* the sequence's own rows */
} key_set;

static wf_tensor *heads_of(wf_run *r, const wf_layer *l, const char *which, wf_tensor *x) {
    return wf_split_heads(r, wf_project(r, l, which, x), wf_int(l, "heads"), wf_int(l, "key_dim"));
}

/* One row that stands for `count` equal ones. */
static wf_tensor *repeated(wf_run *r, wf_tensor *x, int64_t count) {
    if (!x || x->dims[1] == count)
        return x;
    int64_t width = x->dims[2] * x->dims[3], dims[4] = {x->dims[0], count, x->dims[2], x->dims[3]};
    wf_tensor *y = wf_repeat_heads(r->tape, wf_reshape(r->tape, x, 4, (int64_t[]){x->dims[0], 1, 1, width}), count);
    return y ? wf_reshape(r->tape, y, 4, dims) : NULL;
}

static key_set past_keys(wf_run *r, const wf_layer *l, const wf_ports *io) {
    return (key_set){.k = repeated(r, heads_of(r, l, "k", io->past), io->past_rows),
                     .v = repeated(r, heads_of(r, l, "v", io->past), io->past_rows),
                     .behind = io->past_rows};
}

/* Those of the main stream: made here, or handed on to the streams of queries. */
static key_set own_keys(wf_run *r, const wf_layer *l, wf_ports *io) {
    if (!io->queries) {
        io->main_k = wf_state_append(r, l, "k", heads_of(r, l, "k", io->x));
        io->main_v = wf_state_append(r, l, "v", heads_of(r, l, "v", io->x));
    }
    return (key_set){.k = io->main_k, .v = io->main_v, .mask = io->mask, .segments = io->segments, .own = true};
}

/* ---- scores ---- */
typedef struct distances { /* what all sets of keys share */
    wf_tensor *table;      /* [count,H,K] of sinusoids; [buckets,buckets], a row for each */
    int32_t *index;
    int64_t count, zero;
} distances;

/* Distances -behind..ahead, as far as they differ. */
static distances wave_distances(wf_run *r, const wf_layer *l, int64_t behind, int64_t ahead) {
    int64_t clamp = wf_given(l, "clamp") ? wf_int(l, "clamp") : INT64_MAX;
    distances d = {.zero = behind < clamp ? behind : clamp};
    d.count = d.zero + 1 + (ahead < clamp ? ahead : clamp);
    d.index = wf_distance_numbers(r, d.count);
    wf_tensor *table = wf_distance_waves(r, -d.zero, 1, d.count, wf_int(l, "dim"), 10000.0);
    table = wf_project(r, l, "r", wf_dropout(r->tape, table, r->dropout));
    d.table = table ? wf_reshape(r->tape, table, 3, (int64_t[]){d.count, wf_int(l, "heads"), wf_int(l, "key_dim")}) : NULL;
    return d;
}

/* Distances 0..ahead in their buckets, which pick one of a row's numbers. */
static distances bucket_distances(wf_run *r, const wf_layer *l, int64_t ahead) {
    int64_t n = wf_int(l, "buckets");
    distances d = {.count = ahead + 1, .index = wf_distance_numbers(r, ahead + 1)};
    float *one = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)(n * n) * sizeof *one);
    if (!one || !d.index) {
        wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
        return d;
    }
    for (int64_t i = 0; i < n * n; i++)
        one[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
    for (int64_t i = 0; i < d.count; i++)
        d.index[i] = (int32_t)wf_distance_bucket(-i, n, wf_int(l, "max_distance"), false);
    d.table = wf_constant(r->tape, 2, (int64_t[]){n, n}, one);
    return d;
}

typedef struct asking { /* rows that ask, with all that they are compared with */
    wf_tensor *q;       /* [B,T,H,K], what meets the keys */
    wf_tensor *of;      /* [B,T,H,.], what meets the distances */
    wf_tensor *segment; /* what meets the segments; NULL: nothing */
    wf_tensor *pairs;   /* U8 [B,T,T] of the main stream */
    int64_t stream;     /* of queries with keys of their own: its number; -1: none */
    bool self;
    float scale; /* of the distances' scores */
} asking;

/* [B,T,buckets*heads] -> [B,T,heads,buckets] */
static wf_tensor *bucket_numbers(wf_run *r, const wf_layer *l, wf_tensor *x) {
    int64_t n = wf_int(l, "buckets"), heads = wf_int(l, "heads");
    wf_tensor *z = wf_project_f32(r, l, "distance", x);
    if (!z)
        return NULL;
    int64_t batch = z->dims[0], rows = z->dims[1];
    z = wf_swap_rows(r->tape, wf_reshape(r->tape, z, 4, (int64_t[]){batch * rows, n, heads, 1}));
    return z ? wf_reshape(r->tape, z, 4, (int64_t[]){batch, rows, heads, n}) : NULL;
}

static asking ask(wf_run *r, const wf_layer *l, const wf_ports *io, wf_tensor *x, wf_tensor *q) {
    asking a = {
        .q = wf_distance_query(r, l, q, "content"), .stream = -1, .self = wf_flag(l, "self") && !io->queries, .scale = 1.0f};
    a.of = waves(l) ? wf_distance_query(r, l, q, "position") : bucket_numbers(r, l, x);
    a.scale = waves(l) ? (float)wf_float(l, "scale") : 1.0f;
    a.segment = wf_flag(l, "segments") && io->segments ? wf_distance_query(r, l, q, "segment") : NULL;
    a.pairs = io->pairs;
    return a;
}

static int64_t window_of(const wf_layer *l, const wf_ports *io) {
    const wf_value *window = wf_get(l, "window");
    return window->type == WF_NULL ? INT64_MAX : window->type == WF_STRING ? io->past_rows : window->integer;
}

/* Are some keys hidden by what is added to their scores? */
static bool hides(const asking *a, const key_set *set) { return set->mask || (a->pairs && set->own) || a->stream > 0; }

/* What is added to the products of queries and keys: distances, segments, and what hides a key. */
static wf_tensor *bias_of(wf_run *r, const wf_layer *l, const wf_ports *io, const asking *a, const distances *d,
                          const key_set *set) {
    wf_relative_spec s = {.queries = a->of ? a->of->dims[1] : 0,
                          .keys = set->k ? set->k->dims[1] : 0,
                          .offset_from_start = wf_state_wanted(r),
                          .mirrored = wf_flag(l, "mirrored"),
                          .index = d->index,
                          .count = d->count,
                          .zero = d->zero,
                          .step = 1,
                          .behind = set->behind + (a->stream >= 0),
                          .scale = a->scale};
    wf_tensor *bias = wf_relative(r->tape, a->of, d->table, &s);
    if (a->segment)
        bias = wf_add(r->tape, bias,
                      wf_segment_scores(r->tape, a->segment, wf_weight(r, l, "segments"),
                                        (wf_tensor *[]){io->segments, set->segments}, s.keys, (float)wf_float(l, "scale")));
    wf_hide_spec hide = {.causal = wf_flag(l, "causal") && set->own,
                         .offset_from_start = wf_state_wanted(r),
                         .self = a->self && set->own,
                         .first = a->stream >= 0,
                         .behind = a->stream > 0 ? a->stream : 0,
                         .left = window_of(l, io)};
    if (hide.left < INT64_MAX)
        hide.left -= set->behind;
    return hides(a, set) ? wf_hide_pairs(r->tape, bias, set->mask, set->own ? a->pairs : NULL, &hide) : bias;
}

static wf_partial attend(wf_run *r, const wf_layer *l, const wf_ports *io, const asking *a, const distances *d,
                         const key_set *set) {
    int64_t left = window_of(l, io);
    bool soft = hides(a, set);
    wf_attention_spec s = {.scale = (float)wf_float(l, "scale"),
                           .causal = wf_flag(l, "causal") && set->own && !soft,
                           .left = soft || left == INT64_MAX ? INT64_MAX : left - set->behind,
                           .right = INT64_MAX,
                           .cached = set->own && r->mode == WF_STATE_IN_PLACE,
                           .offset_from_start = wf_state_wanted(r),
                           .bias = bias_of(r, l, io, a, d, set)};
    return wf_attend_part(r, a->q, set->k, set->v, &s);
}

/* A row and its own key alone: the score is the logarithm of the sum. */
static wf_partial attend_own(wf_run *r, const wf_layer *l, const asking *a, wf_tensor *x) {
    wf_tensor *k = heads_of(r, l, "k", x), *v = heads_of(r, l, "v", x);
    int64_t near = 0;
    if (!k || !a->q || !a->of)
        return (wf_partial){NULL, NULL};
    wf_tensor *z = wf_scale(r->tape, wf_row_dot(r->tape, a->q, k), (float)wf_float(l, "scale"));
    wf_tensor *b = wf_slice_channels(r->tape, a->of, near, 1);
    int64_t dims[4] = {k->dims[0], k->dims[1], k->dims[2], 1};
    z = z && b ? wf_add(r->tape, wf_reshape(r->tape, z, 4, dims), wf_reshape(r->tape, b, 4, dims)) : NULL;
    return (wf_partial){wf_cast(r->tape, v, WF_F32), wf_swap_rows(r->tape, z)};
}

typedef struct reading {
    key_set own, past;
    distances d;
} reading;

static wf_tensor *read_all(wf_run *r, const wf_layer *l, const wf_ports *io, const asking *a, const reading *all,
                           wf_tensor *x) {
    wf_partial p = attend(r, l, io, a, &all->d, &all->own);
    if (all->past.k) {
        wf_partial before = attend(r, l, io, a, &all->d, &all->past);
        if (a->stream < 0)
            return wf_join_parts(r, &before, &p);
        p.o = wf_join_parts(r, &before, &p);
    }
    wf_partial own = a->stream >= 0 ? attend_own(r, l, a, x) : p;
    p.o = a->stream >= 0 ? wf_cast(r->tape, p.o, WF_F32) : p.o;
    return a->stream >= 0 ? wf_join_parts(r, &p, &own) : p.o;
}

/* The numbers of all streams [B,n*T,heads,buckets], read in another order than they were made in. */
static wf_tensor *crossed(wf_run *r, const wf_layer *l, const wf_ports *io, int64_t rows) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "buckets"), n = io->queries;
    wf_tensor *z = bucket_numbers(r, l, io->x);
    if (!z)
        return NULL;
    int64_t batch = z->dims[0];
    z = wf_swap_rows(r->tape, wf_reshape(r->tape, z, 4, (int64_t[]){batch, n, rows, heads * width}));
    z = z ? wf_swap_rows(r->tape, wf_reshape(r->tape, z, 4, (int64_t[]){batch * n, heads, rows, width})) : NULL;
    return z ? wf_reshape(r->tape, z, 4, (int64_t[]){batch, n * rows, heads, width}) : NULL;
}

/* Stream n of `rows` rows each; numbers NULL: its own. */
static wf_tensor *one_stream(wf_run *r, const wf_layer *l, const wf_ports *io, const reading *all, wf_tensor *numbers,
                             int64_t n) {
    int64_t rows = io->x->dims[1] / io->queries;
    wf_tensor *x = wf_time_slice(r->tape, io->x, n * rows, rows);
    asking a = ask(r, l, io, x, heads_of(r, l, "q", x));
    a.of = numbers ? wf_time_slice(r->tape, numbers, n * rows, rows) : a.of;
    a.stream = n;
    return read_all(r, l, io, &a, all, x);
}

static wf_tensor *all_streams(wf_run *r, const wf_layer *l, const wf_ports *io, const reading *all) {
    wf_tensor *y = NULL, *numbers = NULL;
    if (wf_flag(l, "crossed") && r->mode == WF_NO_STATE && io->x)
        numbers = crossed(r, l, io, io->x->dims[1] / io->queries);
    for (int64_t n = 0; n < io->queries && io->x; n++) {
        wf_tensor *one = one_stream(r, l, io, all, numbers, n);
        y = n ? wf_time_concat(r->tape, y, one) : one;
    }
    return y;
}

/* Queries take the places that the map gives them, and what is found there comes back. */
static wf_tensor *mapped(wf_run *r, const wf_layer *l, const wf_ports *io, const reading *all) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tensor *q = wf_project(r, l, "q", io->x);
    if (io->map)
        q = wf_map_rows(r->tape, q, io->map, true);
    asking a = ask(r, l, io, NULL, wf_split_heads(r, q, heads, width));
    wf_tensor *o = read_all(r, l, io, &a, all, NULL);
    return io->map && o ? wf_split_heads(r, wf_map_rows(r->tape, wf_merge_heads(r, o), io->map, false), heads, width) : o;
}

static wf_tensor *main_stream(wf_run *r, const wf_layer *l, const wf_ports *io, const reading *all) {
    asking a = ask(r, l, io, io->x, heads_of(r, l, "q", io->x));
    return read_all(r, l, io, &a, all, io->x);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    reading all = {.own = own_keys(r, l, io)};
    if (io->past)
        all.past = past_keys(r, l, io);
    if (!all.own.k)
        return WEFT_OK; /* the tape says why */
    int64_t ahead = all.own.k->dims[1] + io->past_rows, behind = wf_flag(l, "causal") ? 0 : all.own.k->dims[1] - 1;
    if (wf_flag(l, "mirrored") && r->batch % 2)
        wf_tape_error(r->tape, WEFT_USAGE, "%s: 'mirrored' needs an even number of sequences", l->where);
    if (wf_flag(l, "mirrored"))
        behind = ahead;
    all.d = waves(l) ? wave_distances(r, l, behind, ahead) : bucket_distances(r, l, ahead);
    wf_tensor *o = !io->queries        ? main_stream(r, l, io, &all)
                   : wf_flag(l, "own") ? all_streams(r, l, io, &all)
                                       : mapped(r, l, io, &all);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

/* Distances tell padding before a row from none only by their number. */
const wf_mixer wf_mixer_relative_attention = {
    .name = "relative_attention",
    .about = "softmax((q + u) k^T + (q + v) r^T) v, r of the distance; causal or not, with a state, over rows before the "
             "sequence too and for streams of queries; xl_attention is for pooled rows and kinds",
    .source =
        "Dai et al. 2019, arXiv 1901.02860, section 3.3; Yang et al. 2019, arXiv 1906.08237; Qi et al. 2020, arXiv 2001.04063",
    .keys = keys,
    .slots = slots,
    .no_decay = "content|position|segment",
    .states = states,
    .inputs = "x past? queries? map? pairs? mask? segments?",
    .outputs = "y",
    .time = "T*T",
    .space = "T*T",
    .flops = "(causal ? 4 : 6)*heads*key_dim*T*T",
    .bf16 = 0.012,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
    .apart = "crossed",
    .companion = "mlp",
    .check = check,
    .run = run};
