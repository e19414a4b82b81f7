"""AdderQuant: post-training quantization of AdderNets (Nie et al., NeurIPS 2022)."""
