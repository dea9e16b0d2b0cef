#!/bin/sh
# Texts through the heads of models: embed, classify, tag, answer, fill, rerank, translate; what they read and write, and their mistakes.
name=heads
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

# A tiny model of the fixtures with a vocabulary of words of its size.
model() { # model NAME FIXTURE WORDS
    cp -R "$WEFT_SOURCE_DIR/tests/fixtures/encoders/$2" "$1"
    chmod -R u+w "$1"
    awk -v n="$3" 'BEGIN {
        split("[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat on mat who is red sky ##s . , ? anna lives in paris good bad", w, " ")
        for (i = 1; i <= n; i++) print i in w ? w[i] : "word" i
    }' >"$1/vocab.txt"
    printf '{"do_lower_case": true, "mask_token": "[MASK]", "cls_token": "[CLS]", "unk_token": "[UNK]"}' >"$1/tokenizer_config.json"
}
model mlm bert-pretraining 103
model tags bert-tokcls 101
model choice electra-multichoice 99
lines() { check "$2 lines" test "$(wc -l <"$1")" -eq "$2"; }

printf 'The cat sat on the mat.\n\nThe red cats\nAnna lives in Paris, who?\n' >texts
printf '{"title": "the cat", "text": "sat on"}\n\n{"text": "red sky", "title": "the"}\n' >texts.jsonl
printf 'id,text\n1,"the cat, red"\n2,\n' >texts.csv

# ---- embed
run 0 "$WEFT" embed mlm texts
lines "$out" 4
empty "$err"
run 0 "$WEFT" embed mlm texts --json --dims 3 --normalize
lines "$out" 4
has "$out" '"text":"The red cats"'
cp "$out" one
run 0 "$WEFT" embed mlm texts --json --dims 3 --normalize --threads 1
check "the same vectors by one thread" cmp one "$out"
run 0 sh -c '"$1" embed mlm --json --dims 3 --normalize <texts' - "$WEFT"
lines "$out" 4
run 0 "$WEFT" embed mlm texts.jsonl --field title,text --format tsv --dims 2
lines "$out" 2
run 0 "$WEFT" embed mlm texts.csv --format f32
check "4 bytes a number" test "$(wc -c <"$out")" -eq 256
run 0 "$WEFT" embed mlm texts --format fvecs
check "the width before each" test "$(wc -c <"$out")" -eq 528
run 0 "$WEFT" embed mlm texts --format npy
check "a header of 128 bytes" test "$(wc -c <"$out")" -eq 640
check "the magic" sh -c 'head -c 6 "$1" | grep -q NUMPY' - "$out"
run 0 "$WEFT" embed mlm texts --max-length 4
has "$err" "3 of 4 texts are longer than 4 tokens"
run 2 "$WEFT" embed mlm texts --max-length 41
has "$err" "40 positions"
run 2 "$WEFT" embed mlm texts --max-length 1
has "$err" "the tokenizer puts 2 tokens around a text"
run 2 "$WEFT" embed mlm texts --dims 33
has "$err" "32 numbers"
run 2 "$WEFT" embed mlm texts --prompt query
has "$err" "no prompt 'query'"
run 2 "$WEFT" embed mlm texts --pooling middle
has "$err" "'pooling' must be cls, mean"
run 2 "$WEFT" embed mlm texts --format png
has "$err" "fvecs"
run 4 "$WEFT" embed mlm texts.jsonl --field txt
has "$err" 'texts.jsonl: line 1: there is no field "txt"; its first is "title"'
printf '{"text": "a"}\n{"text": \n' >bad.jsonl
run 4 "$WEFT" embed mlm bad.jsonl
has "$err" "bad.jsonl: line 2"
run 4 "$WEFT" embed mlm texts.csv --field body
has "$err" 'no column "body"'
run 2 "$WEFT" embed
has "$err" "which model?"
printf '{"title": "the", "text": null}\n' >null.jsonl
run 4 "$WEFT" embed mlm null.jsonl
has "$err" 'null.jsonl: line 1: the field "text" is null'

# ---- files of a folder have the formats of their names; what is no text is left out
mkdir -p folder/deeper
printf 'the cat\nthe mat\n' >folder/a.txt
printf '{"text": "red sky"}\n' >folder/b.jsonl
printf 'text,id\n"sat, on",1\n' >folder/deeper/c.csv
printf '\000\001' >folder/d.png
: >folder/e.txt
run 0 "$WEFT" embed mlm folder --json --dims 1
lines "$out" 4
has "$out" '"text":"red sky"'
has "$out" '"text":"sat, on"'
empty "$err"

