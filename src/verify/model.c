/* model.c - kinds `model` and `adapter`: a folder opened as any checkpoint, its outputs and gradients, and for causal models
 * the chunk and step forms with states in place. */
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "families/load.h"
#include "gen/session.h"
#include "verify/adapter.h"
#include "verify/inputs.h"

typedef struct stack_run { /* what the reference calls hidden states */
    int64_t layers;
    wf_tensor **hidden, *stream, *aux_loss, *z_loss; /* hidden NULL: there is no such stack */
    wf_tensor **queries, **next_past;                /* streams of queries as hidden; what goes on to the next call */
    const wf_place *places;                          /* what each block gives */
    const wf_json *said;                             /* of the family: a word, or a list of places; NULL: nothing */
} stack_run;

typedef struct model_run {
    wf_fixture *fx;
    wf_checkpoint c;
    wf_model *model;
    wf_model_inputs in;
    bool backward;      /* something is differentiated: */
    const char *probed; /* sum(output * probe) of this output; NULL: the loss */
    wf_tape *tape;
    wf_tensor *loss, *probe;
    stack_run stack, source; /* of an encoder-decoder: the decoder, the encoder */
    wf_tensor *ids, *mask, *memory;
    wf_head_io heads[WF_MAX_HEADS];
    wf_input_tensors inputs;
    weft_error *err;
} model_run;

/* ---- what the fixture asks for ---- */
static bool has_labels(const model_run *m) {
    for (int i = 0; i < m->model->spec->n_heads; i++)
        if (m->in.labels[i].count)
            return true;
    return false;
}

static weft_status read_backward(model_run *m) {
    const char *backward = wf_json_text(m->fx->json, "backward", NULL);
    m->backward = backward && !wf_streq(backward, "none");
    m->probed = m->backward && !wf_streq(backward, "loss") ? backward : NULL;
    WF_CHECK(!m->probed || m->in.probe, m->err, WEFT_BAD_INPUT, "the input 'probe' is missing");
    WF_CHECK(!m->backward || m->probed || has_labels(m), m->err, WEFT_BAD_INPUT, "the input 'labels' is missing");
    return WEFT_OK;
}

static weft_status add_mask(model_run *m, const char *pattern, const char *name) {
    const wf_model_inputs *source = m->in.source, *in = source && wf_streq(name, "attention_mask") ? source : &m->in;
    bool known = wf_streq(name, source && in == &m->in ? "decoder_attention_mask" : "attention_mask");
    WF_CHECK(known && in->mask, m->err, WEFT_UNSUPPORTED, "comparing where '%s'", name);
    return wf_fixture_add_mask(m->fx, pattern, in->mask, in->batch, in->rows, m->err);
}

/* One mask for every output of its shape, or masks for the outputs that a pattern names. */
static weft_status read_where(model_run *m) {
    const wf_json *map = wf_json_get(m->fx->json, "valid_mask");
    const char *where = wf_json_text(m->fx->json, "compare_where", wf_json_text(m->fx->json, "valid_mask", NULL));
    if (where)
        return add_mask(m, NULL, where);
    for (const wf_json *j = map && map->kind == WF_JSON_OBJECT ? map->child : NULL; j; j = j->next)
        WF_TRY(add_mask(m, j->key, j->kind == WF_JSON_STRING ? j->string : "?"));
    return WEFT_OK;
}

/* ---- the full form ---- */

/* A head with its logits, and the loss of its labels added to the others'. */
static void record_head(model_run *m, int i, const wf_model_ports *ports) {
    const wf_head_labels *l = &m->in.labels[i];
    wf_head_io *io = &m->heads[i];
    wf_model_ports own = wf_model_head_ports(m->model, i, ports);
    *io = wf_model_head_of(m->model, m->tape, i, &own, false);
    wf_keep(m->tape, wf_head_logits(m->tape, io));
    if (!l->count || !m->model->spec->heads[i].row->loss || m->model->spec->heads[i].weight == 0.0f)
        return;
    int64_t each = m->in.map_rows ? m->in.map_rows : m->in.rows;
    bool rows = l->count == m->in.batch * each;
    int64_t dims[2] = {rows ? m->in.batch : l->count, each};
    io->labels = wf_input(m->tape, "labels", l->classes ? WF_I32 : WF_F32, rows ? 2 : 1, dims);
    io->inverse = wf_input(m->tape, "inverse", WF_F32, 1, (int64_t[]){l->columns});
    wf_tensor *loss = m->model->spec->heads[i].row->loss(m->tape, io);
    m->loss = m->loss ? wf_add(m->tape, m->loss, loss) : loss;
}

