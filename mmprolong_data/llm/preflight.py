"""Before hours of work: whether endpoints can be reached, take the API key and know the models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .dialect import Dialect
from .ledger import Ledger
from .ledger_file import LedgerFile
from .senders import AttemptFailed, Connections, DirectSender
from .settings import LLM
from .transport import Failed, body_text
from .types import Endpoint, EndpointError, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PATIENCE = 30.0
"""Seconds for one answer here; a server that is merely slow is left to the run's own patience."""
STAGE = "preflight"
LISTED = 8
_UNKNOWN = ("not found", "not exist", "unknown model", "invalid model", "no such model")


def check_endpoints(endpoints: Iterable[Endpoint], ledger: Path | LedgerFile, settings: LLM) -> None:
    """Look at each endpoint and model once. Free where the endpoint lists the model.

    Where it does not (deployments, aliases, servers without a list), a reply of a few tokens settles it, which is noted
    in the ledger. What may pass, such as overload, is no reason to stop.

    Args:
        endpoints: Whom a run will ask.
        ledger: The run's ledger.
        settings: How endpoints are used.

    Raises:
        EndpointError: One of them cannot be used; the message names it, the cause and the remedy.
        MMProLongError: The extra ``openai`` is missing, or another process uses the ledger (``LedgerInUse``).
    """
    wanted = {(*endpoint.where, endpoint.model): endpoint for endpoint in endpoints}
    quick = replace(settings, timeout=min(settings.timeout, PATIENCE))

    async def check() -> None:
        connections = Connections(settings)
        try:
            for endpoint in wanted.values():
                await _check(endpoint, connections.to(*endpoint.where), ledger, quick)
        finally:
            await connections.close()

    asyncio.run(check())


async def _check(endpoint: Endpoint, connection: AsyncOpenAI, ledger: Path | LedgerFile, settings: LLM) -> None:
    models = await _models(endpoint, connection, settings)
    if endpoint.model in models:
        return
    failure = await _probe(endpoint, ledger, settings)
    if failure is None:
        return
    named = f"{endpoint.base_url}: {failure.detail}"
    if failure.outcome in ("timeout", "connection", "unreachable"):
        raise EndpointError(f"{named}. Remedy: check the server and the base URL, then run the same command again")
    if failure.outcome == "garbage":
        raise EndpointError(f"{named}. Remedy: check the base URL; it usually ends in /v1")
    if failure.http in (401, 403):
        state = "the one that is set is refused" if endpoint.key() else "none is set"
        raise EndpointError(
            f"{named} (HTTP {failure.http}). Remedy: put the API key into the environment variable {endpoint.key_env};"
            f" {state}"
        )
    unknown = failure.http == 404 or any(word in failure.detail.casefold() for word in _UNKNOWN)
    if (failure.fatal or failure.refused) and unknown:
        if models:
            listing = ", ".join(sorted(models)[:LISTED]) + (" ..." if len(models) > LISTED else "")
            raise EndpointError(f"{named}. Remedy: check the model's name {endpoint.model!r}; it serves {listing}")
        raise EndpointError(
            f"{named}. Remedy: check the base URL, which usually ends in /v1, and the model's name {endpoint.model!r}"
        )
    if failure.fatal:
        raise EndpointError(f"{named}. Remedy: see to it, then run the same command again")


async def _models(endpoint: Endpoint, connection: AsyncOpenAI, settings: LLM) -> set[str]:
    """The models that the endpoint lists; empty if it does not say.

    Raises:
        EndpointError: Nobody is there.
    """
    failure = Failed("connection")
    for attempt in range(2):
        await asyncio.sleep(attempt * settings.backoff)
        try:
            found = json.loads(await body_text(connection.models.with_raw_response.list, settings.timeout))
            return {str(model["id"]).removeprefix("models/") for model in found["data"]}
        except (ValueError, KeyError, TypeError):
            return set()
        except Failed as error:
            failure = error
            if failure.outcome not in ("connection", "unreachable"):
                return set()
    raise EndpointError(
        f"{endpoint.base_url}: cannot be reached ({failure.detail})."
        " Remedy: start the server or correct the base URL, then run the same command again"
    )


async def _probe(endpoint: Endpoint, file: Path | LedgerFile, settings: LLM) -> Failed | None:
    """Ask for a reply of a few tokens. Returns how it failed."""
    request = Request(STAGE, "1", endpoint, [("user", ["Reply with OK."])], max_tokens=16, about="is the model there?")
    ledger = Ledger(file)
    sender = DirectSender(ledger, settings)
    try:
        attempt, raw = await sender.send(request, request.key(), Dialect(), 0.0, 0)
        ledger.end(attempt, "ok", http=200, usage=raw.usage)
        return None
    except AttemptFailed as failed:
        failure = failed.failure.without(endpoint.key())
        ledger.end(failed.attempt, failure.outcome, http=failure.http, detail=failure.detail, usage=failure.usage)
        return failure
    finally:
        await sender.close()
        ledger.close(STAGE)
