/* hashes.c - tokens without a table of their own: hashes of a token look up rows of several small tables (Clark et al. 2021,
 * arXiv 2103.06874, section 3.1). What is read and written of them; stem.c declares and records the tables. */
#include "model/parts.h"

const wf_spec_key wf_hash_keys[] = {
    {"buckets", "integer", NULL, "rows of each table"},
    {"multipliers", "list", NULL, "one for each table, up to 16: token t has row (t + 1) * multiplier mod buckets"},
    {NULL, NULL, NULL, NULL}};

weft_status wf_hashes_read(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    bool there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(j, "stem hashes", wf_hash_keys, r->err);
    const wf_json *list = there && o.status == WEFT_OK ? wf_json_get(j, "multipliers") : NULL;
    s->buckets = wf_option_int(&o, "buckets", 0, 1, WF_MAX_VOCAB);
    bool fits = list && list->kind == WF_JSON_ARRAY && list->count >= 1 && list->count <= WF_MAX_HASHES && s->buckets > 0;
    for (const wf_json *one = fits ? list->child : NULL; one; one = one->next) {
        fits &= one->kind == WF_JSON_NUMBER && one->is_integer && one->integer >= 1 && one->integer <= INT32_MAX;
        s->hashes[s->n_hashes++] = one->integer;
    }
    if (there && !fits)
        wf_option_fail(&o, j, "'buckets' and 1 to %d 'multipliers' are needed", (int)WF_MAX_HASHES);
    if (there && fits && s->dim % s->n_hashes != 0)
        wf_option_fail(&o, j, "%lld tables do not divide a width of %lld", (long long)s->n_hashes, (long long)s->dim);
    if (there && (s->types || s->channels || s->padding >= 0 || s->shared))
        wf_option_fail(&o, j, "hashed tokens go with neither 'types', 'padding', 'shared' nor frames");
    return o.status;
}

wf_json *wf_hashes_normal(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int64_t i = 0; i < stem->n_hashes; i++)
        *of->failed |= !wf_json_push(list, wf_json_new_int(of->arena, stem->hashes[i]));
    wf_normal_int(&w, "buckets", stem->buckets);
    wf_normal_put(&w, "multipliers", list);
    return w.object;
}
