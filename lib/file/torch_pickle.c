/*
 * Objects are nodes in one array and refer to each other by index; a list, tuple or dict has a
 * chain of links to its elements (a dict: key, value, key, value). An opcode makes at most one node
 * and pushes one object, and each link takes one object from the stack, so that memory is bounded
 * by a multiple of the size of the pickle. What the last object names is then walked, to a limited
 * depth and for a limited number of steps, since a pickle may name one object in many places.
 */
#include "file/array_file.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum { MAX_DEPTH = 16, MAX_VISITS = 1 << 20, MAX_TENSORS = 1 << 16, MAX_NAME_BYTES = 256 };

#define NONE UINT32_MAX

typedef enum node_kind {
    NODE_OTHER, /* None, a boolean, a float: nothing of it is needed */
    NODE_MARK,
    NODE_INTEGER,
    NODE_TEXT,
    NODE_GLOBAL,
    NODE_TUPLE,
    NODE_LIST,
    NODE_DICT,
    NODE_STORAGE,
    NODE_TENSOR
} node_kind;

/* text: of a TEXT, and the name of a GLOBAL; not terminated. */
typedef struct node {
    node_kind kind;
    const char *text, *module;
    size_t length, module_length;
    int64_t integer;
    uint32_t first, last; /* links to the elements; of a STORAGE or TENSOR to its arguments */
    uint32_t n;
} node;

typedef struct link {
    uint32_t node, next;
} link;

/* An array that grows. */
typedef struct array {
    void *items;
    size_t n, capacity, item_bytes;
} array;

typedef struct machine {
    const uint8_t *begin, *at, *end;
    const char *where;
    const pluck_allocator *allocator;
    pluck_error *err;
    array nodes, links, stack, memo; /* of node, link, uint32_t, uint32_t */
} machine;

static pluck_status reserve(machine *m, array *a, size_t n)
{
    return plk_grow(m->allocator, &a->items, &a->capacity, n, a->item_bytes, m->err);
}

static node *node_at(const machine *m, uint32_t index)
{
    return (node *)m->nodes.items + index;
}

static link *link_at(const machine *m, uint32_t index)
{
    return (link *)m->links.items + index;
}

static uint32_t stack_at(const machine *m, size_t index)
{
    return ((uint32_t *)m->stack.items)[index];
}

static pluck_status fail_at(const machine *m, const char *what)
{
    return plk_fail(m->err, PLUCK_ERR_FORMAT, "%s: its pickle cannot be read; byte %td: %s",
                    m->where, m->at - m->begin, what);
}

/* The only advice there is for all that is not plain tensors. */
static pluck_status fail_object(const machine *m, const node *global)
{
    return plk_fail(m->err, PLUCK_ERR_FORMAT,
                    "%s: holds an object of %.*s.%.*s, but only plain tensors are read; save them "
                    "alone: torch.save({'logits': logits.cpu()}, FILE)",
                    m->where, (int)(global->module_length < 60 ? global->module_length : 60),
                    global->module, (int)(global->length < 60 ? global->length : 60), global->text);
}

static pluck_status push_index(machine *m, uint32_t index)
{
    pluck_status status = reserve(m, &m->stack, m->stack.n + 1);
    if (status == PLUCK_OK)
        ((uint32_t *)m->stack.items)[m->stack.n++] = index;
    return status;
}

static pluck_status push(machine *m, node made)
{
    pluck_status status = reserve(m, &m->nodes, m->nodes.n + 1);
    if (status != PLUCK_OK)
        return status;
    made.first = made.last = NONE;
    *node_at(m, (uint32_t)m->nodes.n) = made;
    return push_index(m, (uint32_t)m->nodes.n++);
}

/* The object on top of the stack; NULL: there is none, or a mark. */
static node *top(const machine *m)
{
    if (m->stack.n == 0)
        return NULL;
    node *found = node_at(m, stack_at(m, m->stack.n - 1));
    return found->kind == NODE_MARK ? NULL : found;
}

/* The n objects on top become elements of the object before them or of a new one, which is then on
 * top. */
