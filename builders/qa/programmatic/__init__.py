"""Questions without a model: families of questions over the facts of a document, each answer with its proof."""

from __future__ import annotations

from .generator import ProgrammaticGenerator

__all__ = ["ProgrammaticGenerator"]
