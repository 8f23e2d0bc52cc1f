"""One reader, one measurement, in a process of its own: what ``loader.py`` starts. Prints one JSON object.

    python loader_jobs.py write FORMAT TARS OUT          a peer's own format, from our tars
    python loader_jobs.py read READER DATA MODE COUNT    MODE: bytes, decode or patches
    python loader_jobs.py resume READER DATA             stop after some samples, go on in another process

Runs in our environment and in the peers'; a peer is imported only by its own job.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import resource
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

WORKERS = 2
PASSES = 4
"""Over all samples, where only bytes are read."""
STOP = 17
"""Samples after which a stream is stopped and resumed: in the middle of a shard and of a pass."""


def tars(folder: str) -> list[str]:
    """Our tar shards below a folder."""
    return sorted(map(str, Path(folder).rglob("*.tar")))


def samples_of_tars(folder: str) -> Iterator[tuple[str, bytes, bytes]]:
    """Key, record and packed pages of every sample, by ``tarfile``."""
    for path in tars(folder):
        with tarfile.open(path) as archive:
            members = iter(archive)
            for record, pages in zip(members, members, strict=True):
                parts = [archive.extractfile(member) for member in (record, pages)]
                yield record.name.partition(".")[0], *(part.read() for part in parts if part)  # type: ignore[misc]


def unpacked(packed: bytes) -> list[bytes]:
    """The JPEG files in a sample's member ``images.mp``."""
    import msgpack

    return [entry["bytes"] for entry in msgpack.unpackb(packed)]


def streaming() -> Any:
    """MosaicML Streaming. Its vision examples import torchvision, which does not load beside every build of torch."""
    import importlib.machinery
    import types

    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        module: Any = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.VisionDataset, module.to_tensor, module.__path__ = object, None, []
        sys.modules.setdefault(name, module)
    import streaming

    return streaming


# Writers of the peers' formats -------------------------------------------------------------------------------------


def write_mds(folder: str, out: str) -> None:
    """MosaicML Streaming: one column for the record, one for the packed pages; shards of 80 MB."""
    columns = {"key": "str", "record": "bytes", "pages": "bytes"}
    with streaming().MDSWriter(out=out, columns=columns, size_limit=80 << 20) as writer:
        for key, record, pages in samples_of_tars(folder):
            writer.write({"key": key, "record": record, "pages": pages})


def write_litdata(folder: str, out: str) -> None:
    """LitData: its optimised chunks of 80 MB."""
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(out, chunk_bytes=80 << 20)
    number = -1
    for number, (key, record, pages) in enumerate(samples_of_tars(folder)):
        writer.add_item(number, {"key": key, "record": record, "pages": pages})
    writer.done()
    writer.merge(1)


def write_energon(folder: str, out: str) -> None:
    """Megatron-Energon: its index beside the same tars."""
    import shutil

    from megatron.energon.flavors import BaseWebdatasetFactory

    Path(out).mkdir(parents=True)
    names = []
    for path in tars(folder):
        names.append(Path(path).name)
        shutil.copy(path, out)
    BaseWebdatasetFactory.prepare_dataset(
        Path(out), names, split_parts_ratio=[("train", 1.0)], progress_fn=lambda it, total: it, workers=1
    )
    (Path(out) / ".nv-meta" / "dataset.yaml").write_text(
        "__module__: megatron.energon\n__class__: CrudeWebdataset\nsubflavors: {}\n"
    )


# Readers: each yields (key, record, list of JPEG files or of decoded pages) ----------------------------------------

Sample = tuple[str, Any, list[Any]]


def read_osread(data: str) -> Iterator[Sample]:
    """The limit: nothing but ``os.read`` of every tar, into memory of its own."""
    for path in tars(data):
        number = os.open(path, os.O_RDONLY)
        yield "", None, [os.read(number, os.fstat(number).st_size)]
        os.close(number)


def read_osread_reused(data: str) -> Iterator[Sample]:
    """The same 8 MB at a time, into memory that is in the CPU's cache: nobody could keep what was read."""
    for path in tars(data):
        number = os.open(path, os.O_RDONLY)
        while chunk := os.read(number, 8 << 20):
            yield "", None, [chunk]
            del chunk
        os.close(number)


def read_tarfile(data: str) -> Iterator[Sample]:
    """The standard library, with the pages unpacked."""
    for key, record, pages in samples_of_tars(data):
        yield key, json.loads(record), unpacked(pages)


def ours(data: str, **settings: Any) -> Any:
    """Our stream, one sample a pack, in its shuffled order."""
    from mmprolong_data.loader import PageStream

    return PageStream(data, "ocr_full", pack=False, max_tokens=1 << 30, **settings)


def read_ours(data: str) -> Iterator[Sample]:
    """Our stream, undecoded pages."""
    for pack in ours(data, pixels="jpeg"):
        for sample in pack.samples:
            yield sample.record["id"], sample.record, list(sample.pages)


