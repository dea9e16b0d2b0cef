#!/bin/sh
# kill -9 at 100 random moments of training runs with frequent checkpoints. Each time the run goes on from a whole checkpoint, and
# when it ends its weights are those of a run that nobody disturbed. WEFT_SEED chooses other moments.
name=faults-kill
. "$WEFT_SOURCE_DIR/tests/support/faults.sh"
seed=${WEFT_SEED:-1} kills=0 runs=0 resumed=0 tries=0 wanted=100
[ -n "$WEFT_QUICK" ] && wanted=20
echo "seed $seed"
steps=80
run 0 train whole --steps $steps --checkpoint-every 0
expected=$(digest)

# A run killed before it was set up has no configuration: it starts over.
start() {
    if [ -f "$1/train.json" ]; then
        exec "$WEFT" train --resume --threads 1 --quiet --verbose --json --out "$1"
    fi
    rm -rf "$1"
    exec "$WEFT" train "$text" $tiny --verbose --out "$1" --steps $steps --checkpoint-every $((1 + runs % 3))
}

# A killed writer may leave its temporary file; the checkpoints with their final names are whole.
check_start() {
    if grep -q 'trying the checkpoint before it' "$err"; then fail "a checkpoint was damaged"; else pass; fi
    grep -q 'resuming at step' "$err" && resumed=$((resumed + 1))
}

while [ $kills -lt $wanted ] && [ $tries -lt 2000 ]; do
    tries=$((tries + 1)) last="kill $kills of run $runs"
    (start "run$runs") >"$out" 2>"$err" </dev/null &
    pid=$!
    sleep "$(pause "$seed" $tries 0.005 0.3)"
    if kill -9 $pid 2>/dev/null; then code=137; else code=0; fi
    wait $pid 2>/dev/null || code=$?
    check_start
    if [ $code -eq 137 ]; then
        kills=$((kills + 1))
        continue
    fi
    same "$code" 0 "exit code"
    same "$(digest)" "$expected" "weights"
    runs=$((runs + 1))
done
last="the last run"
(start "run$runs") >"$out" 2>"$err" </dev/null
same $? 0 "exit code"
same "$(digest)" "$expected" "weights"
if ls "run$runs/checkpoints/"*.tmp.* >/dev/null 2>&1; then fail "leftovers of killed writers"; else pass; fi
echo "killed $kills times in $((runs + 1)) runs, resumed from a checkpoint $resumed times"
if [ $resumed -gt $((wanted / 4)) ]; then pass; else fail "only $resumed starts found a checkpoint"; fi
finish
