#include "formats/pickle.h"
#include <string.h>

enum { LONGEST_NAME = 200 };

typedef struct machine {
    wf_pickle *p;
    wf_reader *r;
    wf_pickle_value **stack;
    size_t depth, capacity;
    size_t *marks;
    size_t n_marks, marks_capacity;
    wf_pickle_value **memo;
    size_t memo_count, memo_capacity;
    size_t at; /* of the opcode */
    bool done;
} machine;

static weft_status fail(const machine *m, const char *what) {
    return wf_fail_at(m->p->err, WEFT_BAD_INPUT, (int64_t)m->at, "pickle: %s (byte %zu)", what, m->at);
}

/* ---- values ---- */
static wf_pickle_value *new_value(machine *m, wf_pickle_type type) {
    wf_pickle_value *v = wf_arena_alloc(m->p->arena, sizeof *v);
    if (v)
        v->type = type;
    return v;
}

/* Doubles in the arena: what was before stays there, so a list costs twice its items. */
weft_status wf_pickle_push(wf_pickle *p, wf_pickle_value *list, wf_pickle_value *item) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 4;
        wf_pickle_value **items = wf_arena_alloc(p->arena, capacity * sizeof *items);
        if (!items)
            return wf_fail_memory(p->err);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return WEFT_OK;
}

const wf_pickle_value *wf_pickle_get(const wf_pickle_value *dict, const char *key) {
    for (size_t i = 0; dict && dict->type == WF_PICKLE_DICT && i + 1 < dict->count; i += 2)
        if (dict->items[i]->type == WF_PICKLE_TEXT && wf_streq(dict->items[i]->text, key))
            return dict->items[i + 1];
    return NULL;
}

/* ---- the stack ---- */
static weft_status push(machine *m, wf_pickle_value *v) {
    if (!v)
        return wf_fail_memory(m->p->err);
    WF_TRY(wf_grow(m->p->mem, (void **)&m->stack, &m->capacity, m->depth + 1, sizeof *m->stack, m->p->err));
    m->stack[m->depth++] = v;
    return WEFT_OK;
}

/* Above the innermost mark only. */
static size_t floor_of(const machine *m) { return m->n_marks ? m->marks[m->n_marks - 1] : 0; }

static weft_status pop(machine *m, wf_pickle_value **out) {
    if (m->depth <= floor_of(m))
        return fail(m, "the stack is empty");
    *out = m->stack[--m->depth];
    return WEFT_OK;
}

static weft_status pop_mark(machine *m, size_t *from) {
    if (m->n_marks == 0)
        return fail(m, "there is no mark");
    *from = m->marks[--m->n_marks];
    return WEFT_OK;
}

/* The values above `from` become a list; the list takes their place. */
static weft_status gather(machine *m, size_t from) {
    wf_pickle_value *list = new_value(m, WF_PICKLE_LIST);
    if (!list)
        return wf_fail_memory(m->p->err);
    for (size_t i = from; i < m->depth; i++)
        WF_TRY(wf_pickle_push(m->p, list, m->stack[i]));
    m->depth = from;
    return push(m, list);
}

/* ---- constants ---- */
static weft_status push_int(machine *m, int64_t i) {
    wf_pickle_value *v = new_value(m, WF_PICKLE_INT);
    if (v)
        v->integer = i;
    return push(m, v);
}

static weft_status push_text(machine *m, uint64_t length) {
    const uint8_t *bytes = length > SIZE_MAX ? NULL : wf_read_bytes(m->r, (size_t)length);
    if (!bytes)
        return fail(m, "a text ends beyond the file");
    wf_pickle_value *v = new_value(m, WF_PICKLE_TEXT);
    if (v && !(v->text = wf_arena_strndup(m->p->arena, (const char *)bytes, (size_t)length)))
        return wf_fail_memory(m->p->err);
    if (v)
        v->length = (size_t)length;
    return push(m, v);
}

