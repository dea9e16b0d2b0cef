/* tokenize.c - text to tokens and back; training, comparing and chats are parts of their own (tokenize_*.c). */
#include "jobs/tokenize.h"
#include "jobs/put.h"

static const char *const shows[WF_SHOWS] = {"ids", "pieces", "table", "count", "text"};

/* ---- the request ---- */

static wf_tokenize_show read_show(wf_options *o, bool chat) {
    const char *word = wf_option_text(o, "show", "ids");
    for (int i = 0; i < WF_SHOWS; i++)
        if (wf_streq(word, shows[i]) && (chat || i != WF_SHOW_TEXT))
            return (wf_tokenize_show)i;
    wf_option_fail(o, wf_json_get(o->object, "show"), "'show' is one of ids, pieces, table, count%s, not '%s'",
                   chat ? ", text" : "", word);
    return WF_SHOW_IDS;
}

static const wf_json *option_json(wf_options *o, const char *key) {
    return o->status == WEFT_OK ? wf_json_get(o->object, key) : NULL;
}

static void read_training(wf_job *job, wf_options *o, wf_tokenize_request *r) {
    r->out = wf_option_text(o, "out", NULL);
    r->like = wf_option_text(o, "like", NULL);
    r->vocab = (int64_t)wf_job_positive(o, "vocab", wf_job_count(o, "vocab", 0));
    r->min_frequency = wf_option_int(o, "min_frequency", -1, 0, INT32_MAX);
    r->special_tokens = option_json(o, "special_tokens");
    r->trainer = option_json(o, "trainer");
}

static weft_status read_request(wf_job *job, wf_tokenize_request *r) {
    static const char *const words[] = {"tokenizer",     "text",
                                        "string",        "format",
                                        "field",         "lines",
                                        "show",          "no_specials",
                                        "plain",         "limits",
                                        "bytes",         "decode",
                                        "skip_specials", "records",
                                        "train",         "out",
                                        "like",          "vocab",
                                        "min_frequency", "special_tokens",
                                        "trainer",       "compare",
                                        "examples",      "chat",
                                        "template",      "generation_prompt",
                                        "continue",      NULL};
    wf_options o = wf_options_open(job->options, "tokenize", words, job->err);
    *r = (wf_tokenize_request){.tokenizer = wf_job_model(job, &o, "tokenizer"), .string = wf_option_text(&o, "string", NULL)};
    r->format = wf_option_text(&o, "format", NULL);
    r->paths = wf_job_texts(job, &o, "text", &r->n_paths);
    r->fields = wf_job_texts(job, &o, "field", &r->n_fields);
    r->train = wf_option_text(&o, "train", NULL);
    r->compare = wf_job_model(job, &o, "compare");
    r->chat = wf_option_text(&o, "chat", NULL);
    r->decode = wf_option_bool(&o, "decode", false);
    r->show = read_show(&o, r->chat != NULL);
    r->lines = wf_option_bool(&o, "lines", false);
    r->specials = !wf_option_bool(&o, "no_specials", false);
    r->plain = wf_option_bool(&o, "plain", false);
    r->limits = wf_option_bool(&o, "limits", false);
    r->bytes = wf_option_bool(&o, "bytes", false);
    r->skip_specials = wf_option_bool(&o, "skip_specials", false);
    r->records = wf_option_bool(&o, "records", true);
    r->examples = wf_option_int(&o, "examples", 10, 0, 1000000);
    r->template_ = wf_option_text(&o, "template", NULL);
    r->go_on = wf_option_text(&o, "continue", NULL);
    r->generation_prompt = wf_option_bool(&o, "generation_prompt", false);
    read_training(job, &o, r);
    return o.status;
}

/* ---- texts ---- */

static weft_status push(wf_job *job, wf_tokenize_texts *t, const char *data, size_t length) {
    WF_TRY(wf_grow(&job->env->mem, (void **)&t->list, &t->capacity, t->count + 1, sizeof *t->list, job->err));
    t->list[t->count++] = (wf_bytes){data, length};
    return WEFT_OK;
}

