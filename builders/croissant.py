"""Croissant metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html) of a dataset, as JSON-LD."""

from __future__ import annotations

import json
from typing import Any

from mmprolong_data.manifest import Manifest
from mmprolong_data.shards import EXTENSION

from .card_info import CardInfo

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context that version 1.0 of the specification prescribes."""
FIELDS = {
    "id": ("sc:Text", "unique key"),
    "doc_id": ("sc:Text", "SHA-256 of the PDF"),
    "num_pages": ("sc:Integer", "pages of the document = images of the sample"),
    "num_tokens": ("sc:Integer", "image and text tokens of the whole conversation"),
    "question": ("sc:Text", "the user's text"),
    "answer": ("sc:Text", "the target; a list is JSON"),
    "answer_format": ("sc:Text", "String, Integer, Float or List"),
    "generator": ("sc:Text", "what wrote the question"),
    "verification": ("sc:Text", "JSON: the checks and their verdicts"),
    "meta": ("sc:Text", "JSON: family, proof, resolution, language"),
}
"""The flat fields of a sample -> their type and meaning."""


def croissant_bytes(manifest: Manifest, info: CardInfo, repo: str) -> bytes:
    """``croissant.json``: one file set and one record set a config.

    Args:
        manifest: Of the dataset.
        info: The publisher's words.
        repo: ``ORG/NAME`` on the Hub; "" for a folder.
    """
    url = f"https://huggingface.co/datasets/{repo}" if repo else "https://arxiv.org/abs/2605.13831"
    base: dict[str, Any] = {
        "@type": "cr:FileObject",
        "@id": "repo",
        "name": "repo",
        "description": "The repository of the dataset.",
        "contentUrl": f"{url}/tree/refs%2Ftags%2Fv{manifest.dataset_version}" if repo else ".",
        "encodingFormat": "git+https",
        "sha256": "https://github.com/mlcommons/croissant/issues/80",  # what the specification asks for a repository
    }
    distribution, records = [base], []
    for config in manifest.configs():
        files, record = _config(config, manifest.container)
        distribution += files
        records.append(record)
    value = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": info.title or repo.rpartition("/")[2] or "mmprolong",
        "description": "Whole PDF documents as page images with questions, answers and the pages that prove them.",
        "license": info.license if info.license != "other" else info.license_name,
        "version": manifest.dataset_version,
        "url": url,
        "citeAs": "arXiv:2605.13831",
        "distribution": distribution,
        "recordSet": records,
    }
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _config(config: str, container: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    shards: dict[str, Any] = {
        "@type": "cr:FileSet",
        "@id": f"{config}-shards",
        "containedIn": {"@id": "repo"},
        "encodingFormat": "application/x-parquet" if container == "parquet" else "application/x-tar",
        "includes": f"data/{config}/*{EXTENSION[container]}",
    }
    files, source = [shards], shards["@id"]
    if container == "webdataset":
        source = f"{config}-records"
        members = {"@type": "cr:FileSet", "@id": source, "containedIn": {"@id": shards["@id"]}}
        files.append(members | {"encodingFormat": "application/json", "includes": "*.json"})
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{config}/{name}",
            "description": meaning,
            "dataType": kind,
            "source": {
                "fileSet": {"@id": source},
                "extract": {"column": name} if container == "parquet" else {"jsonPath": f"$.{name}"},
            },
        }
        for name, (kind, meaning) in FIELDS.items()
    ]
    return files, {"@type": "cr:RecordSet", "@id": config, "key": {"@id": f"{config}/id"}, "field": fields}
