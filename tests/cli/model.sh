#!/bin/sh
# What can be done with a trained model: inspect, eval, generate; streams, signals, mistakes.
name=model
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

cp "$WEFT_SOURCE_DIR/README.md" text.txt
run 0 "$WEFT" train text.txt --model llama --params 30k --context 32 --batch 4 --steps 20 --lr 1e-2 --out run --quiet
if [ -d run/model ]; then model=run/model; else model=run; fi

# ---- inspect
run 0 "$WEFT" inspect $model
has "$out" "family llama"
has "$out" "memory of a training step"
empty "$err"
run 0 "$WEFT" inspect $model --json --batch 2 --precision bf16 --optimizer sgd
is_json "$out"
has "$out" '"compute_copies"'
has "$out" '"weights"'
run 0 "$WEFT" inspect $model
check "the weights beside the config" grep -q '^weights: [0-9]* tensors, .*, F32$' "$out"
mkdir weightless
cp $model/config.json weightless
run 0 "$WEFT" inspect weightless
has "$err" "no weights lie beside the config"
head -c 1000 $model/model.safetensors >weightless/model.safetensors
run 0 "$WEFT" inspect weightless
has "$err" "weightless/model.safetensors"
check "one line" test "$(wc -l <"$err")" -eq 1
run 2 "$WEFT" inspect weightless/config.json
has "$err" "inspect the folder it lies in"
run 2 "$WEFT" inspect no/where
has "$err" "neither a model folder nor a file"
run 0 "$WEFT" inspect $model/model.safetensors
has "$out" "model.embed_tokens.weight"
run 0 "$WEFT" inspect $model/tokenizer.json
has "$out" "a tokenizer"
run 0 "$WEFT" inspect 'retention*2+attention' --params 100k
has "$out" "mixer retention"
# checkpoints that text cannot train further have everything but the step
while read -r class type; do
    mkdir -p "known/$class"
    printf '{"architectures": ["%s"], "model_type": "%s", "vocab_size": 300}' "$class" "$type" >"known/$class/config.json"
    run 0 "$WEFT" inspect "known/$class" --batch 1 --context 64
    has "$out" "no training step"
done <<'EOF'
DistilBertForQuestionAnswering distilbert
ElectraForPreTraining electra
MoonshineForConditionalGeneration moonshine
EOF
run 2 "$WEFT" inspect lama
has "$err" "llama"
run 2 "$WEFT" inspect llama --precision fp16
has "$err" "fp32 or bf16"
# ---- trained further, a model writes text as its folder says: settings come along, lists of ids too
cp -r $model settings
printf '{"do_sample": true, "temperature": 0.5, "eos_token_id": [7, 9]}' >settings/generation_config.json
sed 's/"eos_token_id": [0-9]*/"eos_token_id": [7, 9]/' $model/config.json >settings/config.json
run 0 "$WEFT" train text.txt --model settings --context 32 --batch 4 --steps 1 --out further --quiet
if [ -d further/model ]; then further=further/model; else further=further; fi
check "the settings" test "$(tr -d ' \n' <$further/generation_config.json)" = '{"do_sample":true,"temperature":0.5,"eos_token_id":[7,9]}'
check "the config's list" grep -q '"eos_token_id":\[7,9\]' <<END
$(tr -d ' \n' <$further/config.json)
END
# ---- another tokenizer than the folder's
cp -r $model bare && mv bare/tokenizer.json own.json
run 1 "$WEFT" generate bare 'weft' --max-tokens 4
has "$err" "no tokenizer file"
run 0 "$WEFT" generate $model 'weft' --max-tokens 4 --temperature 0
cp "$out" whole.txt
run 0 "$WEFT" generate bare 'weft' --max-tokens 4 --temperature 0 --tokenizer own.json
check "the same text" cmp -s "$out" whole.txt
run 0 "$WEFT" eval bare text.txt --tokenizer own.json
run 1 "$WEFT" eval bare text.txt --tokenizer none.json
has "$err" "none.json"
printf '{"dim": 32, "layers": 2, "vocab": 40,' >bad.json
run 4 "$WEFT" inspect bad.json
has "$err" "line 1"
printf '{"format": 1, "dim": 33, "layers": 2, "vocab": 40, "block": {"mixer": {"mixer": "attention", "heads": 4}}}' >odd.json
run 2 "$WEFT" inspect odd.json
has "$err" "heads"
printf '{"format": 1, "dim": 32, "layers": 2, "vocab": 40, "blocc": {}}' >unknown.json
run 2 "$WEFT" inspect --spec unknown.json
has "$err" "did you mean 'block'"
head -c 1000 $model/model.safetensors >cut.safetensors
run 4 "$WEFT" inspect cut.safetensors
has "$err" "cut.safetensors"
mkdir empty-folder
run 4 "$WEFT" inspect empty-folder
has "$err" "no config.json in it"

