#!/usr/bin/env bash
# Builds the images where no Docker engine runs: with Debian's buildah, on a base made by debootstrap.
#
#   docker/image.sh [server] [worker]     both where none is named; as root, on Debian with buildah and debootstrap
#
# The base has what the official Python image of that tag has for the Dockerfile: Debian, Python 3.11, pip and venv. It is
# tagged as that image on this machine alone, from this machine's own Debian mirror. An image of that tag is not replaced.
set -euo pipefail
cd "$(dirname "$0")/.."
export STORAGE_DRIVER="${STORAGE_DRIVER:-overlay}"
base=docker.io/library/python:3.11-slim-bookworm
suite=bookworm

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "docker/image.sh: $tool is not installed: apt-get install $tool" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "docker/image.sh: debootstrap needs root: run it as root" >&2; exit 1; }

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | awk -v s="$suite" '$1 == s {print $2; exit}')
    [ -n "$mirror" ] || { echo "docker/image.sh: apt knows no mirror of Debian $suite: add one to its sources" >&2; exit 1; }
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates "$suite" "$folder" "$mirror" >"$folder.log" \
        || { tail -n 20 "$folder.log" >&2; exit 1; }
    rm -f "$folder.log"
    ln -s /usr/bin/python3 "$folder/usr/local/bin/python"
    rm -f "$folder"/usr/lib/python3*/EXTERNALLY-MANAGED   # pip may install, as in the official image
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder" / >/dev/null
    buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin "$container"
    buildah commit --quiet "$container" "$base" >/dev/null
    buildah rm "$container" >/dev/null
fi

[ $# -gt 0 ] || set -- server worker
for target in "$@"; do
    # Docker's format keeps the health checks. This machine's certificates, for an index behind a proxy of its own.
    buildah build --quiet --isolation chroot --pull=never --layers --format docker --volume /etc/ssl/certs:/etc/ssl/certs:ro \
        --file docker/Dockerfile --target "$target" --tag "trapaudit:$target" . >/dev/null
    buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' "trapaudit:$target"
done
