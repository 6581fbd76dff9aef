/* pluck softmax: the library's softmax family on numbers that are typed or piped. */
#include "commands.h"
#include "files.h"
#include "numbers.h"
#include "output.h"

#include <pluck/softmax.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_LIMIT ((size_t)1 << 30)

/* What the flags ask for. */
typedef struct request {
    const arguments *args;
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

static int read_number(const arguments *args, const char *flag, const char *text, double *value)
{
    if (!text || parse_double(text, value))
        return EXIT_DONE;
    return complain(args->who, EXIT_USAGE, "--%s: '%s' is not a finite number", flag, text);
}

static int read_whole(const arguments *args, const char *flag, const char *text, bool *has,
                      uint64_t *value)
{
    *has = text != NULL;
    if (!text || parse_count(text, 0, UINT64_MAX, value))
        return EXIT_DONE;
    return complain(args->who, EXIT_USAGE, "--%s: '%s' is not a whole number", flag, text);
}

static int read_scale(request *r)
{
    const arguments *args = r->args;
    double temperature = 1, beta = 1;
    if (args->temperature && args->beta)
        return complain(args->who, EXIT_USAGE, "--temperature and --beta say the same: give one");
    int code = read_number(args, "temperature", args->temperature, &temperature);
    if (code == EXIT_DONE)
        code = read_number(args, "beta", args->beta, &beta);
    if (code != EXIT_DONE)
        return code;
    r->is_limit = temperature == 0;
    if (!r->is_limit && args->temperature)
        beta = 1 / temperature;
    r->beta = (float)beta;
    if (!isfinite(r->beta))
        return complain(args->who, EXIT_DATA, "--%s: is beyond the range of a float",
                        args->beta ? "beta" : "temperature");
    return EXIT_DONE;
}

/* Powers of a base are exponentials at its logarithm. */
static int read_base(request *r)
{
    double base = 0;
    int code = read_number(r->args, "base", r->args->base, &base);
    if (code != EXIT_DONE || !r->args->base)
        return code;
    if (!(base > 0))
        return complain(r->args->who, exit_code_of(PLUCK_ERR_INVALID), "--base: %g is not above 0",
                        base);
    r->beta = (float)log(base);
    return EXIT_DONE;
}

/* Flags that contradict each other. */
static int check_flags(const request *r)
{
    const arguments *args = r->args;
    bool is_entmax = args->sparsemax || args->entmax;
    const char *wrong = NULL;
    if (args->sparsemax && args->entmax)
        wrong = "--sparsemax and --entmax exclude each other";
    else if (args->base && (is_entmax || args->temperature || args->beta))
        wrong = "--base stands alone: no --temperature, --beta, --entmax";
    else if (r->is_limit && (args->log || args->lse || args->target))
        wrong = "--temperature 0 has no logarithms: no --log, --lse, --target";
    else if (is_entmax && (args->lse || args->target))
        wrong = "--lse and --target are of softmax, not of entmax";
    else if (args->base && (args->log || args->lse || args->target))
        wrong = "--base prints probabilities: no --log, --lse, --target";
    else if (r->has_gumbel && (is_entmax || args->base || args->log || args->lse || args->target ||
                               !(r->beta > 0) || r->is_limit))
        wrong = "--gumbel takes a --temperature above 0, --entropy and --argmax only";
    else if (args->gradient && !args->target)
        wrong = "--gradient needs --target";
    else if (args->gradient && (args->lse || args->entropy || args->argmax))
        wrong = "--gradient stands alone: no --lse, --entropy, --argmax";
    else if (args->log && r->has_numbers)
        wrong = "--log is of probabilities: no --lse, --entropy, --argmax, --target";
    else if (args->lines && args->n_words > 0)
        wrong = "--lines is for standard input";
    return !wrong ? EXIT_DONE : complain(args->who, EXIT_USAGE, "%s", wrong);
}

static int read_request(request *r, const arguments *args)
{
    uint64_t seed = 0;
    *r = (request){.args = args, .alpha = args->sparsemax ? 2 : 1};
    r->has_numbers = args->lse || args->entropy || args->argmax || args->target;
    int code = read_scale(r);
    if (code == EXIT_DONE)
        code = read_base(r);
    if (code == EXIT_DONE)
        code = read_number(args, "entmax", args->entmax, &r->alpha);
    if (code == EXIT_DONE)
        code = read_whole(args, "gumbel", args->gumbel, &r->has_gumbel, &seed);
    if (code == EXIT_DONE)
        code = read_whole(args, "target", args->target, &r->has_target, &r->target);
    if (code == EXIT_DONE)
        code = check_flags(r);
    pluck_pcg64_seed(&r->rng, seed, 0, 0);
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
        p[i] = logf(p[i]);
    return status;
}

/* res->values has room for n floats. */
static pluck_status compute(request *r, const number_list *z, result *res, pluck_error *err)
{
    const arguments *args = r->args;
    pluck_status status = PLUCK_OK;
    if (args->lse)
        status = pluck_logsumexp(z->values, z->n, r->beta, &res->lse, err);
    if (status == PLUCK_OK && r->has_target)
        status = pluck_cross_entropy(z->values, z->n, r->beta, (size_t)r->target, &res->loss,
                                     args->gradient ? res->values : NULL, err);
    if (status != PLUCK_OK || args->gradient)
        return status;
    if (args->log)
        return compute_log(r, z, res->values, err);
    status = compute_probabilities(r, z, res->values, err);
    if (status == PLUCK_OK && args->entropy)
        status = pluck_entropy_of_probs(res->values, z->n, &res->entropy, err);
    if (status == PLUCK_OK && args->argmax)
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
    const arguments *args = r->args;
    size_t n = 0;
    if (args->lse)
        numbers[n++] = (named_number){"lse", res->lse};
    if (args->entropy)
        numbers[n++] = (named_number){"entropy", res->entropy};
    if (args->argmax)
        numbers[n++] = (named_number){"argmax", (double)res->argmax};
    if (r->has_target && !args->gradient)
        numbers[n++] = (named_number){"loss", res->loss};
    return n;
}

static const char *vector_name(const arguments *args)
{
    return args->gradient ? "gradient" : args->log ? "logprob" : "prob";
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
    output_char(out, '{');
    if (r->args->lines)
        output_printf(out, "\"row\":%zu,", row);
    for (size_t i = 0; i < n_numbers; i++) {
        output_printf(out, "%s\"%s\":", i > 0 ? "," : "", numbers[i].name);
        output_double(out, numbers[i].value + 0.0);
    }
    if (res->n > 0)
        output_printf(out, "\"%s\":[", vector_name(r->args));
    for (size_t i = 0; i < res->n; i++) {
        output_text(out, i > 0 ? "," : "");
        output_float(out, (double)res->values[i]);
    }
    output_text(out, res->n > 0 ? "]}\n" : "}\n");
}

static void print_csv(output *out, const request *r, const named_number *numbers, size_t n_numbers,
                      const result *res, size_t row)
{
    if (row == 0) {
        output_text(out, r->args->lines ? "row," : "");
        for (size_t i = 0; i < n_numbers; i++)
            output_printf(out, "%s%s", i > 0 ? "," : "", numbers[i].name);
        if (res->n > 0)
            output_printf(out, "index,%s", vector_name(r->args));
        output_char(out, '\n');
    }
    for (size_t i = 0; i < (n_numbers > 0 ? 1 : res->n); i++) {
        if (r->args->lines)
            output_printf(out, "%zu,", row);
        for (size_t k = 0; k < n_numbers; k++) {
            output_text(out, k > 0 ? "," : "");
            output_csv_double(out, numbers[k].value + 0.0);
        }
        if (n_numbers == 0) {
            output_printf(out, "%zu,", i);
            output_csv_float(out, (double)res->values[i]);
        }
        output_char(out, '\n');
    }
}

/* row is which vector it is, line where it is on standard input; 0: it was typed. */
static int answer(request *r, output *out, const number_list *z, size_t row, size_t line)
{
    const arguments *args = r->args;
    pluck_error err = {.status = PLUCK_OK};
    named_number numbers[MAX_NUMBERS];
    result res = {.values = malloc((z->n > 0 ? z->n : 1) * sizeof *res.values)};
    if (!res.values)
        return complain_memory(args->who);
    pluck_status status = compute(r, z, &res, &err);
    if (status != PLUCK_OK) {
        free(res.values);
        if (args->lines)
            return complain(args->who, exit_code_of(status), "standard input: line %zu: %s", line,
                            err.message);
        return complain(args->who, exit_code_of(status), "%s", err.message);
    }
    size_t n_numbers = list_numbers(r, &res, numbers);
    res.n = n_numbers > 0 ? 0 : z->n;
    if (args->format == FORMAT_JSON)
        print_json(out, r, numbers, n_numbers, &res, row);
    else if (args->format == FORMAT_CSV)
        print_csv(out, r, numbers, n_numbers, &res, row);
    else
        print_text(out, numbers, n_numbers, &res);
    free(res.values);
    return EXIT_DONE;
}

static int answer_words(request *r, output *out)
{
    const arguments *args = r->args;
    number_list z = {NULL, 0, 0};
    int code = EXIT_DONE;
    for (size_t i = 0; i < args->n_words && code == EXIT_DONE; i++) {
        float value;
        const char *problem;
        if (!parse_float(args->words[i], &value, &problem))
            code = complain(args->who, EXIT_DATA, "number %zu: '%s' %s", i + 1, args->words[i],
                            problem);
        else if (!numbers_add(&z, value))
            code = complain_memory(args->who);
    }
    if (code == EXIT_DONE)
        code = answer(r, out, &z, 0, 0);
    numbers_free(&z);
    return code;
}

static int answer_stdin(request *r, output *out)
{
    const arguments *args = r->args;
    number_list z = {NULL, 0, 0};
    char *text = NULL;
    size_t n = 0, line = 1, row = 0;
    int code = read_file(args->who, "-", INPUT_LIMIT, &text, &n);
    if (code == EXIT_DONE && strlen(text) != n)
        code = complain(args->who, EXIT_DATA, "standard input: holds a NUL byte, no text");
    for (const char *at = text; code == EXIT_DONE && at;) {
        z.n = 0;
        code = numbers_parse(&z, args->who, at, !args->lines, &line, &at);
        bool is_last = code == EXIT_DONE && *at == '\0';
        /* An empty line is no vector; empty input is, for the message. */
        if (code == EXIT_DONE && (z.n > 0 || (is_last && row == 0)))
            code = z.n > 0 ? answer(r, out, &z, row++, line)
                           : complain(args->who, EXIT_DATA, "standard input: holds no number");
        if (is_last || code != EXIT_DONE)
            break;
        at++;
        line++;
    }
    free(text);
    numbers_free(&z);
    return code;
}

int cmd_softmax(const arguments *args)
{
    request r;
    output out;
    int code = read_request(&r, args);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, args->output);
    if (code != EXIT_DONE)
        return code;
    code = args->n_words > 0 ? answer_words(&r, &out) : answer_stdin(&r, &out);
    int closed = output_close(&out, code == EXIT_DONE);
    return code == EXIT_DONE ? closed : code;
}
