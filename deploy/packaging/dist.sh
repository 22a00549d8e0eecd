#!/usr/bin/env bash
# Builds what is released into build/dist: 'make dist'. The same commit, Go release and nfpm give the same bytes on any machine and day.
# Arguments: the nfpm program.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly nfpm=$1 source=deploy/packaging dist=$PWD/build/dist
readonly stage=$dist/stage architectures="amd64 arm64"
umask 022
export LC_ALL=C TZ=UTC CGO_ENABLED=0 GOOS=linux
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# A version that both dpkg and rpm sort rightly: 1.2.3, 1.2.3~rc1, 1.2.3+4.g0123456; without a tag 0.0.0+20260102030405.g0123456.
version() {
  local described
  if described=$(git describe --tags --match 'v[0-9]*' 2>/dev/null); then
    sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)$/+\1.\2/; s/-/~/g' <<<"$described"
  else
    echo "0.0.0+$(git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd.g%h --abbrev=7)"
  fi
}
VERSION=$(version)
REVISION=$(git rev-parse --short=12 HEAD)
[[ -z $(git status --porcelain) ]] || VERSION+=+dirty
export VERSION

build() { # build ARCH
  echo "building hacluster $VERSION for linux/$1"
  GOARCH=$1 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.revision=$REVISION" \
    -o "$dist/hacluster_${VERSION}_linux_$1" ./cmd/hacluster
}

# What is the same on every architecture. The program that writes it is the one for this machine.
lay_out() {
  local program=$1 shell
  mkdir -p "$stage/man" "$stage/completion" "$stage/doc" "$stage/scripts"
  "$program" docs man "$stage/man"
  gzip -9n "$stage"/man/*.1
  for shell in bash zsh fish; do
    "$program" completion "$shell" >"$stage/completion/$shell"
  done
  cp deploy/systemd/hacluster.service docs/config.example.yaml "$source/environment" "$stage/"
  mv "$stage/config.example.yaml" "$stage/hacluster.yaml"
  cp "$source"/{postinstall,preremove,postremove}.sh "$stage/scripts/"
  cp README.md CHANGELOG.md docs/*.md "$stage/doc/"
  cp LICENSE "$stage/doc/copyright"
}

pack() { # pack ARCH
  local program=$dist/hacluster_${VERSION}_linux_$1 kind
  cp "$program" "$stage/hacluster"
  go run ./deploy/packaging/sbom -version "$VERSION" -licenses "$stage/doc/third-party-licenses.txt" "$program" >"$program.spdx.json"
  cp "$program.spdx.json" "$stage/doc/hacluster.spdx.json"
  find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  for kind in deb rpm; do
    (cd "$stage" && ARCH=$1 "$nfpm" package --config ../../../$source/nfpm.yaml --packager "$kind" --target "$dist/")
  done
}

rm -rf "$dist"
mkdir -p "$dist"
for arch in $architectures; do build "$arch"; done
native=$dist/hacluster_${VERSION}_linux_$(go env GOHOSTARCH)
[[ -x $native ]] || { echo "packages are built on amd64 or arm64: the man pages come from the program itself" >&2; exit 1; }
lay_out "$native"
unset GOOS # for what runs here
for arch in $architectures; do pack "$arch"; done
rm -rf "$stage"
(cd "$dist" && sha256sum -- * >SHA256SUMS)
cat "$dist/SHA256SUMS"
