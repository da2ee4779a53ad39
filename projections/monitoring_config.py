"""The monitoring config: one row, as it is now. What it was, its stream tells."""

from collections.abc import Sequence

from domain.commit import Commit, Recorded
from domain.monitoring_config import MONITORING_CONFIG, MonitoringConfig
from infra.counters import CounterMoves
from infra.views import Key, Row
from projections.projection import Folded, Projection


class MonitoringConfigProjection(Projection):
    """See the module."""

    category = MONITORING_CONFIG.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "config")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        config = MonitoringConfig.model_validate_json(row.data) if row else None
        for recorded in events:
            config = MONITORING_CONFIG.evolve(config, recorded)
        assert config is not None  # noqa: S101 - there is at least one event
        return Folded(Row(stream, "config", version=events[-1].version, data=config.model_dump_json()))

    def contributions(self, row: Row) -> CounterMoves:  # noqa: ARG002
        """See `Projection.contributions`."""
        return {}