static wf_tensor *find_output(const model_run *m, const char *name) {
    for (int i = 0; i < m->model->spec->n_heads; i++)
        if (wf_streq(m->model->spec->heads[i].output, name))
            return m->heads[i].logits;
    if (wf_streq(name, "encoder_last_hidden_state") && m->source.hidden)
        return m->source.hidden[m->source.layers];
    return wf_streq(name, "last_hidden_state") ? m->stack.hidden[m->stack.layers] : NULL;
}

static weft_status record_root(model_run *m) {
    if (!m->backward)
        return WEFT_OK;
    if (!m->probed) {
        wf_root(m->tape, m->loss);
        return WEFT_OK;
    }
    wf_tensor *y = find_output(m, m->probed);
    WF_CHECK(y || wf_tape_failed(m->tape), m->err, WEFT_UNSUPPORTED, "backward of '%s'", m->probed);
    WF_CHECK(!y || y->count == m->in.probe_count, m->err, WEFT_BAD_INPUT, "'probe' does not fit '%s'", m->probed);
    m->probe = y ? wf_input(m->tape, "probe", WF_F32, y->rank, y->dims) : NULL;
    wf_root_seeded(m->tape, y, m->probe);
    return WEFT_OK;
}

static weft_status make_stack(model_run *m, const wf_model *model, stack_run *out) {
    out->layers = model->spec->layers;
    size_t size = (size_t)(out->layers + 1) * sizeof *out->hidden;
    out->hidden = wf_arena_alloc(&m->fx->arena, size);
    out->queries = wf_arena_alloc(&m->fx->arena, size);
    out->next_past = wf_arena_alloc(&m->fx->arena, size);
    if (out->queries)
        memset(out->queries, 0, size);
    if (!out->hidden || !out->queries || !out->next_past)
        return wf_fail_memory(m->err);
    wf_json *normal, *said;
    WF_TRY(wf_spec_normal(&m->fx->arena, m->model->spec, &normal, m->err));
    WF_TRY(wf_family_hidden(m->c.family, &m->fx->arena, normal, &said, m->err));
    out->said = said;
    return WEFT_OK;
}

static void take_outputs(model_run *m, const wf_model_ports *ports, stack_run *out) {
    out->stream = ports->stream;
    out->places = ports->places;
    for (int64_t i = 0; i < out->layers && out->said && out->said->kind == WF_JSON_ARRAY; i++)
        wf_keep(m->tape, out->places[i].x);
    wf_keep(m->tape, out->aux_loss = ports->aux_loss);
    wf_keep(m->tape, out->z_loss = ports->z_loss);
}

static weft_status record(model_run *m) {
    wf_model_ports ports = {NULL};
    wf_model_options options = {.mode = WF_NO_STATE, .length = m->in.length, .losses = true};
    WF_TRY(make_stack(m, m->model, &m->stack));
    if (m->model->encoder)
        WF_TRY(make_stack(m, m->model->encoder, &m->source));
    WF_TRY(wf_tape_create(m->fx->env, &(wf_tape_options){.type = WF_F32, .grad = m->backward}, &m->tape, m->err));
    m->inputs = wf_model_inputs_record(&m->in, m->tape, m->in.batch, m->in.rows, &ports);
    ports.hidden_states = m->stack.hidden;
    ports.stream_states = m->stack.queries;
    ports.next_past = m->stack.next_past;
    if (ports.source)
        ports.source->hidden_states = m->source.hidden;
    WF_TRY(wf_model_record(m->model, m->tape, m->in.batch, m->in.rows, &options, &ports, m->err));
    take_outputs(m, &ports, &m->stack);
    if (ports.source)
        take_outputs(m, ports.source, &m->source);
    m->memory = ports.memory;
    wf_keep(m->tape, m->ids = ports.ids);
    wf_keep(m->tape, m->mask = ports.mask);
    for (int i = 0; i < m->model->spec->n_heads; i++)
        record_head(m, i, &ports);
    if (m->loss && ports.extra_loss)
        m->loss = wf_add(m->tape, m->loss, ports.extra_loss);
    if (m->loss)
        wf_keep(m->tape, m->loss);
    WF_TRY(record_root(m));
    return wf_tape_plan(m->tape, m->err);
}

