/* plan.c - the schedule of a replay (forward list, backward list) and the lifetime of every temporary. */
#include <assert.h>
#include "kernels/kernels.h"
#include "tensor/tape.h"

typedef struct planner {
    wf_tape *tape;
    int time;         /* of the entry being added */
    bool *again;      /* per node: the region being planned runs it again */
    size_t claims[2]; /* phases so far in each list */
    weft_error *err;
} planner;

static weft_status add_entry(planner *p, wf_pass pass, wf_entry entry) {
    wf_entries *list = &p->tape->passes[pass];
    WF_TRY(wf_grow(&p->tape->env->mem, (void **)&list->list, &list->capacity, list->count + 1, sizeof *list->list, p->err));
    entry.claim = p->claims[pass];
    p->claims[pass] += (size_t)entry.phases;
    list->list[list->count++] = entry;
    p->time++;
    return WEFT_OK;
}

static void touch(wf_tensor *x, int slot, int time) {
    struct wf_life *life = wf_base(x)->life;
    if (life->first[slot] < 0)
        life->first[slot] = time;
    life->last[slot] = time;
}

/* Where its data is now. */
static void touch_data(const planner *p, wf_tensor *x) {
    wf_tensor *base = wf_base(x);
    base = base->life->moved ? base->life->again : base;
    touch(base, base->life->now, p->time);
}

static void read_data(const planner *p, wf_tensor *x) {
    if (x) {
        assert(wf_base(x)->life->now == WF_DATA || wf_base(x)->life->first[wf_base(x)->life->now] >= 0);
        touch_data(p, x);
    }
}

static weft_status set_phases(planner *p, wf_entry *entry, int phases, const int *pieces) {
    entry->phases = phases;
    entry->pieces = wf_arena_alloc(&p->tape->arena, (size_t)(phases + 1) * sizeof *entry->pieces);
    if (!entry->pieces)
        return wf_fail_memory(p->err);
    for (int i = 0; i < phases; i++)
        entry->pieces[i] = pieces ? pieces[i] : entry->node->op->pieces(entry->node, entry->pass, i);
    return WEFT_OK;
}

static weft_status count_phases(planner *p, wf_entry *entry) {
    int n = 0;
    while (entry->node->op->pieces(entry->node, entry->pass, n) > 0)
        n++;
    return set_phases(p, entry, n, NULL);
}

static weft_status add_simple(planner *p, wf_pass list, wf_entry entry, int pieces) {
    WF_TRY(set_phases(p, &entry, 1, &pieces));
    return add_entry(p, list, entry);
}

/* The gradient of in[i] is about to be written: decides between overwriting and adding. */
static weft_status claim_gradient(planner *p, wf_pass list, wf_node *node, int i) {
    wf_tensor *x = node->in[i];
    node->grad_mode[i] = 0;
    if (!x || !x->needs_grad)
        return WEFT_OK;
    wf_tensor *base = wf_base(x);
    if (base->life->sliced && !base->life->grad_written) {
        touch(base, WF_GRAD, p->time);
        WF_TRY(add_simple(p, list, (wf_entry){.kind = WF_ZERO_GRAD, .pass = list, .tensor = base},
                          wf_split_pieces(base->count, 65536)));
        base->life->grad_written = true;
    }
    node->grad_mode[i] = base->life->grad_written ? 2 : 1;
    base->life->grad_written = true;
    return WEFT_OK;
}

static bool is_early(const wf_node *node, int i) { return node->op->early >> i & 1u; }

/* Gradients that an op writes in its forward come before every other writer. */
static weft_status claim_early(planner *p, wf_node *node) {
    for (int i = 0; i < node->n_in && p->tape->options.grad; i++) {
        if (!is_early(node, i))
            continue;
        WF_TRY(claim_gradient(p, WF_FORWARD, node, i));
        if (node->grad_mode[i])
            touch(node->in[i], WF_GRAD, p->time);
    }
    return WEFT_OK;
}

