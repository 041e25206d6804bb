// SPDX-License-Identifier: Apache-2.0
// ServiceAccount: a pod runs as an account that exists, with a token of it mounted
// where neither the pod nor the account says otherwise.
//
// The account "default" is made by a controller right after its namespace. A pod
// that comes earlier waits for it, as upstream's does: up to ten looks, 100 ms
// apart. An account that the cache doesn't show is asked for in etcd before the pod
// is refused.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/encode.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define ENFORCE_ANNOTATION "kubernetes.io/enforce-mountable-secrets"
#define TOKEN_MOUNT_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_VOLUME_PREFIX "kube-api-access-"

enum {
	DEFAULT_ACCOUNT_LOOKS = 10,
	DEFAULT_ACCOUNT_PAUSE_MS = 100,
};

static const struct schema_resource *accounts(void)
{
	return schema_find_resource("", "v1", "serviceaccounts");
}

static bool is_new_pod(const struct change *change)
{
	return change_is_for(change, "", "pods") && !change->subresource[0];
}

static bool is_mirror(const struct change *change)
{
	return metadata_annotation(change->object, MIRROR_ANNOTATION) != NULL;
}

static struct json *spec_of(const struct change *change)
{
	return json_ensure_object(change->arena, change->object, "spec");
}

// --- the token's volume ---------------------------------------------------------------------

static const char volume_source[] =
        "{\"defaultMode\":420,\"sources\":["
        "{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},"
        "{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},"
        "{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\","
        "\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}]}";

static const char *find_volume(const struct json *volumes)
{
	json_for_each_item (volume, volumes)
		if (!strncmp(text_of(volume, "name"), TOKEN_VOLUME_PREFIX, strlen(TOKEN_VOLUME_PREFIX)))
			return text_of(volume, "name");
	return NULL;
}

static const char *make_volume_name(struct arena *arena)
{
	char suffix[6] = "";

	random_name_suffix(suffix, 5);
	return arena_printf(arena, "%s%s", TOKEN_VOLUME_PREFIX, suffix);
}

// True when some container got the mount.
static bool mount(struct arena *arena, const struct json *containers, const char *volume)
{
	bool any = false;

	json_for_each_item (container, containers) {
		struct json *mounts = json_ensure_array(arena, container, "volumeMounts"), *added;
		bool taken = false;

		json_for_each_item (held, mounts)
			taken |= !strcmp(text_of(held, "mountPath"), TOKEN_MOUNT_PATH);
		if (taken)
			continue;
		added = json_object(arena);
		json_set_text(arena, added, "name", volume);
		json_set_bool(arena, added, "readOnly", true);
		json_set_text(arena, added, "mountPath", TOKEN_MOUNT_PATH);
		json_append(arena, mounts, added);
		any = true;
	}
	return any;
}

static void mount_token(struct change *change)
{
	struct json *spec = spec_of(change), *source = NULL, *volume;
	const char *present = find_volume(json_get(spec, "volumes"));
	const char *name = present ? present : make_volume_name(change->arena);
	bool in_init = mount(change->arena, json_get(spec, "initContainers"), name);
	bool in_others = mount(change->arena, json_get(spec, "containers"), name);

	if (present || (!in_init && !in_others))
		return;
	(void)!json_parse(change->arena, volume_source, sizeof(volume_source) - 1, NULL, &source, NULL);
	volume = json_object(change->arena);
	json_set_text(change->arena, volume, "name", name);
	json_set(change->arena, volume, "projected", source);
	json_append(change->arena, json_ensure_array(change->arena, spec, "volumes"), volume);
}

// --- the pod's account ----------------------------------------------------------------------

static bool should_mount(const struct json *account, const struct json *spec)
{
	const struct json *of_pod = json_get(spec, "automountServiceAccountToken");

	if (json_is(of_pod, JSON_BOOL))
		return of_pod->boolean;
	return json_get_bool(account, "automountServiceAccountToken", true);
}

static void take_account(struct change *change, const struct json *account)
{
	struct json *spec = spec_of(change);
	const struct json *secrets = json_get(account, "imagePullSecrets");

	if (should_mount(account, spec))
		mount_token(change);
	if (!length_of(json_get(spec, "imagePullSecrets")) && length_of(secrets))
		json_set(change->arena, spec, "imagePullSecrets", json_clone(change->arena, secrets));
}

