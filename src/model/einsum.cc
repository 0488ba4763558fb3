// SPDX-License-Identifier: Apache-2.0
#include "model/einsum.h"

#include <algorithm>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {
namespace {

constexpr char kEllipsis = '.';

[[noreturn]] void fail(const std::string& equation, const char* what) {
  throw Error(ErrorCode::kInvalidShape, fmt::format("einsum equation '{}' {}", equation, what));
}

// One operand's letters, "..." as one kEllipsis.
std::string read_term(const std::string& term, const std::string& equation) {
  std::string letters;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (std::isspace(static_cast<unsigned char>(term[i]))) continue;
    if (term[i] == '.') {
      if (term.compare(i, 3, "...") != 0 || letters.find(kEllipsis) != std::string::npos) {
        fail(equation, "has a misplaced '.'");
      }
      letters += kEllipsis;
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      letters += term[i];
    } else {
      fail(equation, "has a character that is no letter");
    }
  }
  return letters;
}

std::vector<std::string> split_terms(const std::string& text, const std::string& equation) {
  std::vector<std::string> terms;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = text.find(',', begin);
    terms.push_back(read_term(text.substr(begin, comma - begin), equation));
    if (comma == std::string::npos) return terms;
    begin = comma + 1;
  }
}

// Without "->" the output holds the ellipsis, then the letters that occur once, in order.
std::string implied_output(const std::vector<std::string>& terms) {
  std::map<char, int> uses;
  for (const std::string& term : terms) {
    for (const char letter : term) ++uses[letter];
  }
  std::string output;
  if (uses.contains(kEllipsis)) output += kEllipsis;
  for (const auto& [letter, count] : uses) {
    if (letter != kEllipsis && count == 1) output += letter;
  }
  return output;
}

}  // namespace

Einsum parse_einsum(const std::string& equation, const std::vector<Shape>& shapes) {
  const std::size_t arrow = equation.find("->");
  const std::vector<std::string> terms = split_terms(equation.substr(0, arrow), equation);
  if (terms.size() != shapes.size()) fail(equation, "does not name as many operands as there are");
  const std::string output = arrow == std::string::npos
                                 ? implied_output(terms)
                                 : read_term(equation.substr(arrow + 2), equation);
  std::size_t widest = 0;  // axes of the longest ellipsis; shorter ones align at the right
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool open = terms[i].find(kEllipsis) != std::string::npos;
    const std::size_t letters = terms[i].size() - (open ? 1 : 0);
    if (shapes[i].size() < letters || (!open && shapes[i].size() != letters)) {
      fail(equation, "does not fit the ranks of its operands");
    }
    if (open) widest = std::max(widest, shapes[i].size() - letters);
  }
  Einsum result;
  std::map<int, int> labels;  // letter, or -1 - (position from the right of the ellipsis)
  const auto label_of = [&](int key) {
    const auto [entry, added] = labels.try_emplace(key, static_cast<int>(result.extent.size()));
    if (added) result.extent.push_back(1);
    return entry->second;
  };
  const auto expand = [&](const std::string& term, std::size_t ellipsis) {
    std::vector<int> axes;
    for (const char letter : term) {
      if (letter != kEllipsis) {
        axes.push_back(label_of(letter));
        continue;
      }
      for (std::size_t k = ellipsis; k-- > 0;) axes.push_back(label_of(-1 - static_cast<int>(k)));
    }
    return axes;
  };
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool open = terms[i].find(kEllipsis) != std::string::npos;
    result.inputs.push_back(expand(terms[i], open ? shapes[i].size() + 1 - terms[i].size() : 0));
    for (std::size_t axis = 0; axis < shapes[i].size(); ++axis) {
      std::int64_t& extent = result.extent[static_cast<std::size_t>(result.inputs[i][axis])];
      if (extent != 1 && shapes[i][axis] != 1 && extent != shapes[i][axis]) {
        fail(equation, "gives one letter two sizes");
      }
      if (extent == 1) extent = shapes[i][axis];
    }
  }
  const std::size_t known = result.extent.size();
  result.output = expand(output, widest);
  if (result.extent.size() != known) fail(equation, "has an output letter that no operand has");
  return result;
}

}  // namespace peregrine::model
