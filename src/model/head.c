/* head.c - the one skeleton of all heads: pooling, dense layers, the last product. What the logits mean is a row of src/heads.
 */
#include <stdio.h>
#include <string.h>
#include "model/parts.h"

const wf_spec_key wf_head_keys[] = {
    {"kind", "string", "lm", "what the logits mean, see the heads below; `none` is no head"},
    {"task", "string", "that of the kind", "what a checkpoint calls it"},
    {"output", "string", "that of the kind", "name of the logits; two columns have a name each, with a space between"},
    {"labels", "string", "that of the kind", "name of the labels"},
    {"pool", "string", "that of the kind", "how the rows of a sequence become one, see the poolings below"},
    {"late", "boolean", "false", "the logits are pooled instead of the rows"},
    {"layers", "list", "[]", "dense layers before the last product"},
    {"classes", "integer", "that of the kind", "rows of the last product; needed where the kind has no number of its own"},
    {"tied", "boolean", "that of the kind", "the last product is the token table"},
    {"extra", "integer", "0",
     "the last so many channels before the last product have a matrix of their own (beside a narrower token table)"},
    {"bias", "boolean", "false; true for kinds that are not tied", "a learned bias of the last product"},
    {"bias_fixed", "boolean", "false", "that bias is never trained (the `final_logits_bias` of BART)"},
    {"aligned", "boolean", "with an encoder: true",
     "of `lm`: labels stand at the rows that predict them; else row t predicts the label of row t + 1"},
    {"pool_token", "integer", "-1",
     "the rows that are pooled are those of this token, in the source where there is an encoder"},
    {"pool_padding", "integer", "-1", "the same: those of all tokens but this one, whatever a mask says"},
    {"pool_later", "integer", "0", "of both: the rows so many behind those, and at most the last"},
    {"scale", "number", "1", "multiplies the logits"},
    {"clusters", "object", "null",
     "of kinds with a class for each token: an adaptive softmax, whose logits are logarithms of probabilities"},
    {"streams", "list", "[]", "[first, how many]: streams of queries that it reads instead of the rows, one behind the other"},
    {"shared", "boolean", "false", "of one of `heads`: the last product is that of `head`"},
    {"weight", "number", "1", "of its loss; 0: it has none"},
    {"smoothing", "number", "0", "that share of every label goes to all classes alike"},
    {"softcap", "number", "0", "c*tanh(logit/c) after the scale; 0 is off"},
    {"z_loss", "number", "0",
     "added to the loss of training: this times the mean over all positions of log(sum(exp(logit)))^2; of kinds with a class "
     "per row"},
    {"query", "integer", "-1",
     "of `span`: a token whose first row asks the others: each class has layers of its own for both, and a matrix between "
     "them"},
    {"separator", "integer", "-1",
     "of `span`: a token; the logits of the rows up to the first of it, but the first row, are 1e6 less (a question before its "
     "text)"},
    {"of", "integer", "-1", "number of a block (from 0) whose rows it reads; -1: those at the end, after the norm"},
    {"dropout", "number", "0", "before the last product"},
    {"names", "list", "[]", "of the classes"},
    {"problem", "string", "auto",
     "of `classify`: `single` (one class), `multi` (several), `regression` (numbers), or `auto`: as the labels are"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_head_layer_keys[] = {
    {"dense", "boolean", "true", "a dense layer; without one the activation and the norm are of the input"},
    {"dim", "integer", "`dim`", "width of the result"},
    {"bias", "boolean", "true", "a learned bias"},
    {"activation", "string", "identity", "of the result, a name as the channel mixers have it"},
    {"norm", "norm", "none", "after the activation"},
    {"dropout", "number", "0", "of the input"},
    {"residual", "boolean", "false",
     "the rows that the first layer reads are added before the activation, and the dropout is of the result"},
    {NULL, NULL, NULL, NULL}};

/* ---- reading ---- */
/* `first`: width of what the first layer reads. */
static weft_status read_layer(wf_spec_reader *r, const wf_json *j, int64_t first, int64_t in, wf_head_layer_spec *out) {
    wf_options o = wf_part_open(j, "head layer", wf_head_layer_keys, r->err);
    const char *name = wf_option_text(&o, "activation", "identity");
    int activation = wf_activation_by_name(name);
    if (activation < 0)
        wf_option_fail(&o, j, "unknown activation '%s'", name);
    out->in = in;
    out->dense = wf_option_bool(&o, "dense", true);
    out->out = wf_option_int(&o, "dim", out->dense ? r->spec->dim : in, 1, WF_MAX_DIM);
    out->bias = wf_option_bool(&o, "bias", out->dense);
    if (!out->dense && (out->out != in || out->bias))
        wf_option_fail(&o, j, "without 'dense' a layer has the width of its input, %lld, and no 'bias'", (long long)in);
    out->activation = activation < 0 ? WF_IDENTITY : (wf_activation)activation;
    out->dropout = (float)wf_option_float(&o, "dropout", 0.0, 0.0, 0.99);
    out->residual = wf_option_bool(&o, "residual", false);
    if (out->residual && out->out != first)
        wf_option_fail(&o, j, "with 'residual' a layer has the width of the rows, %lld", (long long)first);
    WF_TRY(o.status);
    const wf_json *norm = wf_json_get(j, "norm");
    return norm ? wf_norm_read(r, norm, "head layer norm", &out->norm) : WEFT_OK;
}

static weft_status read_layers(wf_spec_reader *r, const wf_json *list, wf_head_spec *h) {
    WF_CHECK(!list || list->kind == WF_JSON_ARRAY, r->err, WEFT_USAGE, "head: 'layers' must be a list");
    const int64_t first = h->of < 0 ? r->spec->project.dim : r->spec->blocks[h->of].dim;
    h->width = first;
    h->layers = list && list->count ? wf_arena_alloc(r->arena, list->count * sizeof *h->layers) : NULL;
    if (list && list->count && !h->layers)
        return wf_fail_memory(r->err);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        h->layers[h->n_layers] = (wf_head_layer_spec){0};
        WF_TRY(read_layer(r, j, first, h->width, &h->layers[h->n_layers]));
        h->width = h->layers[h->n_layers++].out;
    }
    return WEFT_OK;
}

static const char *nth_head(const void *user, size_t i) { return ((const wf_head *)user)[i].name; }
static const char *nth_pool(const void *user, size_t i) { return ((const wf_pool_row *)user)[i].name; }

static void find_kind(wf_options *o, const wf_json *j, wf_head_spec *h) {
    const char *name = wf_option_text(o, "kind", "lm"), *near = wf_nearest(name, nth_head, wf_head_rows);
    for (h->row = wf_head_rows; h->row->name && !wf_streq(h->row->name, name); h->row++)
        ;
    if (!h->row->name)
        wf_option_fail(o, j, "kind '%s' is not known%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
                       near ? "'?" : "");
}

static void find_pool(wf_options *o, const wf_json *j, wf_head_spec *h) {
    const char *name = wf_option_text(o, "pool", h->row->pool), *near = wf_nearest(name, nth_pool, wf_pool_table);
    for (h->pool = wf_pool_table; h->pool->name && !wf_streq(h->pool->name, name); h->pool++)
        ;
    if (!h->pool->name)
        wf_option_fail(o, j, "pooling '%s' is not known%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
                       near ? "'?" : "");
    else if ((h->pool->run == NULL) != wf_streq(h->row->pool, "rows"))
        wf_option_fail(o, j, "'%s' cannot be pooled by '%s'", h->row->name, name);
}

static void read_classes(wf_options *o, const wf_json *j, const wf_spec_reader *r, wf_head_spec *h) {
    const int64_t own[] = {
        [WF_CLASSES_NONE] = 0, [WF_CLASSES_VOCAB] = r->spec->vocab, [WF_CLASSES_ONE] = 1, [WF_CLASSES_TWO] = 2};
    bool given = h->row->classes == WF_CLASSES_GIVEN;
    h->classes = wf_option_int(o, "classes", given ? 0 : own[h->row->classes], 0, WF_MAX_VOCAB);
    if (given && h->classes < 1)
        wf_option_fail(o, j, "'%s' needs 'classes'", h->row->name);
    else if (!given && h->classes != own[h->row->classes])
        wf_option_fail(o, j, "'%s' has %lld classes", h->row->name, (long long)own[h->row->classes]);
}

static weft_status check_names(const wf_spec_reader *r, const wf_head_spec *h) {
    bool fits =
        !h->names || (h->names->kind == WF_JSON_ARRAY && (h->names->count == 0 || (int64_t)h->names->count == h->classes));
    for (const wf_json *j = fits && h->names ? h->names->child : NULL; j; j = j->next)
        fits &= j->kind == WF_JSON_STRING;
    WF_CHECK(fits, r->err, WEFT_USAGE, "head: 'names' must be one name for each of the %lld classes", (long long)h->classes);
    return WEFT_OK;
}

static weft_status read_streams(wf_options *o, const wf_json *list, const wf_spec_reader *r, wf_head_spec *h) {
    h->weight = (float)wf_option_float(o, "weight", 1.0, 0.0, 1e6);
    h->smoothing = (float)wf_option_float(o, "smoothing", 0.0, 0.0, 1.0);
    if (!list || (list->kind == WF_JSON_ARRAY && list->count == 0))
        return o->status;
    const wf_json *first = wf_json_at(list, 0), *count = wf_json_at(list, 1);
    bool fits = list->kind == WF_JSON_ARRAY && list->count == 2 && first->is_integer && count->is_integer &&
                first->integer >= 0 && count->integer >= 1;
    if (!fits || first->integer > r->spec->stem.queries - count->integer || r->spec->stem.query_map)
        wf_option_fail(o, list, "'streams' must be [first, how many] of the stem's %lld", (long long)r->spec->stem.queries);
    h->stream = fits ? first->integer : 0;
    h->streams = fits ? count->integer : 0;
    return o->status;
}

/* The tables of a tied adaptive softmax are the stem's. */
static weft_status check_clusters(const wf_spec_reader *r, const wf_head_spec *h) {
    const wf_clusters *own = &h->clusters, *stem = &r->spec->stem.clusters;
    bool alike = own->divisor == 1 ? stem->count == 0 : stem->count == own->count && stem->divisor == own->divisor;
    for (int64_t n = 0; alike && own->divisor > 1 && n < own->count; n++)
        alike = own->ends[n] == stem->ends[n];
    WF_CHECK(h->row->classes == WF_CLASSES_VOCAB && h->n_layers == 0 && h->extra == 0 && h->width == r->spec->dim, r->err,
             WEFT_USAGE, "head: 'clusters' are of a class for each token, without 'layers' and 'extra'");
    WF_CHECK(alike, r->err, WEFT_USAGE, "head: 'clusters' must be those of the stem");
    return WEFT_OK;
}

static void read_numbers(wf_options *o, wf_head_spec *h) {
    h->pool_token = wf_option_int(o, "pool_token", -1, -1, WF_MAX_VOCAB);
    h->pool_padding = wf_option_int(o, "pool_padding", -1, -1, WF_MAX_VOCAB);
    h->pool_later = wf_option_int(o, "pool_later", 0, 0, 1 << 20);
    h->scale = (float)wf_option_float(o, "scale", 1.0, -1e6, 1e6);
    h->softcap = (float)wf_option_float(o, "softcap", 0.0, 0.0, 1e6);
    h->z_loss = (float)wf_option_float(o, "z_loss", 0.0, 0.0, 1e6);
    h->dropout = (float)wf_option_float(o, "dropout", 0.0, 0.0, 0.99);
}

/* What goes into the last product fits its table. */
static weft_status check_width(const wf_spec_reader *r, const wf_head_spec *h) {
    WF_CHECK(h->extra < h->width || h->width == 0, r->err, WEFT_USAGE, "head: 'extra' must be less than the width %lld",
             (long long)h->width);
    if (h->clusters.count)
        return check_clusters(r, h);
    WF_CHECK(!h->tied || (h->row->classes == WF_CLASSES_VOCAB && h->width - h->extra == r->spec->stem.dim), r->err, WEFT_USAGE,
             "head: rows of width %lld do not fit the token table", (long long)h->width);
    return WEFT_OK;
}

static weft_status read_head(wf_spec_reader *r, const wf_json *j, wf_head_spec *h) {
    static const char *const problems[] = {"auto", "single", "multi", "regression", NULL};
    wf_options o = wf_part_open(j, "head", wf_head_keys, r->err);
    *h = (wf_head_spec){0};
    find_kind(&o, j, h);
    WF_TRY(o.status);
    find_pool(&o, j, h);
    read_classes(&o, j, r, h);
    h->task = wf_option_text(&o, "task", h->row->name);
    h->names = wf_json_get(j, "names");
    h->output = wf_option_text(&o, "output", h->row->outputs);
    h->labels = wf_option_text(&o, "labels", h->row->inputs);
    h->late = wf_option_bool(&o, "late", false) && h->pool->run;
    h->tied = wf_option_bool(&o, "tied", h->row->tied) && h->classes > 0;
    h->bias = wf_option_bool(&o, "bias", !h->row->tied) && h->classes > 0;
    h->bias_fixed = wf_option_bool(&o, "bias_fixed", false) && h->bias;
    h->aligned = wf_option_bool(&o, "aligned", r->spec->encoder != NULL) && h->row->label == WF_LABEL_NEXT;
    read_numbers(&o, h);
    h->problem = wf_option_text(&o, "problem", "auto");
    (void)wf_option_word(&o, j, "problem", h->problem, problems);
    WF_TRY(o.status);
    h->extra = wf_option_int(&o, "extra", 0, 0, WF_MAX_DIM);
    h->query = wf_option_int(&o, "query", -1, -1, r->spec->vocab - 1);
    h->of = wf_option_int(&o, "of", -1, -1, r->spec->layers - 1);
    h->separator = wf_option_int(&o, "separator", -1, -1, WF_MAX_VOCAB);
    if ((h->query >= 0 || h->separator >= 0) && h->row->classes != WF_CLASSES_TWO)
        wf_option_fail(&o, j, "'query' and 'separator' belong to a head of kind span");
    WF_TRY(o.status);
    WF_TRY(check_names(r, h));
    h->shared = wf_option_bool(&o, "shared", false) && h != r->spec->heads;
    WF_TRY(read_streams(&o, wf_json_get(j, "streams"), r, h));
    WF_TRY(wf_clusters_read(r, wf_json_get(j, "clusters"), r->spec->vocab, r->spec->stem.dim, &h->clusters));
    WF_TRY(read_layers(r, wf_json_get(j, "layers"), h));
    return check_width(r, h);
}

weft_status wf_heads_read(wf_spec_reader *r, const wf_json *head, const wf_json *more) {
    wf_spec *s = r->spec;
    WF_CHECK(!more || more->kind == WF_JSON_ARRAY, r->err, WEFT_USAGE, "'heads' must be a list of heads");
    WF_CHECK(!more || more->count < WF_MAX_HEADS, r->err, WEFT_USAGE, "at most %d heads", (int)WF_MAX_HEADS);
    s->n_heads = 0;
    bool none = head && (head->kind == WF_JSON_NULL || wf_streq(wf_json_text(head, "kind", NULL), "none"));
    if (!none)
        WF_TRY(read_head(r, head, &s->heads[s->n_heads++]));
    for (const wf_json *j = more ? more->child : NULL; j; j = j->next) {
        WF_CHECK(s->n_heads > 0, r->err, WEFT_USAGE, "'heads' are more heads beside 'head'");
        WF_TRY(read_head(r, j, &s->heads[s->n_heads++]));
    }
    return WEFT_OK;
}

/* ---- parameters ---- */
weft_status wf_head_layers_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_layer_params **out,
                                   weft_error *err) {
    char name[96];
    (*out) = h->n_layers ? wf_arena_alloc(&m->arena, (size_t)h->n_layers * sizeof *(*out)) : NULL;
    if (h->n_layers && !(*out))
        return wf_fail_memory(err);
    for (int i = 0; i < h->n_layers; i++) {
        const wf_head_layer_spec *l = &h->layers[i];
        (*out)[i] = (wf_head_layer_params){{NULL}, {NULL}};
        snprintf(name, sizeof name, "%s.layer.%d", prefix, i);
        if (l->dense)
            WF_TRY(wf_declare_linear(m, name, l->out, l->in, l->bias, (*out)[i].linear, err));
        snprintf(name, sizeof name, "%s.layer.%d.norm", prefix, i);
        WF_TRY(wf_declare_norm(m, &l->norm, name, l->out, &(*out)[i].norm[0], &(*out)[i].norm[1], err));
    }
    return WEFT_OK;
}

