/* cut.c - the five behaviours, as automata over the stretches. */
#include "text/cut.h"

wf_cut wf_cut_new(wf_encoder *e, int stage, wf_piece piece, wf_cut_behavior behavior, bool invert) {
    return (wf_cut){.e = e, .stage = stage, .piece = piece, .behavior = behavior, .invert = invert};
}

static weft_status flush(wf_cut *c) {
    size_t from = c->from, to = c->to;
    c->open = false;
    if (from == to)
        return WEFT_OK;
    return wf_encoder_next(c->e, c->stage, wf_piece_part(c->piece, from, to));
}

/* Does the stretch continue the part that is being put together? */
static bool continues(const wf_cut *c, bool match) {
    if (!c->open)
        return false;
    switch (c->behavior) {
    case WF_CUT_CONTIGUOUS:
        return match == c->previous;
    case WF_CUT_WITH_PREVIOUS: /* only the first of several matches joins */
        return match && !c->previous;
    case WF_CUT_WITH_NEXT: /* only the last of several matches joins */
        return !match && c->previous;
    default:
        return false;
    }
}

weft_status wf_cut_feed(wf_cut *c, size_t from, size_t to, bool match) {
    if (from == to && !match)
        return WEFT_OK;
    match = match != c->invert;
    if (!continues(c, match)) {
        WF_TRY(wf_cut_end(c));
        c->from = from;
    }
    c->to = to;
    c->open = !(c->behavior == WF_CUT_REMOVED && match);
    c->previous = match;
    return WEFT_OK;
}

weft_status wf_cut_end(wf_cut *c) { return c->open ? flush(c) : WEFT_OK; }

weft_status wf_cut_load(wf_loading *l, const wf_json *j, wf_cut_behavior fallback, wf_cut_behavior *out) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", NULL};
    int choice = (int)fallback;
    WF_TRY(wf_load_choice(l, j, "behavior", names, &choice));
    *out = (wf_cut_behavior)choice;
    return WEFT_OK;
}
