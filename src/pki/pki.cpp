#include "pki/pki.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

#include <fmt/format.h>

namespace nuraghe::pki {

namespace {

constexpr std::string_view kDomain = "nuraghe.internal";
constexpr std::string_view kHostUri = "urn:nuraghe:host:";
constexpr std::string_view kServiceUri = "urn:nuraghe:service:";
constexpr std::string_view kControlUri = "urn:nuraghe:control";
constexpr std::size_t kSerialBytes = 16;
constexpr std::size_t kLongestCommonName = 64;  // RFC 5280 appendix A.1, ub-common-name

template <auto Free>
struct Closer {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Bio = std::unique_ptr<BIO, Closer<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Closer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Closer<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Closer<X509_REQ_free>>;
using Number = std::unique_ptr<BIGNUM, Closer<BN_free>>;

Error failed(const std::string& what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return internal(fmt::format("{}: {}", what, reason == nullptr ? "unknown reason" : reason));
}

Bio reader(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(std::max(size, 0L))};
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

Result<Key> read_key(const std::string& pem) {
  Key key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, nullptr, nullptr));
  if (!key) return invalid(failed("a private key cannot be read").message());
  return key;
}

Result<Certificate> read_certificate(const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, nullptr, nullptr));
  if (!certificate) return invalid(failed("a certificate cannot be read").message());
  return certificate;
}

// One whose signature is by its own key, of the kind that the site uses.
Result<Request> read_request(const std::string& pem) {
  Request request(PEM_read_bio_X509_REQ(reader(pem).get(), nullptr, nullptr, nullptr));
  if (!request) return invalid(failed("a certificate request cannot be read").message());
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    ERR_clear_error();
    return invalid("a certificate request is not signed by its own key");
  }
  std::array<char, 64> group{};
  std::size_t size = 0;
  const bool is_curve = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
                        EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
                        std::string_view(group.data(), size) == SN_X9_62_prime256v1;
  if (!is_curve) return invalid("the key of a certificate request is not of the kind EC P-256");
  return request;
}

Result<std::string> key_digest(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return failed("a public key cannot be encoded");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  const int done = EVP_Digest(der, static_cast<std::size_t>(size), digest.data(), &length, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (done != 1) return failed("a public key cannot be digested");
  return "sha256:" + hex(digest.data(), length);
}

Result<std::string> to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return failed("a certificate cannot be written");
  return text_of(bio);
}

Status add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  if (!added) return failed("an extension of a certificate cannot be made");
  return {};
}

Status add_name(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = a2i_GENERAL_NAME(nullptr, nullptr, nullptr, type, text.c_str(), 0);
  if (name == nullptr) return invalid(fmt::format("'{}' can be no name in a certificate", text));
  if (sk_GENERAL_NAME_push(names, name) > 0) return {};
  GENERAL_NAME_free(name);
  return failed("a name of a certificate cannot be stored");
}

// Names as values of their own, not as a text that a name could break out of.
Status add_names(X509* certificate, const Subject& subject) {
  const std::unique_ptr<GENERAL_NAMES, Closer<GENERAL_NAMES_free>> names(GENERAL_NAMES_new());
  TRY(add_name(names.get(), GEN_DNS, dns_name(subject.kind, subject.name)));
  TRY(add_name(names.get(), GEN_URI, uri(subject.kind, subject.name)));
  for (const std::string& more : subject.more_names) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(more.c_str());
    const bool is_address = address != nullptr;
    ASN1_OCTET_STRING_free(address);
    TRY(add_name(names.get(), is_address ? GEN_IPADD : GEN_DNS, more));
  }
  ERR_clear_error();
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return failed("the names of a certificate cannot be stored");
  return {};
}

Status set_serial(X509* certificate, const std::string& serial) {
  BIGNUM* number = nullptr;
  const int digits = BN_hex2bn(&number, serial.c_str());
  const Number owned(number);
  if (digits != static_cast<int>(serial.size()) || serial.empty()) return invalid("a serial number is hex digits");
  if (BN_to_ASN1_INTEGER(owned.get(), X509_get_serialNumber(certificate)) == nullptr)
    return failed("a serial number cannot be stored");
  return {};
}

Status set_validity(X509* certificate, Validity validity) {
  const std::time_t from = validity.from.micros / 1'000'000;
  const std::time_t until = validity.until.micros / 1'000'000;
  if (ASN1_TIME_adj(X509_getm_notBefore(certificate), from, 0, 0) == nullptr ||
      ASN1_TIME_adj(X509_getm_notAfter(certificate), until, 0, 0) == nullptr)
    return failed("the time of a certificate cannot be stored");
  return {};
}

Status set_common_name(X509_NAME* name, const std::string& text) {
  const std::string shown = text.substr(0, kLongestCommonName);
  const auto* bytes = reinterpret_cast<const unsigned char*>(shown.data());
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, bytes, static_cast<int>(shown.size()), -1, 0) !=
      1)
    return failed("the name of a certificate cannot be stored");
  return {};
}

TimePoint time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000};
}

std::string common_name(const X509* certificate) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
          static_cast<std::size_t>(ASN1_STRING_length(data))};
}

std::vector<std::string> uris_of(const X509* certificate) {
  std::vector<std::string> out;
  const std::unique_ptr<GENERAL_NAMES, Closer<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return out;
}

