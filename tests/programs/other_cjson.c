/*
 * A stand-in for another cJSON, as somebody's program may hold one: it has the functions that
 * libpluck calls, and a struct of its own layout. It counts the nodes that it makes.
 *
 * OTHER_VERSION: what cJSON_Version() says. OTHER_FRONT, OTHER_MIDDLE: a member more at this place.
 * OTHER_SHORT: without valueint. OTHER_TYPES: the numbers of types from before 1.0. None: the
 * layout of the cJSON in use, which must be accepted.
 */
#include <stdlib.h>
#include <string.h>

#ifndef OTHER_VERSION
#    define OTHER_VERSION "1.7.99"
#endif

#ifdef OTHER_TYPES
enum { FALSE = 0, TRUE = 1, NOTHING = 2, NUMBER = 3, STRING = 4, ARRAY = 5, OBJECT = 6 };
#else
enum {
    FALSE = 1,
    TRUE = 1 << 1,
    NOTHING = 1 << 2,
    NUMBER = 1 << 3,
    STRING = 1 << 4,
    ARRAY = 1 << 5,
    OBJECT = 1 << 6
};
#endif
enum { IS_REFERENCE = 256, KEY_IS_CONST = 512 };

typedef struct node {
#ifdef OTHER_FRONT
    void *user;
#endif
    struct node *next, *prev, *child;
    int type;
    char *text;
#ifndef OTHER_SHORT
    int whole;
#endif
#ifdef OTHER_MIDDLE
    size_t line;
#endif
    double number;
    char *key;
} node;

/* What libpluck calls: visible also where the build hides what is not API. */
#pragma GCC visibility push(default)
const char *cJSON_Version(void);
node *cJSON_CreateObject(void);
node *cJSON_CreateArray(void);
node *cJSON_CreateNumber(double number);
node *cJSON_CreateStringReference(const char *text);
int cJSON_AddItemToArray(node *array, node *item);
int cJSON_AddItemToObjectCS(node *object, const char *key, node *item);
void cJSON_Delete(node *item);
node *cJSON_CreateNull(void);
node *cJSON_CreateBool(int is_true);
unsigned other_cjson_nodes(void);
#pragma GCC visibility pop

const char *cJSON_Version(void)
{
    return OTHER_VERSION;
}

static unsigned n_nodes;

unsigned other_cjson_nodes(void)
{
    return n_nodes;
}

static node *create(int type)
{
    n_nodes++;
    node *item = calloc(1, sizeof *item);
    if (item)
        item->type = type;
    return item;
}

node *cJSON_CreateObject(void)
{
    return create(OBJECT);
}

node *cJSON_CreateArray(void)
{
    return create(ARRAY);
}

node *cJSON_CreateNumber(double number)
{
    node *item = create(NUMBER);
    if (item) {
        item->number = number;
#ifndef OTHER_SHORT
        item->whole = (int)number;
#endif
    }
    return item;
}

node *cJSON_CreateStringReference(const char *text)
{
    node *item = create(STRING | IS_REFERENCE);
    if (item)
        memcpy(&item->text, &text, sizeof text);
    return item;
}

int cJSON_AddItemToArray(node *array, node *item)
{
    node **end = &array->child, *prev = NULL;
    for (; *end; end = &(*end)->next)
        prev = *end;
    *end = item;
    item->prev = prev;
    return 1;
}

int cJSON_AddItemToObjectCS(node *object, const char *key, node *item)
{
    memcpy(&item->key, &key, sizeof key);
    item->type |= KEY_IS_CONST;
    return cJSON_AddItemToArray(object, item);
}

void cJSON_Delete(node *item)
{
    while (item) {
        node *next = item->next;
        cJSON_Delete(item->child);
        free(item);
        item = next;
    }
}

node *cJSON_CreateNull(void)
{
    return create(NOTHING);
}

node *cJSON_CreateBool(int is_true)
{
    return create(is_true ? TRUE : FALSE);
}
