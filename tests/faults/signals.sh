#!/bin/sh
# SIGINT and SIGTERM while training and comparing: exit 130 or 143, a checkpoint or a partial report, and --resume ends as a run
# that nobody disturbed.
name=faults-signals
. "$WEFT_SOURCE_DIR/tests/support/faults.sh"

# Runs the rest in the background, sends signal $1 as soon as a file like $2 exists, leaves the exit code in $code.
interrupt() {
    signal=$1 sign=$2 last="$signal while: $4 $5"
    shift 2
    "$@" >"$out" 2>"$err" </dev/null &
    pid=$!
    i=0
    while ! ls $sign >/dev/null 2>&1 && [ $i -lt 600 ]; do
        sleep 0.02
        i=$((i + 1))
    done
    kill -s "$signal" $pid 2>/dev/null
    code=0
    wait $pid || code=$?
}

run 0 train whole --steps 3000 --checkpoint-every 10
expected=$(digest)
for pair in INT:130 TERM:143; do
    folder=train-${pair%:*}
    # A shell may start background jobs with SIGINT ignored; weft installs its own handler.
    interrupt "${pair%:*}" "$folder/checkpoints/checkpoint-*.safetensors" "$WEFT" train "$text" $tiny --out "$folder" --steps 3000 \
        --checkpoint-every 10
    same "$code" "${pair#*:}" "exit code"
    one_line
    has "$err" "stopped at step"
    empty "$out"
    check "a checkpoint" test -f "$(latest "$folder")"
    run 0 resume "$folder"
    same "$(digest)" "$expected" "weights"
done

# In the midst of matrix products, which must not lose what they keep on the stack.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    rm -rf often
    interrupt INT "often/checkpoints/checkpoint-*.safetensors" "$WEFT" train "$text" $tiny --out often --steps 3000 --checkpoint-every 10
    same "$code" 130 "exit code"
done

options="--steps 20 --seeds 1 --models gpt2,mamba --params 60k --context 24 --batch 2 --rates 3e-3,1e-2 --threads 1 --quiet"
facts() { grep -E '"(validation_bits_per_byte|weights|lr|steps|params)":' "$1/run.json"; }
run 0 "$WEFT" compare "$text" $options --out compare-whole
check "a report" test -s compare-whole/report.html
for pair in INT:130 TERM:143; do
    folder=compare-${pair%:*}
    interrupt "${pair%:*}" "$folder/run.json" "$WEFT" compare "$text" $options --out "$folder"
    same "$code" "${pair#*:}" "exit code"
    one_line
    check "a partial report" test -s "$folder/report.html"
    has "$folder/run.json" '"status": "interrupted"'
    run 0 "$WEFT" compare --resume --quiet --threads 1 --out "$folder"
    has "$folder/run.json" '"status": "complete"'
    last="compare after ${pair%:*}"
    facts compare-whole >whole.facts
    facts "$folder" >resumed.facts
    if cmp -s whole.facts resumed.facts; then pass; else fail "$(diff whole.facts resumed.facts | head -4)"; fi
done
finish
