/* weft_tokens.c - the facade's third part: tokens with their places, streaming decoders, conversations. */
#include <string.h>
#include <time.h>
#include "formats/hub.h"
#include "template/chat.h"
#include "text/tokenizer.h"
#include "weft_handle.h"

/* ---- tokens ---- */
const char *weft_tokenizer_piece(const weft_tokenizer *t, int32_t id, size_t *length) {
    wf_bytes piece = id >= 0 ? wf_tokenizer_piece(t->tok, (uint32_t)id) : (wf_bytes){NULL, 0};
    *length = piece.length;
    return piece.data;
}

int32_t weft_tokenizer_id(const weft_tokenizer *t, const char *piece, size_t length) {
    return (int32_t)wf_tokenizer_id(t->tok, piece, length);
}

static weft_status copy_tokens(const weft_tokenizer *t, const wf_encoding *g, weft_tokens *out, weft_error *err) {
    weft_tokens copy = {.count = g->count, .ids = wf_calloc(&t->mem, g->count + 1, sizeof *copy.ids)};
    copy.starts = wf_calloc(&t->mem, g->count + 1, sizeof *copy.starts);
    copy.ends = wf_calloc(&t->mem, g->count + 1, sizeof *copy.ends);
    if (!copy.ids || !copy.starts || !copy.ends) {
        weft_tokens_free(t, &copy);
        return wf_fail_memory(err);
    }
    for (size_t i = 0; i < g->count; i++) {
        copy.ids[i] = (int32_t)g->ids[i];
        copy.starts[i] = g->spans[i].start;
        copy.ends[i] = g->spans[i].end;
    }
    *out = copy;
    return WEFT_OK;
}

static weft_status read_flags(unsigned flags, unsigned known, const char *where, unsigned *out, weft_error *err) {
    WF_CHECK((flags & ~known) == 0, err, WEFT_USAGE, "%s: unknown flags %#x", where, flags & ~known);
    *out = WF_ENCODE_UNLIMITED | (flags & WEFT_ENCODE_NO_SPECIALS ? 0u : WF_ENCODE_SPECIALS) |
           (flags & WEFT_ENCODE_PLAIN ? WF_ENCODE_PLAIN : 0u) | (flags & WEFT_ENCODE_CHARACTERS ? 0u : WF_ENCODE_BYTE_OFFSETS);
    return WEFT_OK;
}

weft_status weft_tokenizer_tokens(const weft_tokenizer *t, const char *text, size_t length, unsigned flags, weft_tokens *out,
                                  weft_error *err) {
    const unsigned known = WEFT_ENCODE_NO_SPECIALS | WEFT_ENCODE_PLAIN | WEFT_ENCODE_CHARACTERS;
    unsigned how;
    wf_encoder *e;
    wf_encoding g = wf_encoding_new(&t->mem);
    WF_TRY(read_flags(flags, known, "weft_tokenizer_tokens", &how, err));
    WF_TRY(wf_encoder_create(t->tok, &e, err));
    weft_status status = wf_encode_text(e, &(wf_text_input){.text = {text, length}}, NULL, how, &g, err);
    if (status == WEFT_OK)
        status = copy_tokens(t, &g, out, err);
    wf_encoding_free(&g);
    wf_encoder_free(e);
    return status;
}

void weft_tokens_free(const weft_tokenizer *t, weft_tokens *tokens) {
    if (!t || !tokens)
        return;
    wf_free(&t->mem, tokens->ids);
    wf_free(&t->mem, tokens->starts);
    wf_free(&t->mem, tokens->ends);
    *tokens = (weft_tokens){0};
}

/* ---- many texts ---- */

