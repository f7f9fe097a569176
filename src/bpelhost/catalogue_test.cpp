#include "bpelhost/catalogue.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace nuraghe::bpelhost {
namespace {

// Operations: a and b take the same element, c another one, d has two parts, e none.
class FindOperation : public ::testing::Test {
 protected:
  FindOperation() {
    const auto add = [&](const char* name, std::vector<wsdl::Part> parts, const char* action, bool answers) {
      auto& message = messages_.emplace_back();
      message.name = {"urn:t", std::string(name) + "Message"};
      message.parts = std::move(parts);
      auto& operation = operations_.emplace_back();
      operation.name = name;
      operation.has_input = true;
      operation.has_output = answers;
      service_->operations.push_back({&operation, &message, action});
    };
    add("a", {{"p", {"urn:t", "same"}, {}}}, "urn:a", true);
    add("b", {{"p", {"urn:t", "same"}, {}}}, "urn:b", true);
    add("c", {{"p", {"urn:t", "other"}, {}}}, "", false);
    add("d", {{"x", {}, {"urn:t", "T"}}, {"y", {}, {"urn:t", "T"}}}, "urn:d", true);
    add("e", {}, "", true);
  }
  std::string find(std::string_view action, std::string_view named, const xml::QName& body) const {
    const auto found = find_operation({service_}, action, named, body);
    return found ? found->operation + (found->one_way ? " (one-way)" : "") : found.error().message();
  }
  std::deque<wsdl::Message> messages_;
  std::deque<wsdl::Operation> operations_;
  std::shared_ptr<Service> service_ = std::make_shared<Service>();
};

TEST_F(FindOperation, TheBodyTells) {
  EXPECT_EQ(find("", "", {"urn:t", "other"}), "c (one-way)");
  EXPECT_EQ(find("urn:a", "a", {"urn:t", "other"}), "c (one-way)") << "whatever the action says";
  EXPECT_EQ(find("", "", {"urn:w", "d"}), "d") << "rpc: the wrapper is called as the operation";
  EXPECT_EQ(find("", "", {}), "e") << "an empty body";
}

TEST_F(FindOperation, TheActionTellsBetweenEqualBodies) {
  EXPECT_EQ(find("urn:b", "same", {"urn:t", "same"}), "b");
  EXPECT_EQ(find("", "b", {"urn:t", "same"}), "b");
  EXPECT_EQ(find("", "same", {"urn:t", "same"}), "a");
}

TEST_F(FindOperation, WhatFitsNothingIsTakenByItsActionOrRefused) {
  EXPECT_EQ(find("urn:a", "x", {"urn:t", "strange"}), "a") << "so that what is wrong with the body can be said";
  EXPECT_EQ(find("", "x", {"urn:t", "strange"}), "no operation takes {urn:t}strange; served here: a, b, c, d, e");
}

}  // namespace
}  // namespace nuraghe::bpelhost
