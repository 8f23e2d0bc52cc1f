"""Our stream against the readers of the field, side by side on the same samples, and against its limits.

    python benchmarks/loader.py PDF_FOLDER --work DIR [--set select.pages=[20,60]] [--only NAME,NAME]

In DIR: the dataset, built from the PDFs in both containers; a virtual environment with the peers (MosaicML
Streaming, LitData, Megatron-Energon, WebDataset), which pip installs; the same samples in the peers' formats. What is
there already is used again. Every measurement is a process of its own (``loader_jobs.py``) on files in the page cache;
CPU time is that of the process and its children, without the imports. The config ``ocr_full`` is read: one sample a
document.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

JOBS = Path(__file__).with_name("loader_jobs.py")
PEERS = ("mosaicml-streaming", "litdata", "megatron-energon", "webdataset", "torchdata", "simplejpeg", "transformers")
READERS = {  # label: (job, data, runs in the environment of the peers)
    "os.read of the tars (limit)": ("osread", "wds", False),
    "os.read, 8 MB at a time, thrown away": ("osread_reused", "wds", False),
    "tarfile": ("tarfile", "wds", False),
    "ours, tar": ("ours", "wds", False),
    "ours, Parquet": ("ours", "parquet", False),
    "webdataset": ("webdataset", "wds", True),
    "datasets, webdataset": ("datasets_webdataset", "wds", False),
    "datasets, Parquet": ("datasets_parquet", "parquet", False),
    "MosaicML Streaming": ("mds", "mds", True),
    "LitData": ("litdata", "litdata", True),
    "Megatron-Energon": ("energon", "energon", True),
}
PIXELS = {  # label: (reader, mode)
    "simplejpeg's decode alone (limit)": ("tarfile", "decode"),
    "ours, patches (chw)": ("ours", "chw"),
    "ours, patches (hwc)": ("ours", "hwc"),
    "Pillow + Qwen2VLImageProcessorPil": ("tarfile", "hf"),
}


def main() -> None:
    """Prepare what is missing, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdfs", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of the build")
    parser.add_argument("--only", default="", help="labels to measure, separated by commas")
    parser.add_argument("--repeat", type=int, default=2, help="measure so often and keep the least CPU time")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = prepare(options)
    python = peers(options.work)
    for job in ("mds", "litdata", "energon"):
        data[job] = options.work / job
        if not (options.work / f"{job}.done").exists():
            shutil.rmtree(data[job], ignore_errors=True)
            run(python, "write", job, data["wds"], data[job])
            (options.work / f"{job}.done").touch()
    for folder in data.values():  # into the page cache
        for path in folder.rglob("*"):
            if path.is_file():
                path.read_bytes()

    only = {name for name in options.only.split(",") if name}
    chosen = {label: reader for label, reader in READERS.items() if not only or label in only}
    size, count, pages = describe(data["parquet"])
    print(f"{count} samples, {pages} pages, {size / 1e6:.0f} MB of JPEG pages\n")
    print("| bytes only | CPU ms a sample | of os.read | MB/s | first sample, ms | memory, MB |")
    print("|---|---|---|---|---|---|")
    limit = 0.0
    for label, (job, folder, peer) in chosen.items():
        try:
            got = best(options.repeat, python if peer else sys.executable, "read", job, data[folder], "bytes", 0)
        except RuntimeError as error:
            print(f"| {label} | fails: {error} |", flush=True)
            continue
        cpu = got["cpu"] / got["samples"] * 1e3
        if job.startswith("osread"):
            cpu = got["cpu"] / (got["bytes"] / size * count) * 1e3
            got["samples"] = got["bytes"] / size * count
        limit = limit or cpu
        print(
            f"| {label} | {cpu:.1f} | {cpu / limit:.2f} | {size / count * got['samples'] / got['wall'] / 1e6:.0f} |"
            f" {got['first'] * 1e3:.0f} | {got['memory'] / 1e6:.0f} |", flush=True,
        )  # fmt: skip

    print("\n| pixels | CPU ms a page | of simplejpeg | first sample, ms | memory, MB |\n|---|---|---|---|---|")
    limit = 0.0
    for label, (job, mode) in PIXELS.items():
        some = 3 if mode == "hf" else 0
        got = best(1 if some else options.repeat, sys.executable, "read", job, data["wds"], mode, some)
        per_page = got["cpu"] / (pages * got["samples"] / count) * 1e3
        limit = limit or per_page
        print(
            f"| {label} | {per_page:.2f} | {per_page / limit:.2f} | {got['first'] * 1e3:.0f} |"
            f" {got['memory'] / 1e6:.0f} |", flush=True,
        )  # fmt: skip

    print("\n| resume: shuffled, 2 workers, stopped after 17 samples | repeated | lost |\n|---|---|---|")
    for label, (job, folder, peer) in chosen.items():
        if job == "tarfile" or job.startswith("osread"):
            continue
        print(
            f"| {label} | {resumed(python if peer else sys.executable, job, data[folder], options.work)} |", flush=True
        )
    print(f"| ours, tar, 8 ranks stopped after 2 rounds, 6 go on | {elastic(data['wds'])} |")