static pluck_status gather(machine *m, size_t n, uint32_t owner)
{
    pluck_status status = reserve(m, &m->links, m->links.n + n);
    if (status != PLUCK_OK)
        return status;
    node *o = node_at(m, owner);
    for (size_t i = 0; i < n; i++) {
        uint32_t added = (uint32_t)m->links.n++;
        *link_at(m, added) = (link){stack_at(m, m->stack.n - n + i), NONE};
        if (o->last == NONE)
            o->first = added;
        else
            link_at(m, o->last)->next = added;
        o->last = added;
        o->n++;
    }
    m->stack.n -= n;
    return PLUCK_OK;
}

/* How many objects are above the last mark; false: there is none. */
static bool count_above_mark(const machine *m, size_t *n)
{
    for (*n = 0; *n < m->stack.n; ++*n)
        if (node_at(m, stack_at(m, m->stack.n - 1 - *n))->kind == NODE_MARK)
            return true;
    return false;
}

static bool has_objects(const machine *m, size_t n)
{
    size_t above = 0;
    (void)count_above_mark(m, &above);
    return above >= n;
}

static pluck_status make_tuple(machine *m, size_t n, bool has_mark)
{
    if (!has_objects(m, n))
        return fail_at(m, "a tuple of more objects than there are");
    pluck_status status = reserve(m, &m->nodes, m->nodes.n + 1);
    if (status != PLUCK_OK)
        return status;
    uint32_t made = (uint32_t)m->nodes.n++;
    *node_at(m, made) = (node){.kind = NODE_TUPLE, .first = NONE, .last = NONE};
    status = gather(m, n, made);
    m->stack.n -= has_mark;
    return status == PLUCK_OK ? push_index(m, made) : status;
}

/* n elements on top, perhaps a mark, and the list or dict below. */
static pluck_status add_elements(machine *m, node_kind kind, bool has_mark)
{
    size_t n = kind == NODE_DICT ? 2 : 1;
    if (has_mark && (!count_above_mark(m, &n) || (kind == NODE_DICT && n % 2 != 0)))
        return fail_at(m, "elements without a mark");
    if (!has_objects(m, n) || m->stack.n < n + has_mark + 1)
        return fail_at(m, "elements of nothing");
    uint32_t owner = stack_at(m, m->stack.n - n - has_mark - 1);
    if (node_at(m, owner)->kind != kind)
        return fail_at(m, "elements of what is not a list or a dict");
    pluck_status status = gather(m, n, owner);
    m->stack.n -= has_mark;
    return status;
}

static bool is_text(const char *text, size_t length, const char *expected)
{
    return length == strlen(expected) && memcmp(text, expected, length) == 0;
}

static bool is_global(const node *n, const char *module, const char *name)
{
    return n->kind == NODE_GLOBAL && is_text(n->module, n->module_length, module) &&
           is_text(n->text, n->length, name);
}

/* Element index of a tuple and so on; NULL if there is none of that kind. */
static const node *element(const machine *m, const node *owner, size_t index, node_kind kind)
{
    uint32_t at = owner->first;
    for (; index > 0 && at != NONE; index--)
        at = link_at(m, at)->next;
    if (at == NONE)
        return NULL;
    const node *found = node_at(m, link_at(m, at)->node);
    return found->kind == kind ? found : NULL;
}

