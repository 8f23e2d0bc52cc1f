"""An OpenAI-compatible server on loopback: chat completions, files, batches; bills, limits its rate, misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

Body = dict[str, Any]
Brain = Callable[[Body], str]
"""What the model says to a request; a pure function of its messages."""

FAULTS = (
    "429", "500", "stall", "cut", "html", "malformed", "truncated", "wrong_schema", "null_choices", "wrong_pages",
)  # fmt: skip


@dataclass
class Behaviour:
    """How the server treats its clients.

    Attributes:
        fault_rate: Share of attempts that go wrong. Which do is a hash of the request and of how often it came.
        faults: The ways to go wrong.
        most_faults: Never more of them for one request.
        rate: Requests a second (a bucket of one second, empty at first); None for no limit.
        latency: Seconds a reply takes.
        stall: Seconds that a stalled request is held.
        formats: Kinds of ``response_format`` that are accepted.
        refused_fields: Names of fields that are refused with a 400.
        refuse: Request -> a message for a 400, or "".
        status: Request -> an HTTP status that it always gives, or 0.
        price_tokens: (input, output) tokens billed for each reply.
        batch_fails: Share of a batch's requests that fail; at first only.
        batch_polls: How many looks at a batch find it under way.
        batch_status: How a batch ends.
        key, key_header: The API key that is demanded, and the header for it ("": as a bearer).
        query: The query that requests need to have.
        models: What ``/models`` lists; None where there is no such list.
        serves: The models that chat completions know; None for all.
        reports: The model's name in replies; "" for the one that was asked for.
    """

    fault_rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
    most_faults: int = 1000
    rate: float | None = None
    latency: float = 0.0
    stall: float = 30.0
    formats: tuple[str, ...] = ("json_schema", "json_object")
    refused_fields: tuple[str, ...] = ()
    refuse: Callable[[Body], str] = lambda body: ""
    status: Callable[[Body], int] = lambda body: 0
    price_tokens: tuple[int, int] = (1000, 100)
    batch_fails: float = 0.0
    batch_polls: int = 1
    batch_status: str = "completed"
    key: str = ""
    key_header: str = ""
    query: tuple[tuple[str, str], ...] = ()
    models: tuple[str, ...] | None = ("test-model", "model-a", "m")
    serves: tuple[str, ...] | None = None
    reports: str = ""


def text_of(body: Body, role: str = "") -> str:
    """All text of a request's messages, images left out."""
    texts = []
    for message in body["messages"]:
        if role and message["role"] != role:
            continue
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts)


def identity(body: Body) -> str:
    """What makes two requests the same question: model and messages."""
    return hashlib.sha256(json.dumps([body["model"], body["messages"]], sort_keys=True).encode()).hexdigest()


def _unit(*parts: object) -> float:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / (1 << 64)


@dataclass
class Books:
    """What the server has seen and would put on the bill.

    ``billed`` and ``good`` count replies by ``identity``: all, and those without a fault. ``admitted`` are the times at
    which requests passed the cap on the rate.
    """

    requests: int = 0
    billed: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    good: Counter[str] = field(default_factory=Counter)
    admitted: list[float] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    authorization: set[str] = field(default_factory=set)
    under_way: int = 0
    most_under_way: int = 0


