#!/bin/sh
# Disk full (a limit on file sizes; a small tmpfs for root), folders that cannot be written, input that is gone or has changed
# between start and resume: one clear line, the right exit code, the last good checkpoint intact, and the run goes on afterwards.
name=faults-disk
. "$WEFT_SOURCE_DIR/tests/support/faults.sh"
run 0 train whole --steps 12 --checkpoint-every 0
expected=$(digest)

# A run of 12 steps that stands at step 6.
half() {
    rm -rf "$1"
    run 0 train "$1" --steps 12 --checkpoint-every 3
    rm -f "$1"/checkpoints/checkpoint-0000000012.safetensors "$1"/model.safetensors "$1"/config.json
    check "a checkpoint of step 9" test -f "$1/checkpoints/checkpoint-0000000009.safetensors"
}
goes_on() {
    run 0 resume "$1"
    same "$(digest)" "$expected" "weights"
}
limited() { (ulimit -f "$1" && shift && "$@"); }
no_leftovers() { if find "$1" -name '*.tmp.*' | grep -q .; then fail "a temporary file is left"; else pass; fi; }

# --- too small for any checkpoint (a checkpoint has 743 kB; ulimit counts 512 or 1024 bytes) ---
run 1 limited 200 train none --steps 12 --checkpoint-every 3
one_line
has "$err" "checkpoint-0000000003.safetensors"
empty "$out"
no_leftovers none
goes_on none

# --- room again after a run that stood at step 9 ---
half full
before=$(cksum <full/checkpoints/checkpoint-0000000009.safetensors)
run 1 limited 200 resume full
one_line
has "$err" "the checkpoint of step 9 is intact"
same "$(cksum <full/checkpoints/checkpoint-0000000009.safetensors)" "$before" "the checkpoint"
no_leftovers full
goes_on full

# --- the model cannot be stored at the end ---
run 1 limited 1 train tiny --steps 2 --checkpoint-every 0
one_line

# --- a conversion that finds no room ---
run 1 limited 1 "$WEFT" convert whole converted
one_line
has "$err" "model.safetensors"
check "no empty folder stays" test ! -e converted
mkdir -p mine
run 1 limited 1 "$WEFT" convert whole mine
check "a folder that was there stays" test -d mine

# --- a full file system ---
mkdir -p disk
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=2m tmpfs disk 2>/dev/null; then
    trap 'umount "$work/disk" 2>/dev/null' EXIT
    run 1 train disk/run --steps 12 --checkpoint-every 3
    one_line
    has "$err" "No space left on device"
    has "$err" "is intact"
    no_leftovers disk/run
    cp -r disk/run moved
    goes_on moved
    mount -o remount,size=8m disk && goes_on disk/run
    umount disk
    trap - EXIT
else
    echo "skipped: a full tmpfs needs root and mount"
fi

# --- folders ---
echo file >occupied
run 1 train occupied/run --steps 2
one_line
has "$err" "Not a directory"
run 1 train occupied --steps 2
one_line
run 1 train /proc/weft/run --steps 2
one_line
if [ "$(id -u)" -ne 0 ]; then
    mkdir -p locked
    chmod 555 locked
    run 1 train locked/run --steps 2
    one_line
    has "$err" "Permission denied"
fi
mkdir -p nowhere
run 1 resume nowhere
one_line
has "$err" "train.json"

# --- input that is gone, or another one ---
half lost
before=$(cksum <lost/checkpoints/checkpoint-0000000009.safetensors)
mv "$text" "$text.away"
run 1 resume lost
one_line
has "$err" "$text: No such file or directory"
echo "something else, and quite enough of it to train on if nobody looked" >"$text"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat "$text.away" | head -c "$((i * 1000))" >>"$text"; done
run 4 resume lost
one_line
has "$err" "the text is not what it was"
mv "$text.away" "$text"
same "$(cksum <lost/checkpoints/checkpoint-0000000009.safetensors)" "$before" "the checkpoint"
goes_on lost
finish
