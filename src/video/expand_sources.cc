// SPDX-License-Identifier: Apache-2.0
#include <glob.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "video/libav.h"
#include "video/source.h"

namespace peregrine::video {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 11> kPictureExtensions = {
    "bmp", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "ppm", "tif", "tiff", "webp"};
constexpr std::array<std::string_view, 28> kVideoExtensions = {
    "264", "265",  "3gp", "asf",   "avi",  "flv",  "gif", "h264", "h265", "hevc",
    "ivf", "m2ts", "m4v", "mjpeg", "mjpg", "mkv",  "mov", "mp4",  "mpeg", "mpg",
    "mts", "mxf",  "ogv", "ts",    "vob",  "webm", "wmv", "y4m"};
constexpr std::array<std::string_view, 4> kNetworkSchemes = {"http://", "https://", "rtsp://",
                                                             "rtsps://"};
constexpr int kMaxListDepth = 8;  // a list may name lists, but not itself for ever

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

template <std::size_t N>
bool is_one_of(const std::string& extension, const std::array<std::string_view, N>& known) {
  return std::find(known.begin(), known.end(), extension) != known.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The run of digits at `position`, leading zeros dropped; moves `position` behind it.
std::string_view take_number(std::string_view text, std::size_t& position) {
  std::size_t end = position;
  while (end < text.size() && is_digit(text[end])) ++end;
  std::string_view digits = text.substr(position, end - position);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  position = end;
  return digits;
}

/// "frame2" before "frame10": runs of digits compare as numbers. Equal ones fall back to bytes, so
/// that the order is total.
bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view x = take_number(a, i), y = take_number(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
    }
  }
  if (i < a.size() || j < b.size()) return j < b.size();
  return a < b;
}

SourceSpec file_spec(const std::string& path) { return {SourceSpec::Kind::kFile, path, path, {}}; }

/// Videos one source each, all pictures together one source called `name`. `skip_unknown`: files of
/// unknown extension are no videos (in a folder), or are (when a glob named them).
std::vector<SourceSpec> group_files(std::vector<std::string> paths, const std::string& name,
                                    bool skip_unknown) {
  std::sort(paths.begin(), paths.end(), natural_less);
  std::vector<SourceSpec> specs;
  SourceSpec pictures{SourceSpec::Kind::kPictures, name, "", {}};
  for (const std::string& path : paths) {
    const std::string extension = extension_of(path);
    if (is_one_of(extension, kPictureExtensions)) {
      pictures.files.push_back(path);
    } else if (!skip_unknown || is_one_of(extension, kVideoExtensions)) {
      specs.push_back(file_spec(path));
    }
  }
  if (!pictures.files.empty()) specs.push_back(std::move(pictures));
  return specs;
}

std::vector<SourceSpec> expand_folder(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) paths.push_back(entry->path().string());
  }
  if (error) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("folder '{}' cannot be read: {}", folder, error.message()));
  }
  auto specs = group_files(std::move(paths), folder, true);
  if (specs.empty()) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("folder '{}' holds no video and no picture (known by their extensions: "
                            "mp4, mkv, jpg, png and so on; folders inside it are not searched)",
                            folder));
  }
  return specs;
}

std::vector<SourceSpec> expand_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      std::error_code ignored;
      if (!fs::is_directory(found.gl_pathv[i], ignored)) paths.emplace_back(found.gl_pathv[i]);
    }
  }
  ::globfree(&found);
  if (paths.empty()) {
    throw Error(ErrorCode::kInputNotFound, fmt::format("no file matches '{}'", pattern));
  }
  return group_files(std::move(paths), pattern, false);
}

bool is_network_address(const std::string& argument) {
  return std::any_of(kNetworkSchemes.begin(), kNetworkSchemes.end(),
                     [&](std::string_view scheme) { return argument.starts_with(scheme); });
}

std::string trimmed(const std::string& line) {
  constexpr const char* kBlanks = " \t\r\n";
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) + 1 - first);
}

std::vector<SourceSpec> expand_one(std::string argument, int depth);

/// Relative paths in a list are meant from the list's own folder.
std::vector<SourceSpec> expand_list(const std::string& path, int depth) {
  if (depth > kMaxListDepth) {
    throw Error(ErrorCode::kUsage, fmt::format("list '{}': lists name each other more than {} deep",
                                               path, kMaxListDepth));
  }
  std::ifstream file(path);
  std::vector<SourceSpec> specs;
  for (std::string line; std::getline(file, line);) {
    std::string entry = trimmed(line);
    if (entry.empty() || entry.front() == '#') continue;
    const bool is_path = entry != "-" && entry.find("://") == std::string::npos;
    if (is_path) entry = (fs::path(path).parent_path() / entry).string();
    auto more = expand_one(std::move(entry), depth + 1);
    std::move(more.begin(), more.end(), std::back_inserter(specs));
  }
  if (specs.empty()) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("list '{}' names no source (one a line; '#' starts a comment)", path));
  }
  return specs;
}

std::vector<SourceSpec> expand_one(std::string argument, int depth) {
  if (argument == "-") return {{SourceSpec::Kind::kPipe, "-", "-", {}}};
  if (is_network_address(argument)) {
    return {{SourceSpec::Kind::kNetwork, without_credentials(argument), argument, {}}};
  }
  constexpr std::string_view kFileScheme = "file://";
  if (argument.starts_with(kFileScheme)) argument.erase(0, kFileScheme.size());

  std::error_code ignored;
  if (fs::is_directory(argument, ignored)) return expand_folder(argument);
  const bool exists = fs::exists(argument, ignored);
  if (!exists && argument.find_first_of("*?[") != std::string::npos &&
      argument.find("://") == std::string::npos) {
    return expand_glob(argument);
  }
  const std::string extension = extension_of(argument);
  if (exists && extension == "txt") return expand_list(argument, depth);
  if (is_one_of(extension, kPictureExtensions)) {
    return {{SourceSpec::Kind::kPictures, argument, "", {argument}}};
  }
  SourceSpec spec = file_spec(argument);
  spec.name = without_credentials(argument);
  return {std::move(spec)};
}

}  // namespace

std::vector<SourceSpec> expand_sources(const std::vector<std::string>& arguments) {
  std::vector<SourceSpec> specs;
  for (const std::string& argument : arguments) {
    auto more = expand_one(argument, 0);
    std::move(more.begin(), more.end(), std::back_inserter(specs));
  }
  return specs;
}

}  // namespace peregrine::video
