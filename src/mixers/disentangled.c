/* disentangled.c - attention whose scores also compare content with distances: (q.k + q.pk[d] + k.pq[d]) * scale, pk and pq the
 * projections of one table of vectors for distances d = i - j, cut off or in logarithmic buckets (He et al. 2020, arXiv
 * 2006.03654, eq. 4; 2021, arXiv 2111.09543). Blocks usually borrow the table of the first. */
#include <math.h>
#include "base/str.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a query, key or value, per head"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o, and of the table's pk pq"},
    {"terms", WF_KEY_LIST, "['c2p', 'p2c']", 0, NULL, "c2p: queries with distances; p2c: keys with distances"},
    {"distance", WF_KEY_INT, "512", 1, NULL, "distances from it on are one"},
    {"buckets", WF_KEY_INT, "0", 0, NULL, "logarithmic buckets on each side, instead of single distances; 0 is off"},
    {"shared", WF_KEY_BOOL, "false", 0, NULL, "the table is projected by q and k"},
    {"norm", WF_KEY_OBJECT, "null", 0, "['eps', 1e-7]", "layer norm of the table {eps}"},
    {"scale", WF_KEY_FLOAT, "pow(key_dim * (1 + len(terms)), -0.5)", 0, NULL, "of the scores"},
    {NULL}};

#define SPAN "(buckets > 0 ? buckets : distance)"
static const wf_slot slots[] = {
    WF_QKVO_SLOTS_OF("heads", "key_dim"),
    {"table.weight", "[2*" SPAN ", dim]", "table:0.02", "len(terms) > 0", NULL, false, NULL},
    {"norm.weight", "[dim]", "ones", "norm != null && len(terms) > 0", NULL, false, NULL},
    {"norm.bias", "[dim]", "zeros", "norm != null && len(terms) > 0", NULL, false, NULL},
    {"pk.weight", "[heads*key_dim, dim]", "linear", "!shared && has(terms, 'c2p')", NULL, false, NULL},
    {"pk.bias", "[heads*key_dim]", "zeros", "!shared && has(terms, 'c2p') && has(bias, 'pk')", NULL, false, NULL},
    {"pq.weight", "[heads*key_dim, dim]", "linear", "!shared && has(terms, 'p2c')", NULL, false, NULL},
    {"pq.bias", "[heads*key_dim]", "zeros", "!shared && has(terms, 'p2c') && has(bias, 'pq')", NULL, false, NULL},
    {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    static const char *const words[] = {"c2p", "p2c"};
    const wf_value *terms = wf_get(l, "terms");
    for (size_t i = 0; i < terms->count; i++) {
        const char *s = terms->items[i].type == WF_STRING ? terms->items[i].string : "?";
        WF_CHECK(wf_streq(s, words[0]) || wf_streq(s, words[1]), err, WEFT_USAGE, "'terms' lists c2p and p2c, not '%s'", s);
        for (size_t k = 0; k < i; k++)
            WF_CHECK(!wf_streq(s, terms->items[k].string), err, WEFT_USAGE, "'terms' lists '%s' twice", s);
    }
    WF_CHECK(wf_int(l, "buckets") == 0 || (wf_int(l, "buckets") >= 4 && wf_int(l, "distance") - 1 > wf_int(l, "buckets") / 2),
             err, WEFT_USAGE, "'buckets' (%lld) do not fit a 'distance' of %lld", (long long)wf_int(l, "buckets"),
             (long long)wf_int(l, "distance"));
    return wf_check_bias(l, (const char *const[]){"q", "k", "v", "o", "pk", "pq"}, 6, err);
}

/* Single distances up to half the buckets, then logarithmically up to `most` (He et al. 2021, section 3.2); fp32 as the
 * reference. */
static int64_t bucket_of(int64_t distance, int64_t buckets, int64_t most) {
    int64_t half = buckets / 2, n = distance < 0 ? -distance : distance;
    if (buckets == 0 || n <= half)
        return distance;
    float far = ceilf(logf((float)n / (float)half) / logf((float)((double)(most - 1) / (double)half)) * (float)(half - 1)) +
                (float)half;
    return distance < 0 ? -(int64_t)far : (int64_t)far;
}

/* Rows of the table for the distances -(rows-1)..rows-1. */
static const int32_t *index_of(wf_run *r, const wf_layer *l, int64_t rows) {
    int64_t buckets = wf_int(l, "buckets"), span = buckets > 0 ? buckets : wf_int(l, "distance");
    int32_t *index = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)(2 * rows - 1) * sizeof *index);
    for (int64_t i = 0; index && i < 2 * rows - 1; i++) {
        int64_t row = bucket_of(i - (rows - 1), buckets, wf_int(l, "distance")) + span;
        index[i] = (int32_t)(row < 0 ? 0 : row >= 2 * span ? 2 * span - 1 : row);
    }
    if (!index)
        wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    return index;
}