static void load_labels(model_run *m) {
    for (int i = 0; i < m->model->spec->n_heads; i++) {
        const wf_head_labels *l = &m->in.labels[i];
        if (!m->heads[i].labels)
            continue;
        memcpy(m->heads[i].labels->data, l->classes ? (const void *)l->classes : l->values, (size_t)l->count * sizeof(float));
        memcpy(m->heads[i].inverse->data, l->inverse, (size_t)l->columns * sizeof(float));
    }
}

static weft_status forward(model_run *m) {
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_model_inputs_load(&m->in, &m->inputs, 0, 0);
    load_labels(m);
    if (m->probe)
        memcpy(m->probe->data, m->in.probe, (size_t)m->probe->count * sizeof(float));
    WF_TRY(wf_tape_forward(m->tape, &rt, m->err));
    return m->backward ? wf_tape_backward(m->tape, &rt, m->err) : WEFT_OK;
}

/* The columns of logits that have a name each. */
static weft_status compare_columns(model_run *m, const char *names, const wf_tensor *logits) {
    int64_t rows = logits->count / 2;
    float *column = wf_arena_alloc(&m->fx->arena, (size_t)rows * sizeof *column);
    for (int c = 0; c < 2; c++) {
        char *name = wf_arena_strndup(&m->fx->arena, names, strcspn(names, " "));
        if (!column || !name)
            return wf_fail_memory(m->err);
        for (int64_t i = 0; i < rows; i++)
            column[i] = ((const float *)logits->data)[2 * i + c];
        WF_TRY(wf_fixture_compare(m->fx, name, NULL, column, rows, m->err));
        names += strcspn(names, " ") + (c == 0);
    }
    return WEFT_OK;
}

/* "into N": what goes into block N, behind its steps; "of N": what it gives. */
static const wf_tensor *hidden_place(const stack_run *s, const wf_json *said) {
    const char *text = said && said->kind == WF_JSON_STRING ? said->string : "";
    bool of = wf_starts_with(text, "of ");
    int64_t n = strtol(text + strcspn(text, " "), NULL, 10);
    return n < 0 || n >= s->layers + !of ? NULL : of ? s->places[n].x : s->hidden[n];
}

static int64_t hidden_count(const stack_run *s) {
    return s->said && s->said->kind == WF_JSON_ARRAY ? (int64_t)s->said->count : s->layers + 1;
}

/* Entry i of the reference: the input of block i, or in a family that says so its output; the last one is normed. */
static const wf_tensor *hidden_state(const stack_run *s, int64_t i) {
    bool outputs = wf_json_is_string(s->said, "outputs");
    if (s->said && s->said->kind == WF_JSON_ARRAY)
        return hidden_place(s, wf_json_at(s->said, (size_t)i));
    if (wf_json_is_string(s->said, "stream") && i == s->layers)
        return s->stream;
    return !outputs || i == s->layers ? s->hidden[i] : i + 1 < s->layers ? s->hidden[i + 1] : s->stream;
}

static weft_status compare_loss(model_run *m, const char *prefix, const char *name, const wf_tensor *loss) {
    char *full = wf_arena_printf(&m->fx->arena, "%s%s", prefix, name);
    if (!full)
        return wf_fail_memory(m->err);
    return loss ? wf_fixture_compare(m->fx, full, NULL, loss->data, 1, m->err) : WEFT_OK;
}

