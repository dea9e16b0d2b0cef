/* xl_attention.c - attention whose scores compare queries with keys, with distances and with kinds, each with a bias of its
 * own: scale * ((q_i + u).k_j + (q_i + v).W_r R(p_i - p_j) + (q_i + w).s[of one kind]), R the sinusoids of a distance. Dai et
 * al. 2019 (Transformer-XL, arXiv 1901.02860, section 3.3), Yang et al. 2019 (XLNet, arXiv 1906.08237, section 2.5: kinds), Dai
 * et al. 2020 (Funnel-Transformer, arXiv 2006.03236, appendix A.2: rows that are pooled).
 *
 * With `heads`, `key_dim`, `bias` and `scale` alone it gives what relative_attention gives. Only here: places p that are not
 * the numbers of rows (pooled ones lie several apart), keys and values of other rows (`memory`), the first `apart` rows without
 * distances, kinds (s[0] of two, s[1] of one; rows without kinds are of one, where relative_attention leaves out the term
 * without segments, and its e_0 is of one), a kind like all others, kv_heads, value_dim, theta, the weights as an output. Only
 * there: causal rows, a state, rows before the sequence, streams of queries, hidden pairs, windows, distances that are cut off,
 * turned round or in buckets, dropout of the sinusoids. A row whose keys are all padding is zero here, their mean there. */
#include "base/str.h"
#include "mixers/distance_rows.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
    {"theta", WF_KEY_FLOAT, "10000.0", 0, NULL, "of the sinusoids: channel c of a half turns by theta^(-c / (dim / 2))"},
    {"kinds", WF_KEY_BOOL, "false", 0, NULL, "scores that say whether two rows are of one kind"},
    {"common", WF_KEY_INT, "-1", -1, NULL, "a kind that counts as every other; -1 is none"},
    {"apart", WF_KEY_INT, "0", 0, NULL, "the first so many rows have neither distances nor kinds, as queries and as keys"},
    {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS,
                                {"r.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"content_bias", "[heads, key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"distance_bias", "[heads, key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"kind_bias", "[heads, key_dim]", "zeros", "kinds", NULL, false, NULL},
                                {"kind.weight", "[heads, key_dim, 2]", "normal:0.1", "kinds", NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "dim") % 2 == 0, err, WEFT_USAGE, "sinusoids need an even 'dim'");
    WF_CHECK(wf_float(l, "theta") > 0.0, err, WEFT_USAGE, "'theta' must be positive");
    return wf_check_qkvo(l, err);
}

/* Where queries lie and where keys do decides the distances: i*step - j steps of the keys, and what lies between their first
 * rows. */
static wf_tensor *distance_scores(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k, wf_lie at, wf_lie from) {
    int64_t rows = q->dims[1], cols = k->dims[1], step = at.step / from.step, count = (rows - 1) * step + cols;
    if (at.step % from.step != 0)
        return wf_tape_error(r->tape, WEFT_USAGE, "%s: rows %lld apart read rows %lld apart", l->where, (long long)at.step,
                             (long long)from.step);
    wf_relative_spec s = {.queries = rows,
                          .keys = cols,
                          .index = wf_distance_numbers(r, count),
                          .count = count,
                          .zero = cols - 1,
                          .step = step,
                          .skip = wf_int(l, "apart"),
                          .scale = (float)wf_float(l, "scale")};
    int64_t first = at.origin - from.origin - (cols - 1) * from.step;
    wf_tensor *waves = wf_distance_waves(r, first, from.step, count, wf_int(l, "dim"), wf_float(l, "theta"));
    wf_tensor *table = s.index ? wf_project_f32(r, l, "r", waves) : NULL;
    table = table ? wf_reshape(r->tape, table, 3, (int64_t[]){count, wf_int(l, "heads"), wf_int(l, "key_dim")}) : NULL;
    return wf_relative(r->tape, wf_distance_query(r, l, q, "distance_bias"), table, &s);
}

static wf_tensor *kind_scores(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k, const wf_ports *io) {
    wf_kind_spec s = {.q_kinds = io->kinds,
                      .k_kinds = io->memory ? io->memory_kinds : io->kinds,
                      .keys = k->dims[1],
                      .common = wf_int(l, "common"),
                      .skip = wf_int(l, "apart")};
    wf_tensor *two = wf_head_linear(r->tape, wf_distance_query(r, l, q, "kind_bias"), wf_weight(r, l, "kind.weight"), NULL);
    return wf_kind_scores(r->tape, wf_scale(r->tape, two, (float)wf_float(l, "scale")), &s);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    static const wf_lie in_order = {0, 1};
    wf_tensor *from = io->memory ? io->memory : io->x, *q = wf_project_heads(r, l, "q", io->x),
              *k = wf_project_heads(r, l, "k", from), *v = wf_project_heads(r, l, "v", from);
    wf_lie at = io->lie.step ? io->lie : in_order, source = io->memory ? io->memory_lie : at;
    if (!q || !k)
        return WEFT_OK;
    wf_attention_spec s = {.scale = (float)wf_float(l, "scale"),
                           .dropout = r->attention_dropout,
                           .left = INT64_MAX,
                           .right = INT64_MAX,
                           .key_mask = io->memory ? io->memory_mask : io->mask,
                           .bias = distance_scores(r, l, q, k, at, source.step ? source : in_order),
                           .probs = r->want_attention ? &io->attention : NULL};
    if (wf_flag(l, "kinds"))
        s.bias = wf_add(r->tape, s.bias, kind_scores(r, l, q, k, io));
    io->y =
        wf_project(r, l, "o", wf_merge_heads(r, wf_attention(r->tape, wf_distance_query(r, l, q, "content_bias"), k, v, &s)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_xl_attention = {
    .name = "xl_attention",
    .about = "softmax((q + u) k^T + (q + v) r^T) v, r the sinusoids of the distance, projected; pooled rows and "
             "kinds; relative_attention is causal, has a state and reads rows before the sequence",
    .source = "Dai et al. 2019, arXiv 1901.02860, section 3.3",
    .keys = keys,
    .slots = slots,
    .inputs = "x memory? memory_mask? mask? kinds?",
    .outputs = "y attention?",
    .time = "T*T",
    .space = "T*T",
    .flops = "2*heads*(2*key_dim + value_dim)*T*T",
    .bf16 = 0.02,
    .traits = WF_PADDING_INERT,
    .companion = "mlp",
    .check = check,
    .run = run};
