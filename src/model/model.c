/* model.c - a model's parameters from its spec, and recording it: stem, blocks, norm, head. */
#include "model/parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mixers/layer_cost.h"

/* ---- parameters ---- */
/* GPT-2's 0.02 at its width of 768. Tables follow it too: at width 128 a fixed 0.02 is so small that Adam's first steps
 * overwrite the embeddings, and attention models learn nothing for hundreds of steps. */
float wf_init_std(int64_t width) { return (float)(0.5 / sqrt((double)width)); }

static wf_model *whole(wf_model *m) { return m->whole ? m->whole : m; }
wf_arena *wf_model_arena(wf_model *m) { return &whole(m)->arena; }

/* The parameters of an encoder are those of the model around it, with a word before their names. */
enum { NAME_SIZE = 192 };
static void full_name(const wf_model *m, const char *name, char out[NAME_SIZE]) {
    snprintf(out, NAME_SIZE, "%s%s", m->whole ? "encoder." : "", name);
}

weft_status wf_declare(wf_model *m, const char *name, int rank, const int64_t *dims, wf_init init, wf_param **out,
                       weft_error *err) {
    char full[NAME_SIZE];
    full_name(m, name, full);
    WF_TRY(wf_param_add(&whole(m)->params, full, rank, dims, out, err));
    (*out)->init = init;
    return WEFT_OK;
}

weft_status wf_declare_norm(wf_model *m, const wf_norm_spec *norm, const char *name, int64_t width, wf_param **weight,
                            wf_param **bias, weft_error *err) {
    char full[96];
    if (norm->affine) {
        snprintf(full, sizeof full, "%s.weight", name);
        WF_TRY(wf_declare(m, full, 1, &width, norm->offset == 0.0f ? WF_INIT_ONES : WF_INIT_CONSTANT, weight, err));
        (*weight)->init_scale = 1.0f - norm->offset;
    }
    if (norm->bias) {
        snprintf(full, sizeof full, "%s.bias", name);
        WF_TRY(wf_declare(m, full, 1, &width, WF_INIT_ZEROS, bias, err));
    }
    return WEFT_OK;
}

weft_status wf_declare_linear(wf_model *m, const char *name, int64_t out, int64_t in, bool bias, wf_param **weight_bias,
                              weft_error *err) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    WF_TRY(wf_declare(m, full, 2, (int64_t[]){out, in}, WF_INIT_NORMAL, &weight_bias[0], err));
    weight_bias[0]->init_scale = wf_init_std(in);
    snprintf(full, sizeof full, "%s.bias", name);
    return bias ? wf_declare(m, full, 1, &out, WF_INIT_ZEROS, &weight_bias[1], err) : WEFT_OK;
}

typedef struct init_row {
    const char *word;
    wf_init init;
} init_row;
static const init_row inits[] = {{"zeros", WF_INIT_ZEROS},      {"ones", WF_INIT_ONES},          {"normal:", WF_INIT_NORMAL},
                                 {"uniform:", WF_INIT_UNIFORM}, {"constant:", WF_INIT_CONSTANT}, {"custom", WF_INIT_CUSTOM},
                                 {"table:", WF_INIT_NORMAL}};

/* "linear": by fan in; "linear_out" shrinks with depth. */
static void set_init(wf_param *p, const wf_layer_slot *slot, int64_t layers) {
    const wf_slot *row = slot->row;
    if (strncmp(row->init, "linear", 6) == 0) {
        float depth = strcmp(row->init, "linear_out") == 0 ? (float)sqrt(2.0 * (double)layers) : 1.0f;
        p->init = WF_INIT_NORMAL;
        p->init_scale = wf_init_std(p->rank > 0 ? p->dims[p->rank - 1] : 1) / depth;
        return;
    }
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
        if (wf_starts_with(row->init, inits[i].word)) {
            p->init = inits[i].init;
            p->init_scale = (float)strtod(row->init + strlen(inits[i].word), NULL);
        }
    if (slot->seed) {
        bool given = slot->seed->type != WF_NULL;
        p->init = given ? WF_INIT_SEEDED : WF_INIT_NORMAL;
        p->init_scale = 1.0f;
        p->init_seed = given ? (uint64_t)slot->seed->integer : 0;
    }
    p->init_fn = row->init_fn;
    p->table = wf_starts_with(row->init, "table:");
}

/* A weight of an earlier block in the place of the layer's own. */
static weft_status borrow_slot(wf_model *m, wf_layer_slot *slot, const char *part, const wf_json *from, weft_error *err) {
    char own[160], name[NAME_SIZE];
    snprintf(own, sizeof own, "block.%lld.%s.%s", (long long)from->integer, part, slot->name);
    full_name(m, own, name);
    slot->param = wf_param_find(&whole(m)->params, name);
    WF_CHECK(slot->param && slot->param->rank == slot->rank &&
                 memcmp(slot->param->dims, slot->dims, (size_t)slot->rank * sizeof *slot->dims) == 0,
             err, WEFT_USAGE, "'%s' cannot be borrowed", name);
    return WEFT_OK;
}

