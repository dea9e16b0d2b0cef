/* base64.h - RFC 4648 base64. */
#ifndef WF_BASE_BASE64_H
#define WF_BASE_BASE64_H
#include <stdbool.h>
#include "base/str.h"

/* Writes at most n bytes; false when the text is no base64 (padding may be missing). */
bool wf_base64_decode(const char *text, size_t n, uint8_t *out, size_t *length);
void wf_base64_encode(const uint8_t *data, size_t n, wf_str *out);
#endif
