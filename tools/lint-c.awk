# lint-c.awk - reads C files; prints "rule file:line: what" for functions that are too long or take too many parameters, files
# that are too long, and calls that are banned in src/. Waivers: a comment with "lint: long" on the line before a function, or
# "lint: long file" in the first lines of a file.

function report(rule, line, what) { print rule " " FILENAME_ ":" line ": " what }

# Takes comments away and empties strings and character constants, so that braces and names left are code.
function code_of(text,    out, at, rest) {
    out = ""
    while (text != "") {
        if (in_comment) {
            at = index(text, "*/")
            if (!at)
                return out
            text = substr(text, at + 2)
            in_comment = 0
            continue
        }
        if (!match(text, /\/\*|\/\/|"|'/))
            return out text
        out = out substr(text, 1, RSTART - 1)
        rest = substr(text, RSTART + RLENGTH)
        at = substr(text, RSTART, RLENGTH)
        if (at == "//")
            return out
        if (at == "/*") {
            in_comment = 1
            text = rest
        } else {
            out = out at at
            text = after_quote(rest, at)
        }
    }
    return out
}

function after_quote(text, quote,    at, c) {
    for (at = 1; at <= length(text); at++) {
        c = substr(text, at, 1)
        if (c == "\\")
            at++
        else if (c == quote)
            return substr(text, at + 1)
    }
    return ""
}

# Number of parameters of the signature that ends `head` with its ")".
function parameters(head,    at, level, commas, c, inside) {
    level = commas = 0
    inside = ""
    for (at = length(head); at >= 1; at--) {
        c = substr(head, at, 1)
        if (c == ")")
            level++
        else if (c == "(") {
            if (--level == 0)
                break
        } else if (c == "," && level == 1)
            commas++
        if (level >= 1)
            inside = c inside
    }
    gsub(/[ \t)]/, "", inside)
    return inside == "void" || inside == "" ? 0 : commas + 1
}

function name_of(head) {
    sub(/\(.*/, "", head)
    gsub(/[ \t]+$/, "", head)
    sub(/.*[^A-Za-z0-9_]/, "", head)
    return head
}

function finish_file() {
    if (FILENAME_ != "" && lines > 800 && !long_file)
        report("size", lines, "the file has " lines " lines, more than 800")
}

function open_brace() {
    if (depth == 0) {
        sub(/[ \t]+$/, "", head)
        if (head ~ /\)$/ && head !~ /=/) {
            in_function = 1
            function_name = name_of(head)
            function_line = head_line
            waived = raw_before_head ~ /lint: long/
            if (!kernel && parameters(head) > 7)
                report("size", head_line, function_name " takes " parameters(head) " parameters, more than 7")
        } else if (head ~ /^extern/) {
            head = ""
            return
        }
    }
    depth++
    head = ""
}

function close_brace() {
    if (depth > 0 && --depth == 0) {
        if (in_function && !waived && FNR - function_line + 1 > 80)
            report("size", function_line, function_name " has " (FNR - function_line + 1) " lines, more than 80")
        in_function = 0
        head = ""
    }
}

function scan(text,    at, c) {
    while (match(text, /[{};]/)) {
        c = substr(text, RSTART, 1)
        add_head(substr(text, 1, RSTART - 1))
        text = substr(text, RSTART + 1)
        if (c == "{")
            open_brace()
        else if (c == "}")
            close_brace()
        else if (depth == 0)
            head = ""
    }
    add_head(text)
}

function add_head(text) {
    if (depth > 0 || text ~ /^[ \t]*$/)
        return
    if (head == "") {
        head_line = FNR
        raw_before_head = previous_raw
    }
    head = head " " text
    sub(/^[ \t]+/, "", head)
}

BEGIN {
    banned = "printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|abort|strcpy|strcat|sprintf|vsprintf|gets|strtok|" \
             "alloca|setjmp|longjmp|system"
    banned_memory = "malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup|getline"
}

FNR == 1 {
    finish_file()
    FILENAME_ = FILENAME
    in_comment = depth = in_function = continued = long_file = 0
    head = previous_raw = ""
    kernel = FILENAME ~ /^src\/kernels\// # raw pointers and sizes, as many as it takes
    library = FILENAME ~ /^src\// && FILENAME !~ /_test\.c$/
    calls = banned
    if (FILENAME != "src/base/mem.c")
        calls = calls "|" banned_memory
    if (FILENAME != "src/base/pool.c")
        calls = calls "|pthread_create"
    calls = "(^|[^A-Za-z0-9_.>])(" calls ")[ \t]*\\("
}
{
    lines = FNR
    if (FNR <= 10 && /lint: long file/)
        long_file = 1
    text = code_of($0)
    if (library && text ~ calls) {
        match(text, calls)
        call = substr(text, RSTART, RLENGTH)
        gsub(/[^A-Za-z0-9_]/, "", call)
        report("banned", FNR, call " is not for library code")
    }
    directive = continued || text ~ /^[ \t]*#/
    continued = directive && $0 ~ /\\$/
    if (!directive)
        scan(text)
    previous_raw = $0
}
END { finish_file() }
