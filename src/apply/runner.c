#include "apply/runner.h"
#include <stdlib.h>
#include <string.h>

/* A batch costs a recording, a short block of rows at its end, and waiting for its first weights: as much as so many rows (of
 * MiniLM 0.8 to 1.2 ms, where a row takes 0.2). In bf16 without panels it also costs the library's compiling of products of a
 * new shape, and numbers of rows are rounded up. */
enum { TAPES = 8, USUAL_TOKENS = 1024, BATCH_COST = 5, BATCH_COST_COMPILED = 32, GRAIN = 4 };
enum { ENDING = 4 }; /* a batch takes at most this part of what is left, and the last ones this part of the usual tokens */

typedef struct shape {
    int64_t batch, rows, picks; /* picks: of the whole batch */
    bool masked, skips;
} shape;

typedef struct recorded {
    shape shape;
    wf_tape *tape;
    wf_tensor *ids, *types, *mask, *counted, *index, *out;
    uint64_t used; /* for replacing the one unused longest */
} recorded;

typedef struct lane { /* what one thread has for batches of its own */
    recorded tapes[TAPES];
    wf_tape_memory memory; /* of all its tapes: they run one after the other, and their results are handed out at once */
    uint64_t clock;
} lane;

struct wf_runner {
    const wf_model *model;
    wf_runner_options options;
    bool exact;     /* padding would be noticed */
    bool compiles;  /* products of a new shape */
    int type_table; /* of the stem, -1: none */
    int64_t kinds;  /* of tokens; tokenizers may tell two texts apart for a model that does not */
    int n_lanes;    /* a lane for each thread; the first one serves batches that all threads run too */
    lane *lanes;
};

/* ---- what the model is like ---- */
static bool notices_padding(const wf_layer *layer) {
    return !(wf_layer_traits(layer) & WF_PADDING_INERT) && !wf_layer_causal(layer);
}

static bool stack_is_exact(const wf_spec *s) {
    if (s->stem.fill > 0 ||
        s->stem.span > 1) /* the rows decide how they are cut into blocks; neighbours are seen, padding or not */
        return true;
    for (int64_t i = 0; i < s->layers; i++)
        if (notices_padding(s->blocks[i].mixer) || (s->blocks[i].channel && notices_padding(s->blocks[i].channel)) ||
            (s->blocks[i].aside && notices_padding(s->blocks[i].aside)))
            return true;
    return false;
}

static bool is_exact(const wf_model *m, int head) {
    const wf_spec *s = m->spec;
    if (stack_is_exact(s) || (m->encoder && stack_is_exact(m->encoder->spec)))
        return true;
    /* Poolings that take padding for rows. */
    return head >= 0 && (wf_streq(s->heads[head].pool->name, "last") || wf_streq(s->heads[head].pool->name, "mean_all"));
}

static const wf_stem_spec *stem_of(const wf_model *m) { return m->encoder ? &m->encoder->spec->stem : &m->spec->stem; }

static int find_types(const wf_model *m) {
    for (int i = 0; i < stem_of(m)->n_tables; i++)
        if (wf_streq(stem_of(m)->tables[i].input, "token_type_ids"))
            return i;
    return -1;
}

int64_t wf_runner_limit(const wf_model *model) {
    const wf_stem_spec *s = stem_of(model);
    int64_t taken = s->count == WF_COUNT_TOKENS ? s->padding + 1 : 0; /* positions begin behind that of padding */
    return s->position == WF_POSITION_NONE ? 0 : s->length - taken;
}