/* The lists become the texts' own, all or none. */
static weft_status hand_over(const weft_tokenizer *t, const wf_ids *lists, weft_text *texts, size_t n, weft_error *err) {
    int32_t **copies = wf_calloc(&t->mem, n, sizeof *copies);
    bool failed = !copies;
    for (size_t i = 0; i < n && !failed; i++) {
        copies[i] = wf_calloc(&t->mem, lists[i].count + 1, sizeof **copies);
        failed = !copies[i];
        for (size_t k = 0; k < lists[i].count && !failed; k++)
            copies[i][k] = (int32_t)lists[i].data[k];
    }
    for (size_t i = 0; i < n && copies; i++) {
        if (failed) {
            wf_free(&t->mem, copies[i]);
            continue;
        }
        texts[i].ids = copies[i];
        texts[i].count = lists[i].count;
    }
    wf_free(&t->mem, copies);
    return failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status encode_lists(weft *lib, const weft_tokenizer *t, const wf_bytes *list, size_t n, unsigned how, wf_ids *lists,
                                weft_error *err) {
    wf_encoders *set;
    WF_TRY(wf_encoders_create(t->tok, &lib->env, &set, err));
    weft_status status = wf_encode_many(set, list, n, how, lists, err);
    wf_encoders_free(set);
    return status;
}

weft_status weft_tokenizer_encode_many(weft *lib, const weft_tokenizer *t, weft_text *texts, size_t n, unsigned flags,
                                       weft_error *err) {
    unsigned how;
    WF_TRY(read_flags(flags, WEFT_ENCODE_NO_SPECIALS | WEFT_ENCODE_PLAIN, "weft_tokenizer_encode_many", &how, err));
    wf_bytes *list = wf_calloc(&t->mem, n + 1, sizeof *list);
    wf_ids *lists = wf_calloc(&t->mem, n + 1, sizeof *lists);
    weft_status status = list && lists ? WEFT_OK : wf_fail_memory(err);
    for (size_t i = 0; i < n && status == WEFT_OK; i++) {
        list[i] = (wf_bytes){texts[i].text, texts[i].length};
        lists[i] = wf_ids_new(&t->mem);
    }
    if (status == WEFT_OK && n)
        status = encode_lists(lib, t, list, n, how, lists, err);
    if (status == WEFT_OK && n)
        status = hand_over(t, lists, texts, n, err);
    for (size_t i = 0; i < n && lists; i++)
        wf_free(&t->mem, lists[i].data);
    wf_free(&t->mem, list);
    wf_free(&t->mem, lists);
    return status;
}

/* ---- decoders ---- */
struct weft_decoder {
    wf_mem mem;
    wf_text_stream stream;
    wf_str text;
};

weft_status weft_decoder_create(const weft_tokenizer *t, weft_decoder **out, weft_error *err) {
    weft_decoder *d = wf_calloc(&t->mem, 1, sizeof *d);
    if (!d)
        return wf_fail_memory(err);
    d->mem = t->mem;
    d->stream = wf_text_stream_new(t->tok, WF_DECODE_SKIP_SPECIALS);
    d->text = wf_str_new(&d->mem);
    *out = d;
    return WEFT_OK;
}

void weft_decoder_free(weft_decoder *d) {
    if (!d)
        return;
    wf_mem mem = d->mem;
    wf_text_stream_free(&d->stream);
    wf_str_free(&d->text);
    wf_free(&mem, d);
}

static weft_status hand_out(weft_decoder *d, weft_status status, const char **text, size_t *length, weft_error *err) {
    WF_TRY(status);
    if (d->text.failed)
        return wf_fail_memory(err);
    *text = wf_str_text(&d->text);
    if (length)
        *length = d->text.length;
    return WEFT_OK;
}

weft_status weft_decoder_put(weft_decoder *d, int32_t id, const char **text, size_t *length, weft_error *err) {
    wf_str_clear(&d->text);
    return hand_out(d, wf_text_stream_put(&d->stream, id >= 0 ? (uint32_t)id : UINT32_MAX, &d->text, err), text, length, err);
}

weft_status weft_decoder_end(weft_decoder *d, const char **text, size_t *length, weft_error *err) {
    wf_str_clear(&d->text);
    return hand_out(d, wf_text_stream_end(&d->stream, &d->text, err), text, length, err);
}

/* ---- conversations ---- */
static weft_status take_spans(weft *lib, wf_arena *arena, const wf_template_result *rendered, char **out, weft_error *err) {
    wf_json *json = wf_json_new(arena, WF_JSON_OBJECT),
            *list = wf_json_put(arena, json, "assistant_spans", wf_json_new(arena, WF_JSON_ARRAY));
    wf_str text = wf_str_new(&lib->env.mem);
    for (size_t i = 0; i < rendered->n_spans; i++) {
        wf_json *pair = wf_json_push(list, wf_json_new(arena, WF_JSON_ARRAY));
        wf_json_push(pair, wf_json_new_int(arena, (int64_t)rendered->spans[i].start));
        wf_json_push(pair, wf_json_new_int(arena, (int64_t)rendered->spans[i].end));
    }
    if (!arena->failed)
        wf_json_print(&text, json, 2);
    *out = arena->failed || text.failed ? NULL : wf_strdup(&lib->env.mem, wf_str_text(&text));
    wf_str_free(&text);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

static weft_status render_chat(weft *lib, wf_arena *arena, const wf_template *t, const wf_chat *chat, weft_result *result,
                               weft_error *err) {
    wf_template_input limits = {.now = (int64_t)time(NULL), .env = &lib->env};
    wf_template_result rendered;
    char *json = NULL, *text = NULL;
    weft_status status = wf_chat_render(t, &lib->env.mem, chat, &limits, &rendered, err);
    if (status)
        wf_fail_in(err, "chat template");
    else
        status = take_spans(lib, arena, &rendered, &json, err);
    if (status == WEFT_OK && !(text = wf_strdup(&lib->env.mem, wf_str_text(&rendered.text)))) {
        wf_free(&lib->env.mem, json);
        status = wf_fail_memory(err);
    }
    if (status == WEFT_OK)
        *result = (weft_result){json, text};
    wf_template_result_free(&rendered);
    return status;
}

static weft_status run_chat(weft *lib, wf_arena *arena, const char *folder, const char *conversation, weft_result *result,
                            weft_error *err) {
    wf_json *json;
    wf_chat_folder f;
    wf_chat chat;
    WF_TRY(wf_json_parse(arena, conversation, strlen(conversation), 0, &json, err));
    const wf_json *tools = wf_json_get(json, "tools");
    WF_TRY(wf_hub_path(arena, folder, &folder, err));
    WF_TRY(wf_chat_open(arena, folder, NULL, tools && tools->count > 0, &f, err));
    weft_status status = wf_chat_read(arena, json, f.specials, &chat, err);
    if (status == WEFT_OK)
        status = render_chat(lib, arena, f.template_, &chat, result, err);
    wf_template_free(f.template_);
    return status;
}

weft_status weft_chat(weft *lib, const char *folder, const char *conversation, weft_result *result, weft_error *err) {
    weft_error own = {.offset = -1};
    wf_arena arena;
    wf_arena_init(&arena, &lib->env.mem, 0);
    weft_status status = run_chat(lib, &arena, folder, conversation, result, err ? err : &own);
    wf_arena_free(&arena);
    return status;
}
