"""The card of a real folder: facts, sources, the publisher's words; valid for the Hub, and whole when rendered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hub_server import card_problems
from markdown_it import MarkdownIt
from mmprolong_builders.card import card_files, change_text, known_recipe, markdown_text, write_card
from mmprolong_builders.card_facts import wilson
from mmprolong_builders.card_info import (
    Precision,
    host_of,
    import_sources,
    read_card_info,
    sources_bytes,
)
from mmprolong_builders.recipe import Recipe
from support.builds import run
from support.published import doc_id, write_published

from mmprolong_data.errors import SettingsError
from mmprolong_data.manifest import read_manifest

HOSTILE = "a|b <img src=x onerror=alert(1)> `c` *d* [e](http://x) # f"


def card_of(root: Path, repo: str = "") -> str:
    return card_files(root, read_manifest(root), repo=repo)["README.md"].decode()


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
@pytest.mark.parametrize("repo", ["", "org/demo"])
def test_every_card_passes_the_hubs_check_and_renders_whole(tmp_path: Path, container: str, repo: str) -> None:
    root = tmp_path / "a"
    write_published(root, container=container)
    (root / "card.yaml").write_text(
        "precision: [{what: programmatic/1, checked: 88, right: 83, how: two readers}]\nlimits: [Only reports.]\n"
    )
    (root / "sources.csv").write_bytes(
        sources_bytes(
            [{"doc_id": doc_id(0), "license": HOSTILE, "source": "https://example.org/a.pdf", "title": HOSTILE}]
        )
    )
    card = card_of(root, repo)
    assert card_problems(card) == []
    html = MarkdownIt("commonmark").enable("table").render(body(card))
    tables = len(re.findall(r"^\|[-:|]+\|$", card, re.MULTILINE))
    assert html.count("<table>") == tables >= 6
    text = re.sub(r"<pre>.*?</pre>|<[^>]+>", "", html, flags=re.DOTALL)
    assert "|" not in text.replace("a|b", "")
    assert "```" not in text
    assert "**" not in text
    assert "<img src=x" not in html
    assert "a|b &lt;img src=x onerror=alert(1)&gt; `c` *d* [e](http://x) # f" in html
    assert html.count("<h3>") == len(read_manifest(root).configs())
    for heading in ("Load, stream, train", "Configs", "How it was made", "Known limits", "Personal data", "Versions"):
        assert f"<h2>{heading}</h2>" in html


def test_the_facts_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    card = card_of(root)
    assert "| en | 3 |" in card
    assert "| de | 2 |" in card
    assert re.search(r"^language:\n- de\n- en$", card, re.MULTILINE)
    assert "15 pages in all; 3 to 3 a document, the median 3." in card
    assert "- Generator: `test/1` 5." in card
    assert "has not been measured" in card
    assert "The publisher of this dataset has not stated them." in card
    assert "were not compared with any evaluation set" in card


def test_the_publishers_words_and_the_licences_of_the_documents(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    table = tmp_path / "licences.csv"
    table.write_text(
        "\ufeffName, Licence ,URL,pages\n"
        "report-0.pdf,CC-BY-4.0,https://example.org/0.pdf,3\n"
        "pdfs/report-1.pdf,CC-BY-4.0,https://example.org/1.pdf,3\n"
        "report-2.pdf,,https://other.example/2.pdf,3\n"
        "broken.pdf,CC0,x,0\n"
    )
    shown = run(
        "card", root, "--sources", table, "--set", "license=cc-by-4.0", "--set", "contact=data@example.org",
        "--set", "precision=[{what: programmatic/1, checked: 88, right: 83, how: read}]", "--repo", "org/demo",
    ).stdout  # fmt: skip
    assert "3 of 5 used documents found" in shown
    assert "1 rows name no used document: broken.pdf" in shown
    card = (root / "README.md").read_text()
    for line in (
        "license: cc-by-4.0",
        "| CC-BY-4.0 | 2 |",
        "| not stated | 3 |",
        "| example.org | 2 |",
        "| programmatic/1 | 88 | 83 | 94.3 % | 87.4-97.5 % | read |",
        "(data@example.org)",
        "![Number of samples by length in tokens, one colour a config](assets/tokens.png)",
    ):
        assert line in card, line
    assert "has not been measured" not in card
    assert (root / "assets" / "tokens.png").read_bytes().startswith(b"\x89PNG")
    assert "license_name" not in card
    again = run("card", root).stdout  # the words were kept
    assert "Written" in again
    assert "| CC-BY-4.0 | 2 |" in (root / "README.md").read_text()
    assert run("verify", root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "the columns are a, b.*Remedy: a header line with doc_id or name"),
        ("", "the columns are none"),
        ("name,license\n,x\n", "line 2: no document named"),
        ("name,license\nreport-0.pdf,x\nreport-0.pdf,y\n", "line 3: report-0.pdf is listed twice"),
    ],
)
def test_wrong_tables_of_licences(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    documents = [{"doc_id": doc_id(0), "name": "report-0.pdf", "reason": ""}]
    with pytest.raises(SettingsError, match=words):
        import_sources(path, documents)
    path.write_bytes(b"name,license\n\xff\xfe,x\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        import_sources(path, documents)
    with pytest.raises(SettingsError, match="cannot be read"):
        import_sources(tmp_path / "none.csv", documents)


def test_two_documents_of_one_name_need_their_hash(tmp_path: Path) -> None:
    documents = [{"doc_id": doc_id(n), "name": "same.pdf", "reason": ""} for n in range(2)]
    path = tmp_path / "x.csv"
    path.write_text("name,license\nsame.pdf,x\n")
    with pytest.raises(SettingsError, match=r"several documents are called same\.pdf"):
        import_sources(path, documents)
    path.write_text(f"sha256,name,license\n{doc_id(1)},same.pdf,x\n")
    rows, unknown = import_sources(path, documents)
    assert [row["doc_id"] for row in rows] == [doc_id(1)]
    assert unknown == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("licence: mit\n", "unknown setting licence; did you mean license"),
        ("precision: [{what: x, checked: 3, right: 4}]\n", "4 right of 3 checked is impossible"),
        ("limits: no list\n", "must be of type"),
    ],
)
def test_wrong_words(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "card.yaml").write_text(content)
    with pytest.raises(SettingsError, match=words):
        read_card_info(tmp_path)


def test_the_interval_is_wilsons() -> None:
    share, low, high = wilson(Precision("x", 88, 83))
    assert (round(share, 1), round(low, 1), round(high, 1)) == (94.3, 87.4, 97.5)
    assert wilson(Precision("x", 10, 10))[2] == pytest.approx(100)


def test_croissant_is_written_where_the_hub_makes_none(tmp_path: Path) -> None:
    root = tmp_path / "t"
    manifest = write_published(root, container="webdataset")
    value = json.loads((root / "croissant.json").read_bytes())
    assert value["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert {record["@id"] for record in value["recordSet"]} == set(manifest.configs())
    (root / "card.yaml").write_text("croissant: false\n")
    write_card(root, manifest)
    assert not (root / "croissant.json").exists()
    parquet = tmp_path / "p"
    write_published(parquet)
    assert not (parquet / "croissant.json").exists()


def test_recipes_of_other_versions_are_read_as_far_as_they_go() -> None:
    plain = Recipe().content() | {"of_the_future": {"x": 1}, "version": "3.0.0"}
    plain["render"] = {"dpi": 100, "colour": "grey"}
    recipe = known_recipe(plain)
    assert (recipe.version, recipe.render.dpi, recipe.render.quality) == ("3.0.0", 100, Recipe().render.quality)


def test_small_helpers() -> None:
    assert markdown_text("a\n|b") == "a \\|b"
    assert host_of("https://user:secret@example.org:8/x") == "example.org"
    assert host_of("a library") == "a library"
    entry = {"level": "metadata", "documents": {"added": 0}, "samples": {}, "note": ""}
    assert change_text(entry) == "the same samples"
