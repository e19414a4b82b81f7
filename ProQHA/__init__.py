"""ProQHA: progressive mixed-precision quantization."""
