"""Bytes that publishing sends, beside ``datasets.push_to_hub``, to a Hub on loopback with the genuine client.

From N documents of the given folders four datasets are built: one config; two configs; two configs with 1 % more
documents; the same with the setting ``version`` raised, which stands in every sample. They are pushed one after the
other with Xet, with plain LFS, and with ``datasets.push_to_hub``. Then a first push is killed (kill -9) at half of its
bytes and run again. "new" is what a step sends as a share of the data files of its version; "same" is how much of the
data that the Hub could know was not sent again, and for the killed push both attempts over one that is not killed.
Xet's storage is its local one (the bytes of its xorbs and shards); LFS counts the bodies of the uploads.

    python benchmarks/publish.py PDF_FOLDER [PDF_FOLDER ...] --work DIR [--documents 100] [--container parquet]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from hub_server import HubServer

PAGES = (16, 50)
REPO = "org/bench"
WHOLE = "first push of two configs"
MMPROLONG = [sys.executable, "-m", "mmprolong_data.cli"]
PEER = """
import sys
from datasets import load_dataset
for config in sys.argv[3:]:
    rows = load_dataset("parquet", data_files=f"{sys.argv[1]}/data/{config}/*.parquet", split="train")
    rows.push_to_hub(sys.argv[2], config, max_shard_size="256MB")
