"""What ``scripts/benchmark.py`` can time; each module has ``run(args)``, which returns the rows of its table."""
