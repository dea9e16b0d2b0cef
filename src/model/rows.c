/* rows.c - steps that change how many rows the stream has, and how wide they are: before a block, or behind the last one. What
 * a step does is a row of a table here; masks, kinds and places of the rows follow. Pooling and spreading as in
 * Funnel-Transformer (Dai et al. 2020, arXiv 2006.03236), strided convolutions as in CANINE (Clark et al. 2021, arXiv
 * 2103.06874), learned rows as in Perceiver (Jaegle et al. 2021, arXiv 2103.03206). */
#include <stdio.h>
#include <string.h>
#include "model/parts.h"

const wf_spec_key wf_rows_keys[] = {
    {"kind", "string", NULL, "`pool`, `conv`, `spread`, `add`, `join`, `learned` or `leave`, see below"},
    {"stride", "integer", "2", "of `pool`, `conv`, `spread`: rows that become one, or that one becomes"},
    {"apart", "boolean", "false", "of the same: the first row stays as it is, the others are counted from the second one"},
    {"drop", "integer", "0", "of `pool`: the last so many rows are in no window; of `conv`: so many windows are left out"},
    {"mask", "string", "any", "of `pool` and `conv`: a row counts when `any` or `all` of its window do; see below"},
    {"mode", "string", "mean", "of `pool`: `mean` or `max`"},
    {"least", "integer", "0", "of `pool`: sequences of at most so many rows stay as they are"},
    {"kernel", "integer", "`stride`", "of `conv`: rows that a window has"},
    {"same", "boolean", "false",
     "of `conv`: as many rows as before: a window around each, zeros beyond the ends, (kernel - 1) // 2 of them before"},
    {"dim", "integer", "the width so far", "of `conv` and `learned`: the width from here on"},
    {"bias", "boolean", "true", "of `conv`: a learned bias"},
    {"activation", "string", "identity", "of `conv`: of the result"},
    {"norm", "norm", "none", "of `conv`: after it, of the first row too where it is `apart`"},
    {"dropout", "number", "0", "of `conv`: after that norm"},
    {"of", "integer", "needed", "of `spread`, `add`, `join`: an earlier block, from 0"},
    {"skip", "boolean", "false", "of `spread`, without `apart`: the first row is left out"},
    {"last", "boolean", "false", "of `spread`: beyond the rows there are stands the last one, instead of zeros"},
    {"count", "integer", "needed", "of `learned`, `leave`: rows"},
    {"before", "boolean", "false", "of `learned`: they stand before the rows of the stream, never masked (global rows: ETC)"},
    {NULL, NULL, NULL, NULL}};

enum { MOST_STEPS = 16 };

static const char *const modes[] = {"mean", "max", NULL};
static const char *const mask_words[] = {"any", "all", NULL};

typedef struct rows_run { /* one step being recorded */
    wf_tape *tape;
    const wf_rows_step *step;
    const wf_rows_params *params;
    const wf_place *of; /* what the block `of` gives; NULL without */
    int64_t batch;
} rows_run;

struct wf_rows_kind {
    const char *name, *about, *options;
    int64_t (*count)(const wf_rows_step *s, int64_t rows, int64_t of); /* rows after it; of: those of the block `of` */
    void (*run)(const rows_run *r, wf_place *at);
};

/* ---- what the steps do ---- */
static int64_t pool_count(const wf_rows_step *s, int64_t rows, int64_t of) {
    (void)of;
    return rows <= s->least ? rows : wf_window_count(&s->how, rows);
}

/* Where a row lies: with the first of its window. */
static wf_lie window_lie(const wf_windows *how, wf_lie lie) {
    return (wf_lie){lie.origin + (how->apart ? (1 - how->stride) * lie.step : 0), lie.step * how->stride};
}

static void pool_run(const rows_run *r, wf_place *at) {
    const wf_rows_step *s = r->step;
    int64_t rows = pool_count(s, at->rows, 0);
    if (at->rows <= s->least)
        return;
    *at = (wf_place){.x = wf_pool_windows(r->tape, at->x, &s->how, s->largest),
                     .mask = wf_window_mask(r->tape, at->mask, &s->how, rows, s->all),
                     .kinds = wf_window_first(r->tape, at->kinds, &s->how, rows),
                     .rows = rows,
                     .lie = window_lie(&s->how, at->lie)};
}

static int64_t conv_count(const wf_rows_step *s, int64_t rows, int64_t of) {
    int64_t windows = s->same ? rows : wf_frame_count(rows, s->kernel, s->how.stride, 0);
    (void)of;
    return (windows > s->how.drop ? windows - s->how.drop : 0) + s->how.apart;
}