static weft_status declare_head(wf_model *m, int index, weft_error *err) {
    const wf_head_spec *h = &m->spec->heads[index];
    wf_head_params *p = &m->heads[index];
    char prefix[32], name[64], extra[64];
    snprintf(prefix, sizeof prefix, index ? "heads.%d" : "head", index - 1);
    if (h->query >= 0)
        return wf_query_declare(m, prefix, h, p, err);
    WF_TRY(wf_head_layers_declare(m, prefix, h, &p->layers, err));
    if (h->clusters.count)
        return wf_head_clusters_declare(m, prefix, h, p, err);
    if (h->shared) {
        WF_CHECK(h->classes == m->spec->heads[0].classes && h->width == m->spec->heads[0].width, err, WEFT_USAGE,
                 "head: a 'shared' product has the shape of that of 'head'");
        *p = m->heads[0];
        return WEFT_OK;
    }
    p->weight = h->tied ? m->token : NULL;
    snprintf(name, sizeof name, "%s.bias", prefix);
    snprintf(extra, sizeof extra, "%s.extra", prefix);
    if (h->extra)
        WF_TRY(wf_declare_linear(m, extra, h->classes, h->extra, false, &p->extra, err));
    if (h->classes && !h->tied)
        WF_TRY(wf_declare_linear(m, prefix, h->classes, h->width - h->extra, h->bias, &p->weight, err));
    else if (h->bias)
        WF_TRY(wf_declare(m, name, 1, &h->classes, WF_INIT_ZEROS, &p->bias, err));
    if (p->bias)
        p->bias->buffer = h->bias_fixed;
    return WEFT_OK;
}