# ---- eval
run 0 "$WEFT" eval $model text.txt
has "$out" "bits per byte"
empty "$err"
run 0 "$WEFT" eval $model text.txt --json --by-position --context 16
is_json "$out"
has "$out" '"position_loss"'
cp "$out" whole
gzip -c text.txt >text.txt.gz
run 0 "$WEFT" eval $model text.txt.gz --json --by-position --context 16
if command -v python3 >/dev/null 2>&1; then
    check "the same loss from the gzipped text" python3 -c 'import json
a, b = json.load(open("whole")), json.load(open("stdout"))
assert a["loss"] == b["loss"] and a["bytes"] == b["bytes"]'
fi
last="eval -"
check "text from standard input" sh -c '"$1" eval "$2" - <text.txt | grep -q perplexity' - "$WEFT" $model
run 2 "$WEFT" eval $model
has "$err" "which text"
run 2 "$WEFT" eval
has "$err" "which model"
run 1 "$WEFT" eval $model no-such-file
has "$err" "no-such-file"
run 2 "$WEFT" eval no-such-model text.txt
has "$err" "no-such-model"
: >nothing.txt
run 4 "$WEFT" eval $model nothing.txt
printf x >one.txt
run 4 "$WEFT" eval $model one.txt

# ---- generate
run 0 "$WEFT" generate $model "The " --max-tokens 12 --seed 3
[ -s "$out" ] && pass || fail "no text"
has "$err" "tokens at"
cp "$out" first
run 0 "$WEFT" generate $model --prompt "The " --max-tokens 12 --seed 3 --quiet
empty "$err"
check "the same text for the same seed" cmp -s "$out" first
run 0 env WEFT_THREADS=3 "$WEFT" generate $model "The " --max-tokens 12 --seed 3 --quiet
check "the same text for three threads" cmp -s "$out" first
last="generate from a pipe"
printf 'The ' | "$WEFT" generate $model --max-tokens 12 --seed 3 --quiet >"$out" 2>"$err"
check "the same text from standard input" cmp -s "$out" first
printf 'The ' | "$WEFT" generate $model - --max-tokens 12 --seed 3 --quiet >"$out" 2>"$err"
check "the same text from -" cmp -s "$out" first
run 0 "$WEFT" generate $model "The " --max-tokens 12 --seed 3 --json
is_json "$out"
has "$out" '"finish": "max_tokens"'
empty "$err"
run 0 "$WEFT" generate $model "" --max-tokens 3 --quiet
run 0 "$WEFT" generate $model "ab" --max-tokens 5 --temperature 0 --precision bf16 --quiet
run 0 "$WEFT" generate $model "ab" --max-tokens 50 --stop e --stop a --json
has "$out" '"finish": "stop"'
run 0 "$WEFT" generate $model "abc" --max-tokens 100 --context 16
has "$err" "the context of 16 tokens is full"
run 0 "$WEFT" generate $model "abc" --max-tokens 40 --context 16 --overflow slide --json
has "$out" '"tokens": 40'
run 1 "$WEFT" generate $model "abc" --max-tokens 40 --context 16 --overflow error
has "$err" "full"
run 2 "$WEFT" generate $model "abc" --overflow wrap
has "$err" "stop, slide or error"
run 2 "$WEFT" generate $model "abc" --temperature -1
run 2 "$WEFT" generate $model "abc" --top-p 0
run 2 "$WEFT" generate
has "$err" "which model"
run 2 "$WEFT" generate $model a b
run 2 "$WEFT" generate no-such-model a
has "$err" "neither a model folder nor a file"
if [ -e /dev/full ]; then
    last="generate >/dev/full"
    code=0
    "$WEFT" generate $model "ab" --max-tokens 5 >/dev/full 2>"$err" || code=$?
    check "exit code 1" [ "$code" -eq 1 ]
    has "$err" "could not be written"
fi

