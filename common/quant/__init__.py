"""Quantizers and code packing that more than one method uses."""
