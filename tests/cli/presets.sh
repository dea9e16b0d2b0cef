#!/bin/sh
# Every preset can be compared: a few steps, an exam, text where it decodes.
name=presets
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
"$WEFT" list presets | awk '{ print $1 }' >words
run 0 "$WEFT" compare --models "$(paste -sd, words)" --steps 2 --params 150k --context 32 --batch 1 --rates 1e-3 --seeds 1 \
    --out compared --quiet
while read -r word; do has "$out" "$word "; done <words
lacks "$out" "failed"
lacks compared/run.json '"status": "failed"'
finish
