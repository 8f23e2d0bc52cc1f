"""Near-duplicates among documents, and pages that stand in several of them, from the signatures of their text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from .signatures import PERMUTATIONS, Signature, lsh_entry, open_lsh, similarity


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to compare: ``signature`` and ``pages`` as ``survey.survey_pdf`` gives them."""

    doc_id: str
    name: str
    signature: Signature | None
    shingles: int
    pages: bytes


@dataclass(slots=True)
class Cluster:
    """Documents of nearly equal text: the one that is kept, and ``(doc_id, name, similarity to it)`` of the others."""

    kept: str
    name: str
    others: list[tuple[str, str, float]] = field(default_factory=list)


def find_clusters(entries: Sequence[Entry], threshold: float) -> list[Cluster]:
    """Group documents whose texts have a Jaccard similarity of at least ``threshold`` to the one that is kept.

    The rule: documents are taken in the order of how much text they have (distinct runs of words), the hash deciding
    between equals. Each is kept unless it is similar enough to one that is kept already; then it belongs to the most
    similar of these. So every document left out is nearly equal to a kept one, never only to another one left out.

    Returns:
        Clusters of two or more documents, by the name and hash of the kept one. A pure function of the set of entries.
    """
    lsh = open_lsh(threshold, PERMUTATIONS)
    kept: dict[int, Cluster] = {}
    order = sorted(range(len(entries)), key=lambda i: (-entries[i].shingles, entries[i].doc_id))
    for i in order:
        own = entries[i].signature
        if own is None:
            continue
        best: tuple[float, int] | None = None
        for j in sorted(lsh.query(lsh_entry(own)), key=lambda j: entries[j].doc_id):
            other = entries[j].signature
            assert other is not None
            score = similarity(own, other)
            if score >= threshold and (best is None or score > best[0]):
                best = score, j
        if best is None:
            lsh.insert(i, lsh_entry(own))
            kept[i] = Cluster(entries[i].doc_id, entries[i].name)
        else:
            kept[best[1]].others.append((entries[i].doc_id, entries[i].name, best[0]))
    return sorted((c for c in kept.values() if c.others), key=lambda cluster: (cluster.name, cluster.kept))


@dataclass(frozen=True, slots=True)
class RepeatedPages:
    """Pages whose text stands in more than one document (covers, licences, advertisements).

    Attributes:
        texts: Number of different texts that repeat.
        pages: Pages that show one of them.
        shares: Document -> the share of its pages whose text stands in another document too, where there is any.
        most: Number of documents of the most frequent texts, largest first.
    """

    texts: int
    pages: int
    shares: dict[str, float]
    most: list[int]


def count_repeated(entries: Sequence[Entry]) -> RepeatedPages:
    """Count pages of equal words in different documents."""
    digests = [np.unique(own[own != 0]) for entry in entries for own in (np.frombuffer(entry.pages, "<u8"),)]
    joined = np.concatenate(digests) if digests else np.zeros(0, "<u8")
    values, counts = np.unique(joined, return_counts=True)
    repeated = values[counts > 1]
    shares, total = {}, 0
    for entry in entries:
        own = np.frombuffer(entry.pages, "<u8")
        hits = int(np.isin(own, repeated).sum())
        if hits:
            shares[entry.doc_id] = hits / len(own)
            total += hits
    most = Counter(counts[counts > 1].tolist())
    return RepeatedPages(len(repeated), total, shares, sorted(most.elements(), reverse=True)[:20])


def report_json(clusters: Sequence[Cluster], repeated: RepeatedPages) -> bytes:
    """Clusters and repeated pages, for people and programs."""
    pages = {"texts": repeated.texts, "pages": repeated.pages, "documents_of_most_frequent": repeated.most}
    value = {"clusters": [asdict(cluster) for cluster in clusters], "repeated_pages": pages}
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode()
