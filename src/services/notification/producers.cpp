#include "services/notification/producers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/http.hpp"
#include "services/notification/names.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::string_view kServices = "/services/";

// Whether it is the topic of a kind of event.
bool declaring(const Producers& producers, const xml::QName& topic) {
  const TellingService* service = producers.declaring(topic.local);
  return service != nullptr && service->name_space == topic.ns;
}

}  // namespace

std::string Producer::path() const {
  if (resource.empty()) return fmt::format("{}{}", kServices, service);
  return fmt::format("{}{}/{}/{}", kServices, service, resource, net::percent_encode(key));
}

bool Producer::tells(const exchange::Event& event, std::string_view of_service) const {
  if (service != "notification" && service != of_service) return false;
  if (resource.empty()) return true;
  if (resource == "clusters") return event.cluster == key;
  if (resource == "hosts") return event.host == key;
  return std::any_of(event.attributes.begin(), event.attributes.end(),
                     [&](const auto& attribute) { return attribute.second == key; });
}

bool Producer::ends_with(const exchange::Event& event) const {
  if (resource == "physical-hosts") return event.kind == "physical_host.forgotten";
  if (resource == "machines") return event.kind == "machine.removed";
  return (resource == "clusters" || resource == "hosts") && event.kind.ends_with(".destroyed");
}

Producers::Producers(std::vector<TellingService> services) : services_(std::move(services)) { index(); }

void Producers::set(TellingService service) {
  std::erase_if(services_, [&](const TellingService& one) { return one.name == service.name; });
  services_.push_back(std::move(service));
  index();
}

void Producers::remove(std::string_view name) {
  std::erase_if(services_, [&](const TellingService& one) { return one.name == name; });
  index();
}

void Producers::index() {
  by_name_.clear();
  by_kind_.clear();
  for (std::size_t i = 0; i < services_.size(); ++i) {
    by_name_.emplace(services_[i].name, i);
    for (const std::string& kind : services_[i].kinds) by_kind_.emplace(kind, i);
  }
}

const TellingService* Producers::service(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &services_[at->second];
}

const TellingService* Producers::declaring(std::string_view kind) const {
  const auto at = by_kind_.find(kind);
  return at == by_kind_.end() ? nullptr : &services_[at->second];
}

Answer<Producer> Producers::find(std::string_view address) const {
  const auto unknown = [address](std::string_view why) {
    return Refusal("ResourceUnknownFault", not_found(fmt::format("{} {}", address, why)));
  };
  const std::size_t at = address.find(kServices);
  if (at == std::string_view::npos) return unknown("is no address of a service");
  std::string_view rest = address.substr(at + kServices.size());
  const auto next = [&rest] {
    const std::size_t slash = rest.find('/');
    const std::string_view word = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    return std::string(word);
  };
  Producer producer;
  producer.service = next();
  const TellingService* told = service(producer.service);
  const bool is_all = producer.service == "notification" && rest.empty();
  if (is_all) return producer;
  if (told == nullptr || (rest.empty() && told->kinds.empty()))
    return unknown("tells nothing; subscribe at /services/notification or at the service whose events are wanted");
  if (rest.empty()) return producer;
  producer.resource = next();
  auto key = net::percent_decode(rest);
  if (!key) return unknown("is no resource");
  producer.key = std::move(*key);
  if (kind_of(producer) == nullptr || producer.key.empty()) return unknown("is no resource");
  return producer;
}

bool Producers::is_for(std::string_view vo, exchange::Administrator administrator, const Producer& at,
                       const exchange::Event& event, const TellingService& of) const {
  const bool is_of_site = administrator == exchange::Administrator::kForSite;
  if (event.vo.empty()) return is_of_site || of.name == "vhf";
  if (event.vo == vo) return true;
  if (!is_of_site) return false;
  const ResourceKind* kind = kind_of(at);
  return at.resource.empty() || (kind != nullptr && kind->is_site_wide);
}

const ResourceKind* Producers::kind_of(const Producer& producer) const {
  const TellingService* told = service(producer.service);
  if (told == nullptr || producer.resource.empty()) return nullptr;
  for (const ResourceKind& kind : told->resources) {
    if (kind.path == producer.resource) return &kind;
  }
  return nullptr;
}

std::vector<xml::QName> Producers::topics(const Producer& producer) const {
  std::vector<xml::QName> topics;
  for (const TellingService& told : services_) {
    if (producer.service != "notification" && producer.service != told.name) continue;
    for (const std::string& kind : told.kinds) topics.push_back({told.name_space, kind});
  }
  if (const ResourceKind* kind = kind_of(producer)) {
    const std::string& ns = service(producer.service)->name_space;
    for (const ResourceKind::Property& property : kind->properties) topics.push_back({ns, property.name});
  }
  std::sort(topics.begin(), topics.end());
  return topics;
}

xml::DocumentPtr producer_properties(const Producers& producers, const Producer& producer) {
  xml::Document document = xml::Document::create({std::string(kNotification), "NotificationProducerRP"}, "wsnt");
  xml::Node root = document.root();
  const auto topics = producers.topics(producer);
  std::map<std::string, std::string> prefixes;
  for (const xml::QName& topic : topics) {
    const auto [at, is_new] = prefixes.emplace(topic.ns, fmt::format("t{}", prefixes.size() + 1));
    if (is_new) root.declare_namespace(at->second, topic.ns);
  }
  for (const xml::QName& topic : topics) {
    xml::Node expression = root.append_text_element(kNotification, "TopicExpression",
                                                    fmt::format("{}:{}", prefixes.at(topic.ns), topic.local));
    expression.set_attribute("Dialect", kConcreteDialect);
  }
  root.append_text_element(kNotification, "FixedTopicSet", "true");
  for (const std::string_view dialect : {kSimpleDialect, kConcreteDialect, kFullDialect})
    root.append_text_element(kNotification, "TopicExpressionDialect", dialect);
  xml::Node set = root.append_element(kTopics, "TopicSet");
  for (const xml::QName& topic : topics) {
    // A property's element is declared in the service's schema, and there without the attribute of a topic.
    if (declaring(producers, topic)) set.append_element(topic).set_attribute("topic", "true", kTopics);
  }
  return std::move(document).share();
}

}  // namespace nuraghe::services::notification
