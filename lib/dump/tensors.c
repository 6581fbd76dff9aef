/*
 * Names are compared as bytes. A number at the end of a name splits it into a stem and a number, so
 * that "scores.9" comes before "scores.10" wherever they stand in the file.
 */
#include "dump/tensors.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

enum { LIST_BYTES = 128, NAME_BYTES = 64, FIRST_TENSORS = 8, MAX_DIGITS = 9 };

plk_tensor *plk_tensors_add(plk_tensors *tensors, pluck_error *err)
{
    if (tensors->n == tensors->capacity) {
        size_t capacity = tensors->capacity > 0 ? 2 * tensors->capacity : FIRST_TENSORS;
        plk_tensor *items = plk_alloc(&tensors->allocator, capacity, sizeof *items);
        if (!items) {
            (void)plk_fail_nomem(err, capacity * sizeof *items);
            return NULL;
        }
        if (tensors->n > 0)
            memcpy(items, tensors->items, tensors->n * sizeof *items);
        plk_free(&tensors->allocator, tensors->items);
        tensors->items = items;
        tensors->capacity = capacity;
    }
    plk_tensor *added = &tensors->items[tensors->n++];
    memset(added, 0, sizeof *added);
    return added;
}

void plk_tensors_free(plk_tensors *tensors)
{
    plk_free(&tensors->allocator, tensors->items);
    plk_free(&tensors->allocator, tensors->names);
    tensors->items = NULL;
    tensors->names = NULL;
    tensors->n = tensors->capacity = 0;
}

static bool is_named(const plk_tensor *tensor, const char *name)
{
    return tensor->name_length == strlen(name) &&
           memcmp(tensor->name, name, tensor->name_length) == 0;
}

/* 2 for two axes or more, 1 for one, 0 for what cannot be rows of logits. */
static int rank(const plk_tensor *tensor)
{
    if (tensor->kind != PLK_TENSOR_FLOATS || tensor->shape.n_axes == 0)
        return 0;
    return tensor->shape.n_axes == 1 ? 1 : 2;
}

/* "'a', 'b', ..." of the tensors of at least that rank. */
static const char *list_names(const plk_tensors *tensors, int least, char text[LIST_BYTES])
{
    static const char cut[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tensors->n; i++) {
        size_t length = tensors->items[i].name_length, before = used > 0 ? 2 : 0;
        if (rank(&tensors->items[i]) < least)
            continue;
        if (length > LIST_BYTES || used + before + length + 2 + sizeof cut > LIST_BYTES) {
            memcpy(text + used, used != 0 ? cut : cut + 2, used != 0 ? sizeof cut : sizeof cut - 2);
            return text;
        }
        memcpy(text + used, ", ", before);
        used += before;
        text[used++] = '\'';
        memcpy(text + used, tensors->items[i].name, length);
        used += length;
        memcpy(text + used, "'", 2);
        used++;
    }
    return used != 0 ? text : "none";
}

/* The number at the end of a name; false: there is none. *stem: what stands before it. */
static bool split_name(const plk_tensor *tensor, size_t *stem, uint32_t *number)
{
    size_t begin = tensor->name_length;
    while (begin > 0 && tensor->name[begin - 1] >= '0' && tensor->name[begin - 1] <= '9')
        begin--;
    size_t n_digits = tensor->name_length - begin;
    if (n_digits == 0 || n_digits > MAX_DIGITS)
        return false;
    *stem = begin;
    *number = 0;
    for (size_t i = begin; i < tensor->name_length; i++)
        *number = 10 * *number + (uint32_t)(tensor->name[i] - '0');
    return true;
}

static bool is_alike(const plk_tensor *a, const plk_tensor *b, size_t stem)
{
    return memcmp(a->name, b->name, stem) == 0 && a->floats.type == b->floats.type &&
           a->floats.swapped == b->floats.swapped && a->shape.n_axes == b->shape.n_axes &&
           memcmp(a->shape.axes, b->shape.axes, a->shape.n_axes * sizeof *a->shape.axes) == 0;
}

/* Puts the index of each of n numbered tensors at the place of its number; false: they are not
 * alike, or the numbers have gaps. */
