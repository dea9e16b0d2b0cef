#include "gen/session.h"
#include <string.h>

enum { TAPES = 4 };

typedef struct recorded {
    int64_t rows;
    bool all; /* logits of every row */
    wf_tape *tape;
    wf_tensor *ids, *logits;
    uint64_t used; /* for replacing the one unused longest */
} recorded;

struct wf_session {
    const wf_model *model;
    wf_state *state;
    recorded tapes[TAPES];
    wf_tape *source; /* of an encoder-decoder: reads as many rows as the state has room for; NULL: nothing read yet */
    wf_tensor *source_ids, *source_mask;
    int64_t batch, sharing, capacity; /* sequences, those written to one source, tokens of each */
    uint64_t clock;
};

int64_t wf_model_position_limit(const wf_model *model) {
    return model->spec->stem.position == WF_POSITION_NONE ? 0 : model->spec->stem.length;
}

static bool has_option(const wf_layer *layer, const char *name) {
    for (const wf_key *key = layer->row->keys; key->name; key++)
        if (wf_streq(key->name, name))
            return true;
    return false;
}

/* Which option stands in the way. */
static weft_status layer_streams(const wf_layer *layer, weft_error *err) {
    const char *why = "with these options", *name = layer->row->name;
    if (wf_layer_streams(layer))
        return WEFT_OK;
    for (int i = 0; i < layer->n_parts; i++)
        WF_TRY(layer_streams(layer->parts[i], err));
    if (has_option(layer, "causal") && !wf_flag(layer, "causal"))
        why = "when 'causal' is false";
    else if (has_option(layer, "bidirectional") && wf_flag(layer, "bidirectional"))
        why = "when 'bidirectional' is true";
    else if (!(layer->row->traits & WF_STREAMS))
        why = "(it has the full form only)";
    else if (layer->row->streams && !layer->streams)
        return wf_fail(err, WEFT_UNSUPPORTED, "%s: %s cannot be decoded step by step: its options must satisfy %s",
                       layer->where, name, layer->row->streams);
    return wf_fail(err, WEFT_UNSUPPORTED, "%s: %s cannot be decoded step by step %s", layer->where, name, why);
}

weft_status wf_model_can_stream(const wf_model *model, weft_error *err) {
    const wf_spec *spec = model->spec;
    WF_CHECK(spec->n_heads > 0 && spec->heads[0].row->generates, err, WEFT_UNSUPPORTED,
             "the model has no head for the next token");
    WF_CHECK(!spec->reshaped, err, WEFT_UNSUPPORTED,
             "a model whose blocks change the number of rows cannot be decoded step by step");
    for (int64_t i = 0; i < model->spec->layers; i++) {
        WF_CHECK(!spec->blocks[i].aside, err, WEFT_UNSUPPORTED, "%s cannot be decoded step by step",
                 spec->blocks[i].aside->where);
        const wf_layer *cross = spec->blocks[i].cross;
        WF_CHECK(!cross || !cross->whole, err, WEFT_UNSUPPORTED, "%s: %s cannot be decoded step by step as 'cross'",
                 cross->where, cross->row->name);
        WF_TRY(layer_streams(model->spec->blocks[i].mixer, err));
        if (model->spec->blocks[i].channel)
            WF_TRY(layer_streams(model->spec->blocks[i].channel, err));
    }
    return WEFT_OK;
}

/* The rows of a prefix see each other, so that they come in one piece. */
static int64_t most_rows(const wf_model *model, int64_t capacity) {
    return capacity < WF_SESSION_CHUNK || model->spec->prefixed ? capacity : WF_SESSION_CHUNK;
}

weft_status wf_session_create(const wf_model *model, int64_t batch, int64_t capacity, wf_session **out, weft_error *err) {
    return wf_session_create_shared(model, batch, 1, capacity, out, err);
}

