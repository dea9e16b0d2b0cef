/* replay.c - running a planned tape: one parallel region per pass, a barrier after every phase. */
#include <string.h>
#include "kernels/gemm/gemm.h"
#include "tensor/tape.h"

enum { SMALL_FLOPS = 16000000 };

typedef struct replay {
    wf_tape *tape;
    wf_entries *entries;
    const wf_runtime *rt;
    int threads; /* 1: the caller alone, no barriers */
} replay;

static void seed_gradient(const wf_entry *entry, int piece, const wf_runtime *rt) {
    wf_tensor *x = entry->tensor;
    int64_t first, end;
    size_t size = wf_dtypes[x->type].size;
    wf_split_bounds(x->count, entry->pieces[0], piece, &first, &end);
    char *to = (char *)x->grad + (size_t)first * size;
    if (!entry->seed) {
        wf_dtypes[x->type].from_f32(to, &rt->loss_scale, 1);
    } else if (entry->seed->type == x->type) {
        memcpy(to, (const char *)entry->seed->data + (size_t)first * size, (size_t)(end - first) * size);
    } else {
        wf_dtypes[x->type].from_f32(to, (const float *)entry->seed->data + first, end - first);
    }
}

static void zero_gradient(const wf_entry *entry, int piece, const wf_runtime *rt) {
    wf_tensor *x = entry->tensor;
    int64_t first, end;
    if (x->kind == WF_PARAMETER && rt->micro > 0)
        return; /* later micro-batches add to what is there */
    wf_split_bounds(x->count, entry->pieces[0], piece, &first, &end);
    size_t size = x->kind == WF_PARAMETER ? sizeof(float) : wf_dtypes[x->type].size;
    memset((char *)x->grad + (size_t)first * size, 0, (size_t)(end - first) * size);
}

static void to_life(const wf_tape *tape, wf_tensor *x, int now) {
    x->life->now = now;
    if (x->life->first[now] >= 0)
        x->data = tape->memory + x->life->offset[now];
}

/* Temporaries of the region, and what nodes share among their phases, move to the memory planned for their next life. */
static void enter_region_again(const replay *r, size_t e) {
    wf_tape *tape = r->tape;
    int region = r->entries->list[e].region;
    const wf_region *of = &tape->regions[region];
    for (size_t i = of->tensor; i < of->tensors; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->life->home >= 0 && wf_region_holds(tape, region, x->life->home))
            to_life(tape, x, x->life->now + 1);
    }
    for (e++; e < r->entries->count && r->entries->list[e].kind == WF_RUN && r->entries->list[e].pass == WF_FORWARD; e++)
        wf_entry_work(tape, &r->entries->list[e]);
    wf_plan_resolve_views(tape, of->tensor, of->tensors);
}

/* The inputs that the region rebuilds are from now on what its inverse has made. */
static void move_inputs(wf_tape *tape, int region) {
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->life->moved && x->life->again->producer->region == region)
            x->data = x->life->again->data;
    }
    wf_plan_resolve_views(tape, 0, tape->tensors.count);
}

/* What the nodes after i read first; after the last one the chain begins again with other rows. */
static const void *read_after(const wf_tape *tape, const wf_entry *entry, int i) {
    for (int n = 0; n <= entry->more; n++) {
        i = i < entry->more ? i + 1 : 0;
        const wf_node *node = tape->nodes.items[entry->node->index + i];
        if (node->op->begins)
            return node->op->begins(node);
    }
    return NULL;
}

/* A strip of rows through all nodes of a chain. */
static void run_strip(const replay *r, const wf_entry *entry, int piece, wf_worker *worker) {
    const wf_tape *tape = r->tape;
    int64_t rows = entry->node->rows, first, end;
    wf_strip_bounds(wf_row_blocks(rows), r->threads, piece, &first, &end);
    end = end * WF_GEMM_ROWS < rows ? end * WF_GEMM_ROWS : rows;
    for (int i = 0; i <= entry->more; i++) {
        const wf_node *node = tape->nodes.items[entry->node->index + i];
        if (i == 0 || node->op != ((const wf_node *)tape->nodes.items[node->index - 1])->op)
            worker->kept = NULL;
        worker->ahead = node->op->begins ? read_after(tape, entry, i) : NULL;
        node->op->run_rows(node, first * WF_GEMM_ROWS, end, worker);
    }
}

