#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct inputs { /* of one recorded tape */
    wf_tensor *ids, *targets, *mask, *positions, *segments, *prefix, *tables[WF_MAX_TABLES], *inverse_count, *source,
        *source_mask;
} inputs;

struct wf_trainer {
    wf_model *model;
    wf_trainer_options options;
    wf_tape *tape;
    inputs in;
    wf_tensor *loss;
    wf_update_list *updates;            /* of buffers; in the tape's arena */
    float **update_sums;                /* per update, over the micro-batches */
    wf_optimizer *optimizer, *fallback; /* fallback NULL: every tensor is the optimizer's */
    wf_schedule schedule;
    wf_clip *clip;
    wf_average *average;
    wf_arena arena;
    int64_t steps;
};

/* ---- recording ---- */
static void make_inputs(const wf_model *m, wf_tape *t, const wf_trainer_options *o, inputs *in) {
    const int64_t dims[2] = {o->batch, o->rows}, source[2] = {o->batch, o->source_rows ? o->source_rows : o->rows};
    if (!m->encoder || o->own_ids)
        in->ids = wf_input(t, "ids", WF_I32, 2, dims);
    if (m->encoder)
        in->source = wf_input(t, "source", WF_I32, 2, source);
    if (m->encoder && o->source_masks)
        in->source_mask = wf_input(t, "source mask", WF_U8, 2, source);
    in->targets = wf_input(t, "targets", WF_I32, 2, dims);
    in->inverse_count = wf_input(t, "inverse_count", WF_F32, 1, (int64_t[]){1});
    if (o->masks)
        in->mask = wf_input(t, "mask", WF_U8, 2, dims);
    if (m->spec->prefixed)
        in->prefix = wf_input(t, "prefix", WF_I64, 1, &o->batch);
    if (o->segments) {
        in->segments = wf_input(t, "segments", WF_I64, 2, dims);
        in->positions = wf_input(t, "positions", WF_I64, 2, dims);
    }
}

static void fill(wf_tensor *input, const void *data) {
    if (input && data)
        memcpy(input->data, data, (size_t)input->count * wf_dtypes[input->type].size);
}

static void make_tables(wf_tape *t, const wf_trainer_options *o, inputs *in) {
    for (int i = 0; i < WF_MAX_TABLES; i++)
        if (o->table_columns[i])
            in->tables[i] = wf_input(t, "table ids", WF_I32, o->table_columns[i] > 1 ? 3 : 2,
                                     (int64_t[]){o->batch, o->rows, o->table_columns[i]});
}

static void fill_inputs(const inputs *in, const wf_train_batch *b) {
    fill(in->ids, b->ids);
    fill(in->source, b->source);
    fill(in->source_mask, b->source_mask);
    fill(in->targets, b->targets);
    fill(in->mask, b->mask);
    fill(in->segments, b->segments);
    fill(in->positions, b->positions);
    if (in->prefix && !b->prefix)
        memset(in->prefix->data, 0, (size_t)in->prefix->count * sizeof *b->prefix);
    fill(in->prefix, b->prefix);
    for (int i = 0; i < WF_MAX_TABLES; i++)
        fill(in->tables[i], b->tables[i]);
}

typedef struct losses {
    wf_tensor *mean, *token, *extra;
    wf_update_list *updates;
} losses;

static weft_status record_loss(const wf_model *m, wf_tape *t, const inputs *in, const wf_model_options *o, double smoothing,
                               losses *out, weft_error *err) {
    wf_model_ports source = {.ids = in->source, .mask = in->source_mask};
    wf_model_ports ports = {.ids = in->ids,
                            .labels = in->ids ? NULL : in->targets,
                            .mask = in->mask,
                            .positions = in->positions,
                            .segments = in->segments,
                            .prefix = in->prefix,
                            .source = in->source ? &source : NULL};
    memcpy(ports.tables, in->tables, sizeof ports.tables);
    if (!in->targets)
        return wf_fail_memory(err);
    WF_TRY(wf_model_record(m, t, in->targets->dims[0], in->targets->dims[1], o, &ports, err));
    out->mean = wf_model_loss(m, t, ports.hidden, in->targets, in->inverse_count, (float)smoothing, &out->token);
    out->extra = ports.extra_loss;
    out->updates = ports.updates;
    return WEFT_OK;
}

