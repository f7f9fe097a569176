// What an engine of an earlier format left is gone on with: each folder of tests/fixtures/engine holds the rows of a
// store whose instances were at work, and says what they do next. A folder is made once per format, by
//
//   NURAGHE_WRITE_FIXTURES=format-N build/bin/test_bpel --gtest_filter='Fixtures.*'
//
// and never changed afterwards. Each line of a file: table, key and value in hexadecimal; the first line is what the
// client is answered in the end, the second the states in which the instances end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bpel/crash_scenarios.hpp"
#include "test_folders.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::Scenario;
using testing::World;

constexpr const char* kFolder = NURAGHE_SOURCE_DIR "/tests/fixtures/engine";
constexpr const char* kTables[] = {"bpel_process",     "bpel_instance", "bpel_scope",      "bpel_subscription",
                                   "bpel_correlation", "bpel_open",     "bpel_early",      "bpel_held",
                                   "bpel_running",     "bpel_ended",    "bpel_history",    "exchange_inbox",
                                   "exchange_outbox",  "exchange_jobs", "exchange_timers", "exchange_timer_index"};
// Instances of these are interrupted where they wait for their partner, a time or a message.
constexpr const char* kScenarios[] = {"compensation", "isolated",    "for_each_parallel", "links", "wait",
                                      "alarm",        "termination", "event_handler",     "parts", "inline_handlers"};

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text.empty() ? "-" : text;
}
std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; text != "-" && i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

const Scenario& scenario_named(const std::string& name) {
  static const auto all = testing::crash_scenarios();
  for (const Scenario& scenario : all) {
    if (scenario.name == name) return scenario;
  }
  ADD_FAILURE() << "there is no scenario " << name;
  return all.front();
}

void answer_all(World& world, const std::string& failing) {
  world.script = [failing](const std::string& content, const exchange::Message&) {
    return Answer{failing.find(content) != std::string::npos ? Answer::Kind::kProblem : Answer::Kind::kOut, content};
  };
}

// Goes on until nothing is left to be done within the next day.
void settle(World& world) {
  world.run();
  for (int i = 0; i < 100 && world.next_timer && *world.next_timer < world.clock.now() + std::chrono::hours(12); ++i) {
    if (*world.next_timer > world.clock.now()) world.clock.set(*world.next_timer);
    world.run();
  }
}

std::string states(World& world) {
  std::string text;
  for (const auto& instance : world.instances()) text += (text.empty() ? "" : " ") + instance.state;
  return text;
}

// Repeats the requests until the last is answered: the first answer stands. The last one's answer.
std::string finish(World& world, const Scenario& scenario) {
  std::string answer;
  for (std::size_t i = 0; i < scenario.requests.size(); ++i) {
    const auto id = fmt::format("urn:fixture:{}", i);
    world.send(scenario.requests[i].first, scenario.requests[i].second, id);
    settle(world);
    answer = world.answer_text(id);
  }
  return answer;
}

// The first request is sent and the partner never answers; then the rows are kept.
void write_fixture(const std::string& folder, const Scenario& scenario) {
  World quiet(scenario.process);
  answer_all(quiet, scenario.failing);
  const std::string answer = finish(quiet, scenario);
  World world(scenario.process);
  int answered = 0;
  world.script = [&](const std::string& content, const exchange::Message&) {
    // One answer comes, so that something has been done already.
    return Answer{++answered > 1 ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  world.send(scenario.requests[0].first, scenario.requests[0].second, "urn:fixture:0");
  world.run();
  std::filesystem::create_directories(folder);
  std::ofstream file(folder + "/" + scenario.name + ".rows");
  file << answer << "\n" << states(quiet) << "\n";
  const auto store = store::open_memory(world.disk);
  for (const char* name : kTables) {
    const auto table = store->table(name).value();
    const auto found = store->begin().value()->scan(table, {}, {}, 10'000).value();
    for (const auto& row : found) file << name << " " << to_hex(row.key) << " " << to_hex(row.value) << "\n";
  }
  ASSERT_TRUE(file.good());
}

void go_on(const std::filesystem::path& path) {
  SCOPED_TRACE(path.string());
  const Scenario& scenario = scenario_named(path.stem().string());
  std::ifstream file(path);
  std::string answer, wanted_states, line;
  ASSERT_TRUE(std::getline(file, answer) && std::getline(file, wanted_states));
  World world(scenario.process);
  {
    const auto store = store::open_memory(world.disk);
    std::map<std::string, store::Table> tables;
    for (const char* name : kTables) tables[name] = store->table(name).value();
    auto transaction = store->begin().value();
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string table, key, value;
      words >> table >> key >> value;
      ASSERT_TRUE(tables.contains(table)) << table;
      ASSERT_TRUE(transaction->put(tables[table], from_hex(key), from_hex(value)));
    }
    ASSERT_TRUE(transaction->commit());
  }
  answer_all(world, scenario.failing);
  settle(world);
  EXPECT_EQ(finish(world, scenario), answer);
  EXPECT_EQ(states(world), wanted_states);
  world.expect_clean();
  world.expect_replays();
}

TEST(Fixtures, WhatEarlierFormatsLeftGoesOn) {
  if (const char* format = std::getenv("NURAGHE_WRITE_FIXTURES")) {
    for (const char* name : kScenarios) write_fixture(std::string(kFolder) + "/" + format, scenario_named(name));
  }
  int count = 0;
  for (const auto& folder : std::filesystem::directory_iterator(kFolder)) {
    for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
      go_on(file.path());
      ++count;
    }
  }
  EXPECT_GE(count, 10);
}

}  // namespace
}  // namespace nuraghe::bpel
