"""PyTorch state files (``.pth``, ``.th``), read without PyTorch and without running anything they name."""
