"""Hostile and unusual PDFs, written by hand so that every byte of them is known."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def assemble(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of the given objects (number 1 is the catalog), with a correct cross-reference table."""
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, rows)
    return out + table + b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)


def stream(data: bytes, attributes: bytes = b"") -> bytes:
    """A stream object."""
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), attributes, data)


def text(line: str, x: float = 72, y: float = 700, size: float = 12) -> bytes:
    """Content that shows one line of text."""
    shown = line.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
    return b"BT /F1 %g Tf %g %g Td (%s) Tj ET\n" % (size, x, y, shown)


def document(
    contents: Sequence[bytes],
    box: str = "0 0 612 792",
    page: str = "",
    resources: str = "",
    catalog: str = "",
    extra: Sequence[bytes] = (),
    trailer: bytes = b"",
) -> bytes:
    """A PDF with one page for each content stream.

    Objects: 1 catalog, 2 page tree, 3 font (``/F1``), then ``extra`` from 4 on, then the pages. ``page``,
    ``resources`` and ``catalog`` are inserted in the dictionaries of that name.
    """
    first = 4 + len(extra)
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(contents)))
    objects = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>".encode(),
        f"<</Type/Pages/Kids[{kids}]/Count {len(contents)}>>".encode(),
        FONT,
        *extra,
    ]
    for i, content in enumerate(contents):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents {first + 2 * i + 1} 0 R{page}"
            f"/Resources<</Font<</F1 3 0 R>>{resources}>>>>".encode()
        )
        objects.append(content if b"endstream" in content else stream(content))
    return assemble(objects, trailer)


def plain(pages: int = 3) -> bytes:
    """A harmless document."""
    return document([text(f"This is page {number + 1} of the document and it is harmless.") for number in range(pages)])


def truncated() -> bytes:
    """The first part of a document whose catalog comes last: MuPDF repairs it to 0 pages, without an exception."""
    whole = document([text("lost")] * 4, extra=[stream(bytes(range(256)) * 16)])
    catalog, rest = whole.index(b"1 0 obj"), whole.index(b"2 0 obj")
    return whole[:catalog] + whole[rest : len(whole) * 6 // 10]


def encrypted(user_password: str) -> bytes:
    """A document encrypted with AES-256; one with an empty user password opens for everybody."""
    import pymupdf

    with pymupdf.open(stream=plain(), filetype="pdf") as pdf:
        data: bytes = pdf.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", user_pw=user_password)
    return data


def unknown_encryption() -> bytes:
    """A document that names an encryption handler of its own."""
    return document([text("x")], trailer=b"/Encrypt<</Filter/Foo/V 9>>")


def page_tree_loop() -> bytes:
    """A page tree whose kid is itself."""
    return assemble([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 5/Parent 2 0 R>>"])


def missing_pages() -> bytes:
    """A page tree that promises 40 pages and has one."""
    return document([text("the only one")]).replace(b"/Count 1>>", b"/Count 40>>")


def form_bomb(levels: int = 12, calls: int = 12) -> bytes:
    """Forms that each draw the next one ``calls`` times: ``calls ** levels`` rectangles."""
    forms = []
    for level in range(levels):
        last = level == levels - 1
        content = b"0 0 1 1 re f\n" if last else b"/X Do\n" * calls
        resources = b"" if last else b"/Resources<</XObject<</X %d 0 R>>>>" % (5 + level)
        forms.append(stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]" + resources))
    return document([b"/X Do\n" * calls], resources="/XObject<</X 4 0 R>>", extra=forms)


def form_loop() -> bytes:
    """A form that draws itself."""
    form = stream(
        b"/X Do 0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</X 4 0 R>>>>"
    )
    return document([b"/X Do"], resources="/XObject<</X 4 0 R>>", extra=[form])


def tiny_pattern() -> bytes:
    """A page filled with a pattern whose cells are far smaller than a pixel."""
    pattern = stream(
        b"0 0 0.0004 0.0004 re f",
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 2/BBox[0 0 0.001 0.001]/XStep 0.001/YStep 0.001"
        b"/Resources<<>>",
    )
    content = b"/Pattern cs /P scn 0 0 612 792 re f"
    return document([content], resources="/Pattern<</P 4 0 R>>", extra=[pattern])


def flate_bomb(megabytes: int = 150) -> bytes:
    """A content stream that inflates to ``megabytes``."""
    packer = zlib.compressobj(1)
    block = b"0 0 1 1 re f\n" * 80_660  # about a megabyte
    data = b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
    return document([stream(data, b"/Filter/FlateDecode")])


def image_bomb(side: int = 60_000) -> bytes:
    """A page that shows an image of ``side`` x ``side`` pixels, in a few kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 << 20)
    data = b"".join(packer.compress(row) for _ in range(64)) + packer.flush()
    attributes = b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceRGB" % (
        side,
        side,
    )
    image = stream(data, attributes + b"/Filter/FlateDecode")
    return document([b"q 500 0 0 700 50 50 cm /I Do Q"], resources="/XObject<</I 4 0 R>>", extra=[image])


def damaged_content() -> bytes:
    """Three pages; the content of the second one cannot be inflated: it renders blank, without an exception."""
    broken = stream(b"\xff\x00 this is no deflate stream \xff" * 20, b"/Filter/FlateDecode")
    return document([text("first"), broken, text("third")])


def blank_page() -> bytes:
    """Three pages; the second one is empty, and rightly so."""
    return document([text("first"), b" ", text("third")])


def many_paths(count: int = 300_000) -> bytes:
    """A page of ``count`` vector paths and one line of text."""
    paths = b"".join(b"%d %d m %d %d l S\n" % (i % 600, i % 777, (i * 7) % 600, (i * 3) % 777) for i in range(count))
    return document([text("among them") + paths])


def outline_loop() -> bytes:
    """Bookmarks of which each is the other's successor."""
    extra = [
        b"<</Type/Outlines/First 5 0 R/Last 6 0 R/Count 2>>",
        b"<</Title(first)/Parent 4 0 R/Next 6 0 R/Dest[7 0 R/XYZ 0 700 0]>>",
        b"<</Title(second)/Parent 4 0 R/Next 5 0 R/First 5 0 R/Last 5 0 R/Dest[7 0 R/XYZ 0 300 0]>>",
    ]
    return document([text("outlined")], catalog="/Outlines 4 0 R", extra=extra)


def lone_surrogates() -> bytes:
    """Text whose character map leads to half a surrogate pair, and such a producer."""
    cmap = b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfchar <41> <d800> endbfchar endcmap"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 4 0 R>>"
    info = b"<</Producer<feffd8000041>/Title(ordinary)>>"
    return document(
        [b"BT /F2 12 Tf 72 700 Td (ABBA) Tj ET"],
        resources="/Font<</F2 5 0 R>>",
        extra=[stream(cmap), font, info],
        trailer=b"/Info 6 0 R",
    ).replace(b"/Font<</F1 3 0 R>>/Font", b"/Font")


BOXES = {
    "huge": "0 0 14400000 14400000",
    "tiny": "0 0 0.1 0.1",
    "elongated": "0 0 14000 5",
    "overflow": "0 0 1e38 1e38",
}
"""Page boxes that no page can have."""

INVERTED_BOX = "612 792 0 0"
"""A box given by its other corners, which is allowed."""


def write(path: Path, data: bytes | Callable[[], bytes]) -> Path:
    """Write a document and return its path."""
    path.write_bytes(data if isinstance(data, bytes) else data())
    return path
