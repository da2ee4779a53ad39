"""What is left of the libraries in the artifact."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops import dependencies


def write(tree: Path, name: str, text: str = "") -> Path:
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def left(tree: Path) -> set[str]:
    return {file.relative_to(tree).as_posix() for file in tree.rglob("*") if file.is_file()}


def test_tests_stubs_scripts_and_other_services_are_left_out(tmp_path: Path) -> None:
    kept = {
        "library/__init__.py",
        "library-1.dist-info/METADATA",
        "botocore/data/dynamodb/service-2.json",
        "botocore/data/_retry.json",
    }
    dropped = {
        "bin/library",
        "library/tests/test_it.py",
        "library/stubs.pyi",
        "library-1.dist-info/RECORD",
        "botocore/data/ec2/service-2.json",
    }
    for name in kept | dropped:
        write(tmp_path, name)
    dependencies.prune(tmp_path)
    assert left(tmp_path) == kept


def test_endpoints_are_those_of_the_services_that_functions_may_call(tmp_path: Path) -> None:
    def partition(*services: str) -> dict[str, Any]:
        return {"dnsSuffix": "amazonaws.com", "services": {name: {"endpoints": {}} for name in services}}

    table = {"version": 3, "partitions": [partition("dynamodb", "ec2", "monitoring"), partition("ec2", "sts")]}
    file = write(tmp_path, "botocore/data/endpoints.json", json.dumps(table))
    dependencies.prune(tmp_path)
    assert json.loads(file.read_text()) == {
        "version": 3,
        "partitions": [partition("dynamodb", "monitoring"), partition("sts")],
    }


def test_a_file_that_an_installer_linked_to_its_cache_is_not_changed_there(tmp_path: Path) -> None:
    table = json.dumps({"partitions": [{"services": {"ec2": {}, "sts": {}}}]})
    cached = write(tmp_path / "cache", "endpoints.json", table)
    installed = tmp_path / "tree" / "botocore" / "data" / "endpoints.json"
    installed.parent.mkdir(parents=True)
    installed.hardlink_to(cached)
    dependencies.prune(tmp_path / "tree")
    assert cached.read_text() == table
    assert installed.read_text() != table


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_a_client_finds_the_same_endpoint_without_the_other_services(region: str, tmp_path: Path) -> None:
    import botocore  # noqa: PLC0415
    from botocore.loaders import Loader  # noqa: PLC0415
    from botocore.regions import EndpointResolver  # noqa: PLC0415

    whole = Loader().load_data("endpoints")
    data = Path(botocore.__file__).parent / "data" / "endpoints.json"
    pruned = write(tmp_path, "botocore/data/endpoints.json", data.read_text())
    dependencies.prune(tmp_path)
    before, after = EndpointResolver(whole), EndpointResolver(json.loads(pruned.read_text()))
    for service in sorted(dependencies.ENDPOINT_NAMES):
        assert before.construct_endpoint(service, region) == after.construct_endpoint(service, region)
    assert pruned.stat().st_size < data.stat().st_size / 10
