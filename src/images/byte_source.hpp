// Bytes that are read at any place: files, and what is made of them on the way.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::images {

// Threading: one thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Bytes size() const = 0;
  // At most `limit` bytes from there on, at least one unless `offset` is the end. kCorrupt when what is read changed
  // meanwhile.
  virtual Result<std::string> read(Bytes offset, Bytes limit) = 0;
};

std::unique_ptr<ByteSource> text_source(std::string text);
// sha256:HEX of all bytes; `go_on` is asked between pieces and answers an error to stop.
Result<std::string> digest_of(ByteSource& source, const std::function<Status()>& go_on);

}  // namespace nuraghe::images