static wf_tape_options tape_options(const wf_trainer_options *o) {
    return (wf_tape_options){.type = o->bf16 ? WF_BF16 : WF_F32, .grad = true};
}

static weft_status record_step(const wf_model *m, const wf_trainer_options *o, wf_tape *tape, inputs *in, losses *found,
                               weft_error *err) {
    wf_model_options how = {
        .dropout = true, .checkpoint = o->checkpoint_activations, .rebuild = !o->keep_activations, .losses = true};
    make_inputs(m, tape, o, in);
    make_tables(tape, o, in);
    WF_TRY(record_loss(m, tape, in, &how, o->smoothing, found, err));
    if (found->extra)
        found->mean = wf_add_scaled(tape, found->mean, found->extra, 1.0f / (float)o->accumulate);
    wf_root(tape, found->mean);
    return WEFT_OK;
}

static int64_t count_from(const wf_update_list *u) { return u->update.from ? u->update.from->count : 0; }

static weft_status make_update_sums(wf_trainer *t, weft_error *err) {
    size_t n = 0, i = 0;
    for (const wf_update_list *u = t->updates; u; u = u->next)
        n++;
    if (!(t->update_sums = wf_arena_alloc(&t->arena, (n + 1) * sizeof *t->update_sums)))
        return wf_fail_memory(err);
    for (const wf_update_list *u = t->updates; u; u = u->next, i++)
        if (!(t->update_sums[i] = wf_arena_alloc(&t->arena, (size_t)(count_from(u) + 1) * sizeof(float))))
            return wf_fail_memory(err);
    return WEFT_OK;
}

static weft_status record(wf_trainer *t, weft_error *err) {
    wf_tape_options how = tape_options(&t->options);
    WF_TRY(wf_tape_create(t->model->env, &how, &t->tape, err));
    losses found = {NULL, NULL, NULL, NULL};
    WF_TRY(record_step(t->model, &t->options, t->tape, &t->in, &found, err));
    t->loss = found.mean;
    t->updates = found.updates;
    WF_TRY(wf_tape_plan(t->tape, err));
    return make_update_sums(t, err);
}

/* ---- optimizers ---- */
/* Muon and its like take matrices inside the blocks; tables and heads go to the fallback, as its authors do. */
static bool is_table(const wf_model *m, const wf_param *p) {
    return p == m->token || p == m->position || p == m->heads[0].weight ||
           (m->encoder && (p == m->encoder->token || p == m->encoder->position));
}

static bool takes(const wf_model *m, const wf_optimizer_row *row, const wf_param *p) {
    return !row->accepts || (row->accepts(p->rank, p->dims) && !is_table(m, p));
}

static wf_opt_param opt_param(const wf_param *p) {
    return (wf_opt_param){.name = p->name,
                          .param = p->value,
                          .grad = p->grad,
                          .bf16 = p->bf16,
                          .rank = p->rank,
                          .dims = p->dims,
                          .no_decay = p->no_decay};
}

static const wf_json *default_fallback(wf_trainer *t, const wf_json *options) {
    wf_json *j = wf_json_new(&t->arena, WF_JSON_OBJECT);
    wf_json_put(&t->arena, j, "name", wf_json_new_string(&t->arena, "adamw", 5));
    wf_json_put(&t->arena, j, "lr", wf_json_new_double(&t->arena, wf_json_double(options, "lr", 1e-3)));
    return j;
}

