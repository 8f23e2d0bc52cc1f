"""The Hub behind few calls: what a repository holds, commits, tags; its errors as ours, without the token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mmprolong_data.errors import MMProLongError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
ATTEMPTS = 5
"""Tries of a step that fails for a reason that may pass; each looks anew at what is there."""
WAITS = (1.0, 2.0, 5.0, 10.0)
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class Passing(Exception):
    """A failure that may pass: the server is busy, or the connection broke."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a revision: ``sha256`` where it is stored in LFS or Xet, else git's SHA-1 of its content."""

    path: str
    size: int
    sha256: str
    git_sha1: str


@dataclass(slots=True)
class Repository:
    """A dataset repository.

    Attributes:
        name: ``ORG/NAME``.
        endpoint: Of the Hub; None for the one that ``HF_ENDPOINT`` names.
        on_retry: Called with a line about a step that is tried again.
    """

    name: str
    endpoint: str | None = None
    on_retry: Callable[[str], None] = lambda text: None
    _api: HfApi | None = field(default=None, init=False, repr=False)

    @property
    def api(self) -> HfApi:
        """The client; the token comes from ``HF_TOKEN`` or from the login of ``hf auth login``."""
        if self._api is None:
            from huggingface_hub import HfApi

            self._api = HfApi(endpoint=self.endpoint, library_name="mmprolong")
        return self._api

    def retried(self, what: str, step: Callable[[], T]) -> T:
        """Run a step that looks at the repository first and does what is missing; again where a failure may pass.

        Raises:
            MMProLongError: it failed for good, or too often.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._errors(what):
                    return step()
            except Passing as error:
                if attempt == ATTEMPTS - 1:
                    raise MMProLongError(
                        f"{self.name}: {what}: {error}. What has been uploaded is kept."
                        " Remedy: run the same command again"
                    ) from None
                self.on_retry(f"{what}: {error}; trying again")
                time.sleep(WAITS[min(attempt, len(WAITS) - 1)])
        raise AssertionError("unreachable")

    def check_token(self) -> None:
        """Check that there is a token, that the Hub knows it, and that it may do more than read.

        Raises:
            MMProLongError: it is missing, not valid or of no use here.
        """
        from huggingface_hub import get_token

        if not get_token():
            raise MMProLongError("no token for the Hub. Remedy: hf auth login, or set HF_TOKEN")
        who = self.retried("checking the token", lambda: self.api.whoami())
        role = who.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise MMProLongError(
                "the token can only read. Remedy: a token with write access (hf auth login, or HF_TOKEN)"
            )

    def exists(self) -> bool | None:
        """None where there is no such repository; else whether it is private."""
        from huggingface_hub.errors import RepositoryNotFoundError

        def look() -> bool | None:
            try:
                return bool(self.api.repo_info(self.name, repo_type="dataset").private)
            except RepositoryNotFoundError:
                return None

        return self.retried("looking for the repository", look)

    def create(self, private: bool) -> None:
        """Create the repository."""
        self.retried(
            "creating the repository",
            lambda: self.api.create_repo(self.name, repo_type="dataset", private=private or None, exist_ok=True),
        )

    def refs(self) -> tuple[dict[str, str], dict[str, str]]:
        """(branches, tags): name -> commit."""
        refs = self.retried("listing the tags", lambda: self.api.list_repo_refs(self.name, repo_type="dataset"))
        return (
            {ref.name: ref.target_commit for ref in refs.branches},
            {ref.name: ref.target_commit for ref in refs.tags},
        )

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """Path -> file, of all files of a revision."""
        from huggingface_hub.hf_api import RepoFile

        def listing() -> dict[str, RemoteFile]:
            tree = self.api.list_repo_tree(self.name, repo_type="dataset", revision=revision, recursive=True)
            return {
                item.path: RemoteFile(item.path, item.size, item.lfs.sha256 if item.lfs else "", item.blob_id)
                for item in tree
                if isinstance(item, RepoFile)
            }

        return self.retried("listing the files", listing)

    def branch(self, name: str, start: str) -> None:
        """Create a branch at a commit, unless it is there."""
        self.retried(
            "creating the branch for the upload",
            lambda: self.api.create_branch(self.name, repo_type="dataset", branch=name, revision=start, exist_ok=True),
        )

    def delete_branch(self, name: str) -> None:
        """Delete a branch, if it is there."""
        from huggingface_hub.errors import RevisionNotFoundError

        def delete() -> None:
            try:
                self.api.delete_branch(self.name, repo_type="dataset", branch=name)
            except RevisionNotFoundError:
                return

        self.retried("deleting the branch of the upload", delete)

    def commit(
        self,
        branch: str,
        message: str,
        *,
        add: dict[str, Path | bytes] | None = None,
        copy: dict[str, tuple[str, str]] | None = None,
        delete: Sequence[str] = (),
        parent: str | None = None,
        on_sent: Callable[[list[str]], None] | None = None,
    ) -> str:
        """Upload what is new and make one commit; raises ``Passing`` inside ``retried`` only. Returns the commit.

        Args:
            branch: Where to.
            message: Its title.
            add: Path in the repository -> local file or content.
            copy: Path in the repository -> (path, revision) that has the same bytes already.
            delete: Paths that go.
            parent: The commit that the branch must still be at.
            on_sent: Called with the paths whose content has arrived; the commit comes after all of them.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

        operations: list[Any] = [CommitOperationDelete(path) for path in delete]
        operations += [
            CommitOperationCopy(src_path_in_repo=source, path_in_repo=path, src_revision=revision)
            for path, (source, revision) in (copy or {}).items()
        ]
        additions = [CommitOperationAdd(path, content) for path, content in (add or {}).items()]
        for group in _groups(additions):
            self.api.preupload_lfs_files(self.name, group, repo_type="dataset", revision=branch, free_memory=False)
            if on_sent is not None:
                on_sent([addition.path_in_repo for addition in group])
        operations += additions
        done = self.api.create_commit(
            self.name, operations, commit_message=message, repo_type="dataset", revision=branch, parent_commit=parent
        )
        return str(done.oid)

    def create_tag(self, tag: str, commit: str, message: str) -> None:
        """Tag a commit. A tag that stands elsewhere is never moved.

        Raises:
            MMProLongError: the tag exists, at another commit.
        """

        def create() -> None:
            self.api.create_tag(
                self.name, repo_type="dataset", tag=tag, revision=commit, tag_message=message, exist_ok=True
            )

        self.retried(f"setting the tag {tag}", create)
        at = self.refs()[1].get(tag)
        if at != commit:
            raise MMProLongError(
                f"{self.name}: the tag {tag} stands at {str(at)[:12]}, not at {commit[:12]}, and is never moved."
                " Remedy: --version with a later one"
            )

    def validate_card(self, text: str) -> None:
        """Have the Hub check the metadata of a card.

        Raises:
            MMProLongError: what it refuses.
        """
        from huggingface_hub import get_session

        body = {"content": text, "repoType": "dataset"}

        def validate() -> None:
            response = get_session().post(f"{self.api.endpoint}/api/validate-yaml", json=body)
            if response.status_code == 400:
                errors = "; ".join(str(error.get("message")) for error in response.json().get("errors", []))
                raise MMProLongError(f"the Hub refuses the card: {errors}. Remedy: correct card.yaml (mmprolong card)")
            if response.status_code in TRANSIENT:
                raise Passing(f"the Hub answers {response.status_code}")

        self.retried("checking the card", validate)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the client's errors into ours; those that may pass into ``Passing``."""
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

        transport_error: Any = HfHubHTTPError.__mro__[1]  # of the HTTP library that this version of the client uses
        try:
            yield
        except (MMProLongError, Passing):
            raise
        except RepositoryNotFoundError:
            raise MMProLongError(
                f"{self.name}: no such dataset repository, or the token may not see it."
                " Remedy: check the name; a private repository needs a token of a member (hf auth whoami)"
            ) from None
        except HfHubHTTPError as error:
            raise self._http_error(what, error) from None
        except transport_error as error:
            raise Passing(self._clean(f"the connection broke ({type(error).__name__})")) from None
        except PermissionError as error:  # of a file, or of Xet's storage
            raise MMProLongError(self._clean(f"{self.name}: {what}: no permission: {error}")) from None
        except FileNotFoundError as error:
            raise MMProLongError(f"{error.filename or error}: it has gone. Remedy: build again") from None
        except (OSError, RuntimeError) as error:
            raise Passing(self._clean(f"{type(error).__name__}: {error}")) from None
        except ValueError as error:
            raise MMProLongError(self._clean(f"{self.name}: {what}: {error}")) from None

    def _http_error(self, what: str, error: Any) -> Exception:
        status = error.response.status_code if error.response is not None else 0
        said = self._clean(str(error.server_message or ""))
        if status == 401:
            return MMProLongError("the Hub does not accept the token. Remedy: hf auth login, or a valid HF_TOKEN")
        if status == 403:
            return MMProLongError(
                f"{self.name}: {what}: the token may not write there{f' ({said})' if said else ''}."
                " Remedy: a token with write access to this namespace"
            )
        if status in (409, 412):
            return Passing(f"someone else has changed the repository ({status})")
        if status in TRANSIENT or status == 0:
            return Passing(f"the Hub answers {status or 'nothing'}")
        return MMProLongError(f"{self.name}: {what}: the Hub answers {status}: {said or 'no reason given'}")

    def _clean(self, text: str) -> str:
        """One line without the token."""
        from huggingface_hub import get_token

        token = get_token()
        if token:
            text = text.replace(token, "***")
        return " ".join(text.split())[:400]


def _groups(additions: list[Any]) -> Iterator[list[Any]]:
    """Files to send together. With Xet one by one: what a finished call has sent is known to the next one.

    Within a call, equal parts of files that travel at the same time are sent twice, and an interrupted call leaves
    parts that no later one finds. With plain LFS every file is kept by itself, so all may travel at once.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_DISABLE_XET:
        yield additions
    else:
        yield from ([addition] for addition in additions)
