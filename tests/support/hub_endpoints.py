"""The endpoints of a Hub on loopback: what each answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .hub_state import Blob, Commit, HubError, Repo

if TYPE_CHECKING:
    from hub_server import HubServer

LFS_SUFFIXES = (".parquet", ".tar", ".png", ".jpg", ".bin")
LFS_BYTES = 10_000_000
NEVER = 1 << 40


class Endpoints(BaseHTTPRequestHandler):
    """The answers; ``hub_server`` reads requests, acts out faults and finds the endpoint."""

    hub: HubServer

    def body(self) -> bytes:
        """The body of the request."""
        raise NotImplementedError

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
        if write and (role != "write" or repo.read_only):
            raise HubError(403 if role else 401, "you need a token with write access to this repository")
        return repo

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def whoami(self) -> None:
        role = self._role()
        if not role:
            raise HubError(401, "Invalid credentials in Authorization header")
        self._json(
            {"type": "user", "name": "org", "orgs": [], "auth": {"type": "access_token", "accessToken": {"role": role}}}
        )

    def create(self) -> None:
        wanted = json.loads(self.body())
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
        problems = self.hub.card_check(json.loads(self.body())["content"])
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
        body = self.body()
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
        for wanted in json.loads(self.body())["files"]:
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
        for wanted in json.loads(self.body())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if not (self.hub.lfs / wanted["oid"]).exists():
                answer["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        body = self.body()
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
        lines = [json.loads(line) for line in self.body().splitlines() if line.strip()]
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
        tag = json.loads(self.body())["tag"]
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
        start = json.loads(self.body() or b"{}").get("startingPoint", "main")
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
    ("GET", r"/api/whoami-v2", Endpoints.whoami),
    ("POST", r"/api/repos/create", Endpoints.create),
    ("POST", r"/api/validate-yaml", Endpoints.validate),
    ("GET", _D, Endpoints.info),
    ("GET", _D + r"/revision/([^/]+)", Endpoints.info),
    ("GET", _D + r"/refs", Endpoints.refs),
    ("GET", _D + r"/commits/([^/]+)", Endpoints.commits),
    ("GET", _D + r"/tree/([^/]+)", Endpoints.tree),
    ("GET", _D + r"/tree/([^/]+)/(.*)", Endpoints.tree),
    ("POST", _D + r"/paths-info/([^/]+)", Endpoints.paths_info),
    ("POST", _D + r"/preupload/([^/]+)", Endpoints.preupload),
    ("POST", _D + r"/commit/([^/]+)", Endpoints.commit),
    ("GET", _D + r"/xet-(read|write)-token/([^/]+)", Endpoints.xet_token),
    ("POST", _D + r"/tag/([^/]+)", Endpoints.create_tag),
    ("DELETE", _D + r"/tag/([^/]+)", Endpoints.delete_tag),
    ("POST", _D + r"/branch/([^/]+)", Endpoints.create_branch),
    ("DELETE", _D + r"/branch/([^/]+)", Endpoints.delete_branch),
    ("POST", r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", Endpoints.lfs_batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", Endpoints.lfs_put),
    ("GET|HEAD", r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", Endpoints.resolve),
]
