/* normal_forms.h - NFC, NFD, NFKC and NFKD. Bytes that are no UTF-8 stay and part what is beside them. */
#ifndef WF_TEXT_NORMAL_FORMS_H
#define WF_TEXT_NORMAL_FORMS_H
#include "text/change.h"

typedef enum wf_normal_kind { WF_NFC, WF_NFD, WF_NFKC, WF_NFKD } wf_normal_kind;
/* As a row of the normalizers: text that is in the form already leaves `out` and `changed` alone. */
weft_status wf_normal_form(wf_normal_kind kind, wf_piece in, wf_change *out, bool *changed, weft_error *err);
#endif
