# make help lists the targets. Everything that they need beside Go is installed by them: Debian packages by apt-get (said
# when it happens), Go tools into build/tools in pinned versions.

VERSION        ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI_LINT  := v2.15.0
NFPM           := v2.43.0
TOOLS          := $(CURDIR)/build/tools
MOTO           := $(CURDIR)/build/moto
LDFLAGS        := -s -w -X main.version=$(VERSION)
SEEDS          ?= 2000
FROM           ?= 1
REPEAT         ?= 1
SOAK           ?= 10m
DURATION       ?= 10m
# command:package pairs: what the lab runs, and what the tests run beside it.
LAB_NEEDS      := haproxy:haproxy nft:nftables
MODEL_NEEDS    := spin:spin gcc:gcc cpp:cpp /usr/include/stdio.h:libc6-dev
TERRAFORM_NEEDS := haproxy:haproxy shellcheck:shellcheck systemd-analyze:systemd npm:npm /usr/bin/aws:awscli
AWS_LAB        := deploy/terraform/examples/lab
ARCH           ?= arm64
AWS_LAB_VARS    = -var architecture=$(ARCH) -var program_file=$(CURDIR)/build/aws/$(ARCH)/hacluster
DEBS           := $(CURDIR)/build/debs
DIST_NEEDS     := git:git gzip:gzip dpkg-deb:dpkg rpm:rpm man:man-db nsenter:util-linux ss:iproute2 pidof:sysvinit-utils curl:curl jq:jq /usr/bin/aws:awscli $(LAB_NEEDS)
TEST_NEEDS     := $(LAB_NEEDS) tcpdump:tcpdump tshark:tshark wrk:wrk keepalived:keepalived prometheus:prometheus chromium:chromium /usr/bin/aws:awscli pgrep:procps shellcheck:shellcheck systemd-analyze:systemd man:man-db

# $(call install,pairs) installs the Debian packages whose commands are missing.
define install
@missing=""; for need in $(1); do \
  command -v "$${need%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/$${need%%:*}" ] || [ -e "$${need%%:*}" ] || missing="$$missing $${need##*:}"; \
done; \
if [ -n "$$missing" ]; then \
  echo "installing Debian packages:$$missing"; \
  [ "$$(id -u)" = 0 ] || { echo "not root: run 'sudo apt-get install$$missing', then this again" >&2; exit 1; }; \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

.DEFAULT_GOAL := help
.PHONY: help build dist dist-test dist-reproduce demo test interop terraform-check aws-lab-up aws-lab-test aws-lab-down aws-lab-program conformance model model-deep sim sim-mutants chaos chaos-killed soak-hang bench bench-quick \
        costs microbench fleet life lint fuzz lab-faults setup-lab setup-model setup-chaos setup-test setup-bench setup-terraform setup-dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/hacluster and bin/hacluster-lab
	@echo "building bin/hacluster and bin/hacluster-lab (the first time takes a minute or two: the AWS SDK is large)"
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/hacluster ./cmd/hacluster-lab

dist: $(TOOLS)/nfpm-$(NFPM) ## packages, binaries, bills of materials and checksums for amd64 and arm64, in build/dist
	deploy/packaging/dist.sh $<

dist-test: setup-dist dist $(DEBS) ## the package on machines with real systemd, by docs/INSTALL.md; Terraform's nodes by real cloud-init (about 4 minutes)
	HACLUSTER_DIST=$(CURDIR)/build/dist HACLUSTER_DEBS=$(DEBS) go test -race -count=1 -timeout 15m ./deploy/packaging/... ./internal/lab/install

dist-reproduce: dist ## build the packages of the last commit again, elsewhere: the same bytes
	deploy/packaging/reproduce.sh $(TOOLS)/nfpm-$(NFPM)

demo: setup-lab build ## break a real three-node cluster in namespaces and show what clients notice
	@bin/hacluster-lab demo --out build/demo

test: setup-test ## all tests with the race detector, the lab with the built binary included
	@echo "building and testing with the race detector; the first build takes some minutes"
	go test -race -count=1 -timeout 20m ./...

interop: setup-test ## real keepalived beside hacluster, and the migration there and back; writes docs/INTEROP.md (about 2 minutes)
	go test -race -count=1 -timeout 10m -v ./internal/lab/interop -args -update

conformance: setup-test $(MOTO)/bin/moto_server ## the emulator, moto and the aws command against what AWS documents
	HACLUSTER_MOTO=$(MOTO)/bin/moto_server go test -race -count=1 -timeout 10m ./eip/conformance

soak-hang: setup-test ## HAProxy at its limit under wrk is never called hung, a stopped one always (SOAK=10m)
	go test -count=1 -timeout 120m -v ./health -run '^TestSoakUnderLoad$$' -args -soak=$(SOAK)

bench: setup-bench build ## hacluster and keepalived in the same lab, ten times each; writes docs/BENCHMARKS.md (about 2 hours)
	bin/hacluster-lab bench --reps 10 --write-docs --out build/bench

bench-quick: setup-bench build ## the same in a minute and a half: HAProxy killed, node death, once each
	bin/hacluster-lab bench --reps 1 --faults haproxy-kill,node-death --latency 0s --out build/bench-quick

costs: setup-lab build ## what a healthy cluster takes while nothing happens (about 8 minutes)
	@mkdir -p build
	bin/hacluster-lab costs --json build/costs.json --markdown build/costs.md

