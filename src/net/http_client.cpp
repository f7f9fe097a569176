#include "net/http_client.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/check.hpp"
#include "net/client_tls.hpp"

namespace nuraghe::net {

namespace {

constexpr std::size_t kStreamHigh = 1024 * 1024;

void initialise_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(code == CURLE_OK);
}

// What a streaming transfer and its reader share.
struct StreamBox {
  std::mutex mutex;
  std::condition_variable changed;
  std::string data;
  bool header_done = false;
  bool paused = false;
  bool cancelled = false;
  std::optional<Error> failure;
  bool ended = false;
  int status = 0;
  HttpHeaders headers;
};

struct Transfer {
  ClientRequest request;
  std::function<void(Result<ClientResponse>)> done;  // empty for a stream
  std::shared_ptr<StreamBox> stream;
  Url url;
  std::optional<Error> refusal;  // found before it began
  TlsPeer tls;                   // of an https address
  ClientResponse response;
  bool over_limit = false;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = {};
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

bool headers_are_clean(const ClientRequest& request) {
  const auto clean = [](std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
  };
  for (const HttpHeader& header : request.headers) {
    if (!clean(header.name) || !clean(header.value)) return false;
  }
  return clean(request.method) && clean(request.content_type) && clean(request.bearer);
}

std::size_t on_header_line(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line = trim(std::string_view(data, size * count));
  if (line.starts_with("HTTP/")) {  // a new header block: forget the one of a 100 Continue
    transfer.response.headers.clear();
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    transfer.response.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
  } else if (line.empty() && transfer.stream) {
    long status = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) {
      const std::lock_guard lock(transfer.stream->mutex);
      transfer.stream->status = static_cast<int>(status);
      transfer.stream->headers = transfer.response.headers;
      transfer.stream->header_done = true;
      transfer.stream->changed.notify_all();
    }
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t length = size * count;
  if (transfer.stream) {
    StreamBox& box = *transfer.stream;
    const std::lock_guard lock(box.mutex);
    if (box.data.size() >= kStreamHigh) {
      box.paused = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    box.data.append(data, length);
    box.changed.notify_all();
    return length;
  }
  if (transfer.response.body.size() + length > static_cast<std::size_t>(transfer.request.body_limit.count)) {
    transfer.over_limit = true;
    return 0;
  }
  transfer.response.body.append(data, length);
  return length;
}

// curl_opensocket_callback: what it refuses is not connected to, and the next address of the name is tried.
curl_socket_t open_allowed(void* user, curlsocktype, curl_sockaddr* address) {
  const auto& may_connect = *static_cast<const std::function<bool(std::string_view)>*>(user);
  std::array<char, INET6_ADDRSTRLEN> text{};
  const char* shown = nullptr;
  if (address->family == AF_INET)
    shown =
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address->addr)->sin_addr, text.data(), text.size());
  if (address->family == AF_INET6)
    shown = inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&address->addr)->sin6_addr, text.data(),
                      text.size());
  if (shown == nullptr || !may_connect(shown)) return CURL_SOCKET_BAD;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Error transfer_error(const Transfer& transfer, CURLcode code) {
  const std::string& url = transfer.request.url;
  const std::string detail = transfer.error[0] != '\0' ? transfer.error : curl_easy_strerror(code);
  if (transfer.over_limit) {
    return exhausted(
        fmt::format("{}: the answer is over the limit of {}", url, transfer.request.body_limit.to_string()));
  }
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return timed_out(fmt::format("{}: no answer within {}", url, format_duration(transfer.request.timeout)));
  }
  if (auto reason = tls_reason(transfer.easy, code, detail, transfer.tls); !reason.empty())
    return unavailable(fmt::format("{}: {}", url, reason));
  if (code == CURLE_URL_MALFORMAT) return invalid(fmt::format("{}: {}", url, detail));
  return unavailable(fmt::format("{}: {}", url, detail));
}

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(HttpClientOptions options)
      : may_connect_(std::move(options.may_connect)), tls_(std::move(options.tls)) {
    initialise_curl();
    multi_ = curl_multi_init();
    CHECK(multi_ != nullptr);
    curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, options.connections_per_host);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, options.idle_connections);
    thread_ = std::thread([this] { run(); });
  }
  ~CurlClient() override;

  void send(ClientRequest request, std::function<void(Result<ClientResponse>)> done) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(request);
    transfer->done = std::move(done);
    queue(std::move(transfer));
  }
  Result<ClientResponse> call(ClientRequest request) override {
    CHECK(std::this_thread::get_id() != thread_.get_id());
    std::promise<Result<ClientResponse>> promise;
    auto future = promise.get_future();
    send(std::move(request), [&promise](Result<ClientResponse> result) { promise.set_value(std::move(result)); });
    return future.get();
  }
  Result<std::unique_ptr<ClientStream>> open_stream(ClientRequest request) override;

  // Asks the thread to go on with (or to end) the stream's transfer.
  void touch(const std::shared_ptr<StreamBox>& box);

 private:
  void queue(std::unique_ptr<Transfer> transfer);
  void run();
  void take_commands();
  void begin(std::unique_ptr<Transfer> transfer);
  void set_up(Transfer& transfer);
  void collect_finished();
  void finish(CURL* easy, std::optional<Error> error);
  static void deliver(Transfer& transfer, std::optional<Error> error);
  CURL* take_easy();
  void give_back(CURL* easy);

  std::function<bool(std::string_view)> may_connect_;
  std::function<TlsPeer(std::string_view)> tls_;
  CURLM* multi_ = nullptr;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Transfer>> queue_;
  std::vector<std::shared_ptr<StreamBox>> touched_;
  bool stopping_ = false;
  // ---- the thread's own ----
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> active_;
  std::vector<CURL*> spare_;
  std::thread thread_;
};

