#!/bin/sh
# A real masked language model: an ALBERT of chemical reactions, of WEFT_DATA/models. Each of the 54 tokens of a reaction is hidden
# in turn; the model knows at least 53. Skipped when the model is not there.
name=rxnmapper
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

source=${WEFT_DATA:-}/models/rxnmapper-albert
if [ ! -f "$source/pytorch_model.bin" ]; then
    echo "skipped: no models/rxnmapper-albert (WEFT_DATA)"
    exit 77
fi

# The folder has a vocabulary and no tokenizer: tokens are separated by spaces here.
mkdir model
cp "$source/config.json" "$source/pytorch_model.bin" model
awk 'BEGIN { printf "{\"version\": \"1.0\", \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"post_processor\": {\"type\": \"BertProcessing\"," }
    { gsub(/\\/, "&&"); list = list (NR > 1 ? ", " : "") "\"" $0 "\": " (NR - 1); id[$0] = NR - 1 }
    END {
        printf "\"sep\": [\"[SEP]\", %d], \"cls\": [\"[CLS]\", %d]}, \"added_tokens\": [", id["[SEP]"], id["[CLS]"]
        n = split("[PAD] [UNK] [CLS] [SEP] [MASK]", special, " ")
        for (i = 1; i <= n; i++)
            printf "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false}",
                (i > 1 ? ", " : ""), id[special[i]], special[i]
        printf "], \"model\": {\"type\": \"WordLevel\", \"unk_token\": \"[UNK]\", \"vocab\": {%s}}}\n", list
    }' "$source/vocab.txt" >model/tokenizer.json

reaction='C C ( C ) S . C N ( C ) C = O . F c 1 c c c n c 1 F . O = C ( [O-] ) [O-] . [K+] . [K+] >> C C ( C ) S c 1 n c c c c 1 F'
echo "$reaction" | awk '{ for (i = 1; i <= NF; i++) { for (k = 1; k <= NF; k++) printf "%s%s", (k > 1 ? " " : ""), (k == i ? "[MASK]" : $k); print "" } }' >hidden
echo "$reaction" | tr ' ' '\n' >tokens
run 0 "$WEFT" fill model hidden --top-k 1
right=$(paste "$out" tokens | awk -F '\t' 'NF == 3 && $1 == $3' | wc -l)
echo "$right of $(wc -l <tokens) tokens"
check "at least 53 of 54" test "$right" -ge 53
finish
