"""Publishing to a Hub on loopback, with the genuine client: versions, resume, refusals, faults."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hub_server import Blob, HubServer, Repo
from mmprolong_builders.publishing import push_plan as module
from mmprolong_builders.publishing.convert import convert
from mmprolong_builders.publishing.hub import Repository
from mmprolong_builders.publishing.push import Push
from mmprolong_builders.publishing.push_plan import PushPlan
from mmprolong_builders.publishing.remove import remove
from support.builds import command
from support.published import doc_id, folder_files, tree_at, write_published

from mmprolong_data.errors import MMProLongError
from mmprolong_data.manifest import read_manifest
from mmprolong_data.verify import verify_dataset

REPO = "org/demo"


class Quiet:
    """An observer that remembers; ``on_last`` is called before the last step."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.slices: list[tuple[int, int, int]] = []
        self.arrived: list[int] = []
        self.on_last: Any = None

    def verified(self, done: int, total: int) -> None: ...

    def compared(self, done: int, total: int) -> None: ...

    def sending(self, done: int, total: int, files: int) -> None:
        self.slices.append((done, total, files))
        if not files and self.on_last:
            self.on_last()

    def sent(self, done: int, total: int) -> None:
        self.arrived.append(done)

    def note(self, text: str) -> None:
        self.notes.append(text)


def push(hub: HubServer, root: Path, observer: Quiet | None = None, repo: str = REPO, **values: Any) -> PushPlan:
    """One whole push in this process."""
    call = Push(root, Repository(repo, hub.url), observer or Quiet(), **values)
    plan = call.plan()
    call.run(plan)
    return plan


def uploads(hub: HubServer) -> list[str]:
    """LFS objects whose content was sent."""
    return [path for method, path in hub.requests if method == "PUT"]


def test_what_is_published_is_the_folder_and_a_second_push_sends_nothing(
    tmp_path: Path, hub: HubServer, path: str
) -> None:
    root = tmp_path / "a"
    write_published(root, range(20), per_shard=1)  # 40 shards: several slices
    observer = Quiet()
    push(hub, root, observer)
    assert [files for _, _, files in observer.slices] == [8, 8, 8, 8, 8, 0]
    assert observer.slices[-1][0] == observer.slices[-1][1] == observer.arrived[-1] > 0
    assert observer.arrived == sorted(observer.arrived)
    assert len(observer.arrived) == (40 if path == "xet" else 5)
    assert tree_at(hub, REPO, "v1.0.0") == folder_files(root)
    assert verify_dataset(root) == []
    repo = hub.repos[REPO]
    assert repo.branches.keys() == {"main"}
    assert repo.tags == {"v1.0.0": repo.branches["main"]}
    assert len({commit.oid for commit in repo.commits.values()}) == 7  # the first, five slices, the version
    assert (path == "lfs") == bool(uploads(hub))

    before, commits = hub.stored_bytes(), len(repo.commits)
    hub.requests.clear()
    assert push(hub, root).done
    assert hub.stored_bytes() == before
    assert len(repo.commits) == commits
    assert not [request for request in hub.requests if request[0] in ("PUT", "DELETE") or "/commit/" in request[1]]


def test_the_next_version_sends_what_is_new_and_the_old_tag_stays_what_it_was(
    tmp_path: Path, hub: HubServer, path: str
) -> None:
    write_published(tmp_path / "a", range(6))
    push(hub, tmp_path / "a", note="the beginning")
    first, sent = tree_at(hub, REPO, "v1.0.0"), hub.stored_bytes()
    hub.requests.clear()
    write_published(tmp_path / "b", range(8))  # one more shard a config: all are renamed
    with pytest.raises(MMProLongError, match=r"documents or samples added.*Remedy: --version 1\.1\.0"):
        push(hub, tmp_path / "b", version="1.0.1")
    plan = push(hub, tmp_path / "b", version="1.1.0")
    assert len(plan.send) == 2
    assert len(plan.present) == 6
    assert hub.stored_bytes() - sent < 0.5 * sent
    assert tree_at(hub, REPO, "v1.0.0") == first
    assert tree_at(hub, REPO, "v1.1.0") == tree_at(hub, REPO, "main") == folder_files(tmp_path / "b")
    if path == "lfs":
        shards = {read_manifest(tmp_path / "b").shards[i]["sha256"] for i in (3, 7)}
        assert shards <= {name.rpartition("/")[2] for name in uploads(hub)}
        assert len(uploads(hub)) == 2 + 4  # two shards, two indexes, the document table, the picture
    manifest = read_manifest(tmp_path / "b")
    assert (manifest.dataset_version, manifest.parent_version) == ("1.1.0", "1.0.0")
    assert [entry["version"] for entry in manifest.changelog] == ["1.1.0", "1.0.0"]
    assert manifest.changelog[0]["documents"] == {"added": 2, "removed": 0, "changed": 0}
    card = (tmp_path / "b" / "README.md").read_text()
    assert "- **1.1.0** (after 1.0.0): documents: 2 added; samples: 4 added" in card
    assert "- **1.0.0**: first version. the beginning" in card
    assert 'revision="v1.1.0"' in card
    assert push(hub, tmp_path / "b", version="1.1.0").done


