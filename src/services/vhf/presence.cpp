// Which controllers renew their registration: who does not is told as silent, once, and as returned when he is back.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {
namespace {

std::string timer_of(std::string_view name) { return fmt::format("{}{}", kPresenceTimer, name); }

// Of the site: every VO sees its physical hosts.
exchange::Event presence_event(const PhysicalRow& row, std::string kind, std::string text) {
  exchange::Event event;
  event.kind = std::move(kind);
  event.text = std::move(text);
  event.attributes["physical_host"] = row.host.name;
  return event;
}

}  // namespace

bool Factory::alive(const PhysicalRow& row, TimePoint now) const { return !row.is_silent && now < alive_until(row); }

TimePoint Factory::alive_until(const PhysicalRow& row) const {
  // After a restart every physical host that was there gets the time to renew before it counts as gone.
  const TimePoint since = row.is_silent ? row.host.last_seen : std::max(row.host.last_seen, started_);
  return since + row.interval * kMissedRenewals;
}

// Rows of an older Nuraghe have no timer yet.
Status Factory::watch_presence(exchange::Turn& turn) const {
  TRY_ASSIGN(const auto rows, book_.physical_hosts(turn.transaction()));
  for (const auto& row : rows) {
    if (!row.is_silent) TRY(turn.set_timer(timer_of(row.host.name), alive_until(row)));
  }
  return {};
}

Status Factory::note_present(exchange::Turn& turn, PhysicalRow& row, Duration interval) const {
  const bool changes = std::exchange(row.interval, interval) != interval;
  row.host.last_seen = turn.now();
  if (interval == Duration(0) && row.is_silent) return {};
  const bool was_silent = std::exchange(row.is_silent, false);
  // A renewal does not move the timer: it looks again when it comes.
  if (changes || was_silent)
    TRY(turn.set_timer(timer_of(row.host.name), row.host.last_seen + interval * kMissedRenewals));
  if (!was_silent) return {};
  return turn.publish(
      presence_event(row, "physical_host.returned", fmt::format("physical host {} is there again", row.host.name)));
}

Status Factory::check_presence(exchange::Turn& turn, std::string_view name) const {
  TRY_ASSIGN(auto row, book_.physical_host(turn.transaction(), name));
  if (!row || row->is_silent) return {};
  const TimePoint until = alive_until(*row);
  if (turn.now() < until) return turn.set_timer(timer_of(name), until);
  const bool left = row->interval == Duration(0);
  row->is_silent = true;
  TRY(book_.put_physical(turn.transaction(), *row));
  auto event = presence_event(
      *row, "physical_host.silent",
      left
          ? fmt::format("the controller of physical host {} left", name)
          : fmt::format("the controller of physical host {} has not renewed since {}: nothing is placed there until it "
                        "returns; what runs there is not told any more",
                        name, row->host.last_seen.to_string()));
  event.severity = "warning";
  event.attributes["last_seen"] = row->host.last_seen.to_string();
  return turn.publish(std::move(event));
}

bool Factory::is_revoked(const PhysicalRow& row) const {
  return is_by_certificate(row) && !(options_.is_member && options_.is_member(row.host.name));
}

Status Factory::end_revoked(exchange::Turn& turn) const {
  TRY_ASSIGN(auto rows, book_.physical_hosts(turn.transaction()));
  for (auto& row : rows) {
    if (row.is_silent || !is_revoked(row)) continue;
    row.is_silent = true;
    TRY(book_.put_physical(turn.transaction(), row));
    TRY(turn.cancel_timer(timer_of(row.host.name)));
    auto event = presence_event(row, "physical_host.silent",
                                fmt::format("the certificates of physical host {0} were withdrawn: nothing is placed "
                                            "there, and nothing sent, until it has joined anew (nuraghe host "
                                            "join-token {0}) or is forgotten",
                                            row.host.name));
    event.severity = "warning";
    event.attributes["last_seen"] = row.host.last_seen.to_string();
    TRY(turn.publish(std::move(event)));
  }
  return {};
}

}  // namespace nuraghe::services::vhf
