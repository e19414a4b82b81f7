"""Several processes of one program: which one this is, sums over all, and cells that compute over all batches."""

from common.distributed.processes import first, gathered, rank, share, size, start, total, wait

__all__ = ["first", "gathered", "rank", "share", "size", "start", "total", "wait"]