static weft_status none(machine *m) { return push(m, new_value(m, WF_PICKLE_NONE)); }
static weft_status new_true(machine *m) { return push_int(m, 1); }
static weft_status new_false(machine *m) { return push_int(m, 0); }
static weft_status bin_int(machine *m) { return push_int(m, (int32_t)wf_read_u32(m->r)); }
static weft_status bin_int1(machine *m) { return push_int(m, wf_read_u8(m->r)); }
static weft_status bin_int2(machine *m) { return push_int(m, wf_read_u16(m->r)); }

/* Little-endian two's complement; what is wider than 64 bits (a magic number) is text. */
static weft_status long_of(machine *m, size_t length) {
    uint64_t bits = 0;
    if (length > 8)
        return push_text(m, length);
    const uint8_t *bytes = wf_read_bytes(m->r, length);
    for (size_t i = 0; bytes && i < 8; i++)
        bits |= (uint64_t)(i < length ? bytes[i] : length && bytes[length - 1] & 0x80 ? 0xff : 0) << (8 * i);
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return push_int(m, value);
}
static weft_status long1(machine *m) { return long_of(m, wf_read_u8(m->r)); }
static weft_status long4(machine *m) { return long_of(m, wf_read_u32(m->r)); }

static weft_status bin_float(machine *m) { return wf_read_bytes(m->r, 8) ? none(m) : fail(m, "a number is cut"); }
static weft_status text1(machine *m) { return push_text(m, wf_read_u8(m->r)); }
static weft_status text4(machine *m) { return push_text(m, wf_read_u32(m->r)); }
static weft_status text8(machine *m) { return push_text(m, wf_read_u64(m->r)); }

/* ---- containers ---- */
static weft_status empty_list(machine *m) { return push(m, new_value(m, WF_PICKLE_LIST)); }
static weft_status empty_dict(machine *m) { return push(m, new_value(m, WF_PICKLE_DICT)); }

static weft_status tuple_of(machine *m, size_t n) {
    if (m->depth - floor_of(m) < n)
        return fail(m, "the stack is empty");
    return gather(m, m->depth - n);
}
static weft_status tuple1(machine *m) { return tuple_of(m, 1); }
static weft_status tuple2(machine *m) { return tuple_of(m, 2); }
static weft_status tuple3(machine *m) { return tuple_of(m, 3); }

static weft_status tuple(machine *m) {
    size_t from;
    WF_TRY(pop_mark(m, &from));
    return gather(m, from);
}

static weft_status dict(machine *m) {
    WF_TRY(tuple(m));
    wf_pickle_value *v = m->stack[m->depth - 1];
    v->type = WF_PICKLE_DICT;
    return v->count % 2 == 0 ? WEFT_OK : fail(m, "a key without a value");
}

/* The values above `from` go into the container below them. */
static weft_status put_all(machine *m, size_t from, wf_pickle_type type) {
    size_t n = m->depth - from;
    m->depth = from;
    if (m->depth <= floor_of(m))
        return fail(m, "the stack is empty");
    wf_pickle_value *into = m->stack[m->depth - 1];
    if (into->type != type || (type == WF_PICKLE_DICT && n % 2))
        return fail(m, type == WF_PICKLE_DICT ? "items for what is no dictionary" : "items for what is no list");
    for (size_t i = 0; i < n; i++)
        WF_TRY(wf_pickle_push(m->p, into, m->stack[from + i]));
    return WEFT_OK;
}

static weft_status put_last(machine *m, size_t n, wf_pickle_type type) {
    if (m->depth - floor_of(m) < n + 1)
        return fail(m, "the stack is empty");
    return put_all(m, m->depth - n, type);
}
static weft_status append(machine *m) { return put_last(m, 1, WF_PICKLE_LIST); }
static weft_status set_item(machine *m) { return put_last(m, 2, WF_PICKLE_DICT); }

static weft_status appends(machine *m) {
    size_t from;
    WF_TRY(pop_mark(m, &from));
    return put_all(m, from, WF_PICKLE_LIST);
}

static weft_status set_items(machine *m) {
    size_t from;
    WF_TRY(pop_mark(m, &from));
    return put_all(m, from, WF_PICKLE_DICT);
}