/* Where sequences were filled up, references keep the rows of the filling or cut them off. */
static weft_status compare_hidden(model_run *m, const char *name, const wf_tensor *hidden) {
    const wf_stored_tensor *t = wf_safetensors_find(m->fx->expected, name);
    int64_t rows = m->in.rows, width = wf_dim(hidden, -1);
    if (hidden->dims[1] == rows || !t || wf_stored_count(t) != m->in.batch * rows * width)
        return wf_fixture_compare(m->fx, name, NULL, hidden->data, hidden->count, m->err);
    float *cut = wf_arena_alloc(&m->fx->arena, (size_t)(m->in.batch * rows * width) * sizeof *cut);
    if (!cut)
        return wf_fail_memory(m->err);
    for (int64_t b = 0; b < m->in.batch; b++)
        memcpy(cut + b * rows * width, (const float *)hidden->data + b * hidden->dims[1] * width,
               (size_t)(rows * width) * sizeof *cut);
    return wf_fixture_compare(m->fx, name, NULL, cut, m->in.batch * rows * width, m->err);
}

static weft_status compare_stack(model_run *m, const stack_run *s, const char *prefix) {
    WF_TRY(compare_loss(m, prefix, "aux_loss", s->aux_loss));
    WF_TRY(compare_loss(m, prefix, "z_loss", s->z_loss));
    const char *last = wf_arena_printf(&m->fx->arena, "%slast_hidden_state", prefix);
    if (!last)
        return wf_fail_memory(m->err);
    WF_TRY(wf_fixture_compare(m->fx, last, NULL, s->hidden[s->layers]->data, s->hidden[s->layers]->count, m->err));
    bool both = m->model->spec->stem.query_map && s->queries[0]; /* the rows and their queries take turns */
    for (int64_t i = 0; i < hidden_count(s); i++) {
        char *name = wf_arena_printf(&m->fx->arena, "%shidden_states.%lld", prefix, (long long)(both ? 2 * i : i));
        char *of_queries = both ? wf_arena_printf(&m->fx->arena, "%shidden_states.%lld", prefix, (long long)(2 * i + 1))
                                : wf_arena_printf(&m->fx->arena, "%sngram_hidden_states.%lld", prefix, (long long)i);
        if (!name || !of_queries)
            return wf_fail_memory(m->err);
        const wf_tensor *hidden = hidden_state(s, i);
        WF_CHECK(hidden, m->err, WEFT_FAILURE, "family %s names no place for '%s'", m->c.family->name, name);
        WF_TRY(compare_hidden(m, name, hidden));
        if (i <= s->layers && s->queries[i])
            WF_TRY(wf_fixture_compare(m->fx, of_queries, NULL, s->queries[i]->data, s->queries[i]->count, m->err));
    }
    return WEFT_OK;
}

/* What goes on to the next call, [P,B,dim] in files. */
static weft_status compare_past(model_run *m, int64_t layer) {
    const wf_tensor *x = m->stack.next_past[layer];
    char *name = wf_arena_printf(&m->fx->arena, "new_mems.%lld", (long long)layer);
    float *turned = x ? wf_arena_alloc(&m->fx->arena, (size_t)x->count * sizeof *turned) : NULL;
    if (!x)
        return WEFT_OK;
    if (!name || !turned)
        return wf_fail_memory(m->err);
    int64_t rows = x->dims[1], width = x->dims[2];
    for (int64_t i = 0; i < x->dims[0] * rows; i++)
        memcpy(turned + (i % rows * x->dims[0] + i / rows) * width, (const float *)x->data + i * width,
               (size_t)width * sizeof *turned);
    return wf_fixture_compare(m->fx, name, NULL, turned, x->count, m->err);
}

