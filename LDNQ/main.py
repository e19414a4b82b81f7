"""Quantize a float network to 3 ... 11 levels from few unlabelled images; a killed run goes on when repeated."""

from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.run_options import run_options
from LDNQ import options, quantization

make_parser = options.quantization_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, choose the images, run the cascade, save, test, report."""
    args = config.parse(make_parser(), argv)
    quantization.run(run_options(args), options.quantization_options(args))


if __name__ == "__main__":
    main()