/* ---- stack and memo ---- */
static weft_status mark(machine *m) {
    WF_TRY(wf_grow(m->p->mem, (void **)&m->marks, &m->marks_capacity, m->n_marks + 1, sizeof *m->marks, m->p->err));
    m->marks[m->n_marks++] = m->depth;
    return WEFT_OK;
}

static weft_status drop(machine *m) {
    wf_pickle_value *v;
    return pop(m, &v);
}

static weft_status drop_mark(machine *m) {
    size_t from;
    WF_TRY(pop_mark(m, &from));
    m->depth = from;
    return WEFT_OK;
}

/* Writers number the memo without gaps, so a number beyond the text's bytes is a lie. */
static weft_status memo_put(machine *m, size_t i) {
    if (m->depth <= floor_of(m))
        return fail(m, "the stack is empty");
    if (i > m->r->length)
        return fail(m, "a memo number beyond the size of the file");
    if (i >= m->memo_count) {
        WF_TRY(wf_grow(m->p->mem, (void **)&m->memo, &m->memo_capacity, i + 1, sizeof *m->memo, m->p->err));
        memset(m->memo + m->memo_count, 0, (i + 1 - m->memo_count) * sizeof *m->memo);
        m->memo_count = i + 1;
    }
    m->memo[i] = m->stack[m->depth - 1];
    return WEFT_OK;
}
static weft_status put1(machine *m) { return memo_put(m, wf_read_u8(m->r)); }
static weft_status put4(machine *m) { return memo_put(m, wf_read_u32(m->r)); }
static weft_status memoize(machine *m) { return memo_put(m, m->memo_count); }

static weft_status memo_get(machine *m, size_t i) {
    if (i >= m->memo_count || !m->memo[i])
        return fail(m, "nothing is kept under a memo number");
    return push(m, m->memo[i]);
}
static weft_status get1(machine *m) { return memo_get(m, wf_read_u8(m->r)); }
static weft_status get4(machine *m) { return memo_get(m, wf_read_u32(m->r)); }

/* ---- globals ---- */
static weft_status push_global(machine *m, const char *module, const char *name) {
    const wf_pickle_global *global = wf_pickle_global_find(module, name);
    if (!global)
        return wf_fail_at(m->p->err, WEFT_BAD_INPUT, (int64_t)m->at,
                          "pickle: it asks for '%.80s.%.80s', which no file of tensors needs (byte %zu)", module, name, m->at);
    wf_pickle_value *v = new_value(m, WF_PICKLE_GLOBAL);
    if (v)
        v->global = global;
    return push(m, v);
}

static bool read_line(machine *m, char out[LONGEST_NAME]) {
    for (size_t n = 0; n < LONGEST_NAME && !m->r->failed; n++)
        if ((out[n] = (char)wf_read_u8(m->r)) == '\n') {
            out[n] = 0;
            return true;
        }
    return false;
}

static weft_status global(machine *m) {
    char module[LONGEST_NAME], name[LONGEST_NAME];
    if (!read_line(m, module) || !read_line(m, name))
        return fail(m, "the name of a global is cut");
    return push_global(m, module, name);
}

static weft_status stack_global(machine *m) {
    wf_pickle_value *module, *name;
    WF_TRY(pop(m, &name));
    WF_TRY(pop(m, &module));
    if (module->type != WF_PICKLE_TEXT || name->type != WF_PICKLE_TEXT)
        return fail(m, "the name of a global is no text");
    return push_global(m, module->text, name->text);
}

/* A call, of what its row does. */
static weft_status reduce(machine *m) {
    wf_pickle_value *args, *callee, *v = new_value(m, WF_PICKLE_NONE);
    WF_TRY(pop(m, &args));
    WF_TRY(pop(m, &callee));
    if (callee->type != WF_PICKLE_GLOBAL || !callee->global->call || args->type != WF_PICKLE_LIST)
        return fail(m, "it calls what cannot be called");
    if (!v)
        return wf_fail_memory(m->p->err);
    weft_status status = callee->global->call(m->p, args, v);
    if (status == WEFT_BAD_INPUT && m->p->err && m->p->err->offset < 0)
        m->p->err->offset = (int64_t)m->at;
    return status ? status : push(m, v);
}

