// SPDX-License-Identifier: Apache-2.0
//
// The three controllers of CertificateSigningRequests:
//
//   approving  a kubelet's own client certificate, when a SubjectAccessReview lets
//              the requester have it (…/selfnodeclient, …/nodeclient)
//   signing    what is approved, by the CA of --cluster-signing-cert-file
//   cleaning   what is decided and an hour old, undecided and a day old, or expired
//
// Keys are names of requests. Whether one is to be worked on is read from the
// store; what is written is the object as the server has it at that moment.
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "api/certificates_v1.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/io/loop.h"
#include "controller-manager/certificate_request.h"
#include "controller-manager/controllers.h"
#include "controller-manager/object_update.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)

enum { MIN_CERTIFICATE_SECONDS = 600 };

struct certificates {
	struct informer *requests;
	struct certificate_ca ca;
	bool has_ca;
};

static void on_request(struct controller *controller, struct api_object *old_object UNUSED,
                       struct api_object *new_object)
{
	if (new_object)
		controller_enqueue(controller, new_object->key);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct certificates *state = NEW(struct certificates);
	controller_set_state(controller, state);
	state->requests =
	        controller_watch(controller, &schema_resource_certificates_v1_certificatesigningrequests, on_request);
	return 0;
}

static void stop(struct controller *controller)
{
	struct certificates *state = controller_state(controller);
	certificate_ca_done(&state->ca);
	free(state);
}

static const struct certificates_v1_certificate_signing_request_condition *
find_condition(const struct certificates_v1_certificate_signing_request *request, const char *type)
{
	for (size_t i = 0; i < request->status.conditions.count; i++)
		if (text_equal(request->status.conditions.items[i].type, type) &&
		    !text_equal(request->status.conditions.items[i].status, "False"))
			return &request->status.conditions.items[i];
	return NULL;
}

static bool has_certificate(const struct certificates_v1_certificate_signing_request *request)
{
	return request->status.certificate.length > 0;
}

static void add_condition(struct arena *arena, struct json *object, const char *type, const char *reason,
                          const char *message)
{
	struct json *conditions = json_ensure_array(arena, json_ensure_object(arena, object, "status"), "conditions");
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", type);
	json_set_text(arena, condition, "status", "True");
	json_set_text(arena, condition, "reason", reason);
	json_set_text(arena, condition, "message", message);
	json_append(arena, conditions, condition);
}

// --- approving --------------------------------------------------------------------------

struct approval {
	struct api_object *object;
	bool own;
	bool tried_any; // the wider permission has been asked for
};

static void ask_permission(struct reconcile *reconcile, struct approval *approval);

static bool approve(void *context, struct arena *arena, struct json *object)
{
	const struct approval *approval = context;
	add_condition(arena, object, "Approved", "AutoApproved",
	              approval->own && !approval->tried_any
	                      ? "Auto approving self kubelet client certificate after SubjectAccessReview."
	                      : "Auto approving kubelet client certificate after SubjectAccessReview.");
	return true;
}

static void on_review(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct approval *approval = context;
	if (response->err.code != ERR_NONE) {
		reconcile_retry(reconcile, &response->err);
	} else if (json_get_bool(json_get(response->object, "status"), "allowed", false)) {
		reconcile_update(reconcile, &schema_resource_certificates_v1_certificatesigningrequests, NULL,
		                 approval->object->name, "approval", approve, approval);
	} else if (approval->own && !approval->tried_any) {
		approval->tried_any = true;
		ask_permission(reconcile, approval);
	} else {
		log_v(4, "Not approved: the requester may not have such a certificate",
		      kv_str("csr", approval->object->name));
	}
}

