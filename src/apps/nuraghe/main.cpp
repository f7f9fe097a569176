// nuraghe: the command line. Wiring only: options and commands; what they do stands in the files beside it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "apps/nuraghe/command_line.hpp"
#include "apps/nuraghe/commands.hpp"
#include "apps/nuraghe/machines.hpp"
#include "apps/nuraghe/tenants.hpp"
#include "xml/xml.hpp"

namespace {

using nuraghe::Error;
using nuraghe::Result;
using nuraghe::Status;
namespace cli = nuraghe::cli;

// Prints the error of a command where people look for it and answers the exit code.
int finish(const cli::Context& context, const Status& status) {
  if (status) return cli::kOk;
  const Error& error = status.error();
  if (context.json()) {
    boost::json::object value{{"error", error.to_string()}, {"code", nuraghe::error_code_name(error.code())}};
    context.print_json(value);
  }
  std::fprintf(stderr, "nuraghe: %s\n", error.to_string().c_str());
  return cli::exit_code_of(error);
}

int finish(const cli::Context& context, const Result<int>& code) {
  if (code) return *code;
  return finish(context, Status(code.error()));
}

struct Arguments {
  cli::Options options;
  cli::CreateOptions create;
  cli::LeaseOptions lease;
  std::string name, file, folder, from, to, shell = "bash";
  std::vector<std::string> command;
  bool follow = false, running = false, all = false;
  cli::MemberOptions member;
  cli::TokenOptions token;
  cli::QuotaOptions quota;
  cli::AuditOptions audit;
  cli::AuthorityOptions authority;
  std::string lifetime = "1h";
  cli::MachineOptions machine;
};

using Action = std::function<int(cli::Context&)>;

void add_cluster_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* create = app.add_subcommand("create", "Create a cluster from a blueprint: whole, or not at all")->alias("up");
  create->add_option("BLUEPRINT", a.create.file, "Blueprint file (XML)")->required();
  create->add_option("--name", a.create.name, "Name of the cluster, instead of the blueprint's");
  create->add_option("--idempotency-key", a.create.idempotency_key,
                     "The same key again waits for the same cluster and answers as the first time");
  create->add_option("--policy", a.create.policy, "Placement policy: random, round-robin, pack, spread, optimise")
      ->check(CLI::IsMember({"random", "round-robin", "pack", "spread", "optimise"}));
  create->add_flag("--explain", a.create.explain, "Say why each host is where it is");
  create->add_flag("--dry-run", a.create.dry_run, "Show placement and steps, create nothing");
  create->footer("Example: nuraghe create examples/mpi/cluster.xml");
  create->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::create(c, a.create)); }; });

  auto* fork = app.add_subcommand("fork", "Make a running copy of a frozen cluster, in networks of its own")
                   ->footer("Example: nuraghe fork mpi mpi-2");
  fork->add_option("CLUSTER", a.create.source, "Name or id of the frozen cluster, which stays as it is")->required();
  fork->add_option("NAME", a.create.name, "Name of the copy")->required();
  fork->add_option("--idempotency-key", a.create.idempotency_key,
                   "The same key again waits for the same cluster and answers as the first time");
  fork->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::fork_cluster(c, a.create)); }; });

  auto* list = app.add_subcommand("ls", "List clusters")->footer("Example: nuraghe ls -o json");
  list->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_clusters(c)); }; });
  auto* show = app.add_subcommand("show", "Show a cluster and its hosts")->footer("Example: nuraghe show mpi");
  show->add_option("CLUSTER", a.name, "Name or id")->required();
  show->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::show_cluster(c, a.name)); }; });
  auto* events =
      app.add_subcommand("events", "What happened, oldest first")->footer("Example: nuraghe events mpi --follow");
  events->add_option("NAME", a.name, "Name or id of a cluster or a single virtual host; all when absent");
  events->add_flag("-f,--follow", a.follow, "Go on with what happens from now on");
  events->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::show_events(c, a.name, a.follow)); }; });
  const std::pair<const char*, const char*> verbs[] = {
      {"pause", "Pause every host of a cluster"},
      {"resume", "Resume a paused cluster"},
      {"freeze", "Freeze a cluster: its state goes to files, its resources are free again"},
      {"thaw", "Thaw a frozen cluster"}};
  for (const auto& [verb, what] : verbs) {
    auto* command = app.add_subcommand(verb, what)->footer(std::string("Example: nuraghe ") + verb + " mpi");
    command->add_option("CLUSTER", a.name, "Name or id")->required();
    command->callback([&, name = std::string(verb)] {
      action = [&, name](cli::Context& c) { return finish(c, cli::change_cluster(c, name, a.name)); };
    });
  }
  auto* abort = app.add_subcommand("abort", "End the operation at work on a cluster and undo it")
                    ->footer("Example: nuraghe abort mpi");
  abort->add_option("CLUSTER", a.name, "Name or id")->required();
  abort->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::abort_cluster(c, a.name)); }; });
  auto* destroy =
      app.add_subcommand("destroy", "Destroy a cluster with its disks")->footer("Example: nuraghe destroy mpi --yes");
  destroy->add_option("CLUSTER", a.name, "Name or id")->required();
  destroy->add_flag("-y,--yes", a.options.yes, "Do not ask");
  destroy->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::destroy_cluster(c, a.name)); }; });
}

