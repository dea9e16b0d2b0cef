/* bench_kernels.c - operations by themselves, forward and backward, at the shapes models use. */
#include <string.h>
#include "jobs/bench.h"
#include "tensor/ops.h"

enum { ROUNDS = 7, INPUTS_MAX = 8 };

typedef struct workbench {
    wf_tape *tape;
    const wf_env *env;
    wf_params params;
    wf_dtype type;
    wf_tensor *inputs[INPUTS_MAX]; /* filled with small numbers */
    int n_inputs;
    weft_error *err;
} workbench;

static wf_tensor *input(workbench *w, int rank, const int64_t *dims) {
    wf_tensor *x = wf_input_grad(w->tape, "x", rank, dims);
    if (x && w->n_inputs < INPUTS_MAX)
        w->inputs[w->n_inputs++] = x;
    return x;
}

static wf_tensor *weight(workbench *w, const char *name, int rank, const int64_t *dims) {
    wf_param *p = NULL;
    bool good = wf_param_add(&w->params, name, rank, dims, &p, w->err) == WEFT_OK &&
                wf_params_allocate(&w->params, w->err) == WEFT_OK && wf_params_allocate_grads(&w->params, w->err) == WEFT_OK;
    if (good && w->type == WF_BF16)
        good = wf_params_allocate_bf16(&w->params, w->err) == WEFT_OK;
    for (int64_t i = 0; good && i < p->count; i++)
        p->value[i] = (float)(i % 19 - 9) * 0.01f;
    if (good)
        wf_params_refresh_bf16(&w->params);
    return good ? wf_use(w->tape, p) : wf_tape_error(w->tape, WEFT_NO_MEMORY, "out of memory");
}

static wf_tensor *project(workbench *w, int64_t m, int64_t k, int64_t n) {
    wf_tensor *x = wf_cast(w->tape, input(w, 2, (int64_t[]){m, k}), w->type);
    return wf_linear(w->tape, x, weight(w, "w", 2, (int64_t[]){n, k}), NULL);
}

static wf_tensor *linear_square(workbench *w) { return project(w, 1024, 768, 768); }
static wf_tensor *linear_up(workbench *w) { return project(w, 1024, 768, 3072); }
static wf_tensor *linear_small(workbench *w) { return project(w, 256, 128, 128); }

static wf_tensor *attend(workbench *w, int64_t rows, int64_t window) {
    const int64_t dims[4] = {1, rows, 12, 64};
    wf_tensor *q = wf_cast(w->tape, input(w, 4, dims), w->type), *k = wf_cast(w->tape, input(w, 4, dims), w->type);
    wf_tensor *v = wf_cast(w->tape, input(w, 4, dims), w->type);
    return wf_attention(w->tape, q, k, v,
                        &(wf_attention_spec){.scale = 0.125f, .causal = true, .left = window, .right = INT64_MAX});
}

static wf_tensor *attention_1k(workbench *w) { return attend(w, 1024, INT64_MAX); }
static wf_tensor *attention_4k(workbench *w) { return attend(w, 4096, INT64_MAX); }
static wf_tensor *attention_window(workbench *w) { return attend(w, 4096, 256); }

static wf_tensor *recurrence(workbench *w) {
    const int64_t dims[4] = {1, 4096, 8, 64};
    float *decay = wf_arena_alloc(wf_tape_arena(w->tape), 8 * sizeof *decay);
    for (int i = 0; decay && i < 8; i++)
        decay[i] = -0.01f * (float)(i + 1);
    wf_tensor *q = input(w, 4, dims), *k = input(w, 4, dims), *v = input(w, 4, dims);
    return wf_recurrence(w->tape, q, k, v, &(wf_recurrence_spec){.decay = WF_DECAY_CONST, .g_const = decay, .scale = 0.125f});
}

static wf_tensor *selective_scan(workbench *w) {
    const int64_t wide[3] = {1, 4096, 1024}, narrow[3] = {1, 4096, 16};
    wf_tensor *u = input(w, 3, wide), *dt = input(w, 3, wide), *b = input(w, 3, narrow), *c = input(w, 3, narrow);
    return wf_selective_scan(w->tape, u, dt, b, c, &(wf_scan_spec){.a_log = weight(w, "a_log", 2, (int64_t[]){1024, 16})});
}

static wf_tensor *layer_norm(workbench *w) {
    const int64_t n = 768;
    wf_tensor *x = input(w, 2, (int64_t[]){4096, n});
    return wf_layer_norm(w->tape, x, weight(w, "w", 1, &n), weight(w, "b", 1, &n), 0.0f, 1e-5f);
}

static wf_tensor *gelu(workbench *w) {
    return wf_activate(w->tape, wf_cast(w->tape, input(w, 2, (int64_t[]){1024, 3072}), w->type), WF_GELU_TANH);
}

static wf_tensor *lstm(workbench *w) {
    wf_tensor *ih = input(w, 3, (int64_t[]){8, 256, 1024});
    return wf_lstm(w->tape, ih, &(wf_rnn_spec){.hh = weight(w, "hh", 2, (int64_t[]){1024, 256})});
}

static wf_tensor *cross_entropy(workbench *w) {
    wf_tensor *x = wf_cast(w->tape, input(w, 2, (int64_t[]){256, 768}), w->type),
              *targets = wf_input(w->tape, "t", WF_I32, 1, (int64_t[]){256});
    wf_tensor *count = wf_input(w->tape, "c", WF_F32, 1, (int64_t[]){1});
    return wf_cross_entropy(w->tape, x, weight(w, "w", 2, (int64_t[]){50257, 768}), NULL, targets,
                            &(wf_cross_entropy_spec){.ignore = -100, .logit_scale = 1.0f, .inverse_count = count}, NULL);
}

