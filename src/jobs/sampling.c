#include "jobs/sampling.h"

static bool is_given(const wf_json *options, const char *key) {
    const wf_json *j = wf_json_get(options, key);
    return j && j->kind != WF_JSON_NULL;
}

void wf_asked_read(wf_options *o, wf_asked *out) {
    bool drawn = false;
    *out = (wf_asked){.given = 0};
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++) {
        if (!is_given(o->object, r->key))
            continue;
        double value = r->whole ? (double)wf_option_int(o, r->key, 0, (int64_t)r->least, (int64_t)r->most)
                                : wf_option_float(o, r->key, 0, r->least, r->most);
        if (r->above && value <= r->least)
            wf_option_fail(o, wf_json_get(o->object, r->key), "'%s' must be more than %g", r->key, r->least);
        wf_sampling_set(&out->sampling, r, value);
        out->given |= 1u << (r - wf_sampling_rows);
        drawn |= r->draws;
    }
    out->sampling.seed = (uint64_t)wf_option_int(o, "seed", 0, 0, INT64_MAX);
    out->cold = is_given(o->object, "temperature") && out->sampling.temperature == 0;
    out->warm = drawn && !out->cold;
}

wf_sampling wf_asked_sampling(const wf_asked *asked, const wf_generation_config *says, const wf_sampling *usual) {
    wf_sampling s = wf_generation_config_sampling(says, usual, asked->warm);
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++)
        if (asked->given & 1u << (r - wf_sampling_rows))
            wf_sampling_set(&s, r, wf_sampling_get(&asked->sampling, r));
    s.seed = asked->sampling.seed;
    return s;
}

/* Which numbers of the files are followed. */
static void tell_files(const wf_asked *asked, const wf_generation_config *says, const wf_sampling *used, wf_str *out) {
    static const char before[] = " (the generation config says ";
    const char *comma = before;
    if ((says->draws || says->best) && !asked->warm && !asked->cold && says->draws == (used->temperature > 0)) {
        wf_str_printf(out, "%sdo_sample", comma);
        comma = ", ";
    }
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++) {
        uint32_t bit = 1u << (r - wf_sampling_rows);
        if (!(says->said & bit) || asked->given & bit || (r->draws && used->temperature == 0))
            continue;
        wf_str_printf(out, "%s%s", comma, r->key);
        comma = ", ";
    }
    wf_str_puts(out, comma == before ? "" : ")");
}

void wf_asked_tell(const wf_asked *asked, const wf_generation_config *says, const wf_sampling *used, wf_str *out) {
    wf_str_puts(out, used->temperature > 0 ? "tokens drawn" : "the most likely tokens");
    wf_sampling_tell(used, out);
    tell_files(asked, says, used, out);
}