def read_webdataset(data: str, shuffle: bool = False) -> Any:
    """WebDataset, with its decoding of JSON and msgpack."""
    import webdataset

    stream = webdataset.WebDataset(
        tars(data), shardshuffle=100 if shuffle else False, nodesplitter=webdataset.split_by_node
    )
    if shuffle:
        stream = stream.shuffle(100)
    return stream.decode().map(lambda s: (s["__key__"], s["json"], [entry["bytes"] for entry in s["images.mp"]]))


def hf_stream(data: str, kind: str) -> Any:
    """A stream of ``datasets`` over Parquet or tars, pages undecoded."""
    import datasets

    if kind == "parquet":
        files = sorted(map(str, Path(data).glob("data/ocr_full/*.parquet")))
        stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        return stream.cast_column("images", datasets.List(datasets.Image(decode=False)))
    return datasets.load_dataset("webdataset", data_files=tars(data), split="train", streaming=True)


def read_datasets_parquet(data: str) -> Iterator[Sample]:
    """Stock ``datasets`` over Parquet."""
    for row in hf_stream(data, "parquet"):
        yield row["id"], row, [entry["bytes"] for entry in row["images"]]


def read_datasets_webdataset(data: str) -> Iterator[Sample]:
    """Stock ``datasets`` over tars."""
    for row in hf_stream(data, "webdataset"):
        yield row["__key__"], row["json"], [entry["bytes"] for entry in row["images.mp"]]


def mds(data: str, shuffle: bool = False) -> Any:
    """A dataset of MosaicML Streaming."""
    return streaming().StreamingDataset(local=data, shuffle=shuffle, batch_size=1, shuffle_seed=0)


def read_mds(data: str) -> Iterator[Sample]:
    """MosaicML Streaming."""
    for row in mds(data):
        yield row["key"], json.loads(row["record"]), unpacked(row["pages"])


def read_litdata(data: str) -> Iterator[Sample]:
    """LitData."""
    from litdata import StreamingDataset

    for row in StreamingDataset(data, shuffle=False):
        yield row["key"], json.loads(bytes(row["record"])), unpacked(row["pages"])


def energon(data: str, workers: int) -> Any:
    """A savable loader of Megatron-Energon over raw tar members, with its own shuffle."""
    import megatron.energon as energon

    @energon.stateless
    def cook(sample: Any) -> Any:
        return energon.CrudeSample(sample)

    class Raw(energon.DefaultTaskEncoder):  # type: ignore[misc]
        cookers: ClassVar[list[Any]] = [energon.Cooker(cook)]

        def encode_sample(self, sample: Any) -> Any:
            return sample

        def batch(self, samples: list[Any]) -> Any:
            return samples

    config = energon.WorkerConfig(rank=0, world_size=1, num_workers=workers)
    dataset = energon.get_train_dataset(
        data, worker_config=config, batch_size=1, shuffle_buffer_size=100, max_samples_per_sequence=100,
        task_encoder=Raw(), repeat=False, split_part="train",
    )  # fmt: skip
    return energon.get_savable_loader(dataset)


def energon_rows(loader: Any) -> Iterator[Sample]:
    """What its batches of one sample hold."""
    for batch in loader:
        for row in batch:
            record, pages = row["json"], row["images.mp"]
            record = json.loads(record) if isinstance(record, bytes) else record
            pages = unpacked(pages) if isinstance(pages, bytes) else [entry["bytes"] for entry in pages]
            yield row["__key__"].rpartition("/")[2], record, pages


def read_energon(data: str) -> Iterator[Sample]:
    """Megatron-Energon, in this process."""
    yield from energon_rows(energon(data, 0))


# Measuring -----------------------------------------------------------------------------------------------------------


def decoded(pages: list[bytes]) -> list[Any]:
    """Pages by simplejpeg, into fresh arrays."""
    import simplejpeg

    return [simplejpeg.decode_jpeg(page) for page in pages]


def processed(pages: list[bytes]) -> Any:
    """What a training job does without us: Pillow, then the model's image processor."""
    from PIL import Image
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 12_845_056})
    return processor(images=[Image.open(io.BytesIO(page)) for page in pages], return_tensors="np")


def our_patches(layout: str) -> Callable[[str], Iterator[Sample]]:
    """Our stream with patches, one decoding thread: CPU time is then comparable."""

    def read(data: str) -> Iterator[Sample]:
        for pack in ours(data, layout=layout, threads=1):
            for sample in pack.samples:
                yield sample.record["id"], sample.record, [sample.pixels]

    return read


