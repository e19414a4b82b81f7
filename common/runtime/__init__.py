"""MindSpore's global state (device, mode, seed, threads) and its hooks: the only room that touches them."""
