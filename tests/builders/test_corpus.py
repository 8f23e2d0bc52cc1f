"""Which files a corpus is: folders, PDFs, lists of paths, and what to say where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mmprolong_builders.corpus import find_files
from mmprolong_builders.untrusted import real_path

from mmprolong_data.errors import SettingsError


def touch(path: Path, data: bytes = b"%PDF-1.4") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_folder_is_searched_through_in_any_case(tmp_path: Path) -> None:
    wanted = [touch(tmp_path / name) for name in ("b.pdf", "a.PDF", "deep/er/c.Pdf", ".hidden/d.pdf")]
    for name in ("notes.txt", "pdf", "x.pdf.bak"):
        touch(tmp_path / name)
    assert find_files([tmp_path]) == sorted(map(str, wanted))


def test_every_file_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = touch(tmp_path / "pdfs" / "a.pdf")
    monkeypatch.chdir(tmp_path)
    assert find_files(["pdfs", tmp_path / "pdfs", "pdfs/../pdfs/a.pdf", one]) == [str(one)]


def test_link_loops_end(tmp_path: Path) -> None:
    one = touch(tmp_path / "a" / "one.pdf")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    found = find_files([tmp_path])
    assert found == [str(one)]


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    outside = touch(tmp_path / "outside" / "one.pdf")
    farm = tmp_path / "farm"
    farm.mkdir()
    (farm / "file.pdf").symlink_to(outside)
    (farm / "folder").symlink_to(outside.parent)
    assert find_files([farm]) == [str(farm / "file.pdf"), str(farm / "folder" / "one.pdf")]


def test_dangling_links_are_found_and_left_to_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "gone.pdf").symlink_to(tmp_path / "nowhere")
    assert find_files([tmp_path]) == [str(tmp_path / "gone.pdf")]


def test_pdf_whatever_its_name(tmp_path: Path) -> None:
    named, unnamed = touch(tmp_path / "a.pdf", b"no PDF at all"), touch(tmp_path / "download")
    assert find_files([named, unnamed]) == [str(named), str(unnamed)]


def test_list_of_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the list's own folder, wherever the command runs."""
    one, two = touch(tmp_path / "pdfs" / "one.pdf"), touch(tmp_path / "pdfs" / "sub" / "two.pdf")
    absent = tmp_path / "pdfs" / "absent.pdf"
    listing = touch(tmp_path / "pdfs" / "list.txt", f"# mine\n\none.pdf\r\nsub\n{one}\nabsent.pdf\n".encode())
    monkeypatch.chdir("/")
    assert find_files([listing]) == sorted(map(str, [one, two, absent]))


def test_list_names_files_in_any_encoding(tmp_path: Path) -> None:
    listing = touch(tmp_path / "list.txt", b"caf\xe9.pdf\n")
    assert [os.fsencode(real_path(path)) for path in find_files([listing])] == [os.fsencode(tmp_path) + b"/caf\xe9.pdf"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("absent", None, "No such file"),
        ("empty-folder/", None, "no PDF in this folder"),
        ("list.txt", b"# nothing\n\n", "names no file"),
        ("archive.zip", b"PK\x03\x04\x00\x00", "neither a folder"),
    ],
)
def test_what_is_no_corpus(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif data is not None:
        touch(path, data)
    with pytest.raises(SettingsError, match=message) as caught:
        find_files([path])
    assert str(path) in str(caught.value)


def test_no_corpus_at_all() -> None:
    with pytest.raises(SettingsError, match="no corpus"):
        find_files([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_folder_that_cannot_be_read_is_accounted_for(tmp_path: Path) -> None:
    touch(tmp_path / "a.pdf")
    touch(tmp_path / "closed" / "b.pdf").parent.chmod(0)
    assert find_files([tmp_path]) == [str(tmp_path / "a.pdf"), str(tmp_path / "closed")]
