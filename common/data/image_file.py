"""One image file as RGB pixels of 8 bits: what ``Image.open(file).convert("RGB")`` gives, as torchvision reads it.

==============================  =======================================================================================
mode                            becomes
==============================  =======================================================================================
1, L, P, RGB, CMYK, YCbCr ...   what Pillow's conversion gives
LA, RGBA, PA, P or RGB with     the colours alone: transparency is dropped, nothing is composed onto a background
a transparent colour
I;16, I;16B ..., I of a PGM     the high byte, which is what Pillow keeps of RGB files of 16 bits; its own conversion
                                would turn all above 255 into white
I of other files, F             refused: nothing says which value is white
==============================  =======================================================================================

EXIF orientation is not applied (a remark says so), for networks were trained on pixels as they lie in the files; TIFF
is the exception that Pillow makes. Of several frames the first counts.
"""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.data.notices import say_once
from common.data.pillow_warnings import collected
from common.errors import DataError

# Told by their first bytes, whatever the suffix: the usual ones first, for they are tried in this order.
_BY_CONTENT = ("JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "TIFF", "GIF", "BMP", "PPM", "QOI", "PSD", "DDS")
# Taken for what their suffix says: a damaged file of another format could pass for one of these.
_BY_SUFFIX = ("DIB", "ICO", "MSP", "PCX", "SGI", "SUN", "TGA", "XBM")
# Not read: what Pillow gives up (IM), starts other programs (EPS), needs a decoder from elsewhere (WMF, BUFR, GRIB,
# HDF5, MPEG), or holds measured values without a scale (FITS, SPIDER, MCIDAS).
FORMATS = _BY_CONTENT + _BY_SUFFIX
USUAL = ".jpg, .png, .webp, .bmp, .tif and others that Pillow reads"
Size = tuple[int, int]
_ORIENTATION, _UPRIGHT = 0x0112, 1
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_BEGINNINGS = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS (git lfs pull fetches the image)",
}


@dataclass(frozen=True)
class Decoded:
    """An image file as it was read.

    Attributes:
        image: RGB.
        mode: in which Pillow opened it.
        whole: width and height that the file declares; the image may be smaller if that was allowed.
        remarks: what must be known of it, such as Pillow's warnings.
    """

    image: Image.Image
    mode: str
    whole: Size
    remarks: tuple[str, ...]


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes of files that are read, in lower case and with their dots."""
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in (*FORMATS, "MPO"))


def _formats(file: str | Path) -> list[str]:
    """Those that the file may have and this Pillow reads."""
    declared = Image.registered_extensions().get(Path(file).suffix.lower())  # loads all of Pillow's decoders
    return [form for form in FORMATS if form in Image.OPEN and (form in _BY_CONTENT or form == declared)]


def read_rgb(file: str | Path, size: Size | None = None) -> Image.Image:
    """The pixels of an image file; the first remark of a run is printed, with the file's name.

    Args:
        file: of one of ``FORMATS``, whatever its suffix.
        size: the only (width, height) that is accepted, if given.

    Raises:
        DataError: the file is absent, damaged, of another size or of a mode that has no scale.
    """
    return read(file, size).image


def read(file: str | Path, size: Size | None = None, enough: Callable[[int, int], Size] | None = None) -> Decoded:
    """As :func:`read_rgb`, with what else is known of the image.

    Args:
        file: of one of ``FORMATS``, whatever its suffix.
        size: the only (width, height) that is accepted, if given.
        enough: function from width and height to the least ones at which a JPEG may be decoded; None: as it is.
    """
    decoded = decode(file, size, enough)
    if decoded.remarks:
        more = "further remarks on images are not shown, python -m lowbitzoo check lists them"
        say_once("image", f"{file}: {decoded.remarks[0]}; {more}")
    return decoded


def decode(file: str | Path, size: Size | None = None, enough: Callable[[int, int], Size] | None = None) -> Decoded:
    """As :func:`read`, with what is to be remarked instead of printing it."""
    try:
        # From memory: of a file, Pillow would ask for as many bytes as a damaged length declares.
        content = io.BytesIO(Path(file).read_bytes())
        with collected() as messages, Image.open(content, formats=_formats(file)) as image:
            mode, remarks, whole = image.mode, _turned(image), image.size
            if size is not None and whole != size:
                width, height = whole
                raise _RefusedError(f"expected an image of {size[0]}x{size[1]} pixels, found {width}x{height}")
            if enough is not None and image.format == "JPEG":
                image.draft(None, enough(*whole))
            return Decoded(_to_rgb(image), mode, whole, (*dict.fromkeys(messages), *remarks))
    except _RefusedError as refused:
        raise DataError(f"{file}: {refused}") from None
    except Exception as error:  # damaged files make Pillow raise many types, SyntaxError and struct.error among them
        reason = _beginning(file) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: not a readable image ({reason}); replace or remove the file") from error


class _RefusedError(Exception):
    """An image that could be read, and is not taken."""


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PPM", "PNG")):
        numbers = "floating-point numbers" if image.mode == "F" else "whole numbers of 32 bits"
        raise _RefusedError(f"expected pixels of 8 or 16 bits, found {numbers} without a scale; save it with 8 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _high_bytes(image).convert("RGB")
    return image.convert("RGB")


def _high_bytes(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits, or of the 12 that a TIFF file may declare, as 8 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = 12 if tuple(tags.get(_BITS_PER_SAMPLE, ())) == (12,) else 16
    grey = (np.asarray(image).astype(np.int64) >> (bits - 8)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(255 - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey)


def _turned(image: Image.Image) -> tuple[str, ...]:
    """The remark on an image that its camera declares to lie on its side, or nothing."""
    if image.format == "TIFF" or "exif" not in image.info:
        return ()
    try:
        orientation = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except Exception:  # damaged EXIF data raise what damaged images do, and the pixels do not need them
        return ()
    if orientation == _UPRIGHT:
        return ()
    return (f"EXIF orientation {orientation} is not applied, as in torchvision; save it upright if it must be",)


def _beginning(file: str | Path) -> str | None:
    """What a file is by its first bytes, if it is something that often lies in an image's place."""
    try:
        with Path(file).open("rb") as stream:
            start = stream.read(64).lstrip().lower()
    except (OSError, ValueError):
        return None
    if not start:
        return "an empty file"
    return next((what for begin, what in _BEGINNINGS.items() if start.startswith(begin)), None)
