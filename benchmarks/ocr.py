"""OCR against the truth of born-digital pages, beside its peers, in one run: characters, order, headings, kinds, cost.

Pages of real PDFs become scans (``ocr_scans.py``); what their text layer says is the truth. A character counts as right
where the nearest passage of an engine's text has it (Levenshtein, by line of the truth); lines of formulas or signs are
left out.
Order is the longest run of lines found in the right sequence, as a share of the lines found; lines whose text comes
back on their page are left out. Peers run in the environments that are named; what is not named is not run.

    python benchmarks/ocr.py PDF_FOLDER [--only text,headings,routing,check] [--more PDF_FOLDER]
        [--pages 40] [--results FOLDER] [--engines small,tiny,...]
        [--peer tesseract=.venv/bin/python] [--peer rapidocr=OTHER/bin/python]

With ``--results`` the text table is made in parts: a run reads with the engines it names and prints all rows so far;
the headings table and the check's keep the pages that they have read. Headings, routing and check are measured on the
PDFs of ``--more`` (if there are none, of PDF_FOLDER), which no rule was tuned on.

Needs: pip install -e ".[build,ocr,demo,dev]" rapidfuzz
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ocr_check import check_table
from ocr_headings import headings_table
from ocr_routing import routing_table
from ocr_text import text_table


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--more", type=Path, action="append", default=[], help="PDFs for routing, not tuned on")
    parser.add_argument("--documents", type=int, default=110, help="documents of the routing table")
    parser.add_argument("--checked", type=int, default=200, help="documents of the check's table")
    parser.add_argument("--headed", type=int, default=40, help="documents of the headings table, four pages of each")
    parser.add_argument("--pages", type=int, default=40, help="pages of the text table")
    parser.add_argument("--skip", type=int, default=0, help="leave out the documents of a text table of so many pages")
    parser.add_argument("--engines", default="small,tiny,tesseract", help="our settings to run")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--results", type=Path, help="a folder that keeps the rows of the text table between runs")
    parser.add_argument("--only", default="text,headings,routing,check")
    options = parser.parse_args()
    peers = dict(item.split("=", 1) for item in options.peer)
    results = options.results or Path(tempfile.mkdtemp())
    engines = [e for e in options.engines.split(",") if e]
    folders = options.more or [options.corpus]
    if "routing" in options.only:
        routing_table(folders, options.documents)
    if "check" in options.only:
        check_table(folders, options.checked, results)
    if "headings" in options.only:
        headings_table(folders, [e for e in engines if e != "tesseract"], options.headed, 4, results)
    if "text" in options.only:
        text_table([options.corpus, *options.more], options.pages, engines, peers, results, options.skip)


if __name__ == "__main__":
    sys.exit(main())
