/* strided: i-j < l or (i-j) mod l = 0; fixed: i div l = j div l or j mod l >= l-c; merged by every head, or one each. */
#include "naive/naive.h"
#include <string.h>

static double pair(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    int64_t l = wf_int(io->layer, "stride"), c = wf_int(io->layer, "summary");
    bool fixed = strcmp(wf_string(io->layer, "pattern"), "fixed") == 0,
         heads = strcmp(wf_string(io->layer, "combine"), "heads") == 0;
    bool near = fixed ? i / l == j / l : i - j < l, far = fixed ? j % l >= l - c : (i - j) % l == 0;
    bool seen = heads ? (h % 2 ? far : near) : near || far;
    return seen && naive_sees(io, b, i, j) ? 0.0 : -INFINITY;
}

static void run(naive_io *io) { naive_self_attention(io, pair); }

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const patterns[] = {"\"pattern\": \"strided\", \"stride\": 3",
                                       "\"pattern\": \"fixed\", \"stride\": 4",
                                       "\"pattern\": \"fixed\", \"stride\": 9, \"summary\": 2",
                                       "\"pattern\": \"strided\", \"stride\": 1",
                                       "\"pattern\": \"strided\", \"stride\": 70",
                                       "\"pattern\": \"fixed\", \"stride\": 3, \"summary\": 3",
                                       NULL};
static const char *const combine[] = {"", "\"combine\": \"merged\"", "\"combine\": \"heads\"", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", "@rows 67", NULL};
static const naive_axis axes[] = {sizes, patterns, combine, biases, inputs, rows, NULL};
const naive_row naive_sparse = {"sparse", run, axes, 60};
