"""The most likely classes of pictures."""

from common.cli.commands.classify import SUMMARY, make_parser

__all__ = ["SUMMARY", "make_parser"]