microbench: ## Go micro-benchmarks of codec, core and state machine
	go test -run '^$$' -bench . -benchmem ./fsm ./vrrpwire ./internal/controller

fleet: build ## thousands of clusters in one AWS account when a zone fails, in virtual time; writes docs/SCALE.md
	bin/hacluster-lab fleet --write-docs

terraform-check: setup-terraform ## deploy/terraform without an account: names, policies, templates, scripts
	deploy/terraform/check.sh

aws-lab-up: aws-lab-program ## apply the lab in your AWS account (about $$0.11 an hour; ARCH=arm64|amd64)
	terraform -chdir=$(AWS_LAB) init
	terraform -chdir=$(AWS_LAB) apply $(AWS_LAB_VARS)

aws-lab-test: ## walk the failovers of the AWS lab over the internet and print the gaps
	$(AWS_LAB)/test/failover.sh

aws-lab-down: aws-lab-program ## remove the AWS lab, the Elastic IP included
	terraform -chdir=$(AWS_LAB) destroy $(AWS_LAB_VARS)

aws-lab-program:
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -ldflags '$(LDFLAGS)' -o build/aws/$(ARCH)/hacluster ./cmd/hacluster

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT) ## gofmt, vet and a short list of linters
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted" >&2; exit 1; }
	go vet ./...
	$< run ./...

fuzz: ## each fuzz target for one minute
	@go list ./... | while read -r pkg; do \
	  for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz'); do \
	    echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 1m -fuzzminimizetime 5s "$$pkg" || exit 1; \
	  done; \
	done

model: setup-model ## the claim protocol in Promela, exhaustively within bounds, and mutants that must fail (about 3 minutes)
	go run ./model

model-deep: setup-model ## the same with larger bounds (see docs/MODEL.md)
	go run ./model -deep

sim: ## real Raft in simulated clusters, faults drawn from seeds (SEEDS=2000, FROM=1, REPEAT=1)
	go test -count=1 -timeout 120m -v ./internal/sim -run '^TestSchedules$$' -args -seeds=$(SEEDS) -from=$(FROM) -repeat=$(REPEAT)

sim-mutants: ## the simulator finds each protection that is taken out of the product
	go test -count=1 -timeout 30m -v ./internal/sim/mutants -run '^TestMutants$$' -args -run

chaos: setup-chaos build ## break a real cluster, two things at a time, and judge the evidence (DURATION=10m, SEED=)
	bin/hacluster-lab chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED)) --out build/chaos

chaos-killed: setup-chaos build ## kill every agent at once, fifty times: nothing may be forgotten
	bin/hacluster-lab chaos --only all-killed --reps 50 --out build/chaos-killed

life: setup-lab build ## one cluster from its first boot to a lost quorum and back; writes docs/LIFE.md (about a minute)
	@echo "building bin/hacluster-older, the release before"
	@CGO_ENABLED=0 go build -trimpath -tags hacluster_level1 -ldflags '-s -w -X main.version=$(VERSION)-older' -o bin/hacluster-older ./cmd/hacluster
	bin/hacluster-lab life --write-docs --out build/life

lab-faults: setup-lab build ## every fault ten times, interleaved; the figures of docs/LAB.md
	bin/hacluster-lab run --fault all --reps 10 --json build/faults.json

setup-terraform:
	$(call install,$(TERRAFORM_NEEDS))

setup-bench:
	$(call install,$(LAB_NEEDS) keepalived:keepalived /usr/bin/aws:awscli)

setup-dist:
	$(call install,$(DIST_NEEDS))

setup-lab:
	$(call install,$(LAB_NEEDS))

setup-model:
	$(call install,$(MODEL_NEEDS))

setup-chaos:
	$(call install,$(LAB_NEEDS) /usr/bin/aws:awscli)

setup-test:
	$(call install,$(TEST_NEEDS))

# The lab's package mirror: cloud-init, as in Debian's image, and HAProxy, which is installed again.
$(DEBS):
	@echo "downloading Debian packages for the lab's mirror into build/debs (once)"
	@rm -rf $@.new && mkdir -p $@.new/partial
	@fetch() { apt-get -qq -y --download-only --reinstall --no-install-recommends -o Debug::NoLocking=1 -o Dir::Cache::archives=$@.new \
	  install cloud-init haproxy >/dev/null; }; fetch || { apt-get -qq update && fetch; }
	@mv $@.new $@

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	@echo "building golangci-lint $(GOLANGCI_LINT) into build/tools (once, some minutes)"
	@mkdir -p $(TOOLS)
	@GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	@mv $(TOOLS)/golangci-lint $@

$(TOOLS)/nfpm-$(NFPM):
	@echo "building nfpm $(NFPM) into build/tools (once, some minutes)"
	@mkdir -p $(TOOLS)
	@GOBIN=$(TOOLS) go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)
	@mv $(TOOLS)/nfpm $@

$(MOTO)/bin/moto_server: eip/conformance/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; }
	@echo "installing moto into build/moto (once, about a minute)"
	@rm -rf $(MOTO) && python3 -m venv $(MOTO)
	@$(MOTO)/bin/pip install -q --disable-pip-version-check -r $< || { rm -rf $(MOTO); exit 1; }
	@touch $@

clean: ## remove what was built
	rm -rf bin build
