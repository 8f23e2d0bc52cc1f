"""The registry: every family of questions, by config."""

from __future__ import annotations

from .acronyms import Acronym, SeveralAcronyms
from .base import Family
from .caption_places import CaptionGap, CaptionPages
from .captions import CaptionLabel, CaptionText
from .cells_of_tables import CellsOfTables, CompareTables
from .cloze_number import ClozeNumber
from .column_extreme import ColumnExtreme
from .columns import CellDifference, ColumnCount, ColumnMean, ColumnShare, ColumnSum
from .count_captions import CountCaptions
from .definition import Definition
from .field_difference import FieldDifference
from .fields_more import DaysBetween, FieldExtreme, FieldSum
from .footnote import FootnoteText, SeveralFootnotes
from .key_value import KeyValue
from .list_items import ListItem, ListLength, ListMerge
from .next_sentence import NextSentence
from .number_pairs import LargerNumber, NumberSum, TwoNumbers
from .page_break import PageBreakEnd
from .quote_places import QuoteGap, QuoteOrder, QuotePage, QuotePages
from .repeated_field import RepeatedField
from .section_names import SectionNumber, SectionTitle
from .section_places import CountSubsections, SectionGap, SectionOrder, SectionPages
from .section_runs import CountSections, SectionsOfRange
from .sentence_end import SentenceEnd
from .several_captions import SeveralCaptions
from .subsections import Subsections
from .table_cell import TableCell
from .term_pairs import TermBoth, TermMost
from .term_places import TermCount, TermPages
from .under_heading import UnderHeading, UnderHeadingAcross

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
    NextSentence(),
    QuotePage(),
    UnderHeading(),
    RepeatedField(),
    Subsections(),
    SeveralCaptions(),
    SeveralAcronyms(),
    SectionPages(),
    TermPages(),
    TermBoth(),
    TwoNumbers(),
    PageBreakEnd(),
    QuotePages(),
    UnderHeadingAcross(),
    SectionsOfRange(),
    CaptionPages(),
    SeveralFootnotes(),
    ListMerge(),
    CellsOfTables(),
    FieldDifference(),
    FieldSum(),
    FieldExtreme(),
    DaysBetween(),
    ColumnExtreme(),
    ColumnSum(),
    ColumnMean(),
    ColumnShare(),
    ColumnCount(),
    CellDifference(),
    CompareTables(),
    CountCaptions(),
    CountSubsections(),
    SectionOrder(),
    SectionGap(),
    CountSections(),
    CaptionGap(),
    QuoteOrder(),
    QuoteGap(),
    TermCount(),
    TermMost(),
    NumberSum(),
    LargerNumber(),
    ListLength(),
)
