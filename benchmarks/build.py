"""CPU time of a whole build against its floor, side by side, and the parent's memory as the corpus grows.

The floor is what no build can avoid: PyMuPDF renders every page at the same size, simplejpeg encodes it as the
build does, and ``get_text("dict")`` reads its text, in one process without any isolation, on the very documents that
the build used.

    python benchmarks/build.py PDF_FOLDER [PDF_FOLDER ...] [--workers 2] [--repeat 3]
    python benchmarks/build.py PDF_FOLDER --memory 25,250,1000 --set select.pages=[1,60]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOOR = """
import json, sys, time
import numpy as np, pymupdf, simplejpeg
pymupdf.TOOLS.mupdf_display_errors(False)
pages = 0
started = time.process_time()
for path, sizes in json.load(open(sys.argv[1])):
    with pymupdf.open(path) as document:
        for page, (width, height) in zip(document, sizes):
            page.get_text("dict")
            box = page.rect
            matrix = pymupdf.Matrix((width - 1e-3) / box.width, (height - 1e-3) / box.height)
            pixmap = page.get_pixmap(matrix=matrix, alpha=False)
            assert (pixmap.width, pixmap.height) == (width, height)
            pixels = np.frombuffer(pixmap.samples_mv, dtype=np.uint8).reshape(height, width, 3)
            simplejpeg.encode_jpeg(pixels, quality=85, colorsubsampling="420")
            del pixels
            pages += 1
print(json.dumps({"cpu": time.process_time() - started, "pages": pages}))
"""


def measured(command: list[str]) -> tuple[float, float, str]:
    """Run a command. Returns its CPU seconds (with all its children), wall seconds and output."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout


def sizes_of(out: Path) -> list[tuple[str, list[list[int]]]]:
    """Path and page sizes (pixels) of every document that a build rendered, from its work folder."""
    import pyarrow.parquet as pq
    from mmprolong_builders.stages import read_records, unpack_record

    work = next(path.parent for path in out.glob(".work/*/plan.parquet"))
    paths = {row["doc_id"]: row["path"] for row in pq.read_table(work / "plan.parquet").to_pylist()}
    found = []
    for cell in sorted(work.glob("qa/*.msgpack")):
        records = {r["doc_id"]: unpack_record(r["record"]) for r in read_records(cell) if "record" in r}
        found += [(paths[doc_id], content["sizes"]) for doc_id, content in records.items() if content["items"]]
    return found


def build(corpus: list[str], out: Path, options: argparse.Namespace) -> list[str]:
    """The command line of a build without the report's pictures."""
    command = [sys.executable, "-m", "mmprolong_data.cli", "build", *corpus, "--out", str(out), "--no-report"]
    command += ["--workers", str(options.workers)]
    for setting in options.set:
        command += ["--set", setting]
    return command


def compare(options: argparse.Namespace) -> None:
    """Print the table: floor and build, median of ``--repeat`` alternating runs."""
    rows: dict[str, list[tuple[float, float]]] = {"floor": [], "build": []}
    with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
        for i in range(options.repeat):
            out = Path(folder) / str(i)
            cpu, wall, _ = measured(build(options.corpus, out, options))
            rows["build"].append((cpu, wall))
            work = Path(folder) / "documents.json"
            work.write_text(json.dumps(sizes_of(out)))
            _, wall, output = measured([sys.executable, "-c", FLOOR, str(work)])
            result = json.loads(output)
            rows["floor"].append((result["cpu"], wall))
            manifest = json.loads((out / "manifest.json").read_bytes())
            written = sum(shard["bytes"] for shard in manifest["shards"])
            subprocess.run(["rm", "-rf", str(out)], check=True)
    pages = result["pages"]
    documents, samples = manifest["documents"], manifest["samples"]
    found, used = documents["found"], documents["used"]
    print(f"{found} documents found, {used} used, {pages} pages; {written / 1e6:.0f} MB written")
    print("samples:", ", ".join(f"{config} {sum(splits.values())}" for config, splits in sorted(samples.items())))
    print(f"\n{'':8} {'CPU ms/page':>12} {'CPU s':>8} {'wall s':>8} {'x floor':>8}")
    floor = statistics.median(cpu for cpu, _ in rows["floor"])
    for name, values in rows.items():
        cpu, wall = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:8} {1000 * cpu / pages:12.2f} {cpu:8.2f} {wall:8.2f} {cpu / floor:8.2f}")


def memory(options: argparse.Namespace) -> None:
    """Print the parent's peak memory for growing numbers of PDFs."""
    files = sorted(str(path) for folder in options.corpus for path in Path(folder).rglob("*.pdf"))
    code = (
        "import json, resource, sys\nfrom mmprolong_data.cli import main\ncode = main(sys.argv[1:])\n"
        "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\nsys.exit(code)"
    )
    print(f"{'PDFs':>6} {'used':>6} {'pages':>8} {'parent peak MB':>15} {'CPU s':>8} {'wall s':>8}")
    for count in options.memory:
        with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
            listing = Path(folder) / "list.txt"
            listing.write_text("\n".join(files[:count]))
            out = Path(folder) / "out"
            arguments = build([str(listing)], out, options)[3:]
            cpu, wall, output = measured([sys.executable, "-c", code, *arguments])
            peak = int(output.rpartition("PEAK")[2]) / 1024
            used = json.loads((out / "manifest.json").read_bytes())["documents"]["used"]
            pages = sum(len(sizes) for _, sizes in sizes_of(out))
            print(f"{min(count, len(files)):6} {used:6} {pages:8} {peak:15.0f} {cpu:8.1f} {wall:8.1f}", flush=True)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--memory", type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--tmp", help="folder for the datasets (default: the system's)")
    options = parser.parse_args()
    memory(options) if options.memory else compare(options)


if __name__ == "__main__":
    main()
