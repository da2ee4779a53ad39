"""AWS configs: the list of them."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from pydantic import Field

from domain.aws_config_shape import AwsConfigShown, shown
from domain.aws_configs import AWS_CONFIGS, AwsConfig, Status
from infra.request import QueryFlag
from infra.rest import Answer, ListOf, Request
from infra.views import AWS_CONFIGS_LIST, Row
from queries.paging import Listing, Page, page
from queries.read_your_write import MinVersion, await_listed_row, laid_over


class AwsConfigListing(Listing, MinVersion):
    """Which AWS configs."""

    status: Annotated[Status, Field(description="only those with this status")] | None = None
    is_active: Annotated[QueryFlag, Field(description="only those that are active, or are not")] | None = None


def list_aws_configs(
    request: Request,  # noqa: ARG001 - admins see all
    query: AwsConfigListing,
) -> Answer[ListOf[AwsConfigShown]]:
    """AWS configs, newest first."""
    wanted: Page[AwsConfigShown] = page(query, "aws-configs", 1)
    own = await_listed_row(query, AWS_CONFIGS.category, "config")
    if own is not None and not _follows(own, wanted):
        own = None
    rows = laid_over(_rows(wanted), own, lambda row: row.key, _place, ascending=wanted.ascending)
    # There are as many as people registered, so that all are read rather than an index kept for the filters.
    found = ((row, config) for row in rows if _asked_for(config := _config(row), query))
    listed = list(islice(found, wanted.limit + 1))
    shown_here = listed[: wanted.limit]
    items = [shown(str(row.pk).partition("#")[2], config) for row, config in shown_here]
    more = len(listed) > wanted.limit
    return Answer(wanted.answer(items, (_place(shown_here[-1][0]),) if more else None))


def _rows(wanted: Page[AwsConfigShown]) -> Iterator[Row]:
    condition = None
    if wanted.position is not None:
        place = wanted.position[0]
        condition = Row.gsi1sk > place if wanted.ascending else Row.gsi1sk < place
    size = wanted.limit + 1
    return iter(Row.by_status.query(AWS_CONFIGS_LIST, condition, scan_index_forward=wanted.ascending, page_size=size))


def _follows(row: Row, wanted: Page[AwsConfigShown]) -> bool:
    """Whether a row belongs to the page that is asked for, or to a later one."""
    if wanted.position is None:
        return True
    place = wanted.position[0]
    return _place(row) > place if wanted.ascending else _place(row) < place


def _asked_for(config: AwsConfig, query: AwsConfigListing) -> bool:
    return query.status in (None, config.status) and query.is_active in (None, config.is_active)


def _config(row: Row) -> AwsConfig:
    return AwsConfig.model_validate_json(row.data)


def _place(row: Row) -> str:
    return str(row.gsi1sk)
