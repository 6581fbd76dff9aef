/*
 * Nodes of cJSON: the one file that knows of it. valueint of a node is where its value stands.
 *
 * A program may hold a second cJSON, of another version or changed by its owner, and then the
 * linker decides whose functions this library calls. Reading a member of the struct at the offset
 * of the wrong header is a crash, or worse, a wrong value without one. So cJSON's own functions
 * first build a few nodes, and what is found at our offsets must be what these functions returned
 * or were given. Those are comparisons of bytes: nothing that was read at our offsets is followed.
 * The nodes are freed by cJSON itself, which knows its own layout. A private cJSON, compiled into
 * the library under other names (-Djson=private), needs none of this.
 */
#ifndef PLK_WITHOUT_JSON
#    include "json/nodes.h"

#    include <cjson/cJSON.h>
#    include <stdio.h>
#    include <string.h>

#    ifdef PLK_CJSON_IS_PRIVATE
pluck_status plk_nodes_check(pluck_error *err)
{
    (void)err;
    return PLUCK_OK;
}
#    else
typedef struct probe {
    cJSON *object, *array, *number, *string;
} probe;

static const char text_given[] = "text", key_given[] = "key";
static const double number_given = 1234567.75;

static pluck_status fail_other(pluck_error *err, const char *what)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "cJSON: the program was linked with a cJSON of %s; link the one that pluck was "
                    "built with (%d.%d)",
                    what, CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR);
}

/* {"key": [number, string]}; false, and nothing held, if memory is short. What the functions that
 * add return is not looked at: up to 1.7.12 they return nothing. */
static bool build_probe(probe *p)
{
    p->object = cJSON_CreateObject();
    p->array = cJSON_CreateArray();
    p->number = cJSON_CreateNumber(number_given);
    p->string = cJSON_CreateStringReference(text_given);
    if (!p->object || !p->array || !p->number || !p->string) {
        cJSON_Delete(p->object);
        cJSON_Delete(p->array);
        cJSON_Delete(p->number);
        cJSON_Delete(p->string);
        return false;
    }
    (void)cJSON_AddItemToArray(p->array, p->number);
    (void)cJSON_AddItemToArray(p->array, p->string);
    (void)cJSON_AddItemToObjectCS(p->object, key_given, p->array);
    return true;
}

static bool is_type(const cJSON *node, int type)
{
    return (node->type & 0xFF) == type;
}

/* Members in the order of their offsets, so that a struct that is too short is read as little
 * beyond its end as possible. */
static bool is_same_layout(const probe *p)
{
    if (p->object->next || p->array->next || p->number->next != p->string || p->string->next)
        return false;
    if (p->string->prev != p->number || p->object->child != p->array ||
        p->array->child != p->number || p->number->child || p->string->child)
        return false;
    if (!is_type(p->object, cJSON_Object) || !is_type(p->array, cJSON_Array) ||
        !is_type(p->number, cJSON_Number) || !is_type(p->string, cJSON_String))
        return false;
    if (p->string->valuestring != text_given || p->number->valuestring || p->array->valuestring)
        return false;
    return p->number->valueint == (int)number_given &&
           memcmp(&p->number->valuedouble, &number_given, sizeof number_given) == 0 &&
           p->array->string == key_given && !p->object->string && !p->number->string;
}

pluck_status plk_nodes_check(pluck_error *err)
{
    const char *version = cJSON_Version();
    char expected[32]; /* "1.7.15" begins with "1.7." */
    (void)snprintf(expected, sizeof expected, "%d.%d.", CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR);
    if (!version || strncmp(version, expected, strlen(expected)) != 0) {
        char what[48];
        (void)snprintf(what, sizeof what, "version %.16s", version ? version : "unknown");
        return fail_other(err, what);
    }
    probe p;
    if (!build_probe(&p))
        return plk_fail_nomem(err, 4 * sizeof(cJSON));
    pluck_status status = is_same_layout(&p) ? PLUCK_OK : fail_other(err, "another layout");
    cJSON_Delete(p.object);
    return status;
}
#    endif

pluck_status plk_json_available(pluck_error *err)
{
    (void)err;
    return PLUCK_OK;
}

static const cJSON *inner(const plk_json_node *node)
{
    return (const cJSON *)node;
}

static const plk_json_node *outer(const cJSON *node)
{
    return (const plk_json_node *)node;
}

static cJSON *create(plk_json_kind kind, const char *string, double number)
{
    switch (kind) {
    case PLK_JSON_OBJECT:
        return cJSON_CreateObject();
    case PLK_JSON_ARRAY:
        return cJSON_CreateArray();
    case PLK_JSON_STRING:
        return cJSON_CreateStringReference(string);
    case PLK_JSON_NUMBER:
        return cJSON_CreateNumber(number);
    case PLK_JSON_NULL:
        return cJSON_CreateNull();
    default:
        return cJSON_CreateBool(kind == PLK_JSON_TRUE);
    }
}

plk_json_node *plk_node_create(plk_json_kind kind, const char *string, double number, size_t at)
{
    cJSON *node = create(kind, string, number);
    if (node)
        node->valueint = (int)at;
    return (plk_json_node *)node;
}

void plk_node_add(plk_json_node *parent, const char *key, plk_json_node *node)
{
    cJSON *to = (cJSON *)parent;
    if (cJSON_IsObject(to))
        (void)cJSON_AddItemToObjectCS(to, key, (cJSON *)node);
    else
        (void)cJSON_AddItemToArray(to, (cJSON *)node);
}

void plk_node_destroy(plk_json_node *root)
{
    cJSON_Delete((cJSON *)root);
}

size_t plk_node_at(const plk_json_node *node)
{
    return (size_t)inner(node)->valueint;
}

plk_json_kind plk_json_kind_of(const plk_json_node *node)
{
    switch (inner(node)->type & 0xFF) {
    case cJSON_Number:
        return PLK_JSON_NUMBER;
    case cJSON_String:
        return PLK_JSON_STRING;
    case cJSON_Array:
        return PLK_JSON_ARRAY;
    case cJSON_Object:
        return PLK_JSON_OBJECT;
    case cJSON_NULL:
        return PLK_JSON_NULL;
    default:
        return cJSON_IsTrue(inner(node)) ? PLK_JSON_TRUE : PLK_JSON_FALSE;
    }
}

const plk_json_node *plk_json_child(const plk_json_node *node)
{
    return node ? outer(inner(node)->child) : NULL;
}

const plk_json_node *plk_json_sibling(const plk_json_node *node)
{
    return outer(inner(node)->next);
}

const char *plk_json_key(const plk_json_node *node)
{
    return inner(node)->string;
}

const char *plk_json_string(const plk_json_node *node)
{
    return plk_json_is(node, PLK_JSON_STRING) ? inner(node)->valuestring : NULL;
}

double plk_json_number(const plk_json_node *node)
{
    return inner(node)->valuedouble;
}
#endif
