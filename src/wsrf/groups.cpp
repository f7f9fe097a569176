// Members that come and go by themselves (WS-ServiceGroup 1.2 §4, §5).
#include <fmt/format.h>

#include "wsrf/resources_state.hpp"

namespace nuraghe::wsrf {
namespace {

using exchange::Message;
using exchange::Turn;

// How long a member wants to stay at first; nothing: as its content says.
Result<std::optional<Duration>> initial_stay(xml::Node add, TimePoint now) {
  const xml::Node wanted = add.child(kServiceGroup, "InitialTerminationTime");
  if (!wanted) return std::optional<Duration>();
  if (const auto time = parse_time(wanted.text())) return std::optional<Duration>(*time - now);
  TRY_ASSIGN(const Duration span, parse_stay(wanted.text()));
  return std::optional<Duration>(span);
}

Refusal refused(std::string_view fault, Error error) { return {name_of(kServiceGroup, fault), std::move(error)}; }

}  // namespace

Status Resources::add_member(Turn& turn, Work& work) {
  const Address& address = work.address;
  const Membership& membership = *address.membership;
  const std::string_view ns = address.service->name_space;
  const xml::Node body = work.body();
  const xml::Node content = body.child(kServiceGroup, "Content");
  const xml::Node said = content ? content.child(ns, membership.add) : xml::Node();
  if (!said) {
    return finish(turn, work,
                  refused("ContentCreationFailedFault",
                          invalid(fmt::format("a member of {} says what it is in the element {{{}}}{}",
                                              address.group_path(), ns, membership.add))));
  }
  const xml::Node reference = body.child(kServiceGroup, "MemberEPR").child(kAddressing, "Address");
  const xml::Node own = said.child(ns, "address");
  if (!own || own.text() != reference.text()) {
    return finish(turn, work,
                  refused("AddRefusedFault", invalid(fmt::format("the member is at {}, and says that it is at {}",
                                                                 reference.text(), own ? own.text() : "nowhere"))));
  }
  auto stay = initial_stay(body, turn.now());
  if (!stay) return finish(turn, work, refused("AddRefusedFault", stay.error()));
  xml::Document call = xml::Document::copy_of(said);
  xml::Node interval = call.root().child(ns, membership.interval);
  if (!*stay) {
    TRY_ASSIGN(const Duration own_interval, parse_stay(interval ? interval.text() : ""));
    *stay = own_interval * membership.intervals;
  } else {
    if (!interval) interval = call.root().append_element(ns, membership.interval);
    interval.set_text(duration_text(**stay / membership.intervals));
  }
  if (**stay < std::chrono::seconds(1)) {
    return finish(turn, work, refused("AddRefusedFault", invalid("a member stays for a second at least")));
  }
  const xml::Node name = said.child(ns, address.resource->key_field);
  work.row.key = name ? name.text() : std::string();
  work.row.stage = kAdding;
  work.row.step = (*stay)->count();
  TRY(keep(turn, work));
  return ask(turn, work, address.service->name, membership.add, std::move(call).share());
}

Status Resources::have_added(Turn& turn, const Work& work, const Message& reply) {
  if (const Status status = status_of(reply); !status) {
    Refusal refusal = refusal_of(status.error());
    if (refusal.name.local != "ResourceUnavailableFault") refusal.name = name_of(kServiceGroup, "AddRefusedFault");
    return finish(turn, work, refusal);
  }
  xml::Document response = xml::Document::create(name_of(kServiceGroup, "AddResponse"));
  response.root()
      .append_element(kServiceGroup, "ServiceGroupEntryReference")
      .append_text_element(kAddressing, "Address",
                           fmt::format("{}{}", options_.base, work.address.entry_of(work.row.key)));
  const TimePoint end = turn.now() + Duration(work.row.step);
  response.root().append_text_element(kServiceGroup, "TerminationTime", end.to_string());
  response.root().append_text_element(kServiceGroup, "CurrentTime", turn.now().to_string());
  return finish(turn, work, std::move(response).share());
}

Status Resources::renew_member(Turn& turn, Work& work, Duration span) {
  const Address& address = work.address;
  const Membership& membership = *address.membership;
  work.row.stage = kRenewing;
  work.row.step = span.count();
  TRY(keep(turn, work));
  return ask(turn, work, address.service->name, membership.renew,
             request_body(address.service->name, membership.renew,
                          {{address.resource->key_field, work.row.key},
                           {membership.interval, duration_text(span / membership.intervals)}}));
}

}  // namespace nuraghe::wsrf
