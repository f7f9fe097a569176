#include "placement/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

namespace nuraghe::placement {
namespace {

using ::testing::HasSubstr;

PhysicalHost host(std::string name, std::int64_t cpus, Bytes memory, std::string site = "") {
  return {std::move(name), std::move(site), {cpus, memory, gib(10)}, {}, {}};
}
NodeDemand node(std::string name, std::int64_t cpus, Bytes memory) {
  return {std::move(name), {cpus, memory, gib(1)}, "", "", "mini"};
}
std::map<std::string, std::string> by_node(const Decision& decision) {
  std::map<std::string, std::string> result;
  for (const auto& p : decision.placements) result[p.node] = p.host;
  return result;
}
Options with(Policy policy) {
  Options options;
  options.policy = policy;
  return options;
}

TEST(Placement, SpreadUsesEveryHost) {
  const auto decision = place({host("a", 4, gib(4)), host("b", 4, gib(4))},
                              {node("x", 1, gib(1)), node("y", 1, gib(1))}, {}, with(Policy::kSpread));
  ASSERT_TRUE(decision);
  const auto at = by_node(*decision);
  EXPECT_NE(at.at("x"), at.at("y"));
}

TEST(Placement, PackFillsOneHostFirst) {
  const auto decision = place({host("a", 4, gib(4)), host("b", 4, gib(4))},
                              {node("x", 1, gib(1)), node("y", 1, gib(1))}, {}, with(Policy::kPack));
  ASSERT_TRUE(decision);
  const auto at = by_node(*decision);
  EXPECT_EQ(at.at("x"), at.at("y"));
}

TEST(Placement, RoundRobinGoesOnAfterTheLastUsed) {
  auto options = with(Policy::kRoundRobin);
  options.last_used = "a";
  const auto decision = place({host("a", 4, gib(4)), host("b", 4, gib(4)), host("c", 4, gib(4))},
                              {node("x", 1, gib(1)), node("y", 1, gib(1)), node("z", 1, gib(1))}, {}, options);
  ASSERT_TRUE(decision);
  const auto at = by_node(*decision);
  EXPECT_EQ(at.at("x"), "b");
  EXPECT_EQ(at.at("y"), "c");
  EXPECT_EQ(at.at("z"), "a");
  EXPECT_EQ(decision->last_used, "a");
}

TEST(Placement, OptimisePrefersTheHostThatHasTheImageAndExplains) {
  auto a = host("a", 4, gib(4));
  auto b = host("b", 4, gib(4));
  b.images.insert("mini");
  auto options = with(Policy::kOptimise);
  options.explain = true;
  const auto decision = place({a, b}, {node("x", 1, gib(1))}, {}, options);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->placements[0].host, "b");
  EXPECT_THAT(decision->placements[0].explanation, HasSubstr("image 0.00 x 0.5"));
}

TEST(Placement, RefusalSaysWhatIsMissingAndByHowMuch) {
  const auto decision =
      place({host("a", 4, gib(2))}, {node("x", 1, gib(2)), node("y", 1, gib(1))}, {}, with(Policy::kSpread));
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().code(), ErrorCode::kExhausted);
  EXPECT_THAT(decision.error().message(), HasSubstr("1GiB of memory missing"));
}

TEST(Placement, RefusalOfFragmentationNamesTheNode) {
  const auto decision = place({host("a", 2, gib(2)), host("b", 2, gib(2))},
                              {node("x", 1, gib(1)), node("big", 1, gib(3))}, {}, with(Policy::kSpread));
  ASSERT_FALSE(decision);
  EXPECT_THAT(decision.error().message(), HasSubstr("node big needs"));
  EXPECT_THAT(decision.error().message(), HasSubstr("1GiB of memory missing"));
}

TEST(Placement, LargestFirstWhenThePolicyWastesRoom) {
  // Spread puts the two small ones on different hosts, and then the large one fits nowhere.
  const auto decision =
      place({host("a", 8, gib(4)), host("b", 8, gib(4))},
            {node("x", 1, gib(1)), node("y", 1, gib(1)), node("big", 1, gib(4))}, {}, with(Policy::kSpread));
  ASSERT_TRUE(decision) << decision.error().to_string();
  const auto at = by_node(*decision);
  EXPECT_EQ(at.at("x"), at.at("y"));
}

