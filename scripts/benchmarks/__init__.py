"""Benchmarks of ``scripts/benchmark.py``; each module has ``run(args)``, which returns the rows of its table."""
