#!/bin/sh
# A prefix LM: every row that has the option is trained, evaluated, compared and decodes; what has no prefix is refused.
name=prefix
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

cp "$WEFT_SOURCE_DIR/README.md" text.txt
rows='"causal": true, "prefix_lm": true'
printf '{"dim": 32, "vocab": 258, "layers": 4, "block": {"channel": "glu"}, "blocks": [{"mixer": {"mixer": "attention", "heads": 2, "rope": {}, %s}}, ' "$rows" >plm.json
printf '{"mixer": {"mixer": "mla", "heads": 2, "kv_rank": 8, "rope_dim": 4, %s}}, {"mixer": {"mixer": "differential", "heads": 4, %s}}, ' "$rows" "$rows" >>plm.json
printf '{"mixer": {"mixer": "ring", "heads": 2, %s}}]}' "$rows" >>plm.json
sed 's/, "prefix_lm": true//g' plm.json >causal.json
sed 's/"causal": true, //' plm.json >both.json

run 0 "$WEFT" train text.txt --spec plm.json --context 32 --batch 4 --steps 4 --out run --quiet
run 0 "$WEFT" train text.txt --spec causal.json --context 32 --batch 4 --steps 4 --out causal --quiet
run 0 "$WEFT" eval causal text.txt --context 32 --json
all=$(sed -n 's/.*"tokens": \([0-9]*\).*/\1/p' "$out")
run 0 "$WEFT" eval run text.txt --context 32 --json
is_json "$out"
some=$(sed -n 's/.*"tokens": \([0-9]*\).*/\1/p' "$out")
check "tokens of prefixes are no targets ($some of $all)" test "$some" -gt 0 -a "$some" -lt "$all"
run 0 "$WEFT" generate run 'weft' --max-tokens 4 --temperature 0
run 0 "$WEFT" compare text.txt --spec plm.json --spec causal.json --params 20k --context 32 --steps 3 --rates 1e-2 --seeds 1 --batch 4 --tokenizer byte --out compared --quiet
is_json compared/run.json
run 0 "$WEFT" compare --task copying --context 24 --spec plm.json --steps 3 --rates 1e-2 --seeds 1 --batch 4 --out task --quiet
has "$out" "accuracy"
run 6 "$WEFT" train text.txt --spec plm.json --context 32 --steps 1 --packed --out packed --quiet
has "$err" "prefix_lm"
run 2 "$WEFT" inspect both.json
has "$err" "block 0 mixer"
has "$err" "'prefix_lm' needs 'causal'"
finish
