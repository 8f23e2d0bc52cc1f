"""The wheel, in a clean environment: what is in it, what it imports as, that base needs no PyMuPDF."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support.builds import ENVIRONMENT, SHORT, run
from support.documents import write_corpus

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built without network in this environment."""
    source = tmp_path_factory.mktemp("source")
    archive = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    for name in filter(None, archive.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


def test_wheel_holds_our_packages_under_our_names_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops <= {"mmprolong_data", "mmprolong_builders", "mmprolong_cards", "mmprolong_trainer"}
    assert "mmprolong_builders/qa/openai/prompts/rules.md" in names
    packaged = {name for name in names if name.endswith((".py", ".j2"))}
    for folder, package in (
        ("mmprolong_data", "mmprolong_data"), ("builders", "mmprolong_builders"), ("dataset_cards", "mmprolong_cards"),
        ("trainer", "mmprolong_trainer"),
    ):  # fmt: skip
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".j2"):
                assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in packaged


def test_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """Dependencies come from this environment by a path file, all but PyMuPDF; our package only from the wheel."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    import datasets

    dependencies = tmp_path / "dependencies"
    dependencies.mkdir()
    for path in Path(datasets.__file__).parents[1].iterdir():
        if not any(word in path.name.lower() for word in ("mmprolong", "pymupdf", "fitz", "__editable__", ".pth")):
            (dependencies / path.name).symlink_to(path)
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    python = tmp_path / "venv" / "bin" / "python"

    def call(code: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(python), "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    pdfs = write_corpus(tmp_path / "pdfs", 2)
    run("build", pdfs, *SHORT, cwd=tmp_path)
    main = "import sys; from mmprolong_data.cli import main; sys.exit(main(sys.argv[1:]))"
    assert "build" in call(main, "--help")
    assert "everything is as the manifest says" in call(main, "verify", "mmprolong")
    absent = (
        "import importlib.util as u, mmprolong_data\n"
        "assert 'site-packages' in mmprolong_data.__file__\n"
        "assert not any(u.find_spec(n) for n in ('trainer', 'builders', 'dataset_cards', 'pymupdf', 'fitz'))"
    )
    call(absent)
    load = (
        "from datasets import load_dataset\n"
        "row = next(iter(load_dataset('mmprolong', 'extract_multi', split='train', streaming=True)))\n"
        "print(row['num_pages'], flush=True)\n"
        "import os\n"
        "os._exit(0)"  # read-ahead threads of Arrow's can abort an interpreter that ends in order
    )
    assert int(call(load)) >= 8
    entry = zipfile.ZipFile(wheel).read(
        next(n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("entry_points.txt"))
    )
    assert b"mmprolong = mmprolong_data.cli:main" in entry
