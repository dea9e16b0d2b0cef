/* npy.c - numpy's arrays: .npy, and .npz, a zip archive of them. The header is a Python literal; it is parsed as data, a
 * dictionary of exactly three members, and nothing else is. Source: numpy.lib.format, versions 1.0 to 3.0. */
#include <string.h>
#include "base/checked.h"
#include "formats/zip.h"

static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { PRELUDE = 8, DEEPEST = WF_STORED_RANK_MAX, MOST_HEADER = 1 << 20 };

typedef struct npy { /* one array */
    wf_tensor_file *file;
    const char *text; /* the header */
    size_t length, at;
    size_t base; /* where in the file the array begins; the header from there */
    size_t header;
    char order, letter; /* of the type: "<", "f" .. */
    int width;
    bool fortran;
    int rank;
    int64_t dims[DEEPEST];
    weft_error *err;
} npy;

static weft_status fail(const npy *n, const char *what) {
    size_t at = n->base + n->header + n->at;
    return wf_fail_at(n->err, WEFT_BAD_INPUT, (int64_t)at, "npy header: %s (byte %zu)", what, at);
}

/* ---- the literal ---- */
static void skip_blanks(npy *n) {
    while (n->at < n->length && (n->text[n->at] == ' ' || n->text[n->at] == '\n' || n->text[n->at] == '\t'))
        n->at++;
}

static bool take(npy *n, char c) {
    skip_blanks(n);
    if (n->at >= n->length || n->text[n->at] != c)
        return false;
    n->at++;
    return true;
}

static bool take_word(npy *n, const char *word) {
    size_t length = strlen(word);
    skip_blanks(n);
    if (n->length - n->at < length || memcmp(n->text + n->at, word, length) != 0)
        return false;
    n->at += length;
    return true;
}

/* A string without escapes, in either kind of quotes. */
static bool take_string(npy *n, const char **text, size_t *length) {
    char quote = take(n, '\'') ? '\'' : take(n, '"') ? '"' : 0;
    *text = n->text + n->at;
    if (!quote)
        return false;
    while (n->at < n->length && n->text[n->at] != quote && n->text[n->at] != '\\' && n->text[n->at] != '\n')
        n->at++;
    *length = (size_t)(n->text + n->at - *text);
    return n->at < n->length && n->text[n->at++] == quote;
}

static bool take_size(npy *n, int64_t *out) {
    skip_blanks(n);
    size_t start = n->at;
    while (n->at < n->length && n->text[n->at] >= '0' && n->text[n->at] <= '9')
        n->at++;
    bool zeros = n->at > start + 1 && n->text[start] == '0'; /* Python refuses 007 */
    bool good = !zeros && wf_parse_i64(n->text + start, n->at - start, out);
    if (good && n->at < n->length && n->text[n->at] == 'L') /* Python 2 wrote long numbers so */
        n->at++;
    return good;
}

/* "<f4": byte order, letter, bytes of an element */
static weft_status read_descr(npy *n) {
    const char *text;
    size_t length, digits = 1;
    int64_t width;
    skip_blanks(n);
    WF_CHECK(n->at >= n->length || n->text[n->at] != '[', n->err, WEFT_UNSUPPORTED,
             "npy header: 'descr' tells of records, which are not supported");
    if (!take_string(n, &text, &length))
        return fail(n, "'descr' must be a string");
    n->order = length > 0 && strchr("<>|=", text[0]) ? text[0] : 0;
    digits += n->order != 0;
    if (length < digits + 1 && !(length == digits && text[length - 1] == 'O'))
        return fail(n, "'descr' is not a type");
    n->letter = text[digits - 1];
    if (n->letter == 'O')
        return fail(n, "arrays of objects are pickles, which are not read");
    if (length > digits + 3 || !wf_parse_i64(text + digits, length - digits, &width) || width < 1 || width > 16)
        return fail(n, "'descr' is not a type");
    n->width = (int)width;
    return WEFT_OK;
}

