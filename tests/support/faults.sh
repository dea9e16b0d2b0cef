# Helpers of the scripts in tests/faults, over those of cli.sh: source it after setting `name`.
#   text                    a small text of weft's own, made once
#   train OUT ARGS...       a tiny training run of it;  resume OUT
#   digest                  the weights' digest in the last --json result
#   latest OUT / older OUT  the newest checkpoint, and the one before it
#   one_line                $err holds exactly one line
#   pause SEED N LEAST MOST the N-th of a row of random numbers of seconds
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
text=$work/text.txt
cat "$WEFT_SOURCE_DIR"/src/model/*.c | head -c 30000 >"$text"

tiny="--model gpt2 --params 60k --context 24 --batch 2 --eval-every 0 --eval-windows 4 --threads 1 --quiet --json"
train() {
    folder=$1
    shift
    "$WEFT" train "$text" $tiny --out "$folder" "$@"
}
resume() { "$WEFT" train --resume --threads 1 --quiet --json --out "$1"; }
digest() { sed -n 's/^  "digest": "\(.*\)",$/\1/p' "$out"; }
checkpoints() { ls "$1/checkpoints" | grep '^checkpoint-[0-9]*\.safetensors$' | sort; }
latest() { echo "$1/checkpoints/$(checkpoints "$1" | tail -1)"; }
older() { echo "$1/checkpoints/$(checkpoints "$1" | tail -2 | head -1)"; }
one_line() { if [ "$(wc -l <"$err")" -eq 1 ]; then pass; else fail "stderr has $(wc -l <"$err") lines, not one"; fi; }
same() { if [ "$1" = "$2" ]; then pass; else fail "$3: '$1' is not '$2'"; fi; }
pause() { awk -v s="$1" -v n="$2" -v a="$3" -v b="$4" 'BEGIN { srand(s * 1000 + n); rand(); printf "%.4f\n", a + (b - a) * rand() }'; }
# Bytes of a file, changed in place: flip FILE OFFSET
flip() {
    old=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((255 - old)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
