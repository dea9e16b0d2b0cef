/* inspect_model.c - an architecture as a tree: shapes, parameters, states and cost by part. */
#include <stdio.h>
#include <string.h>
#include "families/load_adapter.h"
#include "jobs/inspect.h"
#include "jobs/put.h"
#include "jobs/tree.h"
#include "mixers/layer_cost.h"

typedef struct drawing {
    wf_job *job;
    const wf_model *model;
    wf_tree tree;
    int64_t context, rows; /* tokens; rows of the block being drawn */
    const wf_model *stack; /* what is being drawn: the model, or its encoder with `prefix` before the names of its parameters */
    const char *prefix;
    int depth;
    wf_json *json; /* of the stack */
    bool failed;   /* memory ran out */
} drawing;

void wf_format_bytes(double bytes, char out[16]) {
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 1000.0 && unit < 4; unit++)
        bytes /= 1000.0;
    snprintf(out, 16, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void dims_text(const wf_param *p, char out[128]) {
    int n = snprintf(out, 128, "[");
    for (int d = 0; d < p->rank && n < 100; d++)
        n += snprintf(out + n, 128 - (size_t)n, "%s%lld", d ? ", " : "", (long long)p->dims[d]);
    snprintf(out + n, 128 - (size_t)n, "]%s", p->buffer ? " (buffer)" : "");
}

/* Parameters whose name begins with `prefix` but not with one of the `except`s. */
enum { PARTS = 3 };
static bool belongs(const wf_param *p, const char *prefix, const char *const except[PARTS]) {
    if (!wf_starts_with(p->name, prefix))
        return false;
    for (int i = 0; except && i < PARTS; i++)
        if (wf_starts_with(p->name + strlen(prefix), except[i]))
            return false;
    return true;
}

static int64_t count_under(const wf_model *m, const char *prefix) {
    int64_t n = 0;
    for (size_t i = 0; i < m->params.count; i++)
        if (belongs(m->params.list[i], prefix, NULL) && !m->params.list[i]->buffer)
            n += m->params.list[i]->count;
    return n;
}

static void draw_weights(drawing *d, int depth, const char *prefix, const char *const except[PARTS]) {
    char dims[128];
    depth += d->depth;
    for (size_t i = 0; i < d->model->params.count; i++) {
        const wf_param *p = d->model->params.list[i];
        if (!belongs(p, prefix, except))
            continue;
        dims_text(p, dims);
        wf_tree_add(&d->tree, depth, "", "%s %s", p->name + strlen(prefix), dims);
    }
}

/* "49.2k parameters, 98.3k FLOPs/token, 1.0 KB state"; parts that are zero are left out. */
static void facts(int64_t params, double flops, size_t state, char out[96]) {
    char a[16], b[16], c[16];
    wf_format_count((double)params, a);
    wf_format_count(flops, b);
    wf_format_bytes((double)state, c);
    int n = snprintf(out, 96, "%s parameters", a);
    if (flops > 0)
        n += snprintf(out + n, 96 - (size_t)n, ", %s FLOPs/token", b);
    if (state > 0)
        snprintf(out + n, 96 - (size_t)n, ", %s state", c);
}

static void put_facts(const wf_job *job, wf_json *j, int64_t params, double flops, size_t state) {
    wf_put_int(job->arena, j, "parameters", params);
    wf_put_number(job->arena, j, "flops_per_token", flops);
    wf_put_int(job->arena, j, "state_bytes", (int64_t)state);
}

static double layer_flops(drawing *d, const wf_layer *layer) {
    double flops = layer ? wf_layer_flops(layer, d->rows) / (double)d->context : 0.0;
    d->failed = d->failed || isnan(flops);
    return flops;
}
/* An encoder is read at once, and so is a model whose blocks change the number of rows. */
static size_t layer_state(const drawing *d, const wf_layer *layer) {
    return layer && d->stack == d->model && !d->stack->spec->reshaped ? wf_layer_state_bytes(layer, d->context) : 0;
}

static void draw_layer(drawing *d, const wf_layer *layer, const char *side, int64_t block, wf_json *out) {
    char prefix[80], text[96];
    snprintf(prefix, sizeof prefix, "%sblock.%lld.%s.", d->prefix, (long long)block, side);
    int64_t params = count_under(d->model, prefix);
    facts(params, layer_flops(d, layer), layer_state(d, layer), text);
    wf_tree_add(&d->tree, d->depth + 2, text, "%s %s", side, layer->row->name);
    draw_weights(d, 3, prefix, NULL);
    wf_json *j = wf_put_object(d->job->arena, out, side);
    wf_put_text(d->job->arena, j, "mixer", layer->row->name);
    put_facts(d->job, j, params, layer_flops(d, layer), layer_state(d, layer));
}

static void draw_block(drawing *d, int64_t i, wf_json *blocks) {
    static const char *const layers[PARTS] = {"mixer.", "channel.", "cross."};
    const wf_block_spec *b = &d->stack->spec->blocks[i];
    wf_json *one = wf_json_push(blocks, wf_json_new(d->job->arena, WF_JSON_OBJECT));
    char prefix[80], text[96];
    snprintf(prefix, sizeof prefix, "%sblock.%lld.", d->prefix, (long long)i);
    int64_t params = count_under(d->model, prefix);
    d->rows = wf_spec_rows(d->stack->spec, i, d->context);
    double flops = layer_flops(d, b->mixer) + layer_flops(d, b->cross) + layer_flops(d, b->channel);
    size_t state = layer_state(d, b->mixer) + layer_state(d, b->cross) + layer_state(d, b->channel);
    facts(params, flops, state, text);
    wf_tree_add(&d->tree, d->depth + 1, text, "block %lld, %s", (long long)i, b->wiring->name);
    if (b->rows.n)
        wf_tree_add(&d->tree, d->depth + 2, "", "%lld rows of width %lld", (long long)d->rows, (long long)b->dim);
    draw_weights(d, 2, prefix, layers);
    wf_put_text(d->job->arena, one, "wiring", b->wiring->name);
    if (d->stack->spec->reshaped)
        wf_put_int(d->job->arena, one, "rows", d->rows);
    put_facts(d->job, one, params, flops, state);
    if (b->share >= 0)
        wf_put_int(d->job->arena, one, "shares", b->share);
    if (b->share >= 0)
        wf_tree_add(&d->tree, d->depth + 2, "", "with the weights of block %lld", (long long)b->share);
    draw_layer(d, b->mixer, "mixer", i, one);
    if (b->cross)
        draw_layer(d, b->cross, "cross", i, one);
    if (b->channel)
        draw_layer(d, b->channel, "channel", i, one);
}

/* Blocks that look like the one before are folded into it. */
static void draw_blocks(drawing *d) {
    wf_json *blocks = wf_put_list(d->job->arena, d->json, "blocks");
    size_t first = 0, lines = 0;
    int64_t begin = 0;
    for (int64_t i = 0; i < d->stack->spec->layers; i++) {
        size_t at = d->tree.count;
        draw_block(d, i, blocks);
        if (i > 0 && lines > 0 && d->tree.count - at == lines && wf_tree_same(&d->tree, first, at, lines) &&
            d->stack->spec->blocks[i].wiring == d->stack->spec->blocks[begin].wiring) {
            d->tree.count = at;
            const char *name = wf_arena_printf(d->tree.arena, "blocks %lld-%lld, each: %s", (long long)begin, (long long)i,
                                               d->stack->spec->blocks[i].wiring->name);
            d->tree.lines[first].left = name ? name : d->tree.lines[first].left;
            continue;
        }
        first = at;
        begin = i;
        lines = d->tree.count - at;
    }
}

/* The first head is `head`; what stands beside it is drawn after it. */
static void draw_head(drawing *d, int index) {
    const wf_head_spec *head = &d->model->spec->heads[index];
    double flops = 2.0 * (double)head->width * (double)head->classes;
    char text[96], prefix[32];
    snprintf(prefix, sizeof prefix, index ? "heads.%d." : "head.", index - 1);
    int64_t params = count_under(d->model, prefix);
    facts(params, flops, 0, text);
    wf_tree_add(&d->tree, 1, text, "head%s%s%s", head->row->generates ? "" : ": ", head->row->generates ? "" : head->row->name,
                head->tied ? ", tied to the token table" : "");
    draw_weights(d, 2, prefix, NULL);
    prefix[strlen(prefix) - 1] = 0;
    put_facts(d->job, wf_put_object(d->job->arena, d->job->json, prefix), params, flops, 0);
}

static void draw_stem(drawing *d) {
    char text[96], prefix[32];
    snprintf(prefix, sizeof prefix, "%sstem.", d->prefix);
    int64_t params = count_under(d->model, prefix);
    facts(params, 0, 0, text);
    wf_tree_add(&d->tree, d->depth + 1, text, "stem%s",
                d->stack->spec->stem.shared ? ", with the token table of the decoder" : "");
    draw_weights(d, 2, prefix, NULL);
    put_facts(d->job, wf_put_object(d->job->arena, d->json, "stem"), params, 0, 0);
}

/* Weights that stand alone: the norm, a dense layer after it. */
static void draw_part(drawing *d, const char *name) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s%s.", d->prefix, name);
    if (count_under(d->model, prefix))
        wf_tree_add(&d->tree, d->depth + 1, "", "%s", name);
    draw_weights(d, 2, prefix, NULL);
}

