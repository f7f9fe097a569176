// Messages on the console, and small helpers that every part of the program uses.
#pragma once

#include <stddef.h>

// One line on the console and in /run/setup.log, after the program's name.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The file's whole content with a 0 behind it, or null. *size (may be null) is without the 0. At most 4 MiB.
char *read_file(const char *path, size_t *size);

// Writes the file anew with that mode, its directories made (0755) when missing; 0, or -1 said on the console.
int write_file(const char *path, const char *content, size_t size, unsigned mode);

// Runs a program and waits; its exit status, or -1.
int run(char *const argv[]);

// Runs a program without waiting, its output thrown away.
void start(char *const argv[]);
