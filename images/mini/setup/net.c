#include "net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "json.h"
#include "say.h"

struct request {
    struct nlmsghdr header;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
    };
    char attributes[256];
};

static struct request *request(int type, int flags, size_t body) {
    static struct request r;
    memset(&r, 0, sizeof r);
    r.header = (struct nlmsghdr){.nlmsg_len = (unsigned)NLMSG_LENGTH(body),
                                 .nlmsg_type = (unsigned short)type,
                                 .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)};
    return &r;
}

static void attribute(struct request *r, int type, const void *data, size_t size) {
    struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(a), data, size);
    r->header.nlmsg_len = (unsigned)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

// Sends the request and waits for the kernel's answer: 0, or -1 and errno.
static int ask(struct request *r) {
    static int fd = -1;
    if (fd < 0) fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    char answer[4096];
    if (fd < 0 || send(fd, r, r->header.nlmsg_len, 0) < 0) return -1;
    if (recv(fd, answer, sizeof answer, 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) return errno = EIO, -1;
    errno = -((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
    return errno ? -1 : 0;
}

static int link_up(const char *name, const char *mtu) {
    struct request *r = request(RTM_NEWLINK, 0, sizeof r->link);
    r->link.ifi_index = (int)if_nametoindex(name);
    r->link.ifi_flags = r->link.ifi_change = IFF_UP;
    if (mtu) {
        unsigned value = (unsigned)atoi(mtu);
        attribute(r, IFLA_MTU, &value, sizeof value);
    }
    return ask(r);
}

static int link_rename(const char *from, const char *to) {
    struct request *r = request(RTM_NEWLINK, 0, sizeof r->link);
    r->link.ifi_index = (int)if_nametoindex(from);
    attribute(r, IFLA_IFNAME, to, strlen(to) + 1);
    return ask(r);
}

struct ip {
    int family, prefix; // prefix: -1 when the text gives none
    size_t size;
    unsigned char bytes[16];
};

// "10.0.0.1", "10.0.0.1/24", "fd00::1/64".
static int parse_ip(const char *text, struct ip *ip) {
    char plain[64];
    snprintf(plain, sizeof plain, "%s", text);
    char *slash = strchr(plain, '/');
    if (slash) *slash++ = 0;
    ip->family = strchr(plain, ':') ? AF_INET6 : AF_INET;
    ip->size = ip->family == AF_INET ? 4 : 16;
    ip->prefix = slash ? atoi(slash) : -1;
    return inet_pton(ip->family, plain, ip->bytes) == 1 && ip->prefix <= (int)ip->size * 8;
}

static void add_address(const char *name, const char *text) {
    struct ip ip;
    if (!text || !parse_ip(text, &ip) || ip.prefix < 0) {
        say("network-config: %s: '%s' is no address with a prefix length", name, text ? text : "");
        return;
    }
    struct request *r = request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof r->address);
    r->address = (struct ifaddrmsg){.ifa_family = (unsigned char)ip.family,
                                    .ifa_prefixlen = (unsigned char)ip.prefix,
                                    .ifa_flags = ip.family == AF_INET6 ? IFA_F_NODAD : 0,
                                    .ifa_index = if_nametoindex(name)};
    attribute(r, IFA_LOCAL, ip.bytes, ip.size);
    attribute(r, IFA_ADDRESS, ip.bytes, ip.size);
    if (ip.family == AF_INET && ip.prefix < 31) {
        unsigned address, broadcast;
        memcpy(&address, ip.bytes, 4);
        broadcast = address | htonl((unsigned)(0xffffffffULL >> ip.prefix));
        attribute(r, IFA_BROADCAST, &broadcast, 4);
    }
    if (ask(r)) say("network-config: %s: address %s: %s", name, text, strerror(errno));
}

static void add_route(const char *name, const char *to, const char *via, const char *metric) {
    struct ip gateway = {0}, target = {0};
    int everywhere = !to || !strcmp(to, "default") || !strcmp(to, "0.0.0.0/0") || !strcmp(to, "::/0");
    if (!via || !parse_ip(via, &gateway) || (!everywhere && !parse_ip(to, &target))) {
        say("network-config: %s: route to '%s' via '%s' is not understood", name, to ? to : "default", via ? via : "");
        return;
    }
    struct request *r = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof r->route);
    r->route = (struct rtmsg){.rtm_family = (unsigned char)gateway.family,
                              .rtm_table = RT_TABLE_MAIN,
                              .rtm_protocol = RTPROT_STATIC,
                              .rtm_scope = RT_SCOPE_UNIVERSE,
                              .rtm_type = RTN_UNICAST};
    unsigned index = if_nametoindex(name), priority = metric ? (unsigned)atoi(metric) : 0;
    if (!everywhere) {
        r->route.rtm_dst_len = (unsigned char)(target.prefix < 0 ? (int)target.size * 8 : target.prefix);
        attribute(r, RTA_DST, target.bytes, target.size);
    }
    attribute(r, RTA_GATEWAY, gateway.bytes, gateway.size);
    attribute(r, RTA_OIF, &index, sizeof index);
    if (metric) attribute(r, RTA_PRIORITY, &priority, sizeof priority);
    if (ask(r)) say("network-config: %s: route to %s via %s: %s", name, to ? to : "default", via, strerror(errno));
}

// Asks for an address in the background: a link that is down must not hold up the boot.
static void start_dhcp(const char *name, const char *host) {
    char option[300];
    snprintf(option, sizeof option, "hostname:%s", host);
    start((char *[]){"udhcpc", "-f", "-i", (char *)name, "-t", "4", "-T", "2", "-A", "10", "-x", option, NULL});
}

// Name of the interface with that hardware address; 0 when there is none.
static int find_mac(const char *mac, char *name) {
    DIR *all = opendir("/sys/class/net");
    int found = 0;
    for (struct dirent *e; all && !found && (e = readdir(all));) {
        char path[320], *text;
        snprintf(path, sizeof path, "/sys/class/net/%s/address", e->d_name);
        if (e->d_name[0] == '.' || !(text = read_file(path, NULL))) continue;
        text[strcspn(text, "\n")] = 0;
        found = !strcasecmp(text, mac);
        if (found) snprintf(name, IF_NAMESIZE, "%.15s", e->d_name);
        free(text);
    }
    if (all) closedir(all);
    return found;
}

static void complain_about_others(const struct json *node, const char *where, const char *const known[]) {
    for (const struct json *m = node && node->type == JSON_OBJECT ? node->child : NULL; m; m = m->next) {
        int i = 0;
        while (known[i] && strcmp(known[i], m->key) != 0) i++;
        if (!known[i]) say("network-config: %s: '%s' is not honoured by this image", where, m->key);
    }
}

// Finds the entry's interface and writes its present name.
static int find_interface(const struct json *entry, char *name) {
    const struct json *match = json_get(entry, "match");
    const char *mac = json_text(json_get(match, "macaddress")), *by_name = json_text(json_get(match, "name"));
    if (mac) return find_mac(mac, name);
    snprintf(name, IF_NAMESIZE, "%.15s", by_name ? by_name : entry->key);
    return if_nametoindex(name) != 0;
}

static void add_nameservers(const struct json *servers, char *resolv, size_t room) {
    const struct json *list = json_get(servers, "addresses");
    for (const struct json *a = list ? list->child : NULL; a; a = a->next)
        if (json_text(a)) snprintf(resolv + strlen(resolv), room - strlen(resolv), "nameserver %s\n", a->text);
    list = json_get(servers, "search");
    for (const struct json *a = list ? list->child : NULL; a; a = a->next)
        if (json_text(a)) snprintf(resolv + strlen(resolv), room - strlen(resolv), "search %s\n", a->text);
}

static void apply_interface(const struct json *entry, const char *name, const char *host) {
    static const char *const known[] = {"match",    "set-name", "mtu",         "addresses", "dhcp4",    "dhcp6", "gateway4",
                                        "gateway6", "routes",   "nameservers", "optional",  "renderer", NULL};
    complain_about_others(entry, entry->key, known);
    if (json_true(json_get(entry, "dhcp6"))) say("network-config: %s: dhcp6 is not honoured by this image", entry->key);
    if (link_up(name, json_text(json_get(entry, "mtu")))) say("network-config: %s: %s", name, strerror(errno));
    const struct json *list = json_get(entry, "addresses");
    for (const struct json *a = list ? list->child : NULL; a; a = a->next) add_address(name, json_text(a));
    const char *gateway = json_text(json_get(entry, "gateway4"));
    if (gateway) add_route(name, NULL, gateway, NULL);
    if ((gateway = json_text(json_get(entry, "gateway6")))) add_route(name, NULL, gateway, NULL);
    list = json_get(entry, "routes");
    for (const struct json *r = list ? list->child : NULL; r; r = r->next)
        add_route(name, json_text(json_get(r, "to")), json_text(json_get(r, "via")), json_text(json_get(r, "metric")));
    if (json_true(json_get(entry, "dhcp4"))) start_dhcp(name, host);
}

static void dhcp_everywhere(const char *host) {
    DIR *all = opendir("/sys/class/net");
    for (struct dirent *e; all && (e = readdir(all));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "lo") != 0 && !link_up(e->d_name, NULL)) start_dhcp(e->d_name, host);
    if (all) closedir(all);
}

