#include "xml/xpath_sets.hpp"

#include <algorithm>
#include <vector>

#include "xml/xpath_scanner.hpp"

namespace nuraghe::xml {
namespace {

// At one place: closing parentheses come first, then what replaces the operator, then calls, the outer one first.
struct Edit {
  std::size_t at = 0;
  int rank = 0;
  std::size_t removes = 0;
  std::string text;
};

// Follows the operands of one expression with its parentheses and predicates.
class Operands {
 public:
  explicit Operands(std::string_view text) : text_(text) {}

  void step() {
    frame().many = frame().many || !small_axis_;
    end_token();
  }
  void axis(std::string_view name) {
    small_axis_ = name == "attribute" || name == "self" || name == "parent";
    is_test_next_ = true;
  }
  void slash() { is_test_next_ = true; }
  // A number, a text, a variable, a call's name, "." or "..".
  void single() { end_token(); }
  // Whether a name, or "*", is an operator here (XPath 1.0 §3.7).
  bool expects_operator() const { return frames_.back().has_operand && !is_test_next_; }

  void arithmetic(std::size_t at, std::size_t size) {
    end_union(at);
    frame().is_number = true;
    frame().many = false;
    frame().path_begin = at + size;
    begin_operand();
  }
  void separator(std::size_t at, std::size_t size) {
    end_comparison(at);
    begin(frame(), at + size);
    frame().compared.clear();
    frame().is_parted = true;
  }
  void comparison(std::size_t at, std::size_t size) {
    end_union(at);
    Frame& now = frame();
    now.compared.push_back({now.begin, at, size, now.many && !now.is_number});
    begin(now, at + size);
  }
  void unite(std::size_t at) {
    frame().united_many += frame().many ? 1 : 0;
    frame().many = false;
    frame().bars.push_back(at);
    begin_operand();
  }
  void open(std::size_t at, bool is_group) {
    frames_.emplace_back();
    frame().is_group = is_group;
    begin(frame(), at + 1);
  }
  void close(std::size_t at) {
    end_comparison(at);
    const Frame& inner = frame();
    const bool gives_many =
        inner.is_group && !inner.is_parted && inner.compared.empty() && !inner.is_number && inner.many;
    if (frames_.size() > 1) frames_.pop_back();
    frame().many = frame().many || gives_many;
    end_token();
  }
  std::string finish() {
    while (frames_.size() > 1) close(text_.size());
    end_comparison(text_.size());
    return written();
  }

 private:
  // An operand of a comparison and the operator behind it.
  struct Compared {
    std::size_t begin = 0, operator_at = 0, operator_size = 0;
    bool many = false;
  };
  struct Frame {
    std::size_t begin = 0;       // of the operand of a comparison
    std::size_t path_begin = 0;  // of the operand of arithmetic
    bool many = false;
    bool is_number = false;
    bool has_operand = false;
    bool is_group = false;   // parentheses that are no call's
    bool is_parted = false;  // by "and", "or" or a comma
    std::vector<std::size_t> bars;
    int united_many = 0;             // operands before the last bar
    std::vector<Compared> compared;  // all operands but the last one
  };
  Frame& frame() { return frames_.back(); }

  void end_token() {
    frame().has_operand = true;
    small_axis_ = is_test_next_ = false;
  }
  void begin_operand() {
    frame().has_operand = false;
    small_axis_ = is_test_next_ = false;
  }
  void begin(Frame& now, std::size_t at) {
    now.begin = now.path_begin = at;
    now.many = now.is_number = false;
    begin_operand();
  }
  void end_union(std::size_t end) {
    Frame& now = frame();
    if (now.bars.empty()) return;
    now.united_many += now.many ? 1 : 0;
    if (now.united_many > 1) {
      edits_.push_back({now.path_begin, 3, 0, std::string(kJoinSets) + "("});
      for (const std::size_t bar : now.bars) edits_.push_back({bar, 1, 1, ","});
      edits_.push_back({end, 0, 0, ")"});
    }
    now.many = now.united_many > 0;
    now.bars.clear();
    now.united_many = 0;
  }
  void end_comparison(std::size_t end) {
    end_union(end);
    const Frame& now = frame();
    const auto& left = now.compared;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const bool is_last = i + 1 == left.size();
      const bool right_many = is_last ? now.many && !now.is_number : left[i + 1].many;
      if (!left[i].many || !right_many || !compares_operands(left, i)) continue;
      edits_.push_back({left[i].begin, 2, 0, std::string(kCompareSets) + "('" + std::string(sign(left[i])) + "',"});
      edits_.push_back({left[i].operator_at, 1, left[i].operator_size, ","});
      edits_.push_back({is_last ? end : left[i + 1].operator_at, 0, 0, ")"});
    }
  }
  // Whether operator i of a chain stands between two operands as they are, not next to the Boolean of another
  // operator: a = b = c is (a = b) = c, and a < b = c is (a < b) = c.
  bool compares_operands(const std::vector<Compared>& chain, std::size_t i) const {
    if (!is_equality(chain[i])) return i == 0 || is_equality(chain[i - 1]);
    return i == 0 && (chain.size() == 1 || is_equality(chain[1]));
  }
  std::string_view sign(const Compared& one) const { return text_.substr(one.operator_at, one.operator_size); }
  bool is_equality(const Compared& one) const { return sign(one) == "=" || sign(one) == "!="; }
  std::string written() {
    std::ranges::stable_sort(
        edits_, [](const Edit& a, const Edit& b) { return std::pair(a.at, a.rank) < std::pair(b.at, b.rank); });
    std::string out;
    std::size_t from = 0;
    for (const Edit& edit : edits_) {
      out.append(text_, from, edit.at - from);
      out += edit.text;
      from = edit.at + edit.removes;
    }
    return out.append(text_, from);
  }

