/* chart_text.c - widths of words, and escaping. */
#include <string.h>
#include "compare/chart.h"

/* Advance widths of the printable ASCII characters in thousandths of the font size: those of Helvetica and its metric twins. */
static const short advance[95] = {
    278, 278, 355, 556, 556, 889, 667, 191, 333,  333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667,  667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556,  556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584};

/* Faces in use are up to 12 % wider than Helvetica. */
static const double safety = 1.12;

double wf_text_width(const char *text, double size) {
    double sum = 0;
    size_t left = strlen(text);
    while (left > 0) {
        unsigned char c = (unsigned char)*text;
        int step = wf_utf8_length(text, left);
        if (c >= 32 && c < 127)
            sum += advance[c - 32];
        else
            sum += step >= 3 ? 1000 : 600; /* wide scripts; Latin and Greek letters */
        step = step ? step : 1;
        text += step;
        left -= (size_t)step;
    }
    return sum / 1000 * size * safety;
}

static const char *entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void wf_html_escape(wf_str *out, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        int step = wf_utf8_length(text, left);
        unsigned char c = (unsigned char)*text;
        bool control = (c < 32 && c != '\n' && c != '\t') || c == 127;
        const char *replacement = step == 0 || control ? "\xEF\xBF\xBD" : entity(*text);
        step = step ? step : 1;
        if (replacement)
            wf_str_puts(out, replacement);
        else
            wf_str_put(out, text, (size_t)step);
        text += step;
        left -= (size_t)step;
    }
}
