#include "tensor/params.h"
#include <string.h>
#include <xxhash.h>
#include "base/checked.h"
#include "base/str.h"
#include "kernels/gemm/panels.h"
#include "kernels/int8.h"
#include "kernels/kernels.h"

enum { INIT_PIECE = 1 << 14, TURN_ROWS = 16, TURN_COLUMNS = 256 };

void wf_params_open(wf_params *params, const wf_env *env) {
    memset(params, 0, sizeof *params);
    params->env = env;
    wf_arena_init(&params->arena, &env->mem, 0);
}

void wf_params_cut(wf_params *params, size_t count) {
    const wf_mem *mem = &params->env->mem;
    for (size_t i = count; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (p->owns_value)
            wf_free_big(mem, p->value);
        wf_free_big(mem, p->grad);
        wf_free_big(mem, p->bf16);
    }
    params->count = count < params->count ? count : params->count;
}

void wf_params_close(wf_params *params) {
    if (!params->env)
        return;
    const wf_mem *mem = &params->env->mem;
    wf_params_cut(params, 0);
    for (size_t i = 0; i < params->n_blocks; i++)
        wf_free_big(mem, params->blocks[i]);
    wf_free(mem, params->blocks);
    wf_free(mem, params->list);
    wf_arena_free(&params->arena);
    memset(params, 0, sizeof *params);
}

wf_param *wf_param_find(const wf_params *params, const char *name) {
    for (size_t i = 0; i < params->count; i++)
        if (wf_streq(params->list[i]->name, name))
            return params->list[i];
    return NULL;
}

weft_status wf_param_add(wf_params *params, const char *name, int rank, const int64_t *dims, wf_param **out, weft_error *err) {
    WF_CHECK(!wf_param_find(params, name), err, WEFT_USAGE, "parameter '%s' is declared twice", name);
    WF_CHECK(rank >= 0 && rank <= 6, err, WEFT_USAGE, "parameter '%s' has rank %d", name, rank);
    wf_param *p = wf_arena_alloc(&params->arena, sizeof *p);
    const char *copy = p ? wf_arena_strdup(&params->arena, name) : NULL;
    if (!copy)
        return wf_fail_memory(err);
    p->name = copy;
    p->rank = rank;
    for (int i = 0; i < rank; i++)
        p->dims[i] = dims[i];
    WF_CHECK(wf_product(dims, rank, &p->count) && p->count > 0 && p->count < INT64_MAX / 16, err, WEFT_USAGE,
             "parameter '%s' has an impossible size", name);
    WF_TRY(wf_grow(&params->env->mem, (void **)&params->list, &params->capacity, params->count + 1, sizeof *params->list, err));
    p->id = (uint32_t)params->count;
    params->list[params->count++] = p;
    *out = p;
    return WEFT_OK;
}

weft_status wf_params_allocate(wf_params *params, weft_error *err) {
    WF_TRY(wf_memory_check((double)wf_params_total(params) * sizeof(float), "a model of this size", err));
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (p->value)
            continue;
        p->value = wf_alloc_big(&params->env->mem, (size_t)p->count * sizeof(float));
        if (!p->value)
            return wf_fail_memory(err);
        p->owns_value = true;
    }
    return WEFT_OK;
}

weft_status wf_params_allocate_grads(wf_params *params, weft_error *err) {
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (p->grad || !wf_param_trains(p))
            continue;
        p->grad = wf_alloc_big(&params->env->mem, (size_t)p->count * sizeof(float));
        if (!p->grad)
            return wf_fail_memory(err);
    }
    return WEFT_OK;
}

weft_status wf_params_allocate_bf16(wf_params *params, weft_error *err) {
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (p->bf16)
            continue;
        p->bf16 = wf_alloc_big(&params->env->mem, (size_t)p->count * sizeof(uint16_t));
        if (!p->bf16)
            return wf_fail_memory(err);
    }
    wf_params_refresh_bf16(params);
    return WEFT_OK;
}

const float *wf_param_values(const wf_params *params, const wf_param *p, int64_t first, int64_t count, float *out) {
    if (!p->turned)
        return p->value + first;
    int64_t columns = p->dims[1];
    params->env->kernels->gemm_pack_columns(out, p->value + first / columns, false, p->turned, columns, count / columns,
                                            columns);
    return out;
}