static wf_tensor *convolve(const rows_run *r, wf_tensor *x) {
    const wf_rows_step *s = r->step;
    wf_tensor *w = wf_use(r->tape, r->params->linear[0]);
    w = w ? wf_reshape(r->tape, w, 2, (int64_t[]){s->out, s->kernel * s->in}) : NULL;
    x = s->same ? wf_unfold(r->tape, x, -((s->kernel - 1) / 2), s->kernel, 1)
                : wf_frames(r->tape, x, s->kernel, s->how.stride, 0);
    return wf_activate(r->tape, wf_linear_as(r->tape, x, w, wf_use(r->tape, r->params->linear[1]), WF_F32), s->activation);
}

static void conv_run(const rows_run *r, wf_place *at) {
    const wf_rows_step *s = r->step;
    int64_t rows = conv_count(s, at->rows, 0), made = rows - s->how.apart;
    wf_windows by_number = {.stride = s->how.stride}, own = {.stride = s->how.stride, .apart = s->how.apart};
    wf_tensor *first = s->how.apart ? wf_time_slice(r->tape, at->x, 0, 1) : NULL, *y = first;
    if (made > 0 || !first) {
        y = wf_time_slice(r->tape, convolve(r, at->x), 0, made);
        y = first ? wf_time_concat(r->tape, wf_cast(r->tape, first, WF_F32), y) : y;
    }
    at->x = wf_cast(r->tape, wf_apply_norm(r->tape, &s->norm, y, r->params->norm[0], r->params->norm[1]), WF_F32);
    if (s->same && !first && rows == at->rows)
        return;
    at->mask = wf_window_mask(r->tape, at->mask, &by_number, rows, s->all);
    at->kinds = wf_window_first(r->tape, at->kinds, &own, rows);
    at->rows = rows;
    at->lie = window_lie(&own, at->lie);
}

static int64_t as_of(const wf_rows_step *s, int64_t rows, int64_t of) { return (void)s, (void)rows, of; }

static void stand_at(wf_place *at, const wf_place *of, wf_tensor *x) {
    *at = *of;
    at->x = x;
}

static void spread_run(const rows_run *r, wf_place *at) {
    wf_fill_spec spec = {.how = r->step->how, .rows = r->of->rows, .skip = r->step->skip, .last = r->step->last};
    stand_at(at, r->of, wf_fill_windows(r->tape, at->x, &spec));
}

static void add_run(const rows_run *r, wf_place *at) { stand_at(at, r->of, wf_add(r->tape, at->x, r->of->x)); }

static void join_run(const rows_run *r, wf_place *at) {
    if (at->rows != r->of->rows)
        (void)wf_tape_error(r->tape, WEFT_USAGE, "%lld rows cannot stand beside %lld", (long long)at->rows,
                            (long long)r->of->rows);
    stand_at(at, r->of, wf_join_channels(r->tape, r->of->x, wf_cast(r->tape, at->x, WF_F32)));
}

static int64_t learned_count(const wf_rows_step *s, int64_t rows, int64_t of) {
    (void)of;
    return s->count + (s->before ? rows : 0);
}

static void learned_run(const rows_run *r, wf_place *at) {
    const wf_rows_step *s = r->step;
    wf_tensor *x = wf_use(r->tape, r->params->linear[0]);
    x = x ? wf_repeat_batch(r->tape, wf_reshape(r->tape, x, 3, (int64_t[]){1, s->count, s->out}), r->batch) : NULL;
    x = wf_cast(r->tape, x, WF_F32);
    if (!s->before) {
        *at = (wf_place){.x = x, .rows = s->count, .lie = {0, 1}};
        return;
    }
    if (at->kinds)
        (void)wf_tape_error(r->tape, WEFT_UNSUPPORTED, "rows before a sequence whose rows are of several kinds");
    at->x = wf_time_concat(r->tape, x, wf_cast(r->tape, at->x, WF_F32));
    if (at->mask)
        at->mask = wf_time_concat(r->tape, wf_mask_pad(r->tape, NULL, r->batch, s->count, s->count), at->mask);
    at->rows += s->count;
    at->lie.origin -= s->count * at->lie.step;
}

static int64_t leave_count(const wf_rows_step *s, int64_t rows, int64_t of) {
    (void)of;
    return rows > s->count ? rows - s->count : 0;
}

