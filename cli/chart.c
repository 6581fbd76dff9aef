/*
 * Coordinates are pixels of a chart of CHART_WIDTH by CHART_HEIGHT, which is also its size on a
 * phone; wider pages scale it. Colours come from classes.
 *
 * Block elements U+2581 to U+258F: their UTF-8 differs in the last byte.
 */
#include "output.h"

#include "base/platform_program.h"
#include "base/scalar_math.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT = 44, RIGHT = 10, TOP = 36, BOTTOM = 40, TICKS_MAX = 12 };

typedef struct axis {
    double low, high;
    bool is_log;
    double start, length; /* in pixels; length < 0 upward */
    double ticks[TICKS_MAX];
    size_t n_ticks;
} axis;

static const char file_style[] =
    "<style>svg{font:11px sans-serif;background:#fff}text{fill:#222}.title{font-weight:bold}"
    ".axis{stroke:#222;fill:none}.grid{stroke:#e2e2e2}.diagonal{stroke:#888;stroke-dasharray:4 3}"
    ".mark{stroke:#b3541e;stroke-dasharray:2 2}.mark-text{fill:#b3541e}"
    ".line{fill:none;stroke-width:1.75}.s0{stroke:#8a8f98}.s1{stroke:#1f5fbf}.s2{stroke:#b3541e}"
    ".s3{stroke:#3c7d3c}.dot{stroke:none}.d0{fill:#8a8f98}.d1{fill:#1f5fbf}.d2{fill:#b3541e}"
    ".d3{fill:#3c7d3c}"
    ".few{opacity:.3}.ring{fill:#fff;opacity:.6}.rows{font-size:8px;fill:#777}</style>\n";

/* Exact up to 10^22, and rounded once from 10^-22 on. */
static double power_of_ten(int n)
{
    double power = 1;
    for (int i = 0; i < abs(n); i++)
        power *= 10;
    return n < 0 ? 1 / power : power;
}

/* The largest power of ten that is not above value, which is between 1e-300 and 1e300. */
static double decade_of(double value)
{
    int n = (int)floor(plk_log(value) / plk_log(10));
    while (power_of_ten(n) > value)
        n--;
    while (power_of_ten(n + 1) <= value)
        n++;
    return power_of_ten(n);
}

static double pixel(const axis *a, double value)
{
    double part = a->is_log ? plk_log(value / a->low) / plk_log(a->high / a->low)
                            : (value - a->low) / (a->high - a->low);
    return a->start + a->length * part;
}

static bool is_inside(const axis *a, double value)
{
    double slack = 1e-9 * fabs(a->high - a->low);
    return value >= a->low - slack && value <= a->high + slack;
}

static void add_tick(axis *a, double value)
{
    if (is_inside(a, value) && a->n_ticks < TICKS_MAX)
        a->ticks[a->n_ticks++] = value;
}

/* 1, 2 and 5 of each power of ten, or the powers alone, or some of them, if that is enough. */
static void log_ticks(axis *a)
{
    double decades = plk_log(a->high / a->low) / plk_log(10);
    double factor = power_of_ten((int)ceil(decades / 10 - 1e-9));
    for (double power = decade_of(a->low); power <= a->high; power *= factor) {
        add_tick(a, power);
        if (decades <= 3.5) {
            add_tick(a, 2 * power);
            add_tick(a, 5 * power);
        }
    }
}

static void linear_ticks(axis *a)
{
    double rough = (a->high - a->low) / 5;
    double power = decade_of(rough);
    double quotient = rough / power;
    double step = power * (quotient > 5 ? 10 : quotient > 2 ? 5 : quotient > 1 ? 2 : 1);
    for (double i = ceil(a->low / step - 1e-9); i * step <= a->high * (1 + 1e-12); i++)
        add_tick(a, i == 0 ? 0 : i * step);
}

/* The range of what is drawn, that of y with a margin. */
static void find_range(const chart *c, bool is_x, axis *a)
{
    bool is_given = !is_x && c->x_high > c->x_low; /* only points in this range of x count */
    a->low = (double)INFINITY;
    a->high = -(double)INFINITY;
    for (const chart_series *s = c->series; s < c->series + c->n_series; s++) {
        const double *values = is_x ? s->x : s->y;
        for (size_t i = 0; i < s->n; i++) {
            if (!isfinite(s->y[i]) || (is_given && (s->x[i] < c->x_low || s->x[i] > c->x_high)))
                continue;
            a->low = fmin(a->low, values[i]);
            a->high = fmax(a->high, values[i]);
        }
    }
    if (!(a->low <= a->high))
        a->low = a->high = 1;
    double margin = is_x || a->is_log ? 0 : 0.05 * (a->high - a->low);
    a->low = a->low >= 0 && a->low < margin ? 0 : a->low - margin;
    a->high += margin;
}