void add_lease_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* extend =
      app.add_subcommand("extend", "Move the end of a cluster's lease")->footer("Example: nuraghe extend mpi --by 2d");
  extend->add_option("CLUSTER", a.lease.cluster, "Name or id")->required();
  auto* by = extend->add_option("--by", a.lease.by, "By how much, as 12h, 2d, P7D; the blueprint's lease when absent")
                 ->check([](const std::string& text) {
                   const auto duration = nuraghe::parse_duration(text);
                   return duration ? std::string() : duration.error().to_string();
                 });
  auto* until = extend->add_option("--until", a.lease.until, "The new end, as 2030-01-31T12:00:00Z")
                    ->check([](const std::string& text) {
                      const auto time = nuraghe::parse_time(text);
                      return time ? std::string() : time.error().to_string();
                    });
  auto* endless = extend->add_flag("--no-end", a.lease.is_endless, "Nothing ends the cluster any more");
  auto* then = extend->add_option("--then", a.lease.then, "What happens at the end: freeze or destroy")
                   ->check(CLI::IsMember({"freeze", "destroy"}))
                   ->needs(until);
  by->excludes(until)->excludes(endless)->excludes(then);
  until->excludes(endless);
  extend->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::extend_lease(c, a.lease)); }; });
}

void add_host_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* vh = app.add_subcommand("vh", "Single virtual hosts")->require_subcommand(1);
  auto* create = vh->add_subcommand("create", "Create one virtual host from a node configuration")
                     ->footer("Example: nuraghe vh create examples/single/node.xml --name one");
  create->add_option("NODE", a.file, "Node configuration file (XML)")->required();
  create->add_option("--name", a.name, "Name of the host, instead of the file's");
  create->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::create_host(c, a.file, a.name)); }; });
  auto* list = vh->add_subcommand("ls", "List virtual hosts")->footer("Example: nuraghe vh ls");
  list->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_hosts(c)); }; });
  auto* show = vh->add_subcommand("show", "Show a virtual host")->footer("Example: nuraghe vh show one");
  show->add_option("HOST", a.name, "Id or name")->required();
  show->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::show_host(c, a.name)); }; });
  for (const std::string verb : {"pause", "resume", "freeze", "thaw", "abort"}) {
    auto* command = vh->add_subcommand(verb, verb + " a virtual host")->footer("Example: nuraghe vh " + verb + " one");
    command->add_option("HOST", a.name, "Id or name")->required();
    command->callback(
        [&, verb] { action = [&, verb](cli::Context& c) { return finish(c, cli::change_host(c, verb, a.name)); }; });
  }
  auto* destroy = vh->add_subcommand("destroy", "Destroy a virtual host with its disks")
                      ->footer("Example: nuraghe vh destroy one --yes");
  destroy->add_option("HOST", a.name, "Id or name")->required();
  destroy->add_flag("-y,--yes", a.options.yes, "Do not ask");
  destroy->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::destroy_host(c, a.name)); }; });

  auto* host = app.add_subcommand("host", "Physical hosts")->require_subcommand(1);
  auto* physical = host->add_subcommand("ls", "List physical hosts and what is reserved on them")
                       ->footer("Example: nuraghe host ls");
  physical->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_physical_hosts(c)); }; });
  auto* forget =
      host->add_subcommand("forget", "Forget a physical host that is gone for good; its virtual hosts are lost")
          ->footer("Example: nuraghe host forget host-2");
  forget->add_option("PHYSICAL", a.name, "Name of the physical host")->required();
  forget->add_flag("-y,--yes", a.options.yes, "Do not ask");
  forget->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::forget_physical_host(c, a.name)); }; });
}