static weft_status compare_outputs(model_run *m) {
    const wf_tensor *last = find_output(m, "last_hidden_state"); /* of a head that is called so, the logits (FSMT) */
    for (int i = 0; i < m->model->spec->n_heads; i++) {
        const wf_head_spec *head = &m->model->spec->heads[i];
        const wf_tensor *y = m->heads[i].logits;
        WF_TRY(strchr(head->output, ' ') ? compare_columns(m, head->output, y)
                                         : wf_fixture_compare(m->fx, head->output, NULL, y->data, y->count, m->err));
    }
    for (int64_t i = 0; i < m->stack.layers; i++)
        WF_TRY(compare_past(m, i));
    if (m->loss)
        WF_TRY(wf_fixture_compare(m->fx, "loss", NULL, m->loss->data, 1, m->err));
    if (m->model->encoder)
        WF_TRY(wf_fixture_compare(m->fx, "last_hidden_state", NULL, last->data, last->count, m->err));
    if (m->model->encoder)
        WF_TRY(compare_stack(m, &m->source, "encoder_"));
    return compare_stack(m, &m->stack, m->model->encoder ? "decoder_" : "");
}

/* A gradient has the file's shape: it moves as the weight does. */
static weft_status compare_gradient(model_run *m, const wf_tensor_map *map) {
    const float *parts[WF_NAME_PARTS];
    float *file = wf_arena_alloc(&m->fx->arena, (size_t)map->count * sizeof *file);
    float *scratch = wf_arena_alloc(&m->fx->arena, 2 * (size_t)map->count * sizeof *scratch);
    char *name = wf_arena_printf(&m->fx->arena, "grad.%s", wf_checkpoint_name(&m->c, map));
    if (!file || !scratch || !name)
        return wf_fail_memory(m->err);
    for (size_t i = 0; i < map->n_parts; i++) {
        const wf_param *p = m->model->params.list[map->parts[i].param];
        if (!p->grad)
            return WEFT_OK; /* a buffer */
        parts[i] = p->grad + map->parts[i].first;
    }
    wf_map_write(map, parts, file, scratch);
    return wf_fixture_compare(m->fx, name, NULL, file, map->count, m->err);
}

static weft_status run_full(model_run *m) {
    if (m->backward)
        WF_TRY(wf_params_allocate_grads(&m->model->params, m->err));
    WF_TRY(record(m));
    WF_TRY(forward(m));
    WF_TRY(compare_outputs(m));
    for (size_t i = 0; m->backward && i < m->c.names.count; i++)
        WF_TRY(compare_gradient(m, &m->c.names.list[i]));
    return WEFT_OK;
}

/* ---- decoding: pieces of these lengths, states in place ---- */
typedef struct decode {
    model_run *m;
    const wf_model_inputs *in;
    wf_state *state;
    float *logits; /* [B,T,V] */
} decode;

/* The source is read once, before the first piece. */
static weft_status read_source(decode *d, wf_tape **tape) {
    wf_model_ports ports = {NULL};
    wf_input_tensors inputs = {NULL};
    const wf_tensor *memory = d->m->memory;
    wf_runtime rt = {.loss_scale = 1.0f};
    if (!memory)
        return WEFT_OK;
    WF_TRY(wf_state_open_source(d->state, memory->dims[1], memory->dims[2], 1, d->m->err));
    WF_TRY(wf_tape_create(d->m->fx->env, &(wf_tape_options){.type = WF_F32}, tape, d->m->err));
    wf_source_inputs_record(d->in, *tape, d->in->batch, &ports, &inputs);
    WF_TRY(wf_model_remember(d->m->model, *tape, d->state, &ports, d->m->err));
    WF_TRY(wf_tape_plan(*tape, d->m->err));
    wf_source_inputs_load(d->in, &inputs, 0);
    return wf_tape_forward(*tape, &rt, d->m->err);
}