# ---- a mark of UTF-8 in front is no part of a text
printf 'the cat\nsat\n' >texts.txt
for kind in jsonl txt csv; do
    run 0 "$WEFT" embed mlm texts.$kind
    cp "$out" one
    { printf '\357\273\277' && cat texts.$kind; } >marked.$kind
    run 0 "$WEFT" embed mlm marked.$kind --json
    lacks "$out" "$(printf '\357\273\277')"
    run 0 "$WEFT" embed mlm marked.$kind
    check "the same vectors" cmp -s one "$out"
done

# ---- where nothing comes in, nothing goes out
: >nothing
printf 'id,text\n' >nothing.csv
for words in "embed mlm" "classify mlm" "rerank mlm --query a --label LABEL_1" "tag tags" "embed mlm nothing" "classify mlm nothing.csv"; do
    run 0 "$WEFT" $words
    empty "$out"
    empty "$err"
done
run 2 "$WEFT" embed mlm - -
has "$err" "named twice"
run 0 "$WEFT" embed mlm --format npy --dims 3
has "$out" "'shape': (0, 3)"
if [ -e /dev/full ]; then
    for words in "classify mlm texts" "embed mlm texts --format npy" "generate mlm texts"; do
        last="$words on a full disk"
        "$WEFT" $words >/dev/full 2>"$err"
        check "one line" test "$(wc -l <"$err")" -eq 1
    done
fi

