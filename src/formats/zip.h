/* zip.h - the members of a zip archive (with the 64-bit records of large ones): stored, or deflated. Everything is checked
 * against the bytes there are before it is used. Source: PKWARE's APPNOTE 6.3.10. */
#ifndef WF_FORMATS_ZIP_H
#define WF_FORMATS_ZIP_H
#include "formats/tensor_file.h"

typedef struct wf_zip_member {
    const char *name;    /* 0-terminated, in the arena; holds no NUL */
    const uint8_t *data; /* packed bytes */
    size_t packed, size; /* bytes there, and unpacked */
    size_t offset;       /* of the data, in the file */
    unsigned method;     /* 0 stored, 8 deflated */
    uint32_t check;      /* CRC-32 of the unpacked bytes */
} wf_zip_member;

typedef struct wf_zip {
    wf_zip_member *list;
    size_t count;
} wf_zip;

bool wf_zip_is(const uint8_t *data, size_t size);
weft_status wf_zip_open(wf_arena *arena, const void *data, size_t size, wf_zip *out, weft_error *err);
const wf_zip_member *wf_zip_find(const wf_zip *zip, const char *name);        /* NULL when absent */
const wf_zip_member *wf_zip_ends_with(const wf_zip *zip, const char *suffix); /* the first one whose name ends so */
/* The bytes of a member: where they lie when it is stored, else unpacked into a block of the file. */
weft_status wf_zip_read(wf_tensor_file *file, const wf_zip_member *member, const uint8_t **out, weft_error *err);
#endif
