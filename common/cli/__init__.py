"""The command line: the only room that knows argparse, YAML, flags and exit codes; no other takes a Namespace."""