static bool is_constant(const wf_tensor *x) {
    const wf_tensor *base = x->base ? x->base : x;
    return base->kind == WF_PARAMETER || base->life->constant;
}

/* Does the node read constants alone? Then what it makes is constant too. */
static bool runs_once(const wf_tape *tape, const wf_node *node) {
    bool some = false, all = true;
    for (int i = 0; i < node->n_in; i++) {
        some |= node->in[i] != NULL;
        all = all && (!node->in[i] || is_constant(node->in[i]));
    }
    return tape->options.fixed && !tape->options.grad && some && all && !node->op->by_runtime;
}

/* ---- strips of rows ---- */
enum { FEWEST_ROWS = 192 }; /* enough to be shared out */

static bool runs_by_rows(const wf_tape *tape, const wf_node *node) {
    return !tape->options.grad && node->op->run_rows && node->rows >= FEWEST_ROWS && node->region < 0 &&
           node->work[WF_FORWARD] == 0;
}

/* What the chain from `first` on makes is read whole, row by row. */
static bool reads_by_rows(const wf_node *node, const wf_node *first) {
    for (int i = 0; i < node->n_in; i++) {
        const wf_tensor *x = node->in[i];
        bool inside = x && x->producer && x->producer->index >= first->index;
        if (inside && (x->count % node->rows != 0 || x->count != (x->base ? x->base : x)->count))
            return false;
    }
    return true;
}

/* The entry before, when the node may go on with its rows where they are. */
static wf_entry *chain_for(const planner *p, wf_pass list, const wf_node *node) {
    wf_entries *l = &p->tape->passes[list];
    wf_entry *e = l->count && list == WF_FORWARD ? &l->list[l->count - 1] : NULL;
    bool joins = e && e->kind == WF_RUN && !e->once && e->phases == 1 && e->node->index + e->more + 1 == node->index &&
                 e->node->rows == node->rows && runs_by_rows(p->tape, e->node) && runs_by_rows(p->tape, node);
    return joins && reads_by_rows(node, e->node) ? e : NULL;
}

static void touch_node(const planner *p, const wf_node *node) {
    for (int i = 0; i < node->n_in; i++)
        read_data(p, node->in[i]);
    for (int i = 0; i < node->n_out; i++)
        touch_data(p, node->out[i]);
}

/* All nodes of a chain run at the same time: some thread is at its beginning while another is at its end. */
static void lengthen(planner *p, wf_entry *chain, const wf_node *node) {
    chain->more++;
    p->time--;
    touch_node(p, node);
    p->time++;
}

static weft_status add_forward(planner *p, wf_pass list, wf_node *node) {
    wf_entry entry = {.kind = WF_RUN, .pass = WF_FORWARD, .node = node, .once = runs_once(p->tape, node)};
    for (int i = 0; i < node->n_out && entry.once; i++)
        node->out[i]->life->constant = true;
    wf_entry *chain = entry.once ? NULL : chain_for(p, list, node);
    if (chain) {
        lengthen(p, chain, node);
        return WEFT_OK;
    }
    if (node->op->early && list == WF_FORWARD)
        WF_TRY(claim_early(p, node));
    WF_TRY(count_phases(p, &entry));
    touch_node(p, node);
    return add_entry(p, list, entry);
}

static bool is_real(const wf_tensor *x) { return x && (x->type == WF_F32 || x->type == WF_BF16); }

/* Does the node make integers of real numbers? */
static bool chooses(const wf_node *node) {
    bool reals = false, integers = false;
    for (int i = 0; i < node->n_in; i++)
        reals |= is_real(node->in[i]);
    for (int i = 0; i < node->n_out; i++)
        integers |= !is_real(node->out[i]);
    return reals && integers;
}

