/* checked.h - arithmetic on sizes that come from files: every function returns false on overflow. */
#ifndef WF_BASE_CHECKED_H
#define WF_BASE_CHECKED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool wf_mul_i64(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool wf_add_i64(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool wf_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool wf_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

/* Product of `rank` dimensions; false on a negative dimension or overflow. */
static inline bool wf_product(const int64_t *dims, int rank, int64_t *out) {
    *out = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || !wf_mul_i64(*out, dims[i], out))
            return false;
    return true;
}
#endif
