// The lifecycle of a virtual host as one table: which verb is legal in which state and where it leads. Both the
// drivers' checks and the documentation's diagram come from it. Pure; no state of its own.
//
//   initial --create--> running --pause--> paused --resume--> running
//   running, paused --freeze--> frozen --thaw--> running (or paused)      any --destroy--> destroyed
//   frozen --export--> frozen, here; initial --import--> frozen, elsewhere
#pragma once

#include <array>
#include <string_view>

#include "hypervisor/driver.hpp"

namespace nuraghe::hypervisor {

enum class Verb { kCreate, kPause, kResume, kFreeze, kThaw, kThawPaused, kDestroy, kSetLink, kExport, kImport };
inline constexpr std::array kVerbs = {Verb::kCreate,     Verb::kPause,   Verb::kResume,  Verb::kFreeze, Verb::kThaw,
                                      Verb::kThawPaused, Verb::kDestroy, Verb::kSetLink, Verb::kExport, Verb::kImport};
inline constexpr std::array kHostStates = {HostState::kInitial, HostState::kRunning, HostState::kPaused,
                                           HostState::kFrozen, HostState::kDestroyed};

// "create", "pause", ..., "thaw" for both kinds of thaw, "set_link".
std::string_view verb_name(Verb verb);

enum class Legality {
  kLegal,    // the verb does its work
  kAlready,  // its effect is there: succeed and do nothing
  kIllegal,  // kConflict, nothing changes
};
Legality legality(Verb verb, HostState state);

// True: do the verb's work. False: its effect is there already. kConflict, naming host, state and verb: not legal.
Result<bool> must_act(Verb verb, HostState state, std::string_view id);

// Checks an id before it becomes part of a path: 1 to 64 of letters, digits, '.', '_', '-', not beginning with '.'.
Status check_host_id(std::string_view id);

// Gives the NIC of the specification that leads to the guest's ssh another port. kNotFound when there is none, kInvalid
// for what is no port.
Status move_ssh(HostSpec& spec, int port);
// kUnsupported when the frozen host is of another format than the driver's own.
Status check_frozen_format(const HostSpec& spec, const FrozenHost& frozen, const Capabilities& here);
// 0: none.
int ssh_port_of(const HostSpec& spec);

}  // namespace nuraghe::hypervisor
