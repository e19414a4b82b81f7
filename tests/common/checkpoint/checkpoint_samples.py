"""What the tests of checkpoints save and compare."""

import numpy as np

SUFFIXES = (".ckpt", ".safetensors")


def assert_same_tensors(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype.name == array.dtype.name, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].shape == array.shape, name


def foreign_tensors():
    rng = np.random.default_rng(2)
    return {
        "w": rng.standard_normal((3, 4)).astype(np.float32),
        "h": rng.standard_normal(5).astype(np.float16),
        "n": np.arange(6, dtype=np.int32).reshape(2, 3),
        "b": np.array([True, False]),
        "s": np.array(2.5, np.float32),
    }


def save_with_mindspore(path, **options):
    import mindspore

    parameters = [{"name": name, "data": mindspore.Tensor(array)} for name, array in foreign_tensors().items()]
    mindspore.save_checkpoint(parameters, str(path), format=path.suffix[1:], **options)
    path.chmod(0o600)
