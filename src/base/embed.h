/* embed.h - the JSON files compiled into the library (written at build time by tools/embed.cmake).
 *
 *     for (const wf_embedded *e = wf_embedded_presets; e->name; e++)
 *         wf_json_parse(arena, e->text, e->size, 0, &tree, err);
 *
 * Sorted by name; static storage. Thread rule: constants. */
#ifndef WF_BASE_EMBED_H
#define WF_BASE_EMBED_H
#include <stddef.h>

typedef struct wf_embedded {
    const char *name; /* the file's name without .json; NULL ends the table */
    const char *text; /* 0-terminated */
    size_t size;      /* of text, the 0 left out */
} wf_embedded;

extern const wf_embedded wf_embedded_presets[];  /* src/presets */
extern const wf_embedded wf_embedded_families[]; /* src/families */
#endif
