#include "xml/xpath.hpp"

#include <fmt/format.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "base/check.hpp"
#include "xml/tree.hpp"
#include "xml/xpath_cost.hpp"
#include "xml/xpath_names.hpp"
#include "xml/xpath_object.hpp"
#include "xml/xpath_set_functions.hpp"
#include "xml/xpath_sets.hpp"

namespace nuraghe::xml {

namespace {

struct FreeContext {
  void operator()(xmlXPathContext* context) const { xmlXPathFreeContext(context); }
};
using Context = std::unique_ptr<xmlXPathContext, FreeContext>;
struct FreeExpression {
  void operator()(xmlXPathCompExpr* expression) const { xmlXPathFreeCompExpr(expression); }
};
using Expression = std::unique_ptr<xmlXPathCompExpr, FreeExpression>;

// What one compilation or evaluation knows beside libxml2's context, whose userData points here.
struct Evaluation {
  const XPathContext* caller = nullptr;
  std::optional<Error> error;  // what a callback of the caller answered
  std::string message;         // what libxml2 says
  int position = -1;
};

void on_error(void* user, xmlErrorPtr error) {
  auto* evaluation = static_cast<Evaluation*>(user);
  if (evaluation == nullptr || !evaluation->message.empty()) return;
  evaluation->message = error->message == nullptr ? "wrong" : error->message;
  while (!evaluation->message.empty() && evaluation->message.back() == '\n') evaluation->message.pop_back();
  evaluation->position = error->int1;
}

// Contexts are costly to make (a table of functions each), so a thread keeps those it made. Evaluations nest, when a
// callback evaluates in its turn: hence more than one.
class BorrowedContext {
 public:
  BorrowedContext() {
    if (pool().empty()) {
      context_.reset(xmlXPathNewContext(nullptr));
      CHECK(context_ != nullptr);
      xmlXPathContextSetCache(context_.get(), 1, -1, 0);
      context_->error = on_error;
    } else {
      context_ = std::move(pool().back());
      pool().pop_back();
    }
  }
  ~BorrowedContext() {
    xmlXPathContext& c = *context_;
    c.doc = nullptr;
    c.node = nullptr;
    c.namespaces = nullptr;
    c.nsNr = 0;
    c.userData = nullptr;
    c.varLookupFunc = nullptr;
    c.varLookupData = nullptr;
    c.funcLookupFunc = nullptr;
    c.funcLookupData = nullptr;
    c.opLimit = c.opCount = 0;
    c.depth = 0;
    c.function = c.functionURI = nullptr;
    c.contextSize = c.proximityPosition = -1;
    xmlResetError(&c.lastError);
    if (pool().size() < 8) pool().push_back(std::move(context_));
  }
  BorrowedContext(const BorrowedContext&) = delete;
  BorrowedContext& operator=(const BorrowedContext&) = delete;
  xmlXPathContext* operator->() const { return context_.get(); }
  xmlXPathContext* get() const { return context_.get(); }

