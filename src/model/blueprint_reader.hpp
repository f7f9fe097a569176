// The reading half of parse_blueprint: XML to values, leniently, with findings. Internal to this room.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/blueprint.hpp"
#include "model/places.hpp"

namespace nuraghe::model {

// What is found, in any order; at most kLimit of them, so that a hostile document costs no more than its reading.
class Findings {
 public:
  static constexpr std::size_t kLimit = 1000;
  void add(const Where& where, std::string message);
  // For values that the schema refuses already when they stand in an element that has a finding.
  void add_unless_reported(const Where& where, std::string message);
  void add_all(std::vector<xml::Finding> findings);
  bool full() const { return list_.size() >= kLimit; }
  // Sorted by file (the main one first), line and column, without repetitions.
  std::vector<xml::Finding> take(const std::string& main_source);

 private:
  std::vector<xml::Finding> list_;
};

// A blueprint as it was read: what Blueprint leaves out is needed for the checks.
struct WishSource {
  PlacementWish::Kind kind = PlacementWish::Kind::kTogether;
  std::vector<std::string> names;  // as written: nodes or groups
  Where where;
};
struct PinSource {
  std::vector<std::string> names;
  std::string host;
  Where where;
};
struct LinkSource {
  Link link;
  bool asks = false;  // one of its requirements is written
  Where where;
};
struct BlueprintSource {
  Blueprint blueprint;  // without wishes, pins and links
  std::vector<WishSource> wishes;
  std::vector<PinSource> pins;
  std::vector<LinkSource> links;
  Where where;
};

class BlueprintReader {
 public:
  BlueprintReader(const xml::Document& document, const ParseContext& context, Findings& findings)
      : document_(document), context_(context), findings_(findings) {}
  BlueprintSource read();
  // Of a document with configurations instead: the chosen one as a group without a name of its own to be checked.
  std::optional<NodeGroup> read_single(const std::string& chosen);
  // The document with its references replaced by what they refer to.
  xml::Document inlined() const;
  // Where the elements of inlined() were written.
  Places places() const;

 private:
  struct File {
    std::string source;
    std::optional<xml::Document> document;  // absent: it could not be read
  };
  Network read_network(xml::Node element);
  NodeGroup read_group(xml::Node element, const NodeConfiguration& defaults);
  NodeConfiguration read_configuration(xml::Node element, const std::string& source);
  void read_configuration_child(xml::Node child, const std::string& source, NodeConfiguration& into);
  void read_placement(xml::Node element, BlueprintSource& into);
  void read_link(xml::Node element, BlueprintSource& into);
  void read_lease(xml::Node element, BlueprintSource& into);
  // What a reference of a blueprint without findings refers to, and its file.
  std::pair<xml::Node, std::string> referred(const std::string& reference) const;
  void add_places(xml::Node element, std::size_t file, Places& places) const;
  // The configuration that an element is or refers to; null when there is none to be read.
  std::pair<xml::Node, std::string> resolve(xml::Node element);
  const File& load(const std::string& path, const Where& reference);
  xml::Node find_configuration(const xml::Document& file, const std::string& name, const Where& reference);
  std::optional<Bytes> size_of(std::string_view text, const Where& where, std::string_view what);
  Where here(xml::Node element) const;

  const xml::Document& document_;
  const ParseContext& context_;
  Findings& findings_;
  std::map<std::string, File> files_;
};

// A file with configurations, checked by its schema; absent when it is none at all.
std::optional<xml::Document> read_configuration_file(std::string_view text, const std::string& source,
                                                     Findings& findings);

// The checking half: everything beyond the schemas. Completes blueprint.wishes, pins and links.
void check_blueprint(BlueprintSource& source, const ParseContext& context, Findings& findings);
// Of one group: image, sizes, disks, boot.
void check_configuration(const NodeGroup& group, const ParseContext& context, Findings& findings);

}  // namespace nuraghe::model
