/* stem.c - tokens to rows: a sum of tables (tokens, positions, whatever other ids a model has), a norm, and a projection where
 * the tables are narrower than the model. The order of the steps is fixed; the options say which are there. */
#include <math.h>
#include <stdio.h>
#include "model/parts.h"

/* ---- parameters ---- */
/* Vaswani et al. 2017, section 3.5: sin and cos of row / 10000^(2p/width), or 10000^(p/(width/2 - 1)) with the endpoint. */
static void sinusoids(float *value, const int64_t *dims, bool halves, bool endpoint) {
    int64_t width = dims[1], half = halves && endpoint ? width / 2 : (width + 1) / 2;
    for (int64_t i = 0; i < dims[0] * width; i++) {
        int64_t row = i / width, c = i % width, pair = !halves ? c / 2 : half ? c % half : 0;
        if (halves && endpoint && c >= 2 * half) {
            value[i] = 0.0f; /* fairseq leaves the last of an odd number of channels empty */
            continue;
        }
        double rate = endpoint ? (double)pair / (half > 1 ? (double)half - 1.0 : 1.0) : 2.0 * (double)pair / (double)width;
        double angle = (double)row * pow(10000.0, -rate);
        value[i] = (float)((halves ? c >= half : c % 2 == 1) ? cos(angle) : sin(angle));
    }
}

typedef void (*table_fn)(float *value, int64_t count, const int64_t *dims, wf_rng rng);
static void pairs(float *v, int64_t n, const int64_t *d, wf_rng rng) { (void)n, (void)rng, sinusoids(v, d, false, false); }
static void pairs_to_end(float *v, int64_t n, const int64_t *d, wf_rng rng) {
    (void)n, (void)rng, sinusoids(v, d, false, true);
}
static void halves(float *v, int64_t n, const int64_t *d, wf_rng rng) { (void)n, (void)rng, sinusoids(v, d, true, false); }
static void halves_to_end(float *v, int64_t n, const int64_t *d, wf_rng rng) {
    (void)n, (void)rng, sinusoids(v, d, true, true);
}
static const table_fn sinusoid_tables[2][2] = {{pairs, pairs_to_end}, {halves, halves_to_end}}; /* by layout and endpoint */

static weft_status declare_table(wf_model *m, const char *name, int64_t rows, int64_t width, wf_param **out, weft_error *err) {
    WF_TRY(wf_declare(m, name, 2, (int64_t[]){rows, width}, WF_INIT_NORMAL, out, err));
    (*out)->init_scale = wf_init_std(width);
    (*out)->table = true;
    return WEFT_OK;
}

/* Width of the tables beside that of the tokens, and of the norm after the sum. */
static int64_t sum_width(const wf_model *m) {
    return m->spec->stem.project == WF_PROJECT_TOKENS || m->spec->stem.clusters.count ? m->spec->dim : m->spec->stem.dim;
}

/* Width of what is projected. */
static int64_t joined_width(const wf_stem_spec *s) {
    int64_t width = s->dim * s->span;
    for (int i = 0; i < s->n_tables; i++)
        width += s->tables[i].join ? s->tables[i].dim : 0;
    return width;
}

static int64_t side_width(const wf_stem_spec *s) {
    int64_t width = 0;
    for (int i = 0; i < s->n_tables; i++)
        width += s->tables[i].side ? s->tables[i].dim * s->tables[i].n_lookups : 0;
    return width;
}

static weft_status declare_side(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    if (s->side == 0 || s->side_copies)
        return WEFT_OK;
    if (s->side_rows > 0) {
        WF_TRY(declare_table(m, "stem.side.rows.weight", s->side_rows, s->side, &m->side_rows, err));
        return wf_declare_norm(m, &s->side_norm, "stem.side.norm", s->side, &m->side_norm[0], &m->side_norm[1], err);
    }
    WF_TRY(wf_declare_linear(m, "stem.side.project", s->side, side_width(s), true, m->side_project, err));
    if (s->position == WF_POSITION_LEARNED)
        WF_TRY(declare_table(m, "stem.side.position.weight", s->length + s->offset, s->side, &m->side_position, err));
    return wf_declare_norm(m, &s->side_norm, "stem.side.norm", s->side, &m->side_norm[0], &m->side_norm[1], err);
}

static weft_status declare_axes(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    WF_CHECK(s->axis_dims[0] + s->axis_dims[1] == sum_width(m), err, WEFT_USAGE,
             "the 'widths' of axial positions must add up to %lld", (long long)sum_width(m));
    WF_TRY(declare_table(m, "stem.position.0.weight", s->axes[0], s->axis_dims[0], &m->axis[0], err));
    return declare_table(m, "stem.position.1.weight", s->axes[1], s->axis_dims[1], &m->axis[1], err);
}

