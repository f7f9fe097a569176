#include "services/vhc/logins.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "env/posix.hpp"

namespace nuraghe::services::vhc {
namespace {

namespace json = boost::json;

// What it does beside a real OpenSSH server: tests/sim/sessions.py.
TEST(Logins, TheAgentIsToldOneCommandForTheGuestsShell) {
  const std::vector<std::string> logins{"member:olga@physics", "member:a b\"$(reboot)'@physics"};
  const auto command = json::parse(end_logins_command(logins)).as_object();
  EXPECT_EQ(command.at("execute").as_string(), "guest-exec");
  const auto& arguments = command.at("arguments").as_object();
  EXPECT_EQ(arguments.at("path").as_string(), "/bin/sh");
  const auto& argv = arguments.at("arg").as_array();
  ASSERT_EQ(argv.size(), 5U);
  EXPECT_EQ(argv.at(1).as_string(), std::string(end_logins_script()));
  EXPECT_EQ(argv.at(4).as_string(), logins[1]) << "a key id is an argument, never a part of the script";
  EXPECT_TRUE(env::run_command_ok({"sh", "-n", "-c", std::string(end_logins_script())}));
}

TEST(Logins, AnswersOfTheAgent) {
  EXPECT_EQ(started_process(R"({"pid":1234})").value(), 1234);
  EXPECT_EQ(started_process("{}").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(started_process(R"({"pid":"1"})").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(process_status_command(7), R"({"execute":"guest-exec-status","arguments":{"pid":7}})");
  EXPECT_EQ(exit_code(R"({"exited":false})").value(), std::nullopt);
  EXPECT_EQ(exit_code(R"({"exited":true,"exitcode":3})").value(), 3);
  EXPECT_EQ(exit_code(R"({"exited":true,"exitcode":0,"out-data":""})").value(), 0);
  EXPECT_EQ(exit_code(R"({"exited":true,"signal":9})").value(), 137);
  EXPECT_EQ(exit_code("no answer").error().code(), ErrorCode::kInvalid);
}

TEST(ReseedCommand, BringsTheBytesAsInput) {
  const std::array<std::uint8_t, 5> random{0x00, 0xff, 0x10, 0x20, 0x30};
  const auto command = reseed_command(random);
  EXPECT_NE(command.find(R"("input-data":"00ff1020")"), std::string::npos) << command;
  EXPECT_NE(command.find("cat > /dev/urandom"), std::string::npos) << command;
}

}  // namespace
}  // namespace nuraghe::services::vhc
