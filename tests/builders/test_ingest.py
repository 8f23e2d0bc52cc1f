"""The inventory: every file has a row, nothing is read twice, equal files count once, an interruption costs little."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mmprolong_builders.examine import inspect_pdf
from mmprolong_builders.ingest import INVENTORY_SCHEMA, take_inventory
from mmprolong_builders.reasons import DOCUMENT_REASONS
from mmprolong_builders.recipe import Ingest, Recipe, Sandbox
from mmprolong_builders.sandbox import Outcome, SandboxPool
from mmprolong_builders.untrusted import real_path
from support import hostile
from support.hostile import document, text

from mmprolong_data.errors import SettingsError

RECIPE = Recipe(sandbox=Sandbox(timeout=30.0, memory=2 << 30))


class CountingPool(SandboxPool):
    """A pool that notes which files it was asked to read."""

    def __init__(self, settings: Sandbox = RECIPE.sandbox, workers: int = 2) -> None:
        super().__init__(workers, settings)
        self.read: list[str] = []

    def call(self, task: str, payload: dict[str, Any], timeout: float | None = None, retry: bool = True) -> Outcome:
        self.read.append(Path(payload["path"]).name)
        return super().call(task, payload, timeout, retry)


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[CountingPool]:
    with CountingPool() as counting:
        yield counting


@pytest.fixture
def pool(shared_pool: CountingPool) -> CountingPool:
    shared_pool.read.clear()
    return shared_pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good documents, a copy of one, and files with six kinds of trouble."""
    folder = tmp_path / "pdfs"
    (folder / "sub").mkdir(parents=True)
    hostile.write(folder / "good.pdf", hostile.plain(3))
    hostile.write(folder / "sub" / "copy.pdf", hostile.plain(3))
    hostile.write(folder / "boxes.pdf", document([text("x")] * 2, box="0 0 595.276 841.89", page="/Rotate 90"))
    hostile.write(folder / "empty.pdf", b"")
    hostile.write(folder / "page.pdf", b"<html><body>404</body></html>")
    hostile.write(folder / "secret.pdf", hostile.encrypted("secret"))
    hostile.write(folder / "cut.pdf", hostile.truncated())
    hostile.write(folder / "long.pdf", hostile.plain(12))
    hostile.write(folder / "poster.pdf", document([text("x")], box=hostile.BOXES["huge"]))
    (folder / "gone.pdf").symlink_to(folder / "nowhere")
    return folder


def rows(table: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in table.to_pylist()}


