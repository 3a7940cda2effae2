# The entries of the project. CI (.ci/run) calls the same targets.
#   make check        everything without outside programs; needs Rust, a C compiler and cargo-deny
#   make binaries     the release binaries
#   make fuzz         every fuzz target for seconds, guided by coverage where cargo-fuzz is; RINGRESS_LONG=1 for minutes
#   make screenshots  the dashboard in Chromium, pictures under docs/evidence/
#   make e2e          the release binary against real nginx, wrk, curl and the conformance suite (short form)
#   make long         the same programs at their full times; dated output under docs/evidence/
#   make bench        the comparison with nginx, HAProxy, Envoy, Traefik and Caddy; many Ingresses
#   make profile      what release builds know of the load, measured anew (packaging/pgo)
#   make release      deb, rpm, image, chart, SBOM, licences and checksums under target/dist/
#   make deploy       what is under deploy/, checked

SHELL := /bin/bash
CONFORMANCE ?= ../shared/conformance
RELEASE := target/release
RINGRESS_BIN := $(CURDIR)/$(RELEASE)/ringress
RINGRESS_BENCH_BIN := $(CURDIR)/$(RELEASE)/ringress-bench
DRIVERS ?= io_uring epoll
CHART_TOOLS := $(CURDIR)/target/tools/chart
# Of packages. Another one than this machine's is cross-built by Debian's gcc for it and lies under target/ARCH.
NATIVE := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
ARCH ?= $(NATIVE)
MACHINE := $(if $(filter arm64,$(ARCH)),aarch64,x86_64)
ifeq ($(ARCH),$(NATIVE))
PACKAGED := target
PACKAGED_BIN := $(RINGRESS_BIN)
else
PACKAGED := target/$(ARCH)
PACKAGED_BIN := $(CURDIR)/target/$(MACHINE)-unknown-linux-gnu/release/ringress
endif
PACKAGE = RINGRESS_BIN=$(PACKAGED_BIN) OUT=$(CURDIR)/$(PACKAGED)/$@ packaging/build-$@
RELEASED := -p ringress -p ringress-bench -p ringress-guards
export RINGRESS_BIN RINGRESS_BENCH_BIN

.PHONY: check fmt lint deny tree test fuzz screenshots binaries profile release e2e suite outside lookups guards conformance cluster long \
	bench advisories api-server peers pingora deb rpm image cross chart package-test package-test-fresh \
	package-test-arm64 deploy

check: fmt lint deny tree test

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny:
	cargo deny --locked check bans licenses sources

# The advisory database is a git repository; give the path of a checkout.
advisories:
	@test -n "$(ADVISORY_DB)" || { echo "make advisories ADVISORY_DB=PATH"; exit 2; }
	cargo deny --locked --offline check advisories --disable-fetch --config <(sed 's|^\[advisories\]|&\ndb-path = "$(ADVISORY_DB)"|' deny.toml)

# What must not be in the shipped binary, whatever deny.toml lets the bench have.
tree:
	@tree=$$(cargo tree --locked -p ringress -e normal --prefix none) || exit 1; \
	! grep -E '^(ring|sct|openssl-sys|native-tls|monoio-http|monoio-rustls|monoio-codec) |^rustls v0[.]21|^rustls-webpki v0[.]101' <<<"$$tree"
	@features() { cargo tree --locked -e normal --prefix none -f '{p} {f}' "$$@" | sed 's/ *(\*)$$//' | sort -u; }; \
	! comm -23 <(features -p ringress) <(features $(RELEASED)) | grep .

test:
	cargo test --workspace --locked

# Every fuzz target for FUZZ_SECONDS on its committed seeds, guided by coverage. The pinned toolchain knows how when it is
# told to, and no nightly is needed; sanitizers would find nothing in code without `unsafe`. Without cargo-fuzz the checks
# run as in every test run: seeds with each byte changed, random messages.
FUZZ_SECONDS ?= $(if $(RINGRESS_LONG),300,10)
FUZZ_BUILD := --dev --sanitizer none
fuzz:
	@if ! cargo fuzz --version >/dev/null 2>&1; then \
	  echo "fuzz: no cargo-fuzz; the form without"; \
	  cargo test --locked -p ringress --test codec && cargo test --locked -p ringress-config --test strangers; \
	  exit $$?; \
	fi; \
	export RUSTC_BOOTSTRAP=1; \
	(cd appliance/fuzz && cargo fuzz build $(FUZZ_BUILD)) && \
	(cd appliance/fuzz && cargo fuzz list) | xargs -P $(shell nproc) -I TARGET appliance/fuzz/run-target $(FUZZ_SECONDS) TARGET $(FUZZ_BUILD)

