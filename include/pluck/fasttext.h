/*
 * fastText models (.bin, .ftz): a line of text to features, to a hidden state, to labels.
 *
 * Read: version 11 and 12, supervised, skip-gram and CBOW models; hierarchical softmax, softmax,
 * one-vs-all and negative-sampling outputs; dense and quantised matrices, pruned dictionaries. The
 * layout is written down in lib/heads/fasttext/fasttext_file.c. The file is mapped and stays open;
 * opening costs one pass over its dictionary and its output matrix, not over its input matrix.
 *
 * A pluck_fasttext is constant once opened, and usable by many threads at once; a
 * pluck_fasttext_query is the scratch memory of one thread.
 *
 *     pluck_fasttext *model = NULL;
 *     pluck_fasttext_query *query = NULL;
 *     pluck_fasttext_label labels[3];
 *     uint32_t n = 0;
 *     if (pluck_fasttext_open(&model, "lid.176.ftz", NULL, &err) == PLUCK_OK &&
 *         pluck_fasttext_query_create(&query, model, NULL, &err) == PLUCK_OK &&
 *         pluck_fasttext_predict(query, line, strlen(line), 3, 0, labels, &n, &err) == PLUCK_OK)
 *         for (uint32_t i = 0; i < n; i++)
 *             printf("%s %g\n", labels[i].text, labels[i].prob);
 *     pluck_fasttext_query_destroy(&query);
 *     pluck_fasttext_destroy(&model);
 *
 * Sources: P. Bojanowski, E. Grave, A. Joulin, T. Mikolov, "Enriching Word Vectors with Subword
 * Information", 2017; A. Joulin et al., "Bag of Tricks for Efficient Text Classification", 2016,
 * and "FastText.zip: Compressing text classification models", 2016.
 */
#ifndef PLUCK_FASTTEXT_H
#define PLUCK_FASTTEXT_H

#include <pluck/base.h>
#include <pluck/head.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_fasttext pluck_fasttext;

/* All zero is a good default. */
typedef struct pluck_fasttext_options {
    /* What a label of the text begins with, "__label__" for NULL: the file does not say. Words of
     * the text that begin so and are not in the dictionary are left out. */
    const char *label_prefix;
    pluck_isa isa;
    const pluck_allocator *allocator; /* NULL: malloc; must outlive the model */
    bool no_map; /* read the file into memory instead of mapping it, see dump.h */
} pluck_fasttext_options;

/* Opens path. PLUCK_ERR_FORMAT if it is not such a file: every size in it is compared with the size
 * of the file before memory is asked for. On failure *out is NULL. */
PLUCK_API pluck_status pluck_fasttext_open(pluck_fasttext **out, const char *path,
                                           const pluck_fasttext_options *options, pluck_error *err);

/* As pluck_fasttext_open(), of a file in memory that outlives the model; name stands for the path
 * in messages. */
PLUCK_API pluck_status pluck_fasttext_open_memory(pluck_fasttext **out, const char *name,
                                                  const void *bytes, size_t size_bytes,
                                                  const pluck_fasttext_options *options,
                                                  pluck_error *err);

PLUCK_API void pluck_fasttext_destroy(pluck_fasttext **model);

typedef enum pluck_fasttext_loss {
    PLUCK_FASTTEXT_HS = 1,
    PLUCK_FASTTEXT_NS = 2,
    PLUCK_FASTTEXT_SOFTMAX = 3,
    PLUCK_FASTTEXT_OVA = 4
} pluck_fasttext_loss;

typedef enum pluck_fasttext_kind {
    PLUCK_FASTTEXT_CBOW = 1,
    PLUCK_FASTTEXT_SKIPGRAM = 2,
    PLUCK_FASTTEXT_SUPERVISED = 3
} pluck_fasttext_kind;

typedef struct pluck_fasttext_info {
    pluck_fasttext_kind kind;
    pluck_fasttext_loss loss;
    uint32_t dim, n_words, n_labels;
    uint32_t n_outputs;                /* labels of a supervised model, words of another */
    uint32_t word_ngrams;              /* 1: words only */
    uint32_t min_subword, max_subword; /* code points; max 0: no subwords */
    uint32_t n_buckets;
    bool quantised_input, quantised_output, pruned;
} pluck_fasttext_info;

