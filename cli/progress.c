/* The rate is the mean since the start; the bar is drawn at most ten times a second. Where a
 * launcher is between this process and the terminal, a bar cannot be drawn. Then it is a line, once
 * a minute, which a log can hold. */
#include "output.h"

#include "run_ranks.h"

#include "base/platform.h"
#include "base/platform_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_SECONDS    1.0
#define INTERVAL_SECONDS 0.1
#define LINE_SECONDS     60.0
#define BAR_MAX          40

static double now(void)
{
    return 1e-9 * (double)plk_clock_ns();
}

void progress_start(progress *p, uint64_t total, const output *out)
{
    memset(p, 0, sizeof *p);
    p->total = total;
    p->has_lines = !peers_have_terminal();
    p->is_enabled = !message_is_quiet() && peers_write() &&
                    (p->has_lines || (!(out && out->is_terminal) && plk_is_terminal(PLK_STDERR)));
    /* Tests cannot wait so long. */
    const char *seconds = getenv("PLUCK_MPI_PROGRESS_SECONDS");
    if (!seconds || !parse_number(seconds, 0, LINE_SECONDS, &p->line_seconds))
        p->line_seconds = LINE_SECONDS;
    p->start = p->shown_at = p->is_enabled ? now() : 0.0;
    peers_note_progress(0);
}

static void duration_text(double seconds, char *text, size_t capacity)
{
    unsigned long long s = seconds < 1e9 ? (unsigned long long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(text, capacity, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        snprintf(text, capacity, "%llum%02llus", s / 60, s % 60);
}

static void rate_text(double rate, char *text, size_t capacity)
{
    if (rate >= 1e6)
        snprintf(text, capacity, "%.1fM/s", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(text, capacity, "%.1fk/s", rate / 1e3);
    else
        snprintf(text, capacity, "%.1f/s", rate);
}

static void draw(progress *p, uint64_t done, double time)
{
    char line[256], rate[32], left[32] = "";
    double per_second = (double)done / (time - p->start);
    rate_text(per_second, rate, sizeof rate);
    if (p->total == 0 || p->has_lines) {
        int n = p->total == 0 ? 0
                              : snprintf(line, sizeof line, "%3d%%  ",
                                         (int)(100 * (double)done / (double)p->total));
        snprintf(line + n, sizeof line - (size_t)n, "%llu %s, %s", (unsigned long long)done,
                 p->unit ? p->unit : "draws", rate);
    } else {
        output screen = {.file = {.fd = PLK_STDERR}};
        unsigned width = output_width(&screen, 80);
        unsigned bar = width > BAR_MAX + 40 ? BAR_MAX : width > 50 ? width - 40 : 10;
        double part = (double)done / (double)p->total;
        char filled[BAR_MAX + 1] = "";
        memset(filled, '#', (size_t)(part * bar));
        if (per_second > 0)
            duration_text((double)(p->total - done) / per_second, left, sizeof left);
        snprintf(line, sizeof line, "[%-*s] %3d%%  %s  %s left", (int)bar, filled,
                 (int)(100 * part), rate, left);
    }
    p->shown_at = time;
    if (p->has_lines) {
        note("%s", line);
        return;
    }
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->is_shown = true;
}

static bool is_due(const progress *p, double time)
{
    if (p->has_lines)
        return time - p->shown_at >= p->line_seconds;
    return time - p->start >= DELAY_SECONDS && time - p->shown_at >= INTERVAL_SECONDS;
}

void progress_update(progress *p, uint64_t done)
{
    peers_note_progress(done);
    double time = p->is_enabled ? now() : 0.0;
    if (!p->is_enabled || !is_due(p, time))
        return;
    uint64_t all_done = peers_progress(done);
    draw(p, p->total > 0 && all_done > p->total ? p->total : all_done, time);
}

void progress_clear(progress *p)
{
    if (p->is_shown)
        fprintf(stderr, "\r\033[K");
    p->is_shown = false;
}
