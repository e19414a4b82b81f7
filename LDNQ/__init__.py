"""LDNQ: layer-wise quantization from limited training data (Chen, Wang, Pan, AAAI 2019)."""