def test_every_file_has_a_row(folder: Path, pool: CountingPool) -> None:
    recipe = replace(RECIPE, ingest=Ingest(max_pages=10))
    table = take_inventory([folder], folder.parent / "work" / "inventory.parquet", recipe, pool)
    assert table.schema == INVENTORY_SCHEMA
    found = rows(table)
    assert {name: row["reason"] for name, row in found.items()} == {
        "good.pdf": "", "copy.pdf": "duplicate", "boxes.pdf": "", "empty.pdf": "empty_file", "page.pdf": "not_pdf",
        "secret.pdf": "encrypted", "cut.pdf": "no_pages", "long.pdf": "too_many_pages", "poster.pdf": "page_box",
        "gone.pdf": "unreadable",
    }  # fmt: skip
    assert {row["reason"] for row in found.values()} <= {"", *DOCUMENT_REASONS}
    for name, row in found.items():
        path = folder / ("sub" if name == "copy.pdf" else "") / name
        assert row["path"] == str(path)
        if name in ("empty.pdf", "gone.pdf"):
            assert row["sha256"] == ""
        else:
            assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert (row["bytes"], row["mtime_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)
        assert str(folder) not in row["detail"]
    assert found["copy.pdf"]["detail"] == "same bytes as good.pdf"
    assert found["good.pdf"]["widths"] == [612.0]
    assert found["good.pdf"]["heights"] == [792.0]
    assert found["good.pdf"]["repeats"] == [3]
    assert found["boxes.pdf"]["widths"] == pytest.approx([841.89], abs=1e-3)
    assert found["boxes.pdf"]["heights"] == pytest.approx([595.276], abs=1e-3)
    assert found["long.pdf"]["pages"] == 12
    assert found["long.pdf"]["widths"] == []


def test_order_is_by_hash_and_path(folder: Path, pool: CountingPool) -> None:
    table = take_inventory([folder], folder.parent / "inventory.parquet", RECIPE, pool)
    keys = list(zip(table["sha256"].to_pylist(), table["path"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    shuffled = [folder / "sub", folder / "poster.pdf", folder]
    assert take_inventory(shuffled, folder.parent / "other.parquet", RECIPE, pool) == table


def test_file_on_disk_is_the_table(folder: Path, pool: CountingPool) -> None:
    path = folder.parent / "inventory.parquet"
    table = take_inventory([folder], path, RECIPE, pool)
    assert pq.read_table(path).replace_schema_metadata(None) == table
    assert sorted(item.name for item in path.parent.iterdir()) == ["inventory.parquet", "pdfs"]


def test_unchanged_files_are_not_read_again(folder: Path, pool: CountingPool) -> None:
    path = folder.parent / "inventory.parquet"
    first = take_inventory([folder], path, RECIPE, pool)
    assert len(pool.read) == 8
    pool.read.clear()
    assert take_inventory([folder], path, RECIPE, pool) == first
    assert pool.read == []


def test_changed_new_and_removed_files(folder: Path, pool: CountingPool) -> None:
    path = folder.parent / "inventory.parquet"
    take_inventory([folder], path, RECIPE, pool)
    pool.read.clear()
    hostile.write(folder / "page.pdf", hostile.plain(5))
    hostile.write(folder / "new.pdf", hostile.plain(6))
    os.utime(folder / "boxes.pdf", ns=(1, 1))
    (folder / "long.pdf").unlink()
    found = rows(take_inventory([folder], path, RECIPE, pool))
    assert sorted(pool.read) == ["boxes.pdf", "new.pdf", "page.pdf"]
    assert (found["page.pdf"]["pages"], found["page.pdf"]["reason"]) == (5, "")
    assert found["new.pdf"]["pages"] == 6
    assert "long.pdf" not in found


def test_copy_takes_over_when_the_kept_file_goes(folder: Path, pool: CountingPool) -> None:
    path = folder.parent / "inventory.parquet"
    take_inventory([folder], path, RECIPE, pool)
    pool.read.clear()
    (folder / "good.pdf").unlink()
    row = rows(take_inventory([folder], path, RECIPE, pool))["copy.pdf"]
    assert (row["reason"], row["detail"], row["pages"]) == ("", "", 3)
    assert pool.read == []


def test_copies_of_a_bad_file_keep_its_reason(tmp_path: Path, pool: CountingPool) -> None:
    for name in ("a.pdf", "b.pdf"):
        hostile.write(tmp_path / name, hostile.encrypted("x") if name == "a.pdf" else (tmp_path / "a.pdf").read_bytes())
    path = tmp_path / "inventory.parquet"
    found = rows(take_inventory([tmp_path], path, RECIPE, pool))
    assert [found[name]["reason"] for name in ("a.pdf", "b.pdf")] == ["encrypted", "duplicate"]
    (tmp_path / "a.pdf").unlink()
    assert rows(take_inventory([tmp_path], path, RECIPE, pool))["b.pdf"]["reason"] == "encrypted"


def test_limits_of_the_recipe_are_applied_anew(folder: Path, pool: CountingPool) -> None:
    path = folder.parent / "inventory.parquet"
    assert rows(take_inventory([folder], path, RECIPE, pool))["long.pdf"]["reason"] == ""
    small = replace(RECIPE, ingest=Ingest(max_pages=2, max_bytes=2000))
    found = rows(take_inventory([folder], path, small, pool))
    assert (found["good.pdf"]["reason"], found["good.pdf"]["pages"]) == ("too_many_pages", 3)
    assert found["long.pdf"]["reason"] == "too_large"
    assert found["long.pdf"]["sha256"] == ""
    assert rows(take_inventory([folder], path, RECIPE, pool))["long.pdf"]["reason"] == ""


def test_verdicts_that_depend_on_load_stand_until_the_limits_change(tmp_path: Path) -> None:
    path = tmp_path / "inventory.parquet"
    hostile.write(tmp_path / "bomb.pdf", hostile.form_bomb())
    hostile.write(tmp_path / "good.pdf", hostile.plain())
    impatient = replace(RECIPE, sandbox=Sandbox(timeout=0.5, memory=2 << 30))
    with CountingPool(impatient.sandbox) as pool:
        row = rows(take_inventory([tmp_path], path, impatient, pool))["bomb.pdf"]
        assert (row["reason"], row["detail"]) == ("timeout", "not done in 0.5 s")
        assert row["sha256"] == hashlib.sha256((tmp_path / "bomb.pdf").read_bytes()).hexdigest()
        pool.read.clear()
        assert rows(take_inventory([tmp_path], path, impatient, pool))["bomb.pdf"] == row
        assert pool.read == []
    longer = replace(RECIPE, sandbox=Sandbox(timeout=0.6, memory=2 << 30))
    with CountingPool(longer.sandbox) as pool:
        assert rows(take_inventory([tmp_path], path, longer, pool))["bomb.pdf"]["detail"] == "not done in 0.6 s"
        assert pool.read == ["bomb.pdf"]


@pytest.mark.parametrize("damage", [b"", b"PAR1 no more", None])
def test_damaged_or_foreign_inventory_is_made_anew(tmp_path: Path, pool: CountingPool, damage: bytes | None) -> None:
    hostile.write(tmp_path / "good.pdf", hostile.plain())
    path = tmp_path / "inventory.parquet"
    if damage is None:
        pq.write_table(pa.table({"path": ["x"]}), path)
    else:
        path.write_bytes(damage)
    assert rows(take_inventory([tmp_path], path, RECIPE, pool))["good.pdf"]["pages"] == 3


def test_names_that_are_not_utf8(tmp_path: Path, pool: CountingPool) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9.pdf")
    (folder / name).write_bytes(hostile.plain())
    path = tmp_path / "inventory.parquet"
    (row,) = take_inventory([folder], path, RECIPE, pool).to_pylist()
    assert row["name"] == "caf\\xe9.pdf"
    assert row["path"].endswith("/pdfs/caf%E9.pdf")
    assert real_path(row["path"]) == str(folder / name)
    assert (row["reason"], row["pages"]) == ("", 3)
    pool.read.clear()
    take_inventory([folder], path, RECIPE, pool)
    assert pool.read == []
    rendered = pool.call("render", {"path": row["path"], "sizes": [[56, 56]] * 3, "quality": 85})
    assert rendered.ok


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, pool: CountingPool) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "device.pdf").symlink_to("/dev/zero")
    (row, other) = take_inventory([tmp_path], tmp_path / "inventory.parquet", RECIPE, pool).to_pylist()
    for found in (row, other):
        assert (found["reason"], found["detail"]) == ("unreadable", "not a regular file")


def test_file_that_is_named_but_absent(tmp_path: Path, pool: CountingPool) -> None:
    hostile.write(tmp_path / "good.pdf", hostile.plain())
    listing = tmp_path / "list.txt"
    listing.write_text("good.pdf\nabsent.pdf\n")
    found = rows(take_inventory([listing], tmp_path / "inventory.parquet", RECIPE, pool))
    assert found["absent.pdf"]["reason"] == "unreadable"
    assert found["absent.pdf"]["detail"] == "No such file or directory"
    assert found["good.pdf"]["reason"] == ""


def test_corpus_that_does_not_exist(tmp_path: Path, pool: CountingPool) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        take_inventory([tmp_path / "nowhere"], tmp_path / "inventory.parquet", RECIPE, pool)


def test_progress_counts_every_file(folder: Path, pool: CountingPool) -> None:
    seen: list[tuple[int, int]] = []
    path = folder.parent / "inventory.parquet"
    take_inventory([folder], path, RECIPE, pool, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(2, 11)]
    seen.clear()
    take_inventory([folder], path, RECIPE, pool, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (10, 10)


def test_killed_inventory_goes_on_where_it_was(tmp_path: Path, pool: CountingPool) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    for i in range(60):
        hostile.write(folder / f"{i:02}.pdf", document([text(f"document {i}")] * 2))
    path = tmp_path / "work" / "inventory.parquet"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from mmprolong_builders.ingest import take_inventory\n"
        "from mmprolong_builders.recipe import Recipe, Sandbox\n"
        "from mmprolong_builders.sandbox import SandboxPool\n"
        "recipe = Recipe(sandbox=Sandbox(timeout=30.0, memory=2 << 30))\n"
        "def progress(done, total):\n"
        "    if done == 40: Path(sys.argv[2] + '.reached').touch(); time.sleep(60)\n"
        "with SandboxPool(2, recipe.sandbox) as pool:\n"
        "    take_inventory([sys.argv[1]], Path(sys.argv[2]), recipe, pool, progress)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(path)])
    give_up = time.monotonic() + 60
    while not path.with_name("inventory.parquet.reached").exists():
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not path.exists()
    journal = path.with_name("inventory.parquet.journal")
    journal.write_bytes(journal.read_bytes()[:-7])  # cut in the middle of the last row
    resumed = take_inventory([folder], path, RECIPE, pool)
    assert len(pool.read) == 21
    assert not journal.exists()
    assert take_inventory([folder], tmp_path / "fresh.parquet", RECIPE, pool) == resumed


def test_journal_of_other_settings_is_dropped(tmp_path: Path, pool: CountingPool) -> None:
    hostile.write(tmp_path / "good.pdf", hostile.plain())
    journal = tmp_path / "inventory.parquet.journal"
    journal.write_bytes(b"\xa5other" + bytes(100))
    table = take_inventory([tmp_path], tmp_path / "inventory.parquet", RECIPE, pool)
    assert rows(table)["good.pdf"]["pages"] == 3
    assert not journal.exists()


def test_language_and_producer_of_real_documents(corpus: Path, tmp_path: Path, pool: CountingPool) -> None:
    names = ["frenchle.pdf", "jura.pdf", "altverse-ex1-ru.pdf", "ctex-faq.pdf", "amsguide.pdf"]
    files = [corpus / name for name in names]
    found = rows(take_inventory(files, tmp_path / "inventory.parquet", RECIPE, pool))
    assert [found[name]["language"] for name in names] == ["fr", "de", "ru", "zh", "en"]
    assert [found[name]["pages"] for name in names] == [34, 26, 28, 41, 34]
    assert all(found[name]["producer"] for name in names)
    assert all(sum(found[name]["repeats"]) == found[name]["pages"] for name in names)


def test_page_that_cannot_be_read_costs_the_language_alone(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.damaged_content())
    found = inspect_pdf({"path": str(path), "max_pages": 100})
    assert (found["reason"], found["pages"], found["language"]) == ("", 3, "und")
