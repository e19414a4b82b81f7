"""What reads an exported file: the oldest version that is known to."""

from common import report
from common.engine import runtime_file


def read_by(kind: str, content: bytes) -> str:
    """One line on a file.

    Args:
        kind: ``mindir``, ``onnx`` or ``lowbit``.
        content: of the file.
    """
    if kind == "mindir":
        return f"read by MindSpore {report.versions()['mindspore']}, older ones were not tried"
    if kind == "lowbit":
        return f"layout {runtime_file.VERSION}, read by every lowbitzoo.runtime"
    from common.export.onnx_versions import version_of  # needs a package that is not always there

    return str(version_of(content))
