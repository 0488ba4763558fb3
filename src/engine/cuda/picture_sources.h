// SPDX-License-Identifier: Apache-2.0
// What convolutions read without its being laid out: a nearest upsampling, and the concatenation of
// one with another picture (every YOLO's neck). The tile kernel maps its positions back instead.
#pragma once

#include <vector>

#include "model/graph.h"

namespace peregrine::cuda {

/// A picture, read as if enlarged 2^upsample_shift times along both axes by nearest neighbour.
struct PictureSource {
  const model::Value* value = nullptr;
  int upsample_shift = 0;
};

/// The one or two pictures whose channels, one after the other, are the input of `conv`, and the
/// nodes that need not run then. Empty where the input is to be read as it is.
struct PictureSources {
  std::vector<PictureSource> pictures;
  std::vector<const model::Node*> replaced;
};
PictureSources picture_sources(const model::Node& conv);

}  // namespace peregrine::cuda
