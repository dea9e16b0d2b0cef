#include "command.h"

static const cli_option options[] = {
    {"model", CLI_TEXT, "NAME|PATTERN|DIR", "llama", "a preset, a pattern such as mamba*3+attention, or a model folder to go on from", NULL},
    {"spec", CLI_TEXT, "FILE", NULL, "a spec as JSON instead of a name", NULL},
    {"params", CLI_VALUE, "N", "1M", "size of a preset or pattern", NULL},
    {"steps", CLI_VALUE, "N", NULL, "updates to do", NULL},
    {"tokens", CLI_VALUE, "N", NULL, "tokens to train on", NULL},
    {"time", CLI_TEXT, "T", NULL, "training time, such as 60s; default budget: one pass over the text", NULL},
    {"lr", CLI_VALUE, "X", "3e-3 at width 128, falling with its root", "peak learning rate", NULL},
    {"schedule", CLI_TEXT, "NAME", "cosine", "see: weft list schedules", NULL},
    {"warmup", CLI_VALUE, "N", "0.1", "warm-up updates, or a share below 1", NULL},
    {"optimizer", CLI_TEXT, "NAME", "adamw", "see: weft list optimizers", NULL},
    {"weight-decay", CLI_VALUE, "X", "0.1", "of tensors with two or more dimensions", "weight_decay"},
    {"beta1", CLI_VALUE, "X", "0.9", "decay of the gradient's average", NULL},
    {"beta2", CLI_VALUE, "X", "0.98", "decay of the squared gradient's average", NULL},
    {"clip", CLI_VALUE, "X", "1", "largest gradient norm, 0 for none", NULL},
    {"batch", CLI_VALUE, "N", "8", "sequences of a micro-batch", NULL},
    {"accumulate", CLI_VALUE, "N", "1", "micro-batches per update", NULL},
    {"context", CLI_VALUE, "N", "256", "tokens of a sequence", NULL},
    {"dropout", CLI_VALUE, "P", NULL, "of attention, branches and stem; overrides the spec", NULL},
    {"smoothing", CLI_VALUE, "E", "0", "label smoothing", NULL},
    {"precision", CLI_TEXT, "fp32|bf16", "fp32", "of the computation; masters are fp32", NULL},
    {"checkpoint-activations", CLI_FLAG, NULL, NULL, "recompute blocks in the backward: less memory, more time", "checkpoint_activations"},
    {"packed", CLI_FLAG, NULL, NULL, "keep documents apart (segments) instead of windows over everything", NULL},
    {"average", CLI_TEXT, "NAME", NULL, "also keep averaged weights: see weft list averages", NULL},
    {"average-decay", CLI_VALUE, "X", "0.999", "of an exponential average", "average_decay"},
    {"seed", CLI_VALUE, "N", "1", "of weights, order and dropout", NULL},
    {"tokenizer", CLI_TEXT, "byte|bpe:N|FILE", "byte", "bytes, byte-level BPE trained on the text, or a tokenizer.json", NULL},
    {"format", CLI_TEXT, "NAME", "by the file name", "text, jsonl, csv or tsv", NULL},
    {"field", CLI_TEXT, "NAME", "text", "member of JSONL lines, or column", NULL},
    {"val", CLI_TEXT, "SHARE|FILE", "0.05", "validation text", NULL},
    {"eval-every", CLI_VALUE, "N", "100", "updates between evaluations, 0 for the end only", "eval_every"},
    {"eval-windows", CLI_VALUE, "N", "all", "windows of an evaluation", "eval_windows"},
    {"patience", CLI_VALUE, "N", "off", "stop after N evaluations without a better one and keep the best weights", NULL},
    {"checkpoint-every", CLI_VALUE, "N", "100", "updates between checkpoints, 0 for the end only", "checkpoint_every"},
    {"resume", CLI_FLAG, NULL, NULL, "go on with the run in --out", NULL},
    {"force", CLI_FLAG, NULL, NULL, "start over in a folder that holds a run", NULL},
    {"out", CLI_TEXT, "DIR", "weft-run", "folder of the run: model, logs, checkpoints, train.json", NULL},
    {"config", CLI_TEXT, "FILE", NULL, "options as JSON (such as a train.json); the command line goes over them", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command cli_command_train = {
    .name = "train", .about = "train a model on text", .arguments = "TEXT...", .rest_key = "text", .options = options, .job = weft_train,
    .details = "TEXT is a file, a folder, or - for standard input; .gz is unpacked. The run folder opens with Hugging Face.\n\n"
               "examples:\n  weft train book.txt --model llama --time 60s --out run\n  weft train --resume --out run\n"
               "  weft train notes/ --model 'mamba*3+attention' --params 5M --tokenizer bpe:2048 --tokens 10M\n"};
