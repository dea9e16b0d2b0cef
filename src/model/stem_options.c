/* stem_options.c - the options of a stem: their rows, what a spec says of them, and their normal form. */
#include "model/parts.h"

const wf_spec_key wf_stem_keys[] = {
    {"kind", "string", "token", "`token`: one row of a table per token; `frames`: rows of numbers through convolutions"},
    {"input", "string", "input_features", "of `frames`: the input"},
    {"channels", "integer", "1", "of `frames`: channels of the input"},
    {"channels_first", "boolean", "false", "of `frames`: inputs are given with their channels before their rows"},
    {"convs", "list", "[]", "of `frames`: convolutions over time; without them the rows of the input are those of the stream"},
    {"dim", "integer", "`dim`", "width of the tables; another than the model's needs `project`"},
    {"hashes", "object", "null",
     "instead of a table of the tokens several small ones, looked up by hashes of the token, their rows beside each other: "
     "`stem.token.N.weight` (CANINE)"},
    {"scale", "number", "1", "multiplies the rows of the tokens"},
    {"positions", "object", "none", "added to the rows"},
    {"padding", "integer", "-1", "token whose row gets no gradient; -1 is none"},
    {"span", "integer", "1",
     "the rows of so many tokens stand beside each other, an odd number, the last one first; needs `project` after `tokens` "
     "(MobileBERT)"},
    {"shared", "boolean", "false", "of an encoder: the table of the tokens is that of the model around it"},
    {"token_dropout", "object", "null", "the rows of one token are zero and the others scaled up, always (ESM)"},
    {"types", "boolean", "false", "token types are looked up in the token table too (GPT-2)"},
    {"tables", "list", "[]", "more tables that are added, each for ids of its own"},
    {"norm", "norm", "none", "after the sum"},
    {"norm_first", "boolean", "false", "that norm comes before positions and tables are added"},
    {"globals", "object", "none", "rows that are global for the mixers when no mask of them is given"},
    {"fill", "object", "none", "sequences are filled up to whole blocks with masked tokens"},
    {"masked", "boolean", "false", "rows of padding are zero after the norm"},
    {"ends", "boolean", "false", "without a mask, sequences end after as many rows as tokens differ from `padding` (XLM)"},
    {"side", "object", "null",
     "a second stream: the rows of the tables with `side` beside each other, projected, with positions of their own, normed"},
    {"variants", "string", "null", "name of the input that says which adapter a sequence, or each token, takes"},
    {"pads", "boolean", "false", "without a mask, rows of `padding` are masked (FSMT)"},
    {"clusters", "object", "null",
     "the table of the tokens in pieces, those of rare tokens narrower, each with a projection to the model's width"},
    {"queries", "object", "null",
     "streams of queries beside the rows, each begun by a learned row; mixers let them look at the rows, heads read the first"},
    {"pairs", "string", "null", "name of the input that hides rows from others: 1 at [i, j] hides row j from row i"},
    {"segments", "string", "null", "name of the input that says which segment a row is of, for the mixers"},
    {"dropout", "number", "0", "of the rows"},
    {"dropout_first", "boolean", "false", "the dropout comes before the norm (BigBird)"},
    {"project", "object", "null", "a dense layer from the width of the tables to the model's"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_position_keys[] = {
    {"kind", "string", "none",
     "`none`, `learned` (a table), `sinusoidal` (Vaswani et al. 2017, section 3.5) or `axial`: two tables side by side, for "
     "position / n and for position % n, n the rows of the second"},
    {"length", "integer", "`context`", "rows of the table: more positions than that are refused"},
    {"axes", "list", "axial: needed", "of `axial`: the rows of both tables; their product is the length"},
    {"widths", "list", "axial: needed", "of `axial`: the widths of both; their sum is that of the stream"},
    {"offset", "integer", "0", "row of the first position (OPT has 2)"},
    {"given", "string", "positions",
     "what the reference's input `position_ids` names: `positions`, or `rows` of the table, `offset` counted (Nystromformer)"},
    {"count", "string", "rows",
     "`rows`: the number of the row; `tokens`: `padding` + the number of tokens so far that are not `padding` (RoBERTa); "
     "`mask`: the number of rows so far that the mask keeps, less one; -1 for others (OPT)"},
    {"blank", "boolean", "false", "counting `tokens` or by the `mask`: padding has no position, a row of zeros (fairseq)"},
    {"layout", "string", "pairs", "of sinusoids: `pairs` of sine and cosine, or `halves`: all sines, then all cosines"},
    {"endpoint", "boolean", "false", "of sinusoids: the slowest rate is 1/10000 itself (fairseq)"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_table_keys[] = {
    {"name", "string", NULL, "the parameter is `stem.NAME.weight`"},
    {"input", "string", NULL, "the input that holds the ids"},
    {"rows", "integer", NULL, "rows of the table"},
    {"missing", "integer", "-1", "row that is looked up when the input is absent; -1 is none"},
    {"separator", "integer", "-1",
     "a token; when the input is absent, row 1 is looked up behind the first of it, and row 0 up to there; -1 is none"},
    {"padding", "integer", "-1", "row that gets no gradient; -1 is none"},
    {"columns", "list", "[0]",
     "an input that holds several ids for each token: the columns that are looked up, up to 4, each a number or the difference "
     "`[a, b]` of two"},
    {"join", "boolean", "false",
     "the rows stand beside those of the tokens instead of being added; needs `project` after `tokens`"},
    {"dim", "integer", "that of the other tables", "width of the rows that are joined"},
    {"side", "boolean", "false", "the rows stand beside those of the other such tables, as the stem's `side`"},
    {"of", "string", "null", "name of an earlier table whose weights these are"},
    {"kinds", "boolean", "false",
     "no table: the ids say to the mixers of which kind each row is (which of two texts it belongs to)"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_stem_project_keys[] = {
    {"after", "string", "dropout", "`tokens` (then the other tables have the model's width), `sum`, `norm` or `dropout`"},
    {"bias", "boolean", "true", "a learned bias"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_token_dropout_keys[] = {
    {"token", "integer", NULL, "whose rows are zero"},
    {"rate", "number", "0.12", "the usual share of the token: rows are multiplied by (1 - rate) / (1 - its share)"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_globals_keys[] = {
    {"rows", "string", "none", "`none`, `first`, `before` the first `token`, or `behind` it and the row after it"},
    {"token", "integer", "-1", "a separator"},
    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_side_keys[] = {{"dim", "integer", "that of the model with `copy`", "width of the stream"},
                                    {"copy", "boolean", "false", "it begins as the first stream, without tables"},
                                    {"rows", "integer", "0", "without tables: so many learned rows for every sequence"},
                                    {"norm", "norm", "none", "after the sum"},
                                    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_fill_keys[] = {{"multiple", "integer", "0", "the number of rows becomes a multiple of it; 0 is off"},
                                    {"beyond", "integer", "0", "sequences of at most so many rows stay as they are"},
                                    {"token", "integer", "0", "what they are filled with"},
                                    {NULL, NULL, NULL, NULL}};

const wf_spec_key wf_query_keys[] = {
    {"count", "integer", "1", "how many streams; each has a row for each of the others, with the position behind it"},
    {"map", "string", "null",
     "name of an input [B,P,T]: there is one stream of P rows, only when the input is given, which says where they stand among "
     "the "
     "T rows (XLNet)"},
    {NULL, NULL, NULL, NULL}};

static const char *const global_kinds[] = {"none", "first", "before", "behind", NULL};
static const char *const kinds[] = {"token", "frames", NULL};
static const char *const position_kinds[] = {"none", "learned", "sinusoidal", "axial", NULL};
static const char *const counts[] = {"rows", "tokens", "mask", NULL};
static const char *const givens[] = {"positions", "rows", NULL};
static const char *const layouts[] = {"pairs", "halves", NULL};
static const char *const places[] = {"none", "tokens", "sum", "norm", "dropout", NULL};

/* ---- reading ---- */
static bool read_two(const wf_json *list, int64_t out[2]) {
    bool two = list && list->kind == WF_JSON_ARRAY && list->count == 2;
    for (size_t i = 0; two && i < 2; i++) {
        const wf_json *j = wf_json_at(list, i);
        two = j->kind == WF_JSON_NUMBER && j->is_integer && j->integer >= 1 && j->integer <= WF_MAX_VOCAB;
        out[i] = two ? j->integer : 0;
    }
    return two;
}

static void read_axes(wf_options *o, const wf_json *j, wf_stem_spec *out) {
    bool fits = read_two(wf_json_get(j, "axes"), out->axes) && read_two(wf_json_get(j, "widths"), out->axis_dims);
    if (!fits || out->axes[0] > WF_MAX_VOCAB / out->axes[1])
        wf_option_fail(o, j, "axial positions need two 'axes' and two 'widths'");
    else
        out->length = out->axes[0] * out->axes[1];
}

static weft_status read_positions(wf_spec_reader *r, const wf_json *j, wf_stem_spec *out) {
    wf_options o = wf_part_open(j, "stem positions", wf_position_keys, r->err);
    int found = wf_option_word(&o, j, "kind", wf_option_text(&o, "kind", "none"), position_kinds);
    out->position = found < 0 ? WF_POSITION_NONE : (wf_position_kind)found;
    out->offset = wf_option_int(&o, "offset", 0, 0, WF_MAX_VOCAB);
    out->length = wf_option_int(&o, "length", found > 0 ? r->spec->context : 0, 0, WF_MAX_VOCAB);
    if (out->position == WF_POSITION_AXIAL)
        read_axes(&o, j, out);
    int count = wf_option_word(&o, j, "count", wf_option_text(&o, "count", "rows"), counts);
    out->count = count < 0 ? WF_COUNT_ROWS : (wf_position_count)count;
    out->given_rows = wf_option_word(&o, j, "given", wf_option_text(&o, "given", "positions"), givens) == 1;
    out->halves = wf_option_word(&o, j, "layout", wf_option_text(&o, "layout", "pairs"), layouts) == 1;
    out->endpoint = wf_option_bool(&o, "endpoint", false);
    out->blank = wf_option_bool(&o, "blank", false) && out->count != WF_COUNT_ROWS;
    if (found > 0 && out->length < 1)
        wf_option_fail(&o, j, "positions need a 'length' (or the model a 'context')");
    if (out->count == WF_COUNT_TOKENS && out->padding < 0)
        wf_option_fail(&o, j, "counting tokens needs the stem's 'padding'");
    return o.status;
}

static bool is_column(const wf_json *j) {
    return j && j->kind == WF_JSON_NUMBER && j->is_integer && j->integer >= 0 && j->integer < 64;
}

static weft_status read_columns(wf_options *o, const wf_json *list, wf_stem_table *out) {
    out->n_lookups = 1;
    out->plus[0] = 0;
    out->minus[0] = -1;
    if (!list)
        return o->status;
    if (list->kind != WF_JSON_ARRAY || list->count < 1 || list->count > WF_MAX_LOOKUPS)
        wf_option_fail(o, list, "'columns' must list 1 to %d columns", (int)WF_MAX_LOOKUPS);
    out->n_lookups = 0;
    for (const wf_json *j = o->status == WEFT_OK ? list->child : NULL; j; j = j->next) {
        bool pair = j->kind == WF_JSON_ARRAY && j->count == 2;
        const wf_json *plus = pair ? j->child : j, *minus = pair ? j->child->next : NULL;
        if (!is_column(plus) || (pair && !is_column(minus)))
            wf_option_fail(o, j, "a column is a number from 0, or a pair of them");
        out->plus[out->n_lookups] = plus->integer;
        out->minus[out->n_lookups++] = minus ? minus->integer : -1;
    }
    return o->status;
}

/* The number of the table whose weights this one uses. */
static int earlier_table(wf_options *o, const wf_json *j, const wf_stem_spec *s) {
    const char *name = wf_option_text(o, "of", NULL);
    for (int i = 0; name && i < s->n_tables; i++)
        if (wf_streq(s->tables[i].name, name) && s->tables[i].of < 0)
            return i;
    if (name)
        wf_option_fail(o, j, "'of' must be an earlier table with weights of its own, not '%s'", name);
    return -1;
}

static weft_status read_table(wf_spec_reader *r, const wf_json *j, wf_stem_table *out) {
    wf_options o = wf_part_open(j, "stem table", wf_table_keys, r->err);
    out->name = wf_option_text(&o, "name", NULL);
    out->input = wf_option_text(&o, "input", NULL);
    out->rows = wf_option_int(&o, "rows", 0, 1, WF_MAX_VOCAB);
    out->missing = wf_option_int(&o, "missing", -1, -1, WF_MAX_VOCAB);
    out->separator = wf_option_int(&o, "separator", -1, -1, WF_MAX_VOCAB);
    out->padding = wf_option_int(&o, "padding", -1, -1, WF_MAX_VOCAB);
    out->join = wf_option_bool(&o, "join", false);
    out->dim = wf_option_int(&o, "dim", r->spec->stem.dim, 1, WF_MAX_DIM);
    out->side = wf_option_bool(&o, "side", false);
    out->of = earlier_table(&o, j, &r->spec->stem);
    out->kinds = wf_option_bool(&o, "kinds", false);
    if (out->kinds && (out->side || out->join || out->of >= 0))
        wf_option_fail(&o, j, "'kinds' are not looked up");
    if (out->side && out->join)
        wf_option_fail(&o, j, "a table cannot both be joined and stand at the side");
    if (!out->name || !out->input || out->rows == 0)
        wf_option_fail(&o, j, "'name', 'input' and 'rows' are needed");
    if (out->separator >= 0 && (out->rows < 2 || out->missing >= 0))
        wf_option_fail(&o, j, "'separator' needs two rows, and no 'missing'");
    if (out->missing >= out->rows)
        wf_option_fail(&o, j, "'missing' must be one of the %lld rows", (long long)out->rows);
    return read_columns(&o, wf_json_get(j, "columns"), out);
}

static weft_status read_tables(wf_spec_reader *r, const wf_json *list, wf_stem_spec *s) {
    WF_CHECK(!list || list->kind == WF_JSON_ARRAY, r->err, WEFT_USAGE, "stem: 'tables' must be a list");
    WF_CHECK(!list || list->count <= WF_MAX_TABLES, r->err, WEFT_USAGE, "stem: at most %d tables", (int)WF_MAX_TABLES);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        WF_TRY(read_table(r, j, &s->tables[s->n_tables]));
        for (int i = 0; i < s->n_tables; i++)
            WF_CHECK(!wf_streq(s->tables[i].name, s->tables[s->n_tables].name), r->err, WEFT_USAGE,
                     "stem: two tables are called '%s'", s->tables[i].name);
        s->n_tables++;
    }
    return WEFT_OK;
}

static weft_status read_project(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    bool there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(j, "stem project", wf_stem_project_keys, r->err);
    s->project_bias = wf_option_bool(&o, "bias", true) && there;
    if (there)
        s->project = (wf_project_place)wf_option_word(&o, j, "after", wf_option_text(&o, "after", "dropout"), places);
    if (s->span > 1 && s->project != WF_PROJECT_TOKENS)
        wf_option_fail(&o, j, "a 'span' needs a projection after 'tokens'");
    for (int i = 0; i < s->n_tables; i++)
        if (s->tables[i].join && s->project != WF_PROJECT_TOKENS)
            wf_option_fail(&o, j, "joined tables need a projection after 'tokens'");
        else if (!s->tables[i].join && !s->tables[i].side)
            s->tables[i].dim = s->project == WF_PROJECT_TOKENS || s->clusters.count ? r->spec->dim : s->dim;
    if (!there && s->dim != r->spec->dim && s->clusters.count == 0)
        wf_option_fail(&o, j, "tables of width %lld need a projection to %lld", (long long)s->dim, (long long)r->spec->dim);
    return o.status;
}

static weft_status read_token_dropout(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    wf_options o = wf_part_open(j, "stem token_dropout", wf_token_dropout_keys, r->err);
    bool there = j && j->kind != WF_JSON_NULL;
    s->dropped_token = wf_option_int(&o, "token", -1, 0, WF_MAX_VOCAB);
    s->dropped_rate = (float)wf_option_float(&o, "rate", 0.12, 0.0, 0.99);
    if (there && s->dropped_token < 0)
        wf_option_fail(&o, j, "'token' is needed");
    return o.status;
}

static weft_status read_fill(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    wf_options o = wf_part_open(j, "stem fill", wf_fill_keys, r->err);
    s->fill = wf_option_int(&o, "multiple", 0, 0, INT32_MAX);
    s->fill_beyond = wf_option_int(&o, "beyond", 0, 0, INT32_MAX);
    s->fill_token = wf_option_int(&o, "token", 0, 0, r->spec->vocab - 1);
    return o.status;
}

static weft_status read_globals(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    wf_options o = wf_part_open(j, "stem globals", wf_globals_keys, r->err);
    int kind = wf_option_word(&o, j, "rows", wf_option_text(&o, "rows", "none"), global_kinds);
    s->globals = kind < 0 ? WF_GLOBALS_NONE : (wf_globals)kind;
    s->global_token = wf_option_int(&o, "token", -1, -1, WF_MAX_VOCAB);
    return o.status;
}

static weft_status read_side(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    bool there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(j, "stem side", wf_side_keys, r->err);
    s->side_copies = wf_option_bool(&o, "copy", false);
    s->side = wf_option_int(&o, "dim", s->side_copies ? r->spec->dim : 0, 1, WF_MAX_DIM);
    s->side_rows = wf_option_int(&o, "rows", 0, 0, WF_MAX_VOCAB);
    if (s->side_rows > 0 && s->side_copies)
        wf_option_fail(&o, j, "a 'copy' has no 'rows' of its own");
    if (s->side_copies && s->side != r->spec->dim)
        wf_option_fail(&o, j, "a copy has the width of the model");
    if (there && s->side < 1)
        wf_option_fail(&o, j, "'dim' is needed");
    int64_t lookups = 0;
    for (int i = 0; i < s->n_tables; i++) {
        const wf_stem_table *t = &s->tables[i], *of = t->of < 0 ? t : &s->tables[t->of];
        lookups += t->side ? t->n_lookups : 0;
        if (of->rows != t->rows || of->dim != t->dim)
            wf_option_fail(&o, j, "the tables '%s' and '%s' have other sizes", t->name, of->name);
    }
    if ((there && !s->side_copies && s->side_rows == 0) != (lookups > 0))
        wf_option_fail(&o, j, "'side' and tables with 'side' belong together");
    WF_TRY(o.status);
    const wf_json *norm = wf_json_get(j, "norm");
    return norm ? wf_norm_read(r, norm, "stem side norm", &s->side_norm) : WEFT_OK;
}

static weft_status read_queries(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s) {
    bool there = j && j->kind != WF_JSON_NULL;
    wf_options o = wf_part_open(j, "stem queries", wf_query_keys, r->err);
    s->queries = there ? wf_option_int(&o, "count", 1, 1, 64) : 0;
    s->query_map = wf_option_text(&o, "map", NULL);
    if (s->query_map && s->queries > 1)
        wf_option_fail(&o, j, "a stream with a 'map' is alone");
    return o.status;
}

weft_status wf_stem_read(wf_spec_reader *r, const wf_json *j) {
    wf_stem_spec *s = &r->spec->stem;
    wf_options o = wf_part_open(j, "stem", wf_stem_keys, r->err);
    bool frames = wf_option_word(&o, j, "kind", wf_option_text(&o, "kind", "token"), kinds) == 1;
    s->input = wf_option_text(&o, "input", "input_features");
    s->channels = frames ? wf_option_int(&o, "channels", 1, 1, WF_MAX_DIM) : 0;
    s->channels_first = wf_option_bool(&o, "channels_first", false) && frames;
    s->dim = wf_option_int(&o, "dim", r->spec->dim, 1, WF_MAX_DIM);
    s->scale = (float)wf_option_float(&o, "scale", 1.0, -1e6, 1e6);
    s->dropout = (float)wf_option_float(&o, "dropout", 0.0, 0.0, 0.99);
    s->padding = wf_option_int(&o, "padding", -1, -1, WF_MAX_VOCAB);
    s->types = wf_option_bool(&o, "types", false);
    s->dropout_first = wf_option_bool(&o, "dropout_first", false);
    s->masked = wf_option_bool(&o, "masked", false);
    s->ends = wf_option_bool(&o, "ends", false);
    s->span = wf_option_int(&o, "span", 1, 1, 63);
    if (s->span % 2 == 0)
        wf_option_fail(&o, j, "'span' must be odd");
    s->variants = wf_option_text(&o, "variants", NULL);
    s->shared = wf_option_bool(&o, "shared", false);
    s->pairs = wf_option_text(&o, "pairs", NULL);
    s->segments = wf_option_text(&o, "segments", NULL);
    s->pads = wf_option_bool(&o, "pads", false);
    s->norm_first = wf_option_bool(&o, "norm_first", false);
    WF_TRY(o.status);
    if (frames)
        WF_TRY(wf_frames_read(r, wf_json_get(j, "convs")));
    WF_TRY(read_positions(r, wf_json_get(j, "positions"), s));
    WF_TRY(read_tables(r, wf_json_get(j, "tables"), s));
    WF_TRY(wf_clusters_read(r, wf_json_get(j, "clusters"), r->spec->vocab, s->dim, &s->clusters));
    WF_TRY(read_project(r, wf_json_get(j, "project"), s));
    WF_CHECK(s->clusters.count == 0 ||
                 (s->project == WF_PROJECT_NONE && s->span == 1 && s->channels == 0 && !s->types && !s->shared),
             r->err, WEFT_USAGE, "stem: 'clusters' go neither with 'project' nor with 'span', 'types' and 'shared'");
    WF_TRY(read_side(r, wf_json_get(j, "side"), s));
    WF_TRY(read_fill(r, wf_json_get(j, "fill"), s));
    WF_TRY(read_globals(r, wf_json_get(j, "globals"), s));
    WF_TRY(read_token_dropout(r, wf_json_get(j, "token_dropout"), s));
    WF_TRY(wf_hashes_read(r, wf_json_get(j, "hashes"), s));
    WF_TRY(read_queries(r, wf_json_get(j, "queries"), s));
    const wf_json *norm = wf_json_get(j, "norm");
    return norm ? wf_norm_read(r, norm, "stem norm", &s->norm) : WEFT_OK;
}

/* ---- the normal form ---- */
static wf_json *normal_two(const wf_normal *of, const int64_t two[2]) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int i = 0; i < 2; i++)
        *of->failed |= !wf_json_push(list, wf_json_new_int(of->arena, two[i]));
    return list;
}

static wf_json *normal_positions(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_text(&w, "kind", position_kinds[stem->position]);
    if (stem->position == WF_POSITION_SINUSOIDAL) {
        wf_normal_text(&w, "layout", layouts[stem->halves]);
        wf_normal_bool(&w, "endpoint", stem->endpoint);
    }
    if (stem->position == WF_POSITION_AXIAL) {
        wf_normal_put(&w, "axes", normal_two(of, stem->axes));
        wf_normal_put(&w, "widths", normal_two(of, stem->axis_dims));
    }
    if (stem->position != WF_POSITION_NONE) {
        wf_normal_int(&w, "length", stem->length);
        wf_normal_int(&w, "offset", stem->offset);
        wf_normal_text(&w, "count", counts[stem->count]);
        if (stem->blank)
            wf_normal_bool(&w, "blank", true);
        if (stem->given_rows)
            wf_normal_text(&w, "given", givens[1]);
    }
    return w.object;
}

static wf_json *normal_columns(const wf_normal *of, const wf_stem_table *table) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int k = 0; k < table->n_lookups; k++) {
        wf_json *plus = wf_json_new_int(of->arena, table->plus[k]),
                *pair = table->minus[k] < 0 ? plus : wf_json_new(of->arena, WF_JSON_ARRAY);
        if (table->minus[k] >= 0)
            *of->failed |= !wf_json_push(pair, plus) || !wf_json_push(pair, wf_json_new_int(of->arena, table->minus[k]));
        *of->failed |= !wf_json_push(list, pair);
    }
    return list;
}

static wf_json *normal_tables(const wf_normal *of, const wf_stem_spec *stem) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int i = 0; i < stem->n_tables; i++) {
        wf_normal w = wf_normal_begin(of);
        wf_normal_text(&w, "name", stem->tables[i].name);
        wf_normal_text(&w, "input", stem->tables[i].input);
        wf_normal_int(&w, "rows", stem->tables[i].rows);
        wf_normal_int(&w, "missing", stem->tables[i].missing);
        if (stem->tables[i].separator >= 0)
            wf_normal_int(&w, "separator", stem->tables[i].separator);
        wf_normal_int(&w, "padding", stem->tables[i].padding);
        wf_normal_put(&w, "columns", normal_columns(of, &stem->tables[i]));
        wf_normal_bool(&w, "join", stem->tables[i].join);
        wf_normal_int(&w, "dim", stem->tables[i].dim);
        wf_normal_bool(&w, "side", stem->tables[i].side);
        if (stem->tables[i].kinds)
            wf_normal_bool(&w, "kinds", true);
        if (stem->tables[i].of >= 0)
            wf_normal_text(&w, "of", stem->tables[stem->tables[i].of].name);
        *of->failed |= !wf_json_push(list, w.object);
    }
    return list;
}

static wf_json *normal_project(const wf_normal *of, const wf_stem_spec *stem) {
    if (stem->project == WF_PROJECT_NONE)
        return wf_json_new(of->arena, WF_JSON_NULL);
    wf_normal w = wf_normal_begin(of);
    wf_normal_text(&w, "after", places[stem->project]);
    wf_normal_bool(&w, "bias", stem->project_bias);
    return w.object;
}

static wf_json *normal_token_dropout(const wf_normal *of, const wf_stem_spec *stem) {
    if (stem->dropped_token < 0)
        return wf_json_new(of->arena, WF_JSON_NULL);
    wf_normal w = wf_normal_begin(of);
    wf_normal_int(&w, "token", stem->dropped_token);
    wf_normal_float(&w, "rate", stem->dropped_rate);
    return w.object;
}

static wf_json *normal_fill(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_int(&w, "multiple", stem->fill);
    wf_normal_int(&w, "beyond", stem->fill_beyond);
    wf_normal_int(&w, "token", stem->fill_token);
    return w.object;
}

static wf_json *normal_globals(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_text(&w, "rows", global_kinds[stem->globals]);
    wf_normal_int(&w, "token", stem->global_token);
    return w.object;
}

static wf_json *normal_side(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    if (stem->side == 0)
        return wf_json_new(of->arena, WF_JSON_NULL);
    wf_normal_int(&w, "dim", stem->side);
    wf_normal_bool(&w, "copy", stem->side_copies);
    if (stem->side_rows > 0)
        wf_normal_int(&w, "rows", stem->side_rows);
    wf_normal_put(&w, "norm", wf_norm_normal(of, &stem->side_norm));
    return w.object;
}

static wf_json *normal_queries(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_int(&w, "count", stem->queries);
    if (stem->query_map)
        wf_normal_text(&w, "map", stem->query_map);
    return w.object;
}

wf_json *wf_stem_normal(const wf_normal *of, const wf_stem_spec *stem) {
    wf_normal w = wf_normal_begin(of);
    wf_normal_text(&w, "kind", kinds[stem->channels > 0]);
    if (stem->channels) {
        wf_normal_text(&w, "input", stem->input);
        wf_normal_int(&w, "channels", stem->channels);
        wf_normal_bool(&w, "channels_first", stem->channels_first);
        wf_normal_put(&w, "convs", wf_frames_normal(&w, stem));
    }
    wf_normal_int(&w, "dim", stem->dim);
    if (stem->n_hashes)
        wf_normal_put(&w, "hashes", wf_hashes_normal(of, stem));
    wf_normal_float(&w, "scale", stem->scale);
    wf_normal_float(&w, "dropout", stem->dropout);
    wf_normal_bool(&w, "dropout_first", stem->dropout_first);
    wf_normal_put(&w, "positions", normal_positions(of, stem));
    wf_normal_int(&w, "padding", stem->padding);
    wf_normal_put(&w, "token_dropout", normal_token_dropout(of, stem));
    wf_normal_int(&w, "span", stem->span);
    wf_normal_bool(&w, "types", stem->types);
    wf_normal_put(&w, "tables", normal_tables(of, stem));
    wf_normal_put(&w, "side", normal_side(of, stem));
    wf_normal_put(&w, "fill", normal_fill(of, stem));
    wf_normal_put(&w, "globals", normal_globals(of, stem));
    wf_normal_bool(&w, "masked", stem->masked);
    wf_normal_bool(&w, "ends", stem->ends);
    if (stem->variants)
        wf_normal_text(&w, "variants", stem->variants);
    if (stem->clusters.count)
        wf_normal_put(&w, "clusters", wf_clusters_normal(of, &stem->clusters, false));
    if (stem->queries)
        wf_normal_put(&w, "queries", normal_queries(of, stem));
    if (stem->pairs)
        wf_normal_text(&w, "pairs", stem->pairs);
    if (stem->segments)
        wf_normal_text(&w, "segments", stem->segments);
    if (stem->pads)
        wf_normal_bool(&w, "pads", true);
    if (stem->norm_first)
        wf_normal_bool(&w, "norm_first", true);
    if (stem->shared)
        wf_normal_bool(&w, "shared", true);
    wf_normal_put(&w, "project", normal_project(of, stem));
    wf_normal_put(&w, "norm", wf_norm_normal(of, &stem->norm));
    return w.object;
}
