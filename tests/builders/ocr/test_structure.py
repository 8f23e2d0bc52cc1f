"""PP-StructureV3 and PaddleOCR-VL: arguments, results of the installed library's own classes, a server that goes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from mmprolong_builders.layout.parse import parse_document
from mmprolong_builders.ocr import read, results, structure, weights
from mmprolong_builders.ocr.engine import PageBlock, PageBlocks, PageFailure, TextLine
from mmprolong_builders.ocr.models import Layout
from mmprolong_builders.ocr.paddle import PaddleEngine, imported, models
from mmprolong_builders.ocr.run import ocr_fingerprint
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.recipe import Ocr, Parse, Recipe
from support.documents import write_report
from support.scans import picture_of, write_scanned
from support.vl_server import VlServer

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import to_plain

pytestmark = pytest.mark.usefixtures("ocr_extra")
TABLE = (
    "<html><body><table><tr><td>Quarter</td><td>Volume</td></tr><tr><td>Q1</td><td>7</td></tr></table></body></html>"
)
LABELS = {
    "title": "paragraph_title", "text": "text", "table": "table", "header": "header", "footer": "number",
    "caption": "figure_title", "figure": "image", "equation": "formula",
}  # fmt: skip
"""Kinds of our layout model -> PaddleX's labels."""


@pytest.mark.parametrize(("name", "engine"), [("PPStructureV3", "ppstructure"), ("PaddleOCRVL", "vl")])
@pytest.mark.parametrize("backend", ["onnxruntime", "paddle"])
def test_our_arguments_are_the_installed_versions(name: str, engine: Any, backend: Any, tmp_path: Path) -> None:
    from paddleocr._common_args import parse_common_args

    settings = Ocr(engine=engine, backend=backend, server="http://localhost:1/v1", server_model="served")
    if engine == "vl":
        given = structure.vl_arguments(settings)
        assert given["vl_rec_server_url"] == "http://localhost:1/v1"
        assert given["vl_rec_api_model_name"] == "served"
    else:
        given = structure.structure_arguments(settings) | models(settings, tmp_path)
        assert given["text_recognition_model_name"] == "PP-OCRv6_small_rec"
    own = set(inspect.signature(getattr(imported(), name).__init__).parameters) - {"self", "kwargs"}
    common = {key: value for key, value in given.items() if key not in own}
    parse_common_args(common, default_enable_hpi=None)  # type: ignore[arg-type]  # raises for others


def test_versions_and_servers_are_those_of_the_installed_library() -> None:
    from paddleocr._pipelines import paddleocr_vl
    from paddlex.inference.utils.official_models import ONNX_SUPPORTED_MODELS

    assert list(weights.VL_VERSIONS.values()) == paddleocr_vl._AVAILABLE_PIPELINE_VERSIONS
    assert structure.vl_arguments(Ocr(engine="vl"))["pipeline_version"] == paddleocr_vl._DEFAULT_PIPELINE_VERSION
    backends = inspect.get_annotations(Ocr, eval_str=True)["server_backend"].__args__
    assert {"native", *backends} == set(paddleocr_vl._SUPPORTED_VL_BACKENDS)
    # What runs on ONNX Runtime beside the server, and for PP-StructureV3 all but its formulas.
    assert {"PP-DocLayoutV3", "PP-DocLayout_plus-L", "PP-DocBlockLayout", "SLANeXt_wired"} <= set(ONNX_SUPPORTED_MODELS)
    assert not any("Formula" in name for name in ONNX_SUPPORTED_MODELS)


def test_labels_are_those_of_the_installed_library() -> None:
    from paddlex.inference.pipelines.layout_parsing.setting import BLOCK_LABEL_MAP
    from paddlex.inference.pipelines.paddleocr_vl.result import SKIP_ORDER_LABELS

    kinds = {label: results.KINDS.get(label) for labels in BLOCK_LABEL_MAP.values() for label in labels}
    assert set(BLOCK_LABEL_MAP["paragraph_title_labels"]) == {k for k, kind in kinds.items() if kind == "heading"}
    assert {results.KINDS[label] for label in BLOCK_LABEL_MAP["vision_title_labels"]} == {"caption"}
    assert {results.KINDS[label] for label in BLOCK_LABEL_MAP["vision_labels"]} == {"figure", "table"}
    assert set(SKIP_ORDER_LABELS) <= set(results.KINDS)