void net_apply(const struct json *config, const char *host) {
    static const char *const known[] = {"version", "ethernets", "renderer", NULL};
    enum { INTERFACES = 32 };
    static char names[INTERFACES][IF_NAMESIZE];
    char resolv[1024] = "";
    if (link_up("lo", NULL)) say("lo: %s", strerror(errno));
    if (!config) return dhcp_everywhere(host);
    if (json_get(config, "network")) config = json_get(config, "network");
    complain_about_others(config, "network", known);
    const struct json *entries = json_get(config, "ethernets"), *entry = entries ? entries->child : NULL;

    // Renaming goes through names that nothing bears, so that two interfaces can swap theirs.
    for (int i = 0; entry && i < INTERFACES; entry = entry->next, i++) {
        const char *wanted = json_text(json_get(entry, "set-name"));
        char passing[IF_NAMESIZE];
        if (!find_interface(entry, names[i])) {
            say("network-config: %s: there is no such interface", entry->key);
            names[i][0] = 0;
        } else if (wanted && strcmp(wanted, names[i]) != 0) {
            snprintf(passing, sizeof passing, "passing%d", i);
            if (!link_rename(names[i], passing)) strcpy(names[i], passing);
        }
    }
    entry = entries ? entries->child : NULL;
    for (int i = 0; entry && i < INTERFACES; entry = entry->next, i++) {
        const char *wanted = json_text(json_get(entry, "set-name"));
        if (!names[i][0]) continue;
        if (wanted && strcmp(wanted, names[i]) != 0) {
            if (link_rename(names[i], wanted)) say("network-config: set-name %s: %s", wanted, strerror(errno));
            else snprintf(names[i], IF_NAMESIZE, "%.15s", wanted);
        }
        add_nameservers(json_get(entry, "nameservers"), resolv, sizeof resolv);
    }
    // Ahead of any DHCP client, which leaves servers alone that were named here.
    if (resolv[0]) write_file("/etc/resolv.conf", resolv, strlen(resolv), 0644);
    else unlink("/etc/resolv.conf");
    entry = entries ? entries->child : NULL;
    for (int i = 0; entry && i < INTERFACES; entry = entry->next, i++)
        if (names[i][0]) apply_interface(entry, names[i], host);
}
