#!/bin/sh
# docs/spec.md is what the tables say.
name=spec-page
. "$WEFT_SOURCE_DIR/tests/support/cli.sh"
run 0 "$WEFT" list spec
empty "$err"
if cmp -s "$out" "$WEFT_SOURCE_DIR/docs/spec.md"; then pass; else fail "docs/spec.md is not up to date: make docs"; fi
for part in mixers channels wirings; do
    "$WEFT" list $part | awk '{ print $1 }' >words
    while read -r word; do has "$out" "$word"; done <words
done
run 0 "$WEFT" list spec --json
is_json "$out"
finish
