/*
 * The page of a report: text and charts are written here, so that they can be read without scripts;
 * the explorer alone needs its script. Nothing is fetched from anywhere.
 */
#include "base/scalar_math.h"
#include "commands/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A fit that ended at an end of its range found nothing. */
static bool has_fit(const tuning *t)
{
    return t->has_targets && t->fit.limit == PLUCK_TUNE_INSIDE;
}

static void write_fit(const tuning *t, output *out)
{
    if (has_fit(t))
        output_printf(out, "; temperature %.4f fits the tokens that followed best",
                      t->fit.temperature);
    else if (t->has_targets)
        output_printf(out, "; no temperature from %g to %g fits the tokens that followed best",
                      t->fit.grid_t[0], t->fit.grid_t[PLUCK_TUNE_GRID - 1]);
    output_text(out, "</p>\n");
    for (size_t i = 0; i < t->n_warnings; i++) {
        output_text(out, "<p class=\"warning\">");
        output_shown(out, PLK_XML, t->warnings[i], strlen(t->warnings[i]));
        output_text(out, ".</p>\n");
    }
}

static void write_head(const report *r, output *out)
{
    output_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n"
                     "<link rel=\"icon\" href=\"data:,\">\n<title>");
    for (size_t i = 0; i < r->n_dumps; i++) {
        output_text(out, i > 0 ? ", " : "");
        output_shown(out, PLK_XML, r->dumps[i].t.name, strlen(r->dumps[i].t.name));
    }
    output_text(out, " - pluck report</title>\n<style>\n");
    output_write(out, report_assets[REPORT_CSS].text, report_assets[REPORT_CSS].size_bytes);
    output_text(out, "</style>\n</head>\n<body>\n<header>\n<h1>What these logits say</h1>\n");
    for (size_t i = 0; i < r->n_dumps; i++) {
        const tuning *t = &r->dumps[i].t;
        output_text(out, "<p class=\"quiet\">");
        output_shown(out, PLK_XML, t->name, strlen(t->name));
        output_printf(out, ": %llu rows of %u tokens",
                      (unsigned long long)(t->data.end - t->data.first),
                      (unsigned)t->src.info.n_vocab);
        write_fit(t, out);
    }
    output_text(out, "</header>\n<main>\n");
}

typedef struct control {
    const char *id, *label, *neutral;
    const char *min, *max, *range_max, *step;
} control;

static void write_controls(output *out, const char *n_vocab)
{
    const control controls[] = {
        {"temperature", "Temperature (1 changes nothing)", "1", "0.05", "5", "3", "0.01"},
        {"top-k", "Top-k (0 is off)", "0", "0", n_vocab, "200", "1"},
        {"typical", "Typical p (1 is off)", "1", "0", "1", "1", "0.005"},
        {"top-p", "Top-p (1 is off)", "1", "0", "1", "1", "0.005"},
        {"min-p", "Min-p (0 is off)", "0", "0", "1", "0.5", "0.005"},
    };
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        const control *c = &controls[i];
        output_printf(out,
                      "<div class=\"control\"><label for=\"%s\">%s</label>\n"
                      "<input type=\"range\" id=\"%s-range\" aria-label=\"%s, slider\" min=\"%s\" "
                      "max=\"%s\" step=\"%s\" value=\"%s\">\n"
                      "<input type=\"number\" id=\"%s\" min=\"%s\" max=\"%s\" step=\"%s\" "
                      "value=\"%s\" inputmode=\"decimal\"></div>\n",
                      c->id, c->label, c->id, c->label, c->min, c->range_max, c->step, c->neutral,
                      c->id, c->min, c->max, strcmp(c->id, "top-k") == 0 ? "1" : "any", c->neutral);
    }
}

