/* block.c - the ONE residual skeleton: wirings are rows, each a few lines over norm, mix, channel and join. */
#include "base/str.h"
#include "model/model.h"

wf_tensor *wf_apply_norm(wf_tape *tape, const wf_norm_spec *norm, wf_tensor *x, wf_param *weight, wf_param *bias) {
    wf_tensor *w = norm->affine ? wf_use(tape, weight) : NULL, *b = norm->bias ? wf_use(tape, bias) : NULL;
    if (norm->kind == WF_NORM_NONE)
        return x;
    if (norm->kind == WF_NORM_SCALE) {
        x = w ? wf_mul_rows(tape, x, w) : x;
        return b ? wf_add_rows(tape, x, b) : x;
    }
    if (norm->kind == WF_NORM_RMS)
        return wf_rms_norm(tape, x, w, norm->offset, norm->eps);
    return wf_layer_norm(tape, x, w, b, norm->offset, norm->eps);
}

wf_tensor *wf_block_norm(wf_block_run *b, int i, wf_tensor *x) {
    if (i == 0 && !b->mixed && b->past)
        b->past = wf_apply_norm(b->run->tape, &b->block->norm[0], b->past, b->params->norm_weight[0], b->params->norm_bias[0]);
    return wf_apply_norm(b->run->tape, &b->block->norm[i], x, b->params->norm_weight[i], b->params->norm_bias[i]);
}

wf_tensor *wf_block_cross_norm(wf_block_run *b, int i, wf_tensor *x) {
    return wf_apply_norm(b->run->tape, &b->block->cross_norm[i], x, b->params->cross_norm_weight[i],
                         b->params->cross_norm_bias[i]);
}

static void read_before(const wf_block_run *b, wf_ports *io) {
    wf_param *const *norm = b->params->memory_norm;
    io->memory =
        wf_cast(b->run->tape, wf_apply_norm(b->run->tape, &b->block->memory_norm, b->before->x, norm[0], norm[1]), WF_F32);
    io->memory_mask = b->before->mask;
    io->memory_kinds = b->before->kinds;
    io->memory_lie = b->before->lie;
}

static wf_tensor *plain(wf_block_run *b, wf_tensor *x);

/* What a layer gives joins the stream, which has one width; alone in its block it may have another. */
static void check_width(const wf_block_run *b, const wf_layer *layer, const wf_tensor *y) {
    if (y && wf_dim(y, -1) != b->block->dim && b->block->wiring->run != plain)
        (void)wf_tape_error(b->run->tape, WEFT_USAGE, "%s: %s gives rows of width %lld, the stream's is %lld", layer->where,
                            layer->row->name, (long long)wf_dim(y, -1), (long long)b->block->dim);
}

/* The memory is for the cross mixer, and for mixers that cannot do without. */
static wf_tensor *run_row(wf_block_run *b, const wf_layer *layer, wf_layer_state *state, wf_tensor *x) {
    wf_ports io = *b->ports;
    io.x = x;
    if (layer != b->block->cross && !wf_layer_needs_memory(layer))
        io.memory = io.memory_mask = NULL;
    if (layer == b->block->mixer && b->before)
        read_before(b, &io);
    io.prefix = wf_layer_takes_prefix(layer) ? io.prefix : NULL;
    b->side = layer == b->block->channel;
    b->run->state = state;
    b->run->dropout = b->block->dropout;
    b->run->attention_dropout = b->block->attention_dropout;
    weft_status status = wf_run_layer(b->run, layer, &io);
    if (b->status == WEFT_OK)
        b->status = status;
    check_width(b, layer, io.y);
    b->ports->v_first = io.v_first;
    b->ports->side = io.side;
    b->ports->main_k = io.main_k;
    b->ports->main_v = io.main_v;
    if (b->losses && status == WEFT_OK)
        wf_losses_add(b->losses, b->run->tape, &io);
    return io.y;
}

