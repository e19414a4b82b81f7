"""Quantized networks of the zoo as descriptions for the engine's compiler."""