/* Line ends belong to no text; an end at the end of a document begins no further line. */
bool wf_tokenize_next_line(const char *data, size_t *at, size_t length, wf_bytes *line) {
    if (*at >= length)
        return false;
    const char *begin = data + *at, *stop = memchr(begin, '\n', length - *at);
    size_t n = stop ? (size_t)(stop - begin) : length - *at;
    *at += n + 1;
    *line = (wf_bytes){begin, n - (n > 0 && begin[n - 1] == '\r')};
    return true;
}

weft_status wf_tokenize_push_lines(wf_job *job, wf_tokenize_texts *t, const char *data, size_t length) {
    wf_bytes line;
    for (size_t at = 0; wf_tokenize_next_line(data, &at, length, &line);)
        WF_TRY(push(job, t, line.data, line.length));
    return WEFT_OK;
}

static weft_status read_texts(wf_job *job, const wf_tokenize_request *r, wf_tokenize_texts *t) {
    static const char *const stdin_path[] = {"-"};
    wf_text_options how = {.format = r->format, .fields = r->fields, .n_fields = r->n_fields, .empty = true};
    if (r->string) {
        WF_TRY(wf_text_put(&t->text, r->string, strlen(r->string), job->err));
        return wf_text_end(&t->text, job->err);
    }
    return wf_text_load(job->env, r->n_paths ? r->paths : stdin_path, r->n_paths ? r->n_paths : 1, &how, &t->text, job->err);
}

weft_status wf_tokenize_load(wf_job *job, const wf_tokenize_request *r, wf_tokenize_texts *out) {
    *out = (wf_tokenize_texts){.text = wf_text_new(&job->env->mem)};
    weft_status status = read_texts(job, r, out);
    for (size_t i = 0, start = 0; status == WEFT_OK && i < out->text.count; start = out->text.ends[i++])
        status = (r->lines ? wf_tokenize_push_lines : push)(job, out, out->text.bytes + start, out->text.ends[i] - start);
    if (status == WEFT_OK && r->string && !out->count) /* an empty text is one */
        status = push(job, out, "", 0);
    if (status)
        wf_tokenize_texts_free(out);
    return status;
}

void wf_tokenize_texts_free(wf_tokenize_texts *texts) {
    wf_free(texts->text.mem, texts->list);
    wf_text_free(&texts->text);
}

/* ---- showing ---- */

void wf_tokenize_put_piece(wf_str *out, wf_bytes piece) {
    bool quote = piece.length == 0;
    for (size_t i = 0; i < piece.length; i++)
        quote |= (unsigned char)piece.data[i] <= ' ' || piece.data[i] == '"' || piece.data[i] == 0x7F;
    if (!quote) {
        wf_str_put(out, piece.data, piece.length);
        return;
    }
    wf_json_writer w;
    wf_json_writer_init(&w, out, 0);
    wf_jw_string_n(&w, piece.data, piece.length);
}

typedef struct showing {
    wf_job *job;
    const wf_tokenize_request *r;
    wf_json *list; /* of records; NULL: none are kept */
    wf_tokenize_counts *counts;
} showing;

static wf_json *new_record(showing *s, size_t tokens, size_t bytes) {
    s->counts->texts++;
    s->counts->tokens += tokens;
    s->counts->bytes += bytes;
    if (!s->list)
        return NULL;
    wf_json *one = wf_json_push(s->list, wf_json_new(s->job->arena, WF_JSON_OBJECT));
    wf_put_int(s->job->arena, one, "tokens", (int64_t)tokens);
    wf_put_int(s->job->arena, one, "bytes", (int64_t)bytes);
    return one;
}

static void put_ids(showing *s, wf_json *record, const uint32_t *ids, size_t n) {
    wf_json *list = record && s->r->show != WF_SHOW_COUNT ? wf_put_list(s->job->arena, record, "ids") : NULL;
    for (size_t i = 0; list && i < n; i++)
        wf_json_push(list, wf_json_new_int(s->job->arena, ids[i]));
}

static void show_ids(showing *s, const wf_ids *ids, size_t bytes) {
    wf_str *text = &s->job->text;
    put_ids(s, new_record(s, ids->count, bytes), ids->data, ids->count);
    if (s->r->show == WF_SHOW_COUNT) {
        wf_str_printf(text, "%zu\n", ids->count);
        return;
    }
    for (size_t i = 0; i < ids->count; i++)
        wf_str_printf(text, i ? " %u" : "%u", (unsigned)ids->data[i]);
    wf_str_putc(text, '\n');
}

