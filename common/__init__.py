"""Rooms that the quantization methods share: data, models, quantizers, kernels, checkpoints, evaluation and reports."""
