# Unmodified clients (kubectl in several versions, python3-kubernetes, plain HTTP).
# T=name runs one file (tests/compat/test_name.py), or one test (name.Class.test).
.PHONY: compat
compat: $(B)/bin/kube-apiserver $(B)/bin/kube-controller-manager ## Unmodified clients against the server (T=name for one file)
	@PYTHONDONTWRITEBYTECODE=1 BUILD=$(B) python3 tests/compat/run $(T)
