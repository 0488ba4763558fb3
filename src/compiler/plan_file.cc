// SPDX-License-Identifier: Apache-2.0
#include "compiler/plan_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "compiler/plan_check.h"
#include "compiler/plan_codec.h"
#include "core/atomic_file.h"
#include "core/machine.h"
#include "core/sha256.h"
#include "peregrine/error.h"

namespace peregrine::compiler {
namespace {

constexpr char kMagic[8] = {'P', 'R', 'G', 'R', 'N', 'P', 'L', 'N'};
constexpr std::uint32_t kFormat = 1;

enum class Section : std::uint32_t { kManifest = 1, kPrograms = 2, kWeights = 3 };
constexpr std::size_t kSections = 3;  // in that order

// On the disk as it lies here: little-endian, no padding between the members.
struct Entry {
  Section section{};
  std::uint32_t zero = 0;
  std::uint64_t offset = 0, size = 0;
  Digest digest{};  // see `digest_of`
};
static_assert(sizeof(Entry) == 56);

struct Header {
  char magic[8]{};
  std::uint32_t format = 0;
  std::uint32_t sections = 0;
  std::uint64_t file_size = 0;
  Entry entries[kSections];
  Digest digest{};  // SHA-256 of all before it
};
static_assert(sizeof(Header) == 24 + kSections * sizeof(Entry) + 32);

std::span<const std::byte> hashed_part(const Header& header) {
  return std::as_bytes(std::span(&header, 1)).first(offsetof(Header, digest));
}

constexpr std::uint64_t kAlignment = 4096;  // of sections in the file: whole pages
std::uint64_t aligned(std::uint64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

// A section's digest is the SHA-256 of the SHA-256s of its parts: they can be read and hashed side
// by side, for not every processor has instructions for it.
constexpr std::size_t kPart = std::size_t{1} << 20;

Digest joined(const std::vector<Digest>& parts) { return sha256(std::as_bytes(std::span(parts))); }

// Calls `work(part, first byte, bytes)` for every part, from several threads where there are many.
template <typename Work>
void for_each_part(std::size_t size, const Work& work) {
  const std::size_t parts = (size + kPart - 1) / kPart;
  std::atomic<std::size_t> next{0};
  const auto take_parts = [&] {
    for (std::size_t i = next++; i < parts; i = next++) {
      work(i, i * kPart, std::min(kPart, size - i * kPart));
    }
  };
  constexpr std::size_t kPartsAThread = 8, kMostThreads = 8;
  const std::size_t threads =
      std::min({parts / kPartsAThread, kMostThreads, static_cast<std::size_t>(usable_cores())});
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(take_parts);
  take_parts();
}

Digest digest_of(std::span<const std::byte> bytes) {
  std::vector<Digest> digests((bytes.size() + kPart - 1) / kPart);
  for_each_part(bytes.size(), [&](std::size_t i, std::size_t first, std::size_t count) {
    digests[i] = sha256(bytes.subspan(first, count));
  });
  return joined(digests);
}

// --- reading ---

std::string rebuild(const std::string& model, const std::string& path) {
  return fmt::format("peregrine build {} -o {}", model, path);
}

// An open plan file whose header has been found good.
class PlanFile {
 public:
  explicit PlanFile(const std::string& path) : path_(path) {
    // O_NONBLOCK: a FIFO must not hang the reader.
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) refuse(std::generic_category().message(errno));
    try {
      read_header();
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
  }
  ~PlanFile() { ::close(descriptor_); }
  PlanFile(const PlanFile&) = delete;
  PlanFile& operator=(const PlanFile&) = delete;

  std::uint64_t size() const { return size_; }
  std::size_t size_of_section(Section section) const {
    return static_cast<std::size_t>(entry(section).size);
  }

  // The contents, whose hash is right.
  std::vector<std::byte> read(Section section) const {
    const Entry& wanted = entry(section);
    std::vector<std::byte> bytes(static_cast<std::size_t>(wanted.size));
    std::vector<Digest> digests((bytes.size() + kPart - 1) / kPart);
    std::atomic<bool> whole{true};
    for_each_part(bytes.size(), [&](std::size_t i, std::size_t first, std::size_t count) {
      const auto part = std::span(bytes).subspan(first, count);
      if (read_at(wanted.offset + first, part)) {
        digests[i] = sha256(part);
      } else {
        whole = false;
      }
    });
    if (!whole) refuse("it ended or failed while it was read");
    if (joined(digests) != wanted.digest) {
      refuse(fmt::format("the hash of its {} is wrong: it was changed or damaged",
                         section == Section::kManifest   ? "description"
                         : section == Section::kPrograms ? "programs"
                                                         : "weights"));
    }
    return bytes;
  }

  // Once the model is known, messages name it.
  void set_model(const std::string& name) { model_ = name; }

  [[noreturn]] void refuse(const std::string& why,
                           ErrorCode code = ErrorCode::kModelInvalid) const {
    throw Error(code, fmt::format("plan '{}' cannot be used: {}. Rebuild it with: {}", path_, why,
                                  rebuild(model_, path_)));
  }

 private:
  void read_header() {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) refuse(std::generic_category().message(errno));
    if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
    // Another version's header may be shorter or longer, but begins alike.
    constexpr std::size_t kBeginning = offsetof(Header, sections);
    const std::size_t held = std::min<std::size_t>(sizeof(header_), size_);
    if (!read_at(0, std::as_writable_bytes(std::span(&header_, 1)).first(held))) {
      refuse("it cannot be read");
    }
    if (held < kBeginning || std::memcmp(header_.magic, kMagic, sizeof(kMagic)) != 0) {
      refuse("it is not a plan");
    }
    if (header_.format != kFormat) {
      refuse(fmt::format("it has format {}, this version of Peregrine reads format {}",
                         header_.format, kFormat),
             ErrorCode::kPlanMismatch);
    }
    if (held < sizeof(header_)) refuse(fmt::format("it is cut off after {} bytes", size_));
    if (sha256(hashed_part(header_)) != header_.digest) {
      refuse("its header differs from its hash: it was changed or damaged");
    }
    if (header_.file_size != size_) {
      refuse(fmt::format("it has {} bytes instead of {}: it is cut off or was added to", size_,
                         header_.file_size));
    }
    check_sections();
  }

  // No section reaches out of the file.
  void check_sections() const {
    bool good = header_.sections == kSections;
    for (std::size_t i = 0; i < kSections; ++i) {
      const Entry& each = header_.entries[i];
      good = good && each.section == static_cast<Section>(i + 1) && each.offset >= sizeof(Header) &&
             each.offset <= size_ && each.size <= size_ - each.offset;
    }
    if (!good) refuse("its sections do not lie within it");
  }

  bool read_at(std::uint64_t offset, std::span<std::byte> into) const {
    while (!into.empty()) {
      const ssize_t got =
          ::pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      into = into.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return true;
  }

  const Entry& entry(Section section) const {
    return header_.entries[static_cast<std::size_t>(section) - 1];
  }

  const std::string path_;
  std::string model_ = "MODEL.onnx";
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  Header header_;
};

// A name from a file, fit for a line of text.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text.substr(0, 200);
}

Plan read_all_but_weights(PlanFile& file) {
  Plan plan;
  try {
    decode_manifest(file.read(Section::kManifest), plan);
    if (!plan.identity.model_name.empty()) file.set_model(printable(plan.identity.model_name));
    plan.programs = decode_programs(file.read(Section::kPrograms));
    check_plan(plan, file.size_of_section(Section::kWeights));
  } catch (const MalformedPlan& malformed) {
    file.refuse(fmt::format("it is inconsistent ({})", printable(malformed.what())));
  }
  return plan;
}

std::string cuda_version(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

bool is_plan_file(const std::string& path) {
  if (path.ends_with(".plan")) return true;
  char begins[sizeof(kMagic)]{};
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  const bool whole = ::pread(descriptor, begins, sizeof(begins), 0) == ssize_t{sizeof(begins)};
  ::close(descriptor);
  return whole && std::memcmp(begins, kMagic, sizeof(kMagic)) == 0;
}

void write_plan(const Plan& plan, const std::string& path) {
  try {
    check_plan(plan, plan.weights.size());
  } catch (const MalformedPlan& malformed) {
    throw Error(ErrorCode::kInternal, fmt::format("the plan for '{}' is inconsistent ({})",
                                                  plan.identity.model_name, malformed.what()));
  }
  const std::vector<std::byte> manifest = encode_manifest(plan);
  const std::vector<std::byte> programs = encode_programs(plan.programs);
  const std::span<const std::byte> contents[kSections] = {manifest, programs, plan.weights};

  Header header;
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.format = kFormat;
  header.sections = kSections;
  header.file_size = sizeof(Header);
  for (std::size_t i = 0; i < kSections; ++i) {
    const std::uint64_t offset = aligned(header.file_size);
    header.entries[i] = {static_cast<Section>(i + 1), 0, offset, contents[i].size(),
                         digest_of(contents[i])};
    header.file_size = offset + contents[i].size();
  }
  header.digest = sha256(hashed_part(header));

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header, 1)));
  std::uint64_t written = sizeof(Header);
  for (std::size_t i = 0; i < kSections; ++i) {
    const std::vector<std::byte> gap(header.entries[i].offset - written);
    file.write(gap);
    file.write(contents[i]);
    written = header.entries[i].offset + contents[i].size();
  }
  file.commit();
}