static void write_row_list(const report *r, output *out)
{
    output_text(
        out, "<label for=\"row\">Row</label>\n<div class=\"pick\">"
             "<button type=\"button\" id=\"previous\" aria-label=\"Previous row\">&larr;</button>"
             "<select id=\"row\">\n");
    size_t index = 0;
    for (size_t k = 0; k < r->n_dumps; k++) {
        const report_dump *d = &r->dumps[k];
        for (size_t i = 0; i < d->n_explored; i++) {
            output_printf(out, "<option value=\"%zu\">row %llu", index++,
                          (unsigned long long)report_row(d, i));
            if (r->n_dumps > 1) {
                output_text(out, " of ");
                output_shown(out, PLK_XML, d->t.name, strlen(d->t.name));
            }
            output_text(out, "</option>\n");
        }
    }
    output_text(out, "</select><button type=\"button\" id=\"next\" aria-label=\"Next row\">&rarr;"
                     "</button></div>\n");
}

static void write_buttons(const report *r, output *out)
{
    output_text(out,
                "<div class=\"buttons\">"
                "<button type=\"button\" id=\"save\" class=\"main\">Save as pluck.json</button>"
                "<button type=\"button\" id=\"reset\">Reset</button>");
    for (size_t i = 0; i < r->n_dumps; i++) {
        const tuning *t = &r->dumps[i].t;
        if (!has_fit(t))
            continue;
        output_printf(out, "<button type=\"button\" data-fitted=\"%.6g\">T = %.4f, fitted%s",
                      t->fit.temperature, t->fit.temperature, r->n_dumps > 1 ? " to " : "");
        if (r->n_dumps > 1)
            output_shown(out, PLK_XML, t->name, strlen(t->name));
        output_text(out, "</button>");
    }
    output_text(out, "</div>\n<pre id=\"config\" aria-label=\"Configuration\"></pre>\n");
}

