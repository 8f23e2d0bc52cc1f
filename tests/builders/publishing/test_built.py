"""From PDFs to versions: a genuine build, published, built again, changed, reduced."""

from __future__ import annotations

from pathlib import Path

from hub_server import HubServer
from mmprolong_builders.publishing.diff import compare
from mmprolong_builders.publishing.remove import remove
from mmprolong_builders.publishing.views import open_folder
from support.builds import SHORT, run
from support.documents import write_corpus, write_report
from support.published import folder_files, tree_at

from mmprolong_data.index import read_index
from mmprolong_data.manifest import read_manifest
from mmprolong_data.verify import verify_dataset

from .test_push import push


def test_a_build_is_published_again_and_again(tmp_path: Path, hub: HubServer) -> None:
    corpus, out = write_corpus(tmp_path / "pdfs", 4), tmp_path / "mmprolong"
    run("build", corpus, "--out", out, *SHORT)
    push(hub, out)
    (out / "card.yaml").write_text("contact: data@example.org\n")
    push(hub, out, version="1.0.1")
    published = folder_files(out)
    assert tree_at(hub, "org/demo", "v1.0.1") == published

    run("build", corpus, "--out", out, *SHORT)  # the same command again forgets neither version nor changelog
    manifest = read_manifest(out)
    assert (manifest.dataset_version, manifest.parent_version) == ("1.0.1", "1.0.0")
    assert [entry["version"] for entry in manifest.changelog] == ["1.0.1", "1.0.0"]
    assert push(hub, out).done
    assert folder_files(out) == published

    write_report(corpus / "one-more.pdf", 14, seed=77)
    run("build", corpus, "--out", tmp_path / "next", *SHORT)
    difference = compare(open_folder(out), open_folder(tmp_path / "next"))
    assert list(difference.documents_added.values()) == ["one-more.pdf"]
    assert difference.samples_added.total() > 1
    assert not difference.changed
    push(hub, tmp_path / "next", version="1.1.0", note="one more report")
    assert "one more report" in (tmp_path / "next" / "README.md").read_text()

    doc_id = read_index(next((out / "index").glob("ocr_full-*.parquet")))[0].doc_id
    remove(out, [doc_id])
    assert verify_dataset(out) == []
    refused = run("build", corpus, "--out", out, *SHORT, code=1)  # it would bring the document back
    assert "Remedy: --out another folder" in refused.stderr
    assert verify_dataset(out) == []
