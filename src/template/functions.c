/* functions.c - the names every template sees: range, dict, namespace ... */
#include <string.h>
#include <time.h>
#include "base/checked.h"
#include "template/engine.h"

static weft_status run_range(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    int64_t start = 0, stop, step = 1, span;
    wf_tpl_range *range = wf_arena_alloc(&r->arena, sizeof *range);
    WF_TPL_NEED(r, range);
    WF_TRY(wf_tpl_arg_int(r, c, 0, 0, &stop));
    if (c->in[1]) {
        start = stop;
        WF_TRY(wf_tpl_arg_int(r, c, 1, 0, &stop));
    }
    WF_TRY(wf_tpl_arg_int(r, c, 2, 1, &step));
    if (step == 0)
        return wf_tpl_type_error(r, "range() arg 3 must not be zero");
    bool fits = !__builtin_sub_overflow(step > 0 ? stop : start, step > 0 ? start : stop, &span) && step != INT64_MIN;
    int64_t count = !fits ? INT64_MAX : span > 0 ? (span - 1) / (step > 0 ? step : -step) + 1 : 0;
    if (count > WF_TPL_LONGEST_RANGE)
        return wf_tpl_type_error(r, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                                 (int)WF_TPL_LONGEST_RANGE);
    *range = (wf_tpl_range){start, stop, step, count};
    *out = (wf_var){.type = WF_VAR_RANGE, .range = range};
    return WEFT_OK;
}

static weft_status run_dict(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = (wf_var){.type = WF_VAR_DICT};
    return wf_dict_of(r, &c->all, &out->dict);
}

weft_status wf_tpl_check_name(wf_tpl *r, wf_var name) {
    if (name.type != WF_VAR_STRING || name.text->bytes == 0 || name.text->data[0] != '_')
        return WEFT_OK;
    return wf_tpl_fail(r, WF_TEMPLATE_SECURITY,
                       "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.100s'.",
                       name.text->data);
}

static weft_status run_namespace(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = (wf_var){.type = WF_VAR_NAMESPACE};
    WF_TRY(wf_dict_of(r, &c->all, &out->dict));
    for (size_t i = 0; i < out->dict->count; i++)
        WF_TRY(wf_tpl_check_name(r, out->dict->pairs[i].key));
    return WEFT_OK;
}

static weft_status run_cycler(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_cycler *cycler = wf_arena_alloc(&r->arena, sizeof *cycler);
    wf_var items;
    WF_TPL_NEED(r, cycler);
    if (!c->all.count)
        return wf_tpl_type_error(r, "at least one item has to be provided");
    WF_TRY(wf_var_new_tuple(r, c->all.list, c->all.count, &items));
    cycler->items = items.list;
    *out = (wf_var){.type = WF_VAR_CYCLER, .cycler = cycler};
    return WEFT_OK;
}

static weft_status run_joiner(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_cycler *joiner = wf_arena_alloc(&r->arena, sizeof *joiner);
    WF_TPL_NEED(r, joiner);
    if (c->in[0])
        joiner->separator = *c->in[0];
    else
        WF_TRY(wf_var_string(r, ", ", 2, &joiner->separator));
    *out = (wf_var){.type = WF_VAR_JOINER, .cycler = joiner};
    return WEFT_OK;
}

static weft_status run_raise(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *text;
    WF_TRY(wf_var_to_text(r, *c->in[0], &text));
    wf_str_put(&r->result->message, text->data, text->bytes);
    return wf_tpl_fail(r, WF_TEMPLATE_RAISED, "%s", text->data);
}

/* ---- strftime ---- */

/* One conversion; those of Python that C lacks are written here (a moment without a zone, whole seconds). */
static weft_status put_time(wf_tpl *r, const struct tm *when, const char *conversion, size_t n, wf_str *out) {
    char text[256], one[8] = {'x', 0};
    char last = conversion[n - 1];
    if (last == 'f')
        wf_str_puts(out, "000000");
    if (last == 'f' || last == 'z' || last == 'Z')
        return WEFT_OK;
    memcpy(one + 1, conversion, n); /* an x in front: an empty result is no failure then */
    one[n + 1] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t length = strftime(text, sizeof text, one, when);
#pragma GCC diagnostic pop
    if (!length)
        return wf_tpl_type_error(r, "strftime: the result of '%s' is too long", one + 1);
    wf_str_put(out, text + 1, length - 1);
    return WEFT_OK;
}

static weft_status put_times(wf_tpl *r, const struct tm *when, const wf_tpl_text *format, wf_str *out) {
    static const char modifiers[] = "-_0^#EO";
    for (size_t at = 0; at < format->bytes; at++) {
        size_t n = 1;
        if (format->data[at] != '%' || at + 1 == format->bytes) {
            wf_str_putc(out, format->data[at]);
            continue;
        }
        while (n < 3 && at + n + 1 < format->bytes && format->data[at + n] && strchr(modifiers, format->data[at + n]))
            n++;
        WF_TRY(put_time(r, when, format->data + at, n + 1, out));
        at += n;
    }
    return wf_tpl_spend(r, format->bytes);
}

static weft_status run_strftime(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *format;
    struct tm when;
    time_t now = (time_t)r->in->now;
    WF_TRY(wf_tpl_arg_text(r, c, 0, &format));
    if (!format)
        return wf_tpl_type_error(r, "strftime() argument 1 must be str, not None");
    if (!(r->in->utc ? gmtime_r(&now, &when) : localtime_r(&now, &when)))
        return wf_tpl_type_error(r, "the moment is out of range");
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = put_times(r, &when, format, &s);
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

static weft_status run_lipsum(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return wf_tpl_unsupported(r, "lipsum"); }

weft_status wf_tpl_function_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    *found = v.function->run == run_dict && wf_text_is(name, "fromkeys");
    return *found ? wf_tpl_bind(r, wf_tpl_find_row(wf_tpl_dict_methods, name), v, out) : WEFT_OK;
}

static const wf_tpl_row rows[] = {{"range", "start stop= step= /", run_range, 0},
                                  {"dict", "*", run_dict, 0},
                                  {"namespace", "*", run_namespace, 0},
                                  {"cycler", "*", run_cycler, 0},
                                  {"joiner", "sep=", run_joiner, 0},
                                  {"lipsum", "*", run_lipsum, 0},
                                  {"raise_exception", "message", run_raise, 0},
                                  {"strftime_now", "format", run_strftime, 0},
                                  {NULL, NULL, NULL, 0}};

const wf_tpl_row *wf_tpl_function(const wf_tpl_text *name) { return wf_tpl_find_row(rows, name); }
