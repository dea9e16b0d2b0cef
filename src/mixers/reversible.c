/* reversible.c - two streams side by side, each changed by a function of the other, so that training rebuilds a layer's input
 * from its output instead of keeping it. Gomez et al. 2017 (arXiv 1707.04585, eq. 6); the Reformer, Kitaev et al. 2020 (arXiv
 * 2001.04451, section 3).
 */
#include "base/str.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 2, NULL, "width of x: two streams of half of it"},
    {"mixer", WF_KEY_OBJECT, NULL, 0, NULL, "the token mixer of the first stream: {mixer: NAME (attention), its options}"},
    {"ffn", WF_KEY_OBJECT, NULL, 0, NULL, "the channel mixer of the second: {mixer: NAME (mlp), its options}"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the layer norms before both"},
    {NULL}};

static const wf_slot slots[] = {{"norm1.weight", "[dim // 2]", "ones", NULL, NULL, false, NULL},
                                {"norm1.bias", "[dim // 2]", "zeros", NULL, NULL, false, NULL},
                                {"norm2.weight", "[dim // 2]", "ones", NULL, NULL, false, NULL},
                                {"norm2.bias", "[dim // 2]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "dim") % 2 == 0, err, WEFT_USAGE, "'dim' (%lld) must be even", (long long)wf_int(l, "dim"));
    return WEFT_OK;
}

static weft_status parts(struct wf_part_builder *b, const wf_layer *l, weft_error *err) {
    const wf_json *mixer = wf_get(l, "mixer")->object, *ffn = wf_get(l, "ffn")->object;
    WF_TRY(wf_layer_add_part(b, "mixer.", wf_json_text(mixer, "mixer", "attention"), mixer, wf_int(l, "dim") / 2, err));
    return wf_layer_add_part(b, "ffn.", wf_json_text(ffn, "mixer", "mlp"), ffn, wf_int(l, "dim") / 2, err);
}

/* x + part(layernorm(other)) */
static wf_tensor *coupled(wf_run *r, const wf_layer *l, int part, wf_tensor *x, wf_tensor *other, wf_ports *io,
                          weft_status *status) {
    static const char *const weights[] = {"norm1.weight", "norm2.weight"}, *const biases[] = {"norm1.bias", "norm2.bias"};
    wf_ports own = *io;
    wf_couple_begin(r);
    own.x = wf_cast(r->tape,
                    wf_layer_norm(r->tape, other, wf_weight(r, l, weights[part]), wf_weight(r, l, biases[part]), 0.0f,
                                  (float)wf_float(l, "norm_eps")),
                    WF_F32);
    if (*status == WEFT_OK)
        *status = wf_run_part(r, l, part, &own);
    io->aux_loss = own.aux_loss ? own.aux_loss : io->aux_loss;
    io->z_loss = own.z_loss ? own.z_loss : io->z_loss;
    return wf_couple(r, x, own.y, 1.0f);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t half = wf_int(l, "dim") / 2;
    weft_status status = WEFT_OK;
    wf_tensor *x1 = wf_slice_channels(r->tape, io->x, 0, half), *x2 = wf_slice_channels(r->tape, io->x, half, half);
    wf_tensor *y1 = coupled(r, l, 0, x1, x2, io, &status);
    wf_tensor *y2 = coupled(r, l, 1, x2, y1, io, &status);
    io->y = wf_join_channels(r->tape, y1, y2);
    return status;
}

const wf_mixer wf_mixer_reversible = {
    .name = "reversible",
    .about = "y1 = x1 + mixer(norm(x2)), y2 = x2 + ffn(norm(y1))",
    .source = "Gomez et al. 2017, arXiv 1707.04585, eq. 6; Kitaev et al. 2020, arXiv 2001.04451",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask? positions? segments?",
    .outputs = "y",
    .example = "{\"mixer\": {\"mixer\": \"attention\", \"heads\": \"=max(1, dim // 64)\", \"key_dim\": 32, "
               "\"causal\": true}, \"ffn\": {\"hidden\": \"=hidden\"}}",
    .flops = "0",
    .bf16 = 0.012,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_REBUILDS,
    .check = check,
    .parts = parts,
    .run = run};
