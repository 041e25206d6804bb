# The tests and the gates.

# Sanitized builds stand beside the ordinary one.
SAN_B := $(B)-san

.PHONY: test e2e lint sanitized
test: deps ## Everything: build, lint, unit (plain and sanitized), integration, end to end
	@tests/run-all $(B)

sanitized: ## Unit tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory B=$(SAN_B) SAN=address,undefined unit

e2e: ## The end-to-end walk on a cluster of its own (needs root)
	@tests/e2e/run $(B)

lint: ## Formatting, include rules, banned functions, static analysis
	@tests/lint

