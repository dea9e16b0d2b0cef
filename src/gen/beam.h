/* beam.h - several texts to every prompt at once, of which the likeliest go on (beams), as the reference counts them: sums of
 * log-probabilities behind the rules, finished texts by sum / length^penalty.
 *
 *     wf_beam_found found;
 *     WF_TRY(wf_beam_search(session, &job, &found, err));
 *     .. wf_beam_free(env, &found);
 *
 * The same bits for every number of threads; a text does not depend on those beside it. */
#ifndef WF_GEN_BEAM_H
#define WF_GEN_BEAM_H
#include "gen/sampler.h"
#include "gen/session.h"
#include "gen/stops.h"

enum { WF_BEAMS_MOST = 1024 };

/* When the search for a text ends: when no beam is better than the worst of the finished texts, at its own length or (NEVER)
 * at the greatest; or as soon as there are enough (ONCE). */
typedef enum wf_early { WF_EARLY_NO, WF_EARLY_ONCE, WF_EARLY_NEVER } wf_early;
typedef struct wf_beams {
    int64_t beams, returned; /* of a prompt: texts at a time (1: none of this), texts given back */
    double length_penalty;
    wf_early early;
    bool renormalize; /* log-probabilities once more behind the rules */
} wf_beams;
extern const wf_beams wf_beams_usual; /* 1 beam, penalty 1 */
/* "true", "false" or "never"; false: none of them. */
bool wf_early_find(const char *word, wf_early *out);
weft_status wf_beams_check(const wf_beams *beams, weft_error *err);

typedef struct wf_beam_job {
    int64_t rows;              /* prompts side by side */
    const wf_history *prompts; /* [rows], all of the same n; ids in the session are those behind the padding */
    wf_beams how;
    const wf_sampling *sampling; /* penalty and rules; there is no temperature */
    const int32_t *eos;          /* any of them ends a text */
    size_t n_eos;
    wf_stops stops; /* they end one too */
    int64_t given;  /* of the prompt's ids, those that do not count as written: the rest was forced */
    int64_t most;   /* ids of a text at most, the prompt included */
} wf_beam_job;

typedef struct wf_beam_text {
    const int32_t *ids; /* [n], the prompt and the id that ended it included */
    int64_t n;
    float score;
    bool ended;   /* by one of eos */
    bool stopped; /* by a stop string, which is among the ids */
} wf_beam_text;

typedef struct wf_beam_found {
    wf_beam_text *texts; /* [rows, returned], the best first */
    int32_t *ids;
    float *first; /* the logits behind the prompts, [rows, vocab] */
} wf_beam_found;

/* `session`: of rows * beams sequences that share sources by `beams`, before their first tokens, with room for `most` - 1; the
 * sources of an encoder-decoder have been read. On failure nothing is left to free. */
weft_status wf_beam_search(wf_session *session, const wf_beam_job *job, wf_beam_found *out, weft_error *err);
void wf_beam_free(const wf_env *env, wf_beam_found *found);
#endif
