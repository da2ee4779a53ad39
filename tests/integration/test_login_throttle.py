"""The login throttle on moto: bursts, the pace after them, attempts at the same moment, and what is stored."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from infra import clients
from infra.login_throttle import LoginThrottle
from infra.problems import RetryLaterError
from infra.settings import (
    ACCOUNT_LOGIN_SECONDS,
    ACCOUNT_LOGINS_AT_ONCE,
    ADDRESS_LOGIN_SECONDS,
    ADDRESS_LOGINS_AT_ONCE,
)
from tests.contract.aws import OneAtATime
from tests.integration.conftest import Calls, table_items

ADA, HOME = "ada@example.com", "203.0.113.7"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = b"k" * 32


@pytest.fixture
def throttle(aws: None) -> LoginThrottle:  # noqa: ARG001
    return LoginThrottle(clients.dynamodb(), "guards", KEY)


def taken(throttle: LoginThrottle, attempts: int, account: str = ADA, address: str = HOME, after: float = 0) -> int:
    """How many of so many attempts are let through, so many seconds after NOW."""
    return sum(wait(throttle, account, address, after) == 0 for _ in range(attempts))


def wait(throttle: LoginThrottle, account: str = ADA, address: str = HOME, after: float = 0) -> int:
    """An attempt: 0 if it is let through, else the seconds it is told to wait."""
    try:
        throttle.count(account, address, NOW + timedelta(seconds=after))
    except RetryLaterError as error:
        return error.seconds
    return 0


def test_a_refusal_says_when_to_come_back_and_not_whether_there_is_such_an_account(throttle: LoginThrottle) -> None:
    taken(throttle, 5)
    with pytest.raises(RetryLaterError, match=r"^Too many attempts; try again in 20 seconds\.$") as raised:
        throttle.count(ADA, HOME, NOW)
    assert (raised.value.status, raised.value.seconds) == (429, 20)


def test_an_account_has_five_attempts_at_once_and_then_one_every_twenty_seconds(throttle: LoginThrottle) -> None:
    assert (ACCOUNT_LOGINS_AT_ONCE, ACCOUNT_LOGIN_SECONDS) == (5, 20)
    assert [wait(throttle) for _ in range(7)] == [0, 0, 0, 0, 0, 20, 20]
    assert wait(throttle, after=12.5) == 8
    assert [wait(throttle, after=20) for _ in range(2)] == [0, 20]
    assert taken(throttle, 10, after=20 + 60) == 3
    assert taken(throttle, 10, after=1_000) == 5


def test_an_address_has_twenty_attempts_at_once_and_then_one_every_three_seconds(throttle: LoginThrottle) -> None:
    assert (ADDRESS_LOGINS_AT_ONCE, ADDRESS_LOGIN_SECONDS) == (20, 3)
    names = (f"{number}@example.com" for number in range(100))
    assert [wait(throttle, next(names)) for _ in range(22)] == [0] * 20 + [3, 3]
    assert [wait(throttle, next(names), after=3) for _ in range(2)] == [0, 3]


def test_accounts_and_addresses_are_apart(throttle: LoginThrottle) -> None:
    assert taken(throttle, 10) == 5
    assert taken(throttle, 10, "bob@example.com") == 5
    assert taken(throttle, 1, address="198.51.100.1") == 0  # it is the account that is slowed
    assert taken(throttle, 10, "eve@example.com", "198.51.100.1") == 5


def test_one_customers_ipv6_addresses_are_one(throttle: LoginThrottle) -> None:
    accounts = iter(range(1_000))
    same = [f"2001:db8:1:2::{number:x}" for number in range(30)]
    assert sum(wait(throttle, f"{next(accounts)}@example.com", address) == 0 for address in same) == 20
    assert wait(throttle, f"{next(accounts)}@example.com", "2001:db8:1:3::1") == 0


def test_what_is_no_address_is_counted_as_it_is(throttle: LoginThrottle) -> None:
    assert taken(throttle, 10, address="unknown") == 5


def test_a_success_gives_the_account_all_and_the_address_one_attempt_back(throttle: LoginThrottle) -> None:
    for _ in range(19):  # somebody logs in and out, and cannot guess for free by it
        assert wait(throttle) == 0
        throttle.give_back(ADA, HOME)
    assert taken(throttle, 10) == 5
    assert sum(wait(throttle, f"{number}@example.com") == 0 for number in range(30)) == 15 - 5


def test_giving_back_what_was_never_counted_does_nothing(throttle: LoginThrottle) -> None:
    throttle.give_back(ADA, HOME)
    assert table_items("guards") == []


def test_attempts_at_the_same_moment_do_not_slip_through_together(aws: None) -> None:  # noqa: ARG001
    one_at_a_time: Any = OneAtATime(clients.dynamodb())
    throttle = LoginThrottle(one_at_a_time, "guards", KEY)
    ready = Barrier(16, timeout=30)

    def attempt(_: int) -> int:
        ready.wait()
        return wait(throttle)

    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(attempt, range(16)))
    assert sorted(waits) == [0] * 5 + [20] * 11


def test_nothing_stored_tells_who_it_was_and_everything_goes(throttle: LoginThrottle) -> None:
    wait(throttle)
    items = table_items("guards")
    assert len(items) == 2
    for item in items:
        assert item.keys() == {"pk", "tat", "ttl"}
        assert not any(word in repr(item) for word in ("ada", "example", "203.0"))
        assert 0 < int(item["ttl"]["N"]) - NOW.timestamp() <= 2 * 3600


@pytest.mark.parametrize(("before", "calls_made"), [(0, 2), (1, 4), (20, 2)])
def test_an_attempt_costs_so_many_calls(throttle: LoginThrottle, calls: Calls, before: int, calls_made: int) -> None:
    """The first after a while one for each, then two for each; one that its address stops, two."""
    for number in range(before):
        wait(throttle, ADA if before == 1 else f"{number}@example.com")
    calls.clear()
    wait(throttle)
    assert calls.operations == ["UpdateItem"] * calls_made
