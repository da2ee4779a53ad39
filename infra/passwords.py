"""Passwords: bcrypt hashes, and a check that takes as long for an unknown account as for a known one."""

import bcrypt

from infra.settings import PASSWORD_ROUNDS


def hashed(password: str) -> str:
    """The bcrypt hash of a password of at most 72 bytes, none of them zero."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(PASSWORD_ROUNDS)).decode()


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one of the hash. Without a hash it takes as long, and is False."""
    given = password.encode()
    # What no password of ours is. bcrypt takes no more bytes, and repeats a shorter password with a zero in between, so
    # that `a` and `a\0a` are the same to it.
    possible = len(given) <= 72 and 0 not in given
    ok = bcrypt.checkpw(given if possible else b"", (password_hash or _nobodys()).encode())
    return ok and possible and password_hash is not None


def _nobodys() -> str:
    """The form of a hash, of no password that is known: checked in place of one that is not there."""
    return f"$2b${PASSWORD_ROUNDS:02d}$" + "." * 53