weft_status wf_heads_declare(wf_model *m, weft_error *err) {
    for (int i = 0; i < m->spec->n_heads; i++)
        WF_TRY(declare_head(m, i, err));
    return WEFT_OK;
}

/* ---- recording ---- */
wf_tensor *wf_head_layers(wf_tape *t, const wf_head_spec *h, const wf_head_layer_params *p, wf_tensor *x, bool dropout) {
    wf_tensor *first = x;
    for (int i = 0; i < h->n_layers; i++) {
        const wf_head_layer_spec *l = &h->layers[i];
        x = dropout && !l->residual ? wf_dropout(t, x, l->dropout) : x;
        x = l->dense ? wf_linear(t, x, wf_use(t, p[i].linear[0]), wf_use(t, p[i].linear[1])) : x;
        if (l->residual)
            x = wf_add(t, dropout ? wf_dropout(t, x, l->dropout) : x, first);
        x = wf_apply_norm(t, &l->norm, wf_activate(t, x, l->activation), p[i].norm[0], p[i].norm[1]);
    }
    return x;
}

static wf_tensor *streams_of(const wf_model *m, wf_tape *t, const wf_head_spec *h, wf_tensor *all) {
    int64_t rows = all ? all->dims[1] / m->spec->stem.queries : 0;
    return wf_time_slice(t, all, h->stream * rows, h->streams * rows);
}