static weft_status make_optimizers(wf_trainer *t, weft_error *err) {
    const wf_params *params = &t->model->params;
    const wf_env *env = t->model->env;
    const wf_json *options = t->options.optimizer, *fallback = t->options.fallback;
    const wf_optimizer_row *row;
    double values[WF_OPTION_VALUES];
    size_t n[2] = {0, 0};
    WF_TRY(wf_optimizer_read(options, &row, values, err));
    wf_opt_param *list = wf_arena_alloc(&t->arena, 2 * (params->count + 1) * sizeof *list);
    if (!list)
        return wf_fail_memory(err);
    for (size_t i = 0; i < params->count; i++) {
        const wf_param *p = params->list[i];
        int which = takes(t->model, row, p) ? 0 : 1;
        if (wf_param_trains(p))
            list[(size_t)which * (params->count + 1) + n[which]++] = opt_param(p);
    }
    WF_TRY(wf_optimizer_create(env, options, list, n[0], &t->optimizer, err));
    if (n[1] == 0)
        return WEFT_OK;
    fallback = fallback ? fallback : default_fallback(t, options);
    if (t->arena.failed)
        return wf_fail_memory(err);
    return wf_optimizer_create(env, fallback, list + params->count + 1, n[1], &t->fallback, err);
}

static weft_status make_clip(wf_trainer *t, weft_error *err) {
    const wf_params *params = &t->model->params;
    size_t n = 0;
    wf_grad_view *views = wf_arena_alloc(&t->arena, (params->count + 1) * sizeof *views);
    if (!views)
        return wf_fail_memory(err);
    for (size_t i = 0; i < params->count; i++)
        if (wf_param_trains(params->list[i]))
            views[n++] = (wf_grad_view){params->list[i]->grad, params->list[i]->count};
    return wf_clip_create(t->model->env, views, n, &t->clip, err);
}

static weft_status make_average(wf_trainer *t, weft_error *err) {
    const wf_params *params = &t->model->params;
    size_t n = 0;
    if (!t->options.average)
        return WEFT_OK;
    const wf_average_row *row = wf_average_find(t->options.average, err);
    wf_weight_view *views = wf_arena_alloc(&t->arena, (params->count + 1) * sizeof *views);
    if (!row)
        return err ? err->status : WEFT_USAGE;
    if (!views)
        return wf_fail_memory(err);
    for (size_t i = 0; i < params->count; i++)
        if (wf_param_trains(params->list[i]))
            views[n++] = (wf_weight_view){params->list[i]->name, params->list[i]->value, params->list[i]->count};
    return wf_average_create(t->model->env, row, t->options.average_decay, views, n, &t->average, err);
}

static weft_status build(wf_trainer *t, weft_error *err) {
    wf_params *params = &t->model->params;
    WF_TRY(wf_memory_check(2.0 * (double)wf_params_trained(params) * sizeof(float), "training a model of this size", err));
    WF_TRY(wf_params_allocate_grads(params, err));
    if (t->options.bf16)
        WF_TRY(wf_params_allocate_bf16(params, err));
    WF_TRY(record(t, err));
    WF_TRY(make_optimizers(t, err));
    WF_TRY(wf_schedule_read(t->options.schedule,
                            wf_json_double(t->options.optimizer, "lr", wf_optimizer_rate(t->optimizer, 1.0)), &t->schedule,
                            err));
    WF_TRY(make_clip(t, err));
    return make_average(t, err);
}

weft_status wf_trainer_create(wf_model *model, const wf_trainer_options *options, wf_trainer **out, weft_error *err) {
    WF_CHECK(options->batch > 0 && options->rows > 0 && options->accumulate > 0, err, WEFT_USAGE,
             "batch, context and accumulation must be positive");
    wf_trainer *t = wf_calloc(&model->env->mem, 1, sizeof *t);
    if (!t)
        return wf_fail_memory(err);
    t->model = model;
    t->options = *options;
    wf_arena_init(&t->arena, &model->env->mem, 0);
    weft_status status = build(t, err);
    if (status != WEFT_OK) {
        wf_trainer_free(t);
        return status;
    }
    *out = t;
    return WEFT_OK;
}

