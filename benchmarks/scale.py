"""Cost of a document as the corpus grows, by engine: local, Ray, and the same work by datatrove and by Ray Data.

Every engine builds the slices of the same frozen plan; the shards must come out alike. ``floor`` is what no build can
avoid (``build.py``): the pages rendered, encoded, and their text read once, in one process. ``bare`` is our code for
slices in one process without a sandbox: what the sandbox costs is the difference to ``local-1``. ``freeze`` is the
inventory and the plan, which come before all. Peers run our code for slices too, in environments of their own, so that
engines are compared, and nothing else. CPU time counts every process that an engine starts.

Pages differ, so cost is told as a multiple of the floor of the same pages. Starting costs the same for any corpus; what
more documents cost is therefore told as ``added``: what the step from one corpus size to the next adds to the CPU time
of ``local-1``, over what it adds to that of the floor.

A line below each table divides ``bare`` by tasks; its ``rest`` is start-up, writing and hashing of shards.

    python benchmarks/scale.py PDF_FOLDER... --work DIR [--counts 25,250,1000] [--only WORDS] [--set key=value]

Measurements are kept in DIR/results.json: what is there is not measured again, so the work can be divided.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path
from typing import Any

from build import FLOOR, sizes_of

JOBS = Path(__file__).with_name("scale_jobs.py")
ROOT = Path(__file__).resolve().parent.parent
PEERS = {"datatrove": "datatrove==0.10.1", "raydata": "ray[data]==2.60.0"}
SETTINGS = ["select.pages=[1,12]", "parse.ocr=never", "pack.documents_per_slice=16"]
MATRIX = {
    "floor": (), "freeze": (), "bare": (), "local-1": (), "local-2": (), "ray-1": (), "ray-2": (),
    "datatrove-1": (250,), "datatrove-2": (250,), "raydata-1": (250,), "raydata-2": (250,),
}  # fmt: skip
"""Job -> the counts at which it is measured; empty: all."""
COMMAND = (
    "import json, resource, sys\nfrom mmprolong_data.cli import main\ncode = main(sys.argv[1:])\n"
    "print(json.dumps({'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))\nsys.exit(code)"
)


def watch(seen: dict[tuple[str, str], float], ended: threading.Event) -> None:
    """Note the CPU seconds of all processes below this one, by (process id, start), until the end."""
    tick = os.sysconf("SC_CLK_TCK")
    while not ended.wait(0.25):
        parents: dict[str, tuple[str, str, float]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                parents[path.parent.name] = (fields[1], fields[19], (int(fields[11]) + int(fields[12])) / tick)
        below = {str(os.getpid())}
        for _ in range(8):  # generations
            below |= {pid for pid, (parent, _, _) in parents.items() if parent in below}
        for pid in below - {str(os.getpid())}:
            _, start, seconds = parents[pid]
            seen[pid, start] = seconds


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command: CPU seconds of it and of all that it started, wall seconds, and what it printed as JSON."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    seen: dict[tuple[str, str], float] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(seen, ended), daemon=True)
    watcher.start()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    # Daemons of an engine have become our children (see ``main``): their time counts too.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)
        except ChildProcessError:
            break
    ended.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Ray does not wait for its workers, so that the system forgets their time: what was seen of them counts.
    cpu = max(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, sum(seen.values()))
    line = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("{")), "{}")
    return {"cpu": cpu, "wall": wall} | json.loads(line)


def peer(name: str, work: Path) -> str:
    """The Python of an environment that has a peer and this package."""
    folder = work / "peers" / name
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, PEERS[name], "--editable", f"{ROOT}[build]"], check=True)
        (folder / "done").touch()
    return str(python)


def command_line(corpus: Path, out: Path, settings: list[str], workers: int, *more: str) -> list[str]:
    """A build, by a Python that prints its peak memory."""
    words = ["build", str(corpus), "--out", str(out), "--workers", str(workers), "--no-report", *more]
    for setting in settings:
        words += ["--set", setting]
    return [sys.executable, "-c", COMMAND, *words]


def digest(out: Path) -> str:
    """Of the shards of all slices."""
    sidecars = [json.loads(path.read_bytes()) for path in sorted(out.glob(".work/*/pack/*.json"))]
    hashes = [{name: info["sha256"] for name, info in sidecar["shards"].items()} for sidecar in sidecars]
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def run(job: str, count: int, options: argparse.Namespace, files: list[str]) -> dict[str, Any]:
    """Measure one job."""
    work: Path = options.work
    corpus, frozen, out = work / f"{count}.txt", work / f"frozen-{count}", work / "out"
    corpus.write_text("\n".join(files[:count]))
    engine, _, number = job.partition("-")
    workers = int(number or 1)
    if engine == "freeze" or not frozen.exists():
        shutil.rmtree(frozen, ignore_errors=True)
        # A part without slices: the inventory is taken, the plan frozen, and nothing built.
        result = measured(command_line(corpus, frozen, options.set, 1, "--part", "99999/100000"))
        if engine == "freeze":
            return result
    shutil.rmtree(out, ignore_errors=True)
    if engine == "floor":
        documents = work / f"sizes-{count}.json"
        if not documents.exists():
            sys.exit(f"floor at {count}: measure local-1 first")
        return measured([sys.executable, "-c", FLOOR, str(documents)])
    shutil.copytree(frozen, out)
    if engine in ("local", "ray"):
        more = ["--engine", "ray"] if engine == "ray" else ["--part", "0/1"]  # Ray publishes too: it has no parts
        result = measured(command_line(corpus, out, options.set, workers, *more))
    else:
        python = sys.executable if engine == "bare" else peer(engine, work)
        result = measured([python, str(JOBS), engine, str(out), str(workers)])
    documents = sizes_of(out)
    result |= {"digest": digest(out), "documents": len(documents), "pages": sum(len(s) for _, s in documents)}
    (work / f"sizes-{count}.json").write_text(json.dumps(documents))
    shutil.rmtree(out)
    return result


def show(results: dict[str, dict[str, Any]], counts: list[int]) -> None:
    """Print the tables."""
    previous: dict[str, Any] | None = None
    for count in counts:
        own = {job: results[f"{job}@{count}"] for job in MATRIX if f"{job}@{count}" in results}
        if not {"floor", "local-1"} <= own.keys():
            continue
        documents, pages = own["local-1"]["documents"], own["local-1"]["pages"]
        print(f"\n{count} PDFs: {documents} used, {pages} pages")
        print(f"{'':12} {'CPU s':>8} {'ms/page':>8} {'x floor':>8} {'wall s':>8} {'peak MB':>8}  same shards")
        floor = own["floor"]["cpu"]
        for job, result in own.items():
            same = "" if "digest" not in result else str(result["digest"] == own["local-1"]["digest"]).lower()
            print(
                f"{job:12} {result['cpu']:8.1f} {1000 * result['cpu'] / pages:8.2f} {result['cpu'] / floor:8.2f}"
                f" {result['wall']:8.1f} {result.get('peak', 0):8.0f}  {same}"
            )
        lines = []
        if previous is not None:
            added = [own[job]["cpu"] - previous[job]["cpu"] for job in ("local-1", "floor")]
            lines.append(f"added: {added[0] / added[1]:.2f} x floor")
        previous = own
        if "local-2" in own:
            lines.append(f"2 workers: {2 * own['local-1']['cpu'] / own['local-2']['cpu']:.2f} x 1, by CPU time")
        if "bare" in own:
            lines.append(f"isolation: {own['local-1']['cpu'] / own['bare']['cpu'] - 1:+.1%}")
            parts = dict(own["bare"].get("tasks", {}))
            parts["rest"] = own["bare"]["cpu"] - sum(parts.values())
            lines.append("CPU ms a page: " + ", ".join(f"{k} {1000 * v / pages:.2f}" for k, v in parts.items()))
        print("\n".join(lines))


def main() -> None:
    """Read the arguments, measure what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--counts", default="25,250,1000")
    parser.add_argument("--only", default="", help="jobs to measure, such as local-1@25,floor@25")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    options.set = SETTINGS + options.set
    options.work.mkdir(parents=True, exist_ok=True)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    files = sorted(
        (str(path.resolve()) for folder in options.corpus for path in folder.rglob("*.pdf")),
        key=lambda path: hashlib.sha256(Path(path).name.encode()).digest(),
    )
    store = options.work / "results.json"
    results: dict[str, dict[str, Any]] = json.loads(store.read_text()) if store.exists() else {}
    counts = [int(word) for word in options.counts.split(",")]
    only = set(filter(None, options.only.split(",")))
    for count in counts:
        for job in sorted(MATRIX, key=lambda job: (job == "floor", job != "local-1")):
            name = f"{job}@{count}"
            if name in results or (only and name not in only) or (MATRIX[job] and count not in MATRIX[job]):
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            results[name] = run(job, count, options, files)
            store.write_text(json.dumps(results, indent=1))
    show(results, counts)


if __name__ == "__main__":
    main()
