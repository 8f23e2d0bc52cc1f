"""A Hub on loopback: the endpoints that publishing, downloading and streaming a dataset use, and faults on demand.

Standard library only, but for ``hf_xet``, which reads back what the genuine client wrote into the local CAS folder that
the token endpoint hands out. Run it by hand with ``python tests/hub_server.py DIR``; the tests use ``HubServer``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_SUFFIXES = (".parquet", ".tar", ".png", ".jpg", ".bin")
LFS_BYTES = 10_000_000
NEVER = 1 << 40


@dataclass(frozen=True)
class Blob:
    """A file of a commit. ``content`` of a regular file; LFS files lie in the server's folder under their SHA-256."""

    size: int
    sha256: str = ""
    content: bytes = b""
    xet_hash: str = ""

    @property
    def oid(self) -> str:
        """Git's id of the blob (of the pointer where the file is in LFS)."""
        data = self.content
        if self.sha256:
            data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()
        return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A commit: its files, and how it came about."""

    oid: str
    parent: str
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """A dataset repository."""

    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or an oid names."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    def commit(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        """Add a commit to a branch."""
        parent = self.branches.get(branch, "")
        seed = json.dumps([parent, title, len(self.commits), sorted((k, v.oid) for k, v in files.items())])
        made = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, files)
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made


@dataclass
class Fault:
    """What goes wrong: ``times`` requests whose ``METHOD path`` matches, after ``skip`` that pass.

    ``kind``: ``status`` answers with ``status``; ``cut`` closes the connection in the middle of the body; ``slow``
    waits ``seconds`` first; ``hold`` sets ``reached`` and waits for ``release``.
    """

    pattern: str
    kind: str
    times: int = 1
    skip: int = 0
    status: int = 503
    seconds: float = 0.2
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class HubError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class HubServer:
    """The server. ``tokens`` maps a token to its role, ``write`` or ``read``; the user ``org`` owns every namespace."""

    def __init__(self, root: Path, card_check: Callable[[str], list[str]] | None = None) -> None:
        self.root = root
        self.lfs = root / "lfs"
        self.cas = root / "cas"
        for folder in (self.lfs, self.cas):
            folder.mkdir(parents=True, exist_ok=True)
        self.tokens = {"hf_write": "write", "hf_read": "read"}
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.received = 0
        self.card_check = card_check or card_problems
        self.lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for fault in self.faults:
            fault.release.set()
        self._http.shutdown()
        self._http.server_close()

    def environment(self, cache: Path, token: str | None = "hf_write", xet: bool = True) -> dict[str, str]:
        """Variables that point a process at this server, with a cache of its own."""
        values = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache),
            "HF_XET_CACHE": str(cache / "xet"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
        }
        return values | ({"HF_TOKEN": token} if token else {})

    @contextmanager
    def fault(self, pattern: str, kind: str, **values: Any) -> Iterator[Fault]:
        """Something goes wrong while the block runs."""
        fault = Fault(pattern, kind, **values)
        with self.lock:
            self.faults.append(fault)
        try:
            yield fault
        finally:
            fault.release.set()
            with self.lock:
                self.faults.remove(fault)

    def take_fault(self, request: str) -> Fault | None:
        """The fault that this request meets."""
        with self.lock:
            for fault in self.faults:
                if re.search(fault.pattern, request) and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def stored_bytes(self) -> int:
        """Bytes that clients have sent as file content: LFS bodies received, and what Xet wrote into the CAS folder."""
        xorbs = self.cas / "xet" / "xorbs"
        sent = [path for path in xorbs.rglob("*") if path.is_file() and path.suffix not in (".redb", ".tagset")]
        return self.received + sum(path.stat().st_size for path in sent)

    def xet_hash(self, sha256: str) -> tuple[str, int]:
        """Xet's hash and the size of an uploaded file, looked up in the shards that the client wrote; "" if unknown."""
        for path in sorted((self.cas / "xet" / "xorbs" / "shards").glob("*.mdb")):
            for file_hash, size, digest in _xet_files(path.read_bytes()):
                if digest == sha256:
                    return file_hash, size
        return "", 0

    def file(self, blob: Blob) -> Path:
        """Where the content of an LFS file lies; taken out of the CAS first where it came by Xet."""
        path = self.lfs / blob.sha256
        if not path.exists():
            import hf_xet

            with self.lock:
                temporary = path.with_suffix(".part")
                with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{self.cas}") as group:
                    info = hf_xet.XetFileInfo(blob.xet_hash, blob.size)
                    group.start_download_file(info, str(temporary))
                temporary.replace(path)
        return path


