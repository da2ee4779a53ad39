"""The monitoring config: as it is now, and as it was."""

from typing import Annotated

from pydantic import Field

from domain.commit import Commit
from domain.errors import FieldFault, InvalidError, NotFoundError
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, MonitoringConfig, defaults
from domain.monitoring_config_shape import MonitoringConfigShown, shown
from infra import history
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

    Until somebody changes something these are the defaults, at version 0. Of `version`, `as_of` and `min_version` a
    request names one at most.
    """
    config, version = _asked_for(query)
    return Answer(shown(config, version, names({config.updated_by})), version)


def _asked_for(query: MonitoringConfigQuery) -> tuple[MonitoringConfig, int]:
    named = [name for name in ("version", "as_of", "min_version") if getattr(query, name) is not None]
    if len(named) > 1:
        raise InvalidError(FieldFault(named[1], f"cannot go with {named[0]}: ask for one of them"))
    if query.version is not None:
        return _at_version(query.version)
    if query.as_of is not None:
        return _at_time(query.as_of)
    row = await_row(query, _KEY) or rows_by_key([_KEY]).get(_KEY)
    if row is None:
        return defaults(), 0
    return MonitoringConfig.model_validate_json(row.data), int(row.version)


def _at_version(version: int) -> tuple[MonitoringConfig, int]:
    store = wiring.store()
    if version == 0:
        first = next(store.load(_KEY.pk), None)
        # Its first event holds the defaults of its time.
        return (MONITORING_CONFIG.evolve(None, next(first.recorded())) if first else defaults()), 0
    commit = next(store.load_back(_KEY.pk, version), None)
    # Between the events of one commit the config never held, and its parts may not fit together.
    if commit is None or commit.last_version != version:
        raise NotFoundError("The monitoring config has no such version.")
    return _after(commit)


def _at_time(seconds: int) -> tuple[MonitoringConfig, int]:
    newest_first = wiring.store().load_back(_KEY.pk)
    commit = next((commit for commit in newest_first if int(commit.at.timestamp()) <= seconds), None)
    if commit is None:
        raise NotFoundError("Nobody had set the monitoring config by then; version 0 is what held.")
    return _after(commit)


def _after(commit: Commit) -> tuple[MonitoringConfig, int]:
    """The config as a commit left it, with the version there."""
    version = commit.last_version
    config = history.load_until(wiring.store(), MONITORING_CONFIG, commit.stream, version)
    return config or defaults(), version