class CurlStream final : public ClientStream {
 public:
  CurlStream(CurlClient& client, std::shared_ptr<StreamBox> box) : client_(client), box_(std::move(box)) {}
  ~CurlStream() override { cancel(); }
  int status() const override { return box_->status; }
  const HttpHeaders& headers() const override { return box_->headers; }

  Result<std::string> read(Duration timeout) override {
    std::unique_lock lock(box_->mutex);
    const bool some = box_->changed.wait_for(
        lock, timeout, [this] { return !box_->data.empty() || box_->ended || box_->failure || box_->cancelled; });
    if (!some) return timed_out("the stream was silent for " + format_duration(timeout));
    if (box_->data.empty()) {
      if (box_->cancelled) return Error(ErrorCode::kCancelled, "the stream was cancelled");
      if (box_->failure) return *box_->failure;
      return std::string();
    }
    std::string out = std::move(box_->data);
    box_->data.clear();
    const bool resume = box_->paused;
    lock.unlock();
    if (resume) client_.touch(box_);
    return out;
  }

  void cancel() override {
    {
      const std::lock_guard lock(box_->mutex);
      if (box_->ended || box_->failure || box_->cancelled) return;
      box_->cancelled = true;
      box_->changed.notify_all();
    }
    client_.touch(box_);
  }

 private:
  CurlClient& client_;
  std::shared_ptr<StreamBox> box_;
};

CurlClient::~CurlClient() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
  for (CURL* easy : spare_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
}

Result<std::unique_ptr<ClientStream>> CurlClient::open_stream(ClientRequest request) {
  auto box = std::make_shared<StreamBox>();
  auto transfer = std::make_unique<Transfer>();
  const Duration timeout = request.timeout;
  const std::string url = request.url;
  transfer->request = std::move(request);
  transfer->stream = box;
  queue(std::move(transfer));
  auto stream = std::make_unique<CurlStream>(*this, box);
  std::unique_lock lock(box->mutex);
  const auto begun = [&box] { return box->header_done || box->ended || box->failure; };
  if (timeout.count() == 0) {
    box->changed.wait(lock, begun);
  } else if (!box->changed.wait_for(lock, timeout, begun)) {
    lock.unlock();
    stream->cancel();
    return timed_out(fmt::format("{}: no answer within {}", url, format_duration(timeout)));
  }
  if (!box->header_done && box->failure) return *box->failure;
  lock.unlock();
  return std::unique_ptr<ClientStream>(std::move(stream));
}

void CurlClient::touch(const std::shared_ptr<StreamBox>& box) {
  {
    const std::lock_guard lock(mutex_);
    touched_.push_back(box);
  }
  curl_multi_wakeup(multi_);
}

void CurlClient::queue(std::unique_ptr<Transfer> transfer) {
  if (auto url = parse_url(transfer->request.url)) {
    transfer->url = std::move(*url);
  } else {
    transfer->refusal = url.error();
  }
  if (!headers_are_clean(transfer->request)) {
    transfer->refusal = invalid(transfer->request.url + ": a header to be sent holds a line break");
  }
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(transfer));
  }
  curl_multi_wakeup(multi_);
}

// ---- the thread ----

void CurlClient::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    take_commands();
    int running = 0;
    curl_multi_perform(multi_, &running);
    collect_finished();
    {
      const std::lock_guard lock(mutex_);
      if (!queue_.empty()) continue;
    }
    curl_multi_poll(multi_, nullptr, 0, 60'000, nullptr);  // ends early on traffic, time-outs of transfers and wake-ups
  }
  std::deque<std::unique_ptr<Transfer>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(queue_);
  }
  const auto cancelled = [](const Transfer& transfer) {
    return Error(ErrorCode::kCancelled, transfer.request.url + ": the client was shut down");
  };
  for (const auto& transfer : waiting) deliver(*transfer, cancelled(*transfer));
  while (!active_.empty()) {
    const auto& [easy, transfer] = *active_.begin();
    finish(easy, cancelled(*transfer));
  }
}

