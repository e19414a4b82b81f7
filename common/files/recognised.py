"""What a file is by its first bytes, where it is not what was expected: a page, a pointer, an archive, with advice."""

import re

_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml|!--|error)", re.IGNORECASE)
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
_LONGEST_POINTER = 1024
_TAR_MARK = slice(257, 262)
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf": "7z",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_OTHERS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras)",
    b"\x93NUMPY": "a NumPy array",
    b"GGUF": "a GGUF file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
}


def recognised(content: bytes) -> str | None:
    """What a file is that is no checkpoint, and what to do, as the end of ``expected ..., found``; None if unknown."""
    if _PAGE.match(content):
        return "a web page; fetch the file itself, by the address of its 'download' or 'raw' link"
    if content.startswith(_POINTER) and len(content) <= _LONGEST_POINTER:
        size = _POINTER_SIZE.search(content)
        of_size = f" to {int(size[1]):,} bytes" if size else ""
        return f"a Git LFS pointer{of_size}; run 'git lfs pull' in its repository, or download the file itself"
    if content[_TAR_MARK] == b"ustar":
        return "a tar archive; unpack it and give the file in it"
    for mark, name in _ARCHIVES.items():
        if content.startswith(mark):
            return f"a {name} archive; unpack it and give the file in it"
    other = next((name for mark, name in _OTHERS.items() if content.startswith(mark)), None)
    if other is None and content[:1] in (b"{", b"["):
        other = "a JSON text"
    return f"{other}; give the file of the weights" if other else None