class LLMServer:
    """A context manager; ``url`` is its base URL. Runs in a thread of its own."""

    def __init__(
        self, brain: Brain, behaviour: Behaviour | None = None, keep_bodies: bool = False, without_batches: bool = False
    ) -> None:
        self.brain = brain
        self.behaviour = behaviour or Behaviour()
        self.books = Books()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._keep = keep_bodies
        self._without_batches = without_batches
        self._seen: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._tokens = 0.0
        self._filled = 0.0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = ""

    def __enter__(self) -> LLMServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        if not self._without_batches:
            app.router.add_post("/v1/files", self._upload)
            app.router.add_get("/v1/files/{id}/content", self._content)
            app.router.add_post("/v1/batches", self._create_batch)
            app.router.add_get("/v1/batches", self._list_batches)
            app.router.add_get("/v1/batches/{id}", self._get_batch)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        # Whoever is still stalled is cut off.
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _models(self, request: web.Request) -> web.Response:
        behaviour = self.behaviour
        if not self._authorized(request):
            return self._error(401, "Incorrect API key provided")
        if behaviour.models is None:
            return self._error(404, "Not Found")
        return web.json_response(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in behaviour.models]}
        )

    def _authorized(self, request: web.Request) -> bool:
        key, header = self.behaviour.key, self.behaviour.key_header
        if header and "Authorization" in request.headers:
            return False  # Azure would take it for a token of its own
        return not key or request.headers.get(header or "Authorization") == (key if header else f"Bearer {key}")

    # Chat completions

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        books = self.books
        books.under_way += 1
        books.most_under_way = max(books.most_under_way, books.under_way)
        try:
            return await self._answer(request)
        except ConnectionResetError:
            return self._error(499, "the client has gone")
        except (KeyError, IndexError, ValueError) as error:
            books.outcomes["broken"] += 1
            return self._error(400, f"the test's brain is broken: {error!r}")
        finally:
            books.under_way -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        behaviour, books = self.behaviour, self.books
        books.requests += 1
        books.authorization.add(request.headers.get("Authorization", ""))
        if not self._authorized(request):
            return self._error(401, "Incorrect API key provided")
        if behaviour.query and dict(request.query) != dict(behaviour.query):
            return self._error(404, "Resource not found")
        if behaviour.rate is not None and not self._admitted():
            books.outcomes["rate"] += 1
            return self._error(429, "Rate limit reached", {"Retry-After": "0.2"})
        books.admitted.append(time.monotonic())
        body = await request.json()
        if self._keep:
            books.bodies.append(body)
        if behaviour.serves is not None and body["model"] not in behaviour.serves:
            return self._error(404, f"The model `{body['model']}` does not exist")
        refusal = self._refusal(body)
        if refusal:
            books.outcomes["400"] += 1
            return self._error(400, refusal)
        status = behaviour.status(body)
        if status:
            return self._error(status, "Not for you")
        me = identity(body)
        fault = self._fault(me)
        books.outcomes[fault or "ok"] += 1
        if fault == "429":
            return self._error(429, "Slow down", {"Retry-After": "0.05"})
        if fault == "500":
            return self._error(500, "Internal error")
        if fault == "stall":
            await asyncio.sleep(behaviour.stall)
            return self._error(500, "too late")
        if behaviour.latency:
            await asyncio.sleep(behaviour.latency)
        if fault == "html":
            return web.Response(text="<html><body>502 Bad Gateway</body></html>", content_type="text/html")
        books.billed[me] += 1
        books.good[me] += not fault
        reply = self._completion(body, fault)
        if fault == "cut":
            data = json.dumps(reply).encode()
            response = web.StreamResponse(
                headers={"Content-Type": "application/json", "Content-Length": str(len(data))}
            )
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        return web.json_response(reply)

    def _admitted(self) -> bool:
        now, rate = time.monotonic(), self.behaviour.rate or 0.0
        # Empty at first: the first request meets the cap on any machine, however slow.
        self._tokens = min(rate, self._tokens + (now - self._filled) * rate) if self._filled else 0.0
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refusal(self, body: Body) -> str:
        behaviour = self.behaviour
        for name in behaviour.refused_fields:
            if name in body:
                instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
        kind = (body.get("response_format") or {}).get("type")
        if kind and kind not in behaviour.formats:
            return f"response_format of type '{kind}' is not supported"
        return behaviour.refuse(body)

    def _fault(self, me: str) -> str:
        behaviour = self.behaviour
        self._seen[me] += 1
        if self._wrong[me] >= behaviour.most_faults or _unit(me, self._seen[me]) >= behaviour.fault_rate:
            return ""
        self._wrong[me] += 1
        return behaviour.faults[int(_unit(me, self._seen[me], "kind") * len(behaviour.faults))]

    def _completion(self, body: Body, fault: str) -> Body:
        text = self.brain(body)
        finish = "stop"
        if fault == "malformed":
            text = text.replace('"', "'", 3)
        elif fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
        elif fault == "wrong_schema":
            text = json.dumps({"reply": text})
        elif fault == "wrong_pages":
            text = _with_wrong_pages(text)
        inputs, outputs = self.behaviour.price_tokens
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0,
            "model": self.behaviour.reports or body["model"],
            "choices": None if fault == "null_choices" else [choice],
            "usage": {"prompt_tokens": inputs, "completion_tokens": outputs, "total_tokens": inputs + outputs},
        }  # fmt: skip

    def _error(self, status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
        return web.json_response({"error": {"message": message, "type": "error"}}, status=status, headers=headers)

    # Files and batches

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        part = form["file"]
        assert isinstance(part, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = part.file.read()
        return web.json_response(
            {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": 0, "filename": part.filename,
             "purpose": "batch", "status": "processed"}
        )  # fmt: skip

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create_batch(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {
            "id": name, "object": "batch", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"],
            "completion_window": "24h", "status": "in_progress", "created_at": int(time.time()),
            "metadata": body.get("metadata"), "output_file_id": None, "error_file_id": None, "polls": 0,
        }  # fmt: skip
        return web.json_response(self.batches[name])

    async def _list_batches(self, request: web.Request) -> web.Response:
        data = list(reversed(self.batches.values()))
        return web.json_response({"object": "list", "data": data, "has_more": False})

    async def _get_batch(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        batch["polls"] += 1
        if batch["polls"] > self.behaviour.batch_polls and batch["status"] == "in_progress":
            self._run_batch(batch)
        return web.json_response(batch)

    def _run_batch(self, batch: dict[str, Any]) -> None:
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            item = json.loads(line)
            me = identity(item["body"])
            self._seen[me] += 1
            fails = self._seen[me] == 1 and _unit(me, "batch") < self.behaviour.batch_fails
            refusal = self._refusal(item["body"])
            if refusal:
                response = {"status_code": 400, "body": {"error": {"message": refusal}}}
                bad.append({"custom_id": item["custom_id"], "response": response, "error": None})
            elif fails:
                bad.append({"custom_id": item["custom_id"], "response": None, "error": {"message": "failed"}})
            else:
                self.books.billed[me] += 1
                response = {"status_code": 200, "body": self._completion(item["body"], "")}
                good.append({"custom_id": item["custom_id"], "response": response, "error": None})
        batch["status"] = self.behaviour.batch_status
        for kind, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                name = f"file-{len(self.files)}"
                self.files[name] = "\n".join(json.dumps(row) for row in rows).encode()
                batch[kind] = name


def _with_wrong_pages(text: str) -> str:
    """The reply with page numbers that are nowhere in the document; unchanged if it has none."""
    start = max(0, text.find("{"))
    value = json.loads(text[start:])
    if "evidence_pages" in value:
        value["evidence_pages"] = [9001]
    return text[:start] + json.dumps(value)