static weft_status read_shape(npy *n) {
    if (!take(n, '('))
        return fail(n, "'shape' must be a tuple");
    for (n->rank = 0; !take(n, ')');) {
        if (n->rank == DEEPEST || !take_size(n, &n->dims[n->rank]))
            return fail(n, "'shape' must hold whole numbers from 0 to 2^63 - 1");
        n->rank++;
        bool comma = take(n, ',');
        if (!comma && (n->rank == 1 || !take(n, ')'))) /* (3) is a number */
            return fail(n, "'shape' must be a tuple");
        if (!comma)
            return WEFT_OK;
    }
    return WEFT_OK;
}

static weft_status read_order(npy *n) {
    if (take_word(n, "True"))
        n->fortran = true;
    else if (!take_word(n, "False"))
        return fail(n, "'fortran_order' must be True or False");
    return WEFT_OK;
}

static weft_status read_members(npy *n) {
    static const char *const names[] = {"descr", "fortran_order", "shape"};
    weft_status (*const readers[])(npy *) = {read_descr, read_order, read_shape};
    unsigned seen = 0;
    while (!take(n, '}')) {
        const char *key;
        size_t length, i = 0;
        if (!take_string(n, &key, &length))
            return fail(n, "a name is expected");
        while (i < 3 && !(strlen(names[i]) == length && memcmp(names[i], key, length) == 0))
            i++;
        if (i == 3 || (seen & 1u << i) || !take(n, ':'))
            return fail(n, "it must hold 'descr', 'fortran_order' and 'shape', each once");
        seen |= 1u << i;
        WF_TRY(readers[i](n));
        if (!take(n, ',') && (n->at >= n->length || n->text[n->at] != '}'))
            return fail(n, "a comma is expected");
    }
    return seen == 7 ? WEFT_OK : fail(n, "it must hold 'descr', 'fortran_order' and 'shape', each once");
}

static weft_status read_header(npy *n) {
    if (!take(n, '{'))
        return fail(n, "it must be a dictionary");
    WF_TRY(read_members(n));
    skip_blanks(n);
    return n->at == n->length ? WEFT_OK : fail(n, "something follows the dictionary");
}

/* ---- the data ---- */
static const char *type_of(const npy *n) {
    static const struct {
        char letter;
        int width;
        const char *type;
    } rows[] = {{'f', 2, "F16"}, {'f', 4, "F32"},  {'f', 8, "F64"}, {'i', 1, "I8"},   {'i', 2, "I16"},
                {'i', 4, "I32"}, {'i', 8, "I64"},  {'u', 1, "U8"},  {'u', 2, "U16"},  {'u', 4, "U32"},
                {'u', 8, "U64"}, {'b', 1, "BOOL"}, {'c', 8, "C64"}, {'c', 16, "C128"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == n->letter && rows[i].width == n->width)
            return rows[i].type;
    return NULL;
}

/* From the first index fastest to the last index fastest. */
static void reorder(const npy *n, const uint8_t *from, uint8_t *to, int64_t count) {
    int64_t strides[DEEPEST], index[DEEPEST] = {0}, stride = n->width;
    size_t width = (size_t)n->width;
    for (int d = 0; d < n->rank; d++) {
        strides[d] = stride;
        stride *= n->dims[d];
    }
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(to + (size_t)i * width, from + at, width);
        for (int d = n->rank; d-- > 0;) {
            at += strides[d];
            if (++index[d] < n->dims[d])
                break;
            at -= strides[d] * n->dims[d];
            index[d] = 0;
        }
    }
}

static weft_status unpack(const npy *n, const uint8_t *data, size_t size, int64_t count, const void **out) {
    void *block;
    bool turned = n->fortran && n->rank > 1, swapped = n->order == '>' && n->width > 1;
    *out = data;
    if ((!turned && !swapped) || count == 0)
        return WEFT_OK;
    WF_TRY(wf_tensor_file_block(n->file, size, SIZE_MAX, &block, n->err));
    if (turned)
        reorder(n, data, block, count);
    else
        memcpy(block, data, size);
    if (swapped)
        wf_swap_bytes(block, size, (size_t)(n->letter == 'c' ? n->width / 2 : n->width));
    *out = block;
    return WEFT_OK;
}

