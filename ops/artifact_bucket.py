"""The private bucket that artifacts and long templates are deployed from."""

import json
from pathlib import Path
from typing import Any

from ops.aws import SessionConfig

_CLASSIC_REGION = "us-east-1"  # the one region that S3 refuses to hear named


def ensure(config: SessionConfig) -> str:
    """Make the bucket of this account and region, encrypted and closed to the public, if it is not there.

    Returns:
        Its name.
    """
    account = config.client("sts").get_caller_identity()["Account"]
    name = f"opsledger-artifacts-{account}-{config.region}"
    s3 = config.client("s3")
    if not _exists(s3, name, account):
        place = {} if config.region == _CLASSIC_REGION else {"LocationConstraint": config.region}
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
    # Each time, so that an interruption between these and the creation leaves nothing open for good.
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_encrypted_transport_only(s3.meta.partition, name)))
    return name


def upload(config: SessionConfig, bucket: str, key: str, file: Path) -> bool:
    """Put the file under a key named by its content.

    Returns:
        False when it was there already.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415

    s3 = config.client("s3")
    try:
        if s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == file.stat().st_size:
            return False
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NotFound"}:
            raise
    with file.open("rb") as content:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    return True


def template_url(config: SessionConfig, bucket: str, key: str) -> str:
    """The address that CloudFormation reads a template from; path-style, which the emulator understands too."""
    s3 = config.client("s3")
    return f"{s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"


def _exists(s3: Any, name: str, account: str) -> bool:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        # A stranger could have taken the name: nothing may be sent there.
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchBucket", "NotFound"}:
            return False
        raise
    return True


def _encrypted_transport_only(partition: str, bucket: str) -> dict[str, Any]:
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
