// SPDX-License-Identifier: Apache-2.0
#include "compiler/tactic_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <fstream>

#include <fmt/format.h>

#include "compiler/plan_codec.h"
#include "core/atomic_file.h"
#include "core/sha256.h"

namespace peregrine::compiler {
namespace {

// One line an entry: "KEY MICROSECONDS TACTIC". The first line names the format.
constexpr std::string_view kHead = "peregrine tactics 1";
constexpr std::size_t kKeyDigits = 32;  // 128 bits: no two of all steps ever seen meet

bool is_key(std::string_view text) {
  return text.size() == kKeyDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_tactic(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  if (text.size() > kLongest) return false;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

void add_line(std::string_view line, std::map<std::string, TacticCache::Entry>& entries) {
  if (line.size() < kKeyDigits + 2) return;
  const std::string_view key = line.substr(0, kKeyDigits);
  double microseconds = 0;
  const auto [end, error] =
      std::from_chars(line.data() + kKeyDigits + 1, line.data() + line.size(), microseconds);
  const auto at = static_cast<std::size_t>(end - line.data());
  if (error != std::errc() || at >= line.size() || line[at] != ' ' || line[kKeyDigits] != ' ') {
    return;
  }
  const std::string_view tactic = line.substr(at + 1);
  if (!is_key(key) || !is_tactic(tactic) || !std::isfinite(microseconds) || microseconds < 0) {
    return;
  }
  entries[std::string(key)] = {std::string(tactic), microseconds};
}

std::map<std::string, TacticCache::Entry> read_entries(const std::string& path) {
  std::map<std::string, TacticCache::Entry> entries;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kHead) return entries;
  while (std::getline(file, line)) add_line(line, entries);
  return entries;
}

// Held while the file is read, added to and replaced. Where it cannot be had, two writers may lose
// each other's entries, which are then measured again.
class FileLock {
 public:
  explicit FileLock(const std::string& path)
      : descriptor_(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ >= 0) ::flock(descriptor_, LOCK_EX);
  }
  ~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

void forget_place(Operand& operand) {
  operand.index = 0;
  operand.offset &= 15;  // the alignment that 16-byte loads ask for
  operand.value.clear();
}

}  // namespace

std::string tactic_key(const Step& step) {
  Step bare = step;
  bare.name.clear();
  bare.origins.clear();
  bare.tactic.clear();
  bare.microseconds = 0;
  bare.flops = 0;
  for (Operand& operand : bare.inputs) forget_place(operand);
  for (Operand& operand : bare.outputs) forget_place(operand);
  return to_hex(sha256(encode_step(bare)));
}

TacticCache::TacticCache(std::string path, std::string machine)
    : path_(std::move(path)), machine_(std::move(machine)) {
  if (!path_.empty()) entries_ = read_entries(path_);
}

std::string TacticCache::line_key(const std::string& key) const {
  return to_hex(sha256(machine_ + '\n' + key)).substr(0, kKeyDigits);
}

std::optional<TacticCache::Entry> TacticCache::find(const std::string& key) const {
  const auto found = entries_.find(line_key(key));
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

void TacticCache::store(const std::string& key, Entry entry) {
  const std::string line = line_key(key);
  fresh_[line] = entry;
  entries_[line] = std::move(entry);
}

void TacticCache::save() {
  if (path_.empty() || fresh_.empty()) return;
  const FileLock lock(path_);
  std::map<std::string, Entry> all = read_entries(path_);
  for (const auto& [key, entry] : fresh_) all[key] = entry;
  std::string text = fmt::format("{}\n", kHead);
  for (const auto& [key, entry] : all) {
    text += fmt::format("{} {:.3f} {}\n", key, entry.microseconds, entry.tactic);
  }
  AtomicFile file(path_);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
  fresh_.clear();
}

}  // namespace peregrine::compiler