/* `*last` of the layer's matrices that read the same rows comes before this one. */
static void chain(wf_param **last, wf_param *p) {
    if (*last && (*last)->rank == p->rank && (*last)->dims[p->rank - 1] == p->dims[p->rank - 1])
        (*last)->together = p;
    *last = p;
}

static weft_status declare_layer(wf_model *m, wf_layer *layer, const char *prefix, const wf_json *borrow, weft_error *err) {
    const char *part = strrchr(prefix, '.') + 1;
    char name[160];
    wf_param *last = NULL;
    for (size_t i = 0; i < layer->n_slots; i++) {
        wf_layer_slot *slot = &layer->slots[i];
        snprintf(name, sizeof name, "%s.%s", part, slot->name);
        const wf_json *from = wf_json_get(borrow, name);
        if (from) {
            WF_TRY(borrow_slot(m, slot, part, from, err));
            continue;
        }
        snprintf(name, sizeof name, "%s.%s", prefix, slot->name);
        WF_TRY(wf_declare(m, name, slot->rank, slot->dims, WF_INIT_ZEROS, &slot->param, err));
        slot->param->buffer = slot->row->buffer;
        slot->param->no_decay = slot->no_decay;
        set_init(slot->param, slot, m->spec->layers);
        if (slot->together)
            chain(&last, slot->param);
    }
    return WEFT_OK;
}

static weft_status share_layer(wf_layer *layer, const wf_layer *from, weft_error *err) {
    WF_CHECK(from && layer->row == from->row && layer->n_slots == from->n_slots, err, WEFT_USAGE,
             "%s: shares weights with a different mixer", layer->where);
    for (size_t i = 0; i < layer->n_slots; i++) {
        WF_CHECK(memcmp(layer->slots[i].dims, from->slots[i].dims, sizeof from->slots[i].dims) == 0, err, WEFT_USAGE,
                 "%s: shares weights of another shape", layer->where);
        layer->slots[i].param = from->slots[i].param;
    }
    return WEFT_OK;
}

static weft_status share_block(wf_model *m, wf_block_spec *b, wf_block_params *p, weft_error *err) {
    const wf_block_spec *from = &m->spec->blocks[b->share];
    WF_CHECK(b->wiring == from->wiring, err, WEFT_USAGE, "%s: shares weights with a block of another wiring", b->mixer->where);
    for (int i = 0; i < (b->channel ? b->wiring->norms : b->wiring->norms_without_channel); i++)
        WF_CHECK(b->norm[i].affine == from->norm[i].affine && b->norm[i].bias == from->norm[i].bias, err, WEFT_USAGE,
                 "%s: shares weights with a block of other norms", b->mixer->where);
    WF_TRY(share_layer(b->mixer, from->mixer, err));
    WF_CHECK(!b->before || b->memory_norm.kind == WF_NORM_NONE || (from->before && b->from_dim == from->from_dim), err,
             WEFT_USAGE, "%s: shares weights with a block that reads another memory", b->mixer->where);
    WF_CHECK(!b->cross == !from->cross && !b->aside == !from->aside && !b->adapter == !from->adapter, err, WEFT_USAGE,
             "%s: shares weights with a block of other parts", b->mixer->where);
    if (b->cross)
        WF_TRY(share_layer(b->cross, from->cross, err));
    if (b->aside)
        WF_TRY(share_layer(b->aside, from->aside, err));
    if (b->adapter)
        WF_TRY(share_layer(b->adapter, from->adapter, err));
    if (b->channel)
        WF_TRY(share_layer(b->channel, from->channel, err));
    wf_rows_params *own = p->rows;
    *p = m->blocks[b->share];
    p->rows = own;
    return WEFT_OK;
}

static weft_status declare_parts(wf_model *m, int64_t i, wf_block_spec *b, weft_error *err) {
    const struct {
        const char *name;
        wf_layer *layer;
    } rows[] = {
        {"mixer", b->mixer}, {"cross", b->cross}, {"aside", b->aside}, {"channel", b->channel}, {"adapter", b->adapter}};
    char name[64];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        snprintf(name, sizeof name, "block.%lld.%s", (long long)i, rows[r].name);
        if (rows[r].layer)
            WF_TRY(declare_layer(m, rows[r].layer, name, b->borrow, err));
    }
    return WEFT_OK;
}