/* Square by square: what lies turned is put in order on the way. */
static void turn_to_bf16(const wf_kernels *k, wf_param *p) {
    float square[TURN_ROWS * TURN_COLUMNS];
    int64_t rows = p->dims[0], columns = p->dims[1];
    for (int64_t j = 0; j < columns; j += TURN_COLUMNS)
        for (int64_t i = 0; i < rows; i += TURN_ROWS) {
            int64_t m = rows - i < TURN_ROWS ? rows - i : TURN_ROWS,
                    n = columns - j < TURN_COLUMNS ? columns - j : TURN_COLUMNS;
            k->gemm_pack_columns(square, p->value + j * p->turned + i, false, p->turned, n, m, n);
            for (int64_t r = 0; r < m; r++)
                k->f32_to_bf16(p->bf16 + (i + r) * columns + j, square + r * n, n);
        }
}

static size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* A block for what is packed now; 0 bytes: none. */
static weft_status add_block(wf_params *params, size_t bytes, uint8_t **out, weft_error *err) {
    const wf_mem *mem = &params->env->mem;
    *out = NULL;
    if (bytes == 0)
        return WEFT_OK;
    WF_TRY(wf_grow(mem, (void **)&params->blocks, &params->block_capacity, params->n_blocks + 1, sizeof *params->blocks, err));
    void *block = wf_alloc_big(mem, bytes);
    if (!block)
        return wf_fail_memory(err);
    *out = params->blocks[params->n_blocks++] = block;
    return WEFT_OK;
}

static bool wants_int8(const wf_param *p) { return !p->int8 && !p->buffer && p->rank >= 2; }
static size_t int8_size(const wf_params *params, const wf_param *p) {
    int64_t k = p->dims[p->rank - 1];
    return whole_lines(wf_int8_bytes(params->env->kernels->int8_form(), p->count / k, k));
}

/* At *at, which moves on. */
static weft_status pack_int8(const wf_params *params, wf_param *p, const float *balance, uint8_t **at, weft_error *err) {
    int64_t k = p->dims[p->rank - 1];
    float *straight = p->turned ? wf_alloc_big(&params->env->mem, (size_t)p->count * sizeof(float)) : NULL;
    if (p->turned && !straight)
        return wf_fail_memory(err);
    p->int8 = *at;
    p->balance = balance ? balance : (const float *)(const void *)p->int8;
    wf_int8_pack(params->env->kernels->int8_form(), p->int8, wf_param_values(params, p, 0, p->count, straight), p->count / k, k,
                 balance);
    wf_free_big(&params->env->mem, straight);
    *at += int8_size(params, p);
    return WEFT_OK;
}

/* The last of the matrices that read the same rows balances them all: of attention that is v, whose errors arrive as they are,
 * while those of q and k only move weights of a softmax. */
weft_status wf_params_allocate_int8(wf_params *params, weft_error *err) {
    size_t bytes = 0;
    uint8_t *at;
    for (size_t i = 0; i < params->count; i++)
        bytes += wants_int8(params->list[i]) ? int8_size(params, params->list[i]) : 0;
    WF_TRY(add_block(params, bytes, &at, err));
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i], *last = p;
        while (last->together)
            last = last->together;
        if (wants_int8(last))
            WF_TRY(pack_int8(params, last, NULL, &at, err));
        if (wants_int8(p))
            WF_TRY(pack_int8(params, p, last->balance, &at, err));
    }
    return WEFT_OK;
}

typedef struct packing {
    const wf_kernels *kernels;
    const wf_param *param;
} packing;

/* A thread's share of the panels of a matrix. */
static void pack_share(void *arg, int thread, int n_threads) {
    const packing *job = arg;
    const wf_param *p = job->param;
    int64_t n = p->dims[0], k = p->dims[1], panels = (n + WF_GEMM_COLUMNS - 1) / WF_GEMM_COLUMNS,
            first = panels * thread / n_threads * WF_GEMM_COLUMNS, end = panels * (thread + 1) / n_threads * WF_GEMM_COLUMNS,
            ld = p->turned ? p->turned : k;
    if (first < end && p->bf16)
        wf_panels_pack_bf16(p->bf16_panels + wf_panels_at(WF_BF16, first, k), p->bf16 + first * k, (end < n ? end : n) - first,
                            k);
    else if (first < end)
        wf_panels_pack(job->kernels, p->panels + first * k, p->value + first * (p->turned ? 1 : ld), ld, p->turned != 0,
                       (end < n ? end : n) - first, k);
}

static wf_dtype panels_type(const wf_param *p) { return p->bf16 ? WF_BF16 : WF_F32; }
static bool wants_panels(const wf_params *params, const wf_param *p) {
    return !(p->bf16 ? (void *)p->bf16_panels : (void *)p->panels) && !p->buffer && !p->table && p->rank == 2 &&
           wf_panels_fast(params->env->kernels, panels_type(p));
}
static size_t panels_bytes(const wf_param *p) { return whole_lines(wf_panels_bytes(panels_type(p), p->dims[0], p->dims[1])); }

