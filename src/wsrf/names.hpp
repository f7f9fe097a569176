// The namespaces and words of WSRF 1.2 that this room speaks.
#pragma once

#include <string>
#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::wsrf {

inline constexpr std::string_view kResource = "http://docs.oasis-open.org/wsrf/r-2";
inline constexpr std::string_view kProperties = "http://docs.oasis-open.org/wsrf/rp-2";
inline constexpr std::string_view kLifetime = "http://docs.oasis-open.org/wsrf/rl-2";
inline constexpr std::string_view kServiceGroup = "http://docs.oasis-open.org/wsrf/sg-2";
inline constexpr std::string_view kNotification = "http://docs.oasis-open.org/wsn/b-2";
inline constexpr std::string_view kTopics = "http://docs.oasis-open.org/wsn/t-1";
inline constexpr std::string_view kAddressing = "http://www.w3.org/2005/08/addressing";
inline constexpr std::string_view kInstance = "http://www.w3.org/2001/XMLSchema-instance";
// What a query found that is no element, and the property documents that no service has (contracts/resource.xsd).
inline constexpr std::string_view kOwn = "urn:nuraghe:resource:1";
// The only query dialect (WS-ResourceProperties 1.2 §5.8).
inline constexpr std::string_view kXPath = "http://www.w3.org/TR/1999/REC-xpath-19991116";

inline xml::QName name_of(std::string_view ns, std::string_view local) { return {std::string(ns), std::string(local)}; }

}  // namespace nuraghe::wsrf