 private:
  static std::vector<Context>& pool() {
    thread_local std::vector<Context> contexts;
    return contexts;
  }
  Context context_;
};

xmlDoc* empty_document() {
  static xmlDoc* const document = xmlNewDoc(chars("1.0"));  // lives as long as the program
  return document;
}

XPathValue from_object(const xmlXPathObject* object) {
  switch (object->type) {
    case XPATH_BOOLEAN:
      return object->boolval != 0;
    case XPATH_NUMBER:
      return object->floatval;
    case XPATH_STRING:
      return std::string(view(object->stringval));
    default:
      break;
  }
  NodeSet nodes;
  if ((object->type == XPATH_NODESET || object->type == XPATH_XSLT_TREE) && object->nodesetval != nullptr) {
    for (int i = 0; i < object->nodesetval->nodeNr; ++i) {
      xmlNode* node = object->nodesetval->nodeTab[i];
      if (node->type != XML_NAMESPACE_DECL) nodes.emplace_back(node);
    }
  }
  return nodes;
}

xmlXPathObject* to_object(const XPathValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return xmlXPathNewBoolean(*flag ? 1 : 0);
  if (const auto* number = std::get_if<double>(&value)) return xmlXPathNewFloat(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return xmlXPathNewString(chars(*text));
  xmlNodeSet* set = xmlXPathNodeSetCreate(nullptr);
  CHECK(set != nullptr);
  for (const Node node : std::get<NodeSet>(value)) xmlXPathNodeSetAddUnique(set, node.raw());
  return xmlXPathWrapNodeSet(set);
}

QName to_name(const xmlChar* local, const xmlChar* uri) { return {std::string(view(uri)), std::string(view(local))}; }

xmlXPathObject* look_up_variable(void* data, const xmlChar* local, const xmlChar* uri) {
  auto* evaluation = static_cast<Evaluation*>(data);
  const QName name = to_name(local, uri);
  if (!evaluation->caller->variable) {
    evaluation->error = not_found(fmt::format("there is no variable ${}", name.to_string()));
    return nullptr;
  }
  auto value = evaluation->caller->variable(name);
  if (value) return to_object(*value);
  evaluation->error = std::move(value).error();
  return nullptr;
}

void fail(xmlXPathParserContext* parser, Evaluation* evaluation, Error error) {
  if (!evaluation->error) evaluation->error = std::move(error);
  xmlXPathErr(parser, XPATH_EXPR_ERROR);
}

std::vector<XPathValue> pop_arguments(xmlXPathParserContext* parser, int count) {
  std::vector<XPathValue> arguments(static_cast<std::size_t>(count));
  for (auto argument = arguments.rbegin(); argument != arguments.rend(); ++argument) {
    const Object object(valuePop(parser));
    if (object) *argument = from_object(object.get());
  }
  return arguments;
}

void call_function(xmlXPathParserContext* parser, int count) {
  auto* evaluation = static_cast<Evaluation*>(parser->context->userData);
  const QName name = to_name(parser->context->function, parser->context->functionURI);
  const auto arguments = pop_arguments(parser, count);
  if (!evaluation->caller->function)
    return fail(parser, evaluation, not_found(fmt::format("there is no function {}()", name.to_string())));
  auto value = evaluation->caller->function(name, arguments);
  if (value) {
    valuePush(parser, to_object(*value));
    return;
  }
  Error error = std::move(value).error();
  if (error.code() == ErrorCode::kNotFound && error.message().empty())
    error = not_found(fmt::format("there is no function {}()", name.to_string()));
  fail(parser, evaluation, std::move(error));
}

// libxml2 counts the steps of an expression, but not what its functions do with the texts of whole trees. False: more
// than is allowed.
bool charge_texts(xmlXPathParserContext* parser, int count) {
  xmlXPathContext& context = *parser->context;
  if (context.opLimit == 0) return true;
  const auto left = [&] { return context.opLimit - std::min(context.opLimit, context.opCount); };
  const auto charge = [&](unsigned long cost) {
    context.opCount += cost;
    if (left() > 0) return true;
    xmlXPathErr(parser, XPATH_OP_LIMIT_EXCEEDED);
    return false;
  };
  if (count == 0) return charge(cost_of_text(context.node, left()));
  for (int i = std::max(0, parser->valueNr - count); i < parser->valueNr; ++i) {
    const xmlXPathObject* value = parser->valueTab[i];
    if (value->type == XPATH_STRING && !charge(view(value->stringval).size() / kBytesOfAStep)) return false;
    if (value->type != XPATH_NODESET || value->nodesetval == nullptr) continue;
    for (int n = 0; n < value->nodesetval->nodeNr; ++n) {
      const xmlNode* node = value->nodesetval->nodeTab[n];
      if (node->type != XML_NAMESPACE_DECL && !charge(cost_of_text(node, left()))) return false;
      // All but sum() read the first one.
      if (std::string_view("sum") != view(context.function)) break;
    }
  }
  return true;
}

// string() and concat() of our own: libxml2 writes 1e10 as "1e+10", which XPath 1.0 §4.2 does not allow.
void call_string(xmlXPathParserContext* parser, int count) {
  if (count > 1) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  if (!charge_texts(parser, count)) return;
  const XPathValue value = count == 0 ? XPathValue(NodeSet{Node(parser->context->node)}) : pop_arguments(parser, 1)[0];
  valuePush(parser, to_object(to_string(value)));
}

void call_concat(xmlXPathParserContext* parser, int count) {
  if (count < 2) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  if (!charge_texts(parser, count)) return;
  std::string result;
  for (const XPathValue& argument : pop_arguments(parser, count)) {
    result += to_string(argument);
    if (result.size() > kMaxText) {
      return fail(parser, static_cast<Evaluation*>(parser->context->userData),
                  exhausted(fmt::format("a text of an XPath expression is longer than {} bytes", kMaxText)));
    }
  }
  valuePush(parser, to_object(result));
}

// libxml2's functions that read texts.
constexpr std::pair<std::string_view, xmlXPathFunction> kOfTexts[] = {
    {"contains", xmlXPathContainsFunction},
    {"id", xmlXPathIdFunction},
    {"normalize-space", xmlXPathNormalizeFunction},
    {"number", xmlXPathNumberFunction},
    {"starts-with", xmlXPathStartsWithFunction},
    {"string-length", xmlXPathStringLengthFunction},
    {"substring", xmlXPathSubstringFunction},
    {"substring-after", xmlXPathSubstringAfterFunction},
    {"substring-before", xmlXPathSubstringBeforeFunction},
    {"sum", xmlXPathSumFunction},
    {"translate", xmlXPathTranslateFunction},
};

void call_of_texts(xmlXPathParserContext* parser, int count) {
  const std::string_view name = view(parser->context->function);
  if (!charge_texts(parser, count)) return;
  for (const auto& [its_name, function] : kOfTexts) {
    if (name == its_name) return function(parser, count);
  }
}

xmlXPathFunction look_up_function(void*, const xmlChar* local, const xmlChar* uri) {
  if (uri != nullptr) return call_function;
  constexpr std::string_view kCore[] = {"boolean",    "ceiling", "count",         "false", "floor",    "lang",  "last",
                                        "local-name", "name",    "namespace-uri", "not",   "position", "round", "true"};
  const std::string_view name = view(local);
  if (name == "string") return call_string;
  if (name == "concat") return call_concat;
  if (name == kCompareSets) return compare_sets;
  if (name == kJoinSets) return join_sets;
  if (std::ranges::any_of(kOfTexts, [&](const auto& one) { return one.first == name; })) return call_of_texts;
  return std::find(std::begin(kCore), std::end(kCore), name) != std::end(kCore) ? nullptr : call_function;
}

Error describe(const std::string& text, const Evaluation& evaluation, int code) {
  if (code == XPATH_OP_LIMIT_EXCEEDED || code == XPATH_RECURSION_LIMIT_EXCEEDED)
    return exhausted(fmt::format("the XPath expression '{}' needs more steps than are allowed", text));
  const std::string what = evaluation.message.empty() ? "it cannot be evaluated" : evaluation.message;
  if (evaluation.position >= 0 && std::cmp_less(evaluation.position, text.size()))
    return invalid(fmt::format("XPath expression '{}': {} at character {}", text, what, evaluation.position + 1));
  return invalid(fmt::format("XPath expression '{}': {}", text, what));
}

Result<Expression> compile_expression(const std::string& text) {
  BorrowedContext context;
  Evaluation evaluation;
  context->userData = &evaluation;
  Expression expression(xmlXPathCtxtCompile(context.get(), chars(text)));
  if (!expression) return describe(text, evaluation, context->lastError.code - XML_XPATH_EXPRESSION_OK);
  return expression;
}

}  // namespace

struct XPath::Compiled {
  std::string text;    // as it was given
  std::string source;  // as it is evaluated: with_set_functions
  XPathNames names;
  std::vector<std::pair<std::string, std::string>> bindings;
  std::vector<xmlNs> declarations;       // point into bindings
  std::vector<xmlNs*> declaration_list;  // point into declarations
  // libxml2 notes the functions it found in the compiled form, so one of these serves one evaluation at a time.
  std::mutex mutex;
  std::vector<Expression> idle;

