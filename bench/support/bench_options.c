/* An option's value follows as the next argument; lists are separated by commas. */
#include "support/bench_options.h"

#include "support/logit_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(const char *program, const char *extra)
{
    printf("usage: %s [OPTION VALUE]...\n"
           "  --isa LIST          scalar, avx2, avx512, neon, sse2, wasm, vector, best, all\n"
           "  --vocab-size LIST   values a row of synthetic logits (128256)\n"
           "  --dtype LIST        f32, f16, bf16 (f32)\n"
           "  --logits LIST       kinds as below, or files of logits (peaked); may be repeated\n"
           "  --only TEXT         cases whose name contains TEXT\n"
           "  --json FILE         results as JSON, one object a line\n"
           "  --quick             fewer repetitions\n"
           "%sKinds of logits:\n",
           program, extra);
    for (size_t i = 0; i < bench_logit_kind_count(); i++) {
        const bench_logit_kind *kind = bench_logit_kind_at(i);
        printf("  %-18s  %s\n", kind->name, kind->summary);
    }
}

static bool add_isa(bench_options *options, const char *name)
{
    pluck_error err;
    if (strcmp(name, "all") == 0) {
        for (int isa = PLUCK_ISA_SCALAR; pluck_isa_name((pluck_isa)isa); isa++) {
            if (pluck_isa_supported((pluck_isa)isa) && options->n_isas < BENCH_MAX_LIST)
                options->isas[options->n_isas++] = (pluck_isa)isa;
        }
        return true;
    }
    if (pluck_isa_from_name(name, &options->isas[options->n_isas], &err) != PLUCK_OK) {
        fprintf(stderr, "bench: %s\n", err.message);
        return false;
    }
    options->n_isas++;
    return true;
}

static bool add_size(bench_options *options, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value < 64 || value > PLUCK_MAX_VOCAB) {
        fprintf(stderr, "bench: --vocab-size %s is not a number in [64, %u]\n", text,
                (unsigned)PLUCK_MAX_VOCAB);
        return false;
    }
    options->n_vocab[options->n_sizes++] = (uint32_t)value;
    return true;
}

static bool add_dtype(bench_options *options, const char *name)
{
    for (int dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++) {
        if (strcmp(name, pluck_dtype_name((pluck_dtype)dtype)) == 0) {
            options->dtypes[options->n_dtypes++] = (pluck_dtype)dtype;
            return true;
        }
    }
    fprintf(stderr, "bench: --dtype %s is none of f32, f16, bf16\n", name);
    return false;
}

static bool add_logits(bench_options *options, const char *name)
{
    options->logits[options->n_logits++] = name;
    return true;
}

typedef struct list_option {
    const char *name;
    bool (*add)(bench_options *options, const char *item);
    size_t offset_bytes; /* of how many items there are */
} list_option;

static const list_option list_options[] = {
    {"--isa", add_isa, offsetof(bench_options, n_isas)},
    {"--vocab-size", add_size, offsetof(bench_options, n_sizes)},
    {"--dtype", add_dtype, offsetof(bench_options, n_dtypes)},
    {"--logits", add_logits, offsetof(bench_options, n_logits)},
};

/* Cuts value at its commas, in place: items point into it. */
static bool add_items(bench_options *options, const list_option *option, char *value)
{
    size_t *n = (size_t *)(void *)((char *)options + option->offset_bytes);
    for (char *item = value; item;) {
        char *comma = strchr(item, ',');
        if (comma)
            *comma = '\0';
        if (*n == BENCH_MAX_LIST) {
            fprintf(stderr, "bench: %s has more than %d items\n", option->name, BENCH_MAX_LIST);
            return false;
        }
        if (!option->add(options, item))
            return false;
        item = comma ? comma + 1 : NULL;
    }
    return true;
}

static bool take_value(bench_options *options, const char *name, char *value)
{
    for (size_t i = 0; i < sizeof list_options / sizeof *list_options; i++) {
        if (strcmp(name, list_options[i].name) == 0)
            return add_items(options, &list_options[i], value);
    }
    if (strcmp(name, "--only") == 0)
        options->only = value;
    else if (strcmp(name, "--json") == 0)
        options->json = value;
    else if (strcmp(name, "--library") == 0)
        options->library = value;
    else {
        fprintf(stderr, "bench: no option %s; --help lists them\n", name);
        return false;
    }
    return true;
}

int bench_options_read(bench_options *options, int argc, char **argv, bool all_isas,
                       const char *extra)
{
    *options = (bench_options){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(argv[0], extra);
            return 0;
        }
        if (strcmp(argv[i], "--quick") == 0)
            options->quick = true;
        else if (strcmp(argv[i], "--targets") == 0)
            options->targets = true;
        else if (i + 1 == argc) {
            fprintf(stderr, "bench: %s needs a value, or is no option; see --help\n", argv[i]);
            return 2;
        } else if (!take_value(options, argv[i], argv[i + 1]))
            return 2;
        else
            i++;
    }
    if (options->n_isas == 0)
        add_isa(options, all_isas ? "all" : "best");
    if (options->n_sizes == 0)
        options->n_vocab[options->n_sizes++] = 128256;
    if (options->n_dtypes == 0)
        options->dtypes[options->n_dtypes++] = PLUCK_F32;
    if (options->n_logits == 0)
        options->logits[options->n_logits++] = "peaked";
    return -1;
}
