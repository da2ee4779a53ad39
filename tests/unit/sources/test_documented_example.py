"""The page that tells how to add a source is right: its example is run as it stands there."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from domain.sources import envelope, registry
from domain.sources.mapping import MappedEvent, State
from domain.told import AlertNews, AlertTold
from infra import slack_messages
from infra.slack_preview import preview

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, received_at: Any) -> Callable[..., MappedEvent]:
    """What the documented mapper, registered by the documented line, makes of the documented message."""
    blocks = {language: body for language, body in BLOCK.findall(PAGE.read_text()) if language not in {"yaml", "sh"}}
    ecr = ModuleType("ecr")
    exec(compile(blocks["python"], str(PAGE), "exec"), ecr.__dict__)  # noqa: S102 - the page is ours
    line = eval(f"{{{blocks['text']}}}", {"ecr": ecr})  # noqa: S307 - likewise
    monkeypatch.setattr(registry, "MAPPERS", registry.MAPPERS | line)

    def mapped_from(**detail: Any) -> MappedEvent:
        message = json.loads(blocks["json"])
        message["detail"] |= {name.replace("_", "-"): value for name, value in detail.items()}
        return registry.map_envelope(envelope.read(message), received_at=received_at)

    return mapped_from


def test_the_example_is_understood(example: Callable[..., MappedEvent]) -> None:
    event = example()
    assert (event.severity, event.state, event.unmapped) == (4, State.OPEN, ())
    assert event.text == "CRITICAL: 1, HIGH: 0, MEDIUM: 4, LOW: 0"
    assert event.resource == "arn:aws:ecr:eu-central-1:111122223333:repository/checkout"


def test_a_scan_without_findings_ends_the_examples_problem(example: Callable[..., MappedEvent]) -> None:
    clean = example(finding_severity_counts={}, image_digest="sha256:other")
    assert (clean.severity, clean.state) == (0, State.RESOLVED)
    assert clean.fingerprint == example().fingerprint


def test_an_odd_message_of_the_example_is_generic_with_the_reason(example: Callable[..., MappedEvent]) -> None:
    assert example(scan_status=7).unmapped == ("taken as generic: scan-status is not a string but of type int",)


def test_the_examples_template_shows_it(
    example: Callable[..., MappedEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = tmp_path / "slack"
    shutil.copytree(slack_messages.TEMPLATES, templates)
    (template,) = re.findall(r"```jinja\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (templates / "aws.ecr.json.j2").write_text(template)
    monkeypatch.setattr(slack_messages, "TEMPLATES", templates)
    monkeypatch.setattr(slack_messages, "SOURCES", slack_messages.SOURCES | {"aws.ecr"})
    monkeypatch.setattr(slack_messages, "_environment", slack_messages._environment.__wrapped__)
    times = dict.fromkeys(("published_at", "opened_at", "resolved_at"), 1773135012)
    told = AlertTold(
        alert_id="1", transition=AlertNews.OPENED, event=example(), severity=4, count=1, openings=1, **times
    )
    shown = " ".join(preview(slack_messages.render_alert(told)).split())
    assert "Opened: Scan of checkout: COMPLETE" in shown
    assert "Repository arn:aws:ecr:eu-central-1:111122223333:repository/checkout" in shown
    assert "CRITICAL: 1, HIGH: 0, MEDIUM: 4, LOW: 0" in shown
    assert "The next scan without findings resolves this." in shown
    over = told.model_copy(update={"transition": AlertNews.RESOLVED})
    assert "The next scan" not in preview(slack_messages.render_alert(over))