def measure(reader: str, data: str, mode: str, count: int) -> dict[str, float]:
    """CPU and wall seconds, time to the first sample, growth of the peak memory."""
    work: Callable[[list[Any]], Any] = {"bytes": lambda pages: None, "decode": decoded, "hf": processed}.get(
        mode, lambda pages: None
    )
    read = our_patches(mode) if mode in ("chw", "hwc") else globals()[f"read_{reader}"]
    warm_up(reader, mode)
    memory = peak_memory()
    started = time.monotonic()
    next(iter(read(data)))
    first = time.monotonic() - started
    if mode == "bytes":  # a pass to settle: what is imported or allocated once is no part of the cost of a sample
        for _ in read(data):
            pass
    started, cpu = time.monotonic(), cpu_seconds()
    samples = size = 0
    for _ in range(PASSES if mode == "bytes" else 1):
        for _, _, pages in itertools.islice(read(data), count or None):
            work(pages)
            size += sum(getattr(page, "nbytes", 0) or len(page) for page in pages)
            samples += 1
    return {
        "cpu": cpu_seconds() - cpu, "wall": time.monotonic() - started, "first": first, "samples": samples,
        "bytes": size, "memory": peak_memory() - memory,
    }  # fmt: skip


def warm_up(reader: str, mode: str) -> None:
    """Imports are no part of the measurement."""
    import numpy as np
    import simplejpeg

    page = simplejpeg.encode_jpeg(np.zeros((56, 56, 3), np.uint8))
    decoded([page])
    if mode == "hf":
        processed([page])
    modules = {
        "ours": "mmprolong_data.loader", "webdataset": "webdataset", "datasets_parquet": "datasets",
        "datasets_webdataset": "datasets", "litdata": "litdata", "energon": "megatron.energon",
    }  # fmt: skip
    if reader in modules:
        __import__(modules[reader])
    if reader == "mds":
        streaming()
    if reader == "ours":
        __import__("mmprolong_data.prefetch")


def peak_memory() -> int:
    """Most bytes that this process held. (``ru_maxrss`` begins with what the parent held.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def cpu_seconds() -> float:
    """Of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


# Resuming ------------------------------------------------------------------------------------------------------------


def keys_alone(rows: list[Any]) -> dict[str, Any]:
    """A batch of one sample without its pages."""
    return {"key": rows[0]["key"]}


def loader_of(reader: str, data: str) -> Any:
    """The reader's shuffled loader with two workers, and one that can save its state where there is one."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    if reader == "ours":
        from mmprolong_data.torch_stream import TorchPageStream

        stream: Any = TorchPageStream(ours(data, pixels=None))
    elif reader == "webdataset":
        stream = read_webdataset(data, shuffle=True)
    elif reader == "litdata":
        from litdata import StreamingDataLoader, StreamingDataset

        dataset = StreamingDataset(data, shuffle=True, seed=0)
        return StreamingDataLoader(dataset, batch_size=1, num_workers=WORKERS, collate_fn=keys_alone)
    elif reader == "mds":
        dataset = mds(data, shuffle=True)
        return streaming().StreamingDataLoader(dataset, batch_size=1, num_workers=WORKERS, collate_fn=keys_alone)
    elif reader == "energon":
        return energon(data, WORKERS)
    else:
        stream = hf_stream(data, reader.partition("_")[2]).shuffle(seed=0, buffer_size=100)
    return StatefulDataLoader(stream, batch_size=None, num_workers=WORKERS, collate_fn=lambda row: row)


def key_of(reader: str, row: Any) -> str:
    """The sample's key in what a loader yields."""
    if reader == "ours":
        return str(row.samples[0].record["id"])
    if reader == "webdataset":
        return str(row[0])
    if reader == "energon":
        return str(row[0]["__key__"]).rpartition("/")[2]
    name = {"datasets_parquet": "id", "datasets_webdataset": "__key__"}.get(reader, "key")
    return str(row[name][0] if isinstance(row[name], list) else row[name])


def save(reader: str, loader: Any) -> Any:
    """The loader's state."""
    return loader.save_state_rank() if reader == "energon" else loader.state_dict()


def resume(reader: str, data: str, state_file: str) -> dict[str, Any]:
    """First call: the first keys, and the state kept in a file. Second call: the keys from that state on."""
    import pickle  # of objects that this script made itself a moment ago

    path = Path(state_file)
    loader = loader_of(reader, data)
    if not path.exists():
        keys = [key_of(reader, row) for row in itertools.islice(loader, STOP)]
        path.write_bytes(pickle.dumps(save(reader, loader)))
        return {"keys": keys}
    state = pickle.loads(path.read_bytes())  # noqa: S301
    if reader == "energon":
        loader.restore_state_rank(state)
    else:
        loader.load_state_dict(state)
    return {"keys": [key_of(reader, row) for row in loader]}


def main() -> None:
    """Run one job."""
    action, name, *arguments = sys.argv[1:]
    if action == "write":
        globals()[f"write_{name}"](*arguments)
        result: dict[str, Any] = {}
    elif action == "read":
        data, mode, count = arguments
        result = measure(name, data, mode, int(count))
    else:
        result = resume(name, *arguments)
    sys.stdout.write("\n" + json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # peers leave threads and workers behind


if __name__ == "__main__":
    main()
