// SPDX-License-Identifier: Apache-2.0
// The kinds of sources behind `open_source`. Internal to src/video.
#pragma once

#include <memory>

#include "video/media_reader.h"
#include "video/source.h"

namespace peregrine::video {

/// A container that ends: a file, a pipe, or a file behind http.
std::unique_ptr<Source> open_file_source(const SourceSpec& spec, Access access,
                                         const SourceOptions& options);
/// Picture files as one stream of a picture a second; unreadable ones are counted as corrupt.
std::unique_ptr<Source> open_picture_source(const SourceSpec& spec, const SourceOptions& options);
/// A stream without an end, reconnected when it breaks.
std::unique_ptr<Source> open_live_source(const SourceSpec& spec, const SourceOptions& options);

/// The facts of an open container; `live` is left false.
SourceInfo describe_source(const std::string& name, const MediaReader& reader);

}  // namespace peregrine::video
