// SPDX-License-Identifier: Apache-2.0
// Kubernetes' libraries: lists, sets, regex, URLs, addresses, quantities, versions, formats, the authorizer.
#include "tests/unit/cel_fixture.h"

static void test_lists(void **state)
{
	static const struct cel_row rows[] = {
	        {"[1, 2, 2].isSorted() && ![2, 1].isSorted() && ['a', 'b'].isSorted()", "true"},
	        {"[].isSorted()", "true"},
	        {"[1, 3].sum()", "4"},
	        {"[1.5, 2.0].sum()", "3.5"},
	        {"[duration('1s'), duration('2s')].sum()", "3s"},
	        {"[9223372036854775807, 1].sum()", "!integer overflow"},
	        {"['a'].sum()", "?found no matching overload for 'sum' applied to 'list(string).()'"},
	        {"[3, 1, 2].min() * 10 + [3, 1, 2].max()", "13"},
	        {"['b', 'a'].min()", "\"a\""},
	        {"dyn([]).min()", "!min called on empty list"},
	        {"[].max()", "!max called on empty list"},
	        {"[1, 2, 1].indexOf(1) * 10 + [1, 2, 1].lastIndexOf(1)", "2"},
	        {"['a'].indexOf('b')", "-1"},
	        {"sets.contains([1, 2, 3], [2, 1, 2])", "true"},
	        {"sets.contains([1], [1, 2])", "false"},
	        {"sets.equivalent([1, 2, 2], [2, 1])", "true"},
	        {"sets.equivalent([1], [1, 2])", "false"},
	        {"sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [])", "true"},
	        {"sets.contains([1], ['a'])",
	         "?found no matching overload for 'sets.contains' applied to '(list(int), list(string))'"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_regex(void **state)
{
	static const struct cel_row rows[] = {
	        {"'abc 123'.find('[0-9]+')", "\"123\""},
	        {"'abc'.find('[0-9]')", "\"\""},
	        {"'123 abc 456'.findAll('[0-9]+')", "[\"123\", \"456\"]"},
	        {"'123 abc 456'.findAll('[0-9]+', 1)", "[\"123\"]"},
	        {"'123 abc 456'.findAll('[0-9]+', 0)", "[]"},
	        {"'123 abc 456'.findAll('xyz')", "[]"},
	        {"'aab'.findAll('a*')", "[\"aa\", \"\"]"},
	        {"'a'.find('[' + '')", "!Illegal regex: error parsing regexp: missing closing ]: `[`"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_urls(void **state)
{
	static const struct cel_row rows[] = {
	        {"url('https://user:pw@example.com:80/a/b?x=1&x=2&y=#f').getHost()", "\"example.com:80\""},
	        {"url('https://example.com:80/').getHostname()", "\"example.com\""},
	        {"url('https://[::1]:80/').getHostname()", "\"::1\""},
	        {"url('https://[::1]:80/').getPort()", "\"80\""},
	        {"url('https://example.com/').getPort()", "\"\""},
	        {"url('HTTPS://example.com').getScheme()", "\"https\""},
	        {"url('https://example.com/path with spaces/').getEscapedPath()", "\"/path%20with%20spaces/\""},
	        {"url('/absolute?k=v%20w&k=2').getQuery()", "{\"k\": [\"v w\", \"2\"]}"},
	        {"url('https://example.com/?a').getQuery()", "{\"a\": [\"\"]}"},
	        {"isURL('https://example.com') && isURL('/path') && !isURL('../rel') && !isURL('')", "true"},
	        {"isURL('http://exa mple.com') || isURL('https://a:b:c/') || isURL('http://[::1')", "false"},
	        {"url('../rel')", "!URL parse error during conversion from string: parse \"../rel\": invalid URI for "
	                          "request"},
	        {"url('http://a/b') == url('http://a/b') && url('http://a') != url('http://b')", "true"},
	        {"type(url('/')) == kubernetes.URL", "true"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_addresses(void **state)
{
	static const struct cel_row rows[] = {
	        {"isIP('127.0.0.1') && isIP('::1') && !isIP('1.2.3') && !isIP('01.2.3.4')", "true"},
	        {"isIP('::ffff:1.2.3.4') || isIP('fe80::1%eth0')", "false"},
	        {"ip('1.2.3.400')", "!IP Address \"1.2.3.400\" parse error during conversion from string: "
	                            "ParseAddr(\"1.2.3.400\"): unable to parse IP"},
	        {"ip('fe80::1%en0')", "!IP address \"fe80::1%en0\" with zone value is not allowed"},
	        {"ip('::ffff:10.0.0.1')", "!IPv4-mapped IPv6 address \"::ffff:10.0.0.1\" is not allowed"},
	        {"ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')", "true"},
	        {"string(ip('2001:0db8:0:0:1:0:0:1'))", "\"2001:db8::1:0:0:1\""},
	        {"string(ip('::')) + ' ' + string(ip('1::')) + ' ' + string(ip('0:0:0:0:0:0:0:1'))", "\":: 1:: ::1\""},
	        {"string(ip('1:2:3:4:5:6:7:8'))", "\"1:2:3:4:5:6:7:8\""},
	        {"string(ip('1:0:3:4:5:6:7:8'))", "\"1:0:3:4:5:6:7:8\""},
	        {"ip('10.0.0.1').family() + ip('::1').family()", "10"},
	        {"ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified()", "true"},
	        {"ip('127.9.9.9').isLoopback() && ip('::1').isLoopback() && !ip('10.0.0.1').isLoopback()", "true"},
	        {"ip('224.0.0.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()", "true"},
	        {"ip('169.254.1.1').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast()", "true"},
	        {"ip('10.1.1.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()", "true"},
	        {"ip('10.0.0.1') == ip('10.0.0.1') && ip('::1') != ip('::2')", "true"},
	        {"isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0') && !isCIDR('1.2.3.4/08')",
	         "true"},
	        {"cidr('192.168.0.0/24').containsIP('192.168.0.1')", "true"},
	        {"cidr('192.168.0.0/24').containsIP(ip('192.168.1.1'))", "false"},
	        {"cidr('192.168.0.0/24').containsIP('::1')", "false"},
	        {"cidr('192.168.0.0/24').containsCIDR('192.168.0.128/25')", "true"},
	        {"cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/23'))", "false"},
	        {"cidr('2001:db8::/32').containsCIDR('2001:db8:1::/48')", "true"},
	        {"string(cidr('192.168.0.77/24').masked())", "\"192.168.0.0/24\""},
	        {"string(cidr('192.168.0.77/24').ip())", "\"192.168.0.77\""},
	        {"cidr('::1/128').prefixLength()", "128"},
	        {"cidr('1.2.3.4')", "!network address parse error during conversion from string: "
	                            "netip.ParsePrefix(\"1.2.3.4\"): no '/'"},
	        {"type(ip('::1')) == net.IP && type(cidr('::/0')) == net.CIDR", "true"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_quantities(void **state)
{
	static const struct cel_row rows[] = {
	        {"isQuantity('1.3Gi') && isQuantity('100m') && !isQuantity('1.3Gb') && !isQuantity('')", "true"},
	        {"quantity('50k').isGreaterThan(quantity('49999'))", "true"},
	        {"quantity('50Mi').compareTo(quantity('50M'))", "1"},
	        {"quantity('50M') == quantity('50000k')", "true"},
	        {"quantity('50').add(quantity('20')).asInteger()", "70"},
	        {"quantity('50k').sub(20000) == quantity('30k')", "true"},
	        {"quantity('1500m').isInteger()", "false"},
	        {"quantity('1500m').asInteger()", "!cannot convert value to integer"},
	        {"quantity('1500m').asApproximateFloat()", "1.5"},
	        {"sign(quantity('-1')) + sign(quantity('0'))", "-1"},
	        {"quantity('1').isLessThan(quantity('2'))", "true"},
	        {"quantity('10 Mi')", "!quantities must match the regular expression "
	                              "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
	        {"type(quantity('1')) == kubernetes.Quantity", "true"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_versions(void **state)
{
	static const struct cel_row rows[] = {
	        {"isSemver('1.2.3-alpha.1+build') && !isSemver('1.2') && !isSemver('01.2.3') && !isSemver('v1.2.3')",
	         "true"},
	        {"isSemver('v01.2', true)", "true"},
	        {"semver('1.2.3').isLessThan(semver('1.10.0'))", "true"},
	        {"semver('1.0.0-alpha').isLessThan(semver('1.0.0-alpha.1'))", "true"},
	        {"semver('1.0.0-alpha.1').isLessThan(semver('1.0.0-alpha.beta'))", "true"},
	        {"semver('1.0.0-beta.2').isLessThan(semver('1.0.0-beta.11'))", "true"},
	        {"semver('1.0.0').isGreaterThan(semver('1.0.0-rc.1'))", "true"},
	        {"semver('1.0.0+a').compareTo(semver('1.0.0+b'))", "0"},
	        {"semver('4.5.6').major() * 100 + semver('4.5.6').minor() * 10 + semver('4.5.6').patch()", "456"},
	        {"semver('v1.2', true) == semver('1.2.0')", "true"},
	        {"semver('x')", "!invalid semantic version \"x\""},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_formats(void **state)
{
	static const struct cel_row rows[] = {
	        {"format.dns1123Label().validate('my-name')", "none"},
	        {"format.named('dns1123Label').value().validate('my.name')", "some([\"must not contain dots\"])"},
	        {"format.named('nothing')", "none"},
	        {"format.dns1123LabelPrefix().validate('my-prefix-')", "none"},
	        {"format.dns1123Label().validate('my-prefix-').hasValue()", "true"},
	        {"format.dns1123Subdomain().validate('a.b-c.d')", "none"},
	        {"format.dns1123Subdomain().validate('a..b').hasValue()", "true"},
	        {"format.dns1035Label().validate('1a').hasValue() && !format.dns1035Label().validate('a1').hasValue()",
	         "true"},
	        {"format.qualifiedName().validate('example.com/My_name')", "none"},
	        {"format.qualifiedName().validate('/x')", "some([\"prefix part must be non-empty\"])"},
	        {"format.labelValue().validate('') == optional.none()", "true"},
	        {"format.labelValue().validate('-a').hasValue()", "true"},
	        {"format.uri().validate('https://example.com')", "none"},
	        {"format.uri().validate('x').value()[0]", "\"parse \\\"x\\\": invalid URI for request\""},
	        {"format.uuid().validate('123e4567-e89b-12d3-a456-426614174000')", "none"},
	        {"format.uuid().validate('123')", "some([\"does not match the UUID format\"])"},
	        {"format.byte().validate('aGk=')", "none"},
	        {"format.byte().validate('a$')", "some([\"invalid base64\"])"},
	        {"format.date().validate('2021-02-29')", "some([\"invalid date\"])"},
	        {"format.datetime().validate('2021-01-01T00:00:00Z')", "none"},
	};
	(void)state;
	CHECK_ROWS(rows);
}

static void test_json_patch(void **state)
{
	static const struct cel_row rows[] = {
	        {"jsonpatch.escapeKey('k8s.io/my~label')", "\"k8s.io~1my~0label\""},
	        {"[JSONPatch{op: 'add', path: '/a', value: 1}, JSONPatch{op: 'remove', path: '/b'}].size()", "2"},
	        {"JSONPatch{op: 'test', path: '/' + jsonpatch.escapeKey('a/b'), value: {'x': 1}}",
	         "JSONPatch{op: \"test\", path: \"/a~1b\", value: {\"x\": 1}}"},
	        {"JSONPatch{op: 1}", "?expected type of field 'op' is 'string' but provided type is 'int'"},
	        {"JSONPatch{nothing: 'x'}", "?undefined field 'nothing'"},
	        {"Object{spec: Object.spec{replicas: 3, ?paused: optional.none()}}",
	         "Object{spec: Object.spec{replicas: 3}}"},
	        {"Object{spec: Object.spec{replicas: 3}}.spec.replicas", "3"},
	        {"has(Object{spec: Object.spec{}}.spec)", "true"},
	        {"int{}", "?'int' is not a message type"},
	        {"Nothing{}", "?undeclared reference to 'Nothing' (in container '')"},
	};
	const struct cel_env_options options = {.mutation = true};
	(void)state;
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(&options);
	assert_int_equal(run_rows(env, NULL, 0, rows, ARRAY_SIZE(rows)), 0);
}

// --- the authorizer --------------------------------------------------------------------------

static void authorize(void *context, struct arena *arena, const struct cel_authorization_request *request,
                      struct cel_authorization_answer *ret_answer)
{
	int *calls = context;
	(*calls)++;
	if (request->path) {
		ret_answer->decision = strcmp(request->path, "/healthz") == 0 && strcmp(request->verb, "get") == 0
		                               ? CEL_AUTHORIZATION_ALLOWED
		                               : CEL_AUTHORIZATION_DENIED;
		ret_answer->reason = "paths";
		return;
	}
	if (strcmp(request->resource, "broken") == 0)
		ret_answer->error = "backend is down";
	if (strcmp(request->group, "apps") == 0 && strcmp(request->resource, "deployments") == 0)
		ret_answer->decision = CEL_AUTHORIZATION_ALLOWED;
	ret_answer->reason =
	        arena_printf(arena, "%s %s/%s/%s %s/%s as %s:%s where %s %s", request->verb, request->group,
	                     request->resource, request->subresource, request->namespace, request->name,
	                     request->service_account_namespace ? request->service_account_namespace : "",
	                     request->service_account_name ? request->service_account_name : "",
	                     request->field_selector ? request->field_selector : "-",
	                     request->label_selector ? request->label_selector : "-");
}

static void test_authorizer(void **state)
{
	static const struct cel_row rows[] = {
	        {"authorizer.path('/healthz').check('get').allowed()", "true"},
	        {"authorizer.path('/x').check('get').allowed()", "false"},
	        {"authorizer.path('/x').check('get').reason()", "\"paths\""},
	        {"authorizer.path(' ')", "!path must not be empty"},
	        {"authorizer.group('apps').resource('deployments').check('create').allowed()", "true"},
	        {"authorizer.group('').resource('pods').subresource('log').namespace('ns').name('p').check('get')."
	         "reason()",
	         "\"get /pods/log ns/p as : where - -\""},
	        {"authorizer.group('').resource('pods').fieldSelector('spec.nodeName=a').labelSelector('x=y')."
	         "check('list').reason()",
	         "\"list /pods/ / as : where spec.nodeName=a x=y\""},
	        {"authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('get').reason()",
	         "\"get /pods/ / as ns:sa where - -\""},
	        {"authorizer.serviceAccount('ns', 'S')", "!Invalid service account name"},
	        {"authorizer.serviceAccount('n.s', 'sa')", "!Invalid service account namespace"},
	        {"authorizer.group('').resource('')", "!resource must not be empty"},
	        {"authorizer.group('').resource('broken').check('get').errored()", "true"},
	        {"authorizer.group('').resource('broken').check('get').error()", "\"backend is down\""},
	        {"authorizer.requestResource.check('update').reason()",
	         "\"update batch/jobs/ team/j1 as : where - -\""},
	        {"authorizer.nothing()", "?undeclared reference to 'nothing' (in container '')"},
	        {"[1, 2, 3].all(x, authorizer.path('/healthz').check('get').allowed())",
	         "!operation cancelled: actual cost limit exceeded"},
	};
	int calls = 0;
	const struct cel_authorizer authorizer = {.authorize = authorize, .context = &calls};
	const struct cel_authorization_request resource = {
	        .group = "batch", .resource = "jobs", .namespace = "team", .name = "j1"};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	struct cel_binding bindings[2] = {
	        cel_bind_value(cel_value_authorizer(&authorizer)),
	        cel_bind_value(cel_value_resource_check(arena, &authorizer, &resource)),
	};
	assert_int_equal(cel_env_declare(env, "authorizer", &cel_type_authorizer), 0);
	assert_int_equal(cel_env_declare(env, "authorizer.requestResource", &cel_type_resource_check), 1);
	assert_int_equal(run_rows(env, bindings, 2, rows, ARRAY_SIZE(rows)), 0);
	assert_true(calls >= 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lists),     cmocka_unit_test(test_regex),      cmocka_unit_test(test_urls),
	        cmocka_unit_test(test_addresses), cmocka_unit_test(test_quantities), cmocka_unit_test(test_versions),
	        cmocka_unit_test(test_formats),   cmocka_unit_test(test_json_patch), cmocka_unit_test(test_authorizer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
