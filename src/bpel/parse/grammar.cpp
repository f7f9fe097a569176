#include "bpel/parse/grammar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "bpel/expression/compile.hpp"

namespace nuraghe::bpel {

namespace {

// attributes: names separated by blanks, '!' behind the required ones.
// content: items in order, each NAME, A|B, with '?', '*' or '+' behind; "@" is any activity; "#" any content (not
// looked into). Activities begin with "targets? sources?".
struct Rule {
  std::string_view attributes;
  std::string_view content;
};

constexpr std::string_view kExpression = "expressionLanguage";

const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> kRules = {
      {"process",
       {"name! targetNamespace! queryLanguage expressionLanguage suppressJoinFailure exitOnStandardFault",
        "extensions? import* partnerLinks? messageExchanges? variables? correlationSets? faultHandlers? eventHandlers? "
        "@"}},
      {"extensions", {"", "extension+"}},
      {"extension", {"namespace! mustUnderstand!", ""}},
      {"import", {"namespace location importType!", ""}},
      {"partnerLinks", {"", "partnerLink+"}},
      {"partnerLink", {"name! partnerLinkType! myRole partnerRole initializePartnerRole", ""}},
      {"messageExchanges", {"", "messageExchange+"}},
      {"messageExchange", {"name!", ""}},
      {"variables", {"", "variable+"}},
      {"variable", {"name! messageType type element", "from?"}},
      {"correlationSets", {"", "correlationSet+"}},
      {"correlationSet", {"properties! name!", ""}},
      {"faultHandlers", {"", "catch* catchAll?"}},
      {"catch", {"faultName faultVariable faultMessageType faultElement", "@"}},
      {"catchAll", {"", "@"}},
      {"compensationHandler", {"", "@"}},
      {"terminationHandler", {"", "@"}},
      {"eventHandlers", {"", "onEvent* onAlarm*"}},
      {"onEvent",
       {"partnerLink! portType operation! messageExchange variable messageType element",
        "correlations? fromParts? scope"}},
      {"onAlarm", {"", ""}},
      {"onMessage", {"partnerLink! portType operation! messageExchange variable", "correlations? fromParts? @"}},
      {"correlations", {"", "correlation+"}},
      {"correlation", {"set! initiate pattern", ""}},
      {"fromParts", {"", "fromPart+"}},
      {"fromPart", {"part! toVariable!", ""}},
      {"toParts", {"", "toPart+"}},
      {"toPart", {"part! fromVariable!", ""}},
      {"targets", {"", "joinCondition? target+"}},
      {"target", {"linkName!", ""}},
      {"sources", {"", "source+"}},
      {"source", {"linkName!", "transitionCondition?"}},
      {"joinCondition", {kExpression, "#"}},
      {"transitionCondition", {kExpression, "#"}},
      {"condition", {kExpression, "#"}},
      {"for", {kExpression, "#"}},
      {"until", {kExpression, "#"}},
      {"repeatEvery", {kExpression, "#"}},
      {"startCounterValue", {kExpression, "#"}},
      {"finalCounterValue", {kExpression, "#"}},
      {"branches", {"expressionLanguage successfulBranchesOnly", "#"}},
      {"completionCondition", {"", "branches?"}},
      {"query", {"queryLanguage", "#"}},
      {"literal", {"", "#"}},
      {"from", {"expressionLanguage variable part property partnerLink endpointReference", "literal|query?"}},
      {"to", {"expressionLanguage variable part property partnerLink", "query?"}},
      {"copy", {"keepSrcElementName ignoreMissingFromData", "from to"}},
      {"extensionAssignOperation", {"", ""}},
      {"link", {"name!", ""}},
      {"links", {"", "link+"}},
      {"elseif", {"", "condition @"}},
      {"else", {"", "@"}},
      // Activities: "name" and "suppressJoinFailure" are added to each.
      {"assign", {"validate", "copy|extensionAssignOperation+"}},
      {"compensate", {"", ""}},
      {"compensateScope", {"target!", ""}},
      {"empty", {"", ""}},
      {"exit", {"", ""}},
      {"flow", {"", "links? @+"}},
      {"forEach", {"counterName! parallel!", "startCounterValue finalCounterValue completionCondition? scope"}},
      {"if", {"", "condition @ elseif* else?"}},
      {"invoke",
       {"partnerLink! portType operation! inputVariable outputVariable",
        "correlations? catch* catchAll? compensationHandler? toParts? fromParts?"}},
      {"pick", {"createInstance", "onMessage+ onAlarm*"}},
      {"receive",
       {"partnerLink! portType operation! variable createInstance messageExchange", "correlations? fromParts?"}},
      {"repeatUntil", {"", "@ condition"}},
      {"reply", {"partnerLink! portType operation! variable faultName messageExchange", "correlations? toParts?"}},
      {"rethrow", {"", ""}},
      {"scope",
       {"isolated exitOnStandardFault",
        "partnerLinks? messageExchanges? variables? correlationSets? faultHandlers? compensationHandler? "
        "terminationHandler? eventHandlers? @"}},
      {"sequence", {"", "@+"}},
      {"throw", {"faultName! faultVariable", ""}},
      {"validate", {"variables!", ""}},
      {"wait", {"", "for|until"}},
      {"while", {"", "condition @"}}};
  return kRules;
}

// How the standard's schema writes the values of attributes; others are free texts or looked at by the parser.
constexpr std::array<std::string_view, 17> kNameAttributes = {
    "name",           "linkName",   "messageExchange", "myRole",      "operation",     "part",         "partnerLink",
    "partnerRole",    "set",        "target",          "counterName", "faultVariable", "fromVariable", "inputVariable",
    "outputVariable", "toVariable", "variable"};
constexpr std::array<std::string_view, 10> kQNameAttributes = {
    "element",         "faultElement", "faultMessageType", "faultName", "messageType",
    "partnerLinkType", "portType",     "property",         "type",      "properties"};

template <class Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// An NCName, as far as ASCII goes.
bool is_name(std::string_view text) {
  const auto starts = [](unsigned char c) { return std::isalpha(c) != 0 || c == '_' || c >= 0x80; };
  return !text.empty() && starts(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return starts(static_cast<unsigned char>(c)) || std::isdigit(static_cast<unsigned char>(c)) != 0 ||
                  c == '-' || c == '.';
         });
}

}  // namespace