TEST(Placement, WishesAndPinsHold) {
  auto pinned = node("p", 1, gib(1));
  pinned.pin = "c";
  const std::vector<PhysicalHost> hosts{host("a", 8, gib(8)), host("b", 8, gib(8)), host("c", 8, gib(8))};
  const auto decision =
      place(hosts, {node("x", 1, gib(1)), node("y", 1, gib(1)), node("z", 1, gib(1)), pinned},
            {{Wish::Kind::kTogether, {"x", "y"}}, {Wish::Kind::kApart, {"x", "z", "p"}}}, with(Policy::kRandom));
  ASSERT_TRUE(decision);
  const auto at = by_node(*decision);
  EXPECT_EQ(at.at("p"), "c");
  EXPECT_EQ(at.at("x"), at.at("y"));
  EXPECT_NE(at.at("x"), at.at("z"));
  EXPECT_NE(at.at("x"), "c");
  EXPECT_NE(at.at("z"), "c");
}

TEST(Placement, ContradictionsAndUnknownNamesAreInvalid) {
  const std::vector<PhysicalHost> hosts{host("a", 8, gib(8))};
  const std::vector<NodeDemand> nodes{node("x", 1, gib(1)), node("y", 1, gib(1))};
  auto both = place(hosts, nodes, {{Wish::Kind::kTogether, {"x", "y"}}, {Wish::Kind::kApart, {"x", "y"}}}, {});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code(), ErrorCode::kInvalid);
  auto unknown = place(hosts, nodes, {{Wish::Kind::kApart, {"x", "q"}}}, {});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(), HasSubstr("'q'"));
  auto elsewhere = nodes;
  elsewhere[0].site = "cagliari";
  EXPECT_EQ(place(hosts, elsewhere, {}, {}).error().code(), ErrorCode::kInvalid);
}

TEST(Placement, WhatANodeAsksItsHostOffers) {
  std::vector<PhysicalHost> hosts{host("a", 8, gib(8), "here"), host("b", 2, gib(8), "here"), host("c", 8, gib(8))};
  hosts[1].offers = {"firmware uefi", "machine pc", "machine q35"};
  hosts[2].offers = {"machine microvm", "machine q35"};
  auto uefi = node("u", 1, gib(1)), micro = node("m", 1, gib(1));
  uefi.asks = {"firmware uefi", "machine q35"};
  micro.asks = {"machine microvm"};
  for (const Policy policy :
       {Policy::kRandom, Policy::kRoundRobin, Policy::kPack, Policy::kSpread, Policy::kOptimise}) {
    // The plain ones would fill b, where alone the one that asks may be: it comes first then.
    const auto decision = place(hosts, {node("x", 1, gib(1)), node("y", 1, gib(1)), uefi, micro}, {}, with(policy));
    ASSERT_TRUE(decision) << decision.error().to_string();
    EXPECT_EQ(by_node(*decision).at("u"), "b");
    EXPECT_EQ(by_node(*decision).at("m"), "c");
  }
  const auto refused = [&](const std::vector<NodeDemand>& nodes, const std::vector<Wish>& wishes) {
    const auto decision = place(hosts, nodes, wishes, {});
    EXPECT_FALSE(decision);
    if (decision) return std::string();
    EXPECT_EQ(decision.error().code(), ErrorCode::kUnsupported);
    return decision.error().message();
  };
  auto other = node("o", 1, gib(1));
  other.asks = {"machine raspi"};
  EXPECT_EQ(refused({other}, {}), "node o asks for machine raspi, which no physical host that is alive offers");
  micro.site = "here";
  EXPECT_EQ(refused({micro}, {}), "node m asks for machine microvm, which no physical host at site here offers");
  uefi.pin = "a";
  EXPECT_EQ(refused({uefi}, {}),
            "node u asks for firmware uefi and machine q35, which the physical host a does not offer");
  uefi.pin = micro.site = "";
  EXPECT_EQ(refused({uefi, micro}, {{Wish::Kind::kTogether, {"u", "m"}}}),
            "node u asks for firmware uefi and machine microvm and machine q35, which no physical host that is alive "
            "offers");
}