static wf_tensor *last_row(const wf_block_run *b, wf_tensor *x) {
    return x && wf_dim(x, 1) > 1 ? wf_time_slice(b->run->tape, x, wf_dim(x, 1) - 1, 1) : x;
}

wf_tensor *wf_block_mix(wf_block_run *b, wf_tensor *x) {
    b->ports->past = b->past;
    b->mixed = true;
    wf_tensor *y = run_row(b, b->block->mixer, b->state[0], x);
    b->ports->past = NULL;
    return b->last ? last_row(b, y) : y;
}

wf_tensor *wf_block_channel(wf_block_run *b, wf_tensor *x) {
    if (b->last) {
        x = last_row(b, x);
        b->run->rows = 1;
    }
    return run_row(b, b->block->channel, b->state[1], x);
}

wf_tensor *wf_block_aside(wf_block_run *b, wf_tensor *x, wf_tensor *y) {
    y = wf_block_join(b, y, run_row(b, b->block->aside, NULL, x));
    return wf_apply_norm(b->run->tape, &b->block->aside_norm, y, b->params->aside_norm[0], b->params->aside_norm[1]);
}

wf_tensor *wf_block_cross(wf_block_run *b, wf_tensor *x) {
    bool kept = b->state[2] && wf_layer_keeps_memory(b->block->cross);
    if (!b->ports->memory && !kept)
        return wf_tape_error(b->run->tape, WEFT_USAGE, "%s: a memory is needed", b->block->cross->where);
    return run_row(b, b->block->cross, kept ? b->state[2] : NULL, x);
}

void wf_block_remember(wf_block_run *b) {
    if (b->block->cross && wf_layer_keeps_memory(b->block->cross))
        run_row(b, b->block->cross, b->state[2], NULL);
}

wf_tensor *wf_block_adapt(wf_block_run *b, wf_tensor *x) {
    const wf_block_spec *s = b->block;
    wf_param *const *own = b->params->adapter_norm;
    if (!s->adapter)
        return x;
    wf_tensor *n =
        s->adapter_own_norm ? wf_apply_norm(b->run->tape, &s->adapter_norm, x, own[0], own[1]) : wf_block_norm(b, 1, x);
    n = wf_cast(b->run->tape, n, WF_F32);
    return wf_block_join(b, s->adapter_from_norm ? n : x, run_row(b, s->adapter, NULL, n));
}

wf_tensor *wf_block_join(wf_block_run *b, wf_tensor *x, wf_tensor *branch) {
    branch = wf_dropout(b->run->tape, branch, b->block->dropout);
    x = b->last ? last_row(b, x) : x;
    return wf_add_scaled(b->run->tape, wf_scale(b->run->tape, x, b->block->keep[b->side]), branch,
                         b->block->residual_scale[b->side]);
}

/* x weighed channel by channel, and a branch. */
static wf_tensor *join_weighed(wf_block_run *b, int i, wf_tensor *x, wf_tensor *branch) {
    return wf_block_join(b, wf_mul_rows(b->run->tape, x, wf_use(b->run->tape, b->params->gate[i])), branch);
}

wf_tensor *wf_block_gate(wf_block_run *b, int i, wf_tensor *branch) {
    wf_tensor *gate = wf_activate(b->run->tape, wf_use(b->run->tape, b->params->gate[i]), WF_TANH);
    return wf_mul_rows(b->run->tape, branch, gate);
}

static wf_tensor *pre(wf_block_run *b, wf_tensor *x) {
    x = wf_block_join(b, x, wf_block_mix(b, wf_block_norm(b, 0, x)));
    if (b->block->cross)
        x = wf_block_join(b, x, wf_block_cross(b, wf_block_cross_norm(b, 0, x)));
    return b->block->channel ? wf_block_adapt(b, wf_block_join(b, x, wf_block_channel(b, wf_block_norm(b, 1, x)))) : x;
}