  Result<Expression> borrow() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Expression expression = std::move(idle.back());
        idle.pop_back();
        return expression;
      }
    }
    return compile_expression(source);
  }
  void give_back(Expression expression) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(expression));
  }
  // The expression with the numbers of its positions by variable written out: libxml2 finds node 5 by counting to five,
  // but asks "is $v my position?" of each node. Nullopt when there are none, or one is no position.
  std::optional<std::string> with_positions(const XPathContext& caller) const {
    if (names.positions.empty() || !caller.variable) return std::nullopt;
    std::string written;
    std::size_t from = 0;
    for (const PositionByVariable& position : names.positions) {
      const auto value = caller.variable({"", position.variable});
      if (!value) return std::nullopt;  // the evaluation will say why
      const double number = to_number(*value);
      if (!(number >= 1 && number < 1e9) || number != std::floor(number)) return std::nullopt;
      written.append(source, from, position.begin - from);
      written += std::to_string(static_cast<std::int64_t>(number));
      from = position.end;
    }
    return written.append(source, from);
  }
  void declare() {
    declarations.resize(bindings.size());
    for (std::size_t i = 0; i < bindings.size(); ++i) {
      declarations[i] = xmlNs{};
      declarations[i].type = XML_LOCAL_NAMESPACE;
      declarations[i].prefix = chars(bindings[i].first);
      declarations[i].href = chars(bindings[i].second);
      declaration_list.push_back(&declarations[i]);
    }
  }
};

