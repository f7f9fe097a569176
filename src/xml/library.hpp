// What this room sets up once in libxml2: quiet errors, tables filled before threads start, and one input callback that
// serves the schema compiler from memory and refuses everything else. Included by no other room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuraghe::xml {

// Location of text number i while a ServedTexts lives on this thread.
std::string served_location(std::size_t index);
// The index within a served location; npos for another one.
std::size_t served_index(std::string_view location);

// While it lives, libxml2 on this thread can open the served locations and nothing else: no file, no network.
class ServedTexts {
 public:
  explicit ServedTexts(const std::vector<std::string>& texts);
  ~ServedTexts();
  ServedTexts(const ServedTexts&) = delete;
  ServedTexts& operator=(const ServedTexts&) = delete;

 private:
  const std::vector<std::string>* outer_;
};

}  // namespace nuraghe::xml
