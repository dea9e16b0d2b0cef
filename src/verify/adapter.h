/* adapter.h - private to the verifier: a fixture's adapter beside its model. */
#ifndef WF_VERIFY_ADAPTER_H
#define WF_VERIFY_ADAPTER_H
#include "families/load_adapter.h"
#include "verify/fixture.h"

/* The folder that the fixture's `adapter` names; NULL: it has none. */
weft_status wf_fixture_adapter(wf_fixture *fx, const char **folder, weft_error *err);
/* Compares `name.<key>` with every tensor of the adapter: its values, or its gradients. */
weft_status wf_verify_adapter_tensors(wf_fixture *fx, const wf_model *model, const char *name, bool gradients, weft_error *err);
/* Compares `merged.<tensor>` with the base's tensors, once merged. */
weft_status wf_verify_merged(wf_fixture *fx, const wf_checkpoint *checkpoint, weft_error *err);
/* Takes the terms out again: the base must have its bits. */
weft_status wf_verify_unmerged(wf_fixture *fx, const wf_checkpoint *checkpoint, weft_error *err);
#endif
