"""An OCR task that dies, or hangs, on pictures that reality would not give on demand."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import simplejpeg

DEADLY, SLOW = 33, 66
"""Widths of the pictures in points that kill and that hang."""


def read_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Every page reads ``Page of N pixels``; see the module for those that do not."""
    records = []
    for data, (width, _) in zip(payload["pages"], payload["sizes"], strict=True):
        if round(width) == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        if round(width) == SLOW:
            time.sleep(600)
        pixels = simplejpeg.decode_jpeg(data).shape[1]
        line = [50.0, 50.0, 150.0, 60.0, 58.0, 10.0, 0.1, 0.99, f"Page of {pixels} pixels"]
        records.append({"turn": 0, "skew": 0.0, "lines": [line], "regions": []})
    return {"pages": records}
