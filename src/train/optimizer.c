/* optimizer.c - the driver of the optimizer rows: states, waves of tensors, and one parallel region per update. */
#include "train/optimizer.h"
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "kernels/kernels.h"

/* Scratch of tensors that work in phases at the same time is kept near this; a single tensor may need more. */
enum { WAVE_SCRATCH = 32 << 20 };

static size_t round64(size_t size) { return (size + 63) & ~(size_t)63; }

weft_status wf_optimizer_read(const wf_json *options, const wf_optimizer_row **row, double value[WF_OPTION_VALUES],
                              weft_error *err) {
    const char *name = wf_json_text(options, "name", NULL);
    WF_CHECK(name, err, WEFT_USAGE, "optimizer: option \"name\" is missing");
    *row = wf_optimizer_find(name, err);
    if (!*row)
        return WEFT_USAGE;
    char what[64];
    snprintf(what, sizeof what, "optimizer %s", (*row)->name);
    WF_TRY(wf_options_read((*row)->keys, wf_optimizer_common, options, what, value, err));
    return (*row)->check ? (*row)->check(value, err) : WEFT_OK;
}

/* ---- creating ---- */
static weft_status describe_tensor(wf_optimizer *o, const wf_opt_param *p, wf_opt_tensor *t, weft_error *err) {
    WF_CHECK(p->rank >= 0 && p->rank <= WF_OPT_RANK, err, WEFT_USAGE,
             "optimizer: tensor %s has %d dimensions, at most %d are handled", p->name, p->rank, WF_OPT_RANK);
    WF_CHECK(wf_product(p->dims, p->rank, &t->count), err, WEFT_USAGE, "optimizer: tensor %s is too large", p->name);
    WF_CHECK(!o->row->accepts || o->row->accepts(p->rank, p->dims), err, WEFT_UNSUPPORTED,
             "optimizer %s does not take tensor %s with %d dimensions", o->row->name, p->name, p->rank);
    t->param = p->param;
    t->grad = p->grad;
    t->bf16 = p->bf16;
    t->rank = p->rank;
    for (int i = 0; i < p->rank; i++)
        t->dims[i] = p->dims[i];
    bool few = !isnan(o->value[WF_OPT_NO_DECAY]) && p->rank < 2, usual = o->value[WF_OPT_NO_DECAY] == WF_NO_DECAY_USUAL;
    t->decay = !few && !(usual && p->no_decay);
    t->slots = o->row->slots ? o->row->slots(o->value, t->rank, t->dims, t->count, t->slot) : 0;
    t->name = wf_arena_strdup(&o->arena, p->name);
    return t->name ? WEFT_OK : wf_fail_memory(err);
}

static weft_status make_tensors(wf_optimizer *o, const wf_opt_param *params, size_t n, weft_error *err) {
    size_t bytes;
    WF_CHECK(wf_mul_size(n, sizeof *o->tensors, &bytes), err, WEFT_NO_MEMORY, "optimizer: too many tensors");
    o->tensors = wf_arena_alloc(&o->arena, bytes);
    if (!o->tensors)
        return wf_fail_memory(err);
    for (; o->count < n; o->count++)
        WF_TRY(describe_tensor(o, &params[o->count], &o->tensors[o->count], err));
    return WEFT_OK;
}

static void fill(float *data, int64_t n, float value) {
    for (int64_t i = 0; value != 0 && i < n; i++)
        data[i] = value;
}

static weft_status make_states(wf_optimizer *o, weft_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < o->count; i++)
        for (int k = 0; k < o->tensors[i].slots; k++)
            if (!wf_add_size(total, round64((size_t)o->tensors[i].slot[k].count * sizeof(float)), &total))
                return wf_fail_memory(err);
    if (total == 0)
        return WEFT_OK;
    o->states = wf_alloc_big(&o->env->mem, total);
    if (!o->states)
        return wf_fail_memory(err);
    float *next = o->states;
    for (size_t i = 0; i < o->count; i++)
        for (int k = 0; k < o->tensors[i].slots; k++) {
            wf_opt_tensor *t = &o->tensors[i];
            t->state[k] = t->slot[k].count ? next : NULL;
            fill(next, t->slot[k].count, t->slot[k].initial);
            next += round64((size_t)t->slot[k].count * sizeof(float)) / sizeof(float);
        }
    return WEFT_OK;
}