/* The innermost region that holds all nodes that make or read a tensor. Beside inverses choices are kept: they have no home. */
static void find_homes(wf_tape *tape) {
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        bool kept = x->kind != WF_TEMP || !x->producer || x->life->keep;
        x->life->home = kept || (tape->inverts && chooses(x->producer)) ? -1 : x->producer->region;
    }
    for (size_t i = 0; i < tape->nodes.count; i++) {
        const wf_node *node = tape->nodes.items[i];
        for (int j = 0; j < node->n_in; j++) {
            struct wf_life *life = node->in[j] ? wf_base(node->in[j])->life : NULL;
            while (life && !wf_region_holds(tape, life->home, node->region))
                life->home = tape->regions[life->home].parent;
        }
    }
}

static bool wants_backward(const wf_node *node) {
    bool arrives = false, needed = false;
    for (int i = 0; i < node->n_out; i++)
        arrives |= wf_base(node->out[i])->life->grad_arrives;
    for (int i = 0; i < node->n_in; i++)
        needed |= node->in[i] && node->in[i]->needs_grad;
    return arrives && needed && !node->op->no_grad;
}

static void find_gradients(wf_tape *tape) {
    for (size_t i = 0; i < tape->roots.count; i++) {
        wf_root_mark *root = tape->roots.items[i];
        root->tensor->life->grad_arrives = root->tensor->needs_grad;
    }
    for (size_t i = tape->nodes.count; i-- > 0;) {
        wf_node *node = tape->nodes.items[i];
        if (!wants_backward(node))
            continue;
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j] && node->in[j]->needs_grad)
                wf_base(node->in[j])->life->grad_arrives = true;
    }
}

static weft_status add_backward(planner *p, wf_node *node) {
    for (int i = 0; i < node->n_in; i++)
        if (!is_early(node, i))
            WF_TRY(claim_gradient(p, WF_BACKWARD, node, i));
    wf_entry entry = {.kind = WF_RUN, .pass = WF_BACKWARD, .node = node};
    WF_TRY(count_phases(p, &entry));
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] && node->op->saves_in >> i & 1u)
            read_data(p, node->in[i]);
        if (node->grad_mode[i])
            touch(node->in[i], WF_GRAD, p->time);
    }
    for (int i = 0; i < node->n_out; i++) {
        if (node->op->saves_out >> i & 1u)
            read_data(p, node->out[i]);
        if (wf_base(node->out[i])->life->grad_arrives)
            touch(node->out[i], WF_GRAD, p->time);
    }
    return add_entry(p, WF_BACKWARD, entry);
}

/* ---- regions again ---- */
static void want(wf_tensor *x, bool yes) {
    if (x && yes)
        wf_base(x)->life->wanted = true;
}

/* What a node of the region needs of it later: its backward, its being computed again as a part of an inner region, its
 * inverse. */
static void want_of(const planner *p, int region, wf_node *node) {
    bool inner = node->region != region, back = !node->inverse && wants_backward(node);
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && wf_base(node->in[i])->life->home == region)
            want(node->in[i], inner || node->inverse || (back && node->op->saves_in >> i & 1u));
    for (int i = 0; back && i < node->n_out; i++)
        if (wf_base(node->out[i])->life->home == region)
            want(node->out[i], node->op->saves_out >> i & 1u);
    bool again = false;
    for (int i = 0; i < node->n_out && !node->inverse; i++)
        again |= wf_base(node->out[i])->life->wanted;
    for (int i = 0; again && i < node->n_in; i++)
        want(node->in[i], node->in[i] && wf_region_holds(p->tape, region, wf_base(node->in[i])->life->home));
    p->again[node->index] = again || (node->inverse && !inner);
}

/* Tensors of the region move to their next life. */
static void leave_lives(const wf_tape *tape, int region) {
    const wf_region *r = &tape->regions[region];
    for (size_t i = r->tensor; i < r->tensors; i++) {
        struct wf_life *life = ((wf_tensor *)tape->tensors.items[i])->life;
        life->wanted = false;
        life->now += life->home >= 0 && wf_region_holds(tape, region, life->home);
    }
}

