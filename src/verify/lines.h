/* lines.h - private to the verifier: files of one JSON value a line. */
#ifndef WF_VERIFY_LINES_H
#define WF_VERIFY_LINES_H
#include "verify/fixture.h"

/* The arena lives for one line. */
typedef weft_status (*wf_line_fn)(void *user, wf_arena *arena, const wf_json *line);
/* Hands every line of a file of the fixture to fn and counts it; a file that is not there has none. */
weft_status wf_each_line(wf_fixture *fx, const char *file, wf_line_fn fn, void *user, size_t *seen, weft_error *err);
#endif
