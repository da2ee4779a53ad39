"""What infra/template.yaml tells functions: every setting that their code reads; and what is kept for how long."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from infra.settings import MAX_ACCESS_TOKEN_LIFETIME
from tests.unit.infra.resources import FUNCTIONS, GLOBAL_VARIABLES, RESOURCES, ROOT, TEMPLATE, attribute_of, variables

LAYERS = {"domain", "infra", "commands", "projections", "queries", "templates"}

# A module reads its settings by name; tables of PynamoDB models are read when their module is imported.
READS = re.compile(r"""\b(?:setting|number|os\.environ\.get)\(\s*["']([A-Z][A-Z0-9_]*)["']""")

# Read by other code than ours: Powertools', and whoever looks at a log line's `STAGE`.
READ_BY_OTHERS = {"STAGE", "LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of ours that come with a module, itself included."""
    found = {module}
    waiting = [module]
    while waiting:
        for name in sorted(_imports(waiting.pop()) - found):
            found.add(name)
            waiting.append(name)
    return frozenset(found)


def _imports(module: str) -> set[str]:
    names: set[str] = set()
    for node in _run(ast.parse(_source(module).read_text()).body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.partition(".")[0] in LAYERS and _source(name).is_file()}


def _run(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every statement but those for the type checker alone."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _run(ast.iter_child_nodes(node))


def _source(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def read_by(function: str) -> set[str]:
    """The environment variables that a function's code may read."""
    module = FUNCTIONS[function]["Handler"].removesuffix(".handler")
    return {name for part in imported(module) for name in READS.findall(_source(part).read_text())}


def test_the_settings_that_code_reads_are_found() -> None:
    """The two tests after this one see nothing if this search does."""
    assert {"EVENTS_TABLE", "EVENT_RETENTION_DAYS", "INGEST_QUEUE_URL"} <= read_by("IngestFunction")
    assert {"VIEWS_TABLE", "TOKEN_SECRET_ARN"} <= read_by("ReadApiFunction")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_every_setting_that_its_code_reads(function: str) -> None:
    assert read_by(function) <= variables(function).keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_no_name_that_its_code_does_not_read(function: str) -> None:
    own = variables(function).keys() - GLOBAL_VARIABLES.keys()
    assert own <= read_by(function)


def test_what_every_function_is_told_is_read_by_some() -> None:
    read = set().union(*(read_by(function) for function in FUNCTIONS))
    assert GLOBAL_VARIABLES.keys() <= read | READ_BY_OTHERS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_setting_is_a_text_as_lambda_wants_it(function: str) -> None:
    numbers = {name for name, parameter in TEMPLATE["Parameters"].items() if parameter["Type"] == "Number"}
    for name, value in variables(function).items():
        assert isinstance(value, (str, dict)), f"{name} must be quoted"
        assert not (isinstance(value, dict) and value.get("Ref") in numbers), f"{name} must be a !Sub of the number"


# ---- tokens


def test_access_tokens_are_never_good_for_longer_than_what_ends_them_is_kept() -> None:
    parameter = TEMPLATE["Parameters"]["AccessTokenMinutes"]
    assert parameter["MaxValue"] * 60 <= MAX_ACCESS_TOKEN_LIFETIME.total_seconds()
    assert (parameter["Default"], parameter["MinValue"]) == (15, 1)
    assert TEMPLATE["Parameters"]["RefreshTokenDays"]["Default"] == 7


def test_no_function_is_given_a_key_of_tokens_by_its_environment() -> None:
    assert not [name for name in FUNCTIONS if "JWT_SECRET_KEY" in variables(name)]


# ---- tables


def test_what_cannot_be_rebuilt_outlives_the_stack_and_can_be_restored() -> None:
    for name in ("EventsTable", "GuardsTable", "OutboxTable"):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert RESOURCES[name]["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_the_events_table_has_no_index_which_would_double_the_cost_of_a_write() -> None:
    events = RESOURCES["EventsTable"]["Properties"]
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & events.keys()
    assert events["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    assert attribute_of(events["KinesisStreamSpecification"]["StreamArn"]) == "EventsStream"
