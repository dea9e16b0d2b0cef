/* scripts.h - the script a character is written in, as the reference's pre-tokenizer UnicodeScripts sees it: the kana count as
 * Han. */
#ifndef WF_TEXT_SCRIPTS_H
#define WF_TEXT_SCRIPTS_H
#include <stdint.h>

enum { WF_ANY_SCRIPT = 0 }; /* goes with any other */
int wf_char_script(uint32_t c);
#endif