# Always these packages together, so that each is built once. ringress alone has the same features (`make tree`), and thus the
# functions that the profile of the release build knows.
binaries:
	cargo build --release --locked $(RELEASED)

# The profile that release builds are made with, anew: after larger changes of the request path, 20 minutes.
profile:
	packaging/pgo/train $(RELEASED)

e2e: suite outside lookups guards conformance

# The dashboard as Chromium shows it, on a desktop and a phone, light and dark.
screenshots:
	RINGRESS_SCREENSHOTS=$(CURDIR)/docs/evidence RINGRESS_DRIVER=epoll cargo test --locked -p ringress --test outside dashboard -- --nocapture

# The built-in tests again, on the binary that is shipped.
suite: binaries
	cargo test --locked -p ringress --test suite

outside: binaries
	cargo test --locked -p ringress --test outside -- --test-threads=1 --nocapture

# A lookup among 10,000 Ingresses may take 1.2 times the instructions of one among 10; instructions, as time is noise.
lookups: binaries
	@count() { valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='measure::lookups' \
	    $(RELEASE)/measure lookups $$1 2>&1 | awk '/Collected/ { print $$NF }'; }; \
	few=$$(count 10) && many=$$(count 10000) && test -n "$$few" -a -n "$$many" && \
	echo "instructions of 10,000 lookups: $$few among 10 Ingresses, $$many among 10,000" && \
	test $$((many * 10)) -le $$((few * 12))

# Instructions of routing, head parsing and head writing, against the figures of bench/instructions.txt.
guards: binaries
	bench/guard.py

# appliance/tests/conformance.list names the cases that must pass; it may only grow.
conformance: binaries
	@set -e; cases=$$(grep -v '^#' appliance/tests/conformance.list | paste -sd, -); \
	for driver in $(DRIVERS); do \
	  echo "conformance on $$driver"; \
	  RINGRESS_DRIVER=$$driver $(CONFORMANCE)/run --bin $(RINGRESS_BIN) --with webhook --only "$$cases" --strict; \
	done

# The fake API server, which is no part of the product.
api-server:
	cargo build --release --locked $(RELEASED) -p ringress-sync --features ringress-sync/testkit --bin fake_api_server

# A thousand Ingresses on it, in short, with bounds that a busy machine keeps; `make bench` measures at full size.
cluster: binaries api-server
	$(RINGRESS_BENCH_BIN) cluster --ringress $(RINGRESS_BIN) --sizes 1000 --changes 25 --idle-seconds 4 --rolling-seconds 4 \
	  --writes 2000 --storm-ingresses 1000 --storm-seconds 4 --ready-ms-max 10000 --change-p99-ms-max 1000 \
	  --resident-mib-max 120 --memory-ratio-max 1.2 --idle-percent-max 10 --storm-ratio-max 5

long: binaries
	@mkdir -p docs/evidence; \
	file=docs/evidence/$$(date -u +%Y-%m-%d)-long.txt; at=$$(git describe --always --dirty); \
	{ echo "# make long at $$at, $$(date -u +%FT%TZ), $$(nproc) CPUs, Linux $$(uname -r | cut -d- -f1)"; \
	  RINGRESS_LONG=1 $(MAKE) --no-print-directory fuzz e2e bench; } 2>&1 | sed -u 's|$(CURDIR)/||g' | tee "$$file"; \
	exit $${PIPESTATUS[0]}

# Envoy, Traefik and Caddy for the comparison, pinned by version and hash.
peers:
	bench/peers/install

# Not by `peers`: it builds for minutes. Without the profile of this product's binary.
pingora:
	RUSTC_WRAPPER= cargo build --release --locked --manifest-path bench/peers/pingora/Cargo.toml

# The goals for 10,000 Ingresses with 100,000 endpoints, on a machine with nothing else to do; a storm of a minute. Of 40,000
# there is no goal but that no request fails and nothing grows; they have two endpoints each, 80,000, as 100,000 is the most.
SCALE_GOALS := --ready-ms-max 3000 --change-p99-ms-max 10 --resident-mib-max 150 --memory-ratio-max 1.05 \
	--idle-percent-max 1 --storm-ratio-max 1.5
