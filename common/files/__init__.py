"""Bytes on disk, whole or not at all: atomic writes, the user's cache folder, pickles read without running them."""
