/* decoders.c - the table of decoders: what bytes a token stands for. */
#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/unicode.h"

static bool all_letters(const char *text, size_t length) {
    for (size_t i = 0, step; i < length; i += step)
        if (wf_byte_of_letter(wf_char_at((const uint8_t *)text + i, length - i, &step)) < 0)
            return false;
    return true;
}

/* A token with any character outside the alphabet stands for its own UTF-8 bytes, as in the reference. */
static void byte_level_token(const char *text, size_t length, wf_str *out) {
    if (!all_letters(text, length)) {
        wf_str_put(out, text, length);
        return;
    }
    for (size_t i = 0, step; i < length; i += step)
        wf_str_putc(out, (char)wf_byte_of_letter(wf_char_at((const uint8_t *)text + i, length - i, &step)));
}

static const wf_decoder_row rows[] = {{.name = "ByteLevel", .token = byte_level_token}};

const wf_decoder_row *wf_decoder_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
