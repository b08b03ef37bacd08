#!/bin/sh
# Buckets of SOURCE and OUT, a user for the audit, and a notification to the relay; may be repeated.
set -eu

bucket_of() { echo "$1" | sed -n 's|^s3a\{0,1\}://\([^/]*\).*|\1|p'; }

mc alias set local "$AWS_ENDPOINT_URL" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
for url in "$TRAPAUDIT_SOURCE" "$TRAPAUDIT_OUT"; do
  bucket=$(bucket_of "$url")
  if [ -n "$bucket" ]; then mc mb --ignore-existing "local/$bucket"; fi
done

mc admin user add local "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
mc admin policy attach local readwrite --user "$AWS_ACCESS_KEY_ID" || mc admin user info local "$AWS_ACCESS_KEY_ID"

source_bucket=$(bucket_of "$TRAPAUDIT_SOURCE")
if [ -n "$source_bucket" ]; then
  mc event add --ignore-existing --event put "local/$source_bucket" arn:minio:sqs::RELAY:webhook
fi
