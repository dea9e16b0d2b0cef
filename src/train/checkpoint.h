/* checkpoint.h - everything a training run needs to go on, in one file: parameters, moments, averages, the schedule's state and
 * the loop's own JSON (step, data cursor, seeds), each tensor with a checksum.
 *
 * A checkpoint appears whole or not at all (temporary name, fsync, rename, fsync of the folder); the two newest are kept, and
 * loading takes the newest that verifies. Files: FOLDER/checkpoint-STEP.safetensors. */
#ifndef WF_TRAIN_CHECKPOINT_H
#define WF_TRAIN_CHECKPOINT_H
#include "train/trainer.h"

/* `loop`: what the loop wants back, a small object. */
weft_status wf_checkpoint_save(wf_trainer *trainer, const wf_model *model, const char *folder, const wf_json *loop,
                               weft_error *err);
/* Restores the newest whole checkpoint; *loop in `arena`; *found false (and WEFT_OK) when the folder holds none. A damaged one
 * is logged (tensor and byte offset) and the one before it is taken; when none is whole, that error is returned. */
weft_status wf_checkpoint_load(wf_trainer *trainer, wf_model *model, const char *folder, wf_arena *arena, wf_json **loop,
                               bool *found, weft_error *err);
/* Removes every checkpoint of a folder; fine when there is none. */
weft_status wf_checkpoint_clear(const wf_mem *mem, const char *folder, weft_error *err);
#endif
