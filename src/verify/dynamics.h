/* dynamics.h - runs a fixture of kind `dynamics`: what evolves step by step with every draw given. The field "dynamics" names
 * the row: optimizer, lr_schedule, average, grad_clip. */
#ifndef WF_VERIFY_DYNAMICS_H
#define WF_VERIFY_DYNAMICS_H
#include "base/env.h"
#include "verify/tensors.h"

/* `folder` holds the fixture, `fixture` is its fixture.json. Every output is reported; WEFT_OK says that all could be computed,
 * not that they passed. WEFT_UNSUPPORTED, with the reason in `err`, when a rule or an option is not there. */
weft_status wf_verify_dynamics(const wf_env *env, const char *folder, const wf_json *fixture, wf_verify_report report,
                               void *user, weft_error *err);
#endif
