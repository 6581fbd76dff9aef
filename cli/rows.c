/* Half-open ranges; a negative number counts from the end, which must be known. */
#include "rows.h"
#include "options.h"

#include <pluck/dump.h>
#include <string.h>

/* Parses text[0] .. text[n - 1]; an empty one has no number. */
static bool parse_bound(const char *text, size_t n, bool *has, int64_t *value)
{
    char digits[24] = "";
    uint64_t magnitude = 0;
    bool is_negative = n > 0 && text[0] == '-';
    *has = n > 0;
    if (n == 0)
        return true;
    if (n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    if (!parse_count(digits + is_negative, 0, INT64_MAX, &magnitude))
        return false;
    *value = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

bool rows_parse(const char *text, row_range *range)
{
    *range = (row_range){0};
    if (!text)
        return true;
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    range->is_single = !colon;
    if (!parse_bound(text, n, &range->has_first, &range->first))
        return false;
    if (!colon)
        return range->has_first;
    return parse_bound(colon + 1, strlen(colon + 1), &range->has_end, &range->end);
}

/* The row that value means among n_rows; one before the first becomes 0. */
static uint64_t from_end(int64_t value, uint64_t n_rows)
{
    if (value >= 0)
        return (uint64_t)value;
    uint64_t back = (uint64_t)-value;
    return back < n_rows ? n_rows - back : 0;
}

int rows_resolve(const row_range *range, uint64_t n_rows, const char *who, const char *path,
                 uint64_t *first, uint64_t *end)
{
    bool is_known = n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    if (!is_known && (range->first < 0 || range->end < 0))
        return complain(who, EXIT_USAGE,
                        "%s: a row counted from the end needs a dump whose length is known", path);
    *first = range->has_first ? from_end(range->first, n_rows) : 0;
    if (range->is_single) {
        bool is_before = range->first < 0 && (uint64_t)-range->first > n_rows;
        if (is_known && (is_before || *first >= n_rows))
            return complain(who, EXIT_DATA, "%s: there is no row %lld; the dump has %llu rows",
                            path, (long long)range->first, (unsigned long long)n_rows);
        *end = *first + 1;
        return EXIT_DONE;
    }
    *end = range->has_end ? from_end(range->end, n_rows) : n_rows;
    if (is_known && *end > n_rows)
        *end = n_rows;
    if (*first > *end)
        *first = *end;
    return EXIT_DONE;
}
