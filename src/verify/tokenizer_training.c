#include "verify/fixture.h"
weft_status wf_verify_tokenizer_training(wf_fixture *fx, weft_error *err) {
    return wf_fail(err, WEFT_UNSUPPORTED, "training");
}
