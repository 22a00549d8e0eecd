#!/usr/bin/env bash
# Builds the packages of the last commit again, elsewhere and in other surroundings, and compares: 'make dist-reproduce'.
# Arguments: the nfpm program.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly nfpm=$1 built=$PWD/build/dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks . "$work/a clone" # with the tags, which are part of the version
(umask 077 && cd "$work/a clone" && TZ=Asia/Kathmandu LANG=tr_TR.UTF-8 deploy/packaging/dist.sh "$nfpm" >/dev/null)
diff "$built/SHA256SUMS" "$work/a clone/build/dist/SHA256SUMS" ||
  { echo "two builds of $(git rev-parse --short HEAD) differ (build/dist must be of this very commit: make dist)" >&2; exit 1; }
(cd "$built" && sha256sum --check --quiet SHA256SUMS)
echo "reproducible: $(wc -l <"$built/SHA256SUMS") files, bytes alike"
