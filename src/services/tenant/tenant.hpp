// The tenant service: virtual organisations, members and their tokens, quotas, usage, the audit log. As the exchange's
// recorder it writes an entry of the audit log for every request from outside that may change something, in the
// transaction that handles it, and another one where it is answered later. Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/tenant/accounts.hpp"
#include "services/tenant/ledger.hpp"
#include "services/tenant/quotas.hpp"
#include "services/tenant/shut_out.hpp"
#include "services/tenant/usage.hpp"

namespace nuraghe::services::tenant {

struct ServiceOptions {
  // Where accounts are shown; outlives the service. Required.
  AccountBoard* board = nullptr;
  std::string first_vo;  // made when there is none; empty: none
  Duration audit_retention = std::chrono::hours(24 * 400);
  // Whether a request for what no definition has, such as an operation of WSRF, changes nothing; empty: none does so.
  std::function<bool(const exchange::Message&)> reads;
  // The physical machines that the VO has, or that may hold its data, asked for in a turn of the service; empty: there
  // are none here.
  std::function<Result<std::vector<std::string>>(store::Transaction& tx, const std::string& vo)> machines_of;
  // The rows are not what the board shows: reload() is to be called in a turn. Must not block.
  std::function<void()> on_stale;
};

class Service final : public api::Skeleton, public exchange::Recorder {
 public:
  explicit Service(ServiceOptions options) : Skeleton("tenant"), options_(std::move(options)) {}
  std::string_view name() const override { return "tenant"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  void on_rollback() override;
  bool records(const exchange::Message& request) const override;
  Status on_handled(store::Transaction& tx, TimePoint now, const exchange::Message& request,
                    const exchange::Message* reply) override;
  Status on_answered(store::Transaction& tx, TimePoint now, std::string_view request_id,
                     const exchange::Message& reply) override;
  // Within a turn of this actor: an entry of its own.
  Status record(exchange::Turn& turn, api::AuditRecord record) const;
  // Shows on the board what the rows say, after on_stale.
  Status reload(exchange::Turn& turn) const;
  // Whether there is a VO of that name, and it was not deleted. To be called in a turn of any actor of the same
  // exchange; not before this service was opened.
  Result<bool> has_vo(store::Transaction& tx, std::string_view name) const;

 protected:
  Status create_vo(exchange::Turn& turn, const exchange::Message& request, const api::CreateVoRequest& input) override;
  Status delete_vo(exchange::Turn& turn, const exchange::Message& request, const api::DeleteVoRequest& input) override;
  Status list_vos(exchange::Turn& turn, const exchange::Message& request, const api::ListVosRequest& input) override;
  Status get_vo(exchange::Turn& turn, const exchange::Message& request, const api::GetVoRequest& input) override;
  Status list_members(exchange::Turn& turn, const exchange::Message& request,
                      const api::ListMembersRequest& input) override;
  Status add_member(exchange::Turn& turn, const exchange::Message& request,
                    const api::AddMemberRequest& input) override;
  Status change_member(exchange::Turn& turn, const exchange::Message& request,
                       const api::ChangeMemberRequest& input) override;
  Status remove_member(exchange::Turn& turn, const exchange::Message& request,
                       const api::RemoveMemberRequest& input) override;
  Status issue_token(exchange::Turn& turn, const exchange::Message& request,
                     const api::IssueTokenRequest& input) override;
  Status issue_wide_token(exchange::Turn& turn, const exchange::Message& request,
                          const api::IssueWideTokenRequest& input) override;
  Status issue_own_token(exchange::Turn& turn, const exchange::Message& request,
                         const api::IssueOwnTokenRequest& input) override;
  Status list_own_tokens(exchange::Turn& turn, const exchange::Message& request,
                         const api::ListOwnTokensRequest& input) override;
  Status revoke_own_token(exchange::Turn& turn, const exchange::Message& request,
                          const api::RevokeOwnTokenRequest& input) override;
  Status list_tokens(exchange::Turn& turn, const exchange::Message& request,
                     const api::ListTokensRequest& input) override;
  Status revoke_token(exchange::Turn& turn, const exchange::Message& request,
                      const api::RevokeTokenRequest& input) override;
  Status set_quota(exchange::Turn& turn, const exchange::Message& request, const api::SetQuotaRequest& input) override;
  Status get_quota(exchange::Turn& turn, const exchange::Message& request, const api::GetQuotaRequest& input) override;
  Status get_usage(exchange::Turn& turn, const exchange::Message& request, const api::GetUsageRequest& input) override;
  Status export_usage(exchange::Turn& turn, const exchange::Message& request,
                      const api::ExportUsageRequest& input) override;
  Status list_audit(exchange::Turn& turn, const exchange::Message& request,
                    const api::ListAuditRequest& input) override;
  Status list_site_audit(exchange::Turn& turn, const exchange::Message& request,
                         const api::ListSiteAuditRequest& input) override;
  Status verify_audit(exchange::Turn& turn, const exchange::Message& request,
                      const api::VerifyAuditRequest& input) override;

 private:
  // kConflict names the physical machines that the VO still has.
  Status check_no_machines(store::Transaction& tx, const std::string& vo) const;
  // The VO that a request is about: the one that it acts for, or kNotFound.
  Result<VoRow> vo_of(exchange::Turn& turn, const exchange::Message& request, const std::string& vo) const;
  Result<MemberRow> member_of(exchange::Turn& turn, const std::string& vo, const std::string& name) const;
  // The member that asks; kInvalid for who is none, such as a token of the token file.
  Result<MemberRow> asking_member(exchange::Turn& turn, const exchange::Message& request, const std::string& vo) const;
  Result<api::Vo> describe(exchange::Turn& turn, const VoRow& row) const;
  struct Issue {
    MemberRow member;
    std::string label;
    std::optional<Duration> lifetime;
    std::vector<std::string> also;
  };
  Result<TokenRow> make_token(exchange::Turn& turn, const Issue& issue, std::string& secret);
  Status remove_tokens(exchange::Turn& turn, const std::string& membership) const;
  Status sweep(exchange::Turn& turn);
  Result<std::vector<TokenRow>> tokens_of(exchange::Turn& turn, const std::string& vo) const;

  // As reload, of rows that this turn changed.
  Status show(exchange::Turn& turn);

  ServiceOptions options_;
  bool may_differ_ = false;  // the board shows what was changed since the rows were last read again
  RowTable<VoRow> vos_;
  RowTable<MemberRow> members_;
  RowTable<TokenRow> tokens_;
  ShutOut shut_out_;
  Quotas quotas_;
  Ledger ledger_;
  RowTable<api::AuditRecord> open_calls_;
  UsageBook usage_;
};

}  // namespace nuraghe::services::tenant
