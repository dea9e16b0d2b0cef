/* run.c - what a row's `run` calls: weights, projections, heads, states. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "mixers/mixer.h"

wf_param *wf_slot_param(const wf_layer *layer, const char *slot) {
    for (size_t i = 0; i < layer->n_slots; i++)
        if (wf_streq(layer->slots[i].name + layer->prefix, slot))
            return layer->slots[i].param;
    return NULL;
}

wf_tensor *wf_weight(const wf_run *run, const wf_layer *layer, const char *slot) {
    return wf_use(run->tape, wf_slot_param(layer, slot));
}

wf_tensor *wf_weight_n(const wf_run *run, const wf_layer *layer, const char *slot, int64_t n) {
    char name[64];
    const char *at = strstr(slot, "{n}");
    assert(at);
    snprintf(name, sizeof name, "%.*s%lld%s", (int)(at - slot), slot, (long long)n, at + 3);
    return wf_weight(run, layer, name);
}

wf_tensor *wf_project(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    wf_tensor *weight = wf_weight(run, layer, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    wf_tensor *bias = wf_weight(run, layer, slot);
    if (!weight)
        return wf_tape_error(run->tape, WEFT_FAILURE, "%s: %s has no projection '%s'", layer->where, layer->row->name, name);
    if (x && weight->rank == 3) {
        int64_t groups = weight->dims[0];
        return wf_merge_heads(run,
                              wf_head_linear(run->tape, wf_split_heads(run, x, groups, wf_dim(x, -1) / groups), weight, bias));
    }
    wf_tensor *y = wf_linear(run->tape, x, weight, bias);
    snprintf(slot, sizeof slot, "%s.low.weight", name);
    wf_tensor *low = wf_weight(run, layer, slot);
    snprintf(slot, sizeof slot, "%s.high.weight", name);
    return low ? wf_add(run->tape, y,
                        wf_linear(run->tape, wf_linear(run->tape, x, low, NULL), wf_weight(run, layer, slot), NULL))
               : y;
}

wf_tensor *wf_project_rows(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x, int64_t first,
                           int64_t count) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    wf_tensor *weight = wf_weight(run, layer, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    wf_tensor *bias = wf_weight(run, layer, slot);
    if (!weight)
        return wf_tape_error(run->tape, WEFT_FAILURE, "%s: %s has no projection '%s'", layer->where, layer->row->name, name);
    return wf_linear_as(run->tape, x, wf_rows(run->tape, weight, first, count),
                        bias ? wf_rows(run->tape, bias, first, count) : NULL, WF_F32);
}

wf_tensor *wf_split_heads(const wf_run *run, wf_tensor *x, int64_t heads, int64_t width) {
    return x ? wf_reshape(run->tape, x, 4, (int64_t[]){x->dims[0], x->dims[1], heads, width}) : NULL;
}

wf_tensor *wf_merge_heads(const wf_run *run, wf_tensor *x) {
    return x ? wf_reshape(run->tape, x, 3, (int64_t[]){x->dims[0], x->dims[1], x->dims[2] * x->dims[3]}) : NULL;
}

static int state_index(const wf_layer *layer, const char *name) {
    for (int i = 0; i < layer->n_states; i++)
        if (wf_streq(layer->row->states[i].name, name))
            return layer->states[i].present ? i : -1;
    assert(!"a state the row does not declare");
    return -1;
}

/* Keys come from the memory, or where there is none, from the rows themselves. */
static void check_widths(const wf_run *run, const wf_layer *layer, const wf_ports *io) {
    const wf_tensor *from = io->memory ? io->memory : io->x;
    for (const wf_key *k = layer->row->keys; k->name; k++)
        if (wf_streq(k->name, "memory_dim") && from && !wf_layer_keeps_memory(layer) &&
            wf_dim(from, -1) != wf_int(layer, "memory_dim"))
            wf_tape_error(run->tape, WEFT_USAGE,
                          "%s: %s: 'memory_dim' is %lld, the rows that keys come from have %lld channels", layer->where,
                          layer->row->name, (long long)wf_int(layer, "memory_dim"), (long long)wf_dim(from, -1));
}

weft_status wf_run_layer(wf_run *run, const wf_layer *layer, wf_ports *io) {
    if (wf_tape_failed(run->tape))
        return layer->row->run(run, layer, io); /* an earlier error, of another layer */
    check_widths(run, layer, io);
    weft_status status = layer->row->run(run, layer, io);
    wf_tape_error_of(run->tape, layer->where);
    return status;
}

weft_status wf_run_part(wf_run *run, const wf_layer *layer, int i, wf_ports *io) {
    const wf_layer *part = layer->parts[i];
    wf_layer_state own = {{NULL}, {NULL}}, *around = run->state;
    for (int s = 0; around && s < part->n_states; s++)
        own.in[s] = around->in[part->first_state + s];
    wf_tensor *prefix = io->prefix;
    io->prefix = wf_layer_takes_prefix(part) ? prefix : NULL;
    run->state = around ? &own : NULL;
    weft_status status = wf_run_layer(run, part, io);
    run->state = around;
    io->prefix = prefix;
    for (int s = 0; around && s < part->n_states; s++)
        around->out[part->first_state + s] = own.out[s];
    return status;
}

static bool rebuilds(const wf_run *run) { return run->rebuild && wf_tape_grad(run->tape); }

