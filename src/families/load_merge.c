/* load_merge.c - an adapter beside a model: its tensors as files hold them, merging and its way back, writing the folder. */
#include <math.h>
#include <string.h>
#include "base/reader.h"
#include "families/adapter_parts.h"
#include "formats/safetensors.h"

void wf_adapters_free(const wf_mem *mem, wf_adapters *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->n_merged; i++)
        if (a->merged[i].owned)
            wf_free_big(mem, a->merged[i].value);
    wf_free(mem, a->tensors);
    wf_arena_free(&a->arena);
    wf_free(mem, a);
}

size_t wf_adapters_count(const wf_model *m) { return m->adapters ? m->adapters->n_tensors : 0; }
const wf_adapter_tensor *wf_adapters_at(const wf_model *m, size_t i) { return &m->adapters->tensors[i]; }

/* ---- elements ---- */
typedef struct move {
    const wf_model *model;
    const wf_adapter_tensor *t;
    bool gradients, out; /* out: into the file */
    float *file;         /* only read when not `out` */
} move;

static float *data(const move *m, const wf_param *p) { return m->gradients ? p->grad : p->value; }

static void put(const move *m, float *own, float *file) { *(m->out ? file : own) = *(m->out ? own : file); }

/* Row `row` of the file's stack, which takes turns between the parts, in the left factor (or the lengths). */
static int64_t row_of(const wf_adapter_unit *u, int64_t slice, int64_t row) {
    int64_t per = u->all_rows / u->pieces, piece = row / per, at = row % per;
    size_t k = 0;
    while (at >= u->rows[k] / u->pieces)
        at -= u->rows[k++] / u->pieces;
    return u->first[k] + slice * u->rows[k] + piece * (u->rows[k] / u->pieces) + at;
}

/* The factor with a row for each row of the stack: file [rows, r], or [r, rows] of a swapped one. */
static void move_left(const move *m) {
    const wf_adapter_unit *u = m->t->unit;
    int64_t r = m->t->dims[u->swapped ? 0 : 1];
    for (int64_t row = 0; row < u->all_rows; row++) {
        float *own = data(m, u->left) + row_of(u, m->t->slice, row) * u->rank;
        for (int64_t k = 0; k < r; k++)
            put(m, own + k, m->file + (u->swapped ? k * u->all_rows + row : row * r + k));
    }
}

static void move_right(const move *m) {
    const wf_adapter_unit *u = m->t->unit;
    int64_t r = m->t->dims[u->swapped ? 1 : 0];
    for (int64_t k = 0; k < r; k++) {
        float *own = data(m, u->right) + (m->t->slice * u->rank + k) * u->columns;
        for (int64_t j = 0; j < u->columns; j++)
            put(m, own + j, m->file + (u->swapped ? j * r + k : k * u->columns + j));
    }
}

static void move_lengths(const move *m) {
    const wf_adapter_unit *u = m->t->unit;
    float *own = data(m, u->magnitude);
    for (int64_t i = 0; i < m->t->dims[0]; i++)
        put(m, own + (u->swapped ? m->t->slice * u->columns + i : row_of(u, m->t->slice, i)), m->file + i);
}

static weft_status move_whole(const move *m, weft_error *err) {
    const wf_tensor_map *map = m->t->map;
    const wf_mem *mem = &m->model->env->mem;
    float *parts[WF_NAME_PARTS], *scratch = wf_alloc_big(mem, 2 * (size_t)map->count * sizeof *scratch);
    const float *from[WF_NAME_PARTS];
    if (!scratch)
        return wf_fail_memory(err);
    for (size_t k = 0; k < map->n_parts; k++)
        from[k] = parts[k] = data(m, m->model->params.list[map->parts[k].param]) + map->parts[k].first;
    if (m->out)
        wf_map_write(map, from, m->file, scratch);
    else
        wf_map_read(map, m->file, parts, scratch);
    wf_free_big(mem, scratch);
    return WEFT_OK;
}

static weft_status move_tensor(const move *m, weft_error *err) {
    const wf_adapter_unit *u = m->t->unit;
    if (!u)
        return move_whole(m, err);
    if (m->t->part == WF_PART_MAGNITUDE)
        move_lengths(m);
    else if ((m->t->part == WF_PART_A) == u->swapped)
        move_left(m);
    else
        move_right(m);
    return WEFT_OK;
}

