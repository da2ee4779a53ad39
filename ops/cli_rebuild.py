"""`opsledger rebuild`: all rows and counters anew from the ledger, beside the live ones, and one swap."""

import os
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ops import stack
from ops.aws import LOCAL_STAGE, SessionConfig
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console, errors

if TYPE_CHECKING:
    from infra.generations import Generations
    from projections.comparison import Comparison
    from projections.rebuild import Outcome, Rebuild

app = typer.Typer()

MAX_SEGMENTS = 64


@app.command()
def rebuild(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PROJECTION]…", help="Such as task or event; all, if none is named.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build, compare, and throw away.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing; the new rows go live also where they differ.")
    ] = False,
    segments: Annotated[
        int, typer.Option(min=1, max=MAX_SEGMENTS, help="Parts of the ledger that are read at once, in a process each.")
    ] = min(4, os.cpu_count() or 1),
    abort: Annotated[
        bool, typer.Option("--abort", help="Throw away what an interrupted rebuild has built, and build nothing.")
    ] = False,
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Build views anew from the ledger while everything goes on, compare them with the live ones, and swap.

    One that was interrupted is gone on with. Ends with 1 if --dry-run found differences, or if nothing was swapped.
    """
    if abort and (names or dry_run):
        raise OpsError("--abort goes with neither names nor --dry-run", "It ends whatever was interrupted", exit_code=2)
    config = connect(stage)
    commits, rows = _sizes(config)

    from ops import rebuild_process  # noqa: PLC0415
    from ops.rebuild_progress import ShownRebuild  # noqa: PLC0415 - these take half a second
    from ops.views_of_stage import projector_of  # noqa: PLC0415

    known = projector_of(config)

    from infra import generations  # noqa: PLC0415 - after the environment was set
    from projections.rebuild import Rebuild  # noqa: PLC0415

    wanted = _known(names or (), tuple(known.projector.projections))
    state, _ = generations.read()
    if abort:
        _announce_end(state)
    elif state.phase:
        _check_alike(state, names or (), dry_run=dry_run)
        kind = "dry run" if state.dry_run else "rebuild"
        console.print(f"Going on with the {kind} of {', '.join(state.other)}, interrupted in its phase {state.phase}.")
    else:
        end = "compared with the live ones, and thrown away" if dry_run else "compared with the live ones, and swapped"
        console.print(
            f"To be built anew: {', '.join(wanted)}, from about {commits:,} commits; there are about {rows:,} rows of"
            f" all projections. They are {end}; reads and writes go on.",
            soft_wrap=True,
        )
        if not yes:
            typer.confirm("Go on?", abort=True)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
    with (
        rebuild_process.pool(state.segments if state.phase else segments) as executor,
        ShownRebuild(errors, commits, partial(_accepts, yes=yes)) as watching,
    ):
        build = partial(rebuild_process.build, owner)
        work = Rebuild(
            known.projector,
            wanted,
            build,
            executor,
            owner=owner,
            watcher=watching,
            segments=segments,
            dry_run=dry_run,
        )
        with _stopped(work):
            if abort:
                live = work.abort()
                console.print("Too late: the new rows are live." if live else "Thrown away: what was live still is.")
                return
            outcome = work.run()
    _tell(outcome, watching.seconds, dry_run=state.dry_run if state.phase else dry_run)


def _announce_end(state: "Generations") -> None:
    if not state.phase:
        raise OpsError("there is no rebuild to abort", "None is under way, and none was interrupted")
    console.print(f"Aborting the rebuild of {', '.join(state.other)}, interrupted in its phase {state.phase}.")


@contextmanager
def _stopped(work: "Rebuild") -> Iterator[None]:
    """Whatever ends it, nobody works on it any more then, so that the same command can go on at once."""
    from infra.generations import OvertakenError  # noqa: PLC0415
    from infra.passing_faults import passes  # noqa: PLC0415
    from infra.patience import BusyError  # noqa: PLC0415
    from projections.lease import OlderReleaseError, RebuildError, UnderWayError  # noqa: PLC0415
    from projections.projector import OutrunTooOftenError  # noqa: PLC0415

    go_on = "The same command goes on from here"
    try:
        yield
    except UnderWayError as error:
        raise OpsError(
            "another process carries out a rebuild",
            f"Wait for it; if it was killed, the same command goes on with it in {error.seconds:.0f} seconds",
        ) from error
    except (KeyboardInterrupt, typer.Abort) as error:
        _stop(work)
        errors.print("Interrupted. What is live is whole; run the same command again to go on from here.")
        raise typer.Exit(130) from error
    except OlderReleaseError as error:
        _stop(work)
        remedy = "`opsledger rebuild --abort` throws away what it built; then run this command again"
        raise OpsError("an older release began this rebuild", remedy) from error
    except (RebuildError, OutrunTooOftenError, OvertakenError) as error:
        _stop(work)
        raise OpsError(str(error).rstrip("."), go_on) from error
    except BaseException as error:
        _stop(work)
        if isinstance(error, Exception) and (isinstance(error, BusyError) or passes(error)):
            raise OpsError("DynamoDB was busy or away for too long", go_on) from error
        raise


def _stop(work: "Rebuild") -> None:
    """Have nobody work on it any more, so that the same command can go on at once."""
    from ops import rebuild_process  # noqa: PLC0415

    rebuild_process.stop()
    with suppress(Exception):  # then it counts as under way for half a minute; why it ended is what has to be told
        work.release()


def _known(names: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise OpsError(f"there is no projection {unknown[0]}", f"There are {', '.join(known)}", exit_code=2)
    return tuple(dict.fromkeys(names)) or known


def _check_alike(state: "Generations", names: Sequence[str], *, dry_run: bool) -> None:
    """Whether what was interrupted is what is asked for."""
    if (names and set(names) != set(state.other)) or (dry_run and not state.dry_run):
        kind = "dry run" if state.dry_run else "rebuild"
        raise OpsError(
            f"a {kind} of {', '.join(state.other)} was interrupted, or is under way",
            "`opsledger rebuild` without names and --dry-run goes on with it; then run this command again",
        )


def _sizes(config: SessionConfig) -> tuple[int, int]:
    """About how many commits and rows there are; DynamoDB counts them every six hours."""
    client = config.client("dynamodb")
    names = [stack.required_output(config, output) for output in ("EventsTable", "ViewsTable")]
    commits, rows = (client.describe_table(TableName=name)["Table"]["ItemCount"] for name in names)
    return commits, rows


def _accepts(compared: "Comparison", *, yes: bool) -> bool:
    _tell_differences(compared)
    return compared.same or yes or typer.confirm("Make the new rows live?")


def _tell(outcome: "Outcome", seconds: Mapping[str, float], *, dry_run: bool) -> None:
    rows = sum(segment.rows for segment in outcome.segments.values())
    left = sum(segment.left for segment in outcome.segments.values())
    took = seconds.get("bulk", 0)
    if outcome.segments:
        console.print(f"{rows:,} rows built" + (f", {rows / took:,.0f} a second." if took else "."))
    if left:
        console.print(f"{left:,} streams could not be folded at once; `opsledger parked` shows those that are parked.")
    if dry_run and outcome.compared:
        _tell_differences(outcome.compared)
    console.print("Swapped: the new rows are live." if outcome.swapped else "Thrown away: what was live still is.")
    if not outcome.swapped and not (dry_run and (outcome.compared is None or outcome.compared.same)):
        raise typer.Exit(1)


def _tell_differences(compared: "Comparison") -> None:
    console.print(f"Compared at equal versions: {compared.rows:,} rows.")
    if compared.moving:
        console.print(f"[yellow]{compared.moving:,}[/] were behind in the live rows, or did not hold still.")
    if compared.behind:
        console.print(
            f"  [yellow]{compared.behind:,}[/] are further in the live rows: an event of theirs cannot be applied any"
            " more; `opsledger parked` tells why",
            soft_wrap=True,
        )
    if compared.same:
        console.print("[green]No differences.[/]")
        return
    for count, told in (
        (compared.changed, "differ in content"),
        (compared.added, "are new: the live rows lack them"),
        (compared.missing, "are live only: the ledger does not explain them"),
        (len(compared.counters), "counters differ"),
    ):
        if count:
            console.print(f"  [yellow]{count:,}[/] {told}")
    for key in compared.named:
        console.print(f"    {escape(f'{key.pk} / {key.sk}')}", soft_wrap=True)