void wf_trainer_free(wf_trainer *t) {
    if (!t)
        return;
    const wf_mem *mem = &t->model->env->mem;
    wf_tape_free(t->tape);
    wf_optimizer_free(t->optimizer);
    wf_optimizer_free(t->fallback);
    wf_clip_free(t->clip);
    wf_average_free(t->average);
    wf_arena_free(&t->arena);
    wf_free(mem, t);
}

/* ---- a step ---- */
static int64_t count_targets(const wf_train_batch *b, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += b->targets[i] >= 0;
    return count;
}

/* What buffers are moved by, over the micro-batches of the update. */
static void sum_updates(wf_trainer *t, bool first) {
    size_t i = 0;
    for (const wf_update_list *u = t->updates; u; u = u->next, i++)
        for (int64_t j = 0; j < count_from(u); j++)
            t->update_sums[i][j] = (first ? 0.0f : t->update_sums[i][j]) + ((const float *)u->update.from->data)[j];
}

static void move_buffers(wf_trainer *t) {
    size_t i = 0;
    int64_t number = t->steps + 1;
    for (const wf_update_list *u = t->updates; u; u = u->next, i++) {
        wf_param *p = u->update.param;
        wf_buffer_change change = {t->update_sums[i], count_from(u), u->update.rate,
                                   wf_param_rng(p, t->options.seed, (uint32_t)number)};
        if (!p->frozen && number % u->update.every == 0)
            u->update.apply(p, &change);
    }
}

/* Forward and backward of every micro-batch: gradients are those of the update's loss. */
static weft_status accumulate(wf_trainer *t, const wf_train_batch *batches, wf_step_result *out, weft_error *err) {
    const wf_trainer_options *o = &t->options;
    int64_t n = o->batch * o->rows, total = 0;
    for (int64_t m = 0; m < o->accumulate; m++)
        total += count_targets(&batches[m], n);
    *out = (wf_step_result){.tokens = total};
    for (int64_t m = 0; m < o->accumulate; m++) {
        int64_t count = count_targets(&batches[m], n);
        double scale = o->global_mean ? 1.0 / (double)(total > 0 ? total : 1)
                                      : 1.0 / ((double)(count > 0 ? count : 1) * (double)o->accumulate);
        wf_runtime rt = {.seed = o->seed, .step = (uint32_t)t->steps, .micro = (int)m, .training = true, .loss_scale = 1.0f};
        fill_inputs(&t->in, &batches[m]);
        *(float *)t->in.inverse_count->data = (float)scale;
        WF_TRY(wf_tape_forward(t->tape, &rt, err));
        WF_TRY(wf_tape_backward(t->tape, &rt, err));
        out->loss += (double)*(const float *)t->loss->data;
        sum_updates(t, m == 0);
    }
    return WEFT_OK;
}

weft_status wf_trainer_step(wf_trainer *t, const wf_train_batch *batches, wf_step_result *out, weft_error *err) {
    WF_TRY(accumulate(t, batches, out, err));
    out->grad_norm = wf_clip_norm(t->clip, 2.0);
    WF_CHECK(isfinite(out->loss), err, WEFT_FAILURE, "the loss is not a number at step %lld", (long long)t->steps + 1);
    WF_CHECK(isfinite(out->grad_norm), err, WEFT_FAILURE, "the gradient is not a number at step %lld", (long long)t->steps + 1);
    double multiplier = wf_schedule_at(&t->schedule, t->steps),
           scale = t->options.clip > 0 ? wf_clip_scale(out->grad_norm, t->options.clip) : 1.0;
    out->lr = wf_optimizer_step(t->optimizer, multiplier, scale);
    if (t->fallback)
        wf_optimizer_step(t->fallback, multiplier, scale);
    move_buffers(t);
    if (t->average)
        wf_average_update(t->average);
    t->steps++;
    return WEFT_OK;
}