static void run_piece(const replay *r, const wf_entry *entry, int phase, int piece, wf_worker *worker) {
    worker->kept = worker->ahead = NULL;
    if (entry->more)
        run_strip(r, entry, piece, worker);
    else if (entry->kind == WF_RUN)
        entry->node->op->run(entry->node, entry->pass, phase, piece, worker);
    else if (entry->kind == WF_ZERO_GRAD)
        zero_gradient(entry, piece, worker->rt);
    else if (entry->kind == WF_SEED)
        seed_gradient(entry, piece, worker->rt);
}

static void run_phase(const replay *r, const wf_entry *entry, int phase, atomic_int *claim, wf_worker *worker) {
    int n = r->threads, pieces = entry->more ? wf_strips(wf_row_blocks(entry->node->rows), n) : entry->pieces[phase];
    if (entry->kind == WF_RUN && (entry->node->op->uneven || entry->more) && pieces > n) {
        for (int piece; (piece = atomic_fetch_add_explicit(claim, 1, memory_order_relaxed)) < pieces;)
            run_piece(r, entry, phase, piece, worker);
        return;
    }
    int first = (int)((int64_t)pieces * worker->thread / n), end = (int)((int64_t)pieces * (worker->thread + 1) / n);
    for (int piece = first; piece < end; piece++)
        run_piece(r, entry, phase, piece, worker);
}

static void barrier(const replay *r) {
    if (r->threads > 1)
        wf_pool_barrier(r->tape->env->pool);
}

static void run_entry(const replay *r, size_t e, wf_worker *worker) {
    wf_entry *entry = &r->entries->list[e];
    double begin = worker->thread == 0 && r->tape->profile ? wf_seconds() : 0;
    if (entry->kind == WF_RECOMPUTE || entry->kind == WF_REBUILT) {
        if (worker->thread == 0 && entry->kind == WF_RECOMPUTE)
            enter_region_again(r, e);
        if (worker->thread == 0 && entry->kind == WF_REBUILT)
            move_inputs(r->tape, entry->region);
        barrier(r);
    }
    for (int phase = 0; phase < entry->phases; phase++) {
        run_phase(r, entry, phase, &r->tape->claims[entry->claim + (size_t)phase], worker);
        barrier(r);
    }
    if (worker->thread == 0 && r->tape->profile) {
        entry->seconds += wf_seconds() - begin;
        entry->calls++;
    }
}

static void replay_region(void *arg, int thread, int n_threads) {
    const replay *r = arg;
    wf_worker worker = {.thread = thread,
                        .k = r->tape->env->kernels,
                        .rt = r->rt,
                        .scratch = r->tape->scratch + r->tape->scratch_bytes * (size_t)thread};
    (void)n_threads;
    wf_gemm_thread_init();
    for (size_t e = 0; e < r->entries->count; e++)
        if (!r->entries->list[e].once || !r->tape->warm)
            run_entry(r, e, &worker);
}

static weft_status run(wf_tape *tape, wf_pass pass, bool alone, const wf_runtime *rt, weft_error *err) {
    WF_CHECK(tape->planned, err, WEFT_FAILURE, "a tape runs before it is planned");
    replay r = {
        .tape = tape, .entries = &tape->passes[pass], .rt = rt, .threads = alone ? 1 : wf_pool_threads(tape->env->pool)};
    for (size_t i = 0; i < tape->n_claims; i++)
        atomic_store_explicit(&tape->claims[i], 0, memory_order_relaxed);
    if (r.threads == 1)
        wf_pool_run_alone(replay_region, &r);
    else
        wf_pool_run(tape->env->pool, replay_region, &r);
    return WEFT_OK;
}

static void first_lives(wf_tape *tape) {
    for (size_t i = 0; tape->n_regions > 0 && i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->life->home >= 0 || x->life->moved)
            to_life(tape, x, WF_DATA);
    }
    for (size_t e = 0; tape->n_regions > 0 && e < tape->passes[WF_FORWARD].count; e++)
        if (tape->passes[WF_FORWARD].list[e].kind == WF_RUN)
            wf_entry_work(tape, &tape->passes[WF_FORWARD].list[e]);
    wf_plan_resolve_views(tape, 0, tape->tensors.count);
}

