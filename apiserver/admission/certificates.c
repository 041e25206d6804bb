// SPDX-License-Identifier: Apache-2.0
// Who may approve and sign certificate requests, and the one subject that no
// request may ask for by itself: membership of the group that may do everything.

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "apiserver/admission/certificate_request.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authentication/user.h"
#include "apiserver/validation/validation.h"
#include "common/base/encode.h"

#define CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

// --- requests in DER ----------------------------------------------------------------------

static X509_REQ *read_request(struct arena *arena, const struct json *object)
{
	const char *text = text_of(json_get(object, "spec"), "request");
	size_t length = 0;
	uint8_t *data = NULL;
	X509_REQ *request = NULL;
	BIO *bio;

	if (!base64_decode(arena, text, strlen(text), &data, &length))
		return NULL;
	bio = BIO_new_mem_buf(data, (int)length);
	if (bio)
		request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return request;
}

static const char *entry_text(struct arena *arena, X509_NAME_ENTRY *entry)
{
	unsigned char *text = NULL;
	int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
	const char *copy = length >= 0 ? arena_strndup(arena, (const char *)text, (size_t)length) : "";

	OPENSSL_free(text);
	return copy;
}

bool certificate_request_subject(struct arena *arena, const struct json *object,
                                 struct certificate_subject *ret_subject)
{
	X509_REQ *request = read_request(arena, object);
	X509_NAME *name = request ? X509_REQ_get_subject_name(request) : NULL;
	int count = name ? X509_NAME_entry_count(name) : 0;

	*ret_subject = (struct certificate_subject){
	        .common_name = "", .organizations = ARENA_ARRAY(arena, const char *, (size_t)count + 1)};
	for (int i = 0; i < count; i++) {
		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));

		if (nid == NID_commonName)
			ret_subject->common_name = entry_text(arena, entry);
		else if (nid == NID_organizationName)
			ret_subject->organizations[ret_subject->organization_count++] = entry_text(arena, entry);
	}
	X509_REQ_free(request);
	return request != NULL;
}

// --- the plug-ins -------------------------------------------------------------------------

static bool is_request(const struct change *change, const char *subresource)
{
	return change_is_for(change, "certificates.k8s.io", "certificatesigningrequests") &&
	       !strcmp(change->subresource, subresource);
}

static const char *signer_of(const struct json *object)
{
	return text_of(json_get(object, "spec"), "signerName");
}

// On the signer itself, or on all of its domain ("example.com/*").
static bool may_with_signer(const struct change *change, const char *verb)
{
	const char *signer = signer_of(change->old), *slash = strchr(signer, '/');

	if (admission_user_may(change, verb, "certificates.k8s.io", "signers", "", "", signer))
		return true;
	return slash && admission_user_may(change, verb, "certificates.k8s.io", "signers", "", "",
	                                   arena_printf(change->arena, "%.*s/*", (int)(slash - signer), signer));
}

const struct status *admission_certificate_approval(struct change *change, enum admission_operation operation)
{
	(void)operation;
	if (!is_request(change, "approval") || may_with_signer(change, "approve"))
		return NULL;
	return admission_forbid(change, "user not permitted to approve requests with signerName \"%s\"",
	                        signer_of(change->old));
}

static bool has_failed(const struct json *object)
{
	json_for_each_item (condition, json_path(object, "status", "conditions"))
		if (!strcmp(text_of(condition, "type"), "Failed"))
			return true;
	return false;
}

const struct status *admission_certificate_signing(struct change *change, enum admission_operation operation)
{
	const char *now, *before;

	(void)operation;
	if (!is_request(change, "status"))
		return NULL;
	now = text_of(json_get(change->object, "status"), "certificate");
	before = text_of(json_get(change->old, "status"), "certificate");
	if (!strcmp(now, before) && (!has_failed(change->object) || has_failed(change->old)))
		return NULL;
	if (may_with_signer(change, "sign"))
		return NULL;
	return admission_forbid(change, "user not permitted to sign requests with signerName \"%s\"",
	                        signer_of(change->old));
}

const struct status *admission_certificate_subject(struct change *change, enum admission_operation operation)
{
	struct certificate_subject subject;

	(void)operation;
	if (!is_request(change, "") || strcmp(signer_of(change->object), CLIENT_SIGNER))
		return NULL;
	if (!certificate_request_subject(change->arena, change->object, &subject))
		return admission_forbid(change, "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST");
	for (size_t i = 0; i < subject.organization_count; i++)
		if (!strcmp(subject.organizations[i], GROUP_MASTERS))
			return admission_forbid(change, "use of %s signer with %s group is not allowed", CLIENT_SIGNER,
			                        GROUP_MASTERS);
	return NULL;
}
