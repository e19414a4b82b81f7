"""A quantized network to an integer program and the operator that runs it; no MindSpore, see README.md."""
