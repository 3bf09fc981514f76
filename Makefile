# The two commands of a newcomer: `make demo`, then `make test`.

PREFIX ?= /usr
SYSCONFDIR ?= /etc
# The directory that podman, buildah and CRI-O read, whatever PREFIX is.
HOOKSDIR ?= /usr/share/containers/oci/hooks.d
CARGO ?= cargo

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE := target/$(HOST)/release/buildwarden

.PHONY: build demo test install clean

build:
	$(CARGO) build --release --locked

demo:
	@integration/setup
	@integration/demo/run

# What CI runs. `integration/root-tests [FILTER]` runs the second half alone.
test:
	@integration/setup
	@integration/test

# Hooks carry the absolute path of the binary that they start.
install: build
	install -D -m 755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/buildwarden
	test -e $(DESTDIR)$(SYSCONFDIR)/buildwarden/buildwarden.toml || \
	  install -D -m 644 -t $(DESTDIR)$(SYSCONFDIR)/buildwarden config/buildwarden.toml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/buildwarden/recipes config/recipes/*.toml
	install -d $(DESTDIR)$(HOOKSDIR)
	for hook in hooks/*.json; do \
	  sed 's|"/usr/bin/buildwarden"|"$(PREFIX)/bin/buildwarden"|' "$$hook" \
	    >$(DESTDIR)$(HOOKSDIR)/$${hook##*/} || exit 1; \
	done

clean:
	$(CARGO) clean
