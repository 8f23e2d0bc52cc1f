"""A large corpus: time and memory of looking at its files again and of planning it, and the plan beside the paper's.

The inventory holds no real files: lengths follow the paper's pool (20-200 pages, mean 23.8), page sizes are A4, letter,
slides and mixed, and 3 % of the files are unusable. It is written as Parquet first. Then two processes of their own, of
which peak memory is printed, retake it (a server lists the same files again, one of a thousand was removed) and plan
it. ``above start`` is what taking it needs beyond the program itself, before the result is read back for the plan.
Hours are CPU time at ``--cpu-ms-per-page``, which ``benchmarks/build.py`` measures.

    python benchmarks/scale_plan.py [--rows 1500000] [--token-budget 5000000000] [--cpu-ms-per-page 17]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mmprolong_builders import ingest
from mmprolong_builders.ingest import INVENTORY_SCHEMA
from mmprolong_builders.recipe import Recipe

BOXES = [(595.276, 841.89), (612.0, 792.0), (720.0, 405.0), (841.89, 595.276)]
CHUNK = 100_000

RETAKE = """
import json, resource, sys, time
from pathlib import Path
import pyarrow.parquet as pq
from mmprolong_builders import ingest
from mmprolong_builders.corpus import Found
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.sandbox import SandboxPool

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def files(corpus, store):
    with pq.ParquetFile(sys.argv[1]) as file:
        for batch in file.iter_batches(1000, columns=["path", "bytes", "version"]):
            for number, row in enumerate(batch.to_pylist()):
                if number:
                    yield Found(row["path"], row["bytes"], row["version"])

class Reader:
    @staticmethod
    def read_table(path):
        said["above"], said["wall"], said["cpu"] = peak() - start, time.monotonic() - clock, time.process_time() - used
        return pq.read_table(path)
    def __getattr__(self, name):
        return getattr(pq, name)

said = {}
ingest.list_corpus, ingest.pq = files, Reader()
with SandboxPool(1, Recipe().sandbox) as pool:
    start, clock, used = peak(), time.monotonic(), time.process_time()
    inventory = ingest.take_inventory(["s3://pool"], Path(sys.argv[1]), Recipe(), pool)
