"""``python -m lowbitzoo demo [NAME_OR_FILE...]``."""

import importlib.util
import socket

from common.cli.commands import demo
from common.errors import ConfigError
from common.runtime.installed import require_mindspore


def run(words: list[str]) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        ConfigError: Gradio or MindSpore is not installed, an address that cannot be listened at, or networks of which
            none is float, none is quantized, or one of those named has no float one of its classes.
        CheckpointError: a file that is missing or damaged.
    """
    args = demo.make_parser().parse_args(words)
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError('demo: expected Gradio, found none; pip install "lowbitzoo[demo]"')
    require_mindspore("demo")
    from lowbitzoo.demo.catalogue import offers, paired

    found = paired(offers(args.networks), bool(args.networks))
    require_address(args.host, args.port)
    from lowbitzoo.demo.page import serve

    serve(found, args.host, args.port, args.threads)


def require_address(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at.

    Raises:
        ConfigError: it is taken, or of another machine.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        raise ConfigError(f"host, port: cannot listen at {host}:{port} ({error.strerror}); give others") from None
