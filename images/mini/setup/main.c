// What happens between the mounted root file system and a host that is ready, in one program, because starting a program
// is what takes the time on an emulated processor.
//
//   setup boot    init's first job: file systems, the seed, name, network, keys
//   setup final   runcmd, once per instance, while the services run
//   setup agent   becomes the guest agent as soon as the ssh server listens: who gets an answer can log in

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "net.h"
#include "say.h"
#include "seed.h"

#define HOST_KEY "/etc/ssh/ssh_host_ed25519_key"
#define AGENT_PORT "/dev/virtio-ports/org.qemu.guest_agent.0"
#define COMMANDS_DUE "/var/lib/cloud/data/runcmd-due"
#define RESIZE_EXT4 _IOW('f', 16, unsigned long long)

enum { LISTEN_WAIT_MS = 20000, POLL_MS = 50, SSH_PORT = 22 };

static void mount_all(void) {
    static const char *const wanted[][4] = {{"tmpfs", "/run", "tmpfs", "mode=755,size=25%"},
                                            {"devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666,gid=5"},
                                            {"tmpfs", "/dev/shm", "tmpfs", "mode=1777"}};
    for (int i = 0; i < 3; i++) {
        mkdir(wanted[i][1], 0755);
        if (mount(wanted[i][0], wanted[i][1], wanted[i][2], MS_NOSUID | MS_NODEV, wanted[i][3]))
            say("cannot mount %s: %s", wanted[i][1], strerror(errno));
    }
    mkdir("/run/sshd", 0755);
}

static void make_links(void) {
    static const char *const wanted[][2] = {
        {"/proc/self/fd", "/dev/fd"}, {"fd/0", "/dev/stdin"}, {"fd/1", "/dev/stdout"}, {"fd/2", "/dev/stderr"}};
    for (int i = 0; i < 4; i++)
        if (symlink(wanted[i][0], wanted[i][1])) continue; // there already
    mkdir("/dev/virtio-ports", 0755);
    DIR *all = opendir("/sys/class/virtio-ports");
    for (struct dirent *e; all && (e = readdir(all));) {
        char path[320], link[320], node[280], *name;
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", e->d_name);
        if (e->d_name[0] == '.' || !(name = read_file(path, NULL))) continue;
        name[strcspn(name, "\n/")] = 0;
        snprintf(link, sizeof link, "/dev/virtio-ports/%.200s", name);
        snprintf(node, sizeof node, "../%s", e->d_name);
        if (*name && symlink(node, link) && errno != EEXIST) say("%s: %s", link, strerror(errno));
        free(name);
    }
    if (all) closedir(all);
}

// Lets the root file system take up its whole disk.
static void grow_root(void) {
    struct stat st;
    char path[80], device[80] = "", *text, *line;
    unsigned char super[1024];
    if (stat("/", &st)) return;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/uevent", major(st.st_dev), minor(st.st_dev));
    if (!(text = read_file(path, NULL)) || !(line = strstr(text, "DEVNAME="))) return;
    snprintf(device, sizeof device, "/dev/%.40s", line + 8);
    device[strcspn(device, "\n")] = 0;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/size", major(st.st_dev), minor(st.st_dev));
    if (!(text = read_file(path, NULL))) return;
    unsigned long long sectors = strtoull(text, NULL, 10);
    int fd = open(device, O_RDONLY | O_CLOEXEC), root = open("/", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && pread(fd, super, sizeof super, 1024) == sizeof super) {
        unsigned now, shift;
        memcpy(&now, super + 4, 4), memcpy(&shift, super + 24, 4); // s_blocks_count, s_log_block_size
        unsigned long long room = sectors * 512 >> (10 + shift);
        if (room > now && ioctl(root, RESIZE_EXT4, &room)) say("cannot grow the root file system: %s", strerror(errno));
    }
    close(fd), close(root);
}

// Address of a name in /etc/hosts; 0 when it has none there.
static unsigned hosts_address(const char *host) {
    char line[512];
    struct in_addr found = {0};
    FILE *f = fopen("/etc/hosts", "re");
    while (f && !found.s_addr && fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = 0;
        char *address = strtok(line, " \t"), *name = address ? strtok(NULL, " \t") : NULL;
        while (name && strcmp(name, host) != 0) name = strtok(NULL, " \t");
        if (name && (inet_pton(AF_INET, address, &found) != 1 || ntohl(found.s_addr) >> 24 == 127)) found.s_addr = 0;
    }
    if (f) fclose(f);
    return found.s_addr;
}

