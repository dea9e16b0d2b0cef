/* embed.h - the JSON files compiled into the library (written at build time by tools/embed.cmake), compressed.
 *
 *     const char *texts;
 *     WF_TRY(wf_embedded_open(arena, &wf_embedded_presets, &texts, err));
 *     for (const wf_embedded *e = wf_embedded_presets.list; e->name; e++)
 *         wf_json_parse(arena, texts + e->at, e->size, 0, &tree, err);
 *
 * Sorted by name; static storage. Thread rule: constants. */
#ifndef WF_BASE_EMBED_H
#define WF_BASE_EMBED_H
#include "base/mem.h"
#include "base/status.h"

typedef struct wf_embedded {
    const char *name; /* the file's name without .json; NULL ends the list */
    size_t at, size;  /* of its text */
} wf_embedded;

typedef struct wf_embedded_table {
    const wf_embedded *list;
    const unsigned char *packed; /* all texts, in gzip's form */
    size_t packed_size, size;
} wf_embedded_table;

extern const wf_embedded_table wf_embedded_presets;  /* src/presets */
extern const wf_embedded_table wf_embedded_families; /* src/families */
extern const wf_embedded_table wf_embedded_classes;  /* src/text/classes */
extern const wf_embedded_table wf_embedded_folders;  /* src/text/folders */

/* The texts of a table, in the arena. */
weft_status wf_embedded_open(wf_arena *arena, const wf_embedded_table *table, const char **texts, weft_error *err);
#endif