static struct json *find_account(const struct change *change)
{
	return admission_peek(change, accounts(), change->namespace_name,
	                      text_of(json_get(change->object, "spec"), "serviceAccountName"));
}

const struct status *admission_service_account_mutate(struct change *change, enum admission_operation operation)
{
	struct json *spec, *account;

	if (operation != ADMISSION_CREATE || !is_new_pod(change) || is_mirror(change))
		return NULL;
	spec = spec_of(change);
	if (!text_of(spec, "serviceAccountName")[0])
		json_set_text(change->arena, spec, "serviceAccountName",
		              text_of(spec, "serviceAccount")[0] ? text_of(spec, "serviceAccount") : "default");
	account = find_account(change);
	change->awaits_service_account = !account;
	if (account)
		take_account(change, account);
	return NULL;
}

// --- an account that isn't there yet ----------------------------------------------------------

struct account_wait {
	struct admission_wait *wait;
	struct loop_timer timer;
	unsigned looks;
};

static void look(struct account_wait *op);

static void on_pause_over(struct loop_timer *timer)
{
	look(container_of(timer, struct account_wait, timer));
}

static void on_account(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct account_wait *op = context;
	struct change *change = op->wait->change;
	const char *name = text_of(json_get(change->object, "spec"), "serviceAccountName");
	struct json *account = err ? NULL : object_load_plain(change->arena, accounts(), object, NULL);

	(void)revision;
	if (account) {
		take_account(change, account);
		change->awaits_service_account = false;
		admission_wait_next(op->wait, NULL);
	} else if (!strcmp(name, "default") && ++op->looks < DEFAULT_ACCOUNT_LOOKS) {
		loop_timer_start(change->request->loop, &op->timer, DEFAULT_ACCOUNT_PAUSE_MS * NSEC_PER_MSEC,
		                 on_pause_over);
	} else {
		admission_wait_next(op->wait,
		                    admission_forbid(change,
		                                     "error looking up service account %s/%s: serviceaccount \"%s\" "
		                                     "not found",
		                                     change->namespace_name, name, name));
	}
}

static void look(struct account_wait *op)
{
	struct change *change = op->wait->change;
	struct storage_read read = {
	        .resource = accounts(),
	        .namespace_name = change->namespace_name,
	        .name = text_of(json_get(change->object, "spec"), "serviceAccountName"),
	        .freshness = STORAGE_CONSISTENT,
	};

	storage_get(change->server->storage, &read, change->request->loop, on_account, op);
}

bool admission_service_account_waits(const struct change *change, enum admission_operation operation,
                                     enum admission_phase phase)
{
	return phase == ADMISSION_MUTATE && operation == ADMISSION_CREATE && change->awaits_service_account;
}

void admission_service_account_start(struct admission_wait *wait)
{
	struct account_wait *op = ARENA_NEW(wait->change->arena, struct account_wait);

	op->wait = wait;
	look(op);
}

// --- what is not allowed ------------------------------------------------------------------------

static bool has_secret_volume(const struct json *volume)
{
	static const char *const sources[] = {"azureFile", "cephfs",  "flexVolume", "iscsi",
	                                      "rbd",       "scaleIO", "storageos",  "csi"};

	if (is_present(json_get(volume, "secret")))
		return true;
	json_for_each_item (source, json_path(volume, "projected", "sources"))
		if (is_present(json_get(source, "secret")))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (is_present(json_path(volume, sources[i], "secretRef")) ||
		    is_present(json_path(volume, sources[i], "secretName")) ||
		    is_present(json_path(volume, sources[i], "nodePublishSecretRef")))
			return true;
	return false;
}

static bool names_secrets(const struct json *spec)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

	if (length_of(json_get(spec, "imagePullSecrets")))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(spec, lists[i])) {
			json_for_each_item (from, json_get(container, "envFrom"))
				if (is_present(json_get(from, "secretRef")))
					return true;
			json_for_each_item (env, json_get(container, "env"))
				if (is_present(json_path(env, "valueFrom", "secretKeyRef")))
					return true;
		}
	json_for_each_item (volume, json_get(spec, "volumes"))
		if (has_secret_volume(volume))
			return true;
	return false;
}

