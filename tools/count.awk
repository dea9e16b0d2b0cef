# count.awk - reads ctest's console (phase=1) and its LastTest.log (phase=2); shows the output of failed tests and the reason of
# skipped ones, then "N passed, N failed". A program counts as the cmocka tests it ran, or as what its own last line
# "N passed, N failed" says, else as one. -v tally=FILE appends "passed failed skipped" to it.

phase == 1 && /^ *[0-9]+\/[0-9]+ +Test +#[0-9]+: / {
    line = $0
    sub(/^ *[0-9]+\/[0-9]+ +Test +#[0-9]+: /, "", line)
    name = line
    sub(/ .*/, "", name)
    if (line ~ /\*\*\*Skipped/)
        result[name] = "skip"
    else if (line ~ / Passed +[0-9.]+ sec/)
        result[name] = "pass"
    else
        result[name] = "fail"
    order[++tests] = name
    next
}
phase == 1 { next }

/^[0-9]+\/[0-9]+ Testing: / {
    current = $0
    sub(/^[0-9]+\/[0-9]+ Testing: /, "", current)
    inside = 0
    next
}
/^Output:$/ && !inside { inside = 1; lines = 0; getline; next }
/^<end of output>$/ { inside = 0; next }
inside {
    output[current, ++count[current]] = $0
    if ($0 ~ /^\[  PASSED  \] [0-9]+ test/)
        passed[current] += $4
    else if ($0 ~ /^\[  FAILED  \] [0-9]+ test/)
        failed[current] += $4
    else if ($0 ~ /^\[  SKIPPED \] [0-9]+ test/)
        skipped[current] += $4
    else if ($0 ~ /^[0-9]+ passed, [0-9]+ failed/) {
        passed[current] = $1
        failed[current] = $3
    }
}

END {
    for (t = 1; t <= tests; t++) {
        name = order[t]
        if (result[name] == "fail") {
            print "---- " name " failed:"
            first = count[name] > 200 ? count[name] - 199 : 1
            for (i = first; i <= count[name]; i++)
                print output[name, i]
            print "----"
            all_failed += failed[name] > 0 ? failed[name] : 1
            all_passed += passed[name]
        } else if (result[name] == "skip") {
            reason = ""
            for (i = count[name]; i >= 1 && reason == ""; i--)
                reason = output[name, i]
            print "skipped: " name ": " reason
            all_skipped++
        } else {
            all_failed += failed[name]
            all_skipped += skipped[name]
            all_passed += passed[name] + failed[name] + skipped[name] > 0 ? passed[name] : 1
        }
    }
    for (t = 1; t <= tests; t++)
        if (result[order[t]] == "fail")
            print "failed: " order[t]
    if (all_skipped > 0)
        print all_skipped " skipped"
    print all_passed + 0 " passed, " all_failed + 0 " failed"
    if (tally != "")
        print all_passed + 0, all_failed + 0, all_skipped + 0 >> tally
    exit all_failed > 0
}