static struct json *review_of(struct arena *arena, const struct certificates_v1_certificate_signing_request *request,
                              const char *subresource)
{
	const struct certificates_v1_certificate_signing_request_spec *spec = &request->spec;
	struct json *review = json_object(arena), *body = json_object(arena), *attributes = json_object(arena),
	            *groups = json_array(arena), *extra = json_object(arena);
	for (size_t i = 0; i < spec->groups.count; i++)
		json_append(arena, groups, json_string(arena, spec->groups.items[i]));
	for (size_t i = 0; i < spec->extra.count; i++) {
		struct json *values = json_array(arena);
		for (size_t v = 0; v < spec->extra.entries[i].value.count; v++)
			json_append(arena, values, json_string(arena, spec->extra.entries[i].value.items[v]));
		json_set(arena, extra, spec->extra.entries[i].key, values);
	}
	json_set_text(arena, attributes, "group", "certificates.k8s.io");
	json_set_text(arena, attributes, "resource", "certificatesigningrequests");
	json_set_text(arena, attributes, "verb", "create");
	json_set_text(arena, attributes, "version", "*");
	json_set_text(arena, attributes, "subresource", subresource);
	json_set_text(arena, body, "user", text_or_empty(spec->username));
	json_set_text(arena, body, "uid", text_or_empty(spec->uid));
	json_set(arena, body, "groups", groups);
	json_set(arena, body, "extra", extra);
	json_set(arena, body, "resourceAttributes", attributes);
	json_set_text(arena, review, "apiVersion", "authorization.k8s.io/v1");
	json_set_text(arena, review, "kind", "SubjectAccessReview");
	json_set(arena, review, "spec", body);
	return review;
}

static void ask_permission(struct reconcile *reconcile, struct approval *approval)
{
	const char *subresource = approval->own && !approval->tried_any ? "selfnodeclient" : "nodeclient";
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(1 << 20);
	json_write(&body, review_of(reconcile_arena(reconcile), approval->object->view, subresource));
	struct rest_request request = {
	        .method = "POST",
	        .path = "/apis/authorization.k8s.io/v1/subjectaccessreviews",
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, on_review, approval);
}

static void reconcile_approval(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct certificates *state = controller_state(controller);
	struct api_object *object = informer_get(state->requests, NULL, key);
	const struct certificates_v1_certificate_signing_request *request = object ? object->view : NULL;
	if (!request || has_certificate(request) || find_condition(request, "Approved") ||
	    find_condition(request, "Denied") || !text_equal(request->spec.signer_name, SIGNER_KUBELET_CLIENT))
		return;
	X509_REQ *asked = certificate_request_read(&request->spec);
	if (asked && certificate_request_is_node_client(&request->spec, asked)) {
		struct approval *approval = ARENA_NEW(reconcile_arena(reconcile), struct approval);
		approval->object = reconcile_keep(reconcile, object);
		approval->own = certificate_request_is_own(&request->spec, asked);
		ask_permission(reconcile, approval);
	}
	X509_REQ_free(asked);
}

const struct controller_type certificate_approving_controller = {
        .name = "certificatesigningrequest-approving-controller",
        .start = start,
        .reconcile = reconcile_approval,
        .stop = stop,
};

// --- signing ------------------------------------------------------------------------------

struct signature {
	char *certificate; // in the key's arena; NULL: refused
	const char *message;
};

static bool put_signature(void *context, struct arena *arena, struct json *object)
{
	const struct signature *signature = context;
	if (!signature->certificate) {
		add_condition(arena, object, "Failed", "SignerValidationFailure", signature->message);
		return true;
	}
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(1 << 20);
	base64_encode(&encoded, signature->certificate, strlen(signature->certificate));
	json_set_text(arena, json_ensure_object(arena, object, "status"), "certificate", strbuf_text(&encoded));
	return true;
}

static int64_t seconds_of(const struct controller *controller,
                          const struct certificates_v1_certificate_signing_request *request)
{
	int64_t seconds = controller_settings(controller)->signing_duration_ns / NSEC_PER_SEC;
	const int32_t *wanted = request->spec.expiration_seconds;
	if (!wanted || *wanted >= seconds)
		return seconds;
	return *wanted < MIN_CERTIFICATE_SECONDS ? MIN_CERTIFICATE_SECONDS : *wanted;
}