PLUCK_API pluck_fasttext_info pluck_fasttext_get_info(const pluck_fasttext *model);

/* The text of an output (label or word), NUL-terminated, valid as long as the model; NULL if output
 * >= n_outputs. */
PLUCK_API const char *pluck_fasttext_output_text(const pluck_fasttext *model, uint32_t output);

/* How often the output occurred in training; 0 if output >= n_outputs. */
PLUCK_API int64_t pluck_fasttext_output_count(const pluck_fasttext *model, uint32_t output);

/* The head from the hidden state to the outputs, valid as long as the model: hierarchical for HS,
 * dense for SOFTMAX. NULL for the other losses, whose outputs are no distribution. */
PLUCK_API const pluck_head *pluck_fasttext_head(const pluck_fasttext *model);

typedef struct pluck_fasttext_query pluck_fasttext_query;

/* Allocates. model must outlive the query. A long line can make the features of the query grow: the
 * queries that read text allocate then, and only then. */
PLUCK_API pluck_status pluck_fasttext_query_create(pluck_fasttext_query **out,
                                                   const pluck_fasttext *model,
                                                   const pluck_allocator *allocator,
                                                   pluck_error *err);
PLUCK_API void pluck_fasttext_query_destroy(pluck_fasttext_query **query);

/*
 * The features of text[size_bytes], as fastText reads a line: *features are *n rows of the input
 * matrix, in its order, valid until the next query. Words are split at space, \n, \r, \t, \v, \f
 * and \0; a newline is the word "</s>" and ends the line, as that word itself does: bytes behind
 * it are not read, and *used_bytes (may be NULL) says how many were. fastText reads lines with
 * their newline: to get what it gets, pass it. Subwords and word n-grams follow if the model has
 * them.
 */
PLUCK_API pluck_status pluck_fasttext_query_features(pluck_fasttext_query *query, const char *text,
                                                     size_t size_bytes, const int32_t **features,
                                                     size_t *n, size_t *used_bytes,
                                                     pluck_error *err);

/* The hidden state of the line: the mean of the rows of its features, duplicates counted. *hidden
 * is dim floats, valid until the next query; NULL, with PLUCK_OK, if the line has no features. */
PLUCK_API pluck_status pluck_fasttext_query_hidden(pluck_fasttext_query *query, const char *text,
                                                   size_t size_bytes, const float **hidden,
                                                   pluck_error *err);

typedef struct pluck_fasttext_label {
    uint32_t output;
    const char *text; /* valid as long as the model */
    double prob;
} pluck_fasttext_label;

/*
 * The k most probable outputs of the line with probability at least threshold, most probable
 * first, ties by lower output; labels has room for k >= 1. *n is how many there are: 0 for a line
 * without features. HS and SOFTMAX: exact probabilities. OVA and NS: the sigmoid of each output,
 * which do not add up to 1. A model that is not supervised is asked for words in the same way.
 */
PLUCK_API pluck_status pluck_fasttext_predict(pluck_fasttext_query *query, const char *text,
                                              size_t size_bytes, uint32_t k, double threshold,
                                              pluck_fasttext_label *labels, uint32_t *n,
                                              pluck_error *err);

/*
 * The same by fastText's own arithmetic (0.9.2): floats, 1e-5 added inside each logarithm, so that
 * probabilities are a little too large (and can exceed 1), outputs below threshold + 1e-5 left out;
 * sigmoids of OVA and NS from its table of 512. Equal outputs are kept and ordered as fastText's
 * heap does it, by no simple rule. For comparing; slower than the exact one.
 */
PLUCK_API pluck_status pluck_fasttext_predict_compat(pluck_fasttext_query *query, const char *text,
                                                     size_t size_bytes, uint32_t k,
                                                     double threshold, pluck_fasttext_label *labels,
                                                     uint32_t *n, pluck_error *err);

/* What the last prediction cost in the head: see pluck_head_query_get_stats(). */
PLUCK_API pluck_head_stats pluck_fasttext_query_get_stats(const pluck_fasttext_query *query);

#ifdef __cplusplus
}
#endif

#endif
