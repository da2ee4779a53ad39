"""Sessions: when a refresh token is good, when it gets its answer again, and when it ends everything."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.commit import Recorded
from domain.errors import NotFoundError, StateConflictError
from domain.event import DomainEvent
from domain.permissions import Role
from domain.sessions import (
    REPEAT_WITHIN,
    EndReason,
    Session,
    SessionEnded,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
    end,
    end_of_earlier,
    ended_by,
    evolve,
    refresh,
    start,
)
from domain.tasks import TaskCommented
from domain.users import (
    User,
    UserDeactivated,
    UserDeleted,
    UserPasswordChanged,
    UserProfileChanged,
    UserReactivated,
    UserRoleChanged,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STARTED = SessionStarted(
    user_id="ada",
    user_version=3,
    expires_at=1_772_971_200,
    refresh_digest="d1",
    role=Role.USER,
    password_change_required=False,
)
CHANGED = UserPasswordChanged(password_hash="$2b$12$hash", must_change=False)


def refreshed(generation: int, role: Role = Role.USER) -> SessionRefreshed:
    """The one after which a session has that generation; its digest is `d` and that number."""
    return SessionRefreshed(
        generation=generation,
        expires_at=1_772_971_200 + generation,
        refresh_digest=f"d{generation}",
        role=role,
        password_change_required=False,
    )


def given_session(*events: tuple[DomainEvent, timedelta]) -> Session:
    """A session that started at NOW, and what happened to it so long after that."""
    session = evolve(None, Recorded(STARTED, 1, NOW, "ada"))
    for version, (event, after) in enumerate(events, 2):
        session = evolve(session, Recorded(event, version, NOW + after, "ada"))
    return session


def spend(session: Session, generation: int, after: timedelta, ended: EndReason | None = None) -> Sequence[DomainEvent]:
    """Refresh with the token of a generation, so long after NOW."""
    return refresh(session, f"d{generation}", refreshed(generation + 1), ended, NOW + after)


def answered(session: Session, generation: int, after: timedelta) -> int | None:
    """The generation of what a token of a generation is answered with, so long after NOW."""
    found = session.answer_to(f"d{generation}", NOW + after)
    return found.generation if found else None


# ---- starting and refreshing


def test_a_session_starts_once() -> None:
    assert start(None, STARTED) == [STARTED]
    with pytest.raises(StateConflictError):
        start(given_session(), STARTED)


def test_the_current_token_is_spent_for_a_new_one() -> None:
    assert spend(given_session(), 1, timedelta(days=3)) == [refreshed(2)]


def test_a_session_keeps_what_is_needed_to_make_the_tokens_again() -> None:
    session = given_session((refreshed(2, Role.ADMIN), SECOND))
    grant = session.grants[-1]
    assert (grant.generation, grant.at, grant.expires_at) == (2, NOW + SECOND, 1_772_971_202)
    assert (grant.refresh_digest, grant.role, session.user_version) == ("d2", Role.ADMIN, 3)


@pytest.mark.parametrize("after", [timedelta(0), SECOND, REPEAT_WITHIN])
def test_a_spent_token_gets_the_same_answer_for_ten_seconds(after: timedelta) -> None:
    session = given_session((refreshed(2), SECOND))
    assert spend(session, 1, SECOND + after) == []
    assert answered(session, 1, SECOND + after) == 2


def test_a_spent_token_that_comes_later_revokes_the_session() -> None:
    session = given_session((refreshed(2), SECOND))
    late = SECOND + REPEAT_WITHIN + timedelta(milliseconds=1)
    assert spend(session, 1, late) == [SessionRevoked(generation=1)]
    assert answered(session, 1, late) is None


def test_a_token_that_comes_again_after_the_next_one_was_spent_too_gets_its_own_answer() -> None:
    session = given_session((refreshed(2), SECOND), (refreshed(3), 2 * SECOND))
    assert [answered(session, generation, 3 * SECOND) for generation in (1, 2, 3)] == [2, 3, None]
    assert spend(session, 1, 3 * SECOND) == []


def test_a_token_that_the_session_never_gave_revokes_it() -> None:
    session = given_session()
    assert refresh(session, "another", refreshed(2), None, NOW) == [SessionRevoked(generation=1)]


def test_a_clock_that_is_behind_takes_a_repeat_for_one() -> None:
    assert spend(given_session((refreshed(2), SECOND)), 1, timedelta(0)) == []


@pytest.mark.parametrize("last", [SessionEnded(reason=EndReason.LOGOUT), SessionRevoked(generation=1)])
def test_of_a_session_that_is_over_nothing_is_good_any_more(last: DomainEvent) -> None:
    session = given_session((refreshed(2), SECOND), (last, 2 * SECOND))
    assert [spend(session, generation, 3 * SECOND) for generation in (1, 2, 9)] == [[], [], []]
    assert [answered(session, generation, 3 * SECOND) for generation in (1, 2)] == [None, None]


def test_a_user_who_may_not_go_on_ends_the_session_with_whatever_token() -> None:
    session = given_session((refreshed(2), SECOND))
    for generation in (1, 2):
        ended = spend(session, generation, 2 * SECOND, EndReason.DEACTIVATED)
        assert ended == [SessionEnded(reason=EndReason.DEACTIVATED)]


def test_a_session_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        refresh(None, "d1", refreshed(2), None, NOW)


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 3)), max_size=40))
def test_of_any_tokens_in_any_order_only_the_current_one_goes_on(attempts: list[tuple[float, int]]) -> None:
    """Each attempt comes so many seconds after the one before, with the token so many generations back.

    Beside it runs a list of when each token was spent, from which follows what must come of the next one.
    """
    session, now, spent_at = given_session(), NOW, dict[int, datetime]()
    for version, (gap, back) in enumerate(attempts, 2):
        now += timedelta(seconds=gap)
        generation = max(1, session.grants[-1].generation - back)
        events = refresh(session, f"d{generation}", refreshed(generation + 1), None, now)
        if generation not in spent_at:
            assert events == [refreshed(generation + 1)]
            spent_at[generation] = now
        elif now - spent_at[generation] <= REPEAT_WITHIN:
            assert events == []
        else:
            assert events == [SessionRevoked(generation=generation)]
        for event in events:
            session = evolve(session, Recorded(event, version, now, "ada"))
        found = session.answer_to(f"d{generation}", now)
        assert (found.generation if found else None) == (None if session.is_over else generation + 1)
        if session.is_over:
            return


def test_a_state_stays_small_however_fast_it_is_refreshed() -> None:
    hasty = given_session(*((refreshed(n), n * timedelta(milliseconds=1)) for n in range(2, 2_000)))
    assert len(hasty.grants) <= 20
    steady = given_session(*((refreshed(n), n * timedelta(minutes=14)) for n in range(2, 1_002)))
    assert len(steady.grants) == 2
    assert len(TypeAdapter(Session).dump_json(steady)) < 600


# ---- ending


def test_a_session_ends_once() -> None:
    assert end(given_session(), EndReason.LOGOUT) == [SessionEnded(reason=EndReason.LOGOUT)]
    assert end(given_session((SessionRevoked(generation=1), SECOND)), EndReason.LOGOUT) == []


@pytest.mark.parametrize(("version", "ends"), [(4, True), (3, False), (2, False)])
def test_what_happens_to_a_user_ends_the_sessions_that_began_before(version: int, *, ends: bool) -> None:
    expected = [SessionEnded(reason=EndReason.PASSWORD_CHANGED)] if ends else []
    assert end_of_earlier(given_session(), EndReason.PASSWORD_CHANGED, version) == expected


def user(*, is_active: bool = True, is_deleted: bool = False) -> User:
    return User(
        email="sealed",
        full_name="sealed",
        role=Role.USER,
        password_hash="$2b$12$hash",
        is_active=is_active,
        is_deleted=is_deleted,
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("found", "since", "reason"),
    [
        (user(), [], None),
        (user(), [UserProfileChanged(email="e", full_name="n")], None),
        (user(), [UserRoleChanged(old=Role.ADMIN, new=Role.USER)], None),
        (user(), [CHANGED], EndReason.PASSWORD_CHANGED),
        (user(), [UserDeactivated(), UserReactivated()], EndReason.DEACTIVATED),
        (user(is_active=False), [], EndReason.DEACTIVATED),
        (user(is_active=False, is_deleted=True), [CHANGED, UserDeleted()], EndReason.DELETED),
    ],
)
def test_a_session_is_over_by_what_its_user_is_or_went_through(
    found: User, since: list[DomainEvent], reason: EndReason | None
) -> None:
    assert ended_by(found, since) is reason


# ---- evolving


def test_a_stream_that_begins_otherwise_or_holds_what_is_no_sessions_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match=r"session\.ended before session\.started"):
        evolve(None, Recorded(SessionEnded(reason=EndReason.LOGOUT), 1, NOW, "ada"))
    with pytest.raises(ValueError, match=r"does not know the event task\.commented"):
        given_session((TaskCommented(comment_id="c", comment="x"), SECOND))