static void sign(struct controller *controller, struct reconcile *reconcile,
                 const struct certificates_v1_certificate_signing_request *request, const char *key)
{
	struct certificates *state = controller_state(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct signature *signature = ARENA_NEW(arena, struct signature);
	X509_REQ *asked = certificate_request_read(&request->spec);
	struct err err = ERR_INIT;
	int result = asked ? certificate_request_check(&request->spec, asked, &err)
	                   : err_set(&err, ERR_INVALID, "unable to parse the certificate signing request");
	if (result == -ERR_NOT_FOUND) { // somebody else's signer
		X509_REQ_free(asked);
		return;
	}
	if (result == 0) {
		AUTO_FREE char *pem = certificate_request_sign(
		        &request->spec, asked, &state->ca, loop_realtime_ns(controller_loop(controller)) / NSEC_PER_SEC,
		        seconds_of(controller, request), &err);
		signature->certificate = arena_strdup(arena, pem);
		result = pem ? 0 : -ERR_IO;
	}
	X509_REQ_free(asked);
	signature->message = arena_strdup(arena, err.message);
	if (result == 0 || result == -ERR_INVALID)
		reconcile_update(reconcile, &schema_resource_certificates_v1_certificatesigningrequests, NULL, key,
		                 "status", put_signature, signature);
	else
		reconcile_retry(reconcile, &err);
}

static void reconcile_signing(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct certificates *state = controller_state(controller);
	struct api_object *object = informer_get(state->requests, NULL, key);
	const struct certificates_v1_certificate_signing_request *request = object ? object->view : NULL;
	if (request && state->has_ca && !has_certificate(request) && find_condition(request, "Approved") &&
	    !find_condition(request, "Denied") && !find_condition(request, "Failed"))
		sign(controller, reconcile, request, key);
}

static int start_signing(struct controller *controller, struct err *err)
{
	const struct controller_settings *settings = controller_settings(controller);
	int result = start(controller, err);
	struct certificates *state = controller_state(controller);
	if (result < 0 || !*settings->signing_certificate_file || !*settings->signing_key_file)
		return result;
	result = certificate_ca_load(settings->signing_certificate_file, settings->signing_key_file, &state->ca, err);
	state->has_ca = result == 0;
	return result;
}

const struct controller_type certificate_signing_controller = {
        .name = "certificatesigningrequest-signing-controller",
        .start = start_signing,
        .reconcile = reconcile_signing,
        .stop = stop,
};

// --- cleaning -----------------------------------------------------------------------------

static bool parse_end(const struct bytes *pem, int64_t *ret_ns)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->length);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	struct tm end;
	bool parsed = certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1;
	if (parsed)
		*ret_ns = (int64_t)timegm(&end) * NSEC_PER_SEC;
	X509_free(certificate);
	BIO_free(bio);
	return parsed;
}

static int64_t time_of(const char *text, int64_t fallback)
{
	int64_t when;
	return text && api_time_parse(text, &when) ? when : fallback;
}

// When this request is of no more use.
static int64_t end_of_use(const struct certificates_v1_certificate_signing_request *request)
{
	static const char *const decided[] = {"Approved", "Denied", "Failed"};
	int64_t created = time_of(request->metadata.creation_timestamp, 0), end = created + 24 * HOUR_NS, expires;
	for (size_t i = 0; i < ARRAY_SIZE(decided); i++) {
		const struct certificates_v1_certificate_signing_request_condition *condition =
		        find_condition(request, decided[i]);
		bool waits = i == 0 && !has_certificate(request);
		if (condition && !waits)
			end = time_of(condition->last_update_time, created) + HOUR_NS;
	}
	if (has_certificate(request) && parse_end(&request->status.certificate, &expires) && expires < end)
		end = expires;
	return end;
}

static void reconcile_cleaning(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct certificates *state = controller_state(controller);
	struct api_object *object = informer_get(state->requests, NULL, key);
	if (!object)
		return;
	int64_t left = end_of_use(object->view) - loop_realtime_ns(controller_loop(controller));
	if (left > 0)
		reconcile_again_after(reconcile, left);
	else
		reconcile_delete(reconcile, object, NULL, NULL);
}

const struct controller_type certificate_cleaner_controller = {
        .name = "certificatesigningrequest-cleaner-controller",
        .start = start,
        .reconcile = reconcile_cleaning,
        .stop = stop,
};
