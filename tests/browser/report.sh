#!/bin/sh
# The report of a comparison in a real browser: rendered at 1280 and 390 pixels, light and dark; the geometry of what was drawn is
# checked by report-check.js, the pictures are left in the build folder. Ends with "N passed, N failed".
set -u
here=$WEFT_SOURCE_DIR/tests/browser
work=$WEFT_BINARY_DIR/browser-report
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || :)
if [ -z "$browser" ]; then
    echo "skipped: no chromium (apt-get install chromium)"
    exit 77
fi
if [ ! -x "$WEFT_BINARY_DIR/report_test" ]; then
    echo "skipped: report_test was not built"
    exit 77
fi
rm -rf "$work"
mkdir -p "$work" || exit 1
"$WEFT_BINARY_DIR/report_test" >"$work/report_test.log" 2>&1 || { cat "$work/report_test.log"; exit 1; }

browse() { # browse THEME WIDTH HEIGHT OPTION... URL: one run of the browser with its own profile
    scheme=1 window=$2,$3
    [ "$1" = dark ] && scheme=0
    shift 3
    profile=$(mktemp -d "$work/profile.XXXXXX")
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --user-data-dir="$profile" \
        --blink-settings="preferredColorScheme=$scheme" --window-size="$window" --virtual-time-budget=10000 "$@" 2>>"$work/browser.log"
    rm -rf "$profile"
}

# frame WIDTH PAGE: a page that shows PAGE in a window of that width (browsers do not open very narrow ones) and prints its findings.
frame() {
    cat <<EOF
<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe src="$2" style="border:0;display:block;width:$1px;height:12000px"></iframe>
<pre id="findings"></pre><script>addEventListener("message", (e) => { document.getElementById("findings").textContent = "\n" + e.data.results.join("\n") + "\n"; });</script>
EOF
}

passed=0 failed=0
for page in report report-partial; do
    curves=5
    [ $page = report ] && curves=8
    {
        cat "$WEFT_BINARY_DIR/$page.html"
        echo "<script>window.expectedCharts = 7; window.expectedCurves = $curves - 2; window.expectedModels = 8;"
        cat "$here/report-check.js"
        echo "</script>"
    } >"$work/$page-check.html"
    for width in 1280 820 390; do
        frame $width $page-check.html >"$work/$page-$width.html"
        for theme in light dark; do
            browse $theme 1400 1000 --dump-dom "file://$work/$page-$width.html" >"$work/$page-$width-$theme.dom"
            sed -n 's/^\(ok\|FAIL\) /\1 /p' "$work/$page-$width-$theme.dom" >"$work/findings"
            good=$(grep -c '^ok ' "$work/findings")
            bad=$(grep -c '^FAIL ' "$work/findings")
            [ "$good" -gt 0 ] || { bad=$((bad + 1)); echo "$page at $width, $theme: the browser gave no findings"; }
            sed -n "s/^FAIL /$page at $width, $theme: /p" "$work/findings"
            passed=$((passed + good))
            failed=$((failed + bad))
        done
    done
done

# The pictures, for people; an empty one is a failure.
for theme in light dark; do
    sed "s/src=\"report-check.html\"/src=\"..\/report.html\"/" "$work/report-390.html" >"$work/phone.html"
    browse $theme 1280 6000 --screenshot="$work/report-1280-$theme.png" "file://$WEFT_BINARY_DIR/report.html" >/dev/null
    browse $theme 500 9000 --screenshot="$work/report-390-$theme.png" "file://$work/phone.html" >/dev/null
    for width in 1280 390; do
        size=$(wc -c <"$work/report-$width-$theme.png" 2>/dev/null || echo 0)
        if [ "$size" -gt 50000 ]; then
            passed=$((passed + 1))
        else
            echo "the picture at $width, $theme is empty"
            failed=$((failed + 1))
        fi
    done
done
echo "pictures: $work/report-*.png"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