/* Attributes of an object; those of an OrderedDict (_metadata) say nothing about tensors. */
static weft_status build(machine *m) {
    wf_pickle_value *state;
    WF_TRY(pop(m, &state));
    if (m->depth <= floor_of(m) || m->stack[m->depth - 1]->type != WF_PICKLE_DICT)
        return fail(m, "attributes for what has none");
    return WEFT_OK;
}

static weft_status persistent(machine *m) {
    wf_pickle_value *id, *v = new_value(m, WF_PICKLE_STORAGE);
    WF_TRY(pop(m, &id));
    if (!v)
        return wf_fail_memory(m->p->err);
    weft_status status = wf_pickle_persistent(m->p, id, v);
    if (status == WEFT_BAD_INPUT && m->p->err && m->p->err->offset < 0)
        m->p->err->offset = (int64_t)m->at;
    return status ? status : push(m, v);
}

/* ---- framing ---- */
static weft_status proto(machine *m) {
    unsigned version = wf_read_u8(m->r);
    return version >= 2 && version <= 5 ? WEFT_OK : fail(m, "only the protocols 2 to 5 are known");
}

static weft_status frame(machine *m) {
    wf_read_u64(m->r);
    return WEFT_OK;
}

static weft_status stop(machine *m) {
    m->done = true;
    return m->depth == 1 && m->n_marks == 0 ? WEFT_OK : fail(m, "it ends with another number of values than one");
}

/* ---- the table ---- */
/* clang-format off */
static const struct opcode {
    uint8_t code;
    weft_status (*run)(machine *m);
} opcodes[] = {
    {0x80, proto}, {0x95, frame}, {'.', stop}, {'(', mark}, {'0', drop}, {'1', drop_mark},
    {'N', none}, {0x88, new_true}, {0x89, new_false}, {'J', bin_int}, {'K', bin_int1}, {'M', bin_int2}, {0x8a, long1}, {0x8b, long4}, {'G', bin_float},
    {'X', text4}, {0x8c, text1}, {0x8d, text8}, {'T', text4}, {'U', text1}, {'B', text4}, {'C', text1}, {0x8e, text8},
    {')', empty_list}, {'t', tuple}, {0x85, tuple1}, {0x86, tuple2}, {0x87, tuple3}, {']', empty_list}, {'l', tuple}, {'a', append}, {'e', appends},
    {0x8f, empty_list}, {0x90, appends}, {0x91, tuple},
    {'}', empty_dict}, {'d', dict}, {'s', set_item}, {'u', set_items},
    {'q', put1}, {'r', put4}, {0x94, memoize}, {'h', get1}, {'j', get4},
    {'c', global}, {0x93, stack_global}, {'R', reduce}, {'b', build}, {'Q', persistent},
};
/* clang-format on */

static weft_status step(machine *m) {
    m->at = m->r->position;
    uint8_t code = wf_read_u8(m->r);
    if (m->r->failed)
        return fail(m, "it is cut");
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++)
        if (opcodes[i].code == code) {
            WF_TRY(opcodes[i].run(m));
            return m->r->failed ? fail(m, "it is cut") : WEFT_OK;
        }
    return wf_fail_at(m->p->err, WEFT_BAD_INPUT, (int64_t)m->at,
                      "pickle: opcode 0x%02x, which no file of tensors needs (byte %zu)", code, m->at);
}

weft_status wf_pickle_run(wf_pickle *p, wf_reader *r, wf_pickle_value **out) {
    machine m = {.p = p, .r = r};
    weft_status status = WEFT_OK;
    p->most_copies = r->length;
    while (status == WEFT_OK && !m.done)
        status = step(&m);
    if (status == WEFT_OK)
        *out = m.stack[0];
    wf_free(p->mem, m.stack);
    wf_free(p->mem, m.marks);
    wf_free(p->mem, m.memo);
    return status;
}

void wf_pickle_close(wf_pickle *p) { wf_free(p->mem, p->storages); }
