"""Whole builds with a model: the same bytes whatever happens on the way, nothing paid twice, clean stops."""

from __future__ import annotations

import base64
import io
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mmprolong_builders.qa.openai.prompts import prompt
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.report import write_report
from PIL import Image
from support.builds import content, interrupt_when, run
from support.documents import write_corpus
from support.llm_requests import ask_all, request, square_brain
from support.llm_server import LLMServer, identity
from support.model_builds import CONCURRENCY, QUIET, REPORTED, arguments
from support.qa_brain import qa_brain

from mmprolong_data.errors import SettingsError
from mmprolong_data.llm.ledger import LOST
from mmprolong_data.llm.summary import Summary, read_summary
from mmprolong_data.manifest import read_manifest
from mmprolong_data.settings import load_settings

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four reports of 10 to 12 pages."""
    return write_corpus(tmp_path_factory.mktemp("pdfs"), 4, pages=10)


@pytest.fixture(scope="module")
def reference(pdfs: Path, server: LLMServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed build with one worker."""
    out = tmp_path_factory.mktemp("reference") / "mmprolong"
    server.behaviour = replace(QUIET)
    run(*arguments(pdfs, out, server, "--workers", "1"))
    return out


def ledger(out: Path) -> Summary:
    """What the build's ledger says."""
    return read_summary(out / ".work" / "llm.sqlite")


def samples(out: Path) -> list[dict[str, Any]]:
    """All samples without their images."""
    columns = ["id", "config", "question", "answer", "evidence_pages", "generator", "verification", "meta"]
    rows = [
        row for path in sorted(out.glob("data/*/*.parquet")) for row in pq.read_table(path, columns=columns).to_pylist()
    ]
    return [row | {"verification": json.loads(row["verification"]), "meta": json.loads(row["meta"])} for row in rows]


def test_every_config_has_checked_samples(reference: Path) -> None:
    rows = samples(reference)
    assert {row["config"] for row in rows} == {"extract_single", "extract_multi", "reasoning"}
    assert len(rows) == 12
    for row in rows:
        assert row["generator"] == "openai/1 test-model"
        assert row["answer"] != "Zacharias Quint"  # what the model made up was refused
        checks = row["verification"]["checks"]
        assert set(checks.values()) == {"ok"}
        models = {"closed_book", "evidence", "without_evidence", "rivals", "judge"}
        assert {"format", "anchor", "answer", "leak", "instruction"} | models <= set(checks)
        assert set(row["verification"]["models"]) == models
        assert row["verification"]["models"]["evidence"]["votes"] == [True, True]
    proven = run("verify", "--qa", reference).stdout
    assert "not proven" not in proven
    manifest = (reference / "manifest.json").read_text()
    assert "127.0.0.1" not in manifest
    assert "127.0.0.1" not in (reference / "README.md").read_text()


def test_manifest_and_card_say_which_models_made_and_checked_the_questions(reference: Path) -> None:
    manifest = read_manifest(reference)
    tasks = {task["task"]: task for task in manifest.models["tasks"]}
    assert list(tasks) == ["questions", "closed_book", "evidence", "without_evidence", "rivals", "judge"]
    called = dict.fromkeys(tasks, 0)
    for stage, _, _, count in ledger(reference).calls:
        kind, _, name = stage.partition("/")
        called["questions" if kind == "qa" else name] += count
    for name, task in tasks.items():
        assert task["model"] == "test-model"
        assert task["served_as"] == [REPORTED]  # no path of the server's disk
        assert task["replies"] >= called[name] > 0  # equal questions of two documents are asked once
    assert {version.split("/")[0] for version in tasks["questions"]["prompts"]} == {"rules"}
    assert len(tasks["questions"]["prompts"]) == 3
    assert tasks["judge"]["prompts"] == [prompt("judge").version]
    for config, counts in manifest.models["candidates"].items():
        assert counts["accepted"] == sum(manifest.samples[config].values())
        assert counts["made"] == counts["accepted"] + sum(manifest.rejected.get(config, {}).values())
    card = " ".join((reference / "README.md").read_text().split())
    assert (
        "**A language model wrote the questions and answers** (`extract_multi`, `extract_single`, `reasoning`)" in card
    )
    assert f"| writing questions and answers | `test-model` | `{REPORTED}` | {tasks['questions']['replies']} |" in card
    assert "The model that wrote the questions checked them itself in" in card
    assert "Questions of the generator `programmatic`" not in card


