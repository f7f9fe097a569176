#include "bpelhost/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "xml/xml.hpp"

namespace nuraghe::bpelhost {
namespace {

using bpel::kNone;
using bpel::Node;
using bpel::NodeIndex;
using bpel::NodeKind;

constexpr double kLetter = 6.6;  // width of a letter of the 11 px font, at most
constexpr double kLeafHeight = 34, kGap = 14, kPadding = 12, kTitle = 20, kMinWidth = 92, kMaxLeafWidth = 230;
constexpr std::size_t kMaxLabel = 34;

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  bool leaf = true;
  bool horizontal = false;
  std::vector<NodeIndex> children;
};

struct Colour {
  std::string_view state, fill, line;
};
constexpr std::array<Colour, 6> kColours = {{{"completed", "#d9f0d9", "#2e7d32"},
                                             {"running", "#d6e6fb", "#1565c0"},
                                             {"waiting", "#fff1c9", "#b26a00"},
                                             {"faulted", "#fbdcdc", "#b71c1c"},
                                             {"terminated", "#e6e0ec", "#5e35b1"},
                                             {"not reached", "#f5f5f5", "#9e9e9e"}}};

std::string_view is_called(const bpel::ProcessDefinition& definition, const Node& node) {
  if (node.index == 0) return "process";
  if (node.kind == NodeKind::kCatch && bpel::as<bpel::Catch>(node).all) return "catchAll";
  (void)definition;
  return bpel::node_kind_name(node.kind);
}

std::string shortened(std::string text) {
  std::size_t letters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;  // within a letter
    if (++letters > kMaxLabel) {
      text.resize(i);
      return text + "…";
    }
  }
  return text;
}

double text_width(std::string_view text) {
  const auto letters =
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  return static_cast<double>(letters) * kLetter;
}

// What is written under a leaf's kind.
std::string detail_of(const Node& node) {
  const auto talk = [](const bpel::Endpoint& endpoint) {
    return (endpoint.link == nullptr ? std::string() : endpoint.link->name + " · ") +
           (endpoint.operation == nullptr ? std::string() : endpoint.operation->name);
  };
  switch (node.kind) {
    case NodeKind::kReceive:
      return talk(bpel::as<bpel::Receive>(node).event.endpoint);
    case NodeKind::kReply:
      return talk(bpel::as<bpel::Reply>(node).endpoint);
    case NodeKind::kInvoke:
      return talk(bpel::as<bpel::Invoke>(node).endpoint);
    case NodeKind::kOnMessage:
      return talk(bpel::as<bpel::OnMessage>(node).event.endpoint);
    case NodeKind::kOnEvent:
      return talk(bpel::as<bpel::OnEvent>(node).event.endpoint);
    case NodeKind::kThrow:
      return bpel::as<bpel::Throw>(node).fault_name.local;
    case NodeKind::kCatch: {
      const auto& name = bpel::as<bpel::Catch>(node).fault_name;
      return name ? name->local : std::string();
    }
    default:
      return {};
  }
}

class Picture {
 public:
  Picture(const bpel::ProcessDefinition& definition, const std::vector<NodeState>* states)
      : definition_(definition), states_(states), boxes_(definition.nodes().size()) {
    for (const auto& node : definition.nodes()) {
      if (node->parent == kNone) continue;
      auto& parent = boxes_[node->parent];
      parent.leaf = false;
      parent.children.push_back(node->index);
    }
    // Children have higher numbers than their parents.
    for (auto index = static_cast<NodeIndex>(boxes_.size()); index-- > 0;) measure(index);
  }

  std::string svg() {
    auto& root = boxes_.front();
    root.x = kGap;
    root.y = kGap;
    for (NodeIndex index = 0; index < boxes_.size(); ++index) place_children(index);
    const double legend = states_ == nullptr ? 0 : 34;
    const double width = std::max(root.width + 2 * kGap, states_ == nullptr ? 0.0 : 620.0);
    const double height = root.height + 2 * kGap + legend;
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n<title>{2}</title>\n"
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
        "orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#444\"/></marker></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        width, height, xml::escape_text(definition_.name().to_string()));
    for (NodeIndex index = 0; index < boxes_.size(); ++index) box(out, index);
    for (NodeIndex index = 0; index < boxes_.size(); ++index) order(out, index);
    for (const auto& link : definition_.links()) arrow(out, link);
    if (states_ != nullptr) key(out, root.y + root.height + kGap);
    return out + "</svg>\n";
  }

 private:
  std::string label(NodeIndex index) const {
    const auto& node = definition_.node(index);
    std::string text(is_called(definition_, node));
    if (index == 0)
      text += " " + definition_.name().local;
    else if (!node.name.empty())
      text += " " + node.name;
    return shortened(std::move(text));
  }

  void measure(NodeIndex index) {
    auto& box = boxes_[index];
    const auto& node = definition_.node(index);
    const auto detail = shortened(detail_of(node));
    const double own = std::max({kMinWidth, text_width(label(index)) + 20, text_width(detail) + 20});
    if (box.leaf) {
      box.width = std::min(own, kMaxLeafWidth + 40);
      box.height = detail.empty() ? 26 : kLeafHeight;
      return;
    }
    box.horizontal = node.kind == NodeKind::kFlow || node.kind == NodeKind::kIf || node.kind == NodeKind::kPick ||
                     node.kind == NodeKind::kScope;
    double along = 0, across = 0;
    for (const auto child : box.children) {
      const auto& inner = boxes_[child];
      along += (box.horizontal ? inner.width : inner.height) + kGap;
      across = std::max(across, box.horizontal ? inner.height : inner.width);
    }
    along -= kGap;
    const double title = kTitle + (detail.empty() ? 0 : 12);
    box.width = std::max(own, (box.horizontal ? along : across) + 2 * kPadding);
    box.height = (box.horizontal ? across : along) + title + 2 * kPadding - 4;
  }