CLI::App* add_machine_command(CLI::App& machine, Arguments& a, const std::string& name, const std::string& what,
                              const std::string& example) {
  auto* command = machine.add_subcommand(name, what)->footer("Example: nuraghe machine " + example);
  command->add_option("MACHINE", a.machine.name, "Name of the machine")->required();
  return command;
}

void runs(CLI::App* command, Action& action, std::function<Status(cli::Context&)> run) {
  command->callback([&action, run = std::move(run)] { action = [run](cli::Context& c) { return finish(c, run(c)); }; });
}

void add_machine_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* machine = app.add_subcommand("machine", "Physical machines, bare or deployed")->require_subcommand(1);
  auto& o = a.machine;
  auto* add = machine->add_subcommand("add", "Enrol a machine, or those of a list; nothing is done to them")
                  ->footer("Example: nuraghe machine add rack1-a --driver sim --address cpus=8,memory=16GiB");
  auto* name = add->add_option("MACHINE", o.name, "Name of the machine");
  add->add_option("--driver", o.driver, "What switches it on and off: sim, qemu")->capture_default_str();
  add->add_option("--address", o.address, "Of what switches it on and off; of these drivers: what it has");
  add->add_option("--mac", o.macs, "MAC address of a card from which it may boot")->take_all();
  add->add_option("--from", o.list, "File (CSV) with the headings name, driver, address, mac")->excludes(name);
  add->callback([&] {
    if (o.name.empty() == o.list.empty()) throw CLI::ValidationError("machine add", "MACHINE or --from is needed");
    action = [&](cli::Context& c) { return finish(c, cli::add_machines(c, o)); };
  });
  auto* list = machine->add_subcommand("ls", "List machines")->footer("Example: nuraghe machine ls");
  runs(list, action, cli::list_machines);
  const auto make = [&](const std::string& verb, const std::string& what, const std::string& example) {
    return add_machine_command(*machine, a, verb, what, example);
  };
  runs(make("show", "Show a machine, its hardware and what is deployed on it", "show rack1-a"), action,
       [&](cli::Context& c) { return cli::show_machine(c, o.name); });
  runs(make("inspect", "Look at what a machine has and whether it is on", "inspect rack1-a"), action,
       [&](cli::Context& c) { return cli::inspect_machine(c, o.name); });
  runs(make("sensors", "Show what a machine's sensors say", "sensors rack1-a"), action,
       [&](cli::Context& c) { return cli::show_sensors(c, o.name); });
  auto* power = make("power", "Switch a machine on or off", "power rack1-a on");
  power->add_option("ACTION", o.action, "on, off, force-off, cycle")
      ->required()
      ->check(CLI::IsMember({"on", "off", "force-off", "cycle"}));
  runs(power, action, [&](cli::Context& c) { return cli::power_machine(c, o); });
  auto* device = make("boot-device", "Say from where a machine starts next", "boot-device rack1-a network");
  device->add_option("DEVICE", o.device, "disk, network")->required()->check(CLI::IsMember({"disk", "network"}));
  runs(device, action, [&](cli::Context& c) { return cli::set_boot_device(c, o); });
  auto* cordon = make("cordon", "Let nothing new be deployed on a machine", "cordon rack1-a --reason 'fan is loud'");
  cordon->add_option("--reason", o.reason, "Why");
  runs(cordon, action, [&](cli::Context& c) { return cli::cordon_machine(c, o, true); });
  runs(make("uncordon", "Let a machine take deployments again", "uncordon rack1-a"), action,
       [&](cli::Context& c) { return cli::cordon_machine(c, o, false); });
}

