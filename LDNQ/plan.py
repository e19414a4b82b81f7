"""The settings of LDNQ's cascade."""

from dataclasses import dataclass

from common.errors import ConfigError

HESSIANS = ("prefix", "float", "paired")
STATISTICS = ("anew", "shifted", "kept")
OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Plan:
    """Settings of the way to the levels; the levels themselves are in :class:`LDNQ.quant_config.QuantConfig`.

    Attributes:
        rho: penalty of ADMM, in units of the mean of the Hessian's diagonal.
        polish: whether coordinate descent follows ADMM.
        searched_scales: whether ADMM begins with the best scale of a grid, in place of one from the mean weight.
        shrinkage: share of a Hessian that is replaced by its mean diagonal: few images tell little of directions that
            they hardly have.
        batch_size: images per training step.
        steps: training steps after each layer, at most.
        lr: learning rate of the steps after a layer.
        window: number of steps over which the loss is averaged to see progress.
        tolerance: relative fall of that average that counts as progress.
        patience: number of windows without progress after which a stage ends.
        refine_steps: training steps of the refinement.
        refine_lr: learning rate of the first refinement step, then cosine to 0.
        refine_by: optimizer of the refinement: ``sgd``, as of the steps after a layer, or ``adam``, whose rate is a
            share of a level's cell, see :mod:`LDNQ.refinement`.
        feature_weight: weight of the blocks' outputs in the loss of the refinement by Adam; 0: logits alone.
        hessians: network that the Hessians are taken from: ``prefix``, the layers quantized so far (the paper),
            ``float``, the float one, all in one pass, or ``paired``, both, layer by layer in one pass without steps
            between them, see :mod:`LDNQ.paired`: the last two for deep networks of large images.
        hessian_views: number of augmented views of each image that a Hessian is taken from.
        moment_images: number of images that Hessians and statistics are taken from; None: all.
        statistics: the final BatchNorm statistics: ``anew`` from the images after the refinement; the float network's,
            ``shifted`` by what quantization does to them on these images, which keeps what more images have told; or
            ``kept``, the float network's as they are. With the last two the refinement computes with them.
        statistics_views: number of views that they are taken from.
        save_every: steps of the refinement between two checkpoints.

    Raises:
        ConfigError: values that contradict each other.
    """

    rho: float = 0.3
    polish: bool = True
    searched_scales: bool = False
    shrinkage: float = 0.0
    batch_size: int = 64
    steps: int = 16
    lr: float = 3e-3
    window: int = 4
    tolerance: float = 1e-3
    patience: int = 3
    refine_steps: int = 200
    refine_lr: float = 1e-3
    refine_by: str = "sgd"
    feature_weight: float = 0.0
    hessians: str = "prefix"
    hessian_views: int = 1
    moment_images: int | None = None
    statistics: str = "anew"
    statistics_views: int = 2
    save_every: int = 60

    def __post_init__(self):
        if self.feature_weight and self.refine_by != "adam":
            raise ConfigError(
                f"feature_weight: expected refine_by adam with {self.feature_weight}, found {self.refine_by}"
            )
        if self.hessians == "paired" and (self.steps or self.statistics == "shifted"):
            raise ConfigError(
                "hessians: paired layers have no steps between them and norms of their own: expected it with steps 0 "
                f"and statistics kept or anew, found {self.steps} and {self.statistics}"
            )
