"""The text layer, or what OCR has read, to blocks and sections."""

PARSER = "text-layer/3"
"""Raised whenever blocks may change; a build that was begun with another one is not continued."""
