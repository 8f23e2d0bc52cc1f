"""Planted codes: a box with a name and a number, stamped onto a page. The answer is known without any teacher."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import fingerprint

from .source import Size

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

QUALITY = 92
LEAST_SIDE = 140
"""Pages with a shorter side (pixels) carry no readable box."""

_COLOURS = ("AMBER", "AZURE", "COPPER", "CRIMSON", "EMERALD", "INDIGO", "IVORY", "OLIVE", "SCARLET", "SILVER", "VIOLET")
_ANIMALS = (
    "BADGER", "CONDOR", "DOLPHIN", "FALCON", "GAZELLE", "HERON", "JAGUAR", "LYNX", "MARTEN", "OTTER", "PUFFIN",
    "RAVEN", "SALMON", "TAPIR", "WALRUS", "WOMBAT",
)  # fmt: skip
NAMES = len(_COLOURS) * len(_ANIMALS)


def code_name(number: int) -> str:
    """A name for a code; equal for numbers that are equal modulo ``NAMES``."""
    return f"{_COLOURS[number % len(_COLOURS)]} {_ANIMALS[number // len(_COLOURS) % len(_ANIMALS)]}"


def question_for(name: str) -> str:
    """The question after a planted code."""
    return (
        f'A box with the words "CODE OF {name}" is stamped onto one of the pages, with a number below. '
        "Which number? Answer with the number alone."
    )


def stamp(jpeg: bytes, name: str, code: str, place: tuple[float, float]) -> bytes:
    """Stamp a box with a code onto a page.

    Args:
        jpeg: The page; its size stays.
        name, code: What the box says.
        place: Where it stands, from (0, 0) upper left to (1, 1) lower right.

    Returns:
        JPEG; equal arguments give equal bytes (with the same Pillow).
    """
    from PIL import Image, ImageDraw

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
        page = opened.convert("RGB")
    first = f"CODE OF {name}"
    side = min(page.size)
    height = max(11, side // 40)  # about the size of a heading
    while height > 8 and _width(first, height) > 0.9 * page.width - height:
        height -= 1
    font = _font(height)
    width = max(_width(first, height), _width(code, height)) + height
    box = (width, 3 * height)
    left = round(place[0] * max(0, page.width - box[0] - height)) + height // 2
    top = round(place[1] * max(0, page.height - box[1] - height)) + height // 2
    draw = ImageDraw.Draw(page)
    draw.rectangle(
        (left, top, left + box[0], top + box[1]), fill="white", outline=(160, 0, 0), width=max(1, height // 9)
    )
    draw.text((left + box[0] / 2, top + 0.85 * height), first, fill="black", font=font, anchor="mm")
    draw.text((left + box[0] / 2, top + 2.1 * height), code, fill="black", font=font, anchor="mm")
    output = io.BytesIO()
    page.save(output, "JPEG", quality=QUALITY, subsampling=0)
    return output.getvalue()


def cut(jpeg: bytes, size: Size) -> bytes:
    """The upper left part of a page, as JPEG."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
        page = opened.convert("RGB").crop((0, 0, *size))
    output = io.BytesIO()
    page.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()


def can_carry(size: Size) -> bool:
    """Whether a page is large enough for a readable box."""
    return min(size) >= LEAST_SIDE


def renderer() -> str:
    """What decides the bytes of a stamped page, for the manifest."""
    import PIL

    return f"Pillow {PIL.__version__}, {fingerprint([QUALITY, LEAST_SIDE])[:8]}"


def _width(text: str, height: int) -> int:
    return round(_font(height).getlength(text))


@lru_cache(maxsize=64)
def _font(height: int) -> FreeTypeFont:
    from PIL import ImageFont

    # Aileron, which is part of Pillow: the same everywhere, and no file to look for.
    font = ImageFont.load_default(height)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MMProLongError("this Pillow has no FreeType. Remedy: pip install --force-reinstall pillow")
    return font
