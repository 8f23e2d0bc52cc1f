"""What readers get by a tag: stock ``datasets`` and ``huggingface_hub`` without anything of ours, then our stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from mmprolong_builders.publishing.convert import convert
from mmprolong_builders.publishing.hub import Repository
from mmprolong_builders.publishing.push import Push
from support.published import folder_files, write_published
from support.samples import make_sample

from .test_push import Quiet

READER = """
import hashlib, json, os, pathlib, sys
from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import snapshot_download

def digest(images):
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]

out = {}
flat = load_dataset("org/demo", "ocr_full", split="train", streaming=True, revision="v1.0.0")
rows = list(flat)
out["ids"] = [row["id"] for row in rows]
out["pixels"] = digest(rows[0]["images"])
out["roles"] = [message["role"] for message in rows[0]["messages"]]
whole = load_dataset("org/demo", "ocr_full", split="train", revision="v1.0.0")
out["whole"] = whole["id"][:]
tars = load_dataset("org/demo-wds", "ocr_full", split="train", streaming=True, revision="v1.0.0")
rows = list(tars)
out["tar ids"] = [row["json"]["id"] for row in rows]
out["tar pixels"] = digest(rows[0]["images.mp"])
out["configs"] = get_dataset_config_names("org/demo", revision="v1.0.0")
for repo in ("org/demo", "org/demo-wds"):
    root = pathlib.Path(snapshot_download(repo, repo_type="dataset", revision="v1.0.0"))
    out[repo] = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*") if path.is_file() and path.name != ".gitattributes"
    }
out["ours"] = [name for name in sys.modules if name.startswith("mmprolong")]

from mmprolong_data.loader import PageStream  # only now anything of ours

for repo in ("org/demo", "org/demo-wds"):
    stream = PageStream(f"hf://datasets/{repo}@v1.0.0", ["ocr_full"], pixels="jpeg", version="1.0.0")
    out["stream " + repo] = {
        sample.record["id"]: hashlib.sha256(b"".join(bytes(page) for page in sample.pages)).hexdigest()
        for pack in stream for sample in pack.samples
    }
print(json.dumps(out), flush=True)
os._exit(0)  # read-ahead threads of Arrow's, still running, can abort an interpreter that ends in order
"""


@pytest.mark.parametrize("xet", [True, False])
def test_stock_readers_by_tag_in_a_fresh_process(
    tmp_path: Path, hub: HubServer, xet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib
    import io

    from huggingface_hub import constants
    from PIL import Image

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    write_published(tmp_path / "a")
    convert(tmp_path / "a", tmp_path / "t", "webdataset")
    for root, repo in ((tmp_path / "a", "org/demo"), (tmp_path / "t", "org/demo-wds")):
        call = Push(root, Repository(repo, hub.url), Quiet())
        call.run(call.plan())
    write_published(tmp_path / "next", range(6))  # main moves on; the tag does not
    call = Push(tmp_path / "next", Repository("org/demo", hub.url), Quiet(), "1.1.0")
    call.run(call.plan())
    environment = os.environ | hub.environment(tmp_path / "cache", token=None, xet=xet)
    environment.pop("HF_TOKEN")
    done = subprocess.run(
        [sys.executable, "-c", READER], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout.splitlines()[-1])
    ids = [make_sample(number, "ocr_full").id for number in range(5)]
    assert out["ids"] == out["whole"] == out["tar ids"] == ids
    pages = [Image.open(io.BytesIO(page)) for page in make_sample(0).images]
    assert out["pixels"] == out["tar pixels"] == [hashlib.sha256(page.tobytes()).hexdigest() for page in pages]
    assert out["roles"] == ["user", "assistant"]
    assert out["configs"] == ["extract_single", "ocr_full"]
    assert out["org/demo"] == folder_files(tmp_path / "a")
    assert out["org/demo-wds"] == folder_files(tmp_path / "t")
    assert out["ours"] == []

    samples = [make_sample(number, "ocr_full") for number in range(5)]
    assert out["stream org/demo"] == out["stream org/demo-wds"]
    assert out["stream org/demo"] == {
        sample.id: hashlib.sha256(b"".join(sample.images)).hexdigest() for sample in samples
    }


def test_webdataset_without_msgpack_is_what_the_card_warns_of(tmp_path: Path) -> None:
    from mmprolong_builders.card import card_files

    manifest = write_published(tmp_path / "t", container="webdataset")
    card = card_files(tmp_path / "t", manifest, repo="org/demo-wds")["README.md"].decode()
    assert "without msgpack the pages cannot be read" in card
    code = (
        "import sys\nsys.modules['msgpack'] = None\nfrom datasets import load_dataset\n"
        "print(next(iter(load_dataset('t', 'ocr_full', split='train', streaming=True))).keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "msgpack" in done.stderr
