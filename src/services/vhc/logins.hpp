// How the ssh sessions of somebody are ended in a guest: by its agent (QEMU guest agent protocol, guest-exec), which
// needs neither network nor log-in. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::services::vhc {

// Ends the connections of OpenSSH's server in which the shown certificate has one of these key ids. The server has to
// say whose a session is (ExposeAuthInfo, which seeds set); without that every session over the management network is
// ended, and so is one that shows nobody and is no log-in of these seconds. Sessions among the hosts of a cluster stay.
// POSIX shell; arguments: the key ids. Ends with 0 when all of them are gone.
std::string_view end_logins_script();

// The guest-exec command that runs the script.
std::string end_logins_command(const std::vector<std::string>& logins);
// The guest-exec command that stirs these random bytes into the guest's own (random(4)).
std::string reseed_command(std::span<const std::uint8_t> random);
// The number of the process in its answer.
Result<std::int64_t> started_process(std::string_view answer);
std::string process_status_command(std::int64_t process);
// Of an answer to that: nullopt while it runs, else its exit code; what a signal ended counts as 128 and its number.
Result<std::optional<std::int64_t>> exit_code(std::string_view answer);

}  // namespace nuraghe::services::vhc
