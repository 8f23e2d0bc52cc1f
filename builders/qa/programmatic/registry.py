"""The registry: every family of questions, by config."""

from __future__ import annotations

from .base import Family
from .cloze_number import ClozeNumber
from .column_extreme import ColumnExtreme
from .count_captions import CountCaptions
from .field_difference import FieldDifference
from .key_value import KeyValue
from .repeated_field import RepeatedField
from .several_captions import SeveralCaptions
from .subsections import Subsections
from .table_cell import TableCell

FAMILIES: tuple[Family, ...] = (
    KeyValue(),
    TableCell(),
    ClozeNumber(),
    RepeatedField(),
    Subsections(),
    SeveralCaptions(),
    FieldDifference(),
    ColumnExtreme(),
    CountCaptions(),
)
