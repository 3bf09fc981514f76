# The two commands of a newcomer: `make demo`, then `make test`.

PREFIX ?= /usr
SYSCONFDIR ?= /etc
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
	install -D -m 644 -t $(DESTDIR)$(SYSCONFDIR)/buildwarden config/buildwarden.toml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/buildwarden/recipes config/recipes/*.toml
	install -d $(DESTDIR)$(PREFIX)/share/containers/oci/hooks.d
	for hook in hooks/*.json; do \
	  sed 's|"/usr/bin/buildwarden"|"$(PREFIX)/bin/buildwarden"|' "$$hook" \
	    >$(DESTDIR)$(PREFIX)/share/containers/oci/hooks.d/$${hook##*/} || exit 1; \
	done

clean:
	$(CARGO) clean