/* low = high = 0: the range of what is drawn. */
static axis find_axis(const chart *c, bool is_x, double low, double high)
{
    axis a = {.low = low, .high = high, .is_log = is_x ? c->is_log_x : c->is_log_y};
    if (low == 0 && high == 0)
        find_range(c, is_x, &a);
    if (!(a.high > a.low)) {
        a.low = a.is_log ? a.low / 2 : a.low - 0.5;
        a.high = a.is_log ? a.high * 2 : a.high + 0.5;
    }
    if (a.is_log)
        log_ticks(&a);
    else
        linear_ticks(&a);
    a.start = is_x ? LEFT : CHART_HEIGHT - BOTTOM;
    a.length = is_x ? CHART_WIDTH - LEFT - RIGHT : -(CHART_HEIGHT - TOP - BOTTOM);
    return a;
}

static void write_text(output *out, double x, double y, const char *attributes, const char *text)
{
    output_printf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    output_shown(out, PLK_XML, text, strlen(text));
    output_text(out, "</text>\n");
}

static void write_axes(output *out, const chart *c, const axis *x, const axis *y)
{
    double bottom = CHART_HEIGHT - BOTTOM, right = CHART_WIDTH - RIGHT;
    char label[32];
    double last = -100;
    for (size_t i = 0; i < y->n_ticks; i++) {
        double at = pixel(y, y->ticks[i]);
        output_printf(out, "<path class=\"grid\" d=\"M%d %.1fH%.1f\"/>\n", LEFT, at, right);
        snprintf(label, sizeof label, "%g", y->ticks[i]);
        write_text(out, LEFT - 5, at + 3.5, "text-anchor=\"end\"", label);
    }
    for (size_t i = 0; i < x->n_ticks; i++) {
        double at = pixel(x, x->ticks[i]);
        output_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", at, bottom);
        snprintf(label, sizeof label, "%g", x->ticks[i]);
        if (at - last >= 26)
            write_text(out, at, bottom + 15, "text-anchor=\"middle\"", label);
        last = at - last >= 26 ? at : last;
    }
    output_printf(out, "<path class=\"axis\" d=\"M%d %dV%.1fH%.1f\"/>\n", LEFT, TOP, bottom, right);
    write_text(out, (LEFT + right) / 2, CHART_HEIGHT - 8, "text-anchor=\"middle\"", c->x_label);
    write_text(out, 4, 13, "class=\"title\"", c->title);
    write_text(out, 4, 25, "class=\"unit\"", c->y_label);
}

static bool is_few(const chart_series *s, size_t i)
{
    return s->rows && s->rows[i] < CHART_FEW_ROWS;
}

static bool is_drawn(const chart_series *s, size_t i, const axis *x, const axis *y)
{
    return isfinite(s->y[i]) && is_inside(x, s->x[i]) && is_inside(y, s->y[i]);
}

static void write_line(output *out, const chart_series *s, size_t index, const axis *x,
                       const axis *y)
{
    bool is_open = false;
    for (size_t i = 0; i < s->n; i++) {
        bool goes_on = is_drawn(s, i, x, y);
        if (goes_on && !is_open)
            output_printf(out, "<path class=\"line s%zu\" d=\"M", index);
        if (goes_on)
            output_printf(out, "%s%.2f %.2f", is_open ? "L" : "", pixel(x, s->x[i]),
                          pixel(y, s->y[i]));
        if (is_open && !goes_on)
            output_text(out, "\"/>\n");
        is_open = goes_on;
    }
    output_text(out, is_open ? "\"/>\n" : "");
}

/* A line in pieces, faint where one of the two ends stands for few rows. */
static void write_pieces(output *out, const chart_series *s, size_t index, const axis *x,
                         const axis *y)
{
    for (size_t i = 1; i < s->n; i++)
        if (is_drawn(s, i - 1, x, y) && is_drawn(s, i, x, y))
            output_printf(out, "<path class=\"line s%zu%s\" d=\"M%.2f %.2fL%.2f %.2f\"/>\n", index,
                          is_few(s, i - 1) || is_few(s, i) ? " few" : "", pixel(x, s->x[i - 1]),
                          pixel(y, s->y[i - 1]), pixel(x, s->x[i]), pixel(y, s->y[i]));
}

static void write_dot(output *out, const chart_series *s, size_t i, size_t index, const axis *x,
                      const axis *y)
{
    double across = pixel(x, s->x[i]), down = pixel(y, s->y[i]);
    output_printf(out,
                  "<circle class=\"%s%zu\" cx=\"%.2f\" cy=\"%.2f\" r=\"2.6\">"
                  "<title>%.6g, %.6g",
                  is_few(s, i) ? "ring s" : "dot d", index, across, down, s->x[i], s->y[i]);
    if (s->rows)
        output_printf(out, "; rows: %llu", (unsigned long long)s->rows[i]);
    output_text(out, "</title></circle>\n");
    if (!is_few(s, i))
        return;
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)s->rows[i]);
    write_text(out, across + 4, down + (down < TOP + 12 ? 10 : -4), "class=\"rows\"", number);
}

