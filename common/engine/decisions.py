"""What images choose, as the compiler of programs sees it."""

from common.engine.description import Choose, Description, IntegerConv, Step
from common.engine.layout import NONE, Record
from common.engine.tensors import Tensor
from common.errors import QuantizationError


def choices(description: Description, tensors: dict[str, Tensor]) -> Record:
    """Number of the decisions and of the tensor that holds them, as the header has them."""
    choosing = [step for step in description.steps if isinstance(step, Choose)]
    if len(choosing) > 1:
        raise QuantizationError(f"integer engine: expected images to choose once, found {len(choosing)} times")
    if not choosing:
        return {"decisions": 0, "choices": NONE}
    name = choosing[0].store
    return {"decisions": tensors[name].shape[0], "choices": list(tensors).index(name)}


def check_chosen(step: Step, description: Description, tensors: dict[str, Tensor]) -> None:
    """Choices must have been made before a step depends on them."""
    grids = [step.tail.grid] if step.tail.codes else []
    if isinstance(step, IntegerConv):
        grids.append(tensors[step.source].grid)
    steps = description.steps
    chosen = next((i for i, other in enumerate(steps) if isinstance(other, Choose)), len(steps))
    if any(grid.decision is not None for grid in grids) and steps.index(step) < chosen:
        raise QuantizationError("integer engine: expected images to choose before what depends on it")
