"""DAMBQ: distribution-aware adaptive multi-bit quantization."""