static weft_status declare_positions(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    if (s->position == WF_POSITION_NONE)
        return WEFT_OK;
    if (s->position == WF_POSITION_AXIAL)
        return declare_axes(m, err);
    WF_TRY(declare_table(m, "stem.position.weight", s->length + s->offset, sum_width(m), &m->position, err));
    if (s->position == WF_POSITION_LEARNED)
        return WEFT_OK;
    m->position->init = WF_INIT_CUSTOM;
    m->position->init_fn = sinusoid_tables[s->halves][s->endpoint];
    m->position->buffer = true;
    return WEFT_OK;
}

static weft_status declare_tokens(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    char name[64];
    if (s->n_hashes == 0)
        return declare_table(m, "stem.token.weight", m->spec->vocab, s->dim, &m->token, err);
    for (int64_t i = 0; i < s->n_hashes; i++) {
        snprintf(name, sizeof name, "stem.token.%lld.weight", (long long)i);
        WF_TRY(declare_table(m, name, s->buckets, s->dim / s->n_hashes, &m->hashed[i], err));
    }
    m->token = m->hashed[0];
    return WEFT_OK;
}

weft_status wf_stem_declare(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    int64_t norm_width = s->project == WF_PROJECT_SUM ? m->spec->dim : sum_width(m);
    char name[160];
    if (s->channels)
        WF_TRY(wf_frames_declare(m, err));
    else if (s->shared)
        m->token = m->whole->token;
    else if (s->clusters.count)
        WF_TRY(wf_stem_clusters_declare(m, err));
    else
        WF_TRY(declare_tokens(m, err));
    if (s->queries)
        WF_TRY(declare_table(m, "stem.queries.weight", s->queries, m->spec->dim, &m->queries, err));
    WF_TRY(declare_positions(m, err));
    for (int i = 0; i < s->n_tables; i++) {
        if (s->tables[i].kinds)
            continue;
        snprintf(name, sizeof name, "stem.%s.weight", s->tables[i].name);
        m->tables[i] = s->tables[i].of < 0 ? NULL : m->tables[s->tables[i].of];
        if (!m->tables[i])
            WF_TRY(declare_table(m, name, s->tables[i].rows, s->tables[i].dim, &m->tables[i], err));
    }
    WF_TRY(declare_side(m, err));
    if (s->project != WF_PROJECT_NONE)
        WF_TRY(wf_declare_linear(m, "stem.project", m->spec->dim, joined_width(s), s->project_bias, m->project, err));
    return wf_declare_norm(m, &s->norm, "stem.norm", norm_width, &m->stem_norm[0], &m->stem_norm[1], err);
}

/* ---- recording ---- */
static wf_tensor *project(const wf_model *m, wf_tape *t, wf_project_place here, wf_tensor *x) {
    if (m->spec->stem.project != here)
        return x;
    return wf_linear_as(t, x, wf_use(t, m->project[0]), wf_use(t, m->project[1]), WF_F32);
}

/* The table of all positions, [rows, width]. */
static wf_tensor *axial_table(const wf_model *m, wf_tape *t) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *a = wf_use(t, m->axis[0]), *b = wf_use(t, m->axis[1]);
    if (!a || !b)
        return NULL;
    a = wf_repeat_heads(t, wf_reshape(t, a, 4, (int64_t[]){1, s->axes[0], 1, s->axis_dims[0]}), s->axes[1]);
    b = wf_repeat_batch(t, wf_reshape(t, b, 3, (int64_t[]){1, s->axes[1], s->axis_dims[1]}), s->axes[0]);
    wf_tensor *both = a && b ? wf_join_channels(t, wf_reshape(t, a, 2, (int64_t[]){s->length, s->axis_dims[0]}),
                                                wf_reshape(t, b, 2, (int64_t[]){s->length, s->axis_dims[1]}))
                             : NULL;
    return both;
}

/* `kept`: what the state of a sequence has counted. */
static wf_tensor *positions(const wf_model *m, wf_tape *t, const int64_t size[2], wf_param *param, wf_tensor *kept,
                            const wf_model_ports *p) {
    int64_t batch = size[0], rows = size[1];
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *table = s->position == WF_POSITION_AXIAL ? axial_table(m, t) : wf_use(t, param);
    if (s->count == WF_COUNT_MASK && !p->positions && p->mask)
        return wf_mask_rows(t, wf_embed_positions(t, table, batch, rows, wf_mask_positions(t, p->mask), s->offset),
                            s->blank ? p->mask : NULL);
    if (s->count == WF_COUNT_TOKENS && !p->positions)
        return wf_embed(t, wf_token_positions(t, p->ids, kept, s->padding, s->blank), table, s->padding);
    return wf_embed_positions(t, table, batch, rows, p->positions, s->offset);
}