typedef struct operation {
    const char *op, *label;
    wf_tensor *(*build)(workbench *w);
    bool both;  /* in fp32 and in bf16 */
    bool early; /* the forward does the work of the backward too */
} operation;

static const operation operations[] = {{"linear", "linear 1024x768 -> 768", linear_square, true, false},
                                       {"linear", "linear 1024x768 -> 3072", linear_up, true, false},
                                       {"linear", "linear 256x128 -> 128", linear_small, true, false},
                                       {"attention", "attention 12 heads, T=1024, causal", attention_1k, true, false},
                                       {"attention", "attention 12 heads, T=4096, causal", attention_4k, true, false},
                                       {"attention", "attention T=4096, window 256", attention_window, true, false},
                                       {"recurrence", "recurrence 8 heads 64x64, T=4096", recurrence, false, false},
                                       {"selective_scan", "scan 1024 channels x 16, T=4096", selective_scan, false, false},
                                       {"layer_norm", "layer norm 4096x768", layer_norm, false, false},
                                       {"activate", "gelu 1024x3072", gelu, true, false},
                                       {"lstm", "lstm 8 x 256 steps, width 256", lstm, false, false},
                                       {"cross_entropy", "cross entropy 256x768, 50257 words", cross_entropy, true, true}};

/* ---- running ---- */
typedef struct pass_times {
    const char *op;
    double seconds[2];
} pass_times;

static void add_time(void *user, const char *op, wf_pass pass, double seconds, int calls) {
    pass_times *t = user;
    (void)calls;
    if (strcmp(op, t->op) == 0)
        t->seconds[pass] += seconds;
}

static weft_status one_round(workbench *w, pass_times *t, weft_error *err) {
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_tape_profile(w->tape, true);
    WF_TRY(wf_tape_forward(w->tape, &rt, err));
    WF_TRY(wf_tape_backward(w->tape, &rt, err));
    t->seconds[0] = t->seconds[1] = 0.0;
    wf_tape_profile_each(w->tape, add_time, t);
    return WEFT_OK;
}

static weft_status build(workbench *w, const operation *o) {
    WF_TRY(wf_tape_create(w->env, &(wf_tape_options){.type = w->type, .grad = true}, &w->tape, w->err));
    wf_tensor *y = o->build(w), *seed = NULL;
    if (y && y->count > 1) {
        y = wf_cast(w->tape, y, WF_F32);
        seed = y ? wf_input(w->tape, "dy", WF_F32, y->rank, y->dims) : NULL;
    }
    wf_root_seeded(w->tape, y, seed);
    WF_TRY(wf_tape_plan(w->tape, w->err));
    for (int i = 0; i < w->n_inputs; i++)
        for (int64_t j = 0; j < w->inputs[i]->count; j++)
            ((float *)w->inputs[i]->data)[j] = (float)(j % 23 - 11) * 0.05f;
    for (int64_t j = 0; seed && j < seed->count; j++)
        ((float *)seed->data)[j] = (float)(j % 29 - 14) * 0.01f;
    return WEFT_OK;
}

static void describe(wf_bench_line *line, double flops, wf_dtype type) {
    line->work = flops;
    line->roof = flops <= 0 ? WF_ROOF_NONE : type == WF_BF16 ? WF_ROOF_MATMUL_BF16 : WF_ROOF_MATMUL_F32;
}

static weft_status measure(wf_bench *b, workbench *w, const operation *o) {
    const char *type = wf_dtypes[w->type].name;
    wf_bench_line *lines[2] = {wf_bench_add(b, "%s, %s", o->label, type), wf_bench_add(b, "  backward")};
    pass_times t = {.op = o->op};
    if (!lines[0] || !lines[1])
        return wf_fail_memory(w->err);
    WF_TRY(build(w, o));
    wf_tape_stats stats = wf_tape_stats_of(w->tape);
    describe(lines[0], stats.flops_forward + (o->early ? stats.flops_backward : 0.0), w->type);
    describe(lines[1], o->early ? 0.0 : stats.flops_backward, w->type);
    for (int i = 0; i <= ROUNDS; i++) {
        WF_TRY(wf_stopped(w->env));
        WF_TRY(one_round(w, &t, w->err));
        for (int pass = 0; pass < 2 && i > 0; pass++)
            wf_series_add(&lines[pass]->ours, t.seconds[pass]);
    }
    wf_series_sort(&lines[0]->ours);
    wf_series_sort(&lines[1]->ours);
    return WEFT_OK;
}

static weft_status run_operation(wf_bench *b, const operation *o, wf_dtype type) {
    workbench w = {.env = b->job->env, .type = type, .err = b->job->err};
    weft_progress p = wf_progress_new("bench", o->label);
    wf_job_report(b->job, &p);
    wf_params_open(&w.params, w.env);
    weft_status status = measure(b, &w, o);
    wf_tape_free(w.tape);
    wf_params_close(&w.params);
    return status;
}

static weft_status run(wf_bench *b) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        WF_TRY(run_operation(b, &operations[i], WF_F32));
        if (operations[i].both)
            WF_TRY(run_operation(b, &operations[i], WF_BF16));
    }
    return WEFT_OK;
}

const wf_bench_row wf_bench_kernels = {"kernels", "operations by themselves, forward and backward", run};