static const struct status *check_mirror(const struct change *change)
{
	const struct json *spec = json_get(change->object, "spec");

	if (text_of(spec, "serviceAccountName")[0])
		return admission_forbid(change, "a mirror pod may not reference service accounts");
	if (names_secrets(spec))
		return admission_forbid(change, "a mirror pod may not reference secrets");
	json_for_each_item (volume, json_get(spec, "volumes"))
		json_for_each_item (source, json_path(volume, "projected", "sources"))
			if (is_present(json_get(source, "serviceAccountToken")))
				return admission_forbid(
				        change, "a mirror pod may not use ServiceAccountToken volume projections");
	return NULL;
}

static bool refers_to(const struct json *account, const char *list, const char *secret)
{
	json_for_each_item (held, json_get(account, list))
		if (!strcmp(text_of(held, "name"), secret))
			return true;
	return false;
}

static const struct status *check_environment(const struct change *change, const struct json *account, const char *list,
                                              const char *prefix)
{
	const char *who = text_of(json_get(account, "metadata"), "name");

	json_for_each_item (container, json_path(change->object, "spec", list)) {
		const char *name = text_of(container, "name");

		json_for_each_item (env, json_get(container, "env")) {
			const struct json *key = json_path(env, "valueFrom", "secretKeyRef");

			if (is_present(key) && !refers_to(account, "secrets", text_of(key, "name")))
				return admission_forbid(change,
				                        "%s %s with envVar %s referencing secret.secretName=\"%s\" is "
				                        "not allowed because service account %s does not reference "
				                        "that secret",
				                        prefix, name, text_of(env, "name"), text_of(key, "name"), who);
		}
		json_for_each_item (from, json_get(container, "envFrom")) {
			const struct json *secret = json_get(from, "secretRef");

			if (is_present(secret) && !refers_to(account, "secrets", text_of(secret, "name")))
				return admission_forbid(change,
				                        "%s %s with envFrom referencing secret.secretName=\"%s\" is "
				                        "not allowed because service account %s does not reference "
				                        "that secret",
				                        prefix, name, text_of(secret, "name"), who);
		}
	}
	return NULL;
}

static const struct status *check_mountable(const struct change *change, const struct json *account)
{
	static const char *const lists[][2] = {{"initContainers", "init container"}, {"containers", "container"}};
	const char *who = text_of(json_get(account, "metadata"), "name");
	const struct json *spec = json_get(change->object, "spec");
	const struct status *status = NULL;

	json_for_each_item (volume, json_get(spec, "volumes")) {
		const char *name = json_get_text(json_get(volume, "secret"), "secretName");

		if (name && !refers_to(account, "secrets", name))
			return admission_forbid(change,
			                        "volume with secret.secretName=\"%s\" is not allowed because service "
			                        "account %s does not reference that secret",
			                        name, who);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists) && !status; i++)
		status = check_environment(change, account, lists[i][0], lists[i][1]);
	json_for_each_item (secret, json_get(spec, "imagePullSecrets"))
		if (!status && !refers_to(account, "imagePullSecrets", text_of(secret, "name")))
			status = admission_forbid(change,
			                          "imagePullSecrets[].name=\"%s\" is not allowed because service "
			                          "account %s does not reference that imagePullSecret",
			                          text_of(secret, "name"), who);
	return status;
}

const struct status *admission_service_account_validate(struct change *change, enum admission_operation operation)
{
	bool ephemeral = operation == ADMISSION_UPDATE && !strcmp(change->subresource, "ephemeralcontainers");
	const char *enforce;
	struct json *account;

	if (!change_is_for(change, "", "pods") || (operation == ADMISSION_CREATE ? change->subresource[0] : !ephemeral))
		return NULL;
	if (!ephemeral && is_mirror(change))
		return check_mirror(change);
	account = find_account(change);
	if (!account)
		return NULL; // it was there a moment ago, or the start would have refused
	enforce = metadata_annotation(account, ENFORCE_ANNOTATION);
	if (!enforce || strcmp(enforce, "true"))
		return NULL;
	return ephemeral ? check_environment(change, account, "ephemeralContainers", "ephemeral container")
	                 : check_mountable(change, account);
}