// Parallel programs talk over the network on which the host's own name stands, and over no other: a management network
// may give every host the same address.
static void choose_mpi_network(const char *host) {
    struct ifaddrs *all = NULL;
    unsigned own = hosts_address(host);
    char text[300], network[INET_ADDRSTRLEN];
    if (!own || getifaddrs(&all)) return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET) continue;
        unsigned mask = ((struct sockaddr_in *)i->ifa_netmask)->sin_addr.s_addr;
        if (((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr != own) continue;
        inet_ntop(AF_INET, &(unsigned){own & mask}, network, sizeof network);
        int bits = __builtin_popcount(mask);
        int n = snprintf(text, sizeof text, "oob_tcp_if_include = %s/%d\nbtl_tcp_if_include = %s/%d\n", network, bits, network, bits);
        char *base = read_file("/usr/share/mini/openmpi-mca-params.conf", NULL), *whole;
        int size = asprintf(&whole, "%s%.*s", base ? base : "", n, text);
        if (size > 0) write_file("/etc/openmpi/openmpi-mca-params.conf", whole, (size_t)size, 0644);
        break;
    }
    freeifaddrs(all);
}

static void set_hostname(const char *name) {
    if (sethostname(name, strlen(name))) say("hostname '%s': %s", name, strerror(errno));
    char *line;
    int size = asprintf(&line, "%s\n", name);
    if (size > 0) write_file("/etc/hostname", line, (size_t)size, 0644);
}

static int boot(void) {
    mount_all();
    make_links();
    struct seed seed = seed_read();
    const char *host = seed_hostname(&seed);
    set_hostname(host);
    seed_complain(&seed);
    const struct json *resize = json_get(seed.user, "resize_rootfs");
    if (!resize || json_true(resize)) grow_root();
    if (seed.first) seed_random(&seed);
    seed_commands(&seed, "bootcmd");
    net_apply(seed.network, host);
    if (seed.first) {
        seed_keys(&seed);
        seed_mounts(&seed);
        seed_files(&seed);
        write_file(COMMANDS_DUE, "", 0, 0600);
        seed_finish(&seed);
    }
    choose_mpi_network(host);
    if (access(HOST_KEY, F_OK)) run((char *[]){"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", HOST_KEY, NULL});
    struct stat st;
    if (!stat("/etc/fstab", &st) && st.st_size > 0) run((char *[]){"mount", "-a", NULL});
    return 0;
}

static int final(void) {
    if (access(COMMANDS_DUE, F_OK)) return 0;
    unlink(COMMANDS_DUE);
    struct seed seed = seed_kept();
    seed_commands(&seed, "runcmd");
    return 0;
}

// Whether something listens on the port: state 0A in the kernel's tables (proc(5), /proc/net/tcp).
static int listens(unsigned port) {
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    char wanted[8];
    snprintf(wanted, sizeof wanted, ":%04X ", port);
    for (int i = 0; i < 2; i++) {
        char *text = read_file(tables[i], NULL), *at = text;
        while (at && (at = strstr(at, wanted))) {
            unsigned state;
            at += strlen(wanted);
            if (sscanf(at, "%*[0-9A-F]:%*4[0-9A-F] %X", &state) == 1 && state == 0x0a) return free(text), 1;
        }
        free(text);
    }
    return 0;
}

static int agent(void) {
    int waited = 0;
    for (; !listens(SSH_PORT) && waited < LISTEN_WAIT_MS; waited += POLL_MS)
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    if (waited >= LISTEN_WAIT_MS) say("the ssh server does not listen");
    char name[65] = "", *up = read_file("/proc/uptime", NULL);
    gethostname(name, sizeof name - 1);
    if (access("/run/ready", F_OK)) say("%s is ready after %.5s s", name, up ? up : "?");
    write_file("/run/ready", "", 0, 0644);
    if (access(AGENT_PORT, F_OK)) {
        say("no virtio-serial port org.qemu.guest_agent.0: the guest agent is not started");
        for (;;) pause();
    }
    execl("/usr/sbin/qemu-ga", "qemu-ga", "-m", "virtio-serial", "-p", AGENT_PORT, "-t", "/run", (char *)NULL);
    say("cannot start the guest agent: %s", strerror(errno));
    sleep(1);
    return 1;
}

int main(int argc, char **argv) {
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    umask(022);
    const char *job = argc == 2 ? argv[1] : "";
    if (!strcmp(job, "boot")) return boot();
    if (!strcmp(job, "final")) return final();
    if (!strcmp(job, "agent")) return agent();
    fprintf(stderr, "usage: setup boot|final|agent\n");
    return 64;
}