# Signals end the text cleanly.
for signal in INT TERM; do
    last="kill -$signal"
    want=130
    [ $signal = TERM ] && want=143
    code=0
    "$WEFT" generate $model "ab" --max-tokens 2000000000 --overflow slide >"$out" 2>"$err" </dev/null &
    pid=$!
    while [ ! -s "$out" ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
    kill -$signal $pid
    wait $pid || code=$?
    check "exit code $want" [ $code -eq $want ]
    has "$err" "tokens at"
done

# ---- the text goes on behind the prompt: a tokenizer that drops the space before the first word keeps it before the next
for i in 1 2 3 4 5 6 7 8 9; do printf 'one two one two one two one two one two one two one two one two\n'; done >words.txt
run 0 "$WEFT" tokenize --train bpe-char --vocab 20 --out words/ words.txt
run 0 "$WEFT" train words.txt --tokenizer words --params 30k --context 16 --batch 4 --steps 60 --lr 1e-2 --out counted --quiet
run 0 "$WEFT" generate counted 'one' --temperature 0 --max-tokens 3
has "$out" " two one two"
run 0 "$WEFT" generate counted 'one' --temperature 0 --max-tokens 3 --stop ' one'
check "a stop string with a space" test "$(cat "$out")" = " two"
run 0 "$WEFT" generate counted 'one' --beams 2 --max-tokens 3
has "$out" " two one two"
printf '{"eos_token_id": ' >counted/generation_config.json
run 4 "$WEFT" generate counted 'one'
has "$err" "counted/generation_config.json: "
rm counted/generation_config.json
run 2 "$WEFT" generate counted 'one' --prompt two
has "$err" "not both"
run 0 "$WEFT" generate counted "$(printf 'one \377')" --temperature 0 --max-tokens 3
run 0 "$WEFT" train words.txt --model counted --lora r=2 --context 16 --steps 2 --out beside
has "$err" "the configuration is in beside/train.json"
has "$err" "step 2 of 2: loss "
run 4 "$WEFT" generate beside 'one'
has "$err" "this is an adapter"

# ---- a text without tokens has a vector too: where no token begins or ends texts, that of a line end
printf 'the cat\n\nsat\n' >gaps.txt
run 0 "$WEFT" embed $model gaps.txt --dims 2
check "a line for each" test "$(wc -l <"$out")" -eq 3
run 4 "$WEFT" train words.txt --model beside --steps 1 --out next
has "$err" "beside: a folder without config.json is no model"

# ---- a conversation through the model's template
printf '{"chat_template": "{%% for m in messages %%}{{ m.content }} {%% endfor %%}{%% if add_generation_prompt %%}one{%% endif %%}"}' >counted/tokenizer_config.json
printf '[{"role": "user", "content": "one two"}]' >chat.json
run 0 "$WEFT" generate counted --chat chat.json --temperature 0 --max-tokens 3
has "$out" " two one two"
last="chat from standard input"
check "the same from standard input" test "$("$WEFT" generate counted --chat - --temperature 0 --max-tokens 3 --quiet <chat.json)" = "$(cat "$out")"
run 2 "$WEFT" generate counted --chat chat.json --prompt one
has "$err" "either a prompt or a chat"
run 2 "$WEFT" generate counted one --chat chat.json
run 4 "$WEFT" generate counted --chat chat.json --template other
has "$err" "no chat template named 'other'"
run 4 "$WEFT" generate $model --chat chat.json
has "$err" "no chat template"

# ---- a file of weights that needs its config
run 6 "$WEFT" generate $model/model.safetensors a
has "$err" "open the folder it lies in"

# ---- damaged folders
cp -r $model broken
head -c 5000 $model/model.safetensors >broken/model.safetensors
run 4 "$WEFT" generate broken a
has "$err" "model.safetensors"
printf '{' >broken/config.json
run 4 "$WEFT" eval broken text.txt
has "$err" "config.json"
rm broken/config.json
run 4 "$WEFT" inspect broken

# ---- verify
run 2 "$WEFT" verify empty-folder
has "$err" "fixture"
run 2 "$WEFT" verify
fixtures=$WEFT_SOURCE_DIR/tests/fixtures
if [ -d "$fixtures/channel" ]; then
    run 0 "$WEFT" verify "$fixtures/channel"
    has "$out" " passed, 0 failed"
    run 0 "$WEFT" verify "$fixtures/channel" --json
    is_json "$out"
fi
finish
