/* inspect.c - an architecture as a tree: shapes, parameters, memory and cost by part. */
#include <stdio.h>
#include <string.h>
#include "jobs/job.h"
#include "jobs/subject.h"
#include "mixers/layer_cost.h"

static int64_t under(const wf_model *m, const char *prefix, wf_job *job, bool print, int indent) {
    int64_t n = 0;
    for (size_t i = 0; i < m->params.count; i++) {
        const wf_param *p = m->params.list[i];
        if (!wf_starts_with(p->name, prefix))
            continue;
        n += p->count;
        if (!print)
            continue;
        wf_str_printf(&job->text, "%*s%-*s [", indent, "", 40 - indent, p->name + strlen(prefix));
        for (int d = 0; d < p->rank; d++)
            wf_str_printf(&job->text, "%s%lld", d ? ", " : "", (long long)p->dims[d]);
        wf_str_printf(&job->text, "]%s\n", p->buffer ? " (buffer)" : "");
    }
    return n;
}

static void describe_layer(wf_job *job, const wf_model *m, const wf_layer *layer, const char *side, int64_t block, int64_t context, wf_json *out) {
    char prefix[64], count[16], flops[16];
    snprintf(prefix, sizeof prefix, "block.%lld.%s.", (long long)block, side);
    int64_t params = under(m, prefix, job, false, 0);
    double cost = wf_layer_flops(layer, context) / (double)context;
    wf_format_count((double)params, count);
    wf_format_count(cost, flops);
    wf_str_printf(&job->text, "    %s %s: %s parameters, %s FLOPs per token at %lld", side, layer->row->name, count, flops, (long long)context);
    size_t state = wf_layer_state_bytes(layer, context);
    if (state)
        wf_str_printf(&job->text, ", state %zu bytes", state);
    wf_str_puts(&job->text, "\n");
    under(m, prefix, job, true, 6);
    wf_json *j = wf_json_put(job->arena, out, side, wf_json_new(job->arena, WF_JSON_OBJECT));
    wf_json_put(job->arena, j, "mixer", wf_json_new_string(job->arena, layer->row->name, strlen(layer->row->name)));
    wf_json_put(job->arena, j, "parameters", wf_json_new_int(job->arena, params));
    wf_json_put(job->arena, j, "flops_per_token", wf_json_new_double(job->arena, cost));
    wf_json_put(job->arena, j, "state_bytes", wf_json_new_int(job->arena, (int64_t)state));
}

static void describe_blocks(wf_job *job, const wf_model *m, int64_t context) {
    wf_json *blocks = wf_json_put(job->arena, job->json, "blocks", wf_json_new(job->arena, WF_JSON_ARRAY));
    for (int64_t i = 0; i < m->spec->layers; i++) {
        const wf_block_spec *b = &m->spec->blocks[i];
        wf_json *one = wf_json_push(blocks, wf_json_new(job->arena, WF_JSON_OBJECT));
        wf_str_printf(&job->text, "  block %lld (%s)\n", (long long)i, b->wiring->name);
        wf_json_put(job->arena, one, "wiring", wf_json_new_string(job->arena, b->wiring->name, strlen(b->wiring->name)));
        describe_layer(job, m, b->mixer, "mixer", i, context, one);
        if (b->channel)
            describe_layer(job, m, b->channel, "channel", i, context, one);
    }
}

static void describe(wf_job *job, const wf_model *m, int64_t context) {
    int64_t total = wf_params_total(&m->params);
    char count[16], flops[16];
    wf_format_count((double)total, count);
    wf_format_count(wf_model_flops(m, context) / (double)context, flops);
    wf_str_printf(&job->text, "%s: %s parameters (%lld), width %lld, %lld blocks, vocabulary %lld\n", m->spec->name, count, (long long)total,
                  (long long)m->spec->dim, (long long)m->spec->layers, (long long)m->spec->vocab);
    wf_str_puts(&job->text, "  stem\n");
    under(m, "stem.", job, true, 4);
    describe_blocks(job, m, context);
    wf_str_puts(&job->text, "  head\n");
    under(m, "norm.", job, true, 4);
    under(m, "head.", job, true, 4);
    if (m->spec->head.tied)
        wf_str_puts(&job->text, "    tied to the token table\n");
    wf_str_printf(&job->text, "%s FLOPs per token forward at context %lld, %zu bytes of state per sequence\n", flops, (long long)context,
                  wf_state_bytes_at(m, context));
    wf_json_put(job->arena, job->json, "parameters", wf_json_new_int(job->arena, total));
    wf_json_put(job->arena, job->json, "context", wf_json_new_int(job->arena, context));
    wf_json_put(job->arena, job->json, "flops_per_token", wf_json_new_double(job->arena, wf_model_flops(m, context) / (double)context));
    wf_json_put(job->arena, job->json, "state_bytes", wf_json_new_int(job->arena, (int64_t)wf_state_bytes_at(m, context)));
    wf_json_put(job->arena, job->json, "spec", wf_json_copy(job->arena, m->spec->json));
}

weft_status wf_job_inspect(wf_job *job) {
    static const char *const words[] = {"model", "spec", "params", "vocab", "context", NULL};
    wf_options o = wf_options_open(job->options, "inspect", words, job->err);
    wf_sizing sizing = {(int64_t)wf_job_count(&o, "params", 1e6), wf_option_int(&o, "vocab", 256, 1, WF_MAX_VOCAB),
                        wf_option_int(&o, "context", 256, 1, INT32_MAX)};
    const char *name = wf_option_text(&o, "model", NULL), *file = wf_option_text(&o, "spec", NULL);
    wf_json *template_, *spec;
    wf_model *model;
    WF_TRY(o.status);
    WF_TRY(wf_subject_template(job, name, file, &template_, job->err));
    WF_TRY(wf_subject_spec(job, template_, &sizing, &spec, job->err));
    WF_TRY(wf_model_create(job->env, spec, &model, job->err));
    describe(job, model, model->spec->context ? model->spec->context : sizing.context);
    wf_model_free(model);
    return WEFT_OK;
}