wf_json *wf_tokenize_piece_json(wf_arena *arena, wf_bytes piece) {
    wf_str s = wf_str_new(arena->mem); /* through the writer, which replaces what is no UTF-8 */
    wf_json_writer w;
    wf_json *out = NULL;
    wf_json_writer_init(&w, &s, 0);
    wf_jw_string_n(&w, piece.data, piece.length);
    if (!s.failed)
        wf_json_parse(arena, s.data, s.length, 0, &out, NULL);
    wf_str_free(&s);
    return out;
}

static void put_encoding(showing *s, wf_json *record, const wf_encoding *g) {
    wf_arena *arena = s->job->arena;
    wf_json *pieces = wf_put_list(arena, record, "pieces"), *offsets = NULL;
    put_ids(s, record, g->ids, g->count);
    if (s->r->show == WF_SHOW_TABLE)
        offsets = wf_put_list(arena, record, "offsets");
    for (size_t i = 0; i < g->count; i++) {
        wf_json_push(pieces, wf_tokenize_piece_json(arena, g->pieces[i]));
        wf_json *pair = offsets ? wf_json_push(offsets, wf_json_new(arena, WF_JSON_ARRAY)) : NULL;
        wf_json_push(pair, wf_json_new_int(arena, g->spans[i].start));
        wf_json_push(pair, wf_json_new_int(arena, g->spans[i].end));
    }
}

static void show_encoding(showing *s, const wf_encoding *g, size_t bytes) {
    wf_str *text = &s->job->text;
    wf_json *record = new_record(s, g->count, bytes);
    if (record)
        put_encoding(s, record, g);
    if (s->r->show == WF_SHOW_TABLE && s->counts->texts > 1)
        wf_str_putc(text, '\n');
    for (size_t i = 0; i < g->count; i++) {
        if (s->r->show == WF_SHOW_TABLE)
            wf_str_printf(text, "%u\t%u\t%u\t", (unsigned)g->ids[i], (unsigned)g->spans[i].start, (unsigned)g->spans[i].end);
        else
            wf_str_puts(text, i ? " " : "");
        wf_tokenize_put_piece(text, g->pieces[i]);
        wf_str_puts(text, s->r->show == WF_SHOW_TABLE ? "\n" : "");
    }
    if (s->r->show != WF_SHOW_TABLE)
        wf_str_putc(text, '\n');
}

unsigned wf_tokenize_flags(const wf_tokenize_request *r) {
    return (r->specials ? WF_ENCODE_SPECIALS : 0u) | (r->plain ? WF_ENCODE_PLAIN : 0u) |
           (r->limits ? 0u : WF_ENCODE_UNLIMITED) | (r->bytes ? WF_ENCODE_BYTE_OFFSETS : 0u);
}

/* Ids alone, over the threads. */
static weft_status show_fast(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, const wf_bytes *texts,
                             size_t n, wf_tokenize_counts *counts) {
    wf_tokenize_ids *ids;
    WF_TRY(wf_tokenize_ids_open(job, r, tok, counts, &ids));
    weft_status status = wf_tokenize_ids_put(ids, texts, n);
    wf_tokenize_ids_close(ids);
    return status;
}

static weft_status show_full(showing *s, const wf_tokenizer *tok, const wf_bytes *texts, size_t n) {
    wf_encoder *e;
    wf_encoding g = wf_encoding_new(&s->job->env->mem);
    weft_status status = wf_encoder_create(tok, &e, s->job->err);
    WF_TRY(status);
    for (size_t i = 0; i < n && status == WEFT_OK; i++) {
        status = wf_encode_text(e, &(wf_text_input){.text = texts[i]}, NULL, wf_tokenize_flags(s->r), &g, s->job->err);
        if (status == WEFT_OK && (s->r->show == WF_SHOW_PIECES || s->r->show == WF_SHOW_TABLE))
            show_encoding(s, &g, texts[i].length);
        else if (status == WEFT_OK)
            show_ids(s, &(wf_ids){.data = g.ids, .count = g.count}, texts[i].length);
        if (status == WEFT_OK)
            status = wf_job_hand_out(s->job);
        if (status == WEFT_OK)
            status = wf_stopped(s->job->env);
    }
    wf_encoding_free(&g);
    wf_encoder_free(e);
    return status;
}

