"""The plan: every file accounted for, pure in inventory and recipe, slices that fit a shard."""

from __future__ import annotations

import hashlib
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmprolong_builders.fit import fit_dpi, image_tokens
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.select import BYTES_PER_TOKEN, make_plan

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import load_settings

A4 = (595.276, 841.89)


def recipe(*overrides: str) -> Recipe:
    made = load_settings(Recipe, None, list(overrides))
    made.validate()
    return made


def inventory(*pages: int, box: tuple[float, float] = A4, reasons: dict[int, str] | None = None) -> pa.Table:
    rows = []
    for i, count in enumerate(pages):
        reason = (reasons or {}).get(i, "")
        boxes = 0 if reason else count
        rows.append(
            {
                "path": f"/somewhere/{i}.pdf", "name": f"{i}.pdf", "pages": boxes, "reason": reason,
                "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
                "widths": [box[0]], "heights": [box[1]], "repeats": [boxes],
            }
        )  # fmt: skip
    schema = pa.schema(
        [
            ("path", pa.string()), ("name", pa.string()), ("pages", pa.int32()), ("reason", pa.string()),
            ("sha256", pa.string()), ("widths", pa.list_(pa.float64())), ("heights", pa.list_(pa.float64())),
            ("repeats", pa.list_(pa.int32())),
        ]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def test_every_file_is_used_or_has_one_reason() -> None:
    table = inventory(10, 31, 32, 50, 51, 40, 40, reasons={6: "encrypted"})
    plan = make_plan(table, recipe())
    assert plan.found == 7
    assert len(plan.documents) == 3
    assert plan.left_out == {"encrypted": 1, "too_few_pages": 2, "too_many_pages": 1}
    assert plan.found == len(plan.documents) + sum(plan.left_out.values())
    assert [reason == "" for reason in plan.reasons] == [False, False, True, True, False, True, False]


def test_a4_page_is_2580_tokens() -> None:
    assert image_tokens([A4], 144, 12_845_056) == 2580


def test_documents_that_do_not_fit_are_shrunk_or_dropped() -> None:
    table = inventory(50, 40, box=(792.0, 1224.0))  # tabloid: about 4,850 tokens a page at 144 DPI
    shrunk = make_plan(table, recipe())
    assert all(92 <= dpi < 144 for dpi in shrunk.documents["dpi"].to_pylist())
    assert all(tokens <= 131_072 for tokens in shrunk.documents["tokens"].to_pylist())
    with pytest.raises(MMProLongError, match="too_many_tokens 2"):
        make_plan(table, recipe("render.fit=drop"))
    too_long = make_plan(inventory(50, 40, box=(792.0, 1224.0)), recipe("render.min_dpi=115"))
    assert too_long.left_out == {"too_many_tokens": 1}


def test_fit_is_the_largest_dpi_that_fits() -> None:
    boxes = [A4] * 40
    limit = 80_000
    dpi = fit_dpi(boxes, recipe(), limit)
    assert image_tokens(boxes, dpi, 12_845_056) <= limit
    assert image_tokens(boxes, dpi + 1, 12_845_056) > limit


@pytest.mark.parametrize(
    ("pages", "remedy"), [((10, 20), "select.pages=[8,50]"), ((60, 80), "select.pages=[8,80]"), ((3,), "[1,50]")]
)
def test_a_corpus_of_other_lengths_gets_a_remedy_that_works(pages: tuple[int, ...], remedy: str) -> None:
    with pytest.raises(MMProLongError, match="32-50 pages") as caught:
        make_plan(inventory(*pages), recipe())
    assert remedy in str(caught.value)
    override = str(caught.value).partition("--set ")[2]
    assert len(make_plan(inventory(*pages), recipe(override)).documents) == len(pages)


def test_plan_does_not_depend_on_the_order_or_place_of_the_files() -> None:
    table = inventory(*range(30, 52))
    plan = make_plan(table, recipe())
    indices = list(reversed(range(len(table))))
    moved = table.take(indices).set_column(0, "path", pa.array([f"/elsewhere/{i}" for i in indices]))
    other = make_plan(moved, recipe())
    assert other.fingerprint() == plan.fingerprint()
    assert other.documents.drop_columns("path") == plan.documents.drop_columns("path")
    assert make_plan(table, recipe("seed=1")).fingerprint() != plan.fingerprint()


def test_split_does_not_depend_on_the_seed_and_one_document_less_moves_no_other() -> None:
    table = inventory(*[40] * 200)
    splits = {}
    for seed in (0, 1):
        plan = make_plan(table, recipe(f"seed={seed}"))
        splits[seed] = dict(zip(plan.documents["doc_id"].to_pylist(), plan.documents["split"].to_pylist(), strict=True))
    assert splits[0] == splits[1]
    assert 1 <= Counter(splits[0].values())["validation"] <= 25
    without = make_plan(table.slice(1), recipe())
    order = make_plan(table, recipe()).documents["doc_id"].to_pylist()
    gone = table["sha256"][0].as_py()
    assert without.documents["doc_id"].to_pylist() == [doc_id for doc_id in order if doc_id != gone]


def test_mixture_gives_each_document_one_config_in_the_shares_of_the_paper() -> None:
    plan = make_plan(inventory(*[32] * 2000), recipe("select.assignment=mixture"))
    counts = Counter(config for configs in plan.documents["configs"].to_pylist() for config in configs)
    assert sum(counts.values()) == 2000
    assert abs(counts["extract_single"] - 800) < 80
    assert abs(counts["extract_multi"] - 800) < 80
    assert abs(counts["reasoning"] - 400) < 80


def test_auto_assignment_is_every_for_a_small_corpus() -> None:
    plan = make_plan(inventory(40, 41), recipe())
    assert all(len(configs) == 5 for configs in plan.documents["configs"].to_pylist())


def test_token_budget_counts_every_config_and_says_what_was_not_reached() -> None:
    table = inventory(*[40] * 20)
    one = make_plan(table, recipe()).documents["tokens"][0].as_py() * 5
    plan = make_plan(table, recipe(f"select.token_budget={one * 3 + 10}"))
    assert len(plan.documents) == 3
    assert plan.left_out == {"over_budget": 17}
    with pytest.raises(MMProLongError, match="token_budget"):
        make_plan(table, recipe("select.token_budget=5"))


@settings(max_examples=40, deadline=None)
@given(
    pages=st.lists(st.integers(32, 50), min_size=1, max_size=60),
    per_slice=st.integers(1, 9),
    megabytes=st.integers(20, 300),
    mixture=st.booleans(),
)
def test_slices_are_gapless_one_split_each_and_within_the_limits(
    pages: list[int], per_slice: int, megabytes: int, mixture: bool
) -> None:
    made = recipe(
        f"pack.documents_per_slice={per_slice}",
        f"pack.shard_bytes={megabytes << 20}",
        f"select.assignment={'mixture' if mixture else 'every'}",
        "select.validation=0.3",
    )
    plan = make_plan(inventory(*pages), made)
    seen = []
    for number in range(plan.num_slices):
        rows = plan.slice_rows(number)
        assert rows
        assert len({row["split"] for row in rows}) == 1
        for config in made.tasks.configs:
            own = [row for row in rows if config in row["configs"]]
            assert len(own) <= per_slice
            assert len(own) <= 1 or sum(row["tokens"] for row in own) * BYTES_PER_TOKEN <= megabytes << 20
        seen += [row["doc_id"] for row in rows]
    assert seen == plan.documents["doc_id"].to_pylist()
    assert sorted(seen) == sorted(set(seen))