static void leave_run(const rows_run *r, wf_place *at) {
    int64_t count = r->step->count, rows = at->rows - count;
    if (rows < 1)
        (void)wf_tape_error(r->tape, WEFT_USAGE, "%lld rows, of which the first %lld are to be left out", (long long)at->rows,
                            (long long)count);
    at->x = wf_time_slice(r->tape, at->x, count, rows);
    at->mask = wf_time_slice(r->tape, at->mask, count, rows);
    at->kinds = wf_time_slice(r->tape, at->kinds, count, rows);
    at->rows = rows;
    at->lie.origin += count * at->lie.step;
}

static const wf_rows_kind kinds[] = {
    {"pool", "windows of rows become one row each, their mean or their largest entries", "stride apart drop mask mode least",
     pool_count, pool_run},
    {"conv", "windows of rows through a dense layer", "stride apart drop mask kernel same dim bias activation norm dropout",
     conv_count, conv_run},
    {"spread", "each row stands for a window: as many rows as the block `of` gives", "stride apart of skip last", as_of,
     spread_run},
    {"add", "the rows that the block `of` gives are added", "of", as_of, add_run},
    {"join", "the channels of the rows that the block `of` gives stand before those of the stream", "of", as_of, join_run},
    {"learned", "learned rows, the same for every sequence, instead of those of the stream or before them", "count dim before",
     learned_count, learned_run},
    {"leave", "the first `count` rows are left out", "count", leave_count, leave_run},
    {NULL, NULL, NULL, NULL, NULL}};

const char *wf_rows_kind_name(size_t i, const char **about) {
    *about = kinds[i].about;
    return kinds[i].name;
}

/* ---- reading ---- */
/* Whether a kind has an option: a word of its list. */
static bool has_option(const wf_rows_kind *kind, const char *name) {
    size_t n = strlen(name);
    for (const char *at = kind->options; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == 0 || at[n] == ' '))
            return true;
    return false;
}

static const wf_rows_kind *find_kind(wf_options *o, const wf_json *j) {
    const char *words[sizeof kinds / sizeof *kinds] = {NULL};
    for (size_t i = 0; kinds[i].name; i++)
        words[i] = kinds[i].name;
    int found = wf_option_word(o, j, "kind", wf_option_text(o, "kind", "none"), words);
    const wf_rows_kind *kind = found < 0 ? NULL : &kinds[found];
    for (const wf_json *own = kind && j->kind == WF_JSON_OBJECT ? j->child : NULL; own; own = own->next)
        if (!wf_streq(own->key, "kind") && !has_option(kind, own->key))
            wf_option_fail(o, own, "'%s' has no option '%s'", kind->name, own->key);
    return kind;
}

static void read_conv(wf_options *o, const wf_json *j, wf_rows_step *out) {
    const char *name = wf_option_text(o, "activation", "identity");
    int activation = wf_activation_by_name(name);
    if (activation < 0)
        wf_option_fail(o, j, "unknown activation '%s'", name);
    out->activation = activation < 0 ? WF_IDENTITY : (wf_activation)activation;
    out->kernel = wf_option_int(o, "kernel", out->how.stride, 1, 1 << 16);
    out->same = wf_option_bool(o, "same", false);
    out->bias = wf_option_bool(o, "bias", true);
    out->dropout = (float)wf_option_float(o, "dropout", 0.0, 0.0, 0.99);
    if (out->same && out->how.stride > 1)
        wf_option_fail(o, j, "'same' needs a stride of 1");
}

/* Widths: those of the stream, and of the blocks that are named. */
static int64_t width_after(const wf_rows_step *s, const wf_spec *spec, int64_t width) {
    return has_option(s->kind, "dim") ? s->out
           : s->kind->run == join_run ? width + spec->blocks[s->of].dim
           : s->kind->run == add_run  ? spec->blocks[s->of].dim
                                      : width;
}