weft_status wf_runner_create(const wf_model *model, const wf_runner_options *options, wf_runner **out, weft_error *err) {
    const wf_head_spec *head = options->head >= 0 ? &model->spec->heads[options->head] : NULL;
    WF_CHECK(options->head < model->spec->n_heads, err, WEFT_USAGE, "the model has no head %d", options->head);
    WF_CHECK(!options->pick || (head && !head->pool->run), err, WEFT_USAGE,
             "only heads with logits for each row are picked from");
    for (int64_t i = 0; i < model->spec->layers && !(head && model->encoder); i++)
        WF_CHECK(!model->spec->blocks[i].cross, err, WEFT_UNSUPPORTED, "%s: reads a second sequence, which is not there",
                 model->spec->blocks[i].cross->where);
    wf_runner *r = wf_calloc(&model->env->mem, 1, sizeof *r);
    if (!r)
        return wf_fail_memory(err);
    *r = (wf_runner){
        .model = model, .options = *options, .exact = is_exact(model, options->head), .type_table = find_types(model)};
    r->compiles = options->bf16 && !wf_params_have_bf16_panels(&model->params);
    r->kinds = r->type_table >= 0 ? stem_of(model)->tables[r->type_table].rows : 0;
    if (!r->options.tokens)
        r->options.tokens = USUAL_TOKENS;
    r->n_lanes = wf_pool_threads(model->env->pool);
    r->lanes = wf_calloc(&model->env->mem, (size_t)r->n_lanes, sizeof *r->lanes);
    *out = r->lanes ? r : NULL;
    if (!r->lanes)
        wf_free(&model->env->mem, r);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

void wf_runner_free(wf_runner *r) {
    if (!r)
        return;
    for (lane *l = r->lanes; l < r->lanes + r->n_lanes; l++) {
        for (int i = 0; i < TAPES; i++)
            wf_tape_free(l->tapes[i].tape);
        wf_tape_memory_free(r->model->env, &l->memory);
    }
    wf_free(&r->model->env->mem, r->lanes);
    wf_free(&r->model->env->mem, r);
}

/* ---- recording ---- */
/* [B,T,n] -> [1,picks,n] */
static wf_tensor *pick_rows(wf_tape *t, recorded *d, wf_tensor *x) {
    if (!x)
        return NULL;
    int64_t n = x->dims[2], picks = d->shape.picks;
    wf_tensor *flat = wf_reshape(t, x, 4, (int64_t[]){1, x->dims[0] * x->dims[1], 1, n});
    d->index = wf_input(t, "picks", WF_I32, 3, (int64_t[]){1, 1, picks});
    wf_tensor *rows = wf_take_rows(t, flat, d->index);
    return rows ? wf_reshape(t, rows, 3, (int64_t[]){1, picks, n}) : NULL;
}

static wf_tensor *record_end(wf_runner *r, recorded *d, const wf_model_ports *ports) {
    wf_model_ports asked = r->options.head >= 0 ? wf_model_head_ports(r->model, r->options.head, ports) : *ports;
    wf_tensor *hidden = asked.hidden, *mask = d->counted && hidden == ports->hidden ? d->counted : asked.mask;
    if (r->options.finish)
        return r->options.finish(r->options.user, d->tape, hidden, mask);
    if (r->options.head < 0)
        return wf_cast(d->tape, hidden, WF_F32);
    if (r->options.pick)
        hidden = pick_rows(d->tape, d, hidden);
    wf_model_ports own = {.hidden = hidden, .mask = r->options.pick ? NULL : mask, .ids = r->options.pick ? NULL : ports->ids};
    wf_head_io io = wf_model_head_of(r->model, d->tape, r->options.head, &own, false);
    return wf_head_logits(d->tape, &io);
}

/* A model with an encoder reads the sequence there; its decoder reads what the spec makes of it. */
static weft_status record(wf_runner *r, lane *l, recorded *d, const shape *s, weft_error *err) {
    const int64_t dims[2] = {s->batch, s->rows};
    wf_model_ports ports = {NULL}, source = {NULL}, *reads = r->model->encoder ? &source : &ports;
    wf_model_options how = {.mode = WF_NO_STATE};
    wf_tape_free(d->tape);
    *d = (recorded){.shape = *s};
    WF_TRY(wf_tape_create(r->model->env, &(wf_tape_options){.type = r->options.bf16 ? WF_BF16 : WF_F32, .memory = &l->memory},
                          &d->tape, err));
    ports.source = r->model->encoder ? &source : NULL;
    d->ids = reads->ids = wf_input(d->tape, "ids", WF_I32, 2, dims);
    if (r->type_table >= 0)
        d->types = reads->tables[r->type_table] = wf_input(d->tape, "types", WF_I32, 2, dims);
    if (s->masked)
        d->mask = reads->mask = wf_input(d->tape, "mask", WF_U8, 2, dims);
    if (s->skips)
        d->counted = wf_input(d->tape, "counted", WF_U8, 2, dims);
    WF_TRY(wf_model_record(r->model, d->tape, s->batch, s->rows, &how, &ports, err));
    d->out = record_end(r, d, &ports);
    wf_keep(d->tape, d->out);
    return wf_tape_plan(d->tape, err);
}

static bool same(const shape *a, const shape *b) {
    return a->batch == b->batch && a->rows == b->rows && a->picks == b->picks && a->masked == b->masked && a->skips == b->skips;
}

static void drop(recorded *d) {
    wf_tape_free(d->tape);
    *d = (recorded){.tape = NULL};
}

/* The tape of this shape: an old one, or a new one in the place of the one unused longest. */
static weft_status tape_for(wf_runner *r, lane *l, const shape *s, recorded **out, weft_error *err) {
    recorded *oldest = &l->tapes[0];
    l->clock++;
    for (int i = 0; i < TAPES; i++) {
        recorded *d = &l->tapes[i];
        if (d->tape && same(&d->shape, s)) {
            d->used = l->clock;
            return *out = d, WEFT_OK;
        }
        if (d->used < oldest->used)
            oldest = d;
    }
    int moves = l->memory.moves;
    weft_status status = record(r, l, oldest, s, err);
    for (int i = 0; i < TAPES && l->memory.moves != moves; i++)
        if (&l->tapes[i] != oldest)
            drop(&l->tapes[i]);
    if (status != WEFT_OK) {
        drop(oldest);
        return status;
    }
    oldest->used = l->clock;
    *out = oldest;
    return WEFT_OK;
}

/* ---- batches ---- */
typedef struct batch {
    const wf_sequence *list;
    const size_t *order;
    size_t n;
} batch;

static int64_t round_up(int64_t n, int64_t grain) { return (n + grain - 1) / grain * grain; }

/* The rows of sequences of this length side by side. */
static int64_t rows_for(const wf_runner *r, size_t count) {
    int64_t n = (int64_t)count, limit = wf_runner_limit(r->model), rows = r->exact || !r->compiles ? n : round_up(n, GRAIN);
    return limit > 0 && rows > limit ? (n > limit ? n : limit) : rows;
}

static shape shape_of(const wf_runner *r, const batch *b) {
    shape s = {.batch = (int64_t)b->n, .rows = rows_for(r, b->list[b->order[0]].count)};
    for (size_t i = 0; i < b->n; i++) {
        const wf_sequence *q = &b->list[b->order[i]];
        s.picks += (int64_t)q->n_picks;
        s.masked |= (int64_t)q->count != s.rows;
        s.skips |= q->skip > 0;
    }
    s.picks = r->options.pick ? round_up(s.picks ? s.picks : 1, GRAIN) : 0;
    return s;
}

static void fill_row(const wf_runner *r, const recorded *d, const wf_sequence *q, int64_t row) {
    int64_t first = row * d->shape.rows, n = (int64_t)q->count;
    int32_t *ids = (int32_t *)d->ids->data + first, *types = d->types ? (int32_t *)d->types->data + first : NULL;
    for (int64_t t = 0; t < d->shape.rows; t++) {
        ids[t] = t < n ? (int32_t)q->ids[t] : (int32_t)r->options.padding;
        if (types)
            types[t] = t < n && q->types && r->kinds > 1 ? (int32_t)q->types[t] : 0;
        if (d->mask)
            ((uint8_t *)d->mask->data)[first + t] = t < n;
        if (d->counted)
            ((uint8_t *)d->counted->data)[first + t] = t < n && t >= (int64_t)q->skip;
    }
}

static void fill(const wf_runner *r, const recorded *d, const batch *b) {
    int32_t *index = d->index ? d->index->data : NULL;
    int64_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        const wf_sequence *q = &b->list[b->order[i]];
        fill_row(r, d, q, (int64_t)i);
        for (size_t k = 0; index && k < q->n_picks; k++)
            index[at++] = (int32_t)((int64_t)i * d->shape.rows + (int64_t)q->picks[k]);
    }
    while (index && at < d->shape.picks)
        index[at++] = -1;
}