/* Of sequences that were filled up, too. */
static wf_tensor *rows_behind(wf_tape *t, const wf_head_spec *h, const wf_model_ports *ports) {
    if (h->separator < 0 || !ports->hidden)
        return NULL;
    if (!ports->ids)
        return wf_tape_error(t, WEFT_UNSUPPORTED, "a head with a separator needs the tokens");
    return wf_time_slice(t, wf_behind_token(t, ports->ids, h->separator, true), 0, ports->hidden->dims[1]);
}

wf_head_io wf_model_head_of(const wf_model *m, wf_tape *t, int index, const wf_model_ports *ports, bool dropout) {
    const wf_head_spec *h = &m->spec->heads[index];
    const wf_head_params *p = &m->heads[index];
    wf_tensor *from = h->streams ? streams_of(m, t, h, ports->streams) : ports->hidden;
    wf_tensor *x = from && h->pool->run && !h->late ? h->pool->run(t, from, ports->mask) : from;
    if (h->query >= 0)
        x = wf_query_logits(t, h, p, x, ports->ids, ports->mask, dropout);
    else
        x = wf_head_layers(t, h, p->layers, x, dropout);
    if (h->clusters.count)
        x = wf_head_clusters(t, h, p, dropout ? wf_dropout(t, x, h->dropout) : x);
    wf_tensor *weight = wf_use(t, p->weight);
    if (p->extra)
        weight = wf_join_channels(t, weight, wf_use(t, p->extra));
    return (wf_head_io){.x = dropout && !h->clusters.count ? wf_dropout(t, x, h->dropout) : x,
                        .weight = weight,
                        .bias = wf_use(t, p->bias),
                        .scale = h->scale,
                        .softcap = h->softcap,
                        .z_loss = h->z_loss,
                        .weighed = h->weight,
                        .smoothing = h->smoothing,
                        .streams = h->streams,
                        .classes = h->classes,
                        .late = h->late ? h->pool : NULL,
                        .problem = h->problem,
                        .mask = ports->mask,
                        .shown = rows_behind(t, h, ports)};
}

