#include "kernels/gemm/panels.h"
#include <string.h>

/* Rows a multiple of 4 KiB apart fall into the same few lines of the first cache: such ones are copied first, APART floats
 * farther from each other. */
enum { FAR = 1024, APART = 16 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void wf_panels_pack(const wf_kernels *kernels, float *panels, const float *w, int64_t ld, bool turned, int64_t n, int64_t k) {
    (turned ? kernels->gemm_pack_rows : kernels->gemm_pack_columns)(panels, w, false, ld, n, k, kernels->panel_form()->columns);
}

size_t wf_panels_scratch(const wf_kernels *kernels, int64_t k) {
    const wf_panel_form *form = kernels->panel_form();
    if (form->rows)
        return (size_t)((WF_PANELS_ROWS + form->rows) * least(k, form->depth) + WF_PANEL_SLACK) * sizeof(float);
    return k % FAR ? 0 : (size_t)(WF_PANELS_ROWS * (k + APART)) * sizeof(float);
}

typedef struct strip { /* at most WF_PANELS_ROWS rows of x, `row` apart, and columns from..to-1 of y */
    const float *x;
    float *y;
    int64_t row, m, from, to;
} strip;

/* `depth` steps from `done` on. While a panel is multiplied, the next one is on its way to the second cache. */
static void multiply(const wf_kernels *kernels, const wf_panels *p, const strip *s, int64_t done, int64_t depth) {
    const int64_t columns = kernels->panel_form()->columns;
    wf_panel_args a = {.a = s->x, .ldc = p->n, .row = s->row, .k = depth, .m = s->m, .add = done > 0};
    for (int64_t j = s->from; j < s->to; j += columns) {
        bool last = j + columns >= s->to;
        const float *next =
            p->panels + (last ? s->from * p->k + (done + depth) * columns : (j + columns) * p->k + done * columns);
        a.ahead = last && done + depth == p->k ? p->ahead : (const void *)next;
        a.c = s->y + j;
        a.panel = p->panels + j * p->k + done * columns;
        a.bias = p->bias && done == 0 ? p->bias + j : NULL;
        a.n = least(s->to - j, columns);
        kernels->panel_product(&a);
    }
}

static void run_strip(const wf_kernels *kernels, const wf_panels *p, const strip *s, float *scratch) {
    const wf_panel_form *form = kernels->panel_form();
    for (int64_t done = 0; done < p->k; done += form->depth) {
        int64_t depth = least(p->k - done, form->depth);
        strip part = *s;
        part.x += done;
        if (form->rows && !p->copied)
            kernels->panel_copy(scratch, part.x, s->row, s->m, depth);
        if (form->rows)
            part.x = scratch;
        multiply(kernels, p, &part, done, depth);
    }
}

bool wf_panels_keeps(const wf_kernels *kernels, int64_t rows, int64_t k) {
    const wf_panel_form *form = kernels->panel_form();
    return form->rows && rows <= WF_PANELS_ROWS && k <= form->depth;
}

void wf_panels_run(const wf_kernels *kernels, const wf_panels *p, int64_t first, int64_t end, int64_t from, int64_t to,
                   void *scratch) {
    bool moves = p->k % FAR == 0 && !kernels->panel_form()->rows;
    for (int64_t i = first; i < end; i += WF_PANELS_ROWS) {
        strip s = {p->x + i * p->k, p->y + i * p->n, p->k, least(end - i, WF_PANELS_ROWS), from, to};
        if (moves) {
            float *copy = scratch;
            for (int64_t r = 0; r < s.m; r++)
                memcpy(copy + r * (p->k + APART), s.x + r * p->k, (size_t)p->k * sizeof *copy);
            s.x = copy;
            s.row += APART;
        }
        run_strip(kernels, p, &s, scratch);
    }
}