static weft_status check(const wf_runner *r, const wf_sequence *q, weft_error *err) {
    int64_t limit = wf_runner_limit(r->model), vocab = (r->model->encoder ? r->model->encoder : r->model)->spec->vocab;
    WF_CHECK(limit == 0 || (int64_t)q->count <= limit, err, WEFT_USAGE,
             "%zu tokens are more than the %lld positions of the model", q->count, (long long)limit);
    for (size_t i = 0; i < q->count; i++) {
        WF_CHECK((int64_t)q->ids[i] < vocab, err, WEFT_BAD_INPUT,
                 "the tokenizer does not belong to the model: token %lu is outside its vocabulary of %lld",
                 (unsigned long)q->ids[i], (long long)vocab);
        WF_CHECK(r->kinds < 2 || !q->types || (int64_t)q->types[i] < r->kinds, err, WEFT_UNSUPPORTED,
                 "the model knows %lld kinds of tokens, not %lu", (long long)r->kinds, (unsigned long)q->types[i] + 1);
    }
    return WEFT_OK;
}

static weft_status hand_out(const recorded *d, const batch *b, wf_sequence_fn take, void *user) {
    const float *values = d->out->data;
    int64_t columns = wf_dim(d->out, -1);
    bool pooled = d->out->rank == 2;
    for (size_t i = 0; i < b->n; i++) {
        const wf_sequence *q = &b->list[b->order[i]];
        int64_t rows = d->index ? (int64_t)q->n_picks : pooled ? 1 : (int64_t)q->count;
        WF_TRY(take(user, b->order[i], values, rows, columns));
        values += (d->index ? rows : pooled ? 1 : d->shape.rows) * columns;
    }
    return WEFT_OK;
}