static bool order_group(const plk_tensors *tensors, const size_t *found, size_t n, size_t *parts)
{
    size_t stem = 0, other = 0;
    uint32_t number = 0, least = UINT32_MAX;
    const plk_tensor *first = &tensors->items[found[0]];
    for (size_t i = 0; i < n; i++) {
        const plk_tensor *tensor = &tensors->items[found[i]];
        if (!split_name(tensor, &other, &number) || (i > 0 && other != stem))
            return false;
        stem = other;
        if (!is_alike(first, tensor, stem))
            return false;
        least = number < least ? number : least;
        parts[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < n && least <= 1; i++) {
        (void)split_name(&tensors->items[found[i]], &other, &number);
        if (number - least >= n || parts[number - least] != SIZE_MAX)
            return false;
        parts[number - least] = found[i];
    }
    return least <= 1;
}

static pluck_status fail_no_name(const plk_tensors *tensors, const char *name, pluck_error *err)
{
    char near[NAME_BYTES] = "", other[NAME_BYTES], names[LIST_BYTES];
    size_t least = SIZE_MAX;
    plk_suggestion nearest = plk_suggest(name);
    for (size_t i = 0; i < tensors->n; i++) {
        (void)snprintf(other, sizeof other, "%.*s", (int)tensors->items[i].name_length,
                       tensors->items[i].name);
        plk_suggest_offer(&nearest, other, near);
        if (nearest.best && nearest.distance < least) {
            least = nearest.distance;
            memcpy(near, other, sizeof near);
        }
    }
    if (nearest.best)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: has no %s '%.64s', did you mean '%s'?",
                        tensors->where, tensors->noun, name, near);
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: has no %s '%.40s'; it has %s", tensors->where,
                    tensors->noun, name, list_names(tensors, 0, names));
}

/* Whether the name is wanted, perhaps a '.', '_', '-' or '/', and a number. */
static bool is_numbered(const plk_tensor *tensor, const char *wanted)
{
    size_t stem = 0, length = strlen(wanted);
    uint32_t number = 0;
    if (!split_name(tensor, &stem, &number) || stem < length || stem > length + 1 ||
        memcmp(tensor->name, wanted, length) != 0)
        return false;
    return stem == length || strchr("._-/", tensor->name[length]);
}

/* What may be meant: the tensors of a rank, or those that wanted and a number name. */
static size_t find_all(const plk_tensors *tensors, const char *wanted, int wanted_rank,
                       size_t *found)
{
    size_t n = 0;
    for (size_t i = 0; i < tensors->n; i++) {
        const plk_tensor *tensor = &tensors->items[i];
        if (wanted ? rank(tensor) > 0 && is_numbered(tensor, wanted) : rank(tensor) == wanted_rank)
            found[n++] = i;
    }
    return n;
}

/* Steps under a name that says what they are, among other tensors. */
static bool find_known_group(const plk_tensors *tensors, size_t *found, size_t *parts,
                             size_t *n_parts)
{
    static const char *const stems[] = {"logits", "scores"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        *n_parts = find_all(tensors, stems[i], 0, found);
        if (*n_parts > 0 && order_group(tensors, found, *n_parts, parts))
            return true;
    }
    return false;
}

/* *n_parts = 0: none. */
static pluck_status choose(const plk_tensors *tensors, const char *wanted, size_t *found,
                           size_t *parts, size_t *n_parts, pluck_error *err)
{
    char names[LIST_BYTES];
    const char *exact = wanted ? wanted : "logits";
    *n_parts = 1;
    for (size_t i = 0; i < tensors->n; i++) {
        parts[0] = i;
        if (is_named(&tensors->items[i], exact) && (wanted || rank(&tensors->items[i]) > 0))
            return PLUCK_OK;
    }
    for (int wanted_rank = 2; wanted_rank >= 1; wanted_rank--) {
        size_t n = find_all(tensors, wanted, wanted_rank, found);
        if (n == 0)
            continue;
        parts[0] = found[0];
        if (n == 1)
            return PLUCK_OK;
        *n_parts = n;
        if (order_group(tensors, found, n, parts) ||
            (!wanted && find_known_group(tensors, found, parts, n_parts)))
            return PLUCK_OK;
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: has %zu %ss that may be logits, name one of them with --tensor: %s",
                        tensors->where, n, tensors->noun, list_names(tensors, wanted_rank, names));
    }
    *n_parts = 0;
    return PLUCK_OK;
}

pluck_status plk_tensors_choose(const plk_tensors *tensors, const char *wanted, size_t **parts,
                                size_t *n_parts, pluck_error *err)
{
    char names[LIST_BYTES];
    size_t *found = plk_alloc(&tensors->allocator, 2 * tensors->n, sizeof *found);
    *parts = NULL;
    if (!found)
        return plk_fail_nomem(err, 2 * tensors->n * sizeof *found);
    /* The first half of the memory is what is given. */
    pluck_status status = choose(tensors, wanted, found + tensors->n, found, n_parts, err);
    if (status == PLUCK_OK && *n_parts == 0)
        status = wanted ? fail_no_name(tensors, wanted, err)
                        : plk_fail(err, PLUCK_ERR_FORMAT,
                                   "%s: has no %s of floats with an axis; it has %s",
                                   tensors->where, tensors->noun, list_names(tensors, 0, names));
    if (status != PLUCK_OK)
        plk_free(&tensors->allocator, found);
    else
        *parts = found;
    return status;
}

const plk_tensor *plk_tensors_targets(const plk_tensors *tensors)
{
    static const char *const known[] = {"targets", "target"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (size_t i = 0; i < tensors->n; i++)
            if (tensors->items[i].kind == PLK_TENSOR_INTEGERS &&
                is_named(&tensors->items[i], known[k]))
                return &tensors->items[i];
    return NULL;
}
