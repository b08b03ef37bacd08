"""Storage: objects in S3, on a disk or in any other fsspec file system, listed, read and written create-only."""
