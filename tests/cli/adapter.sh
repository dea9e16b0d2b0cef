#!/bin/sh
# Adapters: trained beside a model folder, resumed, opened by every command that opens a model, merged.
name=adapter
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
cat "$WEFT_SOURCE_DIR"/src/model/*.c | head -c 20000 >text.txt
head -c 3000 text.txt | grep . >short.txt
how="--context 24 --batch 2 --threads 1 --quiet"
member() { sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\{0,1\}\$/\\1/p" "$out" | head -1; }
digest() { sed -n 's/.*weights \([0-9a-f]*\)$/\1/p' "$out"; }

run 0 "$WEFT" train text.txt --model llama --params 60k $how --steps 5 --out base
run 0 "$WEFT" train text.txt --model base --lora r=3,alpha=6,targets=q_proj,v_proj,down_proj,dropout=0.1 $how --lr 1e-2 --steps 8 \
    --checkpoint-every 4 --out tuned
has "$out" "adapter in tuned"
whole=$(digest)
check "a PEFT folder" test -f tuned/adapter_config.json -a -f tuned/adapter_model.safetensors -a ! -f tuned/model.safetensors
has tuned/adapter_config.json '"base_model_name_or_path": "base"'
run 0 "$WEFT" inspect tuned/adapter_model.safetensors
has "$out" "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"

# Stopped in the middle, it ends with the same bits.
cp -R tuned again
rm again/adapter_model.safetensors again/checkpoints/checkpoint-0000000008.safetensors
run 0 "$WEFT" train --resume --out again --quiet
check "the same weights" test "$(digest)" = "$whole"
check "the same adapter" cmp tuned/adapter_model.safetensors again/adapter_model.safetensors

# Early stopping goes back to the best adapter.
run 0 "$WEFT" train text.txt --model base --lora r=2,dora=true,targets=all-linear $how --lr 3 --schedule constant --warmup 0 --steps 60 --eval-every 2 \
    --eval-windows 4 --patience 3 --checkpoint-every 0 --out early
check "the adapter is the best one" cmp early/adapter_model.safetensors early/best/adapter_model.safetensors

# Used beside the base, and merged into it.
run 0 "$WEFT" eval base short.txt --json
plain=$(member loss)
run 0 "$WEFT" eval base short.txt --adapter tuned --json
beside=$(member loss)
check "the adapter changes the loss" test "$plain" != "$beside"
run 0 "$WEFT" convert base merged --adapter tuned --merge
has "$out" "tensors are merged with tuned"
run 0 "$WEFT" eval merged short.txt --json
check "merged is the same" test "$(printf %.5f "$(member loss)")" = "$(printf %.5f "$beside")"
run 0 "$WEFT" generate base "int " --adapter tuned --max-tokens 3 --quiet
run 0 "$WEFT" embed base short.txt
cp "$out" plain.txt
run 0 "$WEFT" embed base short.txt --adapter tuned
check "other vectors" test "$(cmp -s "$out" plain.txt; echo $?)" -eq 1
run 0 "$WEFT" embed merged short.txt
check "as many" test "$(wc -l <"$out")" -eq "$(wc -l <plain.txt)"
run 0 "$WEFT" inspect base --adapter tuned
has "$out" "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight [32, 3]"
run 0 "$WEFT" inspect tuned
has "$out" "tuned: an adapter (LoRA), rank 3"
has "$out" "adapter_model.safetensors: safetensors"

# What does not fit is said.
run 2 "$WEFT" train text.txt --model llama --lora r=3 $how --steps 1 --out none
run 2 "$WEFT" train text.txt --model base --lora rank=3 $how --steps 1 --out none
has "$err" "rank=3"
run 4 "$WEFT" train text.txt --model base --lora targets=nothing $how --steps 1 --out none
run 2 "$WEFT" eval base short.txt --adapter missing
run 2 "$WEFT" inspect llama --adapter tuned
run 2 "$WEFT" tokenize text.txt --adapter tuned
sed 's/"bias": "none"/"bias": "none", "use_qalora": true/' tuned/adapter_config.json >again/adapter_config.json
cp tuned/adapter_model.safetensors again
run 6 "$WEFT" eval base short.txt --adapter again
has "$err" "use_qalora"
head -c 40 tuned/adapter_config.json >again/adapter_config.json
run 4 "$WEFT" eval base short.txt --adapter again
has "$err" "adapter_config.json"
finish