  std::string_view text_;
  std::vector<Frame> frames_{1};
  bool small_axis_ = false;
  bool is_test_next_ = false;  // after '/', '@' and "::"
  std::vector<Edit> edits_;
};

void scan_name(Scanner& scanner, Operands& operands) {
  const std::size_t begin = scanner.at;
  const auto take = [&scanner] {
    scanner.name();
    const bool prefixed = scanner.peek() == ':' && (starts_name(scanner.peek(1)) || scanner.peek(1) == '*');
    if (!prefixed) return;
    ++scanner.at;
    if (scanner.peek() == '*')
      ++scanner.at;
    else
      scanner.name();
  };
  take();
  const std::string_view whole = scanner.text.substr(begin, scanner.at - begin);
  if (operands.expects_operator()) {
    if (whole == "and" || whole == "or") return operands.separator(begin, whole.size());
    return operands.arithmetic(begin, whole.size());
  }
  scanner.skip_space();
  if (scanner.peek() == ':' && scanner.peek(1) == ':') {
    scanner.at += 2;
    return operands.axis(whole);
  }
  constexpr std::string_view kNodeTypes[] = {"node", "text", "comment", "processing-instruction"};
  const bool is_test = std::ranges::find(kNodeTypes, whole) != std::end(kNodeTypes);
  if (scanner.peek() == '(' && !is_test) return operands.single();
  operands.step();
}

void scan_sign(Scanner& scanner, Operands& operands) {
  const std::size_t at = scanner.at;
  const char c = scanner.peek();
  ++scanner.at;
  const auto follows = [&scanner](char next) {
    if (scanner.peek() != next) return false;
    ++scanner.at;
    return true;
  };
  switch (c) {
    case '/':
      follows('/');
      return operands.slash();
    case '@':
      return operands.axis("attribute");
    case '.':
      follows('.');
      return operands.single();
    case '*':
      return operands.expects_operator() ? operands.arithmetic(at, 1) : operands.step();
    case '+':
    case '-':
      return operands.arithmetic(at, 1);
    case '=':
    case '<':
    case '>':
    case '!':
      follows('=');
      return operands.comparison(at, scanner.at - at);
    case '|':
      return operands.unite(at);
    case ',':
      return operands.separator(at, 1);
    case '(':
    case '[': {
      // The name of a call, or of a node test, stands just before.
      std::size_t before = at;
      while (before > 0 && is_space(scanner.text[before - 1])) --before;
      const bool is_call = before > 0 && continues_name(scanner.text[before - 1]) && operands.expects_operator();
      return operands.open(at, c == '(' && !is_call);
    }
    case ')':
    case ']':
      return operands.close(at);
    default:
      return;
  }
}

}  // namespace

std::string with_set_functions(std::string_view text) {
  Scanner scanner{text};
  Operands operands(text);
  while (!scanner.done()) {
    const char c = scanner.peek();
    if (c == '"' || c == '\'') {
      const std::size_t end = text.find(c, scanner.at + 1);
      if (end == std::string_view::npos) return std::string(text);
      scanner.at = end + 1;
      operands.single();
    } else if (c == '$') {
      ++scanner.at;
      scanner.skip_space();
      scanner.name();
      if (scanner.peek() == ':' && starts_name(scanner.peek(1))) {
        ++scanner.at;
        scanner.name();
      }
      operands.single();
    } else if (starts_name(c)) {
      scan_name(scanner, operands);
    } else if (is_digit(c) || (c == '.' && is_digit(scanner.peek(1)))) {
      while (is_digit(scanner.peek()) || scanner.peek() == '.') ++scanner.at;
      operands.single();
    } else {
      scan_sign(scanner, operands);
    }
  }
  return operands.finish();
}

}  // namespace nuraghe::xml
