#include "store/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

constexpr std::uint32_t kMagic = 0x4a52554e;  // "NURJ"
// Each record fills pages: a page that is written whole need not be read before, and none that is durable is written
// again.
constexpr std::size_t kPage = 4096;
constexpr std::size_t kSummed = 48;  // of a head; its checksum follows
constexpr std::size_t kWord = 8;
// What no commit but one that only erases may use.
constexpr std::int64_t kReserve = std::int64_t{64} << 10;
// A file that one large commit made long is cut when it is written from its begin.
constexpr std::int64_t kLongest = std::int64_t{256} << 20;

void put(char* to, std::uint64_t number, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<char>((number >> (8 * i)) & 0xff);
}

std::uint64_t get(const char* from, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return number;
}

std::size_t filled_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

struct Journal::Head {
  bool is_one = false;
  std::size_t size = 0;  // of the changes
  std::size_t span = 0;  // from its begin to the next record's
  std::uint64_t salt = 0;
  std::int64_t first = 0, last = 0;
  Sum sum;  // of everything in this run of records up to the changes' end
};

// As sqlite.org/fileformat2.html §4.2, with words of 64 bits. A last piece of less than two words is filled with zeros.
Journal::Sum Journal::sum_of(Sum sum, std::string_view bytes) {
  const auto add = [&sum](const char* words) {
    sum.low += get(words, kWord) + sum.high;
    sum.high += get(words + kWord, kWord) + sum.low;
  };
  for (; bytes.size() >= 2 * kWord; bytes.remove_prefix(2 * kWord)) add(bytes.data());
  if (bytes.empty()) return sum;
  std::array<char, 2 * kWord> rest{};
  std::memcpy(rest.data(), bytes.data(), bytes.size());
  add(rest.data());
  return sum;
}

void Journal::write_head(const Head& head, char* to) {
  put(to, kMagic, 4);
  put(to + 4, head.size, 4);
  put(to + 8, head.span, kWord);
  put(to + 16, head.salt, kWord);
  put(to + 24, static_cast<std::uint64_t>(head.first), kWord);
  put(to + 32, static_cast<std::uint64_t>(head.last), kWord);
  put(to + kSummed, head.sum.low, kWord);
  put(to + kSummed + kWord, head.sum.high, kWord);
}

Journal::Head Journal::read_head(const char* from) {
  Head head;
  head.size = get(from + 4, 4);
  head.span = get(from + 8, kWord);
  head.salt = get(from + 16, kWord);
  head.first = static_cast<std::int64_t>(get(from + 24, kWord));
  head.last = static_cast<std::int64_t>(get(from + 32, kWord));
  head.sum = {get(from + kSummed, kWord), get(from + kSummed + kWord, kWord)};
  head.is_one = get(from, 4) == kMagic && head.first > 0 && head.last >= head.first;
  return head;
}

Status Journal::open_part(Part& part) {
  if (part.file.is_open()) return part.file.measure();
  Status opened = part.file.open(part.path, options_.vfs, options_.read_only);
  // A writer that has not written yet has not made it.
  if (!opened && options_.read_only && opened.error().code() == ErrorCode::kNotFound) return {};
  return opened;
}

Status Journal::open(const std::string& path, const JournalOptions& options) {
  options_ = options;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    parts_[i].path = fmt::format("{}-log{}", path, i);
    TRY(open_part(parts_[i]));
    // Its name is durable with it.
    if (!options_.read_only && options_.synced) TRY(parts_[i].file.sync());
  }
  return {};
}

// ---- reading ----

Result<std::array<Journal::HeadBytes, 2>> Journal::first_heads() {
  std::array<HeadBytes, 2> heads{};
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].file.is_open()) TRY(parts_[i].file.read(heads[i].data(), kHeadBytes, 0));
  }
  return heads;
}

Result<bool> Journal::read(std::int64_t applied, const Take& take) {
  for (Part& part : parts_) {
    TRY(open_part(part));
    part.last = 0;
  }
  TRY_ASSIGN(const auto heads, first_heads());
  const Head first = read_head(heads[0].data());
  const Head second = read_head(heads[1].data());
  place_ = {};
  std::int64_t expected = applied + 1;
  // The older one first.
  const std::size_t older = second.is_one && (!first.is_one || second.first < first.first) ? 1 : 0;
  for (const std::size_t index : {older, 1 - older}) {
    if (read_head(heads[index].data()).is_one) TRY(read_part(index, applied, expected, take));
  }
  last_ = expected - 1;
  must_begin_ = must_begin_ || place_.salt == 0;
  TRY_ASSIGN(const auto now, first_heads());
  return now == heads;
}

Result<bool> Journal::read_record(JournalFile& file, Place& place, std::int64_t expected, std::string& changes) {
  HeadBytes bytes{};
  const std::int64_t left = file.size() - place.offset;
  if (left < static_cast<std::int64_t>(kHeadBytes)) return false;
  TRY(file.read(bytes.data(), kHeadBytes, place.offset));
  const Head head = read_head(bytes.data());
  if (!head.is_one || head.span > static_cast<std::uint64_t>(left) || head.size + kHeadBytes > head.span) return false;
  if (place.offset == 0)
    place = {0, head.salt, {head.salt, static_cast<std::uint64_t>(head.first)}, 0};
  else if (head.salt != place.salt || head.first != expected)
    return false;
  changes.resize(head.size);
  TRY(file.read(changes.data(), changes.size(), place.offset + static_cast<std::int64_t>(kHeadBytes)));
  const Sum sum = sum_of(sum_of(place.sum, {bytes.data(), kSummed}), changes);
  if (sum != head.sum) return false;
  first_read_ = head.first;
  place = {place.offset + static_cast<std::int64_t>(head.span), head.salt, sum, head.last};
  return true;
}

