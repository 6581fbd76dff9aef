/*
 * Numbers end where a separator begins, so that a position of a bad one is where it starts.
 *
 * pluck softmax: the library's softmax family on numbers that are typed or piped.
 */
#include "setup.h"

#include "base/scalar_math.h"
#include "base/text.h"

#include <pluck/softmax.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct number_list {
    float *values;
    size_t n, capacity;
} number_list;

static const char separators[] = " \t\r\n\v\f,[]";

static bool parse_float(const char *text, float *value, const char **problem)
{
    const char *word = text + (*text == '-' || *text == '+');
    size_t n = strlen(word);
    bool is_infinite = plk_is_word(word, n, "inf") || plk_is_word(word, n, "infinity");
    double limit = (double)INFINITY, number = is_infinite && *text == '-' ? -limit : limit;
    *problem = NULL;
    if (!is_infinite && !plk_is_word(word, n < 3 ? n : 3, "nan") &&
        !parse_number(text, -limit, limit, &number))
        *problem = "is not a number";
    else if (number >= limit)
        *problem = "must be finite or -inf";
    else if (!is_infinite && fabs(number) > (double)FLT_MAX)
        *problem = "is beyond the range of a float";
    *value = (float)number;
    return !*problem;
}

static bool numbers_add(number_list *list, float value)
{
    if (!grow(&list->values, &list->capacity, list->n + 1, sizeof value))
        return false;
    list->values[list->n++] = value;
    return true;
}

static void numbers_free(number_list *list)
{
    free(list->values);
    *list = (number_list){NULL, 0, 0};
}

static int numbers_parse(number_list *list, const char *text, bool whole, size_t *line,
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
            return complain(EXIT_DATA, "standard input: line %zu, column %zu: '%s' %s", *line,
                            (size_t)(text - line_start) + 1, word, problem);
        if (!numbers_add(list, value))
            return complain_memory();
        text += n;
    }
    *end = text;
    return EXIT_DONE;
}

typedef struct softmax_flags {
    call call;
    double temperature, beta, base, entmax; /* NaN: not given */
    uint64_t gumbel, target;                /* NOT_GIVEN */
    const char *output;
    int format;
    bool sparsemax, log, lse, entropy, argmax, gradient, lines;
} softmax_flags;

#define NOT_GIVEN UINT64_MAX

#define INPUT_LIMIT ((size_t)1 << 30)

/* What the flags ask for. */
typedef struct request {
    const softmax_flags *flags;
    float beta;
    bool is_limit; /* temperature 0 */
    double alpha;  /* 1: softmax */
    bool has_gumbel, has_target;
    pluck_pcg64 rng; /* of the next vector */
    uint64_t target;
    bool has_numbers; /* prints numbers instead of vectors */
} request;

/* What is printed of one vector. */
typedef struct result {
    float *values; /* [n] probabilities, logarithms or a gradient; NULL: none */
    size_t n;
    double lse, entropy, loss;
    size_t argmax;
} result;

static int read_scale(request *r)
{
    const softmax_flags *flags = r->flags;
    double beta = isnan(flags->beta) ? 1 : flags->beta;
    if (!isnan(flags->temperature) && !isnan(flags->beta))
        return complain(
            EXIT_USAGE,
            "--temperature and --beta say the same (beta is 1 / temperature): give one");
    r->is_limit = flags->temperature == 0;
    if (!r->is_limit && !isnan(flags->temperature))
        beta = 1 / flags->temperature;
    r->beta = (float)beta;
    if (!isfinite(r->beta))
        return complain(EXIT_DATA, "--%s: gives a factor beyond the range of a float, 3.4e38",
                        isnan(flags->beta) ? "temperature" : "beta");
    return EXIT_DONE;
}

