#include "presets/presets.h"
#include <math.h>
#include <string.h>
#include "base/embed.h"

const char *wf_preset_name(size_t i) { return wf_embedded_presets.list[i].name; }

static const wf_embedded *find(const char *name) {
    for (const wf_embedded *e = wf_embedded_presets.list; e->name; e++)
        if (wf_streq(e->name, name))
            return e;
    return NULL;
}

bool wf_preset_exists(const char *name) { return find(name) != NULL; }

static weft_status parse_preset(wf_arena *arena, const char *texts, const wf_embedded *e, wf_json **out, weft_error *err) {
    weft_status status = wf_json_parse(arena, texts + e->at, e->size, 0, out, err);
    return status ? wf_fail_in(err, "preset %s", e->name) : WEFT_OK;
}

static weft_status read_preset(wf_arena *arena, const wf_embedded *e, wf_json **out, weft_error *err) {
    const char *texts;
    WF_TRY(wf_embedded_open(arena, &wf_embedded_presets, &texts, err));
    return parse_preset(arena, texts, e, out, err);
}

weft_status wf_preset_about(wf_arena *arena, const char *name, const char **about, weft_error *err) {
    wf_json *j;
    const wf_embedded *e = find(name);
    WF_CHECK(e, err, WEFT_USAGE, "no preset '%s'", name);
    WF_TRY(read_preset(arena, e, &j, err));
    *about = wf_json_text(j, "about", "");
    return WEFT_OK;
}

/* ---- patterns ---- */
static bool has_key(const wf_mixer *row, const char *name) {
    for (const wf_key *key = row->keys; key->name; key++)
        if (wf_streq(key->name, name))
            return true;
    return false;
}

static wf_json *text(wf_arena *arena, const char *s) { return wf_json_new_string(arena, s, strlen(s)); }

weft_status wf_preset_mixer(wf_arena *arena, const wf_mixer *row, wf_json **out, weft_error *err) {
    wf_json *mixer = wf_json_new(arena, WF_JSON_OBJECT), *options = wf_json_new(arena, WF_JSON_OBJECT);
    if (row->example)
        WF_TRY(wf_json_parse(arena, row->example, strlen(row->example), 0, &options, err));
    if (!row->example && has_key(row, "heads"))
        wf_json_put(arena, options, "heads", text(arena, "=dim // 32"));
    if (!row->example && has_key(row, "causal"))
        wf_json_put(arena, options, "causal", wf_json_new_bool(arena, true));
    wf_json_put(arena, mixer, "mixer", text(arena, row->name));
    *out = mixer;
    return wf_json_put(arena, mixer, "spec", options) ? WEFT_OK : wf_fail_memory(err);
}

/* A block for a mixer that no preset shows: the options of its example, its companion beside it. */
static weft_status plain_block(wf_arena *arena, const wf_mixer *row, wf_json **out, weft_error *err) {
    wf_json *block = wf_json_new(arena, WF_JSON_OBJECT), *mixer;
    WF_TRY(wf_preset_mixer(arena, row, &mixer, err));
    wf_json_put(arena, block, "mixer", mixer);
    if (row->companion) {
        wf_json *channel = wf_json_put(arena, block, "channel", wf_json_new(arena, WF_JSON_OBJECT));
        wf_json_put(arena, channel, "mixer", text(arena, row->companion));
        wf_json_put(arena, channel, "hidden", text(arena, "=hidden"));
    }
    *out = block;
    return WEFT_OK;
}

/* The preset that shows mixer `word` best: the one that says so, else the one of that name, else the first that uses it. */
static weft_status preset_of(wf_arena *arena, const char *word, wf_json **out, weft_error *err) {
    wf_json *first = NULL, *named = NULL;
    const char *texts;
    *out = NULL;
    WF_TRY(wf_embedded_open(arena, &wf_embedded_presets, &texts, err));
    for (const wf_embedded *e = wf_embedded_presets.list; e->name; e++) {
        wf_json *j;
        WF_TRY(parse_preset(arena, texts, e, &j, err));
        if (wf_streq(wf_json_text(j, "block_of", NULL), word))
            *out = j;
        if (wf_streq(e->name, word))
            named = j;
        const wf_json *mixer = wf_json_path(j, "spec.block.mixer");
        if (!first && mixer && wf_streq(wf_json_text(mixer, "mixer", NULL), word))
            first = j;
    }
    *out = *out ? *out : named ? named : first;
    return WEFT_OK;
}

static const char *nth_name(const void *user, size_t i) { /* presets, then mixers */
    size_t presets = 0, mixers = 0;
    (void)user;
    while (wf_embedded_presets.list[presets].name)
        presets++;
    while (wf_mixers[mixers])
        mixers++;
    if (i >= presets)
        return i - presets < mixers ? wf_mixers[i - presets]->name : NULL;
    return wf_embedded_presets.list[i].name;
}

