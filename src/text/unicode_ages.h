/* unicode_ages.h - differences between the ages of Unicode that the references know and utf8proc's. */
#ifndef WF_TEXT_UNICODE_AGES_H
#define WF_TEXT_UNICODE_AGES_H
#include <stdbool.h>
#include <stdint.h>

typedef enum wf_age {
    WF_NEW_WORD,    /* \\w since then */
    WF_NEW_NUMBER,  /* Nd, Nl or No since then */
    WF_LATE_MARK,   /* a mark for utf8proc, none for the reference */
    WF_FORMER_MARK, /* the other way round */
    WF_LATE_ACCENT, /* the same for Mn */
    WF_FORMER_ACCENT,
    WF_LATE_CONTROL, /* the same for Cc, Cf, Co, Cs */
    WF_NEW_JOINER,   /* belongs to the cluster of the character before it since then */
    WF_LATE_FORM     /* moves or changes in a normal form for utf8proc, not for the reference */
} wf_age;
bool wf_age_has(wf_age age, uint32_t c);
/* The lower case of capitals that came after utf8proc's tables; c itself when it is none. */
uint32_t wf_new_lower(uint32_t c);
#endif