Status Journal::read_part(std::size_t index, std::int64_t applied, std::int64_t& expected, const Take& take) {
  Part& part = parts_[index];
  std::string changes;
  for (Place place;;) {
    TRY_ASSIGN(const bool found, read_record(part.file, place, place.last + 1, changes));
    if (!found) return {};
    // What came after a commit that is lost is lost with it.
    if (place.last > applied && first_read_ > expected) return {};
    if (place.last > applied) {
      TRY(take(place.last, changes));
      expected = place.last + 1;
    }
    part.last = place.last;
    active_ = index;
    place_ = place;
  }
}

Result<bool> Journal::has_grown() {
  if (place_.salt == 0) return false;
  Part& part = parts_[active_];
  HeadBytes bytes{};
  TRY(part.file.read(bytes.data(), kHeadBytes, place_.offset));
  const Head head = read_head(bytes.data());
  if (!head.is_one || head.salt != place_.salt || head.first != place_.last + 1) return false;
  // Or is it what a commit left that did not become whole?
  TRY(part.file.measure());
  Place place = place_;
  std::string changes;
  return read_record(part.file, place, place.last + 1, changes);
}

// ---- writing ----

bool Journal::wants_part(std::int64_t applied, std::int64_t next) const {
  if (!is_free(0, applied) && !is_free(1, applied)) return false;
  // Commits that went into the tables without the journal leave a gap in its numbers.
  return must_begin_ || place_.offset >= options_.part || parts_[active_].last + 1 != next;
}

Status Journal::begin_part(std::int64_t applied) {
  TRY(sync());
  const std::size_t next = is_free(active_, applied) ? active_.load() : 1 - active_;
  CHECK(is_free(next, applied));
  if (parts_[next].file.size() > kLongest) TRY(parts_[next].file.truncate(kLongest / 4));
  parts_[next].last = 0;
  active_ = next;
  place_ = {};
  do {
    sqlite3_randomness(sizeof place_.salt, &place_.salt);
  } while (place_.salt == 0);
  must_begin_ = false;
  return {};
}

Status Journal::append(const std::vector<Piece>& pieces) {
  Part& part = parts_[active_];
  CHECK(!pieces.empty() && place_.salt != 0);
  CHECK(place_.offset == 0 || pieces.front().number == place_.last + 1);
  buffer_.assign(kHeadBytes, '\0');
  bool erases_only = true;
  for (const Piece& piece : pieces) {
    buffer_ += piece.changes;
    erases_only = erases_only && piece.erases_only;
  }
  Head head;
  head.size = buffer_.size() - kHeadBytes;
  head.span = filled_up(buffer_.size(), kPage);
  head.salt = place_.salt;
  head.first = pieces.front().number;
  head.last = pieces.back().number;
  if (head.size > UINT32_MAX) return invalid("a commit of more than 4 GiB");
  Status room = make_room(part, place_.offset + static_cast<std::int64_t>(head.span), false);
  if (!room && erases_only) {
    // What is kept for it is not to be filled up with nothing.
    head.span = filled_up(buffer_.size(), 2 * kWord);
    room = make_room(part, place_.offset + static_cast<std::int64_t>(head.span), true);
  }
  TRY(room);
  seal(head);
  if (Status written = part.file.write(buffer_, place_.offset); !written) {
    // A record that is there nevertheless would be found after a kill. If even that cannot be written, it is not whole.
    static_cast<void>(part.file.write(std::string(kHeadBytes, '\0'), place_.offset));
    return written;
  }
  if (buffer_.capacity() > std::size_t{1} << 20) std::string().swap(buffer_);
  place_ = {place_.offset + static_cast<std::int64_t>(head.span), head.salt, head.sum, head.last};
  part.last = head.last;
  last_ = head.last;
  return {};
}

// Of the record in the buffer.
void Journal::seal(Head& head) {
  if (place_.offset == 0) place_.sum = {place_.salt, static_cast<std::uint64_t>(head.first)};
  write_head(head, buffer_.data());
  head.sum = sum_of(place_.sum, {buffer_.data(), kSummed});
  head.sum = sum_of(head.sum, std::string_view(buffer_).substr(kHeadBytes));
  write_head(head, buffer_.data());
  buffer_.resize(head.span);
}

// Erasing makes room, so it may use what is kept for it when the disk is full.
Status Journal::make_room(Part& part, std::int64_t end, bool uses_all) const {
  const std::int64_t kept = options_.limit > 0 ? std::min(kReserve, options_.limit / 4) : kReserve;
  const std::int64_t needed = end + (uses_all ? 0 : kept);
  if (options_.limit > 0 && needed > options_.limit) return exhausted(part.path + ": the journal has no more room");
  return part.file.reserve(needed);
}

Status Journal::sync() {
  if (!options_.synced) return {};
  if (sync_failed_) return internal("the journal could not be synced before: its store is to be opened again");
  const std::int64_t last = last_;
  if (synced_ >= last) return {};
  if (Status synced = parts_[active_].file.sync(); !synced) {
    sync_failed_ = true;
    return synced;
  }
  for (std::int64_t known = synced_; known < last && !synced_.compare_exchange_weak(known, last);) {
  }
  return {};
}

}  // namespace nuraghe::store