weft_status wf_adapter_tensor_read(const wf_model *model, const wf_adapter_tensor *t, const float *file, weft_error *err) {
    union {
        const float *from;
        float *to;
    } data = {file}; /* only read */
    return move_tensor(&(move){model, t, false, false, data.to}, err);
}

weft_status wf_adapter_tensor_write(const wf_model *model, const wf_adapter_tensor *t, bool gradients, float *file,
                                    weft_error *err) {
    if (gradients && !t->trained) {
        memset(file, 0, (size_t)t->count * sizeof *file);
        return WEFT_OK;
    }
    return move_tensor(&(move){model, t, gradients, true, file}, err);
}

/* ---- lengths of the base ---- */
static void measure_rows(const wf_adapter_unit *u, size_t part, const wf_kernels *k) {
    const wf_param *p = u->params[part];
    for (int64_t row = 0; row < u->slices * u->rows[part]; row++)
        u->magnitude->value[u->first[part] + row] = (float)sqrt(k->sum_squares(p->value + row * u->columns, u->columns));
}

static void measure_columns(const wf_adapter_unit *u) {
    for (int64_t at = 0; at < u->slices * u->columns; at++) {
        const float *column = u->params[0]->value + at / u->columns * u->rows[0] * u->columns + at % u->columns;
        double sum = 0.0;
        for (int64_t row = 0; row < u->rows[0]; row++)
            sum += (double)column[row * u->columns] * (double)column[row * u->columns];
        u->magnitude->value[at] = (float)sqrt(sum);
    }
}

void wf_adapter_measure(const wf_adapter_unit *u, const wf_kernels *k) {
    if (u->magnitude && u->swapped)
        measure_columns(u);
    for (size_t part = 0; u->magnitude && !u->swapped && part < u->n_parts; part++)
        measure_rows(u, part, k);
}

/* ---- merging ---- */
/* What the adapter makes of a parameter, by the operation that training uses. */
static weft_status adapted_value(const wf_model *m, wf_param *p, float **out, weft_error *err) {
    wf_tape *tape;
    wf_runtime rt = {.loss_scale = 1.0f};
    float *value = wf_alloc_big(&m->env->mem, (size_t)p->count * sizeof *value);
    if (!value)
        return wf_fail_memory(err);
    weft_status status = wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &tape, err);
    if (status == WEFT_OK) {
        wf_tensor *y = wf_adapted(tape, wf_use(tape, p));
        wf_keep(tape, y);
        status = wf_tape_plan(tape, err);
        if (status == WEFT_OK)
            status = wf_tape_forward(tape, &rt, err);
        if (status == WEFT_OK)
            *out = memcpy(value, y->data, (size_t)p->count * sizeof *value);
        wf_tape_free(tape);
    }
    if (status != WEFT_OK)
        wf_free_big(&m->env->mem, value);
    return status;
}

static weft_status merge_param(wf_model *m, wf_param *p, weft_error *err) {
    wf_adapters *a = m->adapters;
    float *value;
    WF_TRY(adapted_value(m, p, &value, err));
    a->merged[a->n_merged++] = (wf_merged){p, p->value, p->owns_value, p->adapter};
    p->value = value;
    p->owns_value = true;
    p->adapter = NULL;
    return WEFT_OK;
}

weft_status wf_adapters_merge(wf_model *m, bool used, weft_error *err) {
    wf_adapters *a = m->adapters;
    if (!a || a->n_merged > 0)
        return WEFT_OK;
    WF_CHECK(used || !a->term, err, WEFT_UNSUPPORTED,
             "this adapter cannot be merged: it changes '%s' in one of the two places that share its tensor", a->term);
    if (!a->merged && !(a->merged = wf_arena_alloc(&a->arena, m->own_params * sizeof *a->merged)))
        return wf_fail_memory(err);
    for (size_t i = 0; i < m->own_params; i++) {
        weft_status status = m->params.list[i]->adapter ? merge_param(m, m->params.list[i], err) : WEFT_OK;
        if (status != WEFT_OK) {
            wf_adapters_unmerge(m);
            return status;
        }
    }
    wf_params_refresh_bf16(&m->params);
    return WEFT_OK;
}

void wf_adapters_unmerge(wf_model *m) {
    wf_adapters *a = m->adapters;
    for (size_t i = 0; a && i < a->n_merged; i++) {
        wf_merged *was = &a->merged[i];
        wf_free_big(&m->env->mem, was->param->value);
        was->param->value = was->value;
        was->param->owns_value = was->owned;
        was->param->adapter = was->adapter;
    }
    if (a && a->n_merged)
        wf_params_refresh_bf16(&m->params);
    if (a)
        a->n_merged = 0;
}