weft_status wf_tokenize_show_texts(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, const wf_bytes *texts,
                                   size_t n, wf_tokenize_counts *counts) {
    bool full = r->limits || r->show == WF_SHOW_PIECES || r->show == WF_SHOW_TABLE;
    if (!full)
        return show_fast(job, r, tok, texts, n, counts);
    showing s = {job, r, r->records ? wf_put_list(job->arena, job->json, "texts") : NULL, counts};
    return show_full(&s, tok, texts, n);
}

weft_status wf_tokenize_put_text(wf_job *job, const wf_tokenize_request *r, const wf_str *text) {
    bool ends = text->length && memchr(text->data, 0, text->length);
    WF_CHECK(r->records || !ends, job->err, WEFT_UNSUPPORTED, "the text holds a zero byte, which only JSON can show");
    wf_str_put(&job->text, text->data, text->length);
    return WEFT_OK;
}

/* ---- encoding, decoding ---- */

static weft_status open_tokenizer(wf_job *job, const wf_tokenize_request *r, wf_tokenizer **out) {
    WF_CHECK(r->tokenizer, job->err, WEFT_USAGE, "tokenize: which tokenizer? 'tokenizer' names a file or a folder");
    return wf_tokenizer_open_on(&job->env->mem, job->env->pool, r->tokenizer, out, job->err);
}

static void tell(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, const wf_tokenize_counts *c) {
    double ratio = c->tokens ? (double)c->bytes / (double)c->tokens : NAN;
    wf_put_text(job->arena, job->json, "tokenizer", r->tokenizer);
    wf_put_int(job->arena, job->json, "vocab", (int64_t)wf_tokenizer_vocab(tok));
    wf_put_int(job->arena, job->json, "tokens", (int64_t)c->tokens);
    wf_put_int(job->arena, job->json, "bytes", (int64_t)c->bytes);
    wf_put_number(job->arena, job->json, "bytes_per_token", ratio);
    if (r->show == WF_SHOW_COUNT)
        wf_str_printf(&job->text, "%zu tokens, %zu bytes, %.3f bytes per token\n", c->tokens, c->bytes,
                      c->tokens ? ratio : 0.0);
}

weft_status wf_tokenize_encode(wf_job *job, const wf_tokenize_request *r) {
    wf_tokenize_texts texts;
    wf_tokenizer *tok;
    wf_tokenize_counts counts = {0};
    WF_TRY(open_tokenizer(job, r, &tok));
    bool streams = wf_tokenize_streams(r), file = wf_tokenize_is_plain_file(r);
    weft_status status = streams ? wf_tokenize_stream(job, r, tok, &counts)
                         : file  ? wf_tokenize_file(job, r, tok, &counts)
                                 : wf_tokenize_load(job, r, &texts);
    if (status == WEFT_OK && !streams && !file) {
        status = wf_tokenize_show_texts(job, r, tok, texts.list, texts.count, &counts);
        wf_tokenize_texts_free(&texts);
    }
    if (status == WEFT_OK)
        tell(job, r, tok, &counts);
    wf_tokenizer_free(tok);
    return status;
}

static bool is_between(char c) { return memchr(" \t\r\n,;[]()", c, 10) != NULL; }

/* The bytes to show of what is no number. */
static int word_length(const char *at, const char *end) {
    int n = 0;
    while (at + n < end && n < 20 && !is_between(at[n]))
        n++;
    return n;
}

/* Numbers with anything of " ,;[]()" and white space between them: what this command, JSON and Python print. */
static weft_status read_ids(wf_job *job, wf_bytes text, wf_ids *ids) {
    const char *at = text.data, *end = at + text.length;
    for (ids->count = 0; at < end;) {
        size_t n = 0;
        int64_t id;
        if (is_between(*at)) {
            at++;
            continue;
        }
        while (at + n < end && at[n] >= '0' && at[n] <= '9')
            n++;
        WF_CHECK(n > 0 && wf_parse_i64(at, n, &id) && id <= UINT32_MAX, job->err, WEFT_BAD_INPUT,
                 "byte %zu of the ids is no token id: '%.*s'", (size_t)(at - text.data), word_length(at, end), at);
        WF_TRY(wf_grow(ids->mem, (void **)&ids->data, &ids->capacity, ids->count + 1, sizeof *ids->data, job->err));
        ids->data[ids->count++] = (uint32_t)id;
        at += n;
    }
    return WEFT_OK;
}

