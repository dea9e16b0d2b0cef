/* plan_memory.c - one arena for all temporaries: blocks whose lifetimes do not meet share bytes. Largest first, each at the
 * lowest free offset. */
#include <stdlib.h>
#include <string.h>
#include "tensor/tape.h"

typedef struct block {
    int first, last;
    size_t size, offset;
    size_t *where;
} block;

typedef struct blocks {
    block *list;
    size_t count, capacity;
} blocks;

static size_t align_up(size_t n) { return (n + 63) & ~(size_t)63; }

static weft_status add_block(wf_tape *tape, blocks *b, block item, weft_error *err) {
    WF_TRY(wf_grow(&tape->env->mem, (void **)&b->list, &b->capacity, b->count + 1, sizeof *b->list, err));
    item.size = align_up(item.size ? item.size : 1);
    b->list[b->count++] = item;
    return WEFT_OK;
}

static bool owns_memory(const wf_tensor *x) { return x->kind == WF_TEMP || (x->kind == WF_INPUT && !x->life->bound); }

/* ---- outputs that lie where an input did ---- */
/* Is it a whole temporary that nothing reads after the node, of y's size? */
static bool ends_with(const wf_node *node, const wf_tensor *x, const wf_tensor *y) {
    const struct wf_life *life = x->life;
    return x->kind == WF_TEMP && x->producer && !life->keep && !life->constant && life->home < 0 &&
           life->reader == node->index && x->type == y->type && x->count == y->count;
}

/* The youngest of the inputs whose memory the first output may take: it is the one that caches still hold. NULL: none. */
static wf_tensor *taken_over(const wf_node *node) {
    const wf_tensor *y = node->out[0];
    wf_tensor *best = NULL;
    if (!node->op->over || y->kind != WF_TEMP || y->life->constant || y->life->home >= 0 || y->life->first[WF_DATA] < 0)
        return NULL;
    for (int i = 0; i < node->n_in; i++) {
        wf_tensor *x = node->op->over >> i & 1u && node->in[i] ? wf_base(node->in[i]) : NULL;
        if (x && ends_with(node, x, y) && (!best || x->producer->index > best->producer->index))
            best = x;
    }
    return best;
}

/* Without gradients: a chain of strips then writes where it has just read, instead of where the caches hold nothing yet. */
static void find_heirs(wf_tape *tape) {
    for (size_t n = 0; n < tape->nodes.count; n++) {
        const wf_node *node = tape->nodes.items[n];
        for (int i = 0; i < node->n_in; i++)
            if (node->in[i])
                wf_base(node->in[i])->life->reader = node->index;
    }
    for (size_t n = 0; n < tape->nodes.count; n++) {
        const wf_node *node = tape->nodes.items[n];
        wf_tensor *x = taken_over(node), *root = x && x->life->over ? x->life->over : x;
        if (!root)
            continue;
        struct wf_life *y = node->out[0]->life;
        y->over = root;
        if (y->last[WF_DATA] > root->life->last[WF_DATA])
            root->life->last[WF_DATA] = y->last[WF_DATA];
    }
}

static weft_status collect_tensors(wf_tape *tape, blocks *b, weft_error *err) {
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        size_t bytes = (size_t)x->count * wf_dtypes[x->type].size;
        if (x->kind == WF_VIEW || x->kind == WF_PARAMETER || x->life->over)
            continue;
        for (int slot = 0; slot < WF_SLOTS; slot++) {
            if (x->life->first[slot] < 0 || (slot != WF_GRAD && !owns_memory(x)))
                continue;
            WF_TRY(
                add_block(tape, b, (block){x->life->first[slot], x->life->last[slot], bytes, 0, &x->life->offset[slot]}, err));
        }
    }
    return WEFT_OK;
}

/* Work buffers live during one entry. */
static weft_status collect_work(wf_tape *tape, blocks *b, weft_error *err) {
    int time = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t e = 0; e < tape->passes[pass].count; e++, time++) {
            wf_entry *entry = &tape->passes[pass].list[e];
            if (entry->kind == WF_RUN && entry->node->work[entry->pass])
                WF_TRY(add_block(tape, b, (block){time, time, entry->node->work[entry->pass], 0, &entry->work}, err));
        }
    return WEFT_OK;
}

static int larger_first(const void *a, const void *b) {
    const block *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : 0;
}

