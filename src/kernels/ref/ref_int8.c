/* ref_int8.c - products with int8 weights. */
#include "kernels/ref/ref.h"

const wf_int8_form *wf_ref_int8_form(void) {
    static const wf_int8_form form = {.levels = 150, .four = 218, .span = 1};
    return &form;
}

/* The numbers of a span, turned: v [groups*GROUP]. Returns how many. */
static int64_t take(float *v, const float *x, const float *balance, int64_t k, const wf_int8_form *form) {
    int64_t groups = wf_int8_groups(k) < form->span ? wf_int8_groups(k) : form->span, n = groups * WF_INT8_GROUP;
    for (int64_t p = 0; p < n; p++)
        v[p] = p < k ? x[p] * balance[p] : 0.0f;
    for (int64_t g = 0; g < groups; g++)
        wf_int8_rotate(v + g * WF_INT8_GROUP, 1);
    return n;
}

static void find_ends(float *least, float *most, const float *v, int64_t n, bool centred) {
    *least = *most = v[0];
    for (int64_t p = 1; p < n; p++) {
        *least = v[p] < *least ? v[p] : *least;
        *most = v[p] > *most ? v[p] : *most;
    }
    if (centred) {
        *most = *most > -*least ? *most : -*least;
        *least = -*most;
    }
}

void wf_ref_int8_quantize(uint8_t *q, float *ranges, const float *x, const float *balance, int64_t k,
                          const wf_int8_form *form) {
    const float levels = (float)form->levels;
    float v[WF_INT8_MOST_SPAN * WF_INT8_GROUP], least, most;
    for (int64_t first = 0, n; first < k; first += n, q += n, ranges += 2) {
        n = take(v, x + first, balance + first, k - first, form);
        find_ends(&least, &most, v, n, form->centred);
        float inverse = most - least > 1e-30f ? levels / (most - least) : 0.0f, from = form->centred ? 0.0f : least;
        uint32_t middle = form->centred ? (uint32_t)form->levels / 2 : 0;
        ranges[0] = least;
        ranges[1] = (most - least) / levels;
        for (int64_t p = 0; p < n; p++) {
            float rounded = (v[p] - from) * inverse + 12582912.0f; /* 1.5 * 2^23 */
            uint32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            q[p] = (uint8_t)(bits + middle);
        }
    }
}

/* What a span adds to a sum: its row u and range, its block at the column's q. */
static float add_span(float y, const uint8_t *u, const float *range, const uint8_t *block, int64_t n, bool centred) {
    const uint8_t *behind = block + n * WF_INT8_PANEL;
    float scale, scaled;
    int32_t sum = 0;
    memcpy(&scale, behind, sizeof scale);
    if (centred)
        memcpy(&sum, behind + WF_INT8_PANEL * sizeof scale, sizeof sum);
    else
        memcpy(&scaled, behind + WF_INT8_PANEL * sizeof scale, sizeof scaled);
    for (int64_t p = 0; p < n; p++)
        sum += u[p] * (int8_t)block[p / 4 * WF_INT8_PANEL * 4 + p % 4];
    if (!centred)
        y += range[0] * scaled;
    return y + range[1] * (scale * (float)sum);
}

void wf_ref_int8_block(const wf_int8_args *a) {
    int64_t groups = a->groups, spans = wf_int8_spans(a->form, groups), panel = wf_int8_panel_bytes(a->form, groups);
    for (int64_t i = 0; i < a->m; i++)
        for (int64_t j = 0; j < a->n; j++) { /* `ahead` is fetched for speed alone */
            const uint8_t *u = a->q + i * groups * WF_INT8_GROUP, *w = a->w + j / WF_INT8_PANEL * panel + j % WF_INT8_PANEL * 4;
            float y = a->bias ? a->bias[j] : 0.0f;
            for (int64_t s = 0, left = groups, n; s < spans; s++, left -= a->form->span, u += n) {
                n = (left < a->form->span ? left : a->form->span) * WF_INT8_GROUP;
                y = add_span(y, u, a->ranges + 2 * (i * spans + s), w, n, a->form->centred);
                w += n * WF_INT8_PANEL + 2 * WF_INT8_PANEL * (int64_t)sizeof(float);
            }
            a->c[i * a->ldc + j] = y;
        }
}
