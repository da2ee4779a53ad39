"""The monitoring config: as it is now, and as it was."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from domain.commit import Commit, Recorded
from domain.errors import FieldFault, InvalidError, NotFoundError
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, MonitoringConfig, defaults
from domain.monitoring_config_shape import MonitoringConfigShown, shown
from infra.request import QueryNumber
from infra.rest import Answer, Request
from infra.views import Key, rows_by_key
from queries import wiring
from queries.paging import QuerySeconds
from queries.read_your_write import MinVersion, await_row
from queries.users import names

_KEY = Key(MONITORING_CONFIG.stream(CONFIG_ID), "config")


class MonitoringConfigQuery(MinVersion):
    """Which version; by default the one that holds now."""

    version: (
        Annotated[QueryNumber, Field(ge=0, description="of the stream, one that a change came to, as its `ETag` said")]
        | None
    ) = None
    as_of: (
        Annotated[QuerySeconds, Field(description="the config as it was then, in seconds since the epoch")] | None
    ) = None


def get_monitoring_config(
    request: Request,  # noqa: ARG001 - admins see all
    query: MonitoringConfigQuery,
) -> Answer[MonitoringConfigShown]:
    """The monitoring config, as it is now or as it was.

    Until somebody changes something these are the defaults, at version 0.
    """
    config, version = _asked_for(query)
    return Answer(shown(config, version, names({config.updated_by})), version)


def _asked_for(query: MonitoringConfigQuery) -> tuple[MonitoringConfig, int]:
    if query.version is not None and query.as_of is not None:
        raise InvalidError(FieldFault("as_of", "cannot go with version: ask for one of them"))
    if query.version is not None:
        return _at_version(query.version)
    if query.as_of is not None:
        return _at_time(query.as_of)
    row = await_row(query, _KEY) or rows_by_key([_KEY]).get(_KEY)
    if row is None:
        return defaults(), 0
    return MonitoringConfig.model_validate_json(row.data), int(row.version)


def _at_version(version: int) -> tuple[MonitoringConfig, int]:
    if version == 0:
        found = _last(lambda _, recorded: recorded.version == 1)  # the first event holds the defaults of its time
        return (found[0] if found else defaults()), 0
    # Between the events of one commit the config never held, and its parts may not fit together.
    found = _last(lambda commit, _: commit.last_version <= version)
    if found is None or found[1] != version:
        raise NotFoundError("The monitoring config has no such version.")
    return found


def _at_time(seconds: int) -> tuple[MonitoringConfig, int]:
    found = _last(lambda commit, _: int(commit.at.timestamp()) <= seconds)
    if found is None:
        raise NotFoundError("Nobody had set the monitoring config by then; version 0 is what held.")
    return found


def _last(holds: Callable[[Commit, Recorded], bool]) -> tuple[MonitoringConfig, int] | None:
    """The config after the last event, of some commit, for which something holds, with the version there."""
    config: MonitoringConfig | None = None
    found: tuple[MonitoringConfig, int] | None = None
    for commit in wiring.store().load(_KEY.pk):
        for recorded in commit.recorded():
            config = MONITORING_CONFIG.evolve(config, recorded)
            if holds(commit, recorded):
                found = config, recorded.version
    return found