// What becomes of a machine as a whole.
void add_deployment_commands(CLI::App& app, Arguments& a, Action& action) {
  auto& machine = *app.get_subcommand("machine");
  auto& o = a.machine;
  for (const bool is_real : {false, true}) {
    auto* deploy =
        is_real ? add_machine_command(machine, a, "deploy", "Deploy a system on a machine", "deploy rack1-a node.xml")
                : add_machine_command(machine, a, "propose", "Say whether a machine can become a node",
                                      "propose rack1-a node.xml");
    deploy->add_option("NODE", o.node, "Node configuration file (XML)")->required();
    deploy->add_option("--name", o.node_name, "Name of the node, instead of the file's");
    runs(deploy, action,
         [&, is_real](cli::Context& c) { return is_real ? cli::deploy_machine(c, o) : cli::propose_machine(c, o); });
  }
  auto* abort =
      add_machine_command(machine, a, "abort", "End the deployment or release at work on a machine", "abort rack1-a");
  runs(abort, action, [&](cli::Context& c) { return cli::abort_machine(c, o.name); });
  auto* abandon =
      add_machine_command(machine, a, "abandon", "End a deployment or release whose workflow is gone or stands still",
                          "abandon rack1-a --reason 'workflow was terminated'");
  abandon->add_option("--reason", o.reason, "Why");
  runs(abandon, action, [&](cli::Context& c) { return cli::abandon_machine(c, o); });
  auto* release = add_machine_command(machine, a, "release", "Give a machine back: wiped, off, available",
                                      "release rack1-a --wipe full");
  release->add_option("--wipe", o.wipe, "quick, full, none")
      ->capture_default_str()
      ->check(CLI::IsMember({"quick", "full", "none"}));
  auto* remove = add_machine_command(machine, a, "rm", "Forget a machine", "rm rack1-a");
  remove->add_flag("--force", o.force, "Although it failed, or its disks were not wiped");
  for (auto* command : {abandon, release, remove}) command->add_flag("-y,--yes", a.options.yes, "Do not ask");
  runs(release, action, [&](cli::Context& c) { return cli::release_machine(c, o); });
  runs(remove, action, [&](cli::Context& c) { return cli::remove_machine(c, o); });
}

void add_service_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* service = app.add_subcommand("service", "Services that are defined outside of Nuraghe")->require_subcommand(1);
  auto* project = service->add_subcommand("new", "Make the project of a service out of its definition")
                      ->footer("Example: nuraghe service new greeting.service.xml");
  project->add_option("DEFINITION", a.file, "NAME.service.xml (docs/services.md)")->required();
  project->add_option("--folder", a.folder, "The project's folder, which is made (default: NAME, here)");
  project->callback(
      [&] { action = [&](cli::Context& c) { return finish(c, cli::new_service(c, a.file, a.folder)); }; });
  auto* list = service->add_subcommand("ls", "List those that have registered")->footer("Example: nuraghe service ls");
  list->add_flag("-a,--all", a.all, "Nuraghe's own, too");
  list->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::list_services(c, a.all)); }; });
  auto* token =
      service->add_subcommand("join-token", "Make a token with which a service's program joins the site, once")
          ->footer("Example: nuraghe service join-token greeting --out token");
  token->add_option("NAME", a.name, "Name of the service")->required();
  token->add_option("--lifetime", a.lifetime, "How long it is good")->capture_default_str();
  token->add_option("--out", a.file, "Write it to this file (mode 0600), instead of printing it");
  token->callback([&] {
    action = [&](cli::Context& c) {
      return finish(c, cli::make_join_token(c, cli::Member::kService, a.name, a.lifetime, a.file));
    };
  });
  auto* revoke = service->add_subcommand("revoke", "Withdraw the certificates of a service's program, at once")
                     ->footer("Example: nuraghe service revoke greeting");
  revoke->add_option("NAME", a.name, "Name of the service")->required();
  revoke->add_flag("-y,--yes", a.options.yes, "Do not ask");
  revoke->callback([&] {
    action = [&](cli::Context& c) { return finish(c, cli::revoke_member(c, cli::Member::kService, a.name)); };
  });
}