# ---- a sentence-transformers folder
mkdir st
cp -R mlm st/0_Transformer
mkdir st/1_Pooling st/2_Normalize
cat >st/modules.json <<'END'
[{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
 {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
END
printf '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}' >st/1_Pooling/config.json
printf '{"prompts": {"query": "the cat "}, "default_prompt_name": null}' >st/config_sentence_transformers.json
printf '{"max_seq_length": 6, "do_lower_case": false}' >st/0_Transformer/sentence_bert_config.json
run 0 "$WEFT" inspect st
has "$out" "family bert"
has "$out" "sentence-transformers: Transformer, Pooling cls_token max_tokens, Normalize"
run 0 "$WEFT" embed st texts --format f32
check "two poolings side by side" test "$(wc -c <"$out")" -eq 1024
has "$err" "longer than 6 tokens"
printf 'sat on\n' >short
printf 'the cat sat on\n' >long
run 0 "$WEFT" embed st short --prompt query
cp "$out" prompted
run 0 "$WEFT" embed st long
check "a prompt stands before the text" cmp prompted "$out"
sed 's/1_Pooling", "type"/..\/mlm", "type"/' st/modules.json >escape.json
cp st/modules.json modules.json
cp escape.json st/modules.json
run 4 "$WEFT" embed st short
has "$err" "not a plain file name"
sed 's/models.Normalize/models.LSTM/' modules.json >st/modules.json
run 6 "$WEFT" embed st short
has "$err" "models.LSTM"

# ---- fill
printf 'the [MASK] sat on [MASK] .\n' >masks
run 0 "$WEFT" fill mlm masks
lines "$out" 2
run 0 "$WEFT" fill mlm masks --top-k 2 --json
lines "$out" 1
is_json "$out"
printf 'the ___ sat\n' >blanks
run 0 "$WEFT" fill mlm blanks --mask ___ --targets cat,mat
lines "$out" 1
has "$out" "mat"
run 4 "$WEFT" fill mlm texts
has "$err" "texts: line 1: there is no [MASK] in the text"
run 2 "$WEFT" fill mlm blanks --mask ___ --targets zebra,cats
has "$err" "'zebra' is not in the vocabulary"
run 2 "$WEFT" fill mlm blanks --mask ___ --targets mat,cats
has "$err" "not one token"

# ---- a record that cannot be asked: its file and line, behind the results of all in front of it
ends_at() { # ends_at LINES REASON COMMAND..: exit code 4, so many lines first
    want_lines=$1 reason=$2
    shift 2
    run 4 "$WEFT" "$@"
    lines "$out" "$want_lines"
    has "$err" "$reason"
    lines "$err" 1
}
printf 'the [MASK] sat\nthe [MASK]\nthe cat\nthe [MASK] cat\nno\n' >holes
ends_at 2 'holes: line 3: there is no [MASK] in the text' fill mlm holes
ends_at 2 'holes: line 3: there is no [MASK] in the text' fill mlm holes --json --threads 4
awk 'BEGIN { for (i = 1; i <= 5000; i++) print i == 4900 || i == 4950 ? "the" : "the [MASK]" }' >holes
ends_at 4899 'holes: line 4900: there is no [MASK]' fill mlm holes --top-k 1 --threads 4
printf '{"text": "the cat"}\n\n{"text": "sat"}\n{"text": 3}\n{"text": "on"}\n' >third.jsonl
for words in "embed mlm" "classify mlm" "tag tags --ignore none --aggregation none --json"; do
    ends_at 2 'third.jsonl: line 4: the field "text" is not a text' $words third.jsonl
done
ends_at 0 'third.jsonl: line 4: the field "text" is not a text' rerank mlm third.jsonl --query cat --label LABEL_1
printf '{"text": "a", "choices": ["sat"]}\n{"text": "a", "choices": []}\n' >none.jsonl
ends_at 1 'none.jsonl: line 2: the field "choices" must be a list of texts' classify choice none.jsonl

# ---- classify, rerank
run 0 "$WEFT" classify mlm texts
lines "$out" 4
has "$out" "LABEL_"
run 0 "$WEFT" classify mlm texts --json
lines "$out" 4
has "$out" '"scores":[{"label":"LABEL_'
printf '{"a": "the cat", "b": "the mat"}\n' >pairs.jsonl
run 0 "$WEFT" classify mlm pairs.jsonl --field a --pair b --top-k 0
lines "$out" 1
run 2 "$WEFT" classify mlm texts --pair b
has "$err" "lines of text have one field"
run 2 "$WEFT" embed mlm - --field title
has "$err" "standard input: lines of text have no field 'title'"
printf '{"text": "the cat", "choices": ["sat", "is red"]}\n{"text": "sky", "question": "is", "choices": ["red"]}\n' >choices.jsonl
run 0 "$WEFT" classify choice choices.jsonl --top-k 0
lines "$out" 2
has "$out" "is red"
run 4 "$WEFT" classify choice texts.jsonl
has "$err" '"choices"'
run 6 "$WEFT" rerank mlm texts --query cat
has "$err" "2 classes"
run 0 "$WEFT" rerank mlm texts --query cat --label LABEL_1
lines "$out" 4
check "the best first" sort -c -g -r -k 1,1 "$out"
run 0 "$WEFT" rerank mlm texts --query cat --label LABEL_1 --top-k 2 --json
lines "$out" 2
run 2 "$WEFT" rerank mlm texts
has "$err" "which query?"

# ---- tag
run 0 "$WEFT" tag tags texts --ignore none
has "$out" "The cat"
run 0 "$WEFT" tag tags texts --json --aggregation first
lines "$out" 4
printf 'Anna lives in Paris in the red sky on the mat on the mat in Paris who is Anna\n' >walk
run 0 "$WEFT" tag tags walk --aggregation none --ignore none --max-length 8 --stride 3 --json
has "$out" '"end":77'
empty "$err"
run 2 "$WEFT" tag tags texts --aggregation best
has "$err" "simple"
run 6 "$WEFT" tag mlm texts
has "$err" "needs a model with a head 'tag'; the head of this one is 'mlm' (see: weft help fill)"

# ---- answer
cp -R tags spans
cp "$WEFT_SOURCE_DIR/tests/fixtures/encoders/roberta-qa/config.json" "$WEFT_SOURCE_DIR/tests/fixtures/encoders/roberta-qa/model.safetensors" spans
run 0 "$WEFT" answer spans walk --question 'who is in Paris' --max-length 12 --stride 3 --json --top-k 3
is_json "$out"
has "$out" '"answers":['
empty "$err"
printf '{"question": "who ?", "context": "Anna"}\n{"question": "", "context": "Anna"}\n' >questions.jsonl
ends_at 1 'questions.jsonl: line 2: the question is empty' answer spans questions.jsonl
printf 'Anna lives in Paris\n\nthe cat\n' >contexts
ends_at 1 'contexts: line 2: the context is empty' answer spans contexts --lines --question who
run 2 "$WEFT" answer spans walk --question ''
has "$err" "the question is empty"
run 6 "$WEFT" answer tags walk --question who
has "$err" "'span'"

# ---- translate
# A tiny encoder-decoder whose token N is written wN, but for those of WORDS ("N text ..", special where marked with !).
seq2seq() { # seq2seq NAME FOLDER VOCABULARY WORDS POST_PROCESSOR
    cp -R "$WEFT_SOURCE_DIR/tests/fixtures/$2" "$1"
    chmod -R u+w "$1"
    awk -v n="$3" -v words="$4" -v post="$5" 'BEGIN {
        m = split(words, w, " ")
        for (i = 0; i < n; i++) name[i] = "w" i
        for (i = 1; i < m; i += 2) {
            special[w[i]] = sub(/^!/, "", w[i + 1])
            name[w[i]] = w[i + 1]
        }
        printf "{\"version\": \"1.0\", \"normalizer\": null, \"decoder\": null, \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, "
        printf "\"post_processor\": %s, \"added_tokens\": [", post
        for (i = 0; i < n; i++) if (special[i]) {
            printf "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"normalized\": false, \"single_word\": false, \"lstrip\": false, \"rstrip\": false}", comma, i, name[i]
            comma = ", "
        }
        printf "], \"model\": {\"type\": \"WordLevel\", \"unk_token\": \"w3\", \"vocab\": {"
        for (i = 0; i < n; i++) printf "%s\"%s\": %d", i ? ", " : "", name[i], i
        printf "}}}\n"
    }' >"$1/tokenizer.json"
    printf '{"tokenizer_class": "PreTrainedTokenizerFast"}' >"$1/tokenizer_config.json" # not what its kind of model usually has
}
is() { # is TEXT: the output is that line
    printf '%s\n' "$1" >wanted
    check "the same text" cmp -s wanted "$out"
}
same() { check "$1" cmp -s "$2" "$out"; }
seq2seq t5 seq2seq/t5-greedy 61 '' null
printf '{"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0, "max_new_tokens": 12}' >t5/generation_config.json
printf 'w11 w56 w48 w27 w57 w39 w48 w38 w59\nw47 w37 w50 w24 w25 w18\n' >sources
printf 'w43 w14 w46 w41 w39 w46 w41 w39 w46 w41 w39 w46\nw52 w29 w27 w9 w24 w39 w46 w41 w36 w10 w24 w39\n' >reference
run 0 "$WEFT" translate t5 sources
same "the texts of the reference" reference
has "$err" "2 of 2 translations were cut after 12 tokens"
run 6 "$WEFT" embed t5 sources
has "$err" "needs an encoder or a decoder alone"
run 0 "$WEFT" translate t5 sources --batch 4 --threads 1
same "one at a time" reference
sed -n '1!G;h;$p' sources >turned
sed -n '1!G;h;$p' reference >turned.reference
run 0 "$WEFT" translate t5 turned
same "in the order of the sources" turned.reference
sed G sources >spaced
sed G reference >spaced.reference
run 0 "$WEFT" translate t5 spaced
same "blank lines stay where they are" spaced.reference
printf ' \t\n' >blank
run 0 "$WEFT" translate t5 blank --prefix 'w47 ' --json
is '{"text":" \t","translation":"","tokens":0,"finish":"eos"}'
printf '{"text": "w47"}\n{"body": "w47"}\n' >second.jsonl
ends_at 1 'second.jsonl: line 2: there is no field "text"' translate t5 second.jsonl --max-tokens 2
run 0 "$WEFT" translate t5 sources --json --max-tokens 3
lines "$out" 2
has "$out" '{"text":"w47 w37 w50 w24 w25 w18","translation":"w52 w29 w27","tokens":3,"finish":"max_tokens"}'
printf '{"id": 1, "body": "w47 w37 w50 w24 w25 w18"}\n' >sources.jsonl
run 0 "$WEFT" translate t5 sources.jsonl --field body --max-tokens 2
is 'w52 w29'
run 0 "$WEFT" translate t5 sources --temperature 2 --seed 3
cp "$out" drawn
run 0 "$WEFT" translate t5 sources --temperature 2 --seed 3 --batch 4
same "the same draws in other batches" drawn
run 0 "$WEFT" translate t5 sources --temperature 2 --top-k 1
same "the best one of one" reference
run 0 "$WEFT" generate t5 'w47 w37 w50 w24 w25 w18' --temperature 0 --max-tokens 12 --quiet
is 'w52 w29 w27 w9 w24 w39 w46 w41 w36 w10 w24 w39'
run 0 sh -c 'printf "w47 w37 w50 w24 w25 w18" | "$1" generate t5 --temperature 0 --max-tokens 2 --quiet' - "$WEFT"
is 'w52 w29'
printf 'w37 w50 w24 w25 w18\n' >rest
run 0 "$WEFT" translate t5 rest --prefix 'w47 ' --max-tokens 2
is 'w52 w29'
sed 's/"vocab_size"/"task_specific_params": {"translation_en_to_de": {"prefix": "w47 "}, "summarization": {"prefix": "w1 "}},&/' \
    t5/config.json >config.json
cp t5/config.json plain.json
cp config.json t5/config.json
run 0 "$WEFT" translate t5 rest --max-tokens 2
is 'w52 w29'
run 0 "$WEFT" translate t5 rest --from en --to de --max-tokens 2
is 'w52 w29'
run 2 "$WEFT" translate t5 rest --from en --to df
has "$err" "did you mean 'translation_en_to_de'"
run 0 "$WEFT" translate t5 sources --prefix ''
same "no prefix" reference
cp plain.json t5/config.json
printf '{"decoder_start_token_id": 0, "eos_token_id": 52, "bad_words_ids": [[43], [52]], "num_beams": 4, "max_length": 5}' \
    >t5/generation_config.json
run 0 "$WEFT" translate t5 sources
printf 'w53 w51 w4 w44\nw53 w51 w4 w44\n' >beams
same "the beams of the config" beams
has "$err" "2 of 2 translations were cut after 4 tokens"
run 0 "$WEFT" translate t5 sources --beams 1
lacks "$out" w43
check "an empty line where the text ended at once" sh -c 'test -z "$(sed -n 2p "$1")"' - "$out"
has "$err" "1 of 2 translations were cut after 4 tokens"
run 6 "$WEFT" translate t5 sources --temperature 1
has "$err" "'num_beams' of the generation config: beams whose tokens are drawn are not supported"
run 2 "$WEFT" translate t5 sources --beams 2 --sequences 3
has "$err" "2 beams do not give 3 sequences"
run 2 "$WEFT" translate t5 sources --early-stopping soon
has "$err" "'early_stopping' must be true, false or never"
printf '{"decoder_start_token_id": 0, "eos_token_id": [1, 39, 48], "max_new_tokens": 8}' >t5/generation_config.json
for batch in 2048 8; do
    run 0 "$WEFT" translate t5 sources --beams 3 --sequences 2 --length-penalty -1 --early-stopping true --batch $batch
    printf 'w43 w14 w46 w41\tw31 w38 w36 w10 w24\nw43 w14 w46 w41\tw52 w29 w27 w9 w24\n' >beams
    check "two sequences of three beams" sh -c 'sed "s/ w39//g; s/ w1\\b//g" "$1" | cmp -s - beams' - "$out"
done
run 0 "$WEFT" translate t5 sources --beams 3 --sequences 2 --length-penalty -1 --early-stopping true --json --threads 1
lines "$out" 2
has "$out" '"finish":"eos","score":-25.6'
has "$out" '"sequences":[{"translation":"w43 w14 w46 w41'
run 0 "$WEFT" generate t5 'w47 w37 w50 w24 w25 w18' --beams 3 --sequences 2 --length-penalty -1 --early-stopping true --max-tokens 8 --json
has "$out" '"score": -25.98'
has "$out" '"finish": "eos"'
run 0 "$WEFT" generate t5 'w47 w37 w50 w24 w25 w18' --beams 4 --max-tokens 4 --quiet
lines "$out" 1
printf '{"decoder_start_token_id": 0, "eos_token_id": [1, 39, 48], "max_new_tokens": 8, "stop_strings": "w14 w46"}' >t5/generation_config.json
run 0 "$WEFT" translate t5 sources --beams 1 --json
has "$out" '"translation":"w43 w14 w46","tokens":3,"finish":"stop"'
has "$out" '"translation":"w52 w29 w27 w9 w24"'
run 6 "$WEFT" generate t5 w47 --beams 4 --stop w39
has "$err" "stop strings with beams are not supported"
run 6 "$WEFT" translate t5 rest --to de
has "$err" "no language 'de'"
run 2 "$WEFT" translate t5 rest --max-tokens 0
has "$err" "max_tokens"

seq2seq forced seq2seq/bart-greedy-forced 63 '' null
printf '{"decoder_start_token_id": 2, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "eos_token_id": 2, "max_new_tokens": 10}' \
    >forced/generation_config.json
printf 'w7 w9 w24 w14 w41 w7 w30 w32 w47\n' >source
run 0 "$WEFT" translate forced source
is 'w50 w56 w46 w34 w10 w6 w59 w30'
empty "$err"
run 2 "$WEFT" translate forced source --max-tokens 40
has "$err" "40 tokens are more than the 3"
run 2 "$WEFT" translate forced source --max-length 40
has "$err" "40 tokens are more than the"
template='{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "en_XX", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"en_XX": {"id": "en_XX", "ids": [7], "tokens": ["en_XX"]}}}'
seq2seq many seq2seq/bart-greedy-forced 63 '7 !en_XX 8 !de_DE 50 !fr_XX' "$template"
cp forced/generation_config.json many
printf 'w9 w24 w14 w41 en_XX w30 w32 w47\n' >rest
run 0 "$WEFT" translate many rest
is 'w56 w46 w34 w10 w6 w59 w30'
run 0 "$WEFT" translate many rest --from en_XX
is 'w56 w46 w34 w10 w6 w59 w30'
sed 's/_id": 0/_id": 50/' forced/generation_config.json >other.json
cp other.json forced/generation_config.json
run 0 "$WEFT" translate forced source
tr -d '\n' <"$out" >french
run 0 "$WEFT" translate many rest --to fr_XX
check "--to is the forced token" test "$(cat "$out")" = "$(sed 's/w50 *//g' french)"
check "--to changes the text" test "$(cat "$out")" != 'w56 w46 w34 w10 w6 w59 w30'
run 2 "$WEFT" translate many rest --to fr
has "$err" "there is no language 'fr'; did you mean 'fr_XX'?"
run 2 "$WEFT" translate many rest --to pt_BR
has "$err" "among the 3 of this model"
seq2seq asked seq2seq/t5-greedy 61 '47 >>fra<<' null
printf '{"decoder_start_token_id": 0, "eos_token_id": 1, "max_new_tokens": 2}' >asked/generation_config.json
printf 'w37 w50 w24 w25 w18\n' >rest
seq2seq spoken seq2seq/t5-greedy 61 '47 !en_XX 27 !de_DE' "$(printf '%s' "$template" | sed 's/\[7\]/[47]/')"
seq2seq bare seq2seq/t5-greedy 61 '47 !__en__ 27 !__de__' null
cp asked/generation_config.json spoken
cp asked/generation_config.json bare
run 0 "$WEFT" translate spoken rest
is 'w52 w29'
run 0 "$WEFT" translate spoken rest --from de_DE --json
is '{"text":"w37 w50 w24 w25 w18","translation":"w43 w14","tokens":2,"finish":"max_tokens"}'
run 0 "$WEFT" translate bare rest --from de
is 'w43 w14'
run 0 "$WEFT" translate bare rest --from __en__
is 'w52 w29'
run 0 "$WEFT" translate asked rest --to fra
is 'w52 w29'
run 2 "$WEFT" translate asked rest --from fra
has "$err" "'to'"
rm asked/tokenizer.json
printf '\n\011\n\005<unk>\030\002' >asked/source.spm
printf '{"tokenizer_class": "MarianTokenizer"}' >asked/tokenizer_config.json
run 6 "$WEFT" translate asked rest
has "$err" "ids from vocab.json, which is not beside it"
rm asked/source.spm
printf '\n\007\n\005<unk>' >asked/spiece.model
printf '{"tokenizer_class": "MBart50Tokenizer"}' >asked/tokenizer_config.json
run 4 "$WEFT" translate asked rest
has "$err" "a SentencePiece model needs pieces"
mkdir pair
cp t5/config.json t5/model.safetensors spoken/generation_config.json pair
awk 'BEGIN { for (i = 0; i < 61; i++) print "w" i }' >pair/source_vocabulary.txt
awk 'BEGIN { for (i = 0; i < 61; i++) print "v" i }' >pair/target_vocabulary.txt
printf 'w47 w37 w50 w24 w25 w18\n' >source
run 0 "$WEFT" translate pair source
is 'v52 v29'
sed 's/"vocab_size"/"add_source_eos": true,&/' t5/config.json >pair/config.json
run 6 "$WEFT" translate pair source
has "$err" "add_source_eos"
run 6 "$WEFT" translate mlm texts
has "$err" "needs a model with a head 'lm'; the head of this one is 'mlm'"
seq2seq alone decoders/gpt2-inverse-layer-untied 113 '' null
run 6 "$WEFT" translate alone rest
has "$err" "this model has a decoder alone (see: weft help generate)"
# generate follows the rules of the generation config
run 0 "$WEFT" generate alone w7 --temperature 0 --max-tokens 1
word=$(tr -d " " <"$out")
printf '{"suppress_tokens": [%s], "num_beams": 2}' "${word#w}" >alone/generation_config.json
run 0 "$WEFT" generate alone w7 --temperature 0 --max-tokens 8
check "a suppressed token never comes" sh -c '! grep -qw "$1" "$2"' - "$word" "$out"
lacks "$err" "not followed"
run 0 "$WEFT" generate alone w7 --beams 2 --sequences 2 --max-tokens 8 --quiet
lines "$out" 2
# .. for every line of a file what it is alone; what cannot be asked ends the run behind the others
printf 'w7\n\nw8 w9\n' >prompts
run 0 "$WEFT" generate alone --text prompts --max-tokens 6 --seed 5
lines "$out" 3
cp "$out" together
for prompt in w7 '' 'w8 w9'; do
    run 0 "$WEFT" generate alone "$prompt" --max-tokens 6 --seed 5 --quiet
    cat "$out"
done >apart
check "lines are what each is alone" cmp together apart
run 0 sh -c '"$1" generate alone --text - --max-tokens 6 --seed 5 <prompts' - "$WEFT"
check "standard input too" cmp together "$out"
# .. however many are written at the same time, and however they end
awk 'BEGIN { for (i = 0; i < 23; i++) { for (k = 0; k <= i * 5 % 9; k++) printf "w%d ", (i * 7 + k) % 50; print "" } }' >crowd
for how in "--temperature 0" "--seed 3 --repetition-penalty 1.2" "--seed 5 --stop w3 --stop w1" "--overflow slide --context 11"; do
    while read -r prompt; do
        run 0 "$WEFT" generate alone "$prompt" --max-tokens 9 --beams 1 --quiet $how
        cat "$out"
    done <crowd >apart
    for batch in 1 40 90 500; do
        run 0 "$WEFT" generate alone --text crowd --max-tokens 9 --beams 1 --batch $batch $how
        check "$how: lines of batches of $batch are what each is alone" cmp "$out" apart
    done
    run 0 "$WEFT" generate alone --text crowd --max-tokens 9 --beams 1 $how
    check "$how: lines are what each is alone" cmp "$out" apart
done
while read -r prompt; do
    run 0 "$WEFT" generate t5 "$prompt" --beams 1 --temperature 0 --max-tokens 9 --quiet
    cat "$out"
done <crowd >apart
run 0 "$WEFT" generate t5 --text crowd --beams 1 --temperature 0 --max-tokens 9
check "sources too" cmp "$out" apart
run 2 "$WEFT" generate alone w7 --batch 40
printf 'w1\nw2 w3\nw1 w2 w3 w4\nw5\n' >uneven
run 2 "$WEFT" generate alone --text uneven --beams 1 --max-tokens 2 --context 3
lines "$out" 2
has "$err" "uneven: line 3: the prompt has 4 tokens, the context only 3"
run 4 sh -c 'yes w7 | head -c 17000000 | "$1" generate alone' - "$WEFT"
has "$err" "the prompt on standard input has more than 16 MiB"
printf '{"p": "w7"}\n{"q": "w8"}\n' >prompts.jsonl
run 4 "$WEFT" generate alone --text prompts.jsonl --field p --json --max-tokens 2
lines "$out" 1
has "$out" '{"text":"w7","generated":"'
has "$out" '"finish":"'
has "$err" "prompts.jsonl: line 2"
run 0 "$WEFT" generate alone --text prompts --beams 2 --sequences 2 --max-tokens 3 --json
lines "$out" 3
has "$out" '"sequences":[{"generated":"'
run 2 "$WEFT" generate alone w7 --text prompts
has "$err" "not both"
run 6 "$WEFT" generate mlm --text prompts
has "$err" "needs a model with a head 'lm'"
# .. and how it draws, unless an option says otherwise
rm alone/generation_config.json
words_of() { # words_of OPTIONS..: what comes behind w7
    run 0 "$WEFT" generate alone w7 --max-tokens 12 "$@"
    tr -d '\n' <"$out" >words
}
says() { # says JSON: of the generation config
    printf '%s' "$1" >alone/generation_config.json
}
words_of --temperature 0
cp words best
words_of
has "$err" "tokens drawn, temperature 0.8, top_p 0.95"
cp words usual
check "the usual draws" sh -c '! cmp -s best usual'
words_of --temperature 1 --top-k 50 --top-p 1 --seed 4
cp words wide
says '{"do_sample": false, "temperature": 0.5}'
words_of --seed 4
check "do_sample is false" cmp -s words best
has "$err" "the most likely tokens (the generation config says do_sample)"
words_of --temperature 1 --top-k 50 --top-p 1 --seed 4
check "options win" cmp -s words wide
lacks "$err" "generation config"
words_of --top-p 0.9
has "$err" "tokens drawn, temperature 0.5, top_p 0.9 (the generation config says temperature)"
says '{"do_sample": true}'
words_of --seed 4
check "what transformers draws with" cmp -s words wide
has "$err" "tokens drawn, temperature 1, top_k 50 (the generation config says do_sample)"
words_of --temperature 0
check "no temperature" cmp -s words best
says '{"do_sample": true, "top_k": 1, "repetition_penalty": 1.3}'
words_of
has "$err" "top_k 1, repetition_penalty 1.3 (the generation config says do_sample, top_k, repetition_penalty)"
words_of --repetition-penalty 1
check "the best one of one" cmp -s words best
says '{"temperature": 0.7, "max_new_tokens": 3, "max_length": 9}'
run 0 "$WEFT" generate alone w7 --json
has "$out" '"tokens": 3'
has "$out" '"about": "tokens drawn, temperature 0.7, top_p 0.95 (the generation config says temperature)"'
is_json "$out"
run 0 "$WEFT" generate alone w7 --json --max-tokens 5
has "$out" '"tokens": 5'
says '{"max_length": 9}'
run 0 "$WEFT" generate alone 'w7 w8 w9' --json
has "$out" '"tokens": 6'
run 0 "$WEFT" generate alone 'w7 w7 w7 w7 w7 w7 w7 w7 w7' --temperature 0
has "$err" "'max_length' of the generation config leaves no token behind the 9 of the prompt"
says '{"top_p": 7, "stop_strings": [""], "max_time": 3.5, "chat_format": "plain", "top_k": null}'
words_of --temperature 0
check "three warnings" test "$(grep -c 'of the generation config is not followed' "$err")" -eq 3
has "$err" "'top_p' of the generation config is not followed"
has "$err" "'stop_strings' of the generation config is not followed"
# strings that end a text stay in it, as in the reference; those of an option do not
says '{"stop_strings": ["never there", " w9"]}'
run 0 "$WEFT" generate alone w7 --max-tokens 12 --temperature 0 --json
has "$out" '"text": " w42 w42 w42 w9"'
has "$out" '"finish": "stop"'
has "$out" '"tokens": 4'
lacks "$err" "not followed"
run 0 "$WEFT" generate alone --text prompts --max-tokens 12 --temperature 0
check "in every line of a file" test "$(head -n 1 "$out")" = " w42 w42 w42 w9"
run 0 "$WEFT" generate alone w7 --max-tokens 12 --temperature 0 --stop " w14" --quiet
check "an option takes their place" test "$(cat "$out")" = " w42 w42 w42 w9 w42"
says '{"stop_strings": "w"}'
run 0 "$WEFT" generate alone w7 --max-tokens 12 --temperature 0 --beams 3 --json
has "$out" '"tokens": 1'
has "$out" '"finish": "stop"'
says '{"do_sample": true, "num_beams": 2}'
run 6 "$WEFT" generate alone w7
has "$err" "'do_sample' with 'num_beams'"
run 0 "$WEFT" generate alone w7 --temperature 0 --max-tokens 4
rm alone/generation_config.json
words_of --top-k 9 --min-p 0.01 --typical-p 0.9 --top-h 0.9 --epsilon-cutoff 0.001 --eta-cutoff 0.001
has "$err" "top_h 0.9, top_k 9, top_p 0.95, min_p 0.01, typical_p 0.9, epsilon_cutoff 0.001, eta_cutoff 0.001"
run 2 "$WEFT" generate alone w7 --typical-p 2
has "$err" "typical_p"
run 2 "$WEFT" generate alone w7 --top-p 0
has "$err" "'top_p' must be more than 0"
printf '{"diversity_penalty": 0.5}' >alone/generation_config.json
run 0 "$WEFT" generate alone w7 --temperature 0 --max-tokens 1
has "$err" "'diversity_penalty' of the generation config is not followed"
printf '{"no_repeat_ngram_size": 1, "eos_token_id": 2, "forced_eos_token_id": 2, "min_length": 9}' >alone/generation_config.json
run 0 "$WEFT" generate alone w7 --temperature 0 --max-tokens 8 --json
has "$out" '"finish": "eos"'
has "$out" '"tokens": 8'
check "no token comes twice" sh -c '! grep "\"text\"" "$1" | tr " \"" "\n\n" | grep "^w" | sort | uniq -d | grep -q w' - "$out"

# ---- names in the cache of the hub
mkdir -p hub/models--tiny--tags/refs hub/models--tiny--tags/snapshots/abc hub/models--tiny--tags/blobs
for f in config.json model.safetensors vocab.txt tokenizer_config.json; do
    cp tags/$f hub/models--tiny--tags/blobs/blob-$f
    ln -s ../../blobs/blob-$f hub/models--tiny--tags/snapshots/abc/$f
done
printf abc >hub/models--tiny--tags/refs/main
export HF_HUB_CACHE="$work/hub"
run 0 "$WEFT" tag tiny/tags texts --ignore none
has "$out" "The cat"
run 0 "$WEFT" inspect tiny/tags
has "$out" "family bert"
run 0 "$WEFT" tokenize tiny/tags texts
run 2 "$WEFT" tag tiny/tags@v2 texts
has "$err" "revision 'v2'"
finish
