// A small JSON reader: text in, a tree out. Memory is never given back: the programs that use it are short-lived.
#pragma once

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    const char *key;    // name inside an object, else null
    const char *text;   // of a string: its UTF-8 value; of a number: as written
    struct json *child; // first member of an array or object
    struct json *next;  // sibling
};

// The tree, or null; then *error says why and *line where (from 1).
struct json *json_parse(const char *text, const char **error, int *line);

// Member of an object; null when `node` is null, is no object or has none of that name.
struct json *json_get(const struct json *node, const char *key);

// Text of a string or number; null for everything else, a null node included.
const char *json_text(const struct json *node);

// True for the literal true and for the strings that YAML 1.1 reads as true.
int json_true(const struct json *node);

// `over` laid upon `base`: members of objects one by one, lists behind one another, of everything else `over`. Either may
// be null. Both trees become part of the answer.
struct json *json_merge(struct json *base, struct json *over);
