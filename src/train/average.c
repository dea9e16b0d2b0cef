/* average.c - see average.h. */
#include "train/average.h"
#include <string.h>
#include "base/checked.h"
#include "base/str.h"

static double ema_take(double decay, int64_t update) { return 1 - decay; }
static double first_copies_take(double decay, int64_t update) { return update == 1 ? 1 : 1 - decay; }
static double uniform_take(double decay, int64_t update) { return 1 / (double)update; }

const wf_average_row wf_averages[] = {
    {"ema", "running average from the initial weights", ema_take},
    {"ema_first_copies", "running average from the weights after the first update", first_copies_take},
    {"uniform", "plain mean of the weights after each update", uniform_take},
    {0}};

static const char *name_at(const void *user, size_t i) { return wf_averages[i].name; }

const wf_average_row *wf_average_find(const char *name, weft_error *err) {
    for (size_t i = 0; wf_averages[i].name; i++)
        if (wf_streq(wf_averages[i].name, name))
            return &wf_averages[i];
    const char *near = wf_nearest(name, name_at, NULL);
    wf_fail(err, WEFT_USAGE,
            near ? "unknown average \"%s\"; did you mean \"%s\"?" : "unknown average \"%s\"; see: weft list averages", name,
            near);
    return NULL;
}

static size_t padded(int64_t count) { return ((size_t)count + 15) & ~(size_t)15; }

static weft_status allocate(wf_average *a, const wf_weight_view *views, weft_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < a->count; i++)
        if (views[i].count < 0 || !wf_add_size(total, padded(views[i].count), &total))
            return wf_fail_memory(err);
    a->views = wf_calloc(&a->env->mem, a->count + 1, sizeof *a->views);
    a->mean = wf_calloc(&a->env->mem, a->count + 1, sizeof *a->mean);
    a->memory = wf_alloc_big(&a->env->mem, (total + 16) * sizeof(float));
    if (!a->views || !a->mean || !a->memory)
        return wf_fail_memory(err);
    float *next = a->memory;
    for (size_t i = 0; i < a->count; i++) {
        a->views[i] = views[i];
        a->mean[i] = next;
        memcpy(next, views[i].data, (size_t)views[i].count * sizeof *next);
        next += padded(views[i].count);
    }
    return WEFT_OK;
}

weft_status wf_average_create(const wf_env *env, const wf_average_row *row, double decay, const wf_weight_view *views, size_t n,
                              wf_average **out, weft_error *err) {
    WF_CHECK(decay >= 0 && decay <= 1, err, WEFT_USAGE, "average: decay must be in 0 .. 1, not %g", decay);
    wf_average *a = wf_calloc(&env->mem, 1, sizeof *a);
    if (!a)
        return wf_fail_memory(err);
    a->env = env;
    a->row = row;
    a->decay = decay;
    a->count = n;
    weft_status status = allocate(a, views, err);
    if (status != WEFT_OK)
        wf_average_free(a);
    else
        *out = a;
    return status;
}

void wf_average_free(wf_average *a) {
    if (!a)
        return;
    const wf_mem mem = a->env->mem;
    wf_free(&mem, a->views);
    wf_free(&mem, a->mean);
    wf_free_big(&mem, a->memory);
    wf_free(&mem, a);
}

/* Elementwise, so any split gives the same bits; in fp64, because near 1 the decay times a float loses the small new part. */
static void update_region(void *arg, int thread, int threads) {
    const wf_average *a = arg;
    double take = a->row->take(a->decay, a->updates);
    for (size_t i = 0; i < a->count; i++) {
        int64_t n = a->views[i].count, low = n * thread / threads, high = n * (thread + 1) / threads;
        const float *restrict w = a->views[i].data;
        float *restrict mean = a->mean[i];
        for (int64_t k = low; k < high; k++)
            mean[k] = (float)(mean[k] + take * ((double)w[k] - mean[k]));
    }
}

void wf_average_update(wf_average *a) {
    a->updates++;
    if (a->env->pool)
        wf_pool_run(a->env->pool, update_region, a);
    else
        update_region(a, 0, 1);
}
