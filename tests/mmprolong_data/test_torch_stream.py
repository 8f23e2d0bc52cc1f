"""In torchdata's StatefulDataLoader: exact with no worker and several, forked and spawned, mid-epoch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.http_server import serve
from support.samples import make_sample, write_dataset

from mmprolong_data.loader import PageStream

pytest.importorskip("torchdata")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "dataset"
    samples = [make_sample(n, "extract_multi", pages=2 + n % 3) for n in range(31)]
    write_dataset(root, "webdataset", {("extract_multi", "train"): [samples[:13], samples[13:]]})
    return root


def loader(root: Path | str, workers: int, context: str | None = None, **settings: Any) -> Any:
    from torchdata.stateful_dataloader import StatefulDataLoader

    from mmprolong_data.torch_stream import TorchPageStream

    stream = PageStream(root, "extract_multi", max_tokens=250, packs_per_step=2, threads=1, **settings)
    return StatefulDataLoader(
        TorchPageStream(stream), batch_size=None, num_workers=workers, multiprocessing_context=context,
    )  # fmt: skip


def keys(packs: Any) -> list[list[str]]:
    return [[sample.record["id"] for sample in pack.samples] for pack in packs]


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (3, "fork"), (1, "spawn")])
def test_a_loader_resumes_in_the_middle_of_an_epoch(dataset: Path, workers: int, context: str | None) -> None:
    whole = keys(PageStream(dataset, "extract_multi", max_tokens=250, packs_per_step=2))
    first = loader(dataset, workers, context)
    taken = []
    for pack in first:
        taken.append(pack)
        if len(taken) == 5:
            break
    state = first.state_dict()
    assert sum(pack.num_tokens for pack in taken) == sum(s.num_tokens for pack in taken for s in pack.samples)
    del first
    second = loader(dataset, workers, context)
    second.load_state_dict(json.loads(json.dumps(state)) if workers == 0 else state)
    assert keys(taken) + keys(second) == whole


def test_workers_share_the_packs_of_a_rank(dataset: Path) -> None:
    whole = keys(PageStream(dataset, "extract_multi", max_tokens=250, packs_per_step=2))
    parts = [keys(loader(dataset, 2, "fork", rank=rank, world_size=3)) for rank in range(3)]
    assert [parts[n % 3][n // 3] for n in range(len(whole))] == whole


@pytest.mark.parametrize("tail", ["empty", "drop"])
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_the_end_of_an_epoch_is_even_with_workers_too(dataset: Path, tail: str, workers: int) -> None:
    whole = keys(PageStream(dataset, "extract_multi", max_tokens=250, packs_per_step=2))
    parts = [keys(loader(dataset, workers, rank=rank, world_size=5, tail=tail, pixels=None)) for rank in range(5)]
    assert len(whole) % 5
    assert {len(part) for part in parts} == {-(-len(whole) // 5) if tail == "empty" else len(whole) // 5}
    together = [parts[n % 5][n // 5] for n in range(5 * len(parts[0]))]
    assert [pack for pack in together if pack] == whole[: len(together)]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_from_a_url(dataset: Path, context: str) -> None:
    """The file system was used in this process before: a worker opens one of its own."""
    with serve(dataset) as server:
        server.faults = {1: "503", 4: "cut"}
        packs = keys(loader(server.url, 1 if context == "spawn" else 2, context, backoff=0.001))
    assert packs == keys(PageStream(dataset, "extract_multi", max_tokens=250, packs_per_step=2))


def test_undecoded_pages_can_be_sent_by_a_worker(dataset: Path) -> None:
    sent = [s for pack in loader(dataset, 1, "fork", pixels="jpeg") for s in pack.samples]
    assert all(bytes(page)[:2] == b"\xff\xd8" for sample in sent for page in sample.pages)
    assert sorted(len(sample.pages) for sample in sent) == sorted(sample.record["num_pages"] for sample in sent)


def test_the_stream_itself_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, mmprolong_data.loader; print('torch' in sys.modules, 'datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
