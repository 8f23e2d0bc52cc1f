"""Signatures of text and pictures: MinHash of word shingles, hash of a page's words, perceptual hash of a page.

Equal on every machine and in every process: the libraries' parameters are all given here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmprolong_data.errors import missing_extra

SHINGLE = 5
"""Words of a shingle (Broder, "On the resemblance and containment of documents", 1997)."""
PERMUTATIONS = 128
"""Of a document's MinHash: the standard error of a similarity of 0.8 is sqrt(0.8 * 0.2 / 128) = 0.035."""
PAGE_PERMUTATIONS = 64
PICTURE_SIDE = 16
"""A perceptual hash has ``PICTURE_SIDE ** 2`` bits."""
THUMBNAIL = 256
"""Longer side in pixels at which a page is looked at: far more than the hash sees of it."""
LEAST_INK = 6.0
"""Standard deviation of grey values below which a page shows next to nothing; such pages would all be alike."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")

Signature = npt.NDArray[np.uint32]


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation; each Chinese or Japanese character is one."""
    return _WORD.findall(text.casefold())


def shingles(words: Sequence[str], size: int = SHINGLE) -> set[str]:
    """All runs of ``size`` words; of a shorter text, the whole."""
    if len(words) <= size:
        return {" ".join(words)} if words else set()
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


def minhash(parts: set[str], permutations: int = PERMUTATIONS) -> bytes:
    """MinHash of a set: ``permutations`` little-endian uint32."""
    made = _minhash_class()(num_perm=permutations, seed=1, scheme="affine32")
    made.update_batch(sorted(part.encode("utf-8", "replace") for part in parts))
    data: bytes = np.asarray(made.hashvalues).astype("<u4").tobytes()
    return data


def signature(data: bytes) -> Signature:
    """The inverse of ``minhash``."""
    return np.frombuffer(data, "<u4")


def similarity(one: Signature, other: Signature) -> float:
    """Estimate of the Jaccard similarity of two sets from their MinHashes."""
    return float(np.count_nonzero(one == other)) / len(one)


def open_lsh(threshold: float, permutations: int) -> Any:
    """An empty ``datasketch.MinHashLSH``: finds sets whose similarity is likely to reach ``threshold``."""
    try:
        from datasketch import MinHashLSH
    except ImportError:
        raise missing_extra("datasketch", "curate") from None
    # Rather too many candidates than too few: each is compared in full.
    return MinHashLSH(threshold=threshold, num_perm=permutations, weights=(0.2, 0.8))


def lsh_entry(data: Signature) -> Any:
    """A signature as ``open_lsh`` takes it."""
    return _minhash_class()(num_perm=len(data), seed=1, scheme="affine32", hashvalues=data)


def page_digest(words: Sequence[str]) -> bytes:
    """8 bytes that are equal for pages of equal words."""
    return hashlib.sha256(" ".join(words).encode("utf-8", "replace")).digest()[:8]


def picture_hash(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Perceptual hash (DCT) of a page's picture, 32 bytes; empty where the page shows next to nothing.

    Args:
        pixels: Height x width x 3, RGB, at about ``THUMBNAIL`` pixels.
    """
    try:
        import imagehash
    except ImportError:
        raise missing_extra("imagehash", "curate") from None
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L")
    if float(np.asarray(grey).std()) < LEAST_INK:
        return b""
    return np.packbits(imagehash.phash(grey, hash_size=PICTURE_SIDE).hash).tobytes()


def thumbnail_size(width: float, height: float) -> tuple[int, int]:
    """Pixels of a page's or picture's thumbnail, of the same shape."""
    scale = THUMBNAIL / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _minhash_class() -> Any:
    try:
        from datasketch import MinHash
    except ImportError:
        raise missing_extra("datasketch", "curate") from None
    return MinHash
