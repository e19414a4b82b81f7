"""Cost of any bits of a network: weight storage, average bits, bit operations per layer and in total, as a table.

python measure.py --arch resnet20 --bits 4
python measure.py --arch resnet --num_layers 50 --dataset imagenet --k_bits 2 --pre_k_bits 8 --ratio 0.5
python measure.py --arch resnet20 --layer_bits 8 8 4 6 ...
python measure.py --checkpoint_path outputs/NAME/NAME.ckpt
"""

from common.cli import config
from common.cli.entry_point import entry_point
from ProQHA import measuring, options, parsers

make_parser = parsers.measure_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Print the table and one line of totals."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    measuring.run(choice.run, choice.arch, options.bits_choice(args))


if __name__ == "__main__":
    main()
