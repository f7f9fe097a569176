// Virtual Host Image Repository: which images there are, what each is made of, who uses them.
// The parts stand in an OCI image layout (src/images); this service keeps the names, descriptions and holds.
//
// Tables: vhir_image VO '/' NAME ':' VERSION → ImageRow; vhir_hold HOST-ID → HoldRow.
// Threading: as exchange::Actor; jobs use only the ImageStore, which is thread safe.
#pragma once

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
  template <class V>
  void fields(V& v) {
    v(1, digest), v(2, vo);
  }
};

class Repository final : public api::Skeleton {
 public:
  // The store outlives the repository.
  explicit Repository(images::ImageStore& store) : Skeleton("vhir"), images_(store) {}
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

 private:
  Result<std::vector<api::Image>> images_of(exchange::Turn& turn, const std::string& vo) const;
  Result<api::Image> named(exchange::Turn& turn, const std::string& vo, const std::string& name) const;

  // Of all images that somebody has or uses.
  Result<std::vector<std::string>> digests_in_use(exchange::Turn& turn) const;
  // Why the VO's quota does not allow an image; empty: it does.
  Result<std::string> refusal_of(exchange::Turn& turn, const api::Image& image) const;

  images::ImageStore& images_;
  tenant::Quotas quotas_;
  RowTable<ImageRow> rows_;
  RowTable<HoldRow> holds_;
};

}  // namespace nuraghe::services::vhir
