"""The examples of the loading page and the README run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.builds import ENVIRONMENT
from support.samples import make_sample, write_dataset

from mmprolong_data.card_yaml import card_metadata

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": 4, "docs/loading.md": 6}
"""Page -> its Python examples."""
RUN = "import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path)\n    print(path)\n"


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path) -> None:
    blocks = examples(page)
    assert len(blocks) == PAGES[page]
    configs = ("extract_single", "extract_multi", "reasoning")
    for folder, container in [
        ("mmprolong", "parquet"),
        ("mmprolong-wds", "webdataset"),
        ("path/to/dataset", "parquet"),
    ]:
        shards = {(config, "train"): [[make_sample(n, config) for n in part] for part in ((0, 1, 2), (3, 4, 5))]
                  for config in configs}  # fmt: skip
        manifest = write_dataset(tmp_path / folder, container, shards)
        (tmp_path / folder / "README.md").write_text(f"---\n{card_metadata(manifest)}---\n")
    paths = []
    for number, block in enumerate(blocks):
        paths.append(tmp_path / f"example_{number}.py")
        paths[-1].write_text(block)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, *map(str, paths)], cwd=tmp_path, capture_output=True, text=True,
        env=ENVIRONMENT | {"HF_HOME": str(tmp_path / "cache")}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.endswith(".py")] == list(map(str, paths))
