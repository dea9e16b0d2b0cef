#!/bin/sh
# A convention of checkpoints that is not built in, given at run time.
name=family
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

cp -R "$WEFT_SOURCE_DIR/tests/fixtures/decoders/llama-gqa-bias-tied" strange
chmod -R u+w strange
sed 's/"model_type": "llama"/"model_type": "strange"/; s/LlamaForCausalLM/StrangeForCausalLM/; s/"hidden_size"/"breadth"/' strange/config.json >config.json
mv config.json strange/config.json
cat >strange.json <<'EOF'
{"family": "strange", "like": "llama", "architectures": ["StrangeForCausalLM"], "aliases": {"breadth": "hidden_size"}}
EOF

run 6 "$WEFT" verify strange
has "$out" "model type 'strange'"
run 0 "$WEFT" verify strange --family strange.json
has "$out" "1 passed"
run 0 "$WEFT" inspect strange --family strange.json
has "$out" "family strange"
run 1 "$WEFT" inspect strange --family missing.json
has "$err" "missing.json"
printf '{"family": "strange", "like": "nothing"}' >odd.json
run 4 "$WEFT" inspect strange --family odd.json
has "$err" "like 'nothing'"
printf '{"family": ' >cut.json
run 4 "$WEFT" inspect strange --family cut.json
has "$err" "cut.json"
finish
