/* trie_test.c - every key is found with its value, and nothing else is: sparse and dense sets of keys, on one thread and on
 * several. */
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "text/trie.h"

enum { MANY = 40000, LONGEST = 12 };

typedef struct set {
    char texts[MANY][LONGEST];
    wf_trie_key keys[MANY], given[MANY];
    size_t n;
} set;

/* Texts of `letters` different bytes; the longer they are, the less is shared. */
static set *draw(size_t n, unsigned letters, uint64_t seed) {
    set *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (s->n = 0; s->n < n; s->n++) {
        size_t length = 0;
        for (uint64_t more = 1; more && length < LONGEST; more = seed >> 33 & 7) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            s->texts[s->n][length++] = (char)(uint8_t)((seed >> 40) % letters);
        }
        s->keys[s->n] = s->given[s->n] = wf_trie_key_of(s->texts[s->n], length, (uint32_t)s->n);
    }
    return s;
}

static uint32_t find(const wf_trie *t, const char *text, size_t length) {
    uint32_t node = WF_TRIE_ROOT;
    for (size_t i = 0; i < length; i++)
        if (!wf_trie_step(t, &node, (uint8_t)text[i]))
            return WF_TRIE_NONE;
    return t->nodes[node].value;
}

static int by_text(const void *a, const void *b) {
    const wf_trie_key *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, n);
    return order ? order : x->length != y->length ? (x->length < y->length ? -1 : 1) : x->value < y->value ? -1 : 1;
}

static bool same(const wf_trie_key *x, const wf_trie_key *y) {
    return x->length == y->length && memcmp(x->text, y->text, x->length) == 0;
}

/* Of equal keys the largest value counts. The sum over all nodes says that there are no others. */
static void check(set *s, wf_pool *pool) {
    wf_trie t;
    uint64_t values = 0, sum = 0;
    assert_int_equal(wf_trie_build(&wf_mem_default, pool, s->keys, s->n, &t, NULL), WEFT_OK);
    qsort(s->given, s->n, sizeof *s->given, by_text);
    for (size_t i = 0; i < s->n; i++) {
        if (i + 1 < s->n && same(&s->given[i], &s->given[i + 1]))
            continue;
        assert_int_equal(find(&t, s->given[i].text, s->given[i].length), s->given[i].value);
        sum += (uint64_t)s->given[i].value + 1;
    }
    for (uint32_t i = 0; i < t.count; i++)
        if (t.nodes[i].parent != WF_TRIE_FREE && t.nodes[i].value != WF_TRIE_NONE)
            values += (uint64_t)t.nodes[i].value + 1;
    assert_true(values == sum);
    assert_int_equal(find(&t, "\x7F\x7F\x7F nothing", 11), WF_TRIE_NONE);
    wf_trie_free(&t, &wf_mem_default);
    free(s);
}

static const unsigned alphabets[] = {1, 2, 6, 26, 100, 256};

static void test_one_thread(void **state) {
    for (size_t i = 0; i < COUNT_OF(alphabets); i++) {
        check(draw(1, alphabets[i], i + 1), NULL);
        check(draw(5000, alphabets[i], i + 1), NULL);
    }
}

static void test_several_threads(void **state) {
    wf_pool *pool;
    assert_int_equal(wf_pool_create(&wf_mem_default, 3, &pool, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(alphabets); i++)
        check(draw(MANY, alphabets[i], i + 1), pool);
    wf_pool_free(pool);
}

static void test_none(void **state) {
    wf_trie t;
    wf_trie_key empty = wf_trie_key_of("", 0, 7);
    assert_int_equal(wf_trie_build(&wf_mem_default, NULL, &empty, 1, &t, NULL), WEFT_OK);
    assert_int_equal(find(&t, "", 0), WF_TRIE_NONE);
    assert_int_equal(find(&t, "a", 1), WF_TRIE_NONE);
    wf_trie_free(&t, &wf_mem_default);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_thread), cmocka_unit_test(test_several_threads),
                                       cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
