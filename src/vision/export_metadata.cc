// SPDX-License-Identifier: Apache-2.0
#include "vision/export_metadata.h"

#include <cstdint>

namespace peregrine::vision {
namespace {

constexpr int kMaxId = 1 << 16;  // an id in a damaged file must not decide how much is allocated

/// Reads the few Python literals that metadata holds. Each `take_*` consumes what it returns and
/// leading blanks; on failure the position is of no use any more.
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

  std::optional<int> take_integer() {
    skip_blanks();
    int value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      value = value * 10 + (rest_[digits] - '0');
      if (value > kMaxId) return std::nullopt;
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }

  std::optional<std::string> take_string() {
    skip_blanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty()) {
      const char next = rest_.front();
      rest_.remove_prefix(1);
      if (next == quote) return out;
      if (next != '\\') {
        out += next;
      } else if (!take_escape(out)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' ||
                              rest_.front() == '\n' || rest_.front() == '\r')) {
      rest_.remove_prefix(1);
    }
  }

  bool take_escape(std::string& out) {
    if (rest_.empty()) return false;
    const char kind = rest_.front();
    rest_.remove_prefix(1);
    switch (kind) {
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      case 'x': return take_code_point(2, out);
      case 'u': return take_code_point(4, out);
      case 'U': return take_code_point(8, out);
      default: out += kind; return true;  // quotes, the backslash, JSON's slash
    }
  }

  bool take_code_point(std::size_t digits, std::string& out) {
    if (rest_.size() < digits) return false;
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char digit = rest_[i];
      const int value = digit >= '0' && digit <= '9'   ? digit - '0'
                        : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                        : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                       : -1;
      if (value < 0) return false;
      code = code * 16 + static_cast<std::uint32_t>(value);
    }
    rest_.remove_prefix(digits);
    return append_utf8(code, out);
  }

  static bool append_utf8(std::uint32_t code, std::string& out) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      if (code >= 0xd800 && code < 0xe000) return false;  // half of a surrogate pair
      out += static_cast<char>(0xe0 | code >> 12);
      tail(6), tail(0);
    } else if (code < 0x110000) {
      out += static_cast<char>(0xf0 | code >> 18);
      tail(12), tail(6), tail(0);
    } else {
      return false;
    }
    return true;
  }

  std::string_view rest_;
};

bool set_name(std::vector<std::string>& names, int id, std::string name) {
  if (id >= kMaxId) return false;
  for (int i = static_cast<int>(names.size()); i <= id; ++i) {
    names.push_back("class " + std::to_string(i));
  }
  names[static_cast<std::size_t>(id)] = std::move(name);
  return true;
}

bool parse_dict(Literal& in, std::vector<std::string>& names) {
  while (!in.take('}')) {
    std::optional<int> id = in.take_integer();
    if (!id) {  // JSON has ids as strings
      const std::optional<std::string> quoted = in.take_string();
      if (!quoted) return false;
      Literal inner(*quoted);
      id = inner.take_integer();
      if (!id || !inner.at_end()) return false;
    }
    if (!in.take(':')) return false;
    std::optional<std::string> name = in.take_string();
    if (!name || !set_name(names, *id, std::move(*name))) return false;
    if (!in.take(',')) return in.take('}');
  }
  return true;
}

bool parse_list(Literal& in, char close, std::vector<std::string>& names) {
  while (!in.take(close)) {
    std::optional<std::string> name = in.take_string();
    if (!name || !set_name(names, static_cast<int>(names.size()), std::move(*name))) return false;
    if (!in.take(',')) return in.take(close);
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> parse_names(std::string_view text) {
  Literal in(text);
  std::vector<std::string> names;
  const bool read = in.take('{')   ? parse_dict(in, names)
                    : in.take('[') ? parse_list(in, ']', names)
                    : in.take('(') ? parse_list(in, ')', names)
                                   : false;
  if (!read || names.empty() || !in.at_end()) return std::nullopt;
  return names;
}

std::vector<int> parse_integers(std::string_view text) {
  Literal in(text);
  const char close = in.take('[') ? ']' : in.take('(') ? ')' : '\0';
  std::vector<int> values;
  do {
    if (close != '\0' && in.take(close)) return in.at_end() ? values : std::vector<int>{};
    const std::optional<int> value = in.take_integer();
    if (!value) return {};
    values.push_back(*value);
  } while (in.take(','));
  const bool closed = close == '\0' || in.take(close);
  return closed && in.at_end() ? values : std::vector<int>{};
}

ExportMetadata read_export_metadata(const std::map<std::string, std::string>& metadata) {
  const auto value = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string_view() : std::string_view(found->second);
  };
  ExportMetadata out;
  out.task = value("task");
  if (const std::string_view names = value("names"); !names.empty()) {
    auto parsed = parse_names(names);
    out.names_unreadable = !parsed;
    if (parsed) out.names = std::move(*parsed);
  }
  out.image_size = parse_integers(value("imgsz"));
  if (out.image_size.size() == 1) out.image_size.push_back(out.image_size[0]);
  if (out.image_size.size() != 2) out.image_size.clear();
  out.keypoint_shape = parse_integers(value("kpt_shape"));
  if (out.keypoint_shape.size() != 2) out.keypoint_shape.clear();
  out.rt_detr = value("description").find("rtdetr") != std::string_view::npos ||
                value("description").find("rt-detr") != std::string_view::npos;
  out.end_to_end = value("end2end") == "True" || value("end2end") == "true" ||
                   value("args").find("'nms': True") != std::string_view::npos;
  return out;
}

}  // namespace peregrine::vision