static weft_status decode_piece(decode *d, int64_t first, int64_t rows, wf_tape **tape) {
    const wf_model *model = d->m->model;
    wf_model_ports ports = {NULL};
    wf_model_options options = {.mode = WF_STATE_IN_PLACE, .state = d->state, .length = d->in->length};
    wf_runtime rt = {.loss_scale = 1.0f, .start = d->state->start};
    int64_t vocab = model->spec->heads[0].classes;
    WF_TRY(wf_tape_create(d->m->fx->env, &(wf_tape_options){.type = WF_F32}, tape, d->m->err));
    wf_model_inputs own = *d->in; /* the source has been read */
    own.source = NULL;
    own.memory = NULL;
    own.memory_mask = NULL;
    wf_input_tensors inputs = wf_model_inputs_record(&own, *tape, d->in->batch, rows, &ports);
    WF_TRY(wf_model_record(model, *tape, d->in->batch, rows, &options, &ports, d->m->err));
    wf_tensor *logits = wf_model_logits(model, *tape, ports.hidden);
    wf_keep(*tape, logits);
    WF_TRY(wf_tape_plan(*tape, d->m->err));
    wf_model_inputs_load(&own, &inputs, 0, first);
    WF_TRY(wf_tape_forward(*tape, &rt, d->m->err));
    for (int64_t b = 0; b < d->in->batch; b++) {
        memcpy(d->logits + (b * d->in->rows + first) * vocab, (const float *)logits->data + b * rows * vocab,
               (size_t)(rows * vocab) * sizeof(float));
        d->state->start[b] += rows;
    }
    return WEFT_OK;
}

enum { MOST_PIECES = 4 };

/* The lengths of the pieces: one token each (chunk 1), or cuts drawn for this fixture. */
static int64_t next_piece(const decode *d, int64_t first, bool steps, int64_t index) {
    int64_t left = d->in->rows - first;
    wf_rng rng = wf_rng_make(11, (uint32_t)strlen(d->m->fx->name), (uint32_t)d->in->rows);
    if (steps)
        return 1;
    return index + 1 == MOST_PIECES ? left : 1 + (int64_t)wf_rng_below(rng, (uint64_t)index, (uint64_t)left);
}

static weft_status run_decode(model_run *m, const wf_model_inputs *in, bool steps, float *logits) {
    decode d = {m, in, NULL, logits};
    weft_status status = wf_state_create(m->model, in->batch, in->rows, steps ? 1 : in->rows, &d.state, m->err);
    int64_t index = 0;
    wf_tape *once = NULL;
    status = status == WEFT_OK ? read_source(&d, &once) : status;
    wf_tape_free(once);
    for (int64_t first = 0; status == WEFT_OK && first < in->rows; index++) {
        wf_tape *tape = NULL;
        int64_t rows = next_piece(&d, first, steps, index);
        status = decode_piece(&d, first, rows, &tape);
        wf_tape_free(tape);
        first += rows;
    }
    wf_state_free(d.state);
    return status;
}

static bool has_layer(const wf_model *m, bool (*says)(const wf_layer *l)) {
    for (int64_t i = 0; i < m->spec->layers; i++)
        if (says(m->spec->blocks[i].mixer) || (m->spec->blocks[i].channel && says(m->spec->blocks[i].channel)))
            return true;
    return false;
}

static bool keeps_rows(const wf_layer *l) {
    for (int i = 0; i < l->n_states; i++)
        if (l->states[i].present && l->states[i].row->kind == WF_STATE_APPEND)
            return true;
    return false;
}

static bool decodes_apart(const wf_layer *l) { return l->apart; }
/* Padding before a sequence leaves a trace: it is said so, or it goes into the state like any row. */
static bool marked_by_padding(const wf_layer *l) {
    unsigned traits = wf_layer_traits(l);
    return (traits & WF_PADDING_TRACE) || (!(traits & WF_PADDING_INERT) && l->n_states > 0);
}

/* Every input from row `at` on. */
static void slice_rows(wf_model_inputs *in, int64_t at) {
    in->ids = in->ids ? in->ids + at : NULL;
    in->features = in->features ? in->features + at * in->channels : NULL;
    in->types = in->types ? in->types + at : NULL;
    in->mask = in->mask ? in->mask + at : NULL;
    in->global_mask = in->global_mask ? in->global_mask + at : NULL;
    in->positions = in->positions ? in->positions + at : NULL;
    for (int i = 0; i < WF_MAX_TABLES; i++)
        in->tables[i] = in->tables[i] ? in->tables[i] + at * in->table_columns[i] : NULL;
}

