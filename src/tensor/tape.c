/* tape.c - recording: tensors, views, nodes, roots. */
#include "tensor/tape.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "tensor/ops.h"

weft_status wf_list_push(wf_tape *tape, wf_list *list, void *item) {
    WF_TRY(
        wf_grow(&tape->env->mem, (void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items, &tape->error));
    list->items[list->count++] = item;
    return WEFT_OK;
}

weft_status wf_tape_create(const wf_env *env, const wf_tape_options *options, wf_tape **out, weft_error *err) {
    wf_tape *tape = wf_calloc(&env->mem, 1, sizeof *tape);
    if (!tape)
        return wf_fail_memory(err);
    tape->env = env;
    tape->options = *options;
    tape->region = -1;
    wf_arena_init(&tape->arena, &env->mem, 0);
    *out = tape;
    return WEFT_OK;
}

void wf_tape_free(wf_tape *tape) {
    if (!tape)
        return;
    const wf_mem *mem = &tape->env->mem;
    for (size_t i = 0; i < tape->nodes.count; i++) {
        wf_node *node = tape->nodes.items[i];
        if (node->op->release)
            node->op->release(tape->env, node);
    }
    wf_free(mem, tape->nodes.items);
    wf_free(mem, tape->tensors.items);
    wf_free(mem, tape->roots.items);
    wf_free(mem, tape->passes[0].list);
    wf_free(mem, tape->passes[1].list);
    wf_free(mem, tape->claims);
    wf_free(mem, tape->regions);
    if (!tape->options.memory) {
        wf_free_big(mem, tape->memory);
        wf_free_big(mem, tape->scratch);
    }
    wf_arena_free(&tape->arena);
    wf_free(mem, tape);
}

const wf_env *wf_tape_env(const wf_tape *tape) { return tape->env; }
wf_arena *wf_tape_arena(wf_tape *tape) { return &tape->arena; }
wf_dtype wf_tape_type(const wf_tape *tape) { return tape->options.type; }
bool wf_tape_grad(const wf_tape *tape) { return tape->options.grad; }
uint32_t wf_tape_site(wf_tape *tape) { return tape->sites++; }
bool wf_tape_failed(const wf_tape *tape) { return tape->error.status != WEFT_OK; }

wf_tensor *wf_tape_error(wf_tape *tape, weft_status status, const char *fmt, ...) {
    if (tape->error.status == WEFT_OK) {
        char message[WEFT_MESSAGE_SIZE];
        va_list args;
        va_start(args, fmt);
        vsnprintf(message, sizeof message, fmt, args);
        va_end(args);
        wf_fail(&tape->error, status, "%s", message);
    }
    return NULL;
}

void wf_tape_error_of(wf_tape *tape, const char *who) {
    char message[WEFT_MESSAGE_SIZE];
    weft_error *e = &tape->error;
    if (e->status == WEFT_OK || e->status == WEFT_NO_MEMORY || strstr(e->message, who))
        return;
    snprintf(message, sizeof message, "%s", e->message);
    wf_fail(e, e->status, "%s: %s", who, message);
}

static wf_tensor *out_of_memory(wf_tape *tape) { return wf_tape_error(tape, WEFT_NO_MEMORY, "out of memory"); }

static wf_tensor *new_tensor(wf_tape *tape, wf_tensor_kind kind, wf_dtype type, int rank, const int64_t *dims) {
    if (rank < 0 || rank > WF_MAX_RANK)
        return wf_tape_error(tape, WEFT_USAGE, "a tensor of rank %d", rank);
    wf_tensor *x = wf_arena_alloc(&tape->arena, sizeof *x);
    struct wf_life *life = wf_arena_alloc(&tape->arena, sizeof *life);
    if (!x || !life)
        return out_of_memory(tape);
    for (int i = 0; i < WF_SLOTS; i++)
        life->first[i] = life->last[i] = -1;
    life->home = -1;
    *x = (wf_tensor){.label = "", .type = type, .rank = rank, .kind = kind, .life = life};
    for (int i = 0; i < rank; i++)
        x->dims[i] = dims[i];
    if (!wf_product(dims, rank, &x->count) || x->count > INT64_MAX / 64)
        return wf_tape_error(tape, WEFT_USAGE, "a tensor of an impossible size");
    if (wf_list_push(tape, &tape->tensors, x) != WEFT_OK)
        return NULL;
    return x;
}

wf_tensor *wf_out(wf_tape *tape, wf_dtype type, int rank, const int64_t *dims) {
    return new_tensor(tape, WF_TEMP, type, rank, dims);
}

wf_tensor *wf_input(wf_tape *tape, const char *label, wf_dtype type, int rank, const int64_t *dims) {
    wf_tensor *x = new_tensor(tape, WF_INPUT, type, rank, dims);
    if (x && !(x->label = wf_arena_strdup(&tape->arena, label)))
        return out_of_memory(tape);
    return x;
}

wf_tensor *wf_input_grad(wf_tape *tape, const char *label, int rank, const int64_t *dims) {
    wf_tensor *x = wf_input(tape, label, WF_F32, rank, dims);
    if (x)
        x->needs_grad = x->life->keep_grad = tape->options.grad;
    return x;
}

wf_tensor *wf_constant(wf_tape *tape, int rank, const int64_t *dims, float *values) {
    wf_tensor *x = wf_input(tape, "constant", WF_F32, rank, dims);
    if (!x)
        return NULL;
    wf_bind(x, values);
    x->life->constant = true;
    return x;
}

wf_tensor *wf_zeros(wf_tape *tape, int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *values = wf_arena_alloc(&tape->arena, (size_t)count * sizeof *values); /* zeroed */
    return values ? wf_constant(tape, rank, dims, values) : out_of_memory(tape);
}

wf_tensor *wf_use(wf_tape *tape, wf_param *param) {
    if (!param)
        return NULL;
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->param == param)
            return x;
    }
    wf_tensor *x = new_tensor(tape, WF_PARAMETER, WF_F32, param->rank, param->dims);
    if (!x)
        return NULL;
    x->label = param->name;
    x->param = param;
    x->data = param->value;
    x->grad = param->grad;
    x->needs_grad = tape->options.grad && (param->grad || tape->options.measure) && wf_param_trains(param);
    return x;
}