static wf_tensor *table_of(wf_run *r, const wf_layer *l) {
    wf_tensor *table = wf_weight(r, l, "table.weight");
    if (wf_given(l, "norm"))
        table = wf_layer_norm(r->tape, table, wf_weight(r, l, "norm.weight"), wf_weight(r, l, "norm.bias"), 0.0f,
                              (float)wf_json_double(wf_get(l, "norm")->object, "eps", 1e-7));
    return wf_dropout(r->tape, table, r->dropout);
}

/* Scores of queries (or keys) with the distances. */
static wf_tensor *term(wf_run *r, const wf_layer *l, const char *projection, wf_tensor *x, wf_tensor *table,
                       const wf_relative_spec *s) {
    wf_tensor *p = wf_project(r, l, projection, table);
    p = p && x ? wf_reshape(r->tape, p, 3, (int64_t[]){table->dims[0], wf_int(l, "heads"), wf_int(l, "key_dim")}) : NULL;
    return wf_relative(r->tape, x, p, s);
}

static wf_tensor *distance_scores(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k) {
    bool shared = wf_flag(l, "shared");
    wf_relative_spec s = {.queries = r->rows,
                          .keys = r->rows,
                          .index = index_of(r, l, r->rows),
                          .count = 2 * r->rows - 1,
                          .zero = r->rows - 1,
                          .scale = (float)wf_float(l, "scale")};
    wf_tensor *table = s.index ? table_of(r, l) : NULL, *sum = NULL;
    if (!table)
        return NULL;
    if (wf_lists(l, "terms", "c2p"))
        sum = term(r, l, shared ? "k" : "pk", q, table, &s);
    s.of_keys = true;
    if (!wf_lists(l, "terms", "p2c"))
        return sum;
    wf_tensor *p2c = term(r, l, shared ? "q" : "pq", k, table, &s);
    return wf_lists(l, "terms", "c2p") ? wf_add(r->tape, sum, p2c) : p2c;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "q", io->x), heads, width);
    wf_tensor *k = wf_split_heads(r, wf_project(r, l, "k", io->x), heads, width);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, width);
    wf_attention_spec s = {.scale = (float)wf_float(l, "scale"),
                           .dropout = r->attention_dropout,
                           .left = INT64_MAX,
                           .right = INT64_MAX,
                           .key_mask = io->mask,
                           .probs = r->want_attention ? &io->attention : NULL};
    if (wf_get(l, "terms")->count > 0)
        s.bias = distance_scores(r, l, q, k);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_attention(r->tape, q, k, v, &s)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_disentangled = {.name = "disentangled",
                                        .about = "softmax(q k^T + q pk^T + pq k^T) v, pk and pq of the distance",
                                        .source = "He et al. 2020, arXiv 2006.03654, eq. 4",
                                        .keys = keys,
                                        .slots = slots,
                                        .inputs = "x mask?",
                                        .outputs = "y attention?",
                                        .time = "T*T",
                                        .space = "T*T",
                                        .flops = "4*heads*key_dim*T*T*(1 + len(terms) / 2)",
                                        .bf16 = 0.012,
                                        .traits = WF_PADDING_INERT,
                                        .companion = "mlp",
                                        .check = check,
                                        .run = run};
