/* ggml_blocks.h - the quantised blocks of ggml: 32 elements with one scale (and, in some, one least value). */
#ifndef WF_FORMATS_GGML_BLOCKS_H
#define WF_FORMATS_GGML_BLOCKS_H
#include <stddef.h>
#include <stdint.h>

enum { WF_GGML_BLOCK = 32 };

typedef struct wf_ggml_blocks {
    const char *name; /* "Q5_1" */
    size_t bytes;     /* of a block */
    void (*unpack)(const uint8_t *block, float out[WF_GGML_BLOCK]);
} wf_ggml_blocks;

/* NULL when there is no row of that name. */
const wf_ggml_blocks *wf_ggml_blocks_find(const char *name);
#endif