static weft_status declare_block(wf_model *m, int64_t i, weft_error *err) {
    wf_block_spec *b = &m->spec->blocks[i];
    wf_block_params *p = &m->blocks[i];
    char name[64];
    snprintf(name, sizeof name, "block.%lld.rows", (long long)i);
    WF_TRY(wf_rows_declare(m, name, &b->rows, &p->rows, err));
    if (b->share >= 0)
        return share_block(m, b, p, err);
    snprintf(name, sizeof name, "block.%lld.memory_norm", (long long)i);
    WF_TRY(wf_declare_norm(m, &b->memory_norm, name, b->from_dim, &p->memory_norm[0], &p->memory_norm[1], err));
    int norms = b->channel ? b->wiring->norms : b->wiring->norms_without_channel;
    for (int n = 0; n < norms; n++) {
        snprintf(name, sizeof name, "block.%lld.norm%d", (long long)i, n + 1);
        WF_TRY(wf_declare_norm(m, &b->norm[n], name, b->dim, &p->norm_weight[n], &p->norm_bias[n], err));
    }
    snprintf(name, sizeof name, "block.%lld.aside_norm", (long long)i);
    if (b->aside)
        WF_TRY(wf_declare_norm(m, &b->aside_norm, name, b->dim, &p->aside_norm[0], &p->aside_norm[1], err));
    snprintf(name, sizeof name, "block.%lld.adapter_norm", (long long)i);
    if (b->adapter && b->adapter_own_norm)
        WF_TRY(wf_declare_norm(m, &b->adapter_norm, name, b->dim, &p->adapter_norm[0], &p->adapter_norm[1], err));
    for (int n = 0; b->cross && n < b->wiring->cross_norms; n++) {
        snprintf(name, sizeof name, "block.%lld.cross_norm%d", (long long)i, n + 1);
        WF_TRY(wf_declare_norm(m, &b->cross_norm[n], name, b->dim, &p->cross_norm_weight[n], &p->cross_norm_bias[n], err));
    }
    for (int g = 0; b->wiring->gates && g < (b->channel ? 2 : 1); g++) {
        snprintf(name, sizeof name, "block.%lld.gate%d", (long long)i, g + 1);
        WF_TRY(wf_declare(m, name, 1, &b->dim, b->wiring->gates == WF_GATES_OPEN ? WF_INIT_ONES : WF_INIT_ZEROS, &p->gate[g],
                          err));
    }
    return declare_parts(m, i, b, err);
}

static weft_status declare_out(wf_model *m, const char *name, const wf_out_spec *out, int64_t width, wf_param **weight_bias,
                               weft_error *err) {
    return out->there ? wf_declare_linear(m, name, out->dim, width, out->bias, weight_bias, err) : WEFT_OK;
}

static weft_status declare_all(wf_model *m, weft_error *err);

static weft_status declare_encoder(wf_model *m, weft_error *err) {
    m->encoder = wf_arena_alloc(&m->arena, sizeof *m->encoder);
    if (!m->encoder)
        return wf_fail_memory(err);
    *m->encoder = (wf_model){.env = m->env, .spec = m->spec->encoder, .whole = m};
    return declare_all(m->encoder, err);
}

static weft_status declare_all(wf_model *m, weft_error *err) {
    m->blocks = wf_arena_alloc(&whole(m)->arena, (size_t)m->spec->layers * sizeof *m->blocks);
    if (!m->blocks)
        return wf_fail_memory(err);
    WF_TRY(wf_stem_declare(m, err));
    if (m->spec->encoder)
        WF_TRY(declare_encoder(m, err));
    for (int64_t i = 0; i < m->spec->layers; i++)
        WF_TRY(declare_block(m, i, err));
    WF_TRY(wf_rows_declare(m, "rows", &m->spec->rows, &m->rows, err));
    int64_t end = wf_spec_end_width(m->spec);
    WF_TRY(wf_declare_norm(m, &m->spec->norm, "norm", end, &m->norm[0], &m->norm[1], err));
    if (m->spec->layer_sum)
        WF_TRY(wf_declare(m, "layer_sum", 1, (int64_t[]){m->spec->layers + 1}, WF_INIT_ZEROS, &m->layer_sum, err));
    WF_TRY(declare_out(m, "project", &m->spec->project, end, m->out, err));
    WF_TRY(declare_out(m, "bridge", &m->spec->bridge, m->spec->project.dim, m->bridge, err));
    return wf_heads_declare(m, err);
}

weft_status wf_model_create(const wf_env *env, const wf_json *spec, wf_model **out, weft_error *err) {
    wf_model *m = wf_calloc(&env->mem, 1, sizeof *m);
    if (!m)
        return wf_fail_memory(err);
    m->env = env;
    wf_arena_init(&m->arena, &env->mem, 0);
    wf_params_open(&m->params, env);
    wf_json *copy = wf_json_copy(&m->arena, spec);
    weft_status status = copy ? wf_spec_read(&m->arena, copy, &m->spec, err) : wf_fail_memory(err);
    if (status == WEFT_OK)
        status = declare_all(m, err);
    m->own_params = m->params.count;
    if (status == WEFT_OK && (m->arena.failed || m->params.arena.failed))
        status = wf_fail_memory(err);
    if (status != WEFT_OK) {
        wf_model_free(m);
        return status;
    }
    *out = m;
    return WEFT_OK;
}

