"""A user who is deleted is erased, also where the command that deleted them did not come that far."""

from collections.abc import Callable

from commands.causation import holding_up_nobody
from domain.commit import Commit
from domain.users import UserDeleted
from infra.personal_data import DataKeyErasure


def erase_deleted(keys: Callable[[], DataKeyErasure], cause: Commit) -> int:
    """Delete the key of a person whom a commit deletes. Returns how many people these are.

    Args:
        keys: gives the table of keys; asked only when one is to go.

    Raises:
        Exception: a fault of the infrastructure.
    """
    with holding_up_nobody("person not erased", stream=cause.stream, version=cause.version):
        if any(event.t == UserDeleted.name for event in cause.stored_events()):
            keys().delete(cause.stream.partition("#")[2])
            return 1
    return 0