/* A call of what is below the tuple of arguments on top; the result takes their place. */
static pluck_status reduce(machine *m)
{
    if (!has_objects(m, 2) || top(m)->kind != NODE_TUPLE)
        return fail_at(m, "a call without a tuple of arguments");
    const node *function = node_at(m, stack_at(m, m->stack.n - 2));
    uint32_t arguments = stack_at(m, m->stack.n - 1);
    const node *given = node_at(m, arguments);
    if (function->kind != NODE_GLOBAL)
        return fail_at(m, "a call of what is not a function");
    if (is_global(function, "collections", "OrderedDict")) {
        m->stack.n -= 2;
        return push(m, (node){.kind = NODE_DICT});
    }
    if (is_global(function, "torch._utils", "_rebuild_parameter")) {
        if (!element(m, given, 0, NODE_TENSOR))
            return fail_at(m, "a parameter without a tensor");
        uint32_t tensor = link_at(m, given->first)->node;
        m->stack.n -= 2;
        return push_index(m, tensor);
    }
    if (!is_global(function, "torch._utils", "_rebuild_tensor_v2"))
        return fail_object(m, function);
    if (!element(m, given, 0, NODE_STORAGE) || !element(m, given, 1, NODE_INTEGER) ||
        !element(m, given, 2, NODE_TUPLE) || !element(m, given, 3, NODE_TUPLE))
        return fail_at(m, "a tensor without storage, offset, size and stride");
    node made = {.kind = NODE_TENSOR};
    m->stack.n -= 2;
    pluck_status status = push(m, made);
    if (status != PLUCK_OK)
        return status;
    node *tensor = top(m);
    tensor->first = node_at(m, arguments)->first;
    return PLUCK_OK;
}

/* ('storage', class, key, place, number) on top. */
static pluck_status load_storage(machine *m)
{
    const node *id = top(m);
    const node *word = id && id->kind == NODE_TUPLE ? element(m, id, 0, NODE_TEXT) : NULL;
    if (!word || !is_text(word->text, word->length, "storage") || !element(m, id, 1, NODE_GLOBAL) ||
        !element(m, id, 2, NODE_TEXT))
        return fail_at(m, "a reference to what is not a storage");
    uint32_t first = id->first;
    m->stack.n--;
    pluck_status status = push(m, (node){.kind = NODE_STORAGE});
    if (status == PLUCK_OK)
        top(m)->first = first;
    return status;
}

static pluck_status remember(machine *m, uint64_t index)
{
    if (!top(m))
        return fail_at(m, "nothing to remember");
    /* Writers count the objects of the pickle. */
    if (index >= (uint64_t)(m->end - m->begin))
        return fail_at(m, "a place in memory that is too far");
    pluck_status status = reserve(m, &m->memo, (size_t)index + 1);
    if (status != PLUCK_OK)
        return status;
    uint32_t *places = m->memo.items;
    while (m->memo.n <= index)
        places[m->memo.n++] = NONE;
    places[index] = stack_at(m, m->stack.n - 1);
    return PLUCK_OK;
}

static bool take_bytes(machine *m, uint64_t n, const uint8_t **bytes)
{
    if ((uint64_t)(m->end - m->at) < n)
        return false;
    *bytes = m->at;
    m->at += n;
    return true;
}

/* A little-endian number of n bytes. */
static bool take_number(machine *m, unsigned n, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    *value = 0;
    if (!take_bytes(m, n, &bytes))
        return false;
    *value = plk_read_little(bytes, n);
    return true;
}

static bool take_line(machine *m, const char **text, size_t *length)
{
    const uint8_t *newline = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (!newline)
        return false;
    *text = (const char *)m->at;
    *length = (size_t)(newline - m->at);
    m->at = newline + 1;
    return true;
}

/* The module and the name, each on a line. */
static pluck_status load_global(machine *m)
{
    node made = {.kind = NODE_GLOBAL};
    if (!take_line(m, &made.module, &made.module_length) || !take_line(m, &made.text, &made.length))
        return fail_at(m, "truncated");
    return push(m, made);
}

/* Module and name on top, as texts. */
static pluck_status load_stack_global(machine *m)
{
    if (!has_objects(m, 2))
        return fail_at(m, "a name without its module");
    const node *name = node_at(m, stack_at(m, m->stack.n - 1));
    const node *module = node_at(m, stack_at(m, m->stack.n - 2));
    if (name->kind != NODE_TEXT || module->kind != NODE_TEXT)
        return fail_at(m, "a name that is not text");
    node made = {.kind = NODE_GLOBAL,
                 .text = name->text,
                 .length = name->length,
                 .module = module->text,
                 .module_length = module->length};
    m->stack.n -= 2;
    return push(m, made);
}

static pluck_status push_integer(machine *m, int64_t value)
{
    return push(m, (node){.kind = NODE_INTEGER, .integer = value});
}

