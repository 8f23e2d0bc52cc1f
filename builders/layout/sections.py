"""The section tree of a document, from its headings."""

from __future__ import annotations

from ..blocks import Page, Section

BODY_KINDS = ("title", "heading", "paragraph", "list", "table", "caption", "footnote", "figure")


def build_sections(pages: list[Page]) -> list[Section]:
    """One section a heading block, in document order, with inclusive page spans and parents.

    A section ends where the next heading of its level or above stands: on that heading's page, or on the page before
    where nothing of the section precedes the heading on it.
    """
    sections: list[Section] = []
    at_top: list[bool] = []
    stack: list[int] = []
    for page in pages:
        seen_body = False
        for number, block in enumerate(page.blocks):
            if block.kind == "heading":
                while stack and sections[stack[-1]].level >= block.level:
                    stack.pop()
                parent = stack[-1] if stack else -1
                sections.append(
                    Section(block.text, block.level, page.number, page.number, number, parent, block.source)
                )
                at_top.append(not seen_body)
                stack.append(len(sections) - 1)
            if block.kind in BODY_KINDS and block.kind != "figure":
                seen_body = True
    last = pages[-1].number if pages else 0
    for i, section in enumerate(sections):
        section.last_page = last
        for j in range(i + 1, len(sections)):
            if sections[j].level <= section.level:
                shared = sections[j].first_page - (1 if at_top[j] else 0)
                section.last_page = max(section.first_page, shared)
                break
    return sections
