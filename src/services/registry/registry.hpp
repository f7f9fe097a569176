// Registry of services: which services there are behind nuraghed's doors. Nuraghe's own stand in the contracts; those
// of other programs register themselves, as controllers do at the VHF, and vanish when they stop renewing.
//
// A name, and the first segment of a REST path, belongs to one program: to Nuraghe, or to who registered it first and
// is alive. After a restart every program gets the time to renew. A renewal writes the lease alone.
// Tables: registry_service NAME → ServiceRow; registry_text NAME → TextsRow; registry_lease NAME → LeaseRow.
// Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "contracts/registry.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::registry {

namespace api = contracts::registry;

struct ServiceRow {
  std::string name, title, name_space, version;
  std::string address;  // in its program
  std::string program;  // the program's own id
  Duration interval{0};
  TimePoint registered, last_seen;  // the latter by its lease when there is one
  std::vector<api::Operation> operations;
  std::vector<api::Document> documents;  // these two are stored as TextsRow
  std::string openapi;
  std::optional<bool> by_certificate;  // else by the site's token; empty: an older Nuraghe did not say
  std::vector<api::Resource> resources;
  std::vector<std::string> topics;
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, title), v(3, name_space), v(4, version), v(5, address), v(6, program), v(7, interval),
        v(8, registered), v(9, last_seen), v(10, operations), v(13, by_certificate), v(14, resources),
        v(15, topics);  // 11, 12: of an older Nuraghe
  }
};

// What may be large, and is read when a service registers and when the registry starts.
struct TextsRow {
  std::vector<api::Document> documents;
  std::string openapi;
  template <class V>
  void fields(V& v) {
    v(1, documents), v(2, openapi);
  }
};

struct LeaseRow {
  std::string program;
  Duration interval{0};
  TimePoint last_seen;
  std::int64_t told = 0;  // sequence of the last event that was published
  template <class V>
  void fields(V& v) {
    v(1, program), v(2, interval), v(3, last_seen), v(4, told);
  }
};

struct RegistryOptions {
  std::string base;     // of the addresses that are listed: "http://127.0.0.1:8470"
  std::string version;  // of Nuraghe
  // kDenied when nuraghed must not send there for who came with a certificate, or the site's token; kInvalid when that
  // is no address of the service.
  std::function<Status(const std::string& name, const std::string& address, bool by_certificate)> check_address;
  // Whether a service's program has a certificate that counts; empty: none has. Thread safe, does not block.
  std::function<bool(const std::string& name)> is_member;
  // Whether a controller has this name, whose paths stand beside those of services.
  std::function<bool(const std::string& name)> is_controller;
  // Told of every service when the registry starts and when one registers; null: that it is gone. Within the turn:
  // should that be undone, the next registration or expiry tells what is so. Must not block.
  std::function<void(const std::string& name, const ServiceRow* row)> on_service;
};

class Registry final : public api::Skeleton {
 public:
  static constexpr int kMissedRenewals = 3;
  static constexpr std::size_t kMostServices = 100;
  static constexpr std::size_t kMostOperations = 1000;
  static constexpr std::size_t kMostResources = 100;              // of a service, and properties of each, and topics
  static constexpr std::size_t kMostEvents = 100;                 // published at once
  static constexpr std::size_t kMostText = std::size_t{4} << 20;  // bytes of its descriptions
  static constexpr Duration kShortestInterval = std::chrono::seconds(1);
  static constexpr Duration kLongestInterval = std::chrono::hours(1);

  explicit Registry(RegistryOptions options) : Skeleton("registry"), options_(std::move(options)) {}
  std::string_view name() const override { return "registry"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  // Ends what was registered with certificates that do not count any more. In a turn of this actor.
  Status end_revoked(exchange::Turn& turn);

 protected:
  Status register_service(exchange::Turn& turn, const exchange::Message& request,
                          const api::RegisterServiceRequest& input) override;
  Status renew_service(exchange::Turn& turn, const exchange::Message& request,
                       const api::RenewServiceRequest& input) override;
  Status publish_events(exchange::Turn& turn, const exchange::Message& request,
                        const api::PublishEventsRequest& input) override;
  Status list_services(exchange::Turn& turn, const exchange::Message& request,
                       const api::ListServicesRequest& input) override;
  Status get_service(exchange::Turn& turn, const exchange::Message& request,
                     const api::GetServiceRequest& input) override;

 private:
  // Their rows without the texts, last seen as their leases say.
  Result<std::vector<ServiceRow>> all(exchange::Turn& turn) const;
  Result<std::optional<ServiceRow>> find(exchange::Turn& turn, const std::string& name) const;
  Status put(exchange::Turn& turn, const ServiceRow& row) const;
  Status erase(exchange::Turn& turn, const std::string& name) const;
  TimePoint alive_until(TimePoint last_seen, Duration interval) const;
  TimePoint alive_until(const ServiceRow& row) const { return alive_until(row.last_seen, row.interval); }
  bool is_revoked(const ServiceRow& row) const;
  Status end(exchange::Turn& turn, const ServiceRow& row, const std::string& why);
  Status check_free(exchange::Turn& turn, const api::RegisterServiceRequest& input) const;
  api::Service seen(const ServiceRow& row) const;
  api::Service own(std::string_view name) const;

  const RegistryOptions options_;
  RowTable<ServiceRow> services_;
  RowTable<TextsRow> texts_;
  RowTable<LeaseRow> leases_;
  TimePoint started_;
};

// "greetings" of "/greetings/{name}".
std::string_view first_segment(std::string_view path);

}  // namespace nuraghe::services::registry