void wf_couple_begin(const wf_run *run) {
    if (rebuilds(run))
        wf_region_begin(run->tape);
}

wf_tensor *wf_couple(const wf_run *run, wf_tensor *x, wf_tensor *f, float scale) {
    wf_tensor *y = wf_add_scaled(run->tape, x, f, scale);
    if (rebuilds(run)) {
        wf_region_inverse(run->tape);
        wf_rebuilt(run->tape, x, wf_add_scaled(run->tape, y, f, -scale));
        wf_region_end(run->tape);
    }
    return y;
}

void wf_move_buffer(wf_run *run, const wf_buffer_update *update) {
    wf_update_list *one = run->want_losses ? wf_arena_alloc(wf_tape_arena(run->tape), sizeof *one) : NULL;
    if (!run->want_losses || !update->param)
        return;
    if (!one) {
        wf_tape_error(run->tape, WEFT_NO_MEMORY, "out of memory");
        return;
    }
    *one = (wf_update_list){*update, run->updates};
    wf_keep(run->tape, update->from);
    run->updates = one;
}

bool wf_state_wanted(const wf_run *run) { return run->mode != WF_NO_STATE && run->state; }

wf_tensor *wf_state_in(const wf_run *run, const wf_layer *layer, const char *name) {
    int i = state_index(layer, name);
    return wf_state_wanted(run) && i >= 0 ? run->state->in[i] : NULL;
}

/* The memory a node's output may share: its own input state, when the op says that it reads before it writes. */
static bool may_share(const wf_tensor *value) {
    const wf_node *node = value->producer;
    for (int i = 0; node && value->kind == WF_TEMP && i < node->n_out; i++)
        if (node->out[i] == value)
            return node->op->in_place >> i & 1u;
    return false;
}

/* A fixed state has the shape that was declared, however the row made it. */
static wf_tensor *as_declared(const wf_run *run, const wf_layer_state_shape *shape, wf_tensor *value) {
    int64_t dims[WF_MAX_RANK] = {run->batch};
    memcpy(dims + 1, shape->dims, (size_t)shape->rank * sizeof *dims);
    return value->rank == shape->rank + 1 ? value : wf_reshape(run->tape, value, shape->rank + 1, dims);
}

void wf_state_out(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *value) {
    int i = state_index(layer, name);
    if (!wf_state_wanted(run) || i < 0 || !value)
        return;
    if (run->mode == WF_STATE_IN_PLACE && may_share(value))
        wf_alias(run->tape, value, run->state->in[i]);
    else if (run->mode == WF_STATE_IN_PLACE)
        wf_store_state(run->tape, run->state->in[i], value);
    run->state->out[i] = as_declared(run, &layer->states[i], value);
}

wf_tensor *wf_state_source(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *made) {
    wf_tensor *kept = run->mode == WF_STATE_IN_PLACE ? wf_state_in(run, layer, name) : NULL;
    return kept && made ? wf_store_state(run->tape, kept, made) : kept;
}

wf_tensor *wf_project_heads(const wf_run *run, const wf_layer *layer, const char *which, wf_tensor *x) {
    return wf_split_heads(run, wf_project(run, layer, which, x), wf_int(layer, *which == 'q' ? "heads" : "kv_heads"),
                          wf_int(layer, *which == 'v' ? "value_dim" : "key_dim"));
}

const wf_attention_pattern *wf_pattern_of(const wf_run *run, const wf_attention_pattern *pattern, size_t size) {
    wf_attention_pattern *p = wf_arena_alloc(wf_tape_arena(run->tape), sizeof *p);
    void *copy = wf_arena_alloc(wf_tape_arena(run->tape), size);
    if (!p || !copy) {
        wf_tape_error(run->tape, WEFT_NO_MEMORY, "out of memory");
        return NULL;
    }
    *p = *pattern;
    p->record = memcpy(copy, pattern->record, size);
    return p;
}

const wf_attention_pattern *wf_pattern(const wf_run *run,
                                       void (*weights)(const wf_pattern_rows *, const int64_t *, int, float *),
                                       int (*next)(const wf_pattern_rows *, int64_t *, int64_t *, bool *), const void *record,
                                       size_t size) {
    return wf_pattern_of(run, &(wf_attention_pattern){.weights = weights, .next = next, .record = record}, size);
}

wf_tensor *wf_attend(const wf_run *run, const wf_layer *layer, wf_tensor *q, wf_tensor *k, wf_tensor *v,
                     const wf_attention_spec *spec) {
    wf_attention_spec s = *spec;
    if (wf_state_wanted(run) && layer->n_states > 0) {
        k = wf_state_append(run, layer, "k", k);
        v = wf_state_append(run, layer, "v", v);
        s.offset_from_start = true;
        s.cached = run->mode == WF_STATE_IN_PLACE;
        s.ring = s.cached && layer->states[state_index(layer, "k")].limit > 0;
    }
    s.dropout = run->attention_dropout;
    return wf_attention(run->tape, q, k, v, &s);
}

wf_tensor *wf_state_append(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x) {
    int i = state_index(layer, name);
    if (!wf_state_wanted(run) || i < 0 || !x)
        return x;
    if (run->mode == WF_STATE_IN_PLACE)
        return run->state->out[i] = wf_cache_append(run->tape, run->state->in[i], x);
    return run->state->out[i] = wf_time_concat(run->tape, run->state->in[i], x);
}