static weft_status decode_one(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_json *list,
                              const wf_ids *ids) {
    wf_str text = wf_str_new(&job->env->mem);
    weft_status status = wf_tokenizer_decode(
        tok, ids->data, ids->count, WF_DECODE_TEXT | (r->skip_specials ? WF_DECODE_SKIP_SPECIALS : 0u), &text, job->err);
    if (status == WEFT_OK && text.failed)
        status = wf_fail_memory(job->err);
    if (status == WEFT_OK && list)
        wf_json_push(list, wf_json_new_string(job->arena, wf_str_text(&text), text.length));
    if (status == WEFT_OK)
        status = wf_tokenize_put_text(job, r, &text);
    if (status == WEFT_OK && r->lines)
        wf_str_putc(&job->text, '\n');
    wf_str_free(&text);
    return status;
}

typedef struct unknown_ids {
    size_t count;
    uint32_t first;
} unknown_ids;

/* One whose piece is nothing may still be known by that. */
static bool is_unknown(const wf_tokenizer *tok, uint32_t id) {
    return wf_tokenizer_piece(tok, id).length == 0 && wf_tokenizer_id(tok, "", 0) != (int64_t)id;
}

static void count_unknown(const wf_tokenizer *tok, const wf_ids *ids, unknown_ids *unknown) {
    for (size_t i = 0; i < ids->count; i++)
        if (is_unknown(tok, ids->data[i]) && unknown->count++ == 0)
            unknown->first = ids->data[i];
}

static weft_status decode_all(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok,
                              const wf_tokenize_texts *texts) {
    wf_json *list = r->records ? wf_put_list(job->arena, job->json, "texts") : NULL;
    wf_ids ids = wf_ids_new(&job->env->mem);
    weft_status status = WEFT_OK;
    unknown_ids unknown = {0};
    for (size_t i = 0; i < texts->count && status == WEFT_OK; i++) {
        status = read_ids(job, texts->list[i], &ids);
        count_unknown(tok, &ids, &unknown);
        if (status == WEFT_OK)
            status = decode_one(job, r, tok, list, &ids);
        if (status == WEFT_OK)
            status = wf_job_hand_out(job);
    }
    wf_ids_free(&ids);
    if (status == WEFT_OK && unknown.count)
        wf_log(job->env, WF_WARN, "%s: %zu of the ids %s no token's and left out, the first of them %u", r->tokenizer,
               unknown.count, unknown.count == 1 ? "is" : "are", (unsigned)unknown.first);
    return status;
}

weft_status wf_tokenize_decode(wf_job *job, const wf_tokenize_request *r) {
    wf_tokenize_texts texts;
    wf_tokenizer *tok;
    WF_TRY(open_tokenizer(job, r, &tok));
    weft_status status = wf_tokenize_load(job, r, &texts);
    if (status == WEFT_OK) {
        status = decode_all(job, r, tok, &texts);
        wf_tokenize_texts_free(&texts);
    }
    wf_tokenizer_free(tok);
    return status;
}

weft_status wf_job_tokenize(wf_job *job) {
    wf_tokenize_request r;
    WF_TRY(read_request(job, &r));
    int asked = (r.decode ? 1 : 0) + (r.train != NULL) + (r.compare != NULL) + (r.chat != NULL);
    WF_CHECK(asked <= 1, job->err, WEFT_USAGE, "tokenize: one of decode, train, compare and chat at a time");
    WF_CHECK(!r.string || r.n_paths == 0, job->err, WEFT_USAGE, "tokenize: either a string or files, not both");
    if (r.decode)
        return wf_tokenize_decode(job, &r);
    if (r.train)
        return wf_tokenize_train(job, &r);
    if (r.compare)
        return wf_tokenize_compare(job, &r);
    return r.chat ? wf_tokenize_chat(job, &r) : wf_tokenize_encode(job, &r);
}
