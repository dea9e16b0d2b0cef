/* Other files that hold a tokenizer: the first byte chooses the kind, then the file. What
 * opens must encode a text and decode it. */
#include <stdlib.h>
#include <string.h>

#include "text/file_kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void use(const wf_tokenizer *tok) {
    static const char text[] = " a \xC3\xA9 ab\xE2\x96\x81 <s>\n\xFF 12";
    wf_ids ids = wf_ids_new(&wf_mem_default);
    wf_str out = wf_str_new(&wf_mem_default);
    if (wf_tokenizer_encode(tok, text, sizeof text - 1, WF_ENCODE_SPECIALS, &ids, NULL) == WEFT_OK) {
        for (size_t i = 0; i < ids.count; i++)
            require(ids.data[i] < wf_tokenizer_vocab(tok));
        wf_tokenizer_decode(tok, ids.data, ids.count, WF_DECODE_TEXT, &out, NULL);
    }
    wf_str_free(&out);
    wf_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const kinds[] = {"sentencepiece", "tiktoken", "gguf", "rwkv", "vocab.txt", "llama2.c"};
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    if (size == 0)
        return 0;
    const wf_file_kind *kind = wf_file_kind_find(kinds[data[0] % (sizeof kinds / sizeof *kinds)]);
    wf_bytes file = {(const char *)data + 1, size - 1};
    weft_status status = wf_tokenizer_read_as(&wf_mem_default, kind, &file, NULL, &tok, &err);
    require(status == WEFT_OK ? tok != NULL : tok == NULL && err.message[0]);
    if (tok)
        use(tok);
    wf_tokenizer_free(tok);
    return 0;
}