wf_model_ports wf_model_head_ports(const wf_model *m, int index, const wf_model_ports *ports) {
    int64_t of = m->spec->heads[index].of;
    wf_model_ports own = *ports;
    if (of >= 0 && ports->places) {
        own.hidden = ports->places[of].x;
        own.mask = ports->places[of].mask;
    }
    return own;
}

wf_head_io wf_model_head(const wf_model *m, wf_tape *t, int index, wf_tensor *hidden, wf_tensor *mask, bool dropout) {
    return wf_model_head_of(m, t, index, &(wf_model_ports){.hidden = hidden, .mask = mask}, dropout);
}

/* ---- the normal form ---- */
static wf_json *normal_layers(const wf_normal *of, const wf_head_spec *head) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int i = 0; i < head->n_layers; i++) {
        const wf_head_layer_spec *l = &head->layers[i];
        wf_normal w = wf_normal_begin(of);
        if (!l->dense)
            wf_normal_bool(&w, "dense", false);
        wf_normal_int(&w, "dim", l->out);
        wf_normal_bool(&w, "bias", l->bias);
        wf_normal_text(&w, "activation", wf_activation_names[l->activation]);
        wf_normal_put(&w, "norm", wf_norm_normal(of, &l->norm));
        wf_normal_float(&w, "dropout", l->dropout);
        if (l->residual)
            wf_normal_bool(&w, "residual", true);
        *of->failed |= !wf_json_push(list, w.object);
    }
    return list;
}