def structured(page: np.ndarray[Any, Any], html: str) -> Any:
    """What PP-StructureV3 makes of a page by its own code, with our models in the place of its weights."""
    from paddlex.inference.models.object_detection.result import DetResult
    from paddlex.inference.pipelines.layout_parsing.pipeline_v2 import _LayoutParsingPipelineV2
    from paddlex.inference.pipelines.layout_parsing.result_v2 import LayoutParsingResultV2

    lines = PaddleEngine.open(Ocr(model="tiny"))._pipeline
    found = next(iter(lines.predict(np.ascontiguousarray(page[:, :, ::-1]))))
    found["rec_labels"] = ["text"] * len(found["rec_texts"])
    boxes = [
        {"cls_id": 0, "label": LABELS[r.kind], "score": r.score, "coordinate": list(r.box)}
        for r in Layout().regions(page)
    ]
    pipeline = _LayoutParsingPipelineV2({}, initial_predictor=False)
    pipeline.general_ocr_pipeline = lines.paddlex_pipeline._pipeline

    def detected(some: list[Any]) -> Any:
        return DetResult({"input_path": None, "page_index": None, "input_img": page, "boxes": some})

    blocks = pipeline.get_layout_parsing_res(
        page.copy(), detected([]), detected(boxes), found, [{"pred_html": html, "cell_box_list": []}], [], [], [], 0.0
    )
    return LayoutParsingResultV2(
        {
            "input_path": None, "page_index": 0, "model_settings": {}, "parsing_res_list": blocks,
            "overall_ocr_res": found,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report") / "report.pdf", 4)


class Fixed:
    """An engine that gives a result that was made before."""

    def __init__(self, found: PageBlocks) -> None:
        self.found = found

    def recognize(self, pages: Any) -> list[PageBlocks]:
        return [self.found for _ in pages]


def document_of(found: PageBlocks, picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A scan of one page through the reader and the parser, as in a build."""
    path = write_scanned(tmp_path / "scan.pdf", [picture])
    monkeypatch.setattr(read, "shared_engine", lambda settings: Fixed(found))
    data = simplejpeg.encode_jpeg(np.asarray(picture), quality=95, colorspace="RGB")
    settings = Ocr(engine="ppstructure", straighten=False)
    size = [72 * picture.width / 150, 72 * picture.height / 150]
    record = read.read_task({"settings": to_plain(settings), "pages": [data], "sizes": [size]})["pages"][0]
    with open_pdf(str(path)) as pdf:
        ocr = {"engine": "ppstructure small", "pages": {0: ["image without text", record]}}
        return parse_document(pdf, "0" * 64, Parse(), ocr)


def test_a_page_by_pp_structures_own_code_becomes_blocks_with_lines_and_boxes(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = picture_of(report, 2)
    found = results.structure_blocks(structured(np.asarray(picture), TABLE))
    assert found.measurable
    document = document_of(found, picture, tmp_path, monkeypatch)
    (page,) = document.pages
    assert page.status == "ocr"
    kinds = [block.kind for block in page.blocks]
    assert kinds[:2] == ["header", "heading"]
    assert kinds[-1] == "footer"
    assert {"paragraph", "caption", "table"} <= set(kinds)
    heading = page.blocks[1]
    assert heading.text.startswith("2 Works at ")
    assert (heading.level, heading.source) == (1, "ocr:ppstructure small")
    assert [section.title for section in document.sections if section.title] == [heading.text]
    paragraph = next(block for block in page.blocks if block.kind == "paragraph")
    assert len(paragraph.lines) == 9
    with open_pdf(str(report)) as pdf:
        truth = parse_document(pdf, "0" * 64, Parse()).pages[2]
    genuine = next(block for block in truth.blocks if block.kind == "paragraph")
    assert np.allclose(paragraph.box, genuine.box, atol=6)
    assert [len(block.lines) for block in page.blocks if block.text.startswith("Inspector")] == [3]
    table = next(block for block in page.blocks if block.kind == "table")
    assert table.rows == [["Quarter", "Volume"], ["Q1", "7"]]
    caption = next(block for block in page.blocks if block.kind == "caption")
    assert caption.label == "Table 3"


def test_lines_that_no_block_covers_are_kept_and_formulas_and_figures_are_told_apart() -> None:
    from paddlex.inference.pipelines.layout_parsing.layout_objects import LayoutBlock

    blocks = [
        LayoutBlock("text", [10, 10, 200, 40], "ignored: the lines are known"),
        LayoutBlock("formula", [10, 50, 200, 70], "x^2 + 1"),
        LayoutBlock("formula", [210, 50, 300, 70], ""),
        LayoutBlock("chart", [10, 80, 200, 160], ""),
        LayoutBlock("text", [10, 170, 200, 190], "read by another model"),
        LayoutBlock("text", [10, 300, 200, 320], ""),
    ]
    lines = {
        "rec_boxes": np.array(
            [[10, 12, 190, 22], [12, 26, 150, 36], [20, 90, 60, 100], [10, 200, 90, 212], [220, 52, 280, 66]]
        ),
        "rec_texts": ["First line", "second line", "axis", "left over", "y = 2"],
        "rec_scores": [0.99, 0.98, 0.97, 0.96, 0.95],
    }
    found = results.structure_blocks({"parsing_res_list": blocks, "overall_ocr_res": lines})
    texts = [(block.kind, [line.text for line in block.lines]) for block in found.blocks]
    assert texts == [
        ("", ["First line", "second line"]),
        ("", ["x^2 + 1"]),
        ("", ["y = 2"]),
        ("figure", []),
        ("", ["read by another model"]),
        ("", ["left over"]),
    ]


def test_lines_and_pages_that_are_not_certain_are_no_text(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*scores: float) -> PageBlocks:
        lines = [
            TextLine(100, 200 + 40 * i, 600, 220 + 40 * i, f"The gauge was read on day {i}", score)
            for i, score in enumerate(scores)
        ]
        return PageBlocks([PageBlock("", (90, 190, 700, 400), lines)], True)

    page = document_of(found(0.99, 0.48, 0.98, 0.99, 0.99), picture_of(report, 2), tmp_path, monkeypatch).pages[0]
    assert [line[-1] for block in page.blocks for line in block.lines] == ["0", "2", "3", "4"]
    page = document_of(found(0.6, 0.7, 0.6), picture_of(report, 2), tmp_path, monkeypatch).pages[0]
    assert page.status == "needs_ocr"
    assert "certainty 0.63" in page.status_reason


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (TABLE, [["Quarter", "Volume"], ["Q1", "7"]]),
        (TABLE.replace("<td>Q1", "<td>Q<br>1 &amp; <b>2</b>"), [["Quarter", "Volume"], ["Q 1 & 2", "7"]]),
        (TABLE.replace("<td>Q1", '<td rowspan="2">Q1'), []),
        (TABLE.replace("<td>7</td>", ""), []),
        ("no table", []),
        ("<td>astray</td><tr>", []),
    ],
)
def test_cells_of_a_table_only_where_they_are_certain(content: str, wanted: list[list[str]]) -> None:
    assert results.table_cells(content) == wanted


def test_results_of_paddleocr_vl_share_the_boxes_of_their_blocks(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddlex.inference.pipelines.paddleocr_vl.result import PaddleOCRVLBlock, PaddleOCRVLResult

    merged = TABLE.replace("<td>Q1</td><td>7</td>", '<td colspan="2">All &amp; more</td>')
    blocks = [
        PaddleOCRVLBlock("header", [100, 20, 400, 40], "Regional Water Board"),
        PaddleOCRVLBlock("doc_title", [100, 80, 900, 140], "On Gauges"),
        PaddleOCRVLBlock("paragraph_title", [100, 200, 500, 230], "1 Method"),
        PaddleOCRVLBlock("text", [100, 240, 900, 320], "The gauge was read twice a day and the flow was noted. " * 4),
        PaddleOCRVLBlock("paragraph_title", [100, 340, 500, 365], "1.1 Reading"),
        PaddleOCRVLBlock("text", [100, 380, 900, 430], "- the upper gauge\n- the lower gauge"),
        PaddleOCRVLBlock("table", [100, 450, 900, 520], TABLE),
        PaddleOCRVLBlock("table", [100, 540, 900, 620], merged),
        PaddleOCRVLBlock("display_formula", [100, 640, 900, 680], "$$ a < b $$"),
        PaddleOCRVLBlock("image", [100, 700, 900, 1000], ""),
        PaddleOCRVLBlock("figure_title", [100, 1010, 900, 1040], "Figure 2: The lower gauge"),
        PaddleOCRVLBlock("vision_footnote", [100, 1050, 900, 1070], "a In litres."),
        PaddleOCRVLBlock("number", [600, 1690, 620, 1710], "7"),
    ]
    result = PaddleOCRVLResult(
        {"input_path": None, "page_index": 0, "width": 1241, "height": 1754, "parsing_res_list": blocks,
         "model_settings": {}}
    )  # fmt: skip
    picture = picture_of(report, 2)
    document = document_of(results.vl_blocks(result), picture, tmp_path, monkeypatch)
    (page,) = document.pages
    assert [(block.kind, block.level) for block in page.blocks] == [
        ("header", 0), ("title", 0), ("heading", 1), ("paragraph", 0), ("heading", 2), ("list", 0), ("table", 0),
        ("table", 0), ("paragraph", 0), ("caption", 0), ("footnote", 0), ("figure", 0), ("footer", 0),
    ]  # fmt: skip
    by_kind = {block.kind: block for block in page.blocks}
    assert by_kind["title"].text == "On Gauges"
    assert np.allclose(by_kind["heading"].box, [100 * 0.48, 340 * 0.48, 500 * 0.48, 365 * 0.48], atol=1)
    assert by_kind["list"].text == "- the upper gauge\n- the lower gauge"
    assert page.blocks[6].rows == [["Quarter", "Volume"], ["Q1", "7"]]
    assert page.blocks[7].text == "Quarter Volume\nAll & more"
    assert page.blocks[8].text == "$$ a < b $$"
    assert by_kind["caption"].label == "Figure 2"
    assert by_kind["footer"].text == "7"


@pytest.fixture
def server() -> Iterator[VlServer]:
    with VlServer("On gauges\nThe gauge was read twice a day.") as running:
        yield running


@pytest.fixture
def without_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout model's weights need a network, and so do packages that only tables and formulas need."""
    from paddlex.utils import deps

    arguments = structure.vl_arguments
    monkeypatch.setattr(structure, "vl_arguments", lambda s: arguments(s) | {"use_layout_detection": False})
    monkeypatch.setattr(deps, "is_extra_available", lambda extra: True)
    monkeypatch.setattr(weights, "_DOCUMENT_PACKAGES", ())


@pytest.mark.usefixtures("without_layout")
def test_the_genuine_paddleocr_vl_reads_through_a_server_and_stops_where_it_is_gone(server: VlServer) -> None:
    engine = structure.VlEngine.open(Ocr(engine="vl", server=server.url, server_model="served"))
    page = np.full((400, 300, 3), 255, np.uint8)
    page[50:60, 50:200] = 0
    (found,) = engine.recognize([page])
    assert isinstance(found, PageBlocks)
    assert [line.text for line in found.blocks[0].lines] == ["On gauges", "The gauge was read twice a day."]
    assert found.blocks[0].box == (0, 0, 300, 400)
    assert server.models == ["served"]
    server.status = 400  # this page alone
    (failure,) = engine.recognize([page])
    assert isinstance(failure, PageFailure)
    server.close()
    with pytest.raises(MMProLongError, match=r"ocr\.server = http://127\.0\.0\.1:\d+/v1: no answer.*Remedy"):
        engine.recognize([page])
    with pytest.raises(MMProLongError, match="no answer"):
        structure.VlEngine.open(Ocr(engine="vl", server=server.url))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Ocr(engine="vl"), r"no ONNX weights of PaddleOCR-VL.*ocr\.server"),
        (Ocr(engine="vl", server="localhost:8118"), "no URL"),
        (Ocr(engine="vl", server="http://me:secret@host/v1"), r"^ocr\.server holds a user or a password"),
        (Ocr(engine="vl", model="PP-OCRv5_server", server="http://localhost:1/v1"), "PaddleOCR-VL-1.6"),
        (Ocr(engine="ppstructure", model="huge"), "no such model"),
        (Ocr(engine="ppstructure", device="cuda"), "no such device"),
    ],
)
def test_settings_that_they_cannot_be_opened_with_are_refused(settings: Ocr, message: str) -> None:
    with pytest.raises(MMProLongError, match=message):
        weights.check_settings(settings)


def test_their_further_packages_have_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_DOCUMENT_PACKAGES", ("a_package_that_nobody_has",))
    with pytest.raises(MMProLongError, match=r'pip install "paddleocr\[doc-parser\]=='):
        weights.require(Ocr(engine="ppstructure"))
    with pytest.raises(MMProLongError, match="doc-parser"):  # asked for by name: scans are not left out in silence
        ocr_fingerprint(Recipe(ocr=Ocr(engine="ppstructure")))


def test_where_a_server_stands_is_nobodys_business_and_other_recipes_keep_their_hash() -> None:
    one, two = (Recipe(ocr=Ocr(engine="vl", server=url)) for url in ("http://a/v1", "http://b/v1"))
    assert one.hash() == two.hash()
    assert one.hash() != Recipe(ocr=Ocr(engine="vl", server_model="other")).hash()
    assert not {"server", "server_backend", "server_model"} & set(Recipe().content()["ocr"])
