"""Peer of `weft bench embed`: PyTorch with transformers' BERT. Fastest: dynamic int8 of the linear layers, or bfloat16."""

import minilm
import sys

try:
    import torch
    import transformers
except ImportError:
    sys.exit(77)

torch.set_num_threads(minilm.THREADS)
np = minilm.np


def load(dtype=torch.float32):
    return transformers.AutoModel.from_pretrained(minilm.FOLDER, dtype=dtype, attn_implementation="sdpa").eval()


def way(model, size=None, tokens=None):
    def run(encodings):
        out = np.zeros((len(encodings), 384), dtype=np.float32)
        with torch.inference_mode():
            for batch in minilm.batches(encodings, size, tokens):
                ids, mask = minilm.padded(encodings, batch)
                hidden = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
                out[batch] = minilm.pool(hidden.float().numpy(), mask)
        return out

    return run


model = load()
if minilm.FASTEST:
    int8 = torch.ao.quantization.quantize_dynamic(load(), {torch.nn.Linear}, dtype=torch.qint8)
    half = load(torch.bfloat16)
    ways = [("int8, 32 sentences", way(int8, 32)), ("bf16, 32 sentences", way(half, 32))]
else:
    ways = [("32 sentences", way(model, 32)), ("16 sentences", way(model, 16)), ("2048 tokens", way(model, tokens=2048))]
minilm.measure(ways)
