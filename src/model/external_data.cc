// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model/onnx_tensor.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

namespace fs = std::filesystem;

struct File {
  int descriptor = -1;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

[[noreturn]] void refuse(const std::string& path, const std::string& name,
                         const std::string& location, const std::string& why) {
  throw Error(ErrorCode::kModelInvalid,
              fmt::format("model '{}': the external data '{}' of tensor '{}' {}", path, location,
                          name, why));
}

bool lies_within(const fs::path& file, const fs::path& folder) {
  const auto [end, unused] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
  return end == folder.end();
}

// The real path of `location`, which is proven to lie in the model's folder.
fs::path contained_path(const std::string& location, const std::string& name,
                        const std::string& model_path) {
  const fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos) {
    refuse(model_path, name, location, "names no file");
  }
  if (relative.is_absolute()) {
    refuse(model_path, name, location, "is an absolute path; it must lie in the model's folder");
  }
  if (std::find(relative.begin(), relative.end(), fs::path("..")) != relative.end()) {
    refuse(model_path, name, location, "leaves the model's folder with '..'");
  }
  std::error_code failure;
  const fs::path folder = fs::canonical(fs::absolute(model_path).parent_path(), failure);
  if (failure) refuse(model_path, name, location, "has no folder to lie in");
  const fs::path file = fs::canonical(folder / relative, failure);
  if (failure) refuse(model_path, name, location, "does not exist beside the model");
  if (!lies_within(file, folder)) {
    refuse(model_path, name, location, "is a symbolic link out of the model's folder");
  }
  return file;
}

}  // namespace

void read_external_data(const std::string& location, std::int64_t offset,
                        std::optional<std::int64_t> length, const std::string& name,
                        const std::string& model_path, DType dtype, const Shape& shape,
                        Tensor& tensor) {
  const fs::path path = contained_path(location, name, model_path);
  // O_NOFOLLOW: the path is already real, so a link here appeared after the check.
  // O_NONBLOCK: a FIFO must not hang the reader.
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat status = {};
  if (file.descriptor < 0 || ::fstat(file.descriptor, &status) != 0) {
    refuse(model_path, name, location, fmt::format("cannot be opened: {}", std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) refuse(model_path, name, location, "is not a regular file");
  const auto needed = static_cast<std::int64_t>(byte_size(dtype, shape));
  if (length && *length != needed) {
    refuse(model_path, name, location,
           fmt::format("holds {} bytes of it, but shape {} needs {}", *length, to_string(shape),
                       needed));
  }
  if (offset > status.st_size || needed > status.st_size - offset) {
    refuse(
        model_path, name, location,
        fmt::format("has {} bytes, too few for {} at offset {}", status.st_size, needed, offset));
  }
  tensor = Tensor(dtype, shape);
  std::int64_t done = 0;
  while (done < needed) {
    const ssize_t got =
        ::pread(file.descriptor, static_cast<char*>(tensor.data()) + done,
                static_cast<std::size_t>(needed - done), static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) refuse(model_path, name, location, "ended while it was read");
    done += got;
  }
}

}  // namespace peregrine::model