weft_status wf_params_allocate_panels(wf_params *params, weft_error *err) {
    const wf_env *env = params->env;
    size_t bytes = 0;
    uint8_t *at;
    for (size_t i = 0; i < params->count; i++)
        bytes += wants_panels(params, params->list[i]) ? panels_bytes(params->list[i]) : 0;
    WF_TRY(add_block(params, bytes, &at, err));
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (!wants_panels(params, p))
            continue;
        if (p->bf16)
            p->bf16_panels = (uint16_t *)(void *)at;
        else
            p->panels = (float *)(void *)at;
        at += panels_bytes(p);
        wf_pool_run(env->pool, pack_share, &(packing){env->kernels, p});
    }
    return WEFT_OK;
}

bool wf_params_have_bf16_panels(const wf_params *params) {
    for (size_t i = 0; i < params->count; i++)
        if (params->list[i]->bf16_panels)
            return true;
    return false;
}

void wf_params_refresh_bf16(wf_params *params) {
    for (size_t i = 0; i < params->count; i++) {
        wf_param *p = params->list[i];
        if (p->bf16 && p->turned)
            turn_to_bf16(params->env->kernels, p);
        else if (p->bf16)
            params->env->kernels->f32_to_bf16(p->bf16, p->value, p->count);
    }
}

/* Elements first..end-1; values depend on their index only, so threads may share a tensor. */
static void init_range(wf_param *p, wf_rng rng, int64_t first, int64_t end) {
    switch (p->init) {
    case WF_INIT_ZEROS:
        memset(p->value + first, 0, (size_t)(end - first) * sizeof(float));
        break;
    case WF_INIT_ONES:
        for (int64_t i = first; i < end; i++)
            p->value[i] = 1.0f;
        break;
    case WF_INIT_CONSTANT:
        for (int64_t i = first; i < end; i++)
            p->value[i] = p->init_scale;
        break;
    case WF_INIT_NORMAL:
        for (int64_t i = first; i < end; i++)
            p->value[i] = p->init_scale * (float)wf_rng_normal(rng, (uint64_t)i);
        break;
    case WF_INIT_UNIFORM:
        for (int64_t i = first; i < end; i++)
            p->value[i] = p->init_scale * (2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f);
        break;
    case WF_INIT_CUSTOM:
        if (first == 0)
            p->init_fn(p->value, p->count, p->dims, rng);
        break;
    case WF_INIT_SEEDED:
        if (first == 0)
            wf_torch_normal(p->value, p->count, p->init_seed);
        break;
    }
}

wf_rng wf_param_rng(const wf_param *p, uint64_t seed, uint32_t step) {
    return wf_rng_make(seed, (uint32_t)XXH64(p->name, strlen(p->name), 0), step);
}

typedef struct init_work {
    wf_params *params;
    uint64_t seed;
} init_work;

static void init_region(void *arg, int thread, int n) {
    const init_work *w = arg;
    int64_t turn = 0;
    for (size_t i = 0; i < w->params->count; i++) {
        wf_param *p = w->params->list[i];
        wf_rng rng = wf_param_rng(p, w->seed, 0);
        for (int64_t first = 0; first < p->count; first += INIT_PIECE, turn++)
            if (turn % n == thread)
                init_range(p, rng, first, p->count - first < INIT_PIECE ? p->count : first + INIT_PIECE);
    }
}

void wf_param_init(const wf_params *params, wf_param *p, uint64_t seed) {
    init_range(p, wf_param_rng(p, seed, 0), 0, p->count);
    if (p->bf16)
        params->env->kernels->f32_to_bf16(p->bf16, p->value, p->count);
}

void wf_params_init(wf_params *params, uint64_t seed) {
    init_work w = {params, seed};
    if (params->env->pool)
        wf_pool_run(params->env->pool, init_region, &w);
    else
        init_region(&w, 0, 1);
    wf_params_refresh_bf16(params);
}

int64_t wf_params_total(const wf_params *params) {
    int64_t total = 0;
    for (size_t i = 0; i < params->count; i++)
        total += params->list[i]->buffer ? 0 : params->list[i]->count;
    return total;
}

int64_t wf_params_trained(const wf_params *params) {
    int64_t total = 0;
    for (size_t i = 0; i < params->count; i++)
        total += wf_param_trains(params->list[i]) ? params->list[i]->count : 0;
    return total;
}

uint64_t wf_params_digest(const wf_params *params) {
    uint64_t h = 0;
    for (size_t i = 0; i < params->count; i++) {
        const wf_param *p = params->list[i];
        h = XXH64(p->name, strlen(p->name), h);
        h = XXH64(p->value, (size_t)p->count * sizeof(float), h);
    }
    return h;
}
