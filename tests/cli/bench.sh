#!/bin/sh
# The benchmarks as programs: they run, their JSON is whole, peers are asked and reported. No number is judged.
name=bench
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

run 0 "$WEFT" bench --list
for row in step bf16_loss char_lm decode layers experts mixers orderings memory start kernels; do has "$out" "  $row "; done
empty "$err"
run 2 "$WEFT" bench setp
has "$err" "did you mean 'step'?"
run 2 "$WEFT" bench --rounds 0 step

run 0 "$WEFT" bench step decode start --quick --rounds 2 --json --no-progress
is_json "$out"
has "$out" '"share"'
has "$out" '"memory read"'
has "$out" '"tokens_per_second"'
run 0 "$WEFT" bench open_tokenizer --quick --rounds 1 --quiet
has "$out" "merges as pairs"
has "$out" "pieces with scores"
run 0 "$WEFT" bench char_lm --quick --quiet
has "$out" "skipped: needs tiny Shakespeare"
run 0 "$WEFT" bench experts --quick --rounds 1 --quiet
has "$out" "of the rows for nothing"
run 0 "$WEFT" bench long_decode window long_attention --quick --rounds 1 --quiet
has "$out" "the tokens of attention"
has "$out" "of full attention"
has "$out" "bytes a token"
run 0 "$WEFT" bench orderings --quick --quiet
has "$out" "% right"
has "$out" "reproduce"
run 0 "$WEFT" bench orderings --quick --quiet --only listops
has "$out" "listops: mamba"
lacks "$out" "mqar"
run 2 "$WEFT" bench orderings --quick --quiet --only listopts
has "$err" "did you mean 'listops'?"
run 0 "$WEFT" bench mixers --quick --quiet --lengths 64..256 --only gla,bigbird --report page.html --json
is_json "$out"
has "$out" '"law_exponent"'
has "$out" '"crossover"'
lacks "$out" '"retention"'
has page.html "<svg"
has page.html "bigbird"
run 2 "$WEFT" bench mixers --quick --lengths 64..32
has "$err" "FIRST..LAST"
run 0 "$WEFT" bench memory --quick --quiet
has "$out" "estimate"

# A peer is told what to do and its seconds are compared.
cat >peer.sh <<'END'
echo "some talk"
echo "$WEFT_BENCH $WEFT_BENCH_BATCH $WEFT_BENCH_CONTEXT $WEFT_BENCH_PRECISION $WEFT_BENCH_THREADS ${OPENBLAS_CORETYPE:-unpinned}" >>asked
echo '{"seconds": 0.5, "by": "nobody"}'
END
run 0 env OPENBLAS_CORETYPE=Prescott "$WEFT" bench step --quick --rounds 2 --quiet --threads 2 --peer 'sh ./peer.sh'
has "$out" "peer 500 ms"
has asked "step 4 64 fp32 2 unpinned"
has asked "step 4 256 bf16 2 unpinned"
run 0 "$WEFT" bench decode --quick --rounds 2 --quiet --peer 'exit 77'
has "$out" "peer skipped"
run 1 "$WEFT" bench decode --quick --rounds 2 --quiet --peer 'echo no'
has "$err" "no JSON object"
run 1 "$WEFT" bench decode --quick --rounds 2 --quiet --peer 'echo "{\"seconds\": -1}"'
has "$err" "no positive 'seconds'"
run 1 "$WEFT" bench decode --quick --rounds 2 --quiet --peer 'exit 3'
has "$err" "code 3"

# The peers that come along say so when their package is missing (or measure, where it is there).
if command -v python3 >/dev/null 2>&1 && ! python3 -c 'import torch' 2>/dev/null; then
    for peer in "$WEFT_SOURCE_DIR"/bench/peers/gpt2_*.py; do
        run 77 python3 "$peer"
        has "$out" "skipped"
    done
fi
finish
