"""The page itself: the only module that knows Gradio."""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr
import numpy as np
from PIL import Image
from starlette.middleware import Middleware

from common.data import ImageArrays, open_dataset
from common.errors import UserError
from common.runtime import context
from lowbitzoo.demo import markup
from lowbitzoo.demo.catalogue import Offer, partners, quantized
from lowbitzoo.demo.exhibit import Exhibit

_KEPT = 8  # networks that stay loaded
_TOP = 5
# A browser that keeps to it asks no other host for anything.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "form-action 'self'; base-uri 'self'"
)


class SameHost:
    """Adds the policy that forbids a page to load anything from elsewhere to every answer."""

    def __init__(self, app: Callable):
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answer as the application does, with the policy among the headers."""

        async def answer(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"content-security-policy", _POLICY.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, answer)


class Page:
    """Networks behind a page; one thread computes, for MindSpore's settings belong to threads.

    Args:
        offers: the networks by name.
        threads: that one picture is computed with; None: all.
    """

    def __init__(self, offers: dict[str, Offer], threads: int | None = None):
        self._offers = offers
        self._worker = ThreadPoolExecutor(1, initializer=lambda: context.setup(threads=threads))
        self._exhibit = lru_cache(_KEPT)(lambda name: Exhibit(offers[name]))
        self._draw = np.random.default_rng(0)

    def build(self) -> gr.Blocks:
        """The page."""
        names = quantized(self._offers)
        floats = partners(self._offers, names[0])
        with gr.Blocks(title="LowBit Zoo", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
            gr.Markdown("## LowBit Zoo: float and low-bit networks on your picture")
            with gr.Row():
                with gr.Column(scale=1):
                    picture = gr.Image(
                        label="picture", type="filepath", sources=["upload", "clipboard"], height=260, elem_id="picture"
                    )
                    digit = gr.Button("take a digit", elem_id="digit")
                    low = gr.Dropdown(names, value=names[0], label="low-bit network", elem_id="low")
                    plain = gr.Dropdown(floats, value=floats[0], label="float network", elem_id="plain")
                with gr.Column(scale=2):
                    with gr.Row():
                        answers = [gr.HTML(elem_id="said-plain"), gr.HTML(elem_id="said-low")]
                    costs = gr.HTML(elem_id="costs")
            layers = gr.HTML(elem_id="layers")
            low.change(self._partners, low, plain, api_visibility="private")
            digit.click(self._digit, None, picture, api_visibility="private")
            gr.on(
                [picture.change, low.change, plain.change],
                self._show,
                [picture, plain, low],
                [*answers, costs, layers],
                api_visibility="private",
                trigger_mode="always_last",
            )
        return page

    def _partners(self, low: str) -> Any:
        floats = partners(self._offers, low)
        return gr.update(choices=floats, value=floats[0] if floats else None)

    def _digit(self) -> str:
        source = open_dataset("digits", None, "test")
        assert isinstance(source, ImageArrays)
        pixels = source.images[self._draw.integers(len(source))]
        with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
            Image.fromarray(pixels).save(file, "PNG")
        return file.name

    def _show(self, picture: str | None, plain: str | None, low: str) -> list[str]:
        if picture is None or plain is None:
            return ["", "", "", ""]
        return self._worker.submit(self._computed, picture, plain, low).result()

    def _computed(self, picture: str, plain: str, low: str) -> list[str]:
        try:
            seen = [self._exhibit(name).look(picture, _TOP) for name in (plain, low)]
        except UserError as error:
            raise gr.Error(" ".join(str(error).split()), print_exception=False) from None
        answers = [markup.answer(title, one) for title, one in zip(("float", "low-bit"), seen)]
        return [*answers, markup.costs(*seen), markup.layers(seen[1])]


def serve(offers: dict[str, Offer], host: str, port: int, threads: int | None = None) -> None:
    """Serve the page until Ctrl-C."""
    page = Page(offers, threads).build()
    print(f"page: http://{host}:{port}, of {len(offers)} networks; Ctrl-C ends it", flush=True)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        ssr_mode=False,
        footer_links=[],
        css=markup.CSS,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        app_kwargs={"middleware": [Middleware(SameHost)]},
    )