std::string serial_of(const X509* certificate) {
  const Number number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* text = number ? BN_bn2hex(number.get()) : nullptr;
  std::string out = text == nullptr ? "" : text;
  OPENSSL_free(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

Result<std::string> random_hex(std::size_t size) {
  std::string bytes(size, '\0');
  auto* raw = reinterpret_cast<unsigned char*>(bytes.data());
  if (RAND_bytes(raw, static_cast<int>(size)) != 1) return failed("no random bytes");
  raw[0] = static_cast<unsigned char>((raw[0] & 0x7FU) | 0x40U);  // positive and of one length
  return hex(raw, size);
}

}  // namespace

std::string dns_name(Kind kind, std::string_view name) {
  if (kind == Kind::kControl) return fmt::format("control.{}", kDomain);
  return fmt::format("{}.{}.{}", name, kind == Kind::kHost ? "host" : "service", kDomain);
}

std::string uri(Kind kind, std::string_view name) {
  if (kind == Kind::kControl) return std::string(kControlUri);
  return fmt::format("{}{}", kind == Kind::kHost ? kHostUri : kServiceUri, name);
}

std::string host_of_uri(std::string_view uri) {
  return uri.starts_with(kHostUri) ? std::string(uri.substr(kHostUri.size())) : std::string();
}

Result<std::string> make_key() {
  std::string curve = "P-256";  // the macro wants it writable
  const Key key(EVP_EC_gen(curve.data()));
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!key || PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed("a key cannot be made");
  return text_of(bio);
}

Result<std::string> make_request(const std::string& key) {
  TRY_ASSIGN(const Key own, read_key(key));
  const Request request(X509_REQ_new());
  const Bio bio(BIO_new(BIO_s_mem()));
  const bool made = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_pubkey(request.get(), own.get()) == 1 &&
                    X509_REQ_sign(request.get(), own.get(), EVP_sha256()) > 0 &&
                    PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1;
  if (!made) return failed("a certificate request cannot be made");
  return text_of(bio);
}

Result<std::string> key_of_request(const std::string& request) {
  TRY_ASSIGN(const Request read, read_request(request));
  return key_digest(X509_REQ_get0_pubkey(read.get()));
}

TimePoint renewal_due(Validity validity) {
  const TimePoint made = validity.from + kClockSlack;
  return made + (validity.until - made) * 2 / 3;
}

Result<std::string> make_serial() { return random_hex(kSerialBytes); }

Result<Authority> make_authority(const std::string& site, TimePoint now, Duration lifetime) {
  Authority out;
  TRY_ASSIGN(out.key, make_key());
  TRY_ASSIGN(const Key key, read_key(out.key));
  const Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1)
    return failed("a certificate cannot be made");
  TRY_ASSIGN(const std::string serial, make_serial());
  TRY(set_serial(certificate.get(), serial));
  TRY(set_validity(certificate.get(), {now, now + lifetime}));
  // Two roots of one site must not have one name: an issuer is looked up by it.
  TRY(set_common_name(X509_get_subject_name(certificate.get()), fmt::format("{} CA {}", site, serial.substr(0, 8))));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  X509_set_pubkey(certificate.get(), key.get());
  TRY(add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  TRY(add_extension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  TRY(add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return failed("a certificate cannot be signed");
  TRY_ASSIGN(out.certificate, to_pem(certificate.get()));
  return out;
}

Result<std::string> issue(const Authority& authority, const std::string& request, const Subject& subject,
                          const std::string& serial, Validity validity) {
  TRY_ASSIGN(const Certificate issuer, read_certificate(authority.certificate));
  TRY_ASSIGN(const Key issuer_key, read_key(authority.key));
  TRY_ASSIGN(const Request asked, read_request(request));
  validity.until = std::min(validity.until, time_of(X509_get0_notAfter(issuer.get())));
  if (validity.until <= validity.from) return conflict("the site's CA has expired: make another one (docs/tls.md)");
  const Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1)
    return failed("a certificate cannot be made");
  TRY(set_serial(certificate.get(), serial));
  TRY(set_validity(certificate.get(), validity));
  TRY(set_common_name(X509_get_subject_name(certificate.get()),
                      subject.kind == Kind::kControl ? "nuraghed" : subject.name));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  X509_set_pubkey(certificate.get(), X509_REQ_get0_pubkey(asked.get()));
  TRY(add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid:always"));
  TRY(add_names(certificate.get(), subject));
  if (X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0)
    return failed("a certificate cannot be signed");
  return to_pem(certificate.get());
}

Result<CertificateFacts> facts_of(const std::string& certificate) {
  TRY_ASSIGN(const Certificate read, read_certificate(certificate));
  CertificateFacts facts;
  facts.serial = serial_of(read.get());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (X509_digest(read.get(), EVP_sha256(), digest.data(), &length) != 1)
    return failed("a certificate cannot be digested");
  facts.fingerprint = "sha256:" + hex(digest.data(), length);
  facts.subject = common_name(read.get());
  facts.validity = {time_of(X509_get0_notBefore(read.get())), time_of(X509_get0_notAfter(read.get()))};
  facts.uris = uris_of(read.get());
  TRY_ASSIGN(facts.key, key_digest(X509_get0_pubkey(read.get())));
  return facts;
}

Result<std::vector<std::string>> split(const std::string& pem) {
  const Bio bio = reader(pem);
  std::vector<std::string> out;
  while (true) {
    const Certificate one(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    TRY_ASSIGN(auto text, to_pem(one.get()));
    out.push_back(std::move(text));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const Error error = failed("a list of certificates cannot be read");
  if (!at_end) return invalid(error.message());
  return out;
}

Status check_signed_by(const std::string& certificate, const std::string& roots) {
  TRY_ASSIGN(const Certificate read, read_certificate(certificate));
  TRY_ASSIGN(const auto all, split(roots));
  for (const std::string& text : all) {
    TRY_ASSIGN(const Certificate root, read_certificate(text));
    const bool is_signed = X509_verify(read.get(), X509_get0_pubkey(root.get())) == 1;
    ERR_clear_error();
    if (is_signed) return {};
  }
  return denied("the certificate was signed by none of the trusted roots");
}

}  // namespace nuraghe::pki
