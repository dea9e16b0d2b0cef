#!/bin/sh
# weft compare --task: a task is learned, the report is whole, the same command gives the same weights, bad options are refused.
name=task
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

run 0 "$WEFT" list tasks --json
has "$out" '"most": '
run 0 "$WEFT" list tasks
has "$out" "[pairs="
for task in copying selective_copying induction_heads mqar listops pathfinder parity dyck modular_arithmetic reversal needle; do has "$out" "  $task "; done

# An LSTM learns the parity of a few bits, and training stops when it has.
run 0 "$WEFT" compare --task parity --context 6 --models lstm,gpt2 --params 20k --steps 400 --rates 1e-2 --seeds 2 --lengths 4,6,12 --out a --quiet
has "$out" "accuracy"
has "$out" "Best accuracy"
has "$out" "right, by time"
has "$out" "right, by length"
lacks "$out" "val bits/byte"
is_json a/run.json
has a/run.json '"exams"'
has a/run.json '"about": "is the number of ones odd?"'
has a/report.html "accuracy-length"
has a/report.html "accuracy-time"
has a/report.html "The task: parity"
run 0 "$WEFT" compare --task parity --context 6 --models lstm,gpt2 --params 20k --steps 400 --rates 1e-2 --seeds 2 --lengths 4,6,12 --out b --quiet --threads 1
grep '"weights"' a/run.json >a.weights
grep '"weights"' b/run.json >b.weights
check "the same weights for any number of threads" cmp -s a.weights b.weights
run 0 "$WEFT" compare --resume --out a --quiet

# A comparison stopped between two seeds goes on with the next one: what was run is kept, to the second.
set -- --task parity --context 6 --models lstm --params 20k --steps 2000 --stop-at 2 --rates 1e-2 --seeds 3 --lengths 6 --quiet
run 0 "$WEFT" compare "$@" --out whole
"$WEFT" compare "$@" --out halves >/dev/null 2>&1 &
while ! grep -q '"weights"' halves/run.json 2>/dev/null && kill -0 $! 2>/dev/null; do sleep 0.02; done
kill -INT $! 2>/dev/null
wait $!
has halves/run.json '"status": "interrupted"'
grep '"train_seconds"' halves/run.json | head -1 >first.seconds
run 0 "$WEFT" compare --resume --out halves --quiet
for folder in whole halves; do grep '"weights"' $folder/run.json >$folder.weights; done
check "the same weights after a stop between seeds" cmp -s whole.weights halves.weights
check "a finished seed is not run again" grep -qF "$(cat first.seconds)" halves/run.json

for task in $("$WEFT" list tasks | awk '{print $1}'); do
    run 0 "$WEFT" compare --task "$task" --context 128 --models lstm --params 60k --steps 2 --rates 1e-2 --seeds 1 --batch 2 --lengths 128 --out each --quiet
    has "$out" "Best accuracy: lstm"
done

run 2 "$WEFT" compare --task mqr --out c
has "$err" "did you mean 'mqar'?"
run 2 "$WEFT" compare --task mqar:pair=3 --out c
has "$err" "did you mean 'pairs'?"
run 2 "$WEFT" compare --task mqar:pairs=50 --context 64 --out c
has "$err" "at least 200 tokens"
run 2 "$WEFT" compare --task parity --lengths 1 --out c
has "$err" "at least 2 tokens"
run 2 "$WEFT" compare "$WEFT_SOURCE_DIR/README.md" --task parity --out c
has "$err" "a text or a task"
run 2 "$WEFT" compare "$WEFT_SOURCE_DIR/README.md" --lengths 64 --out c
has "$err" "those of a task"
finish
