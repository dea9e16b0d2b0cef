#include "kernels/gemm/panels.h"
#include <string.h>

/* Rows a multiple of FAR bytes apart fall into the same few lines of the first cache: such ones are copied first, APART bytes
 * farther from each other. */
enum { FAR = 4096, APART = 64 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t size_of(wf_dtype type) { return (int64_t)wf_dtypes[type].size; }

static const wf_panel_form *form_of(const wf_kernels *kernels, wf_dtype type) {
    static const wf_panel_form bf16 = {.columns = WF_GEMM_COLUMNS, .depth = INT64_MAX}; /* sums are rounded at the end only */
    return type == WF_BF16 ? &bf16 : kernels->panel_form();
}

bool wf_panels_fast(const wf_kernels *kernels, wf_dtype type) {
    return type == WF_F32 || kernels->panel_product_bf16 != wf_kernels_ref.panel_product_bf16;
}

void wf_panels_pack(const wf_kernels *kernels, float *panels, const float *w, int64_t ld, bool turned, int64_t n, int64_t k) {
    (turned ? kernels->gemm_pack_rows : kernels->gemm_pack_columns)(panels, w, false, ld, n, k, kernels->panel_form()->columns);
}

void wf_panels_pack_bf16(uint16_t *panels, const uint16_t *w, int64_t n, int64_t k) {
    for (int64_t j = 0; j < n; j += WF_GEMM_COLUMNS)
        for (int64_t p = 0; p < k; p += 2)
            for (int64_t i = j; i < j + WF_GEMM_COLUMNS; i++) {
                *panels++ = i < n ? w[i * k + p] : 0;
                *panels++ = i < n && p + 1 < k ? w[i * k + p + 1] : 0;
            }
}

static bool moves(const wf_panel_form *form, wf_dtype type, int64_t k) { return k * size_of(type) % FAR == 0 && !form->rows; }

size_t wf_panels_scratch(const wf_kernels *kernels, wf_dtype type, int64_t k) {
    const wf_panel_form *form = form_of(kernels, type);
    if (form->rows)
        return (size_t)((WF_PANELS_ROWS + form->rows) * least(k, form->depth) + WF_PANEL_SLACK) * sizeof(float);
    return moves(form, type, k) ? (size_t)(WF_PANELS_ROWS * (k * size_of(type) + APART)) : 0;
}

typedef struct strip { /* at most WF_PANELS_ROWS rows of x, `row` elements apart, and columns from..to-1 of y */
    const char *x;
    char *y;
    int64_t row, m, from, to;
} strip;

/* `depth` steps from `done` on. While a panel is multiplied, the next one is on its way to the second cache. */
static void multiply(const wf_kernels *kernels, const wf_panels *p, const strip *s, int64_t done, int64_t depth) {
    const int64_t columns = form_of(kernels, p->type)->columns, size = size_of(p->type);
    const char *panels = p->panels;
    wf_panel_args a = {.a = s->x, .ldc = p->n, .row = s->row, .k = depth, .m = s->m, .add = done > 0};
    a.narrow = p->y_type == WF_BF16;
    for (int64_t j = s->from; j < s->to; j += columns) {
        bool last = j + columns >= s->to;
        const char *next = panels + size * (last ? wf_panels_at(p->type, s->from, p->k) + (done + depth) * columns
                                                 : wf_panels_at(p->type, j + columns, p->k) + done * columns);
        a.ahead = last && done + depth == p->k ? p->ahead : next;
        a.c = s->y + j * size_of(p->y_type);
        a.panel = panels + size * (wf_panels_at(p->type, j, p->k) + done * columns);
        a.bias = p->bias && done == 0 ? p->bias + j : NULL;
        a.n = least(s->to - j, columns);
        (p->type == WF_BF16 ? kernels->panel_product_bf16 : kernels->panel_product)(&a);
    }
}

static void run_strip(const wf_kernels *kernels, const wf_panels *p, const strip *s, void *scratch) {
    const wf_panel_form *form = form_of(kernels, p->type);
    for (int64_t done = 0; done < p->k; done += least(p->k, form->depth)) {
        int64_t depth = least(p->k - done, form->depth);
        strip part = *s;
        part.x += done * size_of(p->type);
        if (form->rows && !p->copied)
            kernels->panel_copy(scratch, (const float *)(const void *)part.x, s->row, s->m, depth);
        if (form->rows)
            part.x = scratch;
        multiply(kernels, p, &part, done, depth);
    }
}

bool wf_panels_keeps(const wf_kernels *kernels, wf_dtype type, int64_t rows, int64_t k) {
    const wf_panel_form *form = form_of(kernels, type);
    return form->rows && rows <= WF_PANELS_ROWS && k <= form->depth;
}

void wf_panels_run(const wf_kernels *kernels, const wf_panels *p, int64_t first, int64_t end, int64_t from, int64_t to,
                   void *scratch) {
    const int64_t size = size_of(p->type), bytes = p->k * size;
    for (int64_t i = first; i < end; i += WF_PANELS_ROWS) {
        strip s = {.x = (const char *)p->x + i * bytes,
                   .y = (char *)p->y + i * p->n * size_of(p->y_type),
                   .row = p->k,
                   .m = least(end - i, WF_PANELS_ROWS),
                   .from = from,
                   .to = to};
        if (moves(form_of(kernels, p->type), p->type, p->k)) {
            char *copy = scratch;
            for (int64_t r = 0; r < s.m; r++)
                memcpy(copy + r * (bytes + APART), s.x + r * bytes, (size_t)bytes);
            s.x = copy;
            s.row += APART / size;
        }
        run_strip(kernels, p, &s, scratch);
    }
}
