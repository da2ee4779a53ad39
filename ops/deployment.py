"""One deployment, the same on AWS and on the local stack: lint, package, upload, change set, execute.

The local stack needs one step more, because its emulator reads over parts of the template (`ops.emulator_gaps`).
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import rich.console

from ops import artifact_bucket, change_sets, emulator_gaps, packaging, paths, stack, template
from ops.aws import SessionConfig
from ops.errors import OpsError

Confirm = Callable[[], bool]


def deploy(
    config: SessionConfig,
    *,
    console: rich.console.Console,
    confirm: Confirm | None = None,
    architecture: str = "",
    overrides: Mapping[str, str] | None = None,
    template_file: Path = paths.TEMPLATE,
) -> dict[str, str]:
    """Bring the stage's stack to what the template and the code say now.

    Args:
        config: which AWS, which stage.
        console: what is done is written here.
        confirm: asked after the change set was shown; None carries it out unasked.
        architecture: `x86_64` or `arm64`; by default this machine's.
        overrides: values for the template's parameters.
        template_file: the template.

    Returns:
        The stack's outputs.

    Raises:
        OpsError: what is wrong, and what to do.
    """
    document = template.load(template_file)
    unknown = set(overrides or {}) - template.parameters(document)
    if unknown:
        raise OpsError(
            f"the template has no parameter {', '.join(sorted(unknown))}",
            f"It has {', '.join(sorted(template.parameters(document)))}",
            exit_code=2,
        )
    with console.status(f"checking {template_file.name}"):
        template.lint(template_file)
    with console.status("packaging"):
        target = packaging.Target.local() if config.is_local else packaging.Target.aws(architecture)
        artifact = packaging.build(target)
    with console.status("uploading"):
        bucket = artifact_bucket.ensure(config)
        artifact_bucket.upload(config, bucket, artifact.key, artifact.path)
        source = _template_source(config, bucket, template_file)
    values = {
        "Stage": config.stage,
        "CodeBucket": bucket,
        "CodeKey": artifact.key,
        "Architecture": target.architecture,
        **(overrides or {}),
    }
    known = template.parameters(document)
    given = {name: value for name, value in values.items() if name in known}
    with console.status("asking CloudFormation what would change"):
        change_set = change_sets.prepare(config, source, given, known=known)
    if change_set.needed:
        _carry_out(config, change_set, console=console, confirm=confirm)
    elif config.is_local and emulator_gaps.update_outputs(config, source, change_set):
        console.print(f"The outputs of {config.stack_name} were brought up to date.")
    else:
        console.print(f"{config.stack_name} is up to date.")
    if config.is_local:
        emulator_gaps.fill(config, template.table_features(document))
        for api, responses in template.gateway_responses(document).items():
            emulator_gaps.answer_for_the_gateway(config, responses, api)
    return stack.outputs(config)


def _carry_out(
    config: SessionConfig,
    change_set: change_sets.ChangeSet,
    *,
    console: rich.console.Console,
    confirm: Confirm | None,
) -> None:
    if config.is_local:
        console.print(f"Deploying {config.stack_name}: {len(change_set.changes) or 'no'} resources change.")
    else:
        console.print(change_sets.as_table(change_set.changes))
    if confirm is not None and not confirm():
        change_sets.discard(config, change_set)
        raise OpsError("nothing was deployed", "Answer yes, or call with --yes, to deploy")
    with console.status("deploying") as status:
        change_sets.execute(config, change_set, lambda line: status.update(f"deploying: {line}"))


def _template_source(config: SessionConfig, bucket: str, file: Path) -> change_sets.TemplateSource:
    content = file.read_bytes()
    if len(content) <= template.INLINE_LIMIT:
        return change_sets.TemplateSource(body=content.decode())
    key = f"opsledger/{hashlib.sha256(content).hexdigest()}.yaml"
    artifact_bucket.upload(config, bucket, key, file)
    return change_sets.TemplateSource(url=artifact_bucket.template_url(config, bucket, key))
