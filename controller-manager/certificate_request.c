// SPDX-License-Identifier: Apache-2.0
//
// What a certificate says comes from three places: subject and names from the
// request, usages from the spec, everything else from here. Extensions that a
// request carries beside its names are never taken over.
#include "controller-manager/certificate_request.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/base/text.h"
#include "common/io/tls.h"

#define NODES_GROUP "system:nodes"
#define NODE_PREFIX "system:node:"

enum { BACKDATE_SECONDS = 300, SERIAL_BYTES = 16 };

// --- the CA ---------------------------------------------------------------------------

int certificate_ca_load(const char *certificate_file, const char *key_file, struct certificate_ca *ret_ca,
                        struct err *err)
{
	BIO *certificate = BIO_new_file(certificate_file, "r"), *key = BIO_new_file(key_file, "r");
	struct certificate_ca ca = {
	        .certificate = certificate ? PEM_read_bio_X509(certificate, NULL, NULL, NULL) : NULL,
	        .key = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL,
	};
	BIO_free(certificate);
	BIO_free(key);
	if (!ca.certificate || !ca.key || X509_check_private_key(ca.certificate, ca.key) != 1) {
		certificate_ca_done(&ca);
		return err_set_tls(err, "unable to load the CA %s with its key %s", certificate_file, key_file);
	}
	ERR_clear_error();
	*ret_ca = ca;
	return 0;
}

void certificate_ca_done(struct certificate_ca *ca)
{
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	*ca = (struct certificate_ca){0};
}

// --- reading a request ------------------------------------------------------------------

X509_REQ *certificate_request_read(const struct certificates_v1_certificate_signing_request_spec *spec)
{
	BIO *bio = BIO_new_mem_buf(spec->request.data, (int)spec->request.length);
	X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	if (request && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1) {
		X509_REQ_free(request);
		request = NULL;
	}
	ERR_clear_error();
	return request;
}

// Exactly one value of this kind in the subject; the caller frees it.
static char *only_value(X509_REQ *request, int nid)
{
	X509_NAME *subject = X509_REQ_get_subject_name(request);
	int index = X509_NAME_get_index_by_NID(subject, nid, -1);
	unsigned char *text = NULL;
	if (index < 0 || X509_NAME_get_index_by_NID(subject, nid, index) >= 0)
		return NULL;
	int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
	char *value = length > 0 && !memchr(text, '\0', (size_t)length) ? xstrndup((char *)text, (size_t)length) : NULL;
	OPENSSL_free(text);
	return value;
}

struct names {
	size_t dns, ip, email, uri, other;
};

static struct names count_names(X509_REQ *request)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	GENERAL_NAMES *list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	struct names names = {0};
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		size_t *counts[] = {[GEN_DNS] = &names.dns,
		                    [GEN_IPADD] = &names.ip,
		                    [GEN_EMAIL] = &names.email,
		                    [GEN_URI] = &names.uri};
		int type = sk_GENERAL_NAME_value(list, i)->type;
		if (type >= 0 && (size_t)type < ARRAY_SIZE(counts) && counts[type])
			(*counts[type])++;
		else
			names.other++;
	}
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return names;
}

static bool has_usage(const struct certificates_v1_certificate_signing_request_spec *spec, const char *usage)
{
	for (size_t i = 0; i < spec->usages.count; i++)
		if (strcmp(spec->usages.items[i], usage) == 0)
			return true;
	return false;
}

// All of `needed`, and nothing besides but key encipherment.
static bool usages_are(const struct certificates_v1_certificate_signing_request_spec *spec, const char *needed)
{
	if (!has_usage(spec, "digital signature") || !has_usage(spec, needed))
		return false;
	for (size_t i = 0; i < spec->usages.count; i++)
		if (strcmp(spec->usages.items[i], "digital signature") != 0 &&
		    strcmp(spec->usages.items[i], "key encipherment") != 0 &&
		    strcmp(spec->usages.items[i], needed) != 0)
			return false;
	return true;
}