@pytest.mark.parametrize("xet", [True, False])
def test_after_kill_9_the_same_command_sends_only_what_is_missing(tmp_path: Path, xet: bool) -> None:
    root = tmp_path / "a"
    write_published(root, range(20), per_shard=1)
    with HubServer(tmp_path / "whole") as hub:
        environment = os.environ | hub.environment(tmp_path / "cache", xet=xet)
        subprocess.run(command("push", root, REPO), env=environment, check=True, capture_output=True)
        whole, expected = hub.stored_bytes(), tree_at(hub, REPO, "v1.0.0")
    with HubServer(tmp_path / "killed") as hub:
        environment = os.environ | hub.environment(tmp_path / "cache-2", xet=xet)
        with hub.fault(r"POST .*/commit/upload-v1", "hold", skip=2) as fault:  # in the middle of the third slice
            process = subprocess.Popen(command("push", root, REPO), env=environment, stderr=subprocess.DEVNULL)
            assert fault.reached.wait(120)
            process.send_signal(signal.SIGKILL)
            assert process.wait(30) == -signal.SIGKILL
        assert "v1.0.0" not in hub.repos[REPO].tags
        assert len(hub.repos[REPO].commits[hub.repos[REPO].branches["main"]].files) == 1  # readers see no half version
        at_kill = hub.stored_bytes()
        assert 0 < at_kill < whole
        done = subprocess.run(command("push", root, REPO), env=environment, capture_output=True, text=True, check=True)
        assert "going on: 16 of 40 shards are there already" in done.stderr or "24 of 40" in done.stderr
        assert hub.stored_bytes() <= 1.02 * whole
        names = uploads(hub)
        assert len(names) == len(set(names))  # nothing travelled twice
        assert tree_at(hub, REPO, "v1.0.0") == expected


