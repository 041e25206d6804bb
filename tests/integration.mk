# Integration tests: real etcd and kube-apiserver on free loopback ports.
# T=name runs one file (tests/integration/test_name.py), or one test (name.Class.test).
.PHONY: integration
integration: $(B)/bin/kube-apiserver ## Real etcd and kube-apiserver on loopback ports (T=name for one file)
	@PYTHONDONTWRITEBYTECODE=1 BUILD=$(B) python3 tests/integration/run $(T)
