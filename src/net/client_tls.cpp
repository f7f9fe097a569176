#include "net/client_tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

namespace nuraghe::net {

namespace {

void set_blob(CURL* easy, CURLoption option, const std::string& text) {
  curl_blob blob{};
  // libcurl only reads it, and it lives as long as the transfer.
  blob.data = const_cast<char*>(text.data());
  blob.len = text.size();
  blob.flags = CURL_BLOB_NOCOPY;
  curl_easy_setopt(easy, option, &blob);
}

// Tells the server whom we trust (RFC 8446 §4.2.4), so that one with several certificates shows that one.
bool name_trusted(SSL_CTX* context, const std::string& roots) {
  STACK_OF(X509_NAME)* names = sk_X509_NAME_new_null();
  if (names == nullptr) return false;
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size())),
                                                      BIO_free);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_NAME* name = X509_NAME_dup(X509_get_subject_name(one));
    X509_free(one);
    if (name != nullptr && sk_X509_NAME_push(names, name) == 0) X509_NAME_free(name);
  }
  ERR_clear_error();  // that of the text's end
  SSL_CTX_set0_CA_list(context, names);
  return true;
}

// What libcurl has no option for: the name that the other side's certificate must have, when that is not the address's,
// and whom we trust.
CURLcode set_up_context(CURL* /*easy*/, void* context, void* user) {
  const auto& peer = *static_cast<const TlsPeer*>(user);
  if (peer.credentials && !peer.credentials->trusted.empty() &&
      !name_trusted(static_cast<SSL_CTX*>(context), peer.credentials->trusted))
    return CURLE_OUT_OF_MEMORY;
  if (peer.expected_name.empty()) return CURLE_OK;
  X509_VERIFY_PARAM* parameters = SSL_CTX_get0_param(static_cast<SSL_CTX*>(context));
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS);
  const bool is_set =
      X509_VERIFY_PARAM_set1_host(parameters, peer.expected_name.data(), peer.expected_name.size()) == 1;
  return is_set ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

constexpr const char* kSiteRemedy =
    "name the site's with --ca-file (the file ca/trusted.pem of nuraghed's state folder), or join anew";

std::string verification_reason(long result, const TlsPeer& peer) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate has expired: renew it there, and compare both machines' clocks";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate is not valid yet: compare both machines' clocks";
    case X509_V_ERR_HOSTNAME_MISMATCH:
      return "its certificate is another machine's: something else answers at this address";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return fmt::format("its certificate was made by a CA that is not trusted here: {}",
                         peer.remedy.empty() ? kSiteRemedy : peer.remedy);
    default:
      return fmt::format("its certificate cannot be trusted: {}", X509_verify_cert_error_string(result));
  }
}

}  // namespace

void set_up_tls(CURL* easy, const TlsPeer& peer) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  if (peer.is_unchecked) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    return;
  }
  if (!peer.expected_name.empty()) curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, set_up_context);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &peer);
  if (!peer.credentials) return;
  if (!peer.credentials->trusted.empty()) {
    set_blob(easy, CURLOPT_CAINFO_BLOB, peer.credentials->trusted);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (peer.credentials->certificates.empty()) return;
  set_blob(easy, CURLOPT_SSLCERT_BLOB, peer.credentials->certificates);
  set_blob(easy, CURLOPT_SSLKEY_BLOB, peer.credentials->key);
}

std::string tls_reason(CURL* easy, CURLcode code, const std::string& detail, const TlsPeer& peer) {
  const auto says = [&](const char* words) { return detail.find(words) != std::string::npos; };
  if (says("alert certificate expired")) return "the other side says that our certificate has expired";
  if (says("alert unknown ca") || says("alert bad certificate") || says("alert certificate unknown"))
    return "the other side does not know the CA of our certificate: join anew (docs/tls.md)";
  if (says("alert certificate required") || says("alert handshake failure"))
    return "the other side wants a certificate of its site, which we have not: join the site (docs/tls.md)";
  if (says("wrong version number") || says("record layer failure"))
    return "what answers there does not speak TLS: is it an address without TLS (http://)?";
  if (code != CURLE_PEER_FAILED_VERIFICATION) return {};
  long result = X509_V_OK;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
  // libcurl compares the name in the address by itself, after the library found the certificate good.
  if (result != X509_V_OK && !says("subject name")) return verification_reason(result, peer);
  return fmt::format(
      "its certificate does not name this address: use a name or address that it holds, or have it made {} ({})",
      peer.remedy.empty() ? "with nuraghed --server-name" : "with this one", detail);
}

}  // namespace nuraghe::net