/* The frame of the curve that the script draws. */
static void write_curve(output *out)
{
    output_printf(out,
                  "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
                  "aria-label=\"Probability by rank, before and now\">\n"
                  "<text x=\"4\" y=\"13\" class=\"title\">Probability by rank</text>\n"
                  "<rect id=\"curve-kept\" y=\"30\" height=\"180\"/>\n",
                  CHART_WIDTH, CHART_HEIGHT);
    static const double probabilities[] = {1, 1e-2, 1e-4, 1e-6, 1e-8};
    for (int i = 0; i < 5; i++)
        output_printf(out,
                      "<path class=\"grid\" d=\"M44 %.1fH350\"/>"
                      "<text x=\"39\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                      30 + 45.0 * i, 33.5 + 45.0 * i, probabilities[i]);
    output_text(out,
                "<path class=\"axis\" d=\"M44 30V210H350\"/>"
                "<path class=\"line s0\" id=\"curve-before\"/>"
                "<path class=\"line s1\" id=\"curve-now\"/>\n"
                "<text x=\"44\" y=\"225\">1</text>"
                "<text x=\"350\" y=\"225\" text-anchor=\"end\" id=\"curve-last\"></text>"
                "<text x=\"197\" y=\"242\" text-anchor=\"middle\">rank of the token</text>\n"
                "</svg>\n<p class=\"quiet legend\"><span class=\"now\">now</span>"
                "<span class=\"before\">before, T = 1</span><span class=\"cut\">survives</span>"
                "</p>\n");
}

static void write_result(output *out)
{
    static const char *const numbers[][2] = {{"survivors", "Tokens that survive"},
                                             {"entropy", "Entropy, nats"},
                                             {"effective", "Effective tokens"},
                                             {"followed", "p of what followed"}};
    output_text(out, "<dl class=\"numbers\" aria-live=\"polite\">\n");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        output_printf(out, "<div><dt>%s</dt><dd id=\"%s\"></dd></div>\n", numbers[i][1],
                      numbers[i][0]);
    output_text(out,
                "<div class=\"wide\"><dt>What followed</dt><dd id=\"followed-name\"></dd></div>\n"
                "</dl>\n");
}

static void write_tokens(output *out)
{
    output_text(out,
                "<div class=\"result\">\n"
                "<div class=\"scroll\"><table class=\"tokens\">\n<colgroup><col class=\"name\">"
                "<col><col class=\"number\"><col class=\"number raw\"></colgroup>\n"
                "<thead><tr><th scope=\"col\">token</th><th scope=\"col\" aria-hidden=\"true\">"
                "</th><th scope=\"col\">p now</th><th scope=\"col\" class=\"raw\">before</th></tr>"
                "</thead>\n<tbody id=\"tokens\"></tbody></table></div>\n"
                "<button type=\"button\" id=\"more\">More tokens</button>\n"
                "<p class=\"quiet\" id=\"exactness\"></p>\n</div>\n");
}

static void write_explorer(const report *r, output *out)
{
    char n_vocab[16];
    uint32_t largest = 1;
    for (size_t i = 0; i < r->n_dumps; i++)
        if (r->dumps[i].t.src.info.n_vocab > largest)
            largest = r->dumps[i].t.src.info.n_vocab;
    snprintf(n_vocab, sizeof n_vocab, "%u", (unsigned)largest);
    output_text(out, "<h2 id=\"explore\">One row, live</h2>\n"
                     "<section class=\"panel explorer\" aria-labelledby=\"explore\">\n");
    write_result(out);
    output_text(out, "<div>\n");
    write_row_list(r, out);
    write_controls(out, n_vocab);
    write_buttons(r, out);
    output_text(out,
                "<p class=\"quiet\">Stages run as in a flat configuration: top-k, typical, top-p, "
                "min-p, then temperature.</p>\n"
                "<noscript><p>The live part needs scripts; the charts below do not.</p>"
                "</noscript>\n");
    write_curve(out);
    output_text(out, "</div>\n");
    write_tokens(out);
    output_text(out, "</section>\n");
}

static void write_figure(output *out, const chart *c, const char *caption)
{
    output_printf(out, "<figure%s>\n", c->n_series == 1 ? " class=\"only\"" : "");
    chart_write(out, c);
    output_printf(out, "<figcaption>%s</figcaption>\n</figure>\n", caption);
}

/* Of one series, without a name, or of two. */
static chart chart_of_rows(const report_series *s, const char *title, const char *label,
                           const double y[2][REPORT_POINTS], const char *first, const char *second)
{
    chart c = {.title = title, .x_label = "row", .y_label = label};
    c.n_series = second ? 2 : 1;
    for (size_t k = 0; k < c.n_series; k++)
        c.series[k] = (chart_series){.name = k == 1 ? second : first,
                                     .x = s->x,
                                     .y = y[k],
                                     .n = s->n,
                                     .has_line = true,
                                     .has_dots = s->n <= 70};
    return c;
}

static void write_charts(const report_dump *d, tuning_points *points, output *out)
{
    const report_series *s = &d->series;
    bool is_mean = d->t.data.end - d->t.data.first > REPORT_POINTS;
    char fitted[TUNING_NAME_BYTES];
    const char *name = d->t.has_targets ? tuning_fitted_name(&d->t, fitted) : NULL;
    const char *plain = name ? "T = 1" : NULL;
    output_text(out, "<div class=\"charts\">\n");
    if (d->t.has_targets) {
        chart curve = tuning_chart_of_curve(&d->t);
        curve.title = "NLL against temperature";
        write_figure(out, &curve,
                     has_fit(&d->t) ? "Mean -ln p of the tokens that followed; the least is marked."
                                    : "Mean -ln p of the tokens that followed: least at an end.");
        chart reliability = tuning_chart_of_reliability(&d->t, points);
        write_figure(out, &reliability,
                     "How often the best token followed, by how probable it was said to be. On the "
                     "diagonal a model is calibrated. Rings are means of fewer than 10 rows.");
    }
    chart entropy = chart_of_rows(s, "Entropy over positions", "nats", s->entropy, plain, name);
    write_figure(out, &entropy, is_mean ? "Means over consecutive rows." : "One point per row.");
    chart effective =
        chart_of_rows(s, "Perplexity over positions", "exp(entropy)", s->effective, plain, name);
    effective.is_log_y = true;
    write_figure(out, &effective, "How many equally likely tokens would be as uncertain.");
    chart nucleus = chart_of_rows(s, "Nucleus size over rows", "tokens", s->nucleus, "min-p 0.05",
                                  "top-p 0.95");
    nucleus.is_log_y = true;
    write_figure(out, &nucleus,
                 is_mean ? "Tokens that each truncation keeps on its own, at T = 1: means over "
                           "consecutive rows."
                         : "Tokens that each truncation keeps on its own, at T = 1.");
    output_text(out, "</div>\n");
}

static void write_line(output *out, const char *name, double before, double after, bool has_after)
{
    output_printf(out, "<tr><th scope=\"row\">%s</th><td>%.6f</td>", name, before);
    if (has_after)
        output_printf(out, "<td>%.6f</td><td class=\"change\">%+.6f</td>", after, after - before);
    output_text(out, "</tr>\n");
}

static void write_numbers(const report_dump *d, output *out)
{
    const pluck_tune_stats *b = &d->t.stats[0], *a = &d->t.stats[1];
    bool has_after = d->t.has_targets;
    output_text(out, "<details open><summary>Means over the rows</summary>\n<div class=\"scroll\">"
                     "<table>\n<thead><tr><th scope=\"col\"></th><th scope=\"col\">T = 1</th>");
    if (has_after)
        output_printf(
            out, "<th scope=\"col\">T = %.4f%s</th><th scope=\"col\" class=\"change\">change</th>",
            a->temperature, has_fit(&d->t) ? "" : ", an end");
    output_text(out, "</tr></thead>\n<tbody>\n");
    if (has_after) {
        write_line(out, "NLL", b->nll, a->nll, true);
        write_line(out, "perplexity of the targets", plk_exp(b->nll), plk_exp(a->nll), true);
        write_line(out, "ECE, 15 bins", b->ece, a->ece, true);
        write_line(out, "Brier", b->brier, a->brier, true);
        write_line(out, "accuracy", b->accuracy, a->accuracy, true);
    }
    write_line(out, "confidence", b->confidence, a->confidence, has_after);
    write_line(out, "entropy, nats", b->entropy, a->entropy, has_after);
    write_line(out, "effective tokens", b->effective, a->effective, has_after);
    output_text(out, "</tbody></table></div>\n</details>\n");
    if (has_after && isfinite(d->t.fit.low))
        output_printf(out,
                      "<p class=\"quiet\">The fitted temperature lies between %.4f and %.4f in 95 "
                      "of 100 resamples of the rows.</p>\n",
                      d->t.fit.low, d->t.fit.high);
}

int report_write(const report *r, output *out)
{
    tuning_points *points = malloc(sizeof *points);
    if (!points)
        return complain_memory();
    write_head(r, out);
    write_explorer(r, out);
    for (size_t i = 0; i < r->n_dumps; i++) {
        output_text(out, "<h2>");
        output_shown(out, PLK_XML, r->dumps[i].t.name, strlen(r->dumps[i].t.name));
        output_text(out, ": all rows</h2>\n");
        write_charts(&r->dumps[i], points, out);
        write_numbers(&r->dumps[i], out);
    }
    free(points);
    output_printf(out,
                  "</main>\n<footer class=\"quiet\"><p>Made by pluck %s. Charts and tables are the "
                  "library's numbers; the live part computes the same in double precision from the "
                  "logits in this page.</p></footer>\n"
                  "<script type=\"application/json\" id=\"data\">",
                  pluck_version());
    int code = report_write_rows(r, out);
    output_text(out, "</script>\n<script>\n");
    output_write(out, report_assets[REPORT_JS].text, report_assets[REPORT_JS].size_bytes);
    output_text(out, "</script>\n</body>\n</html>\n");
    return code;
}