/* From here on the inputs that the region rebuilds are what its inverse has made. */
static weft_status rebuild_inputs(planner *p, int region) {
    bool some = false;
    for (size_t i = 0; i < p->tape->tensors.count; i++) {
        struct wf_life *life = ((wf_tensor *)p->tape->tensors.items[i])->life;
        if (life->again && !life->keep && life->again->producer->region == region)
            some = life->moved = true;
    }
    return some ? add_entry(p, WF_BACKWARD, (wf_entry){.kind = WF_REBUILT, .region = region}) : WEFT_OK;
}

static weft_status recompute_region(planner *p, int region) {
    wf_region *r = &p->tape->regions[region];
    if (r->again)
        return WEFT_OK;
    if (r->parent >= 0)
        WF_TRY(recompute_region(p, r->parent));
    r->again = true;
    leave_lives(p->tape, region);
    for (size_t i = r->end; i-- > r->first;)
        want_of(p, region, p->tape->nodes.items[i]);
    WF_TRY(add_entry(p, WF_BACKWARD, (wf_entry){.kind = WF_RECOMPUTE, .region = region}));
    for (size_t i = r->first; i < r->end; i++)
        if (p->again[i])
            WF_TRY(add_forward(p, WF_BACKWARD, p->tape->nodes.items[i]));
    return r->inverse < r->end ? rebuild_inputs(p, region) : WEFT_OK;
}

static weft_status seed_roots(planner *p) {
    for (size_t i = 0; i < p->tape->roots.count; i++) {
        wf_root_mark *root = p->tape->roots.items[i];
        struct wf_life *life = root->tensor->life;
        if (!life->grad_arrives || life->grad_written)
            continue;
        touch(root->tensor, WF_GRAD, p->time);
        life->grad_written = true;
        WF_TRY(add_simple(p, WF_BACKWARD, (wf_entry){.kind = WF_SEED, .tensor = root->tensor, .seed = root->seed},
                          wf_split_pieces(root->tensor->count, 65536)));
    }
    return WEFT_OK;
}

static weft_status plan_backward(planner *p) {
    wf_tape *tape = p->tape;
    find_gradients(tape);
    WF_TRY(seed_roots(p));
    for (size_t i = tape->nodes.count; i-- > 0;) {
        wf_node *node = tape->nodes.items[i];
        if (!wants_backward(node))
            continue;
        if (node->region >= 0)
            WF_TRY(recompute_region(p, node->region));
        WF_TRY(add_backward(p, node));
    }
    return WEFT_OK;
}

/* Kept tensors, inputs and constants live through the whole replay. */
static void extend_lives(wf_tape *tape, int end) {
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        struct wf_life *life = x->life;
        if (x->kind == WF_INPUT || (life->constant && life->first[WF_DATA] >= 0)) {
            life->first[WF_DATA] = 0;
            life->last[WF_DATA] = end;
        } else if (life->keep && life->first[WF_DATA] >= 0) {
            life->last[WF_DATA] = end;
        }
        if (life->keep_grad && life->first[WF_GRAD] >= 0)
            life->last[WF_GRAD] = end;
    }
}

weft_status wf_plan_schedule(wf_tape *tape, weft_error *err) {
    planner p = {.tape = tape, .err = err};
    p.again = wf_calloc(&tape->env->mem, tape->nodes.count + 1, sizeof *p.again);
    if (!p.again)
        return wf_fail_memory(err);
    find_homes(tape);
    weft_status status = WEFT_OK;
    for (size_t i = 0; i < tape->nodes.count && status == WEFT_OK; i++)
        if (!((const wf_node *)tape->nodes.items[i])->inverse)
            status = add_forward(&p, WF_FORWARD, tape->nodes.items[i]);
    if (status == WEFT_OK && tape->options.grad)
        status = plan_backward(&p);
    extend_lives(tape, p.time);
    wf_free(&tape->env->mem, p.again);
    return status;
}
