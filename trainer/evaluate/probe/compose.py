"""One probe sample: a question of the dataset, or a planted code, as pages at a length and a depth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmprolong_data.chat import SYSTEM_PROMPT, TURN_TOKENS, TokenCounter, count_tokens
from mmprolong_data.records import PageImages
from mmprolong_data.schema import Sample
from mmprolong_data.vision import image_tokens

from .codes import NAMES, can_carry, code_name, cut, question_for, stamp
from .layout import Layout, Misfit, Pages, Slot, lay_out
from .settings import ProbeSettings
from .source import Source

GENERATOR = "probe/1"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, before its pages are chosen.

    Attributes:
        key: The source sample's id, or what a planted code is drawn from.
        config: The task.
        doc_id: The document that holds the answer.
        evidence: Its pages there, ascending.
        question, answer, answer_format, sources: As in ``Sample``.
        verification, family: Of the source.
        code: Name of the planted code, or "".
    """

    key: str
    config: str
    doc_id: str
    evidence: tuple[int, ...]
    question: str
    answer: str
    answer_format: str
    sources: tuple[str, ...]
    verification: str
    family: str
    code: str = ""


def stable_int(*parts: object) -> int:
    """A uniform 64-bit integer: SHA-256 of the parts."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")


def source_question(record: dict[str, Any]) -> Question:
    """The question of a sample of the dataset."""
    meta = json.loads(record["meta"])
    return Question(
        key=record["id"],
        config=record["config"],
        doc_id=record["doc_id"],
        evidence=tuple(record["evidence_pages"]),
        question=record["question"],
        answer=record["answer"],
        answer_format=record["answer_format"],
        sources=tuple(record["evidence_sources"]),
        verification=record["verification"],
        family=str(meta.get("family", "")),
    )


def planted_question(doc_id: str, page: int, settings: ProbeSettings) -> Question:
    """A code to be stamped onto a page of a document."""
    name = code_name(stable_int(settings.seed, "name", doc_id, page))
    code = str(100_000 + stable_int(settings.seed, "code", doc_id, page) % 900_000)
    return Question(
        key=f"{doc_id[:20]}-planted-{page}",
        config="planted_code",
        doc_id=doc_id,
        evidence=(page,),
        question=question_for(name),
        answer=code,
        answer_format="Integer",
        sources=("Figure",),
        verification=json.dumps({"planted": "ok"}),
        family="planted_code",
        code=name,
    )


class Composer:
    """Makes samples from questions. Equal arguments give equal samples."""

    def __init__(self, source: Source, settings: ProbeSettings, counter: TokenCounter) -> None:
        self._source, self._settings, self._counter = source, settings, counter

    def compose(self, question: Question, length: int, number: int, copy: int) -> Sample:
        """The sample of a question at a length and at depth ``number``.

        Args:
            question: What is asked.
            length: Tokens of the whole conversation.
            number: Which depth.
            copy: Its place among the samples of the cell.

        Raises:
            Misfit: it cannot be made; says why.
        """
        layout, text, numbers = self._plan(question, length, number)
        return self._sample(question, layout, text, numbers, length, number, copy)

    def plan(self, question: Question, length: int, number: int) -> Layout:
        """The pages of the sample that ``compose`` would make, without touching a picture.

        Raises:
            Misfit: see ``compose``.
        """
        return self._plan(question, length, number)[0]

    def _plan(self, question: Question, length: int, number: int) -> tuple[Layout, str, Callable[[str], int]]:
        numbers = self._numbering(question)
        text = self._asked(question, numbers)
        pages = Pages(self._source.sizes, lambda doc, page: self._counter.count(label(numbers(doc), page)))
        turns = 3 * TURN_TOKENS + sum(map(self._counter.count, (SYSTEM_PROMPT, text, question.answer)))
        core = (question.evidence[0], question.evidence[-1] + 1)
        others = self._others(question)
        layout = lay_out(question.doc_id, core, length - turns, self._settings.depth(number), others, pages)
        return layout, text, numbers

    def _others(self, question: Question) -> Iterator[str]:
        """The other documents, in an order of the question's own."""
        others = [doc for doc in self._source.documents if doc != question.doc_id]
        yield from sorted(others, key=lambda doc: stable_int(self._settings.seed, "other", question.key, doc))

    def _numbering(self, question: Question) -> Callable[[str], int]:
        """Document -> the number under which it is shown: three digits, no two alike, without any order."""
        taken: dict[str, int] = {}

        def number_of(doc_id: str) -> int:
            if doc_id not in taken:
                drawn = stable_int(self._settings.seed, "number", question.key, doc_id)
                while 100 + drawn % 900 in taken.values():
                    drawn += 1
                taken[doc_id] = 100 + drawn % 900
            return taken[doc_id]

        number_of(question.doc_id)
        return number_of

    def _asked(self, question: Question, numbers: Callable[[str], int]) -> str:
        if question.code:
            return question.question
        return f"This question is about document {numbers(question.doc_id)}. {question.question}"

    def _sample(
        self,
        question: Question,
        layout: Layout,
        text: str,
        numbers: Callable[[str], int],
        length: int,
        number: int,
        copy: int,
    ) -> Sample:
        images = [self._picture(slot) for slot in layout.slots]
        offset = layout.start - question.evidence[0]
        evidence = [page + offset for page in question.evidence]
        decoys = self._stamp(images, question, layout, evidence) if question.code else []
        parts: list[dict[str, Any]] = []
        for slot in layout.slots:
            parts.append({"type": "text", "text": label(numbers(slot.doc_id), slot.page)})
            parts.append({"type": "image", "text": None})
        parts.append({"type": "text", "text": text})
        messages = [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"type": "text", "text": question.answer}]},
        ]
        tokens = count_tokens(messages, [image_tokens(*slot.size) for slot in layout.slots], self._counter)
        probe = {
            "length": length,
            "depth": number,
            "depths": self._settings.depths,
            "place": round(layout.before / max(1, length), 4),
            "fill": round(tokens / length, 4),
            "source": question.key,
            "offset": offset,
            "documents": _runs(layout.slots, numbers),
            "decoys": decoys,
        }
        sample = Sample(
            id=f"{question.doc_id[:16]}-{stable_int(question.key):016x}-{length}-{number:02d}-{copy}",
            doc_id=question.doc_id,
            config=question.config,
            version=self._settings.version,
            num_pages=len(images),
            num_tokens=tokens,
            images=PageImages(images),
            messages=messages,
            question=text,
            answer=question.answer,
            answer_format=question.answer_format,
            evidence_pages=evidence,
            evidence_sources=list(question.sources),
            segment=(evidence[0], evidence[-1] + 1),
            generator=GENERATOR,
            verification=question.verification,
            meta=json.dumps({"family": question.family, "probe": probe}, sort_keys=True),
        )
        sample.validate()
        return sample

    def _picture(self, slot: Slot) -> bytes:
        page = self._source.pages(slot.doc_id)[slot.page]
        return cut(page, slot.size) if slot.cut else page

    def _stamp(self, images: list[bytes], question: Question, layout: Layout, evidence: Sequence[int]) -> list[int]:
        """Stamp the code and its decoys; returns the decoys' positions."""
        seed = self._settings.seed
        free = [i for i, slot in enumerate(layout.slots) if i not in evidence and not slot.cut and can_carry(slot.size)]
        free.sort(key=lambda i: stable_int(seed, "decoy", question.key, layout.slots[i].doc_id, layout.slots[i].page))
        names = {question.code}
        chosen = sorted(free[: self._settings.decoys])
        self._stamp_one(images, evidence[0], question.code, question.answer, question.key)
        for position in chosen:
            slot = layout.slots[position]
            drawn = stable_int(seed, "decoy name", question.key, slot.doc_id, slot.page)
            while code_name(drawn % NAMES) in names:
                drawn += 1
            name = code_name(drawn % NAMES)
            names.add(name)
            code = str(100_000 + stable_int(seed, "decoy code", question.key, slot.doc_id, slot.page) % 900_000)
            self._stamp_one(images, position, name, code, f"{question.key} {slot.doc_id} {slot.page}")
        return chosen

    def _stamp_one(self, images: list[bytes], position: int, name: str, code: str, key: str) -> None:
        place = (stable_int(key, "x") / 2**64, stable_int(key, "y") / 2**64)
        images[position] = stamp(images[position], name, code, place)


def label(document: int, page: int) -> str:
    """The text before a page: its document, and its number there. Questions keep their page numbers this way."""
    return f"Document {document}, page {page + 1}:"


def _runs(slots: Sequence[Slot], numbers: Callable[[str], int]) -> list[dict[str, Any]]:
    """The pages as runs of one document: ``{"doc_id", "number", "pages": [first, last]}``."""
    runs: list[dict[str, Any]] = []
    for slot in slots:
        if runs and runs[-1]["doc_id"] == slot.doc_id and runs[-1]["pages"][1] == slot.page - 1:
            runs[-1]["pages"][1] = slot.page
        else:
            runs.append({"doc_id": slot.doc_id, "number": numbers(slot.doc_id), "pages": [slot.page, slot.page]})
    return runs


__all__ = ["Composer", "Misfit", "Question", "label", "planted_question", "source_question", "stable_int"]
