/* The first `extra` rows see and are seen by all. Behind them, with `ends`: blocks 0 and n-1 see every block; block x the set
 * {0, n-1, x-1, x, x+1} and every entry of plan[h, x-1] once more. Without: block x the set {x-1, x, x+1} and plan[h, x]. */
#include "naive/naive.h"

static double pair(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    int64_t size = wf_int(io->layer, "block"), r = wf_int(io->layer, "random"), g = wf_int(io->layer, "extra"),
            n = (io->rows - g) / size, ends = wf_flag(io->layer, "ends"), x = (i - g) / size, y = (j - g) / size;
    bool all = i < g || (ends && (x == 0 || x == n - 1));
    int64_t count = all || j < g || (ends && (y == 0 || y == n - 1)) || y == x - 1 || y == x || y == x + 1;
    for (int64_t k = 0; !all && j >= g && k < r; k++)
        count += y == (io->plan ? io->plan[(h * (n - 2 * ends) + x - ends) * r + k] : 0);
    bool asks = naive_real(io->mask, b * io->rows + i);
    return count > 0 && asks && naive_real(io->mask, b * io->rows + j) ? log((double)count) : -INFINITY;
}

static void run(naive_io *io) { naive_self_attention(io, pair); }

static const char *const plans[] = {
    "\"heads\": 3, \"block\": 2, \"random\": 2 @rows 12 @plan 3 4 2",
    "\"heads\": 2, \"block\": 3, \"random\": 1 @rows 15",
    "\"heads\": 4, \"kv_heads\": 2, \"value_dim\": 5, \"block\": 8, \"random\": 3 @rows 80 @plan 4 8 3",
    "\"heads\": 1, \"key_dim\": 8, \"block\": 5, \"random\": 0 @rows 25",
    "\"heads\": 2, \"block\": 70, \"random\": 1 @rows 350 @plan 2 3 1",
    "\"heads\": 3, \"block\": 2, \"random\": 1, \"extra\": 3 @rows 11 @plan 3 4 1",
    "\"heads\": 2, \"block\": 5, \"random\": 2, \"extra\": 1 @rows 41 @plan 2 8 2",
    "\"heads\": 2, \"block\": 40, \"random\": 1, \"extra\": 70 @rows 310",
    "\"heads\": 1, \"block\": 3, \"random\": 1, \"extra\": 2, \"ends\": true @rows 20 @plan 1 4 1",
    "\"heads\": 2, \"block\": 4, \"random\": 0, \"extra\": 2 @rows 6",
    "\"heads\": 2, \"block\": 3, \"random\": 1, \"ends\": false @rows 12 @plan 2 4 1",
    NULL};
static const char *const biases[] = {"", "\"bias\": []", "\"bias\": [\"k\", \"o\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const naive_axis axes[] = {plans, biases, inputs, NULL};
const naive_row naive_bigbird = {"bigbird", run, axes, 44};
