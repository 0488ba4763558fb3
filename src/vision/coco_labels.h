// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace peregrine::vision {

/// COCO's category numbers run to 90, 0 and ten others without a category: models that predict the
/// numbers themselves have as many classes.
constexpr int kCocoSlots = 91;

/// The names by number; "N/A" where there is no category, as Hugging Face's exports have it.
std::vector<std::string> coco_labels();

}  // namespace peregrine::vision
