"""Which URLs can hold a build."""

from __future__ import annotations

from urllib.parse import urlsplit

from mmprolong_data.errors import SettingsError

PROTOCOLS = ("s3", "gs")
"""Those in which an object is there as a whole or not at all, and can be copied on the server."""
_ALIASES = {"s3a": "s3", "gcs": "gs"}


def check_out_url(url: str) -> tuple[str, str]:
    """Look at a URL that a dataset shall be written to, before anything is opened.

    Returns:
        The URL of the folder that it lies in, and its name there.

    Raises:
        SettingsError: it cannot hold a dataset, or has credentials in it, which are not repeated.
    """
    parts = urlsplit(url)
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    if scheme == "hf":
        raise SettingsError(
            "hf://...: a build there would be a commit an object. Remedy: a folder or a bucket, then mmprolong push"
        )
    if "::" in url or scheme not in PROTOCOLS:
        raise SettingsError(f"{parts.scheme}://...: cannot be written. Remedy: --out a folder, s3://... or gs://...")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise SettingsError(
            f"{parts.scheme}://...: a user name, password or query in it. Remedy: credentials in the environment"
        )
    names = parts.path.strip("/").split("/")
    if not parts.netloc or not all(names) or {".", ".."} & set(names):
        raise SettingsError(f"{url}: name a bucket and a folder in it, such as {parts.scheme}://BUCKET/mmprolong")
    return "/".join([f"{scheme}://{parts.netloc}", *names[:-1]]), names[-1]
