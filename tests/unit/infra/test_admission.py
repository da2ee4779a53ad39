"""Admission: tokens that were ended before their time, what is kept of that, and what happens if it cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from domain.permissions import Role
from infra.admission import Admission
from infra.guards import Stops, UnreadGuardsError
from infra.problems import RetryLaterError
from infra.request import BadTokenError
from infra.settings import STOPS_CACHE_SECONDS, STOPS_CACHED
from infra.tokens import Tokens

TOKENS = Tokens(lambda: "a key of tests that is long enough for HS256")


class Guards:
    """What ends tokens, by session; `reads` are the looks at it."""

    def __init__(self) -> None:
        self.found = Stops()
        self.fault: Exception | None = None
        self.reads: list[tuple[str, str]] = []

    def stops(self, session_id: str, user_id: str) -> Stops:
        self.reads.append((session_id, user_id))
        if self.fault:
            raise self.fault
        return self.found


class Gate:
    """An Admission with a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.guards: Any = Guards()
        self.clock = 1_000.0
        self.admission = Admission(TOKENS, lambda: self.guards, lambda: self.clock)

    def admits(self, token: str) -> bool:
        try:
            self.admission.caller(token)
        except BadTokenError:
            return False
        return True


@pytest.fixture
def gate() -> Gate:
    return Gate()


def token(at: datetime | None = None, session: str = "s-1", user: str = "ada") -> str:
    return TOKENS.issue(user, Role.USER, at or datetime.now(UTC), session)


def test_a_caller_is_who_the_token_says(gate: Gate) -> None:
    caller = gate.admission.caller(token())
    assert (caller.user_id, caller.session_id) == ("ada", "s-1")
    assert gate.guards.reads == [("s-1", "ada")]


def test_a_token_of_a_session_that_has_ended_is_refused(gate: Gate) -> None:
    gate.guards.found = Stops(session_ended=True)
    with pytest.raises(BadTokenError, match="The session has ended"):
        gate.admission.caller(token())


@pytest.mark.parametrize(("offset", "admitted"), [(-1000, False), (-1, False), (0, False), (1, True), (1000, True)])
def test_tokens_that_were_issued_up_to_a_stop_are_refused_to_the_millisecond(
    gate: Gate, offset: int, *, admitted: bool
) -> None:
    """Also within the one second that `iat` gives to all of them."""
    stop = datetime.now(UTC).replace(microsecond=500_000) - timedelta(seconds=2)
    gate.guards.found = Stops(issued_until=round(stop.timestamp() * 1000))
    assert gate.admits(token(stop + timedelta(milliseconds=offset))) is admitted


def test_what_was_read_is_used_for_twenty_seconds_and_no_longer(gate: Gate) -> None:
    given = token()
    assert gate.admits(given)
    gate.guards.found = Stops(session_ended=True)
    gate.clock += STOPS_CACHE_SECONDS - 0.1
    assert gate.admits(given)
    gate.clock += 0.1
    assert not gate.admits(given)
    assert len(gate.guards.reads) == 2
    assert STOPS_CACHE_SECONDS <= 20


def test_a_new_token_counts_at_once_although_the_stop_of_the_old_one_is_kept(gate: Gate) -> None:
    stop = datetime.now(UTC) - timedelta(seconds=1)
    gate.guards.found = Stops(issued_until=round(stop.timestamp() * 1000))
    assert not gate.admits(token(stop))
    assert gate.admits(token())
    assert len(gate.guards.reads) == 1


def test_sessions_are_kept_apart(gate: Gate) -> None:
    gate.guards.found = Stops(session_ended=True)
    assert not gate.admits(token(session="s-1"))
    gate.guards.found = Stops()
    assert gate.admits(token(session="s-2"))
    assert not gate.admits(token(session="s-1"))


def test_no_more_sessions_are_kept_than_that(gate: Gate) -> None:
    for number in range(STOPS_CACHED + 1):
        gate.admission._stops(TOKENS.caller(token(session=f"s-{number}")))
    assert len(gate.admission._read) == STOPS_CACHED


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "BatchGetItem"),
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "BatchGetItem"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        UnreadGuardsError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_where_it_cannot_be_found_out_nobody_is_let_in_and_nothing_is_kept(gate: Gate, fault: Exception) -> None:
    gate.guards.fault = fault
    with pytest.raises(RetryLaterError) as raised:
        gate.admission.caller(token())
    assert (raised.value.status, raised.value.seconds) == (503, 1)
    gate.guards.fault = None
    assert gate.admits(token())


def test_a_token_that_is_none_is_not_looked_up(gate: Gate) -> None:
    for text in ("", "nonsense", token(datetime.now(UTC) - timedelta(hours=1))):
        assert not gate.admits(text)
    assert gate.guards.reads == []
