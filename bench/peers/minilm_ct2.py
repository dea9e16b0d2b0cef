"""Peer of `weft bench embed`: CTranslate2's encoder. Fastest: int8 (or bfloat16 where the processor has it)."""

import os
import sys
import tempfile

import minilm

try:
    import ctranslate2
    import transformers  # the converter needs it, and torch
except ImportError:
    sys.exit(77)

np = minilm.np
folder = os.path.join(tempfile.gettempdir(), "weft-bench-minilm-%d" % os.getuid(), "ct2")
if not os.path.exists(os.path.join(folder, "model.bin")):
    ctranslate2.converters.TransformersConverter(minilm.FOLDER).convert(folder, force=True)


def way(kind, tokens):
    encoder = ctranslate2.Encoder(folder, device="cpu", compute_type=kind, inter_threads=1, intra_threads=minilm.THREADS)

    def run(encodings):
        out = np.zeros((len(encodings), 384), dtype=np.float32)
        for batch in minilm.batches(encodings, None, tokens):
            got = encoder.forward_batch([encodings[i].ids for i in batch])
            hidden = np.array(got.last_hidden_state)
            mask = np.zeros(hidden.shape[:2], dtype=np.int64)
            for row, i in enumerate(batch):
                mask[row, : len(encodings[i].ids)] = 1
            out[batch] = minilm.pool(hidden, mask)
        return out

    return run


if minilm.FASTEST:
    kinds = [k for k in ("int8", "bfloat16") if k in ctranslate2.get_supported_compute_types("cpu")]
    ways = [("%s, 1024 tokens" % k, way(k, 1024)) for k in kinds]
else:
    ways = [("fp32, %d tokens" % n, way("float32", n)) for n in (512, 2048)]
minilm.measure(ways)
