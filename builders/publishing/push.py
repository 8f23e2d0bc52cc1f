"""``push``: verify, compare with what is published, upload in slices, one commit on main, one tag.

Shards travel to a branch of their own first, a slice a commit, so that an interrupted push goes on where it was and
readers of ``main`` never see half a version. The last commit copies them to ``main`` on the server, together with
manifest, indexes and card. Then the tag is set, and the branch goes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmprolong_data.errors import MMProLongError
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, manifest_bytes, read_manifest
from mmprolong_data.verify import verify_dataset
from mmprolong_data.versions import parse_version

from ..card import PICTURE, card_files
from ..card_info import CARD_FILES
from ..workspace import write_atomically
from .diff import compare
from .hub import RemoteFile, Repository
from .push_plan import LocalFile, Observer, PushPlan, slices_of, stale_files
from .remove import finish_removal
from .rules import changelog_entry, check_version, is_later, published_versions, tag_of
from .views import open_folder, open_hub

FOREIGN_OK = frozenset({".gitattributes", "README.md", "LICENSE", "LICENSE.md", ".gitignore"})
"""What a repository may hold before the first push."""


@dataclass(slots=True)
class Push:
    """One call of ``mmprolong push``.

    Attributes:
        root: The dataset's folder.
        repo: Where to.
        observer: Is told what happens.
        version: ``X.Y.Z``; "" for the manifest's.
        private: Create the repository as a private one.
        note: A line for the changelog.
    """

    root: Path
    repo: Repository
    observer: Observer
    version: str = ""
    private: bool = False
    note: str = ""
    _versions: list[str] = field(default_factory=list, init=False)

    def plan(self) -> PushPlan:
        """Verify the folder and find out what a push would do. Changes nothing.

        Raises:
            MMProLongError: the folder is not what its manifest says, or it must not be published like this.
        """
        if finish_removal(self.root):
            self.observer.note(f"{self.root}: an interrupted removal was carried to its end")
        manifest = read_manifest(self.root)
        version = self.version or manifest.dataset_version
        if parse_version(version) < parse_version(manifest.dataset_version):
            raise MMProLongError(
                f"--version {version}: {self.root} is version {manifest.dataset_version} already,"
                f" and a version never goes back. Remedy: --version {manifest.dataset_version} or later"
            )
        self.repo.check_token()
        problems = verify_dataset(self.root, progress=self.observer.verified)
        if problems:
            listing = "\n  ".join(problems[:5] + ([f"and {len(problems) - 5} more"] if len(problems) > 5 else []))
            raise MMProLongError(
                f"{self.root} is not what its manifest says; nothing was uploaded:\n  {listing}\n"
                "Remedy: run the build again, or mmprolong verify for all"
            )
        private = self.repo.exists()
        if private is False and self.private:
            raise MMProLongError(
                f"{self.repo.name} exists and is public; --private counts only when a repository is created."
                " Remedy: make it private in its settings on the Hub first, or leave --private out"
            )
        on_main, tags = self._published(private is None, manifest)
        self._versions = published_versions(tags)
        earlier = [known for known in self._versions if is_later(version, known)]
        tagged = tag_of(version) in tags
        if not tagged and len(earlier) < len(self._versions):
            raise MMProLongError(
                f"{self.repo.name} has version {self._versions[-1]} already, and {version} is not later."
                " Remedy: a later --version"
            )
        return self._plan(manifest, version, earlier[-1] if earlier else "", tagged, private is None, on_main)

    def run(self, plan: PushPlan) -> str:
        """Carry out a plan; interrupted, ``plan`` and ``run`` again do the rest. Returns the commit that is tagged.

        Raises:
            MMProLongError: the Hub refuses, or could not be reached for long.
        """
        tag = tag_of(plan.version)
        branch = f"upload-{tag}"
        if plan.new:
            self.repo.create(self.private)
        branches, tags = self.repo.refs()
        if plan.done:
            commit = tags[tag]
        else:
            if branch not in branches:
                self.repo.branch(branch, branches["main"])
            self._send(plan, branch)
            commit = self._publish(plan, branch)
            self.repo.create_tag(tag, commit, f"version {plan.version}")
            branches, _ = self.repo.refs()
        if branch in branches:
            self.repo.delete_branch(branch)
        for name, file in plan.files.items():  # the folder becomes what was published
            if isinstance(file.source, bytes):
                write_atomically(self.root / name, file.source)
        return commit

    def _published(self, new: bool, manifest: Manifest) -> tuple[dict[str, RemoteFile], dict[str, str]]:
        """Files of ``main`` and tags; refuses a repository that holds something else."""
        if new:
            return {}, {}
        files = self.repo.files("main")
        if MANIFEST_NAME in files:
            view = open_hub(self.repo.name, "main", self.repo.endpoint)
            container = self.repo.retried("reading the manifest", lambda: view.manifest).container
            if container != manifest.container:
                raise MMProLongError(
                    f"{self.repo.name} holds {container}, {self.root} is {manifest.container}; a repository has one"
                    f" container. Remedy: another repository, such as {self.repo.name}-wds, or mmprolong convert"
                )
        else:
            foreign = sorted(path for path in files if path not in FOREIGN_OK)
            if foreign:
                raise MMProLongError(
                    f"{self.repo.name} holds files without a {MANIFEST_NAME}, such as {foreign[0]}: it was not made by"
                    " mmprolong push. Remedy: another repository"
                )
        return files, self.repo.refs()[1]

    def _plan(
        self, manifest: Manifest, version: str, parent: str, tagged: bool, new: bool, on_main: dict[str, RemoteFile]
    ) -> PushPlan:
        difference = None
        history = []
        if parent:
            parent_view = open_hub(self.repo.name, tag_of(parent), self.repo.endpoint)
            difference = self.repo.retried(
                f"comparing with {parent}",
                lambda: compare(parent_view, open_folder(self.root), progress=self.observer.compared),
            )
            if not tagged:
                check_version(version, parent, difference)
            history = parent_view.manifest.changelog
        note = self.note or self._notes(manifest, version, parent)
        entry = changelog_entry(version, parent, difference, note)
        manifest = replace(manifest, dataset_version=version, parent_version=parent, changelog=[entry, *history])
        files = self._files(manifest)
        plan = PushPlan(self.repo.name, version, parent, new, manifest, files, difference)
        if tagged:
            self._check_tagged(plan)
            return plan
        readme = files["README.md"].source
        self.repo.validate_card(readme.decode() if isinstance(readme, bytes) else readme.read_text("utf-8"))
        known = {file.sha256 for file in on_main.values()}
        shards = [entry["name"] for entry in manifest.shards]
        plan.send = [path for path in shards if files[path].sha256 not in known]
        plan.present = [path for path in shards if files[path].sha256 in known]
        plan.delete = stale_files(on_main, files)
        return plan

    def _notes(self, manifest: Manifest, version: str, parent: str) -> str:
        """What removals since the parent have left in the changelog of the folder."""
        notes = [
            entry["note"]
            for entry in manifest.changelog
            if entry["note"]
            and (not parent or is_later(entry["version"], parent))
            and not is_later(entry["version"], version)
        ]
        return "; ".join(dict.fromkeys(notes))

    def _files(self, manifest: Manifest) -> dict[str, LocalFile]:
        """Everything that the tag will hold."""
        made = card_files(self.root, manifest, repo=self.repo.name, picture=True)
        if PICTURE not in made:
            self.observer.note('The card has no picture: Matplotlib is missing. Remedy: pip install "mmprolong[build]"')
        made[MANIFEST_NAME] = manifest_bytes(manifest)
        for name in CARD_FILES:
            if (self.root / name).is_file():
                made[name] = (self.root / name).read_bytes()
        files = {
            entry["name"]: LocalFile(self.root / entry["name"], entry["bytes"], entry["sha256"])
            for entry in manifest.shards
        }
        for name, digest in manifest.indexes.items():
            files[name] = LocalFile(self.root / name, (self.root / name).stat().st_size, digest)
        for name, content in made.items():
            files[name] = LocalFile(content, len(content), hashlib.sha256(content).hexdigest())
        return files

    def _check_tagged(self, plan: PushPlan) -> None:
        """The tag exists: either it holds exactly this, or the push is refused."""
        there = self.repo.files(tag_of(plan.version))
        wrong = [path for path, file in plan.files.items() if not file.same(there.get(path))]
        wrong += stale_files(there, plan.files)
        if wrong:
            raise MMProLongError(
                f"{self.repo.name}: {tag_of(plan.version)} is published, and a tag is never moved. {len(wrong)} files"
                f" differ, such as {sorted(wrong)[0]}. Remedy: --version with a later one"
            )
        plan.done = True

    def _send(self, plan: PushPlan, branch: str) -> None:
        """Bring the bytes of all shards to the branch, a slice a commit."""
        there = self.repo.files(branch)
        arrived = {path for path in plan.send if plan.files[path].same(there.get(path))}
        total = plan.bytes_of(plan.send)
        if arrived:
            self.observer.note(f"going on: {len(arrived)} of {len(plan.send)} shards are there already")

        def on_sent(paths: list[str]) -> None:
            arrived.update(paths)
            self.observer.sent(plan.bytes_of(arrived), total)

        for paths in slices_of(plan, [path for path in plan.send if path not in arrived]):
            self.observer.sending(plan.bytes_of(arrived), total, len(paths))
            looked: dict[str, RemoteFile] | None = there

            def send(paths: list[str] = paths) -> None:
                nonlocal looked
                looked = self.repo.files(branch) if looked is None else looked
                rest: dict[str, Path | bytes] = {
                    path: plan.files[path].source for path in paths if not plan.files[path].same(looked.get(path))
                }
                looked = None  # a second try looks again: the commit may have come through
                if rest:
                    title = f"Upload {len(rest)} shards of {plan.version}"
                    self.repo.commit(branch, title, add=rest, on_sent=on_sent)

            self.repo.retried(f"uploading {paths[0]}", send)
            arrived.update(paths)
        self.observer.sending(total, total, 0)

    def _publish(self, plan: PushPlan, branch: str) -> str:
        """The one commit on ``main``: shards from where they are, everything else from here. Returns the commit."""
        staged = self.repo.files(branch)

        def publish() -> str:
            branches, tags = self.repo.refs()
            if published_versions(tags) != self._versions:
                raise MMProLongError(
                    f"{self.repo.name}: another version was published meanwhile. Remedy: run the same command again"
                )
            head = branches["main"]
            there = self.repo.files(head)
            wanted = {path: file for path, file in plan.files.items() if not file.same(there.get(path))}
            delete = stale_files(there, plan.files)
            if not wanted and not delete:
                return head
            places = {file.sha256: (file.path, branches[branch]) for file in staged.values() if file.sha256}
            places |= {file.sha256: (file.path, head) for file in there.values() if file.sha256}
            copy = {
                path: places[file.sha256]
                for path, file in wanted.items()
                if path.startswith("data/") and file.sha256 in places
            }
            add = {path: file.source for path, file in wanted.items() if path not in copy}
            title = f"Publish version {plan.version}"
            return self.repo.commit("main", title, add=add, copy=copy, delete=delete, parent=head)

        return self.repo.retried("publishing", publish)
