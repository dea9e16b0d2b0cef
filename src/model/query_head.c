/* query_head.c - a head that is asked by one row of the sequence (Splinter's question-aware span selection, Ram et al. 2021,
 * arXiv 2101.00438, eq. 3): each class c has dense layers of its own for the rows and for the asking row q, and a matrix
 * between them: logit_c(t) = (W_c g_c(x_q)) . f_c(x_t). Padding has the least logit there is, to which its own is added. */
#include <float.h>
#include <stdio.h>
#include "model/parts.h"

weft_status wf_query_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_params *p, weft_error *err) {
    char name[96];
    p->queries = wf_arena_alloc(&m->arena, (size_t)h->classes * sizeof *p->queries);
    if (!p->queries)
        return wf_fail_memory(err);
    for (int64_t c = 0; c < h->classes; c++) {
        wf_query_params *q = &p->queries[c];
        snprintf(name, sizeof name, "%s.%lld", prefix, (long long)c);
        WF_TRY(wf_head_layers_declare(m, name, h, &q->rows, err));
        snprintf(name, sizeof name, "%s.%lld.query", prefix, (long long)c);
        WF_TRY(wf_head_layers_declare(m, name, h, &q->query, err));
        snprintf(name, sizeof name, "%s.%lld.weight", prefix, (long long)c);
        WF_TRY(wf_declare(m, name, 2, (int64_t[]){h->width, h->width}, WF_INIT_NORMAL, &q->weight, err));
        q->weight->init_scale = wf_init_std(h->width);
    }
    return WEFT_OK;
}

static wf_tensor *one_class(wf_tape *t, const wf_head_spec *h, const wf_query_params *q, wf_tensor *x, wf_tensor *asking,
                            bool dropout) {
    int64_t rows = x->dims[1], dims[4] = {x->dims[0], 1, 1, h->width};
    wf_tensor *f = wf_head_layers(t, h, q->rows, x, dropout);
    wf_tensor *g = wf_linear_as(t, wf_head_layers(t, h, q->query, asking, dropout), wf_use(t, q->weight), NULL, WF_F32);
    g = g ? wf_repeat_heads(t, wf_reshape(t, g, 4, dims), rows) : NULL;
    g = g ? wf_reshape(t, g, 3, (int64_t[]){dims[0], rows, h->width}) : NULL;
    wf_tensor *y = f ? wf_row_dot(t, wf_cast(t, f, WF_F32), g) : NULL;
    return y ? wf_reshape(t, y, 3, (int64_t[]){dims[0], rows, 1}) : NULL;
}

wf_tensor *wf_query_logits(wf_tape *t, const wf_head_spec *h, const wf_head_params *p, wf_tensor *x, wf_tensor *ids,
                           wf_tensor *mask, bool dropout) {
    wf_tensor *logits = NULL, *asking = NULL;
    if (!ids)
        return wf_tape_error(t, WEFT_UNSUPPORTED, "a head that is asked by a token needs the tokens");
    if (x)
        asking = wf_take_rows(t, wf_reshape(t, x, 4, (int64_t[]){x->dims[0], x->dims[1], 1, x->dims[2]}),
                              wf_find_token(t, ids, h->query));
    asking = asking ? wf_reshape(t, asking, 3, (int64_t[]){x->dims[0], 1, x->dims[2]}) : NULL;
    for (int64_t c = 0; asking && c < h->classes; c++) {
        wf_tensor *one = one_class(t, h, &p->queries[c], x, asking, dropout);
        logits = c ? wf_join_channels(t, logits, one) : one;
    }
    return wf_lower_rows(t, logits, mask, FLT_MAX);
}
