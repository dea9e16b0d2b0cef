/* losses.c - what routers add to the loss: by layer, or over all layers that share one. */
#include "model/model.h"
#include "tensor/experts.h"

static wf_tensor *sum(wf_tape *t, wf_tensor *a, wf_tensor *b) { return a && b ? wf_add(t, a, b) : a ? a : b; }

static void add(wf_losses *l, wf_tape *t, wf_tensor *aux, wf_tensor *z, const wf_router_losses *how) {
    l->aux = sum(t, l->aux, aux);
    l->z = sum(t, l->z, z);
    if (how->aux_weight != 0.0f)
        l->extra = sum(t, l->extra, wf_scale(t, aux, how->aux_weight));
    if (how->z_weight != 0.0f)
        l->extra = sum(t, l->extra, wf_scale(t, z, how->z_weight));
}

static bool alike(const wf_router_losses *a, const wf_router_losses *b) {
    return wf_same_shape(a->sums, b->sums) && a->aux_weight == b->aux_weight && a->z_weight == b->z_weight;
}

void wf_losses_add(wf_losses *l, wf_tape *t, const wf_ports *io) {
    const wf_router_losses *how = &io->router;
    if (!how->joint) {
        if (io->aux_loss || io->z_loss)
            add(l, t, io->aux_loss, io->z_loss, how);
        return;
    }
    size_t i = 0;
    while (i < l->n_groups && !alike(&l->groups[i], how))
        i++;
    if (!how->sums)
        return;
    if (i == WF_LOSS_GROUPS)
        wf_tape_error(t, WEFT_UNSUPPORTED, "the routers' losses differ in more than %d ways", WF_LOSS_GROUPS);
    else if (i == l->n_groups)
        l->groups[l->n_groups++] = *how;
    else
        l->groups[i].sums = wf_add(t, l->groups[i].sums, how->sums);
}

void wf_losses_finish(wf_losses *l, wf_tape *t) {
    for (size_t i = 0; i < l->n_groups; i++)
        add(l, t, wf_balance_loss(t, l->groups[i].sums), wf_z_loss(t, l->groups[i].sums), &l->groups[i]);
}
