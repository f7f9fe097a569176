#include "net/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>
#include <optional>

#include "base/check.hpp"
#include "net/tls_session.hpp"

namespace nuraghe::net {

namespace {

// AEAD with ephemeral keys; of TLS 1.3 the library's own, which are all of that kind.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr std::string_view kProtocol = "\x08http/1.1";
constexpr unsigned char kSessionContext[] = "nuraghe";

struct BioCloser {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct CertificateCloser {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct KeyCloser {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextCloser {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Certificate = std::unique_ptr<X509, CertificateCloser>;

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

// A daemon has nobody to ask.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

Result<std::vector<Certificate>> read_certificates(const std::string& pem, const char* what) {
  const std::unique_ptr<BIO, BioCloser> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> out;
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) out.emplace_back(one);
  const unsigned long code = ERR_peek_last_error();
  const bool at_end = ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  const std::string reason = last_error();
  if (out.empty() || !at_end) return invalid(std::string(what) + " cannot be read as PEM: " + reason);
  return out;
}

// The session's transport: send() that raises no SIGPIPE.
int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t count = ::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t count = ::recv(fd, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

long bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    CHECK(made != nullptr);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

// ALPN: a client that names protocols without HTTP/1.1 is told that it speaks another one (RFC 7301 §3.2).
int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void* /*argument*/) {
  unsigned char* chosen = nullptr;
  const auto* own = reinterpret_cast<const unsigned char*>(kProtocol.data());
  const int found =
      SSL_select_next_proto(&chosen, size, own, static_cast<unsigned int>(kProtocol.size()), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

struct OwnIdentity {
  std::vector<Certificate> chain;  // one's own first
  std::unique_ptr<EVP_PKEY, KeyCloser> key;
};

Result<OwnIdentity> read_identity(const TlsCredentials& credentials) {
  OwnIdentity out;
  TRY_ASSIGN(out.chain, read_certificates(credentials.certificates, "the certificate"));
  const std::unique_ptr<BIO, BioCloser> bio(
      BIO_new_mem_buf(credentials.key.data(), static_cast<int>(credentials.key.size())));
  out.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!out.key) return invalid("the private key cannot be read as PEM without a passphrase: " + last_error());
  if (X509_check_private_key(out.chain.front().get(), out.key.get()) != 1) {
    ERR_clear_error();
    return invalid("the private key is not that of the certificate (the first one in its file is the server's own)");
  }
  return out;
}

Status set_certificates(SSL_CTX* context, const TlsCredentials& credentials) {
  TRY_ASSIGN(const auto own, read_identity(credentials));
  if (SSL_CTX_use_certificate(context, own.chain.front().get()) != 1)
    return invalid("the certificate cannot be used: " + last_error());
  for (std::size_t i = 1; i < own.chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, own.chain[i].get()) != 1)
      return invalid("the certificate's chain cannot be used: " + last_error());
  }
  if (SSL_CTX_use_PrivateKey(context, own.key.get()) != 1)
    return invalid("the private key cannot be used: " + last_error());
  return {};
}

Status set_trusted(SSL_CTX* context, const std::string& trusted) {
  if (trusted.empty()) return {};
  TRY_ASSIGN(const auto roots, read_certificates(trusted, "the list of trusted roots"));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& root : roots) {
    if (X509_STORE_add_cert(store, root.get()) != 1) return invalid("a trusted root cannot be used: " + last_error());
    SSL_CTX_add_client_CA(context, root.get());
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_verify_depth(context, 4);
  return {};
}

TimePoint time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000};
}

std::string serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(ASN1_INTEGER_to_BN(serial, nullptr), BN_free);
  char* text = number ? BN_bn2hex(number.get()) : nullptr;
  std::string out = text == nullptr ? "" : text;
  OPENSSL_free(text);
  for (char& c : out) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

struct TlsServerContext::State {
  std::unique_ptr<SSL_CTX, ContextCloser> context;
  std::optional<OwnIdentity> others;  // for who does not trust the issuer of our own
  std::unique_ptr<X509_NAME, void (*)(X509_NAME*)> issuer{nullptr, X509_NAME_free};  // of our own
};

TlsServerContext::TlsServerContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsServerContext::~TlsServerContext() = default;

namespace {

// RFC 8446 §4.2.4: the names of the authorities that a client trusts; in TLS 1.2 it cannot say so.
int choose_identity(SSL* ssl, void* user) {
  const auto& state = *static_cast<const TlsServerContext::State*>(user);
  const auto* trusted = SSL_get0_peer_CA_list(ssl);
  for (int i = 0; trusted != nullptr && i < sk_X509_NAME_num(trusted); ++i) {
    if (X509_NAME_cmp(sk_X509_NAME_value(trusted, i), state.issuer.get()) == 0) return 1;
  }
  SSL_certs_clear(ssl);
  const OwnIdentity& shown = *state.others;
  if (SSL_use_certificate(ssl, shown.chain.front().get()) != 1 || SSL_use_PrivateKey(ssl, shown.key.get()) != 1)
    return 0;
  for (std::size_t i = 1; i < shown.chain.size(); ++i) {
    if (SSL_add1_chain_cert(ssl, shown.chain[i].get()) != 1) return 0;
  }
  return 1;
}

}  // namespace

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(const TlsCredentials& credentials,
                                                                       const TlsCredentials& others) {
  TRY_ASSIGN(const auto made, make(credentials));
  auto& state = made->state();
  TRY_ASSIGN(state.others, read_identity(others));
  const X509* own = SSL_CTX_get0_certificate(state.context.get());
  state.issuer.reset(X509_NAME_dup(X509_get_issuer_name(own)));
  if (!state.issuer) return internal("OpenSSL: " + last_error());
  SSL_CTX_set_cert_cb(state.context.get(), choose_identity, &state);
  return made;
}

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(const TlsCredentials& credentials) {
  auto state = std::make_unique<State>();
  state->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = state->context.get();
  if (context == nullptr) return internal("OpenSSL: " + last_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  std::string groups = kGroups;  // the macro wants it writable
  if (SSL_CTX_set_cipher_list(context, kCiphers) != 1 || SSL_CTX_set1_groups_list(context, groups.data()) != 1)
    return internal("OpenSSL: " + last_error());
  TRY(set_certificates(context, credentials));
  TRY(set_trusted(context, credentials.trusted));
  return std::shared_ptr<const TlsServerContext>(std::make_shared<TlsServerContext>(std::move(state)));
}

// ---- one connection ----

struct TlsSession::State {
  std::shared_ptr<const TlsServerContext> context;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl{nullptr, SSL_free};
  std::string failure;
  bool is_broken = false;  // after a fatal error nothing may be sent any more
};

TlsSession::TlsSession(std::shared_ptr<const TlsServerContext> context, int fd) : state_(std::make_unique<State>()) {
  state_->context = std::move(context);
  state_->ssl.reset(SSL_new(state_->context->state().context.get()));
  CHECK(state_->ssl != nullptr);
  BIO* bio = BIO_new(socket_method());
  CHECK(bio != nullptr);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(state_->ssl.get(), bio, bio);
  SSL_set_accept_state(state_->ssl.get());
}

TlsSession::~TlsSession() = default;

TlsSession::Step TlsSession::settle(int result) {
  if (result > 0) return {Outcome::kDone, static_cast<std::size_t>(result)};
  switch (SSL_get_error(state_->ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Outcome::kWantsRead};
    case SSL_ERROR_WANT_WRITE:
      return {Outcome::kWantsWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {Outcome::kClosed};
    default:
      state_->is_broken = true;
      state_->failure = last_error();
      return {Outcome::kFailed};
  }
}

TlsSession::Step TlsSession::handshake() {
  ERR_clear_error();
  return settle(SSL_do_handshake(state_->ssl.get()));
}

TlsSession::Step TlsSession::read(char* to, std::size_t size) {
  ERR_clear_error();
  return settle(SSL_read(state_->ssl.get(), to, static_cast<int>(size)));
}

TlsSession::Step TlsSession::peek() {
  char byte = 0;
  ERR_clear_error();
  return settle(SSL_peek(state_->ssl.get(), &byte, 1));
}

TlsSession::Step TlsSession::write(const char* from, std::size_t size) {
  ERR_clear_error();
  return settle(SSL_write(state_->ssl.get(), from, static_cast<int>(size)));
}

bool TlsSession::has_pending() const { return SSL_pending(state_->ssl.get()) > 0; }

void TlsSession::say_goodbye() {
  if (state_->is_broken || SSL_is_init_finished(state_->ssl.get()) == 0) return;
  ERR_clear_error();
  SSL_shutdown(state_->ssl.get());
  ERR_clear_error();
}

const std::string& TlsSession::failure() const { return state_->failure; }

std::shared_ptr<const PeerCertificate> TlsSession::peer() const {
  const X509* certificate = SSL_get0_peer_certificate(state_->ssl.get());
  if (certificate == nullptr || SSL_get_verify_result(state_->ssl.get()) != X509_V_OK) return nullptr;
  auto out = std::make_shared<PeerCertificate>();
  out->serial = serial_of(certificate);
  out->not_after = time_of(X509_get0_notAfter(certificate));
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri));
    out->uris.emplace_back(bytes, static_cast<std::size_t>(ASN1_STRING_length(uri)));
  }
  return out;
}

}  // namespace nuraghe::net