static weft_status read_step(wf_spec_reader *r, const wf_json *j, int64_t index, const char *what, wf_rows_step *out) {
    wf_options o = wf_part_open(j, what, wf_rows_keys, r->err);
    *out = (wf_rows_step){.kind = find_kind(&o, j), .in = r->width};
    WF_TRY(o.status);
    bool convolves = out->kind->run == conv_run, same = convolves && wf_option_bool(&o, "same", false);
    out->how.stride = wf_option_int(&o, "stride", same ? 1 : 2, 1, 1 << 16);
    out->how.apart = wf_option_bool(&o, "apart", false);
    out->how.drop = wf_option_int(&o, "drop", 0, 0, 1 << 16);
    out->all = wf_option_word(&o, j, "mask", wf_option_text(&o, "mask", "any"), mask_words) == 1;
    out->largest = wf_option_word(&o, j, "mode", wf_option_text(&o, "mode", "mean"), modes) == 1;
    out->least = wf_option_int(&o, "least", 0, 0, INT32_MAX);
    out->of = wf_option_int(&o, "of", -1, 0, WF_MAX_LAYERS);
    out->skip = wf_option_bool(&o, "skip", false);
    out->last = wf_option_bool(&o, "last", false);
    out->count = wf_option_int(&o, "count", 0, 1, WF_MAX_VOCAB);
    out->before = wf_option_bool(&o, "before", false);
    out->out = wf_option_int(&o, "dim", r->width, 1, WF_MAX_DIM);
    if (convolves)
        read_conv(&o, j, out);
    if (has_option(out->kind, "of") && (out->of < 0 || out->of >= index))
        wf_option_fail(&o, j, "'of' must be the number of an earlier block");
    if (has_option(out->kind, "count") && out->count < 1)
        wf_option_fail(&o, j, "'count' is needed");
    if (out->before && out->out != r->width)
        wf_option_fail(&o, j, "rows of width %lld cannot stand before rows of %lld", (long long)out->out, (long long)r->width);
    if (out->skip && out->how.apart)
        wf_option_fail(&o, j, "a first row that is kept apart cannot be left out");
    WF_TRY(o.status);
    WF_CHECK(out->kind->run != add_run || r->spec->blocks[out->of].dim == r->width, r->err, WEFT_USAGE,
             "%s: rows of width %lld are added to rows of %lld", what, (long long)r->spec->blocks[out->of].dim,
             (long long)r->width);
    r->width = width_after(out, r->spec, r->width);
    WF_CHECK(r->width <= WF_MAX_DIM, r->err, WEFT_USAGE, "%s: rows of width %lld", what, (long long)r->width);
    const wf_json *norm = wf_json_get(j, "norm");
    return norm ? wf_norm_read(r, norm, what, &out->norm) : WEFT_OK;
}

weft_status wf_rows_read(wf_spec_reader *r, const wf_json *list, int64_t index, const char *what, wf_rows_list *out) {
    if (!list || list->kind == WF_JSON_NULL)
        return WEFT_OK;
    WF_CHECK(list->kind == WF_JSON_ARRAY && list->count <= MOST_STEPS, r->err, WEFT_USAGE,
             "%s: 'rows' must be a list of at most %d steps", what, (int)MOST_STEPS);
    out->steps = wf_arena_alloc(r->arena, (list->count + 1) * sizeof *out->steps);
    if (!out->steps)
        return wf_fail_memory(r->err);
    for (const wf_json *j = list->child; j; j = j->next)
        WF_TRY(read_step(r, j, index, what, &out->steps[out->n++]));
    r->spec->reshaped |= out->n > 0;
    return WEFT_OK;
}

/* ---- parameters ---- */
static weft_status declare_step(wf_model *m, const char *name, const wf_rows_step *s, wf_rows_params *out, weft_error *err) {
    char full[96];
    *out = (wf_rows_params){{NULL}, {NULL}};
    snprintf(full, sizeof full, "%s.weight", name);
    if (s->kind->run == learned_run) {
        WF_TRY(wf_declare(m, full, 2, (int64_t[]){s->count, s->out}, WF_INIT_NORMAL, &out->linear[0], err));
        out->linear[0]->init_scale = wf_init_std(s->out);
        out->linear[0]->table = true;
    }
    if (s->kind->run != conv_run)
        return WEFT_OK;
    WF_TRY(wf_declare(m, full, 3, (int64_t[]){s->out, s->kernel, s->in}, WF_INIT_NORMAL, &out->linear[0], err));
    out->linear[0]->init_scale = wf_init_std(s->kernel * s->in);
    snprintf(full, sizeof full, "%s.bias", name);
    if (s->bias)
        WF_TRY(wf_declare(m, full, 1, &s->out, WF_INIT_ZEROS, &out->linear[1], err));
    snprintf(full, sizeof full, "%s.norm", name);
    return wf_declare_norm(m, &s->norm, full, s->out, &out->norm[0], &out->norm[1], err);
}