def _xet_files(shard: bytes) -> Iterator[tuple[str, int, str]]:
    """(Xet hash, size, SHA-256) of the files in a Xet shard (its file section: rows of 48 bytes)."""
    place = 48
    while place + 48 <= len(shard) and shard[place : place + 32] != b"\xff" * 32:
        flags, count = struct.unpack_from("<II", shard, place + 32)
        entries = place + 48
        size = sum(struct.unpack_from("<I", shard, entries + 48 * i + 36)[0] for i in range(count))
        after = entries + 48 * count * (2 if flags >> 31 else 1)
        if flags >> 30 & 1:
            yield _hash_text(shard[place : place + 32]), size, _hash_text(shard[after : after + 32])
            after += 48
        place = after


def _hash_text(raw: bytes) -> str:
    return "".join(raw[i : i + 8][::-1].hex() for i in range(0, 32, 8))


def card_problems(content: str) -> list[str]:
    """What the Hub's check of a card would refuse, by the client libraries' own readers of the metadata."""
    import yaml
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    if not match:
        return ["no metadata"]
    problems = []
    try:
        raw = yaml.safe_load(match[1])
        data = DatasetCard(content, ignore_metadata_errors=False).data
        configs = MetadataConfigs.from_dataset_card_data(data)
        infos = DatasetInfosDict.from_dataset_card_data(data)
    except Exception as error:  # noqa: BLE001 - whatever the readers raise is a problem of the card
        return [f"{type(error).__name__}: {error}"]
    if set(configs) != set(infos):
        problems.append(f"configs {sorted(configs)} are not those of dataset_info {sorted(infos)}")
    sizes = r"n<1K|1K<n<10K|10K<n<100K|100K<n<1M|1M<n<10M|10M<n<100M|100M<n<1B|n>1T"
    for name, pattern in {
        "license": r"[a-z0-9.+-]+",
        "language": r"[a-z]{2,3}(-[A-Za-z0-9]+)?",
        "size_categories": sizes,
        "task_categories": r"[a-z0-9]+(-[a-z0-9]+)*",
    }.items():
        values = raw.get(name, [])
        own = values if isinstance(values, list) else [values]
        wrong = [value for value in own if not isinstance(value, str) or not re.fullmatch(pattern, value)]
        problems += [f'"{name}" has the value {value!r}' for value in wrong]
    if raw.get("license") == "other" and not raw.get("license_name"):
        problems.append('"license_name" is needed where the licence is "other"')
    return problems


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    _data: bytes | None = None
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self._data = None
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
        fault = self.hub.take_fault(f"{self.command} {path}")
        try:
            if fault is not None and self._suffer(fault):
                return
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, url.path)
                if match and self.command in method.split("|"):
                    answer(self, *(unquote(group) for group in match.groups()))
                    return
            raise HubError(404, f"no such endpoint: {self.command} {path}", "EntryNotFound")
        except HubError as error:
            self._body()  # so that the connection can go on
            headers = {"X-Error-Code": error.code} if error.code else {}
            headers["X-Error-Message"] = error.message
            self._json({"error": error.message}, error.status, headers)

    def _suffer(self, fault: Fault) -> bool:
        """Act out a fault. Returns True if the request has been answered."""
        if fault.kind == "status":
            raise HubError(fault.status, f"made to fail with {fault.status}")
        if fault.kind == "hold":
            fault.reached.set()
            fault.release.wait(60)
        elif fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "cut":
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return True
        return False

    # What every endpoint needs

    def _body(self) -> bytes:
        if self._data is None:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                self._data = b"".join(self._chunks())
            else:
                self._data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self._data

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None, kind: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, headers, "application/json")

    def _role(self) -> str:
        """``write``, ``read`` or "" (nobody)."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ""
        role = self.hub.tokens.get(token)
        if role is None:
            raise HubError(401, "Invalid user token.")
        return role

    def _repo(self, name: str, write: bool = False) -> Repo:
        role = self._role()
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not role):
            raise HubError(404 if role else 401, "Repository not found", "RepoNotFound")
        if write and role != "write":
            raise HubError(403 if role else 401, "you need a token with write access to this repository")
        return repo

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Endpoints

    def whoami(self) -> None:
        role = self._role()
        if not role:
            raise HubError(401, "Invalid credentials in Authorization header")
        self._json(
            {"type": "user", "name": "org", "orgs": [], "auth": {"type": "access_token", "accessToken": {"role": role}}}
        )

    def create(self) -> None:
        wanted = json.loads(self._body())
        role = self._role()
        if role != "write":
            raise HubError(403 if role else 401, "you need a token with write access to create a repository")
        name = f"{wanted.get('organization') or 'org'}/{wanted['name']}"
        if wanted.get("organization") == "foreign":
            raise HubError(403, "You don't have the rights to create a dataset under the namespace foreign")
        with self.hub.lock:
            if name in self.hub.repos:
                raise HubError(409, "You already created this dataset repo")
            repo = Repo(private=wanted.get("visibility") == "private" or bool(wanted.get("private")))
            repo.commit("main", "initial commit", {".gitattributes": Blob(20, content=b"*.parquet filter=lfs")})
            self.hub.repos[name] = repo
        self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": "0"})

    def validate(self) -> None:
        problems = self.hub.card_check(json.loads(self._body())["content"])
        value = {"errors": [{"message": text} for text in problems], "warnings": []}
        self._json(value, 400 if problems else 200)

    def info(self, name: str, revision: str = "main") -> None:
        repo = self._repo(name)
        commit = self._commit(repo, revision)
        self._json(
            {
                "_id": "0", "id": name, "author": name.split("/")[0], "sha": commit.oid, "private": repo.private,
                "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": [],
                "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )  # fmt: skip

    def refs(self, name: str) -> None:
        repo = self._repo(name)

        def listing(refs: dict[str, str], kind: str) -> list[dict[str, str]]:
            return [{"name": k, "ref": f"refs/{kind}/{k}", "targetCommit": v} for k, v in sorted(refs.items())]

        self._json({"branches": listing(repo.branches, "heads"), "tags": listing(repo.tags, "tags"), "converts": []})

    def commits(self, name: str, revision: str) -> None:
        repo = self._repo(name)
        commit: Commit | None = self._commit(repo, revision)
        found = []
        while commit is not None:
            found.append(
                {
                    "id": commit.oid,
                    "title": commit.title,
                    "message": "",
                    "authors": [],
                    "date": "2026-01-01T00:00:00.000Z",
                }
            )
            commit = repo.commits.get(commit.parent)
        self._json(found)

    def tree(self, name: str, revision: str, folder: str = "") -> None:
        commit = self._commit(self._repo(name), revision)
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        if prefix and not any(path.startswith(prefix) for path in commit.files):
            raise HubError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        rows: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.files.items()):
            if path.startswith(prefix):
                _, _, rest = path[len(prefix) :].partition("/")
                if not rest or recursive:
                    rows[path] = _row(path, blob)
                parts = path[len(prefix) :].split("/")[:-1]
                for depth in range(1, (len(parts) if recursive else min(1, len(parts))) + 1):
                    sub = prefix + "/".join(parts[:depth])
                    oid = hashlib.sha1(sub.encode()).hexdigest()
                    rows.setdefault(sub, {"type": "directory", "oid": oid, "size": 0, "path": sub})
        self._json([rows[path] for path in sorted(rows)])

    def paths_info(self, name: str, revision: str) -> None:
        commit = self._commit(self._repo(name), revision)
        body = self._body()
        if "json" in self.headers.get("Content-Type", ""):
            paths = json.loads(body)["paths"]
        else:
            paths = parse_qs(body.decode()).get("paths", [])
        rows = []
        for path in [path.strip("/") for path in paths]:
            if path in commit.files:
                rows.append(_row(path, commit.files[path]))
            elif any(known.startswith(f"{path}/") for known in commit.files):
                oid = hashlib.sha1(path.encode()).hexdigest()
                rows.append({"type": "directory", "oid": oid, "size": 0, "path": path})
        self._json(rows)

    def preupload(self, name: str, revision: str) -> None:
        commit = self._commit(self._repo(name, write=True), revision)
        answers = []
        for wanted in json.loads(self._body())["files"]:
            path, blob = wanted["path"], commit.files.get(wanted["path"])
            mode = "lfs" if path.endswith(LFS_SUFFIXES) or wanted["size"] > LFS_BYTES else "regular"
            answer = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if blob is not None:
                answer["oid"] = blob.sha256 or blob.oid
            answers.append(answer)
        self._json({"files": answers})

    def lfs_batch(self, name: str) -> None:
        self._repo(name, write=True)
        objects = []
        for wanted in json.loads(self._body())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if not (self.hub.lfs / wanted["oid"]).exists():
                answer["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        body = self._body()
        with self.hub.lock:
            self.hub.received += len(body)
        if hashlib.sha256(body).hexdigest() != oid:
            raise HubError(400, "the content is not what its SHA-256 says")
        (self.hub.lfs / oid).write_bytes(body)
        self._send(b"")

    def xet_token(self, name: str, kind: str, revision: str) -> None:
        self._repo(name, write=kind == "write")
        cas = f"local://{self.hub.cas}"
        headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "loopback", "X-Xet-Token-Expiration": str(NEVER)}
        self._json({"accessToken": "loopback", "exp": NEVER, "casUrl": cas}, headers=headers)

    def commit(self, name: str, branch: str) -> None:
        repo = self._repo(name, write=True)
        lines = [json.loads(line) for line in self._body().splitlines() if line.strip()]
        with self.hub.lock:
            if branch not in repo.branches:
                raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
            head = repo.commits[repo.branches[branch]]
            files = dict(head.files)
            title = ""
            for line in lines:
                key, value = line["key"], line["value"]
                if key == "header":
                    title = value["summary"]
                    if value.get("parentCommit", head.oid) != head.oid:
                        raise HubError(412, "A commit has happened since. Please refresh and try again.")
                elif key == "file":
                    content = base64.b64decode(value["content"])
                    files[value["path"]] = Blob(len(content), content=content)
                elif key == "lfsFile":
                    files[value["path"]] = self._stored(value["oid"])
                elif key == "deletedFile":
                    if files.pop(value["path"], None) is None:
                        raise HubError(400, f"{value['path']} does not exist")
                else:
                    raise HubError(400, f"unknown operation {key}")
            made = repo.commit(branch, title, files)
        url = f"{self.hub.url}/datasets/{name}/commit/{made.oid}"
        self._json({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": "", "pullRequestUrl": None})

    def _stored(self, sha256: str) -> Blob:
        file_hash, size = self.hub.xet_hash(sha256)
        if file_hash:
            return Blob(size, sha256, xet_hash=file_hash)
        path = self.hub.lfs / sha256
        if not path.exists():
            raise HubError(400, f"the LFS object {sha256} was never uploaded")
        return Blob(path.stat().st_size, sha256)

    def create_tag(self, name: str, revision: str) -> None:
        repo = self._repo(name, write=True)
        tag = json.loads(self._body())["tag"]
        if tag in repo.tags:
            raise HubError(409, f"Tag reference exists already: {tag}")
        repo.tags[tag] = self._commit(repo, revision).oid
        self._json({})

    def delete_tag(self, name: str, tag: str) -> None:
        if self._repo(name, write=True).tags.pop(tag, None) is None:
            raise HubError(404, f"Invalid rev id: {tag}", "RevisionNotFound")
        self._json({})

    def create_branch(self, name: str, branch: str) -> None:
        repo = self._repo(name, write=True)
        start = json.loads(self._body() or b"{}").get("startingPoint", "main")
        if branch in repo.branches:
            raise HubError(409, f"Reference already exists: refs/heads/{branch}")
        repo.branches[branch] = self._commit(repo, start).oid
        self._json({})

    def delete_branch(self, name: str, branch: str) -> None:
        if branch == "main" or self._repo(name, write=True).branches.pop(branch, None) is None:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        self._json({})

    def resolve(self, name: str, revision: str, path: str) -> None:
        commit = self._commit(self._repo(name), revision)
        blob = commit.files.get(path)
        if blob is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.sha256 or blob.oid}"', "Accept-Ranges": "bytes"}
        if blob.sha256:
            headers |= {"X-Linked-Size": str(blob.size), "X-Linked-Etag": f'"{blob.sha256}"'}
        if blob.xet_hash:
            route = f"{self.hub.url}/api/datasets/{name}/xet-read-token/{commit.oid}"
            headers |= {"X-Xet-Hash": blob.xet_hash, "Link": f'<{route}>; rel="xet-auth"'}
        start, end, status = 0, blob.size, 200
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = asked.groups()
            start = int(first) if first else max(0, blob.size - int(last))
            end = min(blob.size, int(last) + 1) if first and last else blob.size
            if start >= blob.size:
                raise HubError(416, "the range lies behind the end")
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
        if self.command == "HEAD":
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            return
        if blob.sha256:
            with self.hub.file(blob).open("rb") as stream:
                stream.seek(start)
                data = stream.read(end - start)
        else:
            data = blob.content[start:end]
        self._send(data, status, headers, "application/octet-stream")


def _row(path: str, blob: Blob) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
    if blob.sha256:
        row["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 130}
    if blob.xet_hash:
        row["xetHash"] = blob.xet_hash
    return row


_D = r"/api/datasets/([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate),
    ("GET", _D, _Handler.info),
    ("GET", _D + r"/revision/([^/]+)", _Handler.info),
    ("GET", _D + r"/refs", _Handler.refs),
    ("GET", _D + r"/commits/([^/]+)", _Handler.commits),
    ("GET", _D + r"/tree/([^/]+)", _Handler.tree),
    ("GET", _D + r"/tree/([^/]+)/(.*)", _Handler.tree),
    ("POST", _D + r"/paths-info/([^/]+)", _Handler.paths_info),
    ("POST", _D + r"/preupload/([^/]+)", _Handler.preupload),
    ("POST", _D + r"/commit/([^/]+)", _Handler.commit),
    ("GET", _D + r"/xet-(read|write)-token/([^/]+)", _Handler.xet_token),
    ("POST", _D + r"/tag/([^/]+)", _Handler.create_tag),
    ("DELETE", _D + r"/tag/([^/]+)", _Handler.delete_tag),
    ("POST", _D + r"/branch/([^/]+)", _Handler.create_branch),
    ("DELETE", _D + r"/branch/([^/]+)", _Handler.delete_branch),
    ("POST", r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", _Handler.lfs_put),
    ("GET|HEAD", r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler.resolve),
]


if __name__ == "__main__":
    with HubServer(Path(sys.argv[1])) as server:
        print(f"HF_ENDPOINT={server.url} HF_TOKEN=hf_write", flush=True)
        threading.Event().wait()
