// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "peregrine/frame.h"

namespace peregrine::output {

/// Brings pictures of other sizes and colour spaces to those a video began with: a stream may
/// change its resolution, an MP4 track may not. The aspect is kept, the rest is black.
class PictureFit {
 public:
  /// Every fitted frame has the size, matrix and range of `first`, in 4:2:0.
  explicit PictureFit(const Frame& first);
  ~PictureFit();
  PictureFit(const PictureFit&) = delete;
  PictureFit& operator=(const PictureFit&) = delete;

  /// Whether `fit` would return the frame as it is, wherever that lies.
  bool fits(const Frame& frame) const;
  /// `frame` itself when it fits as it is, else a converted copy. Needs a host picture.
  Frame fit(const Frame& frame);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace peregrine::output