/* Rows of table i by its lookup k; NULL when there is nothing to look up. */
static wf_tensor *look_up(const wf_model *m, wf_tape *t, int i, int k, const wf_model_ports *p) {
    const wf_stem_table *table = &m->spec->stem.tables[i];
    wf_tensor *ids = p->tables[i];
    if (!ids && table->missing < 0)
        return NULL;
    if (!ids)
        ids = wf_id_column(t, p->ids, -1, -1, table->missing);
    else if (ids->rank == 3)
        ids = wf_id_column(t, ids, table->plus[k], table->minus[k], 0);
    return wf_embed(t, ids, wf_use(t, m->tables[i]), table->padding);
}

/* The tables that stand beside the tokens, or those that are added. */
static wf_tensor *put_tables(const wf_model *m, wf_tape *t, bool join, wf_tensor *x, const wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    for (int i = 0; i < s->n_tables; i++)
        for (int k = 0; s->tables[i].join == join && !s->tables[i].side && !s->tables[i].kinds && k < s->tables[i].n_lookups;
             k++) {
            bool there = p->tables[i] || s->tables[i].missing >= 0;
            wf_tensor *rows = there ? look_up(m, t, i, k, p) : NULL;
            if (there)
                x = join ? wf_join_channels(t, x, rows) : wf_add(t, x, rows);
        }
    return x;
}

/* The second stream. */
/* The same rows for every sequence. */
static wf_tensor *record_side_rows(const wf_model *m, wf_tape *t, int64_t batch) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *x = wf_use(t, m->side_rows);
    x = x ? wf_repeat_batch(t, wf_reshape(t, x, 3, (int64_t[]){1, s->side_rows, s->side}), batch) : NULL;
    return wf_cast(t, wf_apply_norm(t, &s->side_norm, x, m->side_norm[0], m->side_norm[1]), WF_F32);
}

static wf_tensor *record_side(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, bool dropout,
                              const wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *x = NULL;
    for (int i = 0; i < s->n_tables; i++)
        for (int k = 0; s->tables[i].side && k < s->tables[i].n_lookups; k++) {
            wf_tensor *one = look_up(m, t, i, k, p);
            if (!one)
                return wf_tape_error(t, WEFT_USAGE, "the input '%s' is missing", s->tables[i].input);
            x = x ? wf_join_channels(t, x, one) : one;
        }
    x = wf_linear_as(t, x, wf_use(t, m->side_project[0]), wf_use(t, m->side_project[1]), WF_F32);
    if (m->side_position)
        x = wf_add(t, x, positions(m, t, (int64_t[]){batch, rows}, m->side_position, NULL, p));
    x = wf_cast(t, wf_apply_norm(t, &s->side_norm, x, m->side_norm[0], m->side_norm[1]), WF_F32);
    return dropout ? wf_dropout(t, x, s->dropout) : x;
}

int64_t wf_stem_fill(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    int64_t all = s->fill > 0 && rows > s->fill_beyond ? (rows + s->fill - 1) / s->fill * s->fill : rows;
    for (int i = 0; i < s->n_tables; i++)
        if (s->tables[i].separator >= 0 && !p->tables[i])
            p->tables[i] = wf_behind_token(t, p->ids, s->tables[i].separator, false);
    if (all == rows)
        return rows;
    if (p->positions || p->segments || p->prefix || p->types)
        wf_tape_error(t, WEFT_UNSUPPORTED, "sequences that are filled up cannot have positions or segments of their own");
    p->ids = wf_id_pad(t, p->ids, all, s->fill_token);
    p->mask = wf_mask_pad(t, p->mask, batch, rows, all);
    if (p->global_mask)
        p->global_mask = wf_mask_pad(t, p->global_mask, batch, rows, all);
    for (int i = 0; i < s->n_tables; i++)
        if (p->tables[i])
            p->tables[i] = wf_id_pad(t, p->tables[i], all, 0);
    return all;
}

static wf_tensor *normed(const wf_model *m, wf_tape *t, wf_tensor *x) {
    const wf_norm_spec *norm = &m->spec->stem.norm;
    return norm->kind == WF_NORM_NONE ? x : wf_cast(t, wf_apply_norm(t, norm, x, m->stem_norm[0], m->stem_norm[1]), WF_F32);
}

/* A mask that tokens tell when none is given; sequences that are being decoded hold no padding. */
static wf_tensor *find_mask(const wf_stem_spec *s, wf_tape *t, const wf_model_options *o, const wf_model_ports *p) {
    if (p->mask || s->channels || o->mode != WF_NO_STATE)
        return p->mask;
    return s->pads ? wf_token_rows(t, p->ids, s->padding, true, 0) : s->ends ? wf_token_mask(t, p->ids, s->padding) : NULL;
}

