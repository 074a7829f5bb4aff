# All that is done with this repository. `make` alone says what there is.

# rustup's programs, also where the shell does not know them yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-appliance lint bench fuzz docs deb reproducible

help: ## Show this list
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z-]*\): ## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-14s %s\n' "$$name" "$$text"; \
	done

run: ## Build talasd and run it here; ARGS="--config my.toml" passes arguments
	@scripts/run.sh $(ARGS)

test: ## Build everything, run every test, then lint; needs no sound card
	@scripts/test.sh

test-appliance: ## Build the packages and try them on a Debian booted for it; needs root
	@scripts/test-appliance.sh

lint: ## Check format, clippy, documentation and scripts
	@scripts/lint.sh

bench: ## Measure the parts, and beside nginx and Icecast the whole; ARGS="encode" picks parts by name
	@scripts/setup.sh run
	cargo bench --bench frames --bench analysis --bench capture --bench spread --bench chain -- $(ARGS)
	cargo bench --bench codecs
	cargo bench --quiet --bench appliance --bench delay -- $(ARGS)
	@scripts/bench-fanout.sh
	@scripts/bench-ranges.sh
	@scripts/bench-access.sh
	@scripts/bench-live.sh

fuzz: ## Damage what strangers may send, ten minutes for each reader; SECONDS_EACH=60 for less
	FUZZ_SECONDS=$(or $(SECONDS_EACH),600) nice -n 19 cargo test --lib fuzz_ -- --nocapture

docs: ## Build the documentation of the code and check the links of the rest
	@scripts/docs.sh

deb: ## Build the Debian packages into target/deb
	@scripts/deb.sh

reproducible: ## Build the packages twice, in two places, and compare them
	@scripts/deb.sh --reproducible