typedef struct running { /* all batches of a list */
    wf_runner *runner;
    batch *batches;
    size_t n, next, end; /* batches; the next one; where threads stop taking some of their own */
    wf_sequence_fn take;
    void *user;
    weft_status status;
    weft_error *err;
} running;

/* The next batch, recorded and filled in; false: there is none. */
static bool begin_batch(running *job, lane *l, const batch **b, recorded **d) {
    wf_runner *r = job->runner;
    if (job->status == WEFT_OK)
        job->status = wf_stopped(r->model->env);
    if (job->status != WEFT_OK || job->next >= job->end)
        return false;
    *b = &job->batches[job->next++];
    shape s = shape_of(r, *b);
    job->status = tape_for(r, l, &s, d, job->err);
    if (job->status == WEFT_OK)
        fill(r, *d, *b);
    return job->status == WEFT_OK;
}

static void end_batch(running *job, const batch *b, const recorded *d, weft_status ran) {
    if (job->status == WEFT_OK)
        job->status = ran == WEFT_OK ? hand_out(d, b, job->take, job->user) : ran;
}

static const wf_runtime plain = {.loss_scale = 1.0f};

/* A thread with batches of its own: it meets the others only to take and to hand out. */
static void run_lane(void *arg, int thread, int n_threads) {
    running *job = arg;
    wf_pool *pool = job->runner->model->env->pool;
    const batch *b;
    recorded *d;
    (void)n_threads;
    wf_pool_lock(pool);
    while (begin_batch(job, &job->runner->lanes[thread], &b, &d)) {
        wf_pool_unlock(pool);
        weft_status ran = wf_tape_forward_alone(d->tape, &plain, NULL);
        wf_pool_lock(pool);
        end_batch(job, b, d, ran);
    }
    wf_pool_unlock(pool);
}

/* Two batches or more for each thread are shared out; all threads run fewer together. */
static weft_status run_batches(running *job) {
    size_t threads = (size_t)job->runner->n_lanes;
    const batch *b;
    recorded *d;
    job->end = threads > 1 && job->n >= 2 * threads ? job->n : 0;
    if (job->end > 0)
        wf_pool_run(job->runner->model->env->pool, run_lane, job);
    job->end = job->n;
    while (begin_batch(job, &job->runner->lanes[0], &b, &d))
        end_batch(job, b, d, wf_tape_forward(d->tape, &plain, job->err));
    return job->status;
}

typedef struct sortable {
    size_t count, index;
} sortable;

