"""The command line of a build whose questions come from a model on loopback."""

from __future__ import annotations

from pathlib import Path

from .llm_server import Behaviour, LLMServer

CONCURRENCY = 8
REPORTED = "test-model-2026-10-01"
QUIET = Behaviour(latency=0.01, reports=f"/srv/models/{REPORTED}")
"""A server without faults."""


def arguments(pdfs: Path, out: Path, server: LLMServer, *more: str) -> tuple[str | Path, ...]:
    """The command line of a build through the server."""
    settings = {
        "select.pages": "[8,50]", "select.validation": "0.3", "pack.documents_per_slice": "2",
        "tasks.configs": "[extract_single,extract_multi,reasoning]", "render.dpi": "72", "render.min_dpi": "72",
        "qa.generator": "openai", "qa.model": "test-model", "qa.base_url": server.url, "qa.pages": "both",
        "segments.pages": "[3,5]", "verify.checks": "[closed_book,evidence,without_evidence,rivals,judge]",
        "llm.concurrency": str(CONCURRENCY), "llm.backoff": "0.01", "llm.timeout": "60",
        "llm.prices": "{test-model: [1, 10]}",
    }  # fmt: skip
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ("build", pdfs, "--out", out, "--no-report", *sets, *more)
