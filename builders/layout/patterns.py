"""What the starts of lines mean in the languages we meet: list items, captions, numbered headings, special pages."""

from __future__ import annotations

import re
import unicodedata

BULLET = re.compile(r"(?:[•◦▪▫■□●○‣⁃∙·◆◇►▶▸➢➤✓✔❖»∗\uf0b7\uf0a7]\s*|[-–—*]\s+)(?=\S)")
ITEM_NUMBER = re.compile(
    r"(?:\((\d{1,3}|[a-zA-Z]|[ivx]{1,5})\)|\[(\d{1,3})\]|(\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)])\s+(?=\S)"
)
FOOTNOTE = re.compile(r"(?:\d{1,3}|[*†‡§¶∗]{1,3}|[⁰¹²³⁴-⁹]{1,3}|\(\d{1,3}\)|[a-z])\s?(?=[^\W\d_]|[\"“«(\\])")

_LABELS = (
    "table|tables|tab|figure|figures|fig|figs|listing|algorithm|scheme|exhibit|chart|plate|box|photo|map|"
    "tabelle|abbildung|abb|bild|diagramm|schaubild|tableau|carte|schéma|graphique|illustration|encadré|"
    "tabla|figura|cuadro|gráfico|ilustración|tabela|quadro|tabella|grafico|figuur|tabel|afbeelding|"
    "рис|рисунок|таблица|табл|схема|график|диаграмма|rysunek|obrázek|tabulka|图|圖|表|図|그림|표"
)
CAPTION = re.compile(
    rf"((?:{_LABELS})\.?\s*(?:[A-Z]\.?\s?)?(?:\d{{1,3}}(?:[.\-–]\d{{1,3}})*|[IVXL]{{1,6}}\b|[A-Z]\b)(?:\s?[a-z]\b)?)"
    r"(\s*[:：.。|]\s*|\s+[-–—]+\s*|\s+|\Z)(.*)",
    re.IGNORECASE | re.DOTALL,
)

_CHAPTER = (
    "chapter|part|section|appendix|annex|lecture|unit|module|kapitel|teil|abschnitt|anhang|chapitre|partie|annexe|"
    "capítulo|capitolo|apêndice|parte|sección|sezione|apéndice|appendice|anexo|hoofdstuk|deel|bijlage|глава|раздел|часть|"
    "приложение|rozdział|kapitola"
)
CHAPTER_WORDS = _CHAPTER
_CJK_NUMBER = "[0-9一二三四五六七八九十百]"
NUMBERED = re.compile(
    rf"(?:(?P<word>{_CHAPTER})\s+(?P<ordinal>\d{{1,2}}|[A-Z]|[IVX]{{1,5}})\b[.:]?"
    r"|(?P<number>\d{1,2}(?:\.\d{1,3}){0,4}|[A-Z](?:\.\d{1,3}){1,4})(?P<stop>[.):、]?)(?=\s|[^\W\d_])"
    r"|(?P<letter>[A-Z]|[IVX]{1,5})[.)](?=\s)"
    rf"|第\s*{_CJK_NUMBER}{{1,4}}\s*(?P<cjk>[章部篇编回卷节節条])"
    r"|(?P<hanzi>[一二三四五六七八九十]{1,3})、"
    r"|§\s*(?P<sign>\d{1,3}(?:\.\d{1,3})*))",
    re.IGNORECASE,
)