/* What sequence b reads beside its own tokens. */
static weft_status own_source(model_run *m, int64_t b, wf_model_inputs *out) {
    const wf_model_inputs *in = &m->in, *source = in->source;
    if (in->memory)
        out->memory = in->memory + b * in->memory_rows * in->memory_dim;
    if (in->memory_mask)
        out->memory_mask = in->memory_mask + b * in->memory_rows;
    if (!source)
        return WEFT_OK;
    if (!(out->source = wf_arena_alloc(&m->fx->arena, sizeof *out->source)))
        return wf_fail_memory(m->err);
    *out->source = *source;
    out->source->batch = 1;
    slice_rows(out->source, b * source->rows);
    return WEFT_OK;
}

/* Sequence b without its padding; false when there is a hole in it. Every position is explicit, unless the model counts tokens.
 */
static bool unpad(model_run *m, int64_t b, wf_model_inputs *out, int64_t *first) {
    const wf_model_inputs *in = &m->in;
    const uint8_t *mask = in->mask + b * in->rows;
    int64_t begin = 0, end = in->rows;
    while (begin < end && !mask[begin])
        begin++;
    while (end > begin && !mask[end - 1])
        end--;
    for (int64_t t = begin; t < end; t++)
        if (!mask[t])
            return false;
    int64_t *positions = wf_arena_alloc(&m->fx->arena, (size_t)in->rows * sizeof *positions), at = b * in->rows + begin;
    if (!positions || begin == end)
        return false;
    for (int64_t t = begin; t < end; t++)
        positions[t - begin] = in->positions ? in->positions[b * in->rows + t] : t;
    *out = (wf_model_inputs){.batch = 1,
                             .rows = end - begin,
                             .length = in->length,
                             .ids = in->ids + at,
                             .types = in->types ? in->types + at : NULL,
                             .positions = m->model->spec->stem.count != WF_COUNT_ROWS && !in->positions ? NULL : positions,
                             .memory_rows = in->memory_rows,
                             .memory_dim = in->memory_dim};
    for (int i = 0; i < WF_MAX_TABLES; i++) {
        out->table_columns[i] = in->table_columns[i];
        out->tables[i] = in->tables[i] ? in->tables[i] + at * in->table_columns[i] : NULL;
    }
    *first = at;
    return own_source(m, b, out) == WEFT_OK;
}

/* States of a fixed size take padding like any row; a mixer that keeps one row per token never keeps padding: the sequences run
 * one by one, without it, unless that would not be the same. */
static weft_status run_form(model_run *m, bool steps) {
    const wf_head_spec *head = &m->model->spec->heads[0];
    const wf_tensor *full = m->heads[0].logits;
    bool whole = !m->in.mask || !has_layer(m->model, keeps_rows), marked = has_layer(m->model, marked_by_padding);
    float *logits = wf_arena_alloc(&m->fx->arena, (size_t)full->count * sizeof *logits);
    if (!logits)
        return wf_fail_memory(m->err);
    memcpy(logits, full->data, (size_t)full->count * sizeof *logits); /* padding rows stay */
    if (whole)
        WF_TRY(run_decode(m, &m->in, steps, logits));
    for (int64_t b = 0; !whole && b < m->in.batch; b++) {
        wf_model_inputs one;
        int64_t first;
        if (unpad(m, b, &one, &first) && !(marked && first > b * m->in.rows))
            WF_TRY(run_decode(m, &one, steps, logits + first * head->classes));
    }
    return wf_fixture_compare(m->fx, head->output, steps ? "step" : "chunk", logits, full->count, m->err);
}

/* Inputs that are buffers of the mixers: the rotations of hashes, which the reference draws. */
static weft_status fill_buffers(model_run *m) {
    for (size_t i = 0; i < m->model->params.count; i++) {
        wf_param *p = m->model->params.list[i];
        const char *name = p->buffer ? strrchr(p->name, '.') : NULL;
        const wf_stored_tensor *t = name ? wf_fixture_input(m->fx, name + 1) : NULL;
        float *values;
        if (!t)
            continue;
        WF_TRY(wf_fixture_shape(t, p->rank, p->dims, m->err));
        WF_TRY(wf_fixture_floats(m->fx, t, &values, m->err));
        memcpy(p->value, values, (size_t)p->count * sizeof *values);
    }
    return WEFT_OK;
}

