// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "output/canvas.h"

namespace peregrine::output {

/// Letters as coverage, by Cairo: the only thing about drawing that is worth a library.
class LabelText {
 public:
  LabelText();
  ~LabelText();
  LabelText(const LabelText&) = delete;
  LabelText& operator=(const LabelText&) = delete;

  /// One line of well-formed UTF-8 in letters of `size` pixels. The bitmap is valid until the next
  /// call.
  struct Bitmap {
    Plane coverage;
    int width = 0, height = 0;
  };
  Bitmap render(const std::string& text, int size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace peregrine::output