/* Laying matrices out takes time of its own, and a model of more parameters is not worth being there twice. */
weft_status wf_model_expect(wf_model *m, uint64_t rows, weft_error *err) {
    enum { FEWEST_ROWS = 1024, MOST_PARAMETERS = 1 << 29 };
    if ((m->token && m->token->int8) || rows < FEWEST_ROWS || wf_params_total(&m->params) > MOST_PARAMETERS)
        return WEFT_OK;
    return wf_params_allocate_panels(&m->params, err);
}

void wf_model_free(wf_model *m) {
    if (!m)
        return;
    const wf_mem *mem = &m->env->mem;
    if (m->release_adapters)
        m->release_adapters(mem, m->adapters);
    wf_params_close(&m->params);
    if (m->release_files)
        m->release_files(m->files);
    wf_arena_free(&m->arena);
    wf_free(mem, m);
}

/* ---- recording ---- */
/* Inputs for a layer's states while decoding: bound to the state's memory. */
static void bind_states(wf_tape *t, const wf_state *state, size_t layer, wf_layer_state *out) {
    for (int i = 0; i < WF_MAX_STATES; i++) {
        const wf_state_buffer *buffer = &state->buffers[layer * WF_MAX_STATES + (size_t)i];
        if (buffer->data)
            out->in[i] = wf_state_bind(t, buffer);
    }
}

typedef struct recorder {
    const wf_model *model;
    const wf_model_options *options;
    wf_run run;
    wf_ports ports;
    wf_losses losses;
    int64_t rows;       /* of the main stream */
    wf_tensor *queries; /* the streams of queries so far; NULL: none */
    wf_tensor **past, **next_past;
    bool last;               /* the last block gives its last row alone */
    wf_tensor *shares, *sum; /* of a sum over layers: the weight of each, and the sum so far */
} recorder;

static void begin_sum(recorder *r, const wf_model *m) {
    if (m->layer_sum)
        r->shares =
            wf_unit(r->run.tape, wf_activate(r->run.tape, wf_use(r->run.tape, m->layer_sum), WF_EXP), WF_UNIT_SUM, 1e-30f);
}

/* x goes into block i, or is what the norm gives behind the last one. */
static wf_tensor *add_layer(recorder *r, int64_t i, wf_tensor *x) {
    wf_tape *t = r->run.tape;
    if (!r->shares)
        return x;
    x = wf_scale_by(t, wf_cast(t, x, WF_F32), wf_slice_channels(t, r->shares, i, 1));
    return r->sum = r->sum ? wf_add(t, r->sum, x) : x;
}

/* Rows before the sequences of block i: given, or zeros; `past_rows` of them. */
static wf_tensor *find_past(recorder *r, const wf_block_spec *block, wf_tensor *given) {
    int64_t dims[3] = {r->run.batch, 1, r->model->spec->dim};
    r->ports.past_rows = given ? given->dims[1] : block->past_start;
    return given ? given : block->past_start > 0 ? wf_zeros(r->run.tape, 3, dims) : NULL;
}

/* What goes on to the next call of the rows before this one and the rows x that went into the block. */
static wf_tensor *next_past(recorder *r, const wf_block_spec *block, wf_tensor *past, wf_tensor *x) {
    wf_tape *t = r->run.tape;
    int64_t keep = block->past_keep;
    if (!x || keep == 0)
        return NULL;
    if (past && past->dims[1] != r->ports.past_rows)
        past = wf_zeros(t, 3, (int64_t[]){x->dims[0], r->ports.past_rows, x->dims[2]});
    if (block->past_take > 0 && block->past_take < x->dims[1])
        x = wf_time_slice(t, x, 0, block->past_take);
    x = wf_time_concat(t, past, x);
    return x && keep > 0 && keep < x->dims[1] ? wf_time_slice(t, x, x->dims[1] - keep, keep) : x;
}

/* One stream through the block: the rows, or the queries. */
static wf_tensor *through(recorder *r, wf_block_run b, wf_tensor *in, wf_tensor *past, weft_status *status) {
    const wf_block_spec *block = b.block;
    b.past = past;
    wf_tensor *x = wf_scale(r->run.tape, block->wiring->run(&b, in), block->stream_scale);
    if (block->aside)
        x = wf_cast(r->run.tape, wf_block_aside(&b, in, x), WF_F32);
    if (*status == WEFT_OK)
        *status = b.status;
    return x;
}

/* The streams of queries behind the rows they look at. */
static void queries_through(recorder *r, wf_block_run b, wf_tensor *past, weft_status *status) {
    if (!r->queries)
        return;
    r->ports.queries = r->model->spec->stem.queries;
    r->run.rows = r->queries->dims[1];
    r->queries = through(r, b, r->queries, past, status);
    r->ports.queries = 0;
    r->run.rows = r->rows;
}