static void write_series(output *out, const chart_series *s, size_t index, const axis *x,
                         const axis *y)
{
    if (s->has_line && s->rows)
        write_pieces(out, s, index, x, y);
    else if (s->has_line)
        write_line(out, s, index, x, y);
    for (size_t i = 0; i < s->n && s->has_dots; i++)
        if (is_drawn(s, i, x, y))
            write_dot(out, s, i, index, x, y);
}

/* At the right end of the line of the unit, from right to left. */
static void write_legend(output *out, const chart *c)
{
    double right = CHART_WIDTH - RIGHT;
    for (size_t i = c->n_series; i-- > 0;) {
        if (!c->series[i].name)
            continue;
        double width = 6.2 * (double)strlen(c->series[i].name) + 18;
        output_printf(out, "<circle class=\"dot d%zu\" cx=\"%.1f\" cy=\"21\" r=\"3.5\"/>\n", i,
                      right - width + 8);
        write_text(out, right - width + 14, 25, "", c->series[i].name);
        right -= width;
    }
}

void chart_write(output *out, const chart *c)
{
    axis x = find_axis(c, true, c->x_low, c->x_high);
    axis y = find_axis(c, false, c->y_low, c->y_high);
    output_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
                  "aria-label=\"",
                  CHART_WIDTH, CHART_HEIGHT);
    output_shown(out, PLK_XML, c->title, strlen(c->title));
    output_text(out, "\" class=\"chart\">\n");
    write_axes(out, c, &x, &y);
    if (c->has_diagonal)
        output_printf(out, "<path class=\"diagonal\" d=\"M%d %dL%d %d\"/>\n", LEFT,
                      CHART_HEIGHT - BOTTOM, CHART_WIDTH - RIGHT, TOP);
    for (size_t i = 0; i < c->n_series; i++)
        write_series(out, &c->series[i], i, &x, &y);
    if (c->has_mark && is_inside(&x, c->mark_x)) {
        double at = pixel(&x, c->mark_x);
        bool is_left = at > CHART_WIDTH * 0.6;
        output_printf(out, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>\n", at, TOP,
                      CHART_HEIGHT - BOTTOM);
        write_text(out, at + (is_left ? -4 : 4), TOP + 12,
                   is_left ? "class=\"mark-text\" text-anchor=\"end\"" : "class=\"mark-text\"",
                   c->mark_text);
    }
    write_legend(out, c);
    output_text(out, "</svg>\n");
}

void chart_write_file(output *out, const chart *charts, size_t n)
{
    unsigned width = (unsigned)n * CHART_WIDTH;
    output_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%d\" "
                  "viewBox=\"0 0 %u %d\">\n%s",
                  width, CHART_HEIGHT, width, CHART_HEIGHT, file_style);
    for (size_t i = 0; i < n; i++) {
        output_printf(out, "<svg x=\"%u\" width=\"%d\" height=\"%d\">\n", (unsigned)i * CHART_WIDTH,
                      CHART_WIDTH, CHART_HEIGHT);
        chart_write(out, &charts[i]);
        output_text(out, "</svg>\n");
    }
    output_text(out, "</svg>\n");
}

bool bars_have_blocks(void)
{
    return plk_locale_is_utf8();
}

/* A character of U+2580 and those that follow it. */
static void write_block(output *out, unsigned number)
{
    const char block[] = {'\xe2', '\x96', (char)(0x80 + number)};
    output_write(out, block, sizeof block);
}

void bar_write(output *out, bool has_blocks, unsigned columns, double share)
{
    unsigned n = (unsigned)(share * columns * 8 + 0.5);
    for (unsigned i = 0; i < n / 8 && has_blocks; i++)
        write_block(out, 8);
    if (has_blocks && n % 8 > 0)
        write_block(out, 16 - n % 8);
    for (unsigned i = 0; i < (n + 4) / 8 && !has_blocks; i++)
        output_char(out, '#');
}

void spark_write(output *out, bool has_blocks, const double *values, size_t n)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            low = fmin(low, values[i]);
            high = fmax(high, values[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        double part = high > low ? (values[i] - low) / (high - low) : 0;
        if (!isfinite(values[i]))
            output_char(out, ' ');
        else if (has_blocks)
            write_block(out, 1 + (unsigned)(part * 7.999));
        else
            output_char(out, "_.,-=+*#"[(size_t)(part * 7.999)]);
    }
}
