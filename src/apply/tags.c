#include "apply/tags.h"
#include <stdlib.h>
#include <string.h>

const char *const wf_tag_mergings[] = {"none", "simple", "first", "average", "max", NULL};

/* A token or a word, with the class it got. */
typedef struct tagged {
    int64_t class;
    float score;
    uint32_t start, end, index;
} tagged;

static int64_t best(const float *scores, int64_t classes) {
    int64_t top = 0;
    for (int64_t c = 1; c < classes; c++)
        if (scores[c] > scores[top])
            top = c;
    return top;
}

/* The token whose class decides for its word. */
static const wf_tag_token *speaker(wf_tag_merging how, const wf_tag_token *word, size_t n, int64_t classes) {
    const wf_tag_token *found = word;
    for (size_t i = 1; how == WF_TAGS_MAX && i < n; i++)
        if (word[i].scores[best(word[i].scores, classes)] > found->scores[best(found->scores, classes)])
            found = &word[i];
    return found;
}

static tagged average(const wf_tag_token *word, size_t n, int64_t classes) {
    tagged top = {.class = 0, .score = -1.0f};
    for (int64_t c = 0; c < classes; c++) {
        float sum = 0.0f;
        for (size_t i = 0; i < n; i++)
            sum += word[i].scores[c];
        if (sum / (float)n > top.score)
            top = (tagged){.class = c, .score = sum / (float)n};
    }
    return top;
}

static tagged tag_word(wf_tag_merging how, const wf_tag_token *word, size_t n, int64_t classes) {
    const wf_tag_token *one = speaker(how, word, n, classes);
    int64_t top = best(one->scores, classes);
    tagged t = how == WF_TAGS_AVERAGE ? average(word, n, classes) : (tagged){.class = top, .score = one->scores[top]};
    t.start = word[0].start;
    t.end = word[n - 1].end;
    t.index = word[0].index;
    return t;
}

static size_t tag_all(wf_tag_merging how, const wf_tag_token *tokens, size_t n, int64_t classes, tagged *out) {
    bool words = how != WF_TAGS_NONE && how != WF_TAGS_SIMPLE;
    size_t count = 0;
    for (size_t i = 0, length; i < n; i += length) {
        length = 1;
        while (words && i + length < n && tokens[i + length].inside)
            length++;
        out[count++] = tag_word(how, tokens + i, length, classes);
    }
    return count;
}

static const char *without_side(const char *label) {
    return strncmp(label, "B-", 2) == 0 || strncmp(label, "I-", 2) == 0 ? label + 2 : label;
}

/* What a group is called: behind the first dash, whatever stands before it. */
static const char *group_name(const char *label) {
    const char *dash = strchr(label, '-');
    return dash ? dash + 1 : label;
}

static bool goes_on(const char *label, const char *last) {
    return strcmp(without_side(label), without_side(last)) == 0 && strncmp(label, "B-", 2) != 0;
}

weft_status wf_tags_merge(wf_tag_merging how, const wf_tag_classes *classes, const wf_tag_token *tokens, size_t n,
                          wf_arena *arena, wf_entities *out, weft_error *err) {
    const char *const *labels = classes->labels;
    tagged *list = wf_arena_alloc(arena, (n + 1) * sizeof *list);
    *out = (wf_entities){wf_arena_alloc(arena, (n + 1) * sizeof *out->list), 0};
    if (!list || !out->list)
        return wf_fail_memory(err);
    size_t words = tag_all(how, tokens, n, classes->count, list);
    for (size_t i = 0, length; i < words; i += length) {
        const char *label = labels[list[i].class];
        float sum = list[i].score;
        for (length = 1; how != WF_TAGS_NONE && i + length < words &&
                         goes_on(labels[list[i + length].class], labels[list[i + length - 1].class]);
             length++)
            sum += list[i + length].score;
        out->list[out->count++] = (wf_entity){how == WF_TAGS_NONE ? label : group_name(label), sum / (float)length,
                                              list[i].start, list[i + length - 1].end, list[i].index};
    }
    return WEFT_OK;
}

/* Stable: the index tells equal ones apart. */
static int by_start(const void *a, const void *b) {
    const wf_entity *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void wf_tags_join(wf_entities *all) {
    wf_entity *list = all->list;
    size_t kept = 0;
    if (all->count < 2)
        return;
    qsort(list, all->count, sizeof *list, by_start);
    for (size_t i = 1; i < all->count; i++) {
        wf_entity *last = &list[kept];
        const wf_entity *one = &list[i];
        uint32_t length = one->end - one->start, before = last->end - last->start;
        if (one->start < last->start || one->start >= last->end)
            list[++kept] = *one;
        else if (length > before || (length == before && one->score > last->score))
            *last = *one;
    }
    all->count = kept + 1;
}