/* Cuts the tensors into waves and returns the scratch the largest one needs. Offsets are kept in t->scratch until it exists. */
static size_t plan_waves(wf_optimizer *o) {
    size_t used = 0, largest = 0;
    o->waves[0] = 0;
    o->wave_count = 1;
    for (size_t i = 0; i < o->count; i++) {
        size_t need = o->row->phases ? round64(o->row->phases->scratch(o, &o->tensors[i])) : 0;
        if (used && used + need > WAVE_SCRATCH) {
            o->waves[o->wave_count++] = i;
            used = 0;
        }
        o->tensors[i].scratch = (void *)used; /* an offset until there is memory */
        used += need;
        largest = used > largest ? used : largest;
    }
    o->waves[o->wave_count] = o->count;
    return largest;
}

static weft_status make_thread_scratch(wf_optimizer *o, weft_error *err) {
    const wf_opt_phases *phases = o->row->phases;
    for (size_t i = 0; phases->thread_scratch && i < o->count; i++) {
        size_t need = round64(phases->thread_scratch(o, &o->tensors[i]));
        o->thread_scratch_size = need > o->thread_scratch_size ? need : o->thread_scratch_size;
    }
    size_t threads = o->env->pool ? (size_t)wf_pool_threads(o->env->pool) : 1;
    if (o->thread_scratch_size == 0)
        return WEFT_OK;
    o->thread_scratch = wf_alloc_big(&o->env->mem, o->thread_scratch_size * threads);
    return o->thread_scratch ? WEFT_OK : wf_fail_memory(err);
}

static weft_status make_scratch(wf_optimizer *o, weft_error *err) {
    o->waves = wf_arena_alloc(&o->arena, (o->count + 2) * sizeof *o->waves);
    if (!o->waves)
        return wf_fail_memory(err);
    const wf_opt_phases *phases = o->row->phases;
    for (size_t i = 0; phases && phases->bind && i < o->count; i++)
        WF_TRY(phases->bind(o, &o->tensors[i], err));
    size_t size = plan_waves(o);
    if (!phases)
        return WEFT_OK;
    if (size) {
        o->scratch = wf_alloc_big(&o->env->mem, size);
        if (!o->scratch)
            return wf_fail_memory(err);
    }
    for (size_t i = 0; i < o->count; i++)
        o->tensors[i].scratch = o->scratch ? o->scratch + (size_t)o->tensors[i].scratch : NULL;
    return make_thread_scratch(o, err);
}

weft_status wf_optimizer_create(const wf_env *env, const wf_json *options, const wf_opt_param *params, size_t n,
                                wf_optimizer **out, weft_error *err) {
    wf_optimizer *o = wf_calloc(&env->mem, 1, sizeof *o);
    if (!o)
        return wf_fail_memory(err);
    o->env = env;
    wf_arena_init(&o->arena, &env->mem, 0);
    weft_status status = wf_optimizer_read(options, &o->row, o->value, err);
    if (status == WEFT_OK)
        status = make_tensors(o, params, n, err);
    if (status == WEFT_OK)
        status = make_states(o, err);
    if (status == WEFT_OK)
        status = make_scratch(o, err);
    if (status != WEFT_OK)
        wf_optimizer_free(o);
    else
        *out = o;
    return status;
}

void wf_optimizer_free(wf_optimizer *o) {
    if (!o)
        return;
    const wf_mem mem = o->env->mem;
    if (o->row && o->row->phases && o->row->phases->release)
        o->row->phases->release(o);
    wf_free_big(&mem, o->states);
    wf_free_big(&mem, o->scratch);
    wf_free_big(&mem, o->thread_scratch);
    wf_arena_free(&o->arena);
    wf_free(&mem, o);
}

/* ---- one update ---- */
static int phase_count(const wf_optimizer *o) { return o->row->phases ? o->row->phases->count(o) : 1; }

static int64_t piece_count(const wf_optimizer *o, const wf_opt_tensor *t, int phase) {
    return o->row->phases ? o->row->phases->pieces(o, t, phase) : wf_opt_pieces(t->count);
}

void wf_opt_round(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    if (t->bf16)
        o->env->kernels->f32_to_bf16(t->bf16 + first, t->param + first, n);
}

static void run_piece(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    if (o->row->phases) {
        o->row->phases->run(o, t, w);
        return;
    }
    int64_t first = w->piece * WF_OPT_PIECE;
    int64_t n = t->count - first < WF_OPT_PIECE ? t->count - first : WF_OPT_PIECE;
    o->row->update(o, t, first, n);
    if (!o->row->writes_bf16)
        wf_opt_round(o, t, first, n);
}

