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

// Prints the values of a tree, keys before them, without blanks.
static void print(const struct json *node, FILE *out) {
    const int is_object = node->type == JSON_OBJECT;
    if (json_text(node)) fprintf(out, "%s", node->text);
    if (!is_object && node->type != JSON_ARRAY) return;
    fputc(is_object ? '{' : '[', out);
    for (const struct json *m = node->child; m; m = m->next) {
        if (is_object) fprintf(out, "%s:", m->key);
        print(m, out);
        if (m->next) fputc(',', out);
    }
    fputc(is_object ? '}' : ']', out);
}

static void merges(const char *base, const char *over, const char *expected) {
    int line;
    char text[256] = "";
    struct json *tree = json_merge(base ? parse(base, &line) : NULL, over ? parse(over, &line) : NULL);
    FILE *out = fmemopen(text, sizeof text, "w");
    if (tree) print(tree, out);
    fclose(out);
    expect(!strcmp(text, expected), text);
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

    merges(NULL, NULL, "");
    merges("{\"a\":1}", NULL, "{a:1}");
    merges(NULL, "{\"a\":1}", "{a:1}");
    merges("{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":4,\"b\":5}", "{a:1,b:5,c:3,d:4}");
    merges("{\"a\":[1,2],\"b\":[],\"c\":[3]}", "{\"c\":[],\"b\":[4],\"a\":[2,5]}", "{a:[1,2,2,5],b:[4],c:[3]}");
    merges("{\"k\":{\"x\":1,\"l\":[1]}}", "{\"k\":{\"l\":[2],\"y\":2,\"x\":3}}", "{k:{x:3,l:[1,2],y:2}}");
    merges("{\"a\":[1],\"b\":2,\"c\":{\"d\":1}}", "{\"a\":3,\"b\":[4],\"c\":5}", "{a:3,b:[4],c:5}");
    merges("[1]", "{\"a\":2}", "{a:2}");
    merges("{}", "{\"a\":2}", "{a:2}");
    return failed;
}
