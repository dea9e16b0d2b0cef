#!/bin/sh
# The frame of the command line: help, mistakes, exit codes, streams, completion, man pages, start-up.
name=frame
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"

run 2 "$WEFT"
empty "$out"
has "$err" "usage: weft COMMAND"
run 0 "$WEFT" --help
has "$out" "usage: weft COMMAND"
empty "$err"
run 0 "$WEFT" --version
has "$out" "weft 0."
run 2 "$WEFT" lits
has "$err" "did you mean 'list'?"
empty "$out"
run 2 "$WEFT" zzzzzzzzz
lacks "$err" "did you mean"
run 2 "$WEFT" --json list
has "$err" "options come after the command"

commands=$("$WEFT" help | sed -n 's/^  \([a-z]*\)  *.*/\1/p')
for command in $commands; do
    run 0 "$WEFT" help "$command"
    has "$out" "usage: weft $command"
    has "$out" "--json"
    empty "$err"
    cp "$out" "$work/help"
    run 0 "$WEFT" "$command" --help
    check "the same as weft help" cmp -s "$out" "$work/help"
    run 0 "$WEFT" "$command" -h
    run 0 "$WEFT" help --man "$command"
    has "$out" ".TH WEFT"
    run 2 "$WEFT" "$command" --no-such-option
    has "$err" "unknown option '--no-such-option'"
    has "$err" "see: weft help $command"
    empty "$out"
    run 2 "$WEFT" "$command" --quiett
    has "$err" "did you mean '--quiet'?"
done
run 2 "$WEFT" help lst
has "$err" "did you mean 'list'?"
run 2 "$WEFT" help list train
has "$err" "one command at a time"
run 2 "$WEFT" list -x
has "$err" "unknown option '-x'"
run 2 "$WEFT" list --threads
has "$err" "--threads needs a value"
run 2 "$WEFT" list --threads 0
run 2 "$WEFT" list --threads many
run 2 "$WEFT" list --json=yes
has "$err" "takes no value"
run 2 "$WEFT" inspect --batch 2 --batch 3
has "$err" "--batch was given twice"
run 2 "$WEFT" list mixers presets
has "$err" "unexpected argument 'presets'"
run 0 "$WEFT" list -- mixers
run 2 env WEFT_THREADS=x "$WEFT" list
has "$err" "WEFT_THREADS"
run 2 env WEFT_CPU=pentium "$WEFT" list
run 0 env WEFT_CPU=baseline WEFT_THREADS=3 "$WEFT" info --json
has "$out" '"instruction_set": "baseline"'
has "$out" '"threads": 3'

# Results on stdout, talk on stderr.
run 0 "$WEFT" list mixers
has "$out" "attention"
empty "$err"
for words in "list" "list optimizers" "info" "inspect gpt2"; do
    run 0 "$WEFT" $words --json
    is_json "$out"
    empty "$err"
done
run 2 "$WEFT" list mixer
has "$err" "did you mean 'mixers'?"
run 0 "$WEFT" list --json mixers
is_json "$out"

# A result that cannot be written is a failure, an eager reader is none of our business.
if [ -e /dev/full ]; then
    last="stdout full"
    code=0
    "$WEFT" list >/dev/full 2>"$err" || code=$?
    check "exit code 1" [ "$code" -eq 1 ]
    has "$err" "could not be written"
fi
last="stdout closed"
code=0
"$WEFT" list >&- 2>"$err" || code=$?
check "exit code 1" [ "$code" -eq 1 ]
last="stderr closed"
code=0
"$WEFT" list mixers 2>&- >"$out" || code=$?
check "exit code 0" [ "$code" -eq 0 ]
has "$out" "attention"
last="reader gone"
"$WEFT" list 2>"$err" | true
empty "$err"
i=0
while [ $i -lt 20000 ]; do
    echo "a line of words $i"
    i=$((i + 1))
done >lines.txt
for words in "" "--json"; do
    last="reader gone while lines are written $words"
    (
        code=0
        "$WEFT" tokenize "$WEFT_SOURCE_DIR/tests/data/tokenizers/gpt2-like.json" lines.txt --lines $words 2>"$err" || code=$?
        echo "$code" >code
    ) | head -1 >/dev/null
    empty "$err"
    check "ended by the pipe" [ "$(cat code)" -eq 141 ]
done

# Completion: words of the table, and bash takes it.
run 0 "$WEFT" completion
for command in $commands; do
    has "$out" "    $command) COMPREPLY"
done
if command -v bash >/dev/null 2>&1; then
    cp "$out" "$work/completion"
    run 0 bash -c '. ./completion; COMP_WORDS=(weft gen) COMP_CWORD=1; _weft; echo "${COMPREPLY[@]}"'
    has "$out" "generate"
    run 0 bash -c '. ./completion; COMP_WORDS=(weft generate --max) COMP_CWORD=2; _weft; echo "${COMPREPLY[@]}"'
    has "$out" "--max-tokens"
fi

# Man pages, one a command.
mkdir pages
run 0 "$WEFT" help --pages pages
for command in $commands; do
    check "page of $command" [ -s "pages/weft-$command.1" ]
done
check "page of weft" [ -s pages/weft.1 ]
if command -v man >/dev/null 2>&1; then
    run 0 man --warnings -l pages/weft-generate.1
    lacks "$err" "warning"
fi
run 1 "$WEFT" help --pages no-such-folder

# Ten milliseconds to list what there is; the best of many runs, for the machine may be busy: more of them as long as it is.
limit=10000000
case $("$WEFT" info --json; cat "$WEFT_BINARY_DIR/CMakeCache.txt" 2>/dev/null) in
*WEFT_SANITIZE:STRING=[a-z]*) limit=1000000000 ;;
esac
best=999999999 runs=0
while [ "$best" -gt $limit ] && [ "$runs" -lt 400 ]; do
    from=$(date +%s%N)
    "$WEFT" list >/dev/null
    took=$(($(date +%s%N) - from))
    [ "$took" -lt "$best" ] && best=$took
    runs=$((runs + 1))
    [ "$runs" -le 20 ] || sleep 0.05
done
last="weft list took $((best / 1000)) us, the best of $runs runs"
check "10 ms at most" [ "$best" -le $limit ]
finish