Plan read_plan(const std::string& path) {
  PlanFile file(path);
  Plan plan = read_all_but_weights(file);
  plan.weights = file.read(Section::kWeights);
  return plan;
}

PlanSummary read_plan_summary(const std::string& path) {
  PlanFile file(path);
  return {read_all_but_weights(file), file.size_of_section(Section::kWeights), file.size()};
}

ModelInfo read_model_or_plan_info(const std::string& path) {
  if (!is_plan_file(path)) return read_model_info(path);
  Plan plan = read_plan_summary(path).plan;
  return {path, std::move(plan.inputs), std::move(plan.outputs), std::move(plan.metadata)};
}

std::string plan_mismatch(const PlanIdentity& plan, const PlanIdentity& here) {
  if (plan.sm != here.sm || plan.device_name != here.device_name ||
      plan.multiprocessors != here.multiprocessors) {
    const auto gpu = [](const PlanIdentity& of) {
      return fmt::format("{} (sm_{}, {} multiprocessors)", printable(of.device_name), of.sm,
                         of.multiprocessors);
    };
    return fmt::format("built for {}, this is {}", gpu(plan), gpu(here));
  }
  if (plan.driver_version != here.driver_version) {
    return fmt::format("built with a driver for CUDA {}, this one is for {}",
                       cuda_version(plan.driver_version), cuda_version(here.driver_version));
  }
  if (plan.runtime_version != here.runtime_version) {
    return fmt::format("built with CUDA runtime {}, this is {}", cuda_version(plan.runtime_version),
                       cuda_version(here.runtime_version));
  }
  if (plan.peregrine_version != here.peregrine_version) {
    return fmt::format("built by Peregrine {}, this is {}", printable(plan.peregrine_version),
                       here.peregrine_version);
  }
  return "";
}

std::string rebuild_command(const Plan& plan, const std::string& path) {
  const std::string model = printable(plan.identity.model_name);
  std::string command = rebuild(model.empty() ? "MODEL.onnx" : model, path);
  if (plan.identity.precision != "fp16") command += " --precision " + plan.identity.precision;
  std::string batches;
  for (const Program& program : plan.programs) {
    if (!batches.empty()) batches += ',';
    batches += std::to_string(program.batch);
  }
  if (batches != "1") command += " --batch " + batches;
  return command;
}

}  // namespace peregrine::compiler
