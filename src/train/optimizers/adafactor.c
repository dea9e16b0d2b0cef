/* adafactor.c - Adafactor (Shazeer and Stern 2018) as transformers.Adafactor: rho = lr, or with relative_step
 * min(1e-2 (warmup_init: 1e-6*t), 1/sqrt(t)); a = rho*max(eps[1], rms(p)) with scale_parameter; averages of g^2+eps[0] with
 * b = 1 - t^decay_rate, factored for matrices; u = g/sqrt(v); u *= a/max(1, rms(u)/clip_threshold); beta1 averages u;
 * p -= wd*a*p + u. */
#include "train/optimizers/factored.h"

enum { EPS1 = WF_OPT_OWN, EPS2, CLIP, DECAY_RATE, BETA1, SCALE, RELATIVE, WARMUP };

static const wf_option keys[] = {
    {.name = "lr",
     .at = WF_OPT_LR,
     .fallback = {NAN},
     .max = HUGE_VAL,
     .nullable = true,
     .help = "rate when relative_step is false"},
    {.name = "eps",
     .at = EPS1,
     .count = 2,
     .fallback = {1e-30, 1e-3},
     .max = HUGE_VAL,
     .help = "added to the squares; least size of a parameter for scale_parameter"},
    {.name = "clip_threshold",
     .at = CLIP,
     .fallback = {1},
     .min = 1e-30,
     .max = HUGE_VAL,
     .help = "largest root mean square of a step"},
    {.name = "decay_rate",
     .at = DECAY_RATE,
     .fallback = {-0.8},
     .min = -HUGE_VAL,
     .max = 0,
     .help = "the averages keep 1 - t^decay_rate"},
    {.name = "beta1",
     .at = BETA1,
     .fallback = {NAN},
     .max = 1,
     .below = true,
     .nullable = true,
     .help = "running average of the step"},
    WF_OPTION_DECAY(0, "p *= 1 - weight_decay*step"),
    {.name = "scale_parameter",
     .type = WF_OPTION_BOOL,
     .at = SCALE,
     .fallback = {1},
     .help = "steps in proportion to the parameter's size"},
    {.name = "relative_step",
     .type = WF_OPTION_BOOL,
     .at = RELATIVE,
     .fallback = {1},
     .help = "the rate follows the step number"},
    {.name = "warmup_init", .type = WF_OPTION_BOOL, .at = WARMUP, .help = "with relative_step: start from 1e-6*t"},
    {0}};

static weft_status check(const double *value, weft_error *err) {
    bool relative = value[RELATIVE] != 0;
    WF_CHECK(!relative || isnan(value[WF_OPT_LR]), err, WEFT_USAGE,
             "optimizer adafactor: lr and relative_step exclude each other");
    WF_CHECK(relative || !isnan(value[WF_OPT_LR]), err, WEFT_USAGE, "optimizer adafactor: without relative_step it needs lr");
    WF_CHECK(relative || value[WARMUP] == 0, err, WEFT_USAGE, "optimizer adafactor: warmup_init needs relative_step");
    return WEFT_OK;
}

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    return wf_factored_slots(!isnan(value[BETA1]), rank, dims, count, out);
}

static double rate(const double *value, double lr, int64_t update) {
    if (value[RELATIVE] == 0)
        return lr;
    double t = (double)update, most = value[WARMUP] != 0 ? 1e-6 * t : 1e-2, root = 1 / sqrt(t);
    return most < root ? most : root;
}

static void run(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    wf_factored f = {.take = pow((double)o->updates, o->value[DECAY_RATE]),
                     .add = o->value[EPS1],
                     .clip = o->value[CLIP],
                     .rate = o->lr,
                     .scale_floor = o->value[EPS2],
                     .scaled = o->value[SCALE] != 0,
                     .beta1 = o->value[BETA1],
                     .keep = 1,
                     .decay = wf_opt_decay(o, t)};
    wf_factored_run(&f, o, t, w);
}

static const wf_opt_phases phases = {
    .count = wf_factored_phase_count, .pieces = wf_factored_pieces, .scratch = wf_factored_scratch, .run = run};

const wf_optimizer_row wf_optimizer_adafactor = {.name = "adafactor",
                                                 .help = "factored second moments, relative steps (transformers)",
                                                 .keys = keys,
                                                 .check = check,
                                                 .slots = slots,
                                                 .rate = rate,
                                                 .phases = &phases};
