// SPDX-License-Identifier: Apache-2.0
#include "vision/decoders.h"

namespace peregrine::vision {
namespace {

class EmbedDecoder final : public OutputDecoder {
 public:
  explicit EmbedDecoder(const TaskSpec& spec) : output_(spec.boxes_output) {}

  void decode(std::span<const TensorView> outputs, int item, const Letterbox&,
              FrameResult& result) override {
    const std::span<const float> row = row_at(outputs, output_, item);
    result.embedding.assign(row.begin(), row.end());
    normalize(result.embedding);
  }

 private:
  const int output_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_embed_decoder(const TaskSpec& spec) {
  return std::make_unique<EmbedDecoder>(spec);
}

}  // namespace peregrine::vision
