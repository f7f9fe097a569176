#include "seed.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "say.h"

#define KEPT "/var/lib/cloud/seed/"
#define INSTANCE "/var/lib/cloud/data/instance-id"

static const char *const parts[] = {"meta-data", "vendor-data", "user-data", "network-config"};

// File system of the device when it bears the volume label cidata: ISO 9660 (ECMA-119 §8.4: primary volume descriptor in
// sector 16, identifier at byte 40), FAT32 (label at 71) or FAT12/16 (label at 43); else null.
static const char *seed_type(const char *device) {
    char iso[72] = "", boot[512] = "";
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    ssize_t n = pread(fd, iso, sizeof iso, 16 * 2048), m = pread(fd, boot, sizeof boot, 0);
    close(fd);
    if (n == sizeof iso && !memcmp(iso, "\1CD001", 6) && !strncasecmp(iso + 40, "cidata ", 7)) return "iso9660";
    int fat = m == sizeof boot && !memcmp(boot + 510, "\x55\xaa", 2);
    if (fat && (!strncasecmp(boot + 71, "cidata ", 7) || !strncasecmp(boot + 43, "cidata ", 7))) return "vfat";
    return NULL;
}

// Mounts the seed's disk, copies its files to KEPT, unmounts it.
static void keep_copy(void) {
    DIR *all = opendir("/sys/class/block");
    char device[300];
    const char *type = NULL;
    for (struct dirent *e; all && !type && (e = readdir(all));) {
        snprintf(device, sizeof device, "/dev/%s", e->d_name);
        if (e->d_name[0] != '.') type = seed_type(device);
    }
    if (all) closedir(all);
    if (!type) return say("no disk is labelled cidata");
    mkdir("/run/seed", 0700);
    if (mount(device, "/run/seed", type, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, ""))
        return say("seed %s: %s", device, strerror(errno));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char from[64], to[64], *text;
        size_t size;
        snprintf(from, sizeof from, "/run/seed/%s", parts[i]);
        snprintf(to, sizeof to, KEPT "%s", parts[i]);
        if (!(text = read_file(from, &size))) {
            unlink(to);
            continue;
        }
        write_file(to, text, size, 0600);
        free(text);
    }
    umount("/run/seed");
}

// The kept part as a tree. Leading lines that begin with '#' are comments in YAML, '#cloud-config' among them.
static struct json *parse(const char *part) {
    char path[64];
    snprintf(path, sizeof path, KEPT "%s", part);
    char *text = read_file(path, NULL), *start = text;
    if (!text) return NULL;
    int skipped = 0, line;
    const char *error;
    for (; *start == '#'; skipped++) start += strcspn(start, "\n"), start += *start == '\n';
    if (!start[strspn(start, " \r\n\t")]) return NULL;
    struct json *tree = json_parse(start, &error, &line);
    if (!tree) say("%s:%d: %s (this image reads JSON only)", part, line + skipped, error);
    return tree;
}

struct seed seed_kept(void) {
    struct seed seed = {.meta = parse("meta-data"),
                        .user = json_merge(parse("vendor-data"), parse("user-data")),
                        .network = parse("network-config")};
    const char *id = json_text(json_get(seed.meta, "instance-id"));
    char *known = read_file(INSTANCE, NULL);
    seed.first = !known || (id && strcmp(known, id) != 0);
    free(known);
    return seed;
}

struct seed seed_read(void) {
    keep_copy();
    return seed_kept();
}

void seed_finish(const struct seed *seed) {
    const char *id = json_text(json_get(seed->meta, "instance-id"));
    if (seed->first && id) write_file(INSTANCE, id, strlen(id), 0644);
}

const char *seed_hostname(const struct seed *seed) {
    const char *name = json_text(json_get(seed->user, "hostname"));
    if (!name) name = json_text(json_get(seed->meta, "local-hostname"));
    if (!name) name = json_text(json_get(seed->user, "fqdn"));
    if (!name) name = "mini";
    return strndup(name, strcspn(name, "."));
}

