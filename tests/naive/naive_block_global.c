/* block_global without a second stream: a row sees the rows j with (j + offset) / block = (i + offset) / block. */
#include "naive/naive.h"

static double pair(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    int64_t block = wf_int(io->layer, "block"), offset = wf_int(io->layer, "offset");
    (void)h;
    return (i + offset) / block == (j + offset) / block && naive_real(io->mask, b * io->rows + j) ? 0.0 : -INFINITY;
}

static void run(naive_io *io) { naive_self_attention(io, pair); }

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const blocks[] = {"\"block\": 4",
                                     "\"block\": 4, \"offset\": 2",
                                     "\"block\": 1",
                                     "\"block\": 66, \"offset\": 33",
                                     "\"block\": 5, \"offset\": 1",
                                     NULL};
static const char *const more[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", "@rows 150", NULL};
static const naive_axis axes[] = {sizes, blocks, more, inputs, rows, NULL};
const naive_row naive_block_global = {"block_global", run, axes, 40};
