#include "xml/library.hpp"

#include <libxml/parser.h>
#include <libxml/xmlIO.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlschemastypes.h>
#include <libxml/xpath.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <mutex>

#include "base/check.hpp"
#include "xml/xml.hpp"

namespace nuraghe::xml {

namespace {

constexpr std::string_view kScheme = "nuraghe-schema:/";
thread_local const std::vector<std::string>* served = nullptr;

struct Reader {
  std::string_view rest;
};

int match(const char*) { return served != nullptr ? 1 : 0; }
void* open_served(const char* location) {
  const std::size_t index = served_index(location);
  if (served == nullptr || index >= served->size()) return nullptr;
  return new Reader{(*served)[index]};
}
int read_served(void* context, char* buffer, int length) {
  auto* reader = static_cast<Reader*>(context);
  const std::size_t count = std::min(reader->rest.size(), static_cast<std::size_t>(length));
  std::memcpy(buffer, reader->rest.data(), count);
  reader->rest.remove_prefix(count);
  return static_cast<int>(count);
}
int close_served(void* context) {
  delete static_cast<Reader*>(context);
  return 0;
}

void ignore_message(void*, const char*, ...) {}
void ignore_error(void*, xmlErrorPtr) {}

void set_up() {
  xmlInitParser();
  xmlXPathInit();
  xmlSchemaInitTypes();
  xmlThrDefSetGenericErrorFunc(nullptr, ignore_message);
  xmlThrDefSetStructuredErrorFunc(nullptr, ignore_error);
  CHECK(xmlRegisterInputCallbacks(match, open_served, read_served, close_served) >= 0);
}

}  // namespace

void initialise() {
  static std::once_flag once;
  std::call_once(once, set_up);
  // The main thread's settings exist before the defaults for new ones are set.
  thread_local const bool quiet = [] {
    xmlSetGenericErrorFunc(nullptr, ignore_message);
    xmlSetStructuredErrorFunc(nullptr, ignore_error);
    return true;
  }();
  static_cast<void>(quiet);
}

std::string served_location(std::size_t index) { return std::string(kScheme) + std::to_string(index); }

std::size_t served_index(std::string_view location) {
  std::size_t index = 0;
  if (!location.starts_with(kScheme)) return std::string_view::npos;
  location.remove_prefix(kScheme.size());
  const auto [end, error] = std::from_chars(location.data(), location.data() + location.size(), index);
  return error == std::errc() && end == location.data() + location.size() ? index : std::string_view::npos;
}

ServedTexts::ServedTexts(const std::vector<std::string>& texts) : outer_(served) { served = &texts; }
ServedTexts::~ServedTexts() { served = outer_; }

}  // namespace nuraghe::xml