/* Runs this thread's share of one phase of a wave: the pieces are laid along a line, each as long as its part of the tensor,
 * and thread i of n takes those that begin in its n-th part. The same thread meets the same memory at every step. */
static void run_share(wf_optimizer *o, size_t wave, int phase, int thread, int threads) {
    double total = 0, position = 0;
    for (size_t i = o->waves[wave]; i < o->waves[wave + 1]; i++)
        total += piece_count(o, &o->tensors[i], phase) ? (double)o->tensors[i].count : 0;
    double low = total * thread / threads, high = thread + 1 == threads ? INFINITY : total * (thread + 1) / threads;
    wf_opt_work w = {.phase = phase,
                     .thread_scratch = o->thread_scratch ? o->thread_scratch + o->thread_scratch_size * (size_t)thread : NULL};
    for (size_t i = o->waves[wave]; i < o->waves[wave + 1]; i++) {
        const wf_opt_tensor *t = &o->tensors[i];
        int64_t pieces = piece_count(o, t, phase);
        for (w.piece = 0; w.piece < pieces; w.piece++) {
            double start = position + (double)t->count * (double)w.piece / (double)pieces;
            if (start >= low && start < high)
                run_piece(o, t, &w);
        }
        position += pieces ? (double)t->count : 0;
    }
}

static void step_region(void *arg, int thread, int threads) {
    wf_optimizer *o = arg;
    int phases = phase_count(o);
    if (o->row->phases && o->row->phases->thread_init)
        o->row->phases->thread_init();
    for (size_t wave = 0; wave < o->wave_count; wave++)
        for (int phase = 0; phase < phases; phase++) {
            if (threads > 1 && wave + (size_t)phase > 0)
                wf_pool_barrier(o->env->pool);
            run_share(o, wave, phase, thread, threads);
        }
}

double wf_optimizer_rate(const wf_optimizer *o, double multiplier) {
    double lr = o->value[WF_OPT_LR] * multiplier;
    return o->row->rate ? o->row->rate(o->value, lr, o->updates + 1) : lr;
}

double wf_optimizer_step(wf_optimizer *o, double multiplier, double grad_scale) {
    o->lr = wf_optimizer_rate(o, multiplier);
    o->updates++;
    o->grad_scale = (float)(o->value[WF_OPT_MAXIMIZE] != 0 ? -grad_scale : grad_scale);
    if (o->row->begin)
        o->row->begin(o);
    if (o->env->pool)
        wf_pool_run(o->env->pool, step_region, o);
    else
        step_region(o, 0, 1);
    return o->lr;
}

/* ---- states and options ---- */
size_t wf_optimizer_states(const wf_optimizer *o) {
    size_t n = 0;
    for (size_t i = 0; i < o->count; i++)
        for (int k = 0; k < o->tensors[i].slots; k++)
            n += o->tensors[i].slot[k].count > 0;
    return n;
}

wf_opt_state wf_optimizer_state(const wf_optimizer *o, size_t index) {
    for (size_t i = 0; i < o->count; i++)
        for (int k = 0; k < o->tensors[i].slots; k++) {
            const wf_opt_tensor *t = &o->tensors[i];
            if (t->slot[k].count > 0 && index-- == 0)
                return (wf_opt_state){t->name, t->slot[k].name, t->state[k], t->slot[k].count};
        }
    return (wf_opt_state){0};
}

wf_json *wf_optimizer_options(const wf_optimizer *o, wf_arena *arena) {
    wf_json *object = wf_json_new(arena, WF_JSON_OBJECT);
    if (!object)
        return NULL;
    wf_json_put(arena, object, "name", wf_json_new_string(arena, o->row->name, strlen(o->row->name)));
    wf_options_write(arena, o->row->keys, o->value, object);
    wf_options_write(arena, wf_optimizer_common, o->value, object);
    return object;
}

int64_t wf_optimizer_state_count(const wf_optimizer_row *row, const double *value, int rank, const int64_t *dims) {
    wf_opt_slot slot[WF_OPT_SLOTS];
    int64_t count, total = 0;
    if ((row->accepts && !row->accepts(rank, dims)) || !wf_product(dims, rank, &count))
        return -1;
    int n = row->slots ? row->slots(value, rank, dims, count, slot) : 0;
    for (int i = 0; i < n; i++)
        total += slot[i].count;
    return total;
}