static wf_tensor *plain(wf_block_run *b, wf_tensor *x) {
    x = wf_cast(b->run->tape, wf_block_mix(b, x), WF_F32);
    return b->block->channel ? wf_cast(b->run->tape, wf_block_channel(b, x), WF_F32) : x;
}

/* One half of a coupled block: as wf_block_join, but what joins is rebuilt in the backward; not where the stream shrinks or
 * grows, which would let rounding grow from block to block. */
static wf_tensor *couple(wf_block_run *b, wf_tensor *x, wf_tensor *(*run)(wf_block_run *, wf_tensor *), int i,
                         wf_tensor *other) {
    if (b->block->keep[i] != 1.0f)
        return wf_block_join(b, x, run(b, wf_block_norm(b, i, other)));
    wf_couple_begin(b->run);
    wf_tensor *f = wf_dropout(b->run->tape, run(b, wf_block_norm(b, i, other)), b->block->dropout);
    return wf_couple(b->run, x, f, b->block->residual_scale[i]);
}

/* Two streams, each changed by a function of the other (Gomez et al. 2017, arXiv 1707.04585, eq. 6). */
static wf_tensor *coupled(wf_block_run *b, wf_tensor *x) {
    if (!b->ports->side)
        return wf_tape_error(b->run->tape, WEFT_USAGE, "%s: a second stream is needed", b->block->mixer->where);
    b->ports->side = couple(b, b->ports->side, wf_block_mix, 0, x);
    return b->block->channel ? couple(b, x, wf_block_channel, 1, b->ports->side) : x;
}

/* A second stream of the same width goes the same way, with a first norm of its own; its mixer gives what joins it. */
static wf_tensor *pre_both(wf_block_run *b, wf_tensor *x) {
    wf_tensor *side = b->ports->side;
    if (!side)
        return wf_tape_error(b->run->tape, WEFT_USAGE, "%s: a second stream is needed", b->block->mixer->where);
    b->ports->side = wf_block_norm(b, 1, side);
    wf_tensor *y = wf_block_mix(b, wf_block_norm(b, 0, x));
    side = wf_block_join(b, side, b->ports->side);
    x = wf_block_join(b, x, y);
    if (b->block->channel) {
        side = wf_block_join(b, side, wf_block_channel(b, wf_block_norm(b, 2, side)));
        x = wf_block_join(b, x, wf_block_channel(b, wf_block_norm(b, 2, x)));
    }
    b->ports->side = side;
    return x;
}

static wf_tensor *from_norm(wf_block_run *b, wf_tensor *x) {
    wf_tensor *n = wf_cast(b->run->tape, wf_block_norm(b, 0, x), WF_F32);
    x = wf_block_join(b, n, wf_block_mix(b, n));
    n = b->block->channel ? wf_cast(b->run->tape, wf_block_norm(b, 1, x), WF_F32) : NULL;
    return n ? wf_block_join(b, n, wf_block_channel(b, n)) : x;
}

static wf_tensor *post(wf_block_run *b, wf_tensor *x) {
    x = wf_cast(b->run->tape, wf_block_norm(b, 0, wf_block_join(b, x, wf_block_mix(b, x))), WF_F32);
    if (b->block->cross)
        x = wf_cast(b->run->tape, wf_block_cross_norm(b, 0, wf_block_join(b, x, wf_block_cross(b, x))), WF_F32);
    if (!b->block->channel)
        return x;
    x = wf_block_adapt(b, wf_block_join(b, x, wf_block_channel(b, x)));
    return wf_cast(b->run->tape, wf_block_norm(b, 1, x), WF_F32);
}