void add_certificate_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* host = app.get_subcommand("host");
  auto* token = host->add_subcommand("join-token", "Make a token with which a machine joins the site, once")
                    ->footer("Example: nuraghe host join-token host-2 --out token");
  token->add_option("PHYSICAL", a.name, "Name that the machine will have")->required();
  token->add_option("--lifetime", a.lifetime, "How long it is good")->capture_default_str();
  token->add_option("--out", a.file, "Write it to this file (mode 0600), instead of printing it");
  token->callback([&] {
    action = [&](cli::Context& c) {
      return finish(c, cli::make_join_token(c, cli::Member::kHost, a.name, a.lifetime, a.file));
    };
  });
  auto* revoke = host->add_subcommand("revoke", "Withdraw the certificates of a physical host, at once")
                     ->footer("Example: nuraghe host revoke host-2");
  revoke->add_option("PHYSICAL", a.name, "Name of the physical host")->required();
  revoke->add_flag("-y,--yes", a.options.yes, "Do not ask");
  revoke->callback(
      [&] { action = [&](cli::Context& c) { return finish(c, cli::revoke_member(c, cli::Member::kHost, a.name)); }; });

  auto* ca = app.add_subcommand("ca", "The site's certificate authority")->require_subcommand(1);
  auto* init = ca->add_subcommand("init", "Make it, in nuraghed's state folder on this machine")
                   ->footer("Example: nuraghe --state /var/lib/nuraghe ca init");
  auto* rotate = ca->add_subcommand("rotate", "Change to another root, in three steps (docs/tls.md)")
                     ->footer("Example: nuraghe ca rotate && nuraghe ca rotate --change-over");
  for (auto* command : {init, rotate}) {
    command->add_option("--site", a.authority.site, "Name of the site, for the root's name")->capture_default_str();
    command->add_option("--lifetime", a.authority.lifetime, "How long the root is good")->capture_default_str();
  }
  auto* change = rotate->add_flag("--change-over", a.authority.change_over, "Second step: sign with the next root");
  auto* last = rotate->add_flag("--finish", a.authority.finish, "Third step: trust the root of before no more");
  last->excludes(change);
  rotate->add_flag("--force", a.authority.force, "Finish though some hosts have certificates of the root of before")
      ->needs(last);
  init->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::init_authority(c, a.authority)); }; });
  rotate->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::rotate_authority(c, a.authority)); }; });
  auto* show = ca->add_subcommand("show", "Show roots and certificates")->footer("Example: nuraghe ca show");
  show->callback([&] { action = [](cli::Context& c) { return finish(c, cli::show_authority(c)); }; });
}

void add_image_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* image = app.add_subcommand("image", "Virtual host images")->require_subcommand(1);
  auto* list = image->add_subcommand("ls", "List images")->footer("Example: nuraghe image ls");
  list->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_images(c)); }; });
  auto* take = image->add_subcommand("import", "Take an image folder into the repository")
                   ->footer("Example: nuraghe image import ./mini");
  take->add_option("FOLDER", a.folder, "Folder with vhi.xml")->required();
  take->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::import_image(c, a.folder)); }; });
  auto* remove = image->add_subcommand("rm", "Remove an image that no host uses");
  remove->footer("Example: nuraghe image rm mini");
  remove->add_option("IMAGE", a.name, "NAME or NAME:VERSION")->required();
  remove->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::remove_image(c, a.name)); }; });
  auto* verify = image->add_subcommand("verify", "Compare every part with its digest");
  verify->footer("Example: nuraghe image verify mini");
  verify->add_option("IMAGE", a.name, "NAME or NAME:VERSION")->required();
  verify->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::verify_image(c, a.name)); }; });
}

void add_workflow_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* workflow = app.add_subcommand("workflow", "Workflows and their instances")->require_subcommand(1);
  auto* workflows = workflow->add_subcommand("ls", "List workflows and instances");
  workflows->footer("Example: nuraghe workflow ls --running");
  workflows->add_flag("--running", a.running, "Only instances that run");
  workflows->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::list_workflows(c, a.running)); }; });
  auto* instance = workflow->add_subcommand("show", "Show an instance: where it stands, what it did");
  instance->footer("Example: nuraghe workflow show INSTANCE");
  instance->add_option("INSTANCE", a.name, "Id")->required();
  instance->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::show_workflow(c, a.name)); }; });
}

