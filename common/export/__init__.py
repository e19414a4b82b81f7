"""Networks in formats of others: MINDIR for every network, ONNX where its operators say the same arithmetic.

====================  ================================================================
module                holds
====================  ================================================================
``parity``            the file's network against ours, image by image
``mindir``            to MINDIR and back
``onnx_model``        to an ONNX model and into onnxruntime
``onnx_graph``        nodes, constants and the symbols that stand for tensors
``onnx_layers``       the nodes of each float layer
``onnx_quantizers``   the nodes of each quantizer, the same float32 values bit for bit
``onnx_versions``     the oldest version of ONNX that has a graph's operators
``onnx_fast``         the other form: to 8-bit grids, which runtimes have kernels for
``onnx_fast_nodes``   its nodes, from the steps of a description
``onnx_fast_levels``  its grids of tensors and filters
``described``         a stored network as such a description
``lowbit``            to a file of the integer engine
``read_by``           what reads a file
====================  ================================================================
"""
