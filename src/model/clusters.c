/* clusters.c - tables of tokens in pieces, and the softmax over them (adaptive input representations, Baevski and Auli 2019,
 * arXiv 1809.10853; adaptive softmax, Grave et al. 2017, arXiv 1609.04309, with the projections of Transformer-XL, Dai et al.
 * 2019, arXiv 1901.02860): rare tokens stand in later clusters, whose rows may be narrower. */
#include <stdio.h>
#include "model/parts.h"

const wf_spec_key wf_cluster_keys[] = {
    {"cutoffs", "list", NULL, "the tokens that begin the second and later clusters"},
    {"divisor", "integer", "1", "rows of cluster n are narrower by this to the power n; 1: there is one table"},
    {"tied_projects", "list", "all true",
     "of a head: for each cluster, whether the projection to its rows is that of the stem, turned"},
    {NULL, NULL, NULL, NULL}};

/* ---- reading ---- */
static bool read_ends(const wf_json *list, int64_t vocab, wf_clusters *out) {
    int64_t last = 0;
    out->count = 0;
    if (!list || list->kind != WF_JSON_ARRAY || list->count >= WF_MAX_CLUSTERS)
        return false;
    for (const wf_json *j = list->child; j; j = j->next) {
        if (j->kind != WF_JSON_NUMBER || !j->is_integer || j->integer <= last || j->integer >= vocab)
            return false;
        out->ends[out->count++] = last = j->integer;
    }
    out->ends[out->count++] = vocab;
    return true;
}

int64_t wf_cluster_dim(const wf_clusters *c, int64_t dim, int64_t n) {
    for (; n > 0; n--)
        dim /= c->divisor;
    return dim;
}

static bool read_tied(const wf_json *list, wf_clusters *out) {
    int64_t n = 0;
    for (int64_t i = 0; i < WF_MAX_CLUSTERS; i++)
        out->tied[i] = true;
    if (list && (list->kind != WF_JSON_ARRAY || (int64_t)list->count != out->count))
        return false;
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        if (j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE)
            return false;
        out->tied[n++] = j->kind == WF_JSON_TRUE;
    }
    return true;
}

weft_status wf_clusters_read(wf_spec_reader *r, const wf_json *j, int64_t vocab, int64_t dim, wf_clusters *out) {
    *out = (wf_clusters){0};
    if (!j || j->kind == WF_JSON_NULL)
        return WEFT_OK;
    wf_options o = wf_part_open(j, "clusters", wf_cluster_keys, r->err);
    out->divisor = wf_option_int(&o, "divisor", 1, 1, WF_MAX_DIM);
    WF_TRY(o.status);
    WF_CHECK(read_ends(wf_json_get(j, "cutoffs"), vocab, out), r->err, WEFT_USAGE,
             "clusters: 'cutoffs' must be at most %d rising tokens of the vocabulary", (int)WF_MAX_CLUSTERS - 1);
    WF_CHECK(wf_cluster_dim(out, dim, out->count - 1) >= 1, r->err, WEFT_USAGE,
             "clusters: rows of width %lld cannot be divided by %lld that often", (long long)dim, (long long)out->divisor);
    WF_CHECK(read_tied(wf_json_get(j, "tied_projects"), out), r->err, WEFT_USAGE,
             "clusters: 'tied_projects' must be one boolean for each cluster");
    return WEFT_OK;
}

/* ---- parameters ---- */
static int64_t begin_of(const wf_clusters *c, int64_t n) { return n ? c->ends[n - 1] : 0; }

static weft_status declare_matrix(wf_model *m, const char *name, int64_t rows, int64_t width, bool table, wf_param **out,
                                  weft_error *err) {
    WF_TRY(wf_declare(m, name, 2, (int64_t[]){rows, width}, WF_INIT_NORMAL, out, err));
    (*out)->init_scale = wf_init_std(width);
    (*out)->table = table;
    return WEFT_OK;
}

/* Narrower rows become those of the model. */
weft_status wf_stem_clusters_declare(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    char name[64];
    for (int64_t n = 0; n < s->clusters.count; n++) {
        int64_t width = wf_cluster_dim(&s->clusters, s->dim, n);
        snprintf(name, sizeof name, "stem.token.%lld.weight", (long long)n);
        WF_TRY(declare_matrix(m, name, s->clusters.ends[n] - begin_of(&s->clusters, n), width, true, &m->token_part[n], err));
        snprintf(name, sizeof name, "stem.project.%lld.weight", (long long)n);
        WF_TRY(declare_matrix(m, name, m->spec->dim, width, false, &m->token_project[n], err));
    }
    return WEFT_OK;
}

/* The projection that cluster n of a head would share with the stem. */
static wf_param *shared_project(const wf_model *m, int64_t n) {
    return m->spec->stem.clusters.count ? m->token_project[n] : m->project[0];
}

