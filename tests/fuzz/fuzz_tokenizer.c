/* tokenizer.json, then a zero byte, then a text: what loads must encode any text, the same from the cache, and decode it the
 * same in one go and streamed. A tokenizer without normalizers or added tokens that swallow spaces gives the very bytes back.
 */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_decoding(const wf_tokenizer *tok, const wf_ids *ids) {
    wf_str whole = wf_str_new(&wf_mem_default), streamed = wf_str_new(&wf_mem_default);
    wf_text_stream stream = wf_text_stream_new(tok, 0);
    weft_status status = wf_tokenizer_decode(tok, ids->data, ids->count, 0, &whole, NULL);
    for (size_t i = 0; i < ids->count; i++) {
        require(ids->data[i] < wf_tokenizer_vocab(tok));
        status = status ? status : wf_text_stream_put(&stream, ids->data[i], &streamed, NULL);
    }
    status = status ? status : wf_text_stream_end(&stream, &streamed, NULL);
    wf_text_stream_free(&stream);
    require(status != WEFT_OK ||
            (whole.length == streamed.length && memcmp(wf_str_text(&whole), wf_str_text(&streamed), whole.length) == 0));
    wf_str_free(&whole);
    wf_str_free(&streamed);
}

static void check_encoding(const wf_tokenizer *tok, const uint8_t *text, size_t n) {
    wf_encoder *e;
    wf_ids ids = wf_ids_new(&wf_mem_default), again = wf_ids_new(&wf_mem_default);
    require(wf_encoder_create(tok, &e, NULL) == WEFT_OK);
    weft_status status = wf_encode(e, text, n, WF_ENCODE_SPECIALS, &ids, NULL);
    require(wf_encode(e, text, n, WF_ENCODE_SPECIALS, &again, NULL) == status);
    require(ids.count == again.count && (ids.count == 0 || memcmp(ids.data, again.data, ids.count * sizeof *ids.data) == 0));
    check_decoding(tok, &ids);
    wf_encoder_free(e);
    wf_ids_free(&ids);
    wf_ids_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t length = end ? (size_t)(end - data) : size;
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    weft_status status = wf_tokenizer_parse(&wf_mem_default, (const char *)data, length, &tok, &err);
    if (status != WEFT_OK) {
        require(tok == NULL && err.status == status && err.message[0] && err.offset <= (int64_t)length);
        return 0;
    }
    if (end)
        check_encoding(tok, end + 1, size - length - 1);
    wf_tokenizer_free(tok);
    return 0;
}