XPath::XPath(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
XPath::XPath(XPath&&) noexcept = default;
XPath& XPath::operator=(XPath&&) noexcept = default;
XPath::~XPath() = default;
const std::string& XPath::text() const { return compiled_->text; }
const std::vector<std::string>& XPath::variables() const { return compiled_->names.variables; }
const std::vector<std::string>& XPath::prefixed_functions() const { return compiled_->names.prefixed_functions; }

Result<XPath> XPath::compile(std::string_view text, const std::map<std::string, std::string>& namespaces) {
  initialise();
  auto compiled = std::make_unique<Compiled>();
  compiled->text = text;
  if (is_blank(text)) return invalid("an XPath expression is empty");
  if (text.find('\0') != std::string_view::npos) return invalid("an XPath expression contains a zero byte");
  TRY_ASSIGN(Expression expression, compile_expression(compiled->text));
  compiled->names = scan_xpath_names(text);
  if (!compiled->names.balanced)
    return invalid(fmt::format("XPath expression '{}': a parenthesis or bracket is not closed", text));
  compiled->source = with_set_functions(text);
  if (compiled->source != text) {
    TRY_ASSIGN(expression, compile_expression(compiled->source));
    compiled->names.positions = scan_xpath_names(compiled->source).positions;
  }
  for (const std::string& prefix : compiled->names.prefixes) {
    const auto found = namespaces.find(prefix);
    if (found != namespaces.end())
      compiled->bindings.emplace_back(prefix, found->second);
    else if (prefix != "xml")
      return invalid(fmt::format("XPath expression '{}': the prefix '{}' is not bound to a namespace", text, prefix));
  }
  compiled->declare();
  compiled->idle.push_back(std::move(expression));
  return XPath(std::move(compiled));
}

Result<XPath> XPath::compile(std::string_view text, Node scope) {
  std::map<std::string, std::string> namespaces;
  for (auto& [prefix, uri] : scope.namespaces_in_scope()) namespaces.emplace(prefix, uri);
  return compile(text, namespaces);
}

Result<XPathValue> XPath::evaluate(const XPathContext& caller) const {
  const auto written = compiled_->with_positions(caller);
  TRY_ASSIGN(Expression expression, written ? compile_expression(*written) : compiled_->borrow());
  Evaluation evaluation;
  evaluation.caller = &caller;
  std::optional<XPathValue> value;
  int code = 0;
  {
    BorrowedContext context;
    xmlNode* node = caller.node ? caller.node.raw() : as_node(empty_document());
    context->node = node;
    context->doc = node->doc;
    context->userData = &evaluation;
    context->namespaces = compiled_->declaration_list.data();
    context->nsNr = static_cast<int>(compiled_->declaration_list.size());
    const bool wide = compiled_->names.wide_steps > 1 && caller.max_operations > 0;
    const std::int64_t most =
        wide ? std::min(caller.max_operations, caller.max_wide_operations) : caller.max_operations;
    context->opLimit = static_cast<unsigned long>(std::max<std::int64_t>(most, 0));
    xmlXPathRegisterVariableLookup(context.get(), look_up_variable, &evaluation);
    xmlXPathRegisterFuncLookup(context.get(), look_up_function, nullptr);
    xmlXPathObject* object = xmlXPathCompiledEval(expression.get(), context.get());
    if (object != nullptr) {
      value = from_object(object);
      xmlXPathFreeObject(object);
    } else {
      code = context->lastError.code - XML_XPATH_EXPRESSION_OK;
    }
  }
  if (!written) compiled_->give_back(std::move(expression));
  if (evaluation.error) return *std::move(evaluation.error);
  if (!value) return describe(compiled_->text, evaluation, code);
  return *std::move(value);
}

}  // namespace nuraghe::xml
