"""Reading infra/template.yaml: checking it before it goes anywhere, and what it says of its tables."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import paths
from ops.errors import OpsError

INLINE_LIMIT = 51_200
"""Bytes that CloudFormation takes in a request; a longer template is read from S3 ("AWS CloudFormation quotas")."""

_EXIT_WITH_FINDINGS = {2, 4, 6, 8, 10, 12, 14}  # cfn-lint's bits for errors, warnings and remarks


@dataclass(frozen=True)
class TableFeatures:
    """Settings of a table that the local emulator reads over.

    Attributes:
        logical_id: the table's name in the template.
        ttl_attribute: of `TimeToLiveSpecification`, when enabled.
        stream_logical_id: of the Kinesis stream in `KinesisStreamSpecification`.
    """

    logical_id: str
    ttl_attribute: str | None
    stream_logical_id: str | None


def lint(template: Path, *, seen: Path = paths.BUILD) -> None:
    """Run cfn-lint, unless it has passed this very text before (it takes three seconds).

    Raises:
        OpsError: with its findings.
    """
    mark = seen / f"linted-{hashlib.sha256(template.read_bytes()).hexdigest()[:16]}"
    if mark.exists():
        return
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "--format", "parseable", str(template)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in _EXIT_WITH_FINDINGS:
        raise OpsError(
            f"{template.name} does not pass cfn-lint:\n{done.stdout.strip()}", "Correct it and run this again"
        )
    if done.returncode != 0:
        raise OpsError(f"cfn-lint could not be run: {(done.stderr or done.stdout).strip()[-500:]}")
    seen.mkdir(parents=True, exist_ok=True)
    mark.touch()


def load(template: Path) -> dict[str, Any]:
    """The template as dictionaries; `!Ref x` becomes `{"Ref": "x"}`, `!GetAtt x.y` `{"Fn::GetAtt": ["x", "y"]}`."""
    import yaml  # noqa: PLC0415

    class CloudFormationLoader(yaml.SafeLoader):
        """YAML with CloudFormation's short forms of functions."""

    def construct(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
            if suffix == "GetAtt":
                value = str(value).split(".", 1)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        elif isinstance(node, yaml.MappingNode):
            value = loader.construct_mapping(node, deep=True)
        else:
            raise OpsError(f"{template.name} holds YAML that is not understood: !{suffix}")
        return {"Ref" if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}

    CloudFormationLoader.add_multi_constructor("!", construct)
    loaded: dict[str, Any] = yaml.load(template.read_text(), Loader=CloudFormationLoader)  # noqa: S506 — a SafeLoader
    return loaded


def parameters(document: dict[str, Any]) -> set[str]:
    """Names of the template's parameters."""
    return set(document.get("Parameters", {}))


def gateway_responses(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`GatewayResponses` of every REST API in the template, by its logical id."""
    return {
        logical_id: resource["Properties"].get("GatewayResponses", {})
        for logical_id, resource in document.get("Resources", {}).items()
        if resource.get("Type") == "AWS::Serverless::Api"
    }


def table_features(document: dict[str, Any]) -> list[TableFeatures]:
    """Of every DynamoDB table in the template."""
    return [
        TableFeatures(logical_id, _ttl(properties), _kinesis(properties))
        for logical_id, resource in document.get("Resources", {}).items()
        if resource.get("Type") == "AWS::DynamoDB::Table"
        for properties in [resource.get("Properties", {})]
    ]


def _ttl(properties: dict[str, Any]) -> str | None:
    specification = properties.get("TimeToLiveSpecification", {})
    return specification.get("AttributeName") if specification.get("Enabled") else None


def _kinesis(properties: dict[str, Any]) -> str | None:
    arn = properties.get("KinesisStreamSpecification", {}).get("StreamArn")
    return arn["Fn::GetAtt"][0] if isinstance(arn, dict) and "Fn::GetAtt" in arn else None
