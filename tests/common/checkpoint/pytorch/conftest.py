"""Fixtures of the tests of PyTorch's state files."""

import pytest
from torch_samples import CONTAINERS, DATA

from common.checkpoint.pytorch.state_dict import read_state_file


@pytest.fixture(params=CONTAINERS)
def read(request, tmp_path):
    def read(body, storages=None):
        path = tmp_path / "net.pth"
        if storages is None:
            storages = {"0": DATA} if b"cpu" in body else {}
        path.write_bytes(CONTAINERS[request.param](body, storages))
        return read_state_file(path)

    return read
