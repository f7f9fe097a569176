#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_LIMIT = 4 << 20 };

void say(const char *format, ...) {
    char line[600] = "mini: ";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + 6, sizeof line - 7, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    const char *places[] = {"/dev/console", "/run/setup.log"};
    for (int i = 0; i < 2; i++) {
        int fd = open(places[i], O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC | (i ? O_CREAT : 0), 0600);
        if (fd < 0) continue;
        if (write(fd, line, strlen(line)) < 0) { /* nowhere left to say it */
        }
        close(fd);
    }
}

char *read_file(const char *path, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t used = 0, room = 4096;
    char *text = malloc(room + 1);
    for (ssize_t n; (n = read(fd, text + used, room - used)) > 0;) {
        used += (size_t)n;
        if (used == room) text = realloc(text, (room *= 2) + 1);
        if (used > FILE_LIMIT) break;
    }
    close(fd);
    if (used > FILE_LIMIT) return say("%s is larger than %d bytes", path, FILE_LIMIT), NULL;
    text[used] = 0;
    if (size) *size = used;
    return text;
}

static void make_parents(const char *path) {
    char part[4096];
    snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1; (c = strchr(c, '/')); *c++ = '/') *c = 0, mkdir(part, 0755);
}

int write_file(const char *path, const char *content, size_t size, unsigned mode) {
    char next[4096];
    snprintf(next, sizeof next, "%s.new", path);
    make_parents(path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int wrong = fd < 0;
    for (size_t done = 0; !wrong && done < size;) {
        ssize_t n = write(fd, content + done, size - done);
        if (n <= 0) wrong = 1;
        done += n > 0 ? (size_t)n : 0;
    }
    wrong = wrong || fchmod(fd, mode) || rename(next, path);
    if (wrong) say("cannot write %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return wrong ? -1 : 0;
}

int run(char *const argv[]) {
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[0], argv);
        say("cannot run %s: %s", argv[0], strerror(errno));
        _exit(127);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void start(char *const argv[]) {
    if (fork() != 0) return;
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) dup2(null, 0), dup2(null, 1), dup2(null, 2);
    execvp(argv[0], argv);
    _exit(127);
}