/* A number of n bytes, the length of a text that follows. */
static pluck_status load_text(machine *m, unsigned n)
{
    uint64_t length = 0;
    const uint8_t *bytes = NULL;
    if (!take_number(m, n, &length) || !take_bytes(m, length, &bytes))
        return fail_at(m, "truncated");
    return push(m,
                (node){.kind = NODE_TEXT, .text = (const char *)bytes, .length = (size_t)length});
}

/* An integer in two's complement of up to 8 bytes. */
static pluck_status load_long(machine *m)
{
    uint64_t n = 0, value = 0;
    if (!take_number(m, 1, &n) || n > 8 || !take_number(m, (unsigned)n, &value))
        return fail_at(m, n > 8 ? "an integer of more than 8 bytes" : "truncated");
    if (n > 0 && n < 8 && value >> (8 * n - 1) != 0)
        value |= UINT64_MAX << (8 * n);
    int64_t result;
    memcpy(&result, &value, sizeof result);
    return push_integer(m, result);
}

/* Opcodes whose operand is a number. */
static pluck_status run_number(machine *m, uint8_t opcode)
{
    static const struct {
        uint8_t opcode, n_bytes;
    } sizes[] = {{'K', 1}, {'M', 2}, {'J', 4}, {'q', 1},  {'r', 4},
                 {'h', 1}, {'j', 4}, {'G', 8}, {0x80, 1}, {0x95, 8}};
    uint64_t value = 0;
    unsigned n_bytes = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        n_bytes = sizes[i].opcode == opcode ? sizes[i].n_bytes : n_bytes;
    if (!take_number(m, n_bytes, &value))
        return fail_at(m, "truncated");
    switch (opcode) {
    case 'K': /* BININT1 */
    case 'M': /* BININT2 */
        return push_integer(m, (int64_t)value);
    case 'J': /* BININT, signed */
        return push_integer(m, value < 1u << 31 ? (int64_t)value : (int64_t)value - (1LL << 32));
    case 'q': /* BINPUT, LONG_BINPUT */
    case 'r':
        return remember(m, value);
    case 'h': /* BINGET, LONG_BINGET */
    case 'j':
        if (value >= m->memo.n || ((uint32_t *)m->memo.items)[value] == NONE)
            return fail_at(m, "a place in memory that is empty");
        return push_index(m, ((uint32_t *)m->memo.items)[value]);
    case 'G': /* BINFLOAT */
        return push(m, (node){.kind = NODE_OTHER});
    case 0x80: /* PROTO */
        return value <= 5 ? PLUCK_OK : fail_at(m, "a pickle of a protocol above 5");
    default: /* FRAME: how many bytes can be read at once */
        return PLUCK_OK;
    }
}

/* Opcodes without an operand, and those that take text. */
static pluck_status run_other(machine *m, uint8_t opcode)
{
    size_t n = 0;
    switch (opcode) {
    case '(': /* MARK */
        return push(m, (node){.kind = NODE_MARK});
    case 't': /* TUPLE */
        return count_above_mark(m, &n) ? make_tuple(m, n, true) : fail_at(m, "no mark");
    case ')': /* EMPTY_TUPLE */
        return make_tuple(m, 0, false);
    case 0x85: /* TUPLE1, TUPLE2, TUPLE3 */
    case 0x86:
    case 0x87:
        return make_tuple(m, opcode - 0x84u, false);
    case ']': /* EMPTY_LIST */
        return push(m, (node){.kind = NODE_LIST});
    case '}': /* EMPTY_DICT */
        return push(m, (node){.kind = NODE_DICT});
    case 'a': /* APPEND, APPENDS */
    case 'e':
        return add_elements(m, NODE_LIST, opcode == 'e');
    case 's': /* SETITEM, SETITEMS */
    case 'u':
        return add_elements(m, NODE_DICT, opcode == 'u');
    case 'N': /* NONE, NEWTRUE, NEWFALSE */
    case 0x88:
    case 0x89:
        return push(m, (node){.kind = NODE_OTHER});
    case 'X': /* BINUNICODE, SHORT_BINUNICODE, SHORT_BINSTRING */
        return load_text(m, 4);
    case 0x8C:
    case 'U':
        return load_text(m, 1);
    case 0x8A: /* LONG1 */
        return load_long(m);
    case 'c': /* GLOBAL, STACK_GLOBAL */
        return load_global(m);
    case 0x93:
        return load_stack_global(m);
    case 'Q': /* BINPERSID */
        return load_storage(m);
    case 'R': /* REDUCE */
        return reduce(m);
    case 0x94: /* MEMOIZE */
        return remember(m, m->memo.n);
    case 'b': /* BUILD: the attributes of an OrderedDict */
        if (!has_objects(m, 2) || node_at(m, stack_at(m, m->stack.n - 2))->kind != NODE_DICT)
            return fail_at(m, "attributes of what is not a dict");
        m->stack.n--;
        return PLUCK_OK;
    default:
        return fail_at(m, "an operation that no file of plain tensors has");
    }
}