void add_tenant_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* vo = app.add_subcommand("vo", "Virtual organisations")->require_subcommand(1);
  auto* list = vo->add_subcommand("ls", "List the VOs of the site")->footer("Example: nuraghe vo ls");
  list->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_vos(c)); }; });
  auto* create = vo->add_subcommand("create", "Create a VO")->footer("Example: nuraghe vo create physics");
  create->add_option("VO", a.name, "Its name: a-z, 0-9 and '-'")->required();
  create->add_option("--title", a.file, "What people call it");
  create->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::create_vo(c, a.name, a.file)); }; });
  auto* remove = vo->add_subcommand("rm", "Delete a VO that holds no hosts and no physical machines")
                     ->footer("Example: nuraghe vo rm physics");
  remove->add_option("VO", a.name, "Its name")->required();
  remove->add_flag("-y,--yes", a.options.yes, "Do not ask");
  remove->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::delete_vo(c, a.name)); }; });

  auto* member = app.add_subcommand("member", "Members of a VO and their roles")->require_subcommand(1);
  auto* members = member->add_subcommand("ls", "List members")->footer("Example: nuraghe --vo physics member ls");
  members->callback([&] { action = [](cli::Context& c) { return finish(c, cli::list_members(c)); }; });
  for (const bool is_new : {true, false}) {
    auto* set = member->add_subcommand(is_new ? "add" : "set", is_new ? "Add a member" : "Change a member");
    set->footer(is_new ? "Example: nuraghe --vo physics member add marie --role operator"
                       : "Example: nuraghe --vo physics member set marie --role owner");
    set->add_option("NAME", a.member.name, "The member's name in the VO")->required();
    set->add_option("--role", a.member.role, "viewer, operator, owner; administrator in the VO site")
        ->check(CLI::IsMember({"viewer", "operator", "owner", "administrator"}));
    set->add_option("--issuer", a.member.issuer, "OIDC provider that knows the person");
    set->add_option("--subject", a.member.subject, "The person's sub there");
    set->add_option("--key", a.member.key_files, "File with public ssh keys")->take_all();
    set->callback([&, is_new] {
      action = [&, is_new](cli::Context& c) {
        return finish(c, is_new ? cli::add_member(c, a.member) : cli::change_member(c, a.member));
      };
    });
  }
  auto* drop = member->add_subcommand("rm", "Remove a member with its tokens");
  drop->footer("Example: nuraghe --vo physics member rm marie");
  drop->add_option("NAME", a.name, "The member's name")->required();
  drop->add_flag("-y,--yes", a.options.yes, "Do not ask");
  drop->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::remove_member(c, a.name)); }; });

  auto* token = app.add_subcommand("token", "Personal tokens of members")->require_subcommand(1);
  auto* tokens = token->add_subcommand("ls", "List tokens")->footer("Example: nuraghe --vo physics token ls");
  tokens->add_flag("--own", a.token.own, "One's own; owners see all of the VO without it");
  tokens->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::list_tokens(c, a.token.own)); }; });
  auto* issue = token->add_subcommand("issue", "Issue a token; it is shown once");
  issue->footer("Example: nuraghe --vo physics token issue marie --lifetime 30d");
  issue->add_option("MEMBER", a.token.member, "For whom; when absent: for oneself");
  issue->add_option("--label", a.token.label, "What it is for");
  issue->add_option("--lifetime", a.token.lifetime, "Such as 30d; 90 days when absent");
  issue->add_option("--also", a.token.also, "A further VO, for administrators")->take_all();
  issue->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::issue_token(c, a.token)); }; });
  auto* revoke = token->add_subcommand("revoke", "Revoke a token")->footer("Example: nuraghe token revoke TOKEN-ID");
  revoke->add_option("ID", a.name, "As 'token ls' shows it")->required();
  revoke->add_flag("--own", a.token.own, "It is one's own; owners revoke any of the VO without it");
  revoke->callback(
      [&] { action = [&](cli::Context& c) { return finish(c, cli::revoke_token(c, a.name, a.token.own)); }; });
}

