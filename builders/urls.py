"""URLs of corpus files as the inventory and messages may show them: without what may be a secret."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from mmprolong_data.remote import redacted

_SIGNATURES = (
    "sig", "signature", "expires", "token", "key", "policy", "key-pair-id", "awsaccesskeyid", "googleaccessid",
    "se", "st", "sp", "sv", "sr", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv",
)  # fmt: skip
"""Words of a query that are credentials or change with them: CloudFront, S3, Google and Azure."""


class HiddenUrls:
    """The secrets of URLs, which nothing but the memory of this process holds. Safe to use from several threads."""

    def __init__(self) -> None:
        self._full: dict[str, str] = {}

    def hide(self, url: str) -> str:
        """The name under which a URL may be stored: without what may be a secret, which only this object keeps.

        User names, passwords and queries of ``http`` URLs are left out. A query may name the file (``?id=5``), so that
        a hash of what is no signature in it takes its place.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not (parts.query or "@" in parts.netloc):
            return url
        told = "&".join(sorted(word for word in parts.query.split("&") if not _is_signature(word)))
        stored = redacted(url) + (f"#{hashlib.sha256(told.encode()).hexdigest()[:12]}" if told else "")
        self._full[stored] = url
        if "@" in parts.netloc:
            host = parts.netloc.rpartition("@")[2]
            self._full[f"{parts.scheme}://{host}"] = f"{parts.scheme}://{parts.netloc}"
        return stored

    def full(self, stored: str) -> str:
        """The inverse of ``hide``; a file beside one whose URL has a user name and password is reached by them too."""
        if stored in self._full:
            return self._full[stored]
        parts = urlsplit(stored)
        if parts.scheme in ("http", "https"):
            server = f"{parts.scheme}://{parts.netloc}"
            return self._full.get(server, server) + stored[len(server) :]
        return stored


def shown(stored: str) -> str:
    """A stored path as a message may show it."""
    return redacted(stored) if urlsplit(stored).scheme in ("http", "https") else stored


def url_name(stored: str) -> str:
    """The file name in a URL."""
    parts = urlsplit(stored)
    if parts.scheme in ("http", "https"):
        return unquote(parts.path.rstrip("/").rpartition("/")[2]).rpartition("/")[2]
    return stored.rstrip("/").rpartition("/")[2]


def version_of(info: Mapping[str, Any]) -> str:
    """What changes when a file behind a URL changes: its ETag or hash, else its time stamp; empty where neither is."""
    for name in ("ETag", "etag", "blob_id", "md5Hash", "content_md5", "sha256", "crc32c", "Content-MD5", "Digest"):
        if info.get(name):
            return str(info[name]).strip('"')
    for name in ("LastModified", "last_modified", "Last-Modified", "mtime", "updated"):
        if info.get(name):
            return str(info[name])
    return ""


def _is_signature(word: str) -> bool:
    name = word.partition("=")[0].lower()
    return name.startswith(("x-amz-", "x-goog-", "x-ms-")) or name in _SIGNATURES
