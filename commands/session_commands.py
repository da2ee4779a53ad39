"""Commands on a session that began already. With its end goes, in one transaction, the end of its access tokens."""

from collections.abc import Sequence

from commands.execution import Order, Outcome, execute
from domain.decider import Decide
from domain.sessions import SESSIONS, Session
from infra.event_store import EventStore, GuardWrite
from infra.guards import TokenGuards
from infra.history import WarmHistories


def carry_out(
    store: EventStore,
    guards: TokenGuards,
    session_id: str,
    decide: Decide[Session],
    order: Order,
    *,
    warm: WarmHistories | None = None,
) -> Outcome[Session]:
    """Carry out one command. Raises as `commands.execution.execute`."""

    def ending(before: Session | None, after: Session | None) -> Sequence[GuardWrite]:
        ends = after is not None and after.is_over and not (before and before.is_over)
        return [guards.end_session(session_id, order.at)] if ends else []

    return execute(store, SESSIONS, session_id, decide, order, guards=ending, warm=warm)
