#!/bin/sh
# weft convert: number types, shards, prefixes; what comes along; what is refused.
name=convert
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
fixture=$WEFT_SOURCE_DIR/tests/fixtures/adapter/gpt2-dora
cp -R "$fixture" model
chmod -R u+w model
mkdir model/1_Pooling
echo '{"pooling_mode_mean_tokens": true}' >model/1_Pooling/config.json
echo '[{"idx": 0, "path": ""}, {"idx": 1, "path": "1_Pooling"}]' >model/modules.json
echo 'some words' >model/notes.txt
echo 'pickle' >model/pytorch_model.bin

# Nothing to change: the same bits, in the reference's order.
run 0 "$WEFT" convert model same
check "the same tensors" cmp model/model.safetensors same/model.safetensors
check "the same config" cmp model/config.json same/config.json
check "other files come along" cmp model/notes.txt same/notes.txt
check "parts come along" cmp model/1_Pooling/config.json same/1_Pooling/config.json
check "other weights do not" test ! -e same/pytorch_model.bin

# There and back through shards: the second half precision is exact.
run 0 "$WEFT" convert model half --dtype bf16 --shard-size 20KB
check "an index" test -f half/model.safetensors.index.json
check "shards" test -f half/model-00002-of-*.safetensors
is_json half/model.safetensors.index.json
has half/config.json '"bfloat16"'
run 0 "$WEFT" convert half single --dtype fp32
run 0 "$WEFT" convert single again --dtype bf16
run 0 "$WEFT" convert half one
check "the same bits" cmp again/model.safetensors one/model.safetensors
run 0 "$WEFT" inspect half
run 0 "$WEFT" convert model small --dtype fp16

# Names with and without the first part.
run 0 "$WEFT" convert model bare --prefix strip
check "bare names" grep -q '"h.0.ln_1.weight"' bare/model.safetensors
run 0 "$WEFT" convert bare long --prefix add
check "the names return" cmp model/model.safetensors long/model.safetensors
if [ -d "$WEFT_FIXTURES/encoders/dpr-question" ]; then # a first part of two: the reference lets the first be left out
    dpr="$WEFT_FIXTURES/encoders/dpr-question"
    run 0 "$WEFT" convert "$dpr" dpr --dtype fp32
    run 0 "$WEFT" convert dpr dpr-bare --prefix strip
    check "bare names" grep -q '"bert_model.embeddings.LayerNorm.weight"' dpr-bare/model.safetensors
    check "and no others" test "$(grep -c '"question_encoder' dpr-bare/model.safetensors)" -eq 0
    run 0 "$WEFT" convert dpr-bare dpr-long --prefix add
    check "the names return" cmp dpr/model.safetensors dpr-long/model.safetensors
fi

# Merged: what the fixture's reference says is checked by weft verify; here, that only the targets changed.
run 0 "$WEFT" convert model merged --adapter model/adapter --merge --json
has "$out" '"merged": 2'
check "another file" test "$(cmp model/model.safetensors merged/model.safetensors >/dev/null; echo $?)" -eq 1

# A model in one file (of llama2.c, zeros for weights) becomes a folder with the tokenizer that the file is used with.
printf '\010\0\0\0\010\0\0\0\001\0\0\0\002\0\0\0\002\0\0\0\0\001\0\0\010\0\0\0' >zeros.bin
head -c 10208 /dev/zero >>zeros.bin
run 0 "$WEFT" convert zeros.bin zeros
empty "$err"
run 0 "$WEFT" generate zeros a --max-tokens 2
mkdir alone && head -c 28 zeros.bin | sed 's/\x00\x01\x00\x00\x08/\x02\x01\x00\x00\x08/' >alone/zeros.bin
head -c 10272 /dev/zero >>alone/zeros.bin
run 0 "$WEFT" convert alone/zeros.bin other
has "$err" "other has no tokenizer yet: alone: no tokenizer file in this folder"
printf 'GGUF\003' >model.gguf
run 6 "$WEFT" inspect model.gguf
has "$err" "model.gguf: a model in a file of this kind is not read: GGUF"

# Refused.
run 2 "$WEFT" convert model
run 2 "$WEFT" convert model model
has "$err" "never overwritten"
ln -s model link
run 2 "$WEFT" convert model link
run 2 "$WEFT" convert model same
has "$err" "not empty"
run 2 "$WEFT" convert model new --dtype int8
run 2 "$WEFT" convert model new --shard-size some
run 2 "$WEFT" convert model new --adapter model/adapter
run 2 "$WEFT" convert model new --merge
run 2 "$WEFT" convert model new --prefix other
check "nothing was made" test ! -e new
ln -s /etc/hostname model/secret.txt
run 4 "$WEFT" convert model leak
check "nothing leaks" test ! -e leak/secret.txt
finish