/* Powers of a base are exponentials at its logarithm. */
static int read_base(request *r)
{
    double base = r->flags->base;
    if (isnan(base))
        return EXIT_DONE;
    if (!(base > 0))
        return complain(exit_code_of(PLUCK_ERR_INVALID),
                        "--base: %g is not above 0; expected a number such as 2 or 10", base);
    r->beta = (float)plk_log(base);
    return EXIT_DONE;
}

/* Flags that contradict each other. */
static int check_flags(const request *r)
{
    const softmax_flags *flags = r->flags;
    bool has_base = !isnan(flags->base);
    bool has_scale = !isnan(flags->temperature) || !isnan(flags->beta);
    bool is_entmax = flags->sparsemax || !isnan(flags->entmax);
    bool is_of_softmax = flags->lse || r->has_target, has_logarithms = flags->log || is_of_softmax;
    const struct {
        bool has, has_too;
        const char *wrong;
    } rules[] = {
        {flags->sparsemax, !isnan(flags->entmax),
         "--sparsemax cannot be combined with --entmax; it is --entmax 2"},
        {has_base, has_scale || is_entmax,
         "--base cannot be combined with --temperature, --beta, --sparsemax or --entmax"},
        {r->is_limit, has_logarithms,
         "--temperature 0 cannot be combined with --log, --lse or --target: it gives probabilities "
         "of 0"},
        {is_entmax, is_of_softmax,
         "--lse and --target belong to softmax and cannot be combined with --entmax or "
         "--sparsemax"},
        {has_base, has_logarithms,
         "--base cannot be combined with --log, --lse or --target, whose logarithms are natural "
         "ones"},
        {r->has_gumbel, is_entmax || has_base || has_logarithms || r->is_limit || !(r->beta > 0),
         "--gumbel can be combined only with a --temperature or --beta above 0, --entropy and "
         "--argmax"},
        {flags->gradient, !r->has_target, "--gradient needs --target"},
        {flags->gradient, flags->lse || flags->entropy || flags->argmax,
         "--gradient cannot be combined with --lse, --entropy or --argmax"},
        {flags->log, r->has_numbers,
         "--log is of probabilities and cannot be combined with --lse, --entropy, --argmax or "
         "--target, which print other numbers"},
        {flags->lines, flags->call.n_words > 0,
         "--lines reads standard input; leave out the numbers among the arguments"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].has && rules[i].has_too)
            return complain(EXIT_USAGE, "%s", rules[i].wrong);
    return EXIT_DONE;
}

static int read_request(request *r, const softmax_flags *flags)
{
    *r = (request){.flags = flags,
                   .alpha = flags->sparsemax       ? 2
                            : isnan(flags->entmax) ? 1
                                                   : flags->entmax,
                   .has_gumbel = flags->gumbel != NOT_GIVEN,
                   .has_target = flags->target != NOT_GIVEN,
                   .target = flags->target};
    r->has_numbers = flags->lse || flags->entropy || flags->argmax || r->has_target;
    int code = read_scale(r);
    if (code == EXIT_DONE)
        code = read_base(r);
    if (code == EXIT_DONE)
        code = check_flags(r);
    pluck_pcg64_seed(&r->rng, r->has_gumbel ? flags->gumbel : 0, 0, 0);
    return code;
}

static pluck_status compute_probabilities(request *r, const number_list *z, float *p,
                                          pluck_error *err)
{
    size_t index;
    if (r->has_gumbel)
        return pluck_gumbel_softmax(z->values, z->n, 1 / r->beta, &r->rng, p, &index, err);
    if (r->is_limit)
        return pluck_softmax_limit(z->values, z->n, true, p, err);
    return pluck_entmax(z->values, z->n, r->beta, r->alpha, p, err);
}

static pluck_status compute_log(request *r, const number_list *z, float *p, pluck_error *err)
{
    if (r->alpha == 1)
        return pluck_log_softmax(z->values, z->n, r->beta, p, err);
    pluck_status status = compute_probabilities(r, z, p, err);
    for (size_t i = 0; i < z->n && status == PLUCK_OK; i++)
        p[i] = (float)plk_log((double)p[i]);
    return status;
}

