/* test.h - cmocka with the headers it forgets, and helpers shared by the tests. */
#ifndef WF_TESTS_TEST_H
#define WF_TESTS_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#endif