static wf_tensor *counted(wf_tape *t, const wf_model_options *o) {
    return o->mode == WF_STATE_IN_PLACE ? wf_state_bind(t, wf_state_counts(o->state)) : NULL;
}

static wf_tensor *tokens(const wf_model *m, wf_tape *t, const wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *x = s->n_hashes ? NULL : wf_embed(t, p->ids, wf_use(t, m->token), s->padding);
    for (int64_t i = 0; i < s->n_hashes; i++) {
        wf_tensor *one = wf_embed(t, wf_hash_ids(t, p->ids, s->hashes[i], s->buckets), wf_use(t, m->hashed[i]), -1);
        x = i ? wf_join_channels(t, x, one) : one;
    }
    return x;
}

wf_tensor *wf_stem_kinds(const wf_model *m, const wf_model_ports *p) {
    for (int i = 0; i < m->spec->stem.n_tables; i++)
        if (m->spec->stem.tables[i].kinds)
            return p->tables[i];
    return NULL;
}

wf_tensor *wf_stem_record(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, const wf_model_options *o,
                          wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    bool dropout = o->dropout;
    p->mask = find_mask(s, t, o, p);
    if (s->globals != WF_GLOBALS_NONE && !p->global_mask)
        p->global_mask = wf_token_globals(t, p->ids, s->globals, s->global_token);
    if (s->side_rows > 0)
        p->side = record_side_rows(m, t, batch);
    else if (s->side > 0 && !s->side_copies)
        p->side = record_side(m, t, batch, rows, dropout, p);
    wf_tensor *x = s->channels         ? wf_frames_record(m, t, p)
                   : s->clusters.count ? wf_stem_clusters(m, t, p->ids)
                                       : tokens(m, t, p);
    x = wf_scale(t, x, s->scale);
    if (s->dropped_token >= 0)
        x = wf_token_dropout(t, x, p->ids, p->mask, s->dropped_token, (double)s->dropped_rate);
    if (s->span > 1)
        x = wf_unfold(t, x, s->span / 2, s->span, -1);
    x = project(m, t, WF_PROJECT_TOKENS, put_tables(m, t, true, x, p));
    if (s->norm_first)
        x = normed(m, t, x);
    if (s->position != WF_POSITION_NONE)
        x = wf_add(t, x, positions(m, t, (int64_t[]){batch, rows}, m->position, counted(t, o), p));
    x = put_tables(m, t, false, x, p);
    if (p->types && s->types)
        x = wf_add(t, x, wf_scale(t, wf_embed(t, p->types, wf_use(t, m->token), s->padding), s->scale));
    x = project(m, t, WF_PROJECT_SUM, x);
    x = dropout && s->dropout_first ? wf_dropout(t, x, s->dropout) : x;
    if (!s->norm_first)
        x = normed(m, t, x);
    x = project(m, t, WF_PROJECT_NORM, x);
    if (s->masked)
        x = wf_mask_rows(t, x, p->mask);
    x = dropout && !s->dropout_first ? wf_dropout(t, x, s->dropout) : x;
    x = project(m, t, WF_PROJECT_DROPOUT, x);
    if (s->side_copies)
        p->side = x;
    return x;
}

/* A learned row for every row of a stream: the same everywhere, or with the position behind that of the row. */
static wf_tensor *one_query(const wf_model *m, wf_tape *t, int64_t n, int64_t batch, int64_t rows, const wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *x = wf_use(t, m->queries);
    if (!x)
        return NULL;
    x = wf_repeat_heads(t, wf_reshape(t, wf_rows(t, x, n, 1), 4, (int64_t[]){1, 1, 1, m->spec->dim}), rows);
    x = x ? wf_repeat_batch(t, wf_reshape(t, x, 3, (int64_t[]){1, rows, m->spec->dim}), batch) : NULL;
    if (s->query_map || s->position == WF_POSITION_NONE)
        return x;
    if (s->count != WF_COUNT_ROWS || s->position == WF_POSITION_AXIAL)
        return wf_tape_error(t, WEFT_UNSUPPORTED, "streams of queries need positions that count rows");
    return wf_add(t, x, wf_embed_positions(t, wf_use(t, m->position), batch, rows, p->positions, s->offset + 1));
}

wf_tensor *wf_stem_queries(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, const wf_model_options *o,
                           const wf_model_ports *p) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *all = NULL;
    if (!s->queries || (s->query_map && !p->map))
        return NULL;
    for (int64_t n = 0; n < s->queries; n++) {
        wf_tensor *one = one_query(m, t, n, batch, s->query_map ? p->map->dims[1] : rows, p);
        all = n ? wf_time_concat(t, all, one) : one;
    }
    all = normed(m, t, all);
    return o->dropout ? wf_dropout(t, all, s->dropout) : all;
}