/* res->values has room for n floats. */
static pluck_status compute(request *r, const number_list *z, result *res, pluck_error *err)
{
    const softmax_flags *flags = r->flags;
    pluck_status status = PLUCK_OK;
    if (flags->lse)
        status = pluck_logsumexp(z->values, z->n, r->beta, &res->lse, err);
    if (status == PLUCK_OK && r->has_target)
        status = pluck_cross_entropy(z->values, z->n, r->beta, (size_t)r->target, &res->loss,
                                     flags->gradient ? res->values : NULL, err);
    if (status != PLUCK_OK || flags->gradient)
        return status;
    if (flags->log)
        return compute_log(r, z, res->values, err);
    status = compute_probabilities(r, z, res->values, err);
    if (status == PLUCK_OK && flags->entropy)
        status = pluck_entropy_of_probs(res->values, z->n, &res->entropy, err);
    if (status == PLUCK_OK && flags->argmax)
        status = pluck_argmax(res->values, z->n, &res->argmax, err);
    return status;
}

/* The numbers asked for, in the order that the help gives: their names and values. */
typedef struct named_number {
    const char *name;
    double value;
} named_number;

enum { MAX_NUMBERS = 4 };

static size_t list_numbers(const request *r, const result *res, named_number *numbers)
{
    const softmax_flags *flags = r->flags;
    size_t n = 0;
    if (flags->lse)
        numbers[n++] = (named_number){"lse", res->lse};
    if (flags->entropy)
        numbers[n++] = (named_number){"entropy", res->entropy};
    if (flags->argmax)
        numbers[n++] = (named_number){"argmax", (double)res->argmax};
    if (r->has_target && !flags->gradient)
        numbers[n++] = (named_number){"loss", res->loss};
    return n;
}

static const char *vector_name(const softmax_flags *flags)
{
    return flags->gradient ? "gradient" : flags->log ? "logprob" : "prob";
}

static void print_text(output *out, const named_number *numbers, size_t n_numbers,
                       const result *res)
{
    for (size_t i = 0; i < n_numbers; i++)
        output_printf(out, "%s%.6g", i > 0 ? " " : "", numbers[i].value + 0.0);
    for (size_t i = 0; i < res->n; i++)
        output_printf(out, "%s%.6g", i > 0 ? " " : "", (double)res->values[i] + 0.0);
    output_char(out, '\n');
}

static void print_json(output *out, const request *r, const named_number *numbers, size_t n_numbers,
                       const result *res, size_t row)
{
    json_open(out, NULL, '{');
    if (r->flags->lines)
        json_count(out, "row", row);
    for (size_t i = 0; i < n_numbers; i++)
        json_double(out, numbers[i].name, numbers[i].value + 0.0);
    if (res->n > 0)
        json_open(out, vector_name(r->flags), '[');
    for (size_t i = 0; i < res->n; i++)
        json_float(out, NULL, (double)res->values[i]);
    output_text(out, res->n > 0 ? "]}\n" : "}\n");
}

static void print_csv(output *out, const request *r, const named_number *numbers, size_t n_numbers,
                      const result *res, size_t row)
{
    table_column columns[1 + MAX_NUMBERS + 2] = {{.title = "row"}};
    size_t n = r->flags->lines;
    for (size_t i = 0; i < n_numbers; i++)
        columns[n++] = (table_column){.title = numbers[i].name, .is_double = true};
    if (res->n > 0) {
        columns[n++] = (table_column){.title = "index"};
        columns[n++] = (table_column){.title = vector_name(r->flags)};
    }
    table t = {.out = out, .columns = columns, .n = n, .is_csv = true};
    if (row == 0)
        t = table_begin_csv(out, columns, n);
    for (size_t i = 0; i < (n_numbers > 0 ? 1 : res->n); i++) {
        if (r->flags->lines)
            table_count(&t, row);
        for (size_t k = 0; k < n_numbers; k++)
            table_number(&t, numbers[k].value + 0.0);
        if (n_numbers == 0) {
            table_count(&t, i);
            table_number(&t, (double)res->values[i]);
        }
        table_end_row(&t);
    }
}

