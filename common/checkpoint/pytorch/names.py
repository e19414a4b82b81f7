"""Names of PyTorch's parameters to those that the same layers have in MindSpore."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from common.errors import CheckpointError

# Counts of steps beside the weights: of BatchNorm, and of averaged weights (torch.optim.swa_utils, EMA).
_COUNTERS = {"num_batches_tracked", "n_averaged", "num_updates"}
# What wraps a whole network: data parallel and averaged ones, compiled ones, attributes of training classes.
_WRAPPERS = {"module", "_orig_mod", "model", "net", "network", "backbone", "state_dict", "_forward_module"}
_PYTORCH_ALONE = {"module", "_orig_mod"}
# What wraps parts of a network too, and no layer is called.
_NEVER_LAYERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_STATISTICS = {"running_mean", "running_var"}
_BATCH_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def named_by_pytorch(names: Iterable[str]) -> bool:
    """Whether a foreign file has PyTorch's names, in whichever format it is."""
    components = [name.split(".") for name in names]
    return any(parts[-1] in _STATISTICS | _COUNTERS or parts[0] in _PYTORCH_ALONE for parts in components)


def to_mindspore_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the tensors of a PyTorch state dict the names that the same layers have in MindSpore.

    Wrappers' prefixes that all weights share go, also several of them (``module.``, ``_orig_mod.``, ``model.``), so do
    counters (``num_batches_tracked``, ``n_averaged``). Where a layer has a ``running_mean`` it is a BatchNorm:
    ``weight, bias, running_mean, running_var`` become ``gamma, beta, moving_mean, moving_variance``. All other names
    stay.

    Args:
        state: Name to array.

    Raises:
        CheckpointError: Two tensors would get the same name.
    """
    weights = {name: name.split(".") for name in state if name.rpartition(".")[2] not in _COUNTERS}
    bare = {name: [part for part in parts[:-1] if part not in _NEVER_LAYERS] for name, parts in weights.items()}
    wrappers = _shared(bare.values())
    layers = {name: ".".join(parts[wrappers:]) for name, parts in bare.items()}
    normalized = {layers[name] for name, parts in weights.items() if parts[-1] == "running_mean"}
    result: dict[str, np.ndarray] = {}
    for name, parts in weights.items():
        leaf = _BATCH_NORM_NAMES.get(parts[-1], parts[-1]) if layers[name] in normalized else parts[-1]
        new_name = f"{layers[name]}.{leaf}".removeprefix(".")
        if new_name in result:
            raise CheckpointError(f"two tensors would both be named {new_name:.80}, the second is {name:.80}")
        result[new_name] = state[name]
    return result


def _shared(layers: Collection[list[str]]) -> int:
    """Number of wrappers that the names of all layers begin with."""
    first = next(iter(layers), [])
    count = 0
    while count < len(first) and first[count] in _WRAPPERS:
        if any(parts[: count + 1] != first[: count + 1] for parts in layers):
            break
        count += 1
    return count
