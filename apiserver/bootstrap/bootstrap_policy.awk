# SPDX-License-Identifier: Apache-2.0
# rbac.policy -> rows of struct policy_row (policy.c): {what, namespace, name, a, b, c}.

function fail(why) { print FILENAME ":" FNR ": " why > "/dev/stderr"; failed = 1; exit 1 }
function row(what, a, b, c, d, e) {
	printf "{%s, \"%s\", \"%s\", \"%s\", \"%s\", \"%s\"},\n", what, a, b, c, d, e
}
function place(text) { # NAMESPACE/NAME
	if (split(text, part, "/") != 2) fail("a namespace and a name are wanted")
}
function pair(text) {
	if (split(text, part, "=") != 2) fail("a key and a value are wanted")
}
BEGIN { print "// Made from rbac.policy." }
/^#/ || NF == 0 { next }
$1 == "cluster-role" && NF == 2 { row("POLICY_CLUSTER_ROLE", "", $2); next }
$1 == "role" && NF == 2 { place($2); row("POLICY_ROLE", part[1], part[2]); next }
$1 == "cluster-binding" && NF == 3 { row("POLICY_CLUSTER_BINDING", "", $2, $3); next }
$1 == "binding" && NF == 3 { place($2); row("POLICY_BINDING", part[1], part[2], $3); next }
$1 == "label" && NF == 2 { pair($2); row("POLICY_LABEL", part[1], part[2]); next }
$1 == "aggregate" && NF == 2 { pair($2); row("POLICY_AGGREGATE", part[1], part[2]); next }
$1 == "allow" && NF == 4 && $3 == "paths" { row("POLICY_ALLOW_PATHS", $2, $4); next }
$1 == "allow" && (NF == 4 || NF == 5) { row("POLICY_ALLOW", $2, $3, $4, $5); next }
$1 == "user" && NF == 2 { row("POLICY_USER", "", $2); next }
$1 == "group" && NF == 2 { row("POLICY_GROUP", "", $2); next }
$1 == "account" && NF == 2 { place($2); row("POLICY_ACCOUNT", part[1], part[2]); next }
{ fail("not understood: " $0) }
END { exit failed }
