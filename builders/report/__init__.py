"""The report of a dataset: pictures, one self-contained HTML page, and tables for the terminal."""

from .html import write_report
from .terminal import inspect_dataset

__all__ = ["inspect_dataset", "write_report"]
