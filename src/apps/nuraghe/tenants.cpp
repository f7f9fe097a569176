// Virtual organisations, members, tokens, quotas, usage and the audit log.
#include "apps/nuraghe/tenants.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "contracts/tenant.hpp"
#include "env/posix.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
namespace api = contracts::tenant;

constexpr Bytes kKeyFileLimit = {64 << 10};
constexpr std::int32_t kPage = 1000;

Result<api::Client> tenants(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  return api::Client(connection->caller(), connection->service("tenant"));
}

json::object member_json(const api::Member& member) {
  json::array keys;
  for (const auto& key : member.authorized_key) keys.push_back(json::string(key));
  return {{"name", member.name},       {"role", to_string(member.role)},    {"issuer", member.issuer},
          {"subject", member.subject}, {"since", member.since.to_string()}, {"authorized_key", std::move(keys)}};
}

json::object token_json(const api::Token& token) {
  return {{"id", token.id},
          {"member", token.member},
          {"label", token.label},
          {"created", token.created.to_string()},
          {"expires", token.expires.to_string()}};
}

json::object vo_json(const api::Vo& vo) {
  return {{"name", vo.name}, {"title", vo.title}, {"created", vo.created.to_string()}, {"members", vo.members}};
}

// Each file may hold several keys, one per line.
Result<std::vector<std::string>> read_keys(const std::vector<std::string>& files) {
  std::vector<std::string> keys;
  for (const auto& file : files) {
    TRY_ASSIGN(const auto text, env::read_file(file, kKeyFileLimit));
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string line = text.substr(at, end - at);
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
      if (!line.empty() && line.front() != '#') keys.push_back(std::move(line));
      at = end + 1;
    }
  }
  return keys;
}

Result<std::optional<api::Role>> role_of(const std::string& text) {
  if (text.empty()) return std::optional<api::Role>();
  for (const auto role : {api::Role::kViewer, api::Role::kOperator, api::Role::kOwner, api::Role::kAdministrator}) {
    if (text == to_string(role)) return std::optional(role);
  }
  return invalid(fmt::format("'{}' is no role: viewer, operator, owner or administrator", text));
}

std::optional<std::string> given(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

Result<std::optional<Duration>> span_of(const std::string& text) {
  if (text.empty()) return std::optional<Duration>();
  TRY_ASSIGN(const Duration span, parse_duration(text));
  return std::optional(span);
}

void print_members(Context& context, const std::vector<api::Member>& members) {
  if (context.json()) {
    json::array list;
    for (const auto& member : members) list.push_back(member_json(member));
    return context.print_json(list);
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "ROLE", "SINCE", "KEYS", "ENTERS BY"}};
  for (const auto& member : members)
    rows.push_back({member.name, std::string(to_string(member.role)), age(member.since),
                    std::to_string(member.authorized_key.size()),
                    member.issuer.empty() ? "tokens" : member.issuer + " " + member.subject});
  context.print_table(rows);
}

template <class Response>
Status print_secret(Context& context, const Response& response) {
  if (!response.secret)
    return conflict("the token was issued before, and its secret is shown once: revoke it and issue another");
  if (context.json()) {
    auto value = token_json(response.token);
    value["secret"] = *response.secret;
    context.print_json(value);
    return {};
  }
  // The secret alone on standard output: it can be kept in a file.
  std::fprintf(stderr, "token %s of %s, until %s; this is shown once:\n", response.token.id.c_str(),
               response.token.member.c_str(), response.token.expires.to_string().c_str());
  context.print_line(*response.secret);
  return {};
}

}  // namespace

Status list_vos(Context& context) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto response, client.list_vos({}));
  if (context.json()) {
    json::array list;
    for (const auto& vo : response.vo) list.push_back(vo_json(vo));
    context.print_json(list);
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"VO", "MEMBERS", "CREATED", "TITLE"}};
  for (const auto& vo : response.vo) rows.push_back({vo.name, std::to_string(vo.members), age(vo.created), vo.title});
  context.print_table(rows);
  return {};
}

Status create_vo(Context& context, const std::string& name, const std::string& title) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto response, client.create_vo({name, given(title)}));
  if (context.json()) context.print_json(vo_json(response.vo));
  context.print_line(fmt::format(
      "the VO {} is created; add its first owner: nuraghe --vo {} member add NAME --role owner", name, name));
  return {};
}

