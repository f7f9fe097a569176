// Answers that are a list: filtered by the fields of their items, in a stable order, page by page. Pure.
//
//   ?limit=N             at most N items (1000 without it, 10,000 at most)
//   ?cursor=TEXT         goes on behind an earlier page; opaque to clients, taken from that page's Link rel="next"
//   ?FIELD=VALUE         only items whose field has this value; several values of one field: any of them; several
//   fields:
//                        all of them. Fields are those of the items that hold one simple value.
//
// An operation that can be asked for what stands behind one item, and for how many (its inputs `after` and `limit`),
// gives the pages itself, at most 1000 items each; what a filter leaves out of such a page is missing in it.
//
// A page begins behind the last item of the one before, by what names an item: items that come or go between two
// requests make none of the others appear twice or not at all.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/rest_routes.hpp"
#include "base/result.hpp"
#include "xml/xml.hpp"

namespace nuraghe::api {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;  // decoded, in their order

// The value of a simple field; of a time or duration: microseconds.
using Scalar = std::variant<std::string, bool, std::int64_t, double>;
struct Filter {
  const contracts::FieldShape* field = nullptr;
  std::vector<Scalar> values;
};
struct ListQuery {
  std::vector<Filter> filters;
  std::size_t limit = 0;
  bool resumes = false;
  Scalar after{};             // the last item's name
  std::size_t given = 0;      // how many of that name were given already
  bool by_operation = false;  // the answer is the page
};

// Takes what is about the list out of the parameters and leaves the operation's own. kInvalid names the parameter, and
// what there is where it is unknown.
Result<ListQuery> take_list_query(const RestRoute& route, QueryParameters& parameters);

struct Page {
  std::string body;    // the JSON answer
  std::string cursor;  // of the next page; empty: this is the last one
};
// Of the operation's answer. kCorrupt: it is not that answer.
Result<Page> page_of(const RestRoute& route, const ListQuery& query, const xml::DocumentPtr& answer);

// The target of the next page: the path and the parameters of this one, with that cursor.
std::string next_target(std::string_view path, const QueryParameters& parameters, const std::string& cursor);

}  // namespace nuraghe::api
