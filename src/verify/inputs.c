#include "verify/inputs.h"
#include "gen/session.h"
#include <string.h>

typedef struct reader {
    wf_fixture *fx;
    const wf_model *model;
    int64_t stacked, index;
    wf_model_inputs *in;
    weft_error *err;
} reader;

/* An input by name; those of a decoder have a word before theirs. NULL: absent. */
static const wf_stored_tensor *input_of(const reader *r, const char *name) {
    const char *full = r->model->encoder ? wf_arena_printf(&r->fx->arena, "decoder_%s", name) : name;
    return full ? wf_fixture_input(r->fx, full) : NULL;
}

/* The integers of one micro-batch of an input [B,T] or [stacked,B,T]; NULL when it is absent. */
static weft_status read_rows(reader *r, const char *name, int64_t **out) {
    const wf_stored_tensor *t = input_of(r, name);
    int64_t stacks = r->stacked ? r->stacked : 1;
    *out = NULL;
    if (!t)
        return WEFT_OK;
    WF_CHECK(t->rank >= 2 && t->dims[t->rank - 1] == r->in->rows && wf_stored_count(t) == stacks * r->in->batch * r->in->rows,
             r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", name);
    WF_TRY(wf_fixture_ints(r->fx, t, out, r->err));
    *out += r->index * r->in->batch * r->in->rows;
    return WEFT_OK;
}

static weft_status read_ids(reader *r, const char *name, int64_t table, int32_t **out) {
    int64_t *wide, count = r->in->batch * r->in->rows;
    WF_TRY(read_rows(r, name, &wide));
    if (!wide)
        return WEFT_OK;
    if (!(*out = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof **out)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++) {
        WF_CHECK(wide[i] >= 0 && wide[i] < table, r->err, WEFT_BAD_INPUT, "'%s' holds %lld, outside the %lld rows of its table",
                 name, (long long)wide[i], (long long)table);
        (*out)[i] = (int32_t)wide[i];
    }
    return WEFT_OK;
}

static weft_status read_mask(reader *r, const char *name, int64_t count, uint8_t **out) {
    const wf_stored_tensor *t = input_of(r, name);
    int64_t *wide, stacks = r->stacked ? r->stacked : 1;
    if (!t)
        return WEFT_OK;
    WF_CHECK(wf_stored_count(t) == stacks * count, r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", name);
    WF_TRY(wf_fixture_ints(r->fx, t, &wide, r->err));
    if (!(*out = wf_arena_alloc(&r->fx->arena, (size_t)count)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++)
        (*out)[i] = wide[r->index * count + i] != 0;
    return WEFT_OK;
}

/* A model whose sequences have lengths: the rows behind them are padding. */
static weft_status read_lengths(reader *r) {
    const wf_stored_tensor *t = input_of(r, "lengths");
    int64_t *lengths;
    if (!t || r->in->mask)
        return WEFT_OK;
    WF_TRY(wf_fixture_shape(t, 1, &r->in->batch, r->err));
    WF_TRY(wf_fixture_ints(r->fx, t, &lengths, r->err));
    if (!(r->in->mask = wf_arena_alloc(&r->fx->arena, (size_t)(r->in->batch * r->in->rows))))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < r->in->batch * r->in->rows; i++)
        r->in->mask[i] = i % r->in->rows < lengths[i / r->in->rows];
    return WEFT_OK;
}

/* Every lookup of a table must find a row. */
static weft_status check_lookups(const reader *r, int i, const int64_t *wide, int64_t columns) {
    const wf_stem_table *table = &r->model->spec->stem.tables[i];
    for (int k = 0; k < table->n_lookups; k++) {
        WF_CHECK(table->plus[k] < columns && table->minus[k] < columns, r->err, WEFT_BAD_INPUT, "'%s' has %lld columns",
                 table->input, (long long)columns);
        for (int64_t at = 0; at < r->in->batch * r->in->rows * columns; at += columns) {
            int64_t id = wide[at + table->plus[k]] - (table->minus[k] < 0 ? 0 : wide[at + table->minus[k]]);
            WF_CHECK(id >= 0 && id < table->rows, r->err, WEFT_BAD_INPUT, "'%s' asks for row %lld of %lld", table->input,
                     (long long)id, (long long)table->rows);
        }
    }
    return WEFT_OK;
}

static weft_status read_table(reader *r, int i) {
    const wf_stored_tensor *t = input_of(r, r->model->spec->stem.tables[i].input);
    int64_t *wide, count = r->in->batch * r->in->rows,
                   columns = t && t->rank == 3 + (r->stacked > 0) ? t->dims[t->rank - 1] : 1;
    bool choices = r->in->choices > 0;
    columns = choices ? 1 : columns;
    if (!t)
        return WEFT_OK;
    WF_CHECK(wf_stored_count(t) == (r->stacked ? r->stacked : 1) * count * columns, r->err, WEFT_BAD_INPUT,
             "'%s' has another shape than expected", t->name);
    WF_TRY(wf_fixture_ints(r->fx, t, &wide, r->err));
    wide += r->index * count * columns;
    WF_TRY(check_lookups(r, i, wide, columns));
    r->in->table_columns[i] = columns;
    if (!(r->in->tables[i] = wf_arena_alloc(&r->fx->arena, (size_t)(count * columns) * sizeof(int32_t))))
        return wf_fail_memory(r->err);
    for (int64_t k = 0; k < count * columns; k++)
        r->in->tables[i][k] = (int32_t)wide[k];
    return WEFT_OK;
}

/* Ids of the stem's tables. */
static weft_status read_tables(reader *r) {
    const wf_stem_spec *stem = &r->model->spec->stem;
    for (int i = 0; i < stem->n_tables; i++)
        WF_TRY(read_table(r, i));
    return WEFT_OK;
}

/* What cross mixers read: states of an encoder, given. */
static weft_status read_memory(reader *r) {
    const wf_stored_tensor *t = wf_fixture_input(r->fx, "encoder_hidden_states");
    if (!t)
        return WEFT_OK;
    WF_CHECK(t->rank == 3 && t->dims[0] == r->in->batch, r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected",
             t->name);
    r->in->memory_rows = t->dims[1];
    r->in->memory_dim = t->dims[2];
    WF_TRY(wf_fixture_floats(r->fx, t, &r->in->memory, r->err));
    return read_mask(r, "encoder_attention_mask", r->in->batch * r->in->memory_rows, &r->in->memory_mask);
}

static weft_status read_positions(reader *r) {
    const wf_stem_spec *stem = &r->model->spec->stem;
    int64_t count = r->in->batch * r->in->rows, most = wf_model_position_limit(r->model),
            first = stem->given_rows ? stem->offset : 0; /* what names position 0 */
    WF_TRY(read_rows(r, "position_ids", &r->in->positions));
    r->in->length = r->in->rows;
    for (int64_t i = 0; r->in->positions && i < count; i++) {
        int64_t p = r->in->positions[i] -= first;
        WF_CHECK(p >= -first && (most == 0 || p < most), r->err, WEFT_BAD_INPUT, "'position_ids' holds %lld",
                 (long long)(p + first));
        r->in->length = i == 0 || p + 1 > r->in->length ? p + 1 : r->in->length;
    }
    WF_CHECK(r->in->positions || most == 0 || wf_stem_rows(stem, r->in->rows) <= most, r->err, WEFT_BAD_INPUT,
             "the sequence is longer than the %lld positions", (long long)most);
    return WEFT_OK;
}

static int64_t count_variants(const wf_spec *spec) {
    const wf_layer *l = spec->layers ? spec->blocks[0].adapter : NULL;
    return l ? (int64_t)wf_get(l, "names")->count : 0;
}

/* One for each sequence, or for each of its rows. */
static weft_status read_variants(reader *r) {
    const char *name = r->model->spec->stem.variants;
    const wf_stored_tensor *t = name ? wf_fixture_input(r->fx, name) : NULL;
    int64_t *wide, count = r->in->batch * r->in->rows, stacks = r->stacked ? r->stacked : 1;
    if (!t)
        return WEFT_OK;
    bool each = wf_stored_count(t) == stacks * count;
    WF_CHECK(each || wf_stored_count(t) == stacks * r->in->batch, r->err, WEFT_BAD_INPUT,
             "'%s' has another shape than expected", name);
    WF_TRY(wf_fixture_ints(r->fx, t, &wide, r->err));
    wide += r->index * (each ? count : r->in->batch);
    if (!(r->in->variants = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof *wide)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++) {
        int64_t one = r->in->variants[i] = wide[each ? i : i / r->in->rows];
        WF_CHECK(one >= 0 && one < count_variants(r->model->spec), r->err, WEFT_BAD_INPUT, "'%s' holds %lld", name,
                 (long long)one);
    }
    return WEFT_OK;
}

/* Which rows are hidden from others: any number above 0 hides. */
static weft_status read_pairs(reader *r, const char *name) {
    const wf_stored_tensor *t = name ? wf_fixture_input(r->fx, name) : NULL;
    int64_t count = r->in->batch * r->in->rows * r->in->rows;
    float *values;
    if (!t)
        return WEFT_OK;
    WF_CHECK(wf_stored_count(t) == count, r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", name);
    WF_TRY(wf_fixture_floats(r->fx, t, &values, r->err));
    if (!(r->in->pairs = wf_arena_alloc(&r->fx->arena, (size_t)count)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++)
        r->in->pairs[i] = values[i] > 0.0f;
    return WEFT_OK;
}

static weft_status read_map(reader *r, const char *name) {
    const wf_stored_tensor *t = name ? wf_fixture_input(r->fx, name) : NULL;
    if (!t)
        return WEFT_OK;
    WF_CHECK(t->rank == 3 && t->dims[0] == r->in->batch && t->dims[2] == r->in->rows, r->err, WEFT_BAD_INPUT,
             "'%s' has another shape than expected", name);
    r->in->map_rows = t->dims[1];
    return wf_fixture_floats(r->fx, t, &r->in->map, r->err);
}

/* Rows that came before, [layers, P, B, dim] in files. */
static weft_status read_past(reader *r) {
    const wf_stored_tensor *t = wf_fixture_input(r->fx, "mems");
    wf_model_inputs *in = r->in;
    float *values;
    if (!t)
        return WEFT_OK;
    in->layers = r->model->spec->layers;
    in->past_dim = r->model->spec->dim;
    WF_CHECK(t->rank == 4 && t->dims[0] == in->layers && t->dims[2] == in->batch && t->dims[3] == in->past_dim, r->err,
             WEFT_BAD_INPUT, "'mems' has another shape than expected");
    in->past_rows = t->dims[1];
    WF_TRY(wf_fixture_floats(r->fx, t, &values, r->err));
    if (!(in->past = wf_arena_alloc(&r->fx->arena, (size_t)wf_stored_count(t) * sizeof *values)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < wf_stored_count(t) / in->past_dim; i++) {
        int64_t b = i % in->batch, p = i / in->batch % in->past_rows, layer = i / in->batch / in->past_rows;
        memcpy(in->past + ((layer * in->batch + b) * in->past_rows + p) * in->past_dim, values + i * in->past_dim,
               (size_t)in->past_dim * sizeof *values);
    }
    return WEFT_OK;
}

/* A name among those that a text separates by spaces. */
static bool listed_in(const char *names, const char *name) {
    size_t n = strlen(name);
    for (const char *at = names; at && *at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == 0 || at[n] == ' '))
            return true;
    return false;
}

static bool is_buffer(const wf_model *m, const char *name) {
    for (size_t i = 0; i < m->params.count; i++) {
        const char *last = m->params.list[i]->buffer ? strrchr(m->params.list[i]->name, '.') : NULL;
        if (last && wf_streq(last + 1, name))
            return true;
    }
    return false;
}

/* Inputs that a stack has a use for. */
static bool is_of_stack(const wf_spec *spec, const char *name) {
    static const char *const known[] = {"input_ids", "attention_mask", "position_ids", "lengths", NULL};
    bool globals = false;
    for (size_t i = 0; known[i]; i++)
        if (wf_streq(known[i], name))
            return true;
    if (spec->stem.channels && wf_streq(name, spec->stem.input))
        return true;
    for (int i = 0; i < spec->stem.n_tables; i++)
        if (wf_streq(spec->stem.tables[i].input, name))
            return true;
    const char *const named[] = {spec->stem.pairs, spec->stem.segments, spec->stem.query_map};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i] && wf_streq(named[i], name))
            return true;
    for (int64_t i = 0; i < spec->layers; i++)
        globals |= listed_in(spec->blocks[i].mixer->row->inputs, "global_mask?");
    if (wf_streq(name, "mems") && listed_in(spec->blocks[0].mixer->row->inputs, "past?"))
        return true;
    return (globals && wf_streq(name, "global_attention_mask")) || (spec->stem.types && wf_streq(name, "token_type_ids"));
}

/* Inputs that this model has a use for. */
static bool is_known(const reader *r, const char *name) {
    static const char prefix[] = "decoder_";
    const wf_spec *spec = r->model->spec;
    bool crosses = false;
    for (int i = 0; i < spec->n_heads; i++)
        if (listed_in(spec->heads[i].labels, name))
            return true;
    for (int64_t i = 0; i < spec->layers; i++)
        crosses |= spec->blocks[i].cross != NULL;
    if (wf_streq(name, "probe") || is_buffer(r->model, name))
        return true;
    if (r->model->encoder)
        return is_of_stack(r->model->encoder->spec, name) ||
               (wf_starts_with(name, prefix) && is_of_stack(spec, name + strlen(prefix)));
    return is_of_stack(spec, name) || (spec->stem.variants && wf_streq(name, spec->stem.variants)) ||
           (crosses && (wf_streq(name, "encoder_hidden_states") || wf_streq(name, "encoder_attention_mask")));
}

static weft_status check_names(const reader *r) {
    for (size_t i = 0; i < wf_safetensors_count(r->fx->inputs); i++) {
        const char *name = wf_safetensors_at(r->fx->inputs, i)->name;
        WF_CHECK(is_known(r, name), r->err, WEFT_UNSUPPORTED, "input '%s'", name);
    }
    return WEFT_OK;
}

static weft_status read_probe(reader *r) {
    const wf_stored_tensor *probe = wf_fixture_input(r->fx, "probe");
    float *values;
    if (!probe)
        return WEFT_OK;
    WF_TRY(wf_fixture_floats(r->fx, probe, &values, r->err));
    r->in->probe = values;
    r->in->probe_count = wf_stored_count(probe);
    return WEFT_OK;
}

static weft_status read_labels(reader *r) {
    const wf_spec *spec = r->model->spec;
    for (int i = 0; i < spec->n_heads; i++)
        WF_TRY(wf_head_labels_read(r->fx, &spec->heads[i], r->in, r->stacked, r->index, &r->in->labels[i], r->err));
    wf_label_kind kind = spec->n_heads ? spec->heads[0].row->label : WF_LABEL_NONE;
    if (kind == WF_LABEL_NEXT || kind == WF_LABEL_ROW)
        r->in->targets = r->in->labels[0].classes;
    return WEFT_OK;
}

/* What gives a stack its shape: ids; of a decoder without them labels, one for each row; NULL: the source does. */
static const wf_stored_tensor *find_shape(const reader *r) {
    const wf_stored_tensor *ids = input_of(r, "input_ids");
    const wf_spec *spec = r->model->spec;
    wf_label_kind kind = spec->n_heads ? spec->heads[0].row->label : WF_LABEL_NONE;
    if (!ids && r->model->encoder && (kind == WF_LABEL_NEXT || kind == WF_LABEL_ROW))
        ids = wf_fixture_input(r->fx, spec->heads[0].labels);
    return ids;
}

/* [B,T], or [B,C,T] where C sequences belong together, or [stacked,B,T]. */
static weft_status read_shape(reader *r) {
    const wf_stored_tensor *ids = find_shape(r);
    int lead = r->stacked > 0;
    if (!ids && r->in->source) {
        r->in->batch = r->in->source->batch;
        r->in->rows = r->in->source->rows;
        return WEFT_OK;
    }
    bool choices =
        ids && ids->rank == 3 && !lead && r->model->spec->n_heads && r->model->spec->heads[0].row->label == WF_LABEL_CHOICE;
    WF_CHECK(ids && (ids->rank == 2 + lead || choices) && wf_stored_count(ids) > 0, r->err, WEFT_BAD_INPUT,
             "'input_ids' is missing or of the wrong shape");
    r->in->choices = choices ? ids->dims[1] : 0;
    r->in->batch = choices ? ids->dims[0] * ids->dims[1] : ids->dims[lead];
    r->in->rows = ids->dims[ids->rank - 1];
    return WEFT_OK;
}

/* Rows of numbers, whichever way a file holds them: [B,T,channels], [B,channels,T], or [B,T] of one channel. */
static weft_status read_features(reader *r) {
    const wf_stem_spec *stem = &r->model->spec->stem;
    const wf_stored_tensor *t = input_of(r, stem->input);
    float *values;
    int64_t n = stem->channels;
    int rows = stem->channels_first ? 2 : 1;
    bool flat = t && t->rank == 2 && n == 1;
    WF_CHECK(t && (flat || (t->rank == 3 && t->dims[3 - rows] == n)) && wf_stored_count(t) > 0, r->err, WEFT_BAD_INPUT,
             "'%s' is missing or of the wrong shape", stem->input);
    r->in->batch = t->dims[0];
    r->in->rows = t->dims[flat ? 1 : rows];
    r->in->channels = n;
    WF_TRY(wf_fixture_floats(r->fx, t, &values, r->err));
    r->in->features = values;
    if (flat || !stem->channels_first)
        return WEFT_OK;
    if (!(r->in->features = wf_arena_alloc(&r->fx->arena, (size_t)wf_stored_count(t) * sizeof *values)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < wf_stored_count(t); i++) {
        int64_t b = i / (r->in->rows * n), c = i / r->in->rows % n;
        r->in->features[(b * r->in->rows + i % r->in->rows) * n + c] = values[i];
    }
    return WEFT_OK;
}

static weft_status read_stack(reader *r) {
    const wf_spec *spec = r->model->spec;
    wf_model_inputs *out = r->in;
    WF_TRY(spec->stem.channels ? read_features(r) : read_shape(r));
    if (!spec->stem.channels)
        WF_TRY(read_ids(r, "input_ids", spec->vocab, &out->ids));
    if (spec->stem.types)
        WF_TRY(read_ids(r, "token_type_ids", spec->vocab, &out->types));
    WF_TRY(read_tables(r));
    WF_TRY(read_mask(r, "attention_mask", out->batch * out->rows, &out->mask));
    WF_TRY(read_mask(r, "global_attention_mask", out->batch * out->rows, &out->global_mask));
    WF_TRY(read_lengths(r));
    return read_positions(r);
}

static weft_status read_source(reader *r) {
    reader own = *r;
    own.model = r->model->encoder;
    own.in = r->in->source = wf_arena_alloc(&r->fx->arena, sizeof *r->in->source);
    if (!own.in)
        return wf_fail_memory(r->err);
    memset(own.in, 0, sizeof *own.in);
    return read_stack(&own);
}

weft_status wf_model_inputs_read(wf_fixture *fx, const wf_model *model, int64_t stacked, int64_t index, wf_model_inputs *out,
                                 weft_error *err) {
    reader r = {fx, model, stacked, index, out, err};
    memset(out, 0, sizeof *out);
    WF_TRY(check_names(&r));
    if (model->encoder)
        WF_TRY(read_source(&r));
    WF_TRY(read_stack(&r));
    WF_TRY(read_variants(&r));
    WF_TRY(read_pairs(&r, model->spec->stem.pairs));
    WF_TRY(read_map(&r, model->spec->stem.query_map));
    WF_TRY(model->spec->stem.segments ? read_rows(&r, model->spec->stem.segments, &out->segments) : WEFT_OK);
    WF_TRY(read_past(&r));
    WF_CHECK(!out->source || out->source->batch == out->batch, err, WEFT_BAD_INPUT, "%lld sources for %lld sequences",
             (long long)out->source->batch, (long long)out->batch);
    if (!model->encoder)
        WF_TRY(read_memory(&r));
    WF_TRY(read_labels(&r));
    return read_probe(&r);
}

/* ---- on a tape ---- */
/* NULL after an error. */
static wf_tensor **record_past(const wf_model_inputs *in, wf_tape *tape, int64_t batch) {
    wf_tensor **past = wf_arena_alloc(wf_tape_arena(tape), (size_t)in->layers * sizeof *past);
    if (!past)
        wf_tape_error(tape, WEFT_NO_MEMORY, "out of memory");
    for (int64_t i = 0; past && i < in->layers; i++)
        past[i] = wf_input(tape, "past", WF_F32, 3, (int64_t[]){batch, in->past_rows, in->past_dim});
    return past;
}

static wf_input_tensors record_stack(const wf_model_inputs *in, wf_tape *tape, int64_t batch, int64_t rows,
                                     wf_model_ports *ports) {
    int64_t dims[2] = {batch, rows};
    wf_input_tensors t = {NULL};
    if (in->ids)
        t.ids = wf_input(tape, "ids", WF_I32, 2, dims);
    if (in->features)
        t.features = wf_input(tape, "features", WF_F32, 3, (int64_t[]){batch, rows, in->channels});
    if (in->types)
        t.types = wf_input(tape, "types", WF_I32, 2, dims);
    if (in->mask)
        t.mask = wf_input(tape, "mask", WF_U8, 2, dims);
    if (in->global_mask)
        t.global_mask = wf_input(tape, "global mask", WF_U8, 2, dims);
    if (in->positions)
        t.positions = wf_input(tape, "positions", WF_I64, 2, dims);
    if (in->variants)
        t.variants = wf_input(tape, "variants", WF_I64, 2, dims);
    for (int i = 0; i < WF_MAX_TABLES; i++)
        ports->tables[i] = t.tables[i] = in->tables[i] ? wf_input(tape, "table ids", WF_I32, in->table_columns[i] > 1 ? 3 : 2,
                                                                  (int64_t[]){batch, rows, in->table_columns[i]})
                                                       : NULL;
    if (in->pairs)
        ports->pairs = t.pairs = wf_input(tape, "pairs", WF_U8, 3, (int64_t[]){batch, rows, rows});
    if (in->map)
        ports->map = t.map = wf_input(tape, "map", WF_F32, 3, (int64_t[]){batch, in->map_rows, rows});
    if (in->segments)
        ports->segments = t.segments = wf_input(tape, "segments", WF_I64, 2, dims);
    if (in->past)
        ports->past = t.past = record_past(in, tape, batch);
    ports->ids = t.ids;
    ports->features = t.features;
    ports->types = t.types;
    ports->mask = t.mask;
    ports->global_mask = t.global_mask;
    ports->positions = t.positions;
    ports->variants = t.variants;
    return t;
}

void wf_source_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, wf_model_ports *ports,
                             wf_input_tensors *t) {
    int64_t memory[3] = {batch, in->memory_rows, in->memory_dim};
    if (in->memory)
        ports->memory = t->memory = wf_input(tape, "memory", WF_F32, 3, memory);
    if (in->memory_mask)
        ports->memory_mask = t->memory_mask = wf_input(tape, "memory mask", WF_U8, 2, memory);
    if (!in->source)
        return;
    t->source = wf_arena_alloc(wf_tape_arena(tape), sizeof *t->source);
    ports->source = wf_arena_alloc(wf_tape_arena(tape), sizeof *ports->source);
    if (!t->source || !ports->source) {
        wf_tape_error(tape, WEFT_NO_MEMORY, "out of memory");
        return;
    }
    *ports->source = (wf_model_ports){NULL};
    *t->source = record_stack(in->source, tape, batch, in->source->rows, ports->source);
}

wf_input_tensors wf_model_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, int64_t rows,
                                        wf_model_ports *ports) {
    wf_input_tensors t = record_stack(in, tape, batch, rows, ports);
    wf_source_inputs_record(in, tape, batch, ports, &t);
    if (!in->ids && in->targets)
        ports->labels = t.labels = wf_input(tape, "labels", WF_I32, 2, (int64_t[]){batch, rows});
    return t;
}

/* Rows first.. of sequences b.. of an input [B,rows,..], `size` bytes a row. */
static void load(const wf_tensor *to, const void *from, size_t size, int64_t rows, int64_t b, int64_t first) {
    for (int64_t s = 0; to && to->data && s < to->dims[0]; s++)
        memcpy((char *)to->data + (size_t)(s * to->dims[1]) * size,
               (const char *)from + (size_t)((b + s) * rows + first) * size, (size_t)to->dims[1] * size);
}

static void load_stack(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b, int64_t first) {
    load(t->ids, in->ids, sizeof *in->ids, in->rows, b, first);
    load(t->features, in->features, (size_t)in->channels * sizeof *in->features, in->rows, b, first);
    load(t->types, in->types, sizeof *in->types, in->rows, b, first);
    load(t->mask, in->mask, sizeof *in->mask, in->rows, b, first);
    load(t->global_mask, in->global_mask, sizeof *in->global_mask, in->rows, b, first);
    load(t->pairs, in->pairs, (size_t)in->rows * sizeof *in->pairs, in->rows, b, first);
    load(t->map, in->map, (size_t)in->rows * sizeof *in->map, in->map_rows, b, 0);
    load(t->segments, in->segments, sizeof *in->segments, in->rows, b, first);
    for (int64_t i = 0; t->past && i < in->layers; i++)
        load(t->past[i], in->past + i * in->batch * in->past_rows * in->past_dim, (size_t)in->past_dim * sizeof *in->past,
             in->past_rows, b, 0);
    load(t->variants, in->variants, sizeof *in->variants, in->rows, b, first);
    load(t->positions, in->positions, sizeof *in->positions, in->rows, b, first);
    for (int i = 0; i < WF_MAX_TABLES; i++)
        load(t->tables[i], in->tables[i], (size_t)in->table_columns[i] * sizeof *in->tables[i], in->rows, b, first);
}

void wf_source_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b) {
    load(t->memory, in->memory, (size_t)in->memory_dim * sizeof *in->memory, in->memory_rows, b, 0);
    load(t->memory_mask, in->memory_mask, sizeof *in->memory_mask, in->memory_rows, b, 0);
    if (t->source)
        load_stack(in->source, t->source, b, 0);
}

void wf_model_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b, int64_t first) {
    load_stack(in, t, b, first);
    load(t->labels, in->targets, sizeof *in->targets, in->rows, b, first);
    wf_source_inputs_load(in, t, b);
}