static bool is_node_subject(X509_REQ *request)
{
	AUTO_FREE char *name = only_value(request, NID_commonName);
	AUTO_FREE char *organization = only_value(request, NID_organizationName);
	return name && organization && strcmp(organization, NODES_GROUP) == 0 &&
	       strncmp(name, NODE_PREFIX, strlen(NODE_PREFIX)) == 0;
}

// Why it isn't a kubelet's client certificate; NULL when it is.
static const char *client_fault(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request)
{
	struct names names = count_names(request);
	if (!is_node_subject(request))
		return "subject organization is not system:nodes or subject common name does not begin with "
		       "system:node:";
	if (names.dns || names.ip || names.email || names.uri || names.other)
		return "subjectAltNames are not allowed";
	if (!usages_are(spec, "client auth"))
		return "usages did not match [digital signature client auth]";
	return NULL;
}

static const char *serving_fault(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request)
{
	struct names names = count_names(request);
	if (!is_node_subject(request))
		return "subject organization is not system:nodes or subject common name does not begin with "
		       "system:node:";
	if (!names.dns && !names.ip)
		return "DNS or IP subjectAltName is required";
	if (names.email || names.other)
		return "email subjectAltNames are not allowed";
	if (names.uri)
		return "URI subjectAltNames are not allowed";
	if (!usages_are(spec, "server auth"))
		return "usages did not match [digital signature server auth]";
	return NULL;
}

static const char *api_client_fault(const struct certificates_v1_certificate_signing_request_spec *spec,
                                    X509_REQ *request UNUSED)
{
	return usages_are(spec, "client auth") ? NULL : "usages did not match [digital signature client auth]";
}

static const char *no_fault(const struct certificates_v1_certificate_signing_request_spec *spec UNUSED,
                            X509_REQ *request UNUSED)
{
	return NULL;
}

static const struct {
	const char *signer;
	const char *(*fault)(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request);
} signers[] = {
        {SIGNER_API_CLIENT, api_client_fault},
        {SIGNER_KUBELET_CLIENT, client_fault},
        {SIGNER_KUBELET_SERVING, serving_fault},
        {SIGNER_LEGACY, no_fault},
};

bool certificate_request_is_node_client(const struct certificates_v1_certificate_signing_request_spec *spec,
                                        X509_REQ *request)
{
	return text_equal(spec->signer_name, SIGNER_KUBELET_CLIENT) && !client_fault(spec, request);
}

bool certificate_request_is_own(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request)
{
	AUTO_FREE char *name = only_value(request, NID_commonName);
	return name && text_equal(spec->username, name) && certificate_request_is_node_client(spec, request);
}

int certificate_request_check(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request,
                              struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(signers); i++) {
		if (!text_equal(spec->signer_name, signers[i].signer))
			continue;
		const char *fault = signers[i].fault(spec, request);
		return fault ? err_set(err, ERR_INVALID, "invalid certificate signing request: %s", fault) : 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no such signer");
}

// --- signing ---------------------------------------------------------------------------------