weft_status wf_session_create_shared(const wf_model *model, int64_t batch, int64_t sharing, int64_t capacity, wf_session **out,
                                     weft_error *err) {
    int64_t limit = wf_model_position_limit(model);
    WF_TRY(wf_model_can_stream(model, err));
    WF_CHECK(batch > 0 && capacity > 0, err, WEFT_USAGE, "a session needs at least one sequence and one token");
    WF_CHECK(limit == 0 || capacity <= limit, err, WEFT_USAGE, "%lld tokens are more than the %lld positions of this model",
             (long long)capacity, (long long)limit);
    wf_session *s = wf_calloc(&model->env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    s->model = model;
    s->batch = batch;
    s->sharing = sharing;
    s->capacity = capacity;
    weft_status status = wf_state_create(model, batch, capacity, most_rows(s->model, capacity), &s->state, err);
    if (status != WEFT_OK) {
        wf_session_free(s);
        return status;
    }
    *out = s;
    return WEFT_OK;
}

void wf_session_free(wf_session *s) {
    if (!s)
        return;
    const wf_mem *mem = &s->model->env->mem;
    for (int i = 0; i < TAPES; i++)
        wf_tape_free(s->tapes[i].tape);
    wf_tape_free(s->source);
    wf_state_free(s->state);
    wf_free(mem, s);
}

void wf_session_reset(wf_session *s) {
    for (int64_t b = 0; b < s->state->batch; b++)
        wf_state_reset(s->state, b);
}

wf_state *wf_session_state(wf_session *s) { return s->state; }
int64_t wf_session_capacity(const wf_session *s) { return s->state->capacity; }

static weft_status record(wf_session *s, recorded *r, int64_t rows, bool all, weft_error *err) {
    const wf_env *env = s->model->env;
    wf_model_ports ports = {NULL};
    wf_model_options options = {.mode = WF_STATE_IN_PLACE, .state = s->state, .length = s->state->capacity, .last = !all};
    bool bf16 = s->model->token->bf16 != NULL;
    wf_tape_free(r->tape);
    *r = (recorded){.rows = rows, .all = all};
    WF_TRY(wf_tape_create(env, &(wf_tape_options){.type = bf16 ? WF_BF16 : WF_F32, .fixed = true}, &r->tape, err));
    r->ids = ports.ids = wf_input(r->tape, "ids", WF_I32, 2, (int64_t[]){s->state->batch, rows});
    ports.prefix = wf_state_bind(r->tape, wf_state_prefix(s->state));
    WF_TRY(wf_model_record(s->model, r->tape, s->state->batch, rows, &options, &ports, err));
    wf_tensor *hidden = ports.hidden;
    if (!all && hidden)
        hidden = wf_time_slice(r->tape, hidden, wf_dim(hidden, 1) - 1, 1);
    r->logits = wf_model_logits(s->model, r->tape, hidden);
    wf_keep(r->tape, r->logits);
    return wf_tape_plan(r->tape, err);
}

/* The tape for this many rows: an old one, or a new one in the place of the one unused longest. */
static weft_status tape_for(wf_session *s, int64_t rows, bool all, recorded **out, weft_error *err) {
    recorded *oldest = &s->tapes[0];
    s->clock++;
    for (int i = 0; i < TAPES; i++) {
        recorded *r = &s->tapes[i];
        if (r->tape && r->rows == rows && r->all == all) {
            r->used = s->clock;
            *out = r;
            return WEFT_OK;
        }
        if (r->used < oldest->used)
            oldest = r;
    }
    weft_status status = record(s, oldest, rows, all, err);
    if (status != WEFT_OK) {
        wf_tape_free(oldest->tape);
        *oldest = (recorded){0};
        return status;
    }
    oldest->used = s->clock;
    *out = oldest;
    return WEFT_OK;
}

static weft_status feed(wf_session *s, const int32_t *ids, int64_t stride, int64_t rows, bool all, const float **logits,
                        weft_error *err) {
    recorded *r;
    WF_TRY(tape_for(s, rows, all, &r, err));
    for (int64_t b = 0; b < s->state->batch; b++)
        memcpy((int32_t *)r->ids->data + b * rows, ids + b * stride, (size_t)rows * sizeof *ids);
    int64_t *prefix = wf_state_prefix(s->state)->data;
    for (int64_t b = 0; prefix && b < s->state->batch; b++)
        prefix[b] = s->state->start[b] == 0 ? rows : prefix[b];
    wf_runtime rt = {.start = s->state->start, .loss_scale = 1.0f};
    WF_TRY(wf_tape_forward(r->tape, &rt, err));
    for (int64_t b = 0; b < s->state->batch; b++)
        s->state->start[b] += rows;
    *logits = r->logits->data;
    return WEFT_OK;
}

static weft_status check_room(const wf_session *s, const int32_t *ids, int64_t n, weft_error *err) {
    WF_CHECK(n > 0, err, WEFT_USAGE, "no tokens to feed");
    WF_CHECK(!s->model->encoder || s->source, err, WEFT_USAGE, "the encoder has read nothing yet");
    for (int64_t b = 0; b < s->state->batch; b++)
        WF_CHECK(s->state->start[b] + n <= s->state->capacity, err, WEFT_USAGE, "the context of %lld tokens is full",
                 (long long)s->state->capacity);
    for (int64_t i = 0; i < n * s->state->batch; i++)
        WF_CHECK(ids[i] >= 0 && ids[i] < s->model->spec->vocab, err, WEFT_USAGE, "token %d is outside the vocabulary of %lld",
                 (int)ids[i], (long long)s->model->spec->vocab);
    return WEFT_OK;
}

/* ---- the source ---- */
enum { SOURCE_STEP = 16 }; /* rows are rounded up to it, so that few lengths need tapes of their own */

static weft_status record_source(wf_session *s, weft_error *err) {
    const int64_t dims[2] = {s->state->batch / s->state->sharing, s->state->source};
    bool bf16 = s->model->token->bf16 != NULL;
    wf_model_ports source = {NULL}, ports = {.source = &source};
    WF_TRY(wf_tape_create(s->model->env, &(wf_tape_options){.type = bf16 ? WF_BF16 : WF_F32}, &s->source, err));
    s->source_ids = source.ids = wf_input(s->source, "source", WF_I32, 2, dims);
    s->source_mask = source.mask = wf_input(s->source, "source mask", WF_U8, 2, dims);
    WF_TRY(wf_model_remember(s->model, s->source, s->state, &ports, err));
    return wf_tape_plan(s->source, err);
}

/* A state with room for `rows` rows of a source, and no tape that knows another one. */
static weft_status make_state(wf_session *s, int64_t rows, int64_t sharing, weft_error *err) {
    for (int i = 0; i < TAPES; i++) {
        wf_tape_free(s->tapes[i].tape);
        s->tapes[i] = (recorded){0};
    }
    wf_tape_free(s->source);
    wf_state_free(s->state);
    s->source = NULL;
    s->state = NULL;
    WF_TRY(wf_state_create(s->model, s->batch, s->capacity, most_rows(s->model, s->capacity), &s->state, err));
    WF_TRY(wf_state_open_source(s->state, rows, s->model->encoder->spec->bridge.dim, sharing, err));
    return record_source(s, err);
}

/* Whether a decoder can share what is kept of a source is found by recording its step. */
static weft_status make_room(wf_session *s, int64_t rows, weft_error *err) {
    recorded *step;
    weft_status status = make_state(s, rows, s->sharing, s->sharing > 1 ? NULL : err);
    if (s->sharing == 1)
        return status;
    if (status == WEFT_OK)
        status = tape_for(s, 1, false, &step, NULL);
    return status == WEFT_OK ? status : make_state(s, rows, 1, err);
}

static weft_status check_source(const wf_session *s, const int32_t *ids, int64_t n, weft_error *err) {
    const wf_model *encoder = s->model->encoder;
    WF_CHECK(encoder, err, WEFT_USAGE, "the model has no encoder");
    int64_t limit = wf_model_position_limit(encoder);
    WF_CHECK(s->state, err, WEFT_USAGE, "the session has failed before");
    WF_CHECK(n > 0, err, WEFT_USAGE, "the source has no tokens");
    WF_CHECK(limit == 0 || n <= limit, err, WEFT_USAGE, "the source has %lld tokens, the encoder only %lld positions",
             (long long)n, (long long)limit);
    for (int64_t i = 0; i < n * (s->batch / s->sharing); i++)
        WF_CHECK(ids[i] >= 0 && ids[i] < encoder->spec->vocab, err, WEFT_USAGE,
                 "token %d is outside the encoder's vocabulary of %lld", (int)ids[i], (long long)encoder->spec->vocab);
    return WEFT_OK;
}

weft_status wf_session_source(wf_session *s, const int32_t *ids, int64_t n, const int64_t *lengths, weft_error *err) {
    WF_TRY(check_source(s, ids, n, err));
    int64_t limit = wf_model_position_limit(s->model->encoder), rows = (n + SOURCE_STEP - 1) / SOURCE_STEP * SOURCE_STEP;
    const wf_stem_spec *stem = &s->model->encoder->spec->stem;
    rows = limit > 0 && rows > limit ? limit : rows;
    if (!s->source || s->state->source != rows)
        WF_TRY(make_room(s, rows, err));
    wf_session_reset(s);
    for (int64_t b = 0; b < s->source_ids->dims[0]; b++) {
        int32_t *to = (int32_t *)s->source_ids->data + b * rows;
        uint8_t *mask = (uint8_t *)s->source_mask->data + b * rows;
        int64_t of = b * s->state->sharing / s->sharing, length = lengths ? lengths[of] : n;
        for (int64_t i = 0; i < rows; i++) {
            to[i] = i < length ? ids[of * n + i] : stem->padding > 0 ? (int32_t)stem->padding : 0;
            mask[i] = i < length;
        }
    }
    wf_runtime rt = {.loss_scale = 1.0f};
    return wf_tape_forward(s->source, &rt, err);
}

void wf_session_save(const wf_session *s, void *bytes) { wf_state_save(s->state, bytes); }

weft_status wf_session_load(wf_session *s, const void *bytes, size_t n, weft_error *err) {
    int64_t rows;
    WF_CHECK(s->state, err, WEFT_USAGE, "the session has failed before");
    WF_TRY(wf_state_saved_source(bytes, n, &rows, err));
    WF_CHECK((rows > 0) == (s->model->encoder != NULL), err, WEFT_BAD_INPUT, "a saved state of another model");
    if (rows > 0 && s->state->source != rows)
        WF_TRY(make_room(s, rows, err));
    return wf_state_load(s->state, bytes, n, err);
}

weft_status wf_session_feed(wf_session *s, const int32_t *ids, int64_t n, const float **logits, weft_error *err) {
    WF_TRY(check_room(s, ids, n, err));
    for (int64_t i = 0; i < n; i += s->state->chunk) {
        int64_t rows = n - i < s->state->chunk ? n - i : s->state->chunk;
        WF_TRY(wf_stopped(s->model->env));
        WF_TRY(feed(s, ids + i, n, rows, false, logits, err));
    }
    return WEFT_OK;
}

weft_status wf_session_feed_all(wf_session *s, const int32_t *ids, int64_t n, const float **logits, weft_error *err) {
    WF_TRY(check_room(s, ids, n, err));
    WF_CHECK(n <= s->state->chunk, err, WEFT_USAGE, "at most %lld rows at once", (long long)s->state->chunk);
    return feed(s, ids, n, n, true, logits, err);
}