static weft_status lay_out(wf_tape *tape, bool measure, weft_error *err) {
    if (tape->error.status != WEFT_OK) {
        if (err)
            *err = tape->error;
        return tape->error.status;
    }
    if (tape->arena.failed) /* an op may do without what it could not get, but then it is another op */
        return wf_fail_memory(err);
    WF_TRY(wf_plan_schedule(tape, err));
    return wf_plan_memory(tape, measure, err);
}

weft_status wf_tape_measure(wf_tape *tape, wf_tape_stats *out, weft_error *err) {
    WF_TRY(lay_out(tape, true, err));
    *out = wf_tape_stats_of(tape);
    return WEFT_OK;
}

weft_status wf_tape_plan(wf_tape *tape, weft_error *err) {
    WF_CHECK(!tape->options.measure, err, WEFT_USAGE, "this tape was made to be measured only");
    WF_TRY(lay_out(tape, false, err));
    wf_plan_resolve_views(tape, 0, tape->tensors.count);
    /* Below this a step is faster on one core than the barriers of two: decoding with small models. */
    tape->alone = !tape->options.grad && wf_tape_stats_of(tape).flops_forward < SMALL_FLOPS;
    tape->planned = true;
    return WEFT_OK;
}

static weft_status forward(wf_tape *tape, bool alone, const wf_runtime *rt, weft_error *err) {
    first_lives(tape);
    WF_TRY(run(tape, WF_FORWARD, alone, rt, err));
    tape->warm = true;
    return WEFT_OK;
}

weft_status wf_tape_forward(wf_tape *tape, const wf_runtime *rt, weft_error *err) {
    return forward(tape, tape->alone, rt, err);
}
weft_status wf_tape_forward_alone(wf_tape *tape, const wf_runtime *rt, weft_error *err) { return forward(tape, true, rt, err); }

weft_status wf_tape_backward(wf_tape *tape, const wf_runtime *rt, weft_error *err) {
    return run(tape, WF_BACKWARD, tape->alone, rt, err);
}

wf_tape_stats wf_tape_stats_of(const wf_tape *tape) {
    wf_tape_stats s = {.arena_bytes = tape->memory_bytes, .nodes = tape->nodes.count};
    s.scratch_bytes = tape->scratch_bytes * (size_t)wf_pool_threads(tape->env->pool) + tape->arena.used; /* the lists too */
    for (int list = 0; list < 2; list++)
        for (size_t e = 0; e < tape->passes[list].count; e++) {
            const wf_entry *entry = &tape->passes[list].list[e];
            for (int i = 0; entry->kind == WF_RUN && i <= entry->more; i++) {
                const wf_node *node = tape->nodes.items[entry->node->index + i];
                if (node->op->flops)
                    *(list == WF_FORWARD ? &s.flops_forward : &s.flops_backward) += node->op->flops(node, entry->pass);
            }
        }
    return s;
}

double wf_tape_scheduled_flops(const wf_tape *tape, const wf_runtime *rt) {
    double sum = 0.0;
    for (size_t e = 0; e < tape->passes[WF_FORWARD].count; e++) {
        const wf_entry *entry = &tape->passes[WF_FORWARD].list[e];
        const wf_op *op = entry->kind == WF_RUN ? entry->node->op : NULL;
        if (op && (op->scheduled || op->flops))
            sum += op->scheduled ? op->scheduled(entry->node, rt) : op->flops(entry->node, WF_FORWARD);
    }
    return sum;
}

void wf_tape_profile(wf_tape *tape, bool on) {
    tape->profile = on;
    for (int list = 0; list < 2; list++)
        for (size_t e = 0; e < tape->passes[list].count; e++)
            tape->passes[list].list[e].seconds = tape->passes[list].list[e].calls = 0;
}

void wf_tape_profile_each(const wf_tape *tape, void (*fn)(void *, const char *, wf_pass, double, int), void *user) {
    for (int list = 0; list < 2; list++)
        for (size_t e = 0; e < tape->passes[list].count; e++) {
            const wf_entry *entry = &tape->passes[list].list[e];
            const char *name = entry->kind != WF_RUN ? "(bookkeeping)" : entry->more ? "(rows)" : entry->node->op->name;
            fn(user, name, entry->pass, entry->seconds, entry->calls);
        }
}
