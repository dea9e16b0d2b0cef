#!/bin/sh
# Truncated and changed files. A checkpoint: its tensor and byte offset are named and the one before it is taken. A model folder:
# one line and an exit code, never a crash.
name=faults-tamper
. "$WEFT_SOURCE_DIR/tests/support/faults.sh"
seed=${WEFT_SEED:-1}
echo "seed $seed"
run 0 train whole --steps 9 --checkpoint-every 3
expected=$(digest)
rm -f whole/checkpoints/*0009.safetensors whole/checkpoints/*0003.safetensors
run 0 train made --steps 9 --checkpoint-every 3
newest=$(latest made)
size=$(wc -c <"$newest")
header=$(($(od -An -tu8 -N8 "$newest" | tr -d ' ') + 8))

# The two newest checkpoints of `made`, the newest changed by the command given.
damaged() {
    rm -rf hurt
    cp -r made hurt
    "$@" "$(latest hurt)"
    "$WEFT" train --resume --threads 1 --quiet --json --out hurt >"$out" 2>"$err" </dev/null
    code=$?
    last="$*"
    same "$code" 0 "exit code"
    same "$(digest)" "$expected" "weights"
    one_line
    has "$err" "checkpoint-0000000009.safetensors"
    has "$err" "trying the checkpoint before it"
}
flip_at() { flip "$2" "$1"; }
cut_to() { head -c "$1" "$2" >"$2.cut" && mv "$2.cut" "$2"; }

for offset in 0 3 7 8 20 $((header / 3)) $((header / 2)) $((header - 2)); do
    damaged flip_at "$offset"
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    offset=$(awk -v s="$seed" -v n=$i -v a="$header" -v b="$size" 'BEGIN { srand(s * 100 + n); rand(); printf "%d\n", a + (b - a) * rand() }')
    damaged flip_at "$offset"
    has "$err" "does not match its checksum"
    grep -q "tensor '[a-z_./0-9]*' at byte [0-9]*" "$err" && pass || fail "neither tensor nor offset"
done
damaged flip_at $((size - 1))
for length in 0 5 8 100 $((header - 1)) "$header" $((header + 1000)) $((size - 1)); do
    damaged cut_to "$length"
done

# Both damaged: an error, and both stay.
rm -rf hurt
cp -r made hurt
flip "$(latest hurt)" $((size - 5))
flip "$(older hurt)" $((header + 5))
run 4 resume hurt
has "$err" "does not match its checksum"
empty "$out"
same "$(checkpoints hurt | wc -l)" 2 "checkpoints left"

# --- a model folder ---
cp -r made model
rm -rf model/checkpoints
quiet_generate() { "$WEFT" generate "$1" "let" --max-tokens 4 --quiet --threads 1; }
quiet_eval() { "$WEFT" eval "$1" "$text" --windows 4 --quiet --threads 1; }
run 0 quiet_generate model
run 0 quiet_eval model
refused() { # refused WHAT: both commands end with one line and one of the documented codes
    for command in quiet_generate quiet_eval; do
        last="$command: $1"
        $command hurt >"$out" 2>"$err" </dev/null
        code=$?
        case $code in
        1 | 2 | 4 | 6) pass ;;
        *) fail "exit code $code" ;;
        esac
        one_line
        empty "$out"
    done
}
fresh() {
    rm -rf hurt
    cp -r model hurt
}
for file in model.safetensors config.json tokenizer.json; do
    fresh && rm "hurt/$file"
    refused "no $file"
    has "$err" "$file"
    for length in 0 1 7 20; do
        fresh && cut_to $length "hurt/$file"
        refused "$file of $length bytes"
    done
    fresh && cut_to $(($(wc -c <"hurt/$file") - 3)) "hurt/$file"
    refused "$file without its end"
    has "$err" "$file"
    fresh && printf '[1, 2]' >"hurt/$file"
    refused "$file that is a list"
done
# Anywhere in the header of the weights, or in the JSON: refused, or harmless (a name, a blank), but never a crash.
survives() {
    for command in quiet_generate quiet_eval; do
        last="$command: $1"
        $command hurt >"$out" 2>"$err" </dev/null
        code=$?
        case $code in
        0) pass ;;
        1 | 2 | 4 | 6) one_line ;;
        *) fail "exit code $code" ;;
        esac
    done
}
for file in model.safetensors config.json tokenizer.json; do
    limit=$(wc -c <"model/$file")
    [ $file = model.safetensors ] && limit=$(($(od -An -tu8 -N8 model/$file | tr -d ' ') + 8))
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        offset=$(awk -v s="$seed" -v n=$i -v b="$limit" 'BEGIN { srand(s * 100 + n); rand(); printf "%d\n", b * rand() }')
        fresh && flip "hurt/$file" "$offset"
        survives "$file changed at $offset"
    done
done
finish
