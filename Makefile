# The two commands of a newcomer: `make demo`, then `make test`.

PREFIX ?= /usr
SYSCONFDIR ?= /etc
SHARE := $(PREFIX)/share
# The directory that podman, buildah and CRI-O read, whatever PREFIX is.
HOOKSDIR ?= /usr/share/containers/oci/hooks.d
CARGO ?= cargo

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE := target/$(HOST)/release/buildwarden

.PHONY: build demo test screenshots bench-detect fuzz install clean

build:
	$(CARGO) build --release --locked

demo:
	@integration/setup demo
	@integration/demo/run

# What CI runs. `integration/root-tests [FILTER]` runs the second half alone.
test:
	@integration/setup
	@integration/test

# The HTML report of each fixture in both themes and widths: target/screenshots/*.png
screenshots:
	@integration/setup
	@integration/browser-tests screenshots
	@echo target/screenshots/

# What judging one exec costs; needs no root.
bench-detect:
	$(CARGO) bench --locked --bench detect

# Coverage-guided, on the stable toolchain; `make test` runs the seeds and mutations of them.
FUZZ_SECONDS ?= 60
fuzz:
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	mkdir -p fuzz/corpus/exec fuzz/corpus/recipe
	cd fuzz && for target in exec recipe; do \
	  $(CARGO) fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=5 || exit 1; \
	done

# The hooks name the binary by its absolute path.
install: build
	install -D -m 755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/buildwarden
	test -e $(DESTDIR)$(SYSCONFDIR)/buildwarden/buildwarden.toml || \
	  install -D -m 644 -t $(DESTDIR)$(SYSCONFDIR)/buildwarden config/buildwarden.toml
	install -D -m 644 -t $(DESTDIR)$(SHARE)/buildwarden/recipes config/recipes/*.toml
	install -d $(DESTDIR)$(HOOKSDIR) $(DESTDIR)$(SHARE)/man/man1 \
	  $(DESTDIR)$(SHARE)/bash-completion/completions $(DESTDIR)$(SHARE)/fish/vendor_completions.d \
	  $(DESTDIR)$(SHARE)/zsh/vendor-completions
	for hook in hooks/*.json; do \
	  sed 's|"/usr/bin/buildwarden"|"$(PREFIX)/bin/buildwarden"|' "$$hook" \
	    >$(DESTDIR)$(HOOKSDIR)/$${hook##*/} || exit 1; \
	done
	for runtime in runc crun youki; do \
	  ln -sf buildwarden $(DESTDIR)$(PREFIX)/bin/buildwarden-$$runtime || exit 1; \
	done
	install -d $(DESTDIR)$(PREFIX)/libexec/buildwarden
	ln -sf ../../bin/buildwarden $(DESTDIR)$(PREFIX)/libexec/buildwarden/runc
	$(RELEASE) man $(DESTDIR)$(SHARE)/man/man1
	$(RELEASE) completions bash >$(DESTDIR)$(SHARE)/bash-completion/completions/buildwarden
	$(RELEASE) completions fish >$(DESTDIR)$(SHARE)/fish/vendor_completions.d/buildwarden.fish
	$(RELEASE) completions zsh >$(DESTDIR)$(SHARE)/zsh/vendor-completions/_buildwarden

clean:
	$(CARGO) clean