/* Left out where there are none. */
static void normal_places(wf_normal *w, const wf_head_spec *head) {
    if (head->query >= 0)
        wf_normal_int(w, "query", head->query);
    if (head->separator >= 0)
        wf_normal_int(w, "separator", head->separator);
    if (head->of >= 0)
        wf_normal_int(w, "of", head->of);
}

static wf_json *normal_streams(const wf_normal *of, const wf_head_spec *head) {
    wf_json *streams = wf_json_new(of->arena, WF_JSON_ARRAY);
    *of->failed |= !wf_json_push(streams, wf_json_new_int(of->arena, head->stream)) ||
                   !wf_json_push(streams, wf_json_new_int(of->arena, head->streams));
    return streams;
}

wf_json *wf_head_normal(const wf_normal *of, const wf_head_spec *head) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_text(&w, "kind", head->row->name);
    wf_normal_text(&w, "task", head->task);
    wf_normal_text(&w, "output", head->output);
    wf_normal_text(&w, "labels", head->labels);
    wf_normal_text(&w, "pool", head->pool->name);
    wf_normal_bool(&w, "late", head->late);
    wf_normal_put(&w, "layers", normal_layers(of, head));
    wf_normal_int(&w, "classes", head->classes);
    wf_normal_bool(&w, "tied", head->tied);
    wf_normal_int(&w, "extra", head->extra);
    wf_normal_bool(&w, "bias", head->bias);
    if (head->bias_fixed)
        wf_normal_bool(&w, "bias_fixed", true);
    wf_normal_bool(&w, "aligned", head->aligned);
    if (head->pool_token >= 0)
        wf_normal_int(&w, "pool_token", head->pool_token);
    if (head->pool_padding >= 0)
        wf_normal_int(&w, "pool_padding", head->pool_padding);
    if (head->pool_later > 0)
        wf_normal_int(&w, "pool_later", head->pool_later);
    wf_normal_float(&w, "scale", head->scale);
    if (head->clusters.count)
        wf_normal_put(&w, "clusters", wf_clusters_normal(of, &head->clusters, true));
    if (head->streams)
        wf_normal_put(&w, "streams", normal_streams(of, head));
    if (head->shared)
        wf_normal_bool(&w, "shared", true);
    wf_normal_float(&w, "weight", head->weight);
    wf_normal_float(&w, "smoothing", head->smoothing);
    wf_normal_float(&w, "softcap", head->softcap);
    wf_normal_float(&w, "z_loss", head->z_loss);
    wf_normal_float(&w, "dropout", head->dropout);
    normal_places(&w, head);
    wf_normal_text(&w, "problem", head->problem);
    if (head->names && head->names->count)
        wf_normal_put(&w, "names", wf_json_copy(of->arena, head->names));
    return w.object;
}
