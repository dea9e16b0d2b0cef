/* put.h - members of result objects; a number that is not finite becomes null, a text that is NULL is left out. */
#ifndef WF_JOBS_PUT_H
#define WF_JOBS_PUT_H
#include <math.h>
#include <string.h>
#include "base/json.h"

static inline void wf_put_text(wf_arena *arena, wf_json *object, const char *key, const char *text) {
    if (text)
        wf_json_put(arena, object, key, wf_json_new_string(arena, text, strlen(text)));
}
static inline void wf_put_int(wf_arena *arena, wf_json *object, const char *key, int64_t value) {
    wf_json_put(arena, object, key, wf_json_new_int(arena, value));
}
static inline wf_json *wf_number_or_null(wf_arena *arena, double value) {
    return isfinite(value) ? wf_json_new_double(arena, value) : wf_json_new(arena, WF_JSON_NULL);
}
static inline void wf_put_number(wf_arena *arena, wf_json *object, const char *key, double value) {
    wf_json_put(arena, object, key, wf_number_or_null(arena, value));
}
static inline wf_json *wf_put_object(wf_arena *arena, wf_json *object, const char *key) {
    return wf_json_put(arena, object, key, wf_json_new(arena, WF_JSON_OBJECT));
}
static inline wf_json *wf_put_list(wf_arena *arena, wf_json *object, const char *key) {
    return wf_json_put(arena, object, key, wf_json_new(arena, WF_JSON_ARRAY));
}
/* The list that is there already, or a new one. */
static inline wf_json *wf_put_list_once(wf_arena *arena, wf_json *object, const char *key) {
    for (wf_json *j = object->child; j; j = j->next)
        if (j->kind == WF_JSON_ARRAY && strcmp(j->key, key) == 0)
            return j;
    return wf_put_list(arena, object, key);
}
#endif
