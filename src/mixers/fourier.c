/* fourier.c - the mixing of FNet (Lee-Thorp et al. 2021, arXiv 2105.03824, eq. 3): y = Re(DFT over T of DFT over dim of x), no
 * weights. Reference: transformers FNetBasicFourierTransform. */
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"}, {0}};
static const wf_slot slots[] = {{0}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    (void)l;
    io->y = wf_fourier(r->tape, io->x);
    return WEFT_OK;
}

const wf_mixer wf_mixer_fourier = {.name = "fourier",
                                   .about = "y = Re(DFT over time and channels), no weights",
                                   .source = "Lee-Thorp et al. 2021, arXiv 2105.03824, eq. 3",
                                   .keys = keys,
                                   .slots = slots,
                                   .inputs = "x",
                                   .outputs = "y",
                                   .time = "T*ln(T)",
                                   .flops = "20*T*dim*(ln(T) + ln(dim)) / ln(2)",
                                   .bf16 = 0,
                                   .traits = 0,
                                   .companion = "mlp",
                                   .run = run};