void add_account_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* quota = app.add_subcommand("quota", "What a VO may hold, and holds")->require_subcommand(1);
  auto* show = quota->add_subcommand("show", "Show limits and what is used");
  show->footer("Example: nuraghe --vo physics quota show");
  show->callback([&] { action = [](cli::Context& c) { return finish(c, cli::show_quota(c)); }; });
  auto* set = quota->add_subcommand("set", "Change limits; 'none' lifts one");
  set->footer("Example: nuraghe --vo physics quota set --hosts 64 --memory 256GiB");
  auto& limits = a.quota;
  const std::pair<const char*, std::string*> names[] = {{"--hosts", &limits.hosts},
                                                        {"--cpus", &limits.cpus},
                                                        {"--memory", &limits.memory},
                                                        {"--disk", &limits.disk},
                                                        {"--frozen", &limits.frozen},
                                                        {"--clusters", &limits.clusters},
                                                        {"--longest-lease", &limits.longest_lease},
                                                        {"--images", &limits.images}};
  for (const auto& [name, target] : names) set->add_option(name, *target, "A number, a size or a span; or none");
  set->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::set_quota(c, a.quota)); }; });

  auto* usage = app.add_subcommand("usage", "What a VO used, by month, member, cluster and state");
  usage->footer("Example: nuraghe --vo physics usage --month 2026-11 --csv");
  usage->add_option("--month", a.name, "Such as 2026-11; all when absent");
  usage->add_flag("--csv", a.audit.csv, "As CSV");
  usage->callback(
      [&] { action = [&](cli::Context& c) { return finish(c, cli::show_usage(c, a.name, a.audit.csv)); }; });

  auto* audit = app.add_subcommand("audit", "Who did what; with -o json one object per line");
  audit->footer("Example: nuraghe --vo physics audit --csv > audit.csv");
  audit->add_option("--after", a.audit.after, "Entries after this sequence number");
  audit->add_flag("--all", a.audit.all, "Of every VO, for administrators");
  audit->add_flag("--csv", a.audit.csv, "As CSV");
  audit->callback([&] {
    if (!action) action = [&](cli::Context& c) { return finish(c, cli::show_audit(c, a.audit)); };
  });
  auto* verify =
      audit->add_subcommand("verify", "Check that no entry was changed")->footer("Example: nuraghe audit verify");
  verify->callback([&] { action = [](cli::Context& c) { return finish(c, cli::verify_audit(c)); }; });
}

// What stands behind HOST in `ssh` and `exec` belongs to the guest's shell, options and all: it is taken off before the
// options are read. Answers how many arguments stay.
int take_guest_command(int argc, char** argv, std::vector<std::string>& command) {
  int at = 1;
  while (at < argc && argv[at][0] == '-') {
    const std::string option = argv[at];
    at += option == "--state" || option == "--server" || option == "--ca-file" || option == "--token-file" ||
                  option == "--vo" || option == "-o" || option == "--output" || option == "--timeout"
              ? 2
              : 1;
  }
  const std::string verb = at < argc ? argv[at] : "";
  const int host = at + 1;
  if ((verb != "exec" && verb != "ssh") || host >= argc || argv[host][0] == '-') return argc;
  command.assign(argv + host + 1, argv + argc);
  if (!command.empty() && command.front() == "--") command.erase(command.begin());
  return host + 1;
}

void add_trace_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* trace =
      app.add_subcommand("trace", "The whole path of a request, as a tree")->footer("Example: nuraghe trace mpi");
  trace->add_option("TRACE", a.name, "Id of a trace, or a cluster or single host: its newest one")->required();
  trace->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::show_trace(c, a.name)); }; });
}

void add_access_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* ssh = app.add_subcommand("ssh", "Log in to a host")->footer("Example: nuraghe ssh mpi/head");
  ssh->add_option("HOST", a.name, "CLUSTER/NAME, or a single host; a command may follow")->required();
  ssh->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::ssh(c, a.name, a.command)); }; });
  auto* exec =
      app.add_subcommand("exec", "Run a command in a host")->footer("Example: nuraghe exec mpi/head mpirun pi");
  exec->add_option("HOST", a.name, "CLUSTER/NAME, or a single host; the command follows")->required();
  exec->callback([&] {
    if (a.command.empty()) throw CLI::ValidationError("exec", "a command is needed: nuraghe exec CLUSTER/HOST COMMAND");
    action = [&](cli::Context& c) { return finish(c, cli::ssh(c, a.name, a.command)); };
  });
  auto* copy = app.add_subcommand("cp", "Copy a file into a host or out of it")
                   ->footer("Example: nuraghe cp data.txt mpi/head:/root/");
  copy->add_option("FROM", a.from, "FILE or HOST:PATH")->required();
  copy->add_option("TO", a.to, "FILE or HOST:PATH")->required();
  copy->callback([&] {
    if ((a.from.find(':') == std::string::npos) == (a.to.find(':') == std::string::npos))
      throw CLI::ValidationError(
          "cp", "exactly one side is in a host: nuraghe cp FILE CLUSTER/HOST:PATH, or the other way round");
    action = [&](cli::Context& c) { return finish(c, cli::copy(c, a.from, a.to)); };
  });
  auto* console =
      app.add_subcommand("console", "A host's serial console")->footer("Example: nuraghe console mpi/head --follow");
  console->add_option("HOST", a.name, "CLUSTER/NAME, or a single host")->required();
  console->add_flag("-f,--follow", a.follow, "Go on with what comes");
  console->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::console(c, a.name, a.follow)); }; });
}

