"""Write a float network anew with the weights of its layers in half precision: about half the bytes.

python scripts/halve_checkpoint.py AdderQuant/outputs/adder_resnet20_digits.ckpt small.ckpt

What has one value for each channel, such as BatchNorm's, stays as it is. A weight moves by at most a 2048th of its
value, or by 3e-8 below 6e-5; whoever loads the file computes in float32, with the rounded weights.
"""

import numpy as np

from common import checkpoint
from common.cli import typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError

_LARGEST = float(np.finfo(np.float16).max)


def halved(name: str, values: np.ndarray) -> np.ndarray:
    """A tensor to store: float16 if it is a layer's weight in float32, else itself.

    Raises:
        ConfigError: a value is beyond the range of half precision, 65,504.
    """
    if values.ndim < 2 or values.dtype != np.float32:
        return values
    if not np.all(np.abs(values) <= _LARGEST):
        raise ConfigError(f"{name}: expected weights from -{_LARGEST:.0f} to {_LARGEST:.0f}, found one beyond or NaN")
    return values.astype(np.float16)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Read a file, and write the other one."""
    parser = OptionParser("Write a float network in half precision.")
    parser.add_argument("source", type=typed.path, metavar="FILE", help="float network, a checkpoint of this project")
    parser.add_argument("target", type=typed.path, metavar="OUT", help="file to write")
    args = parser.parse_args(argv)
    content = checkpoint.load(args.source)
    checkpoint.require_metadata(content, kind="float")
    tensors = {name: halved(name, values) for name, values in content.tensors.items()}
    checkpoint.save(args.target, tensors, content.metadata)
    before, after = args.source.stat().st_size, args.target.stat().st_size
    print(f"{args.target}: {after:,} bytes, {after / before:.0%} of {args.source}")


if __name__ == "__main__":
    main()
