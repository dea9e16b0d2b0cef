#!/bin/sh
# weft tokenize: train, encode, show, decode, compare, chat; mistakes.
name=tokenize
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    printf 'The weaver weaves a web of wool.\nWords are woven, w\303\266rd by word, %s times.\n' $i
done >corpus.txt
printf 'The weaver weaves.\n\nW\303\266rds \360\237\247\265' >text.txt

# Every kind is trained, gives back the text, and opens again.
for kind in bpe bpe-char wordpiece unigram wordlevel; do
    run 0 "$WEFT" tokenize --train $kind --vocab 330 --special-tokens '<s>,</s>' --trainer '{"show_progress": false}' --out $kind.json corpus.txt
    has "$out" "$kind.json: "
    run 0 "$WEFT" tokenize $kind.json --string 'The weaver weaves' --json
    is_json "$out"
    has "$out" '"ids": ['
done
run 0 "$WEFT" tokenize --train bpe --vocab 300 --out . --json corpus.txt
is_json "$out"
check "a folder gets a tokenizer.json" cmp -s tokenizer.json tokenizer.json
run 0 "$WEFT" tokenize --train bpe --like bpe.json --vocab 310 --out like.json corpus.txt

# Ids and back, whole and by line, from files, standard input and the command line.
run 0 "$WEFT" tokenize bpe.json text.txt
cp "$out" ids
code=0
"$WEFT" tokenize bpe.json <text.txt >stdin-ids 2>/dev/null || code=$?
check "standard input is the default" test $code = 0
check "the same ids from standard input" cmp -s ids stdin-ids
run 0 "$WEFT" tokenize bpe.json --decode ids
check "decoding gives the text back" cmp -s "$out" text.txt
run 0 "$WEFT" tokenize bpe.json --lines text.txt
check "one line of ids per line of text" test "$(wc -l <"$out")" = 3
cp "$out" ids
run 0 "$WEFT" tokenize bpe.json --decode --lines ids
check "lines come back" test "$(sed -n 3p "$out")" = "$(sed -n 3p text.txt)"

# Ids that no token has are left out, which is said.
run 0 "$WEFT" tokenize bpe.json --string 'weaver'
{ cat "$out"; printf '99999 4000000000'; } >more-ids
run 0 "$WEFT" tokenize bpe.json --decode more-ids
check "ids that are known come back" test "$(cat "$out")" = weaver
has "$err" "2 of the ids are no token's and left out, the first of them 99999"

# A vocabulary of two files opens by either; one of them is nothing alone.
mkdir -p pair
printf '{"a": 0, "b": 1, "ab": 2, "!": 3}' >pair/vocab.json
printf '#version: 0.2\na b\n' >pair/merges.txt
for file in pair/vocab.json pair/merges.txt pair; do
    run 0 "$WEFT" tokenize $file --string 'ab!' --no-specials
    check "$file opens with what lies beside it" test "$(cat "$out")" = '2 3'
done
rm pair/merges.txt
run 4 "$WEFT" tokenize pair/vocab.json --string 'ab!'
has "$err" "pair/vocab.json: a tokenizer of vocab.json and merges.txt needs both, beside each other"

# Lines of standard input are told as they come, with the same ids, packed or not and for any number of threads.
run 0 "$WEFT" tokenize bpe.json --lines corpus.txt
cp "$out" whole
for threads in 1 2 3; do
    "$WEFT" tokenize bpe.json --lines --threads $threads <corpus.txt >stream
    check "a stream of lines, $threads threads" cmp -s whole stream
done
gzip -c corpus.txt | "$WEFT" tokenize bpe.json --lines >stream
check "a packed stream" cmp -s whole stream
{ head -1 corpus.txt; while [ ! -s early ]; do sleep 1; done; } | "$WEFT" tokenize bpe.json --lines >early
check "a line is told before the next one comes" test -s early
run 0 "$WEFT" tokenize bpe.json --lines
empty "$out"
run 4 "$WEFT" tokenize bpe.json
has "$err" "standard input is empty"
run 0 "$WEFT" tokenize bpe.json --string 'The weaver' --show pieces
has "$out" "The"
run 0 "$WEFT" tokenize bpe.json --string 'The weaver' --show table
check "id, start, end, piece" grep -qE '^[0-9]+	0	[0-9]+	' "$out"
run 0 "$WEFT" tokenize bpe.json --string "$(printf 'W\303\266rd')" --show table --bytes
check "byte offsets reach the end" grep -qE '	5	' "$out"
run 0 "$WEFT" tokenize bpe.json text.txt --show count
has "$out" "bytes per token"

# A file is read in stretches: lines that end at their edges, long ones, empty ones, one without an end.
awk 'BEGIN { for (i = 0; i < 3000; i++) print (i % 7 ? "the weaver weaves " i : ""); for (i = 0; i < 90000; i++) printf "warp and weft "; printf "\r\n"; for (i = 0; i < 131072 - 5; i++) printf "a"; print ""; for (i = 0; i < 9000; i++) print "a thread"; printf "no end" }' >many.txt
"$WEFT" tokenize bpe.json --lines --threads 1 <many.txt >whole
"$WEFT" tokenize bpe.json --lines --show count <many.txt >counts
for threads in 1 2 3; do
    run 0 "$WEFT" tokenize bpe.json --lines --threads $threads many.txt
    check "the lines of a file, $threads threads" cmp -s whole "$out"
    run 0 "$WEFT" tokenize bpe.json --lines --show count --threads $threads many.txt
    check "their numbers, $threads threads" cmp -s counts "$out"
