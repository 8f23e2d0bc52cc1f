"""The one dependency rule, and what an import may cost: checked on the source and in fresh processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"mmprolong_data": "mmprolong_data", "mmprolong_builders": "builders", "mmprolong_trainer": "trainer"}


def imports(path: Path) -> set[str]:
    """Top-level names of all absolute imports of a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("mmprolong_data", {"mmprolong_builders", "mmprolong_trainer", "builders", "trainer", "pymupdf", "fitz"}),
        ("builders", {"mmprolong_trainer", "trainer", "builders", "mmprolong_builders"}),
        ("trainer", {"mmprolong_trainer", "trainer", "builders", "mmprolong_builders", "pymupdf", "fitz"}),
    ],
)
def test_packages_import_only_what_the_rule_allows(folder: str, forbidden: set[str]) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    broken = {str(path): imports(path) & forbidden for path in files if imports(path) & forbidden}
    assert not broken


def test_only_the_pdf_modules_import_pymupdf() -> None:
    users = {path.name for path in (ROOT / "builders").rglob("*.py") if imports(path) & {"pymupdf", "fitz"}}
    assert "pdf.py" in users
    assert all(name.startswith("pdf") for name in users)


def test_no_pickle_eval_or_remote_code() -> None:
    for folder in PACKAGES.values():
        for path in (ROOT / folder).rglob("*.py"):
            assert not imports(path) & {"pickle", "dill", "cloudpickle", "marshal", "shelve"}, path
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not calls & {"eval", "exec", "compile"}, path
            keywords = {word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords}
            assert "trust_remote_code" not in keywords, path


def loaded_after(statement: str) -> set[str]:
    """Names of the modules that a fresh process has loaded after ``statement``."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(output.split())


def test_import_of_the_data_package_is_light() -> None:
    loaded = loaded_after("import mmprolong_data")
    assert not loaded & {"datasets", "torch", "pymupdf", "transformers", "pandas"}


def test_the_command_loads_nothing_heavy_before_it_knows_what_to_do() -> None:
    loaded = loaded_after("from mmprolong_data.cli import _parser; _parser()")
    assert "mmprolong_data.init_command" in loaded
    assert not loaded & {"pyarrow", "numpy", "datasets", "torch", "pymupdf", "transformers", "pandas"}


def test_the_parent_of_a_build_never_loads_pymupdf() -> None:
    loaded = loaded_after(
        "import mmprolong_builders.commands.build, mmprolong_builders.pipeline, mmprolong_builders.finish"
    )
    assert "mmprolong_builders.pack" in loaded
    assert "mmprolong_builders.ocr.run" in loaded
    assert not loaded & {"pymupdf", "fitz", "torch", "datasets", "matplotlib"}
    assert not loaded & {"onnxruntime", "paddleocr", "paddlex", "rapid_layout", "cv2"}


def test_commands_of_the_trainer_are_light() -> None:
    """They are loaded for every call of ``mmprolong``; training never loads PyMuPDF."""
    loaded = loaded_after("import mmprolong_trainer.commands.prepare_model, mmprolong_trainer.config")
    assert not loaded & {"torch", "transformers", "datasets", "tokenizers"}
    loaded = loaded_after("import mmprolong_trainer.loop")
    assert "torch" in loaded
    assert not loaded & {"pymupdf", "fitz", "mmprolong_builders", "torchvision", "flash_attn"}


def test_every_package_folder_has_a_readme() -> None:
    builders = ("builders", "builders/bucket", "builders/ocr", "builders/publishing", "builders/qa")
    trainer = ("trainer", "trainer/evaluate", "configs")
    for folder in ("mmprolong_data", "mmprolong_data/llm", *builders, *trainer, "dataset_cards", "tests", "benchmarks"):
        assert (ROOT / folder / "README.md").read_text(encoding="utf-8").strip()


def test_no_module_named_like_the_dataset_at_the_root() -> None:
    """``load_dataset("mmprolong")`` would take such a folder or file for the dataset."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    assert not [name for name in tracked if name.split("/")[0] in ("mmprolong", "mmprolong.py")]