static const struct {
	const char *usage;
	const char *key_usage;          // of the keyUsage extension, or:
	const char *extended_key_usage; // of the extKeyUsage extension
} usages[] = {
        {"any", NULL, "2.5.29.37.0"},
        {"cert sign", "keyCertSign", NULL},
        {"client auth", NULL, "clientAuth"},
        {"code signing", NULL, "codeSigning"},
        {"content commitment", "nonRepudiation", NULL},
        {"crl sign", "cRLSign", NULL},
        {"data encipherment", "dataEncipherment", NULL},
        {"decipher only", "decipherOnly", NULL},
        {"digital signature", "digitalSignature", NULL},
        {"email protection", NULL, "emailProtection"},
        {"encipher only", "encipherOnly", NULL},
        {"ipsec end system", NULL, "1.3.6.1.5.5.7.3.5"},
        {"ipsec tunnel", NULL, "1.3.6.1.5.5.7.3.6"},
        {"ipsec user", NULL, "1.3.6.1.5.5.7.3.7"},
        {"key agreement", "keyAgreement", NULL},
        {"key encipherment", "keyEncipherment", NULL},
        {"microsoft sgc", NULL, "msSGC"},
        {"netscape sgc", NULL, "nsSGC"},
        {"ocsp signing", NULL, "OCSPSigning"},
        {"s/mime", NULL, "emailProtection"},
        {"server auth", NULL, "serverAuth"},
        {"signing", "digitalSignature", NULL},
        {"timestamping", NULL, "timeStamping"},
};

static bool add_extension(X509 *certificate, const struct certificate_ca *ca, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, ca->certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool added = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

static bool add_usages(X509 *certificate, const struct certificate_ca *ca,
                       const struct certificates_v1_certificate_signing_request_spec *spec)
{
	AUTO_STRBUF struct strbuf key = STRBUF_INIT(1024), extended = STRBUF_INIT(1024);
	for (size_t i = 0; i < ARRAY_SIZE(usages); i++) {
		struct strbuf *out = usages[i].key_usage ? &key : &extended;
		if (has_usage(spec, usages[i].usage))
			strbuf_printf(out, "%s%s", out->length ? "," : "critical,",
			              usages[i].key_usage ? usages[i].key_usage : usages[i].extended_key_usage);
	}
	// Only key usage is critical.
	const char *plain = extended.length ? strbuf_text(&extended) + strlen("critical,") : "";
	return (!key.length || add_extension(certificate, ca, NID_key_usage, strbuf_text(&key))) &&
	       (!*plain || add_extension(certificate, ca, NID_ext_key_usage, plain)) &&
	       add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE");
}

static bool add_names(X509 *certificate, X509_REQ *request)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	int index = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1);
	bool added = index < 0 || X509_add_ext(certificate, X509v3_get_ext(extensions, index), -1) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return added;
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return set;
}

static bool set_times(X509 *certificate, const struct certificate_ca *ca, int64_t now, int64_t seconds)
{
	const ASN1_TIME *last = X509_get0_notAfter(ca->certificate);
	if (!ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(now - BACKDATE_SECONDS)) ||
	    !ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(now + seconds)))
		return false;
	return ASN1_TIME_compare(X509_get0_notAfter(certificate), last) <= 0 ||
	       X509_set1_notAfter(certificate, last) == 1;
}

static char *to_pem(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem = NULL;
	if (bio && PEM_write_bio_X509(bio, certificate) == 1) {
		long length = BIO_get_mem_data(bio, &data);
		pem = xstrndup(data, (size_t)length);
	}
	BIO_free(bio);
	return pem;
}

char *certificate_request_sign(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request,
                               const struct certificate_ca *ca, int64_t now_seconds, int64_t seconds, struct err *err)
{
	X509 *certificate = X509_new();
	char *pem = NULL;
	if (certificate && X509_set_version(certificate, 2) == 1 && set_serial(certificate) &&
	    X509_set_subject_name(certificate, X509_REQ_get_subject_name(request)) == 1 &&
	    X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate)) == 1 &&
	    X509_set_pubkey(certificate, X509_REQ_get0_pubkey(request)) == 1 &&
	    set_times(certificate, ca, now_seconds, seconds) && add_usages(certificate, ca, spec) &&
	    add_extension(certificate, ca, NID_authority_key_identifier, "keyid") && add_names(certificate, request) &&
	    X509_sign(certificate, ca->key, EVP_sha256()) > 0)
		pem = to_pem(certificate);
	X509_free(certificate);
	if (!pem)
		err_set_tls(err, "unable to sign the certificate");
	ERR_clear_error();
	return pem;
}
