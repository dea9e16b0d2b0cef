# Helpers of the scripts in tests/cli: source it after setting `name`.
#   run CODE COMMAND...     runs, keeps stdout in $out and stderr in $err (files), checks the exit code
#   has FILE TEXT           FILE holds TEXT;  lacks: it does not;  empty, is_json
#   finish                  prints "N passed, N failed" and exits
: "${WEFT:?path of the program}" "${WEFT_BINARY_DIR:?}" "${name:?}"
work=$WEFT_BINARY_DIR/test-cli/$name
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
out=$work/stdout err=$work/stderr passed=0 failed=0 last=
unset WEFT_CPU WEFT_THREADS

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "failed: $last: $*"
    sed 's/^/  stderr: /' "$err" | head -5
}
check() { # check WHAT COMMAND...
    what=$1
    shift
    if "$@"; then pass; else fail "$what"; fi
}
run() {
    want=$1
    shift
    last=$*
    code=0
    "$@" >"$out" 2>"$err" </dev/null || code=$?
    if [ "$code" -eq "$want" ]; then pass; else fail "exit code $code, not $want"; fi
}
has() { if grep -qF -- "$2" "$1"; then pass; else fail "no '$2' in $(basename "$1")"; fi; }
lacks() { if grep -qF -- "$2" "$1"; then fail "'$2' in $(basename "$1")"; else pass; fi; }
empty() { if [ -s "$1" ]; then fail "$(basename "$1") is not empty"; else pass; fi; }
# Valid JSON by weft's own strict reader: a spec that is none is refused for what it says, not for how it is written.
is_json() {
    if command -v python3 >/dev/null 2>&1; then
        check "valid JSON" python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$1"
    fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