@pytest.mark.parametrize(
    "pattern",
    ["POST .*/commit/main", "POST .*/tag/", "DELETE .*/branch/"],
    ids=["before the commit", "before the tag", "before the branch goes"],
)
def test_interrupted_between_the_last_steps(tmp_path: Path, hub: HubServer, pattern: str) -> None:
    root = tmp_path / "a"
    write_published(root)
    with hub.fault(pattern, "status", status=400), pytest.raises(MMProLongError, match="the Hub answers 400"):
        push(hub, root)
    push(hub, root)
    assert tree_at(hub, REPO, "v1.0.0") == tree_at(hub, REPO, "main") == folder_files(root)
    assert hub.repos[REPO].branches.keys() == {"main"}
    assert len([c for c in hub.repos[REPO].commits.values() if c.title.startswith("Publish")]) == 1


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("POST .*/commit/upload", {"kind": "status", "status": 503, "times": 2}),
        ("POST .*/commit/main", {"kind": "status", "status": 412}),
        ("POST .*/commit/main", {"kind": "cut"}),
        ("GET .*/tree/upload", {"kind": "status", "status": 500}),
        ("POST .*/tag/", {"kind": "cut"}),
        ("PUT /lfs/", {"kind": "cut"}),
        ("PUT /lfs/", {"kind": "status", "status": 503}),
        (".", {"kind": "slow", "times": 10, "seconds": 0.05}),
    ],
    ids=["503", "412", "cut commit", "500 listing", "cut tag", "cut upload", "503 upload", "slow"],
)
def test_faults_that_pass_are_survived(
    tmp_path: Path, hub: HubServer, pattern: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    root = tmp_path / "a"
    write_published(root, range(3))
    with hub.fault(pattern, **values) as fault:
        push(hub, root)
        assert fault.times == 0
    assert tree_at(hub, REPO, "v1.0.0") == folder_files(root)
    assert len([c for c in hub.repos[REPO].commits.values() if c.title.startswith("Publish")]) == 1


@pytest.mark.parametrize("kind", ["status", "cut"])
def test_xet_without_its_token_for_a_moment(tmp_path: Path, hub: HubServer, kind: str) -> None:
    write_published(tmp_path / "a", range(3))
    with hub.fault("GET .*/xet-write-token", kind, times=2) as fault:
        push(hub, tmp_path / "a")
        assert fault.times == 0
    assert tree_at(hub, REPO, "v1.0.0") == folder_files(tmp_path / "a")


def test_a_fault_that_stays_ends_with_the_way_to_go_on(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    observer = Quiet()
    call = Push(tmp_path / "a", Repository(REPO, hub.url, on_retry=observer.note), observer)
    with hub.fault("POST .*/commit/upload", "status", status=503, times=99):
        plan = call.plan()
        with pytest.raises(MMProLongError, match=r"503.*uploaded is kept. Remedy: run the same command again"):
            call.run(plan)
    assert observer.notes.count(observer.notes[0]) == 4


def test_a_tag_is_never_moved(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    write_published(tmp_path / "b", changed={1: {"answer": "another"}})
    push(hub, tmp_path / "a")
    before = dict(hub.repos[REPO].tags)
    with pytest.raises(MMProLongError, match=r"v1\.0\.0 is published, and a tag is never moved.*later one"):
        push(hub, tmp_path / "b")
    assert hub.repos[REPO].tags == before
    push(hub, tmp_path / "b", version="1.1.0")
    with pytest.raises(MMProLongError, match=r"has version 1\.1\.0 already"):
        push(hub, tmp_path / "a", version="1.0.5")
    assert push(hub, tmp_path / "a").done  # what is published stays published, also after a later version


def test_a_version_that_appears_meanwhile_stops_it(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    observer = Quiet()
    observer.on_last = lambda: hub.repos[REPO].tags.update({"v1.0.7": hub.repos[REPO].branches["main"]})
    with pytest.raises(MMProLongError, match="another version was published meanwhile"):
        push(hub, tmp_path / "a", observer)
    assert len(hub.repos[REPO].commits[hub.repos[REPO].branches["main"]].files) == 1


def test_containers_are_not_mixed_and_foreign_repositories_left_alone(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    convert(tmp_path / "a", tmp_path / "t", "webdataset")
    push(hub, tmp_path / "a")
    with pytest.raises(MMProLongError, match=r"holds parquet.*Remedy: another repository, such as org/demo-wds"):
        push(hub, tmp_path / "t", version="1.1.0")
    push(hub, tmp_path / "t", repo="org/demo-wds")
    assert "croissant.json" in tree_at(hub, "org/demo-wds", "v1.0.0")
    foreign = Repo()
    foreign.commit("main", "theirs", {"data/train.csv": Blob(1, content=b"x")})
    hub.repos["org/theirs"] = foreign
    with pytest.raises(MMProLongError, match=r"files without a manifest\.json, such as data/train\.csv"):
        push(hub, tmp_path / "a", repo="org/theirs")
    with pytest.raises(MMProLongError, match=r"manifest\.json is missing"):
        push(hub, tmp_path)


def test_others_files_stay_and_ours_that_are_gone_go(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a", range(6))
    push(hub, tmp_path / "a")
    repo = hub.repos[REPO]
    head = repo.commits[repo.branches["main"]]
    repo.commit("main", "a licence", head.files | {"LICENSE": Blob(1, content=b"x")})
    remove(tmp_path / "a", [doc_id(0), doc_id(1)], note="on request")
    plan = push(hub, tmp_path / "a")
    assert (plan.version, plan.send) == ("1.1.0", [])
    tree = tree_at(hub, REPO, "v1.1.0")
    assert tree.pop("LICENSE")
    assert tree == folder_files(tmp_path / "a")
    assert plan.manifest.changelog[0]["note"] == "on request"
    assert plan.manifest.changelog[0]["documents"]["removed"] == 2
    assert set(tree_at(hub, REPO, "v1.0.0")) - set(tree) >= {"data/ocr_full/train-00000-of-00003.parquet"}


def test_a_damaged_folder_is_not_published(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    shard = next((tmp_path / "a").glob("data/*/*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    with pytest.raises(MMProLongError, match="nothing was uploaded"):
        push(hub, tmp_path / "a")
    assert REPO not in hub.repos


def test_metadata_alone_is_a_patch_that_sends_no_shard(tmp_path: Path, hub: HubServer, path: str) -> None:
    root = tmp_path / "a"
    write_published(root)
    push(hub, root)
    sent = hub.stored_bytes()
    (root / "card.yaml").write_text("license: cc-by-4.0\nsummary: Reports of a water board.\n")
    with pytest.raises(MMProLongError, match="a tag is never moved"):
        push(hub, root)
    plan = push(hub, root, version="1.0.1")
    assert plan.send == []
    assert hub.stored_bytes() - sent < 40_000
    assert tree_at(hub, REPO, "v1.0.1") == folder_files(root)
    assert "license: cc-by-4.0" in (root / "README.md").read_text()


def test_private_counts_at_creation_only(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    push(hub, tmp_path / "a", private=True)
    assert hub.repos[REPO].private
    push(hub, tmp_path / "a", repo="org/public")
    with pytest.raises(MMProLongError, match="exists and is public"):
        push(hub, tmp_path / "a", repo="org/public", private=True)


@pytest.mark.parametrize(
    ("token", "repo", "words"),
    [
        ("hf_wrong_secret", REPO, "does not accept the token. Remedy: hf auth login"),
        (None, REPO, "no token for the Hub. Remedy: hf auth login, or set HF_TOKEN"),
        ("hf_read", REPO, "the token can only read"),
        ("hf_write", "foreign/demo", "creating the repository: the token may not write there"),
    ],
)
def test_tokens_that_will_not_do_are_named_but_never_shown(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None, repo: str, words: str
) -> None:
    write_published(tmp_path / "a", range(2))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(MMProLongError, match=words) as caught:
        push(hub, tmp_path / "a", repo=repo)
    assert not token or token not in str(caught.value)


def test_a_repository_that_may_only_be_read(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    hub.repos[REPO] = Repo(read_only=True)
    hub.repos[REPO].commit("main", "initial commit", {})
    with pytest.raises(MMProLongError, match=r"the token may not write there.*Remedy: a token with write access"):
        push(hub, tmp_path / "a")
    assert not hub.stored_bytes()


def test_a_card_that_the_hub_refuses_stops_it_before_anything_is_sent(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a")
    (tmp_path / "a" / "card.yaml").write_text("license: Ask Me First\n")
    with pytest.raises(MMProLongError, match=r'the Hub refuses the card: "license" has the value .*card\.yaml'):
        push(hub, tmp_path / "a")
    assert REPO not in hub.repos


def test_an_earlier_version_than_the_folders_is_refused(tmp_path: Path, hub: HubServer) -> None:
    write_published(tmp_path / "a", version="2.0.0")
    with pytest.raises(MMProLongError, match=r"a version never goes back. Remedy: --version 2\.0\.0"):
        push(hub, tmp_path / "a", version="1.9.0")


def test_the_command(tmp_path: Path, hub: HubServer) -> None:
    root = tmp_path / "a"
    write_published(root)
    before = folder_files(root)
    environment = os.environ | hub.environment(tmp_path / "cache", token="hf_write")

    def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert "hf_write" not in done.stdout + done.stderr
        return done

    dry = run("push", root, REPO, "--dry-run")
    assert "the first version" in dry.stdout or "a new repository" in dry.stdout
    assert "Nothing was sent" in dry.stdout
    assert REPO not in hub.repos
    assert folder_files(root) == before
    done = run("push", root, REPO)
    assert "Published: org/demo v1.0.0" in done.stdout
    assert "100 %" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    shown = run("diff", f"{REPO}@v1.0.0", root).stdout
    assert "Nothing differs." in shown
    run("push", root, "no-namespace", code=2)
    run("push", root, REPO, "--version", "1.0", code=1)
    missing = run("diff", "org/nothing@v1.0.0", root, code=1)
    assert "no such dataset repository" in missing.stderr or "is missing" in missing.stderr


def test_slices_hold_few_files_and_bytes(tmp_path: Path) -> None:
    big = module.SLICE_BYTES // 2 + 1
    files = {str(i): module.LocalFile(b"", big if i < 3 else 1, "") for i in range(20)}
    plan = PushPlan(REPO, "1.0.0", "", True, None, files)  # type: ignore[arg-type]
    sizes = [len(part) for part in module.slices_of(plan, list(files))]
    assert sizes == [1, 1, 8, 8, 2]
