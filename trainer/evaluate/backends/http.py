"""Any OpenAI-compatible endpoint (vLLM, SGLang ...): pages as data URLs or files, every reply in a ledger."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmprolong_data.llm import LLM, Endpoint, EndpointError, Image, LLMService, Reply, Request, Unanswered

from ..items import IMAGE, Item
from .base import Output
from .page_files import PageFiles

LEDGER_NAME = "replies.sqlite"
PROMPT = "1"
JPEG_QUALITY = 95
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
"""Makes vLLM and SGLang go on with the last message, the assistant's, instead of beginning a turn."""


class HttpBackend:
    """Asks an endpoint. Equal questions are asked and paid once, even if the process was killed in between."""

    def __init__(
        self,
        endpoint: Endpoint,
        folder: Path,
        concurrency: int = 8,
        temperature: float = 0.0,
        page_files: PageFiles | None = None,
        prefill: bool = False,
    ) -> None:
        """Open the ledger in ``folder``; nothing is sent yet.

        Args:
            endpoint: Who is asked.
            folder: Of the evaluation.
            concurrency: Requests at a time.
            temperature: Of sampling; 0: greedy.
            page_files: Where pages are put for the endpoint to read; None: they are part of the request.
            prefill: Send how the reply begins where a suite prescribes it, for the model to go on from
                (``continue_final_message`` of vLLM and SGLang).

        Raises:
            MMProLongError: another process uses the ledger, or the extra ``openai`` is missing.
        """
        self.name = f"{endpoint.model} at {endpoint.base_url}"
        self.concurrency = concurrency
        self._endpoint, self._temperature = endpoint, temperature
        self._page_files, self._prefill = page_files, prefill
        # An empty or odd reply is the model's answer: asking until it looks better would flatter it.
        settings = LLM(concurrency=concurrency, repairs=0, malformed=0, drain=1.0)
        self._service = LLMService(folder / LEDGER_NAME, settings)

    def settings(self) -> dict[str, Any]:
        """See ``Backend``."""
        endpoint = self._endpoint
        return {
            "backend": "http",
            "prompt": PROMPT,
            "model": endpoint.model,
            "endpoint": endpoint.base_url.rstrip("/"),
            "extra": dict(endpoint.extra),
            "temperature": self._temperature,
        } | ({"prefill": True} if self._prefill else {})

    def answer(self, item: Item) -> Output:
        """See ``Backend``."""
        pages = _LazyPages(item, self._page_files)
        parts: list[str | Image] = []
        for part in item.parts:
            if part is IMAGE:
                parts.append(pages.image(sum(isinstance(p, Image) for p in parts)))
            elif part:
                parts.append(part)
        endpoint, messages = self._endpoint, [("user", parts)]
        if self._prefill and item.prefill:
            endpoint = replace(endpoint, extra={**endpoint.extra, **CONTINUE})
            messages.append(("assistant", [item.prefill]))
        request = Request(
            stage="evaluate",
            prompt=PROMPT,
            endpoint=endpoint,
            messages=messages,
            temperature=self._temperature,
            max_tokens=item.max_tokens,
            about=item.key,
        )
        try:
            reply = self._ask(request)
        except EndpointError:
            raise
        except Unanswered as error:
            return Output("", str(error))
        if reply.failure == "no_json":  # nothing but white space
            return Output("")
        return Output("", f"{reply.failure}: {reply.detail}") if reply.failure else Output(str(reply.value))

    def _ask(self, request: Request) -> Reply:
        """The reply; a refusal by an earlier run is asked anew: its server may have been too small for the prompt."""
        while True:
            reply: Reply = self._service.run(self._service.client.ask(request))
            if not (reply.cached and reply.failure == "refused"):
                return reply
            request = replace(request, number=request.number + 1)

    def close(self) -> None:
        """See ``Backend``."""
        self._service.close()


class _LazyPages:
    """Pages of an item, read when the first of them is sent."""

    def __init__(self, item: Item, files: PageFiles | None) -> None:
        self._item, self._files = item, files
        self._lock = threading.Lock()
        self._pages: Sequence[bytes] | None = None

    def image(self, number: int) -> Image:
        """Page ``number`` as part of a request."""

        async def load() -> bytes | str:
            return await asyncio.to_thread(self._page, number)

        return Image({"page": self._item.pages[number]}, load)

    def _page(self, number: int) -> bytes | str:
        with self._lock:
            if self._pages is None:
                self._pages = self._item.load()
        jpeg = as_jpeg(self._pages[number])
        return self._files.put(jpeg) if self._files else jpeg


def as_jpeg(data: bytes) -> bytes:
    """A JPEG as it is; any other picture as JPEG of high quality."""
    if data.startswith(b"\xff\xd8"):
        return data
    from PIL import Image as Picture

    output = io.BytesIO()
    with Picture.open(io.BytesIO(data)) as picture:
        picture.convert("RGB").save(output, "JPEG", quality=JPEG_QUALITY)
    return output.getvalue()
