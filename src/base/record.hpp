// Record: the byte format of every row that Nuraghe stores (docs/formats/record.md).
//
// A record is a sequence of fields: varint((number << 2) | kind), then the value: kind 0 a zig-zag varint, kind 1 a
// varint length and that many bytes (string, nested record or list). Unknown fields are skipped and missing ones keep
// their default, so a newer Nuraghe reads older rows.
//
// A type becomes storable by one member template that names its fields once:
//
//   struct Host {
//     std::string id; std::int64_t cpus = 0; std::vector<Nic> nics;
//     template <class Visitor> void fields(Visitor& v) { v(1, id); v(2, cpus); v(3, nics); }
//   };
//   std::string row = encode_record(host);   Result<Host> back = decode_record<Host>(row);
//
// Supported: std::string, bool, integers, enums, double (its bits as an integer), Bytes, TimePoint, Duration, nested
// types with fields(), std::vector, std::map<std::string, V> and std::optional of these. Field numbers are 1 to 2^28
// and never reused.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe {

namespace record_detail {

constexpr std::size_t kMostVarint = 10;  // bytes
// Writes to `to`, which has room; returns what follows.
inline char* write_varint(char* to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}
// Two, as every field begins.
inline void put_varints(std::string& out, std::uint64_t first, std::uint64_t second) {
  std::array<char, 2 * kMostVarint> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): written below
  char* const end = write_varint(write_varint(bytes.data(), first), second);
  out.append(bytes.data(), static_cast<std::size_t>(end - bytes.data()));
}
// False when the input ends within the number or it has more than 64 bits.
bool get_varint(std::string_view& in, std::uint64_t& value);
inline std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
constexpr bool is_scalar = std::is_integral_v<T> || std::is_enum_v<T> || std::is_same_v<T, Bytes> ||
                           std::is_same_v<T, TimePoint> || std::is_same_v<T, Duration> || std::is_same_v<T, double>;

template <class T>
constexpr bool is_text = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;

template <class T>
std::int64_t scalar_of(const T& value) {
  if constexpr (std::is_same_v<T, Bytes>)
    return value.count;
  else if constexpr (std::is_same_v<T, TimePoint>)
    return value.micros;
  else if constexpr (std::is_same_v<T, Duration>)
    return value.count();
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<std::int64_t>(value);
  else
    return static_cast<std::int64_t>(value);
}
template <class T>
void set_scalar(T& target, std::int64_t value) {
  if constexpr (std::is_same_v<T, Bytes>)
    target.count = value;
  else if constexpr (std::is_same_v<T, TimePoint>)
    target.micros = value;
  else if constexpr (std::is_same_v<T, Duration>)
    target = Duration(value);
  else if constexpr (std::is_same_v<T, double>)
    target = std::bit_cast<double>(value);
  else
    target = static_cast<T>(value);
}

inline void put_text(std::string& out, std::uint32_t number, std::string_view text) {
  put_varints(out, (std::uint64_t{number} << 2) | 1, text.size());
  out += text;
}

// Text is encoded from std::string_view, too: a type that only borrows what it encodes.
struct Encoder {
  std::string& out;
  template <class T>
  void operator()(std::uint32_t number, T& value) {
    if constexpr (is_scalar<T>) {
      put_varints(out, std::uint64_t{number} << 2, zigzag(scalar_of(value)));
    } else if constexpr (IsOptional<T>::value) {
      if (value) (*this)(number, *value);
    } else if constexpr (IsVector<T>::value) {
      for (auto&& item : value) {
        typename T::value_type copy_free_name_for_bool = item;
        (*this)(number, copy_free_name_for_bool);
      }
    } else if constexpr (is_text<T>) {
      put_text(out, number, value);
    } else {
      const std::size_t begin = out.size();
      payload(out, value);
      // What stands before it is known now.
      std::string head;
      put_varints(head, (std::uint64_t{number} << 2) | 1, out.size() - begin);
      out.insert(begin, head);
    }
  }
  template <class T>
  static void payload(std::string& out, T& value) {
    Encoder encoder{out};
    if constexpr (is_text<T>) {
      out += value;
    } else if constexpr (IsMap<T>::value) {
      for (auto& [key, item] : value) {
        put_text(out, 1, key);
        encoder(2, item);
      }
    } else {
      value.fields(encoder);
    }
  }
};

struct Field {
  std::uint32_t number;
  bool is_bytes;
  std::int64_t scalar;
  std::string_view bytes;
};
// Takes the next field off `in`; an error when it is malformed.
Result<Field> next_field(std::string_view& in);

struct Decoder {
  const Field& field;
  bool failed = false;
  template <class T>
  void operator()(std::uint32_t number, T& value) {
    if (number == field.number && !take(value)) failed = true;
  }
  template <class T>
  bool take(T& value) {
    if constexpr (is_scalar<T>) {
      if (field.is_bytes) return false;
      set_scalar(value, field.scalar);
      return true;
    } else if constexpr (IsOptional<T>::value) {
      return take(value.emplace());
    } else if constexpr (IsVector<T>::value) {
      typename T::value_type item{};
      if (!take(item)) return false;
      value.push_back(std::move(item));
      return true;
    } else {
      return field.is_bytes && payload(field.bytes, value);
    }
  }
  template <class T>
  static bool payload(std::string_view bytes, T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      value.assign(bytes);
      return true;
    } else if constexpr (IsMap<T>::value) {
      std::string key;
      while (!bytes.empty()) {
        auto field = next_field(bytes);
        if (!field) return false;
        Decoder decoder{*field};
        if (field->number == 1)
          decoder(1, key);
        else
          decoder(2, value[key]);
        if (decoder.failed) return false;
      }
      return true;
    } else {
      while (!bytes.empty()) {
        auto field = next_field(bytes);
        if (!field) return false;
        Decoder decoder{*field};
        value.fields(decoder);
        if (decoder.failed) return false;
      }
      return true;
    }
  }
};

}  // namespace record_detail

template <class T>
std::string encode_record(const T& value) {
  // Most records fit: one allocation.
  constexpr std::size_t kUsual = 240;
  std::string out;
  out.reserve(kUsual);
  // fields() is one template for reading and writing; the encoder does not modify the value.
  record_detail::Encoder::payload(out, const_cast<T&>(value));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return out;
}

// kCorrupt when the bytes are not a record or a field has another kind than the type asks.
template <class T>
Result<T> decode_record(std::string_view bytes) {
  T value{};
  if (!record_detail::Decoder::payload(bytes, value)) return corrupt("a stored record does not decode");
  return value;
}

}  // namespace nuraghe