"""


def choose(folders: list[str], work: Path, count: int) -> dict[str, str]:
    """SHA-256 -> path of the first ``count`` different PDFs of a length that a build uses, by their paths."""
    import pyarrow.parquet as pq

    scan = work / "scan"
    command = [*MMPROLONG, "build", *folders, "--out", str(scan), "--dry-run", "--set", f"select.pages={list(PAGES)}"]
    subprocess.run(command, check=True, capture_output=True)
    columns = ["path", "sha256", "pages", "reason"]
    table = pq.read_table(scan / ".work" / "inventory.parquet", columns=columns).to_pylist()
    fit = {r["sha256"]: r["path"] for r in table if not r["reason"] and PAGES[0] <= r["pages"] <= PAGES[1]}
    return dict(sorted(fit.items(), key=lambda item: item[1])[:count])


def hold_out(root: Path, count: int) -> set[str]:
    """Documents from the middle of the plan's order (by hash) that have samples in every config."""
    import pyarrow.parquet as pq

    configs = set(json.loads((root / "manifest.json").read_bytes())["samples"])
    rows = pq.read_table(root / "index" / "documents.parquet", columns=["doc_id", "samples"]).to_pylist()
    whole = sorted(row["doc_id"] for row in rows if set(json.loads(row["samples"])) == configs)
    return set(whole[len(whole) // 2 :][:count])


def build(work: Path, name: str, documents: list[str], configs: list[str], version: str, container: str) -> Path:
    """Build a dataset unless an earlier run did."""
    out = work / f"{name}-{container}"
    if not (out / "manifest.json").is_file():
        listing = work / f"{name}.txt"
        listing.write_text("\n".join(documents))
        command = [*MMPROLONG, "build", str(listing), "--out", str(out), "--no-report", "--format", container]
        settings = [
            f"select.pages={list(PAGES)}",
            "select.validation=0",
            f"tasks.configs={configs}",
            f"version={version}",
        ]
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True, capture_output=True)
    return out


def data_bytes(root: Path) -> int:
    """Bytes of all shards."""
    return sum(shard["bytes"] for shard in json.loads((root / "manifest.json").read_bytes())["shards"])


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command. Returns its CPU and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} failed:\n{done.stdout}{done.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


def push(root: Path, version: str = "") -> list[str]:
    """The command that publishes a dataset."""
    return [*MMPROLONG, "push", str(root), REPO, *(["--version", version] if version else [])]


SENT: dict[tuple[str, str], int] = {}
"""(way, step) -> bytes sent."""


def compare(work: Path, steps: list[tuple[str, Path, str, int, list[str]]], way: str) -> None:
    """Run all steps against a fresh Hub and print a row each.

    ``steps``: name, dataset, version, bytes that the Hub could know already, configs.
    """
    folder = work / f"hub-{way.replace(' ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    with HubServer(folder) as hub:
        environment = hub.environment(folder / "cache", xet=way != "push, LFS")
        for name, root, version, known, configs in steps:
            before = hub.stored_bytes()
            if way == "push_to_hub":
                command = [sys.executable, "-c", PEER, str(root), REPO, *configs]
            else:
                command = push(root, version)
            cpu, wall = measured(command, environment)
            sent, total = hub.stored_bytes() - before, data_bytes(root)
            same = f"{100 * (1 - max(0, sent - (total - known)) / known):.1f} %" if known else ""
            SENT[way, name] = sent
            print(
                f"{way:12} {name:28} {total / 1e6:9.1f} {sent / 1e6:9.1f} {100 * sent / total:7.1f} % {same:>8}"
                f" {cpu:7.1f} {wall:7.1f}",
                flush=True,
            )
    shutil.rmtree(folder, ignore_errors=True)


def killed(work: Path, root: Path, xet: bool) -> None:
    """Kill a push at half of its bytes, run it again, and print what both sent."""
    folder = work / "hub-killed"
    shutil.rmtree(folder, ignore_errors=True)
    with HubServer(folder) as hub:
        environment = os.environ | hub.environment(folder / "cache", xet=xet)
        total = data_bytes(root)
        process = subprocess.Popen(push(root), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        whole = SENT["push, Xet" if xet else "push, LFS", WHOLE]
        while hub.stored_bytes() < whole / 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        at_kill = hub.stored_bytes()
        cpu, wall = measured(push(root), dict(environment))
        sent = hub.stored_bytes()
        way = "push, Xet" if xet else "push, LFS"
        print(
            f"{way:12} {'killed at ' + format(at_kill / 1e6, '.1f') + ' MB, resumed':28} {total / 1e6:9.1f}"
            f" {(sent - at_kill) / 1e6:9.1f} {'':9} {f'x{sent / whole:.3f}':>8} {cpu:7.1f} {wall:7.1f}",
            flush=True,
        )
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--work", type=Path, required=True, help="folder for datasets (kept) and storage (deleted)")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--container", choices=("parquet", "webdataset"), default="parquet")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    more = max(1, options.documents // 100)
    documents = choose(options.corpus, options.work, options.documents + more)
    one, two = ["extract_single"], ["extract_single", "extract_multi"]
    everything = build(options.work, "more", list(documents.values()), two, "1.0.0", options.container)
    new = hold_out(everything, more)
    old = [path for doc_id, path in documents.items() if doc_id not in new]
    built = [
        build(options.work, "one", old, one, "1.0.0", options.container),
        build(options.work, "two", old, two, "1.0.0", options.container),
        everything,
        build(options.work, "rebuilt", list(documents.values()), two, "1.3.0", options.container),
    ]
    sizes = [data_bytes(root) for root in built]
    found = [json.loads((root / "manifest.json").read_bytes())["documents"]["used"] for root in built]
    print(f"{found[1]} documents used, {found[2]} in version n+1; {options.container}; MB = 10^6 bytes\n")
    print(f"{'way':12} {'step':28} {'data MB':>9} {'sent MB':>9} {'new':>9} {'same':>8} {'CPU s':>7} {'wall s':>7}")
    steps = [
        ("first push", built[0], "", 0, one),
        ("unchanged", built[0], "", sizes[0], one),
        ("second config, same documents", built[1], "1.1.0", sizes[1], two),
        ("version n+1, 1 % new", built[2], "1.2.0", sizes[1], two),
        ("all samples rebuilt for n+2", built[3], "", sizes[2], two),
    ]
    for way in ("push, Xet", "push, LFS", *(("push_to_hub",) if options.container == "parquet" else ())):
        compare(options.work, steps, way)
        if way != "push_to_hub":
            compare(options.work, [(WHOLE, built[1], "1.1.0", 0, two)], way)
    for xet in (True, False):
        killed(options.work, built[1], xet)


if __name__ == "__main__":
    main()