static int lower_first(const void *a, const void *b) {
    const block *x = *(const block *const *)a, *y = *(const block *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* `busy` holds the placed blocks whose lifetimes meet `item`'s, sorted by offset: the first gap that is large enough. */
static size_t first_gap(const block *item, const block **busy, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (busy[i]->offset >= at + item->size)
            break;
        if (busy[i]->offset + busy[i]->size > at)
            at = busy[i]->offset + busy[i]->size;
    }
    return at;
}

static size_t place_all(blocks *b, const block **busy) {
    size_t total = 0;
    qsort(b->list, b->count, sizeof *b->list, larger_first);
    for (size_t i = 0; i < b->count; i++) {
        block *item = &b->list[i];
        size_t n = 0;
        for (size_t j = 0; j < i; j++)
            if (b->list[j].first <= item->last && item->first <= b->list[j].last)
                busy[n++] = &b->list[j];
        qsort(busy, n, sizeof *busy, lower_first);
        item->offset = first_gap(item, busy, n);
        *item->where = item->offset;
        if (item->offset + item->size > total)
            total = item->offset + item->size;
    }
    return total;
}

static void assign_pointers(wf_tape *tape) {
    for (size_t i = 0; i < tape->tensors.count; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->kind == WF_VIEW || x->kind == WF_PARAMETER)
            continue;
        if (owns_memory(x) && x->life->first[WF_DATA] >= 0)
            x->data = tape->memory + (x->life->over ? x->life->over : x)->life->offset[WF_DATA];
        if (x->life->first[WF_GRAD] >= 0)
            x->grad = tape->memory + x->life->offset[WF_GRAD];
    }
    for (int list = 0; list < 2; list++)
        for (size_t e = 0; e < tape->passes[list].count; e++) {
            const wf_entry *entry = &tape->passes[list].list[e];
            if (entry->kind == WF_RUN && entry->pass == (wf_pass)list)
                wf_entry_work(tape, entry);
        }
}

static void size_scratch(wf_tape *tape) {
    for (size_t i = 0; i < tape->nodes.count; i++) {
        const wf_node *node = tape->nodes.items[i];
        if (node->scratch > tape->scratch_bytes)
            tape->scratch_bytes = align_up(node->scratch);
    }
}

static size_t count_claims(const wf_tape *tape) {
    size_t most = 0;
    for (int pass = 0; pass < 2; pass++) {
        const wf_entries *list = &tape->passes[pass];
        size_t n = list->count ? list->list[list->count - 1].claim + (size_t)list->list[list->count - 1].phases : 0;
        most = n > most ? n : most;
    }
    return most;
}

enum { TEMPORARIES, SCRATCH };

static char *take_memory(wf_tape *tape, int part, size_t size) {
    const wf_mem *mem = &tape->env->mem;
    wf_tape_memory *m = tape->options.memory;
    if (!m)
        return wf_alloc_big(mem, size);
    if (m->size[part] < size) {
        wf_free_big(mem, m->data[part]);
        m->data[part] = wf_alloc_big(mem, size);
        m->size[part] = m->data[part] ? size : 0;
        m->moves++;
    }
    return m->data[part];
}

void wf_tape_memory_free(const wf_env *env, wf_tape_memory *m) {
    wf_free_big(&env->mem, m->data[TEMPORARIES]);
    wf_free_big(&env->mem, m->data[SCRATCH]);
    *m = (wf_tape_memory){.moves = m->moves + 1};
}

static weft_status allocate(wf_tape *tape, weft_error *err) {
    const wf_mem *mem = &tape->env->mem;
    tape->n_claims = count_claims(tape);
    tape->claims = wf_calloc(mem, tape->n_claims + 1, sizeof *tape->claims);
    tape->memory = take_memory(tape, TEMPORARIES, tape->memory_bytes + 64);
    return tape->claims && tape->memory ? WEFT_OK : wf_fail_memory(err);
}

static weft_status allocate_scratch(wf_tape *tape, weft_error *err) {
    tape->scratch = take_memory(tape, SCRATCH, tape->scratch_bytes * (size_t)wf_pool_threads(tape->env->pool) + 64);
    return tape->scratch ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_plan_memory(wf_tape *tape, bool measure, weft_error *err) {
    const wf_mem *mem = &tape->env->mem;
    blocks b = {0};
    const block **busy = NULL;
    if (!tape->options.grad)
        find_heirs(tape);
    weft_status status = collect_tensors(tape, &b, err);
    if (status == WEFT_OK)
        status = collect_work(tape, &b, err);
    if (status == WEFT_OK && !(busy = wf_calloc(mem, b.count + 1, sizeof *busy)))
        status = wf_fail_memory(err);
    if (status == WEFT_OK) {
        tape->memory_bytes = place_all(&b, busy);
        size_scratch(tape);
    }
    if (status == WEFT_OK && !measure)
        status = allocate(tape, err);
    if (status == WEFT_OK && !measure) {
        assign_pointers(tape);
        status = allocate_scratch(tape, err);
    }
    wf_free(mem, busy);
    wf_free(mem, b.list);
    return status;
}

void wf_plan_resolve_views(wf_tape *tape, size_t first, size_t end) {
    for (size_t i = first; i < end; i++) {
        wf_tensor *x = tape->tensors.items[i];
        if (x->kind != WF_VIEW)
            continue;
        size_t at = (size_t)x->offset, size = wf_dtypes[x->type].size;
        x->data = x->base->data ? (char *)x->base->data + at * size : NULL;
        x->grad = x->base->grad ? (char *)x->base->grad + at * size : NULL;
    }
}
