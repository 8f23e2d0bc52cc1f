"""``mmprolong cost``: what language models were asked and what it cost."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path

if TYPE_CHECKING:
    from mmprolong_data.llm.summary import Summary

    from ..qa.openai.tally import Tally

COST_HELP = """\
Show what language models were asked for a dataset, and what it cost: requests, tokens and money by stage, model and
outcome, and the price of an accepted question. Works while a build is running.
"""

OUTCOMES = {
    "ok": "a good reply, kept for ever",
    "invalid": "a reply of the wrong form",
    "no_json": "a reply without complete JSON",
    "refused": "refused by the endpoint or the model (HTTP 400, content filter)",
    "throttled": "refused for the rate (HTTP 429); costs nothing",
    "server_error": "HTTP 5xx, or failed in a batch",
    "timeout": "no reply in llm.timeout; may have been billed",
    "connection": "the connection broke; may have been billed",
    "unreachable": "nobody was there; costs nothing",
    "garbage": "no completion (HTML, cut JSON, no choices); may have been billed",
    "fatal": "a wrong key, an unknown model, no credit",
    "cancelled": "given up when the run was stopped; may have been billed",
    "lost": "under way when the process was killed; may have been billed",
    "in_flight": "under way now, or in a batch",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    cost = commands.add_parser(
        "cost",
        help="requests, tokens and money spent on language models",
        description=COST_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cost.add_argument("dataset", type=local_path, metavar="DIR", help="the folder of a build, or a ledger (.sqlite)")
    cost.add_argument("--json", action="store_true", help="print everything as JSON")
    cost.add_argument("--unknown", action="store_true", help="list requests that may have been billed without a reply")
    cost.set_defaults(run=_cost)


def _cost(options: argparse.Namespace) -> int:
    from mmprolong_data.llm.summary import read_summary

    from ..qa.openai.ledgers import Costs, read_costs
    from ..qa.openai.tally import Tally, read_tally

    if options.dataset.is_file():
        costs, tally = Costs(read_summary(options.dataset), 0), Tally()
    else:
        work = options.dataset / ".work"
        costs, tally = read_costs(work), read_tally(work)
    summary = costs.summary
    output = terminal.console()
    if options.json:
        output.print_json(json.dumps(_plain(summary, tally)))
        return 0
    _print_stages(output, summary)
    _print_outcomes(output, summary)
    _print_questions(output, summary, tally)
    if options.unknown:
        for row in summary.unknown:
            output.print(
                f"{row['outcome']}: {row['stage']} {row['model']} {row['about']}", markup=False, highlight=False
            )
    elif summary.unknown:
        output.print(f"{len(summary.unknown)} requests may have been billed without a reply; --unknown lists them.")
    if costs.running:
        output.print(
            f"{costs.running} parts are asking now; what they have spent since their last slice is not counted."
        )
    if summary.waiting:
        output.print(f"{summary.waiting} requests wait in batches; run the build again to take their results.")
    return 0


def dollars(cost: float | None) -> str:
    """``0.0123``, or ``-`` where no price is known."""
    return "-" if cost is None else f"{cost:,.4f}"


def price_of_a_pair(summary: Summary, tally: Tally) -> float | None:
    """US dollars a question that was accepted, all failures included."""
    accepted = tally.accepted.total()
    return summary.cost / accepted if summary.cost is not None and accepted else None


def _plain(summary: Summary, tally: Tally) -> dict[str, object]:
    return asdict(summary) | {
        "cost": summary.cost,
        "accepted": dict(tally.accepted),
        "failed": {config: dict(counts) for config, counts in tally.failed.items()},
        "cost_per_accepted": price_of_a_pair(summary, tally),
    }


def _print_stages(output: Console, summary: Summary) -> None:
    titles = ("stage", "model", "attempts", "good", "tokens in", "out", "US $")
    table = Table(*titles, title="By stage and model")
    table.title_justify = "left"
    table.columns[0].no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    keys = sorted({(row.stage, row.model) for row in summary.rows})
    for stage, model in keys:
        rows = [row for row in summary.rows if (row.stage, row.model) == (stage, model)]
        known = [row.cost for row in rows if row.cost is not None]
        table.add_row(
            stage,
            model,
            f"{sum(row.attempts for row in rows):,}",
            f"{sum(row.attempts for row in rows if row.outcome == 'ok'):,}",
            f"{sum(row.input_tokens for row in rows):,}",
            f"{sum(row.output_tokens for row in rows):,}",
            dollars(sum(known) if known else None),
        )
    tokens_in, tokens_out = (
        sum(getattr(row, name) for row in summary.rows) for name in ("input_tokens", "output_tokens")
    )
    replies = sum(row.attempts for row in summary.rows if row.outcome == "ok")
    table.add_section()
    table.add_row(
        "total", "", f"{summary.attempts:,}", f"{replies:,}", f"{tokens_in:,}", f"{tokens_out:,}", dollars(summary.cost)
    )
    output.print(table)


def _print_outcomes(output: Console, summary: Summary) -> None:
    table = Table("outcome", "attempts", "US dollars", "what it means", title="By outcome", title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    attempts: Counter[str] = Counter()
    costs: dict[str, float] = {}
    for row in summary.rows:
        attempts[row.outcome] += row.attempts
        if row.cost is not None:
            costs[row.outcome] = costs.get(row.outcome, 0.0) + row.cost
    for outcome, number in sorted(attempts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(outcome, f"{number:,}", dollars(costs.get(outcome)), OUTCOMES.get(outcome, ""))
    output.print(table)


def _print_questions(output: Console, summary: Summary, tally: Tally) -> None:
    if not tally.slices:
        return
    accepted = tally.accepted.total()
    share = f" ({100 * accepted / tally.asked:.0f} %)" if tally.asked else ""
    line = f"{tally.asked:,} questions made, {accepted:,} accepted{share}"
    price = price_of_a_pair(summary, tally)
    if price is not None:
        line += f"; {dollars(price)} US dollars an accepted question"
    output.print(line + ".", highlight=False)
    refused = ", ".join(f"{check} {number:,}" for check, number in tally.checks().most_common())
    if refused:
        output.print(f"Refused by: {refused}.", highlight=False)
