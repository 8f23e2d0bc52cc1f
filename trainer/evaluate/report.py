"""What a run leaves behind: ``summary.json``, and ``report.html``, which holds everything and needs nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from mmprolong_data.errors import FormatError

from . import charts
from .items import Item, length_name
from .published_results import PAPER
from .results import Result
from .scoring import Scored

SUMMARY_NAME = "summary.json"
REPORT_NAME = "report.html"
MISSES = 12
"""Wrong replies that are shown."""
SHOWN = 400
"""Characters of a text that are shown."""


def write_report(folder: Path, summary: Mapping[str, Any], misses: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Write both files, each under a temporary name first. Equal results give equal bytes.

    Args:
        folder: The run's.
        summary: From ``summary.summarize``, with ``run``: what was asked of whom.
        misses: From ``misses_of``.
    """
    write_text(folder / SUMMARY_NAME, json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    page = render("report.html.j2", summary=summary, misses=misses, paper=PAPER.get(summary["run"]["suite"], []))
    write_text(folder / REPORT_NAME, page)
    return folder / REPORT_NAME


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run.

    Raises:
        FormatError: there is none, or it is damaged.
    """
    path = folder / SUMMARY_NAME
    try:
        value = json.loads(path.read_bytes())
        value["run"]["suite"], value["overall"]
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(
            f"{folder}: no evaluation here ({SUMMARY_NAME} is missing). Remedy: mmprolong evaluate"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path}: damaged ({error}). Remedy: run the same evaluation again") from None
    return dict(value)


def misses_of(items: Sequence[Item], results: Sequence[Result], scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Some replies that scored low: spread over tasks, lengths and questions; always the same ones."""
    left = [n for n, row in enumerate(scored) if row.score < 0.5 and row.status in ("ok", "empty")]
    shown: Counter[tuple[str, object]] = Counter()
    chosen: list[int] = []

    def kinds(n: int) -> list[tuple[str, object]]:
        row = scored[n]
        return [("task", row.task), ("question", items[n].question), ("cell", (row.task, row.length))]

    while left and len(chosen) < MISSES:
        best = min(left, key=lambda n: ([shown[kind] for kind in kinds(n)], n))
        left.remove(best)
        chosen.append(best)
        shown.update(kinds(best))
    return [
        {
            "task": items[n].task,
            "length": length_name(items[n].length),
            "depth": "-" if items[n].depth is None else f"{100 * (items[n].depth or 0.0):.0f} %",
            "question": _short(items[n].question),
            "answer": _short(items[n].answer),
            "reply": _short(results[n].output) or "(empty)",
            "score": 100 * scored[n].score,
        }
        for n in sorted(chosen)
    ]


def render(template: str, **values: Any) -> str:
    """A page from a template of this package; text in it is escaped."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: resources.files(__package__).joinpath(name).read_text("utf-8")),
    )
    names = ("heat", "lines_by_length", "lines_of_two", "line_chart", "interval_bar", "bar_limit")
    environment.globals.update({name: getattr(charts, name) for name in names})
    return environment.get_template(template).render(**values)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + " ..."


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name first: nobody ever sees half of it."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8", errors="replace")
    temporary.replace(path)