Status delete_vo(Context& context, const std::string& name) {
  TRY(context.confirm(fmt::format("Delete the VO {} with its members and tokens?", name)));
  TRY_ASSIGN(auto client, tenants(context));
  TRY(client.delete_vo({name}));
  if (context.json()) context.print_json(json::object{{"deleted", name}});
  context.print_line(fmt::format("the VO {} is deleted", name));
  return {};
}

Status list_members(Context& context) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto response, client.list_members({context.options().vo}));
  print_members(context, response.member);
  return {};
}

Status add_member(Context& context, const MemberOptions& options) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto role, role_of(options.role));
  TRY_ASSIGN(auto keys, read_keys(options.key_files));
  TRY_ASSIGN(const auto response,
             client.add_member({context.options().vo, options.name, role.value_or(api::Role::kViewer),
                                given(options.issuer), given(options.subject), std::move(keys)}));
  if (context.json()) context.print_json(member_json(response.member));
  context.print_line(fmt::format("{} is a member: {}", options.name, to_string(response.member.role)));
  return {};
}

Status change_member(Context& context, const MemberOptions& options) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto role, role_of(options.role));
  TRY_ASSIGN(auto keys, read_keys(options.key_files));
  TRY_ASSIGN(const auto response, client.change_member({context.options().vo, options.name, role, given(options.issuer),
                                                        given(options.subject), std::move(keys)}));
  if (context.json()) context.print_json(member_json(response.member));
  context.print_line(fmt::format("{} is {} now", options.name, to_string(response.member.role)));
  return {};
}

Status remove_member(Context& context, const std::string& name) {
  TRY(context.confirm(fmt::format("Remove the member {} with its tokens?", name)));
  TRY_ASSIGN(auto client, tenants(context));
  TRY(client.remove_member({context.options().vo, name}));
  if (context.json()) context.print_json(json::object{{"removed", name}});
  context.print_line(fmt::format("{} is no member any more", name));
  return {};
}

Status list_tokens(Context& context, bool own) {
  TRY_ASSIGN(auto client, tenants(context));
  std::vector<contracts::tenant::Token> tokens;
  if (own) {
    TRY_ASSIGN(auto response, client.list_own_tokens({context.options().vo}));
    tokens = std::move(response.token);
  } else {
    TRY_ASSIGN(auto response, client.list_tokens({context.options().vo}));
    tokens = std::move(response.token);
  }
  if (context.json()) {
    json::array list;
    for (const auto& token : tokens) list.push_back(token_json(token));
    context.print_json(list);
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"ID", "MEMBER", "ISSUED", "EXPIRES", "LABEL"}};
  for (const auto& token : tokens)
    rows.push_back({token.id, token.member, age(token.created), token.expires.to_string(), token.label});
  context.print_table(rows);
  return {};
}

Status issue_token(Context& context, const TokenOptions& options) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto lifetime, span_of(options.lifetime));
  const auto& vo = context.options().vo;
  if (options.member.empty()) {
    TRY_ASSIGN(const auto response, client.issue_own_token({vo, given(options.label), lifetime}));
    return print_secret(context, response);
  }
  if (!options.also.empty()) {
    TRY_ASSIGN(const auto response,
               client.issue_wide_token({vo, options.member, options.also, given(options.label), lifetime}));
    return print_secret(context, response);
  }
  TRY_ASSIGN(const auto response, client.issue_token({vo, options.member, given(options.label), lifetime}));
  return print_secret(context, response);
}

Status revoke_token(Context& context, const std::string& id, bool own) {
  TRY_ASSIGN(auto client, tenants(context));
  if (own) {
    TRY(client.revoke_own_token({context.options().vo, id}));
  } else {
    TRY(client.revoke_token({context.options().vo, id}));
  }
  if (context.json()) context.print_json(json::object{{"revoked", id}});
  context.print_line(fmt::format("the token {} is revoked", id));
  return {};
}