int64_t wf_trainer_steps(const wf_trainer *t) { return t->steps; }

void wf_trainer_set_steps(wf_trainer *t, int64_t steps) {
    t->steps = steps;
    t->optimizer->updates = steps;
    if (t->fallback)
        t->fallback->updates = steps;
    if (t->average)
        t->average->updates = steps;
    wf_params_refresh_bf16(&t->model->params);
}

wf_schedule *wf_trainer_schedule(wf_trainer *t) { return &t->schedule; }
wf_average *wf_trainer_average(wf_trainer *t) { return t->average; }
wf_tape *wf_trainer_tape(wf_trainer *t) { return t->tape; }

size_t wf_trainer_states(const wf_trainer *t) {
    return wf_optimizer_states(t->optimizer) + (t->fallback ? wf_optimizer_states(t->fallback) : 0) +
           (t->average ? t->average->count : 0);
}

wf_opt_state wf_trainer_state(const wf_trainer *t, size_t i) {
    size_t n = wf_optimizer_states(t->optimizer), m = t->fallback ? wf_optimizer_states(t->fallback) : 0;
    if (i < n)
        return wf_optimizer_state(t->optimizer, i);
    if (i < n + m)
        return wf_optimizer_state(t->fallback, i - n);
    const wf_weight_view *view = &t->average->views[i - n - m];
    return (wf_opt_state){.tensor = view->name, .slot = "average", .data = t->average->mean[i - n - m], .count = view->count};
}

wf_memory_parts wf_trainer_memory(const wf_trainer *t) {
    const wf_params *params = &t->model->params;
    wf_tape_stats stats = wf_tape_stats_of(t->tape);
    wf_memory_parts m = {.activations = stats.arena_bytes, .scratch = stats.scratch_bytes};
    for (size_t i = 0; i < params->count; i++) {
        const wf_param *p = params->list[i];
        m.parameters += (size_t)p->count * sizeof(float);
        m.gradients += p->grad ? (size_t)p->count * sizeof(float) : 0;
        m.compute_copies += p->bf16 ? (size_t)p->count * sizeof(uint16_t) : 0;
    }
    for (size_t i = 0; i < wf_trainer_states(t); i++) {
        wf_opt_state s = wf_trainer_state(t, i);
        *(strcmp(s.slot, "average") == 0 ? &m.average : &m.moments) += (size_t)s.count * sizeof(float);
    }
    return m;
}

/* ---- estimates ---- */
static weft_status measure_tape(const wf_model *m, const wf_trainer_options *o, wf_tape_stats *out, weft_error *err) {
    wf_tape_options how = tape_options(o);
    wf_tape *tape;
    inputs in = {NULL};
    losses found = {NULL, NULL, NULL, NULL};
    how.measure = true;
    WF_TRY(wf_tape_create(m->env, &how, &tape, err));
    weft_status status = record_step(m, o, tape, &in, &found, err);
    if (status == WEFT_OK)
        status = wf_tape_measure(tape, out, err);
    wf_tape_free(tape);
    return status;
}

/* Floats of state; the fallback takes what the optimizer does not. */
static int64_t moments_of(const wf_model *m, const wf_param *p, const wf_optimizer_row *row[2],
                          double values[2][WF_OPTION_VALUES]) {
    int which = takes(m, row[0], p) ? 0 : 1;
    int64_t count = wf_optimizer_state_count(row[which], values[which], p->rank, p->dims);
    return count > 0 ? count : 0;
}

