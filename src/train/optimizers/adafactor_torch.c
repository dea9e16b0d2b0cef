/* adafactor_torch.c - Adafactor as torch.optim.Adafactor: a = max(eps[1], rms(p))*min(lr, 1/sqrt(t)); p *= 1 - lr*wd; averages
 * take the new squares with weight t^beta2_decay; u = g/sqrt(row*col/mean(row)); p -= a*u/max(1, rms(u)/d). eps[0] is a floor,
 * null: the epsilon of the parameter's type. */
#include <float.h>
#include "train/optimizers/factored.h"

enum { EPS1 = WF_OPT_OWN, EPS2, CLIP, BETA2_DECAY };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-2),
    {.name = "beta2_decay",
     .at = BETA2_DECAY,
     .fallback = {-0.8},
     .min = -HUGE_VAL,
     .max = 0,
     .help = "weight of the new squares: t^beta2_decay"},
    {.name = "eps",
     .at = EPS1,
     .count = 2,
     .fallback = {NAN, 1e-3},
     .max = HUGE_VAL,
     .nullable = true,
     .help = "floor of the second moments (null: that of the type); least size of a parameter"},
    {.name = "d", .at = CLIP, .fallback = {1}, .min = 1e-30, .max = HUGE_VAL, .help = "largest root mean square of a step"},
    WF_OPTION_DECAY(0, "decoupled: p *= 1 - lr*weight_decay"),
    {0}};

static weft_status check(const double *value, weft_error *err) {
    WF_CHECK(!isnan(value[EPS2]), err, WEFT_USAGE, "optimizer adafactor_torch: only the first eps may be null");
    return WEFT_OK;
}

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    return wf_factored_slots(false, rank, dims, count, out);
}

static void run(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    double at = (double)o->updates, eps = isnan(o->value[EPS1]) ? (double)FLT_EPSILON : o->value[EPS1], most = 1 / sqrt(at);
    wf_factored f = {.take = pow(at, o->value[BETA2_DECAY]),
                     .row_floor = eps,
                     .square_floor = eps * eps,
                     .clip = o->value[CLIP],
                     .rate = o->lr < most ? o->lr : most,
                     .scale_floor = o->value[EPS2],
                     .scaled = true,
                     .beta1 = NAN,
                     .keep = 1 - o->lr * wf_opt_decay(o, t)};
    wf_factored_run(&f, o, t, w);
}

static const wf_opt_phases phases = {
    .count = wf_factored_phase_count, .pieces = wf_factored_pieces, .scratch = wf_factored_scratch, .run = run};

const wf_optimizer_row wf_optimizer_adafactor_torch = {.name = "adafactor_torch",
                                                       .help = "factored second moments (torch)",
                                                       .keys = keys,
                                                       .check = check,
                                                       .slots = slots,
                                                       .phases = &phases};
