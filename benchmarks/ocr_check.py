"""The check's table of ``ocr.py``: how often it distrusts sound documents, and how often it finds a wrong layer out.

Documents are drawn by hash, one page of each out of those that a build may pick for its check. The genuine text layer
should agree with the page; wrong ones are made of it: the text of the next document's page, letters shifted (a font
with a wrong table), and single wrong characters, one in 4 and, as older OCR leaves them, one in 25.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import simplejpeg
from mmprolong_builders.ocr import read
from mmprolong_builders.ocr.engine import PageFailure
from mmprolong_builders.ocr.pages import picture_task
from mmprolong_builders.recipe import Ocr, Parse
from mmprolong_builders.stages import parse_stage

from mmprolong_data.settings import to_plain

MOST_PAGES = 100
SETTINGS = Ocr(model="tiny", layout=False)


def check_table(folders: list[Path], documents: int, results: Path) -> None:
    """Print the table; ``results`` keeps what was read."""
    results.mkdir(parents=True, exist_ok=True)
    kept = results / "check.json"
    rows: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    paths = sorted((p for folder in folders for p in folder.rglob("*.pdf")), key=lambda p: _hash(f"check {p.name}"))
    for path in paths:
        if sum(row is not None for row in rows.values()) >= documents:
            break
        if path.name not in rows:
            rows[path.name] = _read(path)
            kept.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    found = {name: row for name, row in rows.items() if row is not None}
    names = list(found)
    likeness: dict[str, list[float | None]] = defaultdict(list)
    doubted = []
    for i, name in enumerate(names):
        text, lines = found[name]["text"], found[name]["lines"]
        other = found[names[(i + 1) % len(names)]]["text"]
        layers = {
            "its own": text,
            "of another document": other,
            "letters shifted": _shifted(text),
            "one character in 4 wrong": _wrong(text, 4),
            "one character in 25 wrong": _wrong(text, 25),
        }
        for kind, layer in layers.items():
            alike = read.likeness(layer, lines, SETTINGS)
            likeness[kind].append(alike)
            if kind == "its own" and alike is not None and alike < SETTINGS.agreement:
                doubted.append(f"{name} page {found[name]['page'] + 1}: {alike:.3f}")
    print("\n| text layer | pages | compared | distrusted | similarity: lowest, 1 %, 10 %, median |")
    print("|---|---|---|---|---|")
    for kind, values in likeness.items():
        some = sorted(v for v in values if v is not None)
        low = sum(v < SETTINGS.agreement for v in some)
        cuts = quantiles(some, n=100, method="inclusive")
        spread = ", ".join(f"{v:.2f}" for v in (some[0], cuts[0], cuts[9], cuts[49]))
        print(f"| {kind} | {len(values)} | {len(some)} | {low} ({100 * low / len(some):.1f} %) | {spread} |")
    for line in doubted:
        print("  distrusted:", line)


def _read(path: Path) -> dict[str, Any] | None:
    """Text layer and lines as read of one page that a build may check; None if the document has none."""
    try:
        with pdfium.PdfDocument(path) as document:
            if len(document) > MOST_PAGES:
                return None
        payload = {"path": str(path), "doc_id": "0" * 64, "settings": to_plain(Parse())}
        routed = parse_stage(payload | {"route": {"check": 1.0, "seed": 0}})
        texts = routed["texts"]
        if not texts:
            return None
        page = min(texts, key=lambda number: _hash(f"{path.name} {number}"))
        data = picture_task({"path": str(path), "pages": [page], "dpi": SETTINGS.dpi})["pages"][0]
    except Exception:  # noqa: BLE001 - what cannot be parsed has nothing to check
        return None
    picture = np.ascontiguousarray(simplejpeg.decode_jpeg(data, colorspace="RGB"))
    lines = read.check_lines(picture, SETTINGS, routed["pictures"][page])
    if isinstance(lines, PageFailure):
        return None
    return {"page": page, "text": texts[page], "lines": lines}


def _shifted(text: str) -> str:
    return "".join(chr(ord(c) + 3) if c.isalnum() else c for c in text)


def _wrong(text: str, every: int) -> str:
    return "".join("l1iI|"[i % 5] if c.isalnum() and i % every == 0 else c for i, c in enumerate(text))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
