"""The commands of ``python -m lowbitzoo``, a file each: ``SUMMARY`` for the help, and ``run``."""
