"""The bucket and its key outside of their stack: what an earlier deployment has left, and how both are deleted."""

from typing import Any

from botocore.exceptions import ClientError

from infra.stacks import Deployment, DeploymentError

KEY_WAIT_DAYS = 7  # the shortest time that KMS allows before it deletes a key
AT_ONCE = 1000  # as many as DeleteObjects takes


def exists(s3: Any, bucket: str) -> bool:
    """Return whether the account has the bucket; raise `DeploymentError` where another account has it."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status in (301, 403):
            raise DeploymentError(
                f"the bucket {bucket} belongs to another account or region, or your credentials may not read it. "
                "Choose another name: BUCKET=name"
            ) from error
        raise
    return True


def usable_key(s3: Any, kms: Any, bucket: str) -> str:
    """Return the ARN of the key that encrypts an existing bucket; '' if it has none of its own, or KMS cannot use it."""
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    key = rules[0]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", "")
    if not key:
        return ""
    try:
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
    except kms.exceptions.NotFoundException:
        return ""
    return found["Arn"] if found["KeyState"] == "Enabled" else ""


def check_owner(s3: Any, bucket: str, deployment: Deployment) -> None:
    """Raise `DeploymentError` unless the bucket has the deployment's tags."""
    try:
        tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        tags = []
    if not all(tag in tags for tag in deployment.tags):
        raise DeploymentError(
            f"the bucket {bucket} does not have the tags of the deployment {deployment.stack}, so it is not deleted. "
            "If it is the right one, delete it in the console of S3."
        )


def delete(s3: Any, bucket: str) -> int:
    """Delete all versions of all objects, unfinished uploads and the bucket; return the number of versions."""
    count = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, MaxKeys=AT_ONCE):
        versions = page.get("Versions", []) + page.get("DeleteMarkers", [])
        for start in range(0, len(versions), AT_ONCE):
            objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions[start : start + AT_ONCE]]
            failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors", [])
            if failed:
                first = failed[0]
                raise DeploymentError(
                    f"{len(failed)} objects of {bucket} could not be deleted, first {first['Key']}: {first['Message']}. "
                    "Run the same command again."
                )
            count += len(objects)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=bucket)
    return count


def delete_key(kms: Any, key: str) -> None:
    """Schedule the deletion of a key, in 7 days; nothing to do if it is scheduled already or gone."""
    try:
        if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_WAIT_DAYS)
    except kms.exceptions.NotFoundException:
        pass
