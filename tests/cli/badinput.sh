#!/bin/sh
# Bad input, one line each: exactly one line on stderr that says what is wrong, the documented exit code, nothing on stdout.
name=badinput
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
cat "$WEFT_SOURCE_DIR"/src/model/*.c | head -c 30000 >text.txt
: >empty.txt
echo ab >short.txt
printf 'one\ttwo\n' >table.csv
echo '{"dim": 16, "layers": 1, "block": {"mixer": "lstm"}}' >good.json

# bad CODE "WHAT IT SAYS" COMMAND...
bad() {
    code=$1 says=$2
    shift 2
    run "$code" timeout 60 "$@" --quiet
    has "$err" "$says"
    empty "$out"
    if [ "$(wc -l <"$err")" -eq 1 ]; then pass; else fail "stderr has $(wc -l <"$err") lines, not one"; fi
}
train() { # train CODE "WHAT IT SAYS" ARGS...: of a usable run
    code=$1 says=$2
    shift 2
    bad "$code" "$says" "$WEFT" train text.txt --out run --force --params 60k --context 24 --batch 2 --threads 1 "$@"
}
spec() { # spec CODE "WHAT IT SAYS" JSON
    printf '%s' "$3" >spec.json
    bad "$1" "$2" "$WEFT" train text.txt --out run --force --steps 1 --context 24 --batch 2 --threads 1 --spec spec.json
    last="$3"
}

# --- texts ---
bad 4 "is empty" "$WEFT" train empty.txt --steps 1 --out run
bad 4 "too short: 2 tokens" "$WEFT" train short.txt --steps 1 --out run
bad 1 "missing.txt: No such file" "$WEFT" train missing.txt --steps 1 --out run
bad 2 "no text given" "$WEFT" train --steps 1 --out run
bad 4 "is empty" "$WEFT" compare empty.txt --out cmp
bad 4 "too short" "$WEFT" compare short.txt --out cmp
bad 1 "missing.txt: No such file" "$WEFT" compare missing.txt --out cmp
train 4 "text.txt: line 1, column 1: expected a value" --input jsonl --steps 1
train 2 'unknown text format "jsnl"; the nearest is jsonl' --format jsnl --steps 1
train 1 "nofile: No such file" --val nofile --steps 1
train 2 "val must be a share above 0" --val 0.9 --steps 1
train 2 "val must be a share above 0" --val 0 --steps 1

# --- names ---
bad 2 "unknown command 'trian', did you mean 'train'?" "$WEFT" trian text.txt
train 2 "unknown option '--contxt', did you mean '--context'?" --contxt 5
train 2 "did you mean 'gpt2'?" --model gtp2 --steps 1
train 2 "did you mean 'retnet'?" --model retnte --steps 1
train 2 "did you mean 'attention'?" --model attentoin --steps 1
train 2 "a model needs a name" --model '' --steps 1
train 2 "unknown model" --model nonesuch --steps 1
train 2 "is not a number of layers" --model 'mamba*0' --steps 1
train 2 "a pattern is" --model 'mamba+' --steps 1
train 2 'did you mean "' --optimizer adamv --steps 1
train 2 'did you mean "cosine"?' --schedule cosin --steps 1
train 2 'did you mean "ema"?' --average emma --steps 1
train 2 "precision is fp32 or bf16, not 'fp16'" --precision fp16 --steps 1
train 2 "precision is fp32 or bf16, not 'int8'" --precision int8 --steps 1
bad 2 "did you mean 'mamba'?" "$WEFT" compare text.txt --models gpt2,mmaba --out cmp
bad 2 "did you mean 'mixers'?" "$WEFT" list mixrs
bad 2 "bpe:N with N from 257" "$WEFT" train text.txt --tokenizer bpe:3 --out run
bad 2 "bpe:N with N from 257" "$WEFT" train text.txt --tokenizer bpe:x --out run
bad 1 "nosuch: No such file" "$WEFT" train text.txt --tokenizer nosuch --out run

# --- numbers and budgets ---
train 2 "give one of steps, tokens and time" --steps 3 --tokens 10
train 2 "give one of steps, tokens and time" --steps 3 --time 10s
bad 2 "give one of time, tokens and steps" "$WEFT" compare text.txt --steps 3 --tokens 10 --out cmp
train 2 "'steps' must be a count" --steps -3
train 2 "'steps' must be a count" --steps 10x
train 2 "'steps' must be a whole number" --steps 1.5
train 2 "'steps' must be more than 0" --steps 0
train 2 "'tokens' must be more than 0" --tokens 0
train 2 "'time' must be more than 0" --time 0
train 2 "'time' must be a time" --time -1
train 2 "'time' must be a time" --time soon
train 2 "steps are too many" --steps 1e13
train 2 "'lr' must be a number" --lr fast --steps 1
train 2 "'lr' must be between 0" --lr -1 --steps 1
train 2 "'clip' must be between 0" --clip -1 --steps 1
train 2 "'warmup' must be between 0" --warmup -1 --steps 1
train 2 "'dropout' must be between 0" --dropout -0.5 --steps 1
train 2 "'dropout' must be between 0" --dropout 2 --steps 1
train 2 "'seed' must be between 0" --seed -1 --steps 1
train 2 "'seed' must be an integer" --seed 1.5 --steps 1
train 2 "--threads must be from 1 to 256" --steps 1 --threads 0
bad 2 "'params' must be a count" "$WEFT" train text.txt --params -5 --steps 1 --out run
bad 2 "'params' must be a whole number" "$WEFT" train text.txt --params 1e30 --steps 1 --out run
bad 2 "10 parameters cannot be fitted" "$WEFT" train text.txt --params 10 --steps 1 --out run
bad 2 "'batch' must be between 1" "$WEFT" train text.txt --batch 0 --steps 1 --out run
bad 2 "'batch' must be between 1" "$WEFT" train text.txt --batch -2 --steps 1 --out run
bad 2 "'context' must be between 1" "$WEFT" train text.txt --context 0 --steps 1 --out run
bad 4 "too short" "$WEFT" train text.txt --context 16777216 --batch 65536 --accumulate 65536 --steps 1 --out run
bad 2 "'seeds' must be between 1" "$WEFT" compare text.txt --seeds 0 --out cmp
bad 2 "rates must be" "$WEFT" compare text.txt --rates 1e-3,fast --out cmp
train 2 "give either a model or a spec" --model gpt2 --spec good.json --steps 1
bad 2 "a folder name must have" "$WEFT" train text.txt --steps 1 --out ''
bad 2 "--resume needs --out" "$WEFT" train --resume
bad 2 "'steps' cannot be given again" "$WEFT" train --resume --out run --steps 3
bad 1 "train.json: No such file" "$WEFT" train --resume --out nowhere
bad 1 "run.json: No such file" "$WEFT" compare --resume --out nowhere

# --- files ---
bad 1 "nofile: No such file" "$WEFT" train text.txt --config nofile --out run
bad 1 "nofile: No such file" "$WEFT" train text.txt --spec nofile --out run
printf '{"steps": 3,\n "lr": }' >config.json
bad 4 "config.json: line 2, column 8" "$WEFT" train text.txt --config config.json --out run
printf '{"stepz": 3}' >config.json
bad 2 "unknown option 'stepz', did you mean 'steps'?" "$WEFT" train text.txt --config config.json --out run
bad 2 'unknown optimizer "adm"' "$WEFT" train text.txt --optimizer adm --steps 1 --out unborn
bad 2 'unknown schedule "cos"' "$WEFT" train text.txt --schedule cos --steps 1 --out unborn
check "what never began leaves no folder" test ! -e unborn
bad 2 "neither a model folder nor a file" "$WEFT" generate nowhere hello
bad 2 "neither a model folder nor a file" "$WEFT" eval nowhere text.txt
bad 2 "which model?" "$WEFT" generate
bad 2 "which text?" "$WEFT" eval nowhere

# --- using a model ---
run 0 "$WEFT" train text.txt --model gpt2 --params 60k --context 24 --batch 2 --threads 1 --steps 2 --out model --quiet
bad 2 "'temperature' must be between 0" "$WEFT" generate model hi --temperature -1
bad 2 "'top_p' must be between" "$WEFT" generate model hi --top-p 2
bad 2 "'top_k' must be between 0" "$WEFT" generate model hi --top-k -1
bad 2 "'min_p' must be between" "$WEFT" generate model hi --min-p 3
bad 2 "'max_tokens' must be between 0" "$WEFT" generate model hi --max-tokens -1
bad 2 "'overflow' must be stop, slide or error" "$WEFT" generate model hi --overflow slid
bad 2 "'repetition_penalty' must be more than 0" "$WEFT" generate model hi --repetition-penalty 0
bad 2 "more than the 24 positions" "$WEFT" generate model hi --context 999999
bad 2 "an empty stop string" "$WEFT" generate model hi --stop ''
bad 2 "'precision' must be fp32, bf16 or int8" "$WEFT" generate model hi --precision fp64
bad 2 "the context only 24" "$WEFT" generate model 'a prompt that is much too long for it' --overflow error
bad 2 "more than the 24 positions" "$WEFT" eval model text.txt --context 25
bad 2 "'windows' must be a count" "$WEFT" eval model text.txt --windows -1
bad 2 "'batch' must be between 1" "$WEFT" eval model text.txt --batch 0
bad 4 "is empty" "$WEFT" eval model empty.txt
bad 1 "missing.txt: No such file" "$WEFT" eval model missing.txt
bad 2 "unknown model" "$WEFT" inspect nowhere
bad 2 "nowhere: no such folder" "$WEFT" verify nowhere
bad 2 "'nowhere' is neither a model folder" "$WEFT" convert nowhere out
bad 2 "unexpected argument" "$WEFT" info something

# --- specs: as JSON ---
spec 4 "spec.json: line 1, column 2" '{'
spec 4 "spec.json: line 1, column 1" ''
spec 4 "spec.json: line 1, column 12" '{"dim": 32,,}'
spec 4 "spec.json: line 2, column 2" '{"dim": 32
 "x": 1}'
spec 4 "already has a member 'dim'" '{"dim": 32, "dim": 16}'
spec 4 "a spec must be an object" '[]'
spec 4 "nested too deeply" "$(awk 'BEGIN { for (i = 0; i < 2000; i++) printf "{\"a\":" }')"
spec 4 "unknown name 'dmi'" '{"dim": "=dmi", "layers": 1, "block": {"mixer": "lstm"}}'
spec 4 "division by zero" '{"dim": "=dim", "layers": "=1/0", "block": {"mixer": "lstm"}}'

# --- specs: what they say ---
one='"dim": 32, "layers": 1'
heads() { echo "{$one, \"block\": {\"mixer\": {\"mixer\": \"attention\", $1}}}"; }
spec 2 "a model needs 'dim', 'vocab' and 'layers'" '{}'
spec 2 "a model needs 'block' or 'blocks'" "{$one}"
spec 2 "unknown option 'blok', did you mean 'block'?" "{$one, \"blok\": {}}"
spec 2 "'mixer' is missing" "{$one, \"block\": {}}"
spec 2 "'heads' is required" "{$one, \"block\": {\"mixer\": \"attention\"}}"
spec 2 "no default for these sizes (dim % heads == 0" "$(heads '"heads": 5')"
spec 2 "must be a multiple of 'kv_heads'" "$(heads '"heads": 4, "kv_heads": 3')"
spec 2 "'heads' must be at least 1" "$(heads '"heads": 0')"
spec 2 "'heads' must be at least 1" "$(heads '"heads": -4')"
spec 2 "'heads' must be an integer" "$(heads '"heads": "4"')"
spec 6 "did you mean 'heads'?" "$(heads '"heds": 4')"
spec 2 "did you mean 'attention'?" "{$one, \"block\": {\"mixer\": \"atention\"}}"
spec 2 "did you mean 'pre'?" "{$one, \"block\": {\"mixer\": \"lstm\", \"wiring\": \"pro\"}}"
spec 2 "kind is none, rms, layer or scale, not 'batch'" "{$one, \"block\": {\"mixer\": \"lstm\", \"norm\": \"batch\"}}"
spec 2 "norm: must be an object" "{$one, \"block\": {\"mixer\": \"lstm\", \"norm\": 3}}"
spec 2 "'dropout' must be between" "{$one, \"block\": {\"mixer\": \"lstm\", \"dropout\": 3}}"
spec 2 "kind is token or frames, not 'bytes'" "{$one, \"block\": {\"mixer\": \"lstm\"}, \"stem\": {\"kind\": \"bytes\"}}"
spec 2 "kind 'class' is not known" "{$one, \"block\": {\"mixer\": \"lstm\"}, \"head\": {\"kind\": \"class\"}}"
spec 2 "longer than the 4 positions" "{$one, \"block\": {\"mixer\": \"lstm\"}, \"stem\": {\"positions\": {\"kind\": \"learned\", \"length\": 4}}}"
spec 2 "the model only 10" "{$one, \"vocab\": 10, \"block\": {\"mixer\": \"lstm\"}}"
spec 2 "format 2 is not known" "{\"format\": 2, $one, \"block\": {\"mixer\": \"lstm\"}}"
spec 2 "'blocks' must be a list" "{$one, \"blocks\": []}"
spec 2 "'blocks' must be a list" "{$one, \"blocks\": {}}"
spec 2 "block 0: must be an object" "{$one, \"blocks\": [3]}"
spec 2 "'share' must be the number of an earlier block, not 1" '{"dim": 32, "layers": 2, "blocks": [{"mixer": "lstm", "share": 1}, {"mixer": "lstm"}]}'
spec 2 "shares weights with a different mixer" '{"dim": 32, "layers": 2, "blocks": [{"mixer": "lstm"}, {"mixer": "gru", "share": 0}]}'
spec 2 "shares weights with a block of other norms" '{"dim": 32, "layers": 2, "blocks": [{"mixer": "lstm", "norm": "none"}, {"mixer": "lstm", "share": 0}]}'
spec 2 "another wiring" '{"dim": 32, "layers": 2, "blocks": [{"mixer": "lstm"}, {"mixer": "lstm", "wiring": "post", "share": 0}]}'

# --- sizes ---
spec 2 "'dim' must be between 1" '{"dim": 0, "layers": 1, "block": {"mixer": "lstm"}}'
spec 2 "'dim' must be between 1" '{"dim": -32, "layers": 1, "block": {"mixer": "lstm"}}'
spec 2 "'dim' must be between 1" '{"dim": 99999999999, "layers": 1, "block": {"mixer": "lstm"}}'
spec 2 "'dim' must be an integer" '{"dim": 1e5, "layers": 1, "block": {"mixer": "lstm"}}'
spec 2 "'dim' must be an integer" '{"dim": "32", "layers": 1, "block": {"mixer": "lstm"}}'
spec 2 "'layers' must be between 1" '{"dim": 32, "layers": 0, "block": {"mixer": "lstm"}}'
spec 2 "'layers' must be between 1" '{"dim": 32, "layers": 99999, "block": {"mixer": "lstm"}}'
spec 5 "GB of memory, this machine has" '{"dim": 1048576, "layers": 1024, "block": {"mixer": "lstm"}}'
spec 5 "GB of memory, this machine has" '{"dim": 1048576, "layers": 1, "vocab": 16777216, "block": {"mixer": "lstm"}}'
spec 2 "absurdly large" '{"dim": 32, "layers": 1, "block": {"mixer": "lstm", "channel": {"mixer": "mlp", "hidden": 999999999999}}}'

# --- a loss that is not a number: says at which step, the last checkpoint stays ---
rm -rf nan
bad 1 "is intact" "$WEFT" train text.txt --out nan --params 60k --context 24 --batch 2 --threads 1 --steps 60 --lr 1e30 --clip 0 --warmup 0 \
    --schedule constant --optimizer sgd --checkpoint-every 1
has "$err" "is not a number at step"
check "a checkpoint" test -n "$(ls nan/checkpoints)"
check "no model" test ! -f nan/model.safetensors

# --- a comparison that was stopped is not written over unasked ---
mkdir stopped
echo '{"format": "weft-run", "status": "interrupted", "models": []}' >stopped/run.json
bad 2 "has not ended: --resume goes on with it" "$WEFT" compare text.txt --models lstm --params 60k --context 24 --steps 2 --seeds 1 --rates 1e-3 --out stopped
run 0 "$WEFT" compare text.txt --models lstm --params 60k --context 24 --batch 2 --steps 2 --seeds 1 --rates 1e-3 --out stopped --quiet --force

# --- in a comparison the other models go on ---
echo '{"dim": 32, "layers": 10, "block": {"mixer": {"mixer": "attention", "heads": 2, "causal": true}, "norm": null, "residual_scale": 1e6}}' >wild.json
run 1 "$WEFT" compare text.txt --models gpt2,lstm --spec wild.json --params 60k --context 24 --batch 2 --threads 1 --steps 4 --seeds 1 --rates 1e30,1e-3 --quiet --out mixed
has mixed/run.json '"status": "failed"'
has mixed/run.json '"note": "wild.json: the loss is not a number'
check "two models complete" test "$(grep -c '"status": "complete"' mixed/run.json)" -eq 2
check "a report" test -s mixed/report.html
finish
