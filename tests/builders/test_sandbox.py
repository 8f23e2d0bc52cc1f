"""The pool of children: whatever a document does to its child is a reason code, and nothing else is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmprolong_builders.recipe import Sandbox
from mmprolong_builders.sandbox import Outcome, SandboxClosed, SandboxPool
from support.poison import TASKS

from mmprolong_data.errors import MMProLongError

GENEROUS = Sandbox(timeout=60.0, memory=2 << 30)
IMPATIENT = Sandbox(timeout=0.5, memory=2 << 30)


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(2, GENEROUS, TASKS) as shared:
        yield shared


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.02)


def test_value_comes_back(pool: SandboxPool) -> None:
    payload = {"text": "name-\udcff", "bytes": b"\x00" * 100_000, "list": [1, 2.5, None, True]}
    assert pool.call("echo", payload) == Outcome(payload)
    assert pool.call("echo", payload).ok


def test_reason_of_a_document_error(pool: SandboxPool) -> None:
    outcome = pool.call("refuse", {})
    assert outcome == Outcome(None, "needs_ocr", "no text on page 3")
    assert not outcome.ok


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_death_by_a_signal_is_a_crash_of_that_document_alone(pool: SandboxPool, number: signal.Signals) -> None:
    assert pool.call("die", {"signal": int(number)}) == Outcome(
        None, "crash", f"its process was ended by {number.name}"
    )
    assert pool.call("echo", {"next": 1}).value == {"next": 1}


def test_exit_is_a_crash(pool: SandboxPool) -> None:
    assert pool.call("leave", {}) == Outcome(None, "crash", "its process exited with status 7")


def test_a_death_is_given_one_more_chance(pool: SandboxPool, tmp_path: Path) -> None:
    assert pool.call("stubborn", {"marker": str(tmp_path / "marker")}).ok


@pytest.mark.parametrize("task", ["hang", "hang_in_c"])
def test_hang_is_a_timeout(task: str) -> None:
    with SandboxPool(1, IMPATIENT, TASKS) as pool:
        assert pool.call(task, {}) == Outcome(None, "timeout", "not done in 0.5 s")
        assert pool.call("echo", {"next": 1}).value == {"next": 1}


def test_allocation_beyond_the_limit_is_a_reason(pool: SandboxPool) -> None:
    assert pool.call("allocate", {"bytes": 8 << 30}) == Outcome(None, "memory", "out of memory")
    assert pool.call("allocate", {"bytes": 100 << 20}).value == {"bytes": 100 << 20}


def test_memory_that_earlier_documents_took_does_not_count() -> None:
    with SandboxPool(1, Sandbox(timeout=60.0, memory=1 << 30), TASKS) as pool:
        outcomes = [pool.call("hoard", {"bytes": 300 << 20}) for _ in range(4)]
    assert all(outcome.ok for outcome in outcomes)
    assert len([outcome for outcome in outcomes if outcome.value == {"blocks": 1}]) > 1, "no child was replaced"


def test_unforeseen_exception_names_the_place_but_no_path(pool: SandboxPool) -> None:
    outcome = pool.call("bug", {})
    assert outcome.reason == "damaged"
    assert outcome.detail.startswith("KeyError: 'missing' (poison.py:")
    assert "/" not in outcome.detail


def test_rendered_documents_of_hundreds_of_megabytes(pool: SandboxPool) -> None:
    value = pool.call("fat", {"sizes": [20 << 20] * 10}).value
    assert value is not None
    assert [(len(page), page[:1]) for page in value["pages"]] == [(20 << 20, bytes([i])) for i in range(10)]


def test_what_a_library_prints_goes_nowhere(pool: SandboxPool, capfd: pytest.CaptureFixture[str]) -> None:
    assert pool.call("noise", {}).value == {"read": b""}
    assert capfd.readouterr() == ("", "")


def test_surroundings_of_a_child(pool: SandboxPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    with SandboxPool(1, GENEROUS, TASKS) as fresh:
        who = fresh.call("who", {}).value
        again = fresh.call("who", {}).value
    assert who is not None
    assert again is not None
    assert "HF_TOKEN" not in who["environment"]
    assert who["environment"]["OMP_NUM_THREADS"] == "1"
    assert who["address_space"] == GENEROUS.memory
    assert who["oom_score_adj"] == "1000"
    assert who["session"] == who["pid"] != os.getpid()
    assert who["pid"] == again["pid"]
    other = pool.call("who", {}).value
    assert other is not None
    assert other["pid"] != who["pid"]
    assert other["hash"] == who["hash"], "hash() differs between children: sets would have different orders"


def test_start_of_a_child_imports_no_heavy_library(pool: SandboxPool) -> None:
    with SandboxPool(1, GENEROUS, TASKS) as fresh:
        who = fresh.call("who", {}).value
    assert who is not None
    assert "pymupdf" in who["modules"]
    assert not {"datasets", "pyarrow", "pandas", "torch", "transformers", "rich"} & set(who["modules"])


def test_parent_does_not_import_mupdf() -> None:
    code = "import sys, mmprolong_builders.sandbox, mmprolong_builders.ingest; sys.exit('pymupdf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_children_are_replaced_after_some_documents() -> None:
    with SandboxPool(1, Sandbox(timeout=60.0, memory=2 << 30, recycle=2), TASKS) as pool:
        pids = [outcome.value["pid"] for outcome in pool.map("who", [{}] * 5) if outcome.value]
        assert [pids.index(pid) for pid in pids] == [0, 0, 2, 2, 4]
        assert not running(pids[0])


def test_map_keeps_the_order_and_bounds_what_is_in_flight(pool: SandboxPool) -> None:
    taken: list[int] = []

    def payloads() -> Iterator[dict[str, Any]]:
        for i in range(12):
            taken.append(i)
            yield {"i": i, "seconds": 0.05 if i % 3 == 0 else 0.0}

    got: list[int] = []
    for outcome in pool.map("wait", payloads(), window=3):
        assert outcome.value is not None
        got.append(outcome.value["i"])
        assert len(taken) - len(got) <= 3
    assert got == list(range(12))


def test_several_maps_share_the_children(pool: SandboxPool) -> None:
    results: dict[int, list[Any]] = {}

    def consume(name: int) -> None:
        payloads = ({"name": name, "i": i} for i in range(20))
        results[name] = [outcome.value for outcome in pool.map("echo", payloads)]

    threads = [threading.Thread(target=consume, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: [{"name": name, "i": i} for i in range(20)] for name in range(4)}


def test_poison_among_others_costs_itself_alone() -> None:
    payloads = [{"i": i} for i in range(8)]
    with SandboxPool(2, GENEROUS, TASKS | {"mixed": "support.poison:die"}) as pool:
        streams = pool.map("echo", payloads), pool.map("mixed", payloads[:1])
        assert [outcome.value for outcome in streams[0]] == payloads
        assert [outcome.reason for outcome in streams[1]] == ["crash"]
        assert pool.call("echo", {"i": 9}).ok


def test_map_left_early_cancels_and_leaves_the_pool_usable(pool: SandboxPool) -> None:
    for outcome in pool.map("echo", ({"i": i} for i in range(1000))):
        assert outcome.ok
        break
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in pool.map("echo", ({"i": i} for i in range(1000)))]
    assert [outcome.value for outcome in pool.map("echo", [{"i": 1}, {"i": 2}])] == [{"i": 1}, {"i": 2}]


def test_failing_payloads_reach_the_consumer(pool: SandboxPool) -> None:
    def payloads() -> Iterator[dict[str, Any]]:
        yield {"i": 0}
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(pool.map("echo", payloads()))
    assert pool.call("echo", {"i": 1}).ok


def test_cpu_seconds_count_children_that_ended() -> None:
    pool = SandboxPool(1, Sandbox(timeout=60.0, memory=2 << 30, recycle=1), TASKS)
    with pool:
        for _ in range(2):
            assert pool.call("burn", {"seconds": 0.5}).ok
        before_close = pool.cpu_seconds
    assert before_close > 1.0
    assert pool.cpu_seconds >= before_close


def test_close_ends_children_at_once_and_wakes_who_waits(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    caught: list[BaseException] = []
    pool = SandboxPool(2, GENEROUS, TASKS)
    idle = pool.call("who", {}).value

    def consume() -> None:
        try:
            list(pool.map("hang_in_c", [{"marker": str(marker)}] * 3))
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            caught.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    wait_until(marker.exists)
    hanging = int(marker.read_text())
    pool.close()
    thread.join(10)
    assert not thread.is_alive()
    assert [type(error) for error in caught] == [SandboxClosed]
    assert idle is not None
    assert not running(hanging)
    assert not running(idle["pid"])
    with pytest.raises(SandboxClosed):
        pool.call("echo", {})
    with pytest.raises(SandboxClosed):
        list(pool.map("echo", [{}]))
    pool.close()


def test_interrupt_in_a_waiting_call_leaves_no_child(tmp_path: Path) -> None:
    """Ctrl-C: only the parent sees it, and its ``with`` block ends the children."""
    marker = tmp_path / "pid"
    code = (
        "import sys\n"
        "from mmprolong_builders.recipe import Sandbox\n"
        "from mmprolong_builders.sandbox import SandboxPool\n"
        "from support.poison import TASKS\n"
        "try:\n"
        "    with SandboxPool(1, Sandbox(timeout=600), TASKS) as pool:\n"
        "        list(pool.map('hang_in_c', [{'marker': sys.argv[1]}]))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    parent = start(code, marker)
    wait_until(marker.exists)
    child = int(marker.read_text())
    parent.send_signal(signal.SIGINT)
    assert parent.wait(20) == 130
    assert not running(child)


@pytest.mark.parametrize("stopped", [False, True])
def test_killed_parent_takes_hanging_children_with_it(stopped: bool, tmp_path: Path) -> None:
    """Also one that is stopped, which no signal but the kernel's SIGKILL reaches."""
    marker = tmp_path / "pid"
    code = (
        "import sys\n"
        "from mmprolong_builders.recipe import Sandbox\n"
        "from mmprolong_builders.sandbox import SandboxPool\n"
        "from support.poison import TASKS\n"
        "SandboxPool(1, Sandbox(timeout=600), TASKS).call('hang_in_c', {'marker': sys.argv[1]})\n"
    )
    parent = start(code, marker)
    wait_until(marker.exists)
    child = int(marker.read_text())
    assert running(child)
    if stopped:
        os.kill(child, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    wait_until(lambda: not running(child))


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    """It asks to be killed with its parent, and to Linux that is the thread that started it."""
    with SandboxPool(1, GENEROUS, TASKS) as pool:
        found: list[int] = []

        def ask() -> None:
            value = pool.call("who", {}).value
            assert value is not None
            found.append(value["pid"])

        for _ in range(2):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        ask()
    assert len(set(found)) == 1


def test_a_fork_starts_children_of_its_own(pool: SandboxPool) -> None:
    """datatrove's local executor forks; the thread that starts children does not exist in a fork."""
    assert pool.call("who", {}).ok
    pid = os.fork()
    if pid == 0:
        with SandboxPool(1, GENEROUS, TASKS) as own:
            os._exit(0 if own.call("who", {}).ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def start(code: str, marker: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, str(marker)], env=environment)


def test_interrupt_does_not_reach_an_idle_child(pool: SandboxPool) -> None:
    with SandboxPool(1, GENEROUS, TASKS) as fresh:
        who = fresh.call("who", {}).value
        assert who is not None
        os.kill(who["pid"], signal.SIGINT)
        again = fresh.call("who", {}).value
        assert again is not None
        assert again["pid"] == who["pid"]


def test_missing_mupdf_is_an_error_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pymupdf.py").write_text("raise ModuleNotFoundError(\"No module named 'pymupdf'\", name='pymupdf')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with SandboxPool(1, GENEROUS, TASKS) as pool, pytest.raises(MMProLongError, match=r"mmprolong\[build\]"):
        pool.call("echo", {})


def test_broken_installation_is_an_error_and_no_crash_of_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pymupdf.py").write_text("import os\nos.write(2, b'cannot load libmupdf\\n')\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with SandboxPool(1, GENEROUS, TASKS) as pool:
        with pytest.raises(MMProLongError, match=r"exited with status 3.*cannot load libmupdf"):
            pool.call("echo", {})
        with pytest.raises(MMProLongError, match="exited with status 3"):
            list(pool.map("echo", [{}] * 4))


@pytest.mark.parametrize("target", ["support.absent:f", "support.poison:absent"])
def test_task_that_cannot_be_imported_is_an_error(target: str) -> None:
    with SandboxPool(1, GENEROUS, {"absent": target}) as pool, pytest.raises(MMProLongError, match="absent"):
        pool.call("absent", {})


def test_result_of_no_plain_values_is_an_error(pool: SandboxPool) -> None:
    with pytest.raises(MMProLongError, match="TypeError"):
        pool.call("unpackable", {})
    assert pool.call("echo", {}).ok


def test_payload_of_no_plain_values_is_an_error(pool: SandboxPool) -> None:
    with pytest.raises(TypeError):
        pool.call("echo", {"x": {1, 2}})
    assert pool.call("echo", {}).ok


def test_unknown_task_is_refused(pool: SandboxPool) -> None:
    with pytest.raises(ValueError, match="no task 'fly'"):
        pool.call("fly", {})


def test_at_least_one_worker() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SandboxPool(0, GENEROUS)
