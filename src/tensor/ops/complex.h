/* complex.h - complex numbers from their two parts. C11's CMPLX is not there with every compiler (glibc defines it for gcc
 * alone), and x + y*I loses the sign of a zero and spoils an infinite y. */
#ifndef WF_TENSOR_OPS_COMPLEX_H
#define WF_TENSOR_OPS_COMPLEX_H
#include <complex.h>

static inline double complex complex_of(double real, double imag) {
    union {
        double parts[2];
        double complex number;
    } as = {{real, imag}}; /* one layout: C11, 6.2.5 */
    return as.number;
}
#endif