print(json.dumps(said | {"peak": peak(), "start": start, "rows": len(inventory)}))
"""

PLAN = """
import json, resource, sys, time
import pyarrow.parquet as pq
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.select import make_plan
from mmprolong_data.settings import load_settings
started, cpu = time.monotonic(), time.process_time()
inventory = pq.read_table(sys.argv[1])
recipe = load_settings(Recipe, None, sys.argv[2:])
plan = make_plan(inventory, recipe)
plan.fingerprint()
plan.fates(inventory)
documents = plan.documents
configs = documents["configs"].combine_chunks()
print(json.dumps({
    "wall": time.monotonic() - started, "cpu": time.process_time() - cpu,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "documents": len(documents), "pages": sum(documents["pages"].to_pylist()),
    "tokens": sum(t * len(c) for t, c in zip(documents["tokens"].to_pylist(), configs.to_pylist())),
    "samples": {c: sum(s.values()) for c, s in sorted(plan.samples().items())},
    "slices": plan.num_slices, "left_out": plan.left_out,
    "shards": len({(n, c) for n, cs in zip(documents["slice"].to_pylist(), configs.to_pylist()) for c in cs}),
}))
"""


def write_inventory(path: Path, rows: int) -> None:
    """Write the simulated inventory, a chunk at a time."""
    chance = np.random.default_rng(0)
    schema = INVENTORY_SCHEMA.with_metadata({"mmprolong_inventory": ingest.inventory_settings(Recipe())})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows, CHUNK):
            count = min(CHUNK, rows - start)
            # 20 pages and more with an exponential tail: mean about 23.8, a tenth of a per cent beyond 45.
            pages = np.clip(20 + chance.exponential(3.9, count), 20, 200).astype(int)
            longer = chance.random(count) < 0.12
            pages[longer] = chance.integers(32, 120, int(longer.sum()))
            mixed, bad = chance.random(count) < 0.1, chance.random(count) < 0.03
            kinds = chance.integers(0, len(BOXES), count)
            columns: dict[str, list[object]] = {name: [] for name in INVENTORY_SCHEMA.names}
            for i in range(count):
                n = int(pages[i])
                boxes = [BOXES[kinds[i]]] if not mixed[i] else [BOXES[0], BOXES[3]]
                repeats = [n] if not mixed[i] else [n - n // 3, n // 3]
                values = {
                    "path": f"s3://pool/{(start + i) // 1000:04d}/document-{start + i:07d}.pdf",
                    "name": f"document-{start + i:07d}.pdf",
                    "sha256": hashlib.sha256(str(start + i).encode()).hexdigest(), "bytes": 40_000 * n, "mtime_ns": 0,
                    "version": hashlib.md5(str(start + i).encode()).hexdigest(),
                    "pages": 0 if bad[i] else n, "widths": [w for w, _ in boxes], "heights": [h for _, h in boxes],
                    "repeats": repeats, "producer": "pdfTeX-1.40.25", "language": "en",
                    "reason": "damaged" if bad[i] else "", "detail": "",
                }  # fmt: skip
                for name, value in values.items():
                    columns[name].append(value)
            writer.write_table(pa.table(columns, schema=schema), row_group_size=16_384)


def run_json(command: list[str]) -> dict[str, Any]:
    """What a process prints as its last line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def main() -> None:
    """Read the arguments, simulate, plan and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--token-budget", type=int, default=5_000_000_000)
    parser.add_argument("--cpu-ms-per-page", type=float, default=17.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.parquet"
        write_inventory(path, options.rows)
        size = path.stat().st_size
        again = run_json([sys.executable, "-c", RETAKE, str(path)])
        command = [sys.executable, "-c", PLAN, str(path), f"select.token_budget={options.token_budget}"]
        plan = run_json(command)
    hours = plan["pages"] * options.cpu_ms_per_page / 3.6e6
    print(f"inventory: {options.rows:,} rows, {size / 1e6:.0f} MB of Parquet")
    print(
        f"retaken: {again['wall']:.1f} s wall, {again['cpu']:.1f} s CPU, {again['above']:.0f} MB above start"
        f" ({again['start']:.0f} MB), {again['peak']:.0f} MB with the table of {again['rows']:,} rows"
    )
    print(f"plan: {plan['wall']:.1f} s wall, {plan['cpu']:.1f} s CPU, peak {plan['peak']:.0f} MB")
    print(f"left out: {plan['left_out']}\n")
    print(f"{'':32} {'this plan':>16} {'paper':>16}")
    samples = plan["samples"]
    rows = [
        ("PDFs in the pool", f"{options.rows:,}", "1,537,504"),
        ("tokens (budget 5B = 1,280 steps)", f"{plan['tokens']:,}", "5 B"),
        *((f"samples {config}", f"{count:,}", "") for config, count in samples.items()),
        ("samples in all", f"{sum(samples.values()):,}", "~59.3 K a set"),
        ("pages a document", f"{plan['pages'] / plan['documents']:.1f}", "38.4"),
        ("K tokens a document", f"{plan['tokens'] / plan['documents'] / 1024:.1f}", "85.3"),
        ("slices = parts at most", f"{plan['slices']:,}", "-"),
        ("shards", f"{plan['shards']:,}", "-"),
        ("TB (80 bytes a token)", f"{plan['tokens'] * 80 / 1e12:.2f}", "-"),
        ("CPU hours", f"{hours:,.0f}", "-"),
    ]
    for name, own, paper in rows:
        print(f"{name:32} {own:>16} {paper:>16}")


if __name__ == "__main__":
    main()
