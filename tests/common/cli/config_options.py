"""Options of every kind, for the tests of configurations."""

import argparse

from common.cli import config, typed


def make_parser(config_file=None):
    parser = config.build_parser("Test", config_file)
    parser.add_argument("--bits", type=typed.int_range(2, 8, 32), default=8, help="bits")
    parser.add_argument("--lr", "--learning-rate", type=typed.positive_float, default=0.1, help="learning rate")
    parser.add_argument("--ratio", type=typed.fraction, default=1.0)
    parser.add_argument("--clip", action=argparse.BooleanOptionalAction, default=False, help="clip")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 2], help="steps")
    parser.add_argument("--pair", type=float, nargs=2)
    parser.add_argument("--note", default="")
    return parser
