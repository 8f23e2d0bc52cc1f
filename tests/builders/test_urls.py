"""Corpora behind URLs: what is listed, how files are fetched over bad connections, and what is said about it."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmprolong_builders import fetch, listing
from mmprolong_builders.corpus import find_files, learn_urls, list_corpus
from mmprolong_builders.fetch import ANOTHER, FileStore, UnfetchedError
from mmprolong_builders.urls import HiddenUrls, shown, url_name, version_of
from support.http_server import Fault, serve
from support.s3 import S3, environment, proxy, serve_s3

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.remote import Retries

PDF = b"%PDF-1.4\n" + random.Random(0).randbytes(50_000)
KEYS = (
    "in/a.pdf", "in/B.PDF", "in/b c.pdf", "in/caf\xe9 100%.pdf", "in/%41.pdf", "in/q?x=1.pdf", "in/h#1.pdf",
    "in/s;+&.pdf", "in/deep/er/a.pdf", "in/twice//a.pdf", "in/[x]*.pdf",
)  # fmt: skip


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as monkeypatch, serve_s3() as server:
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")  # a listing comes in pages
        for number, key in enumerate(KEYS):
            server.put("corpus", key, PDF + bytes([number]))
        server.put("corpus", "in/notes.txt", b"no PDF")
        server.put("corpus", "inner.pdf", PDF)
        yield server


@pytest.fixture
def store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileStore]:
    """A store that knows where the S3 server is, and tries again at once."""
    use(s3.url, monkeypatch)
    store = FileStore(Retries(backoff=0.001))
    yield store
    store.close()


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)


def read(store: FileStore, url: str, sha256: str = "") -> bytes:
    with store.local(url, sha256) as path:
        return Path(path).read_bytes()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetched() -> list[Path]:
    """What lies in the folders of fetched files, locks aside."""
    folders = Path(fetch.tempfile.gettempdir()).glob(f"{fetch._PREFIX}*")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(fetch.tempfile, "tempdir", str(tmp_path / "tmp"))


def test_a_prefix_is_listed_with_any_keys(s3: S3, store: FileStore) -> None:
    found = sorted(list_corpus(["s3://corpus/in"], store), key=lambda found: found.path)
    assert [item.path for item in found] == sorted(f"s3://corpus/{key}" for key in KEYS)
    assert {item.bytes for item in found} == {len(PDF) + 1}
    assert len({item.version for item in found}) == len(KEYS)  # their ETags
    for number, key in enumerate(KEYS):
        assert read(store, f"s3://corpus/{key}") == PDF + bytes([number])
        with store.local(f"s3://corpus/{key}") as path:
            assert Path(path).name == key.rpartition("/")[2]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_a_listing_of_many_pages(size: int, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", size)
    assert len(list(list_corpus(["s3://corpus"], store))) == len(KEYS) + 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://nowhere/x", "no such bucket, folder or file"),
        ("s3://corpus/in/none.pdf", "no such bucket, folder or file"),
        ("s3://corpus/in/deep/er/none/", "no such bucket, folder or file"),
        ("memory://corpus", "not a place that a corpus may lie at"),
        ("zip://a.pdf::s3://corpus/a.zip", "not a place that a corpus may lie at"),
        ("simplecache::s3://corpus/in", "not a place that a corpus may lie at"),
        ("s3://not-a-real-key-id:hush@corpus/in", "credentials in a URL"),
        ("nonsense://corpus", "cannot be opened"),
    ],
)
def test_urls_that_name_nothing(url: str, message: str, store: FileStore) -> None:
    with pytest.raises(MMProLongError, match=message) as caught:
        list(list_corpus([url], store))
    assert "hush" not in str(caught.value)


def test_a_prefix_without_a_pdf(s3: S3, store: FileStore) -> None:
    s3.put("texts", "a/notes.txt", b"x")
    with pytest.raises(SettingsError, match="no PDF below this URL"):
        list(list_corpus(["s3://texts/a"], store))


def test_without_credentials_and_without_rights(s3: S3, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SettingsError, match=r"no credentials were found|access is refused"):
        list(list_corpus(["s3://corpus/in"], store))


def test_lists_here_and_there(s3: S3, store: FileStore, tmp_path: Path) -> None:
    own = tmp_path / "list.txt"
    (tmp_path / "here.pdf").write_bytes(PDF)
    own.write_text("# a comment\n\nhere.pdf\ns3://corpus/in/a.pdf\ns3://corpus/in/deep\ns3://corpus/in/none.pdf\n")
    found = {item.path: item.detail for item in list_corpus([own], store)}
    assert found == {
        str(tmp_path / "here.pdf"): "", "s3://corpus/in/a.pdf": "", "s3://corpus/in/deep/er/a.pdf": "",
        "s3://corpus/in/none.pdf": "there is no such file",
    }  # fmt: skip
    s3.put(
        "corpus", "lists/all.txt", b"../in/a.pdf\nmine.pdf\n/etc/passwd\nfile:///etc/passwd\ns3://corpus/inner.pdf\n"
    )
    s3.put("corpus", "lists/mine.pdf", PDF)
    found = {item.path: item.detail for item in list_corpus(["s3://corpus/lists/all.txt"], store)}
    named_elsewhere = "a file of this machine, named elsewhere"
    assert found.pop("/etc/passwd") == found.pop("file:///etc/passwd") == named_elsewhere
    assert found.pop("s3://corpus/lists/../in/a.pdf") == "there is no such file"  # S3 has no folders to climb
    assert found == {"s3://corpus/lists/mine.pdf": "", "s3://corpus/inner.pdf": ""}


def test_an_index_of_a_web_server(store: FileStore, tmp_path: Path) -> None:
    for name in ("pub/a b.pdf", "pub/deep/\xe9.PDF", "pub/x.txt", "private.pdf"):
        (tmp_path / "www" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "www" / name).write_bytes(PDF)
    (tmp_path / "www" / "page.txt").write_text("<html>nothing here</html>")
    with serve(tmp_path / "www") as server:
        found = sorted(list_corpus([f"{server.url}/pub/"], store), key=lambda found: found.path)
        assert [item.path for item in found] == [f"{server.url}/pub/a%20b.pdf", f"{server.url}/pub/deep/%C3%A9.PDF"]
        assert all(item.version and item.bytes == len(PDF) for item in found)
        with store.local(found[1].path) as path:
            assert Path(path).name == "\xe9.PDF"
        with pytest.raises(SettingsError, match="a page without links to PDFs"):
            list(list_corpus([f"{server.url}/page.txt"], store))
        with pytest.raises(SettingsError, match=r"no such bucket, folder or file|there is no such file"):
            list(list_corpus([f"{server.url}/none/"], store))


@pytest.mark.parametrize("fault", ["503", "429", "cut", "short", "damaged"])
def test_faults_that_pass(fault: Fault, store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    with serve(tmp_path) as server:
        # Questions (even numbers, if they are answered at once) alternate with the file itself.
        server.only, server.faults = "a.pdf", dict.fromkeys([1] if fault == "damaged" else [0, 1, 3], fault)
        assert read(store, f"{server.url}/a.pdf", sha(PDF)) == PDF
        assert max(server.faults) < server.matched


def test_a_server_without_ranges(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    with serve(tmp_path) as server:
        server.only, server.every = "a.pdf", "whole"
        assert read(store, f"{server.url}/a.pdf") == PDF


def test_pieces(s3: S3, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (len(PDF) - 1, len(PDF), len(PDF) + 1, 10_000):
        monkeypatch.setattr(fetch, "CHUNK", size)
        s3.put("corpus", f"piece-{size}.pdf", PDF)
        assert read(store, f"s3://corpus/piece-{size}.pdf") == PDF


def test_an_outage_is_not_a_missing_file(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    with serve(tmp_path) as server:
        server.only, server.every = "a.pdf", "503"
        with pytest.raises(UnfetchedError, match=r"could not be fetched in 6 tries .*503") as caught:
            read(store, f"{server.url}/a.pdf")
        assert not caught.value.lasting
        assert not caught.value.gone
        server.every = None
        assert read(store, f"{server.url}/a.pdf") == PDF  # the failure is not remembered
    fresh = FileStore(Retries(backoff=0.001))
    with pytest.raises(UnfetchedError, match="could not be fetched in 6 tries") as caught:
        read(fresh, "http://127.0.0.1:9/a.pdf")  # nobody is there
    assert not caught.value.lasting


def test_removed_and_replaced_files(s3: S3, store: FileStore) -> None:
    s3.put("corpus", "change.pdf", PDF)
    assert read(store, "s3://corpus/change.pdf", sha(PDF)) == PDF
    store.close()
    fresh = FileStore(Retries(backoff=0.001))
    s3.put("corpus", "change.pdf", PDF + b"x")
    with pytest.raises(UnfetchedError, match=ANOTHER) as caught:
        read(fresh, "s3://corpus/change.pdf", sha(PDF))
    assert caught.value.gone
    s3.client.delete_object(Bucket="corpus", Key="change.pdf")
    with pytest.raises(UnfetchedError, match="there is no such file") as caught:
        read(fresh, "s3://corpus/change.pdf", sha(PDF))
    assert caught.value.gone
    s3.put("corpus", "change.pdf", PDF)  # put back
    assert read(fresh, "s3://corpus/change.pdf", sha(PDF)) == PDF
    fresh.close()


def test_connections_cut_at_random_places(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(s3.url) as between:
        use(between.url, monkeypatch)
        between.share = 0.4
        store = FileStore(Retries(attempts=20, backoff=0.001))
        try:
            for number, key in enumerate(KEYS):
                assert read(store, f"s3://corpus/{key}") == PDF + bytes([number])
        finally:
            store.close()
    assert between.cut >= 3


def test_few_files_are_kept_and_none_is_left(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(s3.url, monkeypatch)
    dead = tmp_path / "tmp" / f"{fetch._PREFIX}dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "old.pdf").write_bytes(PDF)
    store = FileStore(Retries(backoff=0.001), kept_bytes=3 * len(PDF))
    alive = FileStore(Retries(backoff=0.001))
    try:
        for key in KEYS:
            read(store, f"s3://corpus/{key}")
            assert len(fetched()) <= 3
        assert not dead.exists()
        with store.local("s3://corpus/in/a.pdf") as used:
            for key in KEYS:
                read(store, f"s3://corpus/{key}")
            assert Path(used).read_bytes() == PDF + bytes([0])
        read(alive, "s3://corpus/in/a.pdf")  # does not take the folder of the other one away
        assert fetched()
    finally:
        store.close()
        alive.close()
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(UnfetchedError, match="the build was stopped"):
        read(store, "s3://corpus/in/a.pdf")


def test_several_users_fetch_a_file_once(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(s3.url) as between:
        use(between.url, monkeypatch)
        store = FileStore()
        store.want("s3://corpus/in/a.pdf")
        with store.local("s3://corpus/in/a.pdf") as one, store.local("s3://corpus/in/a.pdf") as other:
            assert one == other
        assert store.sha256("s3://corpus/in/a.pdf") == sha(PDF + bytes([0]))
        store.close()
        assert sum(line.startswith("GET /corpus/in/a.pdf") for line in between.requests) == 1


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MMProLongError, match=r'pip install "mmprolong\[gs\]"'):
        find_files(["gs://corpus/in"], FileStore())


def test_secrets_are_hidden_and_still_used(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    (tmp_path / "b.pdf").write_bytes(PDF + b"b")
    with serve(tmp_path) as server:
        server.secret = "hush"
        signed = f"{server.url}/a.pdf?X-Amz-Expires=9&X-Amz-Signature=hush"
        with_login = f"{server.url.replace('//', '//me:hush@')}/"
        for corpus, expected in ([signed], ["a.pdf"]), ([with_login], ["a.pdf", "b.pdf"]):
            store = FileStore(Retries(backoff=0.001))
            found = list(list_corpus(corpus, store))
            assert [item.path for item in found] == [f"{server.url}/{name}" for name in expected]
            assert read(store, found[0].path) == PDF
            store.close()
            other = FileStore(Retries(backoff=0.001))  # of a process that has the plan only
            with pytest.raises(UnfetchedError, match="access is refused"):
                read(other, found[-1].path)
            learn_urls(corpus, other)
            assert read(other, found[-1].path)[: len(PDF)] == PDF
            other.close()
        lines = tmp_path / "list.txt"
        lines.write_text(f"{signed}\n{server.url}/b.pdf?token=hush\n")
        for listed in (str(lines), f"{server.url}/list.txt?sig=hush/h"):
            store = FileStore(Retries(backoff=0.001))
            assert sorted(find_files([listed], store)) == [f"{server.url}/a.pdf", f"{server.url}/b.pdf"]
            store.close()
            other = FileStore(Retries(backoff=0.001))
            learn_urls([listed], other)
            assert read(other, f"{server.url}/b.pdf") == PDF + b"b"
            other.close()
        wrong = f"{server.url}/a.pdf?X-Amz-Signature=secretive"
        with pytest.raises(SettingsError, match="access is refused") as caught:
            find_files([wrong], FileStore(Retries(backoff=0.001)))
        assert "secretive" not in str(caught.value)


def test_stored_urls() -> None:
    urls = HiddenUrls()
    for plain in ("s3://bucket/a?b#c.pdf", "https://host/a.pdf", "hf://datasets/me/x@main/a.pdf"):
        assert urls.hide(plain) == urls.full(plain) == shown(plain).replace("hf", "hf") == plain
    first, second = (urls.hide(f"https://host/get?id={number}&sig=hush{number}") for number in (1, 2))
    assert first != second
    assert "hush" not in first + second
    assert shown(first) == "https://host/get"
    assert urls.full(second) == "https://host/get?id=2&sig=hush2"
    assert urls.hide("https://host/get?sig=other&id=2") == second  # a new signature of the same file
    assert urls.hide("https://me:hush@host/a.pdf") == "https://host/a.pdf"
    assert urls.full("https://host/b.pdf") == "https://me:hush@host/b.pdf"
    assert urls.full("http://host/b.pdf") == "http://host/b.pdf"  # not in the clear


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("https://host/a/b%20c.pdf", "b c.pdf"),
        ("https://host/a/..%2F..%2Fetc.pdf", "etc.pdf"),
        ("https://host/get#1234", "get"),
        ("https://host/", ""),
        ("s3://bucket/a/b%20c?.pdf", "b%20c?.pdf"),
    ],
)
def test_names_of_urls(stored: str, name: str) -> None:
    assert url_name(stored) == name


def test_names_that_no_file_may_have(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / ("n" * 240 + ".pdf")).write_bytes(PDF)
    with serve(tmp_path / "www") as server:
        assert read(store, f"{server.url}/{'n' * 240}.pdf") == PDF
    with serve(tmp_path) as server, pytest.raises(UnfetchedError, match="there is no such file"):
        read(store, f"{server.url}/%00.pdf")


def test_versions() -> None:
    assert version_of({"ETag": '"abc"', "LastModified": "x"}) == "abc"
    assert version_of({"LastModified": "x"}) == "x"
    assert version_of({"size": 3}) == ""


def test_nothing_else_is_listed_when_a_listing_breaks(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that cannot be completed is an error, never a smaller corpus."""
    with proxy(s3.url) as between:
        use(between.url, monkeypatch)
        store = FileStore(Retries(attempts=2, backoff=0.001))
        monkeypatch.setattr(listing, "_PAGE", 4)
        found = list_corpus(["s3://corpus/in"], store)
        next(found)
        between.refuse = True
        with pytest.raises(UnfetchedError, match="could not be fetched"):
            list(found)
        store.close()
