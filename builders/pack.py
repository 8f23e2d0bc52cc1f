"""One slice of the plan, from PDFs to shards: the cells parse, qa and pack, each skipped where it is complete."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmprolong_data import chat
from mmprolong_data.index import read_index, write_index
from mmprolong_data.records import PageImages
from mmprolong_data.remote import is_url
from mmprolong_data.schema import Sample
from mmprolong_data.shards import EXTENSION, ShardWriter, open_writer

from .fetch import UnfetchedError
from .ocr.run import PageReader
from .recipe import Recipe
from .sandbox import SandboxPool
from .select import Plan
from .stages import read_records, unpack_record, write_records
from .urls import shown
from .workspace import Workspace, atomic_stream, file_sha256

if TYPE_CHECKING:
    from .qa.openai.stage import AskStage

Progress = Callable[[str, int, int], None]
"""Called with (stage, documents, pages) after each document of a stage."""


@dataclass(frozen=True, slots=True)
class SliceBuilder:
    """Builds slices of one plan into one work folder; safe to use from several threads."""

    workspace: Workspace
    plan: Plan
    recipe: Recipe
    containers: Sequence[str]
    pool: SandboxPool
    on_progress: Progress
    check_stop: Callable[[], None]
    asker: AskStage | None = None
    """Asks models for the questions; without it, children make them."""
    reader: PageReader | None = None

    def build(self, number: int) -> None:
        """Bring one slice to its shards; stages that are complete are not done again, ``pack`` always is."""
        rows = self.plan.slice_rows(number)
        left_out = self._parse(number, rows)
        if self.asker is not None:
            self._ask(self.asker, number, rows)
        self._qa(number, rows)
        self._pack(number, rows, left_out)

    def report_done(self, number: int, stages: Sequence[str] = ("parse", "pack")) -> None:
        """Count a slice that is complete already as progress."""
        documents, pages = self.plan.slice_sizes()[number]
        for stage in stages:
            self.on_progress(stage, documents, pages)

    def _parse(self, number: int, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
        """Parse every document. Returns doc_id -> [reason, detail] of those that could not be."""
        done = self._cell_done("parse", number)
        if done is not None:
            for row in rows:
                self.on_progress("parse", 1, row["pages"])
            return dict(done["left_out"])
        settings = self.recipe.content()["parse"]
        payloads = [{"path": row["path"], "doc_id": row["doc_id"], "settings": settings} for row in rows]
        if self.reader is not None:
            route = {"check": self.recipe.ocr.check, "seed": self.recipe.seed}
            payloads = [payload | {"route": route} for payload in payloads]
        left_out: dict[str, list[str]] = {}

        def records() -> Iterator[dict[str, Any]]:
            parsed = self.pool.map("parse_stage", payloads)
            for row, payload, outcome in zip(rows, payloads, parsed, strict=True):
                self.check_stop()
                shown = [0]

                def show(pages: int, shown: list[int] = shown) -> None:
                    shown[0] += pages
                    self.check_stop()
                    self.on_progress("parse", 0, pages)

                if self.reader is not None:
                    outcome = self.reader.complete(payload, outcome, show)
                if outcome.value is None:
                    left_out[row["doc_id"]] = [outcome.reason, outcome.detail]
                else:
                    yield {"doc_id": row["doc_id"], "document": outcome.value["document"]}
                self.on_progress("parse", 1, row["pages"] - shown[0])
            self._check_there(rows, left_out)

        self._write_cell("parse", number, records(), lambda: {"left_out": left_out})
        return left_out

    def _check_there(self, rows: list[dict[str, Any]], left_out: dict[str, list[str]]) -> None:
        """One file that is gone costs itself; where all are, the place is another one, or its settings are wrong."""
        if is_url(rows[0]["path"]) and all(left_out.get(row["doc_id"], [""])[0] == "unreadable" for row in rows):
            raise UnfetchedError(
                f"{shown(rows[0]['path'])} and the other files of its slice are not there any more"
                f" ({left_out[rows[0]['doc_id']][1]})"
            )

    def _qa(self, number: int, rows: list[dict[str, Any]]) -> None:
        """Make the items of every parsed document; one that fails has a record with its reason."""
        # Of the documents that the stage ask has seen: the questions, packed, or the record of a failure.
        asked = {r["doc_id"]: r for r in read_records(self.workspace.cell("ask", number))} if self.asker else {}
        if self._cell_done("qa", number) is not None:
            return
        by_id = {row["doc_id"]: row for row in rows}
        content = self.recipe.content()
        parsed = self.workspace.cell("parse", number)
        benchmarks = self.workspace.benchmark_index()

        def payloads() -> Iterator[dict[str, Any]]:
            for record in read_records(parsed):
                row = by_id[record["doc_id"]]
                given = asked.get(record["doc_id"], {})
                if "reason" in given:
                    continue
                yield {
                    "path": row["path"],
                    "doc_id": row["doc_id"],
                    "document": record["document"],
                    "recipe": content,
                    "configs": row["configs"],
                    "info": {"name": row["name"], "path": row["path"]},
                    "dpi": row["dpi"],
                    "benchmarks": benchmarks,
                } | {name: given[name] for name in ("given",) if name in given}

        def records() -> Iterator[dict[str, Any]]:
            ids = [record["doc_id"] for record in read_records(parsed)]
            outcomes = self.pool.map("qa_stage", payloads())
            for doc_id in ids:
                self.check_stop()
                if "reason" in asked.get(doc_id, {}):
                    yield asked[doc_id]
                    continue
                outcome = next(outcomes)
                if outcome.value is None:
                    yield {"doc_id": doc_id, "reason": outcome.reason, "detail": outcome.detail}
                else:
                    yield {"doc_id": doc_id, "record": outcome.value["record"]}

        self._write_cell("qa", number, records(), dict)

    def _ask(self, asker: AskStage, number: int, rows: list[dict[str, Any]]) -> None:
        """Ask models about every parsed document. What is complete is not asked again; the ledger knows the rest."""
        if self._cell_done("ask", number) is not None:
            for row in rows:
                self.on_progress("ask", 1, row["pages"])
            return
        documents = {
            record["doc_id"]: record["document"] for record in read_records(self.workspace.cell("parse", number))
        }
        for row in rows:
            if row["doc_id"] not in documents:
                self.on_progress("ask", 1, row["pages"])
        records = asker.slice(rows, documents, lambda row: self.on_progress("ask", 1, row["pages"]))
        self._write_cell("ask", number, records, lambda: asker.count(records))

    def _pack(self, number: int, rows: list[dict[str, Any]], left_out: dict[str, list[str]]) -> None:
        """Render the pages of every document that has items and write the shards of the slice."""
        folder = self.workspace.cell("pack", number)
        # A slice that is made again has a sidecar already: it must not speak for what is half made.
        self.workspace.sidecar("pack", number).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted attempt left
        folder.mkdir(parents=True)
        left_out = dict(left_out)
        shortfalls: dict[str, dict[str, str]] = {}
        rejected: dict[str, Counter[str]] = {}
        by_id = {row["doc_id"]: row for row in rows}
        records: dict[str, dict[str, Any]] = {}
        for record in read_records(self.workspace.cell("qa", number)):
            doc_id = record["doc_id"]
            if "reason" in record:
                left_out[doc_id] = [record["reason"], record["detail"]]
                continue
            content = unpack_record(record["record"])
            for entry in content["rejected"]:
                rejected.setdefault(entry["config"], Counter())[entry["failed"][0]["check"]] += 1
            if content["items"]:
                records[doc_id] = content
                shortfalls[doc_id] = content["shortfalls"]
            else:
                reasons = sorted(f"{config}: {why}" for config, why in content["shortfalls"].items())
                left_out[doc_id] = ["no_sample", "; ".join(reasons)]
        for row in rows:
            if row["doc_id"] not in records:
                self.on_progress("pack", 1, row["pages"])

        configs = sorted({config for row in rows for config in row["configs"]})
        writers: dict[tuple[str, str], ShardWriter] = {}
        for container in self.containers:
            for config in configs:
                path = folder / f"{config}{EXTENSION[container]}"
                writers[container, config] = open_writer(container, path)
        try:
            used = self._render_into(writers, records, by_id, left_out)
            shards = {
                f"{container}/{config}": self._close(writer, folder, container, config)
                for (container, config), writer in writers.items()
            }
        except BaseException:
            for writer in writers.values():
                writer.abort()
            raise
        shortfalls = {doc_id: shortfalls[doc_id] for doc_id in used if shortfalls[doc_id]}
        sidecar = {"split": rows[0]["split"], "shards": shards, "used": used, "rejected": rejected}
        self.workspace.write_sidecar("pack", number, sidecar | {"left_out": left_out, "shortfalls": shortfalls})

    def _render_into(
        self,
        writers: dict[tuple[str, str], ShardWriter],
        records: dict[str, dict[str, Any]],
        by_id: dict[str, dict[str, Any]],
        left_out: dict[str, list[str]],
    ) -> dict[str, dict[str, int]]:
        """Write the samples of all records. Returns doc_id -> {config: samples}."""
        payloads = (
            {
                "path": by_id[doc_id]["path"],
                "doc_id": doc_id,
                "sizes": record["sizes"],
                "quality": self.recipe.render.quality,
            }
            for doc_id, record in records.items()
        )
        used: dict[str, dict[str, int]] = {}
        for (doc_id, record), outcome in zip(records.items(), self.pool.map("render", payloads), strict=True):
            self.check_stop()
            if outcome.value is None:
                left_out[doc_id] = [outcome.reason, outcome.detail]
            else:
                images = PageImages(outcome.value["pages"])
                for item in record["items"]:
                    sample = self._sample(doc_id, item, images)
                    for container in self.containers:
                        writers[container, sample.config].add(sample)
                    counts = used.setdefault(doc_id, {})
                    counts[sample.config] = counts.get(sample.config, 0) + 1
            self.on_progress("pack", 1, by_id[doc_id]["pages"])
        return used

    def _sample(self, doc_id: str, item: dict[str, Any], images: Sequence[bytes]) -> Sample:
        labels = self.recipe.tasks.page_labels
        sample = Sample(
            id=item["id"],
            doc_id=doc_id,
            config=item["config"],
            version=self.recipe.version,
            num_pages=len(images),
            num_tokens=item["num_tokens"],
            images=images,
            messages=chat.build_messages(item["question"], item["answer"], len(images), labels),
            question=item["question"],
            answer=item["answer"],
            answer_format=item["answer_format"],
            evidence_pages=item["evidence_pages"],
            evidence_sources=item["evidence_sources"],
            segment=(item["segment"][0], item["segment"][1]),
            generator=item["generator"],
            verification=item["verification"],
            meta=item["meta"],
        )
        sample.validate()
        return sample

    def _close(self, writer: ShardWriter, folder: Path, container: str, config: str) -> dict[str, Any]:
        info = writer.close()
        rows = info.rows
        write_index(folder / f"{config}{EXTENSION[container]}.index", rows)
        value = asdict(info)
        del value["rows"]
        return value

    def _cell_done(self, stage: str, number: int) -> dict[str, Any] | None:
        """The sidecar of a complete cell whose file is what the sidecar says, else None."""
        sidecar = self.workspace.read_sidecar(stage, number)
        path = self.workspace.cell(stage, number)
        if sidecar is None or not path.exists() or path.stat().st_size != sidecar["bytes"]:
            return None
        return sidecar

    def _write_cell(
        self, stage: str, number: int, records: Iterable[dict[str, Any]], extra: Callable[[], dict[str, Any]]
    ) -> None:
        path = self.workspace.cell(stage, number)
        with atomic_stream(path) as stream:
            write_records(stream, records)
        size = path.stat().st_size
        sidecar = {"bytes": size, "sha256": file_sha256(path)} | extra()
        self.workspace.write_sidecar(stage, number, sidecar)


def file_size(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    return path.stat().st_size if path.is_file() else None


def made_shards(folder: Path, sidecar: dict[str, Any], size: Callable[[Path], int | None] = file_size) -> bool:
    """True if all shards of a packed slice that have samples lie in its work folder with the right sizes."""
    return all(
        not info["samples"] or size(folder / str(info["name"])) == info["bytes"] for info in sidecar["shards"].values()
    )


def slice_index(folder: Path, container: str, config: str) -> list[Any]:
    """The index rows of one shard of a packed slice."""
    return read_index(folder / f"{config}{EXTENSION[container]}.index")
