/* models.c - the table of models. */
#include "text/engine.h"

static const wf_model_row *const rows[] = {&wf_model_bpe};

const wf_model_row *wf_model_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i]->name, name))
            return rows[i];
    return NULL;
}
