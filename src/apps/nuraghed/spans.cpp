#include "apps/nuraghed/spans.hpp"

#include <future>
#include <memory>

#include "base/log.hpp"

namespace nuraghe::daemon {

void Spans::store() {
  control_->post(
      "trace",
      [this](exchange::Turn& turn) -> Status {
        TRY_ASSIGN(const bool is_more, traces_.store_waiting(turn));
        if (is_more) store();
        return {};
      },
      [](const Status& status) {
        // Those of its last moments go with the process.
        if (!status && status.error().code() != ErrorCode::kUnavailable)
          log_warning("trace", "spans were not stored", {{"error", status.error().to_string()}});
      });
}

void Spans::finish() {
  if (control_ == nullptr || control_->failed()) return;
  const auto stored = std::make_shared<std::promise<void>>();
  control_->post(
      "trace", [this](exchange::Turn& turn) { return traces_.store_waiting(turn).map([](bool) {}); },
      [stored](const Status&) { stored->set_value(); });
  constexpr Duration kPatience = std::chrono::seconds(2);
  if (stored->get_future().wait_for(kPatience) != std::future_status::ready)
    log_warning("trace", "the last spans were not stored in time");
}

}  // namespace nuraghe::daemon