static wf_tensor *sandwich(wf_block_run *b, wf_tensor *x) {
    x = wf_block_join(b, x, wf_block_norm(b, 1, wf_block_mix(b, wf_block_norm(b, 0, x))));
    if (b->block->cross)
        x = wf_block_join(b, x, wf_block_cross_norm(b, 1, wf_block_cross(b, wf_block_cross_norm(b, 0, x))));
    return b->block->channel ? wf_block_join(b, x, wf_block_norm(b, 3, wf_block_channel(b, wf_block_norm(b, 2, x)))) : x;
}

static wf_tensor *post_sub(wf_block_run *b, wf_tensor *x) {
    x = wf_block_join(b, x, wf_block_norm(b, 0, wf_block_mix(b, x)));
    return b->block->channel ? wf_block_join(b, x, wf_block_norm(b, 1, wf_block_channel(b, x))) : x;
}

static wf_tensor *parallel(wf_block_run *b, wf_tensor *x) {
    wf_tensor *n = wf_block_norm(b, 0, x), *y = wf_block_join(b, x, wf_block_mix(b, n));
    return b->block->channel ? wf_block_join(b, y, wf_block_channel(b, n)) : y;
}

static wf_tensor *parallel2(wf_block_run *b, wf_tensor *x) {
    wf_tensor *y = wf_block_join(b, x, wf_block_mix(b, wf_block_norm(b, 0, x)));
    return b->block->channel ? wf_block_join(b, y, wf_block_channel(b, wf_block_norm(b, 1, x))) : y;
}

static wf_tensor *gated(wf_block_run *b, wf_tensor *x) {
    x = wf_block_join(b, x, wf_block_gate(b, 0, wf_block_mix(b, wf_block_norm(b, 0, x))));
    return b->block->channel ? wf_block_join(b, x, wf_block_gate(b, 1, wf_block_channel(b, wf_block_norm(b, 1, x)))) : x;
}

static wf_tensor *weighed(wf_block_run *b, wf_tensor *x) {
    x = join_weighed(b, 0, x, wf_block_mix(b, wf_block_norm(b, 0, x)));
    return b->block->channel ? join_weighed(b, 1, x, wf_block_channel(b, wf_block_norm(b, 1, x))) : x;
}

const wf_wiring wf_wirings[] = {
    {"pre", "x + f(norm(x))", 2, 1, WF_GATES_NONE, 1, true, false, pre},
    {"from_norm", "norm(x) + f(norm(x))", 2, 1, WF_GATES_NONE, 0, false, false, from_norm},
    {"post", "norm(x + f(x))", 2, 1, WF_GATES_NONE, 1, true, false, post},
    {"sandwich", "x + norm(f(norm(x)))", 4, 2, WF_GATES_NONE, 2, false, false, sandwich},
    {"post_sub", "x + norm(f(x))", 2, 1, WF_GATES_NONE, 0, false, false, post_sub},
    {"parallel", "x + mixer(norm(x)) + channel(norm(x)), one norm", 1, 1, WF_GATES_NONE, 0, false, false, parallel},
    {"parallel2", "x + mixer(norm1(x)) + channel(norm2(x))", 2, 1, WF_GATES_NONE, 0, false, false, parallel2},
    {"gated", "x + tanh(gate) * f(norm(x)), gate learned per channel from 0", 2, 1, WF_GATES_SHUT, 0, false, false, gated},
    {"plain", "f(x): mixers that join and norm themselves", 0, 0, WF_GATES_NONE, 0, false, false, plain},
    {"coupled", "s + mixer(norm(x)), then x + channel(norm(s)), s the stem's side", 2, 1, WF_GATES_NONE, 0, false, true,
     coupled},
    {"pre_both", "as `pre`, the stem's side too: norm2 is its first, norm3 the second of both", 3, 2, WF_GATES_NONE, 0, false,
     false, pre_both},
    {"weighed", "gate * x + f(norm(x)), gate learned per channel from 1", 2, 1, WF_GATES_OPEN, 0, false, false, weighed},
    {NULL, NULL, 0, 0, WF_GATES_NONE, 0, false, false, NULL}};