def prepare(options: argparse.Namespace) -> dict[str, Path]:
    """Build the dataset in both containers."""
    out = options.work / "mmprolong"
    command = [sys.executable, "-m", "mmprolong_data.cli", "build", str(options.pdfs), "--out", str(out)]
    command += ["--format", "both", "--no-report", *(word for item in options.set for word in ("--set", item))]
    if not (out / "manifest.json").exists():
        subprocess.run(command, check=True)
    return {"parquet": out, "wds": tars_of_one_config(out.with_name("mmprolong-wds"), options.work / "wds")}


def tars_of_one_config(dataset: Path, folder: Path) -> Path:
    """The tar dataset, with no other config in it: the peers read whole folders."""
    if not folder.exists():
        shutil.copytree(dataset, folder, ignore=shutil.ignore_patterns(".work", "report"))
        for path in (folder / "data").iterdir():
            if path.name != "ocr_full":
                shutil.rmtree(path)
    return folder


def describe(dataset: Path) -> tuple[int, int, int]:
    """Bytes of all JPEG pages, samples and pages of the config."""
    from mmprolong_data.loader import PageStream

    size = count = pages = 0
    for pack in PageStream(dataset, "ocr_full", pack=False, max_tokens=1 << 30, pixels="jpeg"):
        for sample in pack.samples:
            size, count, pages = size + sum(map(len, sample.pages)), count + 1, pages + len(sample.pages)
    return size, count, pages


def peers(work: Path) -> str:
    """The Python of an environment that has the peers."""
    folder = work / "peers"
    python = folder / "bin" / "python"
    if not (work / "peers.done").exists():
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "torch==2.13.0"], check=True)
        subprocess.run([*pip, "torch==2.13.0", *PEERS], check=True)
        (work / "peers.done").touch()
    return str(python)


def run(*words: object, patience: float = 300) -> dict[str, Any]:
    """Run one job and read its result. A file and a session of its own: some peers leave processes behind."""
    python, *arguments = map(str, words)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [python, str(JOBS), *arguments], stdout=output, stderr=subprocess.STDOUT, start_new_session=True, text=True
        )
        try:
            code: int | str = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = f"does not end within {patience:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        lines = [line for line in output.read().splitlines() if line.strip()]
    results = [line for line in lines if line.startswith("{")]
    if code or not results:
        reason = next((line for line in reversed(lines) if "Error" in line), code)
        raise RuntimeError(reason if code == 1 else code)
    result: dict[str, Any] = json.loads(results[-1])
    return result


def best(repeat: int, *words: object) -> dict[str, Any]:
    """The run with the least CPU time of some."""
    return min((run(*words) for _ in range(repeat)), key=lambda got: float(got["cpu"]))


def resumed(python: str, job: str, data: Path, work: Path) -> str:
    """Samples repeated and lost when one process stops and another goes on from its state."""
    state = work / "state"
    state.unlink(missing_ok=True)
    try:
        first, rest = run(python, "resume", job, data, state)["keys"], run(python, "resume", job, data, state)["keys"]
    except RuntimeError as error:
        return f"fails: {str(error)[:100]} |"
    finally:
        state.unlink(missing_ok=True)
    wanted = set(keys_of(work))
    seen = [*first, *rest]
    return f"{len(seen) - len(set(seen))} | {len(wanted - set(seen))}"


def keys_of(work: Path) -> list[str]:
    """Keys of all samples."""
    import pyarrow.parquet as pq

    keys: list[str] = pq.read_table(work / "wds" / "index" / "ocr_full-train.parquet", columns=["key"])[
        "key"
    ].to_pylist()
    return keys


def elastic(data: Path) -> str:
    """Ours on a changed world size."""
    from mmprolong_data.loader import PageStream

    def rank(number: int, ranks: int) -> PageStream:
        return PageStream(data, "ocr_full", pack=False, max_tokens=1 << 30, pixels=None, rank=number, world_size=ranks)

    seen, state = [], None
    for number in range(8):
        stream = rank(number, 8)
        iterator = iter(stream)
        seen += [next(iterator).samples[0].record["id"] for _ in range(2)]
        state = stream.state_dict()
        iterator.close()  # type: ignore[attr-defined]
    for number in range(6):
        stream = rank(number, 6)
        assert state is not None
        stream.load_state_dict(json.loads(json.dumps(state)))
        seen += [pack.samples[0].record["id"] for pack in stream]
    return f"{len(seen) - len(set(seen))} | {len(set(keys_of(data.parent)) - set(seen))}"


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s in all", file=sys.stderr)