Status show_quota(Context& context) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto response, client.get_quota({context.options().vo}));
  const auto& quota = response.quota;
  const auto& used = response.used;
  const auto count = [](const auto& limit) { return limit ? std::to_string(*limit) : std::string("none"); };
  const auto size = [](const auto& limit) { return limit ? short_size(*limit) : std::string("none"); };
  if (!context.json()) {
    context.print_table(
        {{"", "USED", "LIMIT"},
         {"hosts", std::to_string(used.hosts), count(quota.hosts)},
         {"cpus", std::to_string(used.cpus), count(quota.cpus)},
         {"memory", short_size(used.memory), size(quota.memory)},
         {"disk", short_size(used.disk), size(quota.disk)},
         {"frozen", short_size(used.frozen), size(quota.frozen)},
         {"clusters", std::to_string(used.clusters), count(quota.clusters)},
         {"longest lease", "", quota.longest_lease ? format_duration(*quota.longest_lease) : std::string("none")},
         {"images", "", size(quota.images)}});
    return {};
  }
  json::object limits;
  const auto put = [&](const char* name, const auto& limit, const auto& number) {
    limits[name] = limit ? json::value(number(*limit)) : json::value(nullptr);
  };
  const auto plain = [](std::int64_t number) { return number; };
  const auto bytes = [](const Bytes& number) { return number.count; };
  put("hosts", quota.hosts, plain);
  put("cpus", quota.cpus, plain);
  put("memory", quota.memory, bytes);
  put("disk", quota.disk, bytes);
  put("frozen", quota.frozen, bytes);
  put("clusters", quota.clusters, plain);
  put("longest_lease_seconds", quota.longest_lease, [](Duration span) { return span.count() / 1'000'000; });
  put("images", quota.images, bytes);
  context.print_json(json::object{{"limit", std::move(limits)},
                                  {"used",
                                   {{"hosts", used.hosts},
                                    {"cpus", used.cpus},
                                    {"memory", used.memory.count},
                                    {"disk", used.disk.count},
                                    {"frozen", used.frozen.count},
                                    {"clusters", used.clusters}}}});
  return {};
}