/* Runs to STOP; *result is what is on the stack then. */
static pluck_status run(machine *m, uint32_t *result)
{
    while (m->at < m->end) {
        uint8_t opcode = *m->at++;
        if (opcode == '.') {
            if (m->stack.n != 1 || !top(m))
                return fail_at(m, "ends with more or less than one object");
            *result = stack_at(m, 0);
            return PLUCK_OK;
        }
        /* NEWOBJ: an object of a class that is below its arguments. */
        if (opcode == 0x81 && has_objects(m, 2) &&
            node_at(m, stack_at(m, m->stack.n - 2))->kind == NODE_GLOBAL)
            return fail_object(m, node_at(m, stack_at(m, m->stack.n - 2)));
        bool has_number = memchr("KMJqrhjG\x80\x95", opcode, 10) != NULL;
        pluck_status status = has_number ? run_number(m, opcode) : run_other(m, opcode);
        if (status != PLUCK_OK)
            return status;
    }
    return fail_at(m, "truncated");
}

/* The walk over what was named. */
typedef struct walk {
    machine *m;
    plk_torch_tensors *tensors;
    char name[MAX_NAME_BYTES];
    uint32_t n_visits;
} walk;

/* Sizes or strides of a tensor. */
static bool take_axes(const machine *m, const node *tuple, uint64_t axes[PLK_MAX_AXES])
{
    if (tuple->n > PLK_MAX_AXES)
        return false;
    for (uint32_t i = 0; i < tuple->n; i++) {
        const node *axis = element(m, tuple, i, NODE_INTEGER);
        if (!axis || axis->integer < 0)
            return false;
        axes[i] = (uint64_t)axis->integer;
    }
    return true;
}

static bool is_contiguous(const plk_shape *shape, const uint64_t *strides)
{
    uint64_t expected = 1;
    for (size_t i = shape->n_axes; i-- > 0;) {
        if (shape->axes[i] != 1 && strides[i] != expected)
            return false;
        if (!plk_mul_u64(expected, shape->axes[i], &expected))
            return false;
    }
    return true;
}

static pluck_status add_tensor(walk *w, const node *tensor)
{
    machine *m = w->m;
    plk_torch_tensors *list = w->tensors;
    const node *storage = element(m, tensor, 0, NODE_STORAGE);
    const node *offset = element(m, tensor, 1, NODE_INTEGER);
    const node *size = element(m, tensor, 2, NODE_TUPLE),
               *stride = element(m, tensor, 3, NODE_TUPLE);
    const node *type = element(m, storage, 1, NODE_GLOBAL);
    const node *key = element(m, storage, 2, NODE_TEXT);
    uint64_t strides[PLK_MAX_AXES];
    plk_torch_tensor made = {.storage = type->text,
                             .storage_length = type->length,
                             .key = key->text,
                             .key_length = key->length,
                             .offset = (uint64_t)offset->integer,
                             .shape = {.n_axes = size->n}};
    if (offset->integer < 0 || size->n != stride->n || !take_axes(m, size, made.shape.axes) ||
        !take_axes(m, stride, strides))
        return fail_at(m, "a tensor of impossible sizes");
    made.is_contiguous = is_contiguous(&made.shape, strides);
    if (list->n == MAX_TENSORS)
        return fail_at(m, "more than 65536 tensors");
    pluck_status status = plk_grow(m->allocator, &list->items, &list->capacity, list->n + 1,
                                   sizeof *list->items, m->err);
    if (status != PLUCK_OK)
        return status;
    const char *name = w->name[0] != '\0' ? w->name : "tensor";
    made.name = plk_copy(m->allocator, name, strlen(name) + 1);
    if (!made.name)
        return plk_fail_nomem(m->err, strlen(name) + 1);
    list->items[list->n++] = made;
    return PLUCK_OK;
}

