/* mixers.c - the two tables of mixers and the search by name. */
#include "base/str.h"
#include "mixers/mixer.h"

#define WF_MIXER(name) extern const wf_mixer wf_mixer_##name;
#include "mixers/mixers.def"
#include "ffn/channels.def"
#undef WF_MIXER

#define WF_MIXER(name) &wf_mixer_##name,
const wf_mixer *const wf_mixers[] = {
#include "mixers/mixers.def"
    NULL};
const wf_mixer *const wf_channels[] = {
#include "ffn/channels.def"
    NULL};
#undef WF_MIXER

static const wf_mixer *nth(size_t i) {
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            if (i-- == 0)
                return *row;
    return NULL;
}

static const char *nth_name(const void *user, size_t i) {
    (void)user;
    const wf_mixer *row = nth(i);
    return row ? row->name : NULL;
}

const wf_mixer *wf_mixer_find(const char *name) {
    for (size_t i = 0; nth(i); i++)
        if (wf_streq(nth(i)->name, name))
            return nth(i);
    return NULL;
}

const char *wf_mixer_nearest(const char *name) { return wf_nearest(name, nth_name, NULL); }
