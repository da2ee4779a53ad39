"""Password hashes, and checking a password."""

import bcrypt
import pytest

from infra import passwords
from infra.passwords import hashed, matches
from infra.settings import PASSWORD_ROUNDS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)


def test_the_cost_in_use_is_what_owasp_asks_for_or_more() -> None:
    assert PASSWORD_ROUNDS >= 10


def test_a_hash_says_its_algorithm_and_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 5)
    assert hashed("correct horse battery").startswith("$2b$05$")


def test_a_password_matches_its_own_hash_only() -> None:
    kept = hashed("correct horse battery")
    assert matches("correct horse battery", kept)
    for other in ("correct horse batter", "Correct horse battery", "correct horse battery ", "", kept):
        assert not matches(other, kept)


def test_two_hashes_of_one_password_differ() -> None:
    assert hashed("correct horse battery") != hashed("correct horse battery")


def test_all_of_72_bytes_count() -> None:
    assert not matches("x" * 71 + "z", hashed("x" * 72))
    assert matches("ä" * 36, hashed("ä" * 36))


@pytest.mark.parametrize(
    ("given", "kept"), [("abcdefghijkl\x00abcdefghijkl", "abcdefghijkl"), ("\x00", ""), ("\x00", "\x00" * 12)]
)
def test_a_password_with_the_character_zero_is_wrong_though_bcrypt_knows_no_difference(given: str, kept: str) -> None:
    kept_hash = hashed(kept)
    assert bcrypt.checkpw(given.encode(), kept_hash.encode())
    assert not matches(given, kept_hash)


@pytest.mark.parametrize("longer", ["x" * 73, "x" * 100_000, "ä" * 37])
@pytest.mark.parametrize("kept", ["", "\x00" * 12])
def test_a_password_that_no_hash_was_made_of_is_wrong_and_not_an_error(longer: str, kept: str) -> None:
    assert not matches(longer, hashed(longer.encode()[:72].decode()))
    assert not matches(longer, hashed(kept))


def test_without_a_hash_every_password_is_wrong() -> None:
    for password in ("", "correct horse battery", "nobody has this password"):
        assert not matches(password, None)


def test_the_work_is_done_without_a_hash_and_for_what_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time of an answer would tell which addresses have an account."""
    checked: list[bytes] = []
    check = bcrypt.checkpw

    def noted(password: bytes, password_hash: bytes) -> bool:
        checked.append(password_hash[:7])
        return check(password, password_hash)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    matches("correct horse battery", None)
    for given in ("correct horse battery", "x" * 73, "\x00"):
        matches(given, hashed("another one"))
    assert checked == [b"$2b$04$"] * 4
