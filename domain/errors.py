"""Why a command is refused. Each is a sentence for the person who sent it, and has one HTTP status."""

from typing import NamedTuple

MAX_FAULTS = 20
"""Faults that a refusal names. A body may have tens of thousands, which no answer can hold and nobody reads."""

_FAULTS_IN_MESSAGE = 5


class FieldFault(NamedTuple):
    """What is wrong with one field: its path, such as `title`, and a sentence."""

    field: str
    message: str


class DomainError(Exception):
    """A command that the domain refuses."""


class InvalidError(DomainError):
    """The request's fields break a rule; `faults` names each field, up to MAX_FAULTS of them.

    The message has the first few, and how many there are beyond these.
    """

    def __init__(self, *faults: FieldFault) -> None:
        told = [f"{fault.field}: {fault.message}" for fault in faults[:_FAULTS_IN_MESSAGE]]
        if len(faults) > len(told):
            told.append(f"and {len(faults) - len(told):,} more")
        super().__init__("; ".join(told))
        self.faults = faults[:MAX_FAULTS]


class NotFoundError(DomainError):
    """There is no such thing, or it is not the caller's to see."""


class ForbiddenError(DomainError):
    """The caller is known and may not do this."""


class StateConflictError(DomainError):
    """What is asked for does not fit the present state, such as an illegal change of status."""


class VersionMismatchError(DomainError):
    """The thing is not at the version that the command was meant for (`If-Match`)."""


class ReusedKeyError(DomainError):
    """An `Idempotency-Key` came back with another request."""