bench: binaries api-server peers
	$(RINGRESS_BENCH_BIN) compare --ringress $(RINGRESS_BIN)
	$(RINGRESS_BENCH_BIN) idle --ringress $(RINGRESS_BIN)
	$(RINGRESS_BENCH_BIN) scale --ringress $(RINGRESS_BIN) --layout files
	$(RINGRESS_BENCH_BIN) scale --ringress $(RINGRESS_BIN) --layout single
	$(RINGRESS_BENCH_BIN) cluster --ringress $(RINGRESS_BIN) --sizes 100,1000,10000 --storm-seconds 60 $(SCALE_GOALS)
	$(RINGRESS_BENCH_BIN) cluster --ringress $(RINGRESS_BIN) --sizes 40000 --storm-ingresses 0 --memory-ratio-max 1.05

# `make deb ARCH=arm64` needs gcc-aarch64-linux-gnu, and libc6 and libgcc-s1 of arm64 for what the packages depend on.
deb rpm image: $(if $(filter $(ARCH),$(NATIVE)),binaries,cross)
	$(PACKAGE)

cross:
	rustup target add $(MACHINE)-unknown-linux-gnu
	CARGO_TARGET_$(shell echo $(MACHINE) | tr a-z A-Z)_UNKNOWN_LINUX_GNU_LINKER=$(MACHINE)-linux-gnu-gcc \
	  cargo build --release --locked -p ringress --target $(MACHINE)-unknown-linux-gnu

# What can be known of arm64 packages on another machine: their fields and symbols, and the binary under qemu-user.
package-test-arm64:
	$(MAKE) deb rpm image ARCH=arm64
	lintian --allow-root --fail-on error target/arm64/deb/*.deb
	packaging/test/rpmlint.sh target/arm64/rpm/*.rpm
	python3 packaging/test/arm64.py target/arm64

chart:
	rm -rf target/chart && mkdir -p target/chart
	$(CHART_TOOLS)/helm package deploy/helm/ringress --destination target/chart \
	  $(if $(VERSION),--version $(VERSION) --app-version $(VERSION))

# Installs, serves, breaks, upgrades, removes and purges the deb in a root of its own, systemd being played by the test, and
# again under systemd itself where it can be started; the rpm by its own tools, and under systemd, too; the image's files as a
# pod would run them.
package-test: deb rpm image
	lintian --allow-root --fail-on error target/deb/*.deb
	@next=$$(mktemp -d) && trap "rm -rf $$next" EXIT && \
	for kind in deb rpm; do VERSION=9999.0.0 RINGRESS_DEB_LEVEL=1 OUT=$$next packaging/build-$$kind || exit 1; done && \
	for life in deb systemd; do \
	  python3 packaging/test/$$life.py --deb target/deb/*.deb --next $$next/*.deb --root $(or $(ROOT),/) || exit 1; \
	done && \
	packaging/test/rpm.sh target/rpm/*.rpm $$next/*.rpm && \
	python3 packaging/test/rpm.py --rpm target/rpm/*.rpm --next $$next/*.rpm --root $(or $(ROOT),/)
	packaging/test/rpmlint.sh target/rpm/*.rpm
	python3 packaging/test/image.py target/image/rootfs
	python3 packaging/test/buildah.py target/image/ringress.tar target/image/rootfs
	packaging/test/reproducible.sh

# The same in a Debian 12 that has nothing but systemd and rpm on it, from the package archive of this machine.
package-test-fresh:
	rm -rf target/debian-12 && mkdir -p target/debian-12
	mmdebstrap --variant=apt --include=systemd,procps,rpm bookworm - - </etc/apt/sources.list.d/debian.sources | tar -x -C target/debian-12 --exclude='./dev/*'
	cp /etc/apt/sources.list.d/debian.sources target/debian-12/etc/apt/sources.list.d/
	$(MAKE) package-test ROOT=$(CURDIR)/target/debian-12

# All that a release consists of, under target/dist.
release: deb rpm image chart
	rm -rf target/dist && mkdir -p target/dist
	cp target/deb/*.deb target/rpm/*.rpm target/image/ringress.tar target/chart/*.tgz CHANGELOG.md target/dist/
	cp -r deploy/manifests deploy/monitoring deploy/seccomp target/dist/
	packaging/third-party sbom >target/dist/ringress.cdx.json
	packaging/third-party licences >target/dist/THIRD-PARTY.txt
	cd target/dist && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
	python3 packaging/test/release.py target/dist

# Chart, plain manifests, alert rules and dashboard. The tools are those that .ci/run lays under target/tools/chart.
deploy: binaries
	PATH=$(CHART_TOOLS):$$PATH $(CHART_TOOLS)/venv/bin/python deploy/check.py
