/* Numbers end where a separator begins, so that a position of a bad one is where it starts. */
#include "numbers.h"
#include "message.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char separators[] = " \t\r\n\v\f,[]";

/* What strtod() takes for a number, but in decimal. */
static bool starts_well(const char *text)
{
    return !strchr(separators, *text) && text[strcspn(text, "xX")] == '\0';
}

bool parse_double(const char *text, double *value)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number) || !starts_well(text))
        return false;
    *value = number;
    return true;
}

bool parse_float(const char *text, float *value, const char **problem)
{
    char *end;
    double number = strtod(text, &end);
    *problem = NULL;
    if (end == text || *end != '\0' || !starts_well(text))
        *problem = "is not a number";
    else if (isnan(number) || (isinf(number) && number > 0))
        *problem = "must be finite or -inf";
    else if (!isinf(number) && fabs(number) > (double)FLT_MAX)
        *problem = "is beyond the range of a float";
    else if (isinf(number) && strpbrk(text, "0123456789"))
        *problem = "is beyond the range of a float";
    if (!(*problem))
        *value = (float)number;
    return !(*problem);
}

bool numbers_add(number_list *list, float value)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
        float *larger = realloc(list->values, capacity * sizeof *larger);
        if (!larger)
            return false;
        list->values = larger;
        list->capacity = capacity;
    }
    list->values[list->n++] = value;
    return true;
}

void numbers_free(number_list *list)
{
    free(list->values);
    *list = (number_list){NULL, 0, 0};
}

int numbers_parse(number_list *list, const char *who, const char *text, bool whole, size_t *line,
                  const char **end)
{
    const char *line_start = text;
    while (*text != '\0') {
        if (*text == '\n' && !whole)
            break;
        if (*text == '\n') {
            line_start = text + 1;
            ++*line;
        }
        if (strchr(separators, *text)) {
            text++;
            continue;
        }
        char word[64] = "";
        size_t n = strcspn(text, separators);
        strncat(word, text, n < sizeof word - 1 ? n : sizeof word - 1);
        float value = 0;
        const char *problem = "is not a number";
        if (n >= sizeof word || !parse_float(word, &value, &problem))
            return complain(who, EXIT_DATA, "standard input: line %zu, column %zu: '%s' %s", *line,
                            (size_t)(text - line_start) + 1, word, problem);
        if (!numbers_add(list, value))
            return complain_memory(who);
        text += n;
    }
    *end = text;
    return EXIT_DONE;
}