void seed_complain(const struct seed *seed) {
    static const char *const known[] = {
        "hostname",    "fqdn", "ssh_authorized_keys", "ssh_keys",      "disable_root",     "write_files",       "bootcmd", "runcmd",
        "mounts",      "resize_rootfs", "preserve_hostname", "manage_etc_hosts", "ssh_pwauth", "ssh_deletekeys", "growpart",
        "random_seed", NULL};
    for (const struct json *m = seed->user && seed->user->type == JSON_OBJECT ? seed->user->child : NULL; m; m = m->next) {
        int i = 0;
        while (known[i] && strcmp(known[i], m->key) != 0) i++;
        if (!known[i]) say("user-data or vendor-data: '%s' is not honoured by this image", m->key);
    }
    if (json_true(json_get(seed->user, "ssh_pwauth"))) say("user-data: ssh_pwauth: this image takes keys only");
    if (json_true(json_get(seed->user, "manage_etc_hosts")))
        say("user-data: manage_etc_hosts: use write_files for /etc/hosts");
}

static void write_key(const struct json *keys, const char *name, const char *path, unsigned mode) {
    const char *text = json_text(json_get(keys, name));
    if (!text) return;
    char *line;
    int size = asprintf(&line, "%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
    if (size > 0) write_file(path, line, (size_t)size, mode);
}

void seed_keys(const struct seed *seed) {
    const struct json *host = json_get(seed->user, "ssh_keys"), *list = json_get(seed->user, "ssh_authorized_keys");
    for (const struct json *k = host ? host->child : NULL; k; k = k->next)
        if (strncmp(k->key, "ed25519_", 8) != 0) say("user-data: ssh_keys: '%s': only ed25519 is used", k->key);
    write_key(host, "ed25519_private", "/etc/ssh/ssh_host_ed25519_key", 0600);
    write_key(host, "ed25519_public", "/etc/ssh/ssh_host_ed25519_key.pub", 0644);
    if (!list) return;
    if (json_true(json_get(seed->user, "disable_root"))) {
        say("user-data: disable_root: root is the only user of this image, so no ssh_authorized_keys are installed");
        return;
    }
    char *keys = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&keys, &size);
    for (const struct json *k = list->child; k; k = k->next)
        if (json_text(k)) fprintf(out, "%s\n", k->text);
    fclose(out);
    mkdir("/root/.ssh", 0700);
    write_file("/root/.ssh/authorized_keys", keys, size, 0600);
    free(keys);
}

// Decodes base64 in place; -1 when it is none.
static int base64(char *text, size_t *size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned held = 0;
    int bits = 0;
    char *to = text;
    for (const char *c = text; *c && *c != '='; c++) {
        const char *digit = strchr(digits, *c);
        if (isspace((unsigned char)*c)) continue;
        if (!digit) return -1;
        held = (held << 6 | (unsigned)(digit - digits)) & 0xffffff;
        if ((bits += 6) >= 8) bits -= 8, *to++ = (char)(held >> bits);
    }
    *size = (size_t)(to - text);
    return 0;
}

static int is_base64(const char *encoding) {
    return encoding && (!strcmp(encoding, "b64") || !strcmp(encoding, "base64"));
}

void seed_random(const struct seed *seed) {
    const struct json *entry = json_get(seed->user, "random_seed");
    const char *text = json_text(json_get(entry, "data")), *encoding = json_text(json_get(entry, "encoding"));
    struct {
        struct rand_pool_info head;
        char data[512];
    } pool;
    if (!text) return;
    char *data = strdup(text);
    size_t size = strlen(data);
    if (is_base64(encoding) ? base64(data, &size) : encoding && strcmp(encoding, "raw") != 0)
        return say("user-data: random_seed: the data is not understood");
    if (size > sizeof pool.data) size = sizeof pool.data;
    pool.head.buf_size = (int)size;
    pool.head.entropy_count = (int)size * 8;
    memcpy(pool.head.buf, data, size);
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool)) say("user-data: random_seed: %s", strerror(errno));
    if (fd >= 0) close(fd);
    free(data);
}

// Number of a user or group, by number or by name in /etc/passwd or /etc/group; -1 when unknown.
static int find_id(const char *file, const char *name) {
    if (name[strspn(name, "0123456789")] == 0 && *name) return atoi(name);
    FILE *f = fopen(file, "re");
    char line[512];
    int id = -1;
    size_t length = strlen(name);
    while (f && id < 0 && fgets(line, sizeof line, f)) {
        char *second = strchr(line, ':');
        char *third = second ? strchr(second + 1, ':') : NULL;
        if (third && (size_t)(second - line) == length && !memcmp(line, name, length)) id = atoi(third + 1);
    }
    if (f) fclose(f);
    return id;
}