static weft_status declare_part(wf_model *m, const char *prefix, const wf_head_spec *h, int64_t n, wf_head_params *p,
                                weft_error *err) {
    const wf_clusters *c = &h->clusters;
    const wf_stem_spec *s = &m->spec->stem;
    char name[64];
    bool whole = c->divisor == 1;
    int64_t rows = whole ? m->spec->vocab : c->ends[n] - begin_of(c, n), width = wf_cluster_dim(c, s->dim, n);
    if (!whole || n == 0) {
        p->part[n] = !h->tied ? NULL : whole ? m->token : m->token_part[n];
        snprintf(name, sizeof name, "%s.%lld.weight", prefix, (long long)n);
        if (!h->tied)
            WF_TRY(declare_matrix(m, name, rows, width, false, &p->part[n], err));
        snprintf(name, sizeof name, "%s.%lld.bias", prefix, (long long)n);
        WF_TRY(wf_declare(m, name, 1, &rows, WF_INIT_ZEROS, &p->part_bias[n], err));
    }
    if (whole && s->dim == m->spec->dim)
        return WEFT_OK;
    p->part_project[n] = c->tied[n] ? shared_project(m, n) : NULL;
    snprintf(name, sizeof name, "%s.project.%lld.weight", prefix, (long long)n);
    return p->part_project[n] ? WEFT_OK : declare_matrix(m, name, m->spec->dim, width, false, &p->part_project[n], err);
}

weft_status wf_head_clusters_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_params *p,
                                     weft_error *err) {
    char name[64];
    for (int64_t n = 0; n < h->clusters.count; n++)
        WF_TRY(declare_part(m, prefix, h, n, p, err));
    snprintf(name, sizeof name, "%s.cluster", prefix);
    return h->clusters.count > 1 ? wf_declare_linear(m, name, h->clusters.count - 1, m->spec->stem.dim, true, p->cluster, err)
                                 : WEFT_OK;
}

/* ---- recording ---- */
/* Every table looks its own tokens up; the others have rows of zeros there. */
wf_tensor *wf_stem_clusters(const wf_model *m, wf_tape *t, wf_tensor *ids) {
    const wf_stem_spec *s = &m->spec->stem;
    wf_tensor *x = NULL;
    for (int64_t n = 0; n < s->clusters.count; n++) {
        wf_tensor *own = wf_id_column(t, ids, 0, -1, -begin_of(&s->clusters, n));
        own = wf_embed(t, own, wf_use(t, m->token_part[n]), -1);
        own = wf_linear_as(t, own, wf_use(t, m->token_project[n]), NULL, WF_F32);
        x = n ? wf_add(t, x, own) : own;
    }
    return x;
}

static wf_tensor *turned(wf_tape *t, wf_tensor *w) {
    wf_tensor *y = wf_turn_repeat(t, w, 1);
    return y ? wf_reshape(t, y, 2, y->dims + 1) : NULL;
}

static wf_tensor *part_of(wf_tape *t, wf_param *param, const wf_clusters *c, int64_t n) {
    wf_tensor *x = wf_use(t, param);
    return c->divisor == 1 ? wf_rows(t, x, begin_of(c, n), c->ends[n] - begin_of(c, n)) : x;
}

wf_tensor *wf_head_clusters(wf_tape *t, const wf_head_spec *h, const wf_head_params *p, wf_tensor *x) {
    const wf_clusters *c = &h->clusters;
    wf_tensor *z = NULL, *first = NULL;
    int64_t *ends = wf_arena_alloc(wf_tape_arena(t), sizeof c->ends);
    for (int64_t n = 0; n < c->count && x; n++) {
        int64_t table = c->divisor == 1 ? 0 : n;
        wf_tensor *own = p->part_project[n] ? wf_linear(t, x, turned(t, wf_use(t, p->part_project[n])), NULL) : x;
        first = n ? first : own;
        own = wf_linear_as(t, own, part_of(t, p->part[table], c, n), part_of(t, p->part_bias[table], c, n), WF_F32);
        z = n ? wf_join_channels(t, z, own) : own;
    }
    if (c->count > 1)
        z = wf_join_channels(t, z, wf_linear_as(t, first, wf_use(t, p->cluster[0]), wf_use(t, p->cluster[1]), WF_F32));
    if (!ends)
        return wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
    for (int64_t n = 0; n < c->count; n++)
        ends[n] = c->ends[n];
    return wf_cluster_softmax(t, z, ends, c->count);
}

/* ---- the normal form ---- */
wf_json *wf_clusters_normal(const wf_normal *of, const wf_clusters *c, bool head) {
    wf_normal w = wf_normal_begin(of);
    wf_json *cutoffs = wf_json_new(of->arena, WF_JSON_ARRAY), *tied = wf_json_new(of->arena, WF_JSON_ARRAY);
    if (c->count == 0)
        return wf_json_new(of->arena, WF_JSON_NULL);
    for (int64_t n = 0; n < c->count; n++) {
        *of->failed |= n + 1 < c->count && !wf_json_push(cutoffs, wf_json_new_int(of->arena, c->ends[n]));
        *of->failed |= !wf_json_push(tied, wf_json_new_bool(of->arena, c->tied[n]));
    }
    wf_normal_put(&w, "cutoffs", cutoffs);
    wf_normal_int(&w, "divisor", c->divisor);
    if (head)
        wf_normal_put(&w, "tied_projects", tied);
    return w.object;
}