weft_status wf_rows_declare(wf_model *m, const char *prefix, const wf_rows_list *list, wf_rows_params **out, weft_error *err) {
    char name[64];
    *out = list->n ? wf_arena_alloc(wf_model_arena(m), (size_t)list->n * sizeof **out) : NULL;
    if (list->n && !*out)
        return wf_fail_memory(err);
    for (int64_t i = 0; i < list->n; i++) {
        snprintf(name, sizeof name, "%s.%lld", prefix, (long long)i);
        WF_TRY(declare_step(m, name, &list->steps[i], &(*out)[i], err));
    }
    return WEFT_OK;
}

/* ---- recording ---- */
void wf_rows_record(wf_tape *t, const wf_rows_list *list, const wf_rows_params *params, const wf_place *places, bool dropout,
                    wf_place *at) {
    for (int64_t i = 0; i < list->n && at->x; i++) {
        const wf_rows_step *s = &list->steps[i];
        const wf_place *of = s->of >= 0 ? &places[s->of] : NULL;
        rows_run r = {.tape = t, .step = s, .params = &params[i], .of = of, .batch = at->x->dims[0]};
        if (of && !of->x)
            at->x = NULL;
        else
            s->kind->run(&r, at);
        at->x = dropout ? wf_dropout(t, at->x, s->dropout) : at->x;
    }
}

static const wf_rows_list *steps_of(const wf_spec *spec, int64_t index) {
    return index < spec->layers ? &spec->blocks[index].rows : &spec->rows;
}

static int64_t step_rows(const wf_rows_step *s, int64_t rows, const int64_t *given) {
    return s->kind->count(s, rows, s->of >= 0 ? given[s->of] : 0);
}

/* Rows of every block up to `index`. */
static void count_rows(const wf_spec *spec, int64_t index, int64_t rows, int64_t given[WF_MAX_LAYERS + 1]) {
    for (int64_t i = 0; i <= index; i++) {
        const wf_rows_list *list = steps_of(spec, i);
        for (int64_t k = 0; k < list->n; k++)
            rows = step_rows(&list->steps[k], rows, given);
        given[i] = rows;
    }
}

int64_t wf_spec_rows(const wf_spec *spec, int64_t index, int64_t rows) {
    int64_t given[WF_MAX_LAYERS + 1];
    if (!spec->reshaped)
        return rows;
    count_rows(spec, index, rows, given);
    return given[index];
}

double wf_rows_flops(const wf_spec *spec, int64_t index, int64_t rows) {
    const wf_rows_list *list = steps_of(spec, index);
    int64_t given[WF_MAX_LAYERS + 1] = {0}, n;
    double flops = 0.0;
    if (list->n == 0)
        return flops;
    count_rows(spec, index - 1, rows, given);
    n = index > 0 ? given[index - 1] : rows;
    for (int64_t i = 0; i < list->n; i++) {
        const wf_rows_step *s = &list->steps[i];
        n = step_rows(s, n, given);
        flops += s->kind->run == conv_run ? 2.0 * (double)n * (double)s->kernel * (double)s->in * (double)s->out : 0.0;
    }
    return flops;
}

/* ---- the normal form ---- */
static void normal_numbers(const wf_normal *w, const wf_rows_step *s) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"stride", s->how.stride}, {"drop", s->how.drop}, {"least", s->least}, {"kernel", s->kernel},
                   {"dim", s->out},           {"of", s->of},         {"count", s->count}};
    const struct {
        const char *key;
        bool value;
    } flags[] = {{"apart", s->how.apart}, {"same", s->same}, {"bias", s->bias},
                 {"skip", s->skip},       {"last", s->last}, {"before", s->before}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (has_option(s->kind, numbers[i].key))
            wf_normal_int(w, numbers[i].key, numbers[i].value);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (has_option(s->kind, flags[i].key))
            wf_normal_bool(w, flags[i].key, flags[i].value);
}

wf_json *wf_rows_normal(const wf_normal *of, const wf_rows_list *steps) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int64_t i = 0; i < steps->n; i++) {
        const wf_rows_step *s = &steps->steps[i];
        wf_normal w = wf_normal_begin(of);
        wf_normal_text(&w, "kind", s->kind->name);
        normal_numbers(&w, s);
        if (has_option(s->kind, "mask"))
            wf_normal_text(&w, "mask", mask_words[s->all]);
        if (has_option(s->kind, "mode"))
            wf_normal_text(&w, "mode", modes[s->largest]);
        if (has_option(s->kind, "norm")) {
            wf_normal_text(&w, "activation", wf_activation_names[s->activation]);
            wf_normal_put(&w, "norm", wf_norm_normal(of, &s->norm));
            wf_normal_float(&w, "dropout", s->dropout);
        }
        *of->failed |= !wf_json_push(list, w.object);
    }
    return list;
}