DOTTED = re.compile(r"(?:\d{1,2}|[A-Z])(?:\.\d{1,3}){1,4}\.?\s+[^\W\d_]")
"""A number of two parts or more before a title."""
CONTENTS_TITLE = re.compile(
    r"(?:table of |list of )?(?:contents?|figures|tables|listings|algorithms)\Z|brief contents|overview of contents"
    r"|inhalt(?:sverzeichnis|sübersicht)?\Z|(?:abbildungs|tabellen)verzeichnis|verzeichnis der"
    r"|table des (?:matières|figures|illustrations)|liste des (?:figures|tableaux)|sommaire\Z"
    r"|índice(?: general| de .*)?\Z|contenidos?\Z|tabla de contenido|sumário\Z|indice\Z|sommario\Z|conteúdo\Z"
    r"|inhoud(?:sopgave)?\Z|содержание\Z|оглавление\Z|список (?:рисунков|таблиц|иллюстраций)|spis treści|obsah\Z"
    r"|目\s*录\Z|目\s*錄\Z|目\s*次\Z|(?:插图|表格|图表)(?:目录|索引|清单)\Z|차례\Z|목차\Z|tartalom|İçindekiler",
    re.IGNORECASE,
)
INDEX_TITLE = re.compile(
    r"(?:.{0,40}\s)?ind(?:ex|ices)\Z|(?:stichwort|sach|personen)(?:verzeichnis|register)|register\Z|índice alfabético"
    r"|indice analitico|(?:предметный|алфавитный|именной) указатель|索\s*引\Z|glossary\Z",
    re.IGNORECASE,
)
REFERENCES_TITLE = re.compile(
    r"references?(?: cited)?\Z|bibliograph(?:y|ie|ia)\Z|bibliografía\Z|literatur(?:verzeichnis|e|a)?\Z|works cited\Z"
    r"|cited works\Z|literature(?: cited)?\Z|quellen(?:verzeichnis)?\Z|références(?: bibliographiques)?\Z|sources\Z"
    r"|referencias(?: bibliográficas)?\Z|referências(?: bibliográficas)?\Z|riferimenti bibliografici|referenties\Z"
    r"|(?:список )?(?:использованн(?:ой|ых) )?(?:литератур[аы]|источников)\Z|библиография\Z"
    r"|参\s*考\s*文\s*献\Z|参考资料\Z|參考文獻\Z",
    re.IGNORECASE,
)
SECTION_TITLE = re.compile(
    r"abstracts?\Z|(?:executive )?summary\Z|introduction\Z|background\Z|related works?\Z|methods?\Z|methodology\Z"
    r"|(?:materials and methods|experiments?|evaluation|results?|discussion|results and discussions?)\Z"
    r"|(?:conclusions?|concluding remarks|outlook|future work|limitations|overview|preface|foreword)\Z"
    r"|acknowledge?ments?\Z|appendi(?:x|ces)\Z|glossary\Z|nomenclature\Z|notations?\Z|(?:list of )?abbreviations\Z"
    r"|(?:list of )?symbols\Z|acronyms\Z|dedication\Z|declaration\Z|change (?:history|log)\Z|curriculum vitae\Z"
    r"|zusammenfassung\Z|kurzfassung\Z|einleitung\Z|einführung\Z|fazit\Z|schluss\Z|anhang\Z|danksagung\Z"
    r"|vorwort\Z|glossar\Z|abkürzungsverzeichnis\Z|symbolverzeichnis\Z|eidesstattliche erklärung\Z|lebenslauf\Z"
    r"|résumé\Z|remerciements\Z|annexes?\Z|avant-propos\Z|resumen\Z|introducción\Z|conclusion(?:es|i)\Z"
    r"|agradecimientos\Z|apéndices?\Z|resumo\Z|introdução\Z|conclusão\Z|agradecimentos\Z|anexos?\Z|apêndices?\Z"
    r"|introduzione\Z|ringraziamenti\Z|appendic[ei]\Z|samenvatting\Z|inleiding\Z|conclusie\Z|dankwoord\Z|bijlagen?\Z"
    r"|введение\Z|заключение\Z|аннотация\Z|приложени[ея]\Z|реферат\Z|выводы\Z|благодарности\Z"
    r"|摘\s*要\Z|中文摘要\Z|英文摘要\Z|前\s*言\Z|引\s*言\Z|绪\s*论\Z|结\s*论\Z|结\s*语\Z|致\s*谢\Z|谢\s*辞\Z|附\s*录\Z|概\s*要\Z|はじめに\Z",
    re.IGNORECASE,
)
"""Titles that sections of any document bear."""
LEADER = re.compile(
    r"(?:[.·…‥․]\s?){4,}\s*(\d{1,4}|[ivxlc]{1,7}|[A-Z]-?\d{1,3}|\d{1,3}[-–.]\d{1,3})?\s*\Z", re.IGNORECASE
)
TRAILING_NUMBER = re.compile(r"\S\s+(\d{1,4}|[ivxlc]{1,6})\Z")
INDEX_LINE = re.compile(
    r"\S(?:,|\s)\s*\d{1,4}(?:\s?[-–]\s?\d{1,4}|ff?\.?|n)?(?:,\s*\d{1,4}(?:\s?[-–]\s?\d{1,4}|ff?\.?|n)?)*,?\Z"
)
_NOT_WORD = re.compile(r"[\W_]+")
_NUMBER_PREFIX = re.compile(r"[\s.:、)–-]+")


def heading_depth(text: str) -> int:
    """Depth that a heading's own number tells, from 1; 0 without a number."""
    match = NUMBERED.match(text)
    if match is None:
        return 0
    for name in ("number", "sign"):
        if match.group(name):
            return match.group(name).count(".") + 1
    if match.group("cjk"):
        return 2 if match.group("cjk") in "节節条" else 1
    return 1


def without_number(text: str) -> str:
    """A heading without its number."""
    match = NUMBERED.match(text)
    if match is None:
        return text
    return _NUMBER_PREFIX.sub("", text[match.end() :], count=1) if match.end() < len(text) else ""


def heading_number(text: str) -> tuple[int, ...]:
    """The number before a title: "2.1 Title" gives (2, 1), "A.2" (1001, 2), numbers of other kinds (0,), none ()."""
    match = NUMBERED.match(text)
    if match is None:
        return ()
    value = match.group("number") or match.group("sign") or match.group("ordinal") or match.group("letter") or ""
    return tuple(
        int(part) if part.isdecimal() else 1000 + ord(part.upper()) - ord("A") + 1 if len(part) == 1 else 0
        for part in value.split(".")
    )


def normalized(text: str) -> str:
    """Letters and digits of a text in one case, for comparison."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _NOT_WORD.sub("", text.casefold())