bool is_qname(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return is_name(text);
  return is_name(text.substr(0, colon)) && is_name(text.substr(colon + 1));
}

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const auto at = text.find(separator);
    if (at != 0) words.push_back(text.substr(0, at));
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
  }
  return words;
}

// False for a value that its attribute cannot have.
bool is_value_of(std::string_view attribute, std::string value) {
  std::replace_if(
      value.begin(), value.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  const auto words = split(value, ' ');
  if (holds(kNameAttributes, attribute)) return words.size() == 1 && is_name(words.front());
  if (attribute == "variables") return !words.empty() && std::all_of(words.begin(), words.end(), is_name);
  if (!holds(kQNameAttributes, attribute)) return true;
  return !words.empty() && (words.size() == 1 || attribute == "properties") &&
         std::all_of(words.begin(), words.end(), is_qname);
}

class ShapeChecker {
 public:
  ShapeChecker(const std::string& file, std::vector<Diagnostic>& diagnostics)
      : file_(file), diagnostics_(diagnostics) {}

  void check(xml::Node element) {
    const std::string_view local = element.local_name();
    if (local == "extensionActivity") {  // its inside is another language
      check_text(element);
      return check_attributes(element, {}, false);
    }
    const auto rule = rules().find(local);
    if (rule == rules().end()) {
      report(element, fmt::format("WS-BPEL 2.0 has no element <{}>", local));
      return;
    }
    const bool activity = is_activity_name(local);
    check_attributes(element, rule->second, activity);
    if (rule->second.content == "#") return;
    if (local != "from" && local != "to") check_text(element);
    check_content(element, rule->second, activity);
  }

 private:
  void report(xml::Node node, std::string sentence, bool warning = false) {
    diagnostics_.push_back({"", file_, node.position(), std::move(sentence), warning});
  }

  void check_text(xml::Node element) {
    if (!is_blank(own_text(element))) report(element, fmt::format("<{}> may not hold text", element.local_name()));
  }

  void check_attributes(xml::Node element, const Rule& rule, bool activity) {
    const auto known = split(rule.attributes, ' ');
    for (const auto& attribute : element.attributes()) {
      const std::string& name = attribute.name.local;
      if (!attribute.name.ns.empty()) continue;
      if (activity && name == "suppressJoinFailure") continue;
      if (activity && name == "name") {
        // Designers write titles there; nothing but compensateScope refers to it.
        check_value(element, attribute, true);
        continue;
      }
      const bool allowed = std::any_of(known.begin(), known.end(),
                                       [&](std::string_view word) { return word.substr(0, word.find('!')) == name; });
      if (!allowed) report(element, fmt::format("<{}> has no attribute '{}'", element.local_name(), name));
      if (allowed) check_value(element, attribute);
    }
    for (std::string_view word : known) {
      if (!word.ends_with('!')) continue;
      word.remove_suffix(1);
      if (!element.attribute(word))
        report(element, fmt::format("<{}> lacks the attribute '{}'", element.local_name(), word));
    }
  }

  void check_value(xml::Node element, const xml::Node::Attribute& attribute, bool warning = false) {
    if (is_value_of(attribute.name.local, attribute.value)) return;
    report(element,
           fmt::format("<{}>: {}=\"{}\" is no name as the attribute must be", element.local_name(),
                       attribute.name.local, attribute.value),
           warning);
  }

  static bool matches(std::string_view item, xml::Node child) {
    if (item == "@") return is_activity_name(child.local_name());
    const auto names = split(item, '|');
    return std::find(names.begin(), names.end(), child.local_name()) != names.end();
  }

  void check_content(xml::Node element, const Rule& rule, bool activity) {
    std::vector<xml::Node> children;
    for (const xml::Node child : element.children()) {
      if (child.namespace_uri() == kBpelNamespace && child.local_name() != "documentation") children.push_back(child);
    }
    std::vector<std::string_view> items;
    if (activity) items = {"targets?", "sources?"};
    const bool alarm_of_event = element.local_name() == "onAlarm";
    for (const std::string_view item : split(rule.content, ' ')) items.push_back(item);
    if (alarm_of_event) items = alarm_items(element);
    std::size_t at = 0;
    for (std::string_view item : items) {
      const char last = item.back();
      const bool counted = last == '?' || last == '*' || last == '+';
      if (counted) item.remove_suffix(1);
      std::size_t matched = 0;
      while (at < children.size() && matches(item, children[at])) {
        ++at, ++matched;
        if (!counted || last == '?') break;
      }
      if (matched == 0 && (!counted || last == '+')) {
        report(element,
               fmt::format("<{}> lacks {}", element.local_name(),
                           item == "@" ? "an activity" : fmt::format("<{}>", fmt::join(split(item, '|'), "> or <"))));
      }
    }
    if (at < children.size()) {
      report(children[at],
             fmt::format("<{}> may not stand here in <{}>", children[at].local_name(), element.local_name()));
    }
    for (const xml::Node child : children) check(child);
  }

  static std::vector<std::string_view> alarm_items(xml::Node alarm) {
    if (alarm.parent().is(kBpelNamespace, "pick")) return {"for|until", "@"};
    const bool once = alarm.child(kBpelNamespace, "for") || alarm.child(kBpelNamespace, "until");
    if (once) return {"for|until", "repeatEvery?", "scope"};
    return {"repeatEvery", "scope"};
  }

  const std::string& file_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

bool is_activity_name(std::string_view local) {
  static constexpr std::array<std::string_view, 21> kActivities = {"assign",      "compensate", "compensateScope",
                                                                   "empty",       "exit",       "extensionActivity",
                                                                   "flow",        "forEach",    "if",
                                                                   "invoke",      "pick",       "receive",
                                                                   "repeatUntil", "reply",      "rethrow",
                                                                   "scope",       "sequence",   "throw",
                                                                   "validate",    "wait",       "while"};
  return std::find(kActivities.begin(), kActivities.end(), local) != kActivities.end();
}

void check_shape(xml::Node process, const std::string& file, std::vector<Diagnostic>& diagnostics) {
  ShapeChecker(file, diagnostics).check(process);
}

}  // namespace nuraghe::bpel
