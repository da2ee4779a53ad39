"""Domain events: facts with a stable registered name and a schema version.

What is stored is the name, the version and the fields as JSON, never a Python path, so that code can be moved
and renamed. An old version is *upcast*, as a dictionary, before it is validated.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from pydantic import ValidationError

from domain.value import Value

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
E_ = TypeVar("E_", bound="type[DomainEvent]")

_types: dict[str, "type[DomainEvent]"] = {}
_upcasters: dict[tuple[str, int], Upcaster] = {}


class DomainEvent(Value):
    """One fact. Subclasses are registered with `@event_type`."""

    name: ClassVar[str]
    version: ClassVar[int]


class UnreadableEventError(Exception):
    """A stored event that this code cannot read: unknown name, or a version newer than the code's."""


class StoredEvent(NamedTuple):
    """An event as it stands in a commit: name (`t`), schema version (`v`), fields (`d`)."""

    t: str
    v: int
    d: Mapping[str, Any]


def event_type(name: str, version: int) -> Callable[[E_], E_]:
    """Register a class under its stored name and current schema version.

    Raises:
        ValueError: if the name is taken.
    """

    def register(cls: E_) -> E_:
        if name in _types:
            raise ValueError(f"the event name {name} is registered twice")
        cls.name = name
        cls.version = version
        _types[name] = cls
        return cls

    return register


def upcaster(name: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register a function from the fields of version `from_version` to those of the next one."""

    def register(function: Upcaster) -> Upcaster:
        _upcasters[name, from_version] = function
        return function

    return register


def registered() -> Mapping[str, "type[DomainEvent]"]:
    """All event classes by stored name. Complete once `domain.registry` is imported."""
    return _types


def encode(event: DomainEvent) -> StoredEvent:
    return StoredEvent(event.name, event.version, event.model_dump(mode="json", exclude_none=True))


def decode(stored: StoredEvent) -> DomainEvent:
    """Bring a stored event to its current version and validate its shape.

    Raises:
        UnreadableEventError: for a name that is not registered, a version without a way up, or fields that
            do not fit; the message names the event.
    """
    cls = _types.get(stored.t)
    if cls is None:
        raise UnreadableEventError(f"no code for the event {stored.t!r} v{stored.v}: was it renamed or removed?")
    if stored.v > cls.version:
        raise UnreadableEventError(f"{stored.t} v{stored.v} was written by newer code than this (v{cls.version})")
    try:
        fields = dict(stored.d)
        for version in range(stored.v, cls.version):
            step = _upcasters.get((stored.t, version))
            if step is None:
                raise UnreadableEventError(f"no upcaster from {stored.t} v{version} to v{version + 1}")
            fields = step(fields)
        return cls.model_validate(fields)
    except ValidationError as error:
        # Without the values, and without the error that holds them: they may be personal data, and this is logged.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UnreadableEventError(f"{stored.t} v{stored.v} does not fit its model: {faults}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadableEventError(f"{stored.t} v{stored.v} does not fit its upcaster: {error!r}") from error
