/* hub.h - models that other tools have downloaded: names found in the cache of the Hugging Face hub, which is only read.
 *
 * The cache is $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub. In it "org/name" is models--org--name; refs/main names the snapshot.
 * Beside it, the models that tools/get-model has fetched: folders of $WEFT_MODELS, else of ~/.cache/weft/models. */
#ifndef WF_FORMATS_HUB_H
#define WF_FORMATS_HUB_H
#include "base/mem.h"

/* What a model's name stands for: a path that exists stands for itself; "name", "org/name", "org/name@revision" for the
 * snapshot in the cache; a name without any of that for a fetched folder; anything else stays as it is, for whoever opens it to
 * say what is wrong. A repository that is there without that revision is WEFT_USAGE. *out is `name` or lives in the arena. */
weft_status wf_hub_path(wf_arena *arena, const char *name, const char **out, weft_error *err);
#endif
