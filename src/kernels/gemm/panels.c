#include "kernels/gemm/panels.h"
#include <string.h>

/* Rows a multiple of 4 KiB apart fall into the same few lines of the first cache: such ones are copied first, APART floats
 * farther from each other. */
enum { FAR = 1024, APART = 16, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void wf_panels_pack(const wf_kernels *kernels, float *panels, const float *w, int64_t ld, bool turned, int64_t n, int64_t k) {
    (turned ? kernels->gemm_pack_rows : kernels->gemm_pack_columns)(panels, w, false, ld, n, k, C);
}

size_t wf_panels_scratch(int64_t k) { return k % FAR ? 0 : (size_t)(WF_PANELS_ROWS * (k + APART)) * sizeof(float); }

/* At most WF_PANELS_ROWS rows of x, `row` apart. While a panel is multiplied, the next one is on its way to the second cache: a
 * share with each block of rows. */
static void multiply(const wf_kernels *kernels, const wf_panels *p, const float *x, int64_t row, float *y, int64_t m,
                     int64_t from, int64_t to) {
    int64_t blocks = (m + R - 1) / R, most = kernels->gemm_depth();
    for (int64_t j = from; j < to; j += C)
        for (int64_t done = 0; done < p->k; done += most) {
            int64_t depth = least(p->k - done, most);
            const float *panel = p->panels + j * p->k + done * C;
            const float *next = done + depth < p->k || j + C < to ? panel + depth * C : p->ahead;
            int64_t step = next ? C * (int64_t)sizeof(float) / blocks : 0;
            wf_gemm_beside beside = {.bias = p->bias && done == 0 ? p->bias + j : NULL,
                                     .ahead = (const char *)(next ? next : panel),
                                     .ahead_step = step};
            for (int64_t i = 0; i < m; i += R, beside.ahead += depth * step)
                kernels->gemm_block(y + i * p->n + j, p->n, x + i * row + done, row, 1, panel, depth, least(m - i, R),
                                    least(to - j, C), done > 0, &beside);
        }
}

void wf_panels_run(const wf_kernels *kernels, const wf_panels *p, int64_t first, int64_t end, int64_t from, int64_t to,
                   void *scratch) {
    for (int64_t i = first; i < end; i += WF_PANELS_ROWS) {
        int64_t m = least(end - i, WF_PANELS_ROWS), row = p->k;
        const float *x = p->x + i * p->k;
        if (p->k % FAR == 0) {
            float *copy = scratch;
            row += APART;
            for (int64_t r = 0; r < m; r++)
                memcpy(copy + r * row, x + r * p->k, (size_t)p->k * sizeof *copy);
            x = copy;
        }
        multiply(kernels, p, x, row, p->y + i * p->n, m, from, to);
    }
}
