"""`opsledger verify`: whether views are what the ledger says, and the ledger what was written; and repairing views."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from ops import views_of_stage
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.rebuild_progress import RateColumn
from ops.terminal import StageOption, connect, console, errors

if TYPE_CHECKING:
    from infra.replay import Segment
    from projections.differences import Difference, Report
    from projections.verification import Ledger

app = typer.Typer()

SHOWN = 100
"""Differences that are shown one by one; --json gives all."""

Reached = Callable[[str, int], None]


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PROJECTION]…", help="Such as task or event; all by default.")
    ] = None,
    *,
    sample: Annotated[int, typer.Option(min=1, max=1_000_000, help="Look at one of so many streams, by chance.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Look at all streams, as without --sample.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what differs, and look at it again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Repair without asking.")] = False,
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Recount the counters, compare rows with their streams, check the hash chains. Ends with 1 if anything differs."""
    if everything and sample > 1:
        raise OpsError("--all and --sample exclude each other", "Give one of them", exit_code=2)
    connected = views_of_stage.projector_of(connect(stage))
    from infra.replay import Segment  # noqa: PLC0415 - once the environment is set
    from projections.verification import Ledger  # noqa: PLC0415

    projections = connected.projector.projections
    for name in names or ():
        if name not in projections:
            raise OpsError(f"there is no projection {name}", f"There are {', '.join(projections)}", exit_code=2)
    wanted = [one for name, one in projections.items() if not names or name in names]
    ledger = Ledger.of(connected.store, connected.client, connected.events_table, wanted, all_categories=not names)
    report = _verified(ledger, Segment(random.randrange(sample), sample))
    if not as_json:
        _tell(report)
    if repair and report.differences and (yes or typer.confirm(f"Repair {_count(report.differences)}?", err=True)):
        _repair(ledger, report)
        if not as_json:
            _tell_of_repair(report)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    if report.differences:
        raise typer.Exit(1)


def _verified(ledger: "Ledger", segment: "Segment") -> "Report":
    from projections.verification import SwappedError, Verification  # noqa: PLC0415

    with _progress() as reached:
        try:
            return Verification(ledger, segment=segment, reached=reached).run()
        except SwappedError as error:
            raise OpsError(str(error), "Verify again") from error


def _repair(ledger: "Ledger", report: "Report") -> None:
    from projections.repair import Repair, RepairError  # noqa: PLC0415

    with _progress() as reached:
        try:
            Repair(ledger, reached).run(report)
        except RepairError as error:
            raise OpsError(str(error), "Verify again when it has ended") from error


def _tell(report: "Report") -> None:
    checked = report.checked
    console.print(
        f"Looked at {checked.streams:,} streams with {checked.commits:,} commits, {checked.rows:,} rows and"
        f" {checked.counters:,} counters.",
        soft_wrap=True,
    )
    if checked.lagging:
        console.print(f"{checked.lagging:,} streams moved a moment ago and are not shown to their end yet.")
    if checked.moving:
        console.print(f"{checked.moving:,} streams and counters kept moving: nothing can be said of them.")
    if not report.differences:
        console.print("[green]No difference.[/]")
        return
    console.print(f"[red]{_count(report.differences)}:[/]")
    _list(report.differences)


def _tell_of_repair(report: "Report") -> None:
    console.print(f"[green]repaired[/]: {_count(report.repaired)}.")
    if report.differences:
        console.print(f"[red]Left: {_count(report.differences)}:[/]")
        _list(report.differences)
        if any(one.kind == "chain" for one in report.differences):
            console.print(
                "The ledger itself cannot be repaired: restore its table from a backup. See docs/operating.md."
            )


def _list(differences: "list[Difference]") -> None:
    for one in differences[:SHOWN]:
        console.print(f"  [red]{one.kind}[/] {escape(one.where)}: {escape(one.detail)}", soft_wrap=True)
    if len(differences) > SHOWN:
        console.print(f"  and {len(differences) - SHOWN:,} more; --json gives all.")


def _count(differences: "list[Difference]") -> str:
    return f"{len(differences):,} difference{'s' * (len(differences) != 1)}"


@contextmanager
def _progress() -> Iterator[Reached]:
    """A line on standard error for each phase: how much of it is done, how long it took, at which rate."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        RateColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as shown:
        phases: dict[str, TaskID] = {}

        def reached(phase: str, done: int) -> None:
            if phase not in phases:
                phases[phase] = shown.add_task(phase, total=None)
            shown.update(phases[phase], completed=done)

        yield reached