static int longest_first(const void *a, const void *b) {
    const sortable *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The sequences of a sorted list, the longest first, from some place on: what their batches cost at least, in rows, and how
 * many the first of these takes. */
typedef struct cut {
    int64_t cost;
    size_t taken;
} cut;

/* No batch of the best ones is worth cutting in two: the i-th of its k sequences from the end is at most cost/i shorter than
 * the first, or the last i would be cheaper by themselves. All its padding is then at most cost * (1 + 1/2 + .. + 1/k). */
enum { MOST_PADDING = 18 }; /* that sum for k of 2^24, rounded up */

static cut best_cut(const wf_runner *r, const wf_sequence *list, const size_t *order, size_t n, int64_t tokens,
                    const cut *after) {
    int64_t rows = rows_for(r, list[order[0]].count), most = tokens / rows, padding = 0,
            cost = r->compiles ? BATCH_COST_COMPILED : BATCH_COST;
    cut best = {.cost = INT64_MAX};
    for (size_t k = 1; k <= n && (k == 1 || (int64_t)k <= most); k++) {
        padding += rows - rows_for(r, list[order[k - 1]].count);
        if (padding > (r->exact ? 0 : MOST_PADDING * cost))
            break;
        int64_t all = rows * (int64_t)k + cost + after[k - 1].cost;
        if (all <= best.cost)
            best = (cut){all, k};
    }
    return best;
}

/* The tokens of a batch where so many rows are left of so many: towards the end of a long list fewer, or a thread would wait
 * long for the last one. The number of threads has no say: batches, and with them the bits, are the same for any. */
static int64_t batch_tokens(const wf_runner *r, int64_t left, int64_t all) {
    int64_t usual = r->options.tokens, share = left / ENDING;
    if (all / ENDING < usual || share >= usual)
        return usual;
    return share > usual / ENDING ? share : usual / ENDING;
}

/* The cheapest batches of all of a sorted list. */
static weft_status cut_batches(const wf_sequence *list, const size_t *order, size_t n, running *job) {
    const wf_mem *mem = &job->runner->model->env->mem;
    int64_t all = 0, left = 0;
    cut *cuts = wf_calloc(mem, n + 1, sizeof *cuts);
    if (!cuts)
        return wf_fail_memory(job->err);
    for (size_t i = 0; i < n; i++)
        all += rows_for(job->runner, list[order[i]].count);
    for (size_t i = n; i-- > 0;) {
        left += rows_for(job->runner, list[order[i]].count);
        cuts[i] = best_cut(job->runner, list, order + i, n - i, batch_tokens(job->runner, left, all), cuts + i + 1);
    }
    for (size_t at = 0; at < n; at += job->batches[job->n++].n)
        job->batches[job->n] = (batch){list, order + at, cuts[at].taken};
    wf_free(mem, cuts);
    return WEFT_OK;
}

static weft_status run_sorted(const wf_sequence *list, size_t n, const size_t *order, running *job) {
    const wf_mem *mem = &job->runner->model->env->mem;
    job->batches = wf_calloc(mem, n, sizeof *job->batches);
    if (!job->batches)
        return wf_fail_memory(job->err);
    weft_status status = cut_batches(list, order, n, job);
    if (status == WEFT_OK)
        status = run_batches(job);
    wf_free(mem, job->batches);
    return status;
}

weft_status wf_longest_first(const wf_mem *mem, const wf_sequence *list, size_t n, size_t **out, weft_error *err) {
    sortable *sorted = wf_calloc(mem, n, sizeof *sorted);
    size_t *order = wf_calloc(mem, n, sizeof *order);
    *out = sorted ? order : NULL;
    if (*out) {
        for (size_t i = 0; i < n; i++)
            sorted[i] = (sortable){list[i].count, i};
        qsort(sorted, n, sizeof *sorted, longest_first);
        for (size_t i = 0; i < n; i++)
            order[i] = sorted[i].index;
    } else {
        wf_free(mem, order);
    }
    wf_free(mem, sorted);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_runner_run(wf_runner *r, const wf_sequence *list, size_t n, wf_sequence_fn take, void *user, weft_error *err) {
    size_t *order;
    for (size_t i = 0; i < n; i++)
        WF_TRY(check(r, &list[i], err));
    if (n == 0)
        return WEFT_OK;
    WF_TRY(wf_longest_first(&r->model->env->mem, list, n, &order, err));
    weft_status status = run_sorted(list, n, order, &(running){.runner = r, .take = take, .user = user, .err = err});
    wf_free(&r->model->env->mem, order);
    return status;
}
