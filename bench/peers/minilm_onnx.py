"""Peer of `weft bench embed`: ONNX Runtime, the graph optimised as its own tool for BERT does it. Fastest: dynamic int8."""

import os
import sys
import tempfile

import minilm

try:
    import onnx
    import onnxruntime
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions
except ImportError:
    sys.exit(77)

np = minilm.np
work = os.path.join(tempfile.gettempdir(), "weft-bench-minilm-%d" % os.getuid())
os.makedirs(work, exist_ok=True)


class Rows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = transformers.AutoModel.from_pretrained(minilm.FOLDER, attn_implementation="eager").eval()

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


def export(path):
    ids = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "batch", 1: "rows"}
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        Rows(), (ids, ids, torch.zeros_like(ids)), path, input_names=names, output_names=["hidden"],
        dynamic_axes={n: axes for n in names + ["hidden"]}, opset_version=17, dynamo=False,
    )


def files():
    plain, fused, int8 = (os.path.join(work, n) for n in ("plain.onnx", "fused.onnx", "int8.onnx"))
    if not os.path.exists(int8):
        export(plain)
        m = optimizer.optimize_model(plain, model_type="bert", num_heads=12, hidden_size=384, optimization_options=FusionOptions("bert"))
        m.save_model_to_file(fused)
        kind = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # fused nodes hide it from shape inference
        quantize_dynamic(fused, int8, weight_type=QuantType.QInt8, extra_options=kind)
    return plain, fused, int8


def way(path, size=None, tokens=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = minilm.THREADS
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(encodings):
        out = np.zeros((len(encodings), 384), dtype=np.float32)
        for batch in minilm.batches(encodings, size, tokens):
            ids, mask = minilm.padded(encodings, batch)
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            out[batch] = minilm.pool(session.run(None, feed)[0], mask)
        return out

    return run


plain, fused, int8 = files()
if minilm.FASTEST:
    ways = [("int8, 8 sentences", way(int8, 8)), ("int8, 32 sentences", way(int8, 32))]
else:
    ways = [("fused, 8 sentences", way(fused, 8)), ("fused, 32 sentences", way(fused, 32)), ("fused, 1024 tokens", way(fused, tokens=1024))]
minilm.measure(ways)
