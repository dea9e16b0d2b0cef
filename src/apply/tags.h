/* tags.h - from a class for every token to words and stretches of text, as the token-classification pipeline of Hugging Face's
 * transformers does it. */
#ifndef WF_APPLY_TAGS_H
#define WF_APPLY_TAGS_H
#include "base/json.h"
#include "base/mem.h"

typedef enum wf_tag_merging {
    WF_TAGS_NONE,    /* every token by itself */
    WF_TAGS_SIMPLE,  /* neighbours of one tag, B- begins anew; a word may be cut */
    WF_TAGS_FIRST,   /* the same of words, whose class is that of their first token, */
    WF_TAGS_AVERAGE, /* that of the mean of their tokens' probabilities, */
    WF_TAGS_MAX      /* that of their surest token */
} wf_tag_merging;
extern const char *const wf_tag_mergings[]; /* their names, ended by NULL */

typedef struct wf_tag_token {
    const float *scores; /* [classes] probabilities */
    uint32_t start, end; /* characters of the text */
    uint32_t index;      /* of the token */
    bool inside;         /* of a word that an earlier token began */
} wf_tag_token;

typedef struct wf_entity {
    const char *label; /* of the class; without B- or I- where neighbours were merged */
    float score;
    uint32_t start, end;
    uint32_t index; /* of the first token */
} wf_entity;

typedef struct wf_tag_classes {
    const char *const *labels; /* the name of every class */
    int64_t count;
} wf_tag_classes;

typedef struct wf_entities {
    wf_entity *list;
    size_t count;
} wf_entities;

/* The entities of n tokens, in order. The list lives in the arena; labels are views. */
weft_status wf_tags_merge(wf_tag_merging how, const wf_tag_classes *classes, const wf_tag_token *tokens, size_t n,
                          wf_arena *arena, wf_entities *out, weft_error *err);
/* Of entities of windows that overlap: the longest of those that cover each other, the surest of equally long ones. Sorts. */
void wf_tags_join(wf_entities *all);
#endif
