/*
 * Nearest by edit distance, within what plk_is_near() allows; a name cut short ("temp") counts as
 * one slip whatever is missing. Of equally near names the first one offered wins.
 */
#include "config/nearest_name.h"

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MIN_PREFIX = 3 };

plk_suggestion plk_suggest(const char *typed)
{
    return (plk_suggestion){typed, NULL, SIZE_MAX};
}

void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning)
{
    size_t length = strlen(suggestion->typed);
    size_t distance = plk_edit_distance(suggestion->typed, name);
    if (distance > 1 && length >= MIN_PREFIX && strncmp(name, suggestion->typed, length) == 0)
        distance = 1;
    if (distance < suggestion->distance && plk_is_near(distance, name)) {
        suggestion->distance = distance;
        suggestion->best = meaning ? meaning : name;
    }
}

void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES])
{
    text[0] = '\0';
    if (suggestion->best)
        snprintf(text, PLK_SUGGESTION_BYTES, "; did you mean '%.63s'?", suggestion->best);
}