static void draw_stack(drawing *d) {
    draw_stem(d);
    draw_blocks(d);
    draw_part(d, "norm");
    draw_part(d, "project");
    draw_part(d, "bridge");
}

static void draw_encoder(drawing *d) {
    drawing inner = *d;
    char text[96];
    int64_t params = count_under(d->model, "encoder.");
    double flops = wf_model_flops(d->model->encoder, d->context) / (double)d->context;
    inner.stack = d->model->encoder;
    inner.prefix = "encoder.";
    inner.depth = 1;
    inner.json = wf_put_object(d->job->arena, d->job->json, "encoder");
    facts(params, flops, 0, text);
    wf_tree_add(&inner.tree, 1, text, "encoder");
    put_facts(d->job, inner.json, params, flops, 0);
    draw_stack(&inner);
    d->tree = inner.tree;
}

/* The terms beside the base, under the names of their file. */
static void draw_adapter(drawing *d) {
    const wf_params *params = &d->model->params;
    wf_job *job = d->job;
    char text[96], dims[64];
    int64_t trained = wf_params_trained(params);
    facts(trained, 0, 0, text);
    wf_tree_add(&d->tree, 1, text, "adapter");
    wf_json *j = wf_put_object(job->arena, job->json, "adapter"), *list = wf_put_list(job->arena, j, "tensors");
    wf_put_int(job->arena, j, "parameters", trained);
    for (size_t i = 0; i < wf_adapters_count(d->model); i++) {
        const wf_adapter_tensor *t = wf_adapters_at(d->model, i);
        int n = snprintf(dims, sizeof dims, "%lld", (long long)t->dims[0]);
        for (int k = 1; k < t->rank && n < 40; k++)
            n += snprintf(dims + n, sizeof dims - (size_t)n, ", %lld", (long long)t->dims[k]);
        wf_tree_add(&d->tree, 2, "", "%s [%s]", t->key, dims);
        wf_json_push(list, wf_json_new_string(job->arena, t->key, strlen(t->key)));
    }
}