/* Appends ".key" or ".3" to the name; returns its length before. A name that is too long is cut. */
static size_t extend_name(walk *w, const node *key, uint32_t number)
{
    size_t before = strlen(w->name);
    const char *dot = before > 0 ? "." : "";
    if (key && key->kind == NODE_TEXT)
        (void)snprintf(w->name + before, sizeof w->name - before, "%s%.*s", dot,
                       (int)(key->length < MAX_NAME_BYTES ? key->length : MAX_NAME_BYTES),
                       key->text);
    else
        (void)snprintf(w->name + before, sizeof w->name - before, "%s%u", dot,
                       (unsigned)(key && key->kind == NODE_INTEGER ? key->integer : number));
    return before;
}

static pluck_status visit(walk *w, const node *object, unsigned depth)
{
    if (++w->n_visits > MAX_VISITS || depth > MAX_DEPTH)
        return fail_at(w->m, "tensors in more than 16 levels of lists and dicts");
    if (object->kind == NODE_TENSOR)
        return add_tensor(w, object);
    if (object->kind != NODE_LIST && object->kind != NODE_TUPLE && object->kind != NODE_DICT)
        return PLUCK_OK;
    uint32_t number = 0;
    for (uint32_t at = object->first; at != NONE; number++) {
        const node *value = node_at(w->m, link_at(w->m, at)->node), *key = NULL;
        at = link_at(w->m, at)->next;
        if (object->kind == NODE_DICT) {
            key = value;
            value = node_at(w->m, link_at(w->m, at)->node);
            at = link_at(w->m, at)->next;
        }
        size_t before = extend_name(w, key, number);
        pluck_status status = visit(w, value, depth + 1);
        w->name[before] = '\0';
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

pluck_status plk_torch_pickle_read(plk_torch_tensors *tensors, const uint8_t *bytes,
                                   size_t size_bytes, const char *where,
                                   const pluck_allocator *allocator, pluck_error *err)
{
    machine m = {.begin = bytes,
                 .at = bytes,
                 .end = bytes + size_bytes,
                 .where = where,
                 .allocator = allocator,
                 .err = err,
                 .nodes = {.item_bytes = sizeof(node)},
                 .links = {.item_bytes = sizeof(link)},
                 .stack = {.item_bytes = sizeof(uint32_t)},
                 .memo = {.item_bytes = sizeof(uint32_t)}};
    uint32_t root = 0;
    *tensors = (plk_torch_tensors){.allocator = *allocator};
    pluck_status status = run(&m, &root);
    if (status == PLUCK_OK) {
        walk w = {.m = &m, .tensors = tensors};
        status = visit(&w, node_at(&m, root), 0);
    }
    plk_free(allocator, m.nodes.items);
    plk_free(allocator, m.links.items);
    plk_free(allocator, m.stack.items);
    plk_free(allocator, m.memo.items);
    if (status != PLUCK_OK)
        plk_torch_tensors_free(tensors);
    return status;
}

void plk_torch_tensors_free(plk_torch_tensors *tensors)
{
    for (size_t i = 0; i < tensors->n; i++)
        plk_free(&tensors->allocator, tensors->items[i].name);
    plk_free(&tensors->allocator, tensors->items);
    tensors->items = NULL;
    tensors->n = tensors->capacity = 0;
}
