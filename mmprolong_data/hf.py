"""How stock ``datasets`` sees a dataset: the features of both containers. ``datasets`` is imported only when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Features


def features() -> Features:
    """The flat columns of every config."""
    from datasets import Features, Image, List, Value

    text, number = Value("string"), Value("int32")
    return Features(
        {
            "id": text,
            "doc_id": text,
            "config": text,
            "version": text,
            "num_pages": number,
            "num_tokens": number,
            "images": List(Image()),
            "messages": List({"role": text, "content": List({"type": text, "text": text})}),
            "question": text,
            "answer": text,
            "answer_format": text,
            "evidence_pages": List(number),
            "evidence_sources": List(text),
            "segment": {"start": number, "end": number},
            "generator": text,
            "verification": text,
            "meta": text,
        }
    )


def webdataset_features() -> Features:
    """What stock ``datasets`` reads from a tar: the record as it is, and the pages."""
    from datasets import Features, Image, List, Value

    flat = features()
    record = {name: kind for name, kind in flat.items() if name != "images"}
    return Features(
        {"json": record, "images.mp": List(Image()), "__key__": Value("string"), "__url__": Value("string")}
    )
