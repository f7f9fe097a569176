// SHA-256 digests as OCI writes them: "sha256:" and 64 lower-case hex digits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::images {

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(std::string_view bytes);
  // "sha256:HEX"; the object must not be used afterwards.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string digest_of(std::string_view bytes);
// True for "sha256:" and 64 lower-case hex digits: only such a text ever becomes part of a path.
bool is_digest(std::string_view text);

}  // namespace nuraghe::images
