"""The registry: every family of questions, by config."""

from __future__ import annotations

from .acronyms import Acronym, SeveralAcronyms
from .base import Family
from .captions import CaptionLabel, CaptionText
from .cells_of_tables import CellsOfTables, CompareTables
from .cloze_number import ClozeNumber
from .column_extreme import ColumnExtreme
from .columns import CellDifference, ColumnCount, ColumnMean, ColumnSum
from .count_captions import CountCaptions
from .definition import Definition
from .field_difference import FieldDifference
from .fields_more import DaysBetween, FieldExtreme, FieldSum
from .footnote import FootnoteText
from .key_value import KeyValue
from .list_items import ListItem, ListLength
from .number_pairs import LargerNumber, NumberSum, TwoNumbers
from .repeated_field import RepeatedField
from .section_names import SectionNumber, SectionTitle
from .section_places import CountSubsections, SectionGap, SectionOrder, SectionPages
from .sentence_end import SentenceEnd
from .several_captions import SeveralCaptions
from .subsections import Subsections
from .table_cell import TableCell
from .term_places import TermCount, TermPages

FAMILIES: tuple[Family, ...] = (
    KeyValue(),
    TableCell(),
    ClozeNumber(),
    CaptionText(),
    CaptionLabel(),
    Acronym(),
    Definition(),
    ListItem(),
    FootnoteText(),
    SectionTitle(),
    SectionNumber(),
    SentenceEnd(),
    RepeatedField(),
    Subsections(),
    SeveralCaptions(),
    SeveralAcronyms(),
    SectionPages(),
    TermPages(),
    TwoNumbers(),
    CellsOfTables(),
    FieldDifference(),
    FieldSum(),
    FieldExtreme(),
    DaysBetween(),
    ColumnExtreme(),
    ColumnSum(),
    ColumnMean(),
    ColumnCount(),
    CellDifference(),
    CompareTables(),
    CountCaptions(),
    CountSubsections(),
    SectionOrder(),
    SectionGap(),
    TermCount(),
    NumberSum(),
    LargerNumber(),
    ListLength(),
)
