"""Actions of a method during a training: in each step, and after each epoch."""

from collections.abc import Sequence
from typing import Any

from mindspore import Parameter, ParameterTuple, nn


class Callback(nn.Cell):
    """Takes gradients of parameters that are not trained in each step, and acts after each epoch.

    ``construct(gradients)`` takes the gradients of ``parameters`` in their order, and is part of the compiled step. All
    state must live in parameters of the network, so that it is saved and restored with it.

    Args:
        parameters: trainable parameters of the network that are kept from the optimizer.
    """

    def __init__(self, parameters: Sequence[Parameter] = ()):
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.parameters = ParameterTuple(parameters)

    def construct(self, gradients):
        return gradients

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Act after an epoch, numbered from 0, and before its validation; the returned values go into the metrics."""
        return {}

    def report(self) -> dict[str, Any]:
        """The metrics of the network as it is, for a run without epochs."""
        return {}

    def finished(self) -> bool:
        """Whether the network is one that the training may end with; only then can it become ``best.ckpt``."""
        return True


class Callbacks(Callback):
    """Several callbacks as one: each gets the gradients of its parameters, which several may share.

    Args:
        callbacks: callbacks in the order in which they act.
    """

    def __init__(self, callbacks: Sequence[Callback]):
        shared = {id(p): p for callback in callbacks for p in callback.parameters}
        super().__init__(list(shared.values()))
        self.cells_in_order = nn.CellList(list(callbacks), auto_prefix=False)
        places = {key: place for place, key in enumerate(shared)}
        self.places = tuple(tuple(places[id(p)] for p in callback.parameters) for callback in callbacks)

    def construct(self, gradients):
        for i in range(len(self.places)):
            chosen = ()
            for place in self.places[i]:
                chosen = (*chosen, gradients[place])
            self.cells_in_order[i](chosen)
        return gradients

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """The records of all of them; of keys that several return, the last one's value."""
        record: dict[str, Any] = {}
        for callback in self.cells_in_order:
            record |= callback.after_epoch(epoch)
        return record

    def report(self) -> dict[str, Any]:
        """The reports of all of them; of keys that several return, the last one's value."""
        return {key: value for callback in self.cells_in_order for key, value in callback.report().items()}

    def finished(self) -> bool:
        """Whether all callbacks are finished."""
        return all(callback.finished() for callback in self.cells_in_order)


def combined(callbacks: Sequence[Callback]) -> Callback | None:
    """One callback in the place of several; None for none."""
    return callbacks[0] if len(callbacks) == 1 else Callbacks(callbacks) if callbacks else None