/* Is the block recomputed from its input? Those made of couplings rebuild it themselves. */
static bool is_region(const wf_model_options *o, const wf_block_spec *b) {
    bool rebuilds = b->wiring->rebuilds || (wf_layer_traits(b->mixer) & WF_REBUILDS);
    return o->checkpoint && !(o->rebuild && rebuilds);
}

/* When nobody asks for more than the last row: can what follows the last mixer be done for that row alone? Only where every row
 * goes on by itself. */
static bool ends_early(const recorder *r, const wf_model_ports *p) {
    const wf_spec *spec = r->model->spec;
    const wf_block_spec *b = spec->layers > 0 ? &spec->blocks[spec->layers - 1] : NULL;
    if (!r->options->last || !b)
        return false;
    bool watched = p->hidden_states || p->stream_states || p->next_past || r->model->layer_sum || r->queries,
         marked = r->ports.mask || r->ports.side || r->ports.variants || spec->reshaped || spec->joined || b->masked,
         more = b->cross || b->aside || b->adapter;
    bool alone = !b->channel || (b->channel->n_states == 0 && (wf_layer_traits(b->channel) & WF_PER_TOKEN) != 0);
    return !watched && !marked && !more && alone;
}

static weft_status record_block(recorder *r, int64_t i, const wf_place *before, wf_tensor **x, weft_error *err) {
    wf_layer_state states[WF_SIDES] = {{{NULL}, {NULL}}, {{NULL}, {NULL}}, {{NULL}, {NULL}}};
    const wf_model_options *o = r->options;
    wf_block_spec block = r->model->spec->blocks[i];
    if (!o->dropout)
        block.dropout = block.attention_dropout = 0.0f;
    wf_block_run b = {.run = &r->run,
                      .model = r->model,
                      .block = &block,
                      .params = &r->model->blocks[i],
                      .ports = &r->ports,
                      .before = r->model->spec->blocks[i].before ? before : NULL,
                      .losses = o->losses ? &r->losses : NULL,
                      .last = r->last && i + 1 == r->model->spec->layers};
    for (size_t side = 0; side < WF_SIDES && o->mode != WF_NO_STATE; side++) {
        size_t layer = WF_SIDES * (size_t)i + side;
        if (o->mode == WF_STATE_IN_PLACE)
            bind_states(r->run.tape, o->state, layer, &states[side]);
        for (size_t s = 0; o->mode == WF_STATE_VALUES && o->state_in && s < WF_MAX_STATES; s++)
            states[side].in[s] = o->state_in[layer * WF_MAX_STATES + s];
        b.state[side] = &states[side];
    }
    if (is_region(o, &block))
        wf_region_begin(r->run.tape);
    wf_tensor *in = *x, *past = find_past(r, &block, r->past ? r->past[i] : NULL);
    if (r->next_past)
        wf_keep(r->run.tape, r->next_past[i] = next_past(r, &block, past, in));
    *x = through(r, b, in, past, &b.status);
    if (block.masked)
        *x = wf_mask_rows(r->run.tape, *x, r->ports.mask);
    queries_through(r, b, past, &b.status);
    if (is_region(o, &block))
        wf_region_end(r->run.tape);
    for (size_t k = 0; o->mode == WF_STATE_VALUES && o->state_out && k < WF_SIDES * WF_MAX_STATES; k++)
        o->state_out[WF_SIDES * (size_t)i * WF_MAX_STATES + k] = states[k / WF_MAX_STATES].out[k % WF_MAX_STATES];
    WF_CHECK(b.status == WEFT_OK, err, b.status, "%s cannot run here", block.mixer->where);
    return WEFT_OK;
}

static wf_tensor *record_out(wf_tape *tape, const wf_out_spec *out, wf_param *const *weight_bias, wf_tensor *x) {
    return out->there ? wf_linear_as(tape, x, wf_use(tape, weight_bias[0]), wf_use(tape, weight_bias[1]), WF_F32) : x;
}

/* ---- the memory ---- */
static weft_status record_source(const wf_model *m, wf_tape *tape, const wf_model_options *o, wf_model_ports *p,
                                 weft_error *err) {
    wf_model_options plain = {.checkpoint = o->checkpoint, .rebuild = o->rebuild, .dropout = o->dropout, .losses = o->losses};
    wf_tensor *of = !p->source ? NULL : m->encoder->spec->stem.channels ? p->source->features : p->source->ids;
    WF_CHECK(of || wf_tape_failed(tape), err, m->encoder->spec->stem.channels ? WEFT_UNSUPPORTED : WEFT_USAGE,
             "the encoder has nothing to read");
    if (!of)
        return WEFT_OK;
    bool masked = p->source->mask != NULL; /* a mask that the stem makes of the tokens is the encoder's own */
    WF_TRY(wf_model_record(m->encoder, tape, of->dims[0], of->dims[1], &plain, p->source, err));
    p->memory = record_out(tape, &m->encoder->spec->bridge, m->encoder->bridge, p->source->hidden);
    p->memory_mask = masked ? p->source->mask : NULL;
    return WEFT_OK;
}

