/* pathfinder.c - dashed curves on a small picture, two dots: are the dots the ends of one curve? (Linsley et al. 2018, arXiv
 * 1805.08315, as the Long Range Arena has it, arXiv 2011.04006: two curves and shorter distractors, 32 x 32 pixels, one token
 * per pixel.) A sample of n*n + 1 tokens is a picture of n x n; curves turn slowly, a dash is `dash` pixels long and the gap
 * one, and different curves stay three pixels apart. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tasks/task.h"

enum { STEPS, DISTRACTORS, DASH };
enum { NO = 256, YES, ASK, PADDING, VOCAB }; /* 0..255: grey */
enum { LINE = 160, DOT = 255, APART = 3, MOST_SIDE = 128, MOST_STEPS = 512, ATTEMPTS = 400 };

typedef struct cell {
    int x, y;
} cell;
typedef struct picture {
    int side;
    uint8_t owner[MOST_SIDE * MOST_SIDE]; /* curve + 1, 0: none; the pixels of gaps too */
    int32_t *grey;                        /* [side*side] */
} picture;
typedef struct curve {
    cell cells[MOST_STEPS];
    int n;
} curve;

static int64_t vocab(const wf_task_config *c) { return (void)c, VOCAB; }
static int64_t shortest(const wf_task_config *c) { return (void)c, 10 * 10 + 1; }

static int side_of(int64_t length) {
    int side = (int)sqrt((double)(length - 1));
    return side > MOST_SIDE ? MOST_SIDE : side;
}

static bool is_free(const picture *p, cell at, int owner) {
    if (at.x < 0 || at.y < 0 || at.x >= p->side || at.y >= p->side)
        return false;
    for (int y = at.y - APART + 1; y < at.y + APART; y++)
        for (int x = at.x - APART + 1; x < at.x + APART; x++)
            if (x >= 0 && y >= 0 && x < p->side && y < p->side && p->owner[y * p->side + x] &&
                p->owner[y * p->side + x] != owner)
                return false;
    return true;
}

/* A walk of unit steps whose direction drifts. */
static bool walk(const picture *p, wf_dice *d, int steps, int owner, curve *out) {
    double x = wf_dice_uniform(d) * p->side, y = wf_dice_uniform(d) * p->side, angle = wf_dice_uniform(d) * 6.283185307179586;
    for (out->n = 0; out->n < steps; out->n++) {
        cell at = {(int)floor(x), (int)floor(y)};
        if (!is_free(p, at, owner))
            return false;
        out->cells[out->n] = at;
        angle += (wf_dice_uniform(d) - 0.5) * 0.8;
        x += cos(angle);
        y += sin(angle);
    }
    cell first = out->cells[0], last = out->cells[steps - 1]; /* a curve that closes has no two ends */
    return abs(first.x - last.x) > APART || abs(first.y - last.y) > APART;
}

/* Draws a curve of so many steps, or of fewer when there is no room. */
static void add_curve(picture *p, wf_dice *d, int steps, int owner, int dash, curve *out) {
    bool found = false;
    for (; !found && steps > 5; steps -= steps / 8 + 1)
        for (int i = 0; i < ATTEMPTS && !(found = walk(p, d, steps, owner, out)); i++)
            ;
    out->n = found ? out->n : 0;
    for (int i = 0; i < out->n; i++) {
        int at = out->cells[i].y * p->side + out->cells[i].x;
        p->owner[at] = (uint8_t)owner;
        if (i % (dash + 1) != dash || i == out->n - 1)
            p->grey[at] = LINE;
    }
}

static void dot(picture *p, cell at) { p->grey[at.y * p->side + at.x] = DOT; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    picture p = {.side = side_of(c->length)};
    int pixels = p.side * p.side, steps = (int)(c->values[STEPS] ? c->values[STEPS] : p.side * 2 / 3),
        dash = (int)c->values[DASH];
    curve curves[2], other;
    p.grey = ids + wf_task_pad(c, pixels + 1, PADDING, ids);
    do {
        memset(p.owner, 0, sizeof p.owner);
        memset(p.grey, 0, (size_t)pixels * sizeof *p.grey);
        for (int i = 0; i < 2; i++)
            add_curve(&p, d, steps, i + 1, dash, &curves[i]);
    } while (curves[0].n == 0 || curves[1].n == 0);
    for (int i = 0; i < c->values[DISTRACTORS]; i++)
        add_curve(&p, d, steps / 3, i + 3, dash, &other);
    bool same = wf_dice_below(d, 2);
    int end = (int)wf_dice_below(d, 2);
    dot(&p, curves[0].cells[end ? curves[0].n - 1 : 0]);
    dot(&p, same ? curves[0].cells[end ? 0 : curves[0].n - 1] : curves[1].cells[wf_dice_below(d, 2) ? curves[1].n - 1 : 0]);
    ids[c->length - 1] = ASK;
    targets[c->length - 1] = same ? YES : NO;
}

const wf_task wf_task_pathfinder = {.name = "pathfinder",
                                    .about = "a picture of dashed curves, pixel by pixel: do two dots end the same one?",
                                    .source = "Linsley et al. 2018, arXiv 1805.08315; Tay et al. 2020, arXiv 2011.04006",
                                    .keys = {{"steps", 0, 0, MOST_STEPS, "pixels along a curve; 0: two thirds of the side"},
                                             {"distractors", 2, 0, 200, "shorter curves"},
                                             {"dash", 3, 1, 64, "pixels of a dash"}},
                                    .vocab = vocab,
                                    .shortest = shortest,
                                    .draw = draw};
