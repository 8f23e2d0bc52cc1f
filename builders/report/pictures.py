"""Pages of samples as small JPEG pictures: plain, or with the boxes of their parsed blocks."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from ..blocks import Page

KIND_COLOURS = {
    "title": "#d4351c",
    "heading": "#d4351c",
    "paragraph": "#4269d0",
    "list": "#6f42c1",
    "table": "#0b8f6a",
    "caption": "#b8860b",
    "figure": "#e377c2",
    "footnote": "#7f7f7f",
    "header": "#9aa0a6",
    "footer": "#9aa0a6",
}


def thumbnail(jpeg: bytes, width: int = 420) -> bytes:
    """A page at most ``width`` pixels wide."""
    return _jpeg(_open(jpeg, width))


def page_with_blocks(jpeg: bytes, page: Page, width: int = 560) -> bytes:
    """A page with the boxes of its blocks, numbered in reading order, coloured by kind."""
    image = _open(jpeg, width)
    drawing = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size=11)
    scale_x, scale_y = image.width / page.width, image.height / page.height
    for number, block in enumerate(page.blocks, start=1):
        colour = KIND_COLOURS[block.kind]
        (x0, x1), (y0, y1) = sorted(block.box[::2]), sorted(block.box[1::2])
        box = (scale_x * x0 - 1, scale_y * y0 - 1, scale_x * x1 + 1, scale_y * y1 + 1)
        drawing.rectangle(box, fill=f"{colour}1c", outline=colour)
        label = str(number)
        left = max(0.0, box[0] - 8 - 6 * len(label))
        drawing.rectangle((left, box[1], left + 5 + 6 * len(label), box[1] + 12), fill=colour)
        drawing.text((left + 3, box[1]), label, fill="white", font=font)
    return _jpeg(image)


def _open(jpeg: bytes, width: int) -> Image.Image:
    file = Image.open(io.BytesIO(jpeg))
    file.draft("RGB", (2 * width, 2 * width))  # decode large pages at a fraction of their size
    image = file.convert("RGB")
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    return image


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()
