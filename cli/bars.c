/* Block elements U+2581 to U+258F: their UTF-8 differs in the last byte. */
#include "bars.h"

#include <langinfo.h>
#include <math.h>
#include <string.h>

bool bars_have_blocks(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void bar_write(output *out, bool has_blocks, unsigned columns, double share)
{
    static const char *const eighths[] = {"",
                                          "\xe2\x96\x8f",
                                          "\xe2\x96\x8e",
                                          "\xe2\x96\x8d",
                                          "\xe2\x96\x8c",
                                          "\xe2\x96\x8b",
                                          "\xe2\x96\x8a",
                                          "\xe2\x96\x89"};
    unsigned n = (unsigned)(share * columns * 8 + 0.5);
    for (unsigned i = 0; i < n / 8; i++)
        output_text(out, has_blocks ? "\xe2\x96\x88" : "#");
    if (has_blocks)
        output_text(out, eighths[n % 8]);
    else if (n % 8 >= 4)
        output_char(out, '#');
}

void spark_write(output *out, bool has_blocks, const double *values, size_t n)
{
    static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                         "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                         "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char *const letters[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            low = fmin(low, values[i]);
            high = fmax(high, values[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        double part = high > low ? (values[i] - low) / (high - low) : 0;
        const char *const *marks = has_blocks ? blocks : letters;
        output_text(out, isfinite(values[i]) ? marks[(size_t)(part * 7.999)] : " ");
    }
}
