# The two commands of a newcomer: `make demo`, then `make test`.

PREFIX ?= /usr
SYSCONFDIR ?= /etc
SHARE := $(PREFIX)/share
# The directory that podman, buildah and CRI-O read, whatever PREFIX is.
HOOKSDIR ?= /usr/share/containers/oci/hooks.d
CARGO ?= cargo

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE := target/$(HOST)/release/buildwarden

.PHONY: build demo test matrix screenshots e2e bench bench-quick bench-detect bench-report function-order faults fuzz soak miri audit \
  install install-files deb clean

build:
	$(CARGO) build --release --locked

demo:
	@integration/setup demo
	@integration/demo/run

# What CI runs. `integration/root-tests [FILTER]` runs the second half alone.
test:
	@integration/setup
	@integration/test

# What each kernel does: Debian's in an emulator, and this one; and a Debian with systemd's
# cgroups. `make test` checks the same.
matrix:
	@integration/setup
	@integration/root-tests --include-ignored --nocapture root_matrix root_systemd_s_cgroups

# The HTML report of each fixture in both themes and widths: target/screenshots/*.png
screenshots:
	@integration/setup
	@integration/browser-tests screenshots
	@echo target/screenshots/

# Every engine with us and without: are they the same, and what do we add? Measures a release
# build; E2E_PAIRS pairs of each scenario.
E2E_PAIRS ?= 5
e2e:
	@integration/setup
	@E2E_PAIRS=$(E2E_PAIRS) integration/root-tests --release --ignored --nocapture root_e2e

# What Buildwarden costs, beside its references and its peers: docs/performance.md says how to read
# it. A quarter of an hour; the quick one two minutes; BENCH=storms or another part alone;
# BENCH_FORMAT=markdown for a document; AUDIT=1 where auditing is off. Both measure a release build.
bench:
	@integration/setup bench
	@BENCH='$(BENCH)' BENCH_FORMAT='$(BENCH_FORMAT)' AUDIT='$(AUDIT)' \
	  integration/root-tests --release --ignored --nocapture root_bench_whole

bench-quick:
	@integration/setup bench
	@BENCH='$(BENCH)' BENCH_FORMAT='$(BENCH_FORMAT)' AUDIT='$(AUDIT)' \
	  integration/root-tests --release --ignored --nocapture root_bench_quick

# Every fault, at every step, and what it came to: a table. A quarter of an hour; FAULTS=disks or another
# part alone. `make test` does some of each.
faults:
	@integration/setup
	@FAULTS='$(FAULTS)' integration/root-tests --ignored --nocapture root_faults

# What judging one exec costs; needs no root.
bench-detect:
	$(CARGO) bench --locked --bench detect

# What each format of a report of 100,000 execs costs.
bench-report:
	$(CARGO) bench --locked --bench report

# Which functions the linker puts together, because a container waits for them: build/functions.ld,
# anew. On x86-64, from a release build that Rust's own linker, lld, has made.
function-order:
	@integration/setup
	@integration/root-tests --release --ignored --nocapture root_function_order

# Every reader of what comes from outside, coverage-guided, on the stable toolchain;
# FUZZ_SECONDS for each, FUZZ=state for one alone. `make test` runs the seeds and mutations of them.
FUZZ_SECONDS ?= 60
FUZZ ?= $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
fuzz:
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	cd fuzz && $(CARGO) fuzz build --sanitizer none
	cd fuzz && for target in $(FUZZ); do \
	  mkdir -p corpus/$$target; \
	  $(CARGO) fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=5 -dict=words -print_final_stats=1 || exit 1; \
	done

# Containers at random for so long, with kills and restarts: each has one report that counts
# right, and nothing grows. SEED=n draws the same again; `make test` does it for 15 seconds.
MINUTES ?= 10
soak:
	@integration/setup
	@MINUTES='$(MINUTES)' $(if $(SEED),SEED='$(SEED)') \
	  integration/root-tests --ignored --nocapture soak::root_soak

# The room with `unsafe`, over memory that stands for the kernel's, watched by Miri: ring, slots,
# spill buffers, mappings. Takes a nightly toolchain, which nothing else here needs.
miri:
	@$(CARGO) +nightly miri --version >/dev/null 2>&1 || { echo 'miri is missing: rustup toolchain install nightly --component miri,rust-src' >&2; exit 1; }
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --locked --target-dir target/miri \
	  --lib trace:: -- --skip layout

# Licences, duplicates, sources and known vulnerabilities of dependencies, as deny.toml has
# them. Those come over the network, or from ADVISORY_DB=DIR; with OFFLINE=1 they are left out.
audit:
	@integration/audit $(if $(OFFLINE),--offline)

# What goes into the system; enables and changes nothing there.
install: build install-files

# The same of a binary that is built already. The hooks and the unit name it by its
# absolute path.
BINARY ?= $(RELEASE)
install-files:
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/buildwarden
	test -e $(DESTDIR)$(SYSCONFDIR)/buildwarden/buildwarden.toml || \
	  install -D -m 644 -t $(DESTDIR)$(SYSCONFDIR)/buildwarden config/buildwarden.toml
	install -D -m 644 -t $(DESTDIR)$(SHARE)/buildwarden/recipes config/recipes/*.toml
	install -d $(DESTDIR)$(SHARE)/man/man1 \
	  $(DESTDIR)$(SHARE)/bash-completion/completions $(DESTDIR)$(SHARE)/fish/vendor_completions.d \
	  $(DESTDIR)$(SHARE)/zsh/vendor-completions $(DESTDIR)$(PREFIX)/lib/systemd/system \
	  $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	$(BINARY) install --engine podman --root $(DESTDIR)/ --program $(PREFIX)/bin/buildwarden \
	  --hooks-dir $(HOOKSDIR)
	for runtime in runc crun youki; do \
	  ln -sf buildwarden $(DESTDIR)$(PREFIX)/bin/buildwarden-$$runtime || exit 1; \
	done
	install -d $(DESTDIR)$(PREFIX)/libexec/buildwarden
	ln -sf ../../bin/buildwarden $(DESTDIR)$(PREFIX)/libexec/buildwarden/runc
	sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' config/systemd/buildwarden-gc.service \
	  >$(DESTDIR)$(PREFIX)/lib/systemd/system/buildwarden-gc.service
	install -m 644 config/systemd/buildwarden-gc.timer $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 config/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/buildwarden.conf
	$(BINARY) man $(DESTDIR)$(SHARE)/man/man1
	$(BINARY) completions bash >$(DESTDIR)$(SHARE)/bash-completion/completions/buildwarden
	$(BINARY) completions fish >$(DESTDIR)$(SHARE)/fish/vendor_completions.d/buildwarden.fish
	$(BINARY) completions zsh >$(DESTDIR)$(SHARE)/zsh/vendor-completions/_buildwarden

# A Debian package, in target/; changes nothing on this machine.
deb: build
	@config/debian/build $(RELEASE) target

clean:
	$(CARGO) clean