static void remember_blocks(const wf_model *m, wf_run *run, const wf_state *state, wf_ports *ports) {
    for (int64_t i = 0; i < m->spec->layers; i++) {
        wf_layer_state kept = {{NULL}, {NULL}};
        wf_block_run b = {.run = run,
                          .model = m,
                          .block = &m->spec->blocks[i],
                          .params = &m->blocks[i],
                          .ports = ports,
                          .state = {NULL, NULL, &kept}};
        bind_states(run->tape, state, WF_SIDES * (size_t)i + 2, &kept);
        wf_block_remember(&b);
    }
}

weft_status wf_model_remember(const wf_model *m, wf_tape *tape, const wf_state *state, wf_model_ports *p, weft_error *err) {
    static const wf_model_options plain = {.mode = WF_NO_STATE};
    wf_tensor *kept = wf_state_bind(tape, wf_state_memory(state)), *mask = wf_state_bind(tape, wf_state_memory_mask(state));
    wf_run run = {.tape = tape,
                  .batch = state->batch / state->sharing,
                  .rows = state->source,
                  .length = state->source,
                  .mode = WF_STATE_IN_PLACE};
    if (!p->memory)
        WF_TRY(record_source(m, tape, &plain, p, err));
    WF_CHECK(!p->memory || p->memory->dims[1] == state->source, err, WEFT_USAGE,
             "a source of %lld rows, there is room for %lld", (long long)(p->memory ? p->memory->dims[1] : 0),
             (long long)state->source);
    wf_store_state(tape, mask,
                   p->memory_mask ? p->memory_mask : wf_mask_pad(tape, NULL, run.batch, state->source, state->source));
    if (kept)
        wf_store_state(tape, kept, p->memory);
    remember_blocks(m, &run, state, &(wf_ports){.memory = p->memory, .memory_mask = p->memory_mask});
    return WEFT_OK;
}

/* What blocks read of the memory: made here, given, or kept in the state. */
static weft_status find_memory(const wf_model *m, wf_tape *tape, const wf_model_options *o, wf_model_ports *p,
                               weft_error *err) {
    if (o->mode == WF_STATE_IN_PLACE && !p->memory && o->state->source) {
        p->memory = wf_state_bind(tape, wf_state_memory(o->state));
        p->memory_mask = wf_state_bind(tape, wf_state_memory_mask(o->state));
        return WEFT_OK;
    }
    return m->encoder && !p->memory ? record_source(m, tape, o, p, err) : WEFT_OK;
}

/* What a decoder reads when its ids are not given. */
static void make_ids(const wf_model *m, wf_tape *tape, wf_model_ports *p) {
    const wf_shift_spec *s = &m->spec->shift;
    bool classes = m->spec->n_heads && m->spec->heads[0].row->classes != WF_CLASSES_VOCAB; /* labels are no tokens */
    wf_tensor *from = p->labels && !(classes && p->source) ? p->labels : p->source ? p->source->ids : NULL;
    if (p->ids || !from || !s->there)
        return;
    p->ids = wf_shift_right(tape, from, s->rotate, s->token, s->padding);
    if (s->masked && !p->mask)
        p->mask = wf_token_rows(tape, p->ids, s->padding, true, 0);
}

/* The mask that heads pool by: the given one, or the rows of a token, or of all others. */
static wf_tensor *pooled_rows(const wf_model *m, wf_tape *tape, const wf_model_ports *p) {
    wf_tensor *ids = m->encoder && p->source ? p->source->ids : p->ids;
    for (int i = 0; i < m->spec->n_heads; i++) {
        const wf_head_spec *h = &m->spec->heads[i];
        if (h->pool_token >= 0 || h->pool_padding >= 0)
            return wf_token_rows(tape, ids, h->pool_token >= 0 ? h->pool_token : h->pool_padding, h->pool_token < 0,
                                 h->pool_later);
    }
    return p->mask;
}

/* What the encoder adds to the loss, and its buffers that move. */
static void join_losses(wf_tape *tape, wf_model_ports *p) {
    wf_update_list **end = &p->updates;
    if (!p->source)
        return;
    if (p->source->extra_loss)
        p->extra_loss = p->extra_loss ? wf_add(tape, p->extra_loss, p->source->extra_loss) : p->source->extra_loss;
    while (*end)
        end = &(*end)->next;
    *end = p->source->updates;
}

/* The streams of queries behind the final norm; heads read the first of them instead of the rows. */
static void take_streams(recorder *r, wf_model_ports *p) {
    const wf_model *m = r->model;
    wf_tape *t = r->run.tape;
    if (!r->queries)
        return;
    wf_tensor *x = wf_apply_norm(t, &m->spec->norm, r->queries, m->norm[0], m->norm[1]);
    p->streams = r->options->dropout ? wf_dropout(t, x, m->spec->dropout) : x;
    p->hidden = m->spec->stem.query_map ? p->streams : wf_time_slice(t, p->streams, 0, r->rows);
    if (p->stream_states)
        wf_keep(t, p->stream_states[m->spec->layers] = p->streams);
}

