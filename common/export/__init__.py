"""Networks in formats of others: MINDIR for every network, ONNX where its operators say the same arithmetic.

===================  =================================================================
module               holds
===================  =================================================================
``script``           what the methods' ``export.py`` share, from options to files
``parity``           the file's network against ours, image by image
``mindir``           to MINDIR and back
``onnx_model``       to an ONNX model and into onnxruntime
``onnx_graph``       nodes, constants and the symbols that stand for tensors
``onnx_layers``      the nodes of each float layer
``onnx_quantizers``  the nodes of each quantizer, the same float32 values bit for bit
===================  =================================================================
"""