void add_local_commands(CLI::App& app, Arguments& a, Action& action) {
  auto* init = app.add_subcommand("init", "Print a commented blueprint sized to this machine")
                   ->footer("Example: nuraghe init > cluster.xml");
  init->callback([&] { action = [](cli::Context& c) { return finish(c, cli::init(c)); }; });
  auto* validate = app.add_subcommand("validate", "Check a blueprint: all findings at once")
                       ->footer("Example: nuraghe validate cluster.xml");
  validate->add_option("BLUEPRINT", a.file, "Blueprint file (XML)")->required();
  validate->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::validate(c, a.file)); }; });
  auto* doctor =
      app.add_subcommand("doctor", "Check this machine: KVM, disk, ports, packages")->footer("Example: nuraghe doctor");
  doctor->callback([&] { action = [](cli::Context& c) { return finish(c, cli::doctor(c)); }; });
  add_service_commands(app, a, action);
  auto* completion = app.add_subcommand("completion", "Print a shell completion script")
                         ->footer("Example: source <(nuraghe completion bash)");
  completion->add_option("SHELL", a.shell, "bash or zsh")->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&] {
    action = [&](cli::Context&) {
      std::fputs(cli::completion_script(app, a.shell).c_str(), stdout);
      return static_cast<int>(cli::kOk);
    };
  });
  // What the script asks for.
  auto* names = app.add_subcommand("names", "Names for the completion")->group("");
  names->add_option("KIND", a.name, "What is to be named")
      ->required()
      ->check(CLI::IsMember({"clusters", "hosts", "singles", "images", "machines"}));
  names->callback([&] { action = [&](cli::Context& c) { return finish(c, cli::list_names(c, a.name)); }; });
}

// What a token file can hold as a VO.
std::string is_word(const std::string& text) {
  const bool is_one =
      !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isgraph(c) != 0; });
  return is_one ? "" : "a VO is one word";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Nuraghe: one blueprint in, a running cluster out");
  Arguments arguments;
  Action action;
  arguments.options.state = nuraghe::client::default_state_folder();
  arguments.options.vo = nuraghe::client::default_vo();
  app.add_option("--state", arguments.options.state, "nuraghed's state folder");
  app.add_option("--server", arguments.options.server, "A nuraghed on another machine: https://HOST:PORT");
  app.add_option("--ca-file", arguments.options.ca_file, "Roots by which that one is known (its ca/trusted.pem)");
  app.add_option("--token-file", arguments.options.token_file, "Token for it (mode 0600; default: STATE/token)");
  app.add_option("--vo", arguments.options.vo, "VO to act for, instead of the token's own")->check(is_word);
  app.add_option("-o,--output", arguments.options.output, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--timeout", arguments.options.timeout, "How long to wait for an operation, as 30s, 5m, PT1H")
      ->check([](const std::string& text) {
        const auto duration = nuraghe::parse_duration(text);
        return duration ? std::string() : duration.error().to_string();
      });
  app.add_flag(
      "--wait,!--no-wait", [&](std::int64_t count) { arguments.options.no_wait = count < 0; },
      "Wait until an operation is done (default), or not");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", NURAGHE_VERSION);
  add_cluster_commands(app, arguments, action);
  add_lease_commands(app, arguments, action);
  add_host_commands(app, arguments, action);
  add_certificate_commands(app, arguments, action);
  add_machine_commands(app, arguments, action);
  add_deployment_commands(app, arguments, action);
  add_image_commands(app, arguments, action);
  add_workflow_commands(app, arguments, action);
  add_trace_commands(app, arguments, action);
  add_access_commands(app, arguments, action);
  add_tenant_commands(app, arguments, action);
  add_account_commands(app, arguments, action);
  add_local_commands(app, arguments, action);
  try {
    app.parse(take_guest_command(argc, argv, arguments.command), argv);
  } catch (const CLI::ParseError& error) {
    if (const auto unknown = cli::unknown_word(app)) {
      std::fprintf(stderr, "nuraghe: %s\n", unknown->c_str());
      return cli::kUsage;
    }
    return app.exit(error) == 0 ? cli::kOk : cli::kUsage;
  }
  nuraghe::xml::initialise();
  cli::Context context(arguments.options);
  return action(context);
}