/* row is which vector it is, line where it is on standard input; 0: it was typed. */
static int answer(request *r, output *out, const number_list *z, size_t row, size_t line)
{
    const softmax_flags *flags = r->flags;
    pluck_error err = {.status = PLUCK_OK};
    named_number numbers[MAX_NUMBERS];
    result res = {.values = malloc((z->n > 0 ? z->n : 1) * sizeof *res.values)};
    if (!res.values)
        return complain_memory();
    pluck_status status = compute(r, z, &res, &err);
    if (status != PLUCK_OK) {
        free(res.values);
        if (flags->lines)
            return complain(exit_code_of(status), "standard input: line %zu: %s", line,
                            err.message);
        return complain_error(status, &err);
    }
    size_t n_numbers = list_numbers(r, &res, numbers);
    res.n = n_numbers > 0 ? 0 : z->n;
    if (flags->format == FORMAT_JSON)
        print_json(out, r, numbers, n_numbers, &res, row);
    else if (flags->format == FORMAT_CSV)
        print_csv(out, r, numbers, n_numbers, &res, row);
    else
        print_text(out, numbers, n_numbers, &res);
    free(res.values);
    return EXIT_DONE;
}

static int answer_words(request *r, output *out)
{
    const softmax_flags *flags = r->flags;
    number_list z = {NULL, 0, 0};
    int code = EXIT_DONE;
    for (size_t i = 0; i < flags->call.n_words && code == EXIT_DONE; i++) {
        float value;
        const char *problem;
        if (!parse_float(flags->call.words[i], &value, &problem))
            code = complain(EXIT_DATA, "number %zu: '%s' %s", i + 1, flags->call.words[i], problem);
        else if (!numbers_add(&z, value))
            code = complain_memory();
    }
    if (code == EXIT_DONE)
        code = answer(r, out, &z, 0, 0);
    numbers_free(&z);
    return code;
}

static int answer_stdin(request *r, output *out)
{
    const softmax_flags *flags = r->flags;
    number_list z = {NULL, 0, 0};
    char *text = NULL;
    size_t n = 0, line = 1, row = 0;
    int code = read_file("-", INPUT_LIMIT, &text, &n);
    if (code == EXIT_DONE && strlen(text) != n)
        code =
            complain(EXIT_DATA,
                     "standard input: has a NUL byte, so it is not text; expected numbers as text");
    for (const char *at = text; code == EXIT_DONE && at;) {
        z.n = 0;
        code = numbers_parse(&z, at, !flags->lines, &line, &at);
        bool is_last = code == EXIT_DONE && *at == '\0';
        /* An empty line is not a vector, but empty input is one, for the message. */
        if (code == EXIT_DONE && (z.n > 0 || (is_last && row == 0)))
            code = z.n > 0 ? answer(r, out, &z, row++, line)
                           : complain(EXIT_DATA,
                                      "standard input: has no number; expected at least one");
        if (is_last || code != EXIT_DONE)
            break;
        at++;
        line++;
    }
    free(text);
    numbers_free(&z);
    return code;
}

static int run(const void *given)
{
    const softmax_flags *flags = given;
    request r;
    output out;
    int code = read_request(&r, flags);
    if (code == EXIT_DONE)
        code = output_open(&out, flags->output);
    if (code != EXIT_DONE)
        return code;
    code = flags->call.n_words > 0 ? answer_words(&r, &out) : answer_stdin(&r, &out);
    return output_finish(&out, code);
}

