// A question that one actor answers within the turn of another: what a request's precondition looks at.
#pragma once

#include "exchange/exchange.hpp"

namespace nuraghe::exchange {

// The body of the answer that `actor` gives to the read-only request in `turn`, or the error of its fault. It sees what
// the turn sees and can change nothing: every write and every effect is refused. kUnsupported when it does not answer
// at once, kInternal when it wanted to change something.
Result<xml::DocumentPtr> answer_within(Turn& turn, Actor& actor, const Message& request);

}  // namespace nuraghe::exchange
