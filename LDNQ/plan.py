"""The settings of LDNQ's cascade."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How a network is quantized.

    Attributes:
        kbits: number of levels.
        granularity: one scale per ``channel`` (output) or per ``layer``.
        first_and_last: whether the first and the last layer are quantized too.
        rho: of ADMM, in units of the mean of the Hessian's diagonal.
        polish: whether coordinate descent follows ADMM.
        batch_size: images of a training step.
        steps: at most so many training steps after each layer.
        lr: learning rate of these.
        window: steps over which the loss is averaged to see progress.
        tolerance: relative fall of that average that counts as progress.
        patience: windows without progress after which a stage ends.
        refine_steps: training steps of the refinement.
        refine_lr: its first learning rate, cosine to 0.
        hessian_views: augmented views of each image that a Hessian is taken from.
        statistics_views: views that the final BatchNorm statistics are taken from.
        save_every: steps of the refinement between two checkpoints.
    """

    kbits: int = 3
    granularity: str = "channel"
    first_and_last: bool = True
    rho: float = 0.3
    polish: bool = True
    batch_size: int = 64
    steps: int = 16
    lr: float = 3e-3
    window: int = 4
    tolerance: float = 1e-3
    patience: int = 3
    refine_steps: int = 200
    refine_lr: float = 1e-3
    hessian_views: int = 1
    statistics_views: int = 2
    save_every: int = 60