static void summary(drawing *d, const char *family) {
    const wf_spec *spec = d->model->spec;
    wf_job *job = d->job;
    int64_t total = wf_params_total(&d->model->params);
    double flops = wf_model_flops(d->model, d->context) / (double)d->context;
    size_t state = wf_state_bytes_at(d->model, d->context);
    char text[96];
    facts(total, flops, state, text);
    wf_tree_add(&d->tree, 0, "", "%s: %s (at context %lld)", spec->name ? spec->name : "model", text, (long long)d->context);
    wf_put_text(job->arena, job->json, "name", spec->name ? spec->name : "");
    if (family)
        wf_put_text(job->arena, job->json, "family", family);
    put_facts(job, job->json, total, flops, state);
    wf_put_int(job->arena, job->json, "dim", spec->dim);
    wf_put_int(job->arena, job->json, "layers", spec->layers);
    wf_put_int(job->arena, job->json, "vocab", spec->vocab);
    wf_put_int(job->arena, job->json, "context", d->context);
}

weft_status wf_inspect_model(wf_job *job, const wf_model *model, const char *family, int64_t context) {
    const wf_spec *spec = model->spec;
    drawing d = {.job = job,
                 .model = model,
                 .tree = wf_tree_new(job->arena),
                 .context = context,
                 .stack = model,
                 .prefix = "",
                 .json = job->json};
    summary(&d, family);
    if (model->encoder)
        draw_encoder(&d);
    draw_stack(&d);
    for (int i = 0; i < spec->n_heads; i++)
        draw_head(&d, i);
    if (model->adapters)
        draw_adapter(&d);
    wf_tree_print(&d.tree, &job->text);
    wf_str_printf(&job->text, "%lld parameters, width %lld, %lld blocks, vocabulary %lld, context %lld%s%s\n",
                  (long long)wf_params_total(&model->params), (long long)spec->dim, (long long)spec->layers,
                  (long long)spec->vocab, (long long)context, family ? ", family " : "", family ? family : "");
    wf_json_put(job->arena, job->json, "spec", wf_json_copy(job->arena, spec->json));
    bool failed = d.failed || isnan(wf_json_double(job->json, "flops_per_token", NAN));
    return failed ? wf_fail_memory(job->err) : WEFT_OK;
}
