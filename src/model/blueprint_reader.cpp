#include "model/blueprint_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/nearest.hpp"
#include "model/read.hpp"

namespace nuraghe::model {

namespace {

constexpr Bytes kLargestSize{std::int64_t{1} << 50};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(text) + " ") {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

std::optional<double> read_decimal(std::string_view text) {
  const std::string digits = trimmed(text);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// What a node writes itself goes before the defaults, part by part; disks of the same name too.
NodeConfiguration merge(const NodeConfiguration& defaults, NodeConfiguration own) {
  if (own.image.empty() && own.image.where.element.empty()) own.image = defaults.image;
  if (own.cpus_where.element.empty()) {
    own.cpus = defaults.cpus;
    own.cpus_where = defaults.cpus_where;
  }
  if (own.memory_where.element.empty()) {
    own.memory = defaults.memory;
    own.memory_where = defaults.memory_where;
  }
  if (own.initial_conditions_where.element.empty()) {
    own.initial_conditions = defaults.initial_conditions;
    own.initial_conditions_where = defaults.initial_conditions_where;
  }
  if (own.boot.where.element.empty()) own.boot = defaults.boot;
  if (own.networks.empty()) own.networks = defaults.networks;
  for (const Disk& disk : defaults.disks) {
    const auto same = [&](const Disk& other) { return other.name == disk.name; };
    if (std::none_of(own.disks.begin(), own.disks.end(), same)) own.disks.push_back(disk);
  }
  own.is_unread = own.is_unread || defaults.is_unread;
  return own;
}

std::string beside(const std::string& source, const std::string& reference) {
  const std::size_t slash = source.rfind('/');
  return reference.starts_with('/') || slash == std::string::npos ? reference : source.substr(0, slash + 1) + reference;
}

}  // namespace

std::optional<xml::Document> read_configuration_file(std::string_view text, const std::string& source,
                                                     Findings& findings) {
  xml::ParseOptions options;
  options.source = source;
  options.max_size = mib(4);
  auto document = xml::Document::parse(text, options);
  if (!document) {
    findings.add_all({finding_of(document.error(), source)});
    return std::nullopt;
  }
  const xml::Node root = document->root();
  if (!root.is(kNodeNamespace, "configuration") && !root.is(kNodeNamespace, "configurations")) {
    findings.add(where_of(root, source),
                 fmt::format("a node configuration is expected: <configuration xmlns=\"{}\">", kNodeNamespace));
    return std::nullopt;
  }
  findings.add_all(node_schema().validate(*document));
  std::vector<xml::Node> all = root.children(kNodeNamespace, "configuration");
  all.push_back(root);
  for (const xml::Node configuration : all)
    if (configuration.attribute("href"))
      findings.add(where_of(configuration, source),
                   "a configuration that is referred to may not refer to another one; write it out");
  return std::move(*document);
}

void Findings::add(const Where& where, std::string message) {
  if (full()) return;
  list_.push_back({where.source, where.position, where.element, std::move(message)});
}

void Findings::add_unless_reported(const Where& where, std::string message) {
  const bool reported = std::any_of(list_.begin(), list_.end(), [&](const xml::Finding& finding) {
    return finding.source == where.source && finding.position.line == where.position.line &&
           finding.position.column == where.position.column;
  });
  if (!reported) add(where, std::move(message));
}

void Findings::add_all(std::vector<xml::Finding> findings) {
  for (xml::Finding& finding : findings) {
    if (full()) return;
    list_.push_back(std::move(finding));
  }
}

std::vector<xml::Finding> Findings::take(const std::string& main_source) {
  const auto key = [&](const xml::Finding& finding) {
    return std::tuple(finding.source != main_source, std::string_view(finding.source), finding.position.line,
                      finding.position.column);
  };
  std::stable_sort(list_.begin(), list_.end(),
                   [&](const xml::Finding& a, const xml::Finding& b) { return key(a) < key(b); });
  std::vector<xml::Finding> result;
  for (xml::Finding& finding : list_) {
    const auto same = [&](const xml::Finding& other) {
      return key(other) == key(finding) && other.message == finding.message;
    };
    // Repetitions stand at one place, and there is never much at one.
    if (std::none_of(result.rbegin(),
                     std::find_if_not(result.rbegin(), result.rend(),
                                      [&](const auto& other) { return key(other) == key(finding); }),
                     same))
      result.push_back(std::move(finding));
  }
  return result;
}

Where BlueprintReader::here(xml::Node element) const { return where_of(element, document_.source()); }

std::optional<Bytes> BlueprintReader::size_of(std::string_view text, const Where& where, std::string_view what) {
  if (trimmed(text).empty()) return std::nullopt;
  const auto size = read_size(text);
  if (size && *size <= kLargestSize) return size;
  findings_.add_unless_reported(where, fmt::format("the {} '{}' is too large; at most {} are possible", what,
                                                   trimmed(text), kLargestSize.to_string()));
  return std::nullopt;
}

BlueprintSource BlueprintReader::read() {
  const xml::Node root = document_.root();
  BlueprintSource result;
  result.where = here(root);
  result.blueprint.name = trimmed(root.attribute_or("name", ""));
  result.blueprint.vo = trimmed(root.attribute_or("vo", ""));
  result.blueprint.keep_on_failure = trimmed(root.attribute_or("on-failure", "undo")) == "keep";
  NodeConfiguration defaults;
  const auto only_once = [&](std::string_view name) {
    const auto all = root.children(kClusterNamespace, name);
    for (std::size_t i = 1; i < all.size(); ++i)
      findings_.add(here(all[i]), fmt::format("<{}> may stand here once only; put both together", name));
    return all.empty() ? xml::Node() : all.front();
  };
  if (const xml::Node element = only_once("defaults")) {
    if (const xml::Node written = element.child(kNodeNamespace, "configuration")) {
      const auto [configuration, source] = resolve(written);
      if (configuration) defaults = read_configuration(configuration, source);
      defaults.is_unread = !configuration;
    }
  }
  for (const xml::Node element : root.children()) {
    if (findings_.full()) break;
    if (element.is(kClusterNamespace, "network")) result.blueprint.networks.push_back(read_network(element));
    if (element.is(kClusterNamespace, "node")) result.blueprint.groups.push_back(read_group(element, defaults));
    if (element.is(kClusterNamespace, "link")) read_link(element, result);
  }
  if (const xml::Node element = only_once("placement")) read_placement(element, result);
  if (const xml::Node element = only_once("lease")) read_lease(element, result);
  return result;
}

Network BlueprintReader::read_network(xml::Node element) {
  Network network;
  network.where = here(element);
  network.name = trimmed(element.attribute_or("name", ""));
  network.uplink = trimmed(element.attribute_or("uplink", "none")) == "nat";
  network.mtu =
      static_cast<int>(std::min<std::int64_t>(read_number(element.attribute_or("mtu", "")).value_or(0), 65535));
  if (const auto text = element.attribute("subnet")) {
    auto subnet = parse_subnet(trimmed(*text));
    if (subnet)
      network.subnet = *subnet;
    else
      findings_.add_unless_reported(network.where, subnet.error().message());
  }
  return network;
}

NodeGroup BlueprintReader::read_group(xml::Node element, const NodeConfiguration& defaults) {
  NodeGroup group;
  group.where = here(element);
  group.name = trimmed(element.attribute_or("name", ""));
  group.type = trimmed(element.attribute_or("type", "virtual"));
  group.site = trimmed(element.attribute_or("site", ""));
  group.role = trimmed(element.attribute_or("role", group.name));
  if (const auto text = element.attribute("count")) {
    group.count = read_number(*text);
    // Beyond any limit, so the group is refused for its size; a count that is no number has its finding.
    if (!group.count && trimmed(*text).find_first_not_of("0123456789") == std::string::npos)
      group.count = std::numeric_limits<std::int32_t>::max();
  }
  NodeConfiguration own;
  if (const xml::Node written = element.child(kNodeNamespace, "configuration")) {
    const auto [configuration, source] = resolve(written);
    if (configuration) own = read_configuration(configuration, source);
    own.is_unread = !configuration;
  }
  group.configuration = merge(defaults, std::move(own));
  return group;
}

std::optional<NodeGroup> BlueprintReader::read_single(const std::string& chosen) {
  const xml::Node configuration = find_configuration(document_, chosen, here(document_.root()));
  if (!configuration) return std::nullopt;
  NodeGroup group;
  group.is_single = true;
  group.where = here(configuration);
  group.name = trimmed(configuration.attribute_or("name", ""));
  group.configuration = read_configuration(configuration, document_.source());
  return group;
}

NodeConfiguration BlueprintReader::read_configuration(xml::Node element, const std::string& source) {
  NodeConfiguration configuration;
  std::set<std::string> seen;
  for (const xml::Node child : element.children()) {
    const std::string name(child.local_name());
    const bool repeatable = name == "disk" || name == "network";
    if (!repeatable && !seen.insert(name).second) {
      findings_.add(where_of(child, source), fmt::format("<{}> may stand here once only; remove one", name));
      continue;
    }
    read_configuration_child(child, source, configuration);
  }
  return configuration;
}

void BlueprintReader::read_configuration_child(xml::Node child, const std::string& source, NodeConfiguration& into) {
  const Where where = where_of(child, source);
  if (child.is(kNodeNamespace, "image")) {
    into.image = read_image(child, source);
  } else if (child.is(kNodeNamespace, "cpus")) {
    into.cpus_where = where;
    const std::string text = trimmed(child.text());
    if (const auto number = read_number(text); number && *number <= std::numeric_limits<int>::max())
      into.cpus = static_cast<int>(*number);
    else
      findings_.add_unless_reported(where, fmt::format("{} cpus are too many", text));
  } else if (child.is(kNodeNamespace, "memory")) {
    into.memory_where = where;
    into.memory = size_of(child.text(), where, "memory");
  } else if (child.is(kNodeNamespace, "disk")) {
    Disk disk = read_disk(child, source);
    disk.size = size_of(child.attribute_or("size", ""), where, "size").value_or(Bytes{});
    std::size_t number = 0;
    for (const xml::Node partition : child.children(kNodeNamespace, "partition")) {
      disk.partitions[number++].size =
          size_of(partition.attribute_or("size", ""), where_of(partition, source), "size").value_or(Bytes{});
    }
    into.disks.push_back(std::move(disk));
  } else if (child.is(kNodeNamespace, "network")) {
    into.networks.push_back({trimmed(child.attribute_or("ref", "")), trimmed(child.attribute_or("address", "")),
                             lower(trimmed(child.attribute_or("mac", ""))), where});
  } else if (child.is(kNodeNamespace, "boot")) {
    into.boot = read_boot(child, source);
  } else if (child.is(kNodeNamespace, "initial-conditions")) {
    into.initial_conditions_where = where;
    into.initial_conditions = trimmed(child.attribute_or("kind", ""));
  }
}

void BlueprintReader::read_placement(xml::Node element, BlueprintSource& into) {
  into.blueprint.policy = trimmed(element.attribute_or("policy", ""));
  for (const xml::Node child : element.children()) {
    const std::vector<std::string> names = words_of(child.attribute_or("nodes", ""));
    if (child.is(kClusterNamespace, "together"))
      into.wishes.push_back({PlacementWish::Kind::kTogether, names, here(child)});
    if (child.is(kClusterNamespace, "apart")) into.wishes.push_back({PlacementWish::Kind::kApart, names, here(child)});
    if (child.is(kClusterNamespace, "pin"))
      into.pins.push_back({names, trimmed(child.attribute_or("host", "")), here(child)});
  }
}

void BlueprintReader::read_link(xml::Node element, BlueprintSource& into) {
  LinkSource link;
  link.where = here(element);
  link.link.from = trimmed(element.attribute_or("from", ""));
  link.link.to = trimmed(element.attribute_or("to", ""));
  link.link.min_mbps = read_decimal(element.attribute_or("min-mbps", ""));
  link.link.max_ms = read_decimal(element.attribute_or("max-ms", ""));
  link.asks = element.attribute("min-mbps") || element.attribute("max-ms");
  into.links.push_back(std::move(link));
}

void BlueprintReader::read_lease(xml::Node element, BlueprintSource& into) {
  constexpr Duration kUsualNotice = std::chrono::hours(1);
  Lease& lease = into.blueprint.lease.emplace();
  lease.where = here(element);
  lease.destroys = trimmed(element.attribute_or("at-end", "freeze")) == "destroy";
  // What the schema takes and cannot be counted is thousands of years.
  constexpr Duration kTooLong = Lease::kLongest + Duration(1);
  lease.duration = parse_duration(trimmed(element.attribute_or("duration", ""))).value_or(kTooLong);
  lease.notice = std::min(kUsualNotice, lease.duration / 2);
  if (const auto text = element.attribute("notice")) lease.notice = parse_duration(trimmed(*text)).value_or(kTooLong);
}

std::pair<xml::Node, std::string> BlueprintReader::resolve(xml::Node element) {
  const auto href = element.attribute("href");
  if (!href) return {element, document_.source()};
  const Where where = here(element);
  if (element.has_element_children()) findings_.add(where, "'href' and details exclude one another; keep one of them");
  const std::string reference = trimmed(*href);
  const std::size_t hash = reference.find('#');
  const std::string path = reference.substr(0, hash);
  if (path.empty()) return {};
  const File& file = load(path, where);
  if (!file.document) return {};
  const std::string name = hash == std::string::npos ? "" : reference.substr(hash + 1);
  return {find_configuration(*file.document, name, where), file.source};
}

const BlueprintReader::File& BlueprintReader::load(const std::string& path, const Where& reference) {
  const auto [entry, is_new] = files_.try_emplace(path);
  File& file = entry->second;
  if (!is_new) return file;
  file.source = beside(document_.source(), path);
  if (!context_.files) {
    findings_.add(reference,
                  fmt::format("the file '{}' cannot be referred to here; write the configuration itself", path));
    return file;
  }
  const auto text = context_.files(path);
  if (!text) {
    findings_.add(reference, fmt::format("the file '{}' cannot be read: {}", path, text.error().message()));
    return file;
  }
  file.document = read_configuration_file(*text, file.source, findings_);
  return file;
}

xml::Node BlueprintReader::find_configuration(const xml::Document& file, const std::string& name,
                                              const Where& reference) {
  const xml::Node root = file.root();
  std::vector<xml::Node> all = root.children(kNodeNamespace, "configuration");
  if (root.is(kNodeNamespace, "configuration")) all = {root};
  if (name.empty() && all.size() == 1) return all.front();
  std::set<std::string> names;
  for (const xml::Node configuration : all) {
    const std::string own = trimmed(configuration.attribute_or("name", ""));
    if (!name.empty() && own == name) return configuration;
    if (!own.empty()) names.insert(own);
  }
  const std::string nearest = nearest_name(name, names);
  if (name.empty())
    findings_.add(reference,
                  fmt::format("{} holds {} configurations; say which one by FILE#NAME", file.source(), all.size()));
  else if (nearest.empty())
    findings_.add(reference, fmt::format("{} holds no configuration named '{}'", file.source(), name));
  else
    findings_.add(reference, fmt::format("{} holds no configuration named '{}'; did you mean '{}'?", file.source(),
                                         name, nearest));
  return {};
}

std::pair<xml::Node, std::string> BlueprintReader::referred(const std::string& reference) const {
  const std::size_t hash = reference.find('#');
  const File& file = files_.at(reference.substr(0, hash));
  const xml::Node root = file.document->root();
  xml::Node target = root;
  if (root.is(kNodeNamespace, "configurations")) {
    for (const xml::Node child : root.children())
      if (hash == std::string::npos || child.attribute_or("name", "") == reference.substr(hash + 1)) target = child;
  }
  return {target, file.source};
}

xml::Document BlueprintReader::inlined() const {
  xml::Document result = document_.clone();
  std::vector<xml::Node> configurations;
  for (const xml::Node element : result.root().children())
    if (const xml::Node found = element.child(kNodeNamespace, "configuration")) configurations.push_back(found);
  for (xml::Node configuration : configurations) {
    const auto href = configuration.attribute("href");
    if (!href) continue;
    xml::Node copy = configuration.replace_with_copy(referred(trimmed(*href)).first);
    copy.remove_attribute("name");
  }
  return result;
}

Places BlueprintReader::places() const {
  Places places;
  places.files.push_back(document_.source());
  add_places(document_.root(), 0, places);
  return places;
}

// As deep as the parser lets a document be.
void BlueprintReader::add_places(xml::Node element, std::size_t file, Places& places) const {
  const auto href = file == 0 && element.is(kNodeNamespace, "configuration") ? element.attribute("href") : std::nullopt;
  if (href) {
    const auto [target, source] = referred(trimmed(*href));
    const auto known = std::find(places.files.begin(), places.files.end(), source);
    const auto number = static_cast<std::size_t>(known - places.files.begin());
    if (known == places.files.end()) places.files.push_back(source);
    return add_places(target, number, places);
  }
  places.elements.push_back({element.position(), file});
  for (const xml::Node child : element.children()) add_places(child, file, places);
}

}  // namespace nuraghe::model
