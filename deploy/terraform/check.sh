#!/usr/bin/env bash
# Checks deploy/terraform without an account: 'make terraform-check'. Everything that it needs beside terraform, Go, Python, npm and apt it
# fetches into build/, in pinned versions.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly source=deploy/terraform build=$PWD/build/terraform tools=$PWD/build/tools
readonly tflint_version=v0.64.0
# Published bindings of the pinned providers. The checksums pin the content.
readonly bindings=(
  "aws 6.25.0 @cdktf/provider-aws@21.22.1 d1446ab6ac6526c6fab4b28a5ebefdd90c0ce56203949925d35a4d286c05cbbf"
  "tls 4.1.0 @cdktf/provider-tls@11.0.1 43ce2a8edfc300056af1a210f1b0253967efc59cea0108e28e4497e8156e09e9"
)

step() { printf '\n== %s\n' "$*"; }

need() { # need COMMAND REMEDY
  command -v "$1" >/dev/null || { echo "no $1: $2" >&2; exit 1; }
}
need terraform "install Terraform 1.11 or later from HashiCorp"
need npm "apt-get install npm"
mkdir -p "$build" "$tools"
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0
[[ -s ${TF_CLI_CONFIG_FILE:-} ]] || unset TF_CLI_CONFIG_FILE # Terraform warns of one that is not there at each command

step "terraform fmt"
terraform fmt -check -diff -recursive "$source"

step "tflint $tflint_version"
if [[ ! -x $tools/tflint-$tflint_version ]]; then
  echo "building tflint into build/tools (once, some minutes)"
  GOBIN=$tools go install "github.com/terraform-linters/tflint@$tflint_version" 2>"$build/tflint.log" || { cat "$build/tflint.log" >&2; exit 1; }
  mv "$tools/tflint" "$tools/tflint-$tflint_version"
fi
(cd "$source" && "$tools/tflint-$tflint_version" --recursive --config="$PWD/.tflint.hcl" --no-color)

step "checkov"
if ! cmp -s "$source/requirements.txt" "$build/checkov/requirements.txt"; then
  echo "installing checkov into build/terraform/checkov (once, about a minute)"
  rm -rf "$build/checkov"
  python3 -m venv "$build/checkov"
  "$build/checkov/bin/pip" install -q --disable-pip-version-check -r "$source/requirements.txt"
  cp "$source/requirements.txt" "$build/checkov/requirements.txt"
fi
"$build/checkov/bin/checkov" -d "$source" --framework terraform --quiet --compact --skip-download

# The real plugins, if HashiCorp's registry can be reached; otherwise what their bindings say of them.
real_providers() {
  local try=$build/registry
  rm -rf "$try" && mkdir -p "$try"
  cp "$source/modules/hacluster/versions.tf" "$try/"
  timeout 300 terraform -chdir="$try" init -backend=false -no-color >"$try.log" 2>&1
}

# fetch_bindings NAME PACKAGE SHA256: unpacks of the package what the sources name.
fetch_bindings() {
  local name=$1 package=$2 sha256=$3 file members
  file=$build/npm/$(tr -d @ <<<"${package%@*}" | tr / -)-${package##*@}.tgz
  mkdir -p "$build/npm"
  [[ -s $file ]] || (cd "$build/npm" && npm pack --silent "$package" >/dev/null)
  sha256sum --check --quiet <<<"$sha256  $file"
  members=$(grep -rhoE "^(resource|data) \"${name}_\w+\"" --include='*.tf' "$source" | sort -u |
    sed -E "s|^resource \"${name}_(\w+)\"|\1|; s|^data \"(${name}_\w+)\"|data-\1|; s|_|-|g; s|.*|package/lib/&/index.js|")
  rm -rf "$build/bindings/$name" && mkdir -p "$build/bindings/$name"
  # shellcheck disable=SC2086 # one word each
  tar -xzf "$file" -C "$build/bindings/$name" --strip-components=2 package/lib/provider/index.js $members ||
    { echo "$package does not know all that the sources name: there is no such resource" >&2; exit 1; }
}

schema_plugins() {
  (cd "$source/schema-plugin" && go vet ./... && CGO_ENABLED=0 go build -o "$build/schema-plugin" .)
  rm -rf "$build/mirror"
  local entry name version package sha256 target
  for entry in "${bindings[@]}"; do
    read -r name version package sha256 <<<"$entry"
    fetch_bindings "$name" "$package" "$sha256"
    target=$build/mirror/registry.terraform.io/hashicorp/$name/$version/$(go env GOOS)_$(go env GOARCH)
    mkdir -p "$target"
    ln "$build/schema-plugin" "$target/terraform-provider-${name}_v$version"
  done
  printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$build/mirror" >"$build/terraform.rc"
  export TF_CLI_CONFIG_FILE=$build/terraform.rc HACLUSTER_TF_BINDINGS=$build/bindings
}

step "providers"
if real_providers; then
  echo "the real plugins, from the registry"
else
  echo "the real plugins are not available here:"
  sed -n '/Error:/,$p' "$build/registry.log" | tr -d '│╷╵' | grep -v '^ *$' | head -n 4
  echo "so names, types and what is required are checked against their published bindings; allowed values are not checked"
  schema_plugins
fi

export HACLUSTER_TF_PROVIDERS=yes # for the Go tests: terraform init works

step "terraform validate, terraform test"
rm -rf "$build/work" "$build/systemd"
cp -r "$source" "$build/work" # init writes beside the sources
cp -r deploy/systemd "$build/systemd" # the modules' ../../../systemd
for dir in modules/node-files modules/hacluster examples/lab; do
  echo "-- $dir"
  terraform -chdir="$build/work/$dir" init -backend=false -no-color >"$build/init.log" || { cat "$build/init.log" >&2; exit 1; }
  terraform -chdir="$build/work/$dir" validate -no-color
  terraform -chdir="$build/work/$dir" test -no-color
done

step "cloud-init's schema, from Debian's package"
if [[ ! -d $build/cloud-init/debian ]]; then
  rm -rf "$build/cloud-init"
  python3 -m venv "$build/cloud-init"
  "$build/cloud-init/bin/pip" install -q --disable-pip-version-check -r "$source/requirements-cloud-init.txt"
  (cd "$build/cloud-init" && apt-get -qq download cloud-init 2>/dev/null && dpkg-deb -x cloud-init_*.deb debian)
fi
export HACLUSTER_CLOUD_INIT=$build/cloud-init

step "what Terraform ships, read by what will read it; what the nodes may do; the lab's scripts"
go test -count=1 ./internal/tfcheck
