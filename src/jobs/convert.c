/* convert.c - the job `convert`: a model folder written anew with another number type, other files, other names, or an adapter
 * merged into it. Everything else is copied; numbers that need no change keep their bits. */
#include "jobs/convert.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/reader.h"
#include "jobs/opened.h"
#include "jobs/put.h"
#include "jobs/store.h"

/* "2GB", "500MB", "1GiB" or plain bytes, as the reference reads sizes; 0: malformed. */
static double parse_bytes(const char *text) {
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},      {"B", 1},        {"KB", 1e3},        {"MB", 1e6},          {"GB", 1e9},
                 {"TB", 1e12}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (wf_streq(end, units[i].unit) && value * units[i].bytes >= 1.0 && value * units[i].bytes < 1e18)
            return value * units[i].bytes;
    return 0.0;
}

static void read_type(wf_options *o, wf_conversion *c) {
    const char *name = wf_option_text(o, "dtype", NULL);
    c->type = -1;
    for (int i = 0; name && i <= WF_F16; i++)
        if (wf_streq(wf_dtypes[i].name, name))
            c->type = i;
    if (name && c->type < 0)
        wf_option_fail(o, wf_json_get(o->object, "dtype"), "'dtype' must be fp32, fp16 or bf16, not '%s'", name);
}

static void read_prefix(wf_options *o, wf_conversion *c) {
    static const char *const words[] = {[WF_PREFIX_KEEP] = "keep", [WF_PREFIX_ADD] = "add", [WF_PREFIX_STRIP] = "strip"};
    const char *word = wf_option_text(o, "prefix", "keep");
    for (int i = 0; i < 3; i++)
        if (wf_streq(words[i], word)) {
            c->prefix = (wf_prefix_change)i;
            return;
        }
    wf_option_fail(o, wf_json_get(o->object, "prefix"), "'prefix' must be keep, add or strip, not '%s'", word);
}

static weft_status read_options(wf_job *job, wf_conversion *c) {
    static const char *const words[] = {"model", "out", "dtype", "shard_size", "adapter", "merge", "prefix", NULL};
    wf_options o = wf_options_open(job->options, "convert", words, job->err);
    const wf_json *size = wf_json_get(job->options, "shard_size");
    bool number = size && size->kind == WF_JSON_NUMBER;
    c->from = wf_job_model(job, &o, "model");
    c->to = wf_option_text(&o, "out", NULL);
    c->adapter = wf_option_text(&o, "adapter", NULL);
    bool merge = wf_option_bool(&o, "merge", false);
    read_type(&o, c);
    read_prefix(&o, c);
    double bytes = parse_bytes(number ? size->string : wf_option_text(&o, "shard_size", "5GB"));
    if (o.status == WEFT_OK && bytes < 1.0)
        wf_option_fail(&o, size, "'shard_size' must be a size such as 2GB or 500MB");
    WF_TRY(o.status);
    c->shard_bytes = (uint64_t)bytes;
    c->limited = size != NULL;
    WF_CHECK(c->from && c->to, job->err, WEFT_USAGE, "convert: which model, and where to?");
    WF_CHECK(!c->adapter || merge, job->err, WEFT_USAGE, "convert: an adapter is merged or left out; 'merge' says that it is");
    WF_CHECK(c->adapter || !merge, job->err, WEFT_USAGE, "convert: nothing to merge, 'adapter' names no folder");
    return WEFT_OK;
}