/* What the decoder was made to read, and a mask that its tokens told, are given to the other forms. */
static weft_status keep_inputs(model_run *m) {
    if (!m->in.ids && m->ids) {
        if (!(m->in.ids = wf_arena_alloc(&m->fx->arena, (size_t)m->ids->count * sizeof *m->in.ids)))
            return wf_fail_memory(m->err);
        memcpy(m->in.ids, m->ids->data, (size_t)m->ids->count * sizeof *m->in.ids);
    }
    if (!m->in.mask && m->mask) {
        if (!(m->in.mask = wf_arena_alloc(&m->fx->arena, (size_t)m->mask->count)))
            return wf_fail_memory(m->err);
        memcpy(m->in.mask, m->mask->data, (size_t)m->mask->count);
    }
    return WEFT_OK;
}

/* ---- an adapter: its gradients, then the same outputs with its terms in the weights, then the base again ---- */
static weft_status run_merged(model_run *m) {
    wf_tape_free(m->tape);
    m->tape = NULL;
    m->loss = NULL;
    m->backward = false;
    memset(m->heads, 0, sizeof m->heads);
    WF_TRY(record(m));
    WF_TRY(forward(m));
    return compare_outputs(m);
}

static weft_status run_adapter(model_run *m) {
    if (!m->model->adapters)
        return WEFT_OK;
    if (m->backward)
        WF_TRY(wf_verify_adapter_tensors(m->fx, m->model, "grad", true, m->err));
    weft_status status = wf_adapters_merge(m->model, false, m->err);
    if (!wf_json_bool(m->fx->json, "merge", true)) {
        WF_CHECK(status == WEFT_UNSUPPORTED, m->err, WEFT_FAILURE, "an adapter that no file can hold was merged");
        return WEFT_OK;
    }
    WF_TRY(status);
    WF_TRY(run_merged(m));
    WF_TRY(wf_verify_merged(m->fx, &m->c, m->err));
    return wf_verify_unmerged(m->fx, &m->c, m->err);
}

/* Conventions that say nothing of themselves have no family here. */
static weft_status without_family(model_run *m, weft_status status) {
    char *config = wf_path_join(&m->fx->arena, m->fx->path, "config.json");
    WF_CHECK(!config || wf_is_file(config), m->err, WEFT_UNSUPPORTED, "a model '%s' without a config.json",
             wf_json_text(m->fx->json, "family", wf_json_text(m->fx->json, "architecture", "?")));
    return status;
}

static weft_status open_model(model_run *m) {
    wf_load_options how = {.strict = true, .unmerged = true, .arguments = wf_json_get(m->fx->json, "arguments")};
    WF_TRY(wf_fixture_adapter(m->fx, &how.adapter, m->err));
    weft_status status = wf_checkpoint_open(m->fx->env, m->fx->path, &how, &m->c, m->err);
    m->model = m->c.model;
    return status == WEFT_OK ? WEFT_OK : without_family(m, status);
}

static weft_status run(model_run *m) {
    WF_CHECK(m->fx->inputs && m->fx->expected, m->err, WEFT_BAD_INPUT, "the fixture lacks its inputs or expected tensors");
    WF_TRY(open_model(m));
    WF_TRY(wf_model_inputs_read(m->fx, m->model, 0, 0, &m->in, m->err));
    WF_TRY(fill_buffers(m));
    WF_TRY(read_backward(m));
    WF_TRY(read_where(m));
    WF_TRY(run_full(m));
    WF_TRY(run_adapter(m));
    if (!wf_json_bool(m->fx->json, "prefix_invariant", true) || has_layer(m->model, decodes_apart) ||
        wf_model_can_stream(m->model, NULL) != WEFT_OK)
        return WEFT_OK;
    WF_TRY(keep_inputs(m));
    WF_TRY(run_form(m, false));
    return run_form(m, true);
}

weft_status wf_verify_model(wf_fixture *fx, weft_error *err) {
    model_run m = {.fx = fx, .err = err};
    weft_status status = run(&m);
    wf_tape_free(m.tape);
    if (m.model)
        wf_checkpoint_close(&m.c);
    return status;
}
