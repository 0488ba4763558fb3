// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <system_error>

#include "video/single_sources.h"
#include "video/source.h"

namespace peregrine::video {

std::unique_ptr<Source> open_source(const SourceSpec& spec, const SourceOptions& options) {
  switch (spec.kind) {
    case SourceSpec::Kind::kFile: {
      std::error_code missing;  // left to the opening, which names it
      const bool regular = !std::filesystem::exists(spec.url, missing) ||
                           std::filesystem::is_regular_file(spec.url, missing);
      return open_file_source(spec, regular ? Access::kFile : Access::kPipe, options);
    }
    case SourceSpec::Kind::kPipe: return open_file_source(spec, Access::kPipe, options);
    case SourceSpec::Kind::kPictures: return open_picture_source(spec, options);
    case SourceSpec::Kind::kNetwork: break;
  }
  if (spec.url.starts_with("rtsp")) return open_live_source(spec, options);
  return open_file_source(spec, Access::kHttp, options);
}

}  // namespace peregrine::video
