// For the tests of this room: Resources with services beside it that answer as the test says; every message of WSRF
// that passes is checked against the schemas of OASIS.
#pragma once

#include <gmock/gmock.h>

#include "contracts/notification.hpp"
#include "contracts/vcf.hpp"
#include "contracts/vhf.hpp"
#include "exchange/test_world.hpp"
#include "wsrf/resources_state.hpp"

namespace nuraghe::wsrf::testing {

using exchange::Message;
using exchange::Turn;

inline const xml::Schema& schema() {
  static const xml::Schema compiled = [] {
    auto made = message_schema();
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }();
  return compiled;
}

inline void expect_valid(xml::Node element) {
  for (const auto& finding : schema().validate(element))
    ADD_FAILURE() << finding.to_string() << "\n" << element.to_string(true);
}

inline contracts::vcf::Cluster a_cluster(const std::string& id, const std::string& state) {
  contracts::vcf::Cluster cluster;
  cluster.id = id;
  cluster.name = "mpi";
  cluster.vo = "physics";
  EXPECT_TRUE(contracts::vcf::from_string(state, cluster.state)) << state;
  for (int i = 0; i < 3; ++i) {
    auto& member = cluster.member.emplace_back();
    member.name = "node" + std::to_string(i);
    member.host = "vh-" + std::to_string(i);
    member.cpus = i + 1;
    member.address = {"net=10.0.0." + std::to_string(i + 1) + "/24"};
  }
  return cluster;
}

class ResourcesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    vcf.request = [this](Turn& turn, const Message& request) { return serve_vcf(turn, request); };
    vcm.request = [this](Turn& turn, const Message& request) { return serve_vcm(turn, request); };
    vhf.request = [this](Turn& turn, const Message& request) { return serve_vhf(turn, request); };
    open();
  }
  void open() {
    auto made = Resources::make({"http://127.0.0.1:8470"});
    ASSERT_TRUE(made) << made.error().to_string();
    resources = std::move(*made);
    std::vector<exchange::Actor*> actors{resources.get(), &vcf, &vcm, &vhf};
    if (more != nullptr) actors.push_back(more);
    auto& control = world.add("control", actors);
    Resources::each_route([&](const std::string& path, const std::string& operation) {
      world.router->add_route(path, operation, control, "wsrf");
    });
    world.drain();
  }
  // Only the disk stays.
  void restart() {
    world.restart();
    open();
  }

  // ---- the services ----
  Status serve_vcf(Turn& turn, const Message& request) {
    if (request.operation == "list_clusters") {
      contracts::vcf::ListClustersResponse response;
      for (const auto& [id, cluster] : clusters) {
        if (cluster.vo == request.vo) response.cluster.push_back(cluster);
      }
      return turn.reply(request.message_id, contracts::vcf::document_of(response));
    }
    TRY_ASSIGN(const auto input, contracts::vcf::parse_get_cluster_request(request));
    if (unavailable_) return unavailable("the database is being moved");
    const auto found = clusters.find(input.cluster);
    if (found == clusters.end() || found->second.vo != request.vo)
      return not_found("there is no cluster " + input.cluster);
    return turn.reply(request.message_id,
                      contracts::vcf::document_of(contracts::vcf::GetClusterResponse{found->second}));
  }
  Status serve_vcm(Turn& turn, const Message& request) {
    const std::string id = request.body->root().first_child().text();
    calls.push_back(request.operation + " " + id + " of " + request.vo + " by " + request.caller);
    if (!refusal.empty()) return conflict(refusal);
    if (request.operation == "destroy_vc") clusters[id].state = contracts::vcf::ClusterState::kDestroyed;
    return turn.reply(request.message_id,
                      xml::Document::create({"urn:nuraghe:vcm:1", request.operation + "Response"}).share());
  }
  Status serve_vhf(Turn& turn, const Message& request) {
    calls.push_back(request.operation + " " + request.body->root().text());
    const auto all = [&] {
      auto values = hosts;
      for (auto& host : values) host.alive = turn.now() < host.alive_until;
      return values;
    };
    if (request.operation == "register_physical_host") {
      TRY_ASSIGN(const auto input, contracts::vhf::parse_register_physical_host_request(request));
      if (!refusal.empty()) return denied(refusal);
      reached_at = request.reached_at;
      auto& host = hosts.emplace_back();
      host.name = input.name, host.address = input.address, host.total = input.total, host.site = input.site;
      host.last_seen = turn.now(), host.alive_until = turn.now() + input.interval * 3;
      return turn.reply(request.message_id,
                        contracts::vhf::document_of(contracts::vhf::RegisterPhysicalHostResponse{}));
    }
    if (request.operation == "renew_physical_host") {
      TRY_ASSIGN(const auto input, contracts::vhf::parse_renew_physical_host_request(request));
      for (auto& host : hosts)
        if (host.name == input.name) host.alive_until = turn.now() + input.interval * 3;
      return turn.reply(request.message_id, contracts::vhf::document_of(contracts::vhf::RenewPhysicalHostResponse{}));
    }
    if (request.operation == "list_physical_hosts") {
      return turn.reply(request.message_id,
                        contracts::vhf::document_of(contracts::vhf::ListPhysicalHostsResponse{all()}));
    }
    TRY_ASSIGN(const auto input, contracts::vhf::parse_get_physical_host_request(request));
    for (const auto& host : all()) {
      if (host.name != input.name) continue;
      return turn.reply(request.message_id, contracts::vhf::document_of(contracts::vhf::GetPhysicalHostResponse{host}));
    }
    return not_found("there is no physical host " + input.name);
  }

  // ---- asking ----
  // The message id of what was sent.
  std::string send(const std::string& path, const std::string& body, const std::string& vo = "physics") {
    auto document = xml::Document::parse(body);
    EXPECT_TRUE(document) << document.error().to_string();
    Message message;
    message.message_id = "urn:test:" + std::to_string(++sent_);
    message.to = path;
    message.operation = document->root().local_name();
    message.body = std::move(*document).share();
    message.vo = vo;
    message.caller = "token:marie";
    message.reached_at = "https://10.0.0.1:8470";
    const std::string id = message.message_id;
    world.router->deliver(std::move(message), [this, id](Message reply) { answers[id] = std::move(reply); });
    world.drain();
    return id;
  }
  Message ask(const std::string& path, const std::string& body, const std::string& vo = "physics") {
    const std::string id = send(path, body, vo);
    EXPECT_TRUE(answers.contains(id)) << "there is no answer";
    const Message& reply = answers[id];
    if (reply.fault) expect_valid(reply.fault->detail->root());
    if (reply.body) expect_valid(reply.body->root());
    return reply;
  }
  // The answer's element as text, or "FAULT: sentence".
  std::string say(const std::string& path, const std::string& body, const std::string& vo = "physics") {
    const Message reply = ask(path, body, vo);
    if (reply.fault) return std::string(reply.fault->detail->root().local_name()) + ": " + reply.fault->reason;
    return reply.body->root().to_string();
  }
  // As say, of a request that is valid itself.
  std::string say_valid(const std::string& path, const std::string& body) {
    const auto document = xml::Document::parse(body);
    EXPECT_TRUE(document);
    expect_valid(document->root());
    return say(path, body);
  }

  exchange::testing::World world;
  exchange::Actor* more = nullptr;  // another service; set before SetUp
  exchange::testing::FunctionActor vcf{"vcf"}, vcm{"vcm"}, vhf{"vhf"};
  std::unique_ptr<Resources> resources;
  std::map<std::string, contracts::vcf::Cluster> clusters{{"vc-1", a_cluster("vc-1", "running")},
                                                          {"vc-9", a_cluster("vc-9", "destroyed")}};
  std::vector<contracts::vhf::PhysicalHost> hosts;
  std::vector<std::string> calls;
  std::string refusal;
  std::string reached_at;  // by which address the last registration came
  bool unavailable_ = false;
  std::map<std::string, Message> answers;

 private:
  int sent_ = 0;
};

inline const std::string kVc1 = "/services/vcf/clusters/vc-1";
inline std::string rp(const std::string& name, const std::string& content) {
  return "<p:" + name +
         " xmlns:p='http://docs.oasis-open.org/wsrf/rp-2' xmlns:c='urn:nuraghe:vcf:1' "
         "xmlns:rl='http://docs.oasis-open.org/wsrf/rl-2' xmlns:sg='http://docs.oasis-open.org/wsrf/sg-2'>" +
         content + "</p:" + name + ">";
}
inline std::string rl(const std::string& name, const std::string& content = "") {
  return "<p:" + name +
         " xmlns:p='http://docs.oasis-open.org/wsrf/rl-2' "
         "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>" +
         content + "</p:" + name + ">";
}

}  // namespace nuraghe::wsrf::testing