static bool holds(const wf_adapters *a, size_t param) {
    for (size_t i = 0; i < a->n_tensors; i++)
        for (size_t k = 0; a->tensors[i].map && k < a->tensors[i].map->n_parts; k++)
            if (a->tensors[i].map->parts[k].param == param)
                return true;
    return false;
}

bool wf_adapters_part(const wf_model *m) { return m->adapters && m->adapters->parted; }

bool wf_adapters_change(const wf_model *m, const wf_tensor_map *map) {
    const wf_adapters *a = m->adapters;
    for (size_t k = 0; a && k < map->n_parts; k++) {
        bool merged = m->params.list[map->parts[k].param]->adapter != NULL;
        for (size_t i = 0; i < a->n_merged; i++)
            merged |= a->merged[i].param == m->params.list[map->parts[k].param];
        if (merged || holds(a, map->parts[k].param))
            return true;
    }
    return false;
}

void wf_adapters_drop(wf_model *m) {
    if (!m->adapters)
        return;
    wf_adapters_free(&m->env->mem, m->adapters);
    m->adapters = NULL;
    wf_params_cut(&m->params, m->own_params);
    for (size_t i = 0; i < m->params.count; i++)
        m->params.list[i]->frozen = false;
}

/* ---- the folder ---- */
static weft_status write_config(const wf_model *m, const char *folder, wf_arena *arena, weft_error *err) {
    wf_str out = wf_str_new(&m->env->mem);
    const char *path = wf_path_join(arena, folder, "adapter_config.json");
    wf_json_print(&out, m->adapters->config, 2);
    wf_str_putc(&out, '\n');
    weft_status status =
        path && !out.failed ? wf_write_file(&m->env->mem, path, out.data, out.length, err) : wf_fail_memory(err);
    wf_str_free(&out);
    return status;
}

static const wf_adapter_tensor *tensor_named(const wf_model *m, const char *key) {
    for (size_t i = 0; i < m->adapters->n_tensors; i++)
        if (wf_streq(m->adapters->tensors[i].key, key))
            return &m->adapters->tensors[i];
    return NULL;
}

static weft_status put_tensors(const wf_model *m, const wf_safetensors_plan *plan, wf_safetensors_writer *w, weft_error *err) {
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const wf_adapter_tensor *t = tensor_named(m, plan->tensors[i].name);
        size_t bytes = (size_t)t->count * sizeof(float);
        float *file = wf_alloc_big(&m->env->mem, bytes);
        weft_status status = file ? wf_adapter_tensor_write(m, t, false, file, err) : wf_fail_memory(err);
        if (status == WEFT_OK)
            status = wf_safetensors_put(w, file, bytes, err);
        wf_free_big(&m->env->mem, file);
        WF_TRY(status);
    }
    return WEFT_OK;
}

static weft_status write_tensors(const wf_model *m, const char *folder, wf_arena *arena, weft_error *err) {
    static const wf_stored_text format = {"format", "pt"};
    const char *path = wf_path_join(arena, folder, "adapter_model.safetensors");
    size_t n = m->adapters->n_tensors;
    wf_tensor_plan *list = wf_arena_alloc(arena, n * sizeof *list);
    wf_safetensors_writer *w;
    if (!path || !list)
        return wf_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const wf_adapter_tensor *t = &m->adapters->tensors[i];
        list[i] = (wf_tensor_plan){t->key, WF_F32, t->rank, t->dims};
    }
    wf_safetensors_order(list, n);
    const wf_safetensors_plan plan = {list, n, &format, 1};
    WF_TRY(wf_safetensors_create(&m->env->mem, path, &plan, &w, err));
    weft_status status = put_tensors(m, &plan, w, err);
    if (status == WEFT_OK)
        return wf_safetensors_commit(w, err);
    wf_safetensors_abort(w);
    return status;
}

weft_status wf_adapters_save(const wf_model *m, const char *folder, weft_error *err) {
    wf_arena arena;
    WF_CHECK(m->adapters, err, WEFT_USAGE, "the model has no adapter");
    wf_arena_init(&arena, &m->env->mem, 0);
    weft_status status = wf_make_dir(folder, err);
    if (status == WEFT_OK)
        status = write_tensors(m, folder, &arena, err);
    if (status == WEFT_OK)
        status = write_config(m, folder, &arena, err);
    wf_arena_free(&arena);
    return status;
}
