#include "base/record.hpp"

namespace nuraghe::record_detail {

bool get_varint(std::string_view& in, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) return true;
  }
  return false;
}

Result<Field> next_field(std::string_view& in) {
  std::uint64_t head = 0;
  std::uint64_t value = 0;
  if (!get_varint(in, head) || (head & 3) > 1 || (head >> 2) > 0xFFFFFFFFU || !get_varint(in, value))
    return corrupt("a stored record ends early or has an unknown field kind");
  Field field{static_cast<std::uint32_t>(head >> 2), (head & 3) == 1, 0, {}};
  if (!field.is_bytes) {
    field.scalar = unzigzag(value);
    return field;
  }
  if (value > in.size()) return corrupt("a stored record ends within a field");
  field.bytes = in.substr(0, value);
  in.remove_prefix(value);
  return field;
}

}  // namespace nuraghe::record_detail
