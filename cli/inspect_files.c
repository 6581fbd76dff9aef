/* The table of --csv and the chart of --svg. */
#include "chart.h"
#include "commands/inspect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void inspect_print_csv(const inspection *in, output *out)
{
    double cumulative = 0;
    output_printf(out, "rank,token,prob,logprob,cumulative%s\n", in->texts.name ? ",text" : "");
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        output_printf(out, "%u,%d,", (unsigned)i + 1, (int)in->top[i].token);
        output_csv_float(out, p);
        output_char(out, ',');
        output_csv_float(out, log(p));
        output_char(out, ',');
        output_csv_float(out, cumulative);
        if (in->texts.name) {
            size_t n = 0;
            const char *text = texts_get(&in->texts, in->top[i].token, &n);
            output_char(out, ',');
            output_csv_string(out, text, n);
        }
        output_char(out, '\n');
    }
}

void inspect_print_svg(const inspection *in, output *out)
{
    double *ranks = calloc((size_t)in->n_top + 1, 2 * sizeof *ranks);
    if (!ranks) {
        out->error = out->error != 0 ? out->error : ENOMEM;
        return;
    }
    double *probs = ranks + in->n_top;
    for (uint32_t i = 0; i < in->n_top; i++) {
        ranks[i] = i + 1;
        probs[i] = (double)in->top[i].prob;
    }
    chart c = {.title = "Probability by rank",
               .x_label = "rank of the token",
               .y_label = "probability",
               .is_log_x = true,
               .is_log_y = true,
               .series = {{.x = ranks,
                           .y = probs,
                           .n = in->n_top,
                           .has_line = true,
                           .has_dots = in->n_top <= 60}},
               .n_series = 1};
    chart_write_file(out, &c, 1);
    free(ranks);
}