void CurlClient::take_commands() {
  std::deque<std::unique_ptr<Transfer>> waiting;
  std::vector<std::shared_ptr<StreamBox>> touched;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(queue_);
    touched.swap(touched_);
  }
  for (auto& transfer : waiting) begin(std::move(transfer));
  for (const auto& box : touched) {
    CURL* easy = nullptr;
    for (const auto& [handle, transfer] : active_) {
      if (transfer->stream == box) easy = handle;
    }
    if (easy == nullptr) continue;
    bool cancelled = false;
    {
      const std::lock_guard lock(box->mutex);
      cancelled = box->cancelled;
      box->paused = false;
    }
    if (cancelled) {
      finish(easy, Error(ErrorCode::kCancelled, "the stream was cancelled"));
    } else {
      curl_easy_pause(easy, CURLPAUSE_CONT);
    }
  }
}

void CurlClient::begin(std::unique_ptr<Transfer> transfer) {
  if (transfer->url.scheme == "https") {
    if (transfer->request.tls) {
      transfer->tls = *transfer->request.tls;
    } else if (tls_) {
      transfer->tls = tls_(transfer->url.base());
    }
    if (!transfer->refusal && !transfer->tls.refusal.empty())
      transfer->refusal = denied(fmt::format("nothing is sent to {}: {}", transfer->url.base(), transfer->tls.refusal));
  }
  if (transfer->refusal) return deliver(*transfer, std::move(transfer->refusal));
  transfer->easy = take_easy();
  set_up(*transfer);
  CURL* easy = transfer->easy;
  active_.emplace(easy, std::move(transfer));
  const CURLMcode code = curl_multi_add_handle(multi_, easy);
  if (code != CURLM_OK) finish(easy, internal(fmt::format("libcurl: {}", curl_multi_strerror(code))));
}

void CurlClient::set_up(Transfer& transfer) {
  CURL* easy = transfer.easy;
  const ClientRequest& request = transfer.request;
  std::string url = request.url;
  if (!transfer.url.socket.empty()) {
    url = "http://localhost" + transfer.url.target;
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, transfer.url.socket.c_str());
  }
  if (may_connect_) {
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_allowed);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &may_connect_);
  }
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, transfer.url.scheme == "https" ? "https" : "http");
  if (transfer.url.scheme == "https") set_up_tls(easy, transfer.tls);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count() / 1000));
  // A stream's time-out is kept by open_stream, for the header only.
  const long timeout_ms = transfer.stream ? 0 : static_cast<long>((request.timeout.count() + 999) / 1000);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header_line);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    if (request.method != "POST") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  const auto add = [&transfer](const std::string& line) {
    transfer.headers = curl_slist_append(transfer.headers, line.c_str());
  };
  add("Expect:");  // no second round trip for large bodies
  add(request.content_type.empty() ? "Content-Type:" : "Content-Type: " + request.content_type);
  if (!request.bearer.empty()) add("Authorization: Bearer " + request.bearer);
  for (const HttpHeader& header : request.headers) {
    add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
}

void CurlClient::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer& transfer = *active_.at(easy);
    if (code == CURLE_OK) {
      finish(easy, std::nullopt);
    } else {
      finish(easy, transfer_error(transfer, code));
    }
  }
}

void CurlClient::finish(CURL* easy, std::optional<Error> error) {
  const auto node = active_.extract(easy);
  const std::unique_ptr<Transfer>& transfer = node.mapped();
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  transfer->response.status = static_cast<int>(status);
  curl_multi_remove_handle(multi_, easy);
  give_back(easy);
  curl_slist_free_all(transfer->headers);
  deliver(*transfer, std::move(error));
}

void CurlClient::deliver(Transfer& transfer, std::optional<Error> error) {
  if (transfer.stream) {
    StreamBox& box = *transfer.stream;
    const std::lock_guard lock(box.mutex);
    if (error) {
      box.failure = std::move(error);
    } else {
      box.ended = true;
    }
    box.changed.notify_all();
  } else if (error) {
    transfer.done(std::move(*error));
  } else {
    transfer.done(std::move(transfer.response));
  }
}

CURL* CurlClient::take_easy() {
  if (spare_.empty()) {
    CURL* easy = curl_easy_init();
    CHECK(easy != nullptr);
    return easy;
  }
  CURL* easy = spare_.back();
  spare_.pop_back();
  return easy;
}

void CurlClient::give_back(CURL* easy) {
  if (spare_.size() >= 64) return curl_easy_cleanup(easy);
  curl_easy_reset(easy);
  spare_.push_back(easy);
}

}  // namespace

std::unique_ptr<HttpClient> HttpClient::make(HttpClientOptions options) {
  return std::make_unique<CurlClient>(std::move(options));
}

}  // namespace nuraghe::net
