"""What the evaluation harness costs: items a second with a backend that answers at once, and memory at 512K tokens.

    python benchmarks/evaluate.py [SUITE]

SUITE is a folder of ``mmprolong build-probe``; without one a small suite is made from generated pages, up to 512K.
Each case runs in a process of its own, after one that has read every file, so that all find them in the system's cache.
Aim: more than 200 items/s, so that the harness never is the bottleneck.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ITEMS = 5000


def main() -> None:
    """Run all cases and print a table."""
    if len(sys.argv) == 4 and sys.argv[1] == "--case":
        print(json.dumps(case(sys.argv[2], Path(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(sys.argv[1]) if len(sys.argv) > 1 else make_suite(Path(folder))
        for path in sorted(suite.rglob("*.parquet")):
            with path.open("rb") as stream:
                while stream.read(1 << 24):
                    pass
        print(f"{'case':<52}{'items':>7}{'items/s':>10}{'CPU ms/item':>13}{'MB/item':>9}{'peak MB':>9}")
        for name in (
            "synthetic",
            "synthetic-http-threads",
            "rerun",
            "no-pages",
            "pages",
            "reopen",
            "pages-128K",
            "floor",
            "pages-512K",
        ):
            output = subprocess.run(
                [sys.executable, __file__, "--case", name, str(suite)], check=True, capture_output=True, text=True
            ).stdout
            row = json.loads(output.splitlines()[-1])
            print(
                f"{row['name']:<52}{row['items']:>7,}{row['items'] / row['seconds']:>10,.0f}"
                f"{1000 * row['cpu'] / row['items']:>13.2f}{row['megabytes']:>9.1f}{row['peak']:>9,.0f}",
                flush=True,
            )


def case(name: str, suite_folder: Path) -> dict[str, object]:
    """Measure one case in this process."""
    from mmprolong_trainer.evaluate.backends.scripted import oracle
    from mmprolong_trainer.evaluate.evaluation import evaluate
    from mmprolong_trainer.evaluate.items import Item, Suite
    from mmprolong_trainer.evaluate.suites import choose, open_suite

    titles = {
        "synthetic": f"{ITEMS:,} short items, report and bootstrap included",
        "synthetic-http-threads": "the same with 8 threads",
        "rerun": "the same again, everything answered already",
        "no-pages": "probe suite, pages not read",
        "pages": "probe suite, every page read",
        "reopen": "the same rows, the shard opened for each of them",
        "floor": "floor: the same rows read with pyarrow alone",
        "pages-128K": "probe suite up to 128K, every page read",
        "pages-512K": "probe suite at 512K, every page read",
    }
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as out:
        if name.startswith("synthetic") or name == "rerun":
            items = [
                Item(
                    f"i{n}", f"task{n % 5}", (f"question {n}",), (), list, "?", str(n), "Integer",
                    length=8192 << (n % 5), depth=(n % 10) / 9,
                )
                for n in range(ITEMS)
            ]  # fmt: skip
            suite, backend = Suite("synthetic", items), oracle()
            if name == "synthetic-http-threads":
                backend.concurrency = 8
            if name == "rerun":
                evaluate(suite, backend, Path(out))
                begun, cpu = time.perf_counter(), time.process_time()
            evaluate(suite, backend, Path(out))
            size = 0
        elif name in ("floor", "reopen"):
            suite, size = (floor if name == "floor" else reopen)(suite_folder)
        else:
            suite = open_suite("probe", suite_folder)
            lengths = sorted({item.length for item in suite.items})
            if name == "pages-512K":
                suite = choose(suite, lengths=lengths[-1:])
            elif name == "pages-128K":
                suite = choose(suite, lengths=[length for length in lengths if length <= 131_072])
            evaluate(suite, oracle(load_pages=name != "no-pages"), Path(out))
            size = 0
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    if name.startswith("pages"):
        size = sum(sum(map(len, item.load())) for item in suite.items)
    megabytes = size / 1e6 / len(suite.items)
    values = {"name": titles[name], "items": len(suite.items), "seconds": seconds, "cpu": used}
    return values | {"peak": peak, "megabytes": megabytes}


def floor(folder: Path):  # type: ignore[no-untyped-def]
    """Read every row of the suite with pyarrow and nothing else; returns the suite and the bytes of its pages."""
    import pyarrow.parquet as pq
    from mmprolong_trainer.evaluate.suites import open_suite

    size = 0
    for path in sorted(folder.glob("data/*/*.parquet")):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            row = file.read_row_group(group, use_threads=False).to_pylist()[0]
            size += sum(len(image["bytes"]) for image in row["images"])
    return open_suite("probe", folder), size


def reopen(folder: Path):  # type: ignore[no-untyped-def]
    """Read every sample on its own, as a reader without state has to."""
    from mmprolong_trainer.evaluate.suites import open_suite

    from mmprolong_data.index import read_index
    from mmprolong_data.shards import read_sample

    rows = [row for path in sorted(folder.glob("index/*-validation.parquet")) for row in read_index(path)]
    size = sum(sum(map(len, read_sample(folder / row.shard, row).images)) for row in rows)
    return open_suite("probe", folder), size


def make_suite(folder: Path) -> Path:
    """A suite of two tasks up to 512K tokens, from noise of the size of a page."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from mmprolong_trainer.evaluate.probe.build import build_probe
    from mmprolong_trainer.evaluate.probe.settings import ProbeSettings
    from support.samples import document_pages, make_sample, write_dataset

    samples = [
        make_sample(
            n, "reasoning", 40, images=document_pages(n, 40, 1176, 1680), answer=str(n), answer_format="Integer"
        )
        for n in range(8)
    ]
    write_dataset(folder / "dataset", shards={("reasoning", "validation"): [samples]})
    lengths = [8192, 65536, 131_072, 524_288]
    build_probe(
        folder / "dataset", folder / "suite", ProbeSettings(lengths=lengths, tasks=["reasoning", "planted_code"])
    )
    return folder / "suite"


if __name__ == "__main__":
    main()
