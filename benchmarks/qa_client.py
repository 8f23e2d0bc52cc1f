"""The client of language models beside the plain SDK: how much of an endpoint's cap is used, and what is lost.

All ask the same loopback server the same requests: a cap on the rate, and a share of attempts that go wrong (429 with
Retry-After, 500, stalls, cut bodies, HTML with status 200, broken or truncated JSON, other schemas, no choices, wrong
pages). A few requests are refused on purpose (400) and should be recorded, not retried. "Recorded" are requests whose
failure is known and kept, with its reason; "lost" are those of which nothing is left.

    python benchmarks/qa_client.py [--requests 500] [--at-once 64] [--rate 20] [--faults 0.35] [--peer PYTHON]

``--peer`` is a Python in which distilabel is installed. Its concurrency is the size of its input batches, and a request
that fails takes its whole batch along: hence two sizes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.llm_requests import Square, request, square_brain, with_client  # noqa: E402
from support.llm_server import Behaviour, LLMServer, text_of  # noqa: E402

from mmprolong_data.llm import LLM, LLMClient, Request  # noqa: E402

TIMEOUT = 3.0
REFUSED_EVERY = 100

PEER = """
import json, sys
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts, StepInput, step
from distilabel.steps.tasks import TextGeneration
url, count, at_once, timeout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

@step(inputs=["instruction", "generation"], outputs=["text"])
def only_text(rows: StepInput):  # the columns that it adds itself differ in type between batches that fail and others
    yield [{"instruction": row["instruction"], "text": row["generation"] or ""} for row in rows]

if __name__ == "__main__":
    with Pipeline(name="squares") as pipeline:
        load = LoadDataFromDicts(data=[{"instruction": f"Square {n}"} for n in range(count)], batch_size=at_once)
        llm = OpenAILLM(model="model-a", base_url=url, api_key="none", timeout=int(timeout), max_retries=6)
        task = TextGeneration(llm=llm, system_prompt="You square numbers.", input_batch_size=at_once)
        load >> task >> only_text(input_batch_size=at_once)
    result = pipeline.run(use_cache=False)
    print("TEXTS " + json.dumps([[row["instruction"], row["text"]] for row in result["default"]["train"]]))
"""


@dataclass
class Row:
    """One line of the table."""

    name: str
    accepted: int
    refused: int
    recorded: int
    wall: float
    cpu: float
    share: float
    whole: float
    asked: int
    billed_again: int


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--faults", type=float, default=0.35)
    parser.add_argument("--peer", help="a Python with distilabel")
    parser.add_argument("--peer-batch", type=int, nargs="+", default=[64, 8], help="its input_batch_size")
    options = parser.parse_args()
    import openai  # its import is not what is measured

    print(f"openai {openai.__version__}", file=sys.stderr)
    rows = [measured("mmprolong", ours, options), measured("openai SDK, max_retries=6", plain, options)]
    for size in options.peer_batch if options.peer else ():
        options.batch = size
        rows.append(measured(f"distilabel, batches of {size}", peer, options))
    refusals = -(-options.requests // REFUSED_EVERY)
    print(
        f"\n{options.requests} requests, {options.at_once} at once, {options.faults:.0%} faults,"
        f" cap {options.rate:g} requests/s, {refusals} refused on purpose\n"
    )
    head = (
        "client", "accepted", "refused", "recorded", "lost", "wall s", "CPU s", "of the cap", "whole run", "attempts",
        "good ones billed twice",
    )  # fmt: skip
    print(f"{head[0]:28}" + "".join(f"{word:>{max(9, len(word) + 2)}}" for word in head[1:]))
    for row in rows:
        lost = options.requests - row.accepted - row.refused - row.recorded
        cells = (
            str(row.accepted), str(row.refused), str(row.recorded), str(lost), f"{row.wall:.1f}", f"{row.cpu:.1f}",
            f"{row.share:.1%}", f"{row.whole:.1%}", str(row.asked), str(row.billed_again),
        )  # fmt: skip
        print(f"{row.name:28}" + "".join(f"{c:>{max(9, len(w) + 2)}}" for c, w in zip(cells, head[1:], strict=True)))


def measured(name: str, run: Any, options: argparse.Namespace) -> Row:
    """Run one client against a fresh server, which is a process of its own, and read the server's books."""
    with Served(options) as served:
        before, started = cpu(), time.monotonic()
        counts = run(served.url, options)
        wall, used = time.monotonic() - started, cpu() - before
        books = served.close()
    again = sum(count - 1 for count in books["good"].values() if count)
    admitted = len(books["admitted"])
    # Two shares: of all attempts, to the end of the run; and of the first nine tenths of them, as the last requests
    # wait for nothing but their own faults.
    times = sorted(books["admitted"])
    whole = admitted / (options.rate * max(wall, 1e-9) + options.rate / 4)
    times = times[: max(2, int(0.9 * admitted))]
    seconds = times[-1] - times[0] if times else 0.0
    share = len(times) / (options.rate * seconds + options.rate / 4)
    return Row(name, *counts, wall, used, share, whole, books["requests"], again)


