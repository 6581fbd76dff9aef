/* pluck stages: the library's stage tables in readable form. */
#include "help.h"

#include <pluck/stage.h>

#include <math.h>
#include <string.h>

typedef struct stages_flags {
    call call;
    int format;
} stages_flags;

static const char *const kinds[] = {[PLUCK_STAGE_REWEIGHT] = "reweight",
                                    [PLUCK_STAGE_TRUNCATE] = "truncate",
                                    [PLUCK_STAGE_DRAW] = "draw"};

static void print_param(output *out, const pluck_param *p)
{
    char range[96];
    describe_range(p, range, sizeof range);
    output_printf(out, "    %-18s %s", p->name, range);
    if (is_number(p)) {
        output_printf(out, ", default %.15g", p->default_value);
        if (!isnan(p->neutral))
            output_printf(out, ", neutral %.15g", p->neutral);
    }
    output_char(out, '\n');
}

static void print_details(output *out, const pluck_stage *stage)
{
    output_printf(out, "%s (%s): %s\n\n", stage->name, kinds[stage->kind], stage->summary);
    output_printf(out, "  %s\n  source: %s\n", stage->formula, stage->source);
    if (stage->cost)
        output_printf(out, "  cost: %s\n", stage->cost);
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *p = &stage->params[i];
        output_printf(out, "\n  %s (%s): %s\n", p->name, type_texts[p->type].name, p->summary);
        print_param(out, p);
        if (!p->flat_key)
            continue;
        output_printf(out, "    flat key \"%s\", flag --", p->flat_key);
        for (const char *c = p->flat_key; *c != '\0'; c++)
            output_char(out, *c == '_' ? '-' : *c);
        if (is_switch_of_stage(stage, p))
            output_text(out, "; without it the stage is off");
        output_char(out, '\n');
    }
}

static void json_param(output *out, const pluck_param *p)
{
    json_open(out, NULL, '{');
    json_string(out, "name", p->name);
    json_string(out, "flat_key", p->flat_key);
    json_string(out, "type", type_texts[p->type].name);
    if (is_number(p)) {
        json_double(out, "min", p->min);
        json_double(out, "max", p->max);
        json_bool(out, "min_open", (p->flags & PLUCK_PARAM_MIN_OPEN) != 0);
        json_bool(out, "max_open", (p->flags & PLUCK_PARAM_MAX_OPEN) != 0);
        json_double(out, "default", p->default_value);
        json_double(out, "neutral", p->neutral);
    }
    json_string(out, "summary", p->summary);
    output_char(out, '}');
}

static void print_json(output *out, const pluck_stage *stage)
{
    json_open(out, NULL, '{');
    json_string(out, "name", stage->name);
    json_string(out, "kind", kinds[stage->kind]);
    json_string(out, "summary", stage->summary);
    json_string(out, "formula", stage->formula);
    json_string(out, "source", stage->source);
    json_string(out, "cost", stage->cost);
    json_open(out, "params", '[');
    for (size_t i = 0; i < stage->n_params; i++)
        json_param(out, &stage->params[i]);
    output_text(out, "]}");
}

static int find_stage(const stages_flags *flags, const pluck_stage **stage)
{
    *stage = NULL;
    if (flags->call.n_words == 0)
        return EXIT_DONE;
    /* The flag's spelling is understood too. */
    char name[64] = "";
    strncat(name, flags->call.words[0], sizeof name - 1);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    *stage = pluck_stage_find(name);
    if ((*stage))
        return EXIT_DONE;
    const char *near = pluck_stage_nearest(name);
    if (near)
        return complain(EXIT_USAGE, "unknown stage '%s'; did you mean '%s'?", flags->call.words[0],
                        near);
    return complain(EXIT_USAGE, "unknown stage '%s'; see pluck stages", flags->call.words[0]);
}

static int run(const void *given)
{
    const stages_flags *flags = given;
    const pluck_stage *stage = NULL;
    output out;
    int code = find_stage(flags, &stage);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    if (flags->format == FORMAT_TEXT)
        output_wrap(&out);
    if (stage && flags->format == FORMAT_JSON) {
        print_json(&out, stage);
        output_char(&out, '\n');
    } else if (stage) {
        print_details(&out, stage);
    } else if (flags->format == FORMAT_JSON) {
        output_char(&out, '[');
        for (size_t i = 0; pluck_stage_at(i); i++) {
            output_text(&out, i > 0 ? ",\n" : "\n");
            print_json(&out, pluck_stage_at(i));
        }
        output_text(&out, "\n]\n");
    } else {
        for (size_t i = 0; (stage = pluck_stage_at(i)); i++) {
            output_printf(&out, "%-22s %-9s %s\n", stage->name, kinds[stage->kind], stage->summary);
            for (size_t j = 0; j < stage->n_params; j++)
                print_param(&out, &stage->params[j]);
        }
    }
    return output_close(&out, true);
}

static const flag flags[] = {
    FLAG_TITLE("Format"),
    FLAG_GROUP(format_flag, stages_flags, format),
    FLAG_END,
};

const command stages_command = {
    .name = "stages",
    .synopsis = "[NAME] [options]",
    .summary = "list the stages, or describe one",
    .about = "Lists every stage with its parameters, their ranges and defaults, in the order in "
             "which a flat configuration runs them. With NAME: everything about that one.",
    COMMAND_FLAGS(flags, stages_flags),
    .examples = {"pluck stages", "pluck stages top_p", "pluck stages --format json"},
    COMMAND_WORDS(0, 1, "NAME"),
    .run = run,
};
