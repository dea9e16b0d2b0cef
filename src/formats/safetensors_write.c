/* safetensors_write.c - the writer: a header padded with spaces so that the data begins at a multiple of 8, then the data as it
 * comes. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "base/reader.h"
#include "formats/tensor_file.h"

struct wf_safetensors_writer {
    const wf_mem *mem;
    wf_writer *out;
    uint64_t planned, written; /* bytes of data */
};

static const char *type_of(const wf_tensor_plan *t) { return t->dtype ? t->dtype : wf_dtypes[t->type].safetensors; }

static unsigned bits_of(const wf_tensor_plan *t) {
    const char *name, *type = type_of(t);
    return wf_element_bits(type, strlen(type), &name);
}

bool wf_tensor_plan_bytes(const wf_tensor_plan *t, int64_t *out) {
    int64_t elements;
    if (!wf_product(t->dims, t->rank, &elements) || !wf_mul_i64(elements, bits_of(t), out) || *out % 8 != 0)
        return false;
    *out /= 8;
    return true;
}

static int by_width_and_name(const void *a, const void *b) {
    const wf_tensor_plan *x = a, *y = b;
    unsigned m = bits_of(x), n = bits_of(y);
    return m != n ? (m > n ? -1 : 1) : strcmp(x->name, y->name);
}

void wf_safetensors_order(wf_tensor_plan *tensors, size_t n) {
    if (n)
        qsort(tensors, n, sizeof *tensors, by_width_and_name);
}

static weft_status put_tensor(wf_json_writer *w, const wf_tensor_plan *t, int64_t *offset, weft_error *err) {
    int64_t size, end;
    if (!wf_tensor_plan_bytes(t, &size) || !wf_add_i64(*offset, size, &end))
        return wf_fail(err, WEFT_FAILURE, "tensor \"%.64s\": its size is negative or beyond 2^63", t->name);
    wf_jw_key(w, t->name);
    wf_jw_begin(w, '{');
    wf_jw_key(w, "dtype");
    wf_jw_string(w, type_of(t));
    wf_jw_key(w, "shape");
    wf_jw_begin(w, '[');
    for (int i = 0; i < t->rank; i++)
        wf_jw_int(w, t->dims[i]);
    wf_jw_end(w, ']');
    wf_jw_key(w, "data_offsets");
    wf_jw_begin(w, '[');
    wf_jw_int(w, *offset);
    wf_jw_int(w, end);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    *offset = end;
    return WEFT_OK;
}

static void put_metadata(wf_json_writer *w, const wf_safetensors_plan *plan) {
    if (plan->n_metadata == 0)
        return;
    wf_jw_key(w, "__metadata__");
    wf_jw_begin(w, '{');
    for (size_t i = 0; i < plan->n_metadata; i++) {
        wf_jw_key(w, plan->metadata[i].key);
        wf_jw_string(w, plan->metadata[i].value);
    }
    wf_jw_end(w, '}');
}

weft_status wf_safetensors_header(const wf_safetensors_plan *plan, wf_str *out, int64_t *data_size, weft_error *err) {
    wf_json_writer w;
    uint8_t length[8];
    *data_size = 0;
    wf_str_put(out, "\0\0\0\0\0\0\0\0", sizeof length);
    wf_json_writer_init(&w, out, 0);
    wf_jw_begin(&w, '{');
    put_metadata(&w, plan);
    for (size_t i = 0; i < plan->n_tensors; i++)
        WF_TRY(put_tensor(&w, &plan->tensors[i], data_size, err));
    wf_jw_end(&w, '}');
    while (!out->failed && out->length % 8 != 0)
        wf_str_putc(out, ' ');
    if (out->failed)
        return wf_fail_memory(err);
    WF_CHECK(out->length - sizeof length <= 100000000, err, WEFT_FAILURE, "a header of %zu bytes; the limit is 100000000",
             out->length);
    for (size_t i = 0; i < sizeof length; i++)
        out->data[i] = (char)((out->length - sizeof length) >> (8 * i) & 0xFF);
    return WEFT_OK;
}

static weft_status start(wf_safetensors_writer *w, const char *path, const wf_safetensors_plan *plan, weft_error *err) {
    wf_str header = wf_str_new(w->mem);
    int64_t planned;
    weft_status status = wf_safetensors_header(plan, &header, &planned, err);
    if (status == WEFT_OK)
        status = wf_writer_open(w->mem, path, &w->out, err);
    if (status == WEFT_OK) {
        w->planned = (uint64_t)planned;
        status = wf_writer_put(w->out, header.data, header.length, err);
    }
    wf_str_free(&header);
    return status;
}

weft_status wf_safetensors_create(const wf_mem *mem, const char *path, const wf_safetensors_plan *plan,
                                  wf_safetensors_writer **out, weft_error *err) {
    wf_safetensors_writer *w = wf_calloc(mem, 1, sizeof *w);
    if (!w)
        return wf_fail_memory(err);
    w->mem = mem;
    weft_status status = start(w, path, plan, err);
    if (status == WEFT_OK)
        *out = w;
    else
        wf_safetensors_abort(w);
    return status;
}

weft_status wf_safetensors_put(wf_safetensors_writer *w, const void *data, size_t size, weft_error *err) {
    WF_CHECK(size <= w->planned - w->written, err, WEFT_FAILURE, "more tensor bytes than were planned");
    w->written += size;
    return size ? wf_writer_put(w->out, data, size, err) : WEFT_OK;
}

weft_status wf_safetensors_commit(wf_safetensors_writer *w, weft_error *err) {
    wf_writer *out = w->out;
    uint64_t missing = w->planned - w->written;
    wf_free(w->mem, w);
    if (missing == 0)
        return wf_writer_commit(out, err);
    wf_writer_abort(out);
    return wf_fail(err, WEFT_FAILURE, "%llu planned tensor bytes are missing", (unsigned long long)missing);
}

void wf_safetensors_abort(wf_safetensors_writer *w) {
    if (!w)
        return;
    wf_writer_abort(w->out);
    wf_free(w->mem, w);
}
