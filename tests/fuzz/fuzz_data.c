/* The readers of training text. The first byte picks the format and the field; gzip is unpacked first, as from a file. */
#include <stdlib.h>
#include <string.h>

#include "train/data_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check(const wf_text_source *source, const char *format) {
    wf_text t = wf_text_new(&wf_mem_default);
    weft_error err = {0};
    t.limit = 1 << 20;
    weft_status status = wf_text_read(source, format, &t, &err);
    require(status == WEFT_OK || (err.status == status && err.message[0] && err.offset <= (int64_t)source->length));
    size_t begin = 0;
    for (size_t i = 0; i < t.count; begin = t.ends[i++])
        require(t.ends[i] > begin && t.ends[i] <= t.length);
    require(status != WEFT_OK || begin == t.length); /* nothing is left outside the documents */
    wf_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const formats[] = {"text", "jsonl", "csv", "tsv"}, *const fields[] = {"text", "b"};
    if (size == 0)
        return 0;
    wf_text_options options = {.fields = fields, .n_fields = data[0] >> 2 & 3u};
    options.n_fields = options.n_fields > 2 ? 2 : options.n_fields;
    wf_text_source source = {"input", (const char *)data + 1, size - 1, &options};
    wf_str unpacked = wf_str_new(&wf_mem_default);
    if (wf_is_gzip(data + 1, size - 1)) {
        if (wf_gunzip(&wf_mem_default, data + 1, size - 1, 1 << 20, &unpacked, NULL) == WEFT_OK)
            source = (wf_text_source){"input", wf_str_text(&unpacked), unpacked.length, &options};
    }
    check(&source, formats[data[0] & 3u]);
    wf_str_free(&unpacked);
    return 0;
}
