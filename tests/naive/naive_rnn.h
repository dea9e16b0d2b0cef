/* naive_rnn.h - layers and directions of a recurrent cell, shared by rnn, lstm and gru. */
#ifndef WF_TESTS_NAIVE_RNN_H
#define WF_TESTS_NAIVE_RNN_H
#include "naive/naive.h"

/* One step: ih [gates*n] = Lin(ih, x_t); hh the recurrent weight and its bias (or NULL); h and c [n] are replaced. */
typedef void naive_cell(const wf_layer *l, const double *ih, const double *hh, const double *hh_bias, double *h, double *c,
                        int64_t n);
naive_cell naive_gru_cell, naive_lstm_cell;
/* mask: a padding step leaves the state alone and outputs 0. y = the top layer, forward | reverse. */
void naive_rnn(naive_io *io, naive_cell *cell, int gates);
/* Row r of hh h + its bias. */
double naive_recurrent(const double *hh, const double *bias, int64_t r, const double *h, int64_t n);
#endif