def cpu() -> float:
    """CPU seconds of this process and of children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Served:
    """The server in a process of its own."""

    def __init__(self, options: argparse.Namespace) -> None:
        code = f"import sys; sys.argv[0] = 'server'; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        code += f"import qa_client; qa_client.serve({options.rate}, {options.faults})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._books: dict[str, Any] | None = None

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> dict[str, Any]:
        """End it. Returns its books."""
        if self._books is None:
            output, _ = self._process.communicate("stop\n")
            self._books = json.loads(output)
        return self._books


def serve(rate: float, faults: float) -> None:
    """The server's main program: prints its URL, and its books when it is told to stop."""

    def refuse(body: dict[str, Any]) -> str:
        number = int(re.findall(r"\d+", text_of(body, "user"))[-1])
        return "content policy" if number % REFUSED_EVERY == 0 else ""

    behaviour = Behaviour(faults, rate=rate, refuse=refuse, latency=0.2, stall=60.0)
    with LLMServer(square_brain, behaviour) as server:
        print(server.url, flush=True)
        sys.stdin.readline()
        books = server.books
    print(
        json.dumps(
            {"requests": books.requests, "outcomes": books.outcomes, "good": books.good, "admitted": books.admitted}
        )
    )


def ours(url: str, options: argparse.Namespace) -> tuple[int, int, int]:
    """The project's client. Returns numbers: accepted, refused, and recorded with another reason."""

    async def work(client: LLMClient) -> list[Any]:
        asked = [request(number, url) for number in range(options.requests)]
        return await asyncio.gather(*map(client.ask, asked), return_exceptions=True)

    with tempfile.TemporaryDirectory() as folder:
        settings = LLM(concurrency=options.at_once, timeout=TIMEOUT)
        replies = with_client(Path(folder) / "ledger.sqlite", work, settings)
    failures = [getattr(reply, "failure", "unanswered") for reply in replies]
    refused = failures.count("refused")
    return failures.count(""), refused, len(failures) - failures.count("") - refused


def plain(url: str, options: argparse.Namespace) -> tuple[int, int, int]:
    """The SDK with its own retries, a semaphore, and a validation of the reply."""
    from openai import AsyncOpenAI, BadRequestError
    from pydantic import ValidationError

    async def work() -> list[str]:
        gate = asyncio.Semaphore(options.at_once)
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=6, timeout=TIMEOUT) as client:

            async def one(number: int) -> str:
                asked: Request = request(number, url)
                messages: Any = [
                    {"role": role, "content": "\n".join(map(str, parts))} for role, parts in asked.messages
                ]
                async with gate:
                    try:
                        reply = await client.chat.completions.create(
                            model="model-a", messages=messages, response_format={"type": "json_object"}
                        )
                        text = reply.choices[0].message.content or ""
                        value = Square.model_validate_json(text[text.index("{") :])
                        return "accepted" if value.evidence_pages == [number] else "lost"
                    except BadRequestError:
                        return "refused"
                    except (ValidationError, Exception):  # noqa: BLE001 - whatever it is, the reply is lost
                        return "lost"

            return await asyncio.gather(*map(one, range(options.requests)))

    results = asyncio.run(work())
    return results.count("accepted"), results.count("refused"), 0


def peer(url: str, options: argparse.Namespace) -> tuple[int, int, int]:
    """distilabel, in a Python of its own."""
    command = [options.peer, "-c", PEER, url, str(options.requests), str(options.batch), str(TIMEOUT)]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "squares.py"
        script.write_text(PEER)
        done = subprocess.run([options.peer, str(script), *command[3:]], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.split("\n") if line.startswith("TEXTS ")), "")
    if not line:
        print(done.stderr[-1500:], file=sys.stderr)
        return 0, 0, 0
    accepted = 0
    for instruction, text in json.loads(line.removeprefix("TEXTS ")):
        number = int(instruction.split()[-1])
        try:
            value = Square.model_validate_json(text[text.index("{") :])
            accepted += value.square == number * number and value.evidence_pages == [number]
        except (ValueError, AttributeError, TypeError):
            continue
    return accepted, 0, 0


if __name__ == "__main__":
    main()
