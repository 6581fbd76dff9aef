/* A cell writes what separates it from the one before, so that a row has no spaces at its end. */
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const table_column *next_column(table *t)
{
    const table_column *c = &t->columns[t->at];
    if (t->at > 0)
        output_char(t->out, t->is_csv ? ',' : ' ');
    for (unsigned i = 0; i < c->gap && !t->is_csv; i++)
        output_char(t->out, ' ');
    t->at++;
    return c;
}

void table_word(table *t, const char *word)
{
    const table_column *c = next_column(t);
    output_printf(t->out, "%*s", t->is_csv ? 0 : c->width, word);
}

static table begin(output *out, const table_column *columns, size_t n, bool is_csv)
{
    table t = {.out = out, .columns = columns, .n = n, .is_csv = is_csv};
    for (size_t i = 0; i < n; i++)
        table_word(&t, columns[i].title);
    return t;
}

table table_begin(output *out, const table_column *columns, size_t n, const char *head,
                  const char *off)
{
    output_text(out, head);
    table t = begin(out, columns, n, false);
    output_text(out, off);
    table_end_row(&t);
    return t;
}

table table_begin_csv(output *out, const table_column *columns, size_t n)
{
    table t = begin(out, columns, n, true);
    table_end_row(&t);
    return t;
}

void table_count(table *t, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    table_word(t, text);
}

void table_token(table *t, int32_t token)
{
    char text[32];
    snprintf(text, sizeof text, "%d", (int)token);
    table_word(t, text);
}

void table_number(table *t, double value)
{
    const table_column *c = &t->columns[t->at];
    char text[64];
    if (!t->is_csv) {
        snprintf(text, sizeof text, c->format ? c->format : "%g", value);
        table_word(t, text);
        return;
    }
    (void)next_column(t);
    if (!c->is_double || !isnan(value))
        output_csv_number(t->out, value, c->is_double);
}

void table_text(table *t, const char *text, size_t n, unsigned columns)
{
    const table_column *c = next_column(t);
    if (t->is_csv) {
        output_csv_string(t->out, text, n);
        return;
    }
    unsigned used = output_cell(t->out, text, n, columns);
    if (c->width < 0 && used < (unsigned)-c->width)
        output_printf(t->out, "%*s", -c->width - (int)used, "");
}

void table_end_row(table *t)
{
    output_char(t->out, '\n');
    t->at = 0;
}
