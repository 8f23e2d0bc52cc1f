"""A corpus of made-up PDFs, so that the demo and the tests need no download."""

from .corpus import write_corpus

__all__ = ["write_corpus"]