def test_bytes_do_not_depend_on_faults_and_workers(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    server.behaviour = replace(QUIET, fault_rate=0.35, most_faults=2, stall=5.0, rate=200)
    out = tmp_path / "mmprolong"
    before = server.books.outcomes.copy()
    run(*arguments(pdfs, out, server, "--workers", "2", "--set", "llm.timeout=2"))
    assert content(out) == content(reference)
    happened = server.books.outcomes - before
    assert sum(count for outcome, count in happened.items() if outcome != "ok") > 10
    run("build", *arguments(pdfs, out, server)[1:])  # complete: nothing is asked
    assert (server.books.outcomes - before) == happened


def test_kills_change_no_byte_and_nothing_stored_is_paid_again(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    server.behaviour.latency = 0.05
    out = tmp_path / "mmprolong"
    command = arguments(pdfs, out, server, "--workers", "2")
    started, lost = server.books.billed.total(), 0
    for kill in range(3):
        target = started + 25 * (kill + 1)
        interrupt_when(lambda target=target: server.books.billed.total() >= target, *command)  # type: ignore[misc]
        under_way = [row for row in ledger(out).unknown if row["outcome"] != LOST]
        assert len(under_way) <= CONCURRENCY
        lost += len(under_way)
    run(*command)
    assert content(out) == content(reference)
    summary = ledger(out)
    received = sum(row.attempts for row in summary.rows if row.outcome == "ok")
    assert received == sum(count for *_, count in summary.calls)
    assert server.books.billed.total() - started <= received + lost
    assert sum(row.attempts for row in summary.rows) == received + lost
    assert summary.cost == pytest.approx(0.002 * received)


def test_a_stop_drains_and_the_same_command_goes_on(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    server.behaviour.latency = 0.1
    out = tmp_path / "mmprolong"
    command = arguments(pdfs, out, server, "--workers", "1")
    target = server.books.requests + 20
    code, errors = interrupt_when(lambda: server.books.requests >= target, *command, with_signal=signal.SIGTERM)
    assert code == 143
    assert "Traceback" not in errors
    assert "Stopped" in errors
    assert not ledger(out).unknown  # what was under way was waited for, and stored
    run(*command)
    assert content(out) == content(reference)


def test_a_limit_on_the_cost_stops_and_the_same_command_goes_on(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    command = arguments(pdfs, out, server, "--workers", "1", "--max-cost", "0.15", "--set", "qa.max_tokens=200")
    stopped = run(*command, code=4)
    assert "--max-cost" in stopped.stderr
    spent = ledger(out).cost
    assert spent is not None
    assert 0 < spent <= 0.15
    run(*command[:-4], "--set", "qa.max_tokens=200")
    assert len(samples(out)) == 12
    assert "price" in run(*command[:-4], "--max-cost", "1", "--set", "llm.prices={}", code=2).stderr


def test_batches_give_the_same_bytes(reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    batch = ("qa.mode=batch", "llm.batch_wait=0.3", "llm.batch_poll=0.05")
    before = server.books.requests
    run(*arguments(pdfs, out, server, *(word for setting in batch for word in ("--set", setting))))
    assert server.books.requests == before
    assert server.batches
    assert content(out) == content(reference)


def test_a_model_puts_questions_into_other_words(pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    more = ("qa.generator=programmatic", "qa.paraphrase=true")
    run(*arguments(pdfs, out, server, *(word for setting in more for word in ("--set", setting))))
    rows = samples(out)
    assert len(rows) == 12
    reworded = [row for row in rows if row["question"].startswith("Please tell me: ")]
    assert reworded
    for row in reworded:
        assert row["verification"]["checks"]["paraphrase"] == "ok"
        assert row["question"].endswith(row["verification"]["models"]["paraphrase"]["original"])
        assert row["generator"].startswith("programmatic/")
    manifest = read_manifest(out)
    assert [(task["task"], task["model"], task["served_as"]) for task in manifest.models["tasks"]] == [
        ("paraphrase", "test-model", [REPORTED])
    ]
    made = manifest.models["candidates"].values()
    assert sum(counts["made"] for counts in made) == 12
    assert sum(counts["accepted"] for counts in made) == len(reworded)
    card = " ".join((out / "README.md").read_text().split())
    assert "**a language model reworded the questions**" in card
    assert "A language model wrote" not in card


def test_requests_without_an_answer_leave_their_slice_for_the_next_run(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    server.behaviour.status = lambda body: 500 if identity(body)[0] in "01" else 0
    command = arguments(pdfs, out, server, "--workers", "2", "--set", "llm.tries=2")
    errors = run(*command, code=1).stderr
    assert "without an answer" in errors
    assert "same command" in errors
    server.behaviour.status = lambda body: 0
    run(*command)
    assert content(out) == content(reference)


def test_a_slice_that_fails_for_good_is_named_and_the_rest_published(
    reference: Path, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    """Slices with questions by a model have the records of all others."""
    out = tmp_path / "mmprolong"
    cells = out / ".work" / next(reference.glob(".work/*/plan.parquet")).parent.name
    obstacle = cells / "qa" / "00001.msgpack" / "in the way"
    obstacle.mkdir(parents=True)  # no file can be renamed to a folder's name
    command = arguments(pdfs, out, server)
    assert "slice 1: IsADirectoryError" in run(*command, code=3).stderr
    run("verify", out)
    assert list(json.loads(run("status", out, "--json", code=3).stdout)["failed"]) == ["1"]
    shutil.rmtree(obstacle.parent)
    asked = server.books.billed.total()
    run(*command)
    assert content(out) == content(reference)
    assert server.books.billed.total() == asked  # its questions were there already


def test_what_is_sent(pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    with LLMServer(qa_brain, keep_bodies=True) as own:
        one = tmp_path / "one"
        one.mkdir()
        (one / "a.pdf").write_bytes((pdfs / "report-0.pdf").read_bytes())
        run(*arguments(one, tmp_path / "mmprolong", own, "--set", "verify.checks=[]"))
        bodies = own.books.bodies
    assert len(bodies) == 3
    for body in bodies:
        system, user = body["messages"]
        assert system["role"] == "system"
        parts = user["content"]
        assert [part["type"] for part in parts[:3]] == ["text", "image_url", "text"]
        number = int(parts[0]["text"].removeprefix("Page "))
        assert parts[2]["text"].startswith(f'<page-text page="{number}" ')
        picture = base64.b64decode(parts[1]["image_url"]["url"].partition(",")[2])
        width, height = Image.open(io.BytesIO(picture)).size
        assert (width % 28, height % 28) == (0, 0)
    # The three tasks share the rules and the pages that come first: a cached prefix.
    prefixes = {json.dumps([body["messages"][0], body["messages"][1]["content"][:-1]]) for body in bodies}
    assert len(prefixes) == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ([], "qa.model"),
        (["qa.model=m", "qa.base_url=localhost:8000"], "http://"),
        (["qa.model=m", "qa.base_url=http://me:secret@host/v1"], "OPENAI_API_KEY"),
        (["qa.model=m", "verify.checks=[luck]"], "verify.checks"),
        (["qa.model=m", "verify.models.luck=x"], "verify.models"),
        (["qa.model=m", "verify.votes=1"], "verify.votes_needed"),
        (["qa.model=m", "llm.prices={m: [1]}"], "llm.prices"),
        (["qa.model=/home/me/models/m"], "--served-model-name"),
        (["qa.model=m", "llm.key_env=sk-12345"], "not the key"),
        (["qa.model=m", "verify.key_envs.judge=sk-12345"], "not the key"),
        (["qa.model=m", "verify.key_envs.luck=KEY"], "verify.key_envs"),
        (["qa.model=m", "llm.query={api-key: secret-4711}"], "environment"),
        (["qa.model=m", 'llm.key_header="api-key: secret-4711"'], "name of a header"),
        (["qa.model=m", "qa.extra={m: {messages: []}}"], "qa.extra"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: list[str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(Recipe, None, ["qa.generator=openai", *settings]).validate()
    assert named in str(caught.value)
    assert "12345" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_each_check_can_have_a_model_an_endpoint_a_key_and_fields_of_its_own() -> None:
    recipe = load_settings(
        Recipe,
        None,
        [
            "qa.generator=openai", "qa.model=m", "qa.base_url=http://a/v1", "verify.checks=[evidence,judge]",
            "verify.models.judge=big", "verify.base_urls.judge=http://b/v1", "verify.key_envs.judge=OTHER_KEY",
            "qa.extra={m: {chat_template_kwargs: {enable_thinking: false}}}",
        ],
    )  # fmt: skip
    recipe.validate()
    writer, evidence, judge = recipe.endpoints()
    assert (evidence.model, *evidence.where) == (writer.model, *writer.where) == ("m", "http://a/v1", "OPENAI_API_KEY")
    assert (judge.model, *judge.where) == ("big", "http://b/v1", "OTHER_KEY")
    assert (writer.extra, judge.extra) == ({"chat_template_kwargs": {"enable_thinking": False}}, {})
    assert "OTHER_KEY" not in json.dumps(recipe.content())
    assert "http://" not in json.dumps(recipe.content())


def test_further_fields_of_a_request_are_sent_and_part_of_its_key(tmp_path: Path) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    with LLMServer(square_brain, keep_bodies=True) as server:
        plain = request(3, server.url)
        more = replace(plain, endpoint=replace(plain.endpoint, extra=extra))
        ask_all(tmp_path / "ledger", [plain, more])
        assert sorted("chat_template_kwargs" in body for body in server.books.bodies) == [False, True]
    assert plain.key() != more.key()


def test_where_models_are_is_no_part_of_the_recipe() -> None:
    one = load_settings(
        Recipe, None, ["qa.base_url=http://a/v1", "qa.mode=batch", "verify.base_urls.judge=http://b/v1"]
    )
    assert one.hash() == load_settings(Recipe, None, ["llm.concurrency=3"]).hash()
    assert one.hash() != load_settings(Recipe, None, ["qa.model=m"]).hash()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["qa.model=m", "qa.base_url=http://127.0.0.1:9/v1"], "127.0.0.1:9/v1: cannot be reached"),
        (["qa.model=unknown"], "it serves m, model-a, test-model"),
        (["qa.model=m", "llm.key_env=NO_SUCH_KEY", "qa.base_url=https://api.openai.com/v1"], "variable NO_SUCH_KEY"),
        (["qa.model=m", "verify.base_urls.evidence=http://127.0.0.1:9/v1"], "127.0.0.1:9/v1: cannot be reached"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_named_before_any_work(
    settings: list[str], named: str, pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    server.behaviour.serves = ("test-model", "m")
    out = tmp_path / "out"
    errors = run(*arguments(pdfs, out, server, *(w for s in settings for w in ("--set", s))), code=1).stderr
    assert named in " ".join(errors.split())
    assert "Remedy" in errors
    assert not list(out.glob(".work/inventory*"))  # no document was opened


def test_a_build_that_is_complete_needs_no_endpoint(reference: Path, pdfs: Path, server: LLMServer) -> None:
    run(*arguments(pdfs, reference, server, "--set", "qa.base_url=http://127.0.0.1:9/v1"))


def test_the_report_shows_checks_costs_and_evidence(reference: Path) -> None:
    page = write_report(reference).read_text("utf-8")
    assert "Questions by a model" in page
    assert "<code>verify/closed_book</code>" in page
    assert "the answer does not stand on its pages" in page  # what the model made up
    assert "Zacharias Quint" in page
    assert "an accepted question" in page
    assert "Text: &ldquo;" in page
    assert f"<td>{REPORTED}</td>" in page
    assert "2 of 2 answers from the evidence pages are right" in page
    assert "judge (test-model): Looks right." in page


def test_the_report_of_a_dataset_that_was_moved_still_shows_acceptance_and_models(
    reference: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(reference, moved, ignore=shutil.ignore_patterns(".work"))
    page = write_report(moved).read_text("utf-8")
    assert "Questions by a model" in page
    assert "12 accepted" in page
    assert "the answer does not stand on its pages" in page
    assert f"<td>{REPORTED}</td>" in page
    assert "attempts" not in page.split("Questions by a model")[1].split("<h2>")[0]  # the ledger stayed behind
