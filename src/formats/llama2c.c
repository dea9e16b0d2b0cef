/* llama2c.c - the .bin files of llama2.c: seven numbers, then the weights of a Llama one after the other. Version 0 has no
 * magic number (and tables of the rotation, which are not needed); 1 is the same with a header of 256 bytes; 2 holds matrices
 * as int8 with a scale per group. Tensors of all layers lie together and are given one by one, under the names of Llama's own
 * checkpoints. Source: llama2.c, export.py. */
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "formats/tensor_file.h"

enum { BOS = 1, MAGIC = 0x616b3432, HEADER_0 = 28, HEADER_1 = 256, MOST_LAYERS = 4096 };

typedef struct config {
    int64_t dim, hidden, layers, heads, kv_heads, vocab, context;
    bool shared; /* the head is the embedding */
    int version;
    int64_t group; /* of version 2 */
} config;

typedef struct llama2c {
    wf_tensor_file *file;
    config c;
    wf_reader r;
    weft_error *err;
} llama2c;

/* ---- the header ---- */
static bool read_sizes(wf_reader *r, config *c) {
    int64_t *const fields[] = {&c->dim, &c->hidden, &c->layers, &c->heads, &c->kv_heads, &c->vocab, &c->context};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = (int32_t)wf_read_u32(r);
    c->shared = c->vocab > 0;
    if (c->version == 0 && c->vocab < 0) /* version 0 says so by its sign */
        c->vocab = -c->vocab;
    return !r->failed && c->dim > 0 && c->hidden > 0 && c->layers > 0 && c->layers <= MOST_LAYERS && c->heads > 0 &&
           c->kv_heads > 0 && c->vocab > 0 && c->context > 0 && c->dim % c->heads == 0 && c->heads % c->kv_heads == 0;
}

static bool read_header(wf_reader *r, config *c) {
    wf_reader ahead = *r;
    *c = (config){.version = 0};
    if (wf_read_u32(&ahead) == MAGIC) {
        *r = ahead;
        c->version = (int)wf_read_u32(r);
    }
    if (c->version < 0 || c->version > 2 || !read_sizes(r, c))
        return false;
    if (c->version > 0)
        c->shared = wf_read_u8(r) != 0;
    if (c->version == 2)
        c->group = (int32_t)wf_read_u32(r);
    if (c->version > 0)
        wf_read_bytes(r, HEADER_1 - r->position);
    return !r->failed && (c->version < 2 || c->group > 0);
}

/* ---- what lies where ---- */
typedef struct row { /* a tensor, or one per layer */
    const char *name;
    int rank;
    int64_t dims[2];
    bool layers;
} row;

enum { MOST_ROWS = 16 };

static int fill_rows(const config *c, row rows[MOST_ROWS]) {
    int64_t kv = c->dim / c->heads * c->kv_heads, half = c->dim / c->heads / 2;
    const row embedding = {"tok_embeddings", 2, {c->vocab, c->dim}, false}, norm = {"norm", 1, {c->dim}, false},
              attention_norm = {"attention_norm", 1, {c->dim}, true}, ffn_norm = {"ffn_norm", 1, {c->dim}, true},
              q = {"attention.wq", 2, {c->dim, c->dim}, true}, k = {"attention.wk", 2, {kv, c->dim}, true},
              v = {"attention.wv", 2, {kv, c->dim}, true}, o = {"attention.wo", 2, {c->dim, c->dim}, true},
              w1 = {"feed_forward.w1", 2, {c->hidden, c->dim}, true}, w2 = {"feed_forward.w2", 2, {c->dim, c->hidden}, true},
              w3 = {"feed_forward.w3", 2, {c->hidden, c->dim}, true}, output = {"output", 2, {c->vocab, c->dim}, false},
              turns = {NULL, 2, {c->context, half}, false};
    const row first[] = {embedding, attention_norm, q, k, v, o, ffn_norm, w1, w2, w3, norm, turns, turns, output},
              later[] = {attention_norm, ffn_norm, norm, embedding, q, k, v, o, w1, w2, w3, output};
    int n = c->version == 0 ? (int)(sizeof first / sizeof *first) : (int)(sizeof later / sizeof *later);
    memcpy(rows, c->version == 0 ? first : later, (size_t)n * sizeof *rows);
    return c->shared ? n - 1 : n;
}

/* Bytes of one tensor of a row; false beyond 2^63. */
static bool bytes_of(const config *c, const row *w, int64_t *elements, int64_t *bytes) {
    bool packed = c->version == 2 && w->rank == 2;
    if (!wf_product(w->dims, w->rank, elements) || !wf_mul_i64(*elements, 4, bytes))
        return false;
    if (packed) /* the bytes, then a scale for each group */
        *bytes = *elements + *elements / c->group * 4;
    return !packed || *elements % c->group == 0;
}

