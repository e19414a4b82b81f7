"""DynamicQuant: instance-aware dynamic quantization (Liu et al., CVPR 2022)."""
