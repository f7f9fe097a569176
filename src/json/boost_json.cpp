// Boost.JSON, compiled once for the whole house: Debian's libboost1.81-dev brings it as sources. Rooms that read or
// write JSON link room_json and include <boost/json.hpp> in their few .cpp files that do.
#include <boost/json/src.hpp>