static weft_status unknown_word(const char *word, weft_error *err) {
    const char *near = wf_nearest(word, nth_name, NULL);
    if (near)
        return wf_fail(err, WEFT_USAGE, "unknown model, preset or mixer '%s', did you mean '%s'?", word, near);
    return wf_fail(err, WEFT_USAGE, "unknown model, preset or mixer '%s' (see: weft list presets, weft list mixers)", word);
}

static weft_status block_of_word(wf_arena *arena, const char *word, wf_json **block, wf_json **preset, weft_error *err) {
    const wf_mixer *row = wf_mixer_find(word);
    WF_TRY(preset_of(arena, word, preset, err));
    if (*preset && wf_json_path(*preset, "spec.block.mixer"))
        *block = wf_json_copy(arena, wf_json_path(*preset, "spec.block"));
    else if (row)
        WF_TRY(plain_block(arena, row, block, err));
    else
        return unknown_word(word, err);
    return *block ? WEFT_OK : wf_fail_memory(err);
}

enum { MAX_TERMS = 64, MAX_REPEAT = 64 };

/* One term `word` or `word*n` of a pattern. */
static weft_status read_term(const char **at, char word[64], int64_t *times, weft_error *err) {
    size_t n = strcspn(*at, "*+");
    *times = 1;
    WF_CHECK(n > 0 && n < 64, err, WEFT_USAGE, "a pattern is mixer*count+mixer*count.., not '%s'", *at);
    memcpy(word, *at, n);
    word[n] = 0;
    *at += n;
    if (**at == '*') {
        size_t digits = strcspn(++*at, "*+");
        WF_CHECK(wf_parse_i64(*at, digits, times) && *times >= 1 && *times <= MAX_REPEAT, err, WEFT_USAGE,
                 "'%.*s' is not a number of layers from 1 to %d", (int)digits, *at, MAX_REPEAT);
        *at += digits;
    }
    WF_CHECK(**at == 0 || (**at == '+' && (*at)[1]), err, WEFT_USAGE, "a pattern is mixer*count+mixer*count.., not '..%s'",
             *at);
    *at += **at == '+';
    return WEFT_OK;
}

static weft_status pattern_template(wf_arena *arena, const char *pattern, wf_json **out, weft_error *err) {
    wf_json *whole = NULL, *blocks = wf_json_new(arena, WF_JSON_ARRAY);
    char word[64];
    int64_t times;
    WF_CHECK(pattern[0], err, WEFT_USAGE, "a model needs a name (see: weft list presets)");
    for (const char *at = pattern; *at;) {
        wf_json *block, *preset;
        WF_TRY(read_term(&at, word, &times, err));
        WF_TRY(block_of_word(arena, word, &block, &preset, err));
        WF_CHECK((int64_t)blocks->count + times <= MAX_TERMS, err, WEFT_USAGE, "a pattern has at most %d blocks", MAX_TERMS);
        for (int64_t i = 0; i < times; i++)
            wf_json_push(blocks, i ? wf_json_copy(arena, block) : block);
        whole = whole ? whole : preset;
    }
    if (!whole)
        WF_TRY(preset_of(arena, "llama", &whole, err));
    whole = wf_json_copy(arena, whole);
    wf_json *spec = NULL;
    for (wf_json *j = whole ? whole->child : NULL; j; j = j->next)
        spec = wf_streq(j->key, "spec") ? j : spec;
    if (!spec)
        return wf_fail_memory(err);
    wf_json_put(arena, spec, "name", text(arena, pattern));
    wf_json_put(arena, spec, "block", wf_json_new(arena, WF_JSON_OBJECT));
    wf_json_put(arena, spec, "blocks", blocks);
    *out = whole;
    return WEFT_OK;
}

weft_status wf_preset_template(wf_arena *arena, const char *name, wf_json **out, weft_error *err) {
    const wf_embedded *e = find(name);
    if (e)
        return read_preset(arena, e, out, err);
    return pattern_template(arena, name, out, err);
}

/* ---- filling in ---- */
static bool lookup(const void *user, const char *name, size_t length, wf_value *out) {
    const wf_sizes *s = user;
    const struct {
        const char *name;
        int64_t value;
    } known[] = {{"dim", s->dim}, {"layers", s->layers}, {"hidden", s->hidden}, {"vocab", s->vocab}, {"context", s->context}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0) {
            *out = wf_value_int(known[i].value);
            return true;
        }
    return false;
}

static weft_status fill_tree(wf_arena *arena, wf_json *j, const wf_sizes *sizes, int depth, weft_error *err) {
    wf_scope scope = {lookup, NULL, sizes};
    WF_CHECK(depth < 32, err, WEFT_USAGE, "a spec nested too deeply");
    for (wf_json *c = j->child; c; c = c->next) {
        WF_TRY(fill_tree(arena, c, sizes, depth + 1, err));
        if (c->kind != WF_JSON_STRING || c->string[0] != '=')
            continue;
        wf_value v;
        WF_TRY(wf_expr_eval(c->string + 1, &scope, arena, &v, err));
        wf_json *value = wf_value_to_json(arena, &v);
        if (!value)
            return wf_fail_memory(err);
        value->key = c->key;
        value->next = c->next;
        *c = *value;
    }
    return WEFT_OK;
}

