// The initramfs's only program: loads kernel modules, mounts the root file system and starts its init.
//
// /modules names the module files, one path a line, in the order in which they must be loaded. The root file system is
// named by the kernel parameter root=, either LABEL=NAME (an ext4 label, looked for on every block device) or a device
// node; init= names the program to start (/sbin/init). Whatever goes wrong is said on the console, and as this is
// process 1, giving up is a kernel panic, which the kernel parameter panic= turns into a reset.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROOT_WAIT_MS = 15000, POLL_MS = 10 };

static void die(const char *what, const char *name) {
    fprintf(stderr, "initrd: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static void load_modules(void) {
    FILE *list = fopen("/modules", "re");
    if (!list) die("cannot read", "/modules");
    char path[256];
    while (fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) die("cannot open", path);
        // A module whose device is missing is no reason to give up: the root file system decides.
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
            fprintf(stderr, "initrd: module %s: %s\n", path, strerror(errno));
        close(fd);
        unlink(path); // the initramfs is memory
    }
    fclose(list);
    unlink("/modules");
}

// Value of a kernel parameter, or the fallback. The last one counts.
static const char *parameter(const char *name, const char *fallback) {
    static char line[4096];
    FILE *f = fopen("/proc/cmdline", "re");
    if (!f || !fgets(line, sizeof line, f)) die("cannot read", "/proc/cmdline");
    fclose(f);
    const char *found = fallback;
    size_t length = strlen(name);
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
        if (!strncmp(word, name, length) && word[length] == '=') found = word + length + 1;
    return strdup(found);
}

// Whether the device bears an ext2/3/4 file system of that label (superblock at 1024: magic at 56, label at 120).
static int has_label(const char *device, const char *label) {
    unsigned char block[1024];
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = pread(fd, block, sizeof block, 1024);
    close(fd);
    return n == sizeof block && block[56] == 0x53 && block[57] == 0xef && !strncmp((char *)block + 120, label, 16);
}

// Writes the root device's node to `device`; 0 when it is not there (yet).
static int find_root(const char *root, char *device, size_t size) {
    if (strncmp(root, "LABEL=", 6) != 0) {
        snprintf(device, size, "%s", root);
        return access(device, F_OK) == 0;
    }
    DIR *all = opendir("/sys/class/block");
    int found = 0;
    for (struct dirent *e; all && !found && (e = readdir(all));) {
        if (e->d_name[0] == '.') continue;
        snprintf(device, size, "/dev/%s", e->d_name);
        found = has_label(device, root + 6);
    }
    if (all) closedir(all);
    return found;
}

int main(void) {
    mkdir("/dev", 0755), mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/root", 0755);
    if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755")) die("cannot mount", "/dev");
    int console = open("/dev/console", O_RDWR);
    if (console >= 0) dup2(console, 0), dup2(console, 1), dup2(console, 2);
    if (console > 2) close(console);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "")) die("cannot mount", "/proc");
    if (mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "")) die("cannot mount", "/sys");
    load_modules();

    const char *root = parameter("root", "/dev/vda"), *init = parameter("init", "/sbin/init");
    char device[300];
    for (int waited = 0; !find_root(root, device, sizeof device); waited += POLL_MS) {
        errno = ENODEV;
        if (waited >= ROOT_WAIT_MS) die("no root file system", root);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    if (mount(device, "/root", "ext4", MS_NOATIME, "")) die("cannot mount", device);
    unlink("/init");
    const char *moved[][2] = {{"/dev", "/root/dev"}, {"/proc", "/root/proc"}, {"/sys", "/root/sys"}};
    for (int i = 0; i < 3; i++)
        if (mount(moved[i][0], moved[i][1], NULL, MS_MOVE, NULL)) die("cannot move", moved[i][0]);
    if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/")) die("cannot enter", device);
    execl(init, init, (char *)NULL);
    die("cannot start", init);
}
