/* bench.h - private to the job bench: a benchmark is a row {name, about, run}, one file and one line in bench.def. A row adds
 * lines, each a time with the work it stands for; the frame measures the machine's roofs before and after the row and makes
 * rates, shares and ratios of them, so no number stands alone. */
#ifndef WF_JOBS_BENCH_H
#define WF_JOBS_BENCH_H
#include "jobs/job.h"

typedef enum wf_roof {
    WF_ROOF_NONE,
    WF_ROOF_FMA,
    WF_ROOF_MATMUL_F32,
    WF_ROOF_MATMUL_BF16,
    WF_ROOF_READ,
    WF_ROOF_COUNT
} wf_roof;
typedef struct wf_roofs {
    double per_second[WF_ROOF_COUNT];
} wf_roofs; /* FLOPs or bytes */
extern const char *const wf_roof_names[WF_ROOF_COUNT];
/* `quick`: less memory and time, for trying things out. */
weft_status wf_roofs_measure(const wf_env *env, bool quick, wf_roofs *out, weft_error *err);

enum { WF_BENCH_ROUNDS = 64 };
typedef struct wf_series { /* of seconds, or of ratios */
    double list[WF_BENCH_ROUNDS];
    int n;
    double median, low, high; /* after wf_series_sort */
} wf_series;
void wf_series_add(wf_series *s, double value);
void wf_series_sort(wf_series *s);

typedef struct wf_bench_line {
    const char *label;
    wf_series ours, peer, ratio; /* ratio: peer / ours of the same round, above 1 when weft is faster */
    double work;                 /* FLOPs or bytes of one time, 0: none */
    wf_roof roof;
    double tokens;    /* of one time, 0: none */
    const char *note; /* NULL: none */
    wf_json *extra;   /* an object for more numbers */
    struct wf_bench_line *next;
} wf_bench_line;

typedef struct wf_bench {
    wf_job *job;
    const char *peer, *data, *text,
        *program;                  /* command; tiny Shakespeare; any text; path of the weft program; each NULL: none */
    const char *model;             /* a folder or a name, for embed; NULL: none */
    const char *const *tokenizers; /* files */
    size_t n_tokenizers;
    int64_t rounds;          /* 0: the row's own number */
    bool full;               /* the larger setting of a row that has one */
    bool quick;              /* a toy in the place of GPT-2 124M, to try things out */
    const char *const *only; /* parts of a row that are asked for: mixers, tasks */
    size_t n_only;
    int64_t shortest, longest; /* tokens */
    const char *report;        /* file for a page; NULL: none */
    const char *name;          /* of the running row */
    wf_json *result;           /* its object, for more than lines */
    wf_bench_line *first, *last;
    const char *skipped; /* set by a row that cannot run here: why */
} wf_bench;

typedef struct wf_bench_row {
    const char *name, *about;
    weft_status (*run)(wf_bench *b);
    bool on_request; /* takes long: runs only when it is named */
} wf_bench_row;
#define WF_BENCH(name) extern const wf_bench_row wf_bench_##name;
#include "jobs/bench.def"
#undef WF_BENCH

/* Is this part of the row asked for? Without --only all are. */
bool wf_bench_wants(const wf_bench *b, const char *part);
/* An error for a word of --only that `name` (as in wf_nearest) does not give. */
weft_status wf_bench_check_only(const wf_bench *b, const char *(*name)(const void *user, size_t i));

/* A new line; NULL when out of memory. */
wf_bench_line *wf_bench_add(wf_bench *b, const char *fmt, ...) WF_PRINTF(2, 3);
const char *wf_bench_text(wf_bench *b, const char *fmt, ...) WF_PRINTF(2, 3); /* in the job's arena, never NULL */

/* What the peer is told, beside WEFT_BENCH (the row's name), WEFT_BENCH_THREADS and WEFT_BENCH_DATA (the option data). */
typedef struct wf_bench_case {
    int64_t batch, context;
    const char *precision;
    const char *name;          /* of one of several cases of the row, WEFT_BENCH_CASE; NULL: none */
    const char *subject, *way; /* WEFT_BENCH_SUBJECT, a file, and WEFT_BENCH_WAY; NULL: none */
} wf_bench_case;
/* One run of the peer command, which prints {"seconds": x, ..}. *absent: it ended with code 77 (something it needs is missing).
 */
weft_status wf_bench_run_peer(wf_bench *b, const wf_bench_case *c, double *seconds, bool *absent);

/* Times `once` (which sets the seconds of what it did) in rounds, the peer after each, into the line. `rounds`: unless the user
 * asked for another number. */
typedef weft_status (*wf_bench_once)(void *state, double *seconds, weft_error *err);
weft_status wf_bench_rounds(wf_bench *b, wf_bench_line *line, const wf_bench_case *c, int rounds, wf_bench_once once,
                            void *state);

/* A program and its arguments. One of wf_bench_once: it runs, output to nowhere; seconds from its start to its end. */
typedef struct wf_bench_command {
    const char *argv[8];
} wf_bench_command;
weft_status wf_bench_spawn(void *state, double *seconds, weft_error *err);

/* The length from which on `other` takes less time than `full`, between those that were measured: NaN when it never does, the
 * first when it always does. */
double wf_bench_crossover(const double *lengths, const double *full, const double *other, int n);

struct wf_tape;
/* Where `seconds` went by the tape's profile: the operations above 2 % and what is outside of the tape, into the note. */
void wf_bench_tell_operations(wf_bench *b, wf_bench_line *line, const struct wf_tape *tape, double seconds);

/* The model of GPT-2 124M (or the toy): its spec in the arena; the model made of it with random values. */
weft_status wf_bench_gpt2(wf_bench *b, wf_json **spec);
struct wf_model;
weft_status wf_bench_model(wf_bench *b, const wf_json *spec, struct wf_model **out);
/* The same written to a new folder and opened in place, as a user has it: turned matrices stay so. The caller removes the
 * folder (wf_bench_remove) after the model. */
enum { WF_BENCH_FOLDER = 24 };
weft_status wf_bench_opened(wf_bench *b, const wf_json *spec, char folder[WF_BENCH_FOLDER], struct wf_model **out);
weft_status wf_bench_json(wf_bench *b, const char *text, wf_json **out);
/* Removes a folder and the files in it. */
void wf_bench_remove(wf_bench *b, const char *folder);
/* 6*P*tokens + 12*layers*dim*T*tokens, half of the second for a causal model; head included. */
double wf_bench_model_flops(const struct wf_model *model, int64_t batch, int64_t rows);
#endif
