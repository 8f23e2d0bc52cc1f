"""The main job in one go: PDFs -> dataset -> load_dataset -> one question, its answer and its evidence page.

Run by ``make demo``. The folder given holds the demo's PDFs (written by us unless --pdfs is given) and the dataset.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path


def run(*command: str, cwd: Path) -> None:
    """Show a command as a user would type it, and run it; stop with its exit code if it fails."""
    print(f"\n$ {' '.join(command)}", flush=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    code = subprocess.run(command, cwd=cwd, env=environment, check=False).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Build, verify, load and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pdfs", type=Path, help="use these PDFs instead of writing some")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if options.pdfs:
        corpus = str(options.pdfs.resolve())
        run("mmprolong", "build", corpus, cwd=folder)
    else:
        corpus = "pdfs"
        run(sys.executable, "-m", "mmprolong_builders.demo", corpus, cwd=folder)
        # One of them is a scan: the faster of the two OCR models reads its 34 pages in a minute.
        run("mmprolong", "build", corpus, "--set", "ocr.model=tiny", cwd=folder)
    run("mmprolong", "verify", "mmprolong", cwd=folder)

    print('\n>>> load_dataset("mmprolong", "extract_multi", split="train", streaming=True)', flush=True)
    os.chdir(folder)
    from datasets import load_dataset

    row = next(iter(load_dataset("mmprolong", "extract_multi", split="train", streaming=True)))
    pages = ", ".join(str(page + 1) for page in row["evidence_pages"])
    print(f"document   {row['doc_id'][:16]}..., {row['num_pages']} page images, {row['num_tokens']:,} tokens")
    print(f"question   {row['question']}")
    print(f"answer     {row['answer']}  ({row['answer_format']})")
    print(f"evidence   page {pages}")
    picture = folder / "evidence.png"
    row["images"][row["evidence_pages"][0]].save(picture)
    print(f"\nThe first evidence page:  {picture}")
    print(f"The report with pictures: {folder / 'mmprolong' / 'report' / 'index.html'}")


if __name__ == "__main__":
    main()
