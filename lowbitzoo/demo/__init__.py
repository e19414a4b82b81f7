"""A page of float and low-bit networks side by side: what is said of a picture, at what cost.

``catalogue`` tells the networks, ``exhibit`` computes, ``markup`` writes; ``page`` alone knows Gradio.
"""
