"""Reading benchmarks: the PDFs, page images and questions of a folder become an index to compare with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmprolong_data.arguments import without_tilde
from mmprolong_data.errors import SettingsError

from .benchmarks import Benchmark, BenchmarkIndex
from .recipe import Decontaminate
from .sandbox import SandboxPool
from .untrusted import stored_path

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
QUESTIONS = (".jsonl", ".json")
QUESTION_KEYS = ("question", "query", "prompt", "instruction", "input")
ANSWER_KEYS = ("answer", "answers", "response", "output", "ground_truth")
MOST_BYTES = 1 << 30
"""A file of questions is read whole."""


def build_index(
    against: Sequence[str | Path], settings: Decontaminate, pool: SandboxPool
) -> tuple[BenchmarkIndex, list[str]]:
    """Read folders (or single files) of benchmarks, with all their sub-folders.

    Returns:
        The index, and lines about files that could not be read.

    Raises:
        SettingsError: a folder does not exist or holds nothing to compare with.
    """
    index = BenchmarkIndex(settings.similarity, settings.distance, settings.pages)
    notes: list[str] = []
    for entry in against:
        root = without_tilde(entry)
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        if not root.exists():
            raise SettingsError(f"{root}: no such benchmark. Remedy: name a folder of PDFs, page images or jsonl")
        benchmark = Benchmark(root.name)
        pdfs = [path for path in files if path.suffix.lower() == ".pdf"]
        images = [path for path in files if path.suffix.lower() in IMAGES]
        for path, outcome in zip(pdfs, pool.map("survey_pages", _paths(pdfs)), strict=True):
            if outcome.value is None:
                benchmark.unreadable += 1
                notes.append(f"benchmark {root.name}: {path.name} cannot be compared with: {outcome.reason}")
            else:
                benchmark.pdfs += 1
                index.add_pages(root.name, **outcome.value)
        for path, outcome in zip(images, pool.map("survey_picture", _paths(images)), strict=True):
            if outcome.value is None:
                benchmark.unreadable += 1
                notes.append(f"benchmark {root.name}: {path.name} cannot be compared with: {outcome.reason}")
            else:
                benchmark.images += 1
                index.add_pages(root.name, "", (), [outcome.value["picture"]])
        for path in files:
            if path.suffix.lower() in QUESTIONS:
                benchmark.questions += _add_questions(index, root.name, path)
        if not benchmark.pdfs + benchmark.images + benchmark.questions:
            raise SettingsError(
                f"{root}: nothing to compare with. Remedy: PDFs, page images ({', '.join(IMAGES)}), or jsonl with one"
                f" object a line and one of the keys {', '.join(QUESTION_KEYS)}"
            )
        index.content.benchmarks.append(benchmark)
    return index, notes


def _paths(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    return ({"path": stored_path(str(path))} for path in paths)


def _add_questions(index: BenchmarkIndex, name: str, path: Path) -> int:
    """Add the questions of a jsonl file, or of a JSON file that is one list. Returns their number."""
    if path.stat().st_size > MOST_BYTES:
        raise SettingsError(f"{path}: larger than {MOST_BYTES} bytes. Remedy: keep the questions and answers only")
    count = 0
    for row in _rows(path):
        question = next((row[key] for key in QUESTION_KEYS if isinstance(row.get(key), str)), "")
        answers = next((row[key] for key in ANSWER_KEYS if row.get(key)), "")
        texts = [str(answer) for answer in (answers if isinstance(answers, list) else [answers])]
        if question:
            index.add_question(name, question, *texts)
            count += 1
    return count


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        whole = json.loads(text) if path.suffix.lower() == ".json" else None
        values = whole if isinstance(whole, list) else [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise SettingsError(f"{path}: not JSON with one object a line. Remedy: convert it, or move it away") from None
    return (value for value in values if isinstance(value, dict))