Status set_quota(Context& context, const QuotaOptions& options) {
  TRY_ASSIGN(auto client, tenants(context));
  TRY_ASSIGN(const auto before, client.get_quota({context.options().vo}));
  api::Quota quota = before.quota;
  const auto change = [](const std::string& text, auto& limit, const auto& parse) -> Status {
    if (text.empty()) return {};
    if (text == "none") {
      limit.reset();
      return {};
    }
    TRY_ASSIGN(limit, parse(text));
    return {};
  };
  const auto count = [](const std::string& text) -> Result<std::optional<std::int32_t>> {
    if (text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
      return invalid(fmt::format("'{}' is no number", text));
    return std::optional(static_cast<std::int32_t>(std::stoi(text)));
  };
  const auto size = [](const std::string& text) -> Result<std::optional<Bytes>> {
    TRY_ASSIGN(const Bytes bytes, parse_bytes(text));
    return std::optional(bytes);
  };
  TRY(change(options.hosts, quota.hosts, count));
  TRY(change(options.cpus, quota.cpus, count));
  TRY(change(options.memory, quota.memory, size));
  TRY(change(options.disk, quota.disk, size));
  TRY(change(options.frozen, quota.frozen, size));
  TRY(change(options.clusters, quota.clusters, count));
  TRY(change(options.longest_lease, quota.longest_lease, span_of));
  TRY(change(options.images, quota.images, size));
  TRY(client.set_quota({context.options().vo, quota}));
  return show_quota(context);
}

Status show_usage(Context& context, const std::string& month, bool csv) {
  TRY_ASSIGN(auto client, tenants(context));
  if (csv) {
    TRY_ASSIGN(const auto response, client.export_usage({context.options().vo, given(month)}));
    std::fputs(response.csv.c_str(), stdout);
    return {};
  }
  TRY_ASSIGN(const auto response, client.get_usage({context.options().vo, given(month)}));
  json::array list;
  std::vector<std::vector<std::string>> rows{
      {"MONTH", "MEMBER", "CLUSTER", "STATE", "HOST HOURS", "CPU HOURS", "MEMORY GiB HOURS", "FROZEN GiB HOURS"}};
  for (const auto& line : response.line) {
    rows.push_back({line.month, line.member, line.cluster, std::string(api::to_string(line.state)),
                    fmt::format("{:.3f}", line.host_hours), fmt::format("{:.3f}", line.cpu_hours),
                    fmt::format("{:.3f}", line.memory_gib_hours), fmt::format("{:.3f}", line.frozen_gib_hours)});
    list.push_back(json::object{{"month", line.month},
                                {"member", line.member},
                                {"cluster", line.cluster},
                                {"state", api::to_string(line.state)},
                                {"host_hours", line.host_hours},
                                {"cpu_hours", line.cpu_hours},
                                {"memory_gib_hours", line.memory_gib_hours},
                                {"frozen_gib_hours", line.frozen_gib_hours}});
  }
  if (context.json())
    context.print_json(list);
  else
    context.print_table(rows);
  return {};
}

namespace {

json::object record_json(const api::AuditRecord& record) {
  json::object value{{"sequence", record.sequence},
                     {"time", record.time.to_string()},
                     {"kind", record.kind},
                     {"who", record.who},
                     {"vo", record.vo},
                     {"service", record.service},
                     {"operation", record.operation},
                     {"object", record.object},
                     {"origin", record.origin},
                     {"trace", record.trace},
                     {"outcome", record.outcome},
                     {"text", record.text},
                     {"request", record.request},
                     {"hash", record.hash}};
  if (record.usage)
    value["usage"] = {{"host", record.usage->host},           {"cluster", record.usage->cluster},
                      {"state", record.usage->state},         {"begin", record.usage->begin.to_string()},
                      {"end", record.usage->end.to_string()}, {"cpus", record.usage->cpus},
                      {"memory", record.usage->memory.count}, {"frozen", record.usage->frozen.count}};
  return value;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void print_csv(const api::AuditRecord& record) {
  const std::string fields[] = {std::to_string(record.sequence),
                                record.time.to_string(),
                                record.kind,
                                record.who,
                                record.vo,
                                record.service,
                                record.operation,
                                record.object,
                                record.origin,
                                record.trace,
                                record.outcome,
                                record.text,
                                record.request,
                                record.hash};
  std::string line;
  for (const auto& field : fields) line += (line.empty() ? "" : ",") + csv_field(field);
  std::printf("%s\r\n", line.c_str());
}

}  // namespace

Status show_audit(Context& context, const AuditOptions& options) {
  TRY_ASSIGN(auto client, tenants(context));
  if (options.csv)
    std::printf("sequence,time,kind,who,vo,service,operation,object,origin,trace,outcome,text,request,hash\r\n");
  std::vector<std::vector<std::string>> rows{
      {"TIME", "WHO", "VO", "OPERATION", "OBJECT", "FROM", "KIND", "OUTCOME", "TEXT"}};
  for (std::int64_t after = options.after;;) {
    std::vector<api::AuditRecord> page;
    if (options.all) {
      TRY_ASSIGN(auto response, client.list_site_audit({after, kPage}));
      page = std::move(response.record);
    } else {
      TRY_ASSIGN(auto response, client.list_audit({context.options().vo, after, kPage}));
      page = std::move(response.record);
    }
    if (page.empty()) break;
    for (const auto& record : page) {
      if (options.csv)
        print_csv(record);
      else if (context.json())
        std::printf("%s\n", json::serialize(record_json(record)).c_str());
      else
        rows.push_back({record.time.to_string(), record.who, record.vo, record.service + " " + record.operation,
                        record.object, record.origin, record.kind, record.outcome, record.text});
    }
    after = page.back().sequence;
  }
  if (!options.csv && !context.json()) context.print_table(rows);
  return {};
}

Status verify_audit(Context& context) {
  TRY_ASSIGN(auto client, tenants(context));
  std::int64_t last = 0;
  for (bool more = true; more;) {
    TRY_ASSIGN(const auto response, client.verify_audit({last}));
    if (response.broken)
      return Error(ErrorCode::kCorrupt,
                   fmt::format("the audit log is not as it was written, from entry {} on", *response.broken));
    last = response.last;
    more = response.more;
  }
  if (context.json()) context.print_json(json::object{{"verified", last}});
  context.print_line(fmt::format("every entry up to {} is as it was written", last));
  return {};
}

}  // namespace nuraghe::cli
