// SPDX-License-Identifier: Apache-2.0
//
// What curl reports, in the words that people know from Kubernetes' own clients:
// those of Go's net and crypto packages.
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "common/io/http_client_internal.h"
#include "common/io/socket_address.h"

struct failure_text {
	CURLcode result;
	enum err_code code;
	const char *text; // NULL: curl's own
};

static const struct failure_text failure_texts[] = {
        {CURLE_GOT_NOTHING, ERR_IO, "EOF"},
        {CURLE_PARTIAL_FILE, ERR_IO, "unexpected EOF"},
        {CURLE_URL_MALFORMAT, ERR_BAD_REQUEST, NULL},
        {CURLE_UNSUPPORTED_PROTOCOL, ERR_BAD_REQUEST, "unsupported protocol scheme"},
        {CURLE_WEIRD_SERVER_REPLY, ERR_IO, "malformed HTTP response"},
        {CURLE_SSL_CERTPROBLEM, ERR_BAD_REQUEST, NULL},
        {CURLE_SSL_CACERT_BADFILE, ERR_BAD_REQUEST, NULL},
};

static const char *curl_words(const struct http_call *call, CURLcode result)
{
	return *call->curl_message ? call->curl_message : curl_easy_strerror(result);
}

static void describe_connect(const struct http_call *call, CURLcode result, struct err *err)
{
	long error_number = 0;
	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &error_number);
	if (result == CURLE_OPERATION_TIMEDOUT || error_number == ETIMEDOUT) {
		err_set(err, ERR_TIMEOUT, "dial tcp %s: i/o timeout", call->authority);
		return;
	}
	if (error_number)
		err_set_socket(err, (int)error_number, "dial tcp %s: connect", call->authority);
	else
		err_set(err, ERR_IO, "dial tcp %s: %s", call->authority, curl_words(call, result));
}

static void describe_certificate(const struct http_call *call, CURLcode result, struct err *err)
{
	long verify = X509_V_OK;
	const char *words = curl_words(call, result);
	curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	if (verify == X509_V_ERR_CERT_HAS_EXPIRED || verify == X509_V_ERR_CERT_NOT_YET_VALID)
		words = "x509: certificate has expired or is not yet valid";
	else if (verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	         verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	         verify == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || verify == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	         verify == X509_V_ERR_CERT_SIGNATURE_FAILURE)
		words = "x509: certificate signed by unknown authority";
	else if (verify != X509_V_OK)
		words = X509_verify_cert_error_string(verify);
	err_set(err, ERR_IO, "%s: tls: failed to verify certificate: %s", call->authority, words);
}

void http_call_describe_failure(const struct http_call *call, CURLcode result, struct err *err)
{
	long request_bytes = 0;
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	if (result == CURLE_COULDNT_CONNECT || (result == CURLE_OPERATION_TIMEDOUT && !request_bytes)) {
		describe_connect(call, result, err);
		return;
	}
	if (result == CURLE_COULDNT_RESOLVE_HOST) {
		const char *colon = strrchr(call->authority, ':');
		err_set(err, ERR_IO, "dial tcp: lookup %.*s: no such host",
		        colon ? (int)(colon - call->authority) : (int)strlen(call->authority), call->authority);
		return;
	}
	if (result == CURLE_OPERATION_TIMEDOUT) {
		err_set(err, ERR_TIMEOUT, "%s %s: context deadline exceeded", call->method, call->authority);
		return;
	}
	if (result == CURLE_PEER_FAILED_VERIFICATION) {
		describe_certificate(call, result, err);
		return;
	}
	const struct failure_text *row = failure_texts, *end = row + ARRAY_SIZE(failure_texts);
	while (row < end && row->result != result)
		row++;
	err_set(err, row < end ? row->code : ERR_IO, "%s %s: %s", call->method, call->authority,
	        row < end && row->text ? row->text : curl_words(call, result));
}
