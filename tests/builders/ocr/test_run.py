"""Windows, deadlines, the cache and the page-error budget; whole builds of a scan."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmprolong_builders.child import Outcome
from mmprolong_builders.ocr import run as ocr_run
from mmprolong_builders.ocr.cache import PageCache
from mmprolong_builders.ocr.run import PageReader
from mmprolong_builders.recipe import Ocr, OcrLimits, Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.stages import unpack_record
from PIL import Image
from support.builds import SHORT, content, run
from support.documents import write_report
from support.ocr_poison import DEADLY, SLOW
from support.scans import picture_of, write_scanned

from mmprolong_data.settings import to_plain

pytestmark = pytest.mark.usefixtures("ocr_extra")
GOOD = (60, 61, 62, 63, 64)


@pytest.fixture(scope="module")
def pdfs() -> Iterator[SandboxPool]:
    with SandboxPool(1, Sandbox()) as pool:
        yield pool


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setattr(ocr_run, "TASKS", {"ocr_read": "support.ocr_poison:read_task"})
    return Recipe(ocr_limits=OcrLimits(workers=1, window=4, page_timeout=1.5))


def write_pages(path: Path, widths: tuple[int, ...]) -> Path:
    """Pages as wide as told, in points."""
    return write_scanned(path, [Image.new("RGB", (width, 100), "white") for width in widths], dpi=72)


def complete(reader: PageReader, pdfs: SandboxPool, path: Path) -> Outcome:
    payload: dict[str, Any] = {"path": str(path), "doc_id": "a" * 64, "settings": to_plain(Recipe().parse)}
    payload["route"] = {"check": 0.0, "seed": 0}
    routed = pdfs.call("parse_stage", payload)
    assert routed.value is not None, routed.detail
    return reader.complete(payload, routed)


def test_a_page_that_kills_or_hangs_costs_itself(poisoned: Recipe, pdfs: SandboxPool, tmp_path: Path) -> None:
    widths = (*GOOD[:2], DEADLY, *GOOD[2:], SLOW)
    path = write_pages(tmp_path / "deadly.pdf", widths)
    with PageReader(poisoned, pdfs, tmp_path / "cache", 1) as reader:
        done = []
        records = reader.read(str(path), "a" * 64, list(range(len(widths))), done.append)
    errors = {number: record["error"] for number, record in records.items() if "error" in record}
    assert errors == {2: "crash", 6: "timeout"}
    for number in set(records) - set(errors):
        assert records[number]["lines"][0][-1] == f"Page of {2 * widths[number]} pixels"
    assert sum(done) == len(widths)


def test_the_page_error_budget(poisoned: Recipe, pdfs: SandboxPool, tmp_path: Path) -> None:
    path = write_pages(tmp_path / "deadly.pdf", (*GOOD, *GOOD, *GOOD, DEADLY))
    with PageReader(poisoned, pdfs, tmp_path / "cache", 1) as reader:
        outcome = complete(reader, pdfs, path)
    assert (outcome.reason, outcome.detail) == ("ocr_error", "1 of 16 pages; page 16: crash")
    generous = replace(poisoned, ocr=replace(poisoned.ocr, max_errors=0.1))
    with PageReader(generous, pdfs, tmp_path / "cache", 1) as reader:
        outcome = complete(reader, pdfs, path)
    assert outcome.value is not None
    pages = unpack_record(outcome.value["document"])["pages"]
    assert [page["status"] for page in pages] == ["ocr"] * 15 + ["needs_ocr"]
    assert pages[15]["status_reason"] == "image without text; not read: crash"


def test_pages_are_read_once(poisoned: Recipe, pdfs: SandboxPool, tmp_path: Path) -> None:
    path = write_pages(tmp_path / "pages.pdf", GOOD)
    numbers = list(range(len(GOOD)))
    with PageReader(poisoned, pdfs, tmp_path / "cache", 1) as reader:
        first = reader.read(str(path), "a" * 64, numbers)
        assert reader.cpu_seconds > 0
    with PageReader(poisoned, pdfs, tmp_path / "cache", 1) as reader:
        assert reader.read(str(path), "a" * 64, numbers) == first
        assert reader.cpu_seconds == 0  # no child was ever started
    (file,) = (tmp_path / "cache").rglob("*.msgpack")
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])  # as a kill leaves it
    with PageReader(poisoned, pdfs, tmp_path / "cache", 1) as reader:
        assert reader.read(str(path), "a" * 64, numbers) == first
    assert file.read_bytes() == whole
    elsewhere = replace(
        poisoned, ocr=Ocr(dpi=100), ocr_limits=replace(poisoned.ocr_limits, cache=str(tmp_path / "own"))
    )
    with PageReader(elsewhere, pdfs, tmp_path / "cache", 1) as reader:
        assert reader.read(str(path), "a" * 64, numbers) != first  # another resolution, other pages
    assert list((tmp_path / "own").rglob("*.msgpack"))


def test_what_an_engine_leaves_in_its_home_is_gone_and_the_users_home_is_untouched(
    pdfs: SandboxPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, temporary = tmp_path / "user", tmp_path / "temporary"
    user.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(user))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = write_scanned(tmp_path / "scan.pdf", [picture_of(write_report(tmp_path / "report.pdf", 8), 0)])
    tiny = Recipe(ocr=Ocr(model="tiny", layout=False, straighten=False), ocr_limits=OcrLimits(workers=1))
    with PageReader(tiny, pdfs, tmp_path / "cache", 1) as reader:
        assert reader.read(str(path), "a" * 64, [0])[0]["lines"]
        (home,) = temporary.glob("mmprolong-ocr-*")
        assert list(home.iterdir())  # PaddleOCR wrote there
    assert not list(temporary.glob("mmprolong-ocr-*"))
    assert not list(user.iterdir())


def test_downloaded_models_stay_where_paddleocr_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PADDLE_PDX_CACHE_HOME", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "secret")
    larger = ocr_run._environment(tmp_path, Ocr(model="PP-OCRv6_medium"))
    assert larger["PADDLE_PDX_CACHE_HOME"] == str(tmp_path / "user" / ".paddlex")
    assert larger["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert "HF_TOKEN" not in larger
    for offline in (Ocr(), Ocr(engine="tesseract")):
        assert not {"PADDLE_PDX_CACHE_HOME", "HTTPS_PROXY"} & set(ocr_run._environment(tmp_path, offline))
    monkeypatch.setenv("PADDLE_PDX_CACHE_HOME", "/models")
    assert ocr_run._environment(tmp_path, Ocr(model="PP-OCRv6_medium"))["PADDLE_PDX_CACHE_HOME"] == "/models"


def test_errors_are_not_kept(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, "f" * 64)
    cache.add("a" * 64, {0: {"error": "timeout"}, 1: {"lines": []}})
    assert cache.load("a" * 64) == {1: {"lines": []}}
    assert cache.load("b" * 64) == {}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    report = write_report(folder / "report.pdf", 8)
    write_scanned(folder / "scan.pdf", [picture_of(report, number) for number in range(8)])
    report.unlink()
    return folder


OCR = (*SHORT, "--set", "parse.ocr=require", "--set", "ocr.model=tiny", "--set", "ocr_limits.window=2")


def test_a_scan_gives_all_five_configs_and_the_same_bytes_whatever_the_workers(scans: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run("build", scans, "--out", one, "--workers", 1, *OCR)
    run("build", scans, "--out", two, "--workers", 2, *OCR, "--set", f"ocr_limits.cache={tmp_path / 'cache'}")
    assert content(one) == content(two)
    manifest = json.loads((one / "manifest.json").read_bytes())
    assert {config: sum(splits.values()) for config, splits in manifest["samples"].items()} == dict.fromkeys(
        ("extract_multi", "extract_single", "ocr_full", "ocr_needle", "reasoning"), 1
    )
    assert len(manifest["tools"]["ocr"]) == 16
    # The cache outlives its build, and a build that differs in anything but OCR reads no page anew.
    shutil.rmtree(two)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.msgpack")}
    cached = (*OCR, "--set", f"ocr_limits.cache={tmp_path / 'cache'}")
    again = run("build", scans, "--out", two, "--part", "0/1", *cached)
    run("build", "--finish", "--out", two, "--no-report")
    assert content(one) == content(two)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.msgpack")} == before
    assert "1 documents" not in again.stderr


def test_a_build_begun_with_another_engine_is_refused(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", scans, "--out", out, *OCR[:-6], code=1)  # no OCR: nothing is left
    message = run("build", scans, "--out", out, *OCR, code=1).stderr
    assert "parse.ocr: 'never' -> 'require'" in message
    assert "ocr: '(absent)' ->" in message


def test_a_model_that_nobody_has_is_a_clear_error(scans: Path, tmp_path: Path) -> None:
    wrong = (*OCR, "--set", "ocr.model=PP-OCRv0_huge")
    message = run("build", scans, "--out", tmp_path / "out", *wrong, code=1).stderr
    assert "ocr.model = PP-OCRv0_huge" in message
    assert "Remedy" in message
