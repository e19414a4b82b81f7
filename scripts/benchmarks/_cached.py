import pickle
import numpy as np
from benchmarks.latency_steps import repeated
def file_step(network, side, threads, repeats, **_):
    from common.engine.opened import OpenedFile
    opened = OpenedFile(open(f"/work/k/rt/{network}.lowbit","rb").read())
    image = np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)
    return repeated(lambda: opened.run(image, threads), repeats)
def int8_step(runtime, network, side, threads, repeats):
    from benchmarks import int8_steps
    c=open(f"/work/k/rt/{network}.onnx","rb").read()
    x=np.random.default_rng(1).normal(size=(1,3,side,side)).astype(np.float32)
    if runtime=="openvino":
        r=int8_steps.openvino_request(c,threads); f=lambda: r.infer({"images":x})["logits"]
    else:
        s=int8_steps.onnxruntime_session(c,threads); f=lambda: s.run(None,{"images":x})[0]
    return repeated(f, repeats)