  void place_children(NodeIndex index) {
    const auto& box = boxes_[index];
    if (box.leaf) return;
    const double title = kTitle + (detail_of(definition_.node(index)).empty() ? 0 : 12);
    double x = box.x + kPadding, y = box.y + title + kPadding - 4;
    for (const auto child : box.children) {
      auto& inner = boxes_[child];
      inner.x = box.horizontal ? x : box.x + (box.width - inner.width) / 2;
      inner.y = y;
      if (box.horizontal)
        x += inner.width + kGap;
      else
        y += inner.height + kGap;
    }
  }

  const Colour& colour(NodeIndex index) const {
    const auto& state = (*states_)[index].state;
    for (const auto& one : kColours) {
      if (state == one.state) return one;
    }
    return state.starts_with("waiting") ? kColours[2] : kColours[5];
  }

  void box(std::string& out, NodeIndex index) const {
    const auto& node = definition_.node(index);
    const auto& box = boxes_[index];
    std::string_view fill = box.leaf ? "#eef3f8" : "#ffffff";
    std::string_view line = "#5b6b7b";
    if (states_ != nullptr && index < states_->size()) {
      const auto& chosen = colour(index);
      fill = box.leaf ? chosen.fill : "#ffffff";
      line = chosen.line;
    }
    const bool handler = !bpel::is_activity(node.kind) && node.kind != NodeKind::kOnMessage;
    fmt::format_to(std::back_inserter(out),
                   "<g><title>{} (line {}){}</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                   "rx=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
                   xml::escape_text(definition_.path_of(index)), node.where.line, state_text(index), box.x, box.y,
                   box.width, box.height, box.leaf ? 5 : 8, fill, line, states_ == nullptr ? "1" : "1.5",
                   handler ? " stroke-dasharray=\"5 3\"" : "");
    const double middle = box.x + box.width / 2;
    const auto detail = shortened(detail_of(node));
    const double first = box.leaf ? (detail.empty() ? box.y + 17 : box.y + 14) : box.y + 15;
    text(out, middle, first, label(index), box.leaf ? "normal" : "bold", "#1c2733");
    if (!detail.empty()) text(out, middle, first + 13, detail, "normal", "#5b6b7b");
    out += "</g>\n";
  }

  std::string state_text(NodeIndex index) const {
    if (states_ == nullptr || index >= states_->size()) return {};
    const auto& state = (*states_)[index];
    std::string text = ": " + (state.state.empty() ? "not reached" : state.state);
    if (state.times > 1) text += fmt::format(", {} times", state.times);
    return text;
  }

  static void text(std::string& out, double x, double y, const std::string& content, std::string_view weight,
                   std::string_view fill) {
    fmt::format_to(std::back_inserter(out),
                   "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" font-weight=\"{}\" fill=\"{}\">{}</text>", x,
                   y, weight, fill, xml::escape_text(content));
  }

  // What comes after what in a sequence.
  void order(std::string& out, NodeIndex index) const {
    if (definition_.node(index).kind != NodeKind::kSequence) return;
    const auto& children = boxes_[index].children;
    for (std::size_t i = 1; i < children.size(); ++i) {
      const auto &above = boxes_[children[i - 1]], &below = boxes_[children[i]];
      fmt::format_to(std::back_inserter(out),
                     "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#444\" "
                     "marker-end=\"url(#arrow)\"/>\n",
                     above.x + above.width / 2, above.y + above.height, below.y);
    }
  }

  void arrow(std::string& out, const bpel::Link& link) const {
    if (link.source == kNone || link.target == kNone) return;
    const auto &from = boxes_[link.source], &to = boxes_[link.target];
    const double x1 = from.x + from.width / 2, x2 = to.x + to.width / 2;
    const bool down = from.y + from.height <= to.y;
    const double y1 = down ? from.y + from.height : from.y + from.height / 2;
    const double y2 = down ? to.y : to.y + to.height / 2;
    const bool right = x1 <= x2;
    const double begin = down ? x1 : right ? from.x + from.width : from.x;
    const double end = down ? x2 : right ? to.x : to.x + to.width;
    const double bend = down ? 0 : right ? 30 : -30;
    const double drop = down ? (y2 - y1) / 2 : 0;
    fmt::format_to(std::back_inserter(out),
                   "<g><title>link {}</title><path d=\"M{:.1f} {:.1f} C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" "
                   "fill=\"none\" stroke=\"#00695c\" stroke-width=\"1.5\" stroke-dasharray=\"2 2\" "
                   "marker-end=\"url(#arrow)\"/>",
                   xml::escape_text(link.name), begin, y1, begin + bend, y1 + drop, end - bend, y2 - drop, end, y2);
    text(out, (begin + end) / 2, (y1 + y2) / 2 - 3, shortened(link.name), "normal", "#00695c");
    out += "</g>\n";
  }

  static void key(std::string& out, double y) {
    double x = kGap;
    for (const auto& one : kColours) {
      fmt::format_to(std::back_inserter(out),
                     "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{}\" stroke=\"{}\"/>"
                     "<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"#1c2733\">{}</text>\n",
                     x, y, one.fill, one.line, x + 20, y + 11, one.state);
      x += 100;
    }
  }

  const bpel::ProcessDefinition& definition_;
  const std::vector<NodeState>* states_;
  std::vector<Box> boxes_;
};

}  // namespace

std::string draw(const bpel::ProcessDefinition& definition, const std::vector<NodeState>* nodes) {
  return Picture(definition, nodes).svg();
}

}  // namespace nuraghe::bpelhost
