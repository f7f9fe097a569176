#include "services/vhc/logins.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace nuraghe::services::vhc {
namespace {

namespace json = boost::json;

// A connection of sshd is a process whose parent is the listening one; a newer OpenSSH calls it sshd-session. What it
// started for a session has in its environment whence it came and what was shown. 10.0.2.2 is the physical host on the
// management network (QEMU, "Network emulation", user mode).
constexpr std::string_view kScript = R"sh(
PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
management=10.0.2.2
line_feed='
'
read -r up rest </proc/uptime
now=${up%%.*}
servers=' ' connections=' ' others=''
each() { # of every process: CALLBACK PID PARENT AGE
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        name=${line#*(} name=${name%)*}
        pid=${line%% *}
        set -- "$1" ${line##*) }
        "$1" "$pid" "$3" $((now - ${21} / 100))
    done
}
is_server() {
    case $name in sshd | sshd-session) servers="$servers$1 " ;; esac
}
is_connection() {
    case $servers in *" $1 "*) ;; *) return ;; esac
    case $servers in *" $2 "*) ;; *) return ;; esac
    connections="$connections$1 "
    eval "age_$1=$3 parent_$1=$2 whose_$1="
}
is_started() {
    case $servers in *" $1 "*) return ;; esac
    case $connections in *" $2 "*) ;; *) return ;; esac
    whose=$(whose_is "$1")
    [ -z "$whose" ] || eval "whose_$2=\$whose started_$2=\"\${started_$2:-} $1\""
}
whose_is() { # the key id of its certificate is one of ours: shut-out; somebody-else; nothing: not known
    shown= from=
    while IFS= read -r variable; do
        case $variable in
        SSH_USER_AUTH=*) shown=${variable#*=} ;;
        SSH_CONNECTION=*) from=${variable#*=} ;;
        esac
    done <<END
$(tr '\n\0' ' \n' 2>/dev/null <"/proc/$1/environ")
END
    if [ -n "$shown" ] && [ -r "$shown" ]; then
        while read -r method type key; do
            ids="$line_feed$(printf %s "$key" | base64 -d 2>/dev/null | tr -c ' -~' '\n')$line_feed"
            for login in $logins; do
                case $ids in *"$login$line_feed"*) echo shut-out; return ;; esac
            done
        done <"$shown"
        echo somebody-else
    elif [ -n "$from" ]; then
        case $from in "$management "*) echo shut-out ;; *) echo somebody-else ;; esac
    fi
}
logins=$*
each is_server
each is_connection
each is_started
ended=
for connection in $connections; do
    eval "whose=\$whose_$connection age=\$age_$connection parent=\$parent_$connection"
    eval "started=\${started_$connection:-}"
    # What a connection forked of itself is none.
    case $connections in *" $parent "*) continue ;; esac
    [ "$whose" = somebody-else ] && continue
    [ -z "$whose" ] && [ "$age" -lt 20 ] && continue
    kill -TERM "$connection" && ended="$ended $connection"
    [ -z "$started" ] || kill -HUP $started
done 2>/dev/null
[ -z "$ended" ] && exit 0
sleep 1
for connection in $ended; do
    kill -KILL "$connection" 2>/dev/null
done
exit 0
)sh";

Result<json::object> object_of(std::string_view answer) {
  boost::system::error_code error;
  auto value = json::parse(answer, error);
  if (error || !value.is_object()) return invalid("the guest agent's answer is no JSON object");
  return std::move(value.get_object());
}

}  // namespace

std::string_view end_logins_script() { return kScript; }

std::string end_logins_command(const std::vector<std::string>& logins) {
  json::array arguments{"-c", json::value(kScript), "end-logins"};
  for (const auto& login : logins) arguments.emplace_back(login);
  const json::object command{
      {"execute", "guest-exec"},
      {"arguments", json::object{{"path", "/bin/sh"}, {"arg", std::move(arguments)}, {"capture-output", false}}}};
  return json::serialize(command);
}

std::string reseed_command(std::span<const std::uint8_t> random) {
  // The protocol takes base64, which hexadecimal digits, a multiple of four of them, are as well: of bytes that hold as
  // much chance.
  std::string digits;
  for (const auto byte : random) digits += fmt::format("{:02x}", byte);
  digits.resize(digits.size() - digits.size() % 4);
  const json::object command{{"execute", "guest-exec"},
                             {"arguments", json::object{{"path", "/bin/sh"},
                                                        {"arg", json::array{"-c", "cat > /dev/urandom"}},
                                                        {"input-data", std::move(digits)}}}};
  return json::serialize(command);
}

Result<std::int64_t> started_process(std::string_view answer) {
  TRY_ASSIGN(const auto object, object_of(answer));
  const auto* process = object.if_contains("pid");
  if (process == nullptr || !process->is_int64()) return invalid("the guest agent does not say what it started");
  return process->get_int64();
}

std::string process_status_command(std::int64_t process) {
  return fmt::format("{{\"execute\":\"guest-exec-status\",\"arguments\":{{\"pid\":{}}}}}", process);
}

Result<std::optional<std::int64_t>> exit_code(std::string_view answer) {
  TRY_ASSIGN(const auto object, object_of(answer));
  const auto* exited = object.if_contains("exited");
  if (exited == nullptr || !exited->is_bool()) return invalid("the guest agent does not say whether it runs");
  if (!exited->get_bool()) return std::optional<std::int64_t>();
  const auto number = [&](const char* name) -> std::optional<std::int64_t> {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
  };
  if (const auto signal = number("signal")) return std::optional(128 + *signal);
  return std::optional(number("exitcode").value_or(0));
}

}  // namespace nuraghe::services::vhc