void wf_bind(wf_tensor *input, void *data) {
    input->data = data;
    input->life->bound = true;
}

static wf_tensor *view(wf_tape *tape, wf_tensor *x, int64_t offset, int rank, const int64_t *dims) {
    wf_tensor *v = new_tensor(tape, WF_VIEW, x->type, rank, dims);
    if (!v)
        return NULL;
    v->label = x->label;
    v->base = wf_base(x);
    v->offset = x->offset + offset;
    v->needs_grad = x->needs_grad;
    v->producer = x->producer;
    v->param = NULL;
    if (v->count != v->base->count)
        v->base->life->sliced = true;
    return v;
}

wf_tensor *wf_reshape(wf_tape *tape, wf_tensor *x, int rank, const int64_t *dims) {
    int64_t count;
    if (!x)
        return NULL;
    if (!wf_product(dims, rank, &count) || count != x->count)
        return wf_tape_error(tape, WEFT_USAGE, "reshape changes the number of elements of '%s'", x->label);
    return view(tape, x, 0, rank, dims);
}

wf_tensor *wf_rows(wf_tape *tape, wf_tensor *x, int64_t first, int64_t count) {
    if (!x)
        return NULL;
    if (x->rank < 1 || first < 0 || count < 1 || first + count > x->dims[0])
        return wf_tape_error(tape, WEFT_USAGE, "rows %lld..%lld of '%s' do not exist", (long long)first,
                             (long long)(first + count), x->label);
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[0] = count;
    return view(tape, x, first * (x->count / x->dims[0]), x->rank, dims);
}

void wf_root(wf_tape *tape, wf_tensor *x) { wf_root_seeded(tape, x, NULL); }

void wf_root_seeded(wf_tape *tape, wf_tensor *x, wf_tensor *seed) {
    if (!x)
        return;
    wf_root_mark *mark = wf_arena_alloc(&tape->arena, sizeof *mark);
    if (!mark) {
        out_of_memory(tape);
        return;
    }
    *mark = (wf_root_mark){wf_base(x), seed};
    if (!seed && x->count != 1)
        wf_tape_error(tape, WEFT_USAGE, "a loss must be one number");
    if (seed && seed->count != wf_base(x)->count)
        wf_tape_error(tape, WEFT_USAGE, "the gradient given for an output has another shape");
    wf_keep(tape, x);
    (void)wf_list_push(tape, &tape->roots, mark);
}

void wf_keep(wf_tape *tape, wf_tensor *x) {
    (void)tape;
    if (x)
        wf_base(x)->life->keep = true;
}

void wf_keep_grad(wf_tape *tape, wf_tensor *x) {
    (void)tape;
    if (x)
        wf_base(x)->life->keep_grad = true;
}

void wf_alias(wf_tape *tape, wf_tensor *x, wf_tensor *target) {
    if (x->kind != WF_TEMP || x->count != target->count || x->type != target->type) {
        wf_tape_error(tape, WEFT_USAGE, "a state of another shape");
        return;
    }
    x->kind = WF_VIEW;
    x->base = wf_base(target);
    x->offset = target->offset;
}

bool wf_region_holds(const wf_tape *tape, int outer, int inner) {
    while (inner > outer) /* regions inside others have higher numbers */
        inner = tape->regions[inner].parent;
    return inner == outer;
}