static void set_owner(const char *path, const char *owner) {
    char user[128];
    snprintf(user, sizeof user, "%s", owner);
    char *group = strchr(user, ':');
    if (group) *group++ = 0;
    int uid = find_id("/etc/passwd", user), gid = group ? find_id("/etc/group", group) : -1;
    if (uid < 0 || (group && gid < 0)) say("write_files: %s: there is no '%s'", path, owner);
    else if (chown(path, (uid_t)uid, (gid_t)gid)) say("write_files: %s: owner: %s", path, strerror(errno));
}

static void write_one(const struct json *entry) {
    const char *path = json_text(json_get(entry, "path")), *content = json_text(json_get(entry, "content"));
    const char *encoding = json_text(json_get(entry, "encoding")), *owner = json_text(json_get(entry, "owner"));
    const char *permissions = json_text(json_get(entry, "permissions"));
    if (!path || *path != '/') return say("write_files: '%s' is no absolute path", path ? path : "");
    char *data = strdup(content ? content : ""), *old = NULL;
    size_t size = strlen(data), before = 0;
    if (is_base64(encoding)) {
        if (base64(data, &size)) return say("write_files: %s: the content is no base64", path);
    } else if (encoding && *encoding && strcmp(encoding, "text/plain") != 0) {
        return say("write_files: %s: encoding '%s' is not honoured by this image", path, encoding);
    }
    if (json_true(json_get(entry, "append")) && (old = read_file(path, &before))) {
        old = realloc(old, before + size + 1);
        memcpy(old + before, data, size);
        data = old, size += before;
    }
    if (!write_file(path, data, size, permissions ? (unsigned)strtoul(permissions, NULL, 8) : 0644) && owner)
        set_owner(path, owner);
    free(data);
}

void seed_files(const struct seed *seed) {
    const struct json *list = json_get(seed->user, "write_files");
    for (const struct json *entry = list ? list->child : NULL; entry; entry = entry->next) write_one(entry);
}

// One line of /etc/fstab for each entry [device, directory, type, options]; missing ones as cloud-init has them.
void seed_mounts(const struct seed *seed) {
    const struct json *list = json_get(seed->user, "mounts");
    if (!list) return;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (const struct json *entry = list->child; entry; entry = entry->next) {
        const char *field[4] = {NULL, NULL, "auto", "defaults,nofail"};
        int i = 0;
        for (const struct json *f = entry->child; f && i < 4; f = f->next, i++)
            if (json_text(f)) field[i] = f->text;
        if (!field[0] || !field[1] || *field[1] != '/') {
            say("mounts: an entry needs a device and an absolute directory");
            continue;
        }
        int bare = *field[0] != '/' && !strchr(field[0], '=') && strcmp(field[2], "tmpfs") != 0;
        fprintf(out, "%s%s %s %s %s 0 0\n", bare ? "/dev/" : "", field[0], field[1], field[2], field[3]);
        mkdir(field[1], 0755);
    }
    fclose(out);
    write_file("/etc/fstab", text, size, 0644);
    free(text);
}

void seed_commands(const struct seed *seed, const char *key) {
    enum { WORDS = 256 };
    const struct json *list = json_get(seed->user, key);
    for (const struct json *entry = list ? list->child : NULL; entry; entry = entry->next) {
        char *words[WORDS + 1] = {"sh", "-c", (char *)json_text(entry), NULL};
        int n = 0;
        if (entry->type == JSON_ARRAY) {
            for (const struct json *word = entry->child; word && n < WORDS; word = word->next)
                if (json_text(word)) words[n++] = (char *)word->text;
            words[n] = NULL;
        }
        if (!words[0] || (entry->type != JSON_ARRAY && !words[2])) {
            say("%s: an entry is neither a string nor a list of strings", key);
            continue;
        }
        int status = run(words);
        if (status) say("%s: '%s' ended with %d", key, entry->type == JSON_ARRAY ? words[0] : words[2], status);
    }
}