/* ---- the new folder is new ---- */
static bool same_place(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static weft_status claim(const wf_conversion *c) {
    char **names;
    size_t count;
    weft_error *err = c->job->err;
    WF_CHECK(!same_place(c->from, c->to), err, WEFT_USAGE, "convert: %s is the model itself, which is never overwritten",
             c->to);
    WF_CHECK(!c->adapter || !same_place(c->adapter, c->to), err, WEFT_USAGE,
             "convert: %s is the adapter itself, which is never overwritten", c->to);
    if (!wf_is_dir(c->to))
        return WEFT_OK;
    WF_TRY(wf_list_dir(c->job->arena, c->to, &names, &count, err));
    WF_CHECK(count == 0, err, WEFT_USAGE, "convert: %s is not empty; choose another folder", c->to);
    return WEFT_OK;
}

/* ---- what is needed of the source ---- */
static weft_status open_model(wf_conversion *c) {
    wf_load_options how = {.map = true, .unmerged = true, .adapter = c->adapter};
    if (!c->adapter && c->prefix == WF_PREFIX_KEEP)
        return WEFT_OK;
    WF_TRY(wf_checkpoint_open(c->job->env, c->from, &how, &c->checkpoint, c->job->err));
    c->known = true;
    WF_TRY(wf_adapters_merge(c->checkpoint.model, false, c->job->err));
    WF_CHECK(!wf_adapters_part(c->checkpoint.model), c->job->err, WEFT_UNSUPPORTED,
             "convert: the adapter holds one use of a tensor that the model uses twice, which its files cannot say");
    return WEFT_OK;
}

/* A file, or a folder without a config: the model that it is, in the form of a family that can say it. */
static bool has_config(const wf_conversion *c) {
    const char *path = wf_path_join(c->job->arena, c->from, "config.json");
    return wf_is_dir(c->from) && path && wf_is_file(path);
}

static weft_status save_model(wf_conversion *c) {
    wf_load_options how = {.map = true, .adapter = c->adapter};
    const wf_json *config;
    WF_CHECK(c->prefix == WF_PREFIX_KEEP, c->job->err, WEFT_UNSUPPORTED, "convert: 'prefix' is for folders with a config.json");
    WF_TRY(wf_checkpoint_open(c->job->env, c->from, &how, &c->checkpoint, c->job->err));
    c->known = true;
    config = c->checkpoint.config;
    wf_save_options save = {.type = c->type < 0 ? WF_F32 : (wf_dtype)c->type,
                            .bos = wf_json_int(config, "bos_token_id", -1),
                            .eos = wf_json_int(config, "eos_token_id", -1),
                            .pad = wf_json_int(config, "pad_token_id", -1)};
    const wf_params *params = &c->checkpoint.model->params;
    c->tensors = params->count;
    c->files = 1;
    for (size_t i = 0; i < params->count; i++)
        c->bytes += (uint64_t)params->list[i]->count * wf_dtypes[save.type].size;
    WF_CHECK(c->bytes <= c->shard_bytes || !c->limited, c->job->err, WEFT_UNSUPPORTED,
             "convert: 'shard_size' is for folders with a config.json");
    return wf_model_save(c->checkpoint.model, c->to, &save, c->job->err);
}

/* A file's tokenizer stands beside it, in a form of its own maybe. */
static weft_status save_tokenizer(const wf_conversion *c) {
    wf_job *job = c->job;
    wf_tokenizer *tok = NULL;
    weft_error why = {0};
    weft_status status = wf_opened_tokenizer(job->env, c->from, c->checkpoint.model->spec->vocab, job->arena, &tok, &why);
    if (status != WEFT_OK || c->checkpoint.model->encoder)
        wf_log(job->env, WF_WARN, "%s has no tokenizer yet: %s", c->to,
               status ? why.message : "that of a model in one file that reads a source stays where it is");
    else
        status = wf_store_tokenizer(job, &(wf_stored){tok, NULL}, c->to);
    wf_tokenizer_free(tok);
    return tok ? status : WEFT_OK;
}

static weft_status convert(wf_conversion *c) {
    WF_TRY(claim(c));
    if (!has_config(c)) {
        WF_TRY(save_model(c));
        return wf_is_dir(c->from) ? wf_convert_files(c) : save_tokenizer(c);
    }
    WF_TRY(open_model(c));
    WF_TRY(wf_shards_open(&c->job->env->mem, c->from, &c->shards, c->job->err));
    WF_TRY(wf_make_dir(c->to, c->job->err));
    WF_TRY(wf_convert_tensors(c));
    return wf_convert_files(c);
}

static void tell(wf_conversion *c) {
    wf_job *job = c->job;
    wf_put_text(job->arena, job->json, "model", c->from);
    wf_put_text(job->arena, job->json, "out", c->to);
    wf_put_text(job->arena, job->json, "dtype", c->type < 0 ? NULL : wf_dtypes[c->type].name);
    wf_put_text(job->arena, job->json, "adapter", c->adapter);
    wf_put_int(job->arena, job->json, "tensors", (int64_t)c->tensors);
    wf_put_int(job->arena, job->json, "merged", (int64_t)c->changed);
    wf_put_int(job->arena, job->json, "files", (int64_t)c->files);
    wf_put_int(job->arena, job->json, "bytes", (int64_t)c->bytes);
    wf_str_printf(&job->text, "%zu tensors, %llu bytes in %zu file%s%s%s\n", c->tensors, (unsigned long long)c->bytes, c->files,
                  c->files == 1 ? "" : "s", c->type < 0 ? "" : ", ", c->type < 0 ? "" : wf_dtypes[c->type].name);
    if (c->adapter)
        wf_str_printf(&job->text, "%zu tensors are merged with %s\n", c->changed, c->adapter);
    wf_str_printf(&job->text, "model in %s\n", c->to);
}

weft_status wf_job_convert(wf_job *job) {
    wf_conversion c = {.job = job};
    WF_TRY(read_options(job, &c));
    const bool there = wf_is_dir(c.to);
    weft_status status = convert(&c);
    if (status == WEFT_OK)
        tell(&c);
    else if (!there)
        rmdir(c.to); /* where nothing could be written nothing stays; what was written does */
    wf_shards_free(c.shards);
    if (c.known)
        wf_checkpoint_close(&c.checkpoint);
    return status;
}
