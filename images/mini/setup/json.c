#include "json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_LIMIT = 64 };

struct reader {
    const char *at;
    const char *error;
    int depth;
};

static struct json *value(struct reader *r);

static void *fail(struct reader *r, const char *error) {
    if (!r->error) r->error = error;
    return NULL;
}

static void blanks(struct reader *r) {
    r->at += strspn(r->at, " \t\r\n");
}

static int hex4(const char *s, unsigned *out) {
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) return 0;
        *out = *out * 16 + (unsigned)digit;
    }
    return 1;
}

static char *utf8(char *to, unsigned c) {
    if (c < 0x80) return *to++ = (char)c, to;
    if (c < 0x800) return *to++ = (char)(0xc0 | c >> 6), *to++ = (char)(0x80 | (c & 63)), to;
    if (c < 0x10000)
        *to++ = (char)(0xe0 | c >> 12);
    else
        *to++ = (char)(0xf0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 63));
    return *to++ = (char)(0x80 | (c >> 6 & 63)), *to++ = (char)(0x80 | (c & 63)), to;
}

// The character after \u, surrogate pairs joined; r->at is behind the 'u'.
static int unicode(struct reader *r, unsigned *c) {
    unsigned low;
    if (!hex4(r->at, c)) return 0;
    r->at += 4;
    if (*c < 0xd800 || *c > 0xdfff) return *c != 0;
    if (*c > 0xdbff || r->at[0] != '\\' || r->at[1] != 'u' || !hex4(r->at + 2, &low)) return 0;
    if (low < 0xdc00 || low > 0xdfff) return 0;
    r->at += 6;
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return 1;
}

static char *string(struct reader *r) {
    const char *end = ++r->at;
    while (*end && *end != '"') end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end) return fail(r, "a string does not end");
    char *text = malloc((size_t)(end - r->at) + 1), *to = text;
    while (r->at < end) {
        if ((unsigned char)*r->at < 0x20) return fail(r, "a control character in a string");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
        const char *escape = strchr(from, r->at[1]);
        unsigned c;
        r->at += 2;
        if (escape && *escape)
            *to++ = into[escape - from];
        else if (r->at[-1] == 'u' && unicode(r, &c))
            to = utf8(to, c);
        else
            return fail(r, "a wrong escape in a string");
    }
    *to = 0;
    r->at = end + 1;
    return text;
}

// Members up to `close`; objects carry keys.
static struct json *members(struct reader *r, struct json *owner, char close) {
    struct json **tail = &owner->child;
    if (++r->depth > DEPTH_LIMIT) return fail(r, "nested too deeply");
    r->at++;
    blanks(r);
    while (*r->at != close) {
        char *key = NULL;
        if (close == '}') {
            if (*r->at != '"') return fail(r, "expected a name in quotes");
            if (!(key = string(r))) return NULL;
            blanks(r);
            if (*r->at++ != ':') return r->at--, fail(r, "expected ':'");
        }
        if (!(*tail = value(r))) return NULL;
        (*tail)->key = key;
        tail = &(*tail)->next;
        if (*r->at == ',') {
            r->at++;
            blanks(r);
            if (*r->at == close) return fail(r, "nothing behind ','");
        } else if (*r->at != close) {
            return fail(r, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        }
    }
    r->at++;
    r->depth--;
    return owner;
}

static struct json *value(struct reader *r) {
    struct json *node = calloc(1, sizeof *node);
    blanks(r);
    size_t digits = strspn(r->at, "+-.0123456789eE");
    if (*r->at == '{' || *r->at == '[') {
        node->type = *r->at == '{' ? JSON_OBJECT : JSON_ARRAY;
        if (!members(r, node, *r->at == '{' ? '}' : ']')) return NULL;
    } else if (*r->at == '"') {
        node->type = JSON_STRING;
        if (!(node->text = string(r))) return NULL;
    } else if (!strncmp(r->at, "null", 4) || !strncmp(r->at, "true", 4)) {
        node->type = *r->at == 'n' ? JSON_NULL : JSON_TRUE;
        r->at += 4;
    } else if (!strncmp(r->at, "false", 5)) {
        node->type = JSON_FALSE;
        r->at += 5;
    } else if (digits) {
        node->type = JSON_NUMBER;
        node->text = strndup(r->at, digits);
        r->at += digits;
    } else {
        return fail(r, "expected a value");
    }
    blanks(r);
    return node;
}

struct json *json_parse(const char *text, const char **error, int *line) {
    struct reader r = {.at = text};
    struct json *node = value(&r);
    if (node && *r.at) node = fail(&r, "something follows the value");
    *error = r.error;
    *line = 1;
    for (const char *c = text; c < r.at && *c; c++) *line += *c == '\n';
    return node;
}

struct json *json_get(const struct json *node, const char *key) {
    if (!node || node->type != JSON_OBJECT) return NULL;
    for (struct json *member = node->child; member; member = member->next)
        if (!strcmp(member->key, key)) return member;
    return NULL;
}

const char *json_text(const struct json *node) {
    return node && (node->type == JSON_STRING || node->type == JSON_NUMBER) ? node->text : NULL;
}

int json_true(const struct json *node) {
    if (!node) return 0;
    if (node->type == JSON_TRUE) return 1;
    return node->type == JSON_STRING && (!strcasecmp(node->text, "true") || !strcasecmp(node->text, "yes"));
}

struct json *json_merge(struct json *base, struct json *over) {
    if (!base || !over) return over ? over : base;
    if (base->type != over->type || (base->type != JSON_OBJECT && base->type != JSON_ARRAY)) return over;
    struct json **tail = &base->child, *item = over->child;
    if (base->type == JSON_ARRAY) {
        while (*tail) tail = &(*tail)->next;
        *tail = item;
        return base;
    }
    for (struct json *after; item; item = after) {
        after = item->next;
        for (tail = &base->child; *tail && strcmp((*tail)->key, item->key) != 0;) tail = &(*tail)->next;
        struct json *rest = *tail ? (*tail)->next : NULL;
        *tail = json_merge(*tail, item);
        (*tail)->next = rest;
    }
    return base;
}