TEST(Placement, WeightsChangeTheChoice) {
  // The fuller host has the image, the emptier one has not.
  auto full = host("full", 8, gib(8)), empty = host("empty", 8, gib(8));
  full.reserved = {6, gib(6), {}};
  full.images = {"mini"};
  auto demand = node("n", 1, gib(1));
  demand.image = "mini";
  const auto choice = [&](const std::string& weights) {
    Options options;
    options.policy = Policy::kOptimise;
    const auto parsed = parse_weights(weights);
    EXPECT_TRUE(parsed) << parsed.error().to_string();
    options.weights = *parsed;
    const auto decision = place({full, empty}, {demand}, {}, options);
    return decision ? decision->placements.front().host : decision.error().message();
  };
  EXPECT_EQ(choice("load=1,image=0.5"), "empty");
  EXPECT_EQ(choice("image=2"), "full");
  EXPECT_EQ(choice("load=0"), "full");
  EXPECT_EQ(choice("load=3,image=2"), "empty");
}

TEST(Placement, WeightsAreReadByName) {
  const auto weights = parse_weights("image=0,fragmentation=2.5");
  ASSERT_TRUE(weights);
  EXPECT_EQ(weights->load, 1.0);
  EXPECT_EQ(weights->image, 0.0);
  EXPECT_EQ(weights->fragmentation, 2.5);
  const auto wrong = [](std::string_view text) {
    const auto parsed = parse_weights(text);
    return parsed ? std::string("nothing") : parsed.error().message();
  };
  EXPECT_EQ(wrong("laod=1"),
            "'laod' is no term of the policy optimise; the terms are load, image, distance, fragmentation");
  EXPECT_EQ(wrong(""), "'' is no term of the policy optimise; the terms are load, image, distance, fragmentation");
  EXPECT_EQ(wrong("load=1,"),
            "'' is no term of the policy optimise; the terms are load, image, distance, fragmentation");
  EXPECT_EQ(wrong("load=1,load=2"), "the weight of load is given twice");
  for (const char* value : {"load", "load=", "load=-1", "load=nan", "load=inf", "load=1e9", "load=1x", "load= 1"})
    EXPECT_NE(wrong(value).find("give a number from 0 to 1000, as in load=0.5"), std::string::npos) << wrong(value);
  EXPECT_NE(wrong("load=0,image=0,distance=0,fragmentation=0").find("every weight is 0"), std::string::npos);
}

// Whatever is asked: the decision overbooks no host, keeps pins and sites, and places every node.
TEST(Placement, NeverOverbooksUnderAnyPolicy) {
  rc::check([](std::uint64_t seed) {
    const auto host_count = *rc::gen::inRange(1, 6);
    const auto node_count = *rc::gen::inRange(1, 20);
    std::vector<PhysicalHost> hosts;
    for (int i = 0; i < host_count; ++i)
      hosts.push_back(host("h" + std::to_string(i), *rc::gen::inRange(1, 16), gib(*rc::gen::inRange(1, 16)),
                           i % 2 == 0 ? "east" : "west"));
    std::vector<NodeDemand> nodes;
    for (int i = 0; i < node_count; ++i) {
      nodes.push_back(node("n" + std::to_string(i), *rc::gen::inRange(1, 4), gib(*rc::gen::inRange(1, 4))));
      if (*rc::gen::inRange(0, 8) == 0) nodes.back().site = "east";
      if (*rc::gen::inRange(0, 8) == 0) nodes.back().pin = "h0";
    }
    const auto policy =
        *rc::gen::element(Policy::kRandom, Policy::kRoundRobin, Policy::kPack, Policy::kSpread, Policy::kOptimise);
    Options options;
    options.policy = policy;
    options.seed = seed;
    const auto decision = place(hosts, nodes, {}, options);
    if (!decision) {
      RC_ASSERT(decision.error().code() == ErrorCode::kExhausted);
      return;
    }
    RC_ASSERT(decision->placements.size() == nodes.size());
    std::map<std::string, Resources> used;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto& p = decision->placements[i];
      RC_ASSERT(p.node == nodes[i].name);
      used[p.host] = used[p.host] + nodes[i].needs;
      if (!nodes[i].pin.empty()) RC_ASSERT(p.host == nodes[i].pin);
    }
    for (const auto& h : hosts) RC_ASSERT(used[h.name].fits_in(h.total));
    const auto again = place(hosts, nodes, {}, options);
    RC_ASSERT(by_node(*again) == by_node(*decision));
  });
}

}  // namespace
}  // namespace nuraghe::placement
