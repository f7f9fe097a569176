#include "bpel/runtime/isolation_queue.hpp"

#include <algorithm>
#include <limits>

#include "bpel/runtime/names.hpp"

namespace nuraghe::bpel::runtime {

namespace {

constexpr std::size_t kPage = 100;

// The last number of a path: regions are numbered in the order in which they are made.
std::uint64_t order_of(const Path& path) {
  std::uint64_t number = 0;
  for (std::size_t at = parent_of(path).size() + 1; at < path.size(); ++at)
    number = (number << 8) | static_cast<unsigned char>(path[at]);
  return number;
}

std::uint64_t number_of(std::string_view eight_bytes) {
  std::uint64_t number = 0;
  for (const char byte : eight_bytes) number = (number << 8) | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace

std::string IsolationQueue::thing_prefix(const std::string& thing, char mode) const {
  return instance_ + 't' + key16({thing}) + mode;
}

Result<std::vector<IsolationQueue::Place>> IsolationQueue::places(const std::string& thing, char mode,
                                                                  std::size_t limit, std::string_view after) const {
  TRY_ASSIGN(auto rows, transaction_.scan(table_, thing_prefix(thing, mode), after, limit));
  std::vector<Place> places;
  for (auto& row : rows) {
    const auto order = number_of(std::string_view(row.key).substr(row.key.size() - 8));
    places.push_back({std::move(row.key), order, std::move(row.value)});
  }
  return places;
}

Result<std::optional<IsolationRow>> IsolationQueue::entry(const Path& path) const {
  TRY_ASSIGN(const auto row, transaction_.get(table_, entry_key(path)));
  if (!row) return std::optional<IsolationRow>();
  TRY_ASSIGN(auto decoded, decode_record<IsolationRow>(*row));
  return std::optional<IsolationRow>(std::move(decoded));
}

// Whether no earlier entry stands in the way of this one.
Result<bool> IsolationQueue::is_free(const IsolationRow& row) const {
  const auto order = order_of(row.path);
  const auto none_before = [&](const std::string& thing, char mode) -> Result<bool> {
    TRY_ASSIGN(const auto first, places(thing, mode, 1));
    return first.empty() || first.front().order >= order;
  };
  for (const auto& thing : row.reads) {
    TRY_ASSIGN(const bool free, none_before(thing, 'w'));
    if (!free) return false;
  }
  for (const auto& thing : row.writes) {
    for (const char mode : {'w', 'r'}) {
      TRY_ASSIGN(const bool free, none_before(thing, mode));
      if (!free) return false;
    }
  }
  return true;
}

Status IsolationQueue::insert(const IsolationRow& row) {
  TRY(transaction_.insert(table_, entry_key(row.path), encode_record(row)));
  const auto order = big_endian(order_of(row.path));
  for (const auto& thing : row.reads) TRY(transaction_.insert(table_, thing_prefix(thing, 'r') + order, row.path));
  for (const auto& thing : row.writes) TRY(transaction_.insert(table_, thing_prefix(thing, 'w') + order, row.path));
  return {};
}

Status IsolationQueue::adopt(std::vector<IsolationRow> rows) {
  for (const auto& row : rows) TRY(insert(row));
  return {};
}

Result<bool> IsolationQueue::enter(IsolationRow row) {
  TRY_ASSIGN(row.granted, is_free(row));
  TRY(insert(row));
  return row.granted;
}

Result<bool> IsolationQueue::waits(const Path& path) const {
  TRY_ASSIGN(const auto found, entry(path));
  return found && !found->granted;
}

// Those that may have waited for this thing only because of the one that has left it: the first writer, when nobody
// is before it; the readers before the first writer, when a writer has left.
Status IsolationQueue::add_candidates(const std::string& thing, bool wrote, std::set<Path>& into) const {
  TRY_ASSIGN(const auto writers, places(thing, 'w', 1));
  TRY_ASSIGN(auto readers, places(thing, 'r', 1));
  const auto end = writers.empty() ? std::numeric_limits<std::uint64_t>::max() : writers.front().order;
  if (readers.empty() || readers.front().order > end) {
    if (!writers.empty()) into.insert(writers.front().path);
    return {};
  }
  if (!wrote) return {};
  for (std::string after;; after = readers.back().key) {
    TRY_ASSIGN(readers, places(thing, 'r', kPage, after));
    for (const auto& reader : readers) {
      if (reader.order > end) return {};
      into.insert(reader.path);
    }
    if (readers.size() < kPage) return {};
  }
}

Result<std::vector<Path>> IsolationQueue::leave(const Path& path) {
  TRY_ASSIGN(const auto left, entry(path));
  if (!left) return std::vector<Path>();
  TRY(transaction_.erase(table_, entry_key(path)));
  const auto order = big_endian(order_of(path));
  for (const auto& thing : left->reads) TRY(transaction_.erase(table_, thing_prefix(thing, 'r') + order));
  for (const auto& thing : left->writes) TRY(transaction_.erase(table_, thing_prefix(thing, 'w') + order));
  std::set<Path> candidates;
  for (const auto& thing : left->reads) TRY(add_candidates(thing, false, candidates));
  for (const auto& thing : left->writes) TRY(add_candidates(thing, true, candidates));
  std::vector<Path> granted;
  for (const auto& candidate : candidates) {
    TRY_ASSIGN(auto waiting, entry(candidate));
    if (!waiting || waiting->granted) continue;
    TRY_ASSIGN(const bool free, is_free(*waiting));
    if (!free) continue;
    waiting->granted = true;
    TRY(transaction_.put(table_, entry_key(candidate), encode_record(*waiting)));
    granted.push_back(candidate);
  }
  std::sort(granted.begin(), granted.end(), [](const Path& a, const Path& b) { return order_of(a) < order_of(b); });
  return granted;
}

}  // namespace nuraghe::bpel::runtime
