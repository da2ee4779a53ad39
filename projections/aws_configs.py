"""AWS configs: a row for each, listed in the order in which they were registered."""

from collections.abc import Sequence

from domain.aws_configs import AWS_CONFIGS, AwsConfig
from domain.commit import Commit, Recorded, timestamp
from infra.counters import CounterMoves
from infra.views import AWS_CONFIGS_LIST, Key, Row
from projections.projection import Folded, Projection


class AwsConfigProjection(Projection):
    """See the module."""

    category = AWS_CONFIGS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "config")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        config = AwsConfig.model_validate_json(row.data) if row else None
        for recorded in events:
            config = AWS_CONFIGS.evolve(config, recorded)
        assert config is not None  # noqa: S101 - there is at least one event
        return Folded(
            Row(
                stream,
                "config",
                version=events[-1].version,
                data=config.model_dump_json(),
                gsi1pk=AWS_CONFIGS_LIST,
                gsi1sk=f"{timestamp(config.created_at)}#{stream.partition('#')[2]}",
            )
        )

    def contributions(self, row: Row) -> CounterMoves:  # noqa: ARG002
        """See `Projection.contributions`."""
        return {}