static weft_status read_prelude(npy *n, wf_reader *r) {
    const uint8_t *start = wf_read_bytes(r, PRELUDE);
    n->at = 0;
    if (!start || memcmp(start, magic, sizeof magic) != 0)
        return fail(n, "this is no .npy file");
    unsigned version = start[6];
    if (version < 1 || version > 3 || start[7] != 0)
        return fail(n, "only the versions 1.0, 2.0 and 3.0 are known");
    n->length = version == 1 ? wf_read_u16(r) : wf_read_u32(r);
    n->header = r->position;
    if (n->length > MOST_HEADER)
        return fail(n, "it is longer than 1 MiB");
    n->text = (const char *)wf_read_bytes(r, n->length);
    return n->text ? WEFT_OK : fail(n, "it is longer than the file");
}

static weft_status read_array(npy *n, const char *name, const uint8_t *bytes, size_t size) {
    wf_reader r = wf_reader_of(bytes, size);
    WF_TRY(read_prelude(n, &r));
    WF_TRY(read_header(n));
    const char *type = type_of(n);
    int64_t count, total;
    if (!type)
        return fail(n, "'descr' is not a type of numbers");
    if (!wf_product(n->dims, n->rank, &count) || !wf_mul_i64(count, n->width, &total))
        return fail(n, "the shape is beyond 2^63 bytes");
    if ((uint64_t)total != wf_reader_left(&r))
        return fail(n, (uint64_t)total > wf_reader_left(&r) ? "the data is cut" : "bytes follow the data");
    wf_stored_tensor t = {.name = name, .dtype = type, .type = wf_dtype_by_safetensors(type), .rank = n->rank, .dims = n->dims};
    t.size = (size_t)total;
    t.offset = n->base + r.position;
    WF_TRY(unpack(n, bytes + r.position, t.size, count, &t.data));
    return wf_tensor_file_add(n->file, &t, n->err);
}

static weft_status parse_npy(wf_tensor_file *file, weft_error *err) {
    npy n = {.file = file, .err = err};
    return read_array(&n, "array", file->data, file->size);
}

static bool is_npy(const uint8_t *data, size_t size) { return size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0; }

/* ---- .npz ---- */
static weft_status parse_npz(wf_tensor_file *file, weft_error *err) {
    wf_zip zip;
    WF_TRY(wf_zip_open(&file->arena, file->data, file->size, &zip, err));
    for (size_t i = 0; i < zip.count; i++) {
        const wf_zip_member *m = &zip.list[i];
        npy n = {.file = file, .base = m->offset, .err = err};
        const uint8_t *bytes;
        size_t length = strlen(m->name);
        WF_CHECK(wf_ends_with(m->name, ".npy") && length > 4, err, WEFT_BAD_INPUT, "the member '%.80s' is no .npy file",
                 m->name);
        WF_TRY(wf_zip_read(file, m, &bytes, err));
        const char *name = wf_arena_strndup(&file->arena, m->name, length - 4);
        if (!name)
            return wf_fail_memory(err);
        weft_status status = read_array(&n, name, bytes, m->size);
        if (status != WEFT_OK)
            return wf_fail_in(err, "%.80s", m->name), status;
    }
    return WEFT_OK;
}

static bool is_npz(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    if (!wf_zip_is(data, size) || !wf_read_bytes(&r, 26))
        return false;
    size_t length = wf_read_u16(&r);
    wf_read_u16(&r);
    const char *name = (const char *)wf_read_bytes(&r, length);
    return name && length > 4 && memcmp(name + length - 4, ".npy", 4) == 0;
}

const wf_format wf_format_npy = {
    .name = "npy", .about = "one array of numpy", .suffix = ".npy", .only = true, .is = is_npy, .parse = parse_npy};
const wf_format wf_format_npz = {.name = "npz",
                                 .about = "arrays of numpy in a zip archive",
                                 .suffix = ".npz",
                                 .only = true,
                                 .whole = "weights.npz",
                                 .is = is_npz,
                                 .parse = parse_npz};
