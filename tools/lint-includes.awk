# lint-includes.awk - first file: tools/include-rules.txt; then C files. Prints "includes file:line: what" for every include that
# the rules do not allow, and with -v edges=FILE writes "room room" pairs for the search for cycles.

function pattern_of(glob) {
    gsub(/[.+]/, "\\\\&", glob)
    gsub(/\*/, ".*", glob)
    return "^" glob "$"
}

function room_of(path) {
    sub(/^src\//, "", path)
    sub(/\/.*/, "", path)
    return path
}

FNR == 1 { file_number++ }

file_number == 1 {
    if ($0 ~ /^#/ || $0 !~ /:/)
        next
    split($0, side, ":")
    gsub(/[ \t]/, "", side[1])
    rule_files[++rules] = pattern_of(side[1])
    rule_count[rules] = n = split(side[2], names, " ")
    for (i = 1; i <= n; i++)
        rule_header[rules, i] = pattern_of(names[i])
    next
}

FNR == 1 {
    rule = 0
    for (r = 1; r <= rules && !rule; r++)
        if (FILENAME ~ rule_files[r])
            rule = r
    if (!rule)
        print "includes " FILENAME ":1: no line of tools/include-rules.txt is about this file"
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ && rule {
    header = $0
    public = header ~ /<weft\//
    if (header ~ /</ && !public)
        next
    sub(/^[^"<]*["<]/, "", header)
    sub(/[">].*/, "", header)
    if (header !~ /\//)
        next
    allowed = 0
    for (i = 1; i <= rule_count[rule] && !allowed; i++)
        allowed = header ~ rule_header[rule, i]
    if (!allowed)
        print "includes " FILENAME ":" FNR ": may not include \"" header "\""
    if (edges != "" && FILENAME ~ /^src\/[^\/]+\// && FILENAME !~ /_test\.c$/ && header !~ /^weft\/|\.def$/)
        if (room_of(FILENAME) != room_of(header))
            print room_of(FILENAME), room_of(header) > edges
}
