#!/bin/sh
# --patience ends a run that no longer gets better; --resume of an ended run does nothing more.
name=early-stop
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
cat "$WEFT_SOURCE_DIR"/src/model/*.c | head -c 20000 >text.txt
member() { sed -n "s/^  \"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\$/\\1/p" "$out"; }
run 0 "$WEFT" train text.txt --model gpt2 --params 60k --context 24 --batch 2 --threads 1 --steps 200 --eval-every 2 --eval-windows 4 --lr 3 \
    --schedule constant --warmup 0 --patience 3 --checkpoint-every 0 --out run --quiet --verbose --json
has "$err" "early stop: no better validation loss since step"
has "$err" "the best, are kept"
steps=$(member steps) digest=$(member digest)
check "the loss told is the best of the log" test "$(awk -F, 'NR > 1 && $7 != "" { if (min == "" || $7 < min) min = $7 } END { printf "%.6f", min }' run/log.csv)" = \
    "$(printf '%.6f' "$(member validation_loss)")"
check "the model is the best one" cmp run/model.safetensors run/best/model.safetensors
check "stopped early, at step $steps" test "$steps" -lt 200
check "a checkpoint of that step" test -f "run/checkpoints/checkpoint-$(printf '%010d' "$steps").safetensors"
run 0 "$WEFT" train --resume --out run --quiet --json
check "no further step" test "$(member steps)" -eq "$steps"
check "the same weights" test "$(member digest)" = "$digest"
finish
