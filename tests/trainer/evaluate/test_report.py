"""Reports: what charts show, which replies are printed, and that both pages hold what they promise."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from mmprolong_trainer.evaluate.backends.scripted import Scripted, constant, oracle
from mmprolong_trainer.evaluate.charts import bar_limit, heat, interval_bar, line_chart, lines_by_length, lines_of_two
from mmprolong_trainer.evaluate.compare import compare, write_comparison
from mmprolong_trainer.evaluate.evaluation import Evaluation, evaluate
from mmprolong_trainer.evaluate.items import Item, Suite
from mmprolong_trainer.evaluate.report import MISSES, misses_of


def suite(tasks: int = 2, lengths: tuple[int, ...] = (8192, 16_384)) -> Suite:
    items = [
        Item(
            f"{task}-{length}-{n}", f"task<{task}>", (f"q{task} {n}",), (), list, f"q{task} {n % 3}", str(n), "Integer",
            length=length, depth=n / 9, groups={"source": "Text & <b>"},
        )
        for task in range(tasks) for length in lengths for n in range(10)
    ]  # fmt: skip
    return Suite("s", items, digest="d")


def run(folder: Path, backend: Scripted | None = None, **changed: int) -> Evaluation:
    return evaluate(suite(**changed), backend or constant("3"), folder)


def test_a_line_a_task_and_one_for_all(tmp_path: Path) -> None:
    summary = run(tmp_path).summary
    lines = lines_by_length(summary)
    assert [(line.name, line.main) for line in lines] == [("task<0>", False), ("task<1>", False), ("all tasks", True)]
    assert [point["score"] for point in lines[-1].points if point] == [10, 10]
    tree = ElementTree.fromstring(line_chart(["8K", "16K"], lines))
    assert len(list(tree.iter("polyline"))) == 3
    assert len(list(tree.iter("polygon"))) == 1  # the interval of all
    titles = [title.text for title in tree.iter("title")]
    assert sum(str(title).startswith("all tasks: 10.0 (") and str(title).endswith("n = 20") for title in titles) == 2
    assert any(str(title).startswith("task<0>: 10.0") for title in titles)
    words = [text.text for text in tree.iter("text")]
    assert {"8K", "16K", "0", "100", "score (of 100)", "length of the conversation (tokens)"} <= set(words)


def test_a_length_that_a_task_lacks_is_left_out_of_its_line(tmp_path: Path) -> None:
    summary = run(tmp_path).summary
    del summary["cells"]["task<0>"]["8192"]
    line = lines_by_length(summary)[0]
    assert line.points[0] is None
    assert line.points[1] is not None
    assert line_chart(["8K", "16K"], [line]).count("<circle") == 1


def test_one_length_makes_no_chart(tmp_path: Path) -> None:
    summary = evaluate(suite(lengths=(8192,)), constant("3"), tmp_path).summary
    assert lines_by_length(summary) == []
    assert line_chart(["8K"], []) == ""
    assert "<svg" not in (tmp_path / "report.html").read_text()


def test_more_tasks_than_colours_are_dashed(tmp_path: Path) -> None:
    lines = lines_by_length(run(tmp_path, tasks=10).summary)
    assert [line.dashed for line in lines] == [False] * 8 + [True] * 2 + [False]


def test_heat_is_light_enough_for_dark_text() -> None:
    for score in range(-10, 111):
        red, green, blue = (int(heat(score)[n : n + 2], 16) / 255 for n in (1, 3, 5))
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.6
    assert heat(-5) == heat(0) != heat(50) != heat(100) == heat(200)


def test_an_interval_is_drawn_to_scale() -> None:
    row = {"low": -5.0, "high": 20.0, "difference": 10.0, "verdict": "noise"}
    assert bar_limit([row]) == 25
    assert bar_limit([row | {"low": -99.0}]) == 100
    assert bar_limit([]) == 5
    bar = interval_bar(row, 25)
    zero, low, high, middle = (
        float(x) for x in re.findall(r'(?:x1|x2|cx)="([\d.]+)"', bar.replace('x2="100.0"', "", 1))
    )
    assert low < zero < middle < high
    assert (high - zero) / (middle - zero) == pytest.approx(2, abs=0.05)
    assert 'class="bar noise"' in bar
    assert 'class="bar worse"' in interval_bar(row | {"difference": -1.0, "verdict": "A is better"}, 25)


def test_replies_that_are_shown_are_of_all_tasks_and_of_different_questions(tmp_path: Path) -> None:
    evaluation = run(tmp_path)
    misses = misses_of(suite().items, evaluation.results, evaluation.scored)
    assert len(misses) == MISSES
    assert {(miss["task"], miss["length"]) for miss in misses} == {
        (f"task<{t}>", n) for t in (0, 1) for n in ("8K", "16K")
    }
    assert len({miss["question"] for miss in misses}) == 6
    assert misses_of(suite().items, evaluation.results, evaluation.scored) == misses


def test_pages_hold_their_figures_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    run(tmp_path / "a", Scripted("a<script>", lambda item: None if item.key.endswith("0") else "3"))
    run(tmp_path / "b", oracle())
    path = tmp_path / "b" / "comparison.html"
    comparison = compare(tmp_path / "a", tmp_path / "b")
    assert comparison["a"]["counts"] == {"n": 40, "n_empty": 0, "n_error": 4, "n_judge_failed": 0}
    assert [line.name for line in lines_of_two(comparison["lengths"])] == ["A", "B"]
    write_comparison(path, comparison)
    for page in ((tmp_path / "a" / "report.html").read_text(), path.read_text()):
        assert "a<script>" not in page
        assert "a&lt;script&gt;" in page
        assert not re.search(r"(src|href)=", page)
        assert page.count("<table") == page.count("</table>") > 3
        for name in ("n_empty", "n_error", "n_judge_failed"):
            assert name in page
    report = (tmp_path / "a" / "report.html").read_text()
    # Ten depths at two lengths: of both tasks together, and of each.
    assert (report.count("<small>n 2</small>"), report.count("<small>n 1</small>")) == (20, 40)
