// The test service, written as any service is: state in a table, one function per operation.
#pragma once

#include "contracts/echo.hpp"

namespace nuraghe::contracts::echo {

class EchoService final : public Skeleton {
 public:
  EchoService() : Skeleton("echo-1") {}
  std::string_view name() const override { return "echo"; }
  Status open(store::Store& store) override;
  // Answers what `later` left open.
  Status on_timer(exchange::Turn& turn, std::string_view key) override;

 protected:
  Status echo(exchange::Turn& turn, const exchange::Message& request, const EchoRequest& input) override;
  Status carry(exchange::Turn& turn, const exchange::Message& request, const CarryRequest& input) override;
  Status later(exchange::Turn& turn, const exchange::Message& request, const LaterRequest& input) override;
  Status refuse(exchange::Turn& turn, const exchange::Message& request, const RefuseRequest& input) override;
  Status note(exchange::Turn& turn, const exchange::Message& request, const NoteRequest& input) override;
  Status notes(exchange::Turn& turn, const exchange::Message& request, const NotesRequest& input) override;
  Status delete_(exchange::Turn& turn, const exchange::Message& request, const DeleteRequest& input) override;

 private:
  store::Table notes_;
  store::Table open_;
};

}  // namespace nuraghe::contracts::echo
