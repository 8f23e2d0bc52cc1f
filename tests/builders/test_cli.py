"""What a user meets at the command line: help that teaches, errors without tracebacks, a dry run, stock loading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mmprolong_builders.console import estimated_seconds
from support.builds import ENVIRONMENT, SHORT, command, run
from support.documents import write_corpus


def test_help_names_the_commands_and_shows_examples() -> None:
    text = run("--help").stdout
    assert all(name in text for name in ("build", "verify", "inspect", "recipe"))
    text = run("build", "--help").stdout
    assert "select.pages=[8,50]" in text
    assert "run the same command again" in text
    assert run("--version").stdout.startswith("mmprolong ")


def test_no_command_prints_the_help() -> None:
    assert "commands" in run(code=2).stdout


def test_recipe_is_valid_yaml_and_complete(tmp_path: Path) -> None:
    text = run("recipe", "--set", "seed=5").stdout
    assert yaml.safe_load(text)["seed"] == 5
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    pdfs = write_corpus(tmp_path / "pdfs", 1)
    run("build", pdfs, "--recipe", path, *SHORT, "--dry-run", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("build", "no-such-folder"), 2, "no-such-folder"),
        (("build", ".", "--set", "rendr.dpi=3"), 2, "did you mean render"),
        (("build", ".", "--recipe", "no-such.yaml"), 2, "no-such.yaml"),
        (("build", ".", "--workers", "0"), 2, "--workers 0"),
        (("verify", "no-such-folder"), 1, "no-such-folder"),
        (("inspect", "no-such-folder"), 1, "no-such-folder"),
    ],
)
def test_a_mistake_is_named_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = run(*arguments, code=code, cwd=tmp_path)
    assert words in done.stderr + done.stdout


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pdfs").mkdir()
    assert "pdfs" in run("build", tmp_path / "pdfs", "--out", tmp_path / "out", code=2).stderr


def test_short_documents_get_the_remedy_not_an_empty_dataset(tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 2, pages=10)
    errors = run("build", pdfs, "--out", tmp_path / "out", code=1).stderr
    assert "--set select.pages=[8,50]" in errors
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_dry_run_prints_the_plan_and_builds_nothing(tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 2)
    (pdfs / "bad.pdf").write_bytes(b"")
    out = tmp_path / "out"
    text = run("build", pdfs, "--out", out, "--dry-run", *SHORT).stdout
    for words in ("ocr_needle", "found", "empty_file", "tokens", "Nothing was built"):
        assert words in text
    assert not (out / "data").exists()


def test_the_estimate_of_a_dry_run_counts_workers_that_have_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmprolong_builders.pipeline.default_workers", lambda: 4)
    seconds = [estimated_seconds(10_000, workers) for workers in (1, 2, 4, 64)]
    assert seconds[0] > seconds[1] > seconds[2] == seconds[3]
    assert seconds[1] > seconds[0] / 2
    assert estimated_seconds(0, 1) > 0


def test_a_build_without_pymupdf_names_the_extra(tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 1)
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pymupdf' else real(name, *a)\n"
        f"from mmprolong_data.cli import main; sys.exit(main(['build', {str(pdfs)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert 'pip install "mmprolong[build]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(command("recipe"), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors


def test_a_dataset_without_its_card_is_not_whole_and_the_remedy_works(tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 1)
    run("build", pdfs, *SHORT, "--no-report", cwd=tmp_path)
    card = tmp_path / "mmprolong" / "README.md"
    for damage in (card.unlink, lambda: card.write_text("# Mine\n")):
        damage()
        assert "mmprolong card mmprolong" in run("verify", "mmprolong", code=1, cwd=tmp_path).stdout
        run("card", "mmprolong", cwd=tmp_path)
        run("verify", "mmprolong", cwd=tmp_path)


STOCK = """
import os, sys, json
from datasets import load_dataset
assert not any(name.startswith("mmprolong") for name in sys.modules)
seen = {}
for config in ("extract_single", "extract_multi", "reasoning", "ocr_full", "ocr_needle"):
    full = load_dataset("mmprolong", config, split="train", cache_dir=sys.argv[1])
    stream = load_dataset("mmprolong", config, split="train", streaming=True)
    row, first = full[0], next(iter(stream))
    for dataset in (full, stream):
        assert str(dataset.features["images"].feature) == "Image(mode=None, decode=True)"
    assert row["id"] == first["id"] and row["messages"] == first["messages"] and row["segment"] == first["segment"]
    assert len(row["images"]) == row["num_pages"] and row["images"][0].size[0] % 28 == 0
    assert sum(part["type"] == "image" for part in row["messages"][0]["content"]) == row["num_pages"]
    assert row["messages"][-1]["content"][0]["text"] == row["answer"]
    seen[config] = len(full)
print(json.dumps(seen), flush=True)
os._exit(0)  # read-ahead threads of Arrow's, still running, can abort an interpreter that ends in order
"""


def test_stock_load_dataset_reads_what_was_built(tmp_path: Path) -> None:
    """In a process that never imports our package."""
    pdfs = write_corpus(tmp_path / "pdfs", 3)
    run("build", pdfs, *SHORT, cwd=tmp_path)
    manifest = json.loads((tmp_path / "mmprolong" / "manifest.json").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", STOCK, str(tmp_path / "cache")],
        capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {config: splits["train"] for config, splits in manifest["samples"].items()}