done
run 0 "$WEFT" tokenize bpe.json text.txt --show table --json
is_json "$out"
has "$out" '"offsets"'
has "$out" '"bytes_per_token"'
run 0 "$WEFT" tokenize bpe.json --string '<s>' --json
has "$out" '"tokens": 1,'
run 0 "$WEFT" tokenize bpe.json --string '<s>' --plain --show count
lacks "$out" "1 tokens"
run 0 "$WEFT" tokenize bpe.json --string ''

# Two tokenizers.
run 0 "$WEFT" tokenize bpe.json --compare wordpiece.json text.txt --examples 2
has "$out" "texts differ"
has "$out" "bytes per token"
run 0 "$WEFT" tokenize bpe.json --compare bpe.json text.txt --json
is_json "$out"
has "$out" '"differences": 0'

# Conversations.
mkdir -p model model/additional_chat_templates
cp bpe.json model/tokenizer.json
cat >model/tokenizer_config.json <<'END'
{"bos_token": {"content": "<s>"}, "chat_template": [
  {"name": "default", "template": "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('system comes first') }}{% endif %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"},
  {"name": "tool_use", "template": "{{ tools | tojson }}{{ documents | length if documents }}{{ mood }}"}]}
END
printf '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]' >chat.json
run 0 "$WEFT" tokenize model --chat chat.json --show text
check "the rendered conversation" test "$(cat "$out")" = "$(printf '<s><user>Hi\n<assistant>Ho')"
run 0 "$WEFT" tokenize model --chat chat.json --show text --generation-prompt
check "a generation prompt" grep -q '^<assistant>$' "$out"
run 0 "$WEFT" tokenize model --chat chat.json --continue content --show text
check "a message to go on with" test "$(tail -c 2 "$out")" = Ho
run 0 "$WEFT" tokenize model --chat chat.json --json
is_json "$out"
has "$out" '"ids"'
last="chat from standard input"
check "the same from standard input" test "$("$WEFT" tokenize model --chat - --show text <chat.json)" = "$("$WEFT" tokenize model --chat chat.json --show text)"
printf '{"messages": [], "tools": [{"type": "function"}], "documents": [{"title": "a"}], "mood": "calm"}' >tools.json
run 0 "$WEFT" tokenize model --chat tools.json --show text
check "tools, documents, variables" test "$(cat "$out")" = '[{"type": "function"}]1calm'
printf 'other {{ messages | length }}' >model/additional_chat_templates/short.jinja
run 0 "$WEFT" tokenize model --chat chat.json --template short --show text
check "a template by name" test "$(cat "$out")" = "other 2"
printf 'file {{ bos_token }}' >model/chat_template.jinja
run 0 "$WEFT" tokenize model --chat chat.json --show text
check "chat_template.jinja comes first" test "$(cat "$out")" = "file <s>"
rm model/chat_template.jinja

# A new folder, a tokenizer whose file does not say its kind.
run 0 "$WEFT" tokenize --train unigram --vocab 300 --out new-folder/ corpus.txt
grep -v '"type": "Unigram"' new-folder/tokenizer.json >untold.json
run 0 "$WEFT" inspect untold.json
has "$out" "model Unigram"

# Mistakes.
run 2 "$WEFT" tokenize --train bpe --vocab 0 --out none.json corpus.txt
has "$err" "'vocab' must be more than 0"
printf '[{"role": "user", "content": "Hi"}, {"role": "system", "content": "Late"}]' >late.json
run 4 "$WEFT" tokenize model --chat late.json
has "$err" "system comes first"
empty "$out"
run 4 "$WEFT" tokenize model --chat chat.json --template nosuch
has "$err" "no chat template named 'nosuch'"
printf '{"message": []}' >none.json
run 4 "$WEFT" tokenize model --chat none.json
has "$err" "'messages'"
printf '{{ messages | nosuch }}' >model/chat_template.jinja
run 4 "$WEFT" tokenize model --chat chat.json
has "$err" "chat_template.jinja: line 1: No filter named 'nosuch'"
run 2 "$WEFT" tokenize
has "$err" "which tokenizer?"
run 2 "$WEFT" tokenize bpe.json --show colours --string a
has "$err" "one of ids, pieces, table, count"
run 2 "$WEFT" tokenize bpe.json --decode --chat chat.json
run 2 "$WEFT" tokenize --train bpe corpus.txt
has "$err" "'out' names"
run 2 "$WEFT" tokenize --train nosuch --out x.json corpus.txt
has "$err" "nosuch"
run 4 "$WEFT" tokenize bpe.json --decode --string '1 two'
has "$err" "no token id: 'two'"
run 1 "$WEFT" tokenize nowhere.json --string a
has "$err" "nowhere.json"
# ---- every record has its line, an empty one too
printf '{"text": "a"}\n{"text": ""}\n{"text": "b"}\n' >gaps.jsonl
run 0 "$WEFT" tokenize model gaps.jsonl --no-specials
check "three lines" test "$(wc -l <"$out")" -eq 3
check "the second is empty" test -z "$(sed -n 2p "$out")"

finish
