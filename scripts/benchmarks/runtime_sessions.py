"""ONNX files opened by onnxruntime and OpenVINO; run in the peers' environment."""


def onnxruntime_session(content: bytes, threads: int):
    """A network of an ONNX file's content, ready to run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def openvino_request(content: bytes, threads: int):
    """A network of an ONNX file's content, ready to run; in float32 also where the processor has bfloat16."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return core.compile_model(core.read_model(content), "CPU", settings).create_infer_request()
