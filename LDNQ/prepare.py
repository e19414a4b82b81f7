"""The network that is evaluated: as its file holds it, or with its activations on grids."""

from common.cli.classes import fit, open_images
from common.data import DataSelection
from common.errors import ConfigError
from common.models.registry import preprocessing_of
from common.quant.calibration import calibration_batches
from common.stored.network import StoredNetwork
from LDNQ.activation_options import ActivationOptions
from LDNQ.activations import with_activation_grids
from LDNQ.report import activation_bits


def prepare(stored: StoredNetwork, activations: ActivationOptions, data: DataSelection) -> StoredNetwork:
    """The network with the activations that are asked for; training images are opened only where they are needed.

    Raises:
        ConfigError: bits are asked for of a float network, or of one whose file has clips of other bits.
    """
    if activations.bits is None:
        return stored
    if stored.kind != "packed":
        raise ConfigError(f"act_bits: expected a packed network, found a {stored.kind} one; leave --act_bits out")
    recorded = activation_bits(stored)
    if recorded == activations.bits:
        return stored
    if recorded:
        raise ConfigError(f"act_bits: expected {recorded}, that of the file's clips, found {activations.bits}")
    images = fit(open_images(data, "train"), stored.metadata, "train")
    preprocessing = preprocessing_of(data.dataset, stored.metadata)
    batches = calibration_batches(images, preprocessing, activations.images, activations.seed, augment=False)
    return with_activation_grids(stored, activations.bits, batches)