void wf_region_begin(wf_tape *tape) {
    int depth = 0;
    for (int r = tape->region; r >= 0; r = tape->regions[r].parent)
        depth++;
    if (depth >= WF_MAX_NESTED) {
        wf_tape_error(tape, WEFT_USAGE, "more than %d regions inside each other", WF_MAX_NESTED);
        return;
    }
    if (wf_grow(&tape->env->mem, (void **)&tape->regions, &tape->regions_capacity, tape->n_regions + 1, sizeof *tape->regions,
                &tape->error) != WEFT_OK)
        return;
    tape->regions[tape->n_regions] =
        (wf_region){.parent = tape->region, .first = tape->nodes.count, .inverse = SIZE_MAX, .tensor = tape->tensors.count};
    tape->region = (int)tape->n_regions++;
}

void wf_region_end(wf_tape *tape) {
    if (wf_tape_failed(tape) || tape->region < 0) /* after an error regions may not have begun */
        return;
    wf_region *r = &tape->regions[tape->region];
    r->end = tape->nodes.count;
    r->tensors = tape->tensors.count;
    r->inverse = r->inverse < r->end ? r->inverse : r->end;
    tape->region = r->parent;
}

void wf_region_inverse(wf_tape *tape) {
    if (!wf_tape_failed(tape) && tape->region >= 0)
        tape->regions[tape->region].inverse = tape->nodes.count;
}

void wf_rebuilt(wf_tape *tape, wf_tensor *x, wf_tensor *again) {
    if (!x || !again || wf_tape_failed(tape))
        return;
    wf_tensor *base = wf_base(x);
    bool fits = again->kind == WF_TEMP && again->producer && again->producer->inverse && again->count == base->count &&
                again->type == base->type && !(base->producer && wf_region_holds(tape, tape->region, base->producer->region));
    if (!fits) {
        wf_tape_error(tape, WEFT_USAGE, "an inverse that is not one of '%s'", x->label);
        return;
    }
    if (base->kind == WF_TEMP && !base->life->again) {
        base->life->again = again;
        tape->inverts = true;
    }
}

/* Parameters with adapters come as what these make of them, those that lie turned in order. What goes into a
 * projection inside another operation is not there to be dropped. */
static bool adapt_inputs(wf_tape *tape, const wf_op *op, int n_in, wf_tensor *const *given, wf_tensor **in) {
    for (int i = 0; i < n_in; i++) {
        const wf_adapter *a = given[i] && !op->bare ? wf_adapter_of(given[i]) : NULL;
        if (a && a->dropout > 0.0f && tape->options.grad)
            wf_tape_error(tape, WEFT_UNSUPPORTED, "a dropout of the adapter of '%s', which '%s' reads, is not supported",
                          wf_base(given[i])->label, op->name);
        bool as_it_is = !given[i] || (op->bare && (op->turned || !wf_turned(given[i])));
        in[i] = as_it_is ? given[i] : wf_adapted(tape, given[i]);
        if (given[i] && !in[i])
            return false;
    }
    return true;
}

wf_node *wf_record(wf_tape *tape, const wf_op *op, int n_in, wf_tensor *const *given, int n_out, wf_tensor *const *out,
                   void *attr) {
    wf_tensor *in[WF_MAX_IN];
    for (int i = 0; i < n_out; i++)
        if (!out[i])
            return NULL;
    if (n_in <= WF_MAX_IN && !adapt_inputs(tape, op, n_in, given, in))
        return NULL;
    wf_node *node = wf_arena_alloc(&tape->arena, sizeof *node);
    if (!node || n_in > WF_MAX_IN || n_out > WF_MAX_OUT) {
        wf_tape_error(tape, WEFT_NO_MEMORY, "operation '%s' cannot be recorded", op->name);
        return NULL;
    }
    *node = (wf_node){
        .op = op, .n_in = n_in, .n_out = n_out, .attr = attr, .index = (int)tape->nodes.count, .region = tape->region};
    node->inverse = tape->region >= 0 && tape->regions[tape->region].inverse <= tape->nodes.count;
    bool needs = false;
    for (int i = 0; i < n_in; i++) {
        node->in[i] = in[i];
        needs |= in[i] && in[i]->needs_grad;
    }
    if (needs && tape->options.grad && op->no_grad)
        wf_tape_error(tape, WEFT_UNSUPPORTED, "operation '%s' has no gradient", op->name);
    for (int i = 0; i < n_out; i++) {
        node->out[i] = out[i];
        out[i]->producer = node;
        out[i]->needs_grad = needs && tape->options.grad && (out[i]->type == WF_F32 || out[i]->type == WF_BF16);
    }
    if (wf_list_push(tape, &tape->nodes, node) != WEFT_OK) {
        if (op->release)
            op->release(tape->env, node);
        return NULL;
    }
    return node;
}

bool wf_same_shape(const wf_tensor *a, const wf_tensor *b) {
    if (!a || !b || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}