weft_status wf_preset_fill(wf_arena *arena, const wf_json *template_, const wf_sizes *sizes, wf_json **spec, weft_error *err) {
    const wf_json *from = wf_json_get(template_, "spec");
    *spec = wf_json_copy(arena, from ? from : template_);
    return *spec ? fill_tree(arena, *spec, sizes, 0, err) : wf_fail_memory(err);
}

weft_status wf_spec_params(const wf_env *env, const wf_json *spec, int64_t *out, weft_error *err) {
    wf_model *model;
    WF_TRY(wf_model_create(env, spec, &model, err));
    *out = wf_params_total(&model->params);
    wf_model_free(model);
    return WEFT_OK;
}

/* ---- solving ---- */
typedef struct solver {
    const wf_env *env;
    const wf_json *template_;
    int64_t target;
    double hidden_per_dim;
    wf_sizes sizes;
    weft_error *err;
} solver;

static weft_status params_of(solver *s, int64_t *out) {
    wf_arena arena;
    wf_json *spec;
    wf_arena_init(&arena, &s->env->mem, 0);
    weft_status status = wf_preset_fill(&arena, s->template_, &s->sizes, &spec, s->err);
    if (status == WEFT_OK)
        status = wf_spec_params(s->env, spec, out, s->err);
    wf_arena_free(&arena);
    return status;
}

static int64_t usual_hidden(const solver *s) {
    int64_t h = (int64_t)llround(s->hidden_per_dim * (double)s->sizes.dim / 16.0) * 16;
    return h < 16 ? 16 : h;
}

/* With the width fixed, parameters are linear in `hidden`: two evaluations give it. */
static weft_status fit_hidden(solver *s, int64_t *params) {
    int64_t base, more, h = usual_hidden(s);
    s->sizes.hidden = h;
    WF_TRY(params_of(s, &base));
    s->sizes.hidden = h + 64;
    WF_TRY(params_of(s, &more));
    double slope = (double)(more - base) / 64.0;
    s->sizes.hidden = h;
    *params = base;
    if (slope <= 0.0)
        return WEFT_OK;
    int64_t best = (int64_t)llround(((double)(s->target - base) / slope + (double)h) / 4.0) * 4;
    s->sizes.hidden = best < 4 ? 4 : best;
    return params_of(s, params);
}

/* The widths in steps of a head; the one whose fitted `hidden` is nearest to its usual share wins. */
static weft_status fit_width(solver *s, int64_t step, wf_sizes *best, double *miss) {
    double nearest = INFINITY;
    *miss = INFINITY;
    for (s->sizes.dim = step; s->sizes.dim <= 16384; s->sizes.dim += step) {
        int64_t params;
        WF_TRY(wf_stopped(s->env));
        WF_TRY(fit_hidden(s, &params));
        double off = fabs((double)(params - s->target)) / (double)s->target;
        double shape = fabs(log((double)s->sizes.hidden / (double)usual_hidden(s)));
        if ((off <= 0.01 && (*miss > 0.01 || shape < nearest)) || (*miss > 0.01 && off < *miss)) {
            nearest = shape;
            *miss = off;
            *best = s->sizes;
        }
        if ((double)params > 1.5 * (double)s->target)
            break;
    }
    return WEFT_OK;
}

static int64_t usual_layers(int64_t params) {
    int64_t layers = (int64_t)llround(cbrt((double)params / (12.0 * 1024.0)));
    return layers < 2 ? 2 : layers > 48 ? 48 : layers;
}

weft_status wf_preset_solve(const wf_env *env, wf_arena *arena, const wf_json *template_, const wf_sizing *sizing,
                            wf_json **spec, weft_error *err) {
    wf_sizes best = {0};
    double miss = 0.0;
    const wf_json *blocks = wf_json_path(template_, "spec.blocks");
    solver s = {.env = env,
                .template_ = template_,
                .target = sizing->params,
                .hidden_per_dim = wf_json_double(template_, "hidden_per_dim", 2.75),
                .err = err};
    WF_CHECK(sizing->params >= 1000 && sizing->params <= 100000000000, err, WEFT_USAGE,
             "a model of %lld parameters cannot be fitted", (long long)sizing->params);
    s.sizes = (wf_sizes){.vocab = sizing->vocab,
                         .context = sizing->context,
                         .layers = usual_layers(sizing->params) * wf_json_int(template_, "layers_times", 1)};
    if (blocks && (int64_t)blocks->count > s.sizes.layers)
        s.sizes.layers = (int64_t)blocks->count; /* at least one whole cycle */
    WF_TRY(fit_width(&s, wf_json_int(template_, "head_width", 32), &best, &miss));
    WF_CHECK(miss <= 0.02, err, WEFT_USAGE,
             "no width gives %lld parameters within 2 %% (nearest is off by %.1f %%); the vocabulary alone may be too large",
             (long long)sizing->params, 100.0 * miss);
    return wf_preset_fill(arena, template_, &best, spec, err);
}