weft_status wf_trainer_measure(const wf_model *m, const wf_trainer_options *o, wf_memory_parts *out, double *flops,
                               weft_error *err) {
    const wf_optimizer_row *row[2];
    double values[2][WF_OPTION_VALUES];
    wf_json adamw = {.kind = WF_JSON_STRING, .key = "name", .string = "adamw", .length = 5};
    const wf_json usual = {.kind = WF_JSON_OBJECT, .child = &adamw, .last = &adamw, .count = 1};
    wf_tape_stats stats = {0};
    WF_TRY(wf_optimizer_read(o->optimizer, &row[0], values[0], err));
    WF_TRY(wf_optimizer_read(o->fallback ? o->fallback : &usual, &row[1], values[1], err));
    WF_TRY(measure_tape(m, o, &stats, err));
    *out = (wf_memory_parts){.activations = stats.arena_bytes, .scratch = stats.scratch_bytes};
    for (size_t i = 0; i < m->params.count; i++) {
        const wf_param *p = m->params.list[i];
        size_t n = (size_t)p->count;
        out->parameters += n * sizeof(float);
        out->compute_copies += o->bf16 ? n * sizeof(uint16_t) : 0;
        if (!wf_param_trains(p))
            continue;
        out->gradients += n * sizeof(float);
        out->average += o->average ? n * sizeof(float) : 0;
        out->moments += (size_t)moments_of(m, p, row, values) * sizeof(float);
    }
    *flops = (stats.flops_forward + stats.flops_backward) * (double)o->accumulate;
    return WEFT_OK;
}

double wf_trainer_flops(const wf_trainer *t) {
    wf_tape_stats s = wf_tape_stats_of(t->tape);
    return (s.flops_forward + s.flops_backward) * (double)t->options.accumulate;
}

/* ---- evaluation ---- */
struct wf_evaluator {
    const wf_model *model;
    wf_tape *tape;
    inputs in;
    wf_tensor *token_loss;
};

static weft_status record_evaluator(wf_evaluator *e, int64_t batch, int64_t rows, bool bf16, bool masks, weft_error *err) {
    losses loss;
    wf_model_options how = {.dropout = false};
    WF_TRY(wf_tape_create(e->model->env, &(wf_tape_options){.type = bf16 ? WF_BF16 : WF_F32}, &e->tape, err));
    make_inputs(e->model, e->tape, &(wf_trainer_options){.batch = batch, .rows = rows, .masks = masks}, &e->in);
    WF_TRY(record_loss(e->model, e->tape, &e->in, &how, 0.0, &loss, err));
    e->token_loss = loss.token;
    wf_keep(e->tape, e->token_loss);
    return wf_tape_plan(e->tape, err);
}

weft_status wf_evaluator_create(const wf_model *model, int64_t batch, int64_t rows, bool bf16, bool masks, wf_evaluator **out,
                                weft_error *err) {
    wf_evaluator *e = wf_calloc(&model->env->mem, 1, sizeof *e);
    if (!e)
        return wf_fail_memory(err);
    e->model = model;
    weft_status status = record_evaluator(e, batch, rows, bf16, masks, err);
    if (status != WEFT_OK) {
        wf_evaluator_free(e);
        return status;
    }
    *out = e;
    return WEFT_OK;
}

void wf_evaluator_free(wf_evaluator *e) {
    if (!e)
        return;
    wf_tape_free(e->tape);
    wf_free(&e->model->env->mem, e);
}

weft_status wf_evaluator_run(wf_evaluator *e, const wf_train_batch *batch, const float **token_loss, weft_error *err) {
    wf_runtime rt = {.loss_scale = 1.0f};
    fill_inputs(&e->in, batch);
    *(float *)e->in.inverse_count->data = 1.0f;
    WF_TRY(wf_tape_forward(e->tape, &rt, err));
    *token_loss = e->token_loss->data;
    return WEFT_OK;
}

size_t wf_evaluator_bytes(const wf_evaluator *e) {
    wf_tape_stats s = wf_tape_stats_of(e->tape);
    return s.arena_bytes + s.scratch_bytes;
}
