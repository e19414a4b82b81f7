"""A registry file that is damaged or hostile ends in one line."""

import pytest

from common.errors import ConfigError
from common.zoo.registry import REGISTRY, read

TEXT = REGISTRY.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe" + TEXT,
        TEXT.replace(b"name: ", b"name: \xe4", 1),
        TEXT.decode().encode("utf-16"),
        b"",
        b"null",
        b"- 1",
        b"- []",
        b"a: 1",
        b"[" * 5000,
        b"- " * 5000,
        b"- &a [*a]",
        b"- {<<: [*b]}",
        TEXT.replace(b"size: ", b"size: x", 1),
        TEXT.replace(b"name: ", b"name: 7 #", 1),
        TEXT.replace(b"name: ", b"name: [1] #", 1),
        TEXT.replace(b"sha256: ", b"sha256: 1", 1) + b"\n- x",
        TEXT.replace(b"recipe:", b"recipe: 3\n  extra:", 1),
        TEXT.replace(b"name: ", b"name: 2024-13-45 #", 1),
        b"#" * (1 << 20) + TEXT,
        b"\0" + TEXT,
    ],
    ids=range(20),
)
def test_one_line(tmp_path, content):
    path = tmp_path / "registry.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value) and len(str(caught.value)) < 600


def test_the_registry_itself_is_read():
    assert read(REGISTRY)