static const flag flags[] = {
    FLAG_TITLE("Softmax"),
    {FLAG(NUMBER, "temperature", softmax_flags, temperature), .letter = 't', .value = "T",
     .high = 0,
     .help = "divide the numbers by T; 0 gives all probability to the largest number, a negative "
             "T prefers the smallest (default: 1)"},
    {FLAG(NUMBER, "beta", softmax_flags, beta), .value = "B", .high = 0,
     .help = "multiply the numbers by B, which is 1 / temperature (default: 1)"},
    {FLAG(NUMBER, "base", softmax_flags, base), .value = "B", .high = 0,
     .help = "use powers of B instead of e"},
    {FLAG(SWITCH, "sparsemax", softmax_flags, sparsemax),
     .help = "print sparsemax instead of softmax: --entmax 2"},
    {FLAG(NUMBER, "entmax", softmax_flags, entmax), .value = "ALPHA", .high = 0,
     .help = "print alpha-entmax, from 1 (softmax) to 100"},
    {FLAG(COUNT, "gumbel", softmax_flags, gumbel), .value = "SEED", .max = UINT64_MAX - 1,
     .help = "print a Gumbel-softmax: add Gumbel noise of this seed to the numbers first"},
    {FLAG(SWITCH, "log", softmax_flags, log), .help = "print logarithms of the probabilities"},
    {FLAG(SWITCH, "lse", softmax_flags, lse),
     .help = "print the log-sum-exp instead of probabilities"},
    {FLAG(SWITCH, "entropy", softmax_flags, entropy),
     .help = "print the entropy in nats instead of probabilities"},
    {FLAG(SWITCH, "argmax", softmax_flags, argmax),
     .help = "print the index of the most probable number, from 0, instead of probabilities"},
    {FLAG(COUNT, "target", softmax_flags, target), .value = "I", .max = UINT64_MAX - 1,
     .help = "print the cross-entropy of number I, from 0, instead of probabilities"},
    {FLAG(SWITCH, "gradient", softmax_flags, gradient),
     .help = "with --target: print the gradient of the cross-entropy"},
    {FLAG(SWITCH, "lines", softmax_flags, lines),
     .help = "treat each line of standard input as a separate vector"},
    FLAG_GROUP(table_format_flag, softmax_flags, format),
    FLAG_GROUP(output_flag, softmax_flags, output),
    FLAG_END,
};

const command softmax_command = {
    .name = "softmax",
    .synopsis = "[NUMBER...] [options]",
    .summary = "print the softmax of numbers, or a related function",
    .about = "The numbers are arguments, or else standard input: separated by blanks, commas, "
             "brackets or line ends, all of it one vector (but see --lines). A number -inf has "
             "probability 0. Prints the probabilities; --lse, --entropy, --argmax and --target "
             "print numbers instead, in this order if several are given. The text format prints "
             "one line per vector, with rounded numbers. json and csv print all digits that are "
             "needed to read back the same numbers.",
    .usual = "temperature entmax log lse entropy argmax target format",
    COMMAND_FLAGS(flags, softmax_flags),
    .defaults = &(const softmax_flags){.temperature = (double)NAN,
                                       .beta = (double)NAN,
                                       .base = (double)NAN,
                                       .entmax = (double)NAN,
                                       .gumbel = NOT_GIVEN,
                                       .target = NOT_GIVEN},
    .examples = {"echo 1 2 3 4 1 2 3 | pluck softmax --temperature 10",
                 "pluck softmax -2 0 0.5 --sparsemax",
                 "pluck softmax 1 2 3 -inf --log --format json", "pluck softmax 0 1 2 --base 2",
                 "printf '1 2\\n3 4 5\\n' | pluck softmax --lines --entropy --argmax --format csv",
                 "pluck softmax 0.5 1 -1 --target 1 --gradient"},
    COMMAND_WORDS(0, SIZE_MAX, "NUMBER"),
    .run = run,
};