/* What a sequence says of its rows one by one holds for the stem alone where their number changes. */
static weft_status check_reshaped(const wf_model *m, const wf_model_options *o, const wf_model_ports *p, weft_error *err) {
    bool marked = p->segments || p->prefix || p->global_mask || p->variants;
    WF_CHECK(!m->spec->reshaped || o->mode == WF_NO_STATE, err, WEFT_UNSUPPORTED,
             "a model whose blocks change the number of rows has no chunk and step forms");
    WF_CHECK(!m->spec->reshaped || !marked, err, WEFT_UNSUPPORTED,
             "a model whose blocks change the number of rows takes no segments, prefixes, global rows or variants");
    return WEFT_OK;
}

/* The blocks read what is true of the rows here. */
static void stand(recorder *r, const wf_place *at) {
    r->run.rows = at->rows;
    r->ports.mask = at->mask;
    r->ports.kinds = at->kinds;
    r->ports.lie = at->lie;
    if (r->model->spec->reshaped) {
        r->run.length = at->rows;
        r->ports.positions = NULL;
    }
}

static weft_status record_blocks(recorder *r, wf_place *at, wf_model_ports *p, weft_error *err) {
    const wf_model *m = r->model;
    wf_tape *tape = r->run.tape;
    bool dropout = r->options->dropout;
    p->places = wf_arena_alloc(wf_tape_arena(tape), (size_t)m->spec->layers * sizeof *p->places);
    if (!p->places)
        return wf_fail_memory(err);
    for (int64_t i = 0; i < m->spec->layers; i++) {
        wf_place before = *at;
        wf_rows_record(tape, &m->spec->blocks[i].rows, m->blocks[i].rows, p->places, dropout, at);
        stand(r, at);
        (void)add_layer(r, i, at->x);
        if (p->hidden_states)
            wf_keep(tape, p->hidden_states[i] = at->x);
        if (p->stream_states)
            wf_keep(tape, p->stream_states[i] = r->queries);
        WF_TRY(record_block(r, i, &before, &at->x, err));
        p->places[i] = *at;
    }
    wf_rows_record(tape, &m->spec->rows, m->rows, p->places, dropout, at);
    stand(r, at);
    return WEFT_OK;
}

/* What follows the last layer, of the rows that were asked for: norm, projection, the sum of layers. */
static void record_end(recorder *r, const wf_place *at, int64_t asked, wf_model_ports *p) {
    const wf_model *m = r->model;
    wf_tape *tape = r->run.tape;
    wf_tensor *end = m->spec->joined ? wf_join_channels(tape, r->ports.side, at->x) : at->x;
    end = wf_apply_norm(tape, &m->spec->norm, end, m->norm[0], m->norm[1]);
    end = r->options->dropout ? wf_dropout(tape, end, m->spec->dropout) : end;
    end = record_out(tape, &m->spec->project, m->out, end);
    int64_t rows = r->last ? 1 : m->spec->reshaped ? at->rows : asked;
    p->hidden = wf_time_slice(tape, add_layer(r, m->spec->layers, end), 0, rows);
    if (p->hidden_states) {
        wf_keep(tape, p->stream = at->x);
        wf_keep(tape, p->hidden_states[m->spec->layers] = m->layer_sum ? wf_time_slice(tape, end, 0, asked) : p->hidden);
    }
}

weft_status wf_model_record(const wf_model *m, wf_tape *tape, int64_t batch, int64_t rows, const wf_model_options *o,
                            wf_model_ports *p, weft_error *err) {
    recorder r = {.model = m, .options = o};
    WF_TRY(check_reshaped(m, o, p, err));
    WF_TRY(find_memory(m, tape, o, p, err));
    make_ids(m, tape, p);
    wf_model_ports given = *p;
    int64_t asked = wf_stem_rows(&m->spec->stem, rows);
    rows = wf_stem_fill(m, tape, batch, asked, p);
    r.run = (wf_run){.tape = tape,
                     .batch = batch,
                     .rows = rows,
                     .length = o->length ? o->length : rows,
                     .mode = o->mode,
                     .drop = o->dropout,
                     .rebuild = o->rebuild,
                     .want_losses = o->losses};
    wf_tensor *x = wf_stem_record(m, tape, batch, rows, o, p); /* which may make the mask */
    r.queries = wf_stem_queries(m, tape, batch, rows, o, p);
    r.rows = rows;
    r.past = p->past;
    r.next_past = p->next_past;
    r.ports = (wf_ports){.start = x,
                         .mask = p->mask,
                         .positions = p->positions,
                         .segments = p->segments,
                         .prefix = p->prefix,
                         .global_mask = p->global_mask,
                         .variants = p->variants,
                         .side = p->side,
                         .pairs = p->pairs,
                         .map = p->map,
                         .memory = p->memory,
                         .memory_mask = p->memory_mask};
    begin_sum(&r, m);
    r.last = rows == asked && ends_early(&r, p);
    wf_place at = {.x = x, .mask = p->mask, .kinds = wf_stem_kinds(m, p), .rows = rows, .lie = {0, 1}};
    WF_TRY(record_blocks(&r, &at, p, err));
    record_end(&r, &at, asked, p);
    take_streams(&r, p);
    p->mask = rows != asked ? given.mask : at.mask;
    p->mask = pooled_rows(m, tape, p);
    wf_losses_finish(&r.losses, tape);
    p->aux_loss = r.losses.aux;
    p->z_loss = r.losses.z;
    p->extra_loss = r.losses.extra;
    p->updates = r.run.updates;
    join_losses(tape, p);
    return WEFT_OK;
}

