// Virtual Host Image Repository: which images there are, what each is made of, who uses them.
// The parts stand in an OCI image layout (src/images); this service keeps the names, descriptions and holds.
//
// Tables: vhir_image VO '/' NAME ':' VERSION → ImageRow; vhir_hold HOST-ID → HoldRow; vhir_state HOST-ID → StateRow.
// Threading: as exchange::Actor; jobs use only the ImageStore, which is thread safe.
#pragma once

#include <functional>
#include <utility>

#include "images/image_store.hpp"
#include "services/rows.hpp"
#include "services/tenant/quotas.hpp"
#include "services/vhir/match.hpp"

namespace nuraghe::services::vhir {

struct ImageRow {
  api::Image image;
  std::vector<std::string> blobs;
  template <class V>
  void fields(V& v) {
    v(1, image), v(2, blobs);
  }
};
struct HoldRow {
  std::string digest;
  std::string vo;
  std::string state;  // digest of the frozen state with which the host began; empty: it booted
  template <class V>
  void fields(V& v) {
    v(1, digest), v(2, vo), v(3, state);
  }
};

// The frozen state of a virtual host, in the same layout as the images.
struct StateRow {
  std::string digest;
  std::string vo;
  Bytes size;
  TimePoint stored;
  template <class V>
  void fields(V& v) {
    v(1, digest), v(2, vo), v(3, size), v(4, stored);
  }
};

// Where the parts of frozen states are while only their controllers have them. Thread safe; blocks.
class StateSource {
 public:
  virtual ~StateSource() = default;
  // The bytes of a part, piece by piece, "" at their end.
  using Next = std::function<Result<std::string>()>;
  // `controller`: the address of one that exported the host. kNotFound when it has no such part.
  virtual Result<Next> open(const std::string& controller, const std::string& host, const std::string& digest,
                            const std::function<bool()>& cancelled) = 0;
};

struct StateOrder;  // of a job that fetches one

class Repository final : public api::Skeleton {
 public:
  // The store outlives the repository, and so do the states; null: no state can be stored.
  explicit Repository(images::ImageStore& store, StateSource* states = nullptr)
      : Skeleton("vhir"), images_(store), states_(states) {}
  // Before open. `on_removed` is called in the turn in which a VO's image of that reference (NAME:VERSION) is gone:
  // whoever keeps something about it by its name forgets it. Must not block.
  using OnRemoved = std::function<Status(store::Transaction& tx, const std::string& vo, const std::string& reference)>;
  void on_removed(OnRemoved on_removed) { on_removed_ = std::move(on_removed); }
  std::string_view name() const override { return "vhir"; }
  Status open(store::Store& store) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

 protected:
  Status resolve(exchange::Turn& turn, const exchange::Message& request, const api::ResolveRequest& input) override;
  Status list_images(exchange::Turn& turn, const exchange::Message& request,
                     const api::ListImagesRequest& input) override;
  Status get_image(exchange::Turn& turn, const exchange::Message& request, const api::GetImageRequest& input) override;
  Status import_image(exchange::Turn& turn, const exchange::Message& request,
                      const api::ImportImageRequest& input) override;
  Status remove_image(exchange::Turn& turn, const exchange::Message& request,
                      const api::RemoveImageRequest& input) override;
  Status verify_image(exchange::Turn& turn, const exchange::Message& request,
                      const api::VerifyImageRequest& input) override;
  Status release_image(exchange::Turn& turn, const exchange::Message& request,
                       const api::ReleaseImageRequest& input) override;

  Status store_state(exchange::Turn& turn, const exchange::Message& request,
                     const api::StoreStateRequest& input) override;
  Status drop_state(exchange::Turn& turn, const exchange::Message& request,
                    const api::DropStateRequest& input) override;

 private:
  // states.cpp
  Status state_stored(exchange::Turn& turn, const StateOrder& order, const Result<std::string>& result);
  // The state of a frozen host, for a copy of it.
  Status resolve_state(exchange::Turn& turn, const exchange::Message& request, const api::ResolveRequest& input);
  // Forgets the state, if that is the one, and has its parts deleted.
  Status forget_state(exchange::Turn& turn, const std::string& host, const StateRow& row);
  // Has the parts of a state deleted that nobody needs.
  Status delete_state(exchange::Turn& turn, const std::string& host, const std::string& vo, const std::string& digest);
  Result<std::string> fetch_state(const StateOrder& order, exchange::JobContext& context);

  Result<std::vector<api::Image>> images_of(exchange::Turn& turn, const std::string& vo) const;
  Result<api::Image> named(exchange::Turn& turn, const std::string& vo, const std::string& name) const;

  // Of all images that somebody has or uses.
  Result<std::vector<std::string>> digests_in_use(exchange::Turn& turn) const;
  // Why the VO's quota does not allow an image; empty: it does.
  Result<std::string> refusal_of(exchange::Turn& turn, const api::Image& image) const;

  images::ImageStore& images_;
  StateSource* const states_;
  OnRemoved on_removed_;
  tenant::Quotas quotas_;
  RowTable<ImageRow> rows_;
  RowTable<HoldRow> holds_;
  RowTable<StateRow> frozen_;
};

}  // namespace nuraghe::services::vhir