static bool total_of(const config *c, int64_t *total) {
    row rows[MOST_ROWS];
    int n = fill_rows(c, rows);
    *total = c->version == 0 ? HEADER_0 : HEADER_1;
    for (int i = 0; i < n; i++) {
        int64_t elements, bytes;
        if (!bytes_of(c, &rows[i], &elements, &bytes) || !wf_mul_i64(bytes, rows[i].layers ? c->layers : 1, &bytes) ||
            !wf_add_i64(*total, bytes, total))
            return false;
    }
    return true;
}

/* There is no magic number in version 0: the sizes must explain every byte. */
static bool is(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    config c;
    int64_t total;
    wf_reader first = r;
    if (wf_read_u32(&first) == MAGIC)
        return true;
    return read_header(&r, &c) && total_of(&c, &total) && (uint64_t)total == size;
}

/* ---- tensors ---- */
static weft_status add_plain(llama2c *l, wf_stored_tensor *t, int64_t bytes) {
    t->offset = l->r.position;
    t->data = wf_read_bytes(&l->r, (size_t)bytes);
    t->dtype = "F32";
    t->size = (size_t)bytes;
    return wf_tensor_file_add(l->file, t, l->err);
}

static weft_status add_packed(llama2c *l, wf_stored_tensor *t, int64_t elements) {
    void *block;
    t->offset = l->r.position;
    const uint8_t *values = wf_read_bytes(&l->r, (size_t)elements),
                  *scales = wf_read_bytes(&l->r, (size_t)(elements / l->c.group) * 4);
    t->size = (size_t)elements * sizeof(float);
    WF_TRY(wf_tensor_file_block(l->file, t->size, 4 * l->file->size, &block, l->err));
    float *out = block, scale = 0;
    for (int64_t i = 0; i < elements; i++) {
        if (i % l->c.group == 0)
            memcpy(&scale, scales + i / l->c.group * 4, 4);
        out[i] = scale * (float)(int8_t)values[i];
    }
    t->data = block;
    t->dtype = "Q8_0";
    return wf_tensor_file_add(l->file, t, l->err);
}

static weft_status add_row(llama2c *l, const row *w) {
    for (int64_t i = 0; i < (w->layers ? l->c.layers : 1); i++) {
        char name[64];
        int64_t elements, bytes;
        wf_stored_tensor t = {.name = name, .type = WF_F32, .rank = w->rank, .dims = w->dims};
        bytes_of(&l->c, w, &elements, &bytes); /* checked before */
        if (!w->name) {
            wf_read_bytes(&l->r, (size_t)bytes);
            continue;
        }
        if (w->layers)
            snprintf(name, sizeof name, "layers.%d.%s.weight", (int)i, w->name);
        else
            snprintf(name, sizeof name, "%s.weight", w->name);
        WF_TRY(l->c.version == 2 && w->rank == 2 ? add_packed(l, &t, elements) : add_plain(l, &t, bytes));
    }
    return WEFT_OK;
}

static weft_status say(llama2c *l) {
    const struct {
        const char *key;
        int64_t value;
    } facts[] = {{"dim", l->c.dim},
                 {"hidden_dim", l->c.hidden},
                 {"n_layers", l->c.layers},
                 {"n_heads", l->c.heads},
                 {"n_kv_heads", l->c.kv_heads},
                 {"vocab_size", l->c.vocab},
                 {"max_seq_len", l->c.context}};
    wf_arena *arena = &l->file->arena;
    wf_json *said = wf_json_new(arena, WF_JSON_OBJECT);
    wf_json_put(arena, said, "model_type", wf_json_new_string(arena, "llama2.c", 8));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        wf_json_put(arena, said, facts[i].key, wf_json_new_int(arena, facts[i].value));
    wf_json_put(arena, said, "bos_token_id", wf_json_new_int(arena, BOS));
    wf_json_put(arena, said, "eos_token_id", wf_json_new_int(arena, BOS)); /* texts are told apart by what begins them */
    wf_json_put(arena, said, "shared_classifier", wf_json_new_bool(arena, l->c.shared));
    l->file->config = said;
    return arena->failed ? wf_fail_memory(l->err) : WEFT_OK;
}

static weft_status parse(wf_tensor_file *file, weft_error *err) {
    llama2c l = {.file = file, .r = wf_reader_of(file->data, file->size), .err = err};
    row rows[MOST_ROWS];
    int64_t total;
    WF_CHECK(read_header(&l.r, &l.c), err, WEFT_BAD_INPUT, "the header of a llama2.c file is damaged (byte 0)");
    WF_CHECK(total_of(&l.c, &total) && (uint64_t)total == file->size, err, WEFT_BAD_INPUT,
             "a llama2.c file of %zu bytes, which its header does not explain (byte 0)", file->size);
    int n = fill_rows(&l.c, rows);
    for (int i = 0; i < n; i++)
        WF_TRY(add_row(&l, &rows[i]));
    return say(&l);
}

const wf_format wf_format_llama2c = {
    .name = "llama2.c", .about = "the .bin files of llama2.c, versions 0 to 2", .suffix = ".bin", .is = is, .parse = parse};
