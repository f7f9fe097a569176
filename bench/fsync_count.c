// Counts what a process and those that it starts ask the system to make durable: loaded into them by LD_PRELOAD, it adds up
// fsync, fdatasync, syncfs and msync(MS_SYNC) in a file of one 64-bit number, named by FSYNC_COUNT, that all of them share.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic int64_t* counter;

__attribute__((constructor)) static void open_counter(void) {
  const char* path = getenv("FSYNC_COUNT");
  const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) counter = page;
}

static void count(void) {
  if (counter != NULL) atomic_fetch_add(counter, 1);
}

int fsync(int fd) {
  count();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  count();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int syncfs(int fd) {
  count();
  return ((int (*)(int))dlsym(RTLD_NEXT, "syncfs"))(fd);
}

int msync(void* address, size_t size, int flags) {
  if ((flags & MS_SYNC) != 0) count();
  return ((int (*)(void*, size_t, int))dlsym(RTLD_NEXT, "msync"))(address, size, flags);
}
