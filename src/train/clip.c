/* clip.c - see clip.h. */
#include "train/clip.h"
#include <math.h>
#include "kernels/kernels.h"

enum { PIECE = 65536 };

struct wf_clip {
    const wf_env *env;
    wf_grad_view *views;
    size_t count;
    int64_t pieces;
    double *partial; /* per piece */
    double p;
};

static int64_t piece_count(int64_t count) { return (count + PIECE - 1) / PIECE; }

weft_status wf_clip_create(const wf_env *env, const wf_grad_view *views, size_t n, wf_clip **out, weft_error *err) {
    wf_clip *clip = wf_calloc(&env->mem, 1, sizeof *clip);
    if (!clip)
        return wf_fail_memory(err);
    clip->env = env;
    clip->count = n;
    for (size_t i = 0; i < n; i++)
        clip->pieces += piece_count(views[i].count);
    clip->views = wf_calloc(&env->mem, n + 1, sizeof *views);
    clip->partial = wf_calloc(&env->mem, (size_t)clip->pieces + 1, sizeof *clip->partial);
    if (!clip->views || !clip->partial) {
        wf_clip_free(clip);
        return wf_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++)
        clip->views[i] = views[i];
    *out = clip;
    return WEFT_OK;
}

void wf_clip_free(wf_clip *clip) {
    if (!clip)
        return;
    const wf_mem mem = clip->env->mem;
    wf_free(&mem, clip->views);
    wf_free(&mem, clip->partial);
    wf_free(&mem, clip);
}

static double sum_of_sizes(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs((double)x[i]);
    return sum;
}

/* NaN wins over every number. */
static double larger(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }

static double largest_size(const float *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = larger(most, fabs((double)x[i]));
    return most;
}

static double sum_of_powers(const float *x, int64_t n, double p) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += pow(fabs((double)x[i]), p);
    return sum;
}

static double piece_norm(const wf_clip *clip, const float *x, int64_t n) {
    if (clip->p == 2)
        return clip->env->kernels->sum_squares(x, n);
    if (clip->p == 1)
        return sum_of_sizes(x, n);
    return isinf(clip->p) ? largest_size(x, n) : sum_of_powers(x, n, clip->p);
}

static void norm_region(void *arg, int thread, int threads) {
    wf_clip *clip = arg;
    int64_t low = clip->pieces * thread / threads, high = clip->pieces * (thread + 1) / threads, index = 0;
    for (size_t i = 0; i < clip->count; i++) {
        const wf_grad_view *v = &clip->views[i];
        int64_t pieces = piece_count(v->count);
        for (int64_t k = low > index ? low - index : 0; k < pieces && index + k < high; k++) {
            int64_t first = k * PIECE, left = v->count - first;
            clip->partial[index + k] = piece_norm(clip, v->data + first, left < PIECE ? left : PIECE);
        }
        index += pieces;
    }
}

double wf_clip_norm(wf_clip *clip, double p) {
    clip->p = p;
    if (clip->env->pool)
        wf_pool_run(clip->env->pool, norm_region, clip);
    else
        norm_region(clip, 0, 1);
    double total = 0;
    for (int64_t i = 0; i < clip->pieces; i++)
        total = isinf(p) ? larger(total, clip->partial[i]) : total + clip->partial[i];
    return p == 2 ? sqrt(total) : p == 1 || isinf(p) ? total : pow(total, 1 / p);
}

double wf_clip_scale(double norm, double max_norm) {
    double scale = max_norm / (norm + 1e-6);
    return scale < 1 ? scale : isnan(scale) ? NAN : 1;
}

void wf_clip_value(float *data, int64_t count, float limit) {
    for (int64_t i = 0; i < count; i++)
        data[i] = data[i] > limit ? limit : data[i] < -limit ? -limit : data[i];
}
