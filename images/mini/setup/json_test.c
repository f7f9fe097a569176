// Test of the JSON reader: what it must take, with the values, and what it must refuse, with the line. Built and run by
// images/mini/check. Exit code 0: all held.

#include <stdio.h>
#include <string.h>

#include "json.h"

static int failed;

static void expect(int holds, const char *what) {
    if (!holds) failed = 1, printf("failed: %s\n", what);
}

// Every document ends in a buffer of just its size, so that reading beyond it is seen.
static struct json *parse(const char *text, int *line) {
    const char *error;
    struct json *tree = json_parse(strdup(text), &error, line);
    expect((tree != NULL) == (error == NULL), text);
    return tree;
}

static void takes(const char *text, const char *value) {
    int line;
    const struct json *tree = parse(text, &line), *first = json_get(tree, "a");
    expect(first && json_text(first) && !strcmp(json_text(first), value), text);
}

static void refuses(const char *text, int where) {
    int line;
    expect(parse(text, &line) == NULL, text);
    expect(line == where, text);
}

int main(void) {
    takes("{\"a\":\"b\"}", "b");
    takes(" {\n\t\"z\" : [1, [], {}, null, true, false] , \"a\" : -12.5e3 }\n", "-12.5e3");
    takes("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t");
    takes("{\"a\":\"\\u00fc\\u20AC\\ud83d\\ude00ü\"}", "ü€😀ü");
    takes("{\"a\":\"\",\"a\":\"later ones do not count\"}", "");

    refuses("", 1);
    refuses("hostname: x\n", 1);
    refuses("{\n\"a\":\n", 3);
    refuses("{\"a\" \"b\"}", 1);
    refuses("{\"a\":1,}", 1);
    refuses("{\"a\":1 \"b\":2}", 1);
    refuses("[1,\n2", 2);
    refuses("[1 2]", 1);
    refuses("{a:1}", 1);
    refuses("\"no end", 1);
    refuses("\"no end\\", 1);
    refuses("\"no end\\\"", 1);
    refuses("\"\\u12\"", 1);
    refuses("\"\\ud83d\"", 1);
    refuses("\"\\udc00\"", 1);
    refuses("\"\\u0000\"", 1);
    refuses("\"\\x\"", 1);
    refuses("\"a\nb\"", 1);
    refuses("nul", 1);
    refuses("{} {}", 1);
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    refuses(deep, 1);

    int line;
    struct json *tree = parse("{\"t\":true,\"f\":false,\"y\":\"Yes\",\"n\":\"no\",\"list\":[\"x\"]}", &line);
    expect(json_true(json_get(tree, "t")) && json_true(json_get(tree, "y")), "true");
    expect(!json_true(json_get(tree, "f")) && !json_true(json_get(tree, "n")) && !json_true(NULL), "false");
    expect(!json_text(json_get(tree, "list")) && !json_get(json_get(tree, "list"), "x") && !json_get(NULL, "x"), "absent");
    return failed;
}