static bool has_rows(const wf_model *m) {
    return m->spec->n_heads > 0 && !m->spec->heads[0].pool->run && m->spec->heads[0].classes > 0 &&
           m->spec->heads[0].query < 0 && m->spec->heads[0].of < 0;
}

wf_tensor *wf_model_logits(const wf_model *m, wf_tape *t, wf_tensor *hidden) {
    if (!has_rows(m))
        return wf_tape_error(t, WEFT_UNSUPPORTED, "the model has no head that gives logits for each token");
    wf_head_io io = wf_model_head(m, t, 0, hidden, NULL, false);
    return wf_head_logits(t, &io);
}

wf_tensor *wf_model_loss(const wf_model *m, wf_tape *t, wf_tensor *hidden, wf_tensor *targets, wf_tensor *inverse_count,
                         float smoothing, wf_tensor **token_loss) {
    wf_no_output(token_loss);
    wf_label_kind label = has_rows(m) ? m->spec->heads[0].row->label : WF_LABEL_NONE;
    if (label != WF_LABEL_NEXT && label != WF_LABEL_ROW)
        return wf_tape_error(t, WEFT_UNSUPPORTED, "the model has no head that learns from a target for each token");
    wf_head_io io = wf_model_head(m, t, 0, hidden, NULL, false);
    io.labels = targets;
    io.inverse = inverse_count;
    io.smoothing = smoothing > 0.0f ? smoothing : io.smoothing;
    io.token_loss = token_loss;
    return m->spec->heads[0].row->loss(t, &io);
}

/* The last products and the layers before them. */
static double head_flops(const wf_head_spec *h, int64_t rows) {
    double one = (double)h->width * (double)h->classes;
    for (int i = 0; i < h->n_layers; i++)
        one += h->layers[i].dense ? (double)h->layers[i].in * (double)h->layers[i].out : 0.0;
    if (h->query >= 0)
        one = one * (double)h->classes + (double)h->width * (double)h->classes;
    return 2.0 * one * (double)(h->pool->run && !h->late ? 1 : rows);
}

static double out_flops(const wf_out_spec *out, int64_t width, int64_t rows) {
    return out->there ? 2.0 * (double)out->dim * (double)width * (double)rows : 0.0;
}

/* A mixer whose keys are other rows than its queries lies between what it would cost with either. */
static double block_flops(const wf_spec *spec, int64_t i, int64_t stem_rows) {
    const wf_block_spec *b = &spec->blocks[i];
    int64_t rows = wf_spec_rows(spec, i, stem_rows), from = i > 0 ? wf_spec_rows(spec, i - 1, stem_rows) : stem_rows;
    const wf_layer *others[] = {b->cross, b->adapter, b->channel};
    double flops = wf_layer_flops(b->mixer, rows) + wf_rows_flops(spec, i, stem_rows);
    flops += b->before ? (wf_layer_flops(b->mixer, from) - wf_layer_flops(b->mixer, rows)) / 2.0 : 0.0;
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        flops += others[k] ? wf_layer_flops(others[k], rows) : 0.0;
    return flops;
}

double wf_model_flops(const wf_model *m, int64_t rows) {
    const wf_stem_spec *stem = &m->spec->stem;
    double flops = m->encoder ? wf_model_flops(m->encoder, rows) : 0.0;
    flops += stem->project == WF_PROJECT_NONE ? 0.0 : 2.0 * (double)stem->dim * (double)m->spec->dim * (double)rows;
    int64_t end = wf_spec_rows(m->spec, m->spec->layers, rows);
    flops += out_flops(&m->spec->project, wf_spec_end_width(m->spec), end);
    flops += out_flops(&m->spec->bridge, m->spec->project.dim, end) + wf_rows_flops(m->spec, m->spec->layers, rows);
    for (int i = 0; i < m->spec->n_heads; i++)
        flops +=
            head_flops(&m->spec->heads[i], m->spec->heads[i].of < 0 ? end : wf_spec_rows(m->spec, m->spec->heads[i].of, rows));
    for (int64_t i = 0; i < m->spec->layers; i++)
        flops += block_flops(m->spec, i, rows);
    return flops;
}
